//! Commands that look into a database.

use std::process::Output;

use tokio_postgres::Client;

use crate::harness::{TestDb, cluster};

const ID: &str = "00000000-0000-0000-0000-000000000001";

/// What it printed and its exit code.
pub(crate) async fn ask(db: &TestDb, args: &[&str]) -> (String, Option<i32>) {
    let name = db.dsn().to_string();
    let url = cluster().url(name.rsplit_once('/').unwrap().1);
    let env = [
        ("DATABASE_URL", url.as_str()),
        ("PUNCTUAL_PROVIDER", "console"),
        ("TWILIO_PHONE_NUMBER", "+12025550100"),
    ];
    let mut command = super::punctual(args, &env);
    let run = tokio::task::spawn_blocking(move || command.output().unwrap());
    let Output {
        status,
        stdout,
        stderr,
    } = run.await.unwrap();
    let said = [stdout, stderr].concat();
    (String::from_utf8(said).unwrap(), status.code())
}

pub(crate) async fn execute(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn why_shows_row_attempts_and_outbox_but_not_text_or_number() {
    let db = TestDb::new().await;
    let client = db.client().await;
    execute(
        &client,
        &format!(
            "insert into scheduled_messages (id, to_number, body, scheduled_at, status)
             values ('{ID}', '+12025550177', 'a secret text', now(), 'sent');
             insert into punctual.attempts (token, message_id, number, instance, lease_until,
                                            started_at, finished_at, outcome, provider_sid)
             values (gen_random_uuid(), '{ID}', 1, gen_random_uuid(), now(), now(), now(),
                     'accepted', 'SM0123');
             insert into punctual.outbox (message_id, write, last_error)
             values ('{ID}', '{{}}', 'the app said no');"
        ),
    )
    .await;
    let (said, code) = ask(&db, &["why", ID]).await;
    assert_eq!(code, Some(0), "{said}");
    for words in [
        "status        sent",
        "13 characters, 1 segment (GSM-7)",
        "attempt 1: accepted",
        "SM0123",
        "the app said no",
        "next retry",
    ] {
        assert!(said.contains(words), "no {words:?} in\n{said}");
    }
    assert!(
        !said.contains("secret") && !said.contains("5550177"),
        "{said}"
    );
    let (json, _) = ask(&db, &["why", ID, "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["row"]["status"], "sent");
    assert_eq!(json["row"]["segments"]["encoding"], "GSM-7");
    assert_eq!(json["row"]["segments"]["count"], 1);
    assert_eq!(json["attempts"][0]["outcome"], "accepted");

    let other = ID.replace('1', "2");
    let (said, code) = ask(&db, &["why", &other]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no message"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_what_a_server_without_the_schema_lacks() {
    let db = TestDb::empty().await;
    let (said, code) = ask(&db, &["doctor"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("punctual migrate"), "{said}");
    let unreachable = [("DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/x")];
    let out = super::punctual(&["doctor"], &unreachable).output().unwrap();
    let said = String::from_utf8(out.stdout).unwrap();
    assert!(
        said.contains("127.0.0.1:1/x") && !said.contains("hunter2"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn migrate_says_what_it_did_and_shows_a_terminal_what_it_is_at() {
    let db = TestDb::empty().await;
    let (json, code) = ask(&db, &["migrate", "--json"]).await;
    assert_eq!(code, Some(0), "{json}");
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(report["applied"].as_array().unwrap().len() >= 5, "{json}");
    let (again, _) = ask(&db, &["migrate"]).await;
    assert_eq!(again, "nothing to do: the schema is up to date\n");

    // A terminal of our own, where the machine has the tool that makes one.
    let db = TestDb::empty().await;
    let name = db.dsn().to_string();
    let url = cluster().url(name.rsplit_once('/').unwrap().1);
    let line = format!("{} migrate", env!("CARGO_BIN_EXE_punctual"));
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &line, "/dev/null"]);
    script.env("DATABASE_URL", url).env("TERM", "xterm");
    let ended = tokio::task::spawn_blocking(move || script.output());
    let Ok(ended) = ended.await.unwrap() else {
        eprintln!("there is no script here: the terminal was not tried");
        return;
    };
    let shown = String::from_utf8(ended.stdout).unwrap();
    assert!(
        shown.contains(" of ") && shown.contains(": migrations/2"),
        "{shown:?}"
    );
    assert!(shown.contains("applied "), "{shown:?}");
}

/// Tables that an app had before.
const APPS: &str = "create table scheduled_messages (
    id uuid primary key default gen_random_uuid(), to_number text not null, body text not null,
    scheduled_at timestamptz not null, status text not null default 'pending' check (status in ('pending', 'sent')));
    create table user_sms_preferences (user_id uuid primary key, timezone text default 'America/Los_Angeles')";

/// The file that the Supabase CLI applies is all that a database needs.
#[tokio::test(flavor = "multi_thread")]
async fn migrate_writes_a_migration_after_which_there_is_nothing_to_do() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("supabase/migrations");
    let write = || ["migrate", "--supabase", dir.to_str().unwrap()];
    super::check(
        &write(),
        &[],
        1,
        "name the directory of the project's migrations",
    );
    std::fs::create_dir_all(&dir).unwrap();
    super::check(&write(), &[], 0, "_punctual.sql");
    super::check(&write(), &[], 0, "nothing to do");
    let files: Vec<_> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let [file] = files.as_slice() else {
        panic!("{files:?}");
    };
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(
        name.len() == 14 + "_punctual.sql".len()
            && name.as_bytes()[..14].iter().all(u8::is_ascii_digit),
        "{name}"
    );
    let text = std::fs::read_to_string(file).unwrap();

    for (before, zone) in [
        ("select 1", None),
        (APPS, Some("'America/Los_Angeles'::text")),
    ] {
        let db = TestDb::empty().await;
        let client = db.client().await;
        execute(&client, before).await;
        execute(&client, &text).await;
        let (said, code) = ask(&db, &["migrate"]).await;
        assert_eq!(
            (said.as_str(), code),
            ("nothing to do: the schema is up to date\n", Some(0))
        );
        let (said, _) = ask(&db, &["doctor", "--json"]).await;
        let found: serde_json::Value =
            serde_json::from_str(&said[..=said.rfind(']').unwrap()]).unwrap();
        for what in ["schema", "triggers", "indexes", "sending path"] {
            let finding = found
                .as_array()
                .unwrap()
                .iter()
                .find(|finding| finding["what"] == what);
            assert_eq!(finding.unwrap()["level"], "ok", "{what}: {said}");
        }
        // A user without a zone of their own has the installation's, unless the app says otherwise.
        let default = "select column_default from information_schema.columns
             where table_name = 'user_sms_preferences' and column_name = 'timezone'";
        let row = client.query_one(default, &[]).await.unwrap();
        assert_eq!(row.get::<_, Option<String>>(0).as_deref(), zone);
        // Again, as after a reset in which another file came before.
        execute(&client, &text).await;
        let (said, _) = ask(&db, &["migrate"]).await;
        assert_eq!(said, "nothing to do: the schema is up to date\n");
    }

    // Of another version: that one stays, for it has been applied.
    std::fs::write(file, "-- another version").unwrap();
    std::fs::rename(file, dir.join("20260101000000_punctual.sql")).unwrap();
    super::check(&write(), &[], 0, "wrote ");
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 2);
    super::check(
        &write(),
        &[("PUNCTUAL_SCHEMA", "a'b")],
        64,
        "PUNCTUAL_SCHEMA",
    );
}
