//! Deliveries that an app makes by a function of its own, with a job `send_notification` for each.

use punctual::message::MessageId;
use tokio_postgres::Client;
use uuid::Uuid;

use super::{ADA, is, refused, world};
use crate::ours::{accepted, recorded, store, won};
use crate::rows::{World, one, run};

/// A delivery to Ada with this payload, and its job, which is due in an hour.
async fn made(client: &Client, channel: &str, payload: &str) -> (Uuid, Uuid) {
    let sql = format!(
        "with d as (
           insert into notification_deliveries (recipient_user_id, channel, payload) values ('{ADA}', '{channel}', '{payload}')
           returning id)
         insert into queue_jobs (user_id, job_type, scheduled_for, metadata)
         select '{ADA}', 'send_notification', clock_timestamp() + interval '1 hour',
                jsonb_build_object('delivery_id', d.id, 'channel', '{channel}', 'event_type', 'brief.completed')
           from d
         returning id, (metadata ->> 'delivery_id')::uuid"
    );
    let row = client.query_one(&sql, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

async fn message(world: &World, delivery: Uuid) -> Uuid {
    let sql = format!("select message_id from punctual.messages_of('{delivery}')");
    one(&world.unseen, &sql).await
}

async fn job(world: &World, id: Uuid) -> String {
    let sql = format!(
        "select concat_ws(' ', status, attempts, completed_at is not null, error_message) from queue_jobs where id = '{id}'"
    );
    one(&world.unseen, &sql).await
}

async fn set(world: &World, id: Uuid, what: &str) {
    let sql = format!("update queue_jobs set {what} where id = '{id}'");
    run(&world.user, &sql).await;
}

#[tokio::test]
async fn it_is_sent_at_the_time_of_its_job_which_is_shown_what_becomes_of_it() {
    let world = world().await;
    let store = store(&world);
    let (id, email) = made(&world.user, "email", r#"{"title": "Ready"}"#).await;
    let text = message(&world, email).await;
    let what = "concat_ws(' ', channel, to_number, body, message_type, status)";
    assert_eq!(
        world.get::<String>(text, what).await,
        "email ada@example.com Ready brief.completed pending"
    );
    let found = format!("select message_id from punctual.messages_of('{id}')");
    assert_eq!(one::<Uuid>(&world.unseen, &found).await, text);
    // Whoever looks for the id of the job or of the delivery finds the message.
    for id in [id, email, text] {
        let search = id.to_string().parse().unwrap();
        let found = store.search(&search, 9).await.unwrap();
        assert_eq!(found, [MessageId(text)]);
    }
    set(&world, id, "scheduled_for = '2035-06-01 10:00Z'").await;
    assert!(
        world
            .get::<bool>(text, "scheduled_at = '2035-06-01 10:00Z'")
            .await
    );
    // Cancelled, wanted again, and taken by a worker of the app's, which gives it back.
    for (status, expected) in [
        ("cancelled", "cancelled"),
        ("pending", "pending"),
        ("processing", "cancelled"),
        ("pending", "pending"),
    ] {
        set(&world, id, &format!("status = '{status}'")).await;
        assert_eq!(world.status(text).await, expected, "{status}");
        store.write_back(10).await.unwrap();
        assert!(job(&world, id).await.starts_with(status), "{status}");
    }
    set(&world, id, "scheduled_for = clock_timestamp()").await;
    let claim = won(&store, &[text]).await.remove(0);
    let take = format!("update queue_jobs set status = 'processing' where id = '{id}'");
    let late = refused(&world.user, &take).await;
    assert!(late.contains("PT409"), "{late}");
    recorded(&store, &[accepted(&claim)]).await;
    store.write_back(10).await.unwrap();
    assert_eq!(is(&world, email, "status").await, "sent");
    assert_eq!(job(&world, id).await, "completed 1 t");
    let again = format!("update queue_jobs set status = 'pending' where id = '{id}'");
    run(&world.user, &again).await;
    assert_eq!(world.status(text).await, "sent", "once");

    // What cannot be sent says why, in both.
    let (id, sms) = made(&world.user, "sms", "{}").await;
    let why = "there is no text: neither a template brief_completed, nor body, message, text or title in the payload";
    assert_eq!(
        is(&world, sms, "status, cancel_reason, last_error").await,
        format!("cancelled no_text {why}")
    );
    assert_eq!(job(&world, id).await, format!("cancelled 0 f {why}"));
    // One that names no delivery is the app's.
    let other =
        format!("select add_queue_job('{ADA}', 'send_notification', '{{\"delivery_id\": \"x\"}}')");
    let other: Uuid = one(&world.user, &other).await;
    assert_eq!(job(&world, other).await, "pending 0 f");
}

/// A job that is wanted again is done with as its delivery is.
#[tokio::test]
async fn a_job_whose_delivery_is_over_does_not_stay_pending() {
    let world = world().await;
    let store = store(&world);
    let (sent, email) = made(&world.user, "email", r#"{"title": "Ready"}"#).await;
    set(&world, sent, "scheduled_for = clock_timestamp()").await;
    let text = message(&world, email).await;
    let claim = won(&store, &[text]).await.remove(0);
    recorded(&store, &[accepted(&claim)]).await;
    store.write_back(10).await.unwrap();
    set(&world, sent, "status = 'pending'").await;
    assert_eq!(job(&world, sent).await, "completed 1 t");
    let (gone, email) = made(&world.user, "email", r#"{"title": "Ready"}"#).await;
    let cancel = format!(
        "update notification_deliveries set status = 'cancelled', cancel_reason = 'no more' where id = '{email}'"
    );
    run(&world.user, &cancel).await;
    assert_eq!(job(&world, gone).await, "cancelled 0 f no more");
    set(&world, gone, "status = 'failed'").await;
    set(&world, gone, "status = 'pending'").await;
    assert_eq!(job(&world, gone).await, "cancelled 0 f no more");
    assert_eq!(is(&world, email, "status").await, "cancelled");
    // Once it can be sent, it is.
    let (late, email) = made(&world.user, "email", "{}").await;
    assert!(job(&world, late).await.starts_with("cancelled"));
    let payload = format!(
        "update notification_deliveries set payload = '{{\"title\": \"Ready\"}}' where id = '{email}'"
    );
    run(&world.user, &payload).await;
    set(&world, late, "status = 'pending'").await;
    assert_eq!(is(&world, email, "status").await, "pending");
    assert!(job(&world, late).await.starts_with("pending 0 f"));
}

/// Jobs that waited when the tables were followed: each delivery is sent, and nothing of what a worker has.
#[tokio::test]
async fn jobs_that_waited_before_are_taken_with_the_tables() {
    let world = world().await;
    run(
        &world.unseen,
        "drop trigger punctual_notification on queue_jobs",
    )
    .await;
    let (waits, email) = made(&world.user, "email", r#"{"title": "Ready"}"#).await;
    let (taken, others) = made(&world.user, "email", r#"{"title": "Ready"}"#).await;
    set(&world, taken, "status = 'processing'").await;
    let (_, no_text) = made(&world.user, "email", "{}").await;
    let scheduled = "status, scheduled_for is not null";
    assert_eq!(is(&world, email, scheduled).await, "pending f");
    for _ in 0..2 {
        super::migrate(&world).await;
        assert_eq!(is(&world, email, scheduled).await, "pending t");
        assert_eq!(is(&world, others, scheduled).await, "pending f");
        assert_eq!(
            is(&world, no_text, "status, cancel_reason").await,
            "cancelled no_text"
        );
        let text = message(&world, email).await;
        assert_eq!(world.status(text).await, "pending");
        assert_eq!(job(&world, waits).await, "pending 0 f");
    }
}
