//! SMS-SUBMIT: what is sent. A text of several segments is several of them.

use std::fmt::Write as _;
use std::time::Duration;

use super::{INTERNATIONAL, septets};
use crate::message::gsm7::{Code, ESCAPE};
use crate::message::segments::{Encoding, Segments};
use crate::message::{AttemptToken, E164};

/// SMS-SUBMIT, with a relative validity period.
const SUBMIT: u8 = 0b0001_0001;

/// A report is wanted of what became of it.
const STATUS_REPORT: u8 = 0b0010_0000;

/// The text begins with a header.
const HEADER: u8 = 0b0100_0000;

/// Seven bits after the header of a segment, to the next boundary of a septet.
const FILL: usize = 1;

/// How many septets the header of a segment takes.
const HEADER_SEPTETS: usize = 7;

/// One segment, ready for the modem.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::provider::modem) struct Submit {
    /// Its octets without the address of the service centre: what `AT+CMGS` announces.
    pub(in crate::provider::modem) octets: usize,
    /// The PDU in hexadecimal digits. The service centre is the SIM's.
    pub(in crate::provider::modem) hex: String,
}

/// The segments of a text, in their order. `None`: there are more than a header can number.
pub(in crate::provider::modem) fn submits(
    to: &E164,
    text: &str,
    valid_for: Duration,
    token: AttemptToken,
) -> Option<Vec<Submit>> {
    let (encoding, texts) = Segments::split(text);
    let of = u8::try_from(texts.len()).ok()?;
    // The same for the segments of a text, and seldom for two texts: of the random end of the token.
    let [.., reference] = *token.0.as_bytes();
    let header = |number: u8| (of > 1).then_some([5, 0, 3, reference, of, number]);
    let segment = |(text, number): (&&str, u8)| {
        submit(to, text, encoding, valid_for, header(number).as_ref())
    };
    Some(texts.iter().zip(1..=of).map(segment).collect())
}

fn submit(
    to: &E164,
    text: &str,
    encoding: Encoding,
    valid_for: Duration,
    header: Option<&[u8; 6]>,
) -> Submit {
    let mut octets = vec![SUBMIT | STATUS_REPORT | header.map_or(0, |_| HEADER)];
    // The reference, which the modem replaces by its own.
    octets.push(0);
    address(&mut octets, to);
    let (coding, length, data) = match encoding {
        Encoding::Gsm7 => gsm7(text, header.is_some()),
        Encoding::Ucs2 => ucs2(text, header.map_or(0, |header| header.len())),
    };
    // An ordinary short message.
    octets.push(0);
    octets.extend([coding, validity(valid_for), length]);
    octets.extend(header.into_iter().flatten());
    octets.extend(data);
    let mut hex = String::with_capacity(2 + 2 * octets.len());
    hex.push_str("00");
    for octet in &octets {
        let _ = write!(hex, "{octet:02X}");
    }
    Submit {
        octets: octets.len(),
        hex,
    }
}

/// How many digits it has, its type, and its digits, two in an octet, the first one in the lower half.
fn address(octets: &mut Vec<u8>, to: &E164) {
    let digits: Vec<u8> = to.as_str().bytes().skip(1).map(|d| d - b'0').collect();
    octets.extend([byte(digits.len()), INTERNATIONAL]);
    let pairs = digits.chunks(2);
    octets.extend(pairs.map(|pair| pair[0] | pair.get(1).map_or(0xf0, |high| high << 4)));
}

/// The coding, the length in septets and the octets.
fn gsm7(text: &str, has_header: bool) -> (u8, u8, Vec<u8>) {
    let mut codes = Vec::with_capacity(text.len());
    for code in text.chars().filter_map(Code::of) {
        match code {
            Code::Basic(code) => codes.push(code),
            Code::Extended(code) => codes.extend([ESCAPE, code]),
        }
    }
    let (fill, header) = if has_header {
        (FILL, HEADER_SEPTETS)
    } else {
        (0, 0)
    };
    (0, byte(codes.len() + header), septets::pack(&codes, fill))
}

/// The coding, the length in octets and the octets.
fn ucs2(text: &str, header: usize) -> (u8, u8, Vec<u8>) {
    let octets: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    (0b1000, byte(header + octets.len()), octets)
}

/// A number that the segment's room bounds.
fn byte(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

/// The longest period of the format's steps that is not longer; at least five minutes, which are the shortest.
fn validity(valid_for: Duration) -> u8 {
    const MINUTE: u64 = 60;
    const DAY: u64 = 24 * 60 * MINUTE;
    const WEEK: u64 = 7 * DAY;
    let seconds = valid_for.as_secs();
    let step = if seconds >= 5 * WEEK {
        (192 + seconds / WEEK).min(255)
    } else if seconds >= 2 * DAY {
        (166 + seconds / DAY).min(196)
    } else if seconds >= 12 * 60 * MINUTE + 30 * MINUTE {
        (143 + (seconds - 12 * 60 * MINUTE) / (30 * MINUTE)).min(167)
    } else {
        (seconds / (5 * MINUTE)).clamp(1, 144) - 1
    };
    u8::try_from(step).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> AttemptToken {
        AttemptToken(uuid::Uuid::from_u128(0xab))
    }

    fn of(text: &str) -> Vec<Submit> {
        let to = "+46708251358".parse().unwrap();
        submits(&to, text, Duration::from_secs(4 * 86_400), token()).unwrap()
    }

    /// As the descriptions of the format have it, with a status report.
    #[test]
    fn hello() {
        let [submit] = &of("hellohello")[..] else {
            panic!("one segment")
        };
        assert_eq!(
            submit.hex,
            "0031000B916407281553F80000AA0AE8329BFD4697D9EC37"
        );
        assert_eq!(submit.octets, submit.hex.len() / 2 - 1);
    }

    #[test]
    fn a_long_text_is_several_with_one_reference() {
        let long = of(&"a".repeat(161));
        assert_eq!(long.len(), 2);
        for (n, submit) in long.iter().enumerate() {
            assert!(submit.hex.starts_with("0071000B916407281553F80000AA"));
            let header = format!("050003AB02{:02X}", n + 1);
            assert_eq!(submit.hex[30..42], header);
            assert!(submit.octets <= 155, "{}", submit.octets);
        }
        // 153 and 8 septets, each with the seven of its header.
        assert_eq!(&long[0].hex[28..30], "A0");
        assert_eq!(&long[1].hex[28..30], "0F");
        let wide = of(&"я".repeat(71));
        assert_eq!(wide.len(), 2);
        assert!(
            wide[0]
                .hex
                .starts_with("0071000B916407281553F80008AA8C050003AB0201044F")
        );
    }

    #[test]
    fn what_no_header_can_number_is_not_sent() {
        let to = "+46708251358".parse().unwrap();
        let long = "a".repeat(153 * 255 + 1);
        assert!(submits(&to, &long, Duration::from_secs(60), token()).is_none());
        assert_eq!(of(&"a".repeat(153 * 255)).len(), 255);
    }

    #[test]
    fn a_validity_is_never_longer_than_asked_for_but_for_the_shortest() {
        /// What a value means (9.2.3.12.1), in seconds.
        fn meaning(value: u8) -> u64 {
            let value = u64::from(value);
            match value {
                0..=143 => (value + 1) * 300,
                144..=167 => 43_200 + (value - 143) * 1_800,
                168..=196 => (value - 166) * 86_400,
                _ => (value - 192) * 604_800,
            }
        }
        assert_eq!(validity(Duration::ZERO), 0);
        for value in 0..=255 {
            let exact = meaning(value);
            assert_eq!(
                meaning(validity(Duration::from_secs(exact))),
                exact,
                "{value}"
            );
        }
        for seconds in (300..90 * 604_800).step_by(977) {
            let got = meaning(validity(Duration::from_secs(seconds)));
            assert!(got <= seconds, "{got} {seconds}");
            assert!(seconds < 2 * got || got == meaning(255), "{got} {seconds}");
        }
    }
}
