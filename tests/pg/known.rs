//! A status, a priority and the like that is none is refused, whoever writes it and however, as by the CHECKs that were
//! there before.

use futures_util::SinkExt;
use punctual::store::Migrator;
use tokio_postgres::{Client, Error};

use crate::harness::TestDb;
use crate::live_shape::BASE;
use crate::rows::{World, one, run, said};

/// Columns, a value that is known and one that is not.
const WORDS: [(&str, &str, &str); 7] = [
    ("status", "'cancelled'", "'Pending'"),
    ("status", "'failed'", "''"),
    ("priority", "'urgent'", "'asap'"),
    ("priority", "null", "'Normal'"),
    ("in_doubt", "'resend'", "'never'"),
    ("max_attempts", "100", "101"),
    ("max_attempts", "1", "0"),
];

const FAR: &str = "'+13105550100', 'hello', now() + interval '9 days'";

fn insert(column: &str, value: &str) -> String {
    format!(
        "insert into scheduled_messages (to_number, body, scheduled_at, {column}) values ({FAR}, {value})"
    )
}

#[track_caller]
fn is_refused(result: Result<(), Error>, column: &str, how: &str) {
    let error = result.expect_err(how);
    let db = error.as_db_error().expect("an answer of the server");
    assert_eq!(db.code().code(), "23514", "{how}: {}", said(&error));
    let constraint = format!("scheduled_messages_{column}_punctual");
    assert_eq!(db.constraint(), Some(constraint.as_str()), "{how}");
    assert_eq!(db.column(), Some(column), "{how}");
    assert_eq!(db.table(), Some("scheduled_messages"), "{how}");
    let words = [Some(db.message()), db.detail(), db.hint()];
    for private in ["+1310", "hello"] {
        assert!(
            words.iter().flatten().all(|said| !said.contains(private)),
            "{how}: {words:?}"
        );
    }
}

async fn refuses(client: &Client, column: &str, sql: &str) {
    is_refused(client.batch_execute(sql).await, column, sql);
    run(client, "rollback").await;
}

#[tokio::test]
async fn what_is_not_known_is_refused_however_it_is_written() {
    let world = World::new().await;
    let checks = "select count(*) from pg_constraint where conrelid = 'scheduled_messages'::regclass and contype = 'c'";
    assert_eq!(one::<i64>(&world.unseen, checks).await, 0);
    run(
        &world.unseen,
        "create function write(sql text) returns text language plpgsql as $$ begin execute sql; return 'x'; end $$",
    )
    .await;
    let (daemon, unnamed, restoring) = (
        world.daemon().await,
        world.db.client().await,
        world.db.client().await,
    );
    run(&unnamed, "set punctual.writer = 'on'").await;
    run(
        &restoring,
        "set row_security = off; set check_function_bodies = off",
    )
    .await;
    for (column, good, bad) in WORDS {
        let wrong = insert(column, bad);
        // Also right after a row that needs no look.
        for _ in 0..2 {
            run(&world.user, &insert("channel", "'sms'")).await;
            refuses(&world.user, column, &wrong).await;
        }
        let among = format!(
            "insert into scheduled_messages (to_number, body, scheduled_at, {column})
             select {FAR}, case when n = 50 then {bad} else {good} end from generate_series(1, 99) n"
        );
        refuses(&world.user, column, &among).await;
        refuses(&world.user, column, &wrong.replace("9 days", "9 seconds")).await;
        let nested = format!("select write({})", quoted(&wrong));
        refuses(&world.user, column, &nested).await;
        refuses(&world.unseen, column, &wrong).await;
        refuses(&restoring, column, &wrong).await;
        refuses(&unnamed, column, &wrong).await;
        refuses(&daemon, column, &wrong).await;
        let copied =
            format!("copy scheduled_messages (to_number, body, scheduled_at, {column}) from stdin");
        let sink = world
            .user
            .copy_in::<_, bytes::Bytes>(&copied)
            .await
            .unwrap();
        let mut sink = std::pin::pin!(sink);
        let line = format!(
            "+13105550100\thello\t2099-01-01\t{}\n",
            bad.trim_matches('\'')
        );
        sink.send(line.into()).await.unwrap();
        is_refused(sink.finish().await.map(drop), column, &copied);

        // Nor by a change, but a status is asked first whether it may become another.
        for (client, is_seen) in [(&world.user, true), (&world.unseen, false)] {
            let id: uuid::Uuid = one(client, &(insert(column, good) + " returning id")).await;
            let change =
                format!("update scheduled_messages set {column} = {bad} where id = '{id}'");
            let error = client.batch_execute(&change).await.expect_err(&change);
            if column != "status" || !is_seen {
                is_refused(Err(error), column, &change);
            }
            let again = insert(&format!("{column}, id"), &format!("{good}, '{id}'"))
                + &format!(" on conflict (id) do update set {column} = {bad}");
            let error = client.batch_execute(&again).await.expect_err(&again);
            if column != "status" || !is_seen {
                is_refused(Err(error), column, &again);
            }
        }
        run(&world.user, &among.replace(bad, good)).await;
    }
    let left = "select count(*) from scheduled_messages where not (status in ('pending', 'failed', 'cancelled'))";
    assert_eq!(one::<i64>(&world.unseen, left).await, 0);
}

fn quoted(sql: &str) -> String {
    format!("'{}'", sql.replace('\'', "''"))
}

/// One of the app's that sorts after the guard, which `doctor` reports.
#[tokio::test]
async fn nor_does_a_trigger_of_the_apps_make_a_status_that_is_none() {
    let world = World::new().await;
    run(
        &world.unseen,
        "create function late() returns trigger language plpgsql as $$ begin new.status := 'Waiting'; return new; end $$;
         create trigger zzzz_late before insert on scheduled_messages for each row execute function late()",
    )
    .await;
    refuses(&world.user, "status", &insert("channel", "'sms'")).await;
}

/// A column that the app had before keeps the app's words, and its inserts are recognized by them.
#[tokio::test]
async fn words_of_the_apps_own_stay_its_own() {
    let db = TestDb::empty().await;
    let client = db.client().await;
    run(&client, BASE).await;
    run(
        &client,
        "alter table scheduled_messages add column priority text default 'p1'",
    )
    .await;
    Migrator::embedded().run(db.dsn()).await.unwrap();
    for words in ["'p1'", "'p2'", "'p1'", "null"] {
        run(&client, &insert("priority", words)).await;
    }
    run(&client, "update scheduled_messages set priority = 'p3'").await;
    for (column, bad) in [("in_doubt", "'never'"), ("max_attempts", "0")] {
        run(&client, &insert("channel", "'sms'")).await;
        refuses(&client, column, &insert(column, bad)).await;
        let both = insert(&format!("priority, {column}"), &format!("'p1', {bad}"));
        refuses(&client, column, &both).await;
    }
}

/// As in a database of the versions before.
#[tokio::test]
async fn the_checks_of_a_version_before_are_taken_over() {
    let world = World::new().await;
    run(
        &world.unseen,
        "alter table scheduled_messages add constraint scheduled_messages_status_punctual check (status <> 'x'),
                                        add constraint scheduled_messages_in_doubt_punctual check (in_doubt <> 'x');
         create index scheduled_messages_number_idx on scheduled_messages (btrim(to_number)) where status = 'pending';
         drop table punctual.app_words;
         delete from punctual.migrations where version = 20261202120000;
         delete from punctual.triggers where name = 'triggers/validate.sql'",
    )
    .await;
    Migrator::embedded().run(world.db.dsn()).await.unwrap();
    let left = "select concat(count(*), ' ', to_regclass('scheduled_messages_number_idx'))
                  from pg_constraint where conrelid = 'scheduled_messages'::regclass and contype = 'c'";
    assert_eq!(one::<String>(&world.unseen, left).await, "0 ");
    let kept = "select string_agg(name, ' ' order by name) from punctual.app_words";
    assert_eq!(
        one::<String>(&world.unseen, kept).await,
        "max_attempts priority"
    );
    refuses(&world.user, "in_doubt", &insert("in_doubt", "'x'")).await;
    run(&world.user, &insert("priority", "'own'")).await;
}

/// After schema punctual was dropped, and after a restore of the schema without its data.
#[tokio::test]
async fn whose_words_a_column_has_is_known_again_after_a_restore_of_schemas_alone() {
    for own in [false, true] {
        let db = TestDb::empty().await;
        let client = db.client().await;
        run(&client, BASE).await;
        if own {
            let priority = "alter table scheduled_messages add column priority text default 'p1'";
            run(&client, priority).await;
        }
        let migrator = Migrator::embedded();
        migrator.run(db.dsn()).await.unwrap();
        for restored in [
            "drop schema punctual, punctual_api cascade; alter table scheduled_messages drop column account, drop column media_urls",
            "delete from punctual.migrations; delete from punctual.triggers; delete from punctual.app_words",
        ] {
            run(&client, restored).await;
            migrator.run(db.dsn()).await.unwrap();
            let words = insert("priority", "'p2'");
            if own {
                run(&client, &words).await;
            } else {
                refuses(&client, "priority", &words).await;
            }
            refuses(&client, "in_doubt", &insert("in_doubt", "'never'")).await;
            refuses(&client, "max_attempts", &insert("max_attempts", "0")).await;
        }
    }
}
