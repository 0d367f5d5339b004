//! Replies and reports, and what is neither.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
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
        Ok(Received::Reply(Reply {
            from,
            text,
            is_segment,
        })) => (from, text.filter(|_| !is_segment)),
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
    let named = "0004 0ED0 D03A7B8C0ED7D8 00 08 99309251619580 06 043D04350442".replace(' ', "");
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
    // The zone is two hours ahead of UTC; years are of this century.
    let sent_at: DateTime<Utc> = "2099-03-29T13:16:59Z".parse().unwrap();
    let report = StatusReport {
        reference: 0x2a,
        to: "+27838890001".into(),
        sent_at: Some(sent_at.into()),
        status: 0,
    };
    assert_eq!(Received::parse(&hex), Ok(Received::Report(report)));
}

#[test]
fn the_time_of_a_report_has_the_zone_of_its_service_centre() {
    for (time, expected) in [
        ("62110341153000", Some("2026-11-30T14:51:03Z")),
        ("62110341153080", Some("2026-11-30T12:51:03Z")),
        // Eight quarters behind UTC.
        ("62110341153088", Some("2026-11-30T16:51:03Z")),
        ("00000000000000", None),
        ("62310341153000", None),
        ("62110341153F00", None),
        ("FFFFFFFFFFFFFF", None),
    ] {
        let expected = expected.map(|text| text.parse::<DateTime<Utc>>().unwrap().into());
        assert_eq!(moment(&octets(time).unwrap()), expected, "{time}");
    }
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
