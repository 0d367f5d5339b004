//! `punctual doctor` against mistakes that were really made: each in a database of its own, or
//! in the settings, and the line that must name it and say what to do.

pub(crate) mod planted;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use futures_util::{StreamExt, stream};
use punctual::demo::postgres::{Options, PrivatePostgres};
use punctual::store::Migrator;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::database::execute;
use crate::harness::{TestDb, cluster, dsn, session};

/// One mistake.
#[derive(Clone, Copy, Default)]
struct Mistake {
    /// What was done to the database; `DB` is its name.
    sql: &'static str,
    /// What was set.
    env: &'static [(&'static str, &'static str)],
    args: &'static [&'static str],
    /// What it is found by, how bad it is, a word that names it, and one of what to do.
    what: &'static str,
    level: &'static str,
    says: &'static str,
    does: &'static str,
}

/// Where the journal is.
const STATE: &str = env!("CARGO_TARGET_TMPDIR");

/// Settings without a mistake.
const GOOD: &[(&str, &str)] = &[
    ("TWILIO_ACCOUNT_SID", "AC0123456789abcdef0123456789abcdef"),
    ("TWILIO_AUTH_TOKEN", "feedfacefeedfacefeedfacefeedface"),
    ("TWILIO_PHONE_NUMBER", "+12025550100"),
    ("PUNCTUAL_PUBLIC_URL", "https://punctual.example.com"),
    ("PUNCTUAL_WEBHOOK_ADDR", "127.0.0.1:8081"),
    ("PUNCTUAL_STATE_DIR", STATE),
    // Nothing listens there.
    ("PUNCTUAL_HTTP_ADDR", "127.0.0.1:1"),
];

/// What a healthy database has beside the schema: a daemon.
const BEATS: &str = concat!(
    "insert into punctual.instances (id, version, program) values (gen_random_uuid(), '",
    env!("CARGO_PKG_VERSION"),
    "', 2)"
);

const fn db(
    sql: &'static str,
    what: &'static str,
    level: &'static str,
    says: &'static str,
    does: &'static str,
) -> Mistake {
    Mistake {
        sql,
        env: &[],
        args: &[],
        what,
        level,
        says,
        does,
    }
}

const fn set(
    env: &'static [(&'static str, &'static str)],
    what: &'static str,
    level: &'static str,
    says: &'static str,
    does: &'static str,
) -> Mistake {
    Mistake {
        sql: "",
        env,
        args: &[],
        what,
        level,
        says,
        does,
    }
}

const MISTAKES: &[Mistake] = &[
    // The settings.
    set(&[("DATABASE_URL", "")], "settings", "bad", "DATABASE_URL is required", "punctual run --help"),
    set(&[("PUNCTUAL_HORZON", "1h")], "settings", "bad", "PUNCTUAL_HORZON is not a setting", "punctual run --help"),
    set(&[("TWILIO_ACCOUNT_SID", "AC123")], "provider", "warn", "not AC and 32 hexadecimal digits", "console"),
    set(&[("TWILIO_AUTH_TOKEN", "")], "settings", "bad", "TWILIO_AUTH_TOKEN is required", "punctual run --help"),
    set(&[("PUNCTUAL_PUBLIC_URL", "https://my_app.example.com")], "settings", "bad", "underscore", "punctual run --help"),
    set(&[("PUNCTUAL_PUBLIC_URL", "")], "settings", "bad", "PUNCTUAL_WEBHOOK_ADDR is set without", "set both"),
    set(&[("PUNCTUAL_LEASE", "11s")], "settings", "bad", "PUNCTUAL_LEASE is 11s, too short", "20s 50ms"),
    set(&[("PUNCTUAL_DEBUG_TOKEN", "secret")], "settings", "bad", "at least 16 letters", "openssl rand"),
    set(&[("TWILIO_PHONE_NUMBER", "")], "sender", "warn", "not set: rows", "TWILIO_SMS_FROM_NUMBER"),
    set(&[("PUNCTUAL_PROVIDER", "console")], "provider", "warn", "not delivered", "unset PUNCTUAL_PROVIDER"),
    set(&[("PUNCTUAL_PUBLIC_URL", "http://punctual.example.com")], "public url", "bad", "not https", "TLS"),
    set(&[("PUNCTUAL_PUBLIC_URL", "https://localhost:8081")], "public url", "bad", "cannot reach", "PUNCTUAL_PUBLIC_URL"),
    set(&[("PUNCTUAL_PUBLIC_URL", ""), ("PUNCTUAL_WEBHOOK_ADDR", "")], "public url", "warn", "no delivery receipts", "PUNCTUAL_PUBLIC_URL"),
    set(&[("TWILIO_ACCOUNT_SID", "+12025550100")], "settings", "bad", "TWILIO_ACCOUNT_SID is not valid", "punctual run --help"),
    set(
        &[("PUNCTUAL_STATE_DIR", "/dev/null/state")],
        "state dir",
        "bad",
        "/dev/null is not a writable directory",
        "PUNCTUAL_STATE_DIR",
    ),
    set(&[("PUNCTUAL_STATE_DIR", "")], "state dir", "warn", "no journal: PUNCTUAL_STATE_DIR, STATE_DIRECTORY", "PUNCTUAL_STATE_DIR"),
    set(&[("PUNCTUAL_STATE_DIR", ""), ("STATE_DIRECTORY", "/dev/null")], "state dir", "warn", "/dev/null is not a writable", "PUNCTUAL_STATE_DIR"),
    // The way to the database.
    set(&[("DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/x")], "database", "bad", "cannot reach 127.0.0.1:1/x: error connecting to server: Connection refused (os error 111) →", "check DATABASE_URL"),
    set(&[("DATABASE_URL", "URL?sslmode=verify-full")], "database", "bad", "no TLS", "DATABASE_URL"),
    set(&[("DATABASE_URL", "URL?pgbouncer=true")], "connection mode", "warn", "transaction-mode pooler", "port 5432"),
    db("create function no_triggers() returns event_trigger language plpgsql as $$ begin raise 'not here'; end $$; create event trigger no_triggers on ddl_command_start when tag in ('CREATE TRIGGER') execute function no_triggers()", "engine", "bad", "lacks triggers of statements with transition tables (not here)", "PostgreSQL 14 or later"),
    // Triggers, indexes, columns.
    db("drop trigger punctual_notify_insert on scheduled_messages", "triggers", "bad", "punctual_notify_insert is missing", "punctual migrate"),
    db("alter table scheduled_messages disable trigger zzz_punctual_guard_update", "triggers", "bad", "zzz_punctual_guard_update is disabled", "enable trigger zzz_punctual_guard_update"),
    db("drop trigger punctual_follow_event on task_calendar_events", "triggers", "bad", "punctual_follow_event is missing", "punctual migrate"),
    db("alter table user_sms_preferences disable trigger punctual_opted_out", "triggers", "bad", "punctual_opted_out is disabled", "alter table public.user_sms_preferences enable trigger"),
    db("alter table task_calendar_events rename to old_events; create table task_calendar_events (calendar_event_id text, user_id uuid, event_title text, event_start timestamptz, event_link text, sync_status text)", "triggers", "bad", "punctual_follow_event is missing", "punctual migrate"),
    db("update punctual.triggers set checksum = 'another version' where name like '%scheduled_messages%'", "schema", "bad", "scheduled_messages.sql", "run `punctual migrate`"),
    db("drop schema punctual cascade", "schema", "bad", "lacks its first migration", "run `punctual migrate`"),
    db("drop index scheduled_messages_due_idx", "indexes", "bad", "scheduled_messages_due_idx missing or invalid", "punctual migrate"),
    db("update pg_index set indisvalid = false where indexrelid = 'scheduled_messages_due_idx'::regclass", "indexes", "bad", "scheduled_messages_due_idx missing or invalid", "punctual migrate"),
    db("drop index scheduled_messages_user_pending_idx", "indexes", "warn", "scheduled_messages_user_pending_idx missing or invalid", "punctual migrate"),
    db("drop index scheduled_messages_event_idx; drop index scheduled_messages_open_idx", "indexes", "bad", "scheduled_messages_event_idx, scheduled_messages_open_idx missing", "punctual migrate"),
    db("drop view if exists scheduled_messages_local; alter table scheduled_messages alter timezone type int using null", "schema", "bad", "column timezone is integer", "rename column timezone"),
    db("alter table scheduled_messages add constraint old check (status in ('pending', 'sent', 'failed', 'cancelled'))", "status check", "bad", "constraint old does not allow", "drop constraint old"),
    db("alter table messages rename twilio_sid to sid", "app tables", "warn", "messages.twilio_sid missing", "outbox"),
    db("alter table user_sms_preferences drop column quiet_hours_end, drop column opted_out", "policy tables", "warn", "user_sms_preferences.opted_out is missing; user_sms_preferences.quiet_hours_end is missing", "add column quiet_hours_end time without time zone"),
    db("alter table sms_templates alter is_active drop default, alter is_active type text", "policy tables", "warn", "sms_templates.is_active is text, not boolean", "alter column is_active type boolean using is_active::boolean"),
    db("alter table task_calendar_events alter event_start type timestamp", "policy tables", "warn", "task_calendar_events.event_start is timestamp without time zone", "type timestamp with time zone"),
    db("drop table task_calendar_events", "policy tables", "warn", "table task_calendar_events is missing", "migrate --print"),
    db("alter table user_sms_preferences rename to prefs; create view user_sms_preferences as select * from prefs", "policy tables", "warn", "user_sms_preferences is not a table", "keep it as a table"),
    db("create function app_guard() returns trigger language plpgsql as $$ begin new.status := 'sent'; return new; end $$;
        create trigger app_guard before update on scheduled_messages for each row execute function app_guard()", "app triggers", "warn", "app_guard assigns new.status when a message is claimed", "leave these columns unchanged"),
    db("create function touch() returns trigger language plpgsql as $$ begin return new; end $$;
        create trigger zzzz_touch before update on scheduled_messages for each row execute function touch()", "trigger order", "warn", "zzzz_touch runs after the guard", "sorts before"),
    db("alter database DB set session_replication_role = replica", "trigger firing", "bad", "session_replication_role", "reset"),
    // Who else is there.
    db("create schema if not exists cron; create table if not exists cron.job (jobid bigint, jobname text, command text, active boolean);
        insert into cron.job values (7, 'every minute', 'select send(m) from scheduled_messages m', true)", "other senders", "warn", "job 7 (every minute)", "cron.unschedule"),
    db("create schema supabase_functions; create function supabase_functions.http_request() returns trigger language plpgsql as $$ begin return null; end $$;
        create trigger on_insert after insert on scheduled_messages for each row execute function supabase_functions.http_request()", "web hooks", "warn", "on_insert makes requests", "drop the trigger"),
    db("grant insert on scheduled_messages to anon", "who may write", "bad", "anon may INSERT", "row level security"),
    db("grant usage on schema punctual to anon", "private schema", "warn", "anon", "revoke usage"),
    // The server. The tests' own runs without these three, so as to be quick.
    db("", "fsync", "bad", "fsync off", "set both to on"),
    db("", "fsync", "bad", "full_page_writes off", "set both to on"),
    db("", "synchronous_commit", "warn", "off", "set it to on"),
    db("alter database DB set default_transaction_read_only = on", "read only", "bad", "read-only", "make room"),
    db("alter database DB connection limit 3", "connection limit", "bad", "3 connections", "raise it"),
    // The rows.
    db("delete from punctual.instances", "daemon", "warn", "no daemon is running", "punctual run"),
    db("update punctual.instances set heartbeat_at = now() - interval '1 minute'", "daemon", "warn", "no daemon is running", "punctual run"),
    db("insert into scheduled_messages (to_number, body, scheduled_at) values ('+12025550177', 'x', now() - interval '1 hour')", "overdue", "warn", "1 pending for over a minute", "punctual why"),
    db("insert into scheduled_messages (to_number, body, scheduled_at) values ('555-1234', 'x', now() + interval '1 hour')", "unsendable", "warn", "1 of the next 1,000", "PUNCTUAL_VALIDATE"),
    db("insert into scheduled_messages (to_number, body, scheduled_at) values ('+19005550100', 'x', now() + interval '1 hour')", "guards", "warn", "1 of the next 1,000 are refused by a guard", "PUNCTUAL_COUNTRIES"),
    db("with m as (insert into scheduled_messages (to_number, body, scheduled_at) values ('+19005550100', 'x', now() + interval '2 days') returning id, scheduled_at, version)
        insert into punctual.number_faults (message_id, fault, due, version) select id, 'premium', scheduled_at, version from m", "numbers", "warn", "1 pending, to numbers that may not receive texts, one of them ", "punctual.number_faults"),
    db("alter table scheduled_messages add column media_url text; insert into scheduled_messages (to_number, body, scheduled_at, media_url) values ('+12025550177', 'x', now() + interval '1 hour', 'http://example.com/a.png')", "media", "warn", "1 of the next 1,000 have media that", "correct media_urls"),
    db("alter table scheduled_messages add column media_url text", "triggers", "bad", "zzz_punctual_media is missing", "run `punctual migrate`"),
    db("insert into scheduled_messages (channel, to_number, body, scheduled_at) values ('email', 'ada@example.com', 'x', now() + interval '1 hour')", "channels", "warn", "1 of the next 1,000 are of a channel without a provider", "PUNCTUAL_PROVIDER"),
    db("set session_replication_role = replica; insert into scheduled_messages (to_number, body, scheduled_at, status) values ('+12025550177', 'x', now(), 'unconfirmed')", "in doubt", "warn", "1 unconfirmed", "the provider's log"),
    db("drop index scheduled_messages_dedup_key; insert into scheduled_messages (to_number, body, scheduled_at, dedup_key) select '+12025550177', 'x', now() + interval '1 hour', k from unnest(array['a', 'a', 'b', 'noon +12025550177', 'noon +12025550177', 'noon +12025550177']) k", "dedup_key", "warn", "not unique: 2 keys are shared by messages in progress: that of ", "cancel all but one"),
    db("drop index scheduled_messages_dedup_key", "dedup_key", "warn", "is missing", "run `punctual migrate`"),
    db("insert into scheduled_messages (to_number, body, scheduled_at, timezone) values ('+12025550177', 'x', now() + interval '1 hour', 'PST'), ('+12025550177', 'x', now() + interval '1 hour', ' Europe/Berlin ')", "zones", "warn", "not an IANA time zone: \"PST\" (1 of messages) →", "America/Los_Angeles"),
    db("insert into user_sms_preferences (user_id, timezone) values (gen_random_uuid(), 'Mars/Olympus'), (gen_random_uuid(), 'mars/olympus'), (gen_random_uuid(), 'europe/berlin')", "zones", "warn", "not an IANA time zone: \"Mars/Olympus\" (1 of users), \"mars/olympus\" (1 of users) →", "PUNCTUAL_TIMEZONE"),
    db("insert into punctual.attempts (token, message_id, number, instance, lease_until) values (gen_random_uuid(), gen_random_uuid(), 1, gen_random_uuid(), now() - interval '1 hour')", "stuck", "warn", "1 still sending", "start one"),
    db("set session_replication_role = replica;
        with m as (insert into scheduled_messages (to_number, body, scheduled_at, status, updated_at) select '+12025550177', 'x', now(), case when n < 6 then 'failed' else 'delivered' end, now() - case when n = 5 then interval '25 hours' else '0' end from generate_series(1, 7) n returning id, status, updated_at)
        insert into punctual.attempts (token, message_id, number, instance, lease_until, outcome, category, claimed_at)
        select gen_random_uuid(), id, a, gen_random_uuid(), now(), case n when 1 then 'refused' when 2 then 'accepted' else 'rejected' end, case when n > 2 then 'template' end, now() - interval '1 hour'
          from (select id, row_number() over (order by status <> 'failed', updated_at desc) as n from m) m cross join generate_series(1, 2) a;
        insert into scheduled_messages (to_number, body, scheduled_at, status) values ('+12025550177', 'x', now(), 'failed')",
       "failed", "warn", "5 in the last 24 hours: 2 template (one of them ", "`punctual why ID`"),
    db("insert into punctual.outbox (message_id, write, last_error) values (gen_random_uuid(), '{}', 'no such column')", "outbox", "warn", "1 writes refused by the app's tables, the last: no such column", "retried"),
];

/// What doctor finds: all of it, and the exit code.
async fn examine(url: &str, env: &[(&str, &str)], args: &[&str]) -> (Vec<Value>, Option<i32>) {
    let mut all = vec![("DATABASE_URL", url)];
    all.extend(GOOD);
    // Later ones win.
    all.extend(
        env.iter()
            .map(|(k, v)| (*k, *v))
            .filter(|(_, v)| !v.starts_with("URL")),
    );
    let full = env.iter().find(|(_, v)| v.starts_with("URL"));
    let full = full.map(|(k, v)| (*k, v.replacen("URL", url, 1)));
    all.extend(full.iter().map(|(k, v)| (*k, v.as_str())));
    let mut command = super::punctual(&[&["doctor", "--json"], args].concat(), &all);
    let ended = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let printed = String::from_utf8(ended.stdout).unwrap();
    let findings = serde_json::from_str(&printed).unwrap_or_else(|e| {
        panic!("{e}: {printed}{}", String::from_utf8_lossy(&ended.stderr));
    });
    (findings, ended.status.code())
}

/// What is missing; `None`: the mistake was named as it should be.
fn missed(findings: &[Value], it: &Mistake) -> Option<String> {
    let lines: Vec<String> = findings
        .iter()
        .map(|f| {
            let text = |key: &str| f[key].as_str().unwrap().to_owned();
            let (level, what) = (text("level"), text("what"));
            format!("{level} {what}: {} → {}", text("found"), text("remedy"))
        })
        .collect();
    let start = format!("{} {}: ", it.level, it.what);
    let found = lines
        .iter()
        .any(|l| l.starts_with(&start) && l.contains(it.says) && l.contains(it.does));
    (!found).then(|| {
        format!(
            "after {}{:?} no {start}… {:?} … {:?} in\n  {}\n",
            it.sql,
            it.env,
            it.says,
            it.does,
            lines
                .iter()
                .filter(|l| !l.starts_with("ok"))
                .cloned()
                .collect::<Vec<_>>()
                .join("\n  ")
        )
    })
}

fn demand(findings: &[Value], it: &Mistake) {
    let missed = missed(findings, it);
    assert!(missed.is_none(), "{}", missed.unwrap());
}

async fn check(it: &'static Mistake) -> Option<String> {
    let db = TestDb::new().await;
    let name = db.dsn().to_string();
    let name = name.rsplit_once('/').unwrap().1;
    let client = db.client().await;
    execute(&client, BEATS).await;
    execute(&client, &it.sql.replace("DB", name)).await;
    let (findings, code) = examine(&cluster().url(name), it.env, it.args).await;
    // The tests' server runs without fsync, which is one thing wrong in any case where it is reached.
    assert_eq!(code, Some(1), "{}{:?}", it.sql, it.env);
    // Blocks until all the server's sessions have taken note, those included that are being made
    // here meanwhile.
    tokio::task::spawn_blocking(move || drop(db)).await.unwrap();
    missed(&findings, it)
}

/// What none of these makes: a finding of this name that is not ok.
async fn check_harmless((sql, what): &(&str, &str)) -> Option<String> {
    let db = TestDb::new().await;
    let name = db.dsn().to_string();
    let name = name.rsplit_once('/').unwrap().1;
    let client = db.client().await;
    execute(&client, BEATS).await;
    execute(&client, &sql.replace("DB", name)).await;
    let (findings, _) = examine(&cluster().url(name), &[], &[]).await;
    tokio::task::spawn_blocking(move || drop(db)).await.unwrap();
    let of_it = findings.iter().find(|f| f["what"] == *what);
    // A statement that is given up (`doctor_session.sql`) has one line in place of its checks.
    let of_it = of_it.unwrap_or_else(|| panic!("no check {what} after {sql}: {findings:#?}"));
    (of_it["level"] != "ok").then(|| format!("after {sql}: {of_it}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_harmless_is_no_mistake() {
    execute_on_cluster(planted::ROLES).await;
    let wrong: Vec<String> = stream::iter(planted::HARMLESS)
        .map(check_harmless)
        .buffer_unordered(4)
        .filter_map(async |wrong| wrong)
        .collect()
        .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mistake_is_named_with_what_to_do() {
    execute_on_cluster(planted::ROLES).await;
    let missed: Vec<String> = stream::iter(MISTAKES.iter().chain(planted::MISTAKES))
        .map(check)
        .buffer_unordered(4)
        .filter_map(async |missed| missed)
        .collect()
        .await;
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

async fn execute_on_cluster(sql: &str) {
    let server = tokio::task::spawn_blocking(cluster).await.unwrap();
    execute(&session(&dsn(server, "postgres")).await, sql).await;
}

/// A server with everything as it should be: nothing is made up.
#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_installation_has_none() {
    let server =
        tokio::task::spawn_blocking(|| PrivatePostgres::start(Options::default()).unwrap());
    let server = server.await.unwrap();
    Migrator::embedded()
        .run(&dsn(&server, "postgres"))
        .await
        .unwrap();
    let client = session(&dsn(&server, "postgres")).await;
    execute(&client, BEATS).await;
    let url = server.url("postgres");
    let (findings, code) = examine(&url, &[], &[]).await;
    // The journal is below the checkout, and a checkout in /tmp is one of the mistakes.
    let in_tmp = Path::new(STATE).starts_with("/tmp");
    let wrong: Vec<&Value> = findings
        .iter()
        .filter(|f| f["level"] != "ok" && !(in_tmp && f["what"] == "state dir"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(code, Some(0));
    assert!(findings.len() > 25, "{}", findings.len());
    let documented = include_str!("../../docs/operations.md");
    let (_, documented) = documented
        .split_once("## What `punctual doctor` checks")
        .unwrap();
    let (documented, _) = documented.split_once("\n## ").unwrap();
    let all = findings.iter().map(|f| f["what"].as_str().unwrap());
    let planted = MISTAKES.iter().chain(planted::MISTAKES);
    for what in all.chain(planted.map(|it| it.what)) {
        assert!(
            documented.contains(&format!("`{what}`")),
            "{what} is not in the docs"
        );
    }

    // What concerns the whole server, so none that others use.
    for sql in planted::SERVER {
        execute(&client, sql).await;
    }
    let (findings, _) = examine(&url, &[], &[]).await;
    for it in planted::OF_THE_SERVER {
        demand(&findings, it);
    }

    let prepares = Options {
        settings: vec![("max_prepared_transactions".into(), "5".into())],
        ..Options::default()
    };
    let prepares = tokio::task::spawn_blocking(|| PrivatePostgres::start(prepares).unwrap());
    let (findings, _) = examine(&prepares.await.unwrap().url("postgres"), &[], &[]).await;
    let says = "max_prepared_transactions is 5";
    demand(
        &findings,
        &self::db("", "two-phase commits", "warn", says, "punctual.notify"),
    );

    let mut wrong: url::Url = url.parse().unwrap();
    wrong.set_password(Some("guess")).unwrap();
    let (findings, code) = examine(wrong.as_str(), &[], &[]).await;
    demand(
        &findings,
        &db(
            "",
            "database",
            "bad",
            "password authentication failed",
            "percent-encoded",
        ),
    );
    assert_eq!(code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_rights_or_behind_row_level_security_is_reported() {
    let db = TestDb::new().await;
    let name = db.dsn().to_string();
    let name = name.rsplit_once('/').unwrap().1;
    let role = format!("poor_{name}");
    let client = db.client().await;
    execute(
        &client,
        &format!(
            "create role {role} login password 'poor';
             alter table scheduled_messages enable row level security;
             grant usage on schema punctual to {role}; grant select on all tables in schema punctual to {role};
             grant select, insert on scheduled_messages to {role}"
        ),
    )
    .await;
    let mut url: url::Url = cluster().url(name).parse().unwrap();
    url.set_username(&role).unwrap();
    url.set_password(Some("poor")).unwrap();
    let (findings, _) = examine(url.as_str(), &[], &[]).await;
    for says in [
        "updated_at) on public.scheduled_messages",
        "a policy of row level security for it on public.scheduled_messages",
    ] {
        demand(
            &findings,
            &self::db("", "schema", "bad", says, "punctual migrate --role"),
        );
    }
    execute(&client, &format!("drop owned by {role}; drop role {role}")).await;
}

/// With the rights of a daemon and no more nothing is wrong, and what cannot be seen is not called
/// well.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemons_role_learns_what_it_cannot_see() {
    let db = TestDb::new().await;
    let name = db.dsn().to_string();
    let name = name.rsplit_once('/').unwrap().1;
    let role = format!("least_{name}");
    let client = db.client().await;
    execute(
        &client,
        &format!("create role {role} login password 'least'; {BEATS}"),
    )
    .await;
    Migrator::embedded().grant(db.dsn(), &role).await.unwrap();
    let mut url: url::Url = cluster().url(name).parse().unwrap();
    url.set_username(&role).unwrap();
    url.set_password(Some("least")).unwrap();
    let (findings, _) = examine(url.as_str(), &[], &[]).await;
    for (what, says) in [
        ("schema", "up to date"),
        ("triggers", "all in place"),
        ("indexes", "all in place"),
        ("policy tables", "as expected"),
        ("idle transactions", "none that this role can see"),
        ("zones", "may not read those of users"),
    ] {
        demand(&findings, &self::db("", what, "ok", says, ""));
    }
    // The test's own session, and the doctor's.
    let connections = findings.iter().find(|f| f["what"] == "connections");
    let found = connections.unwrap()["found"].as_str().unwrap();
    let n: i64 = found.split_once(' ').unwrap().0.parse().unwrap();
    assert!(n >= 2, "{found}");
    execute(&client, &format!("drop owned by {role}; drop role {role}")).await;
}

/// Answers every request with this, until the test ends.
async fn answers(with: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(with.as_bytes()).await;
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn what_answers_wrongly_or_not_at_all_is_reported() {
    let denied = answers("HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ncontent-length: 64\r\nconnection: close\r\n\r\n{\"code\": 20003, \"message\": \"Authenticate\", \"status\": 401, \"x\": 1}").await;
    let absent = answers("HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 58\r\nconnection: close\r\n\r\n{\"code\": 20404, \"message\": \"was not found\", \"status\": 404}").await;
    let unready = answers("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 17\r\nconnection: close\r\n\r\nwindow not loaded").await;
    let api = |port: u16| format!("http://127.0.0.1:{port}");
    let url = "postgres://u:p@127.0.0.1:1/x";
    let online: &[&str] = &["--online"];
    for (env, args, it) in [
        (
            ("TWILIO_API_BASE_URL", api(denied)),
            online,
            db("", "twilio", "bad", "401", "do not match"),
        ),
        (
            ("TWILIO_API_BASE_URL", api(1)),
            online,
            db("", "twilio", "bad", "refused", "api.twilio.com"),
        ),
        (
            ("TWILIO_API_BASE_URL", api(absent)),
            online,
            db("", "twilio", "ok", "accepts the credentials", ""),
        ),
        (
            ("PUNCTUAL_PUBLIC_URL", api(absent)),
            online,
            db("", "callbacks", "bad", "got 404", "PUNCTUAL_WEBHOOK_ADDR"),
        ),
        (
            ("PUNCTUAL_PUBLIC_URL", api(1)),
            online,
            db(
                "",
                "callbacks",
                "bad",
                "not reachable",
                "PUNCTUAL_WEBHOOK_ADDR",
            ),
        ),
        (
            ("PUNCTUAL_HTTP_ADDR", format!("127.0.0.1:{unready}")),
            &[],
            db("", "daemon here", "bad", "window not loaded", "its log"),
        ),
        (
            ("PUNCTUAL_HTTP_ADDR", format!("127.0.0.1:{absent}")),
            &[],
            db(
                "",
                "daemon here",
                "warn",
                "another program",
                "PUNCTUAL_HTTP_ADDR",
            ),
        ),
    ] {
        let dead = ("TWILIO_API_BASE_URL", "http://127.0.0.1:1");
        let (findings, _) = examine(url, &[dead, (env.0, &env.1)], args).await;
        demand(&findings, &it);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_all_can_read_old_zones_and_a_clock_that_is_off_are_reported() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("token");
    std::fs::write(&secret, "feedfacefeedfacefeedfacefeedface").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    let env = [
        ("TWILIO_AUTH_TOKEN", ""),
        ("TWILIO_AUTH_TOKEN_FILE", secret.to_str().unwrap()),
    ];
    let (findings, _) = examine("postgres://u:p@127.0.0.1:1/x", &env, &[]).await;
    demand(
        &findings,
        &db("", "secret files", "warn", "every user", "chmod o-r"),
    );

    let test = TestDb::new().await;
    let name = test.dsn().to_string();
    let url = cluster().url(name.rsplit_once('/').unwrap().1);
    if Command::new("faketime").arg("--version").output().is_err() {
        eprintln!("there is no faketime here: clocks that are off were not tried");
        return;
    }
    // On 2030-something, by which time what is the newest today is old.
    let mut command = Command::new("faketime");
    command.args([
        "-f",
        "+1500d",
        env!("CARGO_BIN_EXE_punctual"),
        "doctor",
        "--json",
    ]);
    command.env("DATABASE_URL", url).envs(GOOD.iter().copied());
    let ended = tokio::task::spawn_blocking(move || command.output().unwrap());
    let findings: Vec<Value> = serde_json::from_slice(&ended.await.unwrap().stdout).unwrap();
    demand(
        &findings,
        &db("", "clock", "warn", "differs by -129", "time daemon"),
    );
    demand(&findings, &db("", "zone data", "warn", "in", "tzdata"));
}

/// A statement that is left open, for longer than the doctor finds it worth a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_left_open_is_reported() {
    let db = TestDb::new().await;
    let client = db.client().await;
    execute(&client, "begin; select pg_sleep(5.2)").await;
    let name = db.dsn().to_string();
    let url = cluster().url(name.rsplit_once('/').unwrap().1);
    let (findings, _) = examine(&url, &[], &[]).await;
    demand(
        &findings,
        &self::db(
            "",
            "idle transactions",
            "warn",
            "1 open for over 5 s",
            "pg_terminate_backend",
        ),
    );
}

/// A session of another program, as `pg_stat_activity` shows it to who may look.
#[tokio::test(flavor = "multi_thread")]
async fn another_program_that_changes_the_status_is_reported() {
    let db = TestDb::new().await;
    let client = db.client().await;
    execute(&client, "set application_name = 'sms-worker'").await;
    execute(
        &client,
        "update scheduled_messages set status = 'sent' where id = gen_random_uuid()",
    )
    .await;
    let name = db.dsn().to_string();
    let url = cluster().url(name.rsplit_once('/').unwrap().1);
    let (findings, _) = examine(&url, &[], &[]).await;
    demand(
        &findings,
        &self::db(
            "",
            "second sender",
            "warn",
            "session of sms-worker changes the status",
            "stop the other sender",
        ),
    );
}

/// Rows are counted by the indexes, whatever the table holds; what would take too long is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_table_is_not_read_whole() {
    let db = TestDb::new().await;
    let client = db.client().await;
    execute(
        &client,
        "insert into scheduled_messages (to_number, body, scheduled_at)
         select '+12025550177', 'x', now() + interval '1 hour' + n * interval '1 second' from generate_series(1, 50000) n;
         insert into punctual.attempts (token, message_id, number, instance, lease_until, outcome)
         select gen_random_uuid(), gen_random_uuid(), 1, gen_random_uuid(), now(), 'accepted' from generate_series(1, 50000) n;
         analyze scheduled_messages; analyze punctual.attempts",
    )
    .await;
    let read = "select sum(seq_tup_read)::int8 from pg_stat_user_tables
                 where relname in ('scheduled_messages', 'attempts')";
    let rows_read = async || -> i64 {
        execute(&client, "select pg_stat_clear_snapshot()").await;
        client.query_one(read, &[]).await.unwrap().get(0)
    };
    // A session reports to the server what it has read when it ends, at the latest.
    execute(&client, "select pg_stat_force_next_flush()").await;
    let before = rows_read().await;
    let name = db.dsn().to_string();
    let url = cluster().url(name.rsplit_once('/').unwrap().1);
    let (findings, _) = examine(&url, &[], &[]).await;
    assert!(
        findings.iter().any(|f| f["what"] == "templates"),
        "{findings:#?}"
    );
    // Only of their ends, which the search for what is recent reads.
    let read = rows_read().await - before;
    assert!(read < 40_000, "{read} rows of 100,000 were read");

    // Somebody holds the table: the rest is reported all the same.
    execute(&client, "begin; lock table scheduled_messages").await;
    let (findings, _) = examine(&url, &[], &[]).await;
    assert!(
        findings.iter().any(|f| f["what"] == "fsync"),
        "{findings:#?}"
    );
}

/// For scripts: one line a finding, nothing but text, what is wrong first, and the rest only with `--verbose`.
#[test]
fn lines_for_people_and_for_grep() {
    let env = [
        ("DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/x"),
        ("PUNCTUAL_PROVIDER", "console"),
    ];
    let printed = |args: &[&str]| {
        let out = super::punctual(args, &env).output().unwrap();
        String::from_utf8(out.stdout).unwrap()
    };
    let short = printed(&["doctor"]);
    assert!(
        !short.contains("hunter2") && !short.contains('\u{1b}'),
        "{short}"
    );
    let rank = |line: &str| {
        let levels = ["BAD ", "WARN", "ok  "];
        levels.iter().position(|level| line.starts_with(level))
    };
    let is_sorted = |text: &str| text.lines().map(|line| rank(line).expect(line)).is_sorted();
    let lines: Vec<&str> = short.lines().collect();
    let (last, wrong) = lines.split_last().unwrap();
    assert!(
        last.starts_with("ok ") && last.contains("--verbose"),
        "{short}"
    );
    for line in wrong {
        assert!(rank(line).unwrap() < 2 && line.contains(" → "), "{line}");
    }
    assert!(is_sorted(&short), "{short}");
    let long = printed(&["doctor", "--verbose"]);
    assert!(
        is_sorted(&long) && long.lines().count() > wrong.len() + 3,
        "{long}"
    );
}
