//! Push messages as the built daemon sends them, decrypted and verified by Python's `http_ece` and `cryptography`.
//! These are in `target/http_ece` or wherever Python finds them; without them the test says so and is skipped.

use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use uuid::Uuid;

use crate::daemon::until;
use crate::push_service::{AUTH, P256DH, PUBLIC, PushService};
use crate::world::World;

async fn world(service: &PushService) -> World {
    let settings = service.settings();
    let settings = settings.each_ref().map(|(name, value)| (*name, &**value));
    World::new([]).await.with(&settings)
}

async fn subscribe(world: &World, endpoint: &str, p256dh: &str, auth: &str) {
    let sql = "insert into punctual_api.push_subscriptions (user_id, endpoint, p256dh, auth)
               values (gen_random_uuid(), $1, $2, $3)";
    let made = world.app.execute(sql, &[&endpoint, &p256dh, &auth]).await;
    assert_eq!(made.unwrap(), 1);
}

async fn insert(world: &World, endpoint: &str, body: &str) -> Uuid {
    let sql = "insert into scheduled_messages (channel, to_number, message_type, priority, subject, body, scheduled_at)
               values ('push', $1, 'order', 'urgent', 'Your order', $2, clock_timestamp()) returning id";
    let row = world.app.query_one(sql, &[&endpoint, &body]).await;
    row.unwrap().get(0)
}

async fn ended(world: &World, endpoint: &str) -> Option<String> {
    let sql = "select reason from punctual_api.push_subscriptions where endpoint = $1";
    world.app.query_one(sql, &[&endpoint]).await.unwrap().get(0)
}

/// A browser, as another library has it.
struct Browser {
    _python: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Browser {
    /// `None`: there is no such library here.
    async fn start() -> Option<Self> {
        let home = env!("CARGO_MANIFEST_DIR");
        let python = || {
            let mut python = Command::new("python3");
            python.env("PYTHONPATH", format!("{home}/target/http_ece"));
            python
        };
        let known = python()
            .args(["-c", "import http_ece, cryptography"])
            .output();
        if !known.await.is_ok_and(|known| known.status.success()) {
            eprintln!("SKIPPED: Python's http_ece is not here (.ci/run installs it)");
            return None;
        }
        let mut python = python()
            .arg(format!("{home}/tests/daemon/browser.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = python.stdin.take().unwrap();
        let lines = BufReader::new(python.stdout.take().unwrap()).lines();
        Some(Self {
            _python: python,
            stdin,
            lines,
        })
    }

    async fn says(&mut self) -> Value {
        let line = self.lines.next_line().await.unwrap().expect("a line");
        serde_json::from_str(&line).unwrap()
    }

    async fn reads(&mut self, body: &[u8], authorization: &str) -> Value {
        let line = json!({"body": URL_SAFE_NO_PAD.encode(body), "authorization": authorization});
        let line = format!("{line}\n");
        self.stdin.write_all(line.as_bytes()).await.unwrap();
        self.says().await
    }
}

#[tokio::test]
async fn another_library_reads_a_push_message_and_verifies_who_sent_it() {
    let Some(mut browser) = Browser::start().await else {
        return;
    };
    let service = PushService::start().await;
    let world = world(&service).await;
    let daemon = world.daemon().await;
    let keys = browser.says().await;
    let endpoint = service.endpoint("one");
    let key = |name: &str| keys[name].as_str().unwrap().to_owned();
    subscribe(&world, &endpoint, &key("p256dh"), &key("auth")).await;
    for body in ["Grüße 👋", &"x".repeat(3_800)] {
        let id = insert(&world, &endpoint, body).await;
        let row = world.becomes(id, "sent").await;
        assert_eq!(
            row.sid.map(|sid| sid[..2].to_owned()).as_deref(),
            Some("PU")
        );
        let pushed = service.pushed("one").pop().unwrap();
        assert!(pushed.body.len() <= 4_096);
        let header = |name: &str| pushed.headers[name].as_str();
        assert_eq!(header("content-encoding"), "aes128gcm");
        assert_eq!(header("urgency"), "high");
        assert!(header("ttl").parse::<u64>().unwrap() > 0);
        let topic = format!("{}-1", URL_SAFE_NO_PAD.encode(id.as_bytes()));
        assert_eq!(header("topic"), topic);
        let read = browser.reads(&pushed.body, header("authorization")).await;
        assert_eq!(
            read["message"],
            json!({"id": id, "part": 1, "type": "order", "title": "Your order", "body": body})
        );
        assert_eq!(read["key"], PUBLIC);
        let origin = endpoint.split("/send").next().unwrap();
        assert_eq!(read["claims"]["aud"], origin);
        assert_eq!(read["claims"]["sub"], "mailto:push@example.com");
        let hours = read["hours"].as_f64().unwrap();
        assert!((11.9..=12.1).contains(&hours), "{hours}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_subscription_ends_when_its_service_says_so_and_gets_nothing_more() {
    let service = PushService::start().await;
    let world = world(&service).await;
    let daemon = world.daemon().await;
    for (status, reason) in [("404", "HTTP 404"), ("410", "HTTP 410")] {
        let endpoint = service.endpoint(status);
        subscribe(&world, &endpoint, P256DH, AUTH).await;
        service.responds(status, [status]);
        let id = insert(&world, &endpoint, "gone").await;
        let row = world.becomes(id, "failed").await;
        let why = format!("the subscription has ended (Code: {status})");
        assert_eq!(row.error, Some(why));
        assert_eq!(ended(&world, &endpoint).await.as_deref(), Some(reason));
        let id = insert(&world, &endpoint, "after that").await;
        let row = world.becomes(id, "failed").await;
        let why = "there is no live subscription of the user with this endpoint";
        assert_eq!(row.error.as_deref(), Some(why));
        assert_eq!(service.text(status).asked.len(), 1);
    }

    // Keys that are none, a message that is too long, an address that is private, and one that is tried again.
    let bad = service.endpoint("bad keys");
    subscribe(
        &world,
        &bad,
        &PUBLIC.replace('P', "B").replacen('B', "C", 1),
        AUTH,
    )
    .await;
    let live = service.endpoint("live");
    subscribe(&world, &live, P256DH, AUTH).await;
    let private = "https://10.0.0.1/send/1";
    subscribe(&world, private, P256DH, AUTH).await;
    for (endpoint, body, why) in [
        (&*bad, "x", "the keys of the subscription are not valid"),
        (&*live, &*"é".repeat(2_000), "a push message may have 3993"),
        (private, "x", "its host has only addresses of this machine"),
    ] {
        let id = insert(&world, endpoint, body).await;
        let error = world.becomes(id, "failed").await.error.unwrap();
        assert!(error.contains(why), "{error}");
    }
    assert!(service.text("live").asked.is_empty());
    service.responds("live", ["503\nretry-after: 1\n", "403", "201"]);
    let id = insert(&world, &live, "again").await;
    until("it was refused", async || {
        let row = world.row(id).await.unwrap();
        (row.code == Some(403)).then_some(())
    })
    .await;
    assert_eq!(service.text("live").asked.len(), 2);
    assert_eq!(ended(&world, &live).await, None);
    daemon.stop().await;
}

/// Ada logs out, which deletes her subscription, and Ben logs in: the browser gives him the same endpoint.
#[tokio::test]
async fn what_was_for_a_user_is_not_shown_to_the_next_one_in_the_same_browser() {
    let service = PushService::start().await;
    let world = world(&service).await;
    let daemon = world.daemon().await;
    let endpoint = service.endpoint("shared");
    subscribe(&world, &endpoint, P256DH, AUTH).await;
    let ben = "select user_id from punctual_api.push_subscriptions where endpoint = $1";
    let ben: Uuid = world.app.query_one(ben, &[&endpoint]).await.unwrap().get(0);
    let send = async |user: Uuid| -> Uuid {
        let sql = "insert into scheduled_messages (channel, to_number, user_id, body, scheduled_at)
                   values ('push', $1, $2, 'hello', clock_timestamp()) returning id";
        let row = world.app.query_one(sql, &[&endpoint, &user]).await;
        row.unwrap().get(0)
    };
    let row = world.becomes(send(Uuid::new_v4()).await, "failed").await;
    let why = "there is no live subscription of the user with this endpoint";
    assert_eq!(row.error.as_deref(), Some(why));
    assert!(service.pushed("shared").is_empty());
    world.becomes(send(ben).await, "sent").await;
    assert_eq!(service.pushed("shared").len(), 1);
    daemon.stop().await;
}
