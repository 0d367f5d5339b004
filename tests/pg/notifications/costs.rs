//! What an event costs in blocks, however many there were before it: not more, whatever the tables were like when its
//! statements were planned.

use tokio_postgres::Client;
use uuid::Uuid;

use super::{ADA, delivery, emit, subscribe, world};
use crate::ours::{accepted, recorded, store, won};
use crate::rows::{World, one, run};

/// Blocks that a transaction has asked for, of the app's tables and of Punctual's.
const BLOCKS: &str = "select sum(pg_stat_get_xact_blocks_fetched(c.oid))::bigint from pg_class c
  where c.relnamespace in ('public'::regnamespace, 'punctual'::regnamespace) and c.relkind in ('r', 'i', 't')";

const SAY: &str = r#"{"body": "Ready"}"#;

/// Executions after which a function's statement is no longer planned again.
const PLANNED: usize = 6;

/// Half as much again as it is here.
const AN_EVENT: i64 = 240;
const A_DELIVERY_WRITTEN: i64 = 80;

/// Runs it and undoes it; the blocks that it has asked for.
async fn blocks(session: &Client, sql: &str) -> i64 {
    run(session, "begin").await;
    let before: i64 = one(session, BLOCKS).await;
    run(session, sql).await;
    let blocks = one::<i64>(session, BLOCKS).await - before;
    run(session, "rollback").await;
    blocks
}

/// Emits so many events to Ada, whose deliveries are then sent.
async fn sent(world: &World, events: usize) {
    let store = store(world);
    let mut messages: Vec<Uuid> = Vec::new();
    for _ in 0..events {
        let more = format!(", p_target_user_id => '{ADA}'");
        let event = emit(&world.user, "brief.completed", SAY, &more).await;
        for channel in ["sms", "in_app"] {
            messages.push(delivery(world, event, channel).await.1);
        }
    }
    let claims = won(&store, &messages).await;
    assert_eq!(claims.len(), messages.len());
    let records: Vec<_> = claims.iter().map(accepted).collect();
    assert_eq!(recorded(&store, &records).await, messages.len());
}

#[tokio::test]
async fn an_event_and_its_deliveries_cost_the_same_however_many_there_were() {
    const OTHERS: i64 = 1_000;
    const EVENTS: usize = 10;
    let world = world().await;
    subscribe(
        &world,
        "brief.completed",
        "sms_enabled = true, in_app_enabled = true",
    )
    .await;
    run(
        &world.user,
        "update user_sms_preferences set daily_sms_limit = 1000",
    )
    .await;
    let (app, daemon) = (world.db.client().await, world.daemon().await);
    let event = format!(
        "select emit_notification_event('brief.completed', p_payload => '{SAY}', p_target_user_id => '{ADA}')"
    );
    let write = "select punctual.write_back(1000)";
    sent(&world, 1).await;
    run(&world.unseen, "vacuum analyze").await;
    for _ in 0..PLANNED {
        blocks(&app, &event).await;
        blocks(&daemon, write).await;
    }
    // Deliveries to many others.
    let grow = format!(
        "insert into users (email) select i || '@example.com' from generate_series(1, {OTHERS}) i;
         select subscribe_to_notifications('{{brief.completed}}');
         select emit_notification_event('brief.completed', p_payload => '{SAY}') from generate_series(1, 2)"
    );
    run(&world.user, &grow).await;
    let there = "select count(*) from notification_deliveries where status = 'pending'";
    assert!(one::<i64>(&world.unseen, there).await > 2 * OTHERS);
    let needed = blocks(&app, &event).await;
    assert!(needed <= AN_EVENT, "{needed} blocks for an event");
    run(&world.unseen, "delete from punctual.source_writes").await;
    sent(&world, EVENTS).await;
    let deliveries = 2 * i64::try_from(EVENTS).unwrap();
    let needed = blocks(&daemon, write).await;
    println!("{needed} blocks for {deliveries} deliveries");
    assert!(
        needed <= 30 + deliveries * A_DELIVERY_WRITTEN,
        "{needed} blocks for the outcomes of {deliveries} deliveries"
    );
}
