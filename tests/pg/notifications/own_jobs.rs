//! Deliveries that an app makes by a function of its own, with a job `send_notification` for each.

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
