//! A message is reported undelivered and, after that, delivered: it has arrived, whatever its failure had
//! started by then.

use punctual::message::{AttemptToken, ClaimResponse, MessageId, ProviderSid};
use punctual::settle::Settlement;
use std::time::Duration;

use crate::receipts::{World, claim};

const OTHER: &str = "SM00000000000000000000000000000002";

/// Accepted, undelivered, and so `pending` for a retry.
async fn retried() -> World {
    let world = World::new().await;
    world.accepted().await;
    world.call("undelivered", "30003").await;
    assert_eq!(status(&world).await, "pending");
    world
}

async fn status(world: &World) -> String {
    world.text("select status from scheduled_messages").await
}

/// Lateness counts from the slot of a pace, in which the request began.
#[tokio::test]
async fn what_waited_for_a_pace_is_not_too_late_for_a_retry() {
    for (began, has_pace, becomes) in [
        ("10 minutes", true, "pending"),
        ("10 minutes", false, "failed"),
        ("2 hours", true, "failed"),
    ] {
        let world = World::new().await;
        world.accepted().await;
        let sql = format!(
            "set session_replication_role = replica;
             update scheduled_messages set scheduled_at = now() - interval '5 hours', campaign_id = md5('c')::uuid;
             update punctual.attempts set started_at = now() - interval '{began}';
             set session_replication_role = origin;
             insert into punctual.paces (scope, what, gap_min, gap_max)
             select 'campaign', md5('c')::uuid::text, '1 s', '1 s' where {has_pace}"
        );
        world.app.batch_execute(&sql).await.unwrap();
        world.call("undelivered", "30003").await;
        assert_eq!(status(&world).await, becomes, "{began} {has_pace}");
    }
}

/// The retry's time has come.
async fn make_due(world: &World) {
    let now = "set session_replication_role = replica;
               update scheduled_messages set next_attempt_at = null;
               set session_replication_role = origin";
    world.app.batch_execute(now).await.unwrap();
}

/// Claims the retry, and records it as accepted under another sid.
async fn send_retry(world: &mut World) {
    make_due(world).await;
    world.claim = claim(&world.store, world.claim.id.0).await;
}

async fn record_retry(world: &World) {
    let sid = ProviderSid(OTHER.into());
    world.record(Settlement::Accepted { sid }).await;
}

async fn call_for(world: &World, (message, token): (MessageId, AttemptToken), status: &str) {
    let query = format!("?message={message}&token={token}");
    assert_eq!(world.post_status(&query, status).await, 204);
}

#[tokio::test]
async fn a_retry_that_waits_is_dropped() {
    let world = retried().await;
    world.call("delivered", "").await;
    let standing = world.standing().await;
    assert_eq!(
        standing,
        [
            "delivered t",
            "accepted delivered",
            "delivered",
            "undelivered delivered"
        ]
    );
    let row = "select concat_ws(' ', attempts, next_attempt_at, delivered_at is not null, sent_at is not null)
                 from scheduled_messages";
    assert_eq!(world.text(row).await, "1 t t");
    make_due(&world).await;
    let asks = [(world.claim.id, AttemptToken::fresh(), None)];
    let claimed = world
        .store
        .claim(&asks, Duration::from_secs(30))
        .await
        .unwrap();
    assert!(matches!(claimed.answers[0].1, ClaimResponse::Lost(_)));
    // A repeat of either changes nothing more.
    world.call("delivered", "").await;
    world.call("undelivered", "30003").await;
    assert_eq!(world.standing().await[..3], standing[..3]);
    assert_eq!(world.store.take_duplicates(), 0);
}

#[tokio::test]
async fn a_message_that_failed_for_good_arrives_as_well() {
    let world = World::new().await;
    world.accepted().await;
    world.call("undelivered", "30005").await;
    assert_eq!(status(&world).await, "failed");
    world.call("delivered", "").await;
    let row = "select concat_ws(' ', status, error_code, error_message) from scheduled_messages";
    assert_eq!(world.text(row).await, "delivered");
}

/// The request of the retry goes out: two texts are true, and the ledger says so.
#[tokio::test]
async fn a_retry_that_is_claimed_or_sent_leaves_two_texts_and_says_so() {
    for sent_before in [false, true] {
        let mut world = retried().await;
        let first = (world.claim.id, world.claim.token);
        send_retry(&mut world).await;
        if sent_before {
            record_retry(&world).await;
        }
        assert_eq!(world.store.take_duplicates(), 0);
        call_for(&world, first, "delivered").await;
        assert_eq!(status(&world).await, "delivered", "{sent_before}");
        if !sent_before {
            record_retry(&world).await;
        }
        assert_eq!(world.store.take_duplicates(), 1, "{sent_before}");
        let row = "select concat_ws(' ', status, twilio_sid = 'SM0123456789abcdef0123456789abcdef')
                     from scheduled_messages";
        assert_eq!(world.text(row).await, "delivered t", "{sent_before}");
        let ledger = "select string_agg(concat_ws(' ', number, outcome, message_status), ', ' order by number)
                        from punctual.attempts";
        assert_eq!(
            world.text(ledger).await,
            "1 accepted delivered, 2 accepted",
            "{sent_before}"
        );
        // That the second did not arrive says nothing of the first, and starts no third.
        let second = (world.claim.id, world.claim.token);
        let undelivered = format!("?message={}&token={}", second.0, second.1);
        assert_eq!(
            world
                .post_sid(&undelivered, OTHER, "undelivered", "30003")
                .await,
            204
        );
        assert_eq!(status(&world).await, "delivered", "{sent_before}");
    }
}

#[tokio::test]
async fn whoever_set_it_back_to_pending_gets_another_text() {
    let world = World::new().await;
    world.accepted().await;
    world.call("undelivered", "30005").await;
    let again = "update scheduled_messages
                    set status = 'pending', body = 'another', scheduled_at = now() + interval '1 hour'";
    world.app.batch_execute(again).await.unwrap();
    world.call("delivered", "").await;
    let [row, attempt, messages, _] = world.standing().await;
    assert_eq!(
        [&*row, &*attempt, &*messages],
        ["pending", "accepted delivered", "delivered"]
    );
}

#[tokio::test]
async fn what_arrives_after_all_takes_its_place_in_the_day_again() {
    let world = World::new().await;
    world.accepted().await;
    let counted = "set punctual.writer = 'on';
        insert into punctual.daily_counts (user_id, day, count)
        values ('11111111-1111-1111-1111-111111111111', '2026-01-01', 1);
        update punctual.attempts set user_id = '11111111-1111-1111-1111-111111111111', day = '2026-01-01'";
    world.app.batch_execute(counted).await.unwrap();
    let count = "select concat_ws(' ', c.count, a.quota_returned) from punctual.daily_counts c, punctual.attempts a";
    for (status, expected) in [
        ("undelivered", "0 t"),
        ("undelivered", "0 t"),
        ("delivered", "1 f"),
        ("delivered", "1 f"),
        ("undelivered", "1 f"),
    ] {
        let code = if status == "delivered" { "" } else { "30003" };
        world.call(status, code).await;
        assert_eq!(world.text(count).await, expected, "{status}");
    }
}
