//! Several accounts in one daemon: each has its own credentials, sender, breaker and callbacks.

use serde_json::Value;
use uuid::Uuid;

use crate::daemon::{Daemon, own_address, until};
use crate::reports::report;
use crate::standin::{Act, StandIn};
use crate::world::{ACCOUNT, AUTH_TOKEN, FROM, TO, World};

const EU: &str = "AC11111111111111111111111111111111";
const EU_TOKEN: &str = "beefbeefbeefbeefbeefbeefbeefbeef";
const EU_FROM: &str = "+4915112345678";

async fn insert(world: &World, body: &str, account: Option<&str>, from: Option<&str>) -> Uuid {
    let sql = "insert into scheduled_messages (to_number, body, account, from_number, scheduled_at)
               values ($1, $2, $3, $4, clock_timestamp()) returning id";
    let row = world
        .app
        .query_one(sql, &[&TO, &body, &account, &from])
        .await;
    row.unwrap().get(0)
}

/// Status of `POST path` with a report, signed with this token.
async fn post(addr: &str, path: &str, token: &str) -> u16 {
    report(addr, path, token, ("SM1", "sent")).await
}

const OWN: &str = "/webhooks/twilio/status";
const OF_EU: &str = "/webhooks/twilio/eu/status";

/// One of the other account reports nothing about a message of `eu`, whichever way it names it.
async fn reports_of_another(
    world: &World,
    daemon: &mut Daemon,
    hook: &str,
    id: Uuid,
    callback: &str,
) {
    let sid = world.row(id).await.unwrap().sid.unwrap();
    let (_, query) = callback.split_once('?').unwrap();
    let query = query.split('#').next().unwrap();
    let to = |path: &str| format!("{path}?{query}");
    for path in [OWN.to_owned(), to(OWN)] {
        let failed = (&*sid, "failed");
        assert_eq!(report(hook, &path, AUTH_TOKEN, failed).await, 204);
    }
    daemon.says("refused a report by one account").await;
    assert_eq!(world.row(id).await.unwrap().status, "sent");
    let delivered = (&*sid, "delivered");
    assert_eq!(report(hook, &to(OF_EU), EU_TOKEN, delivered).await, 204);
    world.becomes(id, "delivered").await;
}

#[tokio::test]
async fn each_account_sends_for_itself_and_a_refused_one_holds_no_other() {
    let refusal = Act::refuse(401, 20003, "Authenticate");
    let eu = StandIn::start([Act::Accept, Act::Accept, refusal]).await;
    let dir = tempfile::tempdir().unwrap();
    let (file, token) = (dir.path().join("punctual.toml"), dir.path().join("token"));
    std::fs::write(&token, EU_TOKEN).unwrap();
    let settings = format!(
        "[accounts.eu]\nprovider = \"twilio\"\naccount_sid = \"{EU}\"\nauth_token_file = \"token\"\n\
         api_base_url = \"{}\"\nsms_from_number = \"{EU_FROM}\"\nsenders = \"ACME\"\n",
        eu.url()
    );
    std::fs::write(&file, settings).unwrap();
    let hook = own_address();
    let world = World::new([]).await.with(&[
        ("PUNCTUAL_CONFIG", file.to_str().unwrap()),
        ("PUNCTUAL_PUBLIC_URL", "https://sms.example"),
        ("PUNCTUAL_WEBHOOK_ADDR", &hook),
    ]);
    let mut daemon = world.daemon().await;

    // By its name, by a sender of its own, and by neither.
    let named = insert(&world, "by its name", Some("eu"), None).await;
    let by_sender = insert(&world, "by a sender", None, Some("ACME")).await;
    for id in [named, by_sender] {
        world.becomes(id, "sent").await;
    }
    let seen = eu.creates();
    let of = |body: &str| {
        seen.iter()
            .find(|seen| seen.field("Body") == Some(body))
            .unwrap()
    };
    assert_eq!(of("by its name").field("From"), Some(EU_FROM));
    assert_eq!(of("by a sender").field("From"), Some("ACME"));
    for seen in &seen {
        assert!(seen.line.contains(EU), "{}", seen.line);
        let callback = seen.field("StatusCallback").unwrap();
        assert!(
            callback.starts_with("https://sms.example/webhooks/twilio/eu/status?"),
            "{callback}"
        );
    }
    let callback = of("by its name").field("StatusCallback").unwrap();
    reports_of_another(&world, &mut daemon, &hook, named, callback).await;

    let neither = insert(&world, "by neither", None, None).await;
    world.arrived_once(neither).await;
    let [seen] = &world.requests("by neither")[..] else {
        panic!("not once");
    };
    assert!(seen.line.contains(ACCOUNT) && seen.field("From") == Some(FROM));

    // A name that is no account's is refused, and says which there are.
    let unknown = insert(&world, "nobody", Some("mars"), None).await;
    let row = world.becomes(unknown, "failed").await;
    let why = "the row's account is none of the settings, which have: default, eu";
    assert_eq!(row.error.as_deref(), Some(why));

    // One account is refused; the other goes on.
    let refused = insert(&world, "refused", Some("eu"), None).await;
    daemon.says("the provider refuses the account").await;
    let waits = insert(&world, "waits", Some("eu"), None).await;
    for n in 0..3 {
        let id = insert(&world, &format!("goes on {n}"), Some("default"), None).await;
        world.arrived_once(id).await;
    }
    for id in [refused, waits] {
        assert_eq!(world.row(id).await.unwrap().status, "pending");
    }
    until("the refused lane is shown, and no other", async || {
        let seen = daemon.timers("limit=1").await;
        let lanes = seen["lanes"].as_array()?;
        let refused = |lane: &&Value| lane["refused"] != 0;
        let refused: Vec<_> = lanes.iter().filter(refused).collect();
        let [lane] = &refused[..] else { return None };
        (lane["account"] == "eu" && lane["channel"] == "sms").then_some(())
    })
    .await;
    until("the forecast names the account", async || {
        let (_, seen, _) = world.call(&["why", &waits.to_string()]).await;
        let says = "the provider has refused the account eu since";
        seen.contains(says).then_some(())
    })
    .await;
    let (_, seen, _) = world.call(&["doctor", "--verbose"]).await;
    assert!(seen.contains("default, eu (twilio)"), "{seen}");
    assert!(seen.contains("has refused eu/sms since"), "{seen}");

    // Callbacks have the account in their path, and only its own signature is valid there.
    assert_eq!(post(&hook, OF_EU, EU_TOKEN).await, 204);
    assert_eq!(post(&hook, OF_EU, AUTH_TOKEN).await, 403);
    assert_eq!(post(&hook, OWN, AUTH_TOKEN).await, 204);
    assert_eq!(post(&hook, OWN, EU_TOKEN).await, 403);

    // An opt-out from the account's own sender holds, though the row does not name it.
    let stop = "insert into punctual.suppressions (their_number, our_number, reason) values ($1, $2, 'STOP')";
    world.app.execute(stop, &[&TO, &EU_FROM]).await.unwrap();
    daemon.stop().await;
    let daemon = world.daemon().await;
    // The other one waits for its retry, minutes later.
    let row = world.becomes(waits, "cancelled").await;
    assert_eq!(row.cancel_reason.as_deref(), Some("STOP"));
    let other = insert(&world, "from another sender", None, None).await;
    world.arrived_once(other).await;
    daemon.stop().await;
}
