//! What comes with a claim for the policy to judge by; and the days and settings that are written
//! to the database, so that it can look up days by time and show people the settings.

use std::time::Duration;

use jiff::civil::Date;
use tokio_postgres::Row;

use crate::message::facts::{Event, Limit, Preferences, Priority, QuietHours, Switch, Template};
use crate::message::{Facts, Moment};
use crate::policy::{Rules, Zones, local_days};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, prepared};

static DAYS_KEEP: &Sql = sql!("sql/days_keep.sql");
static SETTINGS_KEEP: &Sql = sql!("sql/settings_keep.sql");
static TEMPLATE_USES: &Sql = sql!("sql/template_uses.sql");
static COUNTS_PRUNE: &Sql = sql!("sql/counts_prune.sql");

/// Before the beginning of yesterday, in any zone.
const DAYS_BACK: Duration = Duration::from_secs(48 * 3600);

/// How many days of each zone the database has, from there on: the last of them are two days ahead.
/// They are written again every hour; if that stops for longer, messages are counted by the days of
/// UTC.
const DAYS_TOLD: usize = 6;

/// How long the counts of a day are kept. Quota is returned when an attempt is
/// settled, which may take a person.
const COUNTS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

pub(in crate::store) fn read(row: &Row) -> Result<Facts, tokio_postgres::Error> {
    Ok(Facts {
        user_id: row.try_get("user_id")?,
        scheduled_at: Some(row.try_get::<_, PgTimestamp>("scheduled_at")?.0),
        timezone: row.try_get("timezone")?,
        message_type: row.try_get("message_type")?,
        priority: Priority::of(row.try_get("priority")?),
        template: template(row)?,
        template_vars: row.try_get("template_vars")?,
        preferences: preferences(row)?,
        event: event(row)?,
        limit: limit(row)?,
    })
}

fn template(row: &Row) -> Result<Option<Template>, tokio_postgres::Error> {
    let Some(text) = row.try_get("template_text")? else {
        return Ok(None);
    };
    Ok(Some(Template {
        name: row
            .try_get::<_, Option<String>>("template_name")?
            .unwrap_or_default(),
        text,
        required_vars: row.try_get("template_required")?,
        max_length: row.try_get("template_max_length")?,
        is_active: row
            .try_get::<_, Option<bool>>("template_is_active")?
            .unwrap_or(true),
    }))
}

fn preferences(row: &Row) -> Result<Option<Preferences>, tokio_postgres::Error> {
    if !row.try_get::<_, bool>("has_preferences")? {
        return Ok(None);
    }
    let off: Vec<&str> = row.try_get("off")?;
    let is_off = |switch: &Switch| off.contains(&switch.message_type());
    let quiet = (row.try_get("quiet_start")?, row.try_get("quiet_end")?);
    Ok(Some(Preferences {
        phone_verified: row.try_get("phone_verified")?,
        opted_out: row.try_get("opted_out")?,
        off: Switch::ALL.into_iter().filter(is_off).collect(),
        quiet_hours: match quiet {
            (Some(start), Some(end)) => QuietHours::from_micros(start, end),
            // Where one end is not set there are none.
            _ => None,
        },
        timezone: row.try_get("user_timezone")?,
    }))
}

fn event(row: &Row) -> Result<Event, tokio_postgres::Error> {
    if row.try_get::<_, Option<bool>>("event_gone")? == Some(true) {
        return Ok(Event::Gone);
    }
    let starts: Option<PgTimestamp> = row.try_get("event_start")?;
    Ok(starts.map_or(Event::None, |at| Event::Begins(at.0)))
}

fn limit(row: &Row) -> Result<Limit, tokio_postgres::Error> {
    if let Some(limit) = row.try_get("over_limit")? {
        return Ok(Limit::Over { limit });
    }
    let day: Option<&str> = row.try_get("place_day")?;
    let day = day.and_then(|day| day.parse::<Date>().ok());
    Ok(day.map_or(Limit::NotCounted, |day| Limit::Taken { day }))
}

/// When the days of every zone begin and end around a moment.
#[derive(Debug)]
pub struct Days {
    zone: Vec<String>,
    starts: Vec<PgTimestamp>,
    ends: Vec<PgTimestamp>,
    day: Vec<String>,
    now: Moment,
}

impl Days {
    /// By this zone data. It takes some tens of milliseconds, so it must not run on a thread that
    /// others wait for.
    pub fn around(now: Moment, zones: &Zones) -> Self {
        let mut days = Self {
            zone: Vec::new(),
            starts: Vec::new(),
            ends: Vec::new(),
            day: Vec::new(),
            now,
        };
        for name in zones.names() {
            let zone = name.to_ascii_lowercase();
            let mut at = now - DAYS_BACK;
            // Of the first day only the end is known.
            let mut starts = None;
            for _ in 0..DAYS_TOLD {
                let Some(day) = local_days(zones, [name.as_str()], at).pop() else {
                    break;
                };
                if let Some(starts) = starts.replace(PgTimestamp(day.ends)) {
                    days.zone.push(zone.clone());
                    days.starts.push(starts);
                    days.ends.push(PgTimestamp(day.ends));
                    days.day.push(day.day.to_string());
                }
                at = day.ends;
            }
        }
        days
    }
}

impl Store {
    /// Writes to the database when days begin and end, and removes those that are long over.
    pub async fn keep_days(&self, days: &Days) -> Result<(), StoreError> {
        const STEP: &str = "writing the days of each zone";
        let client = self.client().await?;
        let keep = prepared(&client, DAYS_KEEP, STEP).await?;
        client
            .execute(&keep, &[&days.zone, &days.starts, &days.ends, &days.day])
            .await
            .map_err(StoreError::at(STEP))?;
        let prune = prepared(&client, COUNTS_PRUNE, STEP).await?;
        client
            .execute(&prune, &[&PgTimestamp(days.now - COUNTS_KEPT)])
            .await
            .map_err(StoreError::at(STEP))?;
        Ok(())
    }

    /// Adds the uses of templates to the app's own counts.
    pub async fn count_template_uses(&self) -> Result<(), StoreError> {
        const STEP: &str = "counting the uses of templates";
        let client = self.client().await?;
        let uses = prepared(&client, TEMPLATE_USES, STEP).await?;
        let counted = client.query(&uses, &[]).await;
        counted.map_err(StoreError::at(STEP))?;
        Ok(())
    }

    /// Writes the installation's settings to the database, for the views that people read.
    pub async fn keep_settings(&self, rules: &Rules) -> Result<(), StoreError> {
        const STEP: &str = "writing the settings";
        let zone = rules.timezone.iana_name().unwrap_or("UTC");
        let hours = rules.business_hours.as_ref();
        let text = hours.map(ToString::to_string);
        let ranges = hours.map_or(&[][..], |hours| hours.ranges());
        let from: Vec<i64> = ranges.iter().map(|r| r.start).collect();
        let until: Vec<i64> = ranges.iter().map(|r| r.end).collect();
        let client = self.client().await?;
        let keep = prepared(&client, SETTINGS_KEEP, STEP).await?;
        client
            .execute(
                &keep,
                &[
                    &zone,
                    &text,
                    &from,
                    &until,
                    &rules.validate.as_str(),
                    &rules.part_separator.as_deref().unwrap_or_default(),
                ],
            )
            .await
            .map_err(StoreError::at(STEP))?;
        Ok(())
    }
}
