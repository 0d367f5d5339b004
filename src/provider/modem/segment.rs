//! A status report about one segment, as it is handed in: which attempt it is about is found in the database, because
//! the process that sent the message may have ended. Pure.

use std::fmt;
use std::time::Duration;

use super::reports::is_same;
use crate::message::{AttemptToken, Delivery, E164, LaneKey, MessageId, Moment, ProviderSid};
use crate::proof::{About, ProviderStatus, Report};

/// By how much the clock of a service centre may be behind, for a report to be about an attempt rather than about an
/// older one with the same number.
const CLOCK_BEHIND: Duration = Duration::from_secs(2 * 60);

/// How much later than its claim a segment is taken, with the clock of a service centre ahead.
const TAKEN_WITHIN: Duration = Duration::from_secs(15 * 60);

/// By how much a service centre's clock may be wrong at all: some have that of another zone.
const CLOCK_WRONG: Duration = Duration::from_secs(15 * 3600);

/// How the time of a report fits an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    /// The service centre took the segment when the attempt was made.
    Near,
    /// It may have, by a clock that is wrong.
    Far,
    /// It is about another attempt.
    Not,
}

/// `sent_at`: when the service centre took the segment, if it says so.
fn fit(sent_at: Option<Moment>, attempt_at: Moment) -> Fit {
    let Some(sent_at) = sent_at else {
        return Fit::Far;
    };
    let (after, before) = (sent_at.since(attempt_at), attempt_at.since(sent_at));
    if after <= TAKEN_WITHIN && before <= CLOCK_BEHIND {
        Fit::Near
    } else if after.max(before) <= CLOCK_WRONG {
        Fit::Far
    } else {
        Fit::Not
    }
}

/// Which of these attempts with the number of a segment its report is about. Each has the time at which it was made and
/// its recipient, if that is known still; the newest comes first. It is the newest whose time fits, whether its end is
/// known or not: a report that repeats that end must not count for an older attempt. `to`: the recipient as the network
/// has it.
pub(super) fn reported<'a>(
    sent_at: Option<Moment>,
    to: &str,
    attempts: impl Iterator<Item = (Moment, Option<&'a E164>)>,
) -> Option<usize> {
    let mut far = None;
    for (n, (at, own)) in attempts.enumerate() {
        if own.is_some_and(|own| !is_same(own, to)) {
            continue;
        }
        match fit(sent_at, at) {
            Fit::Near => return Some(n),
            Fit::Far if own.is_some() => far = far.or(Some(n)),
            Fit::Far | Fit::Not => {}
        }
    }
    far
}

/// A report about a segment.
///
/// `Debug` shows no number.
#[derive(Clone, PartialEq, Eq)]
pub struct SegmentReport {
    /// The account and channel by which it came.
    pub lane: LaneKey,
    /// The account and the SIM, as the ids of its messages begin.
    pub sim: String,
    /// The modem's number of the segment, which repeats after 256.
    pub reference: u8,
    /// The recipient, as the network has it.
    pub to: String,
    /// When the service centre took the segment, by its clock.
    pub sent_at: Option<Moment>,
    /// The sender of the modem's messages.
    pub from: String,
    /// What became of the segment.
    pub status: ProviderStatus,
    /// What it says about its message, where this process has sent it.
    pub known: Option<Report>,
}

impl fmt::Debug for SegmentReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentReport")
            .field("reference", &self.reference)
            .field("status", &self.status)
            .field("known", &self.known)
            .finish_non_exhaustive()
    }
}

impl SegmentReport {
    /// Whether the segment has arrived.
    pub fn has_arrived(&self) -> bool {
        self.status.delivery == Delivery::Delivered
    }

    /// Which of these attempts of its SIM with its number it is about. Each has the time of its claim and the recipient
    /// as the row has it, if there is a row; the newest comes first.
    pub fn is_about<'a>(
        &self,
        attempts: impl Iterator<Item = (Moment, Option<&'a str>)>,
    ) -> Option<usize> {
        let parsed = |to: Option<&str>| to.and_then(|to| to.parse::<E164>().ok());
        let attempts: Vec<_> = attempts.map(|(at, to)| (at, parsed(to))).collect();
        let attempts = attempts.iter().map(|(at, to)| (*at, to.as_ref()));
        reported(self.sent_at, &self.to, attempts)
    }

    /// What it says about the message of this attempt.
    pub fn about(
        &self,
        (message, token): (MessageId, AttemptToken),
        sid: &ProviderSid,
        to: &str,
    ) -> Report {
        Report {
            lane: self.lane.clone(),
            about: About::Attempt { message, token },
            sid: sid.clone(),
            status: self.status.clone(),
            from: Some(self.from.clone()),
            to: Some(to.trim().to_owned()),
        }
    }
}

/// How many segments a message has, by its id.
pub fn segments(sid: &ProviderSid) -> usize {
    // The account comes first.
    sid.0
        .rsplit(':')
        .nth(1)
        .unwrap_or_default()
        .split('-')
        .count()
}

/// What is known of a message of which only some segments have arrived.
pub(super) const IN_PART: ProviderStatus = ProviderStatus {
    delivery: Delivery::Sent,
    word: "delivered in part",
    code: None,
    error: None,
};

/// What is known of a message of which so many segments have arrived, if this is the report about one of them.
pub fn with_arrived(report: Report, arrived: usize) -> Report {
    if arrived < segments(&report.sid) {
        let status = IN_PART;
        return Report { status, ..report };
    }
    report
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn report(to: &str) -> SegmentReport {
        SegmentReport {
            lane: LaneKey::default(),
            sim: "default:262011234567890".into(),
            reference: 17,
            to: to.into(),
            sent_at: None,
            from: "Modem".into(),
            status: ProviderStatus {
                delivery: Delivery::Delivered,
                word: "delivered",
                code: None,
                error: None,
            },
            known: None,
        }
    }

    #[test]
    fn a_message_is_delivered_with_its_last_segment() {
        let ids = (MessageId(Uuid::nil()), AttemptToken(Uuid::nil()));
        let sid = ProviderSid("default:262011234567890:16-17:0".into());
        let about = report("017612345678").about(ids, &sid, " +4917612345678");
        assert_eq!(about.to.as_deref(), Some("+4917612345678"));
        let delivery = |arrived| with_arrived(about.clone(), arrived).status.delivery;
        assert_eq!(
            (delivery(1), delivery(2)),
            (Delivery::Sent, Delivery::Delivered)
        );
        assert_eq!(segments(&ProviderSid("eu:262:17:0".into())), 1);
        let shown = format!("{:?}", report("+4917612345678"));
        assert!(
            !shown.contains("4917612345678") && !shown.contains("262011"),
            "{shown}"
        );
    }

    #[test]
    fn a_report_is_about_the_newest_attempt_to_its_recipient_whose_time_fits() {
        const TO: &str = "+4917612345678";
        const HOUR: i64 = 3600;
        let at = |seconds: i64| Moment::from_micros(seconds * 1_000_000);
        let newest = 100 * HOUR;
        // The newest first: to another, to this one, of a row that is gone, to this one, long ago.
        let attempts = [
            (newest + 60, Some("+4917699999999")),
            (newest, Some(TO)),
            (newest - HOUR, None),
            (newest - 2 * HOUR, Some(TO)),
            (newest - 80 * HOUR, Some(TO)),
        ];
        let about = |shown: &str, sent_at: Option<i64>| {
            let sent_at = sent_at.map(at);
            let report = SegmentReport {
                sent_at,
                ..report(shown)
            };
            report.is_about(attempts.iter().map(|(own, to)| (at(*own), *to)))
        };
        for (sent_at, expected) in [
            // The service centre gives no time.
            (None, Some(1)),
            (Some(newest + 5), Some(1)),
            (Some(newest - 60), Some(1)),
            (Some(newest - HOUR + 5), Some(2)),
            (Some(newest - 2 * HOUR + 5), Some(3)),
            // Its clock has another zone.
            (Some(newest + 10 * HOUR), Some(1)),
            (Some(newest - 12 * HOUR), Some(1)),
            (Some(newest - 80 * HOUR + 5), Some(4)),
            // It is about none of them.
            (Some(newest - 30 * HOUR), None),
            (Some(newest + 20 * HOUR), None),
        ] {
            assert_eq!(about(TO, sent_at), expected, "{sent_at:?}");
            assert_eq!(about("017612345678", sent_at), expected, "{sent_at:?}");
        }
        assert_eq!(about("+4917699999999", None), Some(0));
        assert_eq!(about("+4917611111111", Some(newest)), None);
    }
}
