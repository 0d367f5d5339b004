//! What a modem receives: SMS-DELIVER, a reply; and SMS-STATUS-REPORT, what became of a message.

use std::fmt;

use super::{INTERNATIONAL, septets};
use crate::message::gsm7;

/// The octets of a time.
const TIME: usize = 7;

/// The bit of a first octet that says that the text begins with a header.
const HEADER: u8 = 0b0100_0000;

/// A PDU that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::provider::modem) enum Received {
    /// Somebody wrote.
    Reply(Reply),
    /// The network reports on what was sent.
    Report(StatusReport),
}

/// A text that somebody sent.
///
/// `Debug` shows neither number nor text.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::provider::modem) struct Reply {
    /// The sender: a number with `+`, or digits or a name as the network has it.
    pub(in crate::provider::modem) from: String,
    /// The text; `None` if it is data, or a segment of a longer one.
    pub(in crate::provider::modem) text: Option<String>,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").finish_non_exhaustive()
    }
}

/// What became of one segment.
///
/// `Debug` shows no number.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::provider::modem) struct StatusReport {
    /// The modem's number of the segment, which repeats after 256.
    pub(in crate::provider::modem) reference: u8,
    /// The recipient.
    pub(in crate::provider::modem) to: String,
    /// TP-Status.
    pub(in crate::provider::modem) status: u8,
}

impl fmt::Debug for StatusReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusReport")
            .field("reference", &self.reference)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Why a text is no PDU that this reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::provider::modem) enum PduError {
    /// Something else than pairs of hexadecimal digits.
    #[error("it is not hexadecimal")]
    Hex,
    /// It ends too early.
    #[error("it ends too early")]
    Short,
    /// Neither a reply nor a report.
    #[error("it is neither a message nor a status report")]
    Kind,
}

impl Received {
    /// Reads a PDU in hexadecimal digits, with the address of the service centre in front.
    pub(in crate::provider::modem) fn parse(hex: &str) -> Result<Self, PduError> {
        let octets = octets(hex.trim())?;
        let mut rest = Rest(&octets);
        let centre = rest.octet()?;
        rest.take(usize::from(centre))?;
        let first = rest.octet()?;
        match first & 0b11 {
            0b00 => reply(first, rest).map(Self::Reply),
            0b10 => report(rest).map(Self::Report),
            _ => Err(PduError::Kind),
        }
    }
}

fn report(mut rest: Rest<'_>) -> Result<StatusReport, PduError> {
    let reference = rest.octet()?;
    let to = rest.address()?;
    rest.take(2 * TIME)?;
    let status = rest.octet()?;
    Ok(StatusReport {
        reference,
        to,
        status,
    })
}

fn reply(first: u8, mut rest: Rest<'_>) -> Result<Reply, PduError> {
    let from = rest.address()?;
    let _protocol = rest.octet()?;
    let coding = rest.octet()?;
    rest.take(TIME)?;
    let length = usize::from(rest.octet()?);
    let data = rest.0;
    let (header, is_segment) = if first & HEADER == 0 {
        (0, false)
    } else {
        let header = usize::from(*data.first().ok_or(PduError::Short)?) + 1;
        let elements = data.get(1..header).ok_or(PduError::Short)?;
        (header, is_of_several(elements))
    };
    let text = match Alphabet::of(coding) {
        _ if is_segment => None,
        Alphabet::Gsm7 => {
            let septets_of_header = (header * 8).div_ceil(7);
            let fill = septets_of_header * 7 - header * 8;
            let many = length.saturating_sub(septets_of_header);
            Some(gsm7::text(&septets::unpack(&data[header..], fill, many)))
        }
        Alphabet::Ucs2 => {
            let end = length.clamp(header, data.len());
            let units = data[header..end].chunks_exact(2);
            let units: Vec<u16> = units.map(|u| u16::from_be_bytes([u[0], u[1]])).collect();
            Some(String::from_utf16_lossy(&units))
        }
        Alphabet::Data => None,
    };
    Ok(Reply { from, text })
}

/// Whether a header says that the text is a segment of several (elements 0 and 8).
fn is_of_several(mut elements: &[u8]) -> bool {
    while let [element, length, rest @ ..] = elements {
        let own = rest.get(..usize::from(*length)).unwrap_or(rest);
        let of = match element {
            0x00 => own.get(1),
            0x08 => own.get(2),
            _ => None,
        };
        if of.is_some_and(|of| *of > 1) {
            return true;
        }
        elements = &rest[own.len()..];
    }
    false
}

/// What a text is written in (3GPP TS 23.038, 4).
enum Alphabet {
    Gsm7,
    Ucs2,
    Data,
}

impl Alphabet {
    const fn of(coding: u8) -> Self {
        match (coding >> 4, (coding >> 2) & 0b11) {
            // Compressed, or of 8 bits.
            (0b0010 | 0b0011 | 0b0110 | 0b0111, _)
            | (0b0000..=0b0111, 0b01)
            | (0b1111, 0b01 | 0b11) => Self::Data,
            (0b0000..=0b0111, 0b10) | (0b1110, _) => Self::Ucs2,
            _ => Self::Gsm7,
        }
    }
}

fn octets(hex: &str) -> Result<Vec<u8>, PduError> {
    let digits: Option<Vec<u8>> = hex
        .chars()
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect();
    let digits = digits.ok_or(PduError::Hex)?;
    let pairs = digits.chunks_exact(2);
    if pairs.remainder().is_empty() {
        Ok(pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
    } else {
        Err(PduError::Hex)
    }
}

/// What has not been read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn octet(&mut self) -> Result<u8, PduError> {
        let (first, rest) = self.0.split_first().ok_or(PduError::Short)?;
        self.0 = rest;
        Ok(*first)
    }

    fn take(&mut self, many: usize) -> Result<&'a [u8], PduError> {
        let (taken, rest) = self.0.split_at_checked(many).ok_or(PduError::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    /// How many digits, the type, and the digits; a name is in septets.
    fn address(&mut self) -> Result<String, PduError> {
        /// The type of a name, without its plan.
        const NAME: u8 = 0b101;
        let digits = usize::from(self.octet()?);
        let kind = self.octet()?;
        let octets = self.take(digits.div_ceil(2))?;
        if (kind >> 4) & 0b111 == NAME {
            let septets = septets::unpack(octets, 0, digits * 4 / 7);
            return Ok(gsm7::text(&septets));
        }
        let halves = octets.iter().flat_map(|octet| [octet & 0xf, octet >> 4]);
        let halves = halves.take(digits);
        let plus = (kind == INTERNATIONAL).then_some('+');
        let digits = halves.filter_map(|half| match half {
            0..=9 => Some(char::from(b'0' + half)),
            0xa => Some('*'),
            0xb => Some('#'),
            _ => None,
        });
        Ok(plus.into_iter().chain(digits).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn hex(octets: &[u8]) -> String {
        octets.iter().fold(String::new(), |mut hex, octet| {
            let _ = write!(hex, "{octet:02X}");
            hex
        })
    }

    fn reply(hex: &str) -> (String, Option<String>) {
        match Received::parse(hex) {
            Ok(Received::Reply(Reply { from, text })) => (from, text),
            other => panic!("{other:?}"),
        }
    }

    /// The example of every description of the format.
    #[test]
    fn a_reply() {
        let hex = "07917283010010F5040BC87238880900F10000993092516195800AE8329BFD4697D9EC37";
        assert_eq!(
            reply(hex),
            ("27838890001".into(), Some("hellohello".into()))
        );
        let international = hex.replace("0BC8", "0B91");
        assert_eq!(reply(&international).0, "+27838890001");
        let lower = reply(&hex.to_lowercase()).1;
        assert_eq!(lower.as_deref(), Some("hellohello"));
    }

    #[test]
    fn a_reply_in_ucs_2_from_a_name_and_a_segment() {
        // From "Punctual", in UCS-2.
        let named =
            "0004 0ED0 D03A7B8C0ED7D8 00 08 99309251619580 06 043D04350442".replace(' ', "");
        let (from, text) = reply(&named);
        assert_eq!(text.as_deref(), Some("нет"));
        assert_eq!(from.chars().count(), 8, "{from}");
        // With a header that says 2 segments, which is no reply by itself.
        let segment =
            "0044 0B91 7238880900F1 00 00 99309251619580 0B 050003AB0201 A6E8".replace(' ', "");
        assert_eq!(reply(&segment).1, None);
        // With a header that says something else: STOP, after the seven septets of the header.
        let stop = septets::pack(&[0x53, 0x54, 0x4f, 0x50], 1);
        let stop = hex(&stop);
        let port = format!("0044 0B91 7238880900F1 00 00 99309251619580 0B 050003AB0101 {stop}");
        assert_eq!(reply(&port.replace(' ', "")).1.as_deref(), Some("STOP"));
    }

    #[test]
    fn a_report() {
        let hex = "0006 2A 0B91 7238880900F1 99309251619580 99309251619580 00".replace(' ', "");
        let report = StatusReport {
            reference: 0x2a,
            to: "+27838890001".into(),
            status: 0,
        };
        assert_eq!(Received::parse(&hex), Ok(Received::Report(report)));
    }

    #[test]
    fn what_is_no_pdu() {
        for (hex, expected) in [
            ("", PduError::Short),
            ("0", PduError::Hex),
            ("xyz0", PduError::Hex),
            ("0001", PduError::Kind),
            ("00062A", PduError::Short),
            ("0004FF91", PduError::Short),
            ("FF", PduError::Short),
        ] {
            assert_eq!(Received::parse(hex), Err(expected), "{hex}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_a_modem_says_is_a_panic(octets in prop::collection::vec(any::<u8>(), 0..180)) {
            let hex = hex(&octets).to_lowercase();
            let _ = Received::parse(&hex);
            let _ = Received::parse(&format!("0044{hex}"));
            let _ = Received::parse(&format!("00440B917238880900F10000{hex}"));
        }

        #[test]
        fn no_text_is_a_panic(text in "\\PC{0,80}") {
            let _ = Received::parse(&text);
        }
    }
}
