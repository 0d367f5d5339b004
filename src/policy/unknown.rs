//! What is done about a message of which something is not known: whether its number is the user's, where its event is.

use serde::{Deserialize, Serialize};

use super::{Reason, ReasonKind, Rule, Rules};
use crate::message::Claim;
use crate::message::facts::Event;

/// Whether such a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// It is, as if nothing were to be known.
    Send,
    /// It is cancelled.
    Refuse,
}

impl Unknown {
    /// As settings and the database have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Refuse => "refuse",
        }
    }

    /// From such a word.
    pub fn of(word: &str) -> Option<Self> {
        let all = [Self::Send, Self::Refuse];
        all.into_iter().find(|is| is.as_str() == word)
    }
}

/// Why a message of a user may not go to its number: it is not the one that the user has verified, or there is none.
/// What Punctual has planned itself goes to no other.
pub(super) fn number(claim: &Claim, rules: &Rules) -> Option<Reason> {
    let facts = &claim.facts;
    let is_open = rules.other_numbers == Unknown::Send && !facts.is_planned;
    if is_open || facts.user_id.is_none() || !Rule::Verified.holds(claim.lane.channel()) {
        return None;
    }
    let text = match &facts.preferences {
        None => "the recipient has no row in user_sms_preferences",
        Some(chosen) => {
            let own = chosen.phone_number.as_deref().map(digits);
            if own.is_some_and(|own| own == digits(&claim.to_number)) {
                return None;
            }
            "to_number is not the number that the recipient has verified"
        }
    };
    Some(Reason::new(ReasonKind::NotVerified, text))
}

/// A number without what people write between its digits.
fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}

/// Why a message of an event may not be sent: the event was deleted, or is not in the calendar.
pub(super) fn event(claim: &Claim, rules: &Rules) -> Option<Reason> {
    if !Rule::Event.holds(claim.lane.channel()) {
        return None;
    }
    let is_refused = rules.missing_events == Unknown::Refuse;
    let text = match claim.facts.event {
        Event::Missing(_) if is_refused && claim.facts.user_id.is_none() => {
            "it names a calendar event, and no user whose event it is"
        }
        Event::Missing(_) if !is_refused => return None,
        Event::Missing(_) | Event::Gone => "Calendar event deleted",
        Event::None | Event::Begins(_) => return None,
    };
    Some(Reason::new(ReasonKind::EventDeleted, text))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::message::facts::Preferences;
    use crate::message::{Channel, LaneKey};
    use crate::policy::tests::claim;

    fn of_user(number: Option<&str>) -> Claim {
        let mut claim = claim();
        claim.facts.user_id = Some(Uuid::from_u128(9));
        claim.facts.preferences = number.map(|number| Preferences {
            phone_number: Some(number.into()).filter(|own: &String| !own.is_empty()),
            phone_verified: true,
            ..Preferences::default()
        });
        claim
    }

    fn refused(claim: &Claim, of: Unknown) -> Option<String> {
        let rules = Rules {
            other_numbers: of,
            ..Rules::default()
        };
        number(claim, &rules).map(|reason| reason.text)
    }

    #[test]
    fn a_number_that_is_not_the_users_is_refused_where_the_setting_says_so_and_to_what_is_planned()
    {
        let other = "to_number is not the number that the recipient has verified";
        let nobody = "the recipient has no row in user_sms_preferences";
        for (number, why) in [
            (Some("+13105551234"), None),
            (Some(" +1 (310) 555-1234"), None),
            (Some("+13105559999"), Some(other)),
            (Some(""), Some(other)),
            (None, Some(nobody)),
        ] {
            let mut claim = of_user(number);
            assert_eq!(
                refused(&claim, Unknown::Refuse).as_deref(),
                why,
                "{number:?}"
            );
            assert_eq!(refused(&claim, Unknown::Send), None, "{number:?}");
            claim.facts.is_planned = true;
            assert_eq!(refused(&claim, Unknown::Send).as_deref(), why, "{number:?}");
        }
        // Of nobody, and on a channel without numbers.
        let mut claim = of_user(None);
        claim.lane = LaneKey::of(Channel::Email);
        assert_eq!(refused(&claim, Unknown::Refuse), None);
        let mut claim = of_user(None);
        claim.facts.user_id = None;
        assert_eq!(refused(&claim, Unknown::Refuse), None);
    }

    #[test]
    fn an_event_that_is_not_there_is_one_that_was_deleted() {
        let user = Some(Uuid::from_u128(9));
        let at = Some(claim().due);
        let deleted = Some("Calendar event deleted");
        let whose = Some("it names a calendar event, and no user whose event it is");
        for (of, user, refuse, send) in [
            (Event::Gone, user, deleted, deleted),
            (Event::Missing(at), user, deleted, None),
            (Event::Missing(None), None, whose, None),
            (Event::None, None, None, None),
            (Event::Begins(claim().due), user, None, None),
        ] {
            for (setting, why) in [(Unknown::Refuse, refuse), (Unknown::Send, send)] {
                let mut claim = claim();
                (claim.facts.event, claim.facts.user_id) = (of, user);
                let rules = Rules {
                    missing_events: setting,
                    ..Rules::default()
                };
                let reason = event(&claim, &rules).map(|reason| reason.text);
                assert_eq!(reason.as_deref(), why, "{of:?} {setting:?}");
            }
        }
    }
}
