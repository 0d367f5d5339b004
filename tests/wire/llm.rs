//! The client of a language model over real sockets, against a stand-in that streams, stalls, lies and returns garbage.

use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use punctual::message::Moment;
use punctual::provider::llm::{Answer, Llm, LlmConfig, LlmFailure};
use punctual::wording::{Brief, Nanos, Prices, Request, Usage, judge};
use serde_json::json;

use crate::model::{Model, Says, right, whole};

const KEY: &str = "sk-0123456789abcdef";
const PATIENCE: Duration = Duration::from_secs(20);

fn brief() -> Brief {
    let facts = json!({
        "title": "Project Sync", "starts_at": "2026-12-01T18:00:00Z", "link": "https://meet.example.com/abc",
    });
    let sent: jiff::Timestamp = "2026-12-01T17:45:00Z".parse().unwrap();
    Brief::of(
        &facts.to_string(),
        Moment::from_micros(sent.as_microsecond()),
        &TimeZone::UTC,
    )
    .unwrap()
}

fn llm(url: &str, timeout: Duration) -> Llm {
    let config = LlmConfig {
        url: url.parse().unwrap(),
        model: "deepseek/deepseek-chat".into(),
        key: Some(KEY.to_owned().into()),
        timeout,
        concurrency: 4,
    };
    Llm::new(config).unwrap()
}

async fn ask(model: &Model) -> Result<Answer, LlmFailure> {
    llm(model.url(), PATIENCE)
        .ask(&Request::of(&brief()), PATIENCE)
        .await
}

async fn said(says: Says) -> Result<Answer, LlmFailure> {
    ask(&Model::start([says]).await).await
}

#[tokio::test]
async fn a_request_has_the_rules_the_data_and_the_key_and_its_answer_can_be_sent() {
    let model = Model::start([]).await;
    let answer = ask(&model).await.unwrap();
    assert_eq!(
        answer.usage,
        Some(Usage {
            input: 200,
            output: 50
        })
    );
    let asked = model.asked().remove(0);
    assert_eq!(asked.headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(asked.body["model"], "deepseek/deepseek-chat");
    assert_eq!(asked.body["stream"], false);
    assert_eq!(asked.data()["begins_in"], "in 15 mins");
    let text = right(&asked.data());
    assert_eq!(judge(&answer.text, &brief(), None), Ok(text));
    let slowly = Says::Slowly("Sync".into(), Duration::from_millis(5));
    assert_eq!(said(slowly).await.unwrap().text, "Sync");
}

#[tokio::test]
async fn what_is_no_answer_is_none() {
    let other = |status, kind, body: &str| Says::Other(status, kind, vec![], body.to_owned());
    let json = "application/json";
    let events = format!("data: {}\n\ndata: [DONE]\n\n", whole("x"));
    let cut_off = whole("x").replace("\"stop\"", "\"length\"");
    for (says, why) in [
        (other(200, "text/event-stream", &events), "it is not JSON"),
        (other(200, "text/html", &whole("x")), "it is not JSON"),
        (
            other(200, json, "<html>"),
            "it does not have the form of an answer",
        ),
        (
            other(200, json, ""),
            "it does not have the form of an answer",
        ),
        (other(200, json, "{\"choices\": []}"), "it has no choices"),
        (other(200, json, &cut_off), "the answer was cut off"),
        (other(200, json, &whole(" \n")), "it has no text"),
        (
            other(400, json, "{\"error\": {\"message\": \"max_tokens\"}}"),
            "400 (max_tokens)",
        ),
        (other(302, json, ""), "302"),
        (Says::Flood, "the response is longer than 65536 bytes"),
    ] {
        match said(says).await {
            Err(LlmFailure::Unusable(found, _)) => assert_eq!(found, why),
            found => panic!("{why}: {found:?}"),
        }
    }
}

#[tokio::test]
async fn refusals_differ_and_the_key_is_in_no_sentence() {
    let body = format!("{{\"error\": {{\"message\": \"no such key {KEY}\\nor +13105550100\"}}}}");
    let other = |status, headers| Says::Other(status, "application/json", headers, body.clone());
    for status in [401, 402, 404] {
        match said(other(status, vec![])).await {
            Err(LlmFailure::NotAdmitted(why)) => {
                assert_eq!(why, format!("{status} (no such key *** or +•••)"));
            }
            found => panic!("{status}: {found:?}"),
        }
    }
    assert!(matches!(
        said(other(403, vec![])).await,
        Err(LlmFailure::Forbidden(_))
    ));
    for status in [500, 502, 503, 529] {
        assert!(matches!(
            said(other(status, vec![])).await,
            Err(LlmFailure::Unavailable(_))
        ));
    }
    let pause = Duration::from_secs(7);
    assert_eq!(
        said(other(429, vec![("retry-after", "7")])).await,
        Err(LlmFailure::Throttled(Some(pause)))
    );
    assert_eq!(
        said(other(429, vec![])).await,
        Err(LlmFailure::Throttled(None))
    );
    let nobody = llm("http://127.0.0.1:1/v1", PATIENCE);
    let nobody = nobody.ask(&Request::of(&brief()), PATIENCE).await;
    assert!(
        matches!(nobody, Err(LlmFailure::Unavailable(_))),
        "{nobody:?}"
    );
}

#[tokio::test]
async fn what_stalls_is_cut_off_in_time_and_counts_in_full() {
    let request = Request::of(&brief());
    let short = Duration::from_millis(300);
    for says in [
        Says::Silence,
        Says::Stall,
        Says::Slowly("x".repeat(4_000), short),
    ] {
        let model = Model::start([says]).await;
        let (llm, began) = (llm(model.url(), short), Instant::now());
        let asked = llm.ask(&request, PATIENCE).await;
        assert_eq!(asked, Err(LlmFailure::TimedOut));
        assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
        let prices = Prices {
            input: Nanos(1_000_000),
            output: Nanos(1_000_000),
        };
        let spent = llm.spent(&request, &asked, Some(prices), began.elapsed());
        assert_eq!(spent.cost, Some(prices.cost(Usage::most(&request))));
    }
    // The time to the message is shorter than the time-out.
    let model = Model::start([Says::Silence]).await;
    let asked = llm(model.url(), PATIENCE).ask(&request, short).await;
    assert_eq!(asked, Err(LlmFailure::TimedOut));
}
