//! What the provider's list proves about an attempt with an uncertain outcome, and what follows.
//!
//! Only one thing is proof: exactly one message that could be this attempt's, that belongs to no
//! other, and that could be no other attempt's. Finding nothing is no proof: lists lag, and only a
//! policy that permits it acts on that, late.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::report::{ProviderMessage, TextKey, shown_digits};
use crate::message::{Capabilities, InDoubt, Moment, ProviderSid, Sender, Status};
use crate::schedule::LookUpPlan as Plan;

/// Providers report times in whole seconds, and their clock is not the database's.
const SKEW: Duration = Duration::from_secs(2);

/// How far apart the clocks of database and provider may be where absence is concluded: the message must be
/// absent for that much longer. Only proof needs to be exact.
const CLOCKS_APART: Duration = Duration::from_secs(10 * 60);

/// A list queried before this has passed may not show what is there.
pub const ABSENT_AFTER: Duration = Duration::from_secs(15 * 60);

/// What an attempt sent, as far as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct SentText {
    /// The recipient.
    pub to: String,
    /// The sender, where the row named one.
    pub from: Option<String>,
    /// The text.
    pub text: TextKey,
}

impl fmt::Debug for SentText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentText").finish_non_exhaustive()
    }
}

/// A row that an attempt left with an uncertain outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnconfirmedRow {
    /// Its current status; `None`: an unknown one.
    pub status: Option<Status>,
    /// Its own policy; `None`: the installation's.
    pub policy: Option<InDoubt>,
}

/// The start of the list that matters for an attempt that began at `since`.
pub fn from_when(since: Moment) -> Moment {
    let whole = since.as_micros().div_euclid(1_000_000) * 1_000_000;
    Moment::from_micros(whole) - SKEW
}

/// The start of the list that is queried for an attempt that began at `since`.
pub fn query_from(since: Moment) -> Moment {
    from_when(since) - CLOCKS_APART
}

/// Whether a listed message could be the one that was sent, by everything known of both.
pub fn resembles(shown: &ProviderMessage, sent: &SentText, since: Moment) -> bool {
    could_be(shown, &sent.to, sent.from.as_deref(), since) && TextKey::of(&shown.body) == sent.text
}

/// Whether a listed message could be one to this number, from this sender where it is known, at `since` or
/// later. The text is not compared. A redacted number may be any number, and proves nothing.
pub fn could_be(shown: &ProviderMessage, to: &str, from: Option<&str>, since: Moment) -> bool {
    cannot_be_excluded(shown, to, from, since)
        && shown.to == to
        && shown.created.is_none_or(|at| at >= from_when(since))
}

/// The same for clocks that are far apart: while such a message belongs to no attempt, nothing counts as
/// absent. The text does not count, because a provider may redact it; of a redacted number only the visible
/// digits count.
pub fn cannot_be_excluded(
    shown: &ProviderMessage,
    to: &str,
    from: Option<&str>,
    since: Moment,
) -> bool {
    shown.by_api
        && may_be_number(&shown.to, to)
        && shown.created.is_none_or(|at| at >= query_from(since))
        && !is_of_another(shown.from.as_deref(), from)
}

/// Whether a number as the provider shows it may be this one: it is equal, or its last digits are
/// hidden.
fn may_be_number(shown: &str, number: &str) -> bool {
    match shown_digits(shown) {
        None => shown == number,
        // Nothing of it is visible: it may be any number.
        Some("") => true,
        Some(left) => number.starts_with(left) && shown.len() == number.len(),
    }
}

/// Whether two senders certainly differ. A service may use any number, and a name may be written in
/// another way.
fn is_of_another(shown: Option<&str>, sent: Option<&str>) -> bool {
    let number = |text: &str| {
        let sender = text.parse::<Sender>().ok();
        sender.filter(|own| matches!(own, Sender::Number(_) | Sender::WhatsApp(_)))
    };
    match (shown.and_then(number), sent.and_then(number)) {
        (Some(shown), Some(sent)) => shown != sent,
        _ => false,
    }
}

/// The sender to query by, where it is a number.
pub fn known_sender(sent: &SentText) -> Option<String> {
    match sent.from.as_deref()?.parse().ok()? {
        own @ (Sender::Number(_) | Sender::WhatsApp(_)) => Some(own.as_str().to_owned()),
        _ => None,
    }
}

/// A message that resembles what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The provider's id of it.
    pub sid: ProviderSid,
    /// When the provider created it, if known.
    pub created: Option<Moment>,
}

/// What a query of the list showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// Exactly one that belongs to no attempt: the message.
    One(ProviderSid),
    /// Nothing to this number that belongs to no attempt.
    None,
    /// None that is alike; but this many others to this number that belong to no attempt.
    Unlike(usize),
    /// Several, one of which may be it.
    Several(usize),
    /// One, which may be another attempt's too.
    Shared,
    /// The list was not read to its end.
    Partial,
    /// The provider gave no response.
    NoResponse(String),
}

impl Match {
    /// What `candidates` show, given which of them are `known` to be somebody's and since when
    /// other attempts (`rivals`) may have been at the same text. `others`: what else cannot be
    /// excluded. `whole`: the list was read to its end.
    pub fn among(
        candidates: &[Candidate],
        others: &[ProviderSid],
        known: &BTreeSet<String>,
        rivals: &[Moment],
        whole: bool,
    ) -> Self {
        let mut free = candidates.iter().filter(|c| !known.contains(&c.sid.0));
        let others = others.iter().filter(|sid| !known.contains(&sid.0)).count();
        match (free.next(), free.count()) {
            _ if !whole => Self::Partial,
            (None, _) if others > 0 => Self::Unlike(others),
            (None, _) => Self::None,
            (Some(one), 0) => {
                let is_of = |since: &Moment| one.created.is_none_or(|at| at >= from_when(*since));
                if rivals.iter().any(is_of) {
                    Self::Shared
                } else {
                    Self::One(one.sid.clone())
                }
            }
            (Some(_), more) => Self::Several(more + 1),
        }
    }

    /// For people.
    pub fn note(&self) -> String {
        match self {
            Self::One(sid) => format!("the provider has it as {}", sid.0),
            Self::None => {
                "not on the provider's list, which is no proof that it was not sent".into()
            }
            Self::Unlike(n) => format!(
                "not on the provider's list, which shows {n} unknown messages to this number"
            ),
            Self::Several(n) => format!("{n} candidates on the provider's list"),
            Self::Shared => {
                "one candidate on the provider's list, which another attempt could have created"
                    .into()
            }
            Self::Partial => "the provider's list was too long to be read completely".into(),
            Self::NoResponse(reason) => format!("the provider did not respond: {reason}"),
        }
    }
}

/// What follows from a match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It was sent, and this proves it.
    Adopt(ProviderSid),
    /// Back to `pending`, to be sent again. If the row cannot be put back: wait.
    PutBack(ResendReason),
    /// Nothing, until the next query.
    Wait,
}

/// What permits to send a message again whose outcome is uncertain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResendReason {
    /// The policy of the row or of the installation.
    Policy(InDoubt),
    /// The provider: a request with the id of an earlier one makes no second message.
    SameId,
}

impl ResendReason {
    /// As `punctual.attempts.settled_by` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Policy(policy) => policy.as_str(),
            Self::SameId => "same id",
        }
    }
}

/// What follows from `found`, `age` after the outcome became uncertain. `row` is the row that this
/// attempt left `unconfirmed`, if it still holds it; `default` the installation's policy. If
/// `provider` is idempotent, a repeated request makes no second message, so the policies do not apply.
pub fn resolve(
    found: &Match,
    age: Duration,
    row: Option<&UnconfirmedRow>,
    default: InDoubt,
    provider: &Capabilities,
) -> Resolution {
    if let Match::One(sid) = found {
        return Resolution::Adopt(sid.clone());
    }
    let Some(row) = row.filter(|row| row.status == Some(Status::Unconfirmed)) else {
        return Resolution::Wait;
    };
    if provider.idempotent {
        return Resolution::PutBack(ResendReason::SameId);
    }
    let again = |policy| Resolution::PutBack(ResendReason::Policy(policy));
    match (row.policy.unwrap_or(default), found) {
        (InDoubt::ResendIfAbsent, Match::None) if age >= ABSENT_AFTER => {
            again(InDoubt::ResendIfAbsent)
        }
        // The policy prefers speed; but what looks as if it had been sent is not sent again.
        (
            InDoubt::Resend,
            Match::None | Match::Unlike(_) | Match::Partial | Match::NoResponse(_),
        ) => again(InDoubt::Resend),
        _ => Resolution::Wait,
    }
}

/// The number of responses so far, and the pause until the next query.
pub fn next_query(found: &Match, answers: u32, age: Duration) -> (u32, Option<Duration>) {
    let plan = Plan::UNCERTAIN;
    match found {
        Match::NoResponse(_) => (answers, plan.after_failure(age)),
        _ => (answers + 1, plan.next(answers + 1, age)),
    }
}

#[cfg(test)]
mod tests;
