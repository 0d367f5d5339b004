//! Messages of every channel, as the built daemon sends them.

use uuid::Uuid;

use crate::world::{TO, World};

/// A recipient of each channel.
const ADDRESSES: [(&str, &str); 5] = [
    ("sms", TO),
    ("webhook", "https://hooks.example/1"),
    ("email", "ada@example.com"),
    ("push", "https://push.example/1"),
    ("in_app", "0a1b2c3d-0000-4000-8000-0123456789ab"),
];

async fn insert(world: &World, channel: &str, to: &str) -> Uuid {
    let sql = "insert into scheduled_messages (channel, to_number, body, scheduled_at)
               values ($1, $2, $1 || ' for ' || $2, clock_timestamp()) returning id";
    let row = world.app.query_one(sql, &[&channel, &to]).await;
    row.unwrap().get(0)
}

/// The provider of texts carries texts, and says of the others what to configure; the console carries all.
#[tokio::test]
async fn a_channel_is_carried_by_its_provider_or_fails_and_says_what_to_configure() {
    let world = World::new([]).await;
    let daemon = world.daemon().await;
    for (channel, to) in ADDRESSES {
        let id = insert(&world, channel, to).await;
        if channel == "sms" {
            world.arrived_once(id).await;
            continue;
        }
        let row = world.becomes(id, "failed").await;
        let why = format!(
            "no provider is configured for the channel {channel}: set {}",
            match channel {
                "webhook" => "PUNCTUAL_WEBHOOK_SECRET",
                "email" => "PUNCTUAL_SMTP",
                "in_app" => "PUNCTUAL_IN_APP=true",
                "push" => "PUNCTUAL_VAPID_PRIVATE_KEY",
                _ => "PUNCTUAL_PROVIDER to one that carries it",
            }
        );
        assert_eq!(row.error, Some(why));
        let begun = "select count(*) from punctual.attempts where message_id = $1 and started_at is not null";
        let begun = world.app.query_one(begun, &[&id]).await.unwrap();
        assert_eq!(begun.get::<_, i64>(0), 0, "{channel}");
    }
    daemon.stop().await;

    // A first trial has no sender.
    let world = world.with(&[
        ("PUNCTUAL_PROVIDER", "console"),
        ("TWILIO_SMS_FROM_NUMBER", ""),
    ]);
    let mut daemon = world.daemon().await;
    for (channel, to) in ADDRESSES {
        let id = insert(&world, channel, to).await;
        world.becomes(id, "sent").await;
        daemon.says(&format!("{to}: {channel} for {to}")).await;
    }
    let texts = "select count(*) from messages where metadata ->> 'source' = 'scheduled'";
    let texts = world.app.query_one(texts, &[]).await.unwrap();
    assert_eq!(texts.get::<_, i64>(0), 2, "one of each daemon");
    daemon.stop().await;
}
