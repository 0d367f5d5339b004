//! One step of a daemon's planning: some of the users whose day begins, or of whom something has changed.

use deadpool_postgres::Transaction;
use uuid::Uuid;

use super::{PlannerError, STEP, Settings, Texts, UserDay, days, put, texts};
use crate::message::Moment;
use crate::plan::reminders::{Day, Decision, Skip};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Halving, Sql, Store, StoreError, prepared};

static CHANGES: &Sql = sql!("../sql/planner_changes.sql");
static TAKE: &Sql = sql!("../sql/planner_take.sql");
static NEXT: &Sql = sql!("../sql/planner_next.sql");
static DONE: &Sql = sql!("../sql/planner_done.sql");

/// The time that most days last.
const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

/// How soon a user is planned again for whom the database refused it.
pub const REFUSED: std::time::Duration = std::time::Duration::from_secs(60);

/// What a step has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Users whose day was planned.
    pub users: usize,
    /// Messages that were inserted.
    pub messages: usize,
    /// Events without a reminder, by the reason.
    pub skipped: Vec<Skip>,
    /// Users for whom the database refused a message, with the reason.
    pub refused: Vec<(Uuid, String)>,
    /// There is no template for their texts, so nothing was done.
    pub lacks_template: bool,
    /// When the next user is planned; `None`: there are none.
    pub next: Option<Moment>,
}

impl Store {
    /// Plans the day of at most so many users whose time has come, in one transaction. What the database refuses
    /// because of one user is planned without them, and again a minute later.
    pub async fn plan_step(&self, settings: Settings<'_>, most: u32) -> Result<Step, StoreError> {
        let most = i64::from(most.max(1));
        let mut client = self.client().await?;
        let changes = prepared(&client, CHANGES, STEP).await?;
        let noted = client
            .execute(&changes, &[&PgTimestamp(settings.now), &most])
            .await;
        noted.map_err(StoreError::at(STEP))?;
        let mut tx = client.transaction().await.map_err(StoreError::at(STEP))?;
        let take = prepared(&tx, TAKE, STEP).await?;
        let rows = tx.query(&take, &[&PgTimestamp(settings.now), &most]).await;
        let rows = rows.map_err(StoreError::at(STEP))?;
        let taken: Result<Vec<Uuid>, _> = rows.iter().map(|row| row.try_get(0)).collect();
        let taken = taken.map_err(StoreError::unreadable(STEP))?;
        let mut step = Step::default();
        if !taken.is_empty() {
            let texts = match texts(&*tx, &settings.planning.template).await {
                Ok(texts) => texts,
                Err(PlannerError::Store(error)) => return Err(error),
                Err(PlannerError::Template { .. }) => {
                    step.lacks_template = true;
                    return Ok(step);
                }
            };
            step.plan(&mut tx, &taken, &texts, settings).await?;
        }
        let next = prepared(&tx, NEXT, STEP).await?;
        let next = tx.query_one(&next, &[]).await;
        let next = next.map_err(StoreError::at(STEP))?;
        let next: Option<PgTimestamp> = next.try_get(0).map_err(StoreError::unreadable(STEP))?;
        step.next = next.map(|at| at.0);
        tx.commit().await.map_err(StoreError::at(STEP))?;
        Ok(step)
    }
}

impl Step {
    /// Plans the days of these users. Where the database refuses it, half of them are planned, then the other half, and
    /// so on: in the end who is refused is alone.
    async fn plan(
        &mut self,
        tx: &mut Transaction<'_>,
        users: &[Uuid],
        texts: &Texts,
        settings: Settings<'_>,
    ) -> Result<(), StoreError> {
        let mut groups = Halving::new(users, users.len());
        while let Some(part) = groups.next_group() {
            let savepoint = tx.transaction().await.map_err(StoreError::at(STEP))?;
            let error = match planned(&savepoint, part, texts, settings).await {
                Ok((messages, skipped)) => {
                    savepoint.commit().await.map_err(StoreError::at(STEP))?;
                    self.users += part.len();
                    self.messages += messages;
                    self.skipped.extend(skipped);
                    continue;
                }
                Err(error) if error.is_about_a_row() => error,
                Err(error) => return Err(error),
            };
            savepoint.rollback().await.map_err(StoreError::at(STEP))?;
            if groups.halve(part, &error) {
                continue;
            }
            if let [user] = *part {
                let later = Some(PgTimestamp(settings.now + REFUSED));
                done(tx, part, &[later]).await?;
                self.refused.push((user, error.to_string()));
            }
        }
        Ok(())
    }
}

/// Plans the days of these users, all or none; returns how many messages were inserted, and why others were not.
async fn planned(
    tx: &Transaction<'_>,
    users: &[Uuid],
    texts: &Texts,
    settings: Settings<'_>,
) -> Result<(usize, Vec<Skip>), StoreError> {
    let days = days(&**tx, users, None, settings).await?;
    let messages = put(&**tx, &days, texts).await?.len();
    let next = |day: &UserDay| {
        let of = day.planned.as_ref().ok()?;
        // Every zone has a day for every moment that people live in; else they are looked at again a day later.
        let ends = of.day.map(|day: Day| day.ends);
        Some(PgTimestamp(ends.unwrap_or(settings.now + DAY)))
    };
    let next: Vec<_> = days.iter().map(next).collect();
    done(tx, users, &next).await?;
    // What the app has checked at the end of a transaction is checked now, so that it fails here.
    let checked = tx.batch_execute("set constraints all immediate").await;
    checked.map_err(StoreError::at(STEP))?;
    let all = days.iter().filter_map(|day| day.planned.as_ref().ok());
    let skipped = all
        .flat_map(|of| &of.events)
        .filter_map(|(_, decision)| match decision {
            Decision::Skip(skip) => Some(*skip),
            Decision::Remind(_) => None,
        });
    Ok((messages, skipped.collect()))
}

/// When these users are planned next; `None`: they are not.
async fn done(
    tx: &Transaction<'_>,
    users: &[Uuid],
    next: &[Option<PgTimestamp>],
) -> Result<(), StoreError> {
    let statement = prepared(tx, DONE, STEP).await?;
    let done = tx.execute(&statement, &[&users, &next]).await;
    done.map(drop).map_err(StoreError::at(STEP))
}
