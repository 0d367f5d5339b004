//! `kill -9` under load with the providers that are not for texts by HTTP: a webhook is repeated with the same id, a
//! message of a modem is not repeated.
//!
//! ```sh
//! cargo test --test daemon crash::providers -- --nocapture                                # as in the default suite
//! PUNCTUAL_PROVIDER_KILLS=50 cargo test --test daemon crash::providers -- --nocapture
//! ```

use std::time::Duration;

use rustix::process::Signal;
use uuid::Uuid;

use crate::contract::Subject;
use crate::daemon::until;
use crate::dice::Dice;
use crate::twilio::Fault;

/// In the default suite, for each provider.
const KILLS: usize = 3;

/// Messages between two kills.
const BATCH: u32 = 10;

/// So that there is always something in flight.
const SLOW: Duration = Duration::from_millis(80);

const MS: Duration = Duration::from_millis(1);

struct Message {
    id: Uuid,
    text: String,
}

async fn batch(subject: &Subject, of: usize) -> Vec<Message> {
    let sql =
        "insert into scheduled_messages (channel, to_number, body, max_attempts, scheduled_at)
               values ($1, $2, $3, 20, clock_timestamp() + $4 * interval '1 ms') returning id";
    let mut messages = Vec::new();
    for n in 0..BATCH {
        let text = format!("message {n} of batch {of}");
        subject
            .peer
            .with_text(&text, [Fault::Slow(SLOW), Fault::Slow(SLOW)]);
        let channel = subject.channel.as_str();
        let in_ms = 100.0 + 40.0 * f64::from(n);
        let row = subject
            .app
            .query_one(sql, &[&channel, &subject.to, &text, &in_ms])
            .await;
        let id = row.unwrap().get(0);
        messages.push(Message { id, text });
    }
    messages
}

/// Kills the daemon while it sends, and returns all messages and how each has ended.
async fn killed(subject: &Subject, name: &str) -> Vec<(Message, String)> {
    let kills = std::env::var("PUNCTUAL_PROVIDER_KILLS").map_or(KILLS, |n| n.parse().unwrap());
    let mut dice = Dice::new(7, name);
    let mut daemon = subject.daemon().await;
    let mut all = Vec::new();
    for n in 0..kills {
        let messages = batch(subject, n).await;
        let some = 1 + dice.below(5);
        until("some are asked for", async || {
            let asked = messages
                .iter()
                .filter(|own| !subject.peer.text(&own.text).asked.is_empty());
            (asked.count() >= some).then_some(())
        })
        .await;
        tokio::time::sleep(MS * u32::try_from(dice.below(100)).unwrap()).await;
        daemon.signal(Signal::KILL);
        daemon.ended().await;
        daemon = subject.daemon().await;
        all.extend(messages);
    }
    let ended = until("all have ended", async || {
        let sql =
            "select id, status from scheduled_messages where status not in ('pending', 'sending')
                      and (channel <> 'webhook' or status <> 'unconfirmed')";
        let rows = subject.app.query(sql, &[]).await.unwrap();
        (rows.len() == all.len()).then_some(rows)
    })
    .await;
    daemon.stop().await;
    let status = |id: Uuid| {
        let row = ended.iter().find(|row| row.get::<_, Uuid>(0) == id);
        row.unwrap().get::<_, String>(1)
    };
    let all = all.into_iter().map(|own| (status(own.id), own));
    all.map(|(status, own)| (own, status)).collect()
}

/// Every job is done at least once, and each time with one id, which its endpoint can know again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_whose_daemon_is_killed_is_repeated_with_its_id() {
    let subject = Subject::new("webhook").await;
    let (mut requests, mut repeated) = (0, 0);
    let all = killed(&subject, "webhook").await;
    for (own, status) in &all {
        let known = subject.judged(own.id, &own.text, &own.text).await;
        assert_eq!(known.sids, [own.id.to_string()], "{}", own.text);
        assert_eq!(status, "sent", "{}", own.text);
        requests += known.asked.len();
        repeated += usize::from(known.asked.len() > 1);
    }
    assert!(repeated > 0, "no kill cut a request off");
    let many = all.len();
    println!(
        "figure: killed with webhooks: {many} sent in {requests} requests, {repeated} repeated, 0 with another id"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_modem_whose_daemon_is_killed_doubles_nothing_and_hides_nothing() {
    let subject = Subject::new("modem").await;
    let all = killed(&subject, "modem").await;
    let (mut sent, mut uncertain) = (0, 0);
    for (own, status) in &all {
        let known = subject.judged(own.id, &own.text, &own.text).await;
        match &**status {
            "sent" => assert_eq!(known.sids.len(), 1, "{}", own.text),
            "unconfirmed" => uncertain += 1,
            other => panic!("{}: {other}", own.text),
        }
        sent += usize::from(status == "sent");
    }
    // One message is in flight at a time.
    let kills = all.len() / usize::try_from(BATCH).unwrap();
    assert!((1..=kills).contains(&uncertain), "{uncertain} of {kills}");
    println!(
        "figure: killed with a modem: {kills} kills, {sent} sent, {uncertain} uncertain, 0 doubled"
    );
}
