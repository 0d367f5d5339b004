//! The parameter `rows`: messages of a campaign by their positions.

use std::ops::RangeInclusive;

use crate::http::api::{Refusal, query};
use crate::store::campaigns::Rows;

/// The most positions and ranges of them that one request names.
const ROWS_MAX: usize = 400;

/// Reads `1-20,25@SEEN`.
pub(super) fn read(text: &str) -> Result<Vec<Rows>, Refusal> {
    if text.split(',').count() > ROWS_MAX {
        return Err(query(format!(
            "rows has at most {ROWS_MAX} positions: use ranges"
        )));
    }
    text.split(',').map(row).collect()
}

/// Reads `25`, `1-20` or `25@seen`.
fn row(text: &str) -> Result<Rows, Refusal> {
    let (range, seen) = text
        .split_once('@')
        .map_or((text, None), |(range, seen)| (range, Some(seen)));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let one = |text: &str| text.trim().parse::<i32>().ok().filter(|n| *n > 0);
    let positions: Option<RangeInclusive<i32>> =
        one(first).zip(one(last)).map(|(first, last)| first..=last);
    match positions {
        Some(positions) if !positions.is_empty() => Ok(Rows {
            positions,
            seen: seen.map(|seen| seen.trim().to_owned()),
        }),
        _ => Err(query(
            "rows are positions and ranges of them, like 1-20,25, or 25@SEEN",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_singly_as_ranges_and_as_they_were_seen() {
        for (text, read) in [
            ("25", Some((25..=25, None))),
            (" 1 - 20 ", Some((1..=20, None))),
            ("3@0af", Some((3..=3, Some("0af")))),
            ("20-1", None),
            ("0", None),
            ("@0af", None),
            ("", None),
        ] {
            let rows = row(text).ok();
            let found = rows
                .as_ref()
                .map(|rows| (rows.positions.clone(), rows.seen.as_deref()));
            assert_eq!(found, read, "{text}");
        }
    }
}
