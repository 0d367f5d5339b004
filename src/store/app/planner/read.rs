//! What is read of users and their events.

use std::collections::HashMap;

use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;

use super::{STEP, UserDay};
use crate::message::facts::{LimitSource, QuietHours};
use crate::plan::reminders::{Event, Person};
use crate::policy::Rules;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, StoreError};

static PEOPLE: &Sql = sql!("../sql/planner_people.sql");
static EVENTS: &Sql = sql!("../sql/planner_events.sql");
static COUNTS: &Sql = sql!("../sql/planner_counts.sql");

pub(super) async fn people(
    client: &impl GenericClient,
    users: &[Uuid],
) -> Result<HashMap<Uuid, Person>, StoreError> {
    let rows = client.query(PEOPLE.text(), &[&users]).await;
    let rows = rows.map_err(StoreError::at(STEP))?;
    let read = |row: &Row| -> Result<(Uuid, Person), tokio_postgres::Error> {
        let quiet: (Option<i64>, Option<i64>) =
            (row.try_get("quiet_start")?, row.try_get("quiet_end")?);
        let reset_at: Option<PgTimestamp> = row.try_get("app_reset_at")?;
        let count: Option<i32> = row.try_get("app_count")?;
        let person = Person {
            number: row.try_get("phone_number")?,
            is_verified: row.try_get("phone_verified")?,
            has_opted_out: row.try_get("opted_out")?,
            wants_reminders: row.try_get("reminders")?,
            timezones: [row.try_get("timezone")?, row.try_get("account_timezone")?],
            quiet_hours: quiet
                .0
                .zip(quiet.1)
                .and_then(|(start, end)| QuietHours::from_micros(start, end)),
            lead_minutes: row.try_get("lead_minutes")?,
            daily_limit: row.try_get("daily_limit")?,
            app_count: (count.unwrap_or(0), reset_at.map(|at| at.0)),
        };
        Ok((row.try_get("user_id")?, person))
    };
    let all: Result<HashMap<_, _>, _> = rows.iter().map(read).collect();
    all.map_err(StoreError::unreadable(STEP))
}

/// How many texts each user with a limit may still get on their day: the limit, less what was sent, less what is
/// pending.
pub(super) async fn counts(
    client: &impl GenericClient,
    days: &[UserDay],
    rules: &Rules,
) -> Result<HashMap<Uuid, i64>, StoreError> {
    let limited = |day: &UserDay| {
        let of = day.planned.as_ref().ok()?;
        let (limit, today) = (of.person.daily_limit?, of.day?);
        let (count, reset_at) = of.person.app_count;
        // A count that was last reset before that day is of another one.
        let counts =
            rules.limit_source == LimitSource::App && reset_at.is_none_or(|at| at >= today.starts);
        let count = if counts { count } else { 0 };
        Some((day.user, i64::from(limit) - i64::from(count), today))
    };
    let limited: Vec<_> = days.iter().filter_map(limited).collect();
    let users: Vec<_> = limited.iter().map(|(user, ..)| *user).collect();
    let dates: Vec<_> = limited
        .iter()
        .map(|(_, _, day)| day.date.to_string())
        .collect();
    let starts: Vec<_> = limited
        .iter()
        .map(|(_, _, day)| PgTimestamp(day.starts))
        .collect();
    let ends: Vec<_> = limited
        .iter()
        .map(|(_, _, day)| PgTimestamp(day.ends))
        .collect();
    let rows = client
        .query(COUNTS.text(), &[&users, &dates, &starts, &ends])
        .await;
    let rows = rows.map_err(StoreError::at(STEP))?;
    let mut left: HashMap<_, _> = limited
        .into_iter()
        .map(|(user, left, _)| (user, left))
        .collect();
    for row in &rows {
        let read = || {
            Ok((
                row.try_get("user_id")?,
                row.try_get::<_, i64>("used")?,
                row.try_get::<_, i64>("waiting")?,
            ))
        };
        let (user, sent, waiting): (Uuid, _, _) = read().map_err(StoreError::unreadable(STEP))?;
        left.entry(user).and_modify(|left| *left -= sent + waiting);
    }
    Ok(left)
}

pub(super) async fn events(
    client: &impl GenericClient,
    days: &[UserDay],
) -> Result<HashMap<Uuid, Vec<Event>>, StoreError> {
    let (mut users, mut froms, mut untils) = (vec![], vec![], vec![]);
    for day in days {
        let span = day
            .planned
            .as_ref()
            .ok()
            .and_then(|of| Some(of.day?.events(of.lead)));
        if let Some((from, until)) = span {
            users.push(day.user);
            froms.push(PgTimestamp(from));
            untils.push(PgTimestamp(until));
        }
    }
    let rows = client
        .query(EVENTS.text(), &[&users, &froms, &untils])
        .await;
    let rows = rows.map_err(StoreError::at(STEP))?;
    let mut all: HashMap<Uuid, Vec<Event>> = HashMap::new();
    for row in &rows {
        let (user, event) = event(row).map_err(StoreError::unreadable(STEP))?;
        all.entry(user).or_default().push(event);
    }
    Ok(all)
}

fn event(row: &Row) -> Result<(Uuid, Event), tokio_postgres::Error> {
    let ends: Option<PgTimestamp> = row.try_get("ends")?;
    let event = Event {
        id: row.try_get("event")?,
        occurrence: row.try_get("occurrence")?,
        title: row.try_get("title")?,
        link: row.try_get("link")?,
        starts: row.try_get::<_, PgTimestamp>("starts")?.0,
        ends: ends.map(|at| at.0),
        is_all_day: row.try_get("is_all_day")?,
        is_twice: row.try_get("is_twice")?,
        is_planned: row.try_get("is_planned")?,
    };
    Ok((row.try_get("user_id")?, event))
}
