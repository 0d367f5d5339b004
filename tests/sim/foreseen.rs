//! What waits for the pace of its campaign has its slot when that was foreseen, or something has happened since then
//! that explains why not. What is foreseen is what `punctual why` says: the slots of `schedule::queue`.

use std::collections::BTreeMap;

use punctual::message::{MessageId, Moment};
use punctual::schedule::{LEAD_MAX, PACE_SLACK, STAGGER};
use uuid::Uuid;

use crate::model::{SENDER, campaign_of};
use crate::plan::{SECOND, micros, micros_of};
use crate::watch::{Invariant, ON_TIME, RESUMED, SWEPT};
use crate::witness::Seen;
use crate::world::{Payload, START, World};

/// How often it is looked at whether something new is to be foreseen, and after how long what was foreseen is renewed.
const EVERY: i64 = SECOND;
const KEPT: i64 = 20 * SECOND;

/// An attempt that was made so long before may have ended since without a request.
const ENDS_LATER: i64 = 15 * SECOND;

/// The slots of a campaign, if nothing happens.
#[derive(Debug)]
struct Foreseen {
    at: i64,
    /// How much earlier the slots may be.
    early: i64,
    /// How much had happened by then.
    events: u64,
    /// Of each message, and how many are before it.
    slots: BTreeMap<MessageId, (i64, Moment)>,
}

/// What is foreseen in a world.
#[derive(Debug, Default)]
pub(crate) struct Foresight {
    next_at: i64,
    of: BTreeMap<Uuid, Foreseen>,
    /// What users did, and misfortune; and when the last of it was.
    events: u64,
    event_at: i64,
    /// Slots that were as foreseen.
    pub(crate) met: u64,
}

impl World {
    /// Something happens that may change what is foreseen.
    pub(crate) fn note_event(&mut self) {
        self.foresight.events += 1;
        self.foresight.event_at = self.t;
    }

    pub(crate) fn foresee(&mut self) {
        if self.t < self.foresight.next_at {
            return;
        }
        self.foresight.next_at = self.t + EVERY;
        let settles = if self.plan.deaf { 2 * SWEPT } else { RESUMED };
        let is_quiet = self.t - self.foresight.event_at > settles;
        // Of a message that waits for the rate of its sender too it is not known which one goes first.
        let is_simple = self.plan.troubles.is_empty()
            && self.plan.calm_odds.slow == 0
            && micros_of(self.plan.max_lateness) >= 3_600 * SECOND
            && !self.db.paces.contains_key(&SENDER);
        if !is_quiet || !is_simple || self.true_now() < self.settled_at() {
            return;
        }
        let now = self.db_now();
        for campaign in self.db.paces.keys().copied().collect::<Vec<_>>() {
            let known = self.foresight.of.get(&campaign);
            let is_known = |known: &Foreseen| {
                known.events == self.foresight.events && self.t < known.at + KEPT
            };
            if known.is_some_and(is_known) {
                continue;
            }
            let Some(queue) = self.db.forecast(campaign, self.plan.max_lateness, now) else {
                continue;
            };
            let turns = queue.turns(Some).into_iter();
            let turns = turns.map(|(id, turn)| {
                let ahead = i64::try_from(turn.ahead).unwrap_or(0);
                (id, (ahead, turn.slot))
            });
            let slots: BTreeMap<_, _> = turns.collect();
            // A claim that is a little late has the slot that was open; a forecast of that moment says "now".
            let is_open = slots.values().any(|(_, slot)| *slot <= now);
            // Where a pause ends the claim comes ahead of its end, and a slot that is open by then begins with the
            // claim.
            let is_paused = self.db.pauses.values().any(|until| *until > now);
            let early = match (is_open, is_paused) {
                (true, _) => micros_of(PACE_SLACK) / 2,
                (false, true) => micros_of(LEAD_MAX),
                (false, false) => 0,
            };
            let foreseen = Foreseen {
                at: self.t,
                early,
                events: self.foresight.events,
                slots,
            };
            self.foresight.of.insert(campaign, foreseen);
        }
    }

    /// Its slot is another one than was foreseen, and nothing explains it.
    pub(crate) fn unforeseen(&mut self, payload: &Payload) -> Seen {
        let campaign = campaign_of(payload.id())?;
        let attempt = self.db.attempt(payload.token())?;
        let foreseen = self.foresight.of.get(&campaign)?;
        let since = foreseen.at - ENDS_LATER;
        if foreseen.events != self.foresight.events || attempt.part > 0 {
            return None;
        }
        let (ahead, slot) = *foreseen.slots.get(&payload.id())?;
        let taken = self.db.slots.get(&payload.token())?;
        // A message that was put back, or was to be sent and was not, has returned its slot or used one more.
        let is_lost = self.db.attempts.iter().any(|a| {
            campaign_of(a.message) == Some(campaign)
                && a.claimed_at > START + micros(since.max(0))
                && a.outcome.is_some_and(|outcome| outcome != "accepted")
        });
        if is_lost {
            return None;
        }
        let off = taken.at.micros_from(slot);
        let allowed = (ahead + 1) * self.delay();
        if off < -2 * self.plan.uncertainty - foreseen.early || off > allowed {
            let what = format!(
                "its slot is {off} us after the one foreseen at {}",
                foreseen.at
            );
            return Some((Invariant::Foreseen, what));
        }
        self.foresight.met += 1;
        None
    }

    /// How late the claim of a slot may be in the calm.
    fn delay(&self) -> i64 {
        let beside = i64::try_from(self.db.rows.len()).unwrap_or(0);
        let stand_ins = i64::try_from(self.places()).unwrap_or(1) - 1;
        ON_TIME + beside * self.plan.queued() + stand_ins * micros_of(STAGGER)
    }
}
