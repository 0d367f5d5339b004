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

use super::{counted, gsm7};

/// How a text is put into bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
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
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Segments {
    /// How it is put into bits.
    pub encoding: Encoding,
    /// Units of that encoding.
    pub units: usize,
    /// Segments, at least one.
    pub count: usize,
}

impl Segments {
    /// The segments of this text, unchanged: providers may replace characters before they count (Twilio's
    /// smart encoding does, where it is on).
    pub fn of(text: &str) -> Self {
        let (encoding, pieces) = pieces(text);
        let units = pieces.iter().map(|piece| piece.units).sum();
        let (alone, each) = encoding.room();
        let count = if units <= alone {
            1
        } else {
            pack(&pieces, each).len()
        };
        Self {
            encoding,
            units,
            count,
        }
    }

    /// The texts of the segments of this one, and the encoding of all of them.
    pub fn split(text: &str) -> (Encoding, Vec<&str>) {
        let (encoding, pieces) = pieces(text);
        let units: usize = pieces.iter().map(|piece| piece.units).sum();
        let (alone, each) = encoding.room();
        if units <= alone {
            return (encoding, vec![text]);
        }
        let mut rest = text;
        let texts = pack(&pieces, each).into_iter().map(|bytes| {
            let (segment, after) = rest.split_at(bytes);
            rest = after;
            segment
        });
        (encoding, texts.collect())
    }

    /// The segments of several texts that are sent one after the other.
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
        let segments = counted(self.count, "segment", "segments");
        write!(f, "{segments} ({})", self.encoding.as_str())
    }
}

/// What is not torn.
#[derive(Clone, Copy)]
struct Piece {
    /// Its units of the encoding.
    units: usize,
    /// Its length in the text.
    bytes: usize,
}

/// The bytes of each segment of `room` units that holds these pieces, none of them torn.
fn pack(pieces: &[Piece], room: usize) -> Vec<usize> {
    let (mut segments, mut used, mut bytes) = (Vec::new(), 0, 0);
    for piece in pieces {
        if used + piece.units > room {
            segments.push(bytes);
            (used, bytes) = (0, 0);
        }
        used += piece.units;
        bytes += piece.bytes;
    }
    segments.push(bytes);
    segments
}

fn pieces(text: &str) -> (Encoding, Vec<Piece>) {
    let of = |c: char| {
        let code = gsm7::Code::of(c)?;
        let (units, bytes) = (code.septets(), c.len_utf8());
        Some(Piece { units, bytes })
    };
    match text.chars().map(of).collect() {
        Some(pieces) => (Encoding::Gsm7, pieces),
        None => (Encoding::Ucs2, pieces_of_ucs2(text)),
    }
}

fn pieces_of_ucs2(text: &str) -> Vec<Piece> {
    let most = Encoding::Ucs2.room().1;
    let mut pieces = Vec::with_capacity(text.len());
    for seen in text.graphemes(true) {
        let units = seen.encode_utf16().count();
        if units <= most && seen != "\r\n" {
            let bytes = seen.len();
            pieces.push(Piece { units, bytes });
        } else {
            // No segment holds it, or it is no more than two characters.
            pieces.extend(seen.chars().map(|c| Piece {
                units: c.len_utf16(),
                bytes: c.len_utf8(),
            }));
        }
    }
    pieces
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
    fn is_shown_as_people_say_it() {
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

        /// Its segments are what is counted, each has room for its text, and together they are the text.
        #[test]
        fn a_text_is_split_as_it_is_counted(text in "(\\PC|[€^a-z]){0,400}") {
            let counted = Segments::of(&text);
            let (encoding, texts) = Segments::split(&text);
            prop_assert_eq!(texts.len(), counted.count);
            prop_assert_eq!(texts.concat(), text.as_str());
            let (alone, each) = encoding.room();
            let room = if texts.len() == 1 { alone } else { each };
            for text in texts {
                let units: usize = match encoding {
                    Encoding::Gsm7 => text.chars().map(|c| gsm7::Code::of(c).unwrap().septets()).sum(),
                    Encoding::Ucs2 => text.encode_utf16().count(),
                };
                prop_assert!(units <= room);
            }
        }
    }
}
