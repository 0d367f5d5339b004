//! `list`, `stats`, and acts on many messages.

use serde_json::Value;

use crate::database::{ask, execute};
use crate::harness::TestDb;

const USER: &str = "00000000-0000-0000-0000-00000000000a";

/// Three pending messages of a user, two unconfirmed ones, one that failed, and one that was sent.
async fn messages() -> TestDb {
    let db = TestDb::new().await;
    let sql = format!(
        "set session_replication_role = replica;
         insert into scheduled_messages (id, to_number, from_number, body, scheduled_at, status, user_id)
         select ('000000' || lpad(i::text, 2, '0') || '-0000-0000-0000-000000000000')::uuid, '+1202555017' || i, '+15005550006',
                'a secret text', now() + (i - 4) * interval '1 hour',
                (array['sent', 'failed', 'unconfirmed', 'unconfirmed', 'pending', 'pending', 'pending'])[i],
                case when i > 4 then '{USER}'::uuid end
           from generate_series(1, 7) i;
         insert into punctual.attempts (token, message_id, number, instance, lease_until, outcome, category)
         select gen_random_uuid(), id, 1, gen_random_uuid(), now(),
                case status when 'failed' then 'rejected' when 'sent' then 'accepted' else 'unknown' end,
                case status when 'failed' then 'opted_out' end
           from scheduled_messages where status <> 'pending'"
    );
    execute(&db.client().await, &sql).await;
    db
}

/// The ids of a list, by the digit that distinguishes them.
async fn listed(db: &TestDb, args: &[&str]) -> String {
    let (said, code) = ask(db, &[&["list", "--json"], args].concat()).await;
    assert_eq!(code, Some(0), "{said}");
    let page: Value = serde_json::from_str(&said).unwrap();
    let rows = page["messages"].as_array().unwrap();
    rows.iter()
        .map(|row| &row["id"].as_str().unwrap()[7..8])
        .collect()
}

/// Two are unconfirmed: which?
#[tokio::test(flavor = "multi_thread")]
async fn list_and_stats_say_which_and_how_many() {
    let db = messages().await;
    for (args, ids) in [
        (&["--status", "unconfirmed"][..], "43"),
        (&["--status", "pending"], "567"),
        (&[], "7654321"),
        (&["--limit", "2"], "76"),
        (&["--status", "sent,failed"], "21"),
        (&["--from", "90m ago", "--to", "in 30m"], "43"),
        (&["--user", USER, "--to", "in 90m"], "5"),
        (&["--reason", "opted_out"], "2"),
        (&["--search", "00000006"], "6"),
        (&["--search", "+12025550173"], "3"),
    ] {
        assert_eq!(listed(&db, args).await, ids, "{args:?}");
    }
    // A variable that was not set is not a filter, and must not mean every message.
    for act in ["cancel", "list", "stats"] {
        let yes: &[&str] = if act == "cancel" { &["--yes"] } else { &[] };
        let (said, code) = ask(&db, &[&[act, "--reason", ""], yes].concat()).await;
        assert_eq!(code, Some(64), "{act}: {said}");
    }
    assert_eq!(listed(&db, &["--status", "pending"]).await, "567");
    let (said, code) = ask(&db, &["list", "--from", "in 2h", "--to", "in 1h"]).await;
    assert_eq!(code, Some(64), "{said}");
    let (said, _) = ask(&db, &["list", "--status", "failed"]).await;
    assert!(
        said.contains("00000002-") && said.contains("opted_out"),
        "{said}"
    );
    assert!(
        !said.contains("5550172") && !said.contains("secret"),
        "{said}"
    );
    let (said, _) = ask(&db, &["list", "--status", "failed", "--full"]).await;
    assert!(
        said.contains("+12025550172") && said.contains("a secret text"),
        "{said}"
    );
    let (first, _) = ask(&db, &["list", "--limit", "3", "--json"]).await;
    let first: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(
        listed(&db, &["--after", first["next"].as_str().unwrap()]).await,
        "4321"
    );
    let (said, _) = ask(&db, &["stats", "--by", "reason"]).await;
    assert!(said.contains("opted_out  1: 1 failed"), "{said}");
    let (said, _) = ask(&db, &["stats", "--user", USER, "--from", "now", "--json"]).await;
    let stats: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(stats["counts"][0]["messages"], 3, "{said}");
    for (args, says) in [
        (&["list", "--status", "done"][..], "pending, sending"),
        (&["list", "--from", "yesterday"], "cannot read"),
        (&["list", "--search", "x"], "the beginning of it"),
        (&["list", "--reason", "Opted out"], "opted_out"),
        (&["list", "--after", "x"], "cursor"),
        (
            &["stats", "--by", "week"],
            "10s, minute, 15min, hour, day, status and reason",
        ),
    ] {
        let (said, code) = ask(&db, args).await;
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains(says), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_changed_after_a_preview_or_with_yes() {
    let db = messages().await;
    let client = db.client().await;
    let status = async |n: usize| -> String {
        let sql = "select status from scheduled_messages order by id offset $1 limit 1";
        let at = i64::try_from(n - 1).unwrap();
        client.query_one(sql, &[&at]).await.unwrap().get(0)
    };
    let (said, code) = ask(&db, &["cancel", "--user", USER]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("this would cancel 3 messages; to do it: --yes")
            && said.contains("00000005-"),
        "{said}"
    );
    assert!(!said.contains("+1202555017"), "{said}");
    assert_eq!(status(5).await, "pending");
    let (said, code) = ask(
        &db,
        &[
            "reschedule",
            "--user",
            USER,
            "--later",
            "1h",
            "--yes",
            "--json",
        ],
    )
    .await;
    assert_eq!(code, Some(0), "{said}");
    let done: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&done["changed"], &done["skipped"]), (&3.into(), &0.into()));
    let (said, _) = ask(&db, &["cancel", "--user", USER, "--yes"]).await;
    assert_eq!(said, "3 messages cancelled\n");
    assert_eq!(status(5).await, "cancelled");
    let (said, code) = ask(&db, &["cancel", "--user", USER, "--yes"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no messages that are pending"), "{said}");
    let (said, code) = ask(&db, &["retry", "--reason", "opted_out", "--yes"]).await;
    assert_eq!((&*said, code), ("1 message set back to pending\n", Some(0)));
    assert_eq!(status(2).await, "pending");
    // By the beginning of an id, if it is that of one message.
    let (said, code) = ask(&db, &["resolve", "000000", "--cancel"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("7 messages match") && said.contains("00000003-"),
        "{said}"
    );
    let (said, code) = ask(&db, &["resolve", "00000003", "--cancel", "--by", "Ada"]).await;
    assert_eq!(code, Some(0), "{said}");
    let (said, code) = ask(&db, &["resolve", "--from", "2h ago", "--resend", "--yes"]).await;
    assert_eq!((&*said, code), ("1 message resolved\n", Some(0)));
    assert_eq!(
        (&*status(3).await, &*status(4).await),
        ("cancelled", "pending")
    );
    for (args, says) in [
        (&["cancel"][..], "required"),
        (
            &["cancel", "00000003", "--user", USER],
            "cannot be used with",
        ),
        (
            &["cancel", "--status", "sent"],
            "applies to messages that are pending",
        ),
        (&["reschedule", "--user", USER], "--at"),
        (
            &[
                "resolve",
                "--status",
                "unconfirmed",
                "--sent",
                "SM0123456789abcdef0123456789abcdef",
            ],
            "of one message",
        ),
    ] {
        let (said, code) = ask(&db, args).await;
        assert_eq!(code, Some(64), "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
    }
}
