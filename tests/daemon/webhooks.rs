//! Webhooks as the built daemon makes them: repeated with one id, and each host by itself.

use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use crate::daemon::until;
use crate::standin::{Act, Seen, StandIn};
use crate::world::World;

const SECRET: &str = "whsec_bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXcgbmV3IQ==";

async fn world() -> World {
    World::new([]).await.with(&[
        ("PUNCTUAL_WEBHOOK_SECRET", SECRET),
        ("PUNCTUAL_WEBHOOK_ALLOW", "127.0.0.1, localhost"),
    ])
}

async fn insert(world: &World, url: &str, in_ms: f64) -> Uuid {
    let sql = "insert into scheduled_messages (channel, to_number, message_type, body, scheduled_at)
               values ('webhook', $1, 'job', '{}', clock_timestamp() + $2 * interval '1 ms') returning id";
    let row = world.app.query_one(sql, &[&url, &in_ms]).await;
    row.unwrap().get(0)
}

/// The ids of the requests, in order.
fn ids(seen: &[Seen]) -> Vec<String> {
    let id = |seen: &Seen| seen.header("webhook-id").unwrap().to_owned();
    seen.iter().map(id).collect()
}

#[tokio::test]
async fn a_webhook_ends_as_its_endpoint_says() {
    let world = world().await;
    let daemon = world.daemon().await;
    let into = async |acts: Vec<Act>| {
        let endpoint = StandIn::start(acts).await;
        let id = insert(&world, &format!("{}/jobs", endpoint.url()), 500.0).await;
        (endpoint, id)
    };
    let status = |status| Act::Answer(status, "", String::new());
    let (accepts, accepted) = into(vec![]).await;
    // Two requests without a response, and one that is acknowledged.
    let (loses, lost) = into(vec![Act::Reset, Act::CutShort]).await;
    let (is_gone, gone) = into(vec![status(410)]).await;
    let (recovers, retried) = into(vec![status(500)]).await;
    let (fails, failing) = into(vec![status(500)]).await;
    let once = "update scheduled_messages set max_attempts = 1 where id = $1";
    world.app.execute(once, &[&failing]).await.unwrap();
    let busy = Act::Answer(429, "retry-after: 1\r\n", String::new());
    let (is_busy, throttled) = into(vec![busy]).await;

    let row = world.becomes(accepted, "sent").await;
    assert_eq!(
        row.sid.map(|sid| sid[..2].to_owned()).as_deref(),
        Some("WH")
    );
    let seen = accepts.creates().remove(0);
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(body["type"], "job");
    assert_eq!(body["data"]["id"], accepted.to_string());

    let row = world.becomes(gone, "failed").await;
    assert_eq!(
        row.error.as_deref(),
        Some("the endpoint is gone (Code: 410)")
    );
    assert_eq!(is_gone.creates().len(), 1);

    let row = world.becomes(failing, "failed").await;
    let failed = Some("the endpoint failed (Code: 500)");
    assert_eq!(row.error.as_deref(), failed);
    assert_eq!(fails.creates().len(), 1);

    // The same with attempts left.
    let row = until("it was refused", async || {
        let row = world.row(retried).await.unwrap();
        (row.code == Some(500)).then_some(row)
    })
    .await;
    assert_eq!(row.status, "pending");
    assert_eq!(row.error.as_deref(), failed);
    let waits = "select extract(epoch from next_attempt_at - updated_at)::float8 from scheduled_messages where id = $1";
    let waits: f64 = world
        .app
        .query_one(waits, &[&retried])
        .await
        .unwrap()
        .get(0);
    assert!((20.0..=31.0).contains(&waits), "{waits}");
    assert_eq!(recovers.creates().len(), 1);

    world.becomes(throttled, "sent").await;
    assert_eq!(ids(&is_busy.creates()), vec![throttled.to_string(); 2]);

    // The second had its status before it was cut off.
    world.becomes(lost, "sent").await;
    assert_eq!(ids(&loses.creates()), vec![lost.to_string(); 2]);
    let settled =
        "select settled_by from punctual.attempts where message_id = $1 order by number limit 1";
    let settled = world.app.query_one(settled, &[&lost]).await.unwrap();
    assert_eq!(settled.get::<_, &str>(0), "same id");
    let texts = "select count(*) from messages";
    let texts = world.app.query_one(texts, &[]).await.unwrap();
    assert_eq!(texts.get::<_, i64>(0), 0, "a webhook is no text");
    daemon.stop().await;
}

/// The daemon keeps its setting where the app's insert finds it.
#[tokio::test]
async fn a_webhook_without_a_url_is_made_to_that_of_its_type() {
    let endpoint = StandIn::start([]).await;
    let urls = format!("other = https://a.example | job = {}/jobs", endpoint.url());
    let world = world().await.with(&[("PUNCTUAL_WEBHOOK_URLS", &urls)]);
    let daemon = world.daemon().await;
    let sql = "insert into scheduled_messages (channel, message_type, body, scheduled_at)
               values ('webhook', 'job', '{}', now()) returning id";
    let id = world.app.query_one(sql, &[]).await.unwrap().get(0);
    world.becomes(id, "sent").await;
    assert_eq!(ids(&endpoint.creates()), [id.to_string()]);
    let at = ["--at", "in 1h", "--body", "{}", "--channel", "webhook"];
    let (code, said, _) = world
        .call(&[&["schedule", "--message-type", "job"][..], &at].concat())
        .await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("the URL of its message type"), "{said}");
    let (code, _, why) = world
        .call(&[&["schedule", "--message-type", "none"][..], &at].concat())
        .await;
    assert_ne!(code, Some(0));
    assert!(why.contains("PUNCTUAL_WEBHOOK_URLS"), "{why}");
    daemon.stop().await;
}

/// How late, in milliseconds, the webhooks of this host were: the middle one, and the last but a twentieth.
async fn lateness(world: &World, of: &str) -> (f64, f64) {
    let sql = "select percentile_cont(array[0.5, 0.95]) within group
                      (order by extract(epoch from a.started_at - m.scheduled_at)::float8 * 1000)
                 from punctual.attempts a join scheduled_messages m on m.id = a.message_id
                where m.to_number like $1 and a.outcome = 'accepted'";
    let row = world
        .app
        .query_one(sql, &[&format!("{of}%")])
        .await
        .unwrap();
    let both: Vec<f64> = row.get(0);
    (both[0], both[1])
}

/// A hundred webhooks to this host, one every 15 ms.
async fn hundred(world: &World, url: &str) {
    for n in 0..100 {
        insert(world, url, 1_500.0 + f64::from(n) * 15.0).await;
    }
    until("all arrived", async || {
        let sql = "select from scheduled_messages where to_number like $1 and status = 'sent'";
        let sent = world.app.query(sql, &[&format!("{url}%")]).await;
        (sent.unwrap().len() == 100).then_some(())
    })
    .await;
}

fn middle(of: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = of.collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Measured in pairs, so that what else the machine does is in both: a daemon that also calls a slow endpoint, and one
/// that does not, at the same time.
#[tokio::test]
async fn a_slow_endpoint_delays_no_other_host() {
    const MOST_MS: f64 = 5.0;
    // What the slow one delays is late in most pairs; what else this machine does, in some.
    const PAIRS: usize = 15;
    let of = async || {
        world().await.with(&[
            ("PUNCTUAL_SEND_TIMEOUT", "280s"),
            ("PUNCTUAL_LEASE", "600s"),
            ("PUNCTUAL_MAX_IN_FLIGHT", "64"),
        ])
    };
    let (busy, calm) = (of().await, of().await);
    // Longer than this test may take on a busy machine.
    let slow = Act::AcceptAfter(Duration::from_secs(270));
    let slow = StandIn::start(vec![slow; 300]).await;
    let slow_url = slow.url().replace("127.0.0.1", "localhost");
    let fast = StandIn::start([]).await;
    // A host that is the only one may have all requests: these know of the other one before that.
    for world in [&busy, &calm] {
        insert(world, &format!("{}/later", fast.url()), 600_000.0).await;
    }
    let _daemons = (busy.daemon().await, calm.daemon().await);
    for _ in 0..200 {
        insert(&busy, &format!("{slow_url}/slow"), 500.0).await;
    }
    until("the slow one has all it takes", async || {
        (slow.creates().len() >= 16).then_some(())
    })
    .await;
    let mut pairs = Vec::new();
    for n in 1..=PAIRS {
        let url = format!("{}/{n}/", fast.url());
        tokio::join!(hundred(&busy, &url), hundred(&calm, &url));
        // None of them was answered yet, or all of this shows nothing.
        assert!(
            slow.accepted().is_empty(),
            "the slow endpoint was not slow for long enough"
        );
        let beside = lateness(&busy, &url).await;
        let alone = lateness(&calm, &url).await;
        println!(
            "figure: lateness p50 and p95 in ms, alone {alone:.2?}, beside a slow endpoint {beside:.2?}"
        );
        // On a machine where the calm one is late too, the other may be late twice as much.
        pairs.push((beside.0 - 2.0 * alone.0, beside.1 - 2.0 * alone.1));
        let later = (
            middle(pairs.iter().map(|pair| pair.0)),
            middle(pairs.iter().map(|pair| pair.1)),
        );
        if n >= 3 && n % 2 == 1 && later.0 <= MOST_MS && later.1 <= MOST_MS {
            println!(
                "figure: the middle one of {n} pairs is later than twice alone by {later:.2?} ms"
            );
            return;
        }
    }
    panic!("most were much later than alone: {pairs:?}");
}
