//! Messages that name no account go by the next one of their route where the first is known not to have accepted them:
//! none is lost, and none is sent twice.

use std::collections::BTreeSet;

use tokio_postgres::Client;
use uuid::Uuid;

use crate::contract::{Kind, Peer, Subject, faults};
use crate::daemon::until;
use crate::standin::{Act, StandIn};
use crate::twilio::Fault;
use crate::world::{TO, World};

const EU: &str = "AC11111111111111111111111111111111";
const EU_FROM: &str = "+4915112345678";

/// So many messages are in the herd, unless `ROUTED` says how many.
const HERD: i64 = 300;

/// The settings file of an installation whose texts go by `eu` where the default account takes none.
fn settings(eu: &StandIn) -> String {
    format!(
        "[routes]\nsms = [\"default\", \"eu\"]\n\
         [accounts.eu]\nprovider = \"twilio\"\naccount_sid = \"{EU}\"\nauth_token = \"beefbeefbeefbeefbeefbeefbeefbeef\"\n\
         api_base_url = \"{}\"\nsms_from_number = \"{EU_FROM}\"\n",
        eu.url()
    )
}

async fn count(app: &Client, condition: &str) -> i64 {
    let sql = format!("select count(*) from scheduled_messages where {condition}");
    app.query_one(&sql, &[]).await.unwrap().get(0)
}

/// Waits as long as messages become final.
async fn all_end(app: &Client) {
    let mut left = i64::MAX;
    loop {
        let before = left;
        until("messages go on", async || {
            left = count(app, "status in ('pending', 'sending')").await;
            (left < before).then_some(())
        })
        .await;
        if left == 0 {
            return;
        }
    }
}

#[tokio::test]
async fn a_herd_whose_account_is_refused_leaves_by_the_other() {
    let herd = std::env::var("ROUTED").map_or(HERD, |n| n.parse().unwrap());
    let refusal = Act::refuse(401, 20003, "Authenticate");
    let many = usize::try_from(herd).unwrap() * 2;
    let eu = StandIn::start([]).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("punctual.toml");
    std::fs::write(&file, settings(&eu)).unwrap();
    let world = World::new(std::iter::repeat_n(refusal, many)).await;
    let world = world.with(&[("PUNCTUAL_CONFIG", file.to_str().unwrap())]);
    let app = &world.app;
    let insert = "insert into scheduled_messages (to_number, body, scheduled_at)
                  select '+1' || (2025550000 + n), 'text ' || n, clock_timestamp() + interval '3 s'
                    from generate_series(1, $1::bigint) n";
    app.execute(insert, &[&herd]).await.unwrap();
    // It names its account, so it goes by no other.
    let named = "insert into scheduled_messages (to_number, body, account, scheduled_at)
                 values ($1, 'named', 'default', clock_timestamp() + interval '3 s') returning id";
    let named: Uuid = app.query_one(named, &[&TO]).await.unwrap().get(0);
    // STOP to the number of one account is STOP to all that may send.
    let stop = "insert into punctual.suppressions (their_number, our_number, reason) values ($1, $2, 'STOP')";
    app.execute(stop, &[&"+12025550001", &EU_FROM])
        .await
        .unwrap();
    let daemon = world.daemon().await;
    until(
        "all have left but the one that names its account",
        async || {
            let left = count(app, "status in ('pending', 'sending')").await;
            (left == 1).then_some(())
        },
    )
    .await;
    let stopped = count(app, "status = 'cancelled' and to_number = '+12025550001'").await;
    assert_eq!(stopped, 1);
    assert_eq!(count(app, "status = 'sent'").await, herd - 1);
    assert_eq!(world.row(named).await.unwrap().status, "pending");
    assert_eq!(world.phone.accepted().len(), 0);
    let accepted = eu.accepted();
    let texts: BTreeSet<_> = accepted.iter().map(|(_, seen)| seen.text()).collect();
    assert_eq!((texts.len(), accepted.len()), (many / 2 - 1, many / 2 - 1));
    assert!(
        accepted
            .iter()
            .all(|(_, seen)| seen.field("From") == Some(EU_FROM))
    );
    let ledger = "select count(*) filter (where a.outcome = 'accepted' and a.account = 'eu'),
                         count(*) filter (where a.outcome = 'refused' and a.account = 'default'),
                         (extract(epoch from max(a.started_at) - min(m.scheduled_at)) * 1000)::bigint
                    from punctual.attempts a join scheduled_messages m on m.id = a.message_id";
    let row = app.query_one(ledger, &[]).await.unwrap();
    let (by_eu, refused, took): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    assert_eq!(by_eu, herd - 1);
    println!(
        "figure: {herd} messages: {refused} requests refused, the last began {took} ms after its time"
    );

    let later = world.insert("later", 3_600_000).await;
    until("the forecast says by which account and why", async || {
        let (_, seen, _) = world.call(&["why", &later.to_string()]).await;
        let says = "by the account eu, because the provider refuses default";
        seen.contains(says).then_some(())
    })
    .await;
    let (_, seen, _) = world.call(&["doctor", "--verbose"]).await;
    assert!(seen.contains("routes: sms = default, eu"), "{seen}");
    daemon.stop().await;
}

#[tokio::test]
async fn no_fault_of_the_first_account_has_a_message_sent_by_two() {
    let eu = StandIn::start([]).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("punctual.toml");
    std::fs::write(&file, settings(&eu)).unwrap();
    let mut subject = Subject::new("twilio").await;
    subject.with("PUNCTUAL_CONFIG", file.to_str().unwrap());
    let daemon = subject.daemon().await;
    let mut all = Vec::new();
    for (n, (fault, kind)) in faults().into_iter().enumerate() {
        let text = format!("fault {n}");
        all.push((subject.insert(&text, fault).await, text, kind));
    }
    all_end(&subject.app).await;
    let by_eu = |text: &str| {
        let accepted = eu.accepted();
        accepted
            .iter()
            .filter(|(_, seen)| seen.text() == text)
            .count()
    };
    for (id, text, kind) in &all {
        subject.judged(*id, text, text).await;
        // Whatever may have been accepted, and what is refused for its own sake, keeps to its account.
        assert_eq!(by_eu(text), 0, "{text}: {kind:?}");
    }
    assert!(
        all.iter()
            .any(|(.., kind)| matches!(kind, Kind::Uncertain(_)))
    );

    // Nobody is there: the other account sends it, though the first is there again a moment later.
    subject.peer.hang_up().await;
    let away = subject.insert("away", Fault::None).await;
    until("it goes by the other", async || {
        (by_eu("away") == 1).then_some(())
    })
    .await;
    subject.peer.pick_up().await;
    all_end(&subject.app).await;
    assert_eq!(subject.standing(away).await.0, "sent");
    let Peer::Http(first) = &subject.peer else {
        unreachable!()
    };
    assert!(first.book().text("away").sids.is_empty());
    daemon.stop().await;
}
