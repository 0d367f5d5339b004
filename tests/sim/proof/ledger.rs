//! The rows and the ledger, with the columns that proof depends on. Each function does what one of the
//! statements of the store does, at one instant.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use punctual::message::{
    AttemptToken, InDoubt, LedgerOutcome, MessageId, Moment, ProviderSid, Stage, Status,
};
use punctual::proof::matching::SentText;
use punctual::proof::merge::{Located, Merged, Standings};
use punctual::proof::recovery::NotAccepted;
use punctual::proof::standing::{
    AttemptStanding, PartStanding, RetryLimits, RowStanding, Standing,
};
use punctual::proof::{About, Report, TextKey};
use punctual::settle::{Record, Settled, Settlement};

use super::world::ALLOWED;

/// A row of `scheduled_messages`.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) to: String,
    pub(super) body: String,
    /// How many texts it is.
    pub(super) parts: i16,
    pub(super) parts_done: i16,
    pub(super) templated: bool,
    pub(super) scheduled_at: Moment,
    pub(super) next_attempt_at: Option<Moment>,
    pub(super) created_at: Moment,
    pub(super) status: Status,
    pub(super) sid: Option<ProviderSid>,
    pub(super) sent_at: Option<Moment>,
    pub(super) attempts: i32,
    pub(super) version: i64,
    pub(super) policy: Option<InDoubt>,
}

impl Row {
    pub(super) fn due(&self) -> Moment {
        self.next_attempt_at
            .map_or(self.scheduled_at, |at| at.max(self.scheduled_at))
    }

    /// What it says in this part, before it is rendered.
    pub(super) fn text(&self, part: i16) -> String {
        if self.parts > 1 {
            format!("{} {part}", self.body)
        } else {
            self.body.clone()
        }
    }

    /// The body as it stands in the row.
    pub(super) fn whole(&self) -> String {
        let texts: Vec<String> = (0..self.parts).map(|part| self.text(part)).collect();
        texts.join("[BUBBLE]")
    }
}

/// A row of `punctual.attempts`.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) message: MessageId,
    pub(super) number: i32,
    /// How many parts come before its own.
    pub(super) part: i16,
    pub(super) instance: u128,
    pub(super) claimed_at: Moment,
    pub(super) lease_until: Moment,
    pub(super) started_at: Option<Moment>,
    pub(super) finished_at: Option<Moment>,
    pub(super) outcome: Option<&'static str>,
    pub(super) sid: Option<ProviderSid>,
    pub(super) stage: Option<Stage>,
    pub(super) settled_by: Option<InDoubt>,
    pub(super) next_query_at: Option<Moment>,
    pub(super) queries: u32,
    pub(super) sent: Option<SentText>,
    pub(super) recovered: bool,
}

/// All of it. A backup is a clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) rows: BTreeMap<MessageId, Row>,
    pub(super) attempts: BTreeMap<AttemptToken, Attempt>,
}

/// A message may be tried so often.
pub(super) const MAX_ATTEMPTS: i32 = 3;

/// The first look-up of what has no final report comes after this.
const UNHEARD: Duration = Duration::from_secs(120);

impl Ledger {
    /// `claim.sql`.
    pub(super) fn claim(
        &mut self,
        id: MessageId,
        token: AttemptToken,
        instance: u128,
        lease: Duration,
        now: Moment,
    ) {
        let number = 1 + self.of(id).map(|(_, a)| a.number).max().unwrap_or(0);
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        row.status = Status::Sending;
        row.attempts += 1;
        let part = row.parts_done;
        self.attempts.insert(
            token,
            Attempt {
                message: id,
                number,
                part,
                instance,
                claimed_at: now,
                lease_until: now + lease,
                started_at: None,
                finished_at: None,
                outcome: None,
                sid: None,
                stage: None,
                settled_by: None,
                next_query_at: None,
                queries: 0,
                sent: None,
                recovered: false,
            },
        );
    }

    pub(super) fn of(&self, id: MessageId) -> impl Iterator<Item = (&AttemptToken, &Attempt)> {
        self.attempts.iter().filter(move |(_, a)| a.message == id)
    }

    pub(super) fn is_latest(&self, token: AttemptToken) -> bool {
        let Some(attempt) = self.attempts.get(&token) else {
            return false;
        };
        self.of(attempt.message)
            .all(|(_, other)| other.number <= attempt.number)
    }

    fn sent_text(&self, token: AttemptToken) -> Option<SentText> {
        let attempt = self.attempts.get(&token)?;
        let row = self.rows.get(&attempt.message)?;
        (!row.templated).then(|| SentText {
            to: row.to.clone(),
            from: None,
            text: TextKey::of(&row.text(attempt.part)),
        })
    }

    /// `record_accepted.sql`, `record_lost.sql` and `record_settled.sql`. `version`: of the row that it
    /// proves something of.
    pub(super) fn record<P>(
        &mut self,
        record: &Record<P>,
        version: Option<i64>,
        now: Moment,
    ) -> bool {
        match &record.settlement {
            Settlement::Accepted { sid } => self.record_accepted(record, sid, version, now),
            Settlement::Settled(settled) => {
                self.record_settled(record, settled, now);
                true
            }
        }
    }

    fn record_accepted<P>(
        &mut self,
        record: &Record<P>,
        sid: &ProviderSid,
        version: Option<i64>,
        now: Moment,
    ) -> bool {
        let current = self.rows.get(&record.id).map(|row| row.version);
        if version.is_some() && version != current {
            return false;
        }
        let taken = self
            .attempts
            .iter()
            .any(|(token, a)| a.sid.as_ref() == Some(sid) && *token != record.token);
        let known = self.of(record.id).any(|(_, a)| a.sid.as_ref() == Some(sid));
        let number = 1 + self.of(record.id).map(|(_, a)| a.number).max().unwrap_or(0);
        let recovered = !self.attempts.contains_key(&record.token);
        match self.attempts.get_mut(&record.token) {
            Some(attempt) if attempt.outcome == Some("accepted") => return true,
            Some(attempt) => {
                attempt.outcome = Some("accepted");
                attempt.sid = (!taken).then(|| sid.clone());
                attempt.started_at = record.started;
                attempt.finished_at = record.finished;
                attempt.next_query_at = Some(now + UNHEARD);
                attempt.queries = 0;
            }
            // The same message, known by another token since.
            None if known => return true,
            None => {
                self.attempts.insert(
                    record.token,
                    Attempt {
                        message: record.id,
                        number,
                        part: record.part.before,
                        instance: 0,
                        claimed_at: record.started.unwrap_or(now),
                        lease_until: now,
                        started_at: record.started,
                        finished_at: record.finished,
                        outcome: Some("accepted"),
                        sid: (!taken).then(|| sid.clone()),
                        stage: None,
                        settled_by: None,
                        next_query_at: Some(now + UNHEARD),
                        queries: 0,
                        sent: None,
                        recovered: true,
                    },
                );
            }
        }
        let part = self.attempts[&record.token].part;
        let Some(row) = self.rows.get_mut(&record.id) else {
            return true;
        };
        let is_last = part + 1 >= row.parts;
        let moves = match row.status {
            Status::Delivered => false,
            // A later try, which the ledger had lost, is what the row goes by.
            Status::Sent => {
                recovered
                    && is_last
                    && record
                        .started
                        .zip(row.sent_at)
                        .is_some_and(|(at, sent)| at > sent)
            }
            _ => part >= row.parts_done,
        };
        if !moves {
            return true;
        }
        row.parts_done = if row.parts > 1 { part + 1 } else { 0 };
        row.sid = is_last.then(|| sid.clone());
        row.sent_at = record.finished.filter(|_| is_last);
        row.next_attempt_at = None;
        if is_last {
            row.status = Status::Sent;
        } else {
            row.attempts = 0;
            if row.status != Status::Failed {
                row.status = Status::Pending;
                row.next_attempt_at = Some(record.finished.unwrap_or(now) + ALLOWED.part_gap);
            }
        }
        true
    }

    fn record_settled<P>(&mut self, record: &Record<P>, settled: &Settled, now: Moment) {
        let sent = self.sent_text(record.token);
        let Some(attempt) = self.attempts.get_mut(&record.token) else {
            return;
        };
        if attempt.outcome == Some("unknown") && attempt.started_at.is_none() {
            attempt.started_at = record.started;
        }
        if attempt.outcome.is_some() {
            return;
        }
        attempt.outcome = Some(settled.outcome.as_str());
        attempt.started_at = record.started;
        attempt.finished_at = record.finished.or(Some(now));
        if settled.outcome == LedgerOutcome::Unknown {
            attempt.next_query_at = Some(now + Duration::from_secs(5));
            attempt.sent = sent;
        }
        if let Some(row) = self.rows.get_mut(&record.id)
            && row.status == Status::Sending
        {
            row.status = settled.status();
            row.attempts -= i32::from(!settled.counts);
            let since = record.finished.unwrap_or(now);
            let gap = row.next_attempt_at.filter(|_| row.parts_done > 0);
            row.next_attempt_at = settled.pause().map(|pause| since + pause).or(gap);
        }
    }

    /// `restored_mark.sql`.
    pub(super) fn mark_restored(&mut self, also_open: bool) {
        let open_ended = |a: &&mut Attempt| {
            let is_final = a.stage.is_some_and(Stage::is_final);
            let may_be_sent = match a.outcome {
                Some("accepted") => true,
                outcome => also_open && matches!(outcome, None | Some("unknown")),
            };
            may_be_sent && !is_final
        };
        for attempt in self.attempts.values_mut().filter(open_ended) {
            attempt.recovered = true;
        }
    }

    /// `recover_unbegun.sql`.
    pub(super) fn release(&mut self, given: &NotAccepted) {
        let other_is_open = self.of(given.message).any(|(token, a)| {
            let is_uncertain = a.outcome == Some("unknown") && a.settled_by.is_none();
            *token != given.token && (a.outcome.is_none() || is_uncertain)
        });
        let Some(attempt) = self.attempts.get_mut(&given.token) else {
            return;
        };
        let unsettled = attempt.outcome.is_none()
            || attempt.outcome == Some("unknown")
                && attempt.started_at.is_none()
                && attempt.sid.is_none();
        if !unsettled {
            return;
        }
        attempt.outcome = Some("returned");
        attempt.next_query_at = None;
        if let Some(row) = self.rows.get_mut(&given.message)
            && matches!(row.status, Status::Sending | Status::Unconfirmed)
            && !other_is_open
        {
            row.status = Status::Pending;
            row.attempts -= 1;
            row.next_attempt_at = row.next_attempt_at.filter(|_| row.parts_done > 0);
        }
    }

    /// `reap.sql`: of every instance but this one, which is the only one that lives.
    pub(super) fn reap(&mut self, me: u128, now: Moment) {
        let dead: Vec<AttemptToken> = self
            .attempts
            .iter()
            .filter(|(_, a)| a.outcome.is_none() && a.instance != me && a.lease_until < now)
            .map(|(token, _)| *token)
            .collect();
        for token in dead {
            let message = self.attempts[&token].message;
            let sent = self.sent_text(token);
            if let Some(attempt) = self.attempts.get_mut(&token) {
                attempt.outcome = Some("unknown");
                attempt.finished_at = Some(now);
                attempt.next_query_at = Some(now);
                attempt.queries = 0;
                attempt.sent = sent;
            }
            if let Some(row) = self.rows.get_mut(&message)
                && row.status == Status::Sending
            {
                row.status = Status::Unconfirmed;
            }
        }
    }

    /// `look_up_put_back.sql`.
    pub(super) fn put_back(&mut self, token: AttemptToken, policy: InDoubt) -> bool {
        let latest = self.is_latest(token);
        let Some(attempt) = self.attempts.get_mut(&token) else {
            return false;
        };
        let Some(row) = self.rows.get_mut(&attempt.message) else {
            return false;
        };
        let may = row.status == Status::Unconfirmed
            && row.attempts < MAX_ATTEMPTS
            && latest
            && attempt.outcome == Some("unknown")
            && attempt.settled_by.is_none();
        if may {
            attempt.settled_by = Some(policy);
            row.status = Status::Pending;
            row.next_attempt_at = row.next_attempt_at.filter(|_| row.parts_done > 0);
        }
        may
    }

    /// `look_up_known.sql`.
    pub(super) fn known_sids(&self) -> BTreeSet<String> {
        let sids = self.attempts.values().filter_map(|a| a.sid.as_ref());
        sids.map(|sid| sid.0.clone()).collect()
    }

    /// `look_up_rivals.sql`.
    pub(super) fn rivals(&self, token: Option<AttemptToken>, sent: &SentText) -> Vec<Moment> {
        let others = self
            .attempts
            .iter()
            .filter(|(other, _)| Some(**other) != token);
        others
            .filter(|(_, a)| match a.outcome {
                Some("unknown") => a
                    .sent
                    .as_ref()
                    .is_some_and(|s| s.to == sent.to && s.text == sent.text),
                None => self.rows.get(&a.message).is_some_and(|row| {
                    let text = TextKey::of(&row.text(a.part));
                    row.to == sent.to && (row.templated || text == sent.text)
                }),
                Some(_) => false,
            })
            .map(|(_, a)| a.started_at.unwrap_or(a.claimed_at))
            .collect()
    }

    /// `receipts_rows.sql`: which attempts these reports are about.
    pub(super) fn locate<'a>(&self, reports: &'a [Report]) -> Vec<Located<'a>> {
        let by_sid = |sid: &ProviderSid| {
            self.attempts
                .iter()
                .find(move |(_, a)| a.sid.as_ref() == Some(sid))
        };
        let locate = |report: &'a Report| {
            let found = match report.about {
                About::Attempt { message, token } => match self.attempts.get(&token) {
                    Some(attempt) => (attempt.message == message).then_some((message, token)),
                    None => by_sid(&report.sid)
                        .filter(|(_, a)| a.recovered && a.message == message)
                        .map(|(token, a)| (a.message, *token)),
                },
                About::Sid => by_sid(&report.sid).map(|(token, a)| (a.message, *token)),
            };
            found.map(|(message, token)| Located {
                message,
                token,
                report,
            })
        };
        reports.iter().filter_map(locate).collect()
    }

    /// What is known of a part.
    fn part_standing(&self, id: MessageId, part: i16) -> PartStanding {
        let of = |a: &&Attempt| a.part == part && a.outcome == Some("accepted");
        let stages: Vec<Option<Stage>> = self
            .of(id)
            .map(|(_, a)| a)
            .filter(of)
            .map(|a| a.stage)
            .collect();
        let has_failed = |stage: &Option<Stage>| stage.is_some_and(Stage::is_failure);
        if stages.contains(&Some(Stage::Delivered)) {
            PartStanding::Arrived
        } else if !stages.is_empty() && stages.iter().all(has_failed) {
            PartStanding::Lost
        } else {
            PartStanding::Open
        }
    }

    /// How many attempts at its part count.
    fn tries(&self, attempt: &Attempt) -> i32 {
        let counts = |a: &&Attempt| {
            a.part == attempt.part && matches!(a.outcome, Some("accepted" | "refused" | "unknown"))
        };
        let all = self.of(attempt.message).map(|(_, a)| a).filter(counts);
        i32::try_from(all.count()).unwrap_or(i32::MAX)
    }

    fn is_superseded(&self, attempt: &Attempt) -> bool {
        self.of(attempt.message).any(|(_, a)| {
            a.part == attempt.part
                && a.number > attempt.number
                && matches!(a.outcome, None | Some("accepted" | "unknown"))
        })
    }

    /// `look_ups_take.sql`: a later attempt of its part is recorded, from a journal.
    pub(super) fn is_superseded_since_a_restore(&self, token: AttemptToken) -> bool {
        self.attempts.get(&token).is_some_and(|own| {
            let is_later = |a: &Attempt| {
                a.part == own.part && a.number > own.number && a.outcome == Some("accepted")
            };
            let mut others = self.of(own.message);
            own.recovered && own.settled_by.is_none() && others.any(|(_, a)| is_later(a))
        })
    }

    /// How everything stands that these are about.
    pub(super) fn standings(&self, located: &[Located<'_>], now: Moment) -> Standings {
        let mut standings = Standings::default();
        for located in located {
            let row = self.rows.get(&located.message).map(|row| RowStanding {
                status: row.status,
                sid: row.sid.clone(),
                limits: RetryLimits {
                    attempts: row.attempts,
                    max_attempts: MAX_ATTEMPTS,
                    late_from: row.scheduled_at,
                    send_before: None,
                    now,
                },
                parts_done: row.parts_done,
                parts: (0..row.parts)
                    .map(|part| self.part_standing(located.message, part))
                    .collect(),
                no_retry: None,
            });
            let standing = standings
                .messages
                .entry(located.message)
                .or_insert_with(|| Standing {
                    message: located.message,
                    row,
                    attempts: BTreeMap::new(),
                });
            let attempt = &self.attempts[&located.token];
            standing.attempts.insert(
                located.token,
                AttemptStanding {
                    latest: self.is_latest(located.token),
                    part: attempt.part,
                    tries: self.tries(attempt),
                    superseded: self.is_superseded(attempt),
                    accepted: attempt.outcome == Some("accepted"),
                    sid: attempt.sid.clone(),
                    stage: attempt.stage,
                    recovered: attempt.recovered,
                    // No user of these worlds sets a message back.
                    requeued_since: false,
                },
            );
        }
        for (token, attempt) in &self.attempts {
            if let Some(sid) = &attempt.sid {
                standings.owners.insert(sid.0.clone(), *token);
            }
        }
        standings
    }

    /// `receipts_advance.sql` and `receipts_move.sql`.
    pub(super) fn write(&mut self, merged: &Merged<'_>, now: Moment) {
        for (token, write) in &merged.attempts {
            let Some(attempt) = self.attempts.get_mut(token) else {
                continue;
            };
            let stage = write.report.status.delivery.stage();
            attempt.outcome = Some("accepted");
            attempt.sid = Some(write.report.sid.clone());
            attempt.stage = Some(stage);
            attempt.next_query_at = (!stage.is_final()).then(|| now + UNHEARD);
            attempt.sent = None;
        }
        for (id, steps) in &merged.rows {
            let Some(row) = self.rows.get_mut(id) else {
                continue;
            };
            for step in steps {
                row.status = step.to;
                let moved = !matches!(step.to, Status::Pending | Status::Cancelled);
                row.sid = moved.then(|| step.report.sid.clone());
                row.sent_at = match step.to {
                    Status::Failed => row.sent_at,
                    Status::Pending => None,
                    _ => row.sent_at.or(Some(now)),
                };
                let attempts = step.part.and_then(|part| part.attempts);
                row.attempts = attempts.unwrap_or((row.attempts - step.uncounted).max(0));
                row.parts_done = step.part.map_or(row.parts_done, |part| part.done);
                row.next_attempt_at = step.pause.map(|pause| now + pause);
            }
        }
    }
}
