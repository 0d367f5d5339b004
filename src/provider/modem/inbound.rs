//! What the modem receives: replies and status reports. Each is handed in to be recorded, and only then deleted from
//! the modem's memory, or acknowledged to the network.

use std::collections::{BTreeSet, VecDeque};

use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{mpsc, oneshot};

use super::at::Place;
use super::codes;
use super::pdu::{PduError, Received, StatusReport};
use super::replies;
use super::reports::{Accepted, Match, Matched, Recording, Reports, sim};
use super::segment::{SegmentReport, segments};
use super::session::{Broken, LIST_MAX, News};
use super::setup::{self, Ready};
use crate::clock;
use crate::message::{Channel, LaneKey, Moment, ProviderSid};
use crate::provider::{Callback, Heard};

/// What is done with what the modem received, once it is recorded.
enum Done {
    /// It is deleted from the modem's memory.
    Delete(Place),
    /// The network gets a confirmation that this has arrived, which it passed on directly. If it is not recorded, it is
    /// kept: not every network repeats it.
    Acknowledge(String),
    /// It was kept, and is no longer.
    Drop(String),
    /// There is nothing to do.
    Nothing,
}

/// What a PDU means.
enum Meaning {
    /// It is handed in to be recorded.
    Callback(Box<Callback>, Option<Recording>),
    /// It repeats what is being recorded, and is needed if that fails.
    BeingRecorded,
    /// Nothing that is used.
    Nothing,
}

/// What was handed in, and whether it is recorded.
pub(super) struct Recorded {
    done: Done,
    /// The segment whose last report it is.
    recording: Option<Recording>,
    has_succeeded: bool,
}

impl Recorded {
    /// There was nothing to record.
    const fn nothing(done: Done) -> Self {
        Self {
            done,
            recording: None,
            has_succeeded: true,
        }
    }
}

/// The most of what was passed on directly that is kept until it can be recorded. Beyond it the oldest is forgotten.
const KEPT_MAX: usize = 256;

/// What the modem has received and still keeps.
pub(super) struct Inbound {
    account: String,
    sender: String,
    heard: mpsc::Sender<Heard>,
    reports: Reports,
    /// What is being recorded.
    recordings: FuturesUnordered<BoxFuture<'static, Recorded>>,
    /// The places whose content is being recorded.
    taken: BTreeSet<Place>,
    /// What was passed on directly and could not be recorded. It is handed in again with each poll.
    kept: VecDeque<String>,
    /// Too much is to be recorded, which is logged already.
    is_full: bool,
}

impl Inbound {
    pub(super) fn new(account: String, sender: String, heard: mpsc::Sender<Heard>) -> Self {
        let lane = LaneKey::of(Channel::Sms).with_account(&account);
        Self {
            account,
            sender,
            heard,
            reports: Reports::of(lane),
            recordings: FuturesUnordered::new(),
            taken: BTreeSet::new(),
            kept: VecDeque::new(),
            is_full: false,
        }
    }

    /// Waits for the reports of a message, and returns its id.
    pub(super) fn expect(&mut self, ready: &Ready, accepted: Accepted) -> ProviderSid {
        let sid = accepted.sid(&self.account, &ready.imsi);
        let now = Moment::from_micros(clock::reading().real_us);
        self.reports.expect(accepted, now, sid.clone(), &ready.imsi);
        sid
    }

    /// Hands in that a message was accepted, whose outcome is uncertain because the answer came too late.
    pub(super) fn prove(&mut self, ready: &Ready, accepted: &Accepted) {
        let sid = accepted.sid(&self.account, &ready.imsi);
        let report = self.reports.taken(accepted, sid, &self.sender);
        self.pass_on(Callback::Report(report), Done::Nothing, None);
    }

    /// The next thing that was recorded, or could not be; `None`: nothing is being recorded. Cancel safe.
    pub(super) async fn next_recorded(&mut self) -> Option<Recorded> {
        self.recordings.next().await
    }

    /// Reads what the modem has received.
    pub(super) async fn take(&mut self, ready: &mut Ready, news: News) -> Result<(), Broken> {
        let (pdu, done) = match news {
            News::Direct(pdu) => (pdu.clone(), Done::Acknowledge(pdu)),
            News::Stored(place) if self.taken.contains(&place) => return Ok(()),
            News::Stored(place) => {
                // A modem that was reset would show it as a text, which says nothing here.
                setup::pdu_mode(&mut ready.session).await?;
                if !select(ready, &place.memory).await? {
                    return Ok(());
                }
                let read = format!("AT+CMGR={}", place.index);
                let lines = ready.session.command(&read, "AT+CMGR").await?;
                let Some(pdu) = after(&lines.unwrap_or_default(), "+CMGR:").pop() else {
                    return Ok(());
                };
                (pdu.1, Done::Delete(place))
            }
        };
        self.received(ready, &pdu, done).await
    }

    async fn received(&mut self, ready: &mut Ready, pdu: &str, done: Done) -> Result<(), Broken> {
        match self.meaning(ready, pdu) {
            Ok(Meaning::Callback(callback, recording)) => {
                self.pass_on(*callback, done, recording);
                Ok(())
            }
            // It is read again, or the network repeats it.
            Ok(Meaning::BeingRecorded) => Ok(()),
            Ok(Meaning::Nothing) => self.recorded(ready, Recorded::nothing(done)).await,
            Err(reason) => {
                tracing::warn!(%reason, "the modem received something that cannot be read");
                self.recorded(ready, Recorded::nothing(done)).await
            }
        }
    }

    fn meaning(&mut self, ready: &Ready, pdu: &str) -> Result<Meaning, PduError> {
        let reply = match Received::parse(pdu)? {
            Received::Report(report) => return Ok(self.report(ready, report)),
            Received::Reply(reply) => reply,
        };
        let callback = replies::callback(reply, pdu, &self.account, &ready.imsi, &self.sender);
        Ok(callback.map_or(Meaning::Nothing, |callback| {
            Meaning::Callback(Box::new(callback), None)
        }))
    }

    /// A report about a message of this process, or of an earlier one: the database has those.
    fn report(&mut self, ready: &Ready, report: StatusReport) -> Meaning {
        let Some(status) = codes::status(report.status) else {
            return Meaning::Nothing;
        };
        let matched = self.reports.matched(&ready.imsi, &report, &self.sender);
        let (known, recording) = match matched {
            Match::Message(Matched { report, recording }) => (Some(report), recording),
            Match::BeingRecorded => return Meaning::BeingRecorded,
            Match::None => (None, None),
        };
        let callback = match known {
            Some(known) if segments(&known.sid) == 1 => Callback::Report(known),
            known => Callback::Segment(Box::new(SegmentReport {
                lane: self.reports.lane(),
                sim: sim(&self.account, &ready.imsi),
                reference: report.reference,
                to: report.to,
                sent_at: report.sent_at,
                from: self.sender.clone(),
                status,
                known,
            })),
        };
        Meaning::Callback(Box::new(callback), recording)
    }

    /// Hands in what is to be recorded. If too much waits already, it stays in the modem, or the network repeats it.
    fn pass_on(&mut self, callback: Callback, done: Done, recording: Option<Recording>) {
        let (recorded, is_recorded) = oneshot::channel();
        let place = match &done {
            Done::Delete(place) => Some(place.clone()),
            Done::Acknowledge(_) | Done::Drop(_) | Done::Nothing => None,
        };
        let heard = Heard { callback, recorded };
        if self.heard.try_send(heard).is_err() {
            if !std::mem::replace(&mut self.is_full, true) {
                tracing::warn!("what the modem received waits: too much is to be recorded");
            }
            if let Some(recording) = recording {
                self.reports.reopen(&recording);
            }
            self.keep(done);
            return;
        }
        self.taken.extend(place);
        let wait = async move {
            Recorded {
                done,
                recording,
                has_succeeded: is_recorded.await.is_ok(),
            }
        };
        self.recordings.push(wait.boxed());
    }

    /// It is recorded, or there was nothing to record.
    pub(super) async fn recorded(
        &mut self,
        ready: &mut Ready,
        recorded: Recorded,
    ) -> Result<(), Broken> {
        let Recorded {
            done,
            recording,
            has_succeeded,
        } = recorded;
        match recording {
            Some(recording) if has_succeeded => self.reports.recorded(&recording),
            Some(recording) => self.reports.reopen(&recording),
            None => {}
        }
        match done {
            Done::Delete(place) => {
                // Also if the connection is lost before it is deleted, it is read again.
                self.taken.remove(&place);
                let is_there = has_succeeded && select(ready, &place.memory).await?;
                if is_there {
                    let delete = format!("AT+CMGD={}", place.index);
                    let _ = ready.session.command(&delete, "AT+CMGD").await?;
                }
            }
            Done::Acknowledge(_) if has_succeeded && ready.acknowledges => {
                if ready.session.command("AT+CNMA", "AT+CNMA").await?.is_err() {
                    // It was too late, and the modem has stopped to pass on.
                    ready.indications().await?;
                }
            }
            own if !has_succeeded => self.keep(own),
            Done::Acknowledge(_) | Done::Drop(_) | Done::Nothing => {}
        }
        Ok(())
    }

    /// Keeps what was passed on directly until it can be recorded, once.
    fn keep(&mut self, done: Done) {
        let (Done::Acknowledge(pdu) | Done::Drop(pdu)) = done else {
            return;
        };
        if self.kept.contains(&pdu) {
            return;
        }
        if self.kept.len() == KEPT_MAX {
            tracing::warn!("what the modem received is forgotten: too much could not be recorded");
            self.kept.pop_front();
        }
        self.kept.push_back(pdu);
    }

    /// Sees that the modem is there and passes on what it receives, and reads what it did not pass on.
    pub(super) async fn poll(&mut self, ready: &mut Ready) -> Result<(), Broken> {
        self.is_full = false;
        setup::see_unlocked(&mut ready.session).await?;
        ready.indications().await?;
        for _ in 0..self.kept.len() {
            if let Some(pdu) = self.kept.pop_front() {
                self.received(ready, &pdu, Done::Drop(pdu.clone())).await?;
            }
        }
        for memory in ready.memories.clone() {
            if !select(ready, &memory).await? {
                continue;
            }
            let list = ready
                .session
                .command_within(LIST_MAX, "AT+CMGL=4", "AT+CMGL");
            let all = list.await?;
            for (head, pdu) in after(&all.unwrap_or_default(), "+CMGL:") {
                let mut fields = head.split(',').map(str::trim);
                let index = fields.next().and_then(|index| index.parse().ok());
                // What somebody else has stored to send (2 and 3) stays.
                let is_received = fields
                    .next()
                    .is_some_and(|state| ["0", "1"].contains(&state));
                let Some(index) = index.filter(|_| is_received) else {
                    continue;
                };
                let memory = memory.clone();
                let place = Place { memory, index };
                if !self.taken.contains(&place) {
                    self.received(ready, &pdu, Done::Delete(place)).await?;
                }
            }
        }
        Ok(())
    }
}

/// Selects a memory. `false`: the modem has none of that name.
async fn select(ready: &mut Ready, memory: &str) -> Result<bool, Broken> {
    let select = format!("AT+CPMS=\"{memory}\"");
    Ok(ready.session.command(&select, "AT+CPMS").await?.is_ok())
}

/// The lines that follow one with this prefix, each with what is behind the prefix.
fn after(lines: &[String], prefix: &str) -> Vec<(String, String)> {
    let pairs = lines.windows(2).filter_map(|pair| {
        let head = pair[0].strip_prefix(prefix)?;
        Some((head.to_owned(), pair[1].clone()))
    });
    pairs.collect()
}
