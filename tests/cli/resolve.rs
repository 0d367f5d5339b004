//! `punctual resolve`: a manual decision, and what row and attempts are afterwards.

use tokio_postgres::Client;

use crate::database::{ask, execute};
use crate::harness::TestDb;

const ID: &str = "00000000-0000-0000-0000-000000000001";
const SID: &str = "SM0123456789abcdef0123456789abcdef";

/// One unconfirmed message, of two attempts with uncertain outcomes.
async fn in_doubt() -> (TestDb, Client) {
    let db = TestDb::new().await;
    let client = db.client().await;
    execute(
        &client,
        &format!(
            "set session_replication_role = replica;
             insert into scheduled_messages (id, to_number, from_number, body, scheduled_at, status, attempts)
             values ('{ID}', '+12025550177', '+15005550006', 'a secret text', now() - interval '2 h', 'unconfirmed', 2);
             insert into punctual.attempts (token, message_id, number, instance, lease_until, outcome,
                                            next_lookup_at, lookup_to, lookup_text)
             select gen_random_uuid(), '{ID}', n, gen_random_uuid(), now(), 'unknown', now(), '+12025550177', 'x'
               from generate_series(1, 2) n;
             set session_replication_role = default"
        ),
    )
    .await;
    (db, client)
}

async fn text(client: &Client, sql: &str) -> String {
    let row = client.query_one(sql, &[]).await.unwrap();
    row.get::<_, Option<String>>(0).unwrap_or_default()
}

const ROW: &str = "select concat_ws(' ', status, twilio_sid, error_message, cancel_reason,
                           case when requeued_at is not null then 'requeued' end)
                     from scheduled_messages";
const ATTEMPTS: &str = "select string_agg(concat_ws(' ', outcome, provider_sid, settled_by,
                               case when next_lookup_at is not null then 'asked' end,
                               case when lookup_to is not null then 'kept' end), ', ' order by number)
                          from punctual.attempts";
const MESSAGES: &str =
    "select string_agg(concat_ws(' ', status, twilio_sid, to_number), ', ') from messages";

async fn check(args: &[&str], row: &str, attempts: &str, messages: &str) {
    let (db, client) = in_doubt().await;
    let all = [&["resolve", ID, "--by", "Ada"], args].concat();
    let (said, code) = ask(&db, &all).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(
        !said.contains("secret") && !said.contains("5550177"),
        "{said}"
    );
    assert_eq!(text(&client, ROW).await, row, "{args:?}");
    assert_eq!(text(&client, ATTEMPTS).await, attempts, "{args:?}");
    assert_eq!(text(&client, MESSAGES).await, messages, "{args:?}");
    // A word is said once.
    let (said, code) = ask(&db, &all).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("not unconfirmed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manual_decision_is_done_and_noted() {
    let doubt = "unknown asked kept";
    check(
        &["--sent", SID],
        &format!("sent {SID}"),
        &format!("{doubt}, accepted {SID} person: Ada asked"),
        &format!("sent {SID} +12025550177"),
    )
    .await;
    for sid in [
        "WH0123456789abcdef0123456789abcdef",
        "eu:262011234567890:255-0:0123456789abcdef0123456789abcdef",
    ] {
        check(
            &["--sent", sid],
            &format!("sent {sid}"),
            &format!("{doubt}, accepted {sid} person: Ada asked"),
            &format!("sent {sid} +12025550177"),
        )
        .await;
    }
    check(
        &["--sent"],
        "sent",
        &format!("{doubt}, accepted person: Ada"),
        "sent +12025550177",
    )
    .await;
    let settled = "unknown person: Ada asked kept";
    check(
        &["--resend"],
        "pending sent again by decision of Ada requeued",
        &format!("{settled}, {settled}"),
        "",
    )
    .await;
    let reason = "cancelled by Ada while unconfirmed: it may have been sent";
    check(
        &["--cancel"],
        &format!("cancelled {reason} {reason}"),
        &format!("{settled}, {settled}"),
        "",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_has_settled_may_be_put_back() {
    let (db, client) = in_doubt().await;
    let (said, code) = ask(&db, &["resolve", ID, "--cancel", "--json"]).await;
    assert_eq!(code, Some(0), "{said}");
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&json["id"], &json["status"]),
        (&ID.into(), &"cancelled".into())
    );
    execute(&client, "update scheduled_messages set status = 'pending'").await;
    assert_eq!(
        text(&client, "select status from scheduled_messages").await,
        "pending"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_said() {
    let (db, client) = in_doubt().await;
    let other = ID.replace('1', "2");
    execute(
        &client,
        &format!(
            "insert into punctual.attempts (token, message_id, number, instance, lease_until, outcome, provider_sid)
             values (gen_random_uuid(), '{other}', 1, gen_random_uuid(), now(), 'accepted', '{SID}')"
        ),
    )
    .await;
    for (args, code, says) in [
        (vec![ID], 64, "--sent"),
        (vec![ID, "--sent", "--cancel"], 64, "cannot be used with"),
        (vec![ID, "--sent", "SM1"], 64, "32 hexadecimal digits"),
        (vec!["1", "--cancel"], 64, "the beginning of it"),
        (vec![&other, "--cancel"], 1, "no message"),
        (vec![ID, "--sent", SID], 1, "belongs to another message"),
    ] {
        let args = [vec!["resolve"], args].concat();
        let (said, got) = ask(&db, &args).await;
        assert_eq!(got, Some(code), "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
    }
    let status = text(&client, "select status from scheduled_messages").await;
    assert_eq!(status, "unconfirmed");
}

#[tokio::test]
async fn a_number_is_forgotten_once_nothing_to_it_is_uncertain() {
    let (db, client) = in_doubt().await;
    let opt_out =
        "insert into punctual.suppressions (their_number, reason) values ('+12025550177', 'STOP')";
    execute(&client, opt_out).await;
    let record = [
        "consent",
        "record",
        "+12025550177",
        "--how",
        "paper form",
        "--shown",
        "I, \"Ada\", agree",
        "--at",
        "1h ago",
    ];
    let (said, code) = ask(&db, &record).await;
    assert_eq!(
        (code, said.trim()),
        (Some(0), "recorded as 2"),
        "after the opt-out"
    );
    let (said, code) = ask(&db, &[&record[..], &["--scope", "fun"]].concat()).await;
    assert_eq!(code, Some(64), "{said}");
    let (said, _) = ask(&db, &["consent", "export"]).await;
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines[0].starts_with("id,recipient,user_id,is_given,scope"),
        "{said}"
    );
    assert!(
        lines[1].starts_with("1,+12025550177,,false,all,,STOP,,"),
        "{said}"
    );
    let consent = "2,+12025550177,,true,marketing,,paper form,\"I, \"\"Ada\"\", agree\",";
    assert!(lines[2].starts_with(consent), "{said}");
    let (said, code) = ask(&db, &["forget", "177"]).await;
    assert_eq!(code, Some(64), "{said}");
    let (said, code) = ask(&db, &["forget", "+1 (202) 555-0177"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("cancel or settle them") && said.contains(ID),
        "{said}"
    );

    let (said, code) = ask(&db, &["resolve", ID, "--by", "Ada", "--cancel"]).await;
    assert_eq!(code, Some(0), "{said}");
    let (said, code) = ask(&db, &["forget", "+1 (202) 555-0177", "--app-tables"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        said.trim(),
        "1 message blanked; 0 rows of the app's tables blanked; 1 opt-out still obeyed"
    );
    let kept = "select concat_ws(' ', (select string_agg(to_number || body, '') from scheduled_messages),
                                      (select string_agg(left(their_number, 1), ' ') from punctual.suppressions))";
    assert_eq!(text(&client, kept).await, " #");
    let (said, _) = ask(
        &db,
        &["consent", "export", "--to", "(1) 202 5550177", "--json"],
    )
    .await;
    let left: Vec<serde_json::Value> = serde_json::from_str(&said).unwrap();
    assert_eq!(left.len(), 2, "{said}");
    assert_eq!(left[1]["how"], "paper form");
    assert!(!said.contains("5550177"), "{said}");
}
