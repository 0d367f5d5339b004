//! Claims from paces, and judges what was won.

use std::collections::HashMap;

use super::{ASKING_PATIENCE, Dispatch, Input, Payload};
use crate::clock;
use crate::message::{Claim, ClaimAnswer, Moment, PaceId, PacedAnswer};
use crate::metrics::ClaimResult;
use crate::reactor::{JudgedClaim, PaceAsk};
use crate::store::{Halving, PATIENCE, StoreError};

impl Dispatch {
    /// Claims the next message of each pace, and judges what was won.
    pub async fn claim_paced(&self, asks: Vec<PaceAsk>, until: Moment) -> Input {
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
        Input::PacesClaimed { answers }
    }

    async fn claim_all_paced(
        &self,
        asks: &[PaceAsk],
        until: Moment,
        answers: &mut Vec<(PaceId, PacedAnswer<Claim>)>,
    ) -> Result<(), StoreError> {
        let mut groups = Halving::new(asks, asks.len());
        while let Some(group) = groups.next_group() {
            let pairs: Vec<_> = group.iter().map(|ask| (ask.pace, ask.token)).collect();
            let before = clock::reading();
            let claim = self.store.claim_paced(&pairs, self.lease, until);
            match self
                .store
                .within_at_work(ASKING_PATIENCE, PATIENCE, claim)
                .await
            {
                Ok(claimed) => {
                    if let Some(database) = claimed.now {
                        self.clock.measured(before, database);
                    }
                    answers.extend(claimed.answers);
                }
                Err(refused) if groups.halve(group, &refused) => {}
                // The app refuses the first message of this pace; the others go on.
                Err(refused) if refused.is_about_a_row() => {
                    self.count_claims(ClaimResult::Refused, 1);
                    self.notes.claim_failed(&refused);
                    tracing::warn!(pace = ?group.first().map(|ask| ask.pace.0), error = %refused, "a claim from a pace was refused");
                    let ids: Vec<_> = group.iter().map(|ask| ask.pace).collect();
                    let waits = self.store.paces(Some(&ids), until);
                    let waits = self.store.within(ASKING_PATIENCE, waits).await?;
                    answers.extend(
                        waits
                            .into_iter()
                            .map(|due| (due.id, PacedAnswer::Wait(due))),
                    );
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn judge_paced(
        &self,
        answers: Vec<(PaceId, PacedAnswer<Claim>)>,
        now: Moment,
    ) -> Vec<(PaceId, PacedAnswer<JudgedClaim<Payload>>)> {
        let won = answers.iter().filter_map(|(_, answer)| match answer {
            PacedAnswer::Won(paced) => Some((paced.id, ClaimAnswer::Won(paced.claim.clone()))),
            PacedAnswer::Wait(_) | PacedAnswer::Idle => None,
        });
        let won: Vec<_> = won.collect();
        self.note_claims(&won, now);
        let mut judged = self.judge(won, now);
        self.keep_texts(&mut judged).await;
        let mut judged: HashMap<_, _> = judged.into_iter().collect();
        let answers = answers.into_iter().filter_map(|(pace, answer)| {
            let answer = match answer {
                PacedAnswer::Wait(due) => PacedAnswer::Wait(due),
                PacedAnswer::Idle => PacedAnswer::Idle,
                PacedAnswer::Won(paced) => {
                    let Some(ClaimAnswer::Won(claim)) = judged.remove(&paced.id) else {
                        return None;
                    };
                    PacedAnswer::Won(Box::new(paced.with(claim)))
                }
            };
            Some((pace, answer))
        });
        answers.collect()
    }
}
