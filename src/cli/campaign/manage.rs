//! `punctual campaign pause`, `resume`, `reschedule` and `cancel`.

use std::time::Duration;

use anyhow::bail;
use serde_json::json;

use super::{Of, named, open_time, who};
use crate::cli::{output, session};
use crate::config::Sources;
use crate::message::{Moment, PauseKey, PauseScope};
use crate::store::campaigns::{self, Campaign};
use crate::store::doctor::database_time;
use crate::store::pauses;
use crate::store::user::UserSession;

/// How its messages are paused.
fn key(campaign: &Campaign) -> PauseKey {
    PauseKey {
        scope: PauseScope::Campaign,
        what: campaign.id.to_string(),
    }
}

pub(super) async fn pause(of: Of, why: Option<&str>, sources: &Sources) -> anyhow::Result<()> {
    let dsn = session::dsn(sources)?;
    let campaign = session::with(&dsn, async |client| {
        let campaign = named(client, &of.campaign).await?;
        let paused = pauses::pause(client, &key(&campaign), Moment::MAX, why, None).await;
        paused.map_err(crate::cli::refused)?;
        Ok(campaign)
    })
    .await?;
    report(
        &of,
        &campaign,
        &json!({"state": "paused"}),
        "is paused until it is resumed",
    )
}

pub(super) async fn resume(of: Of, sources: &Sources) -> anyhow::Result<()> {
    let dsn = session::dsn(sources)?;
    let campaign = session::with(&dsn, async |client| {
        let campaign = named(client, &of.campaign).await?;
        let resumed = pauses::resume(client, &key(&campaign)).await;
        if !resumed.map_err(crate::cli::refused)? {
            bail!("the campaign {:?} is not paused", campaign.settings.name);
        }
        // As it is now: everything may be paused, or nothing of it scheduled yet.
        named(client, &of.campaign).await
    })
    .await?;
    let says = match campaign.state.as_str() {
        "scheduled" => {
            "goes on: what waited is sent first, in its order and with the gaps of the campaign"
                .to_owned()
        }
        "paused" => "is resumed; but everything is paused, and so it waits still".to_owned(),
        state => format!("is resumed; it is {state}"),
    };
    report(&of, &campaign, &json!({"state": campaign.state}), &says)
}

pub(super) async fn reschedule(of: Of, by: Duration, sources: &Sources) -> anyhow::Result<()> {
    let dsn = session::dsn(sources)?;
    let (campaign, moved, last) = session::with(&dsn, async |client| {
        let app = UserSession::new(client);
        let done = app.at_once(true, async || {
            let campaign = named(client, &of.campaign).await?;
            let open = open_time(&campaign)?;
            if !campaigns::lock(client, campaign.id, &who(None)).await? {
                bail!("the campaign {:?} is cancelled", campaign.settings.name);
            }
            let now = database_time(client).await?;
            let pending = campaigns::pending(client, campaign.id, false).await?;
            let later = pending.iter().map(|(id, due)| {
                let at = open.after((*due).max(now), by);
                at.map(|at| (*id, at))
            });
            let Some(later) = later.collect::<Option<Vec<_>>>() else {
                bail!("the hours of {:?} never open", campaign.settings.name);
            };
            let moved = campaigns::move_all(client, &later).await;
            let last = later.last().map(|(_, at)| *at);
            Ok((campaign, moved.map_err(crate::cli::refused)?, last))
        });
        done.await.map_err(crate::cli::refused)?
    })
    .await?;
    if moved == 0 {
        bail!(
            "no message of {:?} waits to be sent: nothing was changed",
            campaign.settings.name
        );
    }
    let hours = humantime::format_duration(by);
    report(
        &of,
        &campaign,
        &json!({"moved": moved, "last_at": last}),
        &format!("was moved: {moved} messages are due {hours} of open time later"),
    )
}

pub(super) async fn cancel(
    of: Of,
    yes: bool,
    by: Option<&str>,
    sources: &Sources,
) -> anyhow::Result<()> {
    let dsn = session::dsn(sources)?;
    let (campaign, cancelled) = session::with(&dsn, async |client| {
        let app = UserSession::new(client);
        let done = app.at_once(true, async || {
            let campaign = named(client, &of.campaign).await?;
            let actor = who(by);
            if !campaigns::lock(client, campaign.id, &actor).await? {
                bail!("the campaign {:?} is cancelled already", campaign.settings.name);
            }
            let pending = campaigns::pending(client, campaign.id, true).await?;
            if !yes {
                bail!(
                    "this would cancel {} messages of {:?}, and nothing more of it could be scheduled; to do it: --yes",
                    pending.len(),
                    campaign.settings.name
                );
            }
            let ids: Vec<_> = pending.into_iter().map(|(id, _)| id).collect();
            let cancelled = campaigns::cancel(client, campaign.id, &ids, &actor).await;
            Ok((campaign, cancelled.map_err(crate::cli::refused)?))
        });
        done.await.map_err(crate::cli::refused)?
    })
    .await?;
    report(
        &of,
        &campaign,
        &json!({"state": "cancelled", "cancelled": cancelled}),
        &format!(
            "is cancelled, and so are {cancelled} messages; a request that has begun is not stopped, and nothing follows it"
        ),
    )
}

fn report(
    of: &Of,
    campaign: &Campaign,
    done: &serde_json::Value,
    sentence: &str,
) -> anyhow::Result<()> {
    let name = &campaign.settings.name;
    if of.json {
        let mut text = json!({"campaign": name, "id": campaign.id});
        if let (Some(text), Some(done)) = (text.as_object_mut(), done.as_object()) {
            text.extend(done.clone());
        }
        return output::print(&format!("{text:#}\n"));
    }
    output::print(&format!("campaign {name:?} {sentence}\n"))
}
