//! The responses of a round, as the rules in `proof/look_up.rs` take them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Queried, Response as Reply};
use crate::message::Moment;
use crate::proof::ProviderMessage;
use crate::proof::look_up::{Recorded, Response, Uncertain};
use crate::provider::Listed;
use crate::store::look_ups::LookUpSubject;

/// The part of the ledger that the lists of a round are compared with.
pub(super) struct Known {
    /// Sids that are recorded for an attempt.
    pub(super) sids: BTreeSet<String>,
    /// For each look-up, when other attempts at the same text can have begun.
    pub(super) rivals: BTreeMap<usize, Vec<Moment>>,
}

impl Known {
    /// What it has for look-up `n`.
    pub(super) fn of(&self, n: usize) -> Recorded<'_> {
        Recorded {
            sids: &self.sids,
            rivals: self.rivals.get(&n).map_or(&[], Vec::as_slice),
        }
    }
}

impl Queried {
    /// The attempt, if its outcome is uncertain.
    pub(super) fn uncertain(&self) -> Option<Uncertain<'_>> {
        let LookUpSubject::Uncertain(attempt) = &self.look_up.about else {
            return None;
        };
        Some(Uncertain {
            sent: attempt.sought.as_ref(),
            since: attempt.since,
            row: attempt.row.as_ref(),
            age: self.look_up.now.since(self.look_up.asked_since),
            responses: self.look_up.asked,
            superseded: attempt.superseded,
        })
    }

    /// The messages of the list, if there is one.
    pub(super) fn messages(&self) -> Option<&[ProviderMessage]> {
        match &self.response {
            Reply::Listed(listed) => match &**listed {
                Listed::Shown { messages, .. } => Some(messages),
                Listed::NotNow { .. } => None,
            },
            _ => None,
        }
    }

    /// The response, for an attempt with an uncertain outcome. `throttled`: the pause if the provider throttles.
    pub(super) fn list(&self, throttled: Duration) -> Response<'_> {
        let nothing = |reason, is_throttled: bool| Response::Nothing {
            reason,
            pause: is_throttled.then_some(throttled),
        };
        match &self.response {
            Reply::Listed(listed) => match &**listed {
                Listed::Shown { messages, whole } => Response::Listed {
                    messages,
                    whole: *whole,
                },
                Listed::NotNow {
                    reason,
                    is_throttled,
                } => nothing(reason, *is_throttled),
            },
            Reply::Skipped {
                reason,
                is_throttled,
            } => nothing(reason, *is_throttled),
            Reply::NotConfigured => Response::NotConfigured,
            Reply::NotQueried | Reply::Fetched(_) => Response::NotQueried,
        }
    }
}
