//! The app's tables with columns missing, which come and go under a running daemon: what there is is written.

use crate::ours::{accepted, recorded, sid, store, won};
use crate::rows::{World, one, run};

/// Each column that Punctual writes and could do without, and its type.
const OPTIONAL: &[(&str, &str, &str)] = &[
    ("conversations", "contact_id", "uuid"),
    ("conversations", "last_message_at", "timestamptz"),
    ("conversations", "created_at", "timestamptz default now()"),
    ("conversations", "updated_at", "timestamptz default now()"),
    ("contacts", "created_at", "timestamptz default now()"),
    ("contacts", "phone_number", "text"),
    ("messages", "conversation_id", "uuid"),
    ("messages", "direction", "text"),
    ("messages", "body", "text"),
    ("messages", "from_number", "text"),
    ("messages", "to_number", "text"),
    ("messages", "twilio_sid", "text"),
    ("messages", "status", "text"),
    ("messages", "metadata", "jsonb"),
    ("messages", "scheduled_message_id", "uuid"),
    ("messages", "updated_at", "timestamptz default now()"),
    ("messages", "delivered_at", "timestamptz"),
    ("messages", "twilio_status", "text"),
    ("messages", "attempt_count", "int"),
    ("messages", "twilio_error_code", "int"),
];

/// Sends one, has it delivered, and returns the app's row of it as JSON.
async fn row_of_a_sent_message(world: &World, store: &punctual::store::Store) -> serde_json::Value {
    run(&world.unseen, "delete from messages").await;
    let id = world
        .row_with("pending", ", from_number", ", '+15005550006'")
        .await;
    let claim = won(store, &[id]).await.remove(0);
    assert_eq!(recorded(store, &[accepted(&claim)]).await, 1);
    let daemon = world.daemon().await;
    let arrived = format!(
        "update punctual.attempts set message_status = 'delivered', receipt_status = 'delivered' where token = '{}'",
        claim.token.0
    );
    run(&daemon, &arrived).await;
    let write = format!(
        "select concat(refusal, words) from punctual.write_statuses(array['{}'])",
        sid(&claim)
    );
    assert_eq!(one::<String>(&daemon, &write).await, "");
    let known = store.known_sids(&[&sid(&claim)]).await.unwrap();
    assert!(known.contains(&sid(&claim)), "its own attempt knows it");
    let row: String = one(&world.unseen, "select to_jsonb(m)::text from messages m").await;
    serde_json::from_str(&row).unwrap()
}

#[tokio::test]
async fn a_column_that_is_missing_leaves_the_others_written() {
    let world = World::new().await;
    let store = store(&world);
    run(
        &world.unseen,
        "insert into contacts (name, phone_number) values ('a', '+13105550100')",
    )
    .await;
    let written = [
        "attempt_count",
        "body",
        "delivered_at",
        "direction",
        "from_number",
        "metadata",
        "scheduled_message_id",
        "status",
        "to_number",
        "twilio_sid",
        "twilio_status",
    ];
    for (table, column, kind) in OPTIONAL {
        run(&world.unseen, "delete from conversations").await;
        run(
            &world.unseen,
            &format!("alter table {table} drop column {column} cascade"),
        )
        .await;
        let row = row_of_a_sent_message(&world, &store).await;
        for name in written {
            let there = !row.get(name).is_none_or(serde_json::Value::is_null);
            let follows = ["delivered_at", "twilio_status"].contains(&name)
                && *table == "messages"
                && ["status", "twilio_sid"].contains(column);
            assert_eq!(
                there,
                !(*table == "messages" && *column == name || follows),
                "{name} without {table}.{column}"
            );
        }
        if *table != "messages" || !["status", "twilio_sid"].contains(column) {
            assert_eq!(row["status"], "delivered", "without {table}.{column}");
        }
        let refused: i64 = one(&world.unseen, "select count(*) from punctual.outbox").await;
        assert_eq!(refused, 0, "without {table}.{column}");
        // It comes back under the same daemon, and is written again.
        run(
            &world.unseen,
            &format!("alter table {table} add column {column} {kind}"),
        )
        .await;
        if *table == "contacts" {
            run(
                &world.unseen,
                "update contacts set phone_number = '+13105550100'",
            )
            .await;
        }
        run(&world.unseen, "delete from conversations").await;
        let row = row_of_a_sent_message(&world, &store).await;
        for name in written {
            assert!(
                !row[name].is_null(),
                "{name} after {table}.{column} came back"
            );
        }
        let known = "select count(*) = 1 from conversations where contact_id is not null and last_message_at is not null";
        assert!(
            one::<bool>(&world.unseen, known).await,
            "after {table}.{column} came back"
        );
    }
}

#[tokio::test]
async fn the_record_says_which_event_it_was_about_and_why_it_did_not_arrive() {
    let world = World::new().await;
    let store = store(&world);
    let (columns, values) = (
        ", from_number, user_id, calendar_event_id, metadata",
        ", '+15005550006', '11111111-1111-4111-8111-111111111111', 'google-1', '{\"event_title\": \"Standup\"}'",
    );
    run(
        &world.unseen,
        "insert into task_calendar_events (calendar_event_id, user_id)
         values ('google-1', '11111111-1111-4111-8111-111111111111')",
    )
    .await;
    let id = world.row_with("pending", columns, values).await;
    let claim = won(&store, &[id]).await.remove(0);
    // Columns of the app's own, of other types: they are left to it.
    for other in ["delivered_at date", "twilio_status int"] {
        let (column, _) = other.split_once(' ').unwrap();
        run(
            &world.unseen,
            &format!("alter table messages drop column {column}, add column {other}"),
        )
        .await;
    }
    assert_eq!(recorded(&store, &[accepted(&claim)]).await, 1);
    let daemon = world.daemon().await;
    let sid = sid(&claim);
    let failed = format!(
        "update punctual.attempts set message_status = 'undelivered', receipt_status = 'undelivered' where provider_sid = '{sid}';
         insert into punctual.receipts (message_id, token, provider_sid, status, error_code, effect)
         values ('{id}', '{}', '{sid}', 'undelivered', 30003, 'advanced')",
        claim.token.0
    );
    run(&daemon, &failed).await;
    let write =
        format!("select concat(refusal, words) from punctual.write_statuses(array['{sid}'])");
    assert_eq!(one::<String>(&daemon, &write).await, "");
    let row = "select concat_ws(' ', status, twilio_error_code, attempt_count, delivered_at, twilio_status,
                                metadata ->> 'calendar_event_id', metadata ->> 'event_title') from messages";
    assert_eq!(
        one::<String>(&world.unseen, row).await,
        "undelivered 30003 1 google-1 Standup"
    );
    let waits: i64 = one(&world.unseen, "select count(*) from punctual.outbox").await;
    assert_eq!(waits, 0);
}
