//! `punctual.paces`: what keeps the messages of a campaign apart and a sender to its rate, and the statements that go
//! by it. Every text is one segment.

use std::collections::BTreeMap;
use std::time::Duration;

use punctual::message::{
    AttemptToken, Channel, Claim, InstanceId, MessageId, Moment, PaceDue, PaceId, PacedClaim,
    PacedResponse, Sender, Status,
};
use punctual::reactor::PaceRequest;
use punctual::schedule::pace::{after_charge, gap};
use punctual::schedule::queue::{Queue, Queued, Slots};
use punctual::schedule::{LEAD_MAX, PACE_SLACK};
use uuid::Uuid;

use super::{Database, Row};
use crate::mutant::Mutant;

/// A row of `punctual.paces`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    pub(crate) id: PaceId,
    pub(crate) gaps: (Duration, Duration),
    /// Of a sender: how many at once.
    pub(crate) burst: i32,
    pub(crate) seed: i64,
    pub(crate) position: i64,
    pub(crate) next: Moment,
    pub(crate) token: Option<AttemptToken>,
    pub(crate) slot: Option<Moment>,
}

/// The key of the rate of the sender, which is that of all texts; other keys are campaigns.
pub(crate) const SENDER: Uuid = Uuid::from_u128(0x5E << 120);

/// The sender itself.
#[allow(dead_code, reason = "shared with the parity test")]
pub(crate) const SENDER_NUMBER: &str = "+15005550001";

/// The slot of a claim.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TakenSlot {
    /// From when on its paces had one for it.
    pub(crate) open_from: Moment,
    /// From when on it could take that.
    pub(crate) ready: Moment,
    /// When it began.
    pub(crate) at: Moment,
    /// The pace of its campaign, and the shortest gap that it had then.
    pub(crate) campaign: Option<(PaceId, Duration)>,
}

/// What a claim from a pace would win.
struct Candidate {
    ask: PaceRequest,
    queue: Uuid,
    first: MessageId,
    due: Moment,
    /// The rate of its sender.
    rate: Option<Pace>,
}

impl Pace {
    /// When there is room for one text more.
    fn each(&self) -> Duration {
        self.gaps.0
    }
}

/// When another rate has room for a text, so that there is room for as many as there was, or for its burst.
fn same_room(was: Pace, new: Pace, now: Moment) -> Moment {
    let micros = |of: Duration| i128::try_from(of.as_micros()).unwrap_or(i128::MAX);
    let (before, by_now) = (micros(was.each()), micros(new.each()));
    let full = before * i128::from(was.burst.min(new.burst));
    let room = (before + i128::from(now.micros_from(was.next))).min(full);
    let back = (room - before) * by_now / before;
    Moment::from_micros(now.as_micros() - i64::try_from(back).unwrap_or(0))
}

/// The campaign of a message: two of three are in one of two.
pub(crate) fn campaign_of(id: MessageId) -> Option<Uuid> {
    match id.0.as_u128() % 3 {
        0 => None,
        n => Some(Uuid::from_u128(0xC << 120 | n)),
    }
}

impl Database {
    /// The pace in whose queue a message is: that of its campaign, for which it waits with its first part only, or else
    /// the rate of its sender.
    pub(crate) fn pace_of(&self, id: MessageId) -> Option<&Pace> {
        self.paces.get(&self.queue_of(self.rows.get(&id)?)?)
    }

    fn queue_of(&self, row: &Row) -> Option<Uuid> {
        let campaign = campaign_of(row.id).filter(|_| row.parts_done == 0);
        let campaign = campaign.filter(|campaign| self.paces.contains_key(campaign));
        campaign.or_else(|| self.rate_of(row).map(|_| SENDER))
    }

    /// The rate of its sender.
    pub(crate) fn rate_of(&self, row: &Row) -> Option<Pace> {
        let is_text = row.channel == Channel::Sms;
        self.paces.get(&SENDER).filter(|_| is_text).copied()
    }

    fn pace(&self, id: PaceId) -> Option<(Uuid, Pace)> {
        let mut all = self.paces.iter();
        let found = all.find(|(_, pace)| pace.id == id);
        found.map(|(campaign, pace)| (*campaign, *pace))
    }

    /// When the paces of a message have a slot for it.
    pub(crate) fn slot_from(&self, row: &Row) -> Option<Moment> {
        let own = self.pace_of(row.id)?.next;
        Some(self.rate_of(row).map_or(own, |rate| rate.next.max(own)))
    }

    /// As it is read with a message.
    pub(super) fn pace_due(&self, row: &Row, now: Moment) -> Option<PaceDue> {
        let queue = self.queue_of(row)?;
        let (scope, what) = if queue == SENDER {
            let sender: Sender = SENDER_NUMBER.parse().ok()?;
            ("sender", sender.masked())
        } else {
            ("campaign", queue.to_string())
        };
        Some(PaceDue {
            id: self.paces.get(&queue)?.id,
            scope: scope.into(),
            what,
            at: self.slot_from(row)?.max(self.due(row, now)),
            lane: self.lane_of(row),
        })
    }

    /// What is in the queue of a pace and due by then, and may be claimed.
    fn queued(&self, queue: Uuid, until: Moment) -> impl Iterator<Item = &Row> {
        let open = |row: &Row| self.open_attempts().any(|a| a.message == row.id);
        self.rows
            .values()
            .filter(move |row| row.status == Status::Pending && row.due() <= until)
            .filter(move |row| self.queue_of(row) == Some(queue))
            .filter(move |row| row.parts_done == 0 || !open(row))
            .filter(move |row| self.paused_until(row).is_none_or(|end| end <= until))
            .filter(|row| !self.is_quarantined(row.id) && !self.missed.contains(&row.id))
    }

    /// The messages of a campaign that take slots, as a forecast reads them (`forecast_queues.sql`).
    #[allow(dead_code, reason = "shared with the parity test")]
    pub(crate) fn forecast(
        &self,
        queue: Uuid,
        max_lateness: Duration,
        now: Moment,
    ) -> Option<Queue> {
        let pace = self.paces.get(&queue)?;
        let waiting = self.queued(queue, Moment::MAX).map(|row| Queued {
            id: row.id,
            due: row.due(),
            free_at: self.due(row, now),
            late_from: self.late_from(row),
        });
        let slots = Slots {
            next_at: pace.next,
            seed: pace.seed,
            position: pace.position,
            gaps: pace.gaps,
        };
        Some(Queue::new(waiting.collect(), slots, now, max_lateness))
    }

    /// `claim_paced.sql`, and of what was not won `paces_load.sql`.
    pub(crate) fn claim_paced(
        &mut self,
        asks: &[PaceRequest],
        (instance, lease): (InstanceId, Duration),
        until: Moment,
        now: Moment,
    ) -> Vec<(PaceId, PacedResponse<Claim>)> {
        let found: Vec<_> = asks.iter().filter_map(|ask| self.find(*ask, now)).collect();
        let mut won = BTreeMap::new();
        for candidate in &found {
            // One text of each sender in a statement: the first that was due.
            let order = |c: &Candidate| (c.due, c.first);
            let others = found.iter().filter(|c| {
                c.rate.is_some() && c.rate.map(|r| r.id) == candidate.rate.map(|r| r.id)
            });
            if others
                .into_iter()
                .all(|other| order(candidate) <= order(other))
                && let Some(paced) = self.take_slot(candidate, instance, lease, now)
            {
                won.insert(candidate.ask.pace, paced);
            }
        }
        let answers = asks.iter().map(|ask| {
            let waits = || self.paces_load(Some(&[ask.pace]), until, now).pop();
            let answer = match won.remove(&ask.pace) {
                Some(won) => PacedResponse::Won(Box::new(won)),
                None => waits().map_or(PacedResponse::Idle, PacedResponse::Wait),
            };
            (ask.pace, answer)
        });
        answers.collect()
    }

    fn find(&self, ask: PaceRequest, now: Moment) -> Option<Candidate> {
        let (queue, pace) = self.pace(ask.pace)?;
        if pace.next > now + LEAD_MAX {
            return None;
        }
        let all = self.queued(queue, now + LEAD_MAX);
        let free = all.filter(|row| self.free(row.id));
        let order = |row: &&Row| (row.due(), row.id);
        let first = if self.mutant == Some(Mutant::LastFirst) {
            free.max_by_key(order)?
        } else {
            free.min_by_key(order)?
        };
        Some(Candidate {
            ask,
            queue,
            first: first.id,
            due: first.due(),
            rate: self.rate_of(first),
        })
    }

    fn take_slot(
        &mut self,
        candidate: &Candidate,
        instance: InstanceId,
        lease: Duration,
        now: Moment,
    ) -> Option<PacedClaim<Claim>> {
        let Candidate {
            ask,
            queue,
            first: id,
            due,
            rate,
        } = *candidate;
        let priority = self.rows.get(&id)?.priority;
        let pace = *self.paces.get(&queue)?;
        let open_from = rate.map_or(pace.next, |rate| rate.next.max(pace.next));
        let ready = open_from.max(due);
        let slack = rate.map_or(PACE_SLACK, |_| ask.slack);
        if ready > now + LEAD_MAX {
            return None;
        }
        let slot = if now < ready + slack / 2 { ready } else { now };
        let mut claim = self.win(id, ask.token, (instance, ask.via), lease, now)?;
        let wanted_at = claim.wanted_at;
        let own = self.attempts.iter().filter(|a| a.message == id);
        let own = own.filter(|a| a.part == claim.part.before && a.started >= Some(claim.wanted_at));
        let first = own.filter_map(|a| a.started).min();
        let late_from = first.map_or(open_from, |first| first.min(open_from));
        let late_from = if self.mutant == Some(Mutant::ForgetsOutage) {
            slot
        } else {
            late_from.max(claim.wanted_at)
        };
        let waited = late_from.since(claim.wanted_at);
        claim.due = claim.due.max(slot);
        claim.wanted_at = late_from;
        let taken = TakenSlot {
            open_from,
            ready,
            at: slot,
            campaign: (queue != SENDER).then_some((pace.id, pace.gaps.0)),
        };
        self.slots.insert(ask.token, taken);
        let mut took = [Some(queue), rate.map(|_| SENDER)];
        if queue == SENDER {
            took[1] = None;
        }
        for taken in took.into_iter().flatten() {
            let is_bug = self.mutant == Some(Mutant::NoGap) && taken != SENDER
                || self.mutant == Some(Mutant::NoCharge) && taken == SENDER;
            let Some(pace) = self.paces.get_mut(&taken) else {
                continue;
            };
            let next = if is_bug {
                pace.next
            } else if taken == SENDER {
                after_charge(pace.next, slot, 1, pace.burst, pace.each())
            } else {
                slot + PACE_SLACK + gap(pace.seed, pace.position, pace.gaps)
            };
            let burst = pace.burst.saturating_sub(1).unsigned_abs();
            let before = pace.next.max(wanted_at - pace.each() * burst);
            (pace.slot, pace.token) = (Some(before), Some(ask.token));
            (pace.next, pace.position) = (next, pace.position + 1);
        }
        Some(PacedClaim {
            id,
            priority,
            claim,
            latest: slot + slack,
            waited,
            next: self.paces.get(&queue)?.next,
            rate: rate.map(|rate| rate.id),
            charged: rate.map(|_| 1),
        })
    }

    /// `pace_keep.sql` and `punctual.guard_pace`: a new pace, or other gaps for the one that is there. Its slots stay.
    pub(crate) fn set_pace(&mut self, queue: Uuid, new: Pace, now: Moment) {
        let is_new = self.mutant == Some(Mutant::PaceAnew) && queue != SENDER;
        let Some(pace) = self.paces.get_mut(&queue).filter(|_| !is_new) else {
            self.paces.insert(queue, new);
            return;
        };
        let was = *pace;
        (pace.gaps, pace.burst) = (new.gaps, new.burst);
        if (was.gaps, was.burst) == (pace.gaps, pace.burst) {
            return;
        }
        if queue == SENDER {
            pace.next = same_room(was, *pace, now);
            if self.mutant == Some(Mutant::RateAnew) {
                pace.next = now - pace.each() * pace.burst.saturating_sub(1).unsigned_abs();
            }
            (pace.token, pace.slot) = (None, None);
            return;
        }
        // What would have had a slot by now has one now.
        let follows = |slot: Moment, after: i64| {
            let [before, by_now] = [was.gaps, new.gaps].map(|gaps| gap(was.seed, after, gaps));
            slot.min(now).max(slot - before + by_now)
        };
        if self.mutant == Some(Mutant::OldGap) {
            return;
        }
        if was.position > 0 {
            pace.next = follows(was.next, was.position - 1);
        }
        if was.position > 1 {
            pace.slot = was.slot.map(|slot| follows(slot, was.position - 2));
        }
    }

    /// `paces_load.sql`.
    pub(crate) fn paces_load(
        &self,
        only: Option<&[PaceId]>,
        until: Moment,
        now: Moment,
    ) -> Vec<PaceDue> {
        let asked = |pace: &Pace| only.is_none_or(|ids| ids.contains(&pace.id));
        let all = self.paces.iter().filter(|(_, pace)| asked(pace));
        let first = |(queue, _): (&Uuid, &Pace)| {
            let first = self.queued(*queue, until);
            // What a pause stops is due at its end.
            self.pace_due(first.min_by_key(|row| (self.due(row, now), row.id))?, now)
        };
        all.filter_map(first).collect()
    }

    /// `punctual.return_slot`: an attempt ends whose request never began. What is cancelled could have been sent then.
    pub(super) fn return_slot(&mut self, token: AttemptToken, is_cancelled: bool, now: Moment) {
        for (key, pace) in &mut self.paces {
            if pace.token != Some(token) {
                continue;
            }
            let slot = pace.slot.unwrap_or(pace.next);
            let after = if *key == SENDER {
                pace.each()
            } else {
                PACE_SLACK + gap(pace.seed, pace.position - 1, pace.gaps)
            };
            pace.next = if is_cancelled {
                slot.max(now.min(slot + after))
            } else {
                slot
            };
            pace.position -= 1;
            (pace.token, pace.slot) = (None, None);
        }
    }
}
