//! A backlog of unconfirmed messages: few requests, few statements, and a provider that throttles.

use punctual::provider::Providers;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use punctual::message::{Capabilities, InDoubt, Outcome, ProviderSid};
use punctual::policy::Cleared;
use punctual::provider::{Fetched, Listed, Provider, Query};
use punctual::receipt::look_up::{LookUps, Pace};
use uuid::Uuid;

use super::{Case, LOST_ANSWER};
use crate::ours::won;
use crate::rows::run;

/// Messages to each number.
const EACH: usize = 3;

/// In the default suite; `PUNCTUAL_LOOK_UPS=2000` for more.
const MESSAGES: usize = 600;

impl Case {
    /// So many messages that the provider took, and whose responses were lost.
    async fn unconfirmed(&self, messages: usize) -> Vec<Uuid> {
        let sql = "insert into scheduled_messages (to_number, body, scheduled_at)
                   select '+1310' || (5550000 + n / $2), 'text ' || n, clock_timestamp()
                     from generate_series(0, $1::int - 1) n returning id";
        let n = |n: usize| i32::try_from(n).unwrap();
        let rows = self.world.user.query(sql, &[&n(messages), &n(EACH)]).await;
        let ids: Vec<Uuid> = rows.unwrap().iter().map(|row| row.get(0)).collect();
        for ids in ids.chunks(100) {
            let claims = won(&self.store, ids).await;
            let sends = claims.iter().map(|claim| async {
                let outcome = self.asks(claim, LOST_ANSWER).await;
                self.records(claim, outcome).await;
            });
            join_all(sends).await;
        }
        self.later(0).await;
        ids
    }

    async fn count(&self, condition: &str) -> usize {
        let sql = format!(
            "select count(*) from scheduled_messages m
               join punctual.attempts a on a.message_id = m.id where {condition}"
        );
        let row = self.world.user.query_one(&sql, &[]).await.unwrap();
        usize::try_from(row.get::<_, i64>(0)).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_takes_few_rounds() {
    let messages = std::env::var("PUNCTUAL_LOOK_UPS").map_or(MESSAGES, |n| n.parse().unwrap());
    let case = Case::new().await;
    case.unconfirmed(messages).await;
    assert_eq!(case.count("m.status = 'unconfirmed'").await, messages);
    let began = Instant::now();
    let mut rounds = 1;
    while case.look_ups.round().await.unwrap() {
        rounds += 1;
    }
    let took = began.elapsed();
    println!("figure: {messages} unconfirmed settled in {took:.1?}, {rounds} rounds");
    assert_eq!(case.count("m.twilio_sid is not null").await, messages);
    assert!(rounds <= messages / 250 + 1, "{rounds} rounds");
}

/// A provider that throttles its first look-ups.
struct Throttling {
    provider: Arc<dyn Provider>,
    left: AtomicUsize,
    asked: AtomicUsize,
}

impl Provider for Throttling {
    fn send<'a>(&'a self, message: &'a Cleared, valid_for: Duration) -> BoxFuture<'a, Outcome> {
        self.provider.send(message, valid_for)
    }

    fn prewarm(&self, connections: usize) -> BoxFuture<'_, ()> {
        self.provider.prewarm(connections)
    }

    fn capabilities(&self) -> Capabilities {
        self.provider.capabilities()
    }

    fn fetch<'a>(&'a self, sid: &'a ProviderSid) -> BoxFuture<'a, Fetched> {
        self.provider.fetch(sid)
    }

    fn list<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Listed> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let take = |left: usize| left.checked_sub(1);
        let throttled = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        if throttled.is_err() {
            return self.provider.list(query);
        }
        let listed = Listed::NotNow {
            reason: "HTTP 429".into(),
            is_throttled: true,
        };
        std::future::ready(listed).boxed()
    }
}

#[tokio::test]
async fn one_list_serves_all_messages_to_a_number() {
    let case = Case::new().await;
    case.unconfirmed(60).await;
    case.look_ups.round().await.unwrap();
    assert_eq!(case.count("m.twilio_sid is not null").await, 60);
    assert_eq!(case.twilio.book().others().len(), 60 / EACH);
}

#[tokio::test]
async fn throttling_slows_look_ups_and_delays_no_resend() {
    let case = Case::with(InDoubt::Hold).await;
    let ids = case.unconfirmed(60).await;
    let resend = "update scheduled_messages set in_doubt = 'resend' where id = any ($1)";
    case.world
        .user
        .execute(resend, &[&&ids[..5]])
        .await
        .unwrap();
    let provider = Arc::new(Throttling {
        provider: Arc::clone(&case.client) as Arc<dyn Provider>,
        left: AtomicUsize::new(1),
        asked: AtomicUsize::new(0),
    });
    let look_ups = LookUps {
        providers: Providers::texts(Arc::clone(&provider) as Arc<dyn Provider>),
        pace: Pace::default(),
        ..case.look_ups.clone()
    };
    assert!(!look_ups.round().await.unwrap());
    // Those under way, and no more.
    let asked = provider.asked.load(Ordering::Relaxed);
    assert!(asked <= 4, "{asked} requests");
    assert_eq!(
        case.count("m.status = 'pending' and a.settled_by = 'resend'")
            .await,
        5
    );
    let soon = "a.outcome = 'unknown' and a.settled_by is null
                and a.next_lookup_at < clock_timestamp() + interval '2 s'";
    let found = case.count("m.twilio_sid is not null").await;
    assert_eq!(case.count(soon).await, 55 - found);
    run(
        &case.world.unseen,
        "update punctual.attempts set next_lookup_at = now()
                              where outcome = 'unknown' and settled_by is null",
    )
    .await;
    look_ups.round().await.unwrap();
    assert_eq!(case.count("m.twilio_sid is not null").await, 55);
}
