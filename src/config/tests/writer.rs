//! The settings of the writer.

use super::*;

const URL: (&str, &str) = ("PUNCTUAL_LLM_URL", "https://llm.example/api/v1/");
const MODEL: (&str, &str) = ("PUNCTUAL_LLM_MODEL", "deepseek/deepseek-chat");
const PRICES: [(&str, &str); 2] = [
    ("PUNCTUAL_LLM_PRICE_IN", "0.14"),
    ("PUNCTUAL_LLM_PRICE_OUT", "0.28"),
];

#[test]
fn nothing_writes_texts_unless_an_endpoint_and_a_model_are_set() {
    assert!(load("", REQUIRED).unwrap().writer.is_none());
    let with = |env: &[(&str, &str)]| load("", &[REQUIRED, env].concat());
    let settings = with(&[URL, MODEL]).unwrap().writer.unwrap();
    assert_eq!(settings.llm.timeout, std::time::Duration::from_secs(10));
    assert_eq!(settings.llm.concurrency, 8);
    assert_eq!(settings.llm.url.to_string(), "https://llm.example/api/v1");
    assert!(settings.prices.is_none() && settings.budget.is_none() && settings.llm.key.is_none());
    check("", &[URL], Err("PUNCTUAL_LLM_MODEL is required"));
    check(
        "",
        &[MODEL],
        Err("PUNCTUAL_LLM_MODEL is set without PUNCTUAL_LLM_URL:"),
    );
    for url in [
        "llm.example",
        "ftp://llm.example",
        "https://a:b@llm.example",
        "https://llm.example?x=1",
    ] {
        check(
            "",
            &[("PUNCTUAL_LLM_URL", url), MODEL],
            Err("PUNCTUAL_LLM_URL is not valid: expected the URL of an API"),
        );
    }
    let resource = ("PUNCTUAL_LLM_URL", "http://127.0.0.1:1/v1/chat/completions");
    let settings = with(&[resource, MODEL]).unwrap().writer.unwrap();
    assert_eq!(settings.llm.url.to_string(), "http://127.0.0.1:1/v1");
}

#[test]
fn a_budget_needs_prices_and_these_come_in_pairs() {
    let budget = ("PUNCTUAL_LLM_BUDGET", "2.50");
    let all = [URL, MODEL, PRICES[0], PRICES[1], budget];
    check("", &all, Ok("budget = \"2.50\""));
    check(
        "",
        &[URL, MODEL, PRICES[0]],
        Err("PUNCTUAL_LLM_PRICE_IN is set without PUNCTUAL_LLM_PRICE_OUT"),
    );
    check(
        "",
        &[URL, MODEL, budget],
        Err("PUNCTUAL_LLM_BUDGET is set without PUNCTUAL_LLM_PRICE_IN"),
    );
    let wrong = ("PUNCTUAL_LLM_BUDGET", "five");
    check(
        "",
        &[URL, MODEL, PRICES[0], PRICES[1], wrong],
        Err("expected an amount like 0.14"),
    );
    check(
        "",
        &[URL, MODEL, ("PUNCTUAL_LLM_TIMEOUT", "2h")],
        Err("from 100ms to 1m"),
    );
    check(
        "",
        &[URL, MODEL, ("PUNCTUAL_LLM_CONCURRENCY", "0")],
        Err("an integer from 1 to 256"),
    );
}

#[test]
fn its_key_is_not_shown() {
    let key = ("PUNCTUAL_LLM_API_KEY", "sk-hunter2");
    check("", &[URL, MODEL, key], Ok("api_key = \"***\""));
}
