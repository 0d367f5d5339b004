//! Which message a report is about.

use uuid::Uuid;

use super::*;

const IMSI: &str = "262011234567890";

fn accepted(n: u128, to: &str, references: &[u8]) -> Accepted {
    Accepted {
        message: MessageId(Uuid::from_u128(n)),
        token: AttemptToken(Uuid::from_u128(n)),
        to: to.parse().unwrap(),
        references: references.to_vec(),
    }
}

/// Message `n` is accepted in hour `n`.
fn at(n: u128) -> Moment {
    Moment::from_micros(i64::try_from(n).unwrap() * 3_600_000_000)
}

fn expect(reports: &mut Reports, n: u128, to: &str, references: &[u8]) {
    let accepted = accepted(n, to, references);
    let sid = accepted.sid("default", IMSI);
    reports.expect(accepted, at(n), sid, IMSI);
}

/// Which message, and how far it has come.
fn says(
    reports: &mut Reports,
    reference: u8,
    to: &str,
    status: u8,
) -> Option<(u128, &'static str)> {
    let (said, recording) = matched(reports, reference, to, status)?;
    if let Some(recording) = recording {
        reports.recorded(&recording);
    }
    Some(said)
}

fn matched(
    reports: &mut Reports,
    reference: u8,
    to: &str,
    status: u8,
) -> Option<((u128, &'static str), Option<Recording>)> {
    of(reports, reference, to, status, None)
}

fn of(
    reports: &mut Reports,
    reference: u8,
    to: &str,
    status: u8,
    sent_at: Option<Moment>,
) -> Option<((u128, &'static str), Option<Recording>)> {
    let report = StatusReport {
        reference,
        to: to.to_owned(),
        sent_at,
        status,
    };
    let Match::Message(Matched { report, recording }) = reports.matched(IMSI, &report, "Modem")
    else {
        return None;
    };
    let About::Attempt { message, .. } = report.about else {
        panic!("{report:?}")
    };
    let stage = report.status.delivery.stage().as_str();
    Some(((message.0.as_u128(), stage), recording))
}

#[test]
fn the_id_has_the_account_the_sim_the_numbers_and_the_attempt() {
    let sid = accepted(7, "+4917612345678", &[17]).sid("eu", IMSI);
    let expected = "eu:262011234567890:17:00000000000000000000000000000007";
    assert_eq!(sid.0, expected);
    let sid = accepted(7, "+4917612345678", &[255, 0, 1]).sid("default", IMSI);
    assert!(sid.0.starts_with("default:262011234567890:255-0-1:"));
    for (sid, is) in [
        (&*sid.0, true),
        (expected, true),
        (&expected[3..], false),
        ("eu:262011234567890:17:7", false),
        (
            "eu:262011234567890::00000000000000000000000000000007",
            false,
        ),
        ("eu:sim:17:00000000000000000000000000000007", false),
    ] {
        assert_eq!(is_message_sid(sid), is, "{sid}");
    }
}

#[test]
fn a_report_is_about_the_newest_one_to_its_recipient() {
    let mut reports = Reports::default();
    expect(&mut reports, 1, "+4917612345678", &[17]);
    expect(&mut reports, 2, "+4917699999999", &[17]);
    expect(&mut reports, 3, "+4917612345678", &[17]);
    assert_eq!(says(&mut reports, 17, "+4917612345679", 0), None);
    assert_eq!(says(&mut reports, 18, "+4917612345678", 0), None);
    assert_eq!(
        says(&mut reports, 17, "+4917612345678", 0x30),
        Some((3, "sent"))
    );
    assert_eq!(
        says(&mut reports, 17, "017612345678", 0),
        Some((3, "delivered"))
    );
    // A repetition is not about the older one; by its time one is.
    assert_eq!(says(&mut reports, 17, "+4917612345678", 0), None);
    let said = of(&mut reports, 17, "+4917612345678", 0x46, Some(at(3)));
    assert!(said.is_none());
    let said = of(&mut reports, 17, "+4917612345678", 0x46, Some(at(1)));
    assert_eq!(said.unwrap().0, (1, "undelivered"));
    assert_eq!(
        says(&mut reports, 17, "+4917699999999", 0),
        Some((2, "delivered"))
    );
    expect(&mut reports, 4, "+4917612345678", &[17]);
    let other_sim = StatusReport {
        reference: 17,
        to: "+4917612345678".into(),
        sent_at: None,
        status: 0,
    };
    let matched = reports.matched("262019999999999", &other_sim, "Modem");
    assert!(matches!(matched, Match::None));
}

#[test]
fn a_long_message_is_delivered_with_its_last_segment_and_lost_with_one() {
    let mut reports = Reports::default();
    let to = "+4917612345678";
    expect(&mut reports, 1, to, &[254, 255, 0]);
    assert_eq!(says(&mut reports, 0, to, 0), Some((1, "sent")));
    assert_eq!(says(&mut reports, 0, to, 0), None);
    assert_eq!(says(&mut reports, 254, to, 0), Some((1, "sent")));
    assert_eq!(says(&mut reports, 255, to, 0), Some((1, "delivered")));
    expect(&mut reports, 2, to, &[1, 2]);
    assert_eq!(says(&mut reports, 1, to, 0x63), Some((2, "undelivered")));
    assert_eq!(says(&mut reports, 2, to, 0), Some((2, "sent")));
    assert_eq!(says(&mut reports, 2, to, 0), None);
}

#[test]
fn what_is_waited_for_is_bounded() {
    let mut reports = Reports::default();
    for n in 0..=MESSAGES_MAX {
        expect(&mut reports, n as u128, "+4917612345678", &[7]);
    }
    assert_eq!(reports.messages.len(), MESSAGES_MAX);
    // The oldest is forgotten; but first one whose report has come, which is then not waited for again.
    let to = "+4917612345678";
    let (last, undo) = matched(&mut reports, 7, to, 0).unwrap();
    assert_eq!(last, (MESSAGES_MAX as u128, "delivered"));
    expect(&mut reports, 9999, to, &[8]);
    reports.reopen(&undo.unwrap());
    assert_eq!(reports.messages.len(), MESSAGES_MAX);
    let before = MESSAGES_MAX as u128 - 1;
    let (said, _) = of(&mut reports, 7, to, 0, Some(at(before))).unwrap();
    assert_eq!(said, (before, "delivered"));
    assert_eq!(reports.messages[0].number, 2);
}

#[test]
fn a_report_that_could_not_be_recorded_is_waited_for_again_in_its_place() {
    let mut reports = Reports::default();
    let to = "+4917612345678";
    expect(&mut reports, 1, to, &[17]);
    expect(&mut reports, 2, to, &[17]);
    expect(&mut reports, 3, to, &[18, 19]);
    for status in [0, 0x46] {
        let (first, undo) = matched(&mut reports, 17, to, status).unwrap();
        reports.reopen(&undo.unwrap());
        let (again, undo) = matched(&mut reports, 17, to, status).unwrap();
        assert_eq!((first.0, again), (2, first));
        reports.reopen(&undo.unwrap());
    }
    // Two of one message, whichever of them is reopened first.
    for is_reverse in [false, true] {
        let (said, first) = matched(&mut reports, 18, to, 0).unwrap();
        assert_eq!(said, (3, "sent"));
        let (said, second) = matched(&mut reports, 19, to, 0).unwrap();
        assert_eq!(said, (3, "delivered"));
        let mut both = [first.unwrap(), second.unwrap()];
        if is_reverse {
            both.reverse();
        }
        for undo in &both {
            reports.reopen(undo);
        }
    }
    // One of two: the other one is recorded.
    let (_, undo) = matched(&mut reports, 18, to, 0).unwrap();
    assert_eq!(says(&mut reports, 19, to, 0), Some((3, "delivered")));
    reports.reopen(&undo.unwrap());
    assert_eq!(says(&mut reports, 18, to, 0), Some((3, "delivered")));
    // The other one did not arrive: neither does the message, in whichever order they are recorded.
    expect(&mut reports, 4, to, &[20, 21]);
    let (_, undo) = matched(&mut reports, 20, to, 0).unwrap();
    let (said, lost) = matched(&mut reports, 21, to, 0x46).unwrap();
    assert_eq!(said, (4, "undelivered"));
    reports.reopen(&undo.unwrap());
    assert_eq!(says(&mut reports, 20, to, 0), Some((4, "sent")));
    reports.reopen(&lost.unwrap());
    assert_eq!(says(&mut reports, 21, to, 0), Some((4, "delivered")));
    // What is no end closes nothing.
    let (_, undo) = matched(&mut reports, 17, to, 0x30).unwrap();
    assert!(undo.is_none());
    assert_eq!(says(&mut reports, 17, to, 0), Some((2, "delivered")));
    assert_eq!(says(&mut reports, 17, to, 0), None);
}

#[test]
fn what_repeats_a_report_that_is_being_recorded_is_kept_until_that_is_done() {
    let mut reports = Reports::default();
    let to = "+4917612345678";
    expect(&mut reports, 1, to, &[17]);
    expect(&mut reports, 2, to, &[17]);
    let report = StatusReport {
        reference: 17,
        to: to.to_owned(),
        sent_at: None,
        status: 0,
    };
    let (said, recording) = matched(&mut reports, 17, to, 0).unwrap();
    assert_eq!(said, (2, "delivered"));
    // Neither is it about the older one, nor about none, which would be acknowledged at once.
    let repeated = reports.matched(IMSI, &report, "Modem");
    assert!(matches!(repeated, Match::BeingRecorded));
    reports.reopen(&recording.unwrap());
    let (said, recording) = matched(&mut reports, 17, to, 0).unwrap();
    assert_eq!(said, (2, "delivered"));
    reports.recorded(&recording.unwrap());
    let repeated = reports.matched(IMSI, &report, "Modem");
    assert!(matches!(repeated, Match::None));
}
