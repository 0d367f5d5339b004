//! `migrate` on a database that lives: nothing is rewritten, nobody waits, the app goes on.
//!
//! `PUNCTUAL_LIVE_ROWS` sets how large the table of
//! `writers_go_on_while_migrate_runs_and_no_row_is_rewritten` is.

use std::time::{Duration, Instant};

use punctual::store::migrate::Report;
use punctual::store::{MigrateError, Migrator};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::harness::TestDb;
use crate::live_app::{app_with, role, session_as};

/// Rows by default: enough that a lock held through a scan would show, quick enough to make.
const ROWS: u64 = 20_000;

async fn migrate(db: &TestDb) -> Result<Report, MigrateError> {
    Migrator::embedded().run(db.dsn()).await
}

async fn one<T: for<'a> tokio_postgres::types::FromSql<'a>>(db: &TestDb, sql: &str) -> T {
    db.client().await.query_one(sql, &[]).await.unwrap().get(0)
}

const FILES: &str =
    "select string_agg(relname || ' ' || pg_relation_filenode(oid), ', ' order by relname)
  from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace
   and relname not in ('user_sms_preferences', 'task_calendar_events')";

const CONTENT: &str =
    "select md5(string_agg(concat_ws('|', id, to_number, body, scheduled_at, status, sent_at,
  error_message, metadata, created_at, updated_at, xmin, ctid), ',' order by id))
  from scheduled_messages where body = 'hello'";

/// What one writer of the app's saw: how often it wrote, and its longest wait.
struct Writer {
    writes: u64,
    longest: Duration,
}

/// Inserts and edits as the app does, one after the other, until asked to stop.
async fn write(db: &TestDb, stop: CancellationToken) -> Writer {
    let client = session_as(db, "live_app").await;
    let mut writer = Writer {
        writes: 0,
        longest: Duration::ZERO,
    };
    while !stop.is_cancelled() {
        let began = Instant::now();
        let row = client
            .query_one(
                "insert into scheduled_messages (to_number, body, scheduled_at)
                 values ('+15550000000', 'meanwhile', now() + interval '1 day') returning id",
                &[],
            )
            .await
            .unwrap();
        let id: Uuid = row.get(0);
        writer.longest = writer.longest.max(began.elapsed());
        let began = Instant::now();
        let edit =
            "update scheduled_messages set body = 'edited', status = 'cancelled' where id = $1";
        assert_eq!(client.execute(edit, &[&id]).await.unwrap(), 1);
        writer.longest = writer.longest.max(began.elapsed());
        writer.writes += 2;
    }
    writer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_go_on_while_migrate_runs_and_no_row_is_rewritten() {
    let rows = std::env::var("PUNCTUAL_LIVE_ROWS").map_or(ROWS, |n| n.parse().unwrap());
    let db = app_with(rows).await;
    let files: String = one(&db, FILES).await;
    let content: String = one(&db, CONTENT).await;

    let stop = CancellationToken::new();
    let migrating = async {
        let began = Instant::now();
        let report = migrate(&db).await.unwrap();
        stop.cancel();
        (report, began.elapsed())
    };
    let ((report, took), one_writer, other_writer) = tokio::join!(
        migrating,
        write(&db, stop.clone()),
        write(&db, stop.clone())
    );
    println!(
        "{rows} rows: migrate took {took:?}; {} writes meanwhile, the longest wait of one {:?}",
        one_writer.writes + other_writer.writes,
        one_writer.longest.max(other_writer.longest),
    );
    assert!(one_writer.writes > 0 && other_writer.writes > 0);

    let files_after: String = one(&db, FILES).await;
    assert_eq!(files, files_after, "a table was rewritten");
    let content_after: String = one(&db, CONTENT).await;
    assert_eq!(content, content_after, "a row was touched");
    assert_eq!(report.indexes.is_empty(), rows < 100_000, "{report:?}");
    let unsettled: i64 = one(
        &db,
        "select (select count(*) from pg_constraint where conrelid = 'scheduled_messages'::regclass
                    and not convalidated)
              + (select count(*) from pg_index where not indisvalid)",
    )
    .await;
    assert_eq!(unsettled, 0);
    assert_eq!(migrate(&db).await.unwrap(), Report::default());
    assert_eq!(Migrator::embedded().check(db.dsn()).await.ok(), Some(()));
}

#[tokio::test]
async fn the_app_goes_on_as_before_with_its_triggers_and_policies() {
    let db = app_with(8).await;
    migrate(&db).await.unwrap();
    let client = session_as(&db, "live_app").await;
    // No right on schema punctual, whose triggers fire all the same.
    let insert = "insert into scheduled_messages (to_number, body, scheduled_at)
                  values ('+15550000000', 'x', now()) returning id";
    let id: Uuid = client.query_one(insert, &[]).await.unwrap().get(0);
    for change in [
        "update scheduled_messages set body = 'y', scheduled_at = now() where id = $1",
        "update scheduled_messages set status = 'cancelled' where id = $1",
        "update scheduled_messages set status = 'pending' where id = $1",
        "update scheduled_messages set status = 'sent', sent_at = now() where id = $1",
        "delete from scheduled_messages where id = $1",
    ] {
        assert_eq!(client.execute(change, &[&id]).await.unwrap(), 1, "{change}");
    }
    let logged: i64 = one(&db, "select count(*) from audit").await;
    assert_eq!(logged, 5, "one insert and four updates");
    let refused = client
        .execute("insert into scheduled_messages (to_number, body, scheduled_at, status) values ('', '', now(), 'draft')", &[])
        .await;
    assert!(refused.is_err(), "the word is still checked");
}

#[tokio::test]
async fn the_transaction_that_shuts_writers_out_reads_no_row() {
    let db = app_with(100).await;
    let client = db.client().await;
    // Counted for the session, and handed on to the others' view only now and then.
    let read = "select coalesce(sum(seq_tup_read), 0)::bigint from pg_stat_xact_user_tables
                 where relname = 'scheduled_messages'";
    let shut = "select exists (select from pg_locks where pid = pg_backend_pid()
                  and relation = 'scheduled_messages'::regclass and mode = 'AccessExclusiveLock')";
    let printed = Migrator::embedded().print();
    let (mut locking, mut reading) = (0, 0);
    for file in printed
        .split("-- triggers/")
        .next()
        .unwrap()
        .split("-- migrations/")
        .skip(1)
    {
        let (name, sql) = file.split_once('\n').unwrap();
        client.batch_execute("begin").await.unwrap();
        let before: i64 = client.query_one(read, &[]).await.unwrap().get(0);
        client.batch_execute(sql).await.unwrap();
        let after: i64 = client.query_one(read, &[]).await.unwrap().get(0);
        let locks: bool = client.query_one(shut, &[]).await.unwrap().get(0);
        client.batch_execute("commit").await.unwrap();
        assert!(
            !locks || after == before,
            "{name} reads {} rows behind its lock",
            after - before
        );
        locking += u32::from(locks);
        reading += u32::from(after > before);
    }
    assert!(
        locking == 6 && reading == 6,
        "what is measured is there: {locking}, {reading}"
    );
}

#[tokio::test]
async fn a_large_table_gets_its_indexes_beside_the_writers_and_leftovers_are_rebuilt() {
    let db = app_with(100_001).await;
    let report = migrate(&db).await.unwrap();
    assert_eq!(
        report.indexes,
        [
            "scheduled_messages_campaign_idx",
            "scheduled_messages_dedup_key",
            "scheduled_messages_due_idx",
            "scheduled_messages_ended_idx",
            "scheduled_messages_event_idx",
            "scheduled_messages_open_idx",
            "scheduled_messages_retry_idx",
            "scheduled_messages_send_before_idx",
            "scheduled_messages_to_number_idx",
            "scheduled_messages_user_pending_idx"
        ]
    );
    let definitions =
        "select string_agg(pg_get_indexdef(indexrelid), E'\\n' order by indexrelid::regclass::text)
      from pg_index where indisvalid and indexrelid::regclass::text ~ '_(idx|key)$'
       and indrelid = 'scheduled_messages'::regclass";
    let small = TestDb::new().await;
    assert_eq!(
        one::<String>(&db, definitions).await,
        one::<String>(&small, definitions).await,
        "both ways build the same"
    );
    // As a build that was cut off leaves it.
    db.client()
        .await
        .batch_execute(
            "update pg_index set indisvalid = false where indexrelid = 'scheduled_messages_due_idx'::regclass",
        )
        .await
        .unwrap();
    let report = migrate(&db).await.unwrap();
    assert_eq!(report.indexes, ["scheduled_messages_due_idx"]);
    assert!(report.applied.is_empty() && report.triggers.is_empty());
    assert_eq!(migrate(&db).await.unwrap(), Report::default());
}

#[tokio::test]
async fn tables_of_another_shape_beside_it_are_left_alone() {
    let db = TestDb::empty().await;
    let client = db.client().await;
    client
        .batch_execute(
            "create table profiles (id bigint primary key);
             create view contacts as select 1 as id;
             create table conversations (id serial primary key, number text);
             create table sms_templates (id uuid);
             create table messages (sid text)",
        )
        .await
        .unwrap();
    let shape = "select string_agg(format('%s.%s %s', attrelid::regclass, attname, atttypid::regtype), ', '
                                   order by attrelid::regclass::text, attnum)
       from pg_attribute where attnum > 0 and attrelid in ('profiles'::regclass, 'contacts'::regclass,
            'conversations'::regclass, 'messages'::regclass)";
    let before: String = one(&db, shape).await;
    migrate(&db).await.unwrap();
    assert_eq!(before, one::<String>(&db, shape).await);
    let references: i64 = one(
        &db,
        "select count(*) from pg_constraint where contype = 'f' and connamespace = 'public'::regnamespace",
    )
    .await;
    assert_eq!(references, 0, "nothing refers to what is not a uuid key");
}

#[tokio::test]
async fn an_owner_who_is_no_superuser_migrates() {
    let db = TestDb::empty().await;
    role(&db, "live_owner", "nosuperuser").await;
    let client = db.client().await;
    let name: String = one(&db, "select current_database()::text").await;
    client
        .batch_execute(&format!(
            "alter database {name} owner to live_owner; alter schema public owner to live_owner"
        ))
        .await
        .unwrap();
    let dsn = crate::live_app::dsn_as(&db, "live_owner").await;
    Migrator::embedded().run(&dsn).await.unwrap();
    assert_eq!(
        Migrator::embedded().run(&dsn).await.unwrap(),
        Report::default()
    );
    Migrator::embedded().check(&dsn).await.unwrap();
    // The put-back's guard reads the ledger with its owner's rights, for a role that has none.
    let owner: String = one(
        &db,
        "select proowner::regrole::text from pg_proc where proname = 'guard_put_back'",
    )
    .await;
    assert_eq!(owner, "live_owner");
}
