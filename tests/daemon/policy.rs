//! Whether a message may go, and when: the verdicts as the built daemon carries them out. Hours
//! are laid so that they end a moment from now, since neither the daemon's clock nor the
//! database's is one to play with here.

use crate::world::{World, asked};

/// How far ahead what is closed opens. Whole seconds, so that it can be written as a time of day.
const OPENS_IN: &str = "date_trunc('second', clock_timestamp()) + interval '4 s'";

/// That moment and the one 6 s before it, on a clock in UTC.
async fn opening(world: &World) -> (String, String) {
    let sql = format!(
        "with o as (select {OPENS_IN} as at)
         select to_char(at at time zone 'UTC', 'HH24:MI:SS'),
                to_char((at - interval '6 s') at time zone 'UTC', 'HH24:MI:SS') from o"
    );
    let row = world.app.query_one(&sql, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

/// When this message's row is deferred to, as a time of day in UTC, and why.
async fn deferral(world: &World, id: uuid::Uuid) -> (Option<String>, Option<String>) {
    let sql = "select to_char(deferred_until at time zone 'UTC', 'HH24:MI:SS.US'), deferred_reason
               from scheduled_messages where id = $1";
    let row = world.app.query_one(sql, &[&id]).await.unwrap();
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn outside_of_business_hours_it_waits_for_the_opening() {
    let world = World::new([]).await;
    let (opens, closed) = opening(&world).await;
    let hours = format!("mon-sun {opens}-{closed}");
    let world = world.with(&[
        ("PUNCTUAL_BUSINESS_HOURS", &hours),
        // A message that had to wait is not late by its waiting.
        ("PUNCTUAL_MAX_LATENESS", "1s"),
    ]);
    let daemon = world.daemon().await;
    let id = world.insert("at the opening", 0).await;
    world.arrived_once(id).await;
    daemon.stop().await;

    let (until, reason) = deferral(&world, id).await;
    assert_eq!(until, Some(format!("{opens}.000000")));
    assert_eq!(reason, Some(format!("outside of {hours} UTC")));
    let row = world.row(id).await.unwrap();
    assert_eq!((row.error, row.code), (None, None));
    let ledger = "select array_agg(outcome order by number), count(started_at)
                  from punctual.attempts where message_id = $1";
    let ledger = world.app.query_one(ledger, &[&id]).await.unwrap();
    assert_eq!(ledger.get::<_, Vec<String>>(0), ["deferred", "accepted"]);
    assert_eq!(ledger.get::<_, i64>(1), 1);
    let attempts = "select attempts from scheduled_messages where id = $1";
    let attempts = world.app.query_one(attempts, &[&id]).await.unwrap();
    assert_eq!(attempts.get::<_, i32>(0), 1);
}

#[tokio::test]
async fn what_would_wait_too_long_is_cancelled_at_once() {
    let world = World::new([]).await;
    let (opens, closed) = opening(&world).await;
    let hours = format!("mon-sun {opens}-{closed}");
    let world = world.with(&[("PUNCTUAL_BUSINESS_HOURS", &hours)]);
    let daemon = world.daemon().await;
    let sql = "insert into scheduled_messages (to_number, body, scheduled_at, send_before)
               select $1, 'too short', clock_timestamp(), clock_timestamp() + interval '500 ms'
               returning id";
    let row = world.app.query_one(sql, &[&crate::world::TO]).await;
    let id = row.unwrap().get(0);
    let row = world.becomes(id, "cancelled").await;
    let reason = row.cancel_reason.unwrap();
    let expected = format!("outside of {hours} UTC until ");
    assert!(reason.starts_with(&expected), "{reason}");
    assert!(reason.contains(", and send_before is "), "{reason}");
    assert!(world.requests("too short").is_empty());
    // What may wait, waits and goes.
    let other = world.insert("long enough", 0).await;
    world.arrived_once(other).await;
    asked(&world.phone, 1).await;
    daemon.stop().await;
}
