//! `punctual.paces`: what keeps the messages of a campaign apart, and the statements that go by it.

use std::time::Duration;

use punctual::message::{
    AttemptToken, Claim, InstanceId, MessageId, Moment, PaceDue, PaceId, PacedAnswer, PacedClaim,
    Status,
};
use punctual::reactor::PaceAsk;
use punctual::schedule::pace::gap;
use punctual::schedule::{LEAD_MAX, PACE_SLACK};
use uuid::Uuid;

use super::{Database, Row};
use crate::mutant::Mutant;

/// A row of `punctual.paces`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    pub(crate) id: PaceId,
    pub(crate) gaps: (Duration, Duration),
    pub(crate) seed: i64,
    pub(crate) position: i64,
    pub(crate) next: Moment,
    pub(crate) token: Option<AttemptToken>,
    pub(crate) slot: Option<Moment>,
}

/// The campaign of a message: two of three are in one of two.
pub(crate) fn campaign_of(id: MessageId) -> Option<Uuid> {
    match id.0.as_u128() % 3 {
        0 => None,
        n => Some(Uuid::from_u128(0xC << 120 | n)),
    }
}

impl Database {
    /// The pace of a message; between its parts it waits for none.
    pub(crate) fn pace_of(&self, id: MessageId) -> Option<&Pace> {
        let is_first = self.rows.get(&id).is_some_and(|row| row.parts_done == 0);
        self.paces.get(&campaign_of(id)?).filter(|_| is_first)
    }

    fn pace(&self, id: PaceId) -> Option<(Uuid, Pace)> {
        let mut all = self.paces.iter();
        let found = all.find(|(_, pace)| pace.id == id);
        found.map(|(campaign, pace)| (*campaign, *pace))
    }

    /// As it is read with a message.
    pub(super) fn pace_due(&self, row: &Row, now: Moment) -> Option<PaceDue> {
        let pace = self.pace_of(row.id)?;
        Some(PaceDue {
            id: pace.id,
            scope: "campaign".into(),
            what: campaign_of(row.id)?.to_string(),
            at: pace.next.max(self.due(row, now)),
            lane: row.lane(),
        })
    }

    /// `claim_paced.sql`, and of what was not won `paces_load.sql`.
    pub(crate) fn claim_paced(
        &mut self,
        asks: &[PaceAsk],
        (instance, lease): (InstanceId, Duration),
        until: Moment,
        now: Moment,
    ) -> Vec<(PaceId, PacedAnswer<Claim>)> {
        let won: Vec<_> = asks
            .iter()
            .map(|ask| self.take_slot(*ask, instance, lease, now))
            .collect();
        let answers = asks.iter().zip(won).map(|(ask, won)| {
            let waits = || self.paces_load(Some(&[ask.pace]), until, now).pop();
            let answer = match won {
                Some(won) => PacedAnswer::Won(Box::new(won)),
                None => waits().map_or(PacedAnswer::Idle, PacedAnswer::Wait),
            };
            (ask.pace, answer)
        });
        answers.collect()
    }

    fn take_slot(
        &mut self,
        ask: PaceAsk,
        instance: InstanceId,
        lease: Duration,
        now: Moment,
    ) -> Option<PacedClaim<Claim>> {
        let (campaign, pace) = self.pace(ask.pace)?;
        if pace.next > now + LEAD_MAX {
            return None;
        }
        let first = self
            .rows
            .values()
            .filter(|row| row.status == Status::Pending && row.parts_done == 0)
            .filter(|row| campaign_of(row.id) == Some(campaign))
            .filter(|row| row.due() <= now + LEAD_MAX)
            .filter(|row| {
                self.paused_until(row)
                    .is_none_or(|end| end <= now + LEAD_MAX)
            })
            .filter(|row| !self.is_quarantined(row.id) && !self.missed.contains(&row.id))
            .filter(|row| self.free(row.id))
            .min_by_key(|row| (row.due(), row.id))?;
        let (id, priority) = (first.id, first.priority);
        let slot = pace.next.max(first.due());
        let slot = if now < slot + PACE_SLACK / 2 {
            slot
        } else {
            now
        };
        let mut claim = self.win(id, ask.token, instance, lease, now)?;
        let waited = slot.since(claim.wanted_at);
        claim.due = claim.due.max(slot);
        claim.wanted_at = claim.wanted_at.max(slot);
        let latest = slot + PACE_SLACK;
        let next = if self.mutant == Some(Mutant::NoGap) {
            slot
        } else {
            latest + gap(pace.seed, pace.position, pace.gaps)
        };
        self.slots.insert(ask.token, (pace.next, slot));
        self.paces.insert(
            campaign,
            Pace {
                position: pace.position + 1,
                next,
                token: Some(ask.token),
                slot: Some(slot),
                ..pace
            },
        );
        Some(PacedClaim {
            id,
            priority,
            claim,
            latest,
            waited,
            next,
        })
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
        let first = |(campaign, _): (&Uuid, &Pace)| {
            let rows = self.rows.values();
            let own = rows.filter(|row| campaign_of(row.id) == Some(*campaign));
            let due = own.filter(|row| {
                row.status == Status::Pending
                    && row.parts_done == 0
                    && row.due() <= until
                    && self.paused_until(row).is_none_or(|end| end <= until)
                    && !self.is_quarantined(row.id)
                    && !self.missed.contains(&row.id)
            });
            let first = due.min_by_key(|row| (row.due(), row.id))?;
            self.pace_due(first, now)
        };
        all.filter_map(first).collect()
    }

    /// `punctual.return_slot`: an attempt ends whose request never began.
    pub(super) fn return_slot(&mut self, token: AttemptToken) {
        if let Some(pace) = self.paces.values_mut().find(|p| p.token == Some(token)) {
            pace.next = pace.slot.unwrap_or(pace.next);
            pace.position -= 1;
            (pace.token, pace.slot) = (None, None);
        }
    }
}
