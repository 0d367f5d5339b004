//! Countries that texts go to, and premium-rate numbers.

use super::*;
use crate::message::Sender;
use crate::policy::{Countries, Guards, Unknown};

fn guards(countries: &str, senders: &[&str]) -> Guards {
    let senders: Vec<Sender> = senders.iter().map(|own| own.parse().unwrap()).collect();
    let countries: Countries = countries.parse().unwrap();
    Guards::new(&countries, Unknown::Refuse, senders.iter().map(Some))
}

#[test]
fn a_text_goes_to_the_countries_of_the_senders_or_to_those_that_are_set() {
    const US: &str = "+13105551234";
    const JAMAICA: &str = "+18765551234";
    const GERMANY: &str = "+4915112345678";
    for (countries, senders, from, to, is_sent) in [
        ("senders", &[US][..], None, "+12025550101", true),
        ("senders", &[US], None, GERMANY, false),
        // They share the country code, and not the price.
        ("senders", &[US], None, JAMAICA, false),
        ("senders", &[US, GERMANY], None, GERMANY, true),
        // A sender that the row names brings its own country; one without a country may be anywhere.
        ("senders", &[US], Some(GERMANY), GERMANY, true),
        ("senders", &[US], Some("ACME"), GERMANY, true),
        ("senders", &[US, "ACME"], None, GERMANY, true),
        ("senders", &[US, "12345"], None, GERMANY, true),
        // On WhatsApp others are texted to as well, and it says nothing of where texts are.
        (
            "senders",
            &[US, "whatsapp:+4915112345678"],
            None,
            GERMANY,
            false,
        ),
        (
            "senders",
            &[US],
            Some("whatsapp:+13105551234"),
            GERMANY,
            true,
        ),
        // The United States have territories with the same code, and Canada beside them; a number free of charge is
        // there too.
        ("senders", &[US], None, "+17875551234", true),
        ("senders", &[US], None, "+14165551234", true),
        ("senders", &["+18005551234"], None, JAMAICA, false),
        ("US", &[US], None, "+17875551234", true),
        ("US", &[US], None, "+14165551234", false),
        ("senders", &[], None, GERMANY, true),
        ("all", &[US], None, GERMANY, true),
        ("us, CA", &[US], None, GERMANY, false),
        ("DE", &[US], None, "+12025550101", false),
        ("DE", &[US], Some("ACME"), GERMANY, true),
        ("US", &[US], Some("ACME"), GERMANY, false),
    ] {
        let guards = guards(countries, senders);
        let from: Option<Sender> = from.map(|from: &str| from.parse().unwrap());
        let fault = guards.fault(&to.parse().unwrap(), from.as_ref());
        assert_eq!(
            fault.is_none(),
            is_sent,
            "{countries} {senders:?} {from:?} {to}"
        );
    }
    let unknown = Guards::new(&Countries::OfSenders, Unknown::Refuse, [None].into_iter());
    assert_eq!(unknown.fault(&GERMANY.parse().unwrap(), None), None);
    for text in ["", "USA", "Germany", "001", "US,XX", "US,"] {
        assert!(text.parse::<Countries>().is_err(), "{text}");
    }
}

#[test]
fn a_guard_rejects_with_a_sentence_that_says_what_to_set() {
    check(
        |c, r| {
            c.to_number = "+4915112345678".into();
            r.guards = guards("senders", &["+13105551234"]);
        },
        NINE,
        "reject: to_number is refused: it is in DE, and this installation sends to CA, US, where its senders are \
         (PUNCTUAL_COUNTRIES has others, or all)",
    );
    let premium = "+19005551234";
    check(
        |c, _| c.to_number = premium.into(),
        NINE,
        "reject: to_number is refused: it is a premium-rate number (PUNCTUAL_PREMIUM=send sends it all the same)",
    );
    check(
        |c, r| (c.to_number, r.guards.premium) = (premium.into(), Unknown::Send),
        NINE,
        "send from +15005550006",
    );
}
