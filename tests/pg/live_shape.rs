//! Tables that are not ours to work with: refused before anything is changed, with what to do.

use punctual::store::{MigrateError, Migrator};

use crate::harness::TestDb;

pub(crate) const BASE: &str = "create table scheduled_messages (
  id uuid primary key default gen_random_uuid(), conversation_id uuid, to_number text not null, from_number text,
  body text not null, template_id uuid, scheduled_at timestamptz not null,
  status text not null default 'pending' constraint four check (status in ('pending', 'sent', 'failed', 'cancelled')),
  sent_at timestamptz, error_message text, created_by uuid, metadata jsonb,
  created_at timestamptz default now(), updated_at timestamptz default now());";

/// Migrates the seed's table after `change`; what is refused must name all of `said`, and what
/// is not must apply.
async fn check(db: &TestDb, change: &str, said: &[&str]) {
    let client = db.client().await;
    // Cheaper than a database for each.
    let empty =
        "drop schema if exists punctual cascade; drop schema public cascade; create schema public";
    client.batch_execute(empty).await.unwrap();
    client.batch_execute(BASE).await.unwrap();
    client.batch_execute(change).await.unwrap();
    let outcome = Migrator::embedded().run(db.dsn()).await;
    if said.is_empty() {
        outcome.unwrap_or_else(|error| panic!("{change}: {error}"));
        Migrator::embedded().check(db.dsn()).await.unwrap();
        // The daemon's statements understand the table.
        let path = punctual::store::doctor::path(&client).await.unwrap();
        let broken: Vec<_> = path.iter().filter(|f| f.what == "statements").collect();
        assert!(broken.is_empty(), "{change}: {broken:?}");
        return;
    }
    let error = outcome.expect_err(change);
    assert!(
        matches!(error, MigrateError::Refused { .. }),
        "{change}: {error:?}"
    );
    let text = error.to_string();
    for part in said {
        assert!(text.contains(part), "{change}: {part:?} is not in: {text}");
    }
    let row = client
        .query_one(
            "select (select count(*) from pg_namespace where nspname = 'punctual')
                  + (select count(*) from pg_attribute where attname = 'next_attempt_at')",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, i64>(0), 0, "{change}: something was changed");
}

const ALTER: &str = "alter table scheduled_messages ";

async fn check_alter(db: &TestDb, change: &str, said: &[&str]) {
    check(db, &format!("{ALTER}{change}"), said).await;
}

#[tokio::test]
async fn columns_of_other_types_are_named_with_what_was_wanted_and_what_to_do() {
    let db = TestDb::empty().await;
    check_alter(
        &db,
        "drop column id, add column id bigserial primary key",
        &[
            "column id is bigint and must be uuid",
            "add a uuid as the primary key",
        ],
    )
    .await;
    check_alter(
        &db,
        "alter column scheduled_at type timestamp",
        &[
            "column scheduled_at is timestamp without time zone and must be timestamp with time zone",
            "at time zone 'UTC'",
        ],
    )
    .await;
    check_alter(
        &db,
        "alter column metadata type json",
        &["column metadata is json and must be jsonb"],
    )
    .await;
    check(
        &db,
        "create type s as enum ('pending', 'sent');
         alter table scheduled_messages drop constraint four, alter column status drop default,
           alter column status type s using status::s",
        &[
            "column status is the enum s and must be text",
            "type text using status::text",
        ],
    )
    .await;
    check(
        &db,
        "create domain four_words as text check (value in ('pending', 'sent', 'failed', 'cancelled'));
         alter table scheduled_messages drop constraint four, alter column status type four_words",
        &["column status is the domain four_words and must be text"],
    )
    .await;
    check_alter(
        &db,
        "alter column status type varchar(9)",
        &["status is character varying(9)"],
    )
    .await;
    check_alter(
        &db,
        "alter column error_message type varchar(200)",
        &["error_message is character varying(200)"],
    )
    .await;
    check_alter(
        &db,
        "add column priority int, add column attempts bigint not null default 0",
        &[
            "column priority is integer and must be text",
            "column attempts is bigint and must be integer",
            "app_priority",
        ],
    )
    .await;
    check_alter(
        &db,
        "add column version bigint",
        &["column version may be null"],
    )
    .await;
    check_alter(
        &db,
        "alter column sent_at set not null",
        &["column sent_at is not null"],
    )
    .await;
}

#[tokio::test]
async fn what_is_missing_or_named_otherwise_is_named() {
    let db = TestDb::empty().await;
    check_alter(
        &db,
        "rename column scheduled_at to scheduled_for",
        &[
            "column scheduled_at (timestamp with time zone) is missing",
            "rename column scheduled_for to scheduled_at",
        ],
    )
    .await;
    check_alter(
        &db,
        "drop column to_number, drop column body",
        &["column to_number", "column body"],
    )
    .await;
    check_alter(
        &db,
        "drop constraint scheduled_messages_pkey",
        &["column id is not unique"],
    )
    .await;
}

#[tokio::test]
async fn what_is_no_plain_table_is_refused() {
    let db = TestDb::empty().await;
    check(
        &db,
        "alter table scheduled_messages rename to real_ones; create view scheduled_messages as table real_ones",
        &["it is a view"],
    )
    .await;
    check(
        &db,
        "drop table scheduled_messages; create table scheduled_messages (id uuid, to_number text, body text,
           scheduled_at timestamptz, status text) partition by range (scheduled_at)",
        &["it is a partitioned table"],
    )
    .await;
    check(
        &db,
        "create table child () inherits (scheduled_messages)",
        &["other tables inherit from it"],
    )
    .await;
}

#[tokio::test]
async fn words_of_the_apps_own_are_refused_and_ties_to_other_columns_are_tried() {
    let db = TestDb::empty().await;
    check_alter(
        &db,
        "drop constraint four, add constraint five check (status in ('pending', 'sent', 'failed', 'cancelled', 'draft'))",
        &["the constraint five allows the status 'draft'"],
    )
    .await;
    check(
        &db,
        "alter table scheduled_messages drop constraint four;
         insert into scheduled_messages (to_number, body, scheduled_at, status) values ('', '', now(), 'queued')",
        &["rows with the status 'queued'"],
    )
    .await;
    check_alter(
        &db,
        "drop constraint four, add constraint tied check (status in ('pending', 'sent', 'failed', 'cancelled') and body <> '')",
        &["the constraint tied refuses a row that is sending", "drop constraint tied"],
    )
    .await;
    check_alter(&db, "add constraint proof check (status in ('pending', 'failed', 'cancelled') or sent_at is not null)",
        &["the constraint proof refuses a row that is sending"]).await;
}

#[tokio::test]
async fn what_differs_without_harm_is_taken_as_it_is() {
    let db = TestDb::empty().await;
    check_alter(&db, "rename constraint four to status_is_known", &[]).await;
    check_alter(
        &db,
        "add constraint again check (status = any ('{pending,sent,failed,cancelled}'::text[]))",
        &[],
    )
    .await;
    check_alter(
        &db,
        "alter column status type varchar(20), alter column to_number type varchar(20)",
        &[],
    )
    .await;
    check_alter(
        &db,
        "add constraint harmless check (status <> 'sent' or sent_at is not null)",
        &[],
    )
    .await;
    check_alter(&db, "add constraint short check (length(status) < 20), add constraint said check (status <> '')", &[]).await;
    check_alter(&db, "drop column from_number, drop column created_at, drop column updated_at, drop column metadata, drop column template_id", &[]).await;
    check_alter(
        &db,
        "add column channel text default 'sms' check (channel in ('sms', 'mail'))",
        &[],
    )
    .await;
    // Words of the app's in a column it had first stay the app's.
    check(
        &db,
        "alter table scheduled_messages add column priority text default 'p1';
         insert into scheduled_messages (to_number, body, scheduled_at) values ('', '', now())",
        &[],
    )
    .await;
}

#[tokio::test]
async fn a_table_in_another_schema_is_not_served_by_an_empty_one_in_public() {
    let apps = format!("create schema app; set search_path = app; {BASE}");
    let db = TestDb::empty().await;
    let client = db.client().await;
    client.batch_execute(&apps).await.unwrap();
    let error = Migrator::embedded().run(db.dsn()).await.unwrap_err();
    let text = error.to_string();
    for part in [
        "the schema app has one",
        "set PUNCTUAL_SCHEMA=app",
        "nothing was changed",
    ] {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
    let row = client
        .query_one(
            "select to_regclass('public.scheduled_messages') is null and to_regnamespace('punctual') is null",
            &[],
        )
        .await
        .unwrap();
    assert!(row.get::<_, bool>(0));
    // The Supabase CLI applies the file alone.
    client.batch_execute("reset search_path").await.unwrap();
    let shape = include_str!("../../migrations/20261128000000_shape.sql");
    let refused = client.batch_execute(shape).await.unwrap_err();
    let said = refused.as_db_error().unwrap().message().to_owned();
    assert!(
        said.contains("alter table app.scheduled_messages set schema public"),
        "{said}"
    );
    let moved = "alter table app.scheduled_messages set schema public";
    client.batch_execute(moved).await.unwrap();
    Migrator::embedded().run(db.dsn()).await.unwrap();
    // Whoever has one in public is not asked about another app's.
    client
        .batch_execute("create table app.scheduled_messages (id int)")
        .await
        .unwrap();
    Migrator::embedded().run(db.dsn()).await.unwrap();
}

/// The column is looked at by a later file than the shape.
#[tokio::test]
async fn a_created_at_that_is_no_time_is_refused() {
    let db = TestDb::empty().await;
    let client = db.client().await;
    let apps = format!("{BASE} {ALTER} drop column created_at, add column created_at bigint");
    client.batch_execute(&apps).await.unwrap();
    let error = Migrator::embedded().run(db.dsn()).await.unwrap_err();
    assert!(matches!(error, MigrateError::Refused { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("created_at of public.scheduled_messages is bigint"),
        "{text}"
    );
    let cure = format!("{ALTER} rename column created_at to app_created_at");
    client.batch_execute(&cure).await.unwrap();
    Migrator::embedded().run(db.dsn()).await.unwrap();
}

/// Its values are no names of accounts, so each message of such a row would fail.
#[tokio::test]
async fn a_column_account_of_the_apps_own_is_refused() {
    let db = TestDb::empty().await;
    let client = db.client().await;
    let apps = format!("{BASE} {ALTER} add column account text");
    client.batch_execute(&apps).await.unwrap();
    let error = Migrator::embedded().run(db.dsn()).await.unwrap_err();
    assert!(matches!(error, MigrateError::Refused { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("has a column account already"), "{text}");
    let cure = format!("{ALTER} rename column account to app_account");
    client.batch_execute(&cure).await.unwrap();
    Migrator::embedded().run(db.dsn()).await.unwrap();
    // That it is there from the first time is no reason to refuse it the second time.
    let files = "delete from punctual.migrations where version = 20261130070000";
    client.batch_execute(files).await.unwrap();
    Migrator::embedded().run(db.dsn()).await.unwrap();
}
