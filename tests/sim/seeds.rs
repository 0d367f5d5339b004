//! Which seeds to run.

use std::ops::Range;

/// What `variable` says: a count, `a..b`, or `seed=N`; where it is not set, the first `default`.
pub(crate) fn seeds(variable: &str, default: u64) -> Range<u64> {
    let Ok(text) = std::env::var(variable) else {
        return 0..default;
    };
    let number = |s: &str| s.trim().replace('_', "").parse::<u64>().ok();
    let range = if let Some(seed) = text.strip_prefix("seed=") {
        number(seed).map(|n| n..n + 1)
    } else if let Some((from, to)) = text.split_once("..") {
        number(from).zip(number(to)).map(|(from, to)| from..to)
    } else {
        number(&text).map(|n| 0..n)
    };
    range.unwrap_or_else(|| panic!("{variable}={text}: a count, a..b or seed=N"))
}
