//! What will keep some of the next 1,000 messages from being sent, by their forecasts.

use std::collections::BTreeMap;

use tokio_postgres::Client;

use crate::forecast::{Forecast, Outcome, Step};
use crate::message::MessageId;
use crate::policy::ReasonKind;
use crate::store::doctor::{self, Finding, Level, Next};
use crate::store::forecast::{Assumed, forecasts};

/// A check: what it is called, what it finds of messages, and what to do.
struct Check {
    what: &'static str,
    found: &'static str,
    remedy: &'static str,
}

const CHECKS: [Check; 12] = [
    Check {
        what: "unsendable",
        found: "cannot be sent as they are",
        remedy: "they will fail: correct them; PUNCTUAL_VALIDATE=refuse has the database refuse such rows when they are written",
    },
    Check {
        what: "media",
        found: "have media that their channel or provider cannot send, or that are not https URLs",
        remedy: "they will fail: cancel them, or correct media_urls or media_url, or set it to null",
    },
    Check {
        what: "channels",
        found: "are of a channel without a provider in their account",
        remedy: "they will fail: set PUNCTUAL_PROVIDER to one that carries the channel, or change \
                 scheduled_messages.channel or account",
    },
    Check {
        what: "templates",
        found: "name a template that is inactive or missing, or that they do not fit",
        remedy: "they will fail: update public.sms_templates set is_active = true for it, name another, or correct \
                 template_vars",
    },
    Check {
        what: "unverified",
        found: "are for users whose phone is not verified",
        remedy: "they will be cancelled: verify the phone (user_sms_preferences.phone_verified), or do not schedule \
                 for these users",
    },
    Check {
        what: "opted out",
        found: "are for recipients who opted out",
        remedy: "they will be cancelled: do not schedule for these users and numbers",
    },
    Check {
        what: "switched off",
        found: "are of a type that their user has switched off",
        remedy: "they will be cancelled: do not schedule these types for these users",
    },
    Check {
        what: "daily limit",
        found: "are over their user's daily limit",
        remedy: "they will be cancelled: raise user_sms_preferences.daily_sms_limit, or set it to null for no limit",
    },
    Check {
        what: "too late",
        found: "will be too late",
        remedy: "they will be cancelled: let send_before, and the start of the event, be later than scheduled_at",
    },
    Check {
        what: "deleted events",
        found: "are of a calendar event that was deleted",
        remedy: "they will be cancelled, as they should be: a daemon that runs does that at once",
    },
    Check {
        what: "hours",
        found: "have no hour at which they may be sent",
        remedy: "they will be cancelled: let the user's quiet hours, PUNCTUAL_BUSINESS_HOURS and send_before leave one",
    },
    Check {
        what: "guards",
        found: "are refused by a guard",
        remedy: "they will fail: correct to_number, or let PUNCTUAL_COUNTRIES, PUNCTUAL_PREMIUM or the cost cap allow them",
    },
];

/// The name of the check that counts messages which a rule of this kind ends. Senders have a check of their own.
const fn check_of(kind: ReasonKind) -> Option<&'static str> {
    Some(match kind {
        ReasonKind::Recipient | ReasonKind::Text => "unsendable",
        ReasonKind::Media => "media",
        ReasonKind::Channel => "channels",
        ReasonKind::Template => "templates",
        ReasonKind::NotVerified => "unverified",
        ReasonKind::OptedOut => "opted out",
        ReasonKind::SwitchedOff => "switched off",
        ReasonKind::DailyLimit => "daily limit",
        ReasonKind::TooLate => "too late",
        ReasonKind::EventDeleted => "deleted events",
        ReasonKind::QuietHours | ReasonKind::BusinessHours | ReasonKind::LawfulHours => "hours",
        ReasonKind::Country | ReasonKind::Premium | ReasonKind::CostCap => "guards",
        // What a person has cancelled, or answered, needs no finding, nor does a job that ends.
        ReasonKind::Sender
        | ReasonKind::Campaign
        | ReasonKind::Replied
        | ReasonKind::LeaseOver
        // A forecast shows the pause.
        | ReasonKind::Burst => {
            return None;
        }
    })
}

/// The checks of the next messages. `sender`: the default one.
pub(super) async fn check(
    client: &Client,
    sender: Option<&str>,
    assumed: &Assumed,
) -> Vec<Finding> {
    let looked = async {
        let next = doctor::next(client, sender).await?;
        let ids: Vec<MessageId> = next.iter().map(|one| one.id).collect();
        let known = forecasts(client, &ids, assumed).await?;
        let known = known.into_all();
        let known = known.iter().map(|(id, forecast)| (*id, forecast));
        let mut findings = findings(known);
        findings.push(to_itself(&next));
        Ok(findings)
    };
    super::database::or_why("next messages", looked.await)
}

/// One finding for each check.
fn findings<'a>(known: impl Iterator<Item = (MessageId, &'a Forecast)>) -> Vec<Finding> {
    let mut ended: BTreeMap<&str, (usize, MessageId, &Step)> = BTreeMap::new();
    for (id, forecast) in known {
        let Some((check, step)) = end(forecast) else {
            continue;
        };
        let entry = ended.entry(check).or_insert((0, id, step));
        entry.0 += 1;
        if id < entry.1 {
            (entry.1, entry.2) = (id, step);
        }
    }
    let finding = |check: &Check| match ended.get(check.what) {
        None => fine(check.what),
        Some((n, id, step)) => {
            let found = format!(
                "{n} of the next 1,000 {}, one of them {id}, which {}",
                check.found, step.text
            );
            Finding::not(Level::Warn, check.what, found, check.remedy)
        }
    };
    CHECKS.iter().map(finding).collect()
}

/// The check of what ends a message without a request, at once or after it was deferred or has waited.
fn end(forecast: &Forecast) -> Option<(&'static str, &Step)> {
    let mut steps = [Some(&forecast.step), forecast.then.as_ref()]
        .into_iter()
        .flatten();
    let step = steps.find(|step| matches!(step.outcome, Outcome::Cancel | Outcome::Fail))?;
    let named = |kind: &ReasonKind| Some(kind.as_str()) == step.reason;
    let kind = ReasonKind::ALL.into_iter().find(named)?;
    Some((check_of(kind)?, step))
}

fn to_itself(next: &[Next]) -> Finding {
    const WHAT: &str = "to itself";
    let mut own = next.iter().filter(|one| one.is_to_itself);
    let Some(first) = own.next() else {
        return fine(WHAT);
    };
    let found = format!(
        "{} of the next 1,000 have the same number as sender and recipient, one of them {}",
        1 + own.count(),
        first.id
    );
    let remedy = "the provider refuses them: change one of the two";
    Finding::not(Level::Warn, WHAT, found, remedy)
}

fn fine(what: &str) -> Finding {
    Finding::ok(what, "none in the next 1,000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_reason_has_a_check_and_each_check_a_kind() {
        let named: Vec<_> = ReasonKind::ALL.into_iter().filter_map(check_of).collect();
        for what in &named {
            assert!(CHECKS.iter().any(|check| check.what == *what), "{what}");
        }
        for Check { what, .. } in &CHECKS {
            assert!(named.contains(what), "{what}");
        }
    }
}
