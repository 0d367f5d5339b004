//! The results of the latest claims, requests and records, for the check why messages are not sent.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock;
use crate::message::{Address, Channel, Outcome, Retry, Scope, Uptime};
use crate::policy::Cleared;
use crate::settle::SendResult;
use crate::store::StoreError;

/// A failure of a claim, or of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreFailure {
    /// When it failed.
    pub at: Uptime,
    /// The database's error.
    pub error: String,
    /// Whether it refused; otherwise it did not respond, and it is not known whether it took effect.
    pub is_refusal: bool,
}

impl StoreFailure {
    fn of(error: &StoreError) -> Self {
        Self {
            at: clock::reading().up,
            error: error.to_string(),
            is_refusal: error.is_refusal(),
        }
    }
}

/// Requests of a channel fail, and since the first of them the provider accepted none, and refused none for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// When the first of them failed.
    pub since: Uptime,
    /// Why the latest one failed.
    pub reason: String,
    /// It concerns the channel and not one recipient's host: what is sent to a single provider, or webhooks of
    /// several hosts.
    pub is_general: bool,
    /// The host of the first one.
    host: Option<String>,
}

/// The latest results.
#[derive(Clone, Debug, Default)]
pub struct LatestResults {
    /// When a claim of each channel last succeeded.
    pub won: BTreeMap<Channel, Uptime>,
    /// The latest claim that failed.
    pub claim: Option<StoreFailure>,
    /// The latest record that failed since one succeeded.
    pub record: Option<StoreFailure>,
    /// The channels whose requests fail.
    pub failing: BTreeMap<Channel, Failing>,
}

impl Failing {
    /// The failure of a channel with a single provider.
    pub fn at(since: Uptime, reason: &str) -> Self {
        Self {
            since,
            reason: reason.to_owned(),
            is_general: true,
            host: None,
        }
    }
}

impl LatestResults {
    fn fail(&mut self, channel: Channel, host: Option<&str>, reason: String) {
        let failing = self.failing.entry(channel).or_insert_with(|| Failing {
            is_general: host.is_none(),
            host: host.map(str::to_owned),
            ..Failing::at(clock::reading().up, "")
        });
        failing.reason = reason;
        failing.is_general |= failing.host.as_deref() != host;
    }

    /// Notes whether the requests of a channel fail; returns what is logged of this one, and why, unless only its own
    /// message, sender or recipient is concerned.
    fn answered(
        &mut self,
        channel: Channel,
        host: Option<&str>,
        answer: &SendResult,
    ) -> Option<(&'static str, String)> {
        let reason = match &answer.outcome {
            // It responds. A refusal without a code is our own, for a message that cannot be requested.
            Outcome::Accepted { .. }
            | Outcome::Refused {
                retry: Retry::No,
                code: Some(_),
                ..
            } => {
                self.failing.remove(&channel);
                return None;
            }
            // The provider was not asked, and is not to blame.
            Outcome::Unsent { reason } if answer.started.is_none() => {
                return Some(("no request was made", reason.clone()));
            }
            Outcome::Unsent { reason } => reason.clone(),
            // Other limits concern one sender or recipient, and a refused account has its own report.
            Outcome::Throttled {
                scope: Scope::Account,
                hold: None,
                code,
                ..
            } => {
                let code = code.map(|code| format!(" (Code: {code})"));
                format!("the provider throttles{}", code.unwrap_or_default())
            }
            Outcome::Throttled { .. } | Outcome::Refused { .. } | Outcome::Unknown { .. } => {
                return None;
            }
        };
        self.fail(channel, host, reason.clone());
        Some((
            "a request failed before the provider accepted anything; it is retried while it has tries and time left",
            reason,
        ))
    }
}

/// The latest results, shared by all tasks.
#[derive(Debug, Default)]
pub struct Notes(Mutex<LatestResults>);

impl Notes {
    fn noted(&self) -> MutexGuard<'_, LatestResults> {
        // Consistent after every statement, so a panic elsewhere does no harm.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The current state.
    pub fn get(&self) -> LatestResults {
        self.noted().clone()
    }

    pub(super) fn won(&self, channels: impl IntoIterator<Item = Channel>) {
        let now = clock::reading().up;
        let won = channels.into_iter().map(|channel| (channel, now));
        self.noted().won.extend(won);
    }

    /// Logs a request that could not be made or was throttled, and notes whether the channel's requests fail.
    pub(super) fn answered(&self, message: &Cleared, answer: &SendResult) {
        let channel = message.channel();
        let host = match message.to() {
            Address::Url(url) if channel == Channel::Webhook => Some(url.host()),
            _ => None,
        };
        let failed = self.noted().answered(channel, host, answer);
        if let Some((what, reason)) = failed {
            tracing::warn!(message.id = %message.id().0, channel = channel.as_str(), reason,
                "{what}");
        }
    }

    pub(super) fn claim_failed(&self, error: &StoreError) {
        self.noted().claim = Some(StoreFailure::of(error));
    }

    pub(super) fn recorded(&self) {
        self.noted().record = None;
    }

    pub(super) fn record_failed(&self, error: &StoreError) {
        self.noted().record = Some(StoreFailure::of(error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Category, Moment, ProviderSid};

    #[test]
    fn one_host_that_is_away_says_nothing_of_its_channel_and_a_provider_does() {
        let mut noted = LatestResults::default();
        noted.fail(Channel::Webhook, Some("a.example"), "refused".into());
        noted.fail(Channel::Webhook, Some("a.example"), "refused".into());
        assert!(!noted.failing[&Channel::Webhook].is_general);
        noted.fail(Channel::Webhook, Some("b.example"), "no address".into());
        let webhooks = &noted.failing[&Channel::Webhook];
        assert!(webhooks.is_general);
        assert_eq!(webhooks.reason, "no address", "the latest");
        noted.fail(Channel::Sms, None, "refused".into());
        assert!(noted.failing[&Channel::Sms].is_general);
    }

    fn unsent() -> Outcome {
        Outcome::Unsent {
            reason: "connection refused".into(),
        }
    }

    fn answer(outcome: Outcome, was_requested: bool) -> SendResult {
        let now = Moment::from_micros(0);
        SendResult {
            outcome,
            started: was_requested.then_some(now),
            finished: now,
        }
    }

    #[test]
    fn what_was_not_requested_is_logged_and_not_the_providers_fault() {
        let mut noted = LatestResults::default();
        let (what, _) = noted
            .answered(Channel::Sms, None, &answer(unsent(), false))
            .unwrap();
        assert_eq!(what, "no request was made");
        assert!(noted.failing.is_empty());
        noted.answered(Channel::Sms, None, &answer(unsent(), true));
        assert_eq!(noted.failing.len(), 1);
    }

    #[test]
    fn a_response_ends_it_and_a_refusal_of_our_own_does_not() {
        let refused = |code, retry| Outcome::Refused {
            code,
            category: Category::InvalidNumber,
            text: String::new(),
            retry,
        };
        let sid = ProviderSid("SM1".into());
        let unsent = answer(unsent(), true);
        let later = Retry::after(std::time::Duration::from_secs(30));
        for (outcome, ends) in [
            (Outcome::Accepted { sid }, true),
            (refused(Some(21_211), Retry::No), true),
            (refused(None, Retry::No), false),
            (refused(Some(500), later), false),
        ] {
            let mut noted = LatestResults::default();
            let (_, reason) = noted.answered(Channel::Sms, None, &unsent).unwrap();
            assert_eq!(reason, "connection refused");
            let response = answer(outcome, true);
            assert_eq!(noted.answered(Channel::Sms, None, &response), None);
            assert_eq!(noted.failing.is_empty(), ends, "{response:?}");
        }
    }
}
