//! PDUs as the network has them: reads SMS-SUBMIT, writes SMS-DELIVER and SMS-STATUS-REPORT.

use std::time::SystemTime;

use chrono::{DateTime, Utc};

/// A segment that was submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) to: String,
    pub(crate) wants_report: bool,
    pub(crate) text: String,
    /// Reference, how many, which.
    pub(crate) of: Option<[u8; 3]>,
}

pub(crate) fn octets(hex: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| {
        char::from(b)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let pairs = hex.as_bytes().chunks(2);
    pairs
        .map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?))
        .collect()
}

/// Reads a submit whose length without the service centre was announced; `None`: it is none.
pub(crate) fn submit(hex: &str, announced: usize) -> Option<Segment> {
    let all = octets(hex)?;
    let centre = usize::from(*all.first()?);
    let pdu = all.get(centre + 1..)?;
    if pdu.len() != announced || pdu.first()? & 0b11 != 0b01 {
        return None;
    }
    let digits = usize::from(*pdu.get(2)?);
    let end = 4 + digits.div_ceil(2);
    let number: String = pdu
        .get(4..end)?
        .iter()
        .flat_map(|octet| [octet & 0xf, octet >> 4])
        .take(digits)
        .map(|digit| char::from(b'0' + digit))
        .collect();
    let [_pid, coding, _validity, length, data @ ..] = pdu.get(end..)? else {
        return None;
    };
    let has_header = pdu[0] & 0b0100_0000 != 0;
    let of = has_header.then(|| [data[3], data[4], data[5]]);
    let text = if *coding == 0 {
        let skipped = if has_header { 7 } else { 0 };
        let bit = |n: usize| data.get(n / 8).map_or(0, |octet| octet >> (n % 8) & 1);
        let codes: Vec<u8> = (skipped..usize::from(*length))
            .map(|septet| (0..7).map(|n| bit(septet * 7 + n) << n).sum())
            .collect();
        punctual::message::gsm7::text(&codes)
    } else {
        let data = &data[if has_header { 6 } else { 0 }..usize::from(*length)];
        let units: Vec<u16> = data
            .chunks_exact(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
            .collect();
        String::from_utf16(&units).ok()?
    };
    Some(Segment {
        to: format!("+{number}"),
        wants_report: pdu[0] & 0b0010_0000 != 0,
        text,
        of,
    })
}

fn address(number: &str) -> String {
    let digits: Vec<char> = number.trim_start_matches('+').chars().collect();
    let pairs: String = digits
        .chunks(2)
        .flat_map(|pair| [pair.get(1).copied().unwrap_or('F'), pair[0]])
        .collect();
    let kind = if number.starts_with('+') { "91" } else { "81" };
    format!("{:02X}{kind}{pairs}", digits.len())
}

/// A reply in UCS-2, at a second of its own.
pub(crate) fn deliver(from: &str, text: &str, second: u8) -> String {
    let units: Vec<String> = text
        .encode_utf16()
        .map(|unit| format!("{unit:04X}"))
        .collect();
    let data = units.concat();
    let (from, length) = (address(from), data.len() / 2);
    format!(
        "0004{from}00086211129100{}{}00{length:02X}{data}",
        second % 10,
        second / 10
    )
}

/// What became of a segment that was taken just now.
pub(crate) fn status_report(reference: u8, to: &str, status: u8) -> String {
    reported_at(reference, to, status, SystemTime::now())
}

/// The same of one that was taken then.
pub(crate) fn reported_at(reference: u8, to: &str, status: u8, taken: SystemTime) -> String {
    let (to, taken) = (address(to), time(taken));
    format!("0006{reference:02X}{to}{taken}{taken}{status:02X}")
}

/// Two digits each of year, month, day, hour, minute and second, the lower half first; in UTC.
fn time(at: SystemTime) -> String {
    let text = DateTime::<Utc>::from(at)
        .format("%y%m%d%H%M%S00")
        .to_string();
    let digits: Vec<char> = text.chars().collect();
    digits
        .chunks(2)
        .flat_map(|pair| [pair[1], pair[0]])
        .collect()
}
