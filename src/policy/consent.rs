//! Consent: opted out, phone not verified, or this kind of message switched off.

use super::{Reason, ReasonKind, Rule};
use crate::message::facts::{Preferences, Switch};
use crate::message::{Channel, Facts};

/// Why the message may not be sent, if so. Without preferences it may.
pub(super) fn refusal(facts: &Facts, channel: Channel) -> Option<Reason> {
    let chosen = facts.preferences.as_ref()?;
    if Rule::OptOut.holds(channel) && chosen.opted_out {
        let text = "the recipient has opted out";
        return Some(Reason::new(ReasonKind::OptedOut, text));
    }
    if Rule::Verified.holds(channel) && facts.user_id.is_some() && !chosen.phone_verified {
        let text = "the recipient's phone number is not verified";
        return Some(Reason::new(ReasonKind::NotVerified, text));
    }
    let message_type = facts.message_type.as_deref();
    let switch = switched_off(
        chosen,
        message_type.filter(|_| Rule::Switch.holds(channel))?,
    )?;
    Some(Reason::new(
        ReasonKind::SwitchedOff,
        format!("the recipient has switched off {}", name_of_switch(switch)),
    ))
}

fn switched_off(chosen: &Preferences, message_type: &str) -> Option<Switch> {
    let is_it = |switch: &&Switch| switch.message_types().contains(&message_type.trim());
    chosen.off.iter().find(is_it).copied()
}

const fn name_of_switch(switch: Switch) -> &'static str {
    match switch {
        Switch::TaskReminders => "task reminders",
        Switch::DailyBrief => "the daily brief",
        Switch::UrgentAlerts => "urgent alerts",
        Switch::MorningKickoff => "the morning kickoff",
        Switch::EveningRecap => "the evening recap",
        Switch::NextUp => "what is next up",
        Switch::EventReminders => "event reminders",
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn facts(change: impl FnOnce(&mut Facts, &mut Preferences)) -> Facts {
        let mut chosen = Preferences {
            phone_verified: true,
            ..Preferences::default()
        };
        let mut facts = Facts {
            user_id: Some(Uuid::from_u128(9)),
            ..Facts::default()
        };
        change(&mut facts, &mut chosen);
        facts.preferences = Some(chosen);
        facts
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Facts, &mut Preferences), expected: Option<&str>) {
        let refused = refusal(&facts(change), Channel::Sms);
        assert_eq!(refused.map(|reason| reason.text).as_deref(), expected);
    }

    #[test]
    fn of_whom_nothing_is_known_anything_may_go() {
        assert_eq!(refusal(&Facts::default(), Channel::Sms), None);
        let of_nobody = Facts {
            user_id: Some(Uuid::from_u128(9)),
            message_type: Some("event_reminder".into()),
            ..Facts::default()
        };
        assert_eq!(refusal(&of_nobody, Channel::Sms), None);
    }

    #[test]
    fn opting_out_comes_before_everything() {
        check(|_, _| (), None);
        let out = Some("the recipient has opted out");
        check(|_, p| p.opted_out = true, out);
        check(
            |_, p| (p.opted_out, p.phone_verified, p.off) = (true, false, Switch::ALL.into()),
            out,
        );
    }

    #[test]
    fn a_user_needs_a_verified_phone() {
        let unverified = Some("the recipient's phone number is not verified");
        check(|_, p| p.phone_verified = false, unverified);
        check(|f, p| (f.user_id, p.phone_verified) = (None, false), None);
    }

    #[test]
    fn each_switch_stops_its_own_kind_and_no_other() {
        for off in Switch::ALL {
            for kind in Switch::ALL {
                for of in kind.message_types() {
                    let facts = facts(|f, p| {
                        f.message_type = Some((*of).into());
                        p.off = vec![off];
                    });
                    assert_eq!(
                        refusal(&facts, Channel::Sms).is_some(),
                        off == kind,
                        "{off:?} {of}"
                    );
                }
            }
        }
        let reminders = |f: &mut Facts, p: &mut Preferences| {
            f.message_type = Some("event_reminder".into());
            p.off = vec![Switch::EventReminders];
        };
        check(
            reminders,
            Some("the recipient has switched off event reminders"),
        );
        // A kind without a switch, and a message of no kind.
        for kind in [Some("invoice".to_owned()), None] {
            check(
                |f, p| (f.message_type, p.off) = (kind, Switch::ALL.into()),
                None,
            );
        }
    }
}
