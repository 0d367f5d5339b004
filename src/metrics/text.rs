//! The text that Prometheus reads.
//!
//! The numbers stay in atomics and in the reactor's reports: a [`Collector`] passes them to `prometheus-client`, which
//! knows the format, when they are scraped.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, NoLabelSet, prometheus_text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::{
    ANSWERS, ClaimResult, Counter, Gauge, Histogram, Metrics, NO_CATEGORY, UNUSED, WaitingCause,
};
use crate::message::Category;
use crate::policy::ReasonKind;
use crate::reactor::report::Overview;
use crate::version;

mod lanes;
mod reactor;
mod refusals;
mod reminders;
mod texts;

pub use prometheus_text::CONTENT_TYPE;

/// Everything, as text. Without an overview only what is counted.
pub fn render(metrics: &Arc<Metrics>, overview: Option<Overview>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape {
        metrics: Arc::clone(metrics),
        overview,
    }));
    let mut text = String::with_capacity(16 * 1024);
    // A String takes whatever is written to it.
    let _ = prometheus_text::encode(&mut text, &registry);
    text
}

/// What one scrape reads.
#[derive(Debug)]
struct Scrape {
    metrics: Arc<Metrics>,
    overview: Option<Overview>,
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        page.build()?;
        page.lateness(&self.metrics)?;
        page.sends(&self.metrics)?;
        page.claims(&self.metrics)?;
        page.counted(&self.metrics)?;
        page.sampled(&self.metrics)?;
        page.texts(&self.metrics.texts)?;
        page.reminders(&self.metrics)?;
        let overview = self.overview.as_ref();
        overview.map_or(Ok(()), |overview| page.reactor(overview))
    }
}

struct Page<'a>(DescriptorEncoder<'a>);

/// The labels of a metric without any.
const NONE: [(&str, &str); 0] = [];

/// A number as Prometheus has it.
#[expect(
    clippy::cast_precision_loss,
    reason = "2^53 µs are 285 years, and counts are smaller"
)]
const fn float(n: u64) -> f64 {
    n as f64
}

impl Page<'_> {
    fn gauges<L: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        self.gauges(name, help, [(NONE, value)])
    }

    fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        // The encoder adds the suffix itself.
        let name = name.strip_suffix("_total").unwrap_or(name);
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            let mut counter = family.encode_family(&labels)?;
            counter.encode_counter::<NoLabelSet, _, f64>(&value, None)?;
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.counters(name, help, [(NONE, value)])
    }

    fn histograms<'h, L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        histograms: impl IntoIterator<Item = (L, &'h Histogram)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, histogram) in histograms {
            let report = histogram.report();
            let bounds = report.bounds_us.iter().map(|bound| float(*bound) / 1e6);
            let buckets: Vec<_> = bounds.zip(report.counts).collect();
            let sum = float(report.sum_us) / 1e6;
            let mut encoder = family.encode_family(&labels)?;
            encoder.encode_histogram::<NoLabelSet>(sum, report.count, &buckets, None)?;
        }
        Ok(())
    }

    fn build(&mut self) -> fmt::Result {
        self.gauges(
            "punctual_build_info",
            "Always 1; the labels are the version, its revision and the day of the build.",
            [(
                [
                    ("version", version::VERSION),
                    ("revision", version::COMMIT),
                    ("built", version::BUILT),
                ],
                1_u64,
            )],
        )
    }

    fn lateness(&mut self, metrics: &Metrics) -> fmt::Result {
        self.histograms(
            "punctual_lateness_seconds",
            "Time from the scheduled time, or the end of a deferral, to the start of the request.",
            [(NONE, &metrics.lateness)],
        )?;
        self.histograms(
            "punctual_lateness_part_seconds",
            "What lateness is made of: policy (pauses laid down by rules), claim (beyond the due \
             time) and wake (from due and cleared to the request) add up to it.",
            [
                ([("part", "policy")], &metrics.parts.policy),
                ([("part", "claim")], &metrics.parts.claim),
                ([("part", "wake")], &metrics.parts.wake),
            ],
        )?;
        self.histograms(
            "punctual_provider_seconds",
            "Time from the start of a request to the provider to its response.",
            [(NONE, &metrics.parts.provider)],
        )?;
        self.histograms(
            "punctual_pace_wait_seconds",
            "Time that messages waited for their pace before their lateness began to count.",
            [(NONE, &metrics.parts.paced)],
        )
    }

    fn sends(&mut self, metrics: &Metrics) -> fmt::Result {
        let sends = ANSWERS.iter().zip(&metrics.sends);
        let sends = sends.flat_map(|(answer, counts)| {
            let counts = counts.iter().map(|count| count.load(Relaxed)).enumerate();
            // Those without a category are there from the start: a rate needs a zero.
            let counts = counts.filter(|(category, count)| *count > 0 || *category == NO_CATEGORY);
            counts.map(|(category, count)| {
                let category = Category::ALL.get(category).map_or("none", |c| c.as_str());
                (
                    [("outcome", answer.as_str()), ("category", category)],
                    count,
                )
            })
        });
        self.counters(
            "punctual_sends_total",
            "Requests to the provider, by outcome; refusals also by category.",
            sends,
        )?;
        self.refusals(metrics)?;
        let unused = UNUSED.iter().zip(&metrics.verdicts);
        let unused = unused.flat_map(|(what, counts)| {
            // All of them from the start: a rate needs a zero.
            counts.iter().enumerate().map(|(reason, count)| {
                let reason = ReasonKind::ALL.get(reason).map_or("none", |r| r.as_str());
                let labels = [("verdict", what.as_str()), ("reason", reason)];
                (labels, count.load(Relaxed))
            })
        });
        self.counters(
            "punctual_unused_claims_total",
            "Claims that ended without a request, by verdict and reason.",
            unused,
        )?;
        let mut receipts = metrics.receipts();
        for status in ["delivered", "failed"] {
            receipts.entry(status).or_insert(0);
        }
        self.counters(
            "punctual_receipts_total",
            "Status callbacks that were recorded.",
            receipts
                .into_iter()
                .map(|(status, n)| ([("status", status)], n)),
        )
    }

    fn claims(&mut self, metrics: &Metrics) -> fmt::Result {
        let claims = ClaimResult::ALL.iter().zip(&metrics.claims);
        self.counters(
            "punctual_claims_total",
            "Claims of messages, by their result.",
            claims.map(|(result, n)| ([("result", result.as_str())], n.load(Relaxed))),
        )?;
        let waiting = metrics.waiting.lock();
        let waiting = waiting.unwrap_or_else(PoisonError::into_inner).clone();
        self.gauges(
            "punctual_due_waiting",
            "Messages that have been due for more than 10 s and not sent, by cause, counted up to 10000.",
            WaitingCause::ALL.map(|cause| ([("cause", cause.as_str())], waiting.messages(cause))),
        )?;
        self.gauge(
            "punctual_due_waiting_oldest_seconds",
            "Time that the oldest of these has been due.",
            waiting.oldest_s,
        )
    }

    fn counted(&mut self, metrics: &Metrics) -> fmt::Result {
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
                "Callbacks that were refused: not signed, not valid, of another account, or not recorded in time.",
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
            self.counter(name, help, metrics.counted(counter))?;
        }
        self.counter(
            "punctual_events_left_out_total",
            "Changes of timers that were too many to be events of their own.",
            metrics.left_out.load(Relaxed),
        )?;
        let Some(at) = metrics.last_sent_at() else {
            return Ok(());
        };
        self.gauge(
            "punctual_last_sent_timestamp_seconds",
            "When the provider last accepted a message.",
            float(u64::try_from(at.as_micros()).unwrap_or(0)) / 1e6,
        )
    }

    fn sampled(&mut self, metrics: &Metrics) -> fmt::Result {
        for gauge in Gauge::ALL {
            if let Some(value) = metrics.measured(gauge) {
                let (name, help) = gauge.described();
                self.gauge(name, help, value)?;
            }
        }
        Ok(())
    }
}
