//! The pace that a message waits for, and when its turn comes.

use std::time::Duration;

use serde::Serialize;
use tokio_postgres::Row;

use super::read::{at, maybe_at};
use crate::message::Moment;
use crate::schedule::pace::slots;

/// The pace of a message's campaign.
#[derive(Clone, Debug, Serialize)]
pub struct StoryPace {
    /// The kind of thing that has it.
    pub scope: String,
    /// Which one.
    pub what: String,
    /// How many messages of it are due before this one, counted up to 1,000; `None`: it is not pending.
    pub ahead: Option<i64>,
    /// When it is expected to be sent, if nothing changes.
    pub about: Option<Moment>,
}

pub(super) fn read(row: &Row) -> Result<Option<StoryPace>, tokio_postgres::Error> {
    let Some(next) = maybe_at(row, "pace_next_at")? else {
        return Ok(None);
    };
    let gap =
        |column| Ok::<_, tokio_postgres::Error>(row.try_get::<_, i64>(column)?.unsigned_abs());
    let gaps = (gap("pace_gap_min")?, gap("pace_gap_max")?);
    let gaps = (Duration::from_micros(gaps.0), Duration::from_micros(gaps.1));
    let ahead: Option<i64> = row.try_get("pace_ahead")?;
    let due = at(row, "due")?;
    let nth = |n: i64| {
        let (seed, position) = (row.try_get("pace_seed")?, row.try_get("pace_position")?);
        let mut slots = slots(seed, position, gaps, next);
        let slot = slots.nth(usize::try_from(n).unwrap_or(0));
        Ok::<_, tokio_postgres::Error>(slot.map(|slot| slot.max(due)))
    };
    Ok(Some(StoryPace {
        scope: row.try_get("pace_scope")?,
        what: row.try_get("pace_what")?,
        ahead,
        about: ahead.map(nth).transpose()?.flatten(),
    }))
}
