//! Which attempt a status report is about. It has the modem's number of the segment, which repeats after 256, and the
//! recipient. Pure.

use std::collections::VecDeque;

use super::codes;
use super::pdu::StatusReport;
use super::segment::{IN_PART, reported};
use crate::message::{AttemptToken, E164, LaneKey, MessageId, Moment, ProviderSid};
use crate::proof::{About, ProviderStatus, Report};

/// The most messages that are kept. Beyond it the oldest is forgotten: of those whose reports have all come, or else of
/// all, and then it stays `sent`.
const MESSAGES_MAX: usize = 4096;

/// The fewest digits of a number in its national form.
const NATIONAL_MIN: usize = 6;

/// A message that the network accepted.
#[derive(Clone)]
pub(super) struct Accepted {
    pub(super) message: MessageId,
    pub(super) token: AttemptToken,
    pub(super) to: E164,
    /// The modem's numbers of its segments.
    pub(super) references: Vec<u8>,
}

impl Accepted {
    /// The provider's id of it: the account, the SIM, the modem's numbers, the attempt.
    pub(super) fn sid(&self, account: &str, imsi: &str) -> ProviderSid {
        let numbers: Vec<String> = self.references.iter().map(u8::to_string).collect();
        let (numbers, attempt) = (numbers.join("-"), self.token.0.simple());
        ProviderSid(format!("{}:{numbers}:{attempt}", sim(account, imsi)))
    }

    /// A report about it.
    fn report(
        &self,
        lane: LaneKey,
        sid: ProviderSid,
        from: &str,
        status: ProviderStatus,
    ) -> Report {
        Report {
            lane,
            about: About::Attempt {
                message: self.message,
                token: self.token,
            },
            sid,
            status,
            from: Some(from.to_owned()),
            to: Some(self.to.as_str().to_owned()),
        }
    }
}

/// The account and the SIM, as the ids of its messages begin.
pub(super) fn sim(account: &str, imsi: &str) -> String {
    format!("{account}:{imsi}")
}

/// Whether a text has the form of the ids that a modem gives its messages.
pub fn is_message_sid(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    // The account comes first, and may contain any character.
    let mut parts = text.rsplitn(4, ':');
    let is = parts.next().is_some_and(|attempt| {
        attempt.len() == 32 && attempt.bytes().all(|b| b.is_ascii_hexdigit())
    });
    let is = is
        && parts
            .next()
            .is_some_and(|numbers| numbers.split('-').all(is_number));
    is && parts.next().is_some_and(is_number) && parts.next().is_some()
}

/// The messages that reports can be about, the newest last.
#[derive(Default)]
pub(super) struct Reports {
    /// The account and channel of them all.
    lane: LaneKey,
    messages: VecDeque<Waiting>,
    /// How many have been waited for.
    count: u64,
}

struct Waiting {
    /// Its place in the order.
    number: u64,
    accepted: Accepted,
    /// When the network accepted it, by this machine's clock.
    at: Moment,
    sid: ProviderSid,
    /// The SIM that sent it.
    imsi: String,
    /// The modem's numbers of the segments that no report has ended.
    open: Vec<u8>,
    /// Those whose last report is being recorded.
    recording: Vec<u8>,
    /// How many of those that are not open did not arrive.
    failed: usize,
}

/// What a report is about.
#[expect(
    clippy::large_enum_variant,
    reason = "it is matched where it is returned, and never kept"
)]
pub(super) enum Match {
    /// A message, and what the report says about it.
    Message(Matched),
    /// A segment whose last report is being recorded: this one repeats it, and is needed if that fails.
    BeingRecorded,
    /// No message that is waited for here: one of an earlier process, or whose end is recorded.
    None,
}

/// A report, and what it changed.
pub(super) struct Matched {
    pub(super) report: Report,
    /// `None`: nothing.
    pub(super) recording: Option<Recording>,
}

/// A segment whose last report is being recorded.
pub(super) struct Recording {
    /// The message's place in the order.
    number: u64,
    reference: u8,
    is_failed: bool,
}

impl Reports {
    /// For the messages of this lane.
    pub(super) fn of(lane: LaneKey) -> Self {
        Self {
            lane,
            ..Self::default()
        }
    }

    /// Their lane.
    pub(super) fn lane(&self) -> LaneKey {
        self.lane.clone()
    }

    /// That the provider has this message, whatever becomes of it.
    pub(super) fn taken(&self, accepted: &Accepted, sid: ProviderSid, from: &str) -> Report {
        accepted.report(self.lane.clone(), sid, from, ProviderStatus::TAKEN)
    }

    /// Waits for the reports of this one.
    pub(super) fn expect(&mut self, accepted: Accepted, at: Moment, sid: ProviderSid, imsi: &str) {
        if self.messages.len() == MESSAGES_MAX {
            let ended = self.messages.iter().position(|own| own.open.is_empty());
            self.messages.remove(ended.unwrap_or(0));
        }
        self.count += 1;
        self.messages.push_back(Waiting {
            number: self.count,
            open: accepted.references.clone(),
            recording: Vec::new(),
            accepted,
            at,
            sid,
            imsi: imsi.to_owned(),
            failed: 0,
        });
    }

    /// What a report of this SIM says about the newest message that it can be about, by its number, its recipient and
    /// its time. A message is delivered once all of its segments are, and did not arrive if one of them did not.
    pub(super) fn matched(&mut self, imsi: &str, report: &StatusReport, from: &str) -> Match {
        let Some(status) = codes::status(report.status) else {
            return Match::None;
        };
        let number = &report.reference;
        let has_number = |waiting: &&mut Waiting| {
            waiting.imsi == imsi && waiting.accepted.references.contains(number)
        };
        let all = self.messages.iter_mut().rev().filter(has_number);
        let mut all: Vec<&mut Waiting> = all.collect();
        let times = all.iter().map(|own| (own.at, Some(&own.accepted.to)));
        let about = reported(report.sent_at, &report.to, times);
        let Some(waiting) = about.and_then(|n| all.get_mut(n)) else {
            return Match::None;
        };
        if waiting.recording.contains(number) {
            return Match::BeingRecorded;
        }
        if !waiting.open.contains(number) {
            return Match::None;
        }
        let is_end = status.delivery.stage().is_final();
        let is_failed = status.delivery.failure().is_some();
        if is_end {
            waiting.open.retain(|open| open != number);
            waiting.recording.push(*number);
            waiting.failed += usize::from(is_failed);
        }
        let is_all = waiting.open.is_empty() && waiting.failed == 0;
        let status = if is_end && !is_failed && !is_all {
            IN_PART
        } else {
            status
        };
        let (of, lane) = (&waiting.accepted, self.lane.clone());
        let said = of.report(lane, waiting.sid.clone(), from, status);
        let recording = is_end.then_some(Recording {
            number: waiting.number,
            reference: report.reference,
            is_failed,
        });
        let report = said;
        Match::Message(Matched { report, recording })
    }

    /// The report of a segment is recorded.
    pub(super) fn recorded(&mut self, done: &Recording) {
        self.end(done);
    }

    /// Waits again for a report that could not be recorded: it comes once more.
    pub(super) fn reopen(&mut self, failed: &Recording) {
        if let Some(waiting) = self.end(failed) {
            waiting.open.push(failed.reference);
            waiting.failed -= usize::from(failed.is_failed);
        }
    }

    /// The message may be forgotten by now.
    fn end(&mut self, recording: &Recording) -> Option<&mut Waiting> {
        let mut messages = self.messages.iter_mut();
        let waiting = messages.find(|own| own.number == recording.number)?;
        waiting.recording.retain(|own| *own != recording.reference);
        Some(waiting)
    }
}

/// Whether a network's form of a number is this one. Some give it in its national form.
pub(super) fn is_same(to: &E164, shown: &str) -> bool {
    if shown.starts_with('+') {
        return to.as_str() == shown;
    }
    let own = shown.trim_start_matches('0');
    own.len() >= NATIONAL_MIN && to.as_str().ends_with(own)
}

/// A sender's number as rows have it, which an opt-out has to equal; `None`: it has no country, or is a name.
pub(super) fn international(from: &str) -> Option<String> {
    if from.starts_with('+') {
        return Some(from.to_owned());
    }
    let number = format!("+{}", from.strip_prefix("00")?);
    let number: E164 = number.parse().ok()?;
    Some(number.as_str().to_owned())
}

#[cfg(test)]
mod tests;
