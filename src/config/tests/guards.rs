//! The countries that texts go to.

use super::*;

#[test]
fn texts_go_to_the_countries_of_the_senders_unless_others_are_set() {
    for line in [
        "[guards]",
        "countries = \"senders\"",
        "premium = \"refuse\"",
    ] {
        file("", Ok(line));
    }
    let countries = "PUNCTUAL_COUNTRIES";
    env(countries, "us, ca", Ok("countries = \"CA, US\""));
    env(countries, "all", Ok("countries = \"all\""));
    env(
        countries,
        "Germany",
        Err("by their two letters, as in US, CA"),
    );
    env("PUNCTUAL_PREMIUM", "send", Ok("premium = \"send\""));
    env("PUNCTUAL_PREMIUM", "no", Err("send or refuse"));
    file("[guards]\ncountry = \"US\"", Err("guards.country"));
}

/// An account that sends texts, with this sender.
const BESIDE: &str = "[accounts.eu]\nprovider = \"twilio\"\naccount_sid = \"AC11111111111111111111111111111111\"\n\
                      auth_token = \"beef\"\n";

#[test]
fn the_senders_of_all_accounts_of_texts_count() {
    let guards = |text: &str, from: &str| {
        let env = [REQUIRED, &[("TWILIO_SMS_FROM_NUMBER", from)]].concat();
        load(text, &env).unwrap().guards().to_string()
    };
    let us = "+13105551234";
    assert_eq!(
        guards("", us),
        "texts go to CA, US, where the senders are; to no premium-rate number"
    );
    let eu = format!("{BESIDE}sms_from_number = \"+4915112345678\"\n");
    assert!(guards(&eu, us).starts_with("texts go to CA, DE, US, where"));
    let more = format!("{eu}senders = \"+33612345678\"\n");
    assert!(guards(&more, us).starts_with("texts go to CA, DE, FR, US, where"));
    for unknown in [BESIDE.to_owned(), format!("{eu}senders = \"ACME\"\n")] {
        let shown = guards(&unknown, us);
        assert!(
            shown.starts_with("texts go to every country, because"),
            "{shown}"
        );
    }
    let list = "[guards]\ncountries = \"DE\"\npremium = \"send\"\n";
    assert_eq!(
        guards(list, us),
        "texts go to DE; to premium-rate numbers too"
    );
}

#[test]
fn equal_texts_are_held_only_if_that_is_set() {
    let burst = "PUNCTUAL_BURST";
    file("", Ok("burst = \"off\""));
    env(burst, "off", Ok("burst = \"off\""));
    env(burst, "100 in 60m", Ok("burst = \"100 in 1h\""));
    env(burst, "100", Err("as in 100 in 1h"));
    env(burst, "0 in 1h", Err("as in 100 in 1h"));
}

#[test]
fn a_cap_of_costs_needs_the_prices() {
    let prices = "PUNCTUAL_PRICES";
    env(
        prices,
        "us=0.01, other=0.1",
        Ok("prices = \"US = 0.01, other = 0.10\""),
    );
    env(prices, "us=0.01, other=0.1", Ok("currency = \"USD\""));
    env(prices, "US = 0.01", Err("and that of all others"));
    env("PUNCTUAL_CURRENCY", "dollars", Err("three letters"));
    for cap in ["cost_cap", "cost_cap_campaign", "cost_cap_user"] {
        let variable = format!("PUNCTUAL_{}", cap.to_ascii_uppercase());
        let without = format!("{variable} is set without PUNCTUAL_PRICES");
        env(&variable, "25", Err(&without));
        let with = format!("[guards]\nprices = \"other = 0.1\"\n{cap} = \"25\"\n");
        file(&with, Ok(&format!("{cap} = \"25.00\"")));
        let zero = with.replace("\"25\"", "\"0\"");
        file(&zero, Err("more than 0"));
    }
}
