//! Performs what the reactor decides: claim, judge, send, record. Each function does one thing
//! once, within a bounded time, and tells what came of it; what follows from that is the
//! reactor's business.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::clock::{self, Clock};
use crate::message::{Claim, ClaimAnswer, MessageId, Moment, Outcome, Uptime};
use crate::policy::{self, Cleared, Rules, Verdict};
use crate::provider::Provider;
use crate::reactor::{self, Answer, Ask, Judged, Record, Settlement, Tries};
use crate::schedule::offset::Reading;
use crate::store::{Recorded, Store, StoreError};

/// What a cleared message carries through the reactor.
pub type Payload = Arc<Cleared>;

/// What is told to the reactor.
pub type Input = reactor::Input<Payload>;

/// A statement that takes longer is given up; the server itself ends it at
/// `statement_timeout`, which is longer, so that it is our patience that ends first only where
/// the way to the server is dead.
const DATABASE_PATIENCE: Duration = Duration::from_secs(20);

/// The hands of the daemon.
#[derive(Clone)]
pub struct Dispatch {
    /// The database.
    pub store: Store,
    /// Who delivers.
    pub provider: Arc<dyn Provider>,
    /// What the installation lays down.
    pub rules: Arc<Rules>,
    /// Time.
    pub clock: Arc<Clock>,
    /// How long a claim stands.
    pub lease: Duration,
}

/// A step against the database that did not come to an end.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("the database did not answer within {DATABASE_PATIENCE:?}")]
    Silent,
}

async fn patiently<T>(step: impl Future<Output = Result<T, StoreError>>) -> Result<T, Failed> {
    match timeout(DATABASE_PATIENCE, step).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(Failed::Silent),
    }
}

fn claim_lost(asks: Vec<Ask>, lost: &Failed) -> Input {
    tracing::warn!(messages = asks.len(), error = %lost, "the answer to a claim was lost");
    Input::ClaimLost(asks)
}

/// What became of each message of a claim.
type Judgement = Vec<(MessageId, ClaimAnswer<Judged<Payload>>)>;

impl Dispatch {
    /// Claims, and judges what was won. A group that the database refuses because of one of its
    /// rows is halved until that row stands alone: it never holds up the others.
    pub async fn claim(&self, asks: Vec<Ask>) -> Input {
        let mut answers = Vec::with_capacity(asks.len());
        let mut took = Duration::ZERO;
        let mut alone = None;
        let mut parts = vec![asks.as_slice()];
        while let Some(part) = parts.pop() {
            let before = clock::reading();
            match self.claim_part(part, before).await {
                Ok(judged) => {
                    answers.extend(judged);
                    took = took.max(self.clock.now().up.since(before.up));
                }
                Err(Failed::Store(refused)) if part.len() > 1 && refused.may_be_of_one_row() => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                Err(Failed::Store(refused)) if part.len() == asks.len() && refused.is_refusal() => {
                    tracing::warn!(messages = asks.len(), error = %refused, "a claim was refused");
                    return Input::ClaimRefused(asks);
                }
                Err(Failed::Store(refused)) if part.len() == 1 && refused.is_refusal() => {
                    alone.get_or_insert((part[0].id, refused));
                    match patiently(self.store.read(&[part[0].id])).await {
                        Ok(rows) => answers
                            .extend(rows.into_iter().map(|(id, s)| (id, ClaimAnswer::Lost(s)))),
                        Err(lost) => return claim_lost(asks, &lost),
                    }
                }
                // What other parts won is given back with the rest.
                Err(lost) => return claim_lost(asks, &lost),
            }
        }
        if let Some((id, refused)) = alone {
            tracing::warn!(message.id = %id, error = %refused, "a message cannot be claimed; others of its group are");
        }
        Input::Claimed { answers, took }
    }

    async fn claim_part(&self, part: &[Ask], before: Reading) -> Result<Judgement, Failed> {
        let pairs: Vec<_> = part.iter().map(|ask| (ask.id, ask.token)).collect();
        let claimed = patiently(self.store.claim(&pairs, self.lease)).await?;
        if let Some(database) = claimed.now {
            self.clock.measured(before, database);
        }
        let now = self.clock.now().db;
        let answers = claimed.answers.into_iter();
        Ok(answers
            .map(|(id, answer)| (id, self.judge(answer, now)))
            .collect())
    }

    fn judge(&self, answer: ClaimAnswer<Claim>, now: Moment) -> ClaimAnswer<Judged<Payload>> {
        match answer {
            ClaimAnswer::Lost(state) => ClaimAnswer::Lost(state),
            ClaimAnswer::Won(claim) => {
                let verdict = match policy::judge(&claim, &self.rules, now.max(claim.due)) {
                    Verdict::Send(cleared) => Ok(Arc::new(cleared)),
                    Verdict::Cancel { reason } => Err(Settlement::cancelled(reason)),
                    Verdict::Reject { reason } => Err(Settlement::rejected(reason)),
                };
                ClaimAnswer::Won(Judged {
                    token: claim.token,
                    due: claim.due,
                    wanted_at: claim.wanted_at,
                    tries: Tries {
                        number: claim.number,
                        before: claim.attempts_before,
                        max: claim.max_attempts,
                        expires: policy::expires(&claim, &self.rules),
                    },
                    verdict,
                })
            }
        }
    }

    /// Reads rows again.
    pub async fn read(&self, ids: Vec<MessageId>) -> Input {
        let rows = match patiently(self.store.read(&ids)).await {
            Ok(rows) => Some(rows),
            Err(error) => {
                tracing::warn!(messages = ids.len(), %error, "rows could not be read");
                None
            }
        };
        Input::Rows { rows }
    }

    /// Reads the window, part by part. The end goes the same way as the parts, after the last.
    pub async fn load(&self, until: Moment, parts: mpsc::Sender<Input>) {
        let tell = |rows| -> BoxFuture<'static, ()> {
            let parts = parts.clone();
            Box::pin(async move {
                // Whoever does not listen any more does not need the rest either.
                let _ = parts.send(Input::Loaded(rows)).await;
            })
        };
        let loaded = self.store.load(until, self.rules.max_lateness, tell).await;
        if let Err(error) = &loaded {
            tracing::warn!(%error, "the window could not be loaded");
        }
        let complete = loaded.is_ok();
        // See above.
        let _ = parts.send(Input::LoadEnded { complete }).await;
    }

    /// Makes the request, unless its lease has run out meanwhile.
    pub async fn send(&self, id: MessageId, message: Payload, start_before: Uptime) -> Input {
        let now = self.clock.now();
        let answer = if now.up > start_before {
            Answer {
                outcome: Outcome::Unsent {
                    reason: "the lease ran out before the request began".into(),
                },
                started: None,
                finished: now.db,
            }
        } else {
            let valid_for = message.expires().since(now.db);
            let outcome = self.provider.send(&message, valid_for).await;
            if let Outcome::Refused { code, category, .. } = &outcome {
                tracing::warn!(message.id = %id, code, category = category.as_str(), "refused");
            }
            Answer {
                outcome,
                started: Some(now.db),
                finished: self.clock.now().db,
            }
        };
        Input::Sent { id, answer }
    }

    /// Records a group. One that the database refuses is halved until the bad record stands
    /// alone: it never holds up the others.
    pub async fn record(&self, group: u64, records: Arc<Vec<Record<Payload>>>) -> Input {
        let mut done = Vec::with_capacity(records.len());
        let all: Vec<_> = records.iter().collect();
        self.record_part(&all, &mut done).await;
        Input::Recorded { group, done }
    }

    fn record_part<'a>(
        &'a self,
        records: &'a [&'a Record<Payload>],
        done: &'a mut Vec<(
            crate::message::AttemptToken,
            Option<crate::message::RowState>,
        )>,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            match patiently(self.store.record(records)).await {
                Ok(recorded) => {
                    let recorded: Recorded = recorded;
                    done.extend(recorded);
                }
                Err(Failed::Store(refused)) if refused.is_refusal() && records.len() > 1 => {
                    let (first, second) = records.split_at(records.len() / 2);
                    self.record_part(first, done).await;
                    self.record_part(second, done).await;
                }
                Err(error) => {
                    let first = records.first().map(|r| r.id);
                    tracing::warn!(
                        message.id = ?first.map(|id| id.0),
                        records = records.len(),
                        %error,
                        "outcomes could not be recorded yet; they are kept and tried again"
                    );
                }
            }
        })
    }
}
