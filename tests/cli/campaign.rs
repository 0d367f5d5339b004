//! Campaigns from the file to the rows.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;
use tokio_postgres::Client;

use crate::database::{ask, execute};
use crate::harness::TestDb;

/// A directory with a file.
fn file(name: &str, text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

/// Good rows: to +12025550000 and those after it.
fn rows(n: usize) -> String {
    let mut text = "customer_name,phone_number,content\n".to_owned();
    for i in 0..n {
        let bubbles = if i % 3 == 0 {
            "Hi [BUBBLE] there"
        } else {
            "Hi"
        };
        let _ = writeln!(text, "Customer {i},+1202555{i:04},{bubbles}");
    }
    text
}

async fn count(client: &Client, what: &str) -> i64 {
    let sql = format!("select count(*) from {what}");
    client.query_one(&sql, &[]).await.unwrap().get(0)
}

async fn succeeds(db: &TestDb, args: &[&str]) -> String {
    let (said, code) = ask(db, &[&["campaign"], args].concat()).await;
    assert_eq!(code, Some(0), "{args:?}: {said}");
    said
}

async fn fails(db: &TestDb, args: &[&str]) -> String {
    let (said, code) = ask(db, &[&["campaign"], args].concat()).await;
    assert!(code == Some(1) || code == Some(64), "{args:?}: {said}");
    said
}

async fn json(db: &TestDb, args: &[&str]) -> Value {
    let said = succeeds(db, &[args, &["--json"]].concat()).await;
    serde_json::from_str(&said).unwrap_or_else(|_| panic!("{args:?}: {said}"))
}

/// The plan as rows, without what only `schedule` knows.
fn planned(plan: &Value) -> Vec<Value> {
    let rows = plan["messages"].as_array().unwrap().iter().cloned();
    let without_id = rows.map(|mut row| {
        row.as_object_mut().unwrap().remove("id");
        row
    });
    without_id.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_bad_rows_is_imported_as_a_whole_without_them_or_not_at_all() {
    let db = TestDb::new().await;
    let client = db.client().await;
    let text = rows(5) + "Eve,202,Hi\nFred,+12025550101,\nAgain,+12025550001,Hi\n";
    let (_dir, path) = file("spring.csv", &text);
    let path = path.to_str().unwrap();
    let said = fails(&db, &["import", path]).await;
    for says in [
        "line 7: phone_number: it must start with +",
        "line 8: content: it is empty",
        "line 9: the same number has the same text on line 3",
        "3 of 8 rows cannot be imported, so nothing was",
    ] {
        assert!(said.contains(says), "no {says:?} in\n{said}");
    }
    assert_eq!(count(&client, "punctual.campaigns").await, 0);
    let import = ["import", path, "--skip-bad", "--seed", "7", "--by", "ann"];
    let done = json(&db, &import).await;
    let status = json(&db, &["status", "spring"]).await;
    assert_eq!(status["created_by"], "ann");
    assert_eq!(done["imported"], 5);
    assert_eq!(done["faults"].as_array().unwrap().len(), 3);
    // The same file again has nothing new.
    let said = fails(&db, &["import", path]).await;
    assert!(
        said.contains("line 2: the campaign has it already, as message 1"),
        "{said}"
    );
    let said = fails(&db, &["import", path, "--gap", "1m"]).await;
    assert!(
        said.contains("keeps its hours, gaps, sender and seed"),
        "{said}"
    );
    let (_dir, more) = file(
        "more.json",
        r#"[{"phone": "+12025550199", "text": "Hello"}]"#,
    );
    let more = more.to_str().unwrap();
    succeeds(&db, &["import", more, "--name", "spring"]).await;
    let positions = "select string_agg(position || status, ',' order by position) from punctual.campaign_messages";
    let positions: String = client.query_one(positions, &[]).await.unwrap().get(0);
    assert_eq!(positions, "1SUG,2SUG,3SUG,4SUG,5SUG,6SUG");
    let id = "00000000-0000-4000-8000-000000000001";
    let said = fails(&db, &["import", more, "--name", id]).await;
    assert!(said.contains("the id of another campaign"), "{said}");
    let (_dir, other) = file("x.pdf", "");
    fails(&db, &["import", other.to_str().unwrap()]).await;
}

/// As a machine has it on which only the database is set.
#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_without_hours_has_those_of_the_daemon() {
    let db = TestDb::new().await;
    let client = db.client().await;
    let (_dir, path) = file("spring.csv", &rows(1));
    let path = path.to_str().unwrap();
    succeeds(&db, &["import", path]).await;
    let sql = "insert into punctual.settings (campaign_timezone, campaign_hours) values ('Europe/Berlin', 'sat 10:00-12:00')";
    execute(&client, sql).await;
    succeeds(&db, &["import", path, "--name", "summer"]).await;
    for (name, timezone, hours) in [
        ("spring", "America/Los_Angeles", "mon-fri 09:00-20:00"),
        ("summer", "Europe/Berlin", "sat 10:00-12:00"),
    ] {
        let status = json(&db, &["status", name]).await;
        assert_eq!(status["timezone"], timezone);
        assert_eq!(status["hours"], hours);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_rows_of_which_a_hundredth_is_bad() {
    const ROWS: usize = 100_000;
    let db = TestDb::new().await;
    let client = db.client().await;
    let mut text = "customer_name,phone_number,content\n".to_owned();
    for i in 0..ROWS {
        let number = if i % 100 == 0 { "0" } else { "+1202" };
        let _ = writeln!(
            text,
            "Customer {i},{number}{:07},\"Hi,\nyou\"",
            5_550_000 + i
        );
    }
    let (_dir, path) = file("big.csv", &text);
    let path = path.to_str().unwrap();
    fails(&db, &["import", path]).await;
    assert_eq!(count(&client, "punctual.campaign_messages").await, 0);
    let done = json(&db, &["import", path, "--skip-bad"]).await;
    assert_eq!(done["imported"], 99_000);
    let faults = done["faults"].as_array().unwrap();
    assert_eq!(faults.len(), 1_000);
    // Each row has two lines, after the first.
    assert_eq!(faults[1]["line"], 202);
    assert_eq!(count(&client, "punctual.campaign_messages").await, 99_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_approved_is_scheduled_as_the_preview_shows_it() {
    const ROWS: usize = 346;
    let db = TestDb::new().await;
    let client = db.client().await;
    let (_dir, path) = file("spring.csv", &rows(ROWS));
    succeeds(
        &db,
        &[
            "import",
            path.to_str().unwrap(),
            "--seed",
            "7",
            "--from",
            "+12025550100",
        ],
    )
    .await;
    let said = fails(&db, &["preview", "spring"]).await;
    assert!(
        said.contains("no message of \"spring\" is approved"),
        "{said}"
    );
    fails(&db, &["schedule", "spring"]).await;
    succeeds(
        &db,
        &["approve", "spring", "--rows", "1-340", "--by", "ann"],
    )
    .await;
    succeeds(&db, &["reject", "spring", "--search", "Customer 11"]).await;
    let approved = count(&client, "punctual.campaign_messages where status = 'APR'").await;
    // 11, and 110 to 119.
    assert_eq!(approved, 329);

    let begin = ["--at", "2031-11-07 14:31"];
    let lines = succeeds(&db, &[&["preview", "spring"][..], &begin].concat()).await;
    let first = "[1/329]   Customer 0          | +12025550000   | 11/07 02:31 PM | +";
    assert!(lines.starts_with(first), "{lines}");
    assert!(
        lines.contains("m | 2 bubbles\n") && lines.contains("m | 1 bubble\n"),
        "{lines}"
    );
    assert!(lines.contains("\n    [SKIP] Adding extra 1"), "{lines}");
    assert!(
        lines.contains("\nCampaign Duration: ") && lines.contains("nights paused"),
        "{lines}"
    );
    // One segment each bubble.
    assert!(lines.contains("\nSegments: 440, at most "), "{lines}");
    let unknown =
        "Not known: how fast the provider sends for this sender; the daily cap of the sender";
    assert!(lines.contains(unknown), "{lines}");
    assert_eq!(count(&client, "scheduled_messages").await, 0);
    let preview = json(&db, &[&["preview", "spring"][..], &begin].concat()).await;
    assert_eq!(preview["scheduled"], false);
    estimates(&db, &client, &preview).await;
    assert_eq!(count(&client, "scheduled_messages").await, 0);
    assert_eq!(count(&client, "punctual.paces").await, 0);

    let scheduled = json(&db, &[&["schedule", "spring"][..], &begin].concat()).await;
    assert_eq!(planned(&scheduled), planned(&preview));
    // What is in the table is the plan: by id, number, text, sender, campaign, time and order.
    let sql = "select m.id::text, to_char(m.scheduled_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') as due,
                      m.to_number, m.body = c.content and m.from_number = '+12025550100' and m.status = 'pending' as is_so
                 from scheduled_messages m
                 join punctual.campaign_messages c on c.message_id = m.id and c.campaign_id = m.campaign_id
                order by m.id";
    let written = client.query(sql, &[]).await.unwrap();
    assert_eq!(written.len(), 329);
    for (row, shown) in written
        .iter()
        .zip(scheduled["messages"].as_array().unwrap())
    {
        assert_eq!(row.get::<_, &str>(0), shown["id"]);
        assert_eq!(row.get::<_, &str>(1), shown["scheduled_at"]);
        assert_eq!(row.get::<_, &str>(2), shown["phone_number"]);
        assert!(row.get::<_, bool>(3));
    }
    let pace = "select format('%s %s %s %s', gap_min, gap_max, seed, position) from punctual.paces";
    let pace: String = client.query_one(pace, &[]).await.unwrap().get(0);
    assert_eq!(pace, "00:04:00 00:06:59 7 0");
    let said = fails(&db, &["schedule", "spring"]).await;
    assert!(said.contains("waits to be scheduled"), "{said}");

    // What is approved later goes on where that ends, as one plan would.
    succeeds(&db, &["approve", "spring", "--all"]).await;
    let more = json(&db, &["schedule", "spring"]).await;
    let more = planned(&more);
    assert_eq!(more.len(), 6);
    assert!(more[0]["scheduled_at"].as_str() > preview["last_at"].as_str());
    let status = json(&db, &["status", "spring"]).await;
    assert_eq!(status["state"], "scheduled");
    let counts = status["messages"].as_array().unwrap().iter();
    let counts: BTreeSet<(&str, i64)> = counts
        .map(|c| {
            (
                c["status"].as_str().unwrap(),
                c["messages"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(counts, BTreeSet::from([("REJ", 11), ("SCH", 335)]));
    let said = succeeds(&db, &["status"]).await;
    assert!(said.contains("scheduled spring"), "{said}");
    reports(&db, &client).await;
}

/// What the campaign of the test above has come to, once one of its messages has failed.
async fn reports(db: &TestDb, client: &Client) {
    execute(
        client,
        "set session_replication_role = replica;
         update scheduled_messages set status = 'failed', error_message = 'no such number' where to_number = '+12025550001'",
    )
    .await;
    let report = json(db, &["report", "spring"]).await;
    let figures = [
        "messages", "waiting", "sent", "failed", "segments", "replied",
    ];
    let figures = figures.map(|name| report[name].as_i64().unwrap());
    assert_eq!(figures, [346, 334, 0, 1, 0, 0], "{report}");
    assert_eq!(report["reasons"][0]["reason"], "no such number");
    let said = succeeds(db, &["report", "spring"]).await;
    assert!(said.contains("  failed      1: no such number\n"), "{said}");
}

/// What the rate of the sender, and its daily cap, would do to the plan; nothing is written.
async fn estimates(db: &TestDb, client: &Client, preview: &Value) {
    let begin = ["--at", "2031-11-07 14:31", "--daily-cap", "80"];
    let args = [&["preview", "spring"][..], &begin].concat();
    let estimate = &json(db, &args).await["estimate"];
    assert_eq!(estimate["segments"], preview["estimate"]["segments"]);
    let over = estimate["days_over_cap"].as_array().unwrap();
    assert!(!over.is_empty(), "{estimate}");
    assert!(over.iter().all(|day| day["segments"].as_i64() > Some(80)));
    // By the console.
    assert_eq!(estimate["provider_queue_s"], Value::Null);
    assert_eq!(estimate["last_at_rate"], Value::Null);
    // A segment in ten minutes is less than the plan wants.
    let slow = "insert into punctual.paces (scope, what, gap_min, gap_max) values ('sender', '+12025550100', '10 min', '10 min')";
    execute(client, slow).await;
    let said = succeeds(db, &args).await;
    for says in [
        "a rate of one segment every 10m, 1 at once: too low, the last is sent at ",
        "Over the cap of 80 segments, beyond which carriers may refuse: ",
    ] {
        assert!(said.contains(says), "no {says:?} in\n{said}");
    }
    let slow = &json(db, &args).await["estimate"];
    assert!(
        slow["last_at_rate"].as_str() > preview["last_at"].as_str(),
        "{slow}"
    );
    execute(client, "delete from punctual.paces").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_is_paused_moved_and_cancelled_and_a_change_of_one_leaves_the_rest() {
    let db = TestDb::new().await;
    let client = db.client().await;
    let (_dir, path) = file("spring.csv", &rows(12));
    let hours = [
        "--hours",
        "mon-sun 09:00-17:00",
        "--timezone",
        "UTC",
        "--skip-chance",
        "0",
    ];
    let import = [&["import", path.to_str().unwrap()][..], &hours].concat();
    succeeds(&db, &import).await;
    succeeds(&db, &["approve", "spring", "--all"]).await;
    succeeds(&db, &["schedule", "spring", "--at", "2031-11-03 16:30"]).await;
    let times = async || -> Vec<String> {
        let sql = "select to_char(scheduled_at at time zone 'UTC', 'DD HH24:MI:SS.US') from scheduled_messages order by id";
        let rows = client.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    let before = times().await;
    // A number fixed, a text changed, one removed: by the app, as before.
    execute(
        &client,
        "update scheduled_messages set to_number = '+12025550188' where to_number = '+12025550003';
         update scheduled_messages set body = 'changed' where to_number = '+12025550004';
         update scheduled_messages set status = 'cancelled' where to_number = '+12025550005'",
    )
    .await;
    assert_eq!(times().await, before);

    let said = succeeds(&db, &["pause", "spring", "--why", "wrong text"]).await;
    assert!(said.contains("is paused"), "{said}");
    assert_eq!(json(&db, &["status", "spring"]).await["state"], "paused");
    let said = succeeds(&db, &["reschedule", "spring", "--by", "1h"]).await;
    assert!(said.contains("11 messages"), "{said}");
    let after = times().await;
    // 16:30 and an hour of open time are 9:30 of the next day; the one that was cancelled stays.
    assert!(after[0].starts_with("04 09:30:00"), "{after:?}");
    assert_eq!(after[5], before[5]);
    let moved: Vec<&String> = after
        .iter()
        .enumerate()
        .filter(|(n, _)| *n != 5)
        .map(|(_, at)| at)
        .collect();
    assert!(
        moved.is_sorted() && moved.iter().all(|at| at.starts_with("04 ")),
        "{after:?}"
    );
    let resumed = json(&db, &["resume", "spring"]).await;
    assert_eq!(resumed["state"], "scheduled");
    fails(&db, &["resume", "spring"]).await;

    let said = fails(&db, &["cancel", "spring"]).await;
    assert!(said.contains("would cancel 11 messages"), "{said}");
    succeeds(&db, &["cancel", "spring", "--yes", "--by", "ann"]).await;
    assert_eq!(
        count(&client, "scheduled_messages where status = 'cancelled'").await,
        12
    );
    let reasons = "scheduled_messages where cancel_reason = 'cancelled with its campaign by ann'";
    assert_eq!(count(&client, reasons).await, 11);
    for act in [
        &["schedule", "spring"][..],
        &["approve", "spring", "--all"],
        &["reschedule", "spring", "--by", "1h"],
    ] {
        let said = fails(&db, act).await;
        assert!(
            said.contains("cancelled") || said.contains("approved"),
            "{said}"
        );
    }
    assert_eq!(json(&db, &["status", "spring"]).await["state"], "cancelled");
    let said = fails(&db, &["status", "autumn"]).await;
    assert!(said.contains("there is no campaign \"autumn\""), "{said}");
}
