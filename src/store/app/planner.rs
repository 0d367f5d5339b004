//! Plans reminders: reads what is known of users and their events, has [`plan::reminders`](crate::plan::reminders)
//! decide, and inserts the messages. The reminders of a user are planned in one transaction, all or none.

use std::collections::HashSet;

use jiff::civil::Date;
use serde_json::json;
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;

use crate::message::facts::Template;
use crate::message::{Moment, template};
use crate::plan::reminders::{Day, Decision, Event, Person, Plan, Planning, Unplanned};
use crate::policy::{Rules, with_event};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, StoreError};

mod read;
mod step;

pub use step::{REFUSED, Step};

static TEMPLATES: &Sql = sql!("sql/user_templates.sql");
static AS_APP: &Sql = sql!("sql/planner_as_app.sql");
static ONCE: &Sql = sql!("sql/planner_once.sql");
static PUT: &Sql = sql!("sql/planner_put.sql");
static WANT: &Sql = sql!("sql/planner_texts.sql");
static IS_ON: &Sql = sql!("sql/planner_is_on.sql");

const STEP: &str = "planning reminders";

/// Why nothing can be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlannerError {
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no template of this key, or it cannot be used.
    #[error(
        "sms_templates has no active template {key}: run `punctual migrate` to create it, or set planner.template to \
         the template_key of another"
    )]
    Template {
        /// The key.
        key: String,
    },
}

/// What is planned for all users alike.
#[derive(Clone, Copy)]
pub struct Settings<'a> {
    /// The planner's own settings.
    pub planning: &'a Planning,
    /// The installation's.
    pub rules: &'a Rules,
    /// When it is planned.
    pub now: Moment,
}

/// The day of a user, and what is decided about the events with a reminder on it.
pub struct UserDay {
    /// The user.
    pub user: Uuid,
    /// Their time zone, the day, and what was decided; or why nothing is.
    pub planned: Result<DayPlan, Unplanned>,
}

/// What is decided about a day.
pub struct DayPlan {
    /// Whom the texts are for.
    person: Person,
    /// Their time zone.
    pub zone: jiff::tz::TimeZone,
    /// The day. Of a date that the zone left out there is none.
    pub day: Option<Day>,
    /// How long before events.
    pub lead: std::time::Duration,
    /// How many texts the user may still get; `None`: as many as there are.
    pub left: Option<i64>,
    /// The events, the earliest first.
    pub events: Vec<(Event, Decision)>,
}

/// The template of the texts, with its id.
pub struct Texts {
    id: Uuid,
    template: Template,
}

/// Whether the planner is on in the database.
pub async fn is_on(client: &impl GenericClient) -> Result<bool, StoreError> {
    let row = client.query_one(IS_ON.text(), &[]).await;
    let row = row.map_err(StoreError::at(STEP))?;
    let is_on: Option<bool> = row.try_get("is_on").map_err(StoreError::unreadable(STEP))?;
    Ok(is_on.unwrap_or(false))
}

/// The template of the texts.
pub async fn texts(client: &impl GenericClient, key: &str) -> Result<Texts, PlannerError> {
    let row = client.query_opt(TEMPLATES.text(), &[&key, &1_i32]).await;
    let row = row.map_err(StoreError::at(STEP))?;
    let read = |row: Row| -> Result<(bool, Texts), tokio_postgres::Error> {
        let template = Template {
            name: row.try_get("name")?,
            text: row.try_get("message_template")?,
            required_vars: row.try_get("required_vars")?,
            max_length: row.try_get("max_length")?,
            is_active: row.try_get("is_active")?,
        };
        let id = row.try_get("id")?;
        Ok((row.try_get("is_it")?, Texts { id, template }))
    };
    let found = row.map(read).transpose();
    match found.map_err(StoreError::unreadable(STEP))? {
        Some((true, texts)) if texts.template.is_active => Ok(texts),
        _ => Err(PlannerError::Template { key: key.into() }),
    }
}

/// What is to be planned for these users, on this date of theirs; `None`: on their today.
pub async fn days(
    client: &impl GenericClient,
    users: &[Uuid],
    date: Option<Date>,
    settings: Settings<'_>,
) -> Result<Vec<UserDay>, StoreError> {
    let mut people = read::people(client, users).await?;
    let mut all: Vec<UserDay> = users
        .iter()
        .map(|user| {
            let person = people.remove(user).ok_or(Unplanned::Unknown);
            UserDay {
                user: *user,
                planned: person.and_then(|person| begin(person, date, settings)),
            }
        })
        .collect();
    let mut counts = read::counts(client, &all, settings.rules).await?;
    let mut events = read::events(client, &all).await?;
    for UserDay { user, planned } in &mut all {
        let Ok(of) = planned else { continue };
        let Some(day) = of.day else { continue };
        of.left = counts.remove(user);
        let plan = Plan {
            zone: &of.zone,
            day,
            lead: of.lead,
            quiet_hours: of.person.quiet_hours,
            left: of.left,
            now: settings.now,
        };
        let theirs = events.remove(user).unwrap_or_default();
        let decided = plan.decide(&theirs).into_iter();
        of.events = decided
            .map(|(event, decision)| (event.clone(), decision))
            .collect();
    }
    Ok(all)
}

fn begin(person: Person, date: Option<Date>, settings: Settings<'_>) -> Result<DayPlan, Unplanned> {
    if let Some(why) = person.unplanned() {
        return Err(why);
    }
    let zone = person.zone(settings.rules);
    let day = match date {
        None => Day::of(&zone, settings.now),
        Some(date) => Day::on(&zone, date),
    };
    Ok(DayPlan {
        lead: person.lead(settings.planning),
        person,
        zone,
        day,
        left: None,
        events: Vec::new(),
    })
}

/// A reminder that is to be planned.
struct Reminder<'a> {
    id: Uuid,
    user: Uuid,
    of: &'a DayPlan,
    event: &'a Event,
    at: Moment,
}

/// Inserts what was decided, in the caller's transaction, and asks for its texts, if daemons have them written; returns
/// the ids of the messages. What another instance has planned meanwhile is left out.
pub async fn put(
    client: &impl GenericClient,
    days: &[UserDay],
    texts: &Texts,
) -> Result<Vec<Uuid>, StoreError> {
    let planned = days
        .iter()
        .filter_map(|day| Some((day.user, day.planned.as_ref().ok()?)));
    let wanted = planned.flat_map(|(user, of)| {
        of.events
            .iter()
            .filter_map(move |(event, decision)| match *decision {
                Decision::Skip(_) => None,
                Decision::Remind(at) => Some(Reminder {
                    id: Uuid::now_v7(),
                    user,
                    of,
                    event,
                    at,
                }),
            })
    });
    let mut wanted: Vec<Reminder<'_>> = wanted.collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let as_app = client.query_one(AS_APP.text(), &[]).await;
    as_app.map_err(StoreError::at(STEP))?;
    let once = once(client, &wanted).await?;
    wanted.retain(|reminder| once.contains(&reminder.id));
    insert(client, &wanted, texts).await?;
    let ids: Vec<Uuid> = wanted.iter().map(|reminder| reminder.id).collect();
    let asked = client.execute(WANT.text(), &[&ids]).await;
    asked.map_err(StoreError::at(STEP))?;
    Ok(ids)
}

/// Which of them are planned now for the first time.
async fn once(
    client: &impl GenericClient,
    wanted: &[Reminder<'_>],
) -> Result<HashSet<Uuid>, StoreError> {
    let ids: Vec<_> = wanted.iter().map(|of| of.id).collect();
    let users: Vec<_> = wanted.iter().map(|of| of.user).collect();
    let events: Vec<_> = wanted.iter().map(|of| of.event.id.as_str()).collect();
    let occurrences: Vec<_> = wanted
        .iter()
        .map(|of| of.event.occurrence.as_str())
        .collect();
    let starts: Vec<_> = wanted
        .iter()
        .map(|of| PgTimestamp(of.event.starts))
        .collect();
    let rows = client
        .query(ONCE.text(), &[&ids, &users, &events, &occurrences, &starts])
        .await
        .map_err(StoreError::at(STEP))?;
    let ids: Result<HashSet<Uuid>, _> = rows.iter().map(|row| row.try_get(0)).collect();
    ids.map_err(StoreError::unreadable(STEP))
}

async fn insert(
    client: &impl GenericClient,
    wanted: &[Reminder<'_>],
    texts: &Texts,
) -> Result<(), StoreError> {
    let ids: Vec<_> = wanted.iter().map(|of| of.id).collect();
    let users: Vec<_> = wanted.iter().map(|of| of.user).collect();
    let events: Vec<_> = wanted.iter().map(|of| of.event.id.as_str()).collect();
    let starts: Vec<_> = wanted
        .iter()
        .map(|of| PgTimestamp(of.event.starts))
        .collect();
    let number = |of: &Reminder<'_>| {
        let number = of.of.person.number.as_deref();
        number.unwrap_or_default().trim().to_owned()
    };
    let numbers: Vec<_> = wanted.iter().map(number).collect();
    let due: Vec<_> = wanted.iter().map(|of| PgTimestamp(of.at)).collect();
    let zones = wanted
        .iter()
        .map(|of| of.of.zone.iana_name().unwrap_or("UTC"));
    let zones: Vec<_> = zones.collect();
    let vars: Vec<_> = wanted.iter().map(|of| vars_of(of.event)).collect();
    let bodies: Vec<_> = wanted
        .iter()
        .zip(&vars)
        .map(|(of, vars)| texts.body(of, vars))
        .collect();
    client
        .execute(
            PUT.text(),
            &[
                &ids, &users, &events, &starts, &numbers, &bodies, &due, &zones, &vars, &texts.id,
            ],
        )
        .await
        .map(drop)
        .map_err(StoreError::at(STEP))
}

impl Texts {
    /// The text as it would be sent at its time, for people who read the table. What cannot be rendered fails at its
    /// claim, with the reason.
    fn body(&self, of: &Reminder<'_>, vars: &str) -> String {
        let all = with_event(vars, of.event.starts, &of.of.zone, of.at);
        let body = all.and_then(|all| template::render(&self.template, &all, None).ok());
        let body = body.filter(|body| !body.trim().is_empty());
        body.unwrap_or_else(|| self.template.name.clone())
    }
}

/// The variables of a message, which follow its event (`punctual.event_vars` in `triggers/task_calendar_events.sql`).
fn vars_of(event: &Event) -> String {
    let mut vars = json!({"event_title": event.title, "event_link": event.link});
    let ends = event
        .ends
        .and_then(|ends| jiff::Timestamp::from_microsecond(ends.as_micros()).ok());
    if let Some(ends) = ends {
        vars["event_end"] = ends.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into();
    }
    vars.to_string()
}
