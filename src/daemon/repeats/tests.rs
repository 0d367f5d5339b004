//! Which lines are logged, and which are counted.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, fmt as layers};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn cause(fields: &str) -> Cause {
    Cause {
        text: "a claim was refused".into(),
        fields: fields.into(),
        ..Cause::new(Level::WARN)
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
fn an_error_about_a_message_is_a_fact_and_other_lines_are_of_many() {
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
            tracing::info!(n, "about no message");
        }
    });
    let lines = lines.0.lock().unwrap_or_else(PoisonError::into_inner);
    let lines = String::from_utf8_lossy(&lines);
    let count = |words: &str| lines.lines().filter(|line| line.contains(words)).count();
    assert_eq!(count("refused"), 1, "{lines}");
    assert_eq!(count("sent twice"), 5, "{lines}");
    assert_eq!(count("receipt"), 10, "{lines}");
    assert_eq!(count("about no message"), 50, "{lines}");
}
