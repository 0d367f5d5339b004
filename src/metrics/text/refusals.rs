//! Refusals, by how bad they are.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;

use super::Page;
use crate::message::{Category, Severity};
use crate::metrics::Metrics;

impl Page<'_> {
    pub(super) fn refusals(&mut self, metrics: &Metrics) -> fmt::Result {
        let of = |severity: Severity| -> u64 {
            let kinds = Category::ALL.into_iter().enumerate();
            let kinds = kinds.filter(|(_, kind)| kind.severity() == severity);
            let counts = |(at, _): (usize, Category)| {
                let sends = metrics.sends.iter();
                sends.map(|of| of[at].load(Relaxed)).sum::<u64>()
            };
            kinds.map(counts).sum()
        };
        self.counters(
            "punctual_refusals_total",
            "Requests that the provider refused, by how bad that is: critical ones stop all messages of an account.",
            Severity::ALL.map(|severity| ([("severity", severity.as_str())], of(severity))),
        )
    }
}
