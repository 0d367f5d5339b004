//! Senders and recipients that the provider slows: what waits for that, and what must not.

use std::collections::{HashMap, HashSet};

use punctual::message::{
    AttemptToken, Channel, Claim, LedgerOutcome, Outcome, Parties, PartyKey, Retry, Scope, Sender,
};
use punctual::settle::{Record, Settlement};

use crate::model::sender_of;
use crate::plan::micros_of;
use crate::trouble::Trouble;
use crate::watch::Invariant;
use crate::witness::Seen;
use crate::world::{Payload, World};

/// What a world knows of them.
#[derive(Debug, Default)]
pub(crate) struct Slowed {
    /// Of each claim.
    parties: HashMap<AttemptToken, Parties>,
    /// Those that the provider ever slowed or refused.
    ever: HashSet<PartyKey>,
    /// The same, by the daemon that has heard of it, and when it may try again.
    heard: HashMap<(usize, PartyKey), i64>,
}

/// What an outcome concerns beside its message; what names nobody counts for the pair.
fn concerned(parties: &Parties, outcome: &Outcome) -> Option<PartyKey> {
    let is_refused = matches!(
        outcome,
        Outcome::Refused {
            retry: Retry::HoldSender { .. },
            ..
        }
    );
    match outcome.slows() {
        Some(Scope::Sender) => Some(parties.sender),
        Some(_) => Some(parties.pair),
        None => is_refused.then_some(parties.sender),
    }
}

impl World {
    /// A message is claimed: it goes out from its sender. The database of these worlds has none.
    pub(crate) fn gets_sender(&mut self, claim: &mut Claim) {
        // What names its sender has no route.
        if claim.lane.channel() == Channel::Sms && self.plan.accounts.is_empty() {
            claim.from_number = Some(sender_of(claim.id.0.as_u128()));
        }
        let own = self.rules.sender(&claim.lane).map(Sender::as_str);
        let sender = claim.from_number.as_deref().or(own);
        let parties = Parties::of(&claim.lane, sender, &claim.to_number);
        self.slowed.parties.insert(claim.token, parties);
        self.knows_event(claim);
    }

    /// Whether a trouble of the provider concerns this request.
    pub(crate) fn is_troubled(&self, payload: &Payload, trouble: &Trouble) -> bool {
        let row = self.db.rows.get(&payload.id());
        let lane = self.lanes.get(&payload.token());
        let from = sender_of(payload.id().0.as_u128());
        let to = row.map_or("", |row| &row.to);
        trouble.concerns(&lane.cloned().unwrap_or_default(), &from, to)
    }

    /// The provider slows somebody, whether or not a daemon hears of it.
    pub(crate) fn note_slowed(&mut self, payload: &Payload, outcome: &Outcome) {
        let parties = self.slowed.parties.get(&payload.token());
        let key = parties.and_then(|parties| concerned(parties, outcome));
        self.slowed.ever.extend(key);
    }

    /// A daemon hears of it.
    pub(crate) fn hears_slowed(&mut self, slot: usize, token: AttemptToken, outcome: &Outcome) {
        let parties = self.slowed.parties.get(&token);
        let Some(key) = parties.and_then(|parties| concerned(parties, outcome)) else {
            return;
        };
        let least = self.plan.settings.limits.slowed.gap_least;
        match outcome {
            Outcome::Throttled { retry_after, .. } => {
                let wait = least.max(retry_after.unwrap_or_default());
                let until = self.t + micros_of(wait);
                self.slowed.heard.insert((slot, key), until);
            }
            // One refusal holds nothing up, but is kept, and takes the room of another.
            _ => {
                self.slowed.heard.entry((slot, key)).or_insert(self.t);
            }
        }
    }

    /// A daemon has ended, and with it what it knew.
    pub(crate) fn forgets_slowed(&mut self, slot: usize) {
        self.slowed.heard.retain(|(of, _), _| *of != slot);
    }

    /// Nothing is released for that but what it concerns.
    pub(crate) fn slows_others(&self, record: &Record<Payload>) -> Seen {
        let Settlement::Settled(settled) = &record.settlement else {
            return None;
        };
        let is_slowed = settled.outcome == LedgerOutcome::Returned
            && settled.pause().is_some()
            && settled.category.is_some();
        let parties = self
            .slowed
            .parties
            .get(&record.token)
            .filter(|_| is_slowed)?;
        let is_concerned = [parties.sender, parties.pair]
            .iter()
            .any(|key| self.slowed.ever.contains(key));
        let what = || {
            format!(
                "row {} waits for what others were slowed for",
                record.id.0.as_u128()
            )
        };
        (!is_concerned).then(|| (Invariant::SlowedAlone, what()))
    }

    /// What was throttled is not tried again at once, unless it was forgotten because there was too much.
    pub(crate) fn hammers(&self, slot: usize, payload: &Payload) -> Seen {
        let limits = self.plan.settings.limits.slowed;
        let own = self.slowed.heard.keys().filter(|(of, _)| *of == slot);
        if own.count() > limits.max {
            return None;
        }
        let parties = self.slowed.parties.get(&payload.token())?;
        let heard = |key| self.slowed.heard.get(&(slot, key)).copied();
        let early = heard(parties.sender).max(heard(parties.pair))? - self.t;
        let what = || {
            format!(
                "row {} starts {early} us too soon after it was throttled",
                payload.id().0.as_u128()
            )
        };
        (early > 0).then(|| (Invariant::NoHammering, what()))
    }
}
