//! Warnings that repeat are summed up: the first of a cause is logged at once, those that follow are
//! counted, and the count is logged every ten seconds. So the log grows with the number of causes, and not
//! with the number of messages concerned. So is what is logged of single messages for information (a field
//! `message.id`), of which the first ten have a line.
//!
//! This is a filter on all log lines and not a call at each place, so a new warning is summed up without
//! further code. A cause is the place of the event and the content of its fields, without those that
//! name the item.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

use super::log_sums::{Count, LINES, OUTCOMES};
use crate::clock;
use crate::message::Uptime;

/// Causes that are distinguished at one place in the code. The rest are counted together: a text that
/// contains an id would be a cause for each.
const CAUSES_MAX: usize = 8;

/// The field that makes a line one about a single message.
const MESSAGE: &str = "message.id";

/// Fields that name the item and not the cause. Errors are not summed up over them: an error
/// about one message is a fact about it.
const ITEM: [&str; 9] = [
    MESSAGE,
    "token",
    "sid",
    "messages",
    "records",
    "message_id",
    "id",
    "queue",
    "connections",
];

/// The causes that were logged, and their counts.
static REPEATS: LazyLock<Repeats> = LazyLock::new(Repeats::default);

/// Passes the first event of a cause, and counts the others. To be combined with a filter by level,
/// behind it.
pub struct SumUp;

impl<S: Subscriber> Filter<S> for SumUp {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        let level = *metadata.level();
        let is_of_message = level == Level::INFO && metadata.fields().field(MESSAGE).is_some();
        if level > Level::WARN && !is_of_message || [SUMS, OUTCOMES].contains(&metadata.target()) {
            return true;
        }
        let mut cause = Cause::new(level);
        event.record(&mut cause);
        let now = clock::reading().up;
        REPEATS.passes(&metadata.callsite(), cause, now)
    }
}

/// The target of the lines that have the counts.
const SUMS: &str = "punctual::repeats";

/// Logs the counts that are due.
pub(super) fn log_due(now: Uptime) {
    log(REPEATS.due(now));
}

/// Logs all remaining counts.
pub(super) fn log_rest() {
    log(REPEATS.rest());
}

fn log(sums: Vec<Sum>) {
    for sum in sums {
        let Sum {
            text,
            cause,
            times,
            level,
        } = sum;
        if level == Level::ERROR {
            tracing::error!(target: SUMS, times, cause, "again: {text}");
        } else if level == Level::WARN {
            tracing::warn!(target: SUMS, times, cause, "again: {text}");
        } else {
            tracing::info!(target: SUMS, times, cause, "again: {text}");
        }
    }
}

/// The content of an event, without the item.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Cause {
    level: Level,
    /// The sentence.
    text: String,
    /// The fields.
    fields: String,
}

impl Cause {
    const fn new(level: Level) -> Self {
        Self {
            level,
            text: String::new(),
            fields: String::new(),
        }
    }

    /// How many of it have a line before it is summed up.
    const fn lines(&self) -> u64 {
        match self.level {
            Level::INFO => LINES,
            _ => 1,
        }
    }
}

impl Visit for Cause {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let name = field.name();
        // Writing to a String cannot fail.
        if name == "message" {
            let _ = write!(self.text, "{value:?}");
        } else if self.level == Level::ERROR || !ITEM.contains(&name) {
            let gap = if self.fields.is_empty() { "" } else { " " };
            let _ = write!(self.fields, "{gap}{name}={value:?}");
        }
    }
}

/// The warnings that were logged, and their repeats. Bounded by the places in the code that warn, times [`CAUSES_MAX`].
#[derive(Debug, Default)]
struct Repeats {
    places: Mutex<HashMap<Identifier, Vec<Entry>>>,
}

#[derive(Debug)]
struct Entry {
    cause: Cause,
    count: Count,
}

#[derive(Debug, PartialEq, Eq)]
struct Sum {
    text: String,
    cause: String,
    times: u64,
    level: Level,
}

impl Repeats {
    fn places(&self) -> MutexGuard<'_, HashMap<Identifier, Vec<Entry>>> {
        // The counts are consistent after every statement, so a panic elsewhere does no harm.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this is to be logged: the first of its cause.
    fn passes(&self, place: &Identifier, cause: Cause, now: Uptime) -> bool {
        let mut places = self.places();
        let entries = places.entry(place.clone()).or_default();
        if let Some(entry) = entries.iter_mut().find(|e| e.cause == cause) {
            return entry.count.has_line(entry.cause.lines());
        }
        if entries.len() < CAUSES_MAX {
            let mut count = Count::new(now);
            let has_line = count.has_line(cause.lines());
            entries.push(Entry { cause, count });
            return has_line;
        }
        if let Some(last) = entries.last_mut() {
            last.cause.fields = "several causes".into();
            last.count.add();
        }
        false
    }

    /// The counts to log now. A cause that has not occurred again is forgotten, and counts as new the next
    /// time.
    fn due(&self, now: Uptime) -> Vec<Sum> {
        let mut sums = Vec::new();
        self.places().retain(|_, entries| {
            entries.retain_mut(|entry| {
                if !entry.count.is_due(now) {
                    return true;
                }
                let sum = entry.take();
                let again = sum.is_some();
                sums.extend(sum);
                again
            });
            !entries.is_empty()
        });
        sums
    }

    fn rest(&self) -> Vec<Sum> {
        let places = std::mem::take(&mut *self.places());
        let entries = places.into_values().flatten();
        entries.filter_map(|mut entry| entry.take()).collect()
    }
}

impl Entry {
    fn take(&mut self) -> Option<Sum> {
        self.count.take().map(|times| Sum {
            text: self.cause.text.clone(),
            cause: self.cause.fields.clone(),
            times,
            level: self.cause.level,
        })
    }
}

#[cfg(test)]
mod tests;
