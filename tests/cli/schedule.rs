//! What people without an app do to the table, and what it answers.

use serde_json::Value;
use tokio_postgres::Client;

use crate::database::{ask, execute};
use crate::harness::TestDb;

const TO: &str = "+12025550177";

/// Schedules a message and reads its row back, as JSON.
async fn scheduled(db: &TestDb, client: &Client, args: &[&str]) -> Value {
    let told = ask(db, &[&["schedule", "--to", TO, "--json"], args].concat()).await;
    assert_eq!(told.1, Some(0), "{}", told.0);
    let told: Value = serde_json::from_str(&told.0).unwrap();
    let sql = "select to_jsonb(m)::text from scheduled_messages m where id::text = $1";
    let id = told["id"].as_str().unwrap();
    let row: String = client.query_one(sql, &[&id]).await.unwrap().get(0);
    serde_json::from_str(&row).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_scheduled_as_it_was_said() {
    let db = TestDb::new().await;
    let client = db.client().await;
    let row = scheduled(
        &db,
        &client,
        &["--body", "-5 °C tonight", "--at", "2099-01-02 09:00"]
            .into_iter()
            .chain(["--timezone", "Europe/Berlin", "--priority", "urgent"])
            .chain([
                "--from",
                "+12025550199",
                "--send-before",
                "2099-01-02 10:00",
            ])
            .chain(["--user", "00000000-0000-0000-0000-00000000000a"])
            .chain(["--dedup-key", "brief", "--message-type", "daily_brief"])
            .collect::<Vec<_>>(),
    )
    .await;
    for (column, value) in [
        ("to_number", TO),
        ("from_number", "+12025550199"),
        ("body", "-5 °C tonight"),
        ("scheduled_at", "2099-01-02T08:00:00+00:00"),
        ("send_before", "2099-01-02T09:00:00+00:00"),
        ("timezone", "Europe/Berlin"),
        ("priority", "urgent"),
        ("user_id", "00000000-0000-0000-0000-00000000000a"),
        ("dedup_key", "brief"),
        ("message_type", "daily_brief"),
        ("status", "pending"),
    ] {
        assert_eq!(row[column], value, "{column}");
    }
    let plain = scheduled(&db, &client, &["--body", "x", "--at", "in 10m"]).await;
    assert_eq!(plain["priority"], "normal");
    assert_eq!(plain["timezone"], Value::Null);
    let sql = "select abs(extract(epoch from scheduled_at - now() - interval '10 minutes'))::float8
                 from scheduled_messages where body = 'x'";
    let off: f64 = client.query_one(sql, &[]).await.unwrap().get(0);
    assert!(off < 60.0, "{off} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_not_be_sent_is_refused_before_it_is_written() {
    let db = TestDb::new().await;
    let long = "a".repeat(1601);
    let ahead = ["--at", "in 1h"];
    let said = ["--body", "x"];
    for (to, args, words) in [
        (
            "12025550177",
            [said, ahead].concat(),
            "it must start with +",
        ),
        (TO, [["--body", " "], ahead].concat(), "it is empty"),
        (
            TO,
            [["--body", &long], ahead].concat(),
            "it has 1601 characters",
        ),
        (TO, [said, ["--at", "soon"]].concat(), "is no moment"),
        (
            TO,
            [said, ["--at", "2026-01-02"]].concat(),
            "no time of day",
        ),
        (
            TO,
            [said, ["--at", "2026-01-02 09:00"]].concat(),
            "--past-ok",
        ),
        (
            TO,
            [said, ahead, ["--send-before", "in 30m"]].concat(),
            "is not after the message's time",
        ),
        (TO, [said, ahead, ["--from", "555-1234"]].concat(), "--from"),
        (
            TO,
            [said, ahead, ["--timezone", "Mars/Olympus"]].concat(),
            "Europe/Berlin",
        ),
        (TO, [said, ahead, ["--priority", "asap"]].concat(), "urgent"),
    ] {
        let (told, code) = ask(&db, &[&["schedule", "--to", to], &args[..]].concat()).await;
        assert_eq!(code, Some(64), "{args:?}: {told}");
        assert!(told.contains(words), "no {words:?} in {told}");
    }
    let sql = "select count(*) from scheduled_messages";
    let count: i64 = db.client().await.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(count, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_has_passed_is_taken_if_that_is_meant_and_a_gap_is_told() {
    let db = TestDb::new().await;
    let base = ["schedule", "--to", TO, "--body", "x", "--at"];
    let past = [&base[..], &["2026-01-02 09:00", "--past-ok"]].concat();
    let (told, code) = ask(&db, &past).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains(" ago"), "{told}");
    let gap = ["2099-03-29 02:30", "--timezone", "Europe/Berlin"];
    let (told, code) = ask(&db, &[&base[..], &gap].concat()).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("does not exist in Europe/Berlin"), "{told}");
    assert!(told.contains("Sun 2099-03-29 03:30:00 +02:00"), "{told}");
}

const ID: &str = "00000000-0000-0000-0000-000000000001";

/// A message in this state, and what a command says to it.
async fn check(db: &TestDb, status: &str, command: &[&str], code: i32, says: &str) {
    execute(
        &db.client().await,
        &format!(
            "set session_replication_role = replica;
             delete from scheduled_messages;
             insert into scheduled_messages (id, to_number, body, scheduled_at, status)
             values ('{ID}', '{TO}', 'x', now() + interval '1 h', '{status}')"
        ),
    )
    .await;
    let (told, is) = ask(db, command).await;
    assert_eq!(is, Some(code), "{status} {command:?}: {told}");
    assert!(told.contains(says), "{status} {command:?}: {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_and_reschedule_say_what_became_of_the_message() {
    const CANCEL: &[&str] = &["cancel", ID];
    const MOVE: &[&str] = &["reschedule", ID, "--at", "in 2h"];
    let db = TestDb::new().await;
    for (status, command, code, says) in [
        ("pending", CANCEL, 0, "is cancelled"),
        ("cancelled", CANCEL, 0, "was cancelled already"),
        ("sending", CANCEL, 1, "it is too late to cancel it"),
        ("sent", CANCEL, 1, "it is too late to cancel it"),
        ("pending", MOVE, 0, "is moved to"),
        ("sending", MOVE, 1, "is being sent this moment"),
        ("unconfirmed", MOVE, 1, "whether it was sent is not known"),
        ("sent", MOVE, 1, "was sent"),
        ("cancelled", MOVE, 1, "schedule a new one"),
        (
            "pending",
            &["reschedule", ID, "--at", "2026-01-02 09:00"],
            64,
            "--past-ok",
        ),
        ("pending", &["cancel", "1"], 64, "UUID"),
    ] {
        check(&db, status, command, code, says).await;
    }
    let other = ID.replace('1', "2");
    check(
        &db,
        "pending",
        &["cancel", &other],
        1,
        "there is no message",
    )
    .await;
    check(
        &db,
        "pending",
        &["reschedule", &other, "--at", "now"],
        1,
        "there is no message",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answers_as_json() {
    let db = TestDb::new().await;
    let client = db.client().await;
    let row = scheduled(&db, &client, &["--body", "x", "--at", "in 10m"]).await;
    let id = row["id"].as_str().unwrap();
    let (told, _) = ask(
        &db,
        &[
            "reschedule",
            id,
            "--at",
            "2099-01-02T09:00:00+01:00",
            "--json",
        ],
    )
    .await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["scheduled_at"], "2099-01-02T08:00:00.000000Z");
    for changed in [true, false] {
        let (told, _) = ask(&db, &["cancel", id, "--json"]).await;
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["status"], "cancelled");
        assert_eq!(told["changed"], changed);
    }
}
