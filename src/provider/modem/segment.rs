//! A status report about one segment, as it is handed in: which attempt it is about is found in the database, because
//! the process that sent the message may have ended. Pure.

use std::fmt;

use super::reports::is_same;
use crate::message::{AttemptToken, Delivery, E164, LaneKey, MessageId, ProviderSid};
use crate::proof::{About, ProviderStatus, Report};

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

    /// What it says about the message of this attempt, if it can be about it: its recipient is the row's.
    pub fn about(
        &self,
        (message, token): (MessageId, AttemptToken),
        sid: &ProviderSid,
        to: &str,
    ) -> Option<Report> {
        let to: E164 = to.parse().ok()?;
        is_same(&to, &self.to).then(|| Report {
            lane: self.lane.clone(),
            about: About::Attempt { message, token },
            sid: sid.clone(),
            status: self.status.clone(),
            from: Some(self.from.clone()),
            to: Some(to.as_str().to_owned()),
        })
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
    fn a_report_is_about_a_message_to_its_recipient_and_delivers_it_with_the_last_segment() {
        let ids = (MessageId(Uuid::nil()), AttemptToken(Uuid::nil()));
        let sid = ProviderSid("default:262011234567890:16-17:0".into());
        for (shown, row, is) in [
            ("+4917612345678", "+4917612345678", true),
            ("017612345678", " +4917612345678", true),
            ("+4917612345678", "+4917612345679", false),
            // Of a recipient that was erased.
            ("+4917612345678", "", false),
        ] {
            let about = report(shown).about(ids, &sid, row);
            assert_eq!(about.is_some(), is, "{shown} {row}");
            let Some(about) = about else { continue };
            assert_eq!(about.to.as_deref(), Some("+4917612345678"));
            let delivery = |arrived| with_arrived(about.clone(), arrived).status.delivery;
            assert_eq!(
                (delivery(1), delivery(2)),
                (Delivery::Sent, Delivery::Delivered)
            );
        }
        assert_eq!(segments(&ProviderSid("eu:262:17:0".into())), 1);
        let shown = format!("{:?}", report("+4917612345678"));
        assert!(
            !shown.contains("4917612345678") && !shown.contains("262011"),
            "{shown}"
        );
    }
}
