//! When the days of each zone begin and end, written to the database, which counts messages by them.

use std::time::Duration;

use crate::message::Moment;
use crate::policy::{Zones, local_days};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, prepared};

static DAYS_KEEP: &Sql = sql!("sql/days_keep.sql");
static COUNTS_PRUNE: &Sql = sql!("sql/counts_prune.sql");

/// Before the beginning of yesterday, in any zone.
const DAYS_BACK: Duration = Duration::from_secs(48 * 3600);

/// How many days of each zone the database has, from there on: the last of them are two days ahead.
/// They are written again every hour; if that stops for longer, messages are counted by the days of
/// UTC.
const DAYS_SHOWN: usize = 6;

/// How long the counts of a day are kept. Quota is returned when an attempt is
/// settled, which may take a person.
const COUNTS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

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
            for _ in 0..DAYS_SHOWN {
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
}
