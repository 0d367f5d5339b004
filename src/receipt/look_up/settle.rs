//! What follows from the responses of a round. All messages that were found are merged in groups, like
//! callbacks, before anything is concluded from what was not found.

use std::collections::{BTreeMap, BTreeSet};

use super::lists::{Known, find, is_throttled, listed, of_interest};
use super::{Answer, Asked, Found, LookUps, THROTTLED_RETRY};
use crate::message::{InDoubt, ProviderSid};
use crate::proof::matching::{self, Match, Resolution};
use crate::proof::{self, Change, ProviderMessage, ProviderStatus, Report};
use crate::provider::Fetched;
use crate::receipt::groups;
use crate::store::StoreError;
use crate::store::look_ups::{About, LookUp, Noted, PutBack};
use crate::store::receipts::Received;

/// What is to be noted of the look-ups of a round, by number.
pub(super) type Notes = BTreeMap<usize, Noted>;

impl LookUps {
    /// Does what follows. An error of the database ends it; what was settled by then is among the notes.
    pub(super) async fn settle(&self, asked: &[Asked]) -> (Notes, Option<StoreError>) {
        let mut notes = Notes::new();
        let broken = self.settle_into(asked, &mut notes).await.err();
        (notes, broken)
    }

    async fn settle_into(&self, asked: &[Asked], notes: &mut Notes) -> Result<(), StoreError> {
        let mut known = self.known(asked).await?;
        let mut found: BTreeMap<usize, Found> = BTreeMap::new();
        for (n, asked) in asked.iter().enumerate() {
            match self.found(n, asked, &known) {
                Ok(Some(one)) => drop(found.insert(n, one)),
                Ok(None) => {}
                Err(at_once) => drop(notes.insert(n, at_once)),
            }
        }
        let settled = self.receive(asked, &found, notes).await?;
        known.sids.extend(settled);
        let mut put_back = Vec::new();
        for (n, asked) in asked.iter().enumerate() {
            if notes.contains_key(&n) || found.contains_key(&n) {
                continue;
            }
            let (conclusion, policy) = self.conclude(n, asked, &known);
            if let Some(policy) = policy {
                put_back.push((n, policy));
            }
            notes.insert(n, conclusion);
        }
        self.put_back(asked, &put_back, notes).await
    }

    /// Two queries for all look-ups.
    async fn known(&self, asked: &[Asked]) -> Result<Known, StoreError> {
        let (mut sought, mut sids) = (Vec::new(), BTreeSet::new());
        for (n, asked) in asked.iter().enumerate() {
            if let Some((attempt, text, messages, _)) = listed(asked) {
                sought.push((n, asked.look_up.token, text));
                let near = of_interest(messages, attempt, text);
                sids.extend(near.map(|shown| shown.sid.0.as_str()));
            }
        }
        // What is another attempt's by now was perhaps a rival a moment ago: in this order no message is
        // taken as free that has just found its owner.
        let asks: Vec<_> = sought
            .iter()
            .map(|(_, token, text)| (*token, *text))
            .collect();
        let rivals = self.step(self.store.rivals(&asks)).await?;
        let sids: Vec<&str> = sids.into_iter().collect();
        Ok(Known {
            sids: self.step(self.store.known_sids(&sids)).await?,
            rivals: sought.iter().map(|(n, ..)| *n).zip(rivals).collect(),
        })
    }

    /// The message that a look-up found; or what is noted at once.
    fn found(&self, n: usize, asked: &Asked, known: &Known) -> Result<Option<Found>, Noted> {
        let look_up = &asked.look_up;
        match (&look_up.about, &asked.answer) {
            (About::Sid(sid), Answer::Fetched(fetched)) => self.found_by_sid(look_up, sid, fetched),
            (
                About::Sid(_),
                Answer::Spared {
                    reason,
                    is_throttled,
                },
            ) => Err(self.spared(look_up, reason, *is_throttled)),
            (About::Sid(_) | About::Nothing, _) => Err(Noted {
                asked: look_up.asked,
                next: None,
                note: "the provider has no look-up for it".into(),
            }),
            (About::Uncertain(_), _) => {
                let found = find(n, asked, known);
                let (Match::One(sid), Some((.., messages, _))) = (&found, listed(asked)) else {
                    return Ok(None);
                };
                let shown = messages.iter().find(|shown| shown.sid == *sid);
                Ok(shown.map(|shown| {
                    // That it is there is proof, whatever its status.
                    let status = shown.status.clone().unwrap_or(ProviderStatus::TAKEN);
                    Found {
                        report: report(look_up, shown, status),
                        note: format!("{}, which contradicts the recorded status", found.note()),
                    }
                }))
            }
        }
    }

    fn found_by_sid(
        &self,
        look_up: &LookUp,
        sid: &ProviderSid,
        fetched: &Fetched,
    ) -> Result<Option<Found>, Noted> {
        let note = match fetched {
            Fetched::NotNow {
                reason,
                is_throttled,
            } => {
                return Err(self.spared(look_up, reason, *is_throttled));
            }
            Fetched::Absent => {
                tracing::warn!(message.id = %look_up.message, sid = sid.0,
                    "the provider does not know this sid");
                "the provider does not know this sid".to_owned()
            }
            Fetched::Found(shown) => match shown.status.clone() {
                Some(status) => {
                    return Ok(Some(Found {
                        note: format!("the provider says {}", status.word),
                        report: report(look_up, shown, status),
                    }));
                }
                None => "the provider reports a status that this version does not know".to_owned(),
            },
        };
        Err(self.answered(look_up, note))
    }

    /// Merges what was found; the sids that are settled by it. What is noted of each.
    async fn receive(
        &self,
        asked: &[Asked],
        found: &BTreeMap<usize, Found>,
        notes: &mut Notes,
    ) -> Result<Vec<String>, StoreError> {
        let reports: Vec<&Report> = found.values().map(|found| &found.report).collect();
        let merged = groups::merge(&self.store, &reports, self.max_lateness).await;
        let mut settled = Vec::new();
        for ((n, found), merged) in found.iter().zip(merged) {
            let Some(Asked { look_up, .. }) = asked.get(*n) else {
                continue;
            };
            let received = match merged {
                Ok(received) => received,
                // One row that cannot be changed does not delay the others.
                Err(refused) if refused.is_refusal() => {
                    tracing::warn!(message.id = %look_up.message, error = %refused,
                        "the result of a look-up could not be recorded; it will be repeated");
                    notes.insert(*n, self.failed(look_up, &refused.to_string()));
                    continue;
                }
                Err(broken) => return Err(broken),
            };
            self.log(look_up, received, &found.report);
            let sid = &found.report.sid;
            if let (About::Uncertain(_), true) = (&look_up.about, is_settled(received)) {
                tracing::info!(message.id = %look_up.message, sid = sid.0,
                    "unconfirmed message settled: found on the provider's list");
                settled.push(sid.0.clone());
            } else {
                notes.insert(*n, self.answered(look_up, found.note.clone()));
            }
        }
        Ok(settled)
    }

    fn log(&self, look_up: &LookUp, received: Received, report: &Report) {
        crate::receipt::log(received, report);
        if let Received::Known {
            message,
            change: Change::Advance { .. },
        } = received
        {
            let (word, code) = (report.status.word, report.status.code);
            self.metrics.receipt(look_up.now, message, word, code);
        }
    }

    /// What is noted of an unconfirmed attempt that was not found, and the policy by which its message is sent
    /// again.
    fn conclude(&self, n: usize, asked: &Asked, known: &Known) -> (Noted, Option<InDoubt>) {
        let look_up = &asked.look_up;
        let About::Uncertain(attempt) = &look_up.about else {
            return (self.answered(look_up, String::new()), None);
        };
        let found = find(n, asked, known);
        let age = look_up.now.since(look_up.asked_since);
        let provider = self.provider.capabilities();
        let resolution =
            matching::resolve(&found, age, attempt.row.as_ref(), self.policy, &provider);
        let policy = match resolution {
            Resolution::PutBack(policy) => Some(policy),
            Resolution::Wait | Resolution::Adopt(_) => None,
        };
        let note = found.note();
        let noted = match &asked.answer {
            Answer::Spared {
                reason,
                is_throttled,
            } => self.spared(look_up, reason, *is_throttled),
            Answer::Unasked => Noted {
                asked: look_up.asked,
                next: None,
                note: self.why_unasked().to_owned(),
            },
            Answer::Listed(listed) if is_throttled(listed) => self.spared(look_up, &note, true),
            Answer::Listed(_) | Answer::Fetched(_) => {
                let (asked, next) = matching::next_query(&found, look_up.asked, age);
                Noted { asked, next, note }
            }
        };
        (noted, policy)
    }

    fn why_unasked(&self) -> &'static str {
        if self.provider.capabilities().look_up {
            "its text is not known, so the list is not searched"
        } else {
            "the provider has no look-up for it"
        }
    }

    /// Sets these back to `pending`, in one statement.
    async fn put_back(
        &self,
        asked: &[Asked],
        those: &[(usize, InDoubt)],
        notes: &mut Notes,
    ) -> Result<(), StoreError> {
        let mut rows = Vec::with_capacity(those.len());
        for (n, policy) in those {
            if let (Some(asked), Some(noted)) = (asked.get(*n), notes.get(n)) {
                rows.push(PutBack {
                    look_up: &asked.look_up,
                    policy: *policy,
                    sentence: format!("sent again ({}): {}", policy.as_str(), noted.note),
                });
            }
        }
        let moved = groups::put_back(&self.store, &rows, self.max_lateness).await?;
        for (n, policy) in those {
            let Some((asked, entry)) = asked.get(*n).zip(notes.get_mut(n)) else {
                continue;
            };
            let message = asked.look_up.message;
            if moved.contains(&message) {
                tracing::warn!(message.id = %message, policy = policy.as_str(), note = entry.note,
                    "an unconfirmed message will be sent again, by its in_doubt policy");
                entry.note = format!("{}; set back to pending ({})", entry.note, policy.as_str());
            }
        }
        Ok(())
    }

    /// What is noted of a look-up that got no response, or for which no request was made.
    fn spared(&self, look_up: &LookUp, reason: &str, is_throttled: bool) -> Noted {
        let failed = self.failed(look_up, reason);
        Noted {
            next: if is_throttled {
                Some(THROTTLED_RETRY)
            } else {
                failed.next
            },
            ..failed
        }
    }

    /// What is noted of a look-up with a response, by its plan.
    fn answered(&self, look_up: &LookUp, note: String) -> Noted {
        let plan = match look_up.about {
            About::Uncertain(_) => crate::schedule::LookUpPlan::IN_DOUBT,
            About::Sid(_) | About::Nothing => self.unheard,
        };
        let asked = look_up.asked + 1;
        let age = look_up.now.since(look_up.asked_since);
        Noted {
            asked,
            next: plan.next(asked, age),
            note,
        }
    }
}

/// As a callback would have reported it.
fn report(look_up: &LookUp, shown: &ProviderMessage, status: ProviderStatus) -> Report {
    Report {
        about: proof::About::Attempt {
            message: look_up.message,
            token: look_up.token,
        },
        sid: shown.sid.clone(),
        status,
        from: shown.from.clone(),
        to: proof::whole_number(&shown.to),
    }
}

/// Whether the ledger has the message as accepted now.
fn is_settled(received: Received) -> bool {
    match received {
        Received::Unknown | Received::Locked { .. } => false,
        Received::Known { change, .. } => match change {
            Change::Advance { .. } | Change::Nothing => true,
            Change::Contradiction => false,
        },
    }
}
