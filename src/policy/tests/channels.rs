//! Which rules hold for which channel: each cell of the table by a claim that breaks the rule.

use std::fmt::Write as _;

use jiff::civil;

use super::*;
use crate::message::facts::{Preferences, QuietHours, Switch};

/// A valid recipient of each channel.
const ADDRESSES: [(Channel, &str); 5] = [
    (Channel::Sms, TO),
    (Channel::Webhook, "https://hooks.example/1"),
    (Channel::Email, "ada@example.com"),
    (Channel::Push, "https://push.example/1"),
    (Channel::InApp, "0a1b2c3d-0000-4000-8000-0123456789ab"),
];

fn to(channel: Channel) -> impl Fn(&mut Claim) {
    let (_, to) = ADDRESSES
        .into_iter()
        .find(|(of, _)| *of == channel)
        .unwrap();
    move |claim| {
        claim.lane = LaneKey::of_row(channel, Some(to));
        claim.to_number = to.into();
    }
}

/// Breaks one rule; `None`: the rule is applied by the database (`tests/pg/channels.rs`).
fn broken(rule: Rule) -> Option<fn(&mut Claim, &mut Rules)> {
    fn prefer(claim: &mut Claim, change: impl FnOnce(&mut Preferences)) {
        let mut chosen = Preferences {
            phone_verified: true,
            ..Preferences::default()
        };
        change(&mut chosen);
        claim.facts.user_id = Some(Uuid::from_u128(9));
        claim.facts.preferences = Some(chosen);
    }
    Some(match rule {
        Rule::SendBefore => |claim, _| claim.send_before = Some(NINE - TICK),
        Rule::Lateness => |claim, _| claim.wanted_at = NINE - HOUR - TICK,
        Rule::Event => |claim, _| claim.facts.event = Event::Gone,
        Rule::QuietHours => |claim, _| {
            let all_day = QuietHours {
                start: civil::time(8, 0, 0, 0),
                end: civil::time(10, 0, 0, 0),
            };
            prefer(claim, |chosen| chosen.quiet_hours = Some(all_day));
        },
        Rule::BusinessHours => |_, rules| {
            rules.business_hours = Some("mon-sun 10:00-12:00".parse().unwrap());
        },
        Rule::LawfulHours => |_, rules| rules.lawful = Some(LawfulHours::builtin()),
        Rule::OptOut => |claim, _| prefer(claim, |chosen| chosen.opted_out = true),
        Rule::Verified => |claim, _| prefer(claim, |chosen| chosen.phone_verified = false),
        Rule::Switch => |claim, _| {
            claim.facts.message_type = Some("daily_brief".into());
            prefer(claim, |chosen| chosen.off = vec![Switch::DailyBrief]);
        },
        Rule::DailyLimit => |claim, _| claim.facts.limit = Limit::Over { limit: 1 },
        // Of no part there is a text.
        Rule::Parts => |claim, _| claim.body = "[BUBBLE]\n[BUBBLE]".into(),
        Rule::Stop | Rule::AppRows => return None,
    })
}

#[test]
fn a_rule_holds_for_its_channels_and_no_other() {
    for channel in Channel::UNDERSTOOD {
        for rule in Rule::ALL {
            let (mut claim, mut rules) = (claim(), rules());
            to(channel)(&mut claim);
            let fine = verdict(&claim, &rules, NINE);
            let from = if channel.is_phone() {
                "+15005550006"
            } else {
                "nobody"
            };
            assert_eq!(fine, format!("send from {from}"), "{channel:?}");
            let Some(broken) = broken(rule) else {
                continue;
            };
            broken(&mut claim, &mut rules);
            let holds = verdict(&claim, &rules, NINE) != fine;
            assert_eq!(holds, rule.holds(channel), "{rule:?}, {channel:?}");
        }
    }
}

/// The types that have a switch, one that has none, and none.
fn types() -> impl Iterator<Item = Option<&'static str>> {
    let switched = Switch::ALL.into_iter().flat_map(Switch::message_types);
    switched.copied().map(Some).chain([Some("invoice"), None])
}

/// A switch holds for its own type on its channels, hours of a type for that on the channels that reach a person.
#[test]
fn a_rule_of_a_message_type_holds_for_that_type_on_its_channels() {
    for (channel, message_type) in Channel::UNDERSTOOD
        .into_iter()
        .flat_map(|of| types().map(move |kind| (of, kind)))
    {
        let judged = |off: Option<Switch>, hours: Option<&str>| {
            let (mut claim, mut rules) = (claim(), rules());
            to(channel)(&mut claim);
            claim.facts.user_id = Some(Uuid::from_u128(9));
            claim.facts.message_type = message_type.map(Into::into);
            claim.facts.preferences = Some(Preferences {
                phone_verified: true,
                off: off.into_iter().collect(),
                ..Preferences::default()
            });
            if let Some(of) = hours {
                rules.hours_by_type = format!("{of} = mon-sun 10:00-12:00").parse().unwrap();
            }
            verdict(&claim, &rules, NINE)
        };
        let fine = judged(None, None);
        assert!(fine.starts_with("send from"), "{channel:?}: {fine}");
        for switch in Switch::ALL {
            let is_own = message_type.is_some_and(|of| switch.message_types().contains(&of));
            let holds = judged(Some(switch), None) != fine;
            let expected = is_own && Rule::Switch.holds(channel);
            assert_eq!(holds, expected, "{switch:?}, {message_type:?}, {channel:?}");
        }
        for of in types().flatten() {
            let holds = judged(None, Some(of)) != fine;
            let expected = Some(of) == message_type && Rule::BusinessHours.holds(channel);
            assert_eq!(holds, expected, "{of}, {message_type:?}, {channel:?}");
        }
    }
}

/// The start of an event ends a message that reminds of it, and no webhook.
#[test]
fn an_event_that_has_begun() {
    for (channel, _) in ADDRESSES {
        let mut claim = claim();
        to(channel)(&mut claim);
        claim.facts.scheduled_at = Some(NINE - HOUR);
        claim.facts.event = Event::Begins(NINE - TICK);
        let is_sent = verdict(&claim, &rules(), NINE).starts_with("send");
        assert_eq!(is_sent, !Rule::Event.holds(channel), "{channel:?}");
    }
}

#[test]
fn the_documentation_has_the_table() {
    let mut table = format!(
        "| rule | {} |\n",
        Channel::UNDERSTOOD
            .map(|of| format!("`{}`", of.as_str()))
            .join(" | ")
    );
    table += &"|---".repeat(Channel::UNDERSTOOD.len() + 1);
    table += "|\n";
    for rule in Rule::ALL {
        let name = match rule {
            Rule::SendBefore => "`send_before`",
            Rule::Lateness => "[lateness](#lateness)",
            Rule::Event => "[calendar event](#calendar-events) deleted or begun",
            Rule::QuietHours => "[quiet hours](#quiet-hours)",
            Rule::BusinessHours => "[business hours](#business-hours)",
            Rule::LawfulHours => "[lawful hours](lawful-hours.md)",
            Rule::Stop => "[reply STOP](receipts.md#replies-stop-and-start)",
            Rule::OptOut => "[`opted_out`](#consent)",
            Rule::Verified => "[`phone_verified`](#consent)",
            Rule::Switch => "[switch of the `message_type`](#consent)",
            Rule::DailyLimit => "[daily limit](#daily-limit)",
            Rule::Parts => "[parts](parts.md)",
            Rule::AppRows => "rows in `messages` and `conversations`",
        };
        let cells = Channel::UNDERSTOOD.map(|of| if rule.holds(of) { "yes" } else { "–" });
        writeln!(table, "| {name} | {} |", cells.join(" | ")).unwrap();
    }
    let docs = include_str!("../../../docs/policy.md");
    assert!(docs.contains(&table), "docs/policy.md needs:\n{table}");
    let mut switches = "| `message_type` | its switch |\n|---|---|\n".to_owned();
    for switch in Switch::ALL {
        let of = switch.message_types().join("`, `");
        writeln!(switches, "| `{of}` | `{}` |", switch.column()).unwrap();
    }
    assert!(
        docs.contains(&switches),
        "docs/policy.md needs:\n{switches}"
    );
}

#[test]
fn a_channel_without_a_provider_fails_and_says_what_to_configure() {
    let judged = |channel, capabilities: &ProviderCapabilities| {
        let mut claim = claim();
        if channel == Channel::Other {
            claim.lane = LaneKey::of(channel);
        } else {
            to(channel)(&mut claim);
        }
        match judge(&claim, &rules(), capabilities, NINE) {
            Verdict::Send(cleared) => format!("send by {}", cleared.channel().as_str()),
            Verdict::Reject { reason } => reason.text,
            other => panic!("{other:?}"),
        }
    };
    let texts = ProviderCapabilities::texts(PROVIDER);
    assert_eq!(judged(Channel::Sms, &texts), "send by sms");
    for (channel, _) in ADDRESSES.into_iter().filter(|(of, _)| !of.is_phone()) {
        let word = channel.as_str();
        let why = format!(
            "no provider is configured for the channel {word}: set {}",
            remedy(channel)
        );
        assert_eq!(judged(channel, &texts), why);
        assert_eq!(
            judged(channel, &ProviderCapabilities::all(PROVIDER)),
            format!("send by {word}")
        );
    }
    assert_eq!(
        judged(Channel::Other, &texts),
        "the row's channel is not supported; supported are: sms, webhook, email, push, in_app"
    );
}

#[test]
fn a_recipient_is_one_of_its_channel() {
    for (channel, why) in [
        (
            Channel::Email,
            "it is not an e-mail address, like name@example.com",
        ),
        (
            Channel::InApp,
            "it is not the id of a user, a UUID with hyphens",
        ),
    ] {
        let change = |c: &mut Claim, _: &mut Rules| c.lane = LaneKey::of(channel);
        check(
            change,
            NINE,
            &format!("reject: to_number is not valid: {why}"),
        );
    }
    let with_sender = |c: &mut Claim, _: &mut Rules| {
        to(Channel::Push)(c);
        c.from_number = Some("ACME".into());
    };
    let why =
        "reject: from_number is set, and a message of the channel push has none: set it to null";
    check(with_sender, NINE, why);
}
