//! What people without an app do to the table, and what it answers.

use serde_json::Value;
use tokio_postgres::Client;

use crate::database::{ask, execute};
use crate::harness::TestDb;

const TO: &str = "+12025550177";

/// Schedules a message and reads its row back, as JSON.
async fn scheduled(db: &TestDb, client: &Client, args: &[&str]) -> Value {
    let out = ask(db, &[&["schedule", "--to", TO, "--json"], args].concat()).await;
    assert_eq!(out.1, Some(0), "{}", out.0);
    let out: Value = serde_json::from_str(&out.0).unwrap();
    let sql = "select to_jsonb(m)::text from scheduled_messages m where id::text = $1";
    let id = out["id"].as_str().unwrap();
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
async fn an_email_is_scheduled_with_its_subject_and_sender() {
    let db = TestDb::new().await;
    let client = db.client().await;
    let email = [
        "schedule",
        "--channel",
        "email",
        "--body",
        "x",
        "--at",
        "in 1h",
    ];
    let args = [
        "--to",
        "ada@example.com",
        "--subject",
        "- 5 °C",
        "--from",
        "shop@example.com",
    ];
    let out = ask(&db, &[&email[..], &args].concat()).await;
    assert_eq!(out.1, Some(0), "{}", out.0);
    let sql = "select concat_ws(' | ', to_number, from_number, subject) from scheduled_messages";
    let row: String = client.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(row, "ada@example.com | shop@example.com | - 5 °C");
    for (args, words) in [
        (["--subject", "one\ntwo"], "the subject has a line break"),
        (["--from", "ACME"], "it is not an e-mail address"),
        (
            ["--subject", &"x".repeat(256)],
            "the subject has 256 characters",
        ),
    ] {
        let to = ["--to", "ada@example.com"];
        let out = ask(&db, &[&email[..], &to, &args].concat()).await;
        assert_eq!(out.1, Some(64), "{args:?}: {}", out.0);
        assert!(out.0.contains(words), "{args:?}: {}", out.0);
    }
    let text = ["schedule", "--to", TO, "--body", "x", "--at", "in 1h"];
    for (args, words) in [
        (["--subject", "x"], "messages of the channel sms have none"),
        (["--from", "shop@example.com"], "--from"),
    ] {
        let out = ask(&db, &[&text[..], &args].concat()).await;
        assert_eq!(out.1, Some(64), "{args:?}: {}", out.0);
        assert!(out.0.contains(words), "{args:?}: {}", out.0);
    }
    let rows = "select count(*) from scheduled_messages";
    assert_eq!(
        client.query_one(rows, &[]).await.unwrap().get::<_, i64>(0),
        1
    );
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
        (TO, [said, ["--at", "soon"]].concat(), "as a time"),
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
            "is not after the message's due time",
        ),
        (TO, [said, ahead, ["--from", "555-1234"]].concat(), "--from"),
        (
            TO,
            [said, ahead, ["--timezone", "Mars/Olympus"]].concat(),
            "Europe/Berlin",
        ),
        (TO, [said, ahead, ["--priority", "asap"]].concat(), "urgent"),
    ] {
        let (out, code) = ask(&db, &[&["schedule", "--to", to], &args[..]].concat()).await;
        assert_eq!(code, Some(64), "{args:?}: {out}");
        assert!(out.contains(words), "no {words:?} in {out}");
    }
    let sql = "select count(*) from scheduled_messages";
    let count: i64 = db.client().await.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(count, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_would_happen_and_inserts_nothing() {
    let db = TestDb::new().await;
    let client = db.client().await;
    let stopped =
        format!("insert into punctual.suppressions (their_number, reason) values ('{TO}', 'STOP')");
    execute(&client, &stopped).await;
    let common = "--body x --at 2099-01-02T09:00:00Z --dedup-key k --message-type brief";
    let common: Vec<&str> = common.split(' ').collect();
    let json = async |more: &[&str]| -> Value {
        let args = [&["schedule", "--to", TO, "--json"], &common[..], more].concat();
        let (out, code) = ask(&db, &args).await;
        assert_eq!(code, Some(0), "{out}");
        serde_json::from_str(&out).unwrap()
    };
    let count = async || -> i64 {
        let sql = "select count(*) from scheduled_messages";
        client.query_one(sql, &[]).await.unwrap().get(0)
    };
    let tried = json(&["--dry-run"]).await;
    assert_eq!((count().await, tried.get("id")), (0, None), "{tried}");
    let args = [&["schedule", "--to", TO, "--dry-run"], &common[..]].concat();
    let (out, code) = ask(&db, &args).await;
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("not scheduled; it would be\n"), "{out}");
    assert!(out.contains("\n  next "), "{out}");
    // The row that is then inserted has the same forecast.
    let mut real = json(&[]).await;
    let mut tried = tried;
    for forecast in [&mut tried["forecast"], &mut real["forecast"]] {
        assert!(forecast.is_object(), "{forecast}");
        forecast.as_object_mut().unwrap().remove("as_of");
    }
    assert_eq!(tried["forecast"], real["forecast"]);
    assert!(real["forecast"].to_string().contains("opted_out"), "{real}");
    assert_eq!(count().await, 1);
    // It is read before the row is committed, as something may happen to it then.
    execute(
        &client,
        "create function cancelled_at_commit() returns trigger language plpgsql as $$
           begin update scheduled_messages set status = 'cancelled' where id = new.id; return null; end $$;
         create constraint trigger cancelled_at_commit after insert on scheduled_messages
           deferrable initially deferred for each row execute function cancelled_at_commit()",
    )
    .await;
    let once = [
        &["schedule", "--to", TO, "--json", "--dedup-key", "other"],
        &common[..4],
    ]
    .concat();
    let (out, code) = ask(&db, &once).await;
    assert_eq!(code, Some(0), "{out}");
    let gone: Value = serde_json::from_str(&out).unwrap();
    assert!(gone["forecast"].to_string().contains("opted_out"), "{gone}");
    let sql = "select status from scheduled_messages where dedup_key = 'other'";
    let status: String = client.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(status, "cancelled");
    // What the table refuses is refused here too.
    let (out, code) = ask(&db, &args).await;
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("--dedup-key is still in progress"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_may_not_receive_texts_is_named_or_refused_as_the_daemon_does() {
    let db = TestDb::new().await;
    let client = db.client().await;
    let schedule = [
        "schedule",
        "--to",
        "+15551234567",
        "--body",
        "x",
        "--at",
        "in 1h",
    ];
    let (out, code) = ask(&db, &schedule).await;
    assert_eq!(code, Some(0), "{out}");
    let remark = "punctual: the provider may refuse the number: it is in no range that its country has assigned";
    assert!(out.contains(remark), "{out}");
    assert!(
        out.contains("; the provider may refuse its number"),
        "{out}"
    );
    let daemon = |validate: &str| {
        format!(
            "delete from punctual.instances;
             insert into punctual.instances (id, version, program, state) values (gen_random_uuid(), 'x', 2, jsonb_build_object(
               'rules', '{{\"in_doubt\": \"hold\", \"timezone\": \"UTC\", \"hours_by_type\": \"none\", \"validate\": \"{validate}\"}}'::jsonb))"
        )
    };
    execute(&client, &daemon("refuse")).await;
    let (out, code) = ask(&db, &schedule).await;
    assert_eq!(code, Some(64), "{out}");
    assert!(
        out.contains("PUNCTUAL_VALIDATE=refuse sends nothing"),
        "{out}"
    );
    let fine = [&schedule[..2], &[TO], &schedule[3..]].concat();
    let (out, code) = ask(&db, &fine).await;
    assert_eq!(
        (code, out.contains("may refuse")),
        (Some(0), false),
        "{out}"
    );
    execute(&client, &daemon("warn")).await;
    let (out, code) = ask(&db, &schedule).await;
    assert_eq!((code, out.contains(remark)), (Some(0), true), "{out}");
    // What a guard of the daemon's refuses.
    let guards = r#"{"countries": ["US"], "is_by_senders": true, "premium": "refuse"}"#;
    let guarded = format!(
        "update punctual.instances set state = jsonb_set(state, '{{rules,guards}}', '{guards}'::jsonb)"
    );
    execute(&client, &guarded).await;
    for (to, why) in [
        (
            "+4915112345678",
            "it is in DE, and this installation sends to US",
        ),
        (
            "+19005550100",
            "PUNCTUAL_PREMIUM=send sends it all the same",
        ),
    ] {
        let (out, code) = ask(&db, &[&schedule[..2], &[to], &schedule[3..]].concat()).await;
        assert_eq!((code, out.contains(why)), (Some(64), true), "{out}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_has_passed_is_taken_if_that_is_meant_and_a_gap_is_reported() {
    let db = TestDb::new().await;
    let base = ["schedule", "--to", TO, "--body", "x", "--at"];
    let past = [&base[..], &["2026-01-02 09:00", "--past-ok"]].concat();
    let (out, code) = ask(&db, &past).await;
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains(" ago"), "{out}");
    let gap = ["2099-03-29 02:30", "--timezone", "Europe/Berlin"];
    let (out, code) = ask(&db, &[&base[..], &gap].concat()).await;
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("does not exist in Europe/Berlin"), "{out}");
    assert!(out.contains("Sun 2099-03-29 03:30:00 +02:00"), "{out}");
}

/// Templates as an app may have them.
const TEMPLATES: &str = r#"
    insert into sms_templates (id, template_key, name, message_template, required_vars, max_length, is_active) values
      ('00000000-0000-0000-0000-00000000000a', 'appointment', 'Appointment', 'Hi {{ name }}, see you at {{time}}{{where}}.', '["name", "time"]', 40, true),
      ('00000000-0000-0000-0000-00000000000b', 'old', 'Old', 'Hi', '[]', 160, false),
      ('00000000-0000-0000-0000-00000000000c', 'open', 'Open', 'Hi {{name', '[]', 160, true),
      ('00000000-0000-0000-0000-00000000000d', 'blank', 'Blank', '{{name}}', '["code"]', 160, true),
      ('00000000-0000-0000-0000-00000000000e', 'long', 'Long', '{{name}}', '[]', null, true)"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_scheduled_with_its_variables_and_shown_as_it_will_be_read() {
    let db = TestDb::new().await;
    let client = db.client().await;
    execute(&client, TEMPLATES).await;
    let vars = [
        "--var",
        "name=Ada €",
        "--var",
        "time=9:00 = nine",
        "--at",
        "in 1h",
    ];
    for named in ["appointment", "00000000-0000-0000-0000-00000000000A"] {
        let args = [&["schedule", "--to", TO, "--template", named][..], &vars].concat();
        let (out, code) = ask(&db, &args).await;
        assert_eq!(code, Some(0), "{out}");
        for words in [
            "33 characters, 1 segment (GSM-7)",
            "template  appointment",
            "Hi Ada €, see you at 9:00 = nine.",
            "punctual: variable where is missing and left out of the text",
        ] {
            assert!(out.contains(words), "no {words:?} in {out}");
        }
    }
    let last =
        "select to_jsonb(m)::text from scheduled_messages m order by created_at desc limit 1";
    let row: String = client.query_one(last, &[]).await.unwrap().get(0);
    let row: Value = serde_json::from_str(&row).unwrap();
    assert_eq!(row["template_id"], "00000000-0000-0000-0000-00000000000a");
    assert_eq!(row["template_vars"]["time"], "9:00 = nine");
    assert_eq!(row["body"], "Hi Ada €, see you at 9:00 = nine.");

    let args = [
        "schedule",
        "--to",
        TO,
        "--template",
        "blank",
        "--at",
        "in 1h",
        "--json",
    ];
    let (out, code) = ask(
        &db,
        &[&args[..], &["--var", "name= x", "--var", "code=1"]].concat(),
    )
    .await;
    assert_eq!(code, Some(0), "{out}");
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&out["template"], &out["text"]),
        (&"blank".into(), &" x".into())
    );
    assert_eq!(out["segments"]["count"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_claim_would_refuse_of_a_template_is_refused_before_it_is_written() {
    let db = TestDb::new().await;
    let client = db.client().await;
    execute(&client, TEMPLATES).await;
    let long = format!("name={}", "a".repeat(1601));
    let given = ["--var", "name=Ada", "--var", "time=9:00"];
    for (template, args, words) in [
        (
            "appointmnt",
            &given[..],
            "no template \"appointmnt\"; sms_templates has appointment, blank, long, open",
        ),
        (
            "old",
            &[],
            "template old is not active: set its is_active in sms_templates, or use another",
        ),
        (
            "appointment",
            &given[..2],
            "template appointment needs the variable time: pass --var time=…",
        ),
        (
            "appointment",
            &[
                "--var",
                "name=Ada",
                "--var",
                "time=tomorrow morning at nine",
            ],
            "has 44 characters, at most 40 are allowed; use shorter values, or raise its max_length. \
          The text has 1 segment (GSM-7):\nHi Ada, see you at tomorrow morning at nine.",
        ),
        (
            "open",
            &given,
            "without its }}; correct it in sms_templates",
        ),
        (
            "blank",
            &["--var", "code=1"],
            "its text cannot be sent: it is empty",
        ),
        ("long", &["--var", &long], "it has 1601 characters"),
        (
            "appointment",
            &["--var", "name=Ada", "--var", "name=Bob"],
            "--var: name is given twice",
        ),
        ("appointment", &["--var", "Ada"], "expected NAME=VALUE"),
        ("appointment", &["--var", "a b=c"], "a name of letters"),
        ("appointment", &["--body", "x"], "cannot be used with"),
    ] {
        let base = [
            "schedule",
            "--to",
            TO,
            "--at",
            "in 1h",
            "--template",
            template,
        ];
        let (out, code) = ask(&db, &[&base[..], args].concat()).await;
        assert_eq!(code, Some(64), "{args:?}: {out}");
        assert!(out.contains(words), "no {words:?} in {out}");
    }
    for (args, words) in [
        (&["--body", "x", "--var", "a=b"][..], "--template"),
        (&[][..], "--body"),
    ] {
        let (out, code) = ask(
            &db,
            &[&["schedule", "--to", TO, "--at", "in 1h"], args].concat(),
        )
        .await;
        assert_eq!(code, Some(64), "{out}");
        assert!(out.contains(words), "{out}");
    }
    execute(&client, "drop table sms_templates cascade").await;
    let args = ["schedule", "--to", TO, "--at", "in 1h", "--template", "a"];
    let (out, code) = ask(&db, &args).await;
    assert_eq!(code, Some(64), "{out}");
    assert!(
        out.contains("sms_templates has no active template"),
        "{out}"
    );
    let count = "select count(*) from scheduled_messages";
    let count: i64 = client.query_one(count, &[]).await.unwrap().get(0);
    assert_eq!(count, 0);
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
    let (out, is) = ask(db, command).await;
    assert_eq!(is, Some(code), "{status} {command:?}: {out}");
    assert!(out.contains(says), "{status} {command:?}: {out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_and_reschedule_say_what_became_of_the_message() {
    const CANCEL: &[&str] = &["cancel", ID];
    const MOVE: &[&str] = &["reschedule", ID, "--at", "in 2h"];
    let db = TestDb::new().await;
    for (status, command, code, says) in [
        ("pending", CANCEL, 0, "cancelled"),
        ("cancelled", CANCEL, 0, "was already cancelled"),
        ("sending", CANCEL, 1, "is being sent this moment"),
        ("sent", CANCEL, 1, "was already sent"),
        ("pending", MOVE, 0, "moved to"),
        ("sending", MOVE, 1, "is being sent"),
        ("unconfirmed", MOVE, 1, "resolve it"),
        ("failed", MOVE, 1, "retry it"),
        ("sent", MOVE, 1, "was already sent"),
        ("cancelled", MOVE, 1, "set its status to 'pending'"),
        (
            "pending",
            &["reschedule", ID, "--at", "2026-01-02 09:00"],
            64,
            "--past-ok",
        ),
        ("pending", &["cancel", "1"], 64, "the beginning of it"),
    ] {
        check(&db, status, command, code, says).await;
    }
    let other = ID.replace('1', "2");
    check(&db, "pending", &["cancel", &other], 1, "no message").await;
    check(
        &db,
        "pending",
        &["reschedule", &other, "--at", "now"],
        1,
        "no message",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answers_as_json() {
    let db = TestDb::new().await;
    let client = db.client().await;
    let row = scheduled(&db, &client, &["--body", "x", "--at", "in 10m"]).await;
    let id = row["id"].as_str().unwrap();
    let (out, _) = ask(
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
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(out["scheduled_at"], "2099-01-02T08:00:00.000000Z");
    for changed in [true, false] {
        let (out, _) = ask(&db, &["cancel", id, "--json"]).await;
        let out: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(out["status"], "cancelled");
        assert_eq!(out["changed"], changed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_another_channel_has_its_own_form_of_recipient() {
    let db = TestDb::new().await;
    let client = db.client().await;
    let schedule = async |args: &[&str]| {
        let common = ["schedule", "--body", "x", "--at", "in 10m"];
        ask(&db, &[&common, args].concat()).await
    };
    for (channel, to, shown) in [
        ("email", "ada@example.com", "a•••@example.com"),
        (
            "Webhook",
            "https://hooks.example/1?token=x",
            "https://hooks.example/•••",
        ),
    ] {
        let (said, code) = schedule(&["--channel", channel, "--to", to]).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(shown) && !said.contains(to), "{said}");
        let row =
            "select channel from scheduled_messages where to_number = $1 and status = 'pending'";
        let row = client.query_one(row, &[&to]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), channel.to_lowercase());
    }
    for (args, why) in [
        (
            &["--channel", "email", "--to", TO][..],
            "it is not an e-mail address",
        ),
        (&["--to", "ada@example.com"], "it must start with +"),
        (
            &["--channel", "fax", "--to", TO],
            "expected one of sms, webhook, email, push, in_app",
        ),
        (
            &[
                "--channel",
                "webhook",
                "--to",
                "https://hooks.example/1",
                "--from",
                TO,
            ],
            "only text messages and e-mails have a sender",
        ),
    ] {
        let (said, code) = schedule(args).await;
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains(why), "{said}");
    }
}
