//! What a text costs, and what it may cost at most.

use super::*;

#[test]
fn amounts_are_read_and_shown_without_rounding() {
    for (text, nanos, shown) in [
        ("0.14", 140_000_000, "0.14"),
        ("5", 5_000_000_000, "5.00"),
        ("0.000042", 42_000, "0.000042"),
        ("0.000000001", 1, "0.000000001"),
        ("0", 0, "0.00"),
    ] {
        let amount: Nanos = text.parse().unwrap();
        assert_eq!((amount.0, amount.to_string().as_str()), (nanos, shown));
    }
    for text in [
        "",
        "-1",
        "1,5",
        "1.",
        ".5",
        "1e3",
        "0.0000000001",
        "9999999999",
        "$1",
    ] {
        assert!(text.parse::<Nanos>().is_err(), "{text}");
    }
}

#[test]
fn a_call_costs_what_its_tokens_cost_and_no_more_than_it_can() {
    let prices = Prices {
        input: "0.14".parse().unwrap(),
        output: "0.28".parse().unwrap(),
    };
    let usage = Usage {
        input: 200,
        output: 50,
    };
    assert_eq!(prices.cost(usage), Nanos(42_000));
    let request = Request::of(&titled("Sync"));
    let most = Usage::most(&request);
    // An endpoint that lies about its tokens does not use up a budget.
    let lie = Usage {
        input: u64::MAX,
        output: u64::MAX,
    };
    assert_eq!(lie.within(most), most);
    assert!(
        prices.cost(most) < Nanos(1_000_000),
        "{}",
        prices.cost(most)
    );
    assert_eq!(prices.cost(Usage::default()), Nanos(0));
}

#[test]
fn what_was_spent_is_in_the_metadata_as_the_figures_of_a_day_have_it() {
    let spent = Spent {
        model: "m".into(),
        cost: Some(Nanos(42_000)),
        usage: Some(Usage {
            input: 200,
            output: 50,
        }),
        took: std::time::Duration::from_millis(812),
    };
    let expected = json!({
        "generated_via": "llm", "llm_model": "m", "generation_time_ms": 812, "generation_cost_usd": 0.000_042,
        "llm_tokens_in": 200, "llm_tokens_out": 50,
    });
    assert_eq!(spent.metadata("llm"), expected);
    assert_eq!(
        Spent::default().metadata("template"),
        json!({ "generated_via": "template" })
    );
}
