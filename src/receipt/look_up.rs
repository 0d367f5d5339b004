//! Look-ups: of messages without a final status, and of unconfirmed ones. Results are merged like callbacks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;

use crate::message::{InDoubt, ProviderSid};
use crate::metrics::{Counter, Metrics};
use crate::proof::matching::{self, Candidate, Match, Resolution};
use crate::proof::{self, Change, ProviderMessage, ProviderStatus, Report};
use crate::provider::{Fetched, Listed, Provider, Query};
use crate::schedule::LookUpPlan as Plan;
use crate::store::look_ups::{About, LookUp, Noted, UncertainAttempt};
use crate::store::receipts::Received;
use crate::store::{Store, StoreError};

/// Look-ups of each kind in one round: many messages without a receipt must not delay unconfirmed ones.
const ROUND: usize = 16;

/// Queries at once, so that sends come first.
const AT_ONCE: usize = 4;

/// How long a look-up is reserved for this instance: longer than a round usually takes. A second one is harmless.
const HOLD: Duration = Duration::from_secs(30);

/// Asks.
#[derive(Clone)]
pub struct LookUps {
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The ledger.
    pub store: Store,
    /// Who is asked.
    pub provider: Arc<dyn Provider>,
    /// What follows of an uncertain outcome where the row does not say.
    pub policy: InDoubt,
    /// A message later than this is not sent again.
    pub max_lateness: Duration,
    /// When messages without a receipt are asked about.
    pub unheard: Plan,
}

/// What the provider said.
enum Answer {
    Fetched(Fetched),
    Listed(Listed),
    /// It was not asked: it cannot be, or there is nothing to ask by.
    Unasked,
    /// It was not asked, because it had just given no answer to another question.
    Spared,
}

impl LookUps {
    /// One round. Whether there may be more to ask at once.
    pub async fn round(&self) -> Result<bool, StoreError> {
        let due = self
            .store
            .bounded(self.store.look_ups(ROUND, ROUND, HOLD))
            .await?;
        let full = due.len() >= ROUND;
        let silent = AtomicBool::new(false);
        let mut answers = Vec::with_capacity(due.len());
        for few in due.chunks(AT_ONCE) {
            let mut asked = Vec::with_capacity(few.len());
            for look_up in few {
                asked.push(self.ask(look_up, &silent));
            }
            answers.extend(join_all(asked).await);
        }
        let mut done = Vec::with_capacity(answers.len());
        for (look_up, answer) in due.iter().zip(answers) {
            match self.settle(look_up, answer).await {
                Ok(Some(noted)) => done.push((look_up, noted)),
                Ok(None) => {}
                // One row that lets nobody move it does not hold up the others.
                Err(refused) if refused.is_refusal() => {
                    tracing::warn!(
                        message.id = %look_up.message,
                        error = %refused,
                        "the result of a look-up could not be recorded; it will be repeated"
                    );
                    done.push((look_up, self.failed(look_up, &refused.to_string())));
                }
                Err(broken) => {
                    self.store.bounded(self.store.looked_up(&done)).await?;
                    return Err(broken);
                }
            }
        }
        self.store.bounded(self.store.looked_up(&done)).await?;
        self.metrics
            .count(Counter::Duplicates, self.store.take_duplicates());
        Ok(full && !silent.load(Ordering::Relaxed))
    }

    async fn ask(&self, look_up: &LookUp, silent: &AtomicBool) -> Answer {
        if !self.provider.capabilities().look_up {
            return Answer::Unasked;
        }
        if silent.load(Ordering::Relaxed) {
            return Answer::Spared;
        }
        let answer = match &look_up.about {
            About::Sid(sid) => Answer::Fetched(self.provider.fetch(sid).await),
            About::Uncertain(UncertainAttempt {
                sought: Some(sought),
                since,
                ..
            }) => {
                let query = Query {
                    to: sought.to.clone(),
                    from: matching::known_sender(sought),
                    since: matching::query_from(*since),
                };
                Answer::Listed(self.provider.list(&query).await)
            }
            About::Uncertain(_) | About::Nothing => Answer::Unasked,
        };
        if matches!(
            answer,
            Answer::Fetched(Fetched::NotNow { .. }) | Answer::Listed(Listed::NotNow { .. })
        ) {
            silent.store(true, Ordering::Relaxed);
        }
        answer
    }

    /// Does what follows; what is to be noted of it, unless the ledger has it by that already.
    async fn settle(&self, look_up: &LookUp, answer: Answer) -> Result<Option<Noted>, StoreError> {
        match (&look_up.about, answer) {
            (_, Answer::Spared) => {
                let reason = "the provider does not respond";
                Ok(Some(self.failed(look_up, reason)))
            }
            (About::Uncertain(attempt), Answer::Listed(listed)) => {
                self.settle_uncertain(look_up, attempt, listed).await
            }
            (About::Uncertain(attempt), _) => self.unasked(look_up, attempt).await.map(Some),
            (About::Sid(sid), Answer::Fetched(fetched)) => {
                self.settle_sid(look_up, sid, fetched).await.map(Some)
            }
            (About::Sid(_) | About::Nothing, _) => Ok(Some(Noted {
                asked: look_up.asked,
                next: None,
                note: "the provider has no look-up for it".into(),
            })),
        }
    }

    async fn settle_sid(
        &self,
        look_up: &LookUp,
        sid: &ProviderSid,
        fetched: Fetched,
    ) -> Result<Noted, StoreError> {
        let note = match fetched {
            Fetched::NotNow { reason } => return Ok(self.failed(look_up, &reason)),
            Fetched::Absent => {
                tracing::warn!(
                    message.id = %look_up.message,
                    sid = sid.0,
                    "the provider does not know this sid"
                );
                "the provider does not know this sid".to_owned()
            }
            Fetched::Found(shown) => match shown.status.clone() {
                Some(status) => {
                    let word = status.word;
                    self.receive(look_up, &shown, status).await?;
                    format!("the provider says {word}")
                }
                None => "the provider reports a status that this version does not know".to_owned(),
            },
        };
        let asked = look_up.asked + 1;
        let age = look_up.now.since(look_up.asked_since);
        Ok(Noted {
            asked,
            next: self.unheard.next(asked, age),
            note,
        })
    }

    async fn settle_uncertain(
        &self,
        look_up: &LookUp,
        attempt: &UncertainAttempt,
        listed: Listed,
    ) -> Result<Option<Noted>, StoreError> {
        let (found, shown) = self.look(look_up, attempt, listed).await?;
        let age = look_up.now.since(look_up.asked_since);
        let mut note = found.note();
        let provider = self.provider.capabilities();
        match matching::resolve(&found, age, attempt.row.as_ref(), self.policy, &provider) {
            Resolution::Wait => {}
            Resolution::Adopt(sid) => {
                let found = shown.iter().find(|shown| shown.sid == sid);
                if let Some(shown) = found {
                    // That it is there is proof enough, whatever word it stands under.
                    let status = shown.status.clone().unwrap_or(ProviderStatus::TAKEN);
                    let received = self.receive(look_up, shown, status).await?;
                    if is_settled(received) {
                        tracing::info!(message.id = %look_up.message, sid = sid.0,
                            "unconfirmed message settled: found on the provider's list");
                        return Ok(None);
                    }
                    note = format!("{note}, which contradicts the recorded status");
                }
            }
            Resolution::PutBack(policy) => {
                if self.put_back(look_up, policy, &note).await? {
                    note = format!("{note}; set back to pending ({})", policy.as_str());
                }
            }
        }
        let (asked, next) = matching::next_query(&found, look_up.asked, age);
        Ok(Some(Noted { asked, next, note }))
    }

    /// What the list shows of it, against what the ledger knows.
    async fn look(
        &self,
        look_up: &LookUp,
        attempt: &UncertainAttempt,
        listed: Listed,
    ) -> Result<(Match, Vec<ProviderMessage>), StoreError> {
        let (messages, whole) = match listed {
            Listed::NotNow { reason } => return Ok((Match::NoAnswer(reason), Vec::new())),
            Listed::Shown { messages, whole } => (messages, whole),
        };
        let Some(sought) = &attempt.sought else {
            return Ok((Match::NoAnswer("its text is not known".into()), Vec::new()));
        };
        let (to, from) = (&sought.to, sought.from.as_deref());
        let (alike, others): (Vec<ProviderMessage>, Vec<ProviderMessage>) = messages
            .into_iter()
            .filter(|shown| matching::cannot_be_excluded(shown, to, from, attempt.since))
            .partition(|shown| matching::resembles(shown, sought, attempt.since));
        let others: Vec<ProviderSid> = others.into_iter().map(|shown| shown.sid).collect();
        let shown = alike.iter().map(|shown| &shown.sid).chain(&others);
        let sids: Vec<&str> = shown.map(|sid| sid.0.as_str()).collect();
        // Rivals are read before known sids, so that a message that was just assigned is in one of the two.
        let rivals = self.store.rivals(look_up.token, sought);
        let rivals = self.store.bounded(rivals).await?;
        let known: BTreeSet<String> = self.store.bounded(self.store.known_sids(&sids)).await?;
        let candidates: Vec<Candidate> = alike
            .iter()
            .map(|shown| Candidate {
                sid: shown.sid.clone(),
                created: shown.created,
            })
            .collect();
        let found = Match::among(&candidates, &others, &known, &rivals, whole);
        Ok((found, alike))
    }

    /// An uncertain outcome with a provider that has no look-up, or a text that is not known.
    async fn unasked(
        &self,
        look_up: &LookUp,
        attempt: &UncertainAttempt,
    ) -> Result<Noted, StoreError> {
        let provider = self.provider.capabilities();
        let why = if provider.look_up {
            "its text is not known, so the list is not searched"
        } else {
            "the provider has no look-up for it"
        };
        let mut note = why.to_owned();
        let found = Match::NoAnswer(note.clone());
        let age = look_up.now.since(look_up.asked_since);
        if let Resolution::PutBack(policy) =
            matching::resolve(&found, age, attempt.row.as_ref(), self.policy, &provider)
            && self.put_back(look_up, policy, &note).await?
        {
            note = format!("{note}; set back to pending ({})", policy.as_str());
        }
        Ok(Noted {
            asked: look_up.asked,
            next: None,
            note,
        })
    }

    async fn put_back(
        &self,
        look_up: &LookUp,
        policy: InDoubt,
        note: &str,
    ) -> Result<bool, StoreError> {
        let sentence = format!("sent again ({}): {note}", policy.as_str());
        let late = self.max_lateness;
        let moved = self.store.put_back(look_up, policy, &sentence, late);
        let moved = self.store.bounded(moved).await?;
        if moved {
            tracing::warn!(message.id = %look_up.message, policy = policy.as_str(), note,
                "an unconfirmed message will be sent again, by its in_doubt policy");
        }
        Ok(moved)
    }

    /// As a callback would have told it.
    async fn receive(
        &self,
        look_up: &LookUp,
        shown: &ProviderMessage,
        status: ProviderStatus,
    ) -> Result<Received, StoreError> {
        let (message, token) = (look_up.message, look_up.token);
        let report = Report {
            about: proof::About::Attempt { message, token },
            sid: shown.sid.clone(),
            status,
            from: shown.from.clone(),
            to: proof::whole_number(&shown.to),
        };
        let of = (message, token);
        let received = self.store.receive_alone(&report, of, self.max_lateness);
        let received = self.store.bounded(received).await?;
        super::log(received, &report);
        if let Received::Known {
            message,
            change: Change::Advance { .. },
        } = received
        {
            let (word, code) = (report.status.word, report.status.code);
            self.metrics.receipt(look_up.now, message, word, code);
        }
        Ok(received)
    }

    /// What is noted where there was no answer.
    fn failed(&self, look_up: &LookUp, reason: &str) -> Noted {
        let plan = match look_up.about {
            About::Uncertain(_) => Plan::IN_DOUBT,
            About::Sid(_) | About::Nothing => self.unheard,
        };
        Noted {
            asked: look_up.asked,
            next: plan.after_failure(look_up.now.since(look_up.asked_since)),
            note: format!("no response: {reason}"),
        }
    }
}

/// Whether the ledger knows the message as accepted by that.
fn is_settled(received: Received) -> bool {
    match received {
        Received::Unknown | Received::Locked { .. } => false,
        Received::Known { change, .. } => match change {
            Change::Advance { .. } | Change::Nothing => true,
            Change::Contradiction => false,
        },
    }
}
