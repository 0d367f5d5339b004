//! Evaluates the responses of a round. All messages that were found are merged in groups, like callbacks,
//! before anything is concluded about those that were not found.

use std::collections::{BTreeMap, BTreeSet};

use super::lists::Known;
use super::{Found, LookUps, Queried, Response};
use crate::message::AttemptToken;
use crate::proof::matching::{ResendReason, Resolution};
use crate::proof::{self, Change, Price, Report};
use crate::provider::Fetched;
use crate::receipt::groups;
use crate::store::StoreError;
use crate::store::look_ups::{LookUp, LookUpNote, LookUpSubject, PutBack};
use crate::store::receipts::Received;

/// The note of a look-up whose lane has no provider.
const NOT_CONFIGURED: &str = "no provider is configured for its account and channel";

/// What the provider says that a message cost.
fn price(of: &Queried) -> Option<(AttemptToken, &Price)> {
    let Response::Fetched(Fetched::Found(shown)) = &of.response else {
        return None;
    };
    Some((of.look_up.token, shown.price.as_ref()?))
}

/// The result to store for each look-up of a round, by number.
pub(super) type Notes = BTreeMap<usize, LookUpNote>;

impl LookUps {
    /// Settles the look-ups. An error of the database ends it; what was settled by then is among the notes.
    pub(super) async fn settle(&self, queried: &[Queried]) -> (Notes, Option<StoreError>) {
        let mut notes = Notes::new();
        let broken = self.settle_into(queried, &mut notes).await.err();
        (notes, broken)
    }

    async fn settle_into(&self, queried: &[Queried], notes: &mut Notes) -> Result<(), StoreError> {
        let mut known = self.known(queried).await?;
        let mut found: BTreeMap<usize, Found> = BTreeMap::new();
        for (n, queried) in queried.iter().enumerate() {
            match self.found(n, queried, &known) {
                Ok(Some(one)) => drop(found.insert(n, one)),
                Ok(None) => {}
                Err(at_once) => drop(notes.insert(n, at_once)),
            }
        }
        let settled = self.receive(queried, &found, notes).await?;
        let prices: Vec<_> = queried.iter().filter_map(price).collect();
        self.step(self.store.keep_prices(&prices)).await?;
        known.sids.extend(settled);
        let mut put_back = Vec::new();
        for (n, queried) in queried.iter().enumerate() {
            if notes.contains_key(&n) || found.contains_key(&n) {
                continue;
            }
            let (conclusion, by) = self.conclude(n, queried, &known);
            if let Some(by) = by {
                put_back.push((n, by));
            }
            notes.insert(n, conclusion);
        }
        self.put_back(queried, &put_back, notes).await
    }

    /// Two queries for all look-ups.
    async fn known(&self, queried: &[Queried]) -> Result<Known, StoreError> {
        let (mut sought, mut sids) = (Vec::new(), BTreeSet::new());
        for (n, queried) in queried.iter().enumerate() {
            if let (Some(attempt), Some(messages)) = (queried.uncertain(), queried.messages())
                && let Some(text) = attempt.sent
            {
                sought.push((n, queried.look_up.token, text));
                let near = attempt.of_interest(messages);
                sids.extend(near.map(|shown| shown.sid.0.as_str()));
            }
        }
        // The rivals are read before the known sids: an attempt that is settled between the two reads
        // is then seen as a rival, and its message is not taken for an unclaimed one.
        let pairs: Vec<_> = sought
            .iter()
            .map(|(_, token, text)| (*token, *text))
            .collect();
        let rivals = self.step(self.store.rivals(&pairs)).await?;
        let sids: Vec<&str> = sids.into_iter().collect();
        Ok(Known {
            sids: self.step(self.store.known_sids(&sids)).await?,
            rivals: sought.iter().map(|(n, ..)| *n).zip(rivals).collect(),
        })
    }

    /// Merges what was found, and adds the results to `notes`. Returns the sids that are settled by it.
    async fn receive(
        &self,
        queried: &[Queried],
        found: &BTreeMap<usize, Found>,
        notes: &mut Notes,
    ) -> Result<Vec<String>, StoreError> {
        let reports: Vec<Report> = found.values().map(|found| found.report.clone()).collect();
        let merged = groups::merge(&self.store, &reports, self.max_lateness, self.group).await;
        let mut settled = Vec::new();
        for ((n, found), merged) in found.iter().zip(merged) {
            let Some(Queried { look_up, .. }) = queried.get(*n) else {
                continue;
            };
            let received = match merged {
                Ok(received) => received,
                // One row that cannot be changed does not delay the others.
                Err(refused) if refused.is_refusal() => {
                    tracing::warn!(message.id = %look_up.message, error = %refused,
                        "the result of a look-up could not be recorded; retrying");
                    notes.insert(*n, self.failed(look_up, &refused.to_string()));
                    continue;
                }
                Err(broken) => return Err(broken),
            };
            self.log(look_up, received, &found.report);
            let sid = &found.report.sid;
            if let (LookUpSubject::Uncertain(_), true) = (&look_up.about, is_accepted(received)) {
                tracing::info!(message.id = %look_up.message, sid = sid.0,
                    "unconfirmed message settled: the provider has it");
                settled.push(sid.0.clone());
            } else {
                notes.insert(*n, self.responded(look_up, found.note.clone()));
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
            let (status, code) = (report.status.word, report.status.code);
            self.metrics.receipt(look_up.now, message, status, code);
        }
    }

    /// The result for an unconfirmed attempt that was not found, and what permits to send its message again, if
    /// anything does.
    fn conclude(
        &self,
        n: usize,
        queried: &Queried,
        known: &Known,
    ) -> (LookUpNote, Option<ResendReason>) {
        let look_up = &queried.look_up;
        let Some(attempt) = queried.uncertain() else {
            return (self.responded(look_up, String::new()), None);
        };
        let provider = self.providers.capabilities(&look_up.lane);
        let response = queried.list(self.limits.throttled_retry);
        let concluded = attempt.conclude(response, known.of(n), self.policy, &provider);
        let again = match concluded.resolution {
            Resolution::PutBack(by) => Some(by),
            Resolution::Wait | Resolution::Adopt(_) => None,
        };
        let note = match response {
            _ if attempt.superseded => concluded.found.note(),
            proof::look_up::Response::NotConfigured => NOT_CONFIGURED.to_owned(),
            proof::look_up::Response::NotQueried => self.why_not_queried(look_up).to_owned(),
            _ => concluded.found.note(),
        };
        let noted = LookUpNote {
            asked: concluded.responses,
            next: concluded.next,
            note,
        };
        (noted, again)
    }

    fn why_not_queried(&self, look_up: &LookUp) -> &'static str {
        let can = self.providers.capabilities(&look_up.lane);
        if can.knows_ids {
            "the provider does not have it"
        } else if can.look_up {
            "its text is not known, so the list is not searched"
        } else {
            "the provider has no look-up for it"
        }
    }

    /// Sets these back to `pending`, in one statement.
    async fn put_back(
        &self,
        queried: &[Queried],
        those: &[(usize, ResendReason)],
        notes: &mut Notes,
    ) -> Result<(), StoreError> {
        let mut rows = Vec::with_capacity(those.len());
        for (n, by) in those {
            if let (Some(queried), Some(noted)) = (queried.get(*n), notes.get(n)) {
                rows.push(PutBack {
                    look_up: &queried.look_up,
                    by: *by,
                    sentence: match by {
                        ResendReason::Policy(policy) => {
                            format!("sent again ({}): {}", policy.as_str(), noted.note)
                        }
                        ResendReason::SameId => {
                            "sent again with the same id: the latest attempt has no \
                                          definite response"
                                .to_owned()
                        }
                    },
                });
            }
        }
        let moved = groups::put_back(&self.store, &rows, self.max_lateness).await?;
        for (n, by) in those {
            let Some((queried, entry)) = queried.get(*n).zip(notes.get_mut(n)) else {
                continue;
            };
            let message = queried.look_up.message;
            if moved.contains(&message) {
                let by = by.as_str();
                tracing::warn!(message.id = %message, by, note = entry.note,
                    "an unconfirmed message will be sent again");
                entry.note = format!("{}; set back to pending ({by})", entry.note);
                if matches!(
                    queried.response,
                    Response::NotQueried | Response::Fetched(_)
                ) {
                    entry.next = None;
                }
            }
        }
        Ok(())
    }

    /// The result of a look-up that got no response, or for which no request was made.
    pub(super) fn skipped(&self, look_up: &LookUp, reason: &str, is_throttled: bool) -> LookUpNote {
        let failed = self.failed(look_up, reason);
        LookUpNote {
            next: if is_throttled {
                Some(self.limits.throttled_retry)
            } else {
                failed.next
            },
            ..failed
        }
    }

    /// The result of a look-up whose lane has no provider: the next settings may have it again.
    pub(super) fn not_configured(&self, look_up: &LookUp) -> LookUpNote {
        LookUpNote {
            note: NOT_CONFIGURED.into(),
            ..self.failed(look_up, "")
        }
    }

    /// The result of a look-up with a response, by its plan.
    pub(super) fn responded(&self, look_up: &LookUp, note: String) -> LookUpNote {
        let asked = look_up.asked + 1;
        let age = look_up.now.since(look_up.asked_since);
        LookUpNote {
            asked,
            next: self.plan(look_up).next(asked, age),
            note,
        }
    }
}

/// Whether the attempt is recorded as accepted now.
fn is_accepted(received: Received) -> bool {
    match received {
        Received::Unknown | Received::OfAnother { .. } | Received::Locked { .. } => false,
        Received::Known { change, .. } => change.proves(),
    }
}
