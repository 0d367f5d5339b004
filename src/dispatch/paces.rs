//! Claims from paces, and judges what was won.

use std::collections::HashMap;

use super::{ASKING_PATIENCE, ClaimJudged, Dispatch, Input, Payload};
use crate::clock;
use crate::message::segments::Segments;
use crate::message::{AttemptToken, Claim, ClaimResponse, Moment, PaceDue, PaceId, PacedResponse};
use crate::metrics::ClaimResult;
use crate::reactor::{JudgedClaim, PaceRequest};
use crate::schedule::RATE_SLACK;
use crate::store::{Halving, PATIENCE, StoreError};

/// The app may refuse the claims of so many messages of one pace, and the next one is still sent.
const REFUSED_MAX: u32 = 8;

impl Dispatch {
    /// Claims the next message of each pace, and judges what was won.
    pub async fn claim_paced(&self, asks: Vec<PaceRequest>, until: Moment) -> Input {
        let before = clock::reading();
        let mut answers = Vec::with_capacity(asks.len());
        let claimed = self.claim_all_paced(&asks, until, &mut answers).await;
        if let Err(error) = &claimed {
            self.count_claims(ClaimResult::Unanswered, asks.len());
            self.notes.claim_failed(error);
            tracing::warn!(paces = asks.len(), %error, "a claim from paces failed");
        }
        // What an earlier part has won must be sent on time.
        let now = self.clock.now().db;
        let answers = self.judge_paced(answers, now).await;
        let mut won = answers.iter();
        let won = claimed.is_ok() && won.any(|(_, answer)| matches!(answer, PacedResponse::Won(_)));
        let took = won.then(|| self.clock.now().up.since(before.up));
        Input::PacesClaimed { answers, took }
    }

    async fn claim_all_paced(
        &self,
        asks: &[PaceRequest],
        until: Moment,
        answers: &mut Vec<(PaceId, PacedResponse<Claim>)>,
    ) -> Result<(), StoreError> {
        let mut groups = Halving::new(asks, asks.len());
        while let Some(group) = groups.next_group() {
            match self.claim_group(group, until, 0).await {
                Ok(claimed) => answers.extend(claimed),
                Err(refused) if groups.halve(group, &refused) => {}
                Err(refused) if refused.is_about_a_row() => {
                    let claimed = self.claim_past_refused(group, until, refused).await?;
                    answers.extend(claimed);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn claim_group(
        &self,
        group: &[PaceRequest],
        until: Moment,
        left_out: u32,
    ) -> Result<Vec<(PaceId, PacedResponse<Claim>)>, StoreError> {
        let asks: Vec<_> = group
            .iter()
            .map(|ask| (ask.pace, ask.token, ask.slack))
            .collect();
        let before = clock::reading();
        let via: Vec<_> = group.iter().map(|ask| ask.via).collect();
        let claim = self.store.claim_paced(&asks, &via, self.lease, left_out);
        let claim = self.store.within_at_work(ASKING_PATIENCE, PATIENCE, claim);
        let claimed = claim.await?;
        if let Some(database) = claimed.now {
            self.clock.measured(before, database);
        }
        let mut won = claimed.won;
        let paces = asks.iter().map(|(id, ..)| *id);
        let opted_out = claimed.opted_out;
        let others = paces.filter(|id| !won.contains_key(id) && !opted_out.contains_key(id));
        let others: Vec<_> = others.collect();
        let waits = self.waits(&others, until).await;
        let mut answers: Vec<_> = won
            .drain()
            .map(|(id, claim)| (id, PacedResponse::Won(Box::new(claim))))
            .collect();
        let opted_out = opted_out.into_iter();
        answers.extend(opted_out.map(|(id, message)| (id, PacedResponse::OptedOut(message))));
        if let Some(mut waits) = waits {
            answers.extend(others.into_iter().map(|id| {
                let wait = waits
                    .remove(&id)
                    .map_or(PacedResponse::Idle, PacedResponse::Wait);
                (id, wait)
            }));
        }
        Ok(answers)
    }

    /// When the next message of each of these paces may start, up to `until`. What was won must be sent on time: this
    /// has a patience of its own, and paces that cannot be read (`None`) are read again.
    async fn waits(&self, paces: &[PaceId], until: Moment) -> Option<HashMap<PaceId, PaceDue>> {
        if paces.is_empty() {
            return Some(HashMap::new());
        }
        let read = self.store.paces(Some(paces), until);
        match self.store.within(ASKING_PATIENCE, read).await {
            Ok(all) => Some(all.into_iter().map(|due| (due.id, due)).collect()),
            Err(error) => {
                tracing::warn!(paces = paces.len(), %error, "paces could not be read; retrying");
                None
            }
        }
    }

    /// The app refuses the claim of the first message of this pace: a later one goes in its place.
    async fn claim_past_refused(
        &self,
        group: &[PaceRequest],
        until: Moment,
        mut refused: StoreError,
    ) -> Result<Vec<(PaceId, PacedResponse<Claim>)>, StoreError> {
        let pace = group.first().map(|ask| ask.pace.0);
        for left_out in 1..=REFUSED_MAX {
            self.count_claims(ClaimResult::Refused, 1);
            self.notes.claim_failed(&refused);
            tracing::warn!(?pace, error = %refused, "the claim of a message of a pace was refused; a later one is tried");
            match self.claim_group(group, until, left_out).await {
                Ok(claimed) => return Ok(claimed),
                Err(again) if again.is_about_a_row() => refused = again,
                Err(error) => return Err(error),
            }
        }
        let ids: Vec<_> = group.iter().map(|ask| ask.pace).collect();
        let waits = self.waits(&ids, until).await.unwrap_or_default();
        let waits = waits.into_iter();
        Ok(waits
            .map(|(id, due)| (id, PacedResponse::Wait(due)))
            .collect())
    }

    async fn judge_paced(
        &self,
        answers: Vec<(PaceId, PacedResponse<Claim>)>,
        now: Moment,
    ) -> Vec<(PaceId, PacedResponse<JudgedClaim<Payload>>)> {
        let won = answers.iter().filter_map(|(_, answer)| match answer {
            PacedResponse::Won(paced) => Some((paced.id, ClaimResponse::Won(paced.claim.clone()))),
            PacedResponse::OptedOut(id) => Some((*id, ClaimResponse::OptedOut)),
            PacedResponse::Wait(_) | PacedResponse::Idle => None,
        });
        let won: Vec<_> = won.collect();
        self.note_claims(&won, now);
        let mut judged = self.judge(won, now);
        self.count_texts(&mut judged).await;
        self.charge_costs(&mut judged).await;
        let corrections = corrections(&answers, &judged);
        let ((), corrected) = tokio::join!(self.keep_texts(&mut judged), self.charge(&corrections));
        let mut judged: HashMap<_, _> = judged.into_iter().collect();
        let answers = answers.into_iter().filter_map(|(pace, answer)| {
            let answer = match answer {
                PacedResponse::Wait(due) => PacedResponse::Wait(due),
                PacedResponse::OptedOut(id) => PacedResponse::OptedOut(id),
                PacedResponse::Idle => PacedResponse::Idle,
                PacedResponse::Won(mut paced) => {
                    paced.next = corrected.get(&pace).copied().unwrap_or(paced.next);
                    let Some(ClaimResponse::Won(claim)) = judged.remove(&paced.id) else {
                        return None;
                    };
                    PacedResponse::Won(Box::new(paced.with(claim)))
                }
            };
            Some((pace, answer))
        });
        answers.collect()
    }

    /// Corrects what was charged for texts that turned out to have fewer segments, or more. The slots of these texts
    /// are short, so that takes half of one at most: what comes later applies all the same, and what fails costs the
    /// sender a moment.
    async fn charge(&self, corrections: &[(PaceId, AttemptToken, i32)]) -> HashMap<PaceId, Moment> {
        if corrections.is_empty() {
            return HashMap::new();
        }
        let charge = self.store.charge(corrections);
        match self.store.within(RATE_SLACK / 2, charge).await {
            Ok(corrected) => corrected.into_iter().collect(),
            Err(error) => {
                tracing::warn!(messages = corrections.len(), %error, "what a sender's rate was charged was not corrected in time");
                HashMap::new()
            }
        }
    }
}

/// By how many segments the charge of each message that is to be sent was wrong.
fn corrections(
    answers: &[(PaceId, PacedResponse<Claim>)],
    judged: &[ClaimJudged],
) -> Vec<(PaceId, AttemptToken, i32)> {
    let won = judged.iter().filter_map(|(id, answer)| match answer {
        ClaimResponse::Won(claim) => Some((*id, claim.verdict.as_ref().ok()?)),
        _ => None,
    });
    let cleared: HashMap<_, _> = won.collect();
    let correction = |(_, answer): &(PaceId, PacedResponse<Claim>)| {
        let PacedResponse::Won(paced) = answer else {
            return None;
        };
        let segments = Segments::of(cleared.get(&paced.id)?.body()).count;
        let more = i32::try_from(segments).ok()? - paced.charged?;
        (more != 0).then_some((paced.rate?, paced.claim.token, more))
    };
    answers.iter().filter_map(correction).collect()
}
