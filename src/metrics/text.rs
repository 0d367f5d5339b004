//! The text that Prometheus reads.
//!
//! Written by hand: the numbers live in atomics and in the reactor's own reports, and a registry
//! between them and two dozen lines of text would only add a second place for each.

use std::fmt::Write as _;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;

use super::{
    ANSWERS, ClaimResult, Counter, Gauge, Histogram, Metrics, NO_CATEGORY, UNUSED, WaitingCause,
};
use crate::message::Category;
use crate::policy::ReasonKind;
use crate::reactor::report::Overview;

mod lanes;
mod reactor;

/// The content type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything, as text.
pub fn render(metrics: &Metrics, overview: Option<&Overview>) -> String {
    let mut page = Page(String::with_capacity(16 * 1024));
    page.build();
    page.lateness(metrics);
    page.sends(metrics);
    page.claims(metrics);
    page.counters(metrics);
    page.sampled(metrics);
    if let Some(overview) = overview {
        page.reactor(overview);
    }
    page.0
}

struct Page(String);

/// A number as Prometheus writes it.
#[expect(
    clippy::cast_precision_loss,
    reason = "2^53 µs are 285 years, and counts are smaller"
)]
const fn float(n: u64) -> f64 {
    n as f64
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // A String takes whatever is written to it.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: f64) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, "gauge", help);
        self.line(name, "", value);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help);
        self.line(name, "", float(value));
    }

    fn histogram(&mut self, name: &str, labels: &str, histogram: &Histogram) {
        let report = histogram.report();
        let comma = if labels.is_empty() { "" } else { "," };
        let mut below = 0;
        for (bound, count) in report.bounds_us.iter().zip(&report.counts) {
            below += count;
            let le = float(*bound) / 1e6;
            let labels = format!("{{{labels}{comma}le=\"{le}\"}}");
            self.line(&format!("{name}_bucket"), &labels, float(below));
        }
        let all = format!("{{{labels}{comma}le=\"+Inf\"}}");
        self.line(&format!("{name}_bucket"), &all, float(report.count));
        let own = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{labels}}}")
        };
        self.line(&format!("{name}_sum"), &own, float(report.sum_us) / 1e6);
        self.line(&format!("{name}_count"), &own, float(report.count));
    }

    fn build(&mut self) {
        let name = "punctual_build_info";
        self.family(name, "gauge", "Always 1; the label is the version.");
        let labels = format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
        self.line(name, &labels, 1.0);
    }

    fn lateness(&mut self, metrics: &Metrics) {
        let name = "punctual_lateness_seconds";
        self.family(
            name,
            "histogram",
            "Time from the scheduled time, or the end of a deferral, to the start of the request.",
        );
        self.histogram(name, "", &metrics.lateness);
        let name = "punctual_lateness_part_seconds";
        self.family(
            name,
            "histogram",
            "What lateness is made of: policy (pauses laid down by rules), claim (beyond the due \
             time) and wake (from due and cleared to the request) add up to it.",
        );
        for (part, histogram) in [
            ("policy", &metrics.parts.policy),
            ("claim", &metrics.parts.claim),
            ("wake", &metrics.parts.wake),
        ] {
            self.histogram(name, &format!("part=\"{part}\""), histogram);
        }
        let name = "punctual_provider_seconds";
        self.family(
            name,
            "histogram",
            "Time from the start of a request to the provider to its response.",
        );
        self.histogram(name, "", &metrics.parts.provider);
        let name = "punctual_pace_wait_seconds";
        self.family(
            name,
            "histogram",
            "Time that messages waited for their pace before their lateness began to count.",
        );
        self.histogram(name, "", &metrics.parts.paced);
    }

    fn sends(&mut self, metrics: &Metrics) {
        let name = "punctual_sends_total";
        self.family(
            name,
            "counter",
            "Requests to the provider, by outcome; refusals also by category.",
        );
        for (answer, counts) in ANSWERS.iter().zip(&metrics.sends) {
            for (category, count) in counts.iter().enumerate() {
                let count = count.load(Relaxed);
                // Those without a category are there from the start: a rate needs a zero.
                if count == 0 && category != NO_CATEGORY {
                    continue;
                }
                let kind = Category::ALL.get(category).map_or("none", |c| c.as_str());
                let labels = format!("{{outcome=\"{}\",category=\"{kind}\"}}", answer.as_str());
                self.line(name, &labels, float(count));
            }
        }
        let name = "punctual_unused_claims_total";
        let help = "Claims that ended without a request, by verdict and reason.";
        self.family(name, "counter", help);
        for (what, counts) in UNUSED.iter().zip(&metrics.verdicts) {
            let verdict = what.as_str();
            for (reason, count) in counts.iter().enumerate() {
                // All of them from the start: a rate needs a zero.
                let reason = ReasonKind::ALL
                    .get(reason)
                    .map_or("none", |kind| kind.as_str());
                let labels = format!("{{verdict=\"{verdict}\",reason=\"{reason}\"}}");
                self.line(name, &labels, float(count.load(Relaxed)));
            }
        }
        let name = "punctual_receipts_total";
        self.family(name, "counter", "Status callbacks that were recorded.");
        for status in ["delivered", "failed"] {
            let count = metrics.receipts().get(status).copied().unwrap_or(0);
            self.line(name, &format!("{{status=\"{status}\"}}"), float(count));
        }
        for (status, count) in metrics.receipts() {
            if !matches!(status, "delivered" | "failed") {
                self.line(name, &format!("{{status=\"{status}\"}}"), float(count));
            }
        }
    }

    fn claims(&mut self, metrics: &Metrics) {
        let name = "punctual_claims_total";
        let help = "Claims of messages, by their result.";
        self.family(name, "counter", help);
        for (result, count) in ClaimResult::ALL.iter().zip(&metrics.claims) {
            let labels = format!("{{result=\"{}\"}}", result.as_str());
            self.line(name, &labels, float(count.load(Relaxed)));
        }
        let waiting = metrics.waiting.lock();
        let waiting = waiting.unwrap_or_else(PoisonError::into_inner).clone();
        let name = "punctual_due_waiting";
        let help = "Messages that have been due for more than 10 s without a claim, by cause, counted up to 10000.";
        self.family(name, "gauge", help);
        for cause in WaitingCause::ALL {
            let messages = if waiting.cause == Some(cause) {
                waiting.messages
            } else {
                0
            };
            self.line(
                name,
                &format!("{{cause=\"{}\"}}", cause.as_str()),
                float(messages),
            );
        }
        let help = "Time that the oldest of these has been due.";
        self.gauge(
            "punctual_due_waiting_oldest_seconds",
            help,
            waiting.oldest_s,
        );
    }

    fn counters(&mut self, metrics: &Metrics) {
        for (counter, name, help) in [
            (
                Counter::Reaped,
                "punctual_reaped_total",
                "Messages that became unconfirmed because the instance sending them died.",
            ),
            (
                Counter::Expired,
                "punctual_expired_total",
                "Messages that were cancelled because they were too late.",
            ),
            (
                Counter::Duplicates,
                "punctual_duplicates_total",
                "Messages that the provider accepted more than once.",
            ),
            (
                Counter::ListenerLost,
                "punctual_listener_lost_total",
                "Losses of the notification channel.",
            ),
            (
                Counter::ClockSteps,
                "punctual_clock_steps_total",
                "Steps of this machine's wall clock.",
            ),
            (
                Counter::CallbacksRefused,
                "punctual_callbacks_refused_total",
                "Callbacks that were refused: not signed, not valid, or not recorded in time.",
            ),
            (
                Counter::TokensRefused,
                "punctual_tokens_refused_total",
                "Wrong tokens for the page, the metrics and /debug.",
            ),
            (
                Counter::OutboxWritten,
                "punctual_outbox_written_total",
                "Writes that the app's tables first refused and later accepted.",
            ),
        ] {
            self.counter(name, help, metrics.counted(counter));
        }
        self.counter(
            "punctual_events_left_out_total",
            "Changes of timers that were too many to be events of their own.",
            metrics.left_out.load(Relaxed),
        );
        if let Some(at) = metrics.last_sent_at() {
            let seconds = float(u64::try_from(at.as_micros()).unwrap_or(0)) / 1e6;
            self.gauge(
                "punctual_last_sent_timestamp_seconds",
                "When the provider last accepted a message.",
                seconds,
            );
        }
    }

    fn sampled(&mut self, metrics: &Metrics) {
        for (gauge, name, help) in [
            (
                Gauge::NotifyQueue,
                "punctual_notify_queue_usage_ratio",
                "Used share of the server's notification queue; at 1 transactions that notify fail.",
            ),
            (
                Gauge::InDoubt,
                "punctual_in_doubt",
                "Unconfirmed messages, counted up to 10000.",
            ),
            (
                Gauge::Outbox,
                "punctual_outbox_waiting",
                "Writes that the app's tables refused and that are pending, counted up to 10000.",
            ),
            (
                Gauge::Journal,
                "punctual_journal_writable",
                "1 while the journal can be written; absent if there is none.",
            ),
        ] {
            if let Some(value) = metrics.measured(gauge) {
                self.gauge(name, help, value);
            }
        }
    }
}
