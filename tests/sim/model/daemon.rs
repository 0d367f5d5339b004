//! What the daemon's statements do; each function is named after its file in `src/store/*/sql`.

use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveTime;
use punctual::message::facts::{Preferences, QuietHours};
use punctual::message::{
    AccountNumber, AttemptToken, Channel, Claim, Facts, InstanceId, LaneKey, LedgerOutcome,
    MessageId, Moment, Part, RowState, Status,
};
use punctual::policy::too_late;
use punctual::proof::quarantine::WRITTEN_AFTER;
use punctual::reactor::{ClaimRequest, Upcoming};
use punctual::schedule::LEAD_MAX;
use punctual::settle::{Record, Settlement};
use punctual::store::NO_ATTEMPT;
use uuid::Uuid;

use super::{Attempt, Beat, Database, Pace, Row, SENDER, campaign_of, type_of};
use crate::mutant::Mutant;

/// What `reap.sql` says.
const REAPED: &str = "the instance that was sending it ended before it said how the request went";

type Recorded = Vec<(AttemptToken, Option<RowState>)>;

/// What is known of a recipient with these quiet hours.
fn disturbed_by((start, end): (NaiveTime, NaiveTime)) -> Facts {
    let us = |time: NaiveTime| {
        time.signed_duration_since(NaiveTime::MIN)
            .num_microseconds()
    };
    let quiet_hours = us(start)
        .zip(us(end))
        .and_then(|(start, end)| QuietHours::from_micros(start, end));
    let preferences = Preferences {
        quiet_hours,
        ..Preferences::default()
    };
    Facts {
        preferences: Some(preferences),
        ..Facts::default()
    }
}

impl Database {
    pub(crate) fn claim(
        &mut self,
        asks: &[ClaimRequest],
        instance: InstanceId,
        lease: Duration,
        now: Moment,
    ) -> Vec<Claim> {
        let mut won = Vec::new();
        for ask in asks {
            if self.is_quarantined(ask.id) && self.mutant != Some(Mutant::NoQuarantine) {
                continue;
            }
            if self.pace_of(ask.id).is_some() && self.mutant != Some(Mutant::IgnoresPaces) {
                continue;
            }
            let by = (instance, ask.via);
            won.extend(self.win(ask.id, ask.token, by, lease, now));
        }
        won
    }

    /// What a claim at its due time would bring of a row as it is, its pauses aside. Nothing is taken.
    #[allow(dead_code, reason = "the parity test forecasts nothing")]
    pub(crate) fn would_claim(&self, id: MessageId, now: Moment) -> Option<Claim> {
        let row = self.rows.get(&id)?;
        let knows = self.mutant != Some(Mutant::ForecastWithoutFacts);
        let mut own = Self {
            rows: [(id, row.clone())].into(),
            quiet: self.quiet.filter(|_| knows),
            routes: Arc::clone(&self.routes),
            accounts: self.accounts.clone(),
            user_of: self.user_of,
            mutant: self.mutant,
            ..Self::default()
        };
        let attempts = self.attempts.iter().filter(|a| a.message == id);
        own.attempts = attempts.cloned().collect();
        let (token, nobody) = (AttemptToken(Uuid::nil()), InstanceId(Uuid::nil()));
        own.win(
            id,
            token,
            (nobody, None),
            Duration::ZERO,
            now.max(row.due()),
        )
    }

    /// What was kept of a message when its first part was accepted, or else when it was last tried.
    fn kept_texts(&self, id: MessageId) -> Option<&Vec<String>> {
        let own = self.attempts.iter().filter(|a| a.message == id);
        let kept = own.filter(|a| !a.texts.is_empty());
        kept.max_by_key(|a| (a.outcome == Some("accepted"), a.number))
            .map(|a| &a.texts)
    }

    /// Keeps the texts of a message whose first part is about to be sent; whether it could.
    pub(crate) fn keep_texts(
        &mut self,
        id: MessageId,
        token: AttemptToken,
        texts: &[String],
    ) -> bool {
        let is_free = self.free(id);
        let row = self.rows.get_mut(&id);
        let Some(row) = row.filter(|r| is_free && r.status == Status::Sending && r.parts_done == 0)
        else {
            return false;
        };
        let own = self
            .attempts
            .iter_mut()
            .find(|a| a.token == token && a.message == id);
        let Some(attempt) = own.filter(|a| a.outcome.is_none()) else {
            return false;
        };
        attempt.texts = texts.to_vec();
        row.parts_total = i16::try_from(texts.len()).ok();
        true
    }

    /// The lane by which a message is claimed: of a route by the account that was chosen.
    fn way(&self, queue: &LaneKey, via: Option<AccountNumber>) -> LaneKey {
        let via = via.and_then(|via| self.routes.numbered(via));
        match via.filter(|_| queue.route().is_some()) {
            Some(account) => queue.clone().with_account(account),
            None => self.routes.first(queue),
        }
    }

    /// The same as the claim brings it.
    fn brought(&self, queue: &LaneKey, lane: LaneKey) -> LaneKey {
        match self.mutant {
            Some(Mutant::FirstAccount) => self.routes.first(queue),
            _ => lane,
        }
    }

    /// The claim of one message, which is in no quarantine and waits for no pace.
    pub(super) fn win(
        &mut self,
        id: MessageId,
        token: AttemptToken,
        (instance, via): (InstanceId, Option<AccountNumber>),
        lease: Duration,
        now: Moment,
    ) -> Option<Claim> {
        let two_winners = self.mutant == Some(Mutant::TwoWinners);
        let free = self.free(id) && !self.missed.contains(&id);
        let quiet = self.quiet_hours_of(id);
        let row = self.rows.get(&id)?;
        // A part waits for every request at the parts before it.
        if row.parts_done > 0 && self.open_attempts().any(|a| a.message == id) {
            return None;
        }
        let stops = self
            .paused_until(row)
            .is_some_and(|until| until > now + LEAD_MAX);
        if stops && self.mutant != Some(Mutant::ClaimsPaused) {
            return None;
        }
        // A claim that takes no notice of a pause does not wait for its end either.
        let due = if stops { row.due() } else { self.due(row, now) };
        let wanted_at = self.wanted_at(row);
        let queue = self.lane_of(row);
        let row = self.rows.get_mut(&id)?;
        let claimable =
            row.status == Status::Pending || (two_winners && row.status == Status::Sending);
        if !claimable || !free || row.due() > now + LEAD_MAX {
            return None;
        }
        row.status = Status::Sending;
        row.attempts += 1;
        let facts = quiet.filter(|_| self.mutant != Some(Mutant::NoFacts));
        let row = row.clone();
        let facts = Facts {
            message_type: Some(type_of(id).to_owned()),
            user_id: self.user_of.map(|user_of| user_of(id)),
            priority: row.priority,
            campaign_hours: self
                .campaign_hours
                .clone()
                .filter(|_| campaign_of(id).is_some()),
            ..facts.map_or_else(Facts::default, disturbed_by)
        };
        let lane = self.way(&queue, via);
        let of_this = || self.attempts.iter().filter(|a| a.message == id);
        let number = 1 + of_this().map(|a| a.number).max().unwrap_or(0);
        let began = |a: &Attempt| a.part == row.parts_done && a.started >= Some(wanted_at);
        let is_retry = of_this().any(began);
        self.attempts.push(Attempt {
            token,
            message: id,
            number,
            part: row.parts_done,
            texts: Vec::new(),
            instance,
            claimed_at: now,
            lease_until: now + lease,
            started: None,
            outcome: None,
            account: lane.account().to_owned(),
        });
        let kept = self.kept_texts(id);
        let part_text = usize::try_from(row.parts_done).ok().filter(|n| *n > 0);
        let part_text = part_text.and_then(|n| kept?.get(n).cloned());
        let body = match row.body.split_once(" of ") {
            // The text as it was first written.
            Some((_, of)) if self.mutant == Some(Mutant::OldText) => format!("text 1 of {of}"),
            _ => row.body.clone(),
        };
        Some(Claim {
            id,
            token,
            number,
            attempts_before: row.attempts - 1,
            max_attempts: 3,
            due: if self.mutant == Some(Mutant::NoBackoff) {
                row.scheduled_at
            } else {
                due
            },
            wanted_at,
            is_retry,
            send_before: None,
            lane: self.brought(&queue, lane),
            route: queue.route().is_some().then_some(queue),
            to_number: row.to.clone(),
            from_number: None,
            body,
            part: Part {
                before: row.parts_done,
                of: row.parts_total.unwrap_or(1),
            },
            part_text,
            campaign: campaign_of(id).map(|campaign| campaign.to_string()),
            facts,
        })
    }

    pub(crate) fn read(&self, ids: &[MessageId], now: Moment) -> Vec<(MessageId, RowState)> {
        ids.iter()
            .map(|id| {
                let state = self
                    .rows
                    .get(id)
                    .map_or(RowState::Gone { status: None }, |row| match row.status {
                        Status::Pending => {
                            let mut state = self.pending_state(row);
                            if let RowState::Pending { due, pace, .. } = &mut state {
                                *due = self.due(row, now);
                                *pace = self.pace_due(row, now).map(Box::new);
                            }
                            state
                        }
                        Status::Sending => RowState::Sending {
                            lease_until: self
                                .open_attempts()
                                .filter(|a| a.message == *id)
                                .map(|a| a.lease_until)
                                .max()
                                .unwrap_or(Moment::MIN),
                            lane: self.lane_of(row),
                        },
                        status => RowState::Gone {
                            status: Some(status),
                        },
                    });
                (*id, state)
            })
            .collect()
    }

    pub(crate) fn load(&self, until: Moment, max_lateness: Duration, now: Moment) -> Vec<Upcoming> {
        let mut rows: Vec<_> = self
            .rows
            .values()
            .filter(|row| {
                row.status == Status::Pending
                    && row.due() <= until
                    && self.paused_until(row).is_none_or(|end| end <= until)
                    && self.late_from(row) >= now - max_lateness
                    && self.pace_of(row.id).is_none()
            })
            .map(|row| Upcoming {
                id: row.id,
                due: self.due(row, now),
                version: row.version,
                attempts: row.attempts,
                priority: row.priority,
                lane: self.lane_of(row),
                written: Some(row.written()),
            })
            .collect();
        rows.sort_by_key(|row| self.rows[&row.id].due());
        rows
    }

    /// Both halves, as `Store::record` runs them in one transaction.
    pub(crate) fn record<P>(
        &mut self,
        by: InstanceId,
        records: &[Record<P>],
        now: Moment,
    ) -> Recorded {
        let (accepted, settled): (Vec<_>, Vec<_>) = records
            .iter()
            .partition(|r| matches!(r.settlement, Settlement::Accepted { .. }));
        let mut done = Vec::new();
        for record in settled {
            if self.free(record.id) {
                done.push((record.token, self.record_settled(record, now)));
            }
        }
        for record in accepted {
            if self.free(record.id) {
                self.record_accepted(by, record, now);
                done.push((record.token, None));
            }
        }
        done
    }

    fn close(&mut self, token: AttemptToken, started: Option<Moment>, outcome: &'static str) {
        if let Some(attempt) = self.attempts.iter_mut().find(|a| a.token == token) {
            attempt.outcome = Some(outcome);
            attempt.started = started;
        }
    }

    /// That its request began is recorded though the attempt had this outcome already.
    fn note_start<P>(&mut self, record: &Record<P>, outcome: &str) {
        let own = |a: &&mut Attempt| a.token == record.token && a.message == record.id;
        if let Some(attempt) = self.attempts.iter_mut().find(own)
            && attempt.outcome == Some(outcome)
        {
            attempt.started = attempt.started.or(record.started);
        }
    }

    fn record_settled<P>(&mut self, record: &Record<P>, now: Moment) -> Option<RowState> {
        let Settlement::Settled(settled) = &record.settlement else {
            return None;
        };
        let (to, until) = (settled.status(), settled.until());
        let open = self
            .attempt(record.token)
            .is_some_and(|a| a.outcome.is_none() && a.message == record.id);
        if open {
            self.close(record.token, record.started, settled.outcome.as_str());
            let sent_nothing = LedgerOutcome::SENT_NOTHING.contains(&settled.outcome);
            if sent_nothing && record.started.is_none() {
                let is_cancelled = settled.outcome == LedgerOutcome::Cancelled;
                self.return_slot(record.token, is_cancelled, now);
            }
        } else {
            self.note_start(record, "unknown");
        }
        let sending = self
            .rows
            .get(&record.id)
            .is_some_and(|r| r.status == Status::Sending);
        let unfenced = self.mutant == Some(Mutant::NoFence);
        if !sending || !(open || unfenced) {
            return None;
        }
        if to == Status::Pending {
            self.touched.insert(record.id, now);
        }
        let mut parts_sent = None;
        let row = self.move_row(record.id, to)?;
        row.attempts = (row.attempts - i32::from(!settled.counts)).max(0);
        let gap = row.next_attempt_at.filter(|_| row.parts_done > 0);
        let from = record.finished.unwrap_or(now);
        let pause = settled.pause().map(|pause| from + pause);
        row.next_attempt_at = pause.or(gap).filter(|_| to == Status::Pending);
        if to == Status::Cancelled && row.parts_done > 0 {
            let total = row.parts_total.unwrap_or(0);
            parts_sent = Some(format!("{} of {total} parts sent", row.parts_done));
        }
        // Why it waits stays said until something else is; a deferral has words of its own.
        if until.is_some() {
            row.deferred_until = until;
        } else if settled.reason.is_some() || to != Status::Pending {
            row.reason.clone_from(&settled.reason);
        }
        if let Some(parts) = parts_sent {
            let reason = row.reason.take();
            row.reason = Some(reason.map_or(parts.clone(), |own| format!("{own}; {parts}")));
        }
        let row = self.rows.get(&record.id)?;
        Some(match row.status {
            Status::Pending => self.pending_state(row),
            status => RowState::Gone {
                status: Some(status),
            },
        })
    }

    fn record_accepted<P>(&mut self, by: InstanceId, record: &Record<P>, now: Moment) {
        let Settlement::Accepted { sid } = &record.settlement else {
            return;
        };
        // An attempt of another message is none of this one's.
        let own = self
            .attempt(record.token)
            .filter(|a| a.message == record.id)
            .map(|a| (a.outcome, a.part));
        let part = own.map_or(record.part.before, |(_, part)| part);
        let own = own.map(|(outcome, _)| outcome);
        let later = match own {
            // Merged before: the row may have gone on from there.
            Some(Some("accepted")) => return self.note_start(record, "accepted"),
            Some(_) => {
                self.close(record.token, record.started, "accepted");
                None
            }
            // Of another message: there it stays as it is.
            None if self.attempt(record.token).is_some() => None,
            None => {
                self.regain(by, record, now);
                record.started
            }
        };
        let movable = self
            .rows
            .get(&record.id)
            .is_some_and(|row| match row.status {
                Status::Delivered => false,
                // A later try, which the ledger had lost, is what the row goes by.
                Status::Sent => later.zip(row.sent_at).is_some_and(|(l, sent)| l > sent),
                _ => true,
            });
        let Some(row) = self.rows.get(&record.id).filter(|_| movable) else {
            return;
        };
        let total = row.parts_total.unwrap_or(record.part.of);
        let is_over = match row.status {
            Status::Sent => part + 1 < total,
            _ => part < row.parts_done,
        };
        if is_over {
            return;
        }
        if part + 1 < total {
            self.next_part(record, part, total, now);
            return;
        }
        if total > 1
            && let Some(row) = self.rows.get_mut(&record.id)
        {
            row.parts_done = total;
            row.parts_total = Some(total);
        }
        // From `sent` to `sent` is no step of the table.
        if let Some(row) = self.rows.get_mut(&record.id)
            && row.status == Status::Sent
        {
            row.sid = Some(sid.0.clone());
            row.sent_at = record.finished;
        } else if let Some(row) = self.move_row(record.id, Status::Sent) {
            row.sid = Some(sid.0.clone());
            row.sent_at = record.finished;
            row.next_attempt_at = None;
            row.reason = None;
        }
    }

    /// A part was accepted, and others are left. What has ended stays so.
    fn next_part<P>(&mut self, record: &Record<P>, part: i16, total: i16, now: Moment) {
        let gap = record.part.gap(self.part_gap, record.id);
        let gap = record.part.has_next().then_some(gap);
        let Some(row) = self.rows.get_mut(&record.id) else {
            return;
        };
        let before = row.parts_done;
        row.parts_done = match self.mutant {
            Some(Mutant::SkipsPart) => (part + 2).min(total - 1),
            Some(Mutant::RepeatsPart) => part,
            _ => part + 1,
        };
        row.parts_total = Some(total);
        row.attempts = 0;
        row.sid = None;
        row.sent_at = None;
        row.next_attempt_at = None;
        if row.status == Status::Cancelled && row.parts_done != before {
            let own = row.reason.take().unwrap_or_default();
            let own = match own.strip_suffix(" parts sent") {
                Some(counted) => counted.rsplit_once("; ").map_or("", |(own, _)| own),
                // The user's cancel has no words of its own.
                None if own == "the user cancelled it" => "",
                None => own.as_str(),
            };
            let parts = format!("{} of {total} parts sent", row.parts_done);
            row.reason = Some(if own.is_empty() {
                parts
            } else {
                format!("{own}; {parts}")
            });
        }
        if matches!(row.status, Status::Failed | Status::Cancelled) {
            return;
        }
        row.next_attempt_at = gap.map(|gap| record.finished.unwrap_or(now) + gap);
        row.reason = None;
        self.move_row(record.id, Status::Pending);
        self.touched.insert(record.id, now);
    }

    /// Enters an attempt that the ledger does not have. (That the same message may be there by
    /// another token is left out: here each attempt has a sid of its own.)
    fn regain<P>(&mut self, by: InstanceId, record: &Record<P>, now: Moment) {
        let own = self.attempts.iter().filter(|a| a.message == record.id);
        self.attempts.push(Attempt {
            token: record.token,
            message: record.id,
            number: own.map(|a| a.number).max().unwrap_or(0) + 1,
            part: record.part.before,
            texts: Vec::new(),
            instance: by,
            claimed_at: record.started.or(record.finished).unwrap_or(now),
            lease_until: record.finished.unwrap_or(now),
            started: record.started,
            outcome: Some("accepted"),
            account: String::new(),
        });
    }

    /// `look_up_put_back.sql`, of a provider for which an id is sent twice and counts once: what is unconfirmed is sent
    /// again, by the account whose answer is uncertain.
    #[allow(dead_code, reason = "shared with the parity test")]
    pub(crate) fn send_again(&mut self, channel: Channel, now: Moment) -> Vec<MessageId> {
        let uncertain = |row: &&Row| row.status == Status::Unconfirmed && row.channel == channel;
        let rows = self.rows.values().filter(uncertain).map(|row| row.id);
        let rows: Vec<_> = rows.filter(|id| self.free(*id)).collect();
        let mut again = Vec::new();
        for id in rows {
            let own = self.attempts.iter().filter(|a| a.message == id);
            let Some(last) = own
                .max_by_key(|a| a.number)
                .filter(|a| a.outcome == Some("unknown"))
            else {
                continue;
            };
            let account = last.account.clone();
            let Some(row) = self.move_row(id, Status::Pending) else {
                continue;
            };
            row.next_attempt_at = row.next_attempt_at.filter(|_| row.parts_done > 0);
            row.reason = Some("sent again under the same id".into());
            if self.mutant != Some(Mutant::ForgetsAccount) {
                self.accounts.entry(id).or_insert(account);
            }
            self.touched.insert(id, now);
            again.push(id);
        }
        again
    }

    /// What is due before this is put in quarantine; returns the quarantine as it is then.
    pub(crate) fn quarantine_begin(&mut self, before: Moment) -> Moment {
        self.quarantine_cleared.clear();
        *self
            .quarantine
            .insert(self.quarantine.map_or(before, |own| own.max(before)))
    }

    pub(crate) fn quarantine_clear(&mut self, id: MessageId) {
        self.quarantine_cleared.insert(id);
    }

    /// Ends the quarantine of what is due before `before`: one that began since continues.
    pub(crate) fn quarantine_end(&mut self, before: Moment) {
        self.quarantine = self.quarantine.filter(|own| *own > before);
    }

    pub(crate) const fn quarantined_before(&self) -> Option<Moment> {
        self.quarantine
    }

    /// Whether a claim must not take it.
    pub(crate) fn is_quarantined(&self, id: MessageId) -> bool {
        let Some((before, row)) = self.quarantine.zip(self.rows.get(&id)) else {
            return false;
        };
        row.due() < before
            && row.written() <= before + WRITTEN_AFTER
            && !self.quarantine_cleared.contains(&id)
    }

    /// As `cancel_suppressed.sql` does: what is pending for them is cancelled.
    pub(crate) fn opt_out(&mut self, ids: &[MessageId]) {
        for id in ids {
            let pending = self
                .rows
                .get(id)
                .is_some_and(|r| r.status == Status::Pending);
            if pending
                && self.free(*id)
                && let Some(row) = self.move_row(*id, Status::Cancelled)
            {
                row.reason = Some("the recipient has opted out".into());
            }
        }
    }

    /// What is in quarantine may have been sent: it is not cancelled as too late.
    pub(crate) fn expire(&mut self, max_lateness: Duration, most: usize, now: Moment) -> usize {
        let limit = now - max_lateness;
        let quarantined = self.quarantine.unwrap_or(Moment::MIN);
        let late: Vec<_> = self
            .rows
            .values()
            .filter(|r| r.due() >= quarantined)
            .filter(|r| r.status == Status::Pending && r.due() < limit)
            .filter(|r| self.stopped_until(r, now).is_none() && self.pace_of(r.id).is_none())
            .filter(|r| too_late(self.late_from(r), None, max_lateness, now).is_some())
            .map(|r| r.id)
            .filter(|id| self.free(*id) && !self.missed.contains(id))
            .take(most)
            .collect();
        for id in &late {
            if let Some(row) = self.move_row(*id, Status::Cancelled) {
                row.reason = Some("too late".into());
            }
        }
        late.len()
    }

    /// What they missed has changed nothing of them. Those that are locked, or may be pending again, stay.
    #[allow(dead_code, reason = "only the parity test records such changes")]
    pub(crate) fn follow_missed(&mut self) -> usize {
        let mut followed = 0;
        let missed = std::mem::take(&mut self.missed);
        for id in missed {
            match self.rows.get(&id).map(|row| row.status) {
                Some(Status::Pending) if self.free(id) => followed += 1,
                Some(Status::Pending | Status::Sending | Status::Unconfirmed | Status::Sent) => {
                    self.missed.insert(id);
                }
                _ => {}
            }
        }
        followed
    }

    pub(crate) fn start_instance(&mut self, id: InstanceId, now: Moment) {
        let beat = Beat {
            started: now,
            last: now,
        };
        self.instances.insert(id, beat);
    }

    pub(crate) fn beat(&mut self, id: InstanceId, now: Moment) {
        if let Some(beat) = self.instances.get_mut(&id) {
            beat.last = now;
        }
    }

    pub(crate) fn members(&self, silence: Duration, now: Moment) -> Vec<InstanceId> {
        let lives = |beat: &Beat| beat.last > now - silence;
        let mut members: Vec<_> = self.instances.iter().collect();
        members.retain(|(_, beat)| lives(beat));
        members.into_iter().map(|(id, _)| *id).collect()
    }

    /// What a clock wrote that was ahead: of the open claims of an instance, and of paces.
    #[allow(
        dead_code,
        reason = "the simulation has a clock that is ahead, the parity test has not"
    )]
    pub(crate) fn run_ahead(&mut self, of: InstanceId, by: Duration) {
        let open = |a: &&mut Attempt| a.outcome.is_none() && a.instance == of;
        for attempt in self.attempts.iter_mut().filter(open) {
            attempt.claimed_at = attempt.claimed_at + by;
            attempt.lease_until = attempt.lease_until + by;
        }
        for pace in self.paces.values_mut().filter(|pace| pace.slot.is_some()) {
            pace.next = pace.next + by;
        }
    }

    /// Whoever is said to have started now has done so later by so much.
    #[allow(dead_code, reason = "as above")]
    pub(crate) fn live_on(&mut self, now: Moment, by: Duration) {
        for beat in self.instances.values_mut().filter(|beat| beat.last == now) {
            beat.started = beat.started + by;
            beat.last = beat.last + by;
        }
    }

    /// What happened was now at the latest. Returns how many instances, claims and paces had times in the future.
    /// At most so many of each; of the claims those with the latest leases are read for it.
    pub(crate) fn correct_times_ahead(&mut self, most: usize, now: Moment) -> [usize; 3] {
        let margin = now + Duration::from_secs(1);
        let mut corrected = [0; 3];
        let ahead = |beat: &&mut Beat| beat.started.max(beat.last) > margin;
        for beat in self.instances.values_mut().filter(ahead).take(most) {
            beat.started = beat.started.min(now);
            beat.last = beat.last.min(now);
            corrected[0] += 1;
        }
        let open = self.attempts.iter_mut().filter(|a| a.outcome.is_none());
        let mut open: Vec<_> = open.collect();
        open.sort_by_key(|attempt| std::cmp::Reverse(attempt.lease_until));
        for attempt in open.into_iter().take(most) {
            let claimed = attempt.claimed_at;
            if claimed > margin && attempt.lease_until > claimed {
                attempt.lease_until = now + attempt.lease_until.since(claimed);
                corrected[1] += 1;
            }
        }
        // A sender may have been charged a long text.
        let ahead = |(queue, pace): &(&Uuid, &mut Pace)| {
            let longest = pace.gaps.1 * if **queue == SENDER { 64 } else { 1 };
            pace.slot.is_some() && pace.next > now + longest + Duration::from_secs(3)
        };
        for (_, pace) in self.paces.iter_mut().filter(ahead).take(most) {
            pace.next = now + pace.gaps.1;
            corrected[2] += 1;
        }
        corrected
    }

    /// At most so many.
    pub(crate) fn reap(
        &mut self,
        me: InstanceId,
        silence: Duration,
        most: usize,
        now: Moment,
    ) -> usize {
        let eager = self.mutant == Some(Mutant::EagerReaper);
        let stale = now - silence;
        let grown_up = self.instances.get(&me).is_some_and(|b| b.started < stale);
        if self.mutant == Some(Mutant::NoReaper) || !(grown_up || eager) {
            return 0;
        }
        let dead: Vec<_> = self
            .open_attempts()
            .filter(|a| {
                let silent = self
                    .instances
                    .get(&a.instance)
                    .is_none_or(|b| b.last < stale);
                a.instance != me && (eager || (a.lease_until < now && silent))
            })
            .filter(|a| self.free(a.message))
            .map(|a| (a.token, a.message))
            .take(most)
            .collect();
        let mut moved = 0;
        for (token, id) in &dead {
            self.close(*token, None, "unknown");
            let sending = self
                .rows
                .get(id)
                .is_some_and(|r| r.status == Status::Sending);
            if sending && let Some(row) = self.move_row(*id, Status::Unconfirmed) {
                row.reason = Some(REAPED.into());
                moved += 1;
            }
        }
        moved
    }

    /// Makes a row `sending` as something other than a claim does; `forget`: its attempts are lost too.
    #[allow(
        dead_code,
        reason = "shared with the simulation, which does not draw it"
    )]
    pub(crate) fn strand(&mut self, id: MessageId, forget: bool) {
        if let Some(row) = self.rows.get_mut(&id) {
            row.status = Status::Sending;
            row.reason = None;
        }
        if forget {
            self.attempts.retain(|a| a.message != id);
        }
    }

    #[allow(
        dead_code,
        reason = "shared with the simulation, which does not draw it"
    )]
    pub(crate) fn correct_without_attempt(&mut self) -> usize {
        let stranded: Vec<_> = self
            .rows
            .values()
            .filter(|row| row.status == Status::Sending && self.free(row.id))
            .filter(|row| self.open_attempts().all(|a| a.message != row.id))
            .map(|row| row.id)
            .collect();
        for id in &stranded {
            let part = self.rows[id].parts_done;
            let of_it = self
                .attempts
                .iter()
                .filter(|a| a.message == *id && a.part == part);
            let of_it: Vec<_> = of_it.collect();
            let unsent = |a: &&Attempt| {
                LedgerOutcome::SENT_NOTHING
                    .iter()
                    .any(|outcome| Some(outcome.as_str()) == a.outcome)
            };
            let all_unsent = of_it.iter().all(unsent);
            let known = of_it.len();
            let row = &self.rows[id];
            let nothing_sent = row.attempts > 0
                && usize::try_from(row.attempts).is_ok_and(|counted| counted <= known)
                && row.sid.is_none()
                && row.sent_at.is_none()
                && all_unsent;
            let to = if nothing_sent {
                Status::Pending
            } else {
                Status::Unconfirmed
            };
            if let Some(row) = self.move_row(*id, to)
                && !nothing_sent
            {
                row.reason = Some(NO_ATTEMPT.into());
            }
        }
        stranded.len()
    }

    pub(crate) fn orphaned_claims(
        &self,
        instance: InstanceId,
        now: Moment,
    ) -> Vec<(MessageId, AttemptToken)> {
        self.open_attempts()
            .filter(|a| a.lease_until < now && a.instance == instance)
            .map(|a| (a.message, a.token))
            .collect()
    }
}
