//! Performs what the reactor decides: claim, judge, send, record. Each function does one thing
//! once, within a bounded time, and returns the result; the reactor decides what follows from it.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;

use crate::clock::{self, Clock};
use crate::journal::{Journal, Unwritable};
use crate::limits::Limits;
use crate::message::{
    AttemptToken, Claim, ClaimResponse, MessageId, Moment, Outcome, RowState, Uptime,
};
use crate::metrics::span::{self, Step};
use crate::metrics::{ClaimResult, Metrics};
use crate::policy::{self, Cleared, Rules};
use crate::proof::recovery::Begun;
use crate::provider::{Provider, Providers};
use crate::reactor::{self, ClaimRequest, JudgedClaim};
use crate::schedule::LEAD_MAX;
use crate::settle::{Record, SendResult, Settlement};
use crate::store::{Halving, Lineage, PATIENCE, Store, StoreError};

mod bursts;
mod costs;
mod notes;
mod paces;
mod pauses;
mod texts;
mod window;

pub use costs::{KeptBack, Owed, uncounted};
pub use notes::{Failing, LatestResults, Notes, StoreFailure};

/// The payload of a cleared message in the reactor.
pub type Payload = Arc<Cleared>;

/// The inputs of the reactor.
pub type Input = reactor::Input<Payload>;

/// A claim or a read that takes longer is abandoned, except for a claim that the server is observed
/// to work on: that has [`PATIENCE`]. They take milliseconds, a message waits for them, and to
/// repeat them costs nothing: a claim whose response was lost is released by its token. The same
/// connection is then not used again.
const ASKING_PATIENCE: Duration = Duration::from_secs(5);

/// Why a claim is released whose message was to go by an account of the route that it had.
const ASTRAY: &str = "its route changed while it was claimed";

/// The result of a claim for one message.
type ClaimJudged = (MessageId, ClaimResponse<JudgedClaim<Payload>>);

/// Everything that is needed to perform decisions.
#[derive(Clone)]
pub struct Dispatch {
    /// The database.
    pub store: Store,
    /// The provider of each channel.
    pub providers: Providers,
    /// The installation's rules.
    pub rules: Arc<Rules>,
    /// The clock.
    pub clock: Arc<Clock>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// How long a claim is valid.
    pub lease: Duration,
    /// Limits and pauses.
    pub limits: Arc<Limits>,
    /// The journal of requests that began, for the next process; `None`: there is no journal.
    pub journal: Option<Arc<Journal>>,
    /// What this instance remembers of its requests, in case the database loses some.
    pub lineage: Lineage,
    /// How the latest claims and records went.
    pub notes: Arc<Notes>,
}

impl Dispatch {
    /// Claims, and judges the claimed messages.
    pub async fn claim(&self, asks: Vec<ClaimRequest>) -> Input {
        let before = clock::reading();
        let mut answers = Vec::with_capacity(asks.len());
        // They end with this claim.
        let _following: Vec<_> = asks
            .iter()
            .map(|ask| span::of(Step::Claim, ask.id, ask.token))
            .collect();
        match self.claim_all(&asks, &mut answers).await {
            Ok(()) => {
                let took = self.clock.now().up.since(before.up);
                Input::Claimed { answers, took }
            }
            // Some of several parts may be committed already. Then the response counts as lost, which is
            // correct for all of them.
            Err(refused) if refused.is_refusal() && answers.is_empty() => {
                self.count_claims(ClaimResult::Refused, asks.len());
                self.notes.claim_failed(&refused);
                tracing::warn!(messages = asks.len(), error = %refused, "a claim was refused");
                Input::ClaimRefused(asks)
            }
            Err(lost) => {
                self.count_claims(ClaimResult::Unanswered, asks.len());
                self.notes.claim_failed(&lost);
                tracing::warn!(messages = asks.len(), error = %lost, "the response to a claim was lost");
                Input::ClaimLost(asks)
            }
        }
    }

    /// Claims these. One that the database refuses is read instead, and if it is pending it is claimed again,
    /// less and less often.
    async fn claim_all(
        &self,
        asks: &[ClaimRequest],
        answers: &mut Vec<ClaimJudged>,
    ) -> Result<(), StoreError> {
        let mut groups = Halving::new(asks, asks.len());
        while let Some(group) = groups.next_group() {
            let asks: Vec<_> = group
                .iter()
                .map(|ask| (ask.id, ask.token, ask.via))
                .collect();
            let before = clock::reading();
            let claim = self.store.claim(&asks, self.lease);
            let (patience, at_most) = (ASKING_PATIENCE, PATIENCE);
            match self.store.within_at_work(patience, at_most, claim).await {
                Ok(claimed) => {
                    if let Some(database) = claimed.now {
                        self.clock.measured(before, database);
                    }
                    let now = self.clock.now().db;
                    self.note_claims(&claimed.answers, now);
                    let mut judged = self.judge(claimed.answers, now);
                    self.count_texts(&mut judged).await;
                    self.charge_costs(&mut judged).await;
                    self.keep_texts(&mut judged).await;
                    answers.extend(judged);
                }
                Err(refused) if groups.halve(group, &refused) => {}
                Err(refused) if refused.is_about_a_row() => {
                    let ids: Vec<_> = group.iter().map(|ask| ask.id).collect();
                    self.count_claims(ClaimResult::Refused, ids.len());
                    self.notes.claim_failed(&refused);
                    tracing::warn!(message.id = ?ids.first().map(|id| id.0), error = %refused, "a claim was refused");
                    let read = self.store.read(&ids);
                    let rows = self.store.within(ASKING_PATIENCE, read).await?;
                    let lost = |(id, state)| (id, ClaimResponse::Lost(state));
                    answers.extend(rows.into_iter().map(lost));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn count_claims(&self, result: ClaimResult, messages: usize) {
        self.metrics.count_claims(result, messages as u64);
    }

    fn note_claims(&self, answers: &[(MessageId, ClaimResponse<Claim>)], now: Moment) {
        let mut counts = [0; ClaimResult::ALL.len()];
        for (_, answer) in answers {
            let result = match answer {
                ClaimResponse::Won(_) => ClaimResult::Won,
                ClaimResponse::Paused(_) => ClaimResult::Paused,
                ClaimResponse::Paced(_) => ClaimResult::Paced,
                // It is due, and was not claimed: it is locked, or claims take no effect.
                ClaimResponse::Lost(RowState::Pending { due, .. }) if *due <= now + LEAD_MAX => {
                    ClaimResult::Locked
                }
                ClaimResponse::Lost(_) | ClaimResponse::OptedOut => ClaimResult::Lost,
            };
            counts[result as usize] += 1;
        }
        for (result, messages) in ClaimResult::ALL.into_iter().zip(counts) {
            self.count_claims(result, messages);
        }
        self.notes
            .won(answers.iter().filter_map(|(_, answer)| match answer {
                ClaimResponse::Won(claim) => Some(claim.lane.channel()),
                _ => None,
            }));
    }

    /// Judges all messages of a claim together: see [`policy::judge_all`].
    fn judge(
        &self,
        answers: Vec<(MessageId, ClaimResponse<Claim>)>,
        now: Moment,
    ) -> Vec<ClaimJudged> {
        let (mut won, mut judged) = (Vec::with_capacity(answers.len()), Vec::new());
        for (id, answer) in answers {
            match answer {
                ClaimResponse::Won(claim) => won.push(claim),
                ClaimResponse::Lost(state) => judged.push((id, ClaimResponse::Lost(state))),
                ClaimResponse::Paused(state) => judged.push((id, ClaimResponse::Paused(state))),
                ClaimResponse::Paced(state) => judged.push((id, ClaimResponse::Paced(state))),
                ClaimResponse::OptedOut => judged.push((id, ClaimResponse::OptedOut)),
            }
        }
        let verdicts =
            policy::judge_all(&won, &self.rules, &self.providers.all_capabilities(), now);
        judged.extend(won.iter().zip(verdicts).map(|(claim, verdict)| {
            for warning in policy::zone_of(&claim.facts, &self.rules).warnings {
                tracing::warn!(message.id = %claim.id.0, "{warning}; the next valid time zone applies");
            }
            let mut answer = JudgedClaim::of(claim, &self.rules, verdict);
            if !self.rules.routes.permit(claim) {
                answer.verdict = Err(Settlement::returned(ASTRAY));
            }
            (claim.id, ClaimResponse::Won(answer))
        }));
        judged
    }

    /// Reads rows again.
    pub async fn read(&self, ids: Vec<MessageId>) -> Input {
        let rows = match self
            .store
            .within(ASKING_PATIENCE, self.store.read(&ids))
            .await
        {
            Ok(rows) => Some(rows),
            Err(error) => {
                tracing::warn!(messages = ids.len(), %error, "rows could not be read");
                None
            }
        };
        Input::Rows { rows }
    }

    /// Makes the request, unless it is too late to begin it.
    pub async fn send(&self, id: MessageId, message: Payload, start_before: Uptime) -> Input {
        let now = self.clock.now();
        if now.up > start_before {
            return Input::TooLate { id };
        }
        let unsent = |reason: String| SendResult {
            outcome: Outcome::Unsent { reason },
            started: None,
            finished: now.db,
        };
        let answer = match self.providers.get(message.lane()) {
            // The policy has rejected such messages.
            None => unsent("no provider is configured for its channel".into()),
            Some(provider) => match self.note_beginning(&message, now.db) {
                Err(unwritable) => unsent(unwritable.to_string()),
                Ok(begun) => self.request(provider, begun, &message, now.db).await,
            },
        };
        self.notes.answered(&message, &answer);
        Input::Sent { id, answer }
    }

    /// The request, which has been noted as begun at `now`.
    async fn request(
        &self,
        provider: &Arc<dyn Provider>,
        begun: Begun,
        message: &Payload,
        now: Moment,
    ) -> SendResult {
        let valid_for = message.expires().since(now);
        let following = span::of(Step::Send, begun.message, begun.token);
        let outcome = provider.send(message, valid_for);
        let outcome = outcome.instrument(following).await;
        let finished = self.clock.now().db;
        if let Some(journal) = &self.journal {
            journal.answered(begun, &outcome, finished);
        }
        self.lineage.ended(begun.token, &outcome, finished);
        SendResult {
            outcome,
            started: Some(now),
            finished,
        }
    }

    /// The last step before the request.
    fn note_beginning(&self, message: &Payload, now: Moment) -> Result<Begun, Unwritable> {
        let begun = Begun {
            token: message.token(),
            message: message.id(),
            expires_us: message.expires().as_micros(),
            at_us: now.as_micros(),
            part: message.part(),
        };
        if let Some(journal) = &self.journal {
            journal.began(begun)?;
        }
        self.lineage.begun(begun);
        Ok(begun)
    }

    /// Records a group.
    pub async fn record(&self, group: u64, records: Arc<Vec<Record<Payload>>>) -> Input {
        let mut done = Vec::with_capacity(records.len());
        let _following: Vec<_> = records
            .iter()
            .map(|record| span::of(Step::Record, record.id, record.token))
            .collect();
        let all: Vec<_> = records.iter().collect();
        let failed = self.record_all(&all, &mut done).await.is_err();
        if let Some(journal) = &self.journal {
            journal.recorded(done.iter().map(|(token, _)| *token));
        }
        Input::Recorded {
            group,
            done,
            failed,
        }
    }

    /// Records these, and adds to `done` those that are: others are locked, or refused by the database, and are
    /// to be repeated. An error: the database failed, in contrast to a refusal of one of them.
    pub async fn record_all(
        &self,
        records: &[&Record<Payload>],
        done: &mut Vec<(AttemptToken, Option<RowState>)>,
    ) -> Result<(), StoreError> {
        let mut groups = Halving::new(records, self.limits.records.batch);
        while let Some(group) = groups.next_group() {
            // They wait for the app's own triggers, so they are given more time than a claim.
            match self.store.bounded(self.store.record(group)).await {
                Ok(recorded) => {
                    self.notes.recorded();
                    done.extend(recorded);
                }
                Err(refused) if groups.halve(group, &refused) => {}
                Err(error) => {
                    self.notes.record_failed(&error);
                    let first = group.first().map(|r| r.id);
                    tracing::warn!(
                        message.id = ?first.map(|id| id.0),
                        records = group.len(),
                        %error,
                        "outcomes could not be recorded yet; they are kept, retrying"
                    );
                    if !error.is_about_a_row() {
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }
}
