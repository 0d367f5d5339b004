//! Every way a request can end, and what it is taken for. In every row that leaves doubt the
//! message was asked for at most once: nothing below us tries again.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use punctual::message::{Category, Outcome, Retry, Scope};
use punctual::provider::twilio::Twilio;

use crate::setup::{BODY, SHORT, TO, hasty, send, twilio};
use crate::standin::{Act, JSON, StandIn};

/// How much later than its deadline a busy machine may notice it.
const SLACK: Duration = Duration::from_secs(2);

/// Sends one message into `act` and returns the outcome, having looked at what arrived.
async fn outcome_of(act: Act, arrived: usize, kept: usize) -> Outcome {
    let case = format!("{act:?}");
    let stalls = matches!(act, Act::Silence | Act::AcceptDripping(_));
    let stand_in = StandIn::start([act]).await;
    let twilio = if stalls { hasty } else { twilio }(&stand_in.url());
    let outcome = send(&twilio).await;
    assert_eq!(stand_in.creates().len(), arrived, "{case}");
    assert_eq!(stand_in.accepted().len(), kept, "{case}");
    assert_eq!(stand_in.connections(), 1, "{case}");
    outcome
}

async fn in_doubt(act: Act, arrived: usize, kept: usize, sign: &str) {
    let case = format!("{act:?}");
    match outcome_of(act, arrived, kept).await {
        Outcome::Unknown { reason } => assert!(reason.contains(sign), "{case}: {reason}"),
        other => panic!("{case}: {other:?}"),
    }
}

#[tokio::test]
async fn accepted_with_a_sid() {
    for act in [Act::Accept, Act::AcceptAfter(SHORT / 8)] {
        let outcome = outcome_of(act, 1, 1).await;
        let Outcome::Accepted { sid } = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(sid.0, "SM00000000000000000000000000000001");
    }
}

#[tokio::test]
async fn silence_ends_at_the_send_timeout() {
    let begun = Instant::now();
    in_doubt(Act::Silence, 1, 0, "timed out").await;
    let taken = begun.elapsed();
    assert!(taken >= SHORT && taken < SHORT + SLACK, "{taken:?}");
}

#[tokio::test]
async fn an_answer_that_comes_too_slowly_is_no_answer() {
    in_doubt(Act::AcceptDripping(SHORT / 16), 1, 1, "timed out").await;
}

#[tokio::test]
async fn broken_connections_leave_doubt() {
    in_doubt(Act::Close, 1, 0, "closed before").await;
    in_doubt(Act::Reset, 1, 0, "reset").await;
    in_doubt(Act::CloseUnread, 0, 0, "").await;
    in_doubt(Act::CutShort, 1, 1, "HTTP 201, the response broke off").await;
}

#[tokio::test]
async fn answers_that_say_nothing_leave_doubt() {
    let answer = |status, headers, body: &str| Act::Answer(status, headers, body.into());
    let sid = r#"{"sid":"SM00000000000000000000000000000001"}"#;
    for status in [500, 502, 503, 504] {
        let act = answer(status, JSON, sid);
        in_doubt(act, 1, 0, &format!("HTTP {status}")).await;
    }
    let html = "content-type: text/html\r\n";
    in_doubt(answer(201, JSON, "{}"), 1, 0, "without a message sid").await;
    in_doubt(answer(201, html, "<html>"), 1, 0, "without a message sid").await;
    in_doubt(answer(204, "", ""), 1, 0, "without a message sid").await;
    in_doubt(
        answer(403, html, "<h1>Forbidden</h1>"),
        1,
        0,
        "provider's words",
    )
    .await;
    in_doubt(answer(407, html, ""), 1, 0, "provider's words").await;
    let long = format!(r#"{{"sid":"{}"}}"#, "x".repeat(70_000));
    in_doubt(answer(201, JSON, &long), 1, 0, "longer than 65536 bytes").await;
}

#[tokio::test]
async fn something_that_is_not_http_leaves_doubt() {
    let stand_in = StandIn::start([Act::Answer(201, "no header at all\r\n", String::new())]).await;
    let outcome = send(&twilio(&stand_in.url())).await;
    assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    assert_eq!(stand_in.creates().len(), 1);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = StandIn::start([]).await;
    for status in [301, 302, 303, 307, 308] {
        let location: &'static str =
            Box::leak(format!("location: {}/elsewhere\r\n", elsewhere.url()).into_boxed_str());
        let act = Act::Answer(status, location, String::new());
        in_doubt(act, 1, 0, "redirect").await;
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn too_many_requests_is_throttled() {
    for (headers, seconds) in [("retry-after: 3\r\n", Some(3)), ("", None)] {
        let body = r#"{"code":20429,"message":"Too many requests","status":429}"#;
        let outcome = outcome_of(Act::Answer(429, headers, body.into()), 1, 0).await;
        let expected = Outcome::Throttled {
            retry_after: seconds.map(Duration::from_secs),
            code: Some(20429),
            scope: Scope::Account,
            hold: None,
        };
        assert_eq!(outcome, expected);
    }
}

#[tokio::test]
async fn refusals_are_classified_and_tidied() {
    let sentence = format!("'{TO}' does not want '{BODY}'");
    let minutes = |n: u64| Duration::from_secs(n * 60);
    let held = Retry::HoldAccount { probe: minutes(5) };
    let waits = Retry::HoldSender { pause: minutes(5) };
    let later = Retry::After {
        base: minutes(5),
        slows: Some(Scope::Sender),
    };
    for (status, code, category, retry) in [
        (400, 21211, Category::InvalidNumber, Retry::No),
        (400, 21610, Category::OptedOut, Retry::No),
        (401, 20003, Category::AccountIssue, held),
        (400, 20005, Category::AccountIssue, held),
        (403, 90010, Category::AccountIssue, held),
        (404, 20404, Category::AccountIssue, held),
        (400, 21703, Category::AccountIssue, held),
        (400, 21704, Category::AccountIssue, held),
        (400, 21705, Category::AccountIssue, held),
        (400, 21659, Category::SenderIssue, waits),
        (400, 21660, Category::SenderIssue, waits),
        (400, 21408, Category::SenderIssue, Retry::No),
        (400, 21611, Category::RateLimit, later),
        (400, 21617, Category::Content, Retry::No),
        (400, 99_999, Category::Unknown, Retry::No),
    ] {
        let outcome = outcome_of(Act::refuse(status, code, &sentence), 1, 0).await;
        let expected = Outcome::Refused {
            code: Some(code),
            category,
            text: "'+•••' does not want '[text]'".into(),
            retry,
        };
        assert_eq!(outcome, expected);
    }
}

#[tokio::test]
async fn problem_documents_are_refusals() {
    let headers = "content-type: application/problem+json\r\n";
    let body = r#"{"type":"https://www.twilio.com/docs/api/errors/21610","title":"Unsubscribed",
        "status":400,"detail":"Attempt to send to unsubscribed recipient"}"#;
    let outcome = outcome_of(Act::Answer(400, headers, body.into()), 1, 0).await;
    let expected = Outcome::Refused {
        code: Some(21610),
        category: Category::OptedOut,
        text: "Attempt to send to unsubscribed recipient".into(),
        retry: Retry::No,
    };
    assert_eq!(outcome, expected);
}

/// Expects `Unsent` with `sign` in its reason.
async fn unsent(twilio: Twilio, sign: &str) {
    match send(&twilio).await {
        Outcome::Unsent { reason } => assert!(reason.contains(sign), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn without_a_connection_nothing_is_sent() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    unsent(twilio(&format!("http://{closed}")), "no connection: ").await;
    // Too long for a name, so that it needs no network to find out that it is none.
    let no_host = format!("http://{}.invalid", "x".repeat(64));
    unsent(twilio(&no_host), "the host name was not resolved: ").await;
}

/// A listener nobody accepts on, filled up, answers no further handshake: the connection is
/// neither made nor refused, and the whole deadline passes.
#[tokio::test]
async fn a_deadline_that_passes_while_connecting_is_unsent() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(0).unwrap();
    let addr = full.local_addr().unwrap();
    let mut waiting = Vec::new();
    // The kernel takes one or two beyond the backlog of nought; then it is silent.
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&addr, SHORT / 8) {
        waiting.push(stream);
        assert!(waiting.len() < 16, "the listener does not fill up");
    }
    let begun = Instant::now();
    unsent(hasty(&format!("http://{addr}")), "timed out").await;
    assert!(begun.elapsed() >= SHORT);
}

/// The whole process is held up past the deadline, and the answer comes meanwhile: it is in the
/// socket when the process goes on, and it counts.
#[test]
fn an_answer_that_came_while_nobody_could_read_it_counts() {
    let elsewhere = tokio::runtime::Runtime::new().unwrap();
    let stand_in = elsewhere.block_on(StandIn::start([Act::AcceptAfter(SHORT / 3)]));
    let here = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let outcome = here.block_on(async {
        let provider = hasty(&stand_in.url());
        let suspended = async {
            let began = Instant::now();
            while stand_in.creates().is_empty() {
                assert!(began.elapsed() < Duration::from_secs(60), "no request");
                tokio::time::sleep(SHORT / 100).await;
            }
            std::thread::sleep(SHORT * 2);
        };
        tokio::join!(send(&provider), suspended).0
    });
    assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
}
