//! The stateful stand-in itself: other tests take its word for what was sent, and how often.

use std::time::{Duration, Instant};

use punctual::message::{AttemptToken, Claim, MessageId, Outcome};
use punctual::provider::Provider;
use punctual::provider::twilio::TwilioConfig;
use punctual::provider::twilio::signature::{Request, Verifier};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use crate::setup::{ACCOUNT, AUTH_TOKEN, SHORT, TO, VALID_FOR, claim, cleared, config};
use crate::standin::{Seen, answer, read};
use crate::twilio::{End, Fault, Habits, Odds, Plan, Twilio, When, sign};

const PUBLIC: &str = "http://sms.example/x";

async fn start(habits: Habits) -> Twilio {
    Twilio::start(ACCOUNT, AUTH_TOKEN, habits).await
}

fn text(body: &str) -> Claim {
    Claim {
        body: body.into(),
        ..claim()
    }
}

async fn send(twilio: &Twilio, body: &str) -> Outcome {
    let config = TwilioConfig {
        send_timeout: SHORT,
        status_callback: Some(format!("{PUBLIC}/status").parse().unwrap()),
        ..config(&twilio.url())
    };
    let provider = punctual::provider::twilio::Twilio::new(&config).unwrap();
    provider.send(&cleared(&text(body)), VALID_FOR).await
}

/// `GET`, as the account.
async fn get(twilio: &Twilio, target: &str) -> (u16, Value) {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(
            rustls::ClientConfig::builder_with_provider(
                rustls::crypto::ring::default_provider().into(),
            )
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth(),
        )
        .no_proxy()
        .build()
        .unwrap();
    let request = client
        .get(format!("{}{target}", twilio.url()))
        .basic_auth(ACCOUNT, Some(AUTH_TOKEN));
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

fn messages(query: &str) -> String {
    format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json?{query}")
}

fn bodies(page: &Value) -> Vec<String> {
    let all = page["messages"].as_array().unwrap();
    let body = |m: &Value| m["body"].as_str().unwrap().to_owned();
    all.iter().map(body).collect()
}

/// Whoever is called back: keeps what is properly signed, and answers with `status`.
struct Hook {
    addr: String,
    calls: tokio::sync::mpsc::UnboundedReceiver<Seen>,
    _task: tokio::task::JoinSet<()>,
}

impl Hook {
    async fn start(status: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let (sender, calls) = tokio::sync::mpsc::unbounded_channel();
        let mut task = tokio::task::JoinSet::new();
        task.spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let mut wire = BufReader::new(tcp);
                let seen = read(&mut wire, 0).await.unwrap().unwrap();
                assert_signed(&seen);
                let _ = sender.send(seen);
                wire.write_all(answer(status, "", "").as_bytes())
                    .await
                    .unwrap();
            }
        });
        Self {
            addr,
            calls,
            _task: task,
        }
    }

    async fn statuses(&mut self, n: usize) -> Vec<String> {
        let mut statuses = Vec::new();
        while statuses.len() < n {
            let call = tokio::time::timeout(Duration::from_secs(20), self.calls.recv()).await;
            let call = call.unwrap().unwrap();
            statuses.push(call.field("MessageStatus").unwrap().to_owned());
        }
        statuses
    }
}

/// By the daemon's own judge.
fn assert_signed(seen: &Seen) {
    let verifier = Verifier::new(&PUBLIC.parse().unwrap(), AUTH_TOKEN.to_owned().into());
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(&seen.form)
        .finish();
    let path = seen.line.split(' ').nth(1).unwrap();
    let request = Request {
        path_and_query: path.strip_prefix("/x").unwrap(),
        content_type: seen.header("content-type"),
        signature: seen.header("x-twilio-signature"),
        body: body.as_bytes(),
    };
    verifier.verify(&request).unwrap();
}

/// Twilio's own published example.
#[test]
fn it_signs_as_twilio_does() {
    let form = [
        ("To", "+18005551212".to_owned()),
        ("CallSid", "CA1234567890ABCDE".to_owned()),
        ("Caller", "+14158675309".to_owned()),
        ("Digits", "1234".to_owned()),
        ("From", "+14158675309".to_owned()),
    ];
    let signed = sign(
        "12345",
        "https://mycompany.com/myapp.php?foo=1&bar=2",
        &form,
    );
    assert_eq!(signed, "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
}

#[tokio::test]
async fn what_it_takes_in_it_keeps_lists_and_reports() {
    let twilio = start(Habits::default()).await;
    let mut hook = Hook::start(204).await;
    // Nobody is at the first address.
    twilio.call_back_to(["127.0.0.1:1".to_owned(), hook.addr.clone()]);
    let Outcome::Accepted { sid } = send(&twilio, "one").await else {
        panic!("not accepted");
    };
    let expected = ["queued", "sending", "sent", "delivered"];
    assert_eq!(hook.statuses(4).await, expected);
    let call = twilio.until("all is reported", |book| {
        (book.callbacks().len() == 4).then(|| book.callbacks()[3].clone())
    });
    assert_eq!(call.await.answer, Some(204));

    let one = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/{}.json", sid.0);
    let (status, found) = get(&twilio, &one).await;
    assert_eq!((status, found.as_object().unwrap().len()), (200, 20));
    assert_eq!(found["status"], "delivered");
    let (status, missing) = get(&twilio, &one.replace("SM", "SM0")).await;
    assert_eq!((status, missing["code"].as_i64()), (404, Some(20404)));

    for body in ["two", "three", "four"] {
        send(&twilio, body).await;
    }
    let newest_first = ["four", "three", "two", "one"];
    let to = TO.replace('+', "%2B");
    let today = chrono::Utc::now().date_naive();
    let (_, page) = get(&twilio, &messages(&format!("To={to}&DateSent%3E={today}"))).await;
    assert_eq!(bodies(&page), newest_first);
    let (_, page) = get(&twilio, &messages("To=%2B19999999999")).await;
    assert!(bodies(&page).is_empty());
    let (_, page) = get(&twilio, &messages(&format!("To={to}&PageSize=3"))).await;
    assert_eq!(bodies(&page), newest_first[..3]);
    let next = page["next_page_uri"].as_str().unwrap();
    let (_, page) = get(&twilio, next).await;
    assert_eq!(bodies(&page), newest_first[3..]);
    assert!(page["next_page_uri"].is_null());
    assert!(twilio.book().doubled().is_empty());
    send(&twilio, "two").await;
    assert_eq!(twilio.book().doubled(), ["two"]);
    assert_eq!(twilio.book().text("two").sids.len(), 2);
}

fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted { .. } => "accepted",
        Outcome::Throttled { .. } => "throttled",
        Outcome::Refused { .. } => "refused",
        Outcome::Unsent { .. } => "unsent",
        Outcome::Unknown { .. } => "unknown",
    }
}

#[tokio::test]
async fn every_fault_is_what_it_says() {
    let soon = Duration::from_millis(1);
    for (fault, outcome) in [
        (Fault::None, "accepted"),
        (Fault::Slow(soon), "accepted"),
        // A thousand bytes or so, each after a millisecond at least.
        (Fault::Drip(soon), "unknown"),
        (Fault::Silence(When::Before), "unknown"),
        (Fault::Silence(When::After), "unknown"),
        (Fault::Reset(When::Before), "unknown"),
        (Fault::Reset(When::After), "unknown"),
        (Fault::Error(When::Before, 503), "unknown"),
        (Fault::Error(When::After, 500), "unknown"),
        (Fault::Garbage(When::Before), "unknown"),
        (Fault::Garbage(When::After), "unknown"),
        (Fault::Cut, "unknown"),
        (Fault::Busy(None), "throttled"),
        (Fault::Busy(Some(7)), "throttled"),
        (Fault::Refuse(21211), "refused"),
    ] {
        let twilio = start(Habits::default()).await;
        twilio.script([fault]);
        let got = send(&twilio, "x").await;
        assert_eq!(kind(&got), outcome, "{fault:?}");
        let text = twilio.book().text("x");
        assert_eq!(text.asked.len(), 1, "{fault:?}");
        assert_eq!(
            text.sids.len(),
            usize::from(fault.takes_it_in()),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn a_listener_that_is_gone_or_full_takes_nothing() {
    let mut twilio = start(Habits::default()).await;
    twilio.hang_up().await;
    assert_eq!(kind(&send(&twilio, "x").await), "unsent");
    twilio.turn_deaf().await;
    assert_eq!(kind(&send(&twilio, "x").await), "unsent");
    assert_eq!(twilio.book().asks(), 0);
    twilio.pick_up().await;
    assert_eq!(kind(&send(&twilio, "x").await), "accepted");
}

#[tokio::test]
async fn callbacks_are_lost_doubled_and_reordered() {
    let only = |odds| Plan {
        fault: Fault::None,
        end: End::Undelivered(30005),
        odds,
    };
    let always = 1_000;
    let doubled = Odds {
        doubled: always,
        ..Odds::NONE
    };
    let reordered = Odds {
        reordered: always,
        ..Odds::NONE
    };
    let twilio = start(Habits::default()).await;
    let mut hook = Hook::start(500).await;
    twilio.call_back_to([hook.addr.clone()]);
    twilio.script([only(Odds::ALL_LOST), only(doubled)]);
    send(&twilio, "lost").await;
    twilio
        .until("it has its end", |book| {
            (book.messages()[0].status == "undelivered").then_some(())
        })
        .await;
    assert_eq!(twilio.book().messages()[0].code, Some(30005));
    let began = Instant::now();
    send(&twilio, "doubled").await;
    // Each of the four twice, and each of those again for the first time after half a second.
    let first = hook.statuses(8).await;
    assert_eq!(first.iter().filter(|s| *s == "undelivered").count(), 2);
    hook.statuses(8).await;
    assert!(began.elapsed() >= Duration::from_millis(500));

    let twilio = start(Habits::default()).await;
    let mut hook = Hook::start(204).await;
    twilio.call_back_to([hook.addr.clone()]);
    twilio.script([only(reordered)]);
    send(&twilio, "reordered").await;
    let mut reported = hook.statuses(4).await;
    assert_ne!(reported[0], "queued");
    reported.sort();
    assert_eq!(reported, ["queued", "sending", "sent", "undelivered"]);
}

#[tokio::test]
async fn lists_lag_and_fetches_do_not() {
    let lag = Duration::from_millis(400);
    let twilio = start(Habits {
        list_lag: lag,
        ..Habits::default()
    })
    .await;
    let began = Instant::now();
    let Outcome::Accepted { sid } = send(&twilio, "late").await else {
        panic!("not accepted");
    };
    let fetch = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/{}.json", sid.0);
    assert_eq!(get(&twilio, &fetch).await.0, 200);
    let shown = loop {
        let (_, page) = get(&twilio, &messages("")).await;
        if bodies(&page) == ["late"] {
            break began.elapsed();
        }
        assert!(began.elapsed() < Duration::from_secs(20));
    };
    assert!(shown >= lag, "{shown:?}");
}

#[tokio::test]
async fn chance_depends_on_seed_and_text_alone() {
    let fate = async |seed| {
        let twilio = start(Habits {
            seed,
            faults: vec![(300, Fault::Refuse(21211)), (300, Fault::Cut)],
            ..Habits::default()
        })
        .await;
        let mut kinds = Vec::new();
        for n in 0..20 {
            kinds.push(kind(&send(&twilio, &format!("text {n}")).await));
        }
        kinds
    };
    let first = fate(1).await;
    assert_eq!(first, fate(1).await);
    assert_ne!(first, fate(2).await);
    for kind in ["accepted", "refused", "unknown"] {
        assert!(first.contains(&kind), "{first:?}");
    }
}

/// What the kill tests put it to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_up_with_hundreds_a_second() {
    let twilio = start(Habits::default()).await;
    let config = config(&twilio.url());
    let provider = punctual::provider::twilio::Twilio::new(&config).unwrap();
    let began = Instant::now();
    let sends = (0..1_000_u128).map(|n| {
        let claim = Claim {
            id: MessageId(Uuid::from_u128(n)),
            token: AttemptToken(Uuid::from_u128(n)),
            ..text(&format!("text {n}"))
        };
        let provider = &provider;
        async move { provider.send(&cleared(&claim), VALID_FOR).await }
    });
    let mut sends: Vec<_> = sends.collect();
    while !sends.is_empty() {
        let eight = sends.drain(..8.min(sends.len()));
        for outcome in futures_util::future::join_all(eight).await {
            assert_eq!(kind(&outcome), "accepted");
        }
    }
    println!("figure: 1,000 messages taken in {:.2?}", began.elapsed());
    assert_eq!(twilio.book().messages().len(), 1_000);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

/// A foreign account learns nothing.
#[tokio::test]
async fn it_asks_who_is_there() {
    let twilio = start(Habits::default()).await;
    let mut tcp = TcpStream::connect(twilio.url().strip_prefix("http://").unwrap())
        .await
        .unwrap();
    let line = format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", messages(""));
    tcp.write_all(line.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    tcp.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 401");
}
