//! What texts cost by the price table, and what can be sent on no day.

use super::*;
use crate::message::Nanos;
use crate::policy::{CostCaps, CostScope, Costs, TextPrices};

const PRICES: &str = "CA = 0.02, US = 0.01, media = 0.05, other = 0.1";

fn costs(cap: Option<&str>) -> Costs {
    Costs {
        prices: PRICES.parse().unwrap(),
        currency: "USD".into(),
        caps: CostCaps {
            campaign: cap.map(|cap| cap.parse().unwrap()),
            ..CostCaps::default()
        },
    }
}

#[track_caller]
fn cost(change: impl FnOnce(&mut Claim), expected: Option<&str>) {
    let mut claim = claim();
    change(&mut claim);
    let provider = Capabilities {
        whatsapp: true,
        media: true,
        max_chars: 2_000,
        ..Capabilities::SENDS_ONLY
    };
    let verdict = judge(&claim, &rules(), &ProviderCapabilities::all(provider), NINE);
    let Verdict::Send(cleared) = verdict else {
        panic!("{verdict:?}");
    };
    let cost = costs(None).of(&cleared).map(|cost| cost.to_string());
    assert_eq!(cost.as_deref(), expected);
}

#[test]
fn a_text_costs_its_segments_by_the_price_of_its_country() {
    cost(|_| (), Some("0.01"));
    cost(|c| c.body = "x".repeat(161), Some("0.02"));
    cost(|c| c.body = "й".repeat(71), Some("0.02"));
    cost(|c| c.to_number = "+14165551234".into(), Some("0.02"));
    // A territory of the United States, another country, and a number of no plan.
    cost(|c| c.to_number = "+17875551234".into(), Some("0.01"));
    cost(|c| c.to_number = "+18765551234".into(), Some("0.10"));
    cost(|c| c.to_number = "+15551234567".into(), Some("0.10"));
    cost(
        |c| {
            c.body = "x".repeat(161);
            c.from_number = Some("whatsapp:+13105550199".into());
        },
        Some("0.01"),
    );
    cost(
        |c| c.facts.media = vec!["https://example.com/a.png".into()],
        Some("0.05"),
    );
    cost(
        |c| {
            c.lane = LaneKey::of(Channel::Webhook);
            c.to_number = "https://example.com".into();
        },
        None,
    );
}

#[test]
fn a_price_table_is_read_whole_or_refused() {
    let prices: TextPrices = " us=0.01,media = 0.05,other=0.1, CA = 0.02"
        .parse()
        .unwrap();
    assert_eq!(
        prices.to_string(),
        "CA = 0.02, US = 0.01, other = 0.10, media = 0.05"
    );
    for text in [
        "",
        "US = 0.01",
        "other",
        "other = x",
        "other = 1, USA = 1",
        "other = 1, other = 2",
        "US = 1, US = 1, other = 1",
        "other = 1,",
    ] {
        assert!(text.parse::<TextPrices>().is_err(), "{text}");
    }
    assert_eq!(
        costs(Some("25")).to_string(),
        "USD by CA = 0.02, US = 0.01, other = 0.10, media = 0.05; at most 25.00 USD a day for each campaign"
    );
    assert!(costs(None).to_string().ends_with("; no cap"));
    assert_eq!(
        costs(Some("25")).reached(CostScope::Campaign).text,
        "the cost cap of the campaign of 25.00 USD a day is reached (PUNCTUAL_COST_CAP_CAMPAIGN)"
    );
}

#[test]
fn a_cap_is_reached_when_less_is_left_than_the_cheapest_text_costs() {
    let (costs, of) = (costs(Some("1")), CostScope::Campaign);
    assert!(!costs.is_reached(of, Nanos(990_000_000)));
    assert!(costs.is_reached(of, Nanos(990_000_001)));
    assert!(costs.is_reached(of, Nanos(2_000_000_000)));
    let [cost, spent] = [Nanos(1_000_000_000), Nanos(30_000_000)];
    assert_eq!(
        costs.too_dear(of, cost, spent).text,
        "it costs 1.00 USD by PUNCTUAL_PRICES, and 0.97 USD is left of the cost cap of the campaign of 1.00 USD a day \
         (PUNCTUAL_COST_CAP_CAMPAIGN)"
    );
}

#[test]
fn what_costs_more_than_any_day_has_is_refused() {
    let dear = |c: &mut Claim, r: &mut Rules| {
        c.body = "x".repeat(161);
        r.costs = Some(std::sync::Arc::new(costs(Some("0.015"))));
    };
    check(dear, NINE, "send from +15005550006");
    let of_campaign = |c: &mut Claim, r: &mut Rules| {
        dear(c, r);
        c.campaign = Some("c1".into());
    };
    check(
        of_campaign,
        NINE,
        "reject: it costs 0.02 USD by PUNCTUAL_PRICES, and PUNCTUAL_COST_CAP_CAMPAIGN is 0.015 USD a day",
    );
    // What has begun is finished.
    check(
        |c, r| {
            of_campaign(c, r);
            c.part = Part { before: 1, of: 2 };
            c.part_text = Some(c.body.clone());
        },
        NINE,
        "send from +15005550006",
    );
}
