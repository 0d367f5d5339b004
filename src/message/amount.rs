//! Amounts of money: whole numbers, because many small ones are added up.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const NANOS: u64 = 1_000_000_000;

/// An amount, in billionths of a USD or of another currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nanos(pub u64);

impl Nanos {
    /// As the database has it.
    pub fn as_i64(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// From the database.
    pub fn of_i64(nanos: i64) -> Self {
        Self(nanos.max(0).unsigned_abs())
    }
}

/// In that currency.
impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:09}", self.0 / NANOS, self.0 % NANOS);
        let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
        let part = part.trim_end_matches('0');
        write!(f, "{whole}.{part:0<2}")
    }
}

/// A text that is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an amount like 0.14, with at most nine decimals")]
pub struct NotAnAmount;

impl FromStr for Nanos {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let are_digits = |digits: &str| {
            (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
        };
        if !are_digits(whole) || !are_digits(part) {
            return Err(NotAnAmount);
        }
        let number = |digits: &str| digits.parse::<u64>().map_err(|_| NotAnAmount);
        Ok(Self(
            number(whole)? * NANOS + number(&format!("{part:0<9}"))?,
        ))
    }
}
