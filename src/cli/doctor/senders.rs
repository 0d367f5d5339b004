//! Checks of senders: those that the next messages name, and the default one.

use tokio_postgres::Client;

use super::database::failed;
use crate::cli::pace::rated;
use crate::config::{Config, ProviderChoice};
use crate::message::{Channel, Sender};
use crate::provider::{self, DefaultRate};
use crate::store::doctor::{self, Busiest, Finding, Level, Named};
use crate::store::forecast::Assumed;

/// How many are shown.
const SHOWN: usize = 3;

/// Twilio's numbers for its test credentials begin so; with others they are refused.
const TEST_NUMBERS: &str = "+1500555000";

/// Senders that the provider will refuse, and messages without one. Without settings the defaults are not known.
pub(super) fn unusable(named: &[Named], set: Option<&Assumed>) -> Finding {
    const WHAT: &str = "senders";
    let (mut faults, mut unanswered) = (Vec::new(), 0);
    for Named {
        sender,
        account,
        messages: n,
    } in named
    {
        let lane = |set: &Assumed| {
            let (own, sender) = (account.as_deref(), sender.as_deref());
            set.rules.routes.lane(Channel::Sms, own, sender)
        };
        let has_default = set.is_none_or(|set| set.rules.sender(&lane(set)).is_some());
        let on_whatsapp = |set: &Assumed| {
            let can = set.capabilities.get(&lane(set));
            can.is_none_or(|can| can.whatsapp)
        };
        let why = match sender {
            None if has_default => continue,
            None => "no from_number, and their account no sender of its own".to_owned(),
            Some(text) => match Sender::parse(text, provider::TEXTS.sender_pools) {
                Ok(sender) if is_for_tests(&sender) => {
                    "a number of Twilio's test credentials".to_owned()
                }
                Ok(Sender::Alphanumeric(_)) => {
                    unanswered += n;
                    continue;
                }
                Ok(Sender::WhatsApp(_)) if !set.is_none_or(on_whatsapp) => {
                    "a sender on WhatsApp, where the provider of their account sends nothing"
                        .to_owned()
                }
                Ok(_) => continue,
                Err(why) => format!("a from_number that is not usable: {why}"),
            },
        };
        faults.push(format!("{n} of the next 1,000 have {why}"));
    }
    if faults.is_empty() {
        let usable = "those of the next 1,000 are usable";
        return match unanswered {
            0 => Finding::ok(WHAT, usable),
            _ => Finding::ok(
                WHAT,
                format!("{usable}; {unanswered} have a name, to which nobody can reply STOP"),
            ),
        };
    }
    let more = faults.len().saturating_sub(SHOWN);
    faults.truncate(SHOWN);
    if more > 0 {
        faults.push(format!("and {more} more"));
    }
    Finding::not(
        Level::Warn,
        WHAT,
        faults.join("; "),
        "they will fail: write a number in E.164, a short code, a name, whatsapp: and a number, or a messaging \
         service (MG…), or null for the default sender",
    )
}

/// What senders are sent at, if texts go by a provider whose rates are known, or by routes.
pub(super) async fn rates(client: &Client, config: &Config) -> Vec<Finding> {
    let mut providers = config.each_provider();
    let is_known = providers.any(|(_, own)| matches!(own, ProviderChoice::Twilio(_)));
    let routes = config.routes.senders_of_routes();
    if !is_known && routes.is_none() {
        return Vec::new();
    }
    let default = config.default_sender.as_ref().map(Sender::as_str);
    let busiest = match doctor::busiest(client, default).await {
        Ok(busiest) => busiest,
        Err(e) => return vec![failed("sender rates", &e)],
    };
    let too_fast = is_known.then(|| too_fast(&busiest));
    let unkept = routes.map(|of| unkept(&busiest, default, &of));
    too_fast.into_iter().chain(unkept).collect()
}

/// Senders of routes whose rate is not kept: a text waits for that of the default account's sender, by whichever it
/// goes.
fn unkept(busiest: &[Busiest], default: Option<&str>, of_routes: &[&str]) -> Finding {
    const WHAT: &str = "route rates";
    let rate = |sender: &str| {
        let one = busiest.iter().find(|one| one.sender == sender)?;
        Some((one.segment_s?, one.burst?))
    };
    let kept = default.and_then(rate);
    let others = of_routes.iter().filter(|own| Some(**own) != default);
    let faults = others.filter_map(|sender| {
        let (each, burst) = rate(sender)?;
        let is_kept = kept.is_some_and(|(own, most)| own >= each && most <= burst);
        let name = Sender::parse(sender, provider::TEXTS.sender_pools)
            .ok()?
            .masked();
        (!is_kept).then(|| format!("{name} has a rate of {}", rated(each, burst)))
    });
    let faults: Vec<String> = faults.collect();
    if faults.is_empty() {
        return Finding::ok(
            WHAT,
            "that of the default account's sender keeps those of all others",
        );
    }
    let own = kept.map_or_else(|| "none".to_owned(), |(each, burst)| rated(each, burst));
    Finding::not(
        Level::Warn,
        WHAT,
        format!(
            "{}, which is not kept: by a route texts wait for that of the default account's sender, {own}",
            faults.join("; ")
        ),
        "give the default account's sender no faster rate, nor a larger burst: punctual pace set sender",
    )
}

/// Senders whose rate, or whose busiest minute, is above what their kind is sent at by default.
fn too_fast(busiest: &[Busiest]) -> Finding {
    const WHAT: &str = "sender rates";
    let fault = |one: &Busiest| {
        let sender = Sender::parse(&one.sender, provider::TEXTS.sender_pools).ok()?;
        let DefaultRate {
            kind,
            segments_per_s,
        } = provider::default_rate(&sender)?;
        let (name, most) = (sender.masked(), f64::from(segments_per_s));
        match one.segment_s {
            // A little more, so that one that was entered as a rate is not too high by its last digit.
            Some(each) if each * most * 1.001 < 1.0 => Some(format!(
                "{name}, a {kind}, has a rate of {:.3} segments a second, and {segments_per_s} is the default of its kind",
                each.recip()
            )),
            None if one.segments > 60 * i64::from(segments_per_s) => Some(format!(
                "{} segments of {name}, a {kind}, are due within a minute, and {segments_per_s} a second is the default of its \
                 kind",
                one.segments
            )),
            _ => None,
        }
    };
    let mut faults: Vec<String> = busiest.iter().filter_map(fault).collect();
    if faults.is_empty() {
        return Finding::ok(
            WHAT,
            "none is above the default of its kind, as far as that is known",
        );
    }
    let more = faults.len().saturating_sub(SHOWN);
    faults.truncate(SHOWN);
    if more > 0 {
        faults.push(format!("and {more} more"));
    }
    Finding::not(
        Level::Warn,
        WHAT,
        faults.join("; "),
        "what is too much waits in Twilio's queue, and is refused after 10 h (30001): set a rate by punctual pace set sender, \
         or ignore this if the sender is registered for more",
    )
}

pub(super) fn is_for_tests(sender: &Sender) -> bool {
    sender.as_str().starts_with(TEST_NUMBERS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Capabilities, ProviderCapabilities, Routes};
    use crate::policy::Rules;

    fn set(rules: Rules, capabilities: ProviderCapabilities) -> Assumed {
        Assumed {
            rules,
            capabilities,
            provider: provider::TEXTS,
        }
    }

    fn texts() -> ProviderCapabilities {
        ProviderCapabilities::texts(provider::TEXTS)
    }

    fn named(sender: Option<&str>, account: Option<&str>, messages: i64) -> Named {
        Named {
            sender: sender.map(str::to_owned),
            account: account.map(str::to_owned),
            messages,
        }
    }

    #[test]
    fn no_finding_repeats_a_number() {
        let named = [
            named(Some("555-1234"), None, 3),
            named(Some("+15005550006"), None, 2),
            named(Some("+12025550100"), None, 1),
            named(None, None, 4),
        ];
        let without = set(Rules::default(), texts());
        let found = unusable(&named, Some(&without)).found;
        assert_eq!(found.matches("of the next").count(), 3, "{found}");
        assert!(!found.contains("555"), "{found}");
        let with = Rules {
            default_sender: "+12025550100".parse().ok(),
            ..Rules::default()
        };
        let with = set(with, texts());
        assert_eq!(unusable(&named[2..], Some(&with)).level, Level::Ok);
        assert_eq!(unusable(&named[2..], None).level, Level::Ok);
    }

    #[test]
    fn each_account_has_a_sender_of_its_own() {
        let mut routes = Routes::default();
        routes.add("eu", "ACME".parse().ok(), &[]).unwrap();
        routes.add("us", None, &[]).unwrap();
        let rules = Rules {
            default_sender: "+12025550100".parse().ok(),
            routes: routes.into(),
            ..Rules::default()
        };
        let set = set(rules, texts());
        let level = |account| unusable(&[named(None, account, 1)], Some(&set)).level;
        assert_eq!(level(Some("eu")), Level::Ok);
        assert_eq!(level(Some("us")), Level::Warn);
        assert_eq!(level(Some("default")), Level::Ok);
    }

    #[test]
    fn a_sender_on_whatsapp_needs_a_provider_that_is_there() {
        let mut routes = Routes::default();
        routes
            .add("field", "+4915112345678".parse().ok(), &[])
            .unwrap();
        let rules = Rules {
            routes: routes.into(),
            ..Rules::default()
        };
        let modem = ProviderCapabilities::texts(Capabilities::SENDS_ONLY);
        let set = set(rules, texts().with_account("field", modem));
        let named = |account| [named(Some("whatsapp:+14155238886"), account, 2)];
        assert_eq!(unusable(&named(None), Some(&set)).level, Level::Ok);
        let found = unusable(&named(Some("field")), Some(&set));
        assert_eq!(found.level, Level::Warn);
        assert!(found.found.contains("on WhatsApp"), "{}", found.found);
    }

    #[test]
    fn a_messaging_service_is_a_sender() {
        let level = |sender: &str| unusable(&[named(Some(sender), None, 1)], None).level;
        let service = "MG0123456789abcdef0123456789abcdef";
        assert_eq!(level(service), Level::Ok);
        assert_eq!(level(&service[..33]), Level::Warn);
        assert_eq!(level("whatsapp:+14155238886"), Level::Ok);
    }

    #[test]
    fn a_sender_that_is_too_fast_is_named_by_its_ends() {
        let found = |sender: &str, segments, segment_s| {
            let sender = sender.to_owned();
            too_fast(&[Busiest {
                sender,
                segments,
                segment_s,
                burst: None,
            }])
        };
        for (sender, segments, segment_s, is_too_fast) in [
            ("+12025550100", 60, None, false),
            ("+12025550100", 61, None, true),
            // What waits for its rate does not wait there.
            ("+12025550100", 61, Some(1.0), false),
            ("+12025550100", 0, Some(0.5), true),
            ("+18885550100", 61, None, false),
            ("+18885550100", 0, Some(0.333_334), false),
            ("72345", 5_000, None, false),
            ("+4915112345678", 5_000, None, false),
        ] {
            let found = found(sender, segments, segment_s);
            let level = if is_too_fast { Level::Warn } else { Level::Ok };
            assert_eq!(found.level, level, "{sender} {segments} {segment_s:?}");
            assert!(!found.found.contains(sender), "{}", found.found);
        }
    }

    #[test]
    fn the_rate_of_a_sender_on_a_route_is_kept_by_a_slower_one_alone() {
        let (us, eu) = ("+12025550100", "+4915112345678");
        let found = |rates: &[(&str, f64, i32)]| {
            let one = |(sender, each, burst): &(&str, f64, i32)| Busiest {
                sender: (*sender).to_owned(),
                segments: 0,
                segment_s: Some(*each),
                burst: Some(*burst),
            };
            let all: Vec<_> = rates.iter().map(one).collect();
            unkept(&all, Some(us), &[us, eu])
        };
        for (rates, is_kept) in [
            (&[][..], true),
            (&[(us, 1.0, 1)], true),
            (&[(eu, 1.0, 1)], false),
            (&[(us, 1.0, 3), (eu, 1.0, 3)], true),
            (&[(us, 2.0, 1), (eu, 1.0, 3)], true),
            (&[(us, 0.5, 3), (eu, 1.0, 3)], false),
            (&[(us, 1.0, 4), (eu, 1.0, 3)], false),
        ] {
            let found = found(rates);
            let level = if is_kept { Level::Ok } else { Level::Warn };
            assert_eq!(found.level, level, "{rates:?}");
            assert!(!found.found.contains(eu), "{}", found.found);
        }
        let found = found(&[(us, 0.1, 5), (eu, 1.0, 1)]).found;
        let says = "1 segment a second, 1 at once, which is not kept: by a route texts wait for that of the default \
                    account's sender, 10 segments a second, 5 at once";
        assert!(found.ends_with(says), "{found}");
    }

    #[test]
    fn a_name_cannot_be_replied_to() {
        let found = unusable(&[named(Some("ACME"), None, 7)], None);
        assert_eq!(found.level, Level::Ok);
        assert!(found.found.contains("7 have a name"), "{}", found.found);
    }
}
