//! Warnings that repeat are summed up: the first of a cause is logged at once, those that follow are
//! counted, and the count is logged every ten seconds. So the log grows with the number of causes, and not
//! with the number of messages concerned.
//!
//! This is a filter on all log lines and not a call at each place, so a new warning is summed up without
//! further code. A cause is the place of the event and the content of its fields, without those that
//! name the item.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

use super::outcome_log;
use crate::clock;
use crate::message::Uptime;

/// How often the count of a cause is logged.
const WITHIN: Duration = Duration::from_secs(10);

/// How often it is checked whether one is due.
const LOOK: Duration = Duration::from_secs(1);

/// Causes that are distinguished at one place in the code. The rest are counted together: a text that
/// contains an id would be a cause for each.
const CAUSES_MAX: usize = 8;

/// Fields that name the item and not the cause. Only warnings are summed up over them: an error
/// about one message is a fact about it.
const ITEM: [&str; 9] = [
    "message.id",
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
        if *metadata.level() > Level::WARN
            || [SUMS, outcome_log::TARGET].contains(&metadata.target())
        {
            return true;
        }
        let mut cause = Cause {
            items_too: *metadata.level() == Level::ERROR,
            ..Cause::default()
        };
        event.record(&mut cause);
        let now = clock::reading().up;
        REPEATS.passes(&metadata.callsite(), cause, now)
    }
}

/// The target of the lines that have the counts.
const SUMS: &str = "punctual::repeats";

/// Logs the counts when they are due, until it is dropped.
pub(super) async fn keep() {
    loop {
        sleep(LOOK).await;
        log(REPEATS.due(clock::reading().up));
    }
}

/// Logs all remaining counts, at the end of the process.
pub(super) fn log_rest() {
    log(REPEATS.rest());
}

fn log(sums: Vec<Sum>) {
    for sum in sums {
        if sum.error {
            tracing::error!(target: SUMS, times = sum.times, cause = sum.cause, "again: {}", sum.text);
        } else {
            tracing::warn!(target: SUMS, times = sum.times, cause = sum.cause, "again: {}", sum.text);
        }
    }
}

/// The content of an event, without the item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Cause {
    /// The sentence.
    text: String,
    /// The fields.
    fields: String,
    items_too: bool,
}

impl Visit for Cause {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let name = field.name();
        // Writing to a String cannot fail.
        if name == "message" {
            let _ = write!(self.text, "{value:?}");
        } else if self.items_too || !ITEM.contains(&name) {
            let gap = if self.fields.is_empty() { "" } else { " " };
            let _ = write!(self.fields, "{gap}{name}={value:?}");
        }
    }
}

/// See the module. Bounded by the places in the code that warn, times [`CAUSES_MAX`].
#[derive(Debug, Default)]
struct Repeats {
    places: Mutex<HashMap<Identifier, Vec<Entry>>>,
}

#[derive(Debug)]
struct Entry {
    cause: Cause,
    /// When a line was last logged for it.
    logged: Uptime,
    /// How often it was not logged since.
    times: u64,
}

#[derive(Debug, PartialEq, Eq)]
struct Sum {
    text: String,
    cause: String,
    times: u64,
    error: bool,
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
            entry.times += 1;
            return false;
        }
        if entries.len() < CAUSES_MAX {
            let (logged, times) = (now, 0);
            entries.push(Entry {
                cause,
                logged,
                times,
            });
            return true;
        }
        if let Some(last) = entries.last_mut() {
            last.cause.fields = "several causes".into();
            last.times += 1;
        }
        false
    }

    /// The counts to log now. A cause that has not occurred again is forgotten, and counts as new the next
    /// time.
    fn due(&self, now: Uptime) -> Vec<Sum> {
        let mut sums = Vec::new();
        self.places().retain(|_, entries| {
            entries.retain_mut(|entry| {
                if now.since(entry.logged) < WITHIN {
                    return true;
                }
                entry.logged = now;
                let again = entry.times > 0;
                sums.extend(entry.take());
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
        let times = std::mem::take(&mut self.times);
        (times > 0).then(|| Sum {
            text: self.cause.text.clone(),
            cause: self.cause.fields.clone(),
            times,
            error: self.cause.items_too,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::{Layer as _, fmt as layers};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn cause(fields: &str) -> Cause {
        Cause {
            text: "a claim was refused".into(),
            fields: fields.into(),
            items_too: false,
        }
    }

    fn place() -> Identifier {
        let metadata = tracing::span!(Level::WARN, "here");
        metadata
            .metadata()
            .map(Metadata::callsite)
            .expect("a place")
    }

    #[test]
    fn lines_go_by_cause_and_time_not_by_item() {
        let _enabled = tracing::subscriber::set_default(tracing_subscriber::registry());
        let (repeats, place) = (Repeats::default(), place());
        let mut now = Uptime::from_micros(0);
        let (mut lines, mut summed) = (0, 0);
        // A minute, sixty a second, of two causes by turns.
        for n in 0..3_600_u64 {
            now = now + SECOND / 60;
            let cause = cause(if n % 2 == 0 { "error=a" } else { "error=b" });
            lines += u64::from(repeats.passes(&place, cause, now));
            let due = repeats.due(now);
            lines += due.len() as u64;
            summed += due.iter().map(|sum| sum.times).sum::<u64>();
        }
        assert!((2..=12).contains(&lines), "{lines}");
        summed += repeats.rest().iter().map(|sum| sum.times).sum::<u64>();
        assert_eq!(summed, 3_598, "none is lost");
    }

    #[test]
    fn what_has_not_come_back_is_news_again() {
        let _enabled = tracing::subscriber::set_default(tracing_subscriber::registry());
        let (repeats, place) = (Repeats::default(), place());
        let now = Uptime::from_micros(0);
        assert!(repeats.passes(&place, cause("error=a"), now));
        assert!(repeats.due(now + 11 * SECOND).is_empty());
        assert!(repeats.passes(&place, cause("error=a"), now + 12 * SECOND));
    }

    #[test]
    fn a_cause_for_each_item_is_bounded_too() {
        let _enabled = tracing::subscriber::set_default(tracing_subscriber::registry());
        let (repeats, place) = (Repeats::default(), place());
        let now = Uptime::from_micros(0);
        let passed = (0..1_000).filter(|n| repeats.passes(&place, cause(&n.to_string()), now));
        assert_eq!(passed.count(), CAUSES_MAX);
        let sums = repeats.due(now + 10 * SECOND);
        assert_eq!(sums.len(), 1);
        assert_eq!(
            (sums[0].times, sums[0].cause.as_str()),
            (992, "several causes")
        );
    }

    /// The log as a test reads it.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_error_about_a_message_is_a_fact_and_a_warning_is_one_of_many() {
        let lines = Lines::default();
        let to = lines.clone();
        let layer = layers::layer()
            .with_writer(move || to.clone())
            .with_ansi(false);
        let subscriber = tracing_subscriber::registry().with(layer.with_filter(SumUp));
        tracing::subscriber::with_default(subscriber, || {
            for n in 0..50 {
                tracing::warn!(message.id = n, code = 21610, "refused");
                tracing::error!(message.id = n % 5, "sent twice");
                tracing::info!(message.id = n, "receipt");
            }
        });
        let lines = lines.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = String::from_utf8_lossy(&lines);
        let count = |words: &str| lines.lines().filter(|line| line.contains(words)).count();
        assert_eq!(count("refused"), 1, "{lines}");
        assert_eq!(count("sent twice"), 5, "{lines}");
        assert_eq!(count("receipt"), 50, "{lines}");
    }
}
