//! The texts that a language model writes.

use std::fmt;

use prometheus_client::encoding::NoLabelSet;
use prometheus_client::metrics::MetricType;

use super::{NONE, Page, float};
use crate::metrics::texts::Texts;
use crate::wording::DraftEnd;

impl Page<'_> {
    pub(super) fn texts(&mut self, texts: &Texts) -> fmt::Result {
        self.counters(
            "punctual_texts_total",
            "Texts that were wanted of the language model, by what became of them; of all but written and changed ones \
             the message has its own text.",
            DraftEnd::ALL.map(|end| ([("outcome", end.as_str())], texts.count(end))),
        )?;
        let [input, output] = texts.tokens();
        self.counters(
            "punctual_text_tokens_total",
            "Tokens of requests to the language model (input) and of its answers (output), as it counts them.",
            [([("kind", "input")], input), ([("kind", "output")], output)],
        )?;
        self.usd(
            "punctual_text_cost_usd",
            "What the language model has cost, by the prices that are set; a call that timed out counts in full.",
            texts.cost_nanos(),
        )?;
        self.histograms(
            "punctual_text_seconds",
            "Time from a request to the language model to its answer.",
            [(NONE, &texts.took)],
        )
    }

    /// A counter of an amount.
    fn usd(&mut self, name: &str, help: &str, nanos: u64) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        let mut counter = family.encode_family(&NONE)?;
        counter.encode_counter::<NoLabelSet, _, f64>(&(float(nanos) / 1e9), None)
    }
}
