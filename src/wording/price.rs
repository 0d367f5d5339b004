//! What calls cost, in billionths of a USD: whole numbers, because many small amounts are added up.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Request, TOKENS_MAX};
pub use crate::message::Nanos;

/// Prices are for so many tokens.
const TOKENS_OF_A_PRICE: u128 = 1_000_000;

/// The tokens that an endpoint adds to the texts of a request: the marks of its messages, and those of its own.
const TOKENS_AROUND: u64 = 200;

/// What a million tokens cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// Those of a request.
    pub input: Nanos,
    /// Those of an answer.
    pub output: Nanos,
}

/// The tokens of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Those of the request.
    pub input: u64,
    /// Those of the answer.
    pub output: u64,
}

impl Usage {
    /// The most that a request can use: no token is shorter than a byte.
    pub fn most(request: &Request) -> Self {
        Self {
            input: request.bytes() as u64 + TOKENS_AROUND,
            output: u64::from(TOKENS_MAX),
        }
    }

    /// The same tokens, as far as this request can have used them: what an endpoint says may be anything.
    #[must_use]
    pub fn within(self, most: Self) -> Self {
        Self {
            input: self.input.min(most.input),
            output: self.output.min(most.output),
        }
    }
}

impl Prices {
    /// What these tokens cost.
    pub fn cost(&self, usage: Usage) -> Nanos {
        let of = |tokens: u64, price: Nanos| u128::from(tokens) * u128::from(price.0);
        let sum = of(usage.input, self.input) + of(usage.output, self.output);
        Nanos(u64::try_from(sum.div_ceil(TOKENS_OF_A_PRICE)).unwrap_or(u64::MAX))
    }
}

/// What a text has taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// The model that was asked; empty: none was.
    pub model: String,
    /// What it cost; `None`: the prices are not known.
    pub cost: Option<Nanos>,
    /// The tokens, if the endpoint has said how many.
    pub usage: Option<Usage>,
    /// From the request to the whole answer.
    pub took: Duration,
}

impl Spent {
    /// As the metadata of a message has it.
    pub fn metadata(&self, via: &str) -> Value {
        let mut all = json!({ "generated_via": via });
        if self.model.is_empty() {
            return all;
        }
        all["llm_model"] = self.model.as_str().into();
        all["generation_time_ms"] = u64::try_from(self.took.as_millis())
            .unwrap_or(u64::MAX)
            .into();
        if let Some(cost) = self.cost
            && let Ok(cost) = serde_json::from_str::<Value>(&cost.to_string())
        {
            all["generation_cost_usd"] = cost;
        }
        if let Some(usage) = self.usage {
            all["llm_tokens_in"] = usage.input.into();
            all["llm_tokens_out"] = usage.output.into();
        }
        all
    }
}
