//! How many segments a text has: the network sends and bills a long text in several.
//!
//! A text of GSM 03.38's alphabet has 7 bits a character: 160 in one segment, or 153 in each of
//! several, which carry a header. Ten characters of its extension are two. Any other character
//! makes the whole text UCS-2: 70 units of UTF-16, or 67 in each of several.
//!
//! What belongs together is not torn: neither the two halves of an extension's character or of
//! a surrogate pair, nor what a reader sees as one (an emoji of a family, a letter and its
//! accent). If there is no place left for it in a segment, it goes into the next. So Twilio's
//! own calculator counts, which the tests were recorded with. (Its Unicode is an older one, which
//! tears conjuncts of Indic scripts.)

use unicode_segmentation::UnicodeSegmentation;

/// The alphabet of GSM 03.38 without its extension.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                     ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// Characters that are an escape and one more.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// How a text is put into bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Encoding {
    /// 7 bits a character.
    #[serde(rename = "GSM-7")]
    Gsm7,
    /// 16 bits a unit.
    #[serde(rename = "UCS-2")]
    Ucs2,
}

impl Encoding {
    /// As people call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gsm7 => "GSM-7",
            Self::Ucs2 => "UCS-2",
        }
    }

    /// Units in a text of one segment, and in each of several.
    const fn room(self) -> (usize, usize) {
        match self {
            Self::Gsm7 => (160, 153),
            Self::Ucs2 => (70, 67),
        }
    }
}

/// What a text is to the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Segments {
    /// How it is put into bits.
    pub encoding: Encoding,
    /// Units of that encoding.
    pub units: usize,
    /// Segments, at least one.
    pub count: usize,
}

impl Segments {
    /// Of this text, unchanged: providers may replace characters before they count (Twilio's
    /// smart encoding does, where it is on).
    pub fn of(text: &str) -> Self {
        let gsm: Option<Vec<usize>> = text.chars().map(septets).collect();
        let (encoding, widths) = match gsm {
            Some(widths) => (Encoding::Gsm7, widths),
            None => (Encoding::Ucs2, units_of(text)),
        };
        let units = widths.iter().sum();
        let (alone, each) = encoding.room();
        let count = if units <= alone {
            1
        } else {
            pack(&widths, each)
        };
        Self {
            encoding,
            units,
            count,
        }
    }

    /// Of several texts, which are sent one after the other: all of their segments.
    pub fn of_all(texts: &[String]) -> Self {
        let mut each = texts.iter().map(|text| Self::of(text));
        let first = each.next().unwrap_or_else(|| Self::of(""));
        each.fold(first, |sum, text| Self {
            encoding: match (sum.encoding, text.encoding) {
                (Encoding::Gsm7, Encoding::Gsm7) => Encoding::Gsm7,
                _ => Encoding::Ucs2,
            },
            units: sum.units + text.units,
            count: sum.count + text.count,
        })
    }
}

impl std::fmt::Display for Segments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let many = if self.count == 1 { "" } else { "s" };
        write!(
            f,
            "{} segment{many} ({})",
            self.count,
            self.encoding.as_str()
        )
    }
}

/// Segments of `room` units that hold these characters, none of them torn.
fn pack(widths: &[usize], room: usize) -> usize {
    let mut count = 1;
    let mut used = 0;
    for width in widths {
        if used + width > room {
            count += 1;
            used = 0;
        }
        used += width;
    }
    count
}

/// UTF-16 units of each thing that is not torn.
fn units_of(text: &str) -> Vec<usize> {
    let most = Encoding::Ucs2.room().1;
    let mut widths = Vec::with_capacity(text.len());
    for seen in text.graphemes(true) {
        let width = seen.encode_utf16().count();
        if width <= most && seen != "\r\n" {
            widths.push(width);
        } else {
            // No segment holds it, or it is no more than two characters.
            widths.extend(seen.chars().map(char::len_utf16));
        }
    }
    widths
}

/// Of one character in GSM 03.38.
fn septets(c: char) -> Option<usize> {
    if BASIC.contains(c) {
        Some(1)
    } else {
        EXTENSION.contains(c).then_some(2)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Recorded with npm's `sms-segments-calculator` 1.3: a text, how often, its encoding, its
    /// bits and its segments.
    const RECORDED: &str = include_str!("segments/recorded.json");

    #[test]
    fn counts_as_twilios_calculator_does() {
        let all: Vec<(String, usize, String, usize, usize)> =
            serde_json::from_str(RECORDED).unwrap();
        assert!(all.len() > 300, "{}", all.len());
        for (text, times, encoding, bits, count) in all {
            let segments = Segments::of(&text.repeat(times));
            let bits_each = match segments.encoding {
                Encoding::Gsm7 => 7,
                Encoding::Ucs2 => 16,
            };
            let counted = (
                segments.encoding.as_str(),
                segments.units * bits_each,
                segments.count,
            );
            assert_eq!(
                counted,
                (encoding.as_str(), bits, count),
                "{times} x {text:?}"
            );
        }
    }

    #[test]
    fn is_told_as_people_say_it() {
        assert_eq!(Segments::of("Hi").to_string(), "1 segment (GSM-7)");
        assert_eq!(
            Segments::of(&"👍".repeat(36)).to_string(),
            "2 segments (UCS-2)"
        );
    }

    proptest! {
        /// Never fewer segments than the units need, and nearly never more: what is not torn
        /// leaves less than its own width empty.
        #[test]
        fn segments_hold_what_they_count(text in "\\PC{0,400}") {
            let Segments { encoding, units, count } = Segments::of(&text);
            let (alone, each) = encoding.room();
            if units <= alone {
                prop_assert_eq!(count, 1);
            } else {
                prop_assert!(count * each >= units);
                prop_assert!(count >= 2);
            }
        }
    }
}
