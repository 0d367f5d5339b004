//! What the provider's list proves about an attempt in doubt, and what follows. Pure.
//!
//! Only one thing is proof: exactly one message that could be this attempt's, that nobody else
//! has, and that could be no other attempt's. A miss is none: lists lag, and only a policy that
//! says so acts on it, late.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::message::{E164, InDoubt, Moment, ProviderSid, Sender, Status};
use crate::provider::Shown;
use crate::schedule::Enquiry as Plan;
use crate::store::enquiries::{DoubtfulRow, SoughtText, text_key};

/// Twilio tells a message's time to the second, and its clock is not ours.
const SKEW: Duration = Duration::from_secs(2);

/// A list asked for before this has passed may not show what is there.
pub const ABSENT_AFTER: Duration = Duration::from_secs(15 * 60);

/// From when on the list is of interest for an attempt that began at `since`.
pub fn from_when(since: Moment) -> Moment {
    let whole = since.as_micros().div_euclid(1_000_000) * 1_000_000;
    Moment::from_micros(whole) - SKEW
}

/// Whether a message could be the one that is sought, by all that is known of both.
pub fn resembles(shown: &Shown, sought: &SoughtText, since: Moment) -> bool {
    could_be(shown, &sought.to, sought.from.as_deref(), since)
        && text_key(&shown.body) == sought.text
}

/// Whether a message could be one that went to this number, from this sender where that is known,
/// at `since` or later; by all but its text.
pub fn could_be(shown: &Shown, to: &str, from: Option<&str>, since: Moment) -> bool {
    shown.by_api
        && shown.to == to
        && shown.created.is_none_or(|at| at >= from_when(since))
        && !is_of_another(shown.from.as_deref(), from)
}

/// Two numbers that differ. A service stands for any number, and a name may be written in
/// another way.
fn is_of_another(shown: Option<&str>, sought: Option<&str>) -> bool {
    let number = |text: &str| match text.parse::<Sender>() {
        Ok(Sender::Number(number)) => Some(number),
        _ => None,
    };
    match (shown.and_then(number), sought.and_then(number)) {
        (Some(shown), Some(sought)) => shown != sought,
        _ => false,
    }
}

/// The sender to list by, where it is a number.
pub fn known_sender(sought: &SoughtText) -> Option<String> {
    let number: E164 = sought.from.as_deref()?.parse().ok()?;
    Some(number.as_str().to_owned())
}

/// A message that resembles what is sought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The provider's name for it.
    pub sid: ProviderSid,
    /// When the provider made it, if it says so.
    pub created: Option<Moment>,
}

/// What a look at the list showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Exactly one that is nobody's: the message.
    One(ProviderSid),
    /// None that is nobody's.
    None,
    /// So many, of which one may be it.
    Several(usize),
    /// One, which may be another attempt's as well.
    Shared,
    /// Not all there is was to be seen.
    Partly,
    /// There was nothing to be seen: the provider gave no answer.
    NoAnswer(String),
}

/// What `matches` show, given which of them are `known` to be somebody's and since when other
/// attempts (`rivals`) may have been at the same text.
pub fn sight(matches: &[Match], known: &BTreeSet<String>, rivals: &[Moment], whole: bool) -> Sight {
    let mut free = matches.iter().filter(|m| !known.contains(&m.sid.0));
    match (free.next(), free.count()) {
        _ if !whole => Sight::Partly,
        (None, _) => Sight::None,
        (Some(one), 0) => {
            let is_of = |since: &Moment| one.created.is_none_or(|at| at >= from_when(*since));
            if rivals.iter().any(is_of) {
                Sight::Shared
            } else {
                Sight::One(one.sid.clone())
            }
        }
        (Some(_), more) => Sight::Several(more + 1),
    }
}

/// What follows from a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It was sent, and this proves it.
    Adopt(ProviderSid),
    /// Back to `pending`, by this policy. If the row does not let itself be put back: wait.
    PutBack(InDoubt),
    /// Nothing, until the next look.
    Wait,
}

/// What follows from `sight`, `age` after the doubt began. `row` is the row that this attempt
/// left in doubt, if it still is so; `default` the installation's policy.
pub fn follow(sight: &Sight, age: Duration, row: Option<&DoubtfulRow>, default: InDoubt) -> Step {
    if let Sight::One(sid) = sight {
        return Step::Adopt(sid.clone());
    }
    let Some(row) = row.filter(|row| row.status == Some(Status::Unconfirmed)) else {
        return Step::Wait;
    };
    match (row.policy.unwrap_or(default), sight) {
        (InDoubt::ResendIfAbsent, Sight::None) if age >= ABSENT_AFTER => {
            Step::PutBack(InDoubt::ResendIfAbsent)
        }
        // It asks for speed; but what looks as if it had been sent is not sent again.
        (InDoubt::Resend, Sight::None | Sight::Partly | Sight::NoAnswer(_)) => {
            Step::PutBack(InDoubt::Resend)
        }
        _ => Step::Wait,
    }
}

/// How many answers there are by now, and how long until the next look.
pub fn next_look(sight: &Sight, asked: u32, age: Duration) -> (u32, Option<Duration>) {
    let plan = Plan::IN_DOUBT;
    match sight {
        Sight::NoAnswer(_) => (asked, plan.after_failure(age)),
        _ => (asked + 1, plan.next(asked + 1, age)),
    }
}

impl Sight {
    /// For people.
    pub fn note(&self) -> String {
        match self {
            Self::One(sid) => format!("the provider has it as {}", sid.0),
            Self::None => "the provider's list does not show it, which proves nothing".into(),
            Self::Several(n) => format!(
                "the provider's list shows {n} that it could be; which of them is not to be told"
            ),
            Self::Shared => {
                "the provider's list shows one that could be another attempt's as well".into()
            }
            Self::Partly => "the provider's list was too long to be read to its end".into(),
            Self::NoAnswer(reason) => format!("the provider gave no answer: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests;
