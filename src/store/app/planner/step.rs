//! One step of a daemon's planning: some of the users whose day begins, or of whom something has changed.

use uuid::Uuid;

use super::{PlannerError, STEP, Settings, UserDay, days, put, texts};
use crate::message::Moment;
use crate::plan::reminders::{Day, Decision, Skip};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, prepared};

static CHANGES: &Sql = sql!("../sql/planner_changes.sql");
static TAKE: &Sql = sql!("../sql/planner_take.sql");
static NEXT: &Sql = sql!("../sql/planner_next.sql");
static DONE: &Sql = sql!("../sql/planner_done.sql");

/// The time that most days last.
const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

/// How soon a user is planned again for whom the database refused it.
const REFUSED: std::time::Duration = std::time::Duration::from_secs(60);

/// What a step has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Users whose day was planned.
    pub users: usize,
    /// Messages that were inserted.
    pub messages: usize,
    /// Events without a reminder, by the reason.
    pub skipped: Vec<Skip>,
    /// A user for whom the database refused a message, with the reason.
    pub refused: Option<(Uuid, String)>,
    /// There is no template for their texts, so nothing was done.
    pub lacks_template: bool,
    /// When the next user is planned; `None`: there are none.
    pub next: Option<Moment>,
}

impl Store {
    /// Plans the day of at most so many users whose time has come. What the database refuses because of one user is
    /// planned without them, and again a minute later.
    pub async fn plan_step(&self, settings: Settings<'_>, most: u32) -> Result<Step, StoreError> {
        let mut most = i64::from(most.max(1));
        self.note_changes(settings.now, most).await?;
        loop {
            let mut taken = Vec::new();
            let error = match self.plan_some(settings, most, &mut taken).await {
                Ok(step) => return Ok(step),
                Err(PlannerError::Template { .. }) => {
                    return Ok(Step {
                        lacks_template: true,
                        ..Step::default()
                    });
                }
                Err(PlannerError::Store(error)) if error.is_about_a_row() => error,
                Err(PlannerError::Store(error)) => return Err(error),
            };
            match taken[..] {
                [user] => {
                    let later = settings.now + REFUSED;
                    self.put_off(user, later).await?;
                    return Ok(Step {
                        refused: Some((user, error.to_string())),
                        next: Some(settings.now),
                        ..Step::default()
                    });
                }
                [] => return Err(error),
                _ => most = i64::try_from(taken.len() / 2).unwrap_or(1),
            }
        }
    }

    async fn note_changes(&self, now: Moment, most: i64) -> Result<(), StoreError> {
        let client = self.client().await?;
        let changes = prepared(&client, CHANGES, STEP).await?;
        let noted = client.execute(&changes, &[&PgTimestamp(now), &most]).await;
        noted.map(drop).map_err(StoreError::at(STEP))
    }

    async fn plan_some(
        &self,
        settings: Settings<'_>,
        most: i64,
        taken: &mut Vec<Uuid>,
    ) -> Result<Step, PlannerError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await.map_err(StoreError::at(STEP))?;
        let take = prepared(&tx, TAKE, STEP).await?;
        let rows = tx.query(&take, &[&PgTimestamp(settings.now), &most]).await;
        let rows = rows.map_err(StoreError::at(STEP))?;
        let users: Result<Vec<Uuid>, _> = rows.iter().map(|row| row.try_get(0)).collect();
        *taken = users.map_err(StoreError::unreadable(STEP))?;
        let mut step = Step::default();
        if !taken.is_empty() {
            let texts = texts(&*tx, &settings.planning.template).await?;
            let planned = days(&*tx, taken, None, settings).await?;
            step.messages = put(&*tx, &planned, &texts).await?.len();
            step.users = taken.len();
            let all = planned.iter().filter_map(|day| day.planned.as_ref().ok());
            let all = all.flat_map(|of| &of.events);
            step.skipped = all
                .filter_map(|(_, decision)| match decision {
                    Decision::Skip(skip) => Some(*skip),
                    Decision::Remind(_) => None,
                })
                .collect();
            let next = |day: &UserDay| {
                let of = day.planned.as_ref().ok()?;
                // Every zone has a day for every moment that people live in; else they are looked at again a day later.
                let ends = of.day.map(|day: Day| day.ends);
                Some(PgTimestamp(ends.unwrap_or(settings.now + DAY)))
            };
            let next: Vec<_> = planned.iter().map(next).collect();
            let done = prepared(&tx, DONE, STEP).await?;
            tx.execute(&done, &[taken, &next])
                .await
                .map_err(StoreError::at(STEP))?;
        }
        let next = prepared(&tx, NEXT, STEP).await?;
        let next = tx.query_one(&next, &[]).await;
        let next = next.map_err(StoreError::at(STEP))?;
        let next: Option<PgTimestamp> = next.try_get(0).map_err(StoreError::unreadable(STEP))?;
        step.next = next.map(|at| at.0);
        tx.commit().await.map_err(StoreError::at(STEP))?;
        Ok(step)
    }

    async fn put_off(&self, user: Uuid, until: Moment) -> Result<(), StoreError> {
        let client = self.client().await?;
        let done = prepared(&client, DONE, STEP).await?;
        let (users, when) = (vec![user], vec![Some(PgTimestamp(until))]);
        let put_off = client.execute(&done, &[&users, &when]).await;
        put_off.map(drop).map_err(StoreError::at(STEP))
    }
}
