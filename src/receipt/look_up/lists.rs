//! What the provider's lists show of unconfirmed attempts, compared with what the ledger knows.

use std::collections::{BTreeMap, BTreeSet};

use super::{Answer, Asked};
use crate::message::{Moment, ProviderSid};
use crate::proof::ProviderMessage;
use crate::proof::matching::{self, Candidate, Match, SentText};
use crate::provider::Listed;
use crate::store::look_ups::{About, UncertainAttempt};

/// What the ledger knows that bears on the lists of a round.
pub(super) struct Known {
    /// Sids that belong to somebody.
    pub(super) sids: BTreeSet<String>,
    /// For each look-up, when other attempts at the same text can have begun.
    pub(super) rivals: BTreeMap<usize, Vec<Moment>>,
}

/// What a list shows for this look-up.
pub(super) fn listed(
    asked: &Asked,
) -> Option<(&UncertainAttempt, &SentText, &[ProviderMessage], bool)> {
    let About::Uncertain(attempt) = &asked.look_up.about else {
        return None;
    };
    let Answer::Listed(listed) = &asked.answer else {
        return None;
    };
    let Listed::Shown { messages, whole } = &**listed else {
        return None;
    };
    Some((attempt, attempt.sought.as_ref()?, messages, *whole))
}

/// The messages of a list that may be this attempt's, for all that is known.
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

/// What the list shows of an attempt, compared with what the ledger knows.
pub(super) fn find(n: usize, asked: &Asked, known: &Known) -> Match {
    let Some((attempt, sought, messages, whole)) = listed(asked) else {
        return Match::NoAnswer(match &asked.answer {
            Answer::Listed(listed) => match &**listed {
                Listed::NotNow { reason, .. } => reason.clone(),
                Listed::Shown { .. } => "its text is not known".into(),
            },
            Answer::Spared { reason, .. } => (*reason).into(),
            Answer::Unasked | Answer::Fetched(_) => "it was not queried".into(),
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
