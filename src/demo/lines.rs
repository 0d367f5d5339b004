//! The times and the summary as the demo prints them.

use std::fmt::Write as _;

use super::phone::Arrival;
use super::run::DemoReport;
use crate::message::Moment;

/// The last lines: how many texts and webhooks arrived, and each fault.
pub(super) fn summary(arrivals: &[Arrival], report: &DemoReport) -> String {
    let webhooks = arrivals.iter().filter(|arrival| arrival.is_webhook).count();
    let texts = arrivals.len() - webhooks;
    let mut text = format!("\n{texts} texts and {webhooks} webhook arrived");
    if report.faults.is_empty() {
        text.push_str(": none lost, doubled, early or wrongly sent");
    }
    for fault in &report.faults {
        let _ = write!(text, "\nFAULT {fault}");
    }
    text
}

/// The time of day, with microseconds.
pub(super) fn time(at: Moment) -> String {
    at.to_utc()
        .map_or_else(|| at.to_string(), |t| t.format("%H:%M:%S%.6f").to_string())
}

/// Signed milliseconds, without floats.
pub(super) fn milliseconds(us: i64) -> String {
    let sign = if us < 0 { "-" } else { "" };
    let us = us.unsigned_abs();
    format!("{sign}{}.{:03} ms", us / 1_000, us % 1_000)
}
