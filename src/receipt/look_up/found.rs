//! What the responses of a round prove, each for itself.

use super::lists::Known;
use super::{Found, LookUps, Queried, Response};
use crate::message::ProviderSid;
use crate::proof::matching::Match;
use crate::proof::{self, ProviderMessage, ProviderStatus, Report};
use crate::provider::Fetched;
use crate::store::look_ups::{LookUp, LookUpNote, LookUpSubject};

impl LookUps {
    /// The message that a look-up found; or the result that is already known.
    pub(super) fn found(
        &self,
        n: usize,
        of: &Queried,
        known: &Known,
    ) -> Result<Option<Found>, LookUpNote> {
        let look_up = &of.look_up;
        match (&look_up.about, &of.response) {
            (LookUpSubject::Sid(_) | LookUpSubject::Nothing, Response::NotConfigured) => {
                Err(self.not_configured(look_up))
            }
            (LookUpSubject::Sid(sid), Response::Fetched(fetched)) => {
                self.found_by_sid(look_up, sid, fetched)
            }
            (
                LookUpSubject::Sid(_),
                Response::Skipped {
                    reason,
                    is_throttled,
                },
            ) => Err(self.skipped(look_up, reason, *is_throttled)),
            (LookUpSubject::Sid(_) | LookUpSubject::Nothing, _) => Err(LookUpNote {
                asked: look_up.asked,
                next: None,
                note: "the provider has no look-up for it".into(),
            }),
            (LookUpSubject::Uncertain(_), Response::Fetched(fetched)) => {
                self.found_by_id(look_up, fetched)
            }
            (LookUpSubject::Uncertain(_), _) => {
                let attempt = of.uncertain();
                let response = of.list(self.limits.throttled_retry);
                let found = attempt.map(|attempt| attempt.find(response, known.of(n)));
                let Some(found @ Match::One(sid)) = &found else {
                    return Ok(None);
                };
                let shown = of
                    .messages()
                    .and_then(|all| all.iter().find(|shown| shown.sid == *sid));
                Ok(shown.map(|shown| {
                    // Its presence is proof, whatever its status.
                    let status = shown.status.clone().unwrap_or(ProviderStatus::TAKEN);
                    Found {
                        report: report(look_up, shown, status),
                        note: format!("{}, which contradicts the recorded status", found.note()),
                    }
                }))
            }
        }
    }

    /// An attempt without a response, at a provider that knows messages by our ids.
    fn found_by_id(
        &self,
        look_up: &LookUp,
        fetched: &Fetched,
    ) -> Result<Option<Found>, LookUpNote> {
        match fetched {
            Fetched::Found(shown) => {
                let status = shown.status.clone().unwrap_or(ProviderStatus::TAKEN);
                Ok(Some(Found {
                    report: Report {
                        to: None,
                        ..report(look_up, shown, status)
                    },
                    note: "the provider has it, which contradicts the recorded status".into(),
                }))
            }
            Fetched::Absent => Ok(None),
            Fetched::NotNow {
                reason,
                is_throttled,
            } => Err(self.skipped(look_up, reason, *is_throttled)),
        }
    }

    fn found_by_sid(
        &self,
        look_up: &LookUp,
        sid: &ProviderSid,
        fetched: &Fetched,
    ) -> Result<Option<Found>, LookUpNote> {
        let note = match fetched {
            Fetched::NotNow {
                reason,
                is_throttled,
            } => {
                return Err(self.skipped(look_up, reason, *is_throttled));
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
        Err(self.responded(look_up, note))
    }
}

/// The same report as a callback would have given.
fn report(look_up: &LookUp, shown: &ProviderMessage, status: ProviderStatus) -> Report {
    Report {
        lane: look_up.lane.clone(),
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
