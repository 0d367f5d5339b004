//! One log line for each outcome of a message: its id, what happened, the reason, how late its request started. No
//! number and no text.
//!
//! With many messages due at once the same outcome repeats thousands of times: of each outcome and reason the
//! first [`LINES`] within ten seconds are logged, the others are counted, and the count is logged after that. So the
//! log grows with the number of reasons, and a message of a herd costs an addition.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::field::display;

use super::log_sums::{Count, LINES, OUTCOMES};
use crate::message::Uptime;
use crate::reactor::events::{EventKind, MessageEvent};

/// An outcome, and its reason if it has one.
type Cause = (EventKind, Option<&'static str>);

/// The sums of outcomes that repeat. Bounded by the kinds of outcomes and reasons.
#[derive(Debug, Default)]
pub(super) struct OutcomeLog {
    causes: Mutex<HashMap<Cause, Entry>>,
}

#[derive(Debug)]
struct Entry {
    count: Count,
    /// The largest lateness of the outcomes that have no line.
    late_us: u64,
}

/// The outcomes of one cause that have no line of their own, in one line.
#[derive(Debug, PartialEq, Eq)]
struct Sum {
    cause: Cause,
    times: u64,
    late_us: u64,
}

impl OutcomeLog {
    /// Logs those that have a line of their own, and counts the others.
    pub(super) fn note(&self, events: &[MessageEvent], now: Uptime) {
        for event in events.iter().filter(|event| word(event.what).is_some()) {
            if self.has_line(event, now) {
                line(event);
            }
        }
    }

    /// Logs the counts that are due.
    pub(super) fn log_due(&self, now: Uptime) {
        log(self.due(now));
    }

    /// Logs all remaining counts.
    pub(super) fn log_rest(&self) {
        let rest = std::mem::take(&mut *self.causes());
        let sums = rest.into_iter();
        log(sums
            .filter_map(|(cause, mut entry)| entry.sum(cause))
            .collect());
    }

    fn causes(&self) -> MutexGuard<'_, HashMap<Cause, Entry>> {
        // The counts are consistent after every statement, so a panic elsewhere does no harm.
        self.causes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_line(&self, event: &MessageEvent, now: Uptime) -> bool {
        let mut causes = self.causes();
        let entry = causes.entry((event.what, event.category)).or_insert(Entry {
            count: Count::new(now),
            late_us: 0,
        });
        let has_line = entry.count.has_line(LINES);
        if !has_line && let Some(late) = event.late {
            entry.late_us = entry.late_us.max(late.lateness_us);
        }
        has_line
    }

    /// The counts to log now. What happens after that has lines again.
    fn due(&self, now: Uptime) -> Vec<Sum> {
        let mut sums = Vec::new();
        self.causes().retain(|cause, entry| {
            let is_over = entry.count.is_due(now);
            if is_over {
                sums.extend(entry.sum(*cause));
            }
            !is_over
        });
        sums
    }
}

fn log(sums: Vec<Sum>) {
    for Sum {
        cause: (what, reason),
        times,
        late_us,
    } in sums
    {
        let word = word(what).unwrap_or_default();
        let late_ms_max = (late_us > 0).then_some(ms(late_us));
        if is_bad(what) {
            tracing::warn!(target: OUTCOMES, times, reason, late_ms_max, "again: {word}");
        } else {
            tracing::info!(target: OUTCOMES, times, reason, late_ms_max, "again: {word}");
        }
    }
}

impl Entry {
    fn sum(&mut self, cause: Cause) -> Option<Sum> {
        let late_us = self.late_us;
        self.count.take().map(|times| Sum {
            cause,
            times,
            late_us,
        })
    }
}

fn line(event: &MessageEvent) {
    let Some(word) = word(event.what) else {
        return;
    };
    let id = event.id;
    let (reason, code, attempt) = (event.category, event.code, event.attempt);
    let late_ms = event.late.map(|late| ms(late.lateness_us));
    let next_at = event.due_at.map(display);
    if is_bad(event.what) {
        tracing::warn!(target: OUTCOMES, { message.id = %id, reason, code, late_ms, attempt, next_at }, "{word}");
    } else {
        tracing::info!(target: OUTCOMES, { message.id = %id, reason, code, late_ms, attempt, next_at }, "{word}");
    }
}

#[expect(clippy::cast_precision_loss, reason = "2^53 µs are 285 years")]
fn ms(us: u64) -> f64 {
    us as f64 / 1e3
}

/// The word for it in the log; `None`: it is not an outcome.
const fn word(what: EventKind) -> Option<&'static str> {
    match what {
        EventKind::Sent => Some("sent"),
        EventKind::Deferred => Some("deferred"),
        EventKind::Cancelled => Some("cancelled"),
        EventKind::Rejected => Some("rejected: it can never be sent"),
        EventKind::Throttled => Some("throttled; it will be retried"),
        EventKind::Unsent => Some("not sent: no request was made; it will be retried"),
        EventKind::Refused => Some("refused; it will be retried"),
        EventKind::Failed => Some("failed: it will not be retried"),
        EventKind::Unconfirmed => Some("unconfirmed: it may have been sent"),
        EventKind::Armed
        | EventKind::Moved
        | EventKind::Edited
        | EventKind::Disarmed
        | EventKind::Watched
        | EventKind::Claimed
        | EventKind::Returned
        | EventKind::Receipt => None,
    }
}

/// Whether somebody should know of it.
const fn is_bad(what: EventKind) -> bool {
    matches!(
        what,
        EventKind::Rejected | EventKind::Refused | EventKind::Failed | EventKind::Unconfirmed
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::message::{MessageId, Moment};
    use crate::policy::ReasonKind;
    use crate::reactor::events::Late;

    fn event(what: EventKind, late_us: u64) -> MessageEvent {
        let late = Late {
            lateness_us: late_us,
            ..Late::default()
        };
        MessageEvent {
            late: Some(late),
            ..MessageEvent::new(Moment::from_micros(0), MessageId(Uuid::nil()), what)
        }
    }

    fn at(seconds: u64) -> Uptime {
        Uptime::from_micros(0) + Duration::from_secs(seconds)
    }

    fn lines(
        log: &OutcomeLog,
        events: impl IntoIterator<Item = MessageEvent>,
        now: Uptime,
    ) -> usize {
        events
            .into_iter()
            .filter(|event| log.has_line(event, now))
            .count()
    }

    #[test]
    fn lines_go_by_reason_and_time_and_no_outcome_is_lost() {
        let log = OutcomeLog::default();
        let herd = || (0..10_000).map(|n| event(EventKind::Sent, n));
        assert_eq!(lines(&log, herd(), at(0)), 10);
        let template = MessageEvent {
            category: Some(ReasonKind::Template.as_str()),
            ..event(EventKind::Rejected, 0)
        };
        assert_eq!(
            lines(&log, std::iter::repeat_n(template, 1_000), at(9)),
            10,
            "another reason has its own"
        );
        assert_eq!(log.due(at(9)), []);
        let sent = Sum {
            cause: (EventKind::Sent, None),
            times: 9_990,
            late_us: 9_999,
        };
        assert_eq!(log.due(at(10)), [sent]);
        assert_eq!(lines(&log, herd(), at(11)), 10, "they have lines again");
        let mut sums = log.due(at(60));
        sums.sort_by_key(|sum| sum.times);
        let counts: Vec<_> = sums.iter().map(|sum| (sum.cause, sum.times)).collect();
        let rejected = (EventKind::Rejected, Some("template"));
        assert_eq!(counts, [(rejected, 990), ((EventKind::Sent, None), 9_990)]);
        assert!(log.causes().is_empty());
    }

    #[test]
    fn steps_that_are_no_outcome_have_no_line() {
        let log = OutcomeLog::default();
        log.note(&EventKind::ALL.map(|what| event(what, 0)), at(0));
        let mut said: Vec<_> = log.causes().keys().map(|(what, _)| what.as_str()).collect();
        said.sort_unstable();
        let outcomes = [
            "cancelled",
            "deferred",
            "failed",
            "refused",
            "rejected",
            "sent",
            "throttled",
            "unconfirmed",
            "unsent",
        ];
        assert_eq!(said, outcomes);
    }
}
