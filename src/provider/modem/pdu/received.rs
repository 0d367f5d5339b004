//! What a modem receives: SMS-DELIVER, a reply; and SMS-STATUS-REPORT, what became of a message.

use std::fmt;

use chrono::{NaiveDate, TimeDelta};

use super::{INTERNATIONAL, septets};
use crate::message::{Moment, gsm7};

/// The octets of a time.
const TIME: usize = 7;

/// The bit of a time's zone that says that it is behind UTC.
const WEST: u8 = 0b0000_1000;

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
    /// The text; `None` if it is data.
    pub(in crate::provider::modem) text: Option<String>,
    /// Whether it is a segment of a longer one.
    pub(in crate::provider::modem) is_segment: bool,
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
    /// When the service centre took it, by its clock; `None`: it gives no time.
    pub(in crate::provider::modem) sent_at: Option<Moment>,
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
    let sent_at = moment(rest.take(TIME)?);
    let _ended_at = rest.take(TIME)?;
    let status = rest.octet()?;
    Ok(StatusReport {
        reference,
        to,
        sent_at,
        status,
    })
}

/// A time (9.2.3.11): two digits each of year, month, day, hour, minute, second, the lower half first, and the zone in
/// quarters of an hour, whose bit 3 is its sign.
fn moment(octets: &[u8]) -> Option<Moment> {
    let digits = |octet: u8| {
        let (tens, ones) = (octet & 0xf, octet >> 4);
        (tens < 10 && ones < 10).then_some(u32::from(tens * 10 + ones))
    };
    let [year, month, day, hour, minute, second, zone] = *octets else {
        return None;
    };
    let year = i32::try_from(digits(year)?).ok()? + 2000;
    let date = NaiveDate::from_ymd_opt(year, digits(month)?, digits(day)?)?;
    let local = date.and_hms_opt(digits(hour)?, digits(minute)?, digits(second)?)?;
    let quarters = i64::from(digits(zone & !WEST)?);
    let ahead = TimeDelta::minutes(if zone & WEST == 0 {
        15 * quarters
    } else {
        -15 * quarters
    });
    Some(Moment::from((local - ahead).and_utc()))
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
    Ok(Reply {
        from,
        text,
        is_segment,
    })
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
mod tests;
