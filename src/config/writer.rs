//! The settings of the writer: the language model that writes texts.

use std::ops::RangeInclusive;
use std::time::Duration;

use humantime::{format_duration, parse_duration};
use serde::Serialize;

use super::error::Problem;
use super::key;
use super::provider::{pair, said};
use super::raw::Raw;
use super::values;
use crate::provider::llm::{LlmConfig, LlmUrl};
use crate::wording::{Nanos, Prices};

/// An answer takes a second or two; a longer wait than a minute only keeps others from being written.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);

/// Requests at once. Each is a socket, and endpoints limit them.
const CONCURRENCY: RangeInclusive<usize> = 1..=256;

/// The settings of the writer.
#[derive(Clone, Debug)]
pub struct WriterSettings {
    /// The endpoint and its model.
    pub llm: LlmConfig,
    /// What its tokens cost; `None`: not known.
    pub prices: Option<Prices>,
    /// The most that a day (UTC) may cost; `None`: there is no bound.
    pub budget: Option<Nanos>,
}

/// `None`: nothing writes texts.
pub(super) fn read(raw: &mut Raw) -> Option<WriterSettings> {
    if !raw.is_given(&key::LLM_URL) {
        let more = [
            &key::LLM_MODEL,
            &key::LLM_API_KEY,
            &key::LLM_TIMEOUT,
            &key::LLM_CONCURRENCY,
            &key::LLM_PRICE_IN,
            &key::LLM_PRICE_OUT,
            &key::LLM_BUDGET,
        ];
        if let Some(given) = more.into_iter().find(|more| raw.is_given(more)) {
            raw.problem(Problem::Half {
                given: raw.name(given),
                missing: raw.name(&key::LLM_URL),
            });
        }
        return None;
    }
    let url = raw.get(&key::LLM_URL, said::<LlmUrl>);
    let model = raw.require(
        &key::LLM_MODEL,
        "the name of the model, like deepseek/deepseek-chat",
        model,
    );
    let api_key = raw.get(&key::LLM_API_KEY, values::credential);
    let timeout = raw.or(&key::LLM_TIMEOUT, "10s", timeout);
    let concurrency = raw.or(&key::LLM_CONCURRENCY, "8", concurrency);
    let prices = pair(raw, &key::LLM_PRICE_IN, &key::LLM_PRICE_OUT).then(|| {
        let input = raw.get(&key::LLM_PRICE_IN, said::<Nanos>)?;
        let output = raw.get(&key::LLM_PRICE_OUT, said::<Nanos>)?;
        Some(Prices { input, output })
    });
    let budget = raw.get(&key::LLM_BUDGET, said::<Nanos>);
    if raw.is_given(&key::LLM_BUDGET) && prices.is_none() && !raw.is_given(&key::LLM_PRICE_IN) {
        raw.problem(Problem::Half {
            given: raw.name(&key::LLM_BUDGET),
            missing: raw.name(&key::LLM_PRICE_IN),
        });
    }
    Some(WriterSettings {
        llm: LlmConfig {
            url: url?,
            model: model?,
            key: api_key,
            timeout,
            concurrency,
        },
        prices: prices.flatten(),
        budget,
    })
}

fn model(text: &str) -> Result<String, String> {
    let is_one = text.chars().count() <= 200 && text.chars().all(|c| c.is_ascii_graphic());
    is_one
        .then(|| text.to_owned())
        .ok_or_else(|| "a name without spaces, like deepseek/deepseek-chat".into())
}

fn timeout(text: &str) -> Result<Duration, String> {
    let found = parse_duration(text).ok().filter(|d| TIMEOUT.contains(d));
    found.ok_or_else(|| {
        let (least, most) = (TIMEOUT.start(), TIMEOUT.end());
        let (least, most) = (format_duration(*least), format_duration(*most));
        format!("a duration with its unit (like 500ms, 10s) from {least} to {most}")
    })
}

fn concurrency(text: &str) -> Result<usize, String> {
    let found = text.parse().ok().filter(|n| CONCURRENCY.contains(n));
    found.ok_or_else(|| {
        let (least, most) = (CONCURRENCY.start(), CONCURRENCY.end());
        format!("an integer from {least} to {most}")
    })
}

/// As the settings file has them.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    url: String,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<&'static str>,
    timeout: String,
    concurrency: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    price_in: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price_out: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<String>,
}

impl WriterSettings {
    pub(super) fn shown(&self, hidden: &'static str) -> Shown<'_> {
        let llm = &self.llm;
        Shown {
            url: llm.url.to_string(),
            model: &llm.model,
            api_key: llm.key.as_ref().map(|_| hidden),
            timeout: format_duration(llm.timeout).to_string(),
            concurrency: llm.concurrency,
            price_in: self.prices.map(|prices| prices.input.to_string()),
            price_out: self.prices.map(|prices| prices.output.to_string()),
            budget: self.budget.map(|budget| budget.to_string()),
        }
    }
}
