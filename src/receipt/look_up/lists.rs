//! Compares the provider's lists with the ledger, to find unconfirmed attempts.

use std::collections::{BTreeMap, BTreeSet};

use super::{Queried, Response};
use crate::message::{Moment, ProviderSid};
use crate::proof::ProviderMessage;
use crate::proof::matching::{self, Candidate, Match, SentText};
use crate::provider::Listed;
use crate::store::look_ups::{About, UncertainAttempt};

/// The part of the ledger that the lists of a round are compared with.
pub(super) struct Known {
    /// Sids that are recorded for an attempt.
    pub(super) sids: BTreeSet<String>,
    /// For each look-up, when other attempts at the same text can have begun.
    pub(super) rivals: BTreeMap<usize, Vec<Moment>>,
}

/// The list for this look-up, with what is searched for in it.
pub(super) fn listed(
    queried: &Queried,
) -> Option<(&UncertainAttempt, &SentText, &[ProviderMessage], bool)> {
    let About::Uncertain(attempt) = &queried.look_up.about else {
        return None;
    };
    let Response::Listed(listed) = &queried.response else {
        return None;
    };
    let Listed::Shown { messages, whole } = &**listed else {
        return None;
    };
    Some((attempt, attempt.sought.as_ref()?, messages, *whole))
}

/// The messages of a list that cannot be excluded as this attempt's.
pub(super) fn of_interest<'a>(
    messages: &'a [ProviderMessage],
    attempt: &'a UncertainAttempt,
    sought: &'a SentText,
) -> impl Iterator<Item = &'a ProviderMessage> {
    let (to, from) = (&sought.to, sought.from.as_deref());
    messages
        .iter()
        .filter(move |shown| matching::cannot_be_excluded(shown, to, from, attempt.since))
}

/// Searches the list for the message of an attempt.
pub(super) fn find(n: usize, queried: &Queried, known: &Known) -> Match {
    let Some((attempt, sought, messages, whole)) = listed(queried) else {
        return Match::NoAnswer(match &queried.response {
            Response::Listed(listed) => match &**listed {
                Listed::NotNow { reason, .. } => reason.clone(),
                Listed::Shown { .. } => "its text is not known".into(),
            },
            Response::Skipped { reason, .. } => (*reason).into(),
            Response::NotQueried | Response::Fetched(_) => "it was not queried".into(),
        });
    };
    let (alike, others): (Vec<&ProviderMessage>, Vec<&ProviderMessage>) =
        of_interest(messages, attempt, sought)
            .partition(|shown| matching::resembles(shown, sought, attempt.since));
    let candidates: Vec<Candidate> = alike
        .iter()
        .map(|shown| Candidate {
            sid: shown.sid.clone(),
            created: shown.created,
        })
        .collect();
    let others: Vec<ProviderSid> = others.iter().map(|shown| shown.sid.clone()).collect();
    let none = Vec::new();
    let rivals = known.rivals.get(&n).unwrap_or(&none);
    Match::among(&candidates, &others, &known.sids, rivals, whole)
}

pub(super) const fn is_throttled(listed: &Listed) -> bool {
    matches!(
        listed,
        Listed::NotNow {
            is_throttled: true,
            ..
        }
    )
}
