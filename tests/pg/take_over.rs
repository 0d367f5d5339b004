//! Databases of the numbering before the baseline: each state of the schema that had landed, as a
//! dump (`landed/`, schema and a few rows), is taken over.

use std::collections::BTreeSet;

use punctual::store::{MigrateError, Migrator};
use tokio_postgres::Client;

use crate::harness::TestDb;

const SHAPE: &str = include_str!("landed/shape.sql");

/// By the last of their migrations.
const LANDED: [(&str, &str); 4] = [
    ("20260102000100", include_str!("landed/20260102000100.sql")),
    ("20260105000400", include_str!("landed/20260105000400.sql")),
    ("20261125103100", include_str!("landed/20261125103100.sql")),
    ("20261125120000", include_str!("landed/20261125120000.sql")),
];

async fn restored(dump: &str) -> TestDb {
    let db = TestDb::empty().await;
    // As pg_dump's own preamble has it.
    let preamble =
        "set check_function_bodies = false; select set_config('search_path', '', false);";
    let client = db.client().await;
    client
        .batch_execute(&format!("{preamble}\n{dump}"))
        .await
        .unwrap();
    db
}

async fn shape(db: &TestDb) -> BTreeSet<String> {
    let rows = db.client().await.query(SHAPE, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// What the rows are, under whatever names the columns go.
async fn values(client: &Client, sql: &str) -> String {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// Without nulls: later files add columns.
// A column of this version is there afterwards.
const MESSAGES: &str =
    "select string_agg((jsonb_strip_nulls(to_jsonb(m)) - 'parts_done')::text, E'\\n' order by m.id)
  from scheduled_messages m";
const LEDGER: &str = "select string_agg(concat_ws(' ', a.token, a.message_id, a.number, a.outcome, a.provider_sid,
       a.started_at, a.finished_at, a.receipt_status), E'\\n' order by a.token) from punctual.attempts a";
const OTHERS: &str =
    "select concat_ws(' ', (select string_agg(jsonb_strip_nulls(to_jsonb(r))::text, ' ') from punctual.receipts r),
       (select string_agg(jsonb_strip_nulls(to_jsonb(o))::text, ' ') from punctual.outbox o),
       (select string_agg(jsonb_strip_nulls(to_jsonb(s))::text, ' ') from punctual.suppressions s),
       (select string_agg(jsonb_strip_nulls(to_jsonb(i))::text, ' ') from punctual.instances i))";

#[tokio::test]
async fn every_landed_state_becomes_the_schema_of_an_empty_database() {
    let wanted = shape(&TestDb::new().await).await;
    let migrator = Migrator::embedded();
    for (state, dump) in LANDED {
        let db = restored(dump).await;
        let client = db.client().await;
        let mut before = Vec::new();
        for sql in [MESSAGES, LEDGER, OTHERS] {
            before.push(values(&client, sql).await);
        }
        let refused = migrator.check(db.dsn()).await.unwrap_err();
        assert!(
            matches!(refused, MigrateError::Behind { .. }),
            "{state}: {refused}"
        );

        let report = migrator.run(db.dsn()).await.unwrap();
        assert_eq!(
            report.applied.len() + report.triggers.len(),
            migrator.expected().len() + 1,
            "{state}: the take-over, and every file"
        );
        let mut there = shape(&db).await;
        if state == "20260102000100" {
            // Its sms_templates had been made without it, and is nobody's to restrict by now.
            let lacks = wanted.difference(&there).cloned().collect::<Vec<_>>();
            assert!(
                matches!(lacks.as_slice(), [one] if one.contains("sms_templates_message_template_punctual")),
                "{state}: {lacks:#?}"
            );
            there.extend(lacks);
        }
        // A default that is there may be the app's, and stays.
        let zone = "column user_sms_preferences.timezone text";
        if there.remove(&format!("{zone} default 'America/Los_Angeles'::text")) {
            there.insert(zone.to_owned());
        }
        assert_eq!(
            there.symmetric_difference(&wanted).collect::<Vec<_>>(),
            Vec::<&String>::new(),
            "{state}"
        );

        for (sql, before) in [MESSAGES, LEDGER, OTHERS].into_iter().zip(before) {
            assert_eq!(
                values(&client, sql).await,
                before,
                "{state}: nothing is rewritten"
            );
        }
        migrator.check(db.dsn()).await.unwrap();
        let again = migrator.run(db.dsn()).await.unwrap();
        assert!(
            again.applied.is_empty() && again.triggers.is_empty(),
            "{state}"
        );
    }
}

#[tokio::test]
async fn what_the_ledger_knew_it_knows_under_the_new_names() {
    let db = restored(LANDED[3].1).await;
    Migrator::embedded().run(db.dsn()).await.unwrap();
    let client = db.client().await;
    let sql = "select concat_ws(' ', lookups, lookup_note, lookup_to, lookup_from, lookup_text = sha256('text 4'),
                                next_lookup_at = '2026-11-20 10:06+00', looked_up_at = '2026-11-20 10:05+00')
                 from punctual.attempts where outcome = 'unknown' limit 1";
    assert_eq!(
        values(&client, sql).await,
        "3 nothing on the list +15550100004 +15550100000 t t t"
    );
    let sql = "select concat_ws(' ', (select string_agg(outcome, ' ') from punctual.attempts where quota_returned),
                                (select string_agg(outcome, ' ') from punctual.attempts where recovered),
                                (select deleted_at = '2026-11-20 09:00+00' from punctual.deleted_events),
                                (select start_before = '2026-11-20 11:00+00' from punctual.missed_event_changes))";
    assert_eq!(values(&client, sql).await, "refused accepted t t");
    // And the first state, where nobody had asked yet, is asked about.
    let db = restored(LANDED[0].1).await;
    Migrator::embedded().run(db.dsn()).await.unwrap();
    let sql = "select string_agg(concat_ws(' ', lookup_to, next_lookup_at is not null,
                                           lookup_text = sha256(('text ' || right(token::text, 1))::bytea)),
                                 ', ' order by token)
                 from punctual.attempts where outcome = 'unknown'";
    assert_eq!(
        values(&db.client().await, sql).await,
        "+15550100004 t t, +15550100005 t t"
    );
}

#[tokio::test]
async fn a_daemon_of_the_earlier_version_that_runs_is_not_pulled_the_ground_from() {
    let db = restored(LANDED[3].1).await;
    let client = db.client().await;
    let before = shape_of_private(&client).await;
    let beat = "update punctual.instances set heartbeat_at = clock_timestamp(), stopped_at = null";
    client.batch_execute(beat).await.unwrap();
    let refused = Migrator::embedded().run(db.dsn()).await.unwrap_err();
    assert!(
        matches!(refused, MigrateError::Refused { .. }) && refused.to_string().contains("stop it"),
        "{refused}"
    );
    assert_eq!(shape_of_private(&client).await, before);
    let stop = "update punctual.instances set stopped_at = clock_timestamp()";
    client.batch_execute(stop).await.unwrap();
    Migrator::embedded().run(db.dsn()).await.unwrap();
}

async fn shape_of_private(client: &Client) -> String {
    let sql = "select string_agg(attrelid::regclass || '.' || attname, ' ' order by 1)
                 from (select attrelid, attname from pg_attribute a join pg_class c on c.oid = a.attrelid
                        where c.relnamespace = 'punctual'::regnamespace and c.relkind = 'r' and attnum > 0
                        order by attrelid::regclass::text, attname) a";
    values(client, sql).await
}

/// The statement by which programs of the earlier numbering judge a database, and what they make of
/// it: a version that they do not have is of a newer program.
#[tokio::test]
async fn a_program_of_the_earlier_numbering_refuses_the_baseline_by_whatever_hands_it_was_made() {
    let earlier = "select version, name, checksum from punctual.migrations order by version";
    let has_record = "select count(*) = 2 from pg_class c join pg_namespace n on n.oid = c.relnamespace
                       where n.nspname = 'punctual' and c.relname in ('migrations', 'triggers') and c.relkind = 'r'";
    let pushed = TestDb::empty().await;
    let migrations = Migrator::embedded().print();
    let migrations = migrations.split("-- triggers/").next().unwrap();
    pushed
        .client()
        .await
        .batch_execute(migrations)
        .await
        .unwrap();
    let taken_over = restored(LANDED[3].1).await;
    Migrator::embedded().run(taken_over.dsn()).await.unwrap();
    for db in [TestDb::new().await, pushed, taken_over] {
        let client = db.client().await;
        let row = client.query_one(has_record, &[]).await.unwrap();
        assert!(row.get::<_, bool>(0), "it looks into the record at all");
        let rows = client.query(earlier, &[]).await.unwrap();
        assert!(!rows.is_empty());
        for row in rows {
            let version: i64 = row.get("version");
            assert!(version > 20_261_125_120_000, "{version} is known to it");
            assert!(!row.get::<_, String>("name").is_empty());
        }
    }
}

#[tokio::test]
async fn what_is_neither_the_earlier_numbering_nor_this_one_is_left_alone() {
    let db = restored(LANDED[3].1).await;
    let client = db.client().await;
    let unknown = "insert into punctual.migrations values (20261126000000, 'migrations/20261126000000_own.sql', '')";
    client.batch_execute(unknown).await.unwrap();
    let refused = Migrator::embedded().run(db.dsn()).await.unwrap_err();
    assert!(
        matches!(refused, MigrateError::Newer { .. }) && refused.to_string().contains("_own.sql"),
        "{refused}"
    );
}

#[tokio::test]
async fn what_is_pushed_onto_an_earlier_schema_says_that_migrate_takes_it_over() {
    let db = restored(LANDED[3].1).await;
    let client = db.client().await;
    let before = shape_of_private(&client).await;
    let printed = Migrator::embedded().print();
    let refused = client.batch_execute(&printed).await.unwrap_err();
    let said = refused.as_db_error().unwrap().message().to_owned();
    assert!(said.contains("run `punctual migrate` first"), "{said}");
    let client = db.client().await;
    assert_eq!(shape_of_private(&client).await, before);
}

#[tokio::test]
async fn the_supabase_cli_is_made_to_forget_the_earlier_numbering() {
    let db = restored(LANDED[1].1).await;
    let client = db.client().await;
    // As the CLI makes it.
    client
        .batch_execute(
            "create schema supabase_migrations;
             create table supabase_migrations.schema_migrations (version text primary key, statements text[], name text);
             insert into supabase_migrations.schema_migrations (version)
             values ('20251231000000'), ('20260105000400'), ('20250101000000')",
        )
        .await
        .unwrap();
    let migrator = Migrator::embedded();
    let wanted = "supabase migration repair --status reverted 20251231000000 20260105000400";
    for _ in 0..2 {
        let report = migrator.run(db.dsn()).await.unwrap();
        assert_eq!(report.supabase_repair.as_deref(), Some(wanted));
    }
    client
        .batch_execute(
            "delete from supabase_migrations.schema_migrations where version >= '20251231000000'",
        )
        .await
        .unwrap();
    let report = migrator.run(db.dsn()).await.unwrap();
    assert_eq!(report, punctual::store::migrate::Report::default());
}
