//! Plans reminders of events: at the local midnight of each user, when a daemon starts, and at once when an event or a
//! preference has changed. Several daemons divide the users among them; what each plans is unique in the database.

use super::{Context, Progress};
use crate::plan::reminders::Skip;
use crate::store::StoreError;
use crate::store::planner::{REFUSED, Settings, Step};

pub(super) async fn step(on: &Context) -> Result<Progress, StoreError> {
    let dispatch = &on.dispatch;
    let limits = &dispatch.limits.daemon.chores;
    let Some(planning) = &on.planning else {
        return Ok(Progress::Later(limits.plan_every));
    };
    let now = dispatch.clock.now().db;
    let settings = Settings {
        planning,
        rules: &dispatch.rules,
        now,
    };
    let store = &dispatch.store;
    let step = store.plan_step(settings, limits.planned);
    let step = store.bounded(step).await?;
    count(on, &step);
    if step.lacks_template {
        let template = &planning.template;
        tracing::error!(
            template,
            "no reminders are planned: sms_templates has no active template of this key"
        );
        return Ok(Progress::Later(limits.plan_every));
    }
    Ok(match step.next {
        Some(at) if at <= now => Progress::More,
        Some(at) => Progress::Later(at.since(now).min(limits.plan_every)),
        None => Progress::Later(limits.plan_every),
    })
}

fn count(on: &Context, step: &Step) {
    let reminders = on.dispatch.metrics.reminders();
    reminders.planned(step.messages);
    let skipped = step.skipped.iter().filter(|skip| **skip != Skip::Planned);
    for skip in skipped {
        reminders.skipped(*skip);
    }
    if step.messages > 0 {
        tracing::info!(
            users = step.users,
            messages = step.messages,
            skipped = step.skipped.len(),
            "planned reminders"
        );
    }
    // One line: what the database refuses of one user it often refuses of many.
    if let Some((user, error)) = step.refused.first() {
        tracing::error!(
            %user,
            error,
            users = step.refused.len(),
            retry = ?REFUSED,
            "the reminders of users could not be planned; this is the first of them"
        );
    }
}
