//! Webhooks over real sockets: what is sent, where it may go, and what a response means.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use punctual::message::{
    Category, Channel, Claim, Facts, LaneKey, Moment, Outcome, ProviderCapabilities, ProviderSid,
    Retry, Scope,
};
use punctual::policy::{Cleared, Rules, Verdict, judge};
use punctual::provider::Provider as _;
use punctual::provider::webhook::{self, Webhook, WebhookConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::setup::{SHORT, VALID_FOR, claim};
use crate::standin::{Act, Seen, StandIn};

const NEW: &str = "whsec_bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXcgbmV3IQ==";
const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY: &str = r#"{"job": "remind", "who": "Zoë"}"#;

/// Never waited for, on however busy a machine.
const AMPLE: Duration = Duration::from_secs(20);

fn cleared(url: &str) -> Cleared {
    let claim = Claim {
        lane: LaneKey::of_row(Channel::Webhook, Some(url)),
        to_number: url.into(),
        from_number: None,
        body: BODY.into(),
        facts: Facts {
            scheduled_at: Some(Moment::from_micros(1_767_258_000_000_000)),
            message_type: Some("reminder.due".into()),
            user_id: Some(uuid::Uuid::from_u128(0x33)),
            ..Facts::default()
        },
        ..claim()
    };
    let capabilities: ProviderCapabilities = [(Channel::Webhook, webhook::CAPABILITIES)]
        .into_iter()
        .collect();
    match judge(&claim, &Rules::default(), &capabilities, claim.due) {
        Verdict::Send(cleared) => cleared,
        other => panic!("{other:?}"),
    }
}

fn provider(secrets: &str, allow: &str, send_timeout: Duration) -> Webhook {
    let config = WebhookConfig {
        secrets: secrets.parse().unwrap(),
        allowed: allow.parse().unwrap(),
        send_timeout,
        max_in_flight: 8.try_into().unwrap(),
    };
    Webhook::new(&config).unwrap()
}

async fn send(webhook: &Webhook, url: &str) -> Outcome {
    let outcome = webhook.send(&cleared(url), VALID_FOR).await;
    let shown = format!("{outcome:?}");
    for private in ["token=7", "remind", &NEW[6..], &OLD[6..]] {
        assert!(!shown.contains(private), "{shown}");
    }
    outcome
}

/// Sends one message into `act`.
async fn outcome_of(act: Act) -> (Outcome, Vec<Seen>) {
    let timeout = match act {
        Act::Silence | Act::AcceptDripping(_) => SHORT,
        _ => AMPLE,
    };
    let endpoint = StandIn::start([act]).await;
    let webhook = provider(NEW, "127.0.0.1", timeout);
    let url = format!("{}/hook?token=7", endpoint.url());
    let outcome = send(&webhook, &url).await;
    assert!(endpoint.connections() <= 1);
    (outcome, endpoint.creates())
}

fn answer(status: u16, headers: &'static str) -> Act {
    Act::Answer(status, headers, "whatever it says".into())
}

fn accepted() -> Outcome {
    Outcome::Accepted {
        sid: ProviderSid("WH00000000000000000000000000000022".into()),
    }
}

#[tokio::test]
async fn a_request_is_a_signed_post_of_the_documented_json() {
    let (outcome, seen) = outcome_of(answer(204, "")).await;
    assert_eq!(outcome, accepted());
    let [seen] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert_eq!(seen.line, "POST /hook?token=7 HTTP/1.1");
    assert_eq!(seen.header("content-type"), Some("application/json"));
    let id = "00000000-0000-0000-0000-000000000011";
    assert_eq!(seen.header("webhook-id"), Some(id));
    let sent: u64 = seen.header("webhook-timestamp").unwrap().parse().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    assert!(now.as_secs().abs_diff(sent) <= 60, "{sent}");
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    let expected = json!({
        "type": "reminder.due",
        "timestamp": "2026-01-01T09:00:00.000000Z",
        "data": {
            "id": id,
            "user_id": "00000000-0000-0000-0000-000000000033",
            "body": BODY,
        },
    });
    assert_eq!(body, expected);
}

/// The official library, in `target/standardwebhooks` or wherever Python finds it; without it the test says so and
/// is skipped.
#[tokio::test]
async fn the_official_library_accepts_each_secret_and_no_change() {
    let home = env!("CARGO_MANIFEST_DIR");
    let python = |args: &[&str]| {
        let mut python = Command::new("python3");
        python
            .args(args)
            .env("PYTHONPATH", format!("{home}/target/standardwebhooks"));
        python
    };
    let known = python(&["-c", "import standardwebhooks.webhooks"]).output();
    if !known.is_ok_and(|known| known.status.success()) {
        eprintln!("SKIPPED: Python's standardwebhooks is not here (.ci/run installs it)");
        return;
    }
    let endpoint = StandIn::start([]).await;
    let webhook = provider(&format!("{NEW} {OLD}"), "127.0.0.1", AMPLE);
    let outcome = send(&webhook, &endpoint.url()).await;
    assert_eq!(outcome, accepted());
    let seen = endpoint.creates().remove(0);
    let body = String::from_utf8(seen.body.clone()).unwrap();
    let headers: serde_json::Map<String, Value> = seen
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().into()))
        .collect();
    let ask = |secret: &str, body: &str, changed: Option<(&str, &str)>| {
        let mut headers = headers.clone();
        headers.extend(changed.map(|(name, value)| (name.to_owned(), value.into())));
        json!({"secret": secret, "headers": headers, "body": body})
    };
    let other = "whsec_b3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXI=";
    let questions = [
        ask(NEW, &body, None),
        ask(OLD, &body, None),
        ask(other, &body, None),
        ask(NEW, &body.replace("remind", "delete"), None),
        ask(NEW, &body, Some(("webhook-id", "another"))),
        ask(NEW, &body, Some(("webhook-timestamp", "1767258000"))),
    ];
    let script = format!("{home}/tests/wire/webhooks.py");
    let mut library = python(&[&script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = library.stdin.take().unwrap();
    for question in &questions {
        writeln!(stdin, "{question}").unwrap();
    }
    drop(stdin);
    let output = library.wait_with_output().unwrap();
    let answers: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let payload: Value = serde_json::from_str(&body).unwrap();
    let no = Value::Null;
    let expected = [&payload, &payload, &no, &no, &no, &no].map(Value::clone);
    assert_eq!(answers, expected);
}

#[tokio::test]
async fn the_status_decides_whatever_follows_it() {
    let refused = |code, category, retry| {
        let (text, retry) = match retry {
            None => ("the endpoint is gone", Retry::No),
            Some(text) => (text, Retry::after(Duration::from_secs(30))),
        };
        Outcome::Refused {
            code: Some(code),
            category,
            text: text.into(),
            retry,
        }
    };
    let away = |code, text| refused(code, Category::Unreachable, Some(text));
    let busy = |code, seconds: Option<u64>| Outcome::Throttled {
        retry_after: seconds.map(Duration::from_secs),
        code: Some(code),
        scope: Scope::Account,
        hold: None,
    };
    let redirect = "the endpoint responded with a redirect, which is not followed";
    for (act, expected) in [
        (Act::Accept, accepted()),
        (answer(200, ""), accepted()),
        // What follows the status is not needed.
        (Act::CutShort, accepted()),
        (answer(410, ""), refused(410, Category::InvalidNumber, None)),
        (answer(404, ""), away(404, "the endpoint refused it")),
        (answer(500, ""), away(500, "the endpoint failed")),
        (answer(503, ""), away(503, "the endpoint failed")),
        (answer(503, "retry-after: 7\r\n"), busy(503, Some(7))),
        (answer(429, "retry-after: 9\r\n"), busy(429, Some(9))),
        (answer(429, ""), busy(429, None)),
        (answer(304, ""), away(304, redirect)),
    ] {
        let case = format!("{act:?}");
        let (outcome, seen) = outcome_of(act).await;
        assert_eq!(outcome, expected, "{case}");
        assert_eq!(seen.len(), 1, "{case}");
    }
}

#[tokio::test]
async fn a_body_that_never_ends_does_not_hide_the_status() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let endless = async {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let _ = tcp.read(&mut [0; 4096]).await.unwrap();
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 900000\r\n\r\nand then";
        tcp.write_all(head.as_bytes()).await.unwrap();
        while tcp.read(&mut [0; 1024]).await.unwrap() > 0 {}
    };
    let webhook = provider(NEW, "127.0.0.1", SHORT);
    let (outcome, ()) = tokio::join!(send(&webhook, &url), endless);
    assert_eq!(outcome, accepted());
}

#[tokio::test]
async fn without_a_status_the_outcome_is_uncertain() {
    for act in [
        Act::Silence,
        Act::Close,
        Act::CloseUnread,
        Act::Reset,
        Act::AcceptDripping(SHORT / 4),
        Act::Answer(200, "no header at all\r\n", String::new()),
        answer(999, ""),
    ] {
        let case = format!("{act:?}");
        let (outcome, _) = outcome_of(act).await;
        assert!(
            matches!(outcome, Outcome::Unknown { .. }),
            "{case}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = StandIn::start([]).await;
    let location = format!("location: {}/elsewhere\r\n", elsewhere.url());
    let location: &'static str = Box::leak(location.into_boxed_str());
    for status in [301, 302, 303, 307, 308] {
        let (outcome, _) = outcome_of(answer(status, location)).await;
        let Outcome::Refused { code, .. } = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(code, Some(i32::from(status)));
    }
    assert_eq!(elsewhere.connections(), 0);
}

/// An endpoint on this machine is reached only if that is allowed, by whichever name and notation.
#[tokio::test]
async fn addresses_that_are_not_allowed_are_not_connected_to() {
    let endpoint = StandIn::start([]).await;
    let port = endpoint.url().rsplit_once(':').unwrap().1.to_owned();
    for host in [
        "127.0.0.1",
        "127.1",
        "localhost",
        "LOCALHOST",
        "2130706433",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
    ] {
        let url = format!("http://{host}:{port}/hook?token=7");
        let outcome = send(&provider(NEW, "10.0.0.0/8, other.example", AMPLE), &url).await;
        let Outcome::Refused { text, retry, .. } = outcome else {
            panic!("{host}: {outcome:?}");
        };
        assert!(text.contains("add it to PUNCTUAL_WEBHOOK_ALLOW"), "{text}");
        assert_eq!(retry, Retry::No);
    }
    assert_eq!(endpoint.connections(), 0);
    for allow in ["localhost", "127.0.0.0/8"] {
        let url = format!("http://localhost:{port}/hook");
        assert_eq!(send(&provider(NEW, allow, AMPLE), &url).await, accepted());
    }
}

#[tokio::test]
async fn without_a_connection_nothing_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    for (url, sign) in [
        (format!("http://{closed}"), "no connection: "),
        // TLS to something that is gone.
        (format!("https://{closed}"), "no connection: "),
        (
            format!("http://{}.invalid", "x".repeat(64)),
            "the host name was not resolved: ",
        ),
    ] {
        let outcome = send(&provider(NEW, "127.0.0.1", AMPLE), &url).await;
        let Outcome::Unsent { reason } = outcome else {
            panic!("{url}: {outcome:?}");
        };
        assert!(reason.contains(sign), "{reason}");
    }
}
