//! The schema: once, in order, whole or not at all, whoever else is at it.

use punctual::store::migrate::{File, Report};
use punctual::store::{MigrateError, Migrator};

use crate::harness::TestDb;

const ONE: File<'_> = File {
    name: "migrations/20260101000000_one.sql",
    sql: "create table one (n int);\ncreate table pair (n int);",
};
const TWO: File<'_> = File {
    name: "migrations/20260101000001_two.sql",
    sql: "alter table one add column text text;",
};
const TRIGGER: File<'_> = File {
    name: "triggers/one.sql",
    sql: "create or replace function answer() returns int language sql as 'select 1';",
};

async fn run(
    db: &TestDb,
    migrations: &[File<'_>],
    triggers: &[File<'_>],
) -> Result<Report, MigrateError> {
    Migrator::new(migrations, triggers)
        .unwrap()
        .run(db.dsn())
        .await
}

fn report(applied: &[File<'_>], triggers: &[File<'_>]) -> Report {
    let names = |files: &[File<'_>]| files.iter().map(|file| file.name.to_owned()).collect();
    Report {
        applied: names(applied),
        triggers: names(triggers),
        ..Report::default()
    }
}

async fn count(db: &TestDb, sql: &str) -> i64 {
    db.client().await.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn each_file_applies_once_and_a_repeat_is_nothing() {
    let db = TestDb::empty().await;
    let first = run(&db, &[ONE], &[TRIGGER]).await.unwrap();
    assert_eq!(first, report(&[ONE], &[TRIGGER]));
    let second = run(&db, &[ONE, TWO], &[TRIGGER]).await.unwrap();
    assert_eq!(second, report(&[TWO], &[]));
    let third = run(&db, &[ONE, TWO], &[TRIGGER]).await.unwrap();
    assert_eq!(third, Report::default());
}

#[tokio::test]
async fn the_record_is_what_is_expected() {
    let db = TestDb::new().await;
    let embedded = Migrator::embedded();
    assert_eq!(embedded.run(db.dsn()).await.unwrap(), Report::default());
    let rows = db
        .client()
        .await
        .query(
            "select version, name, checksum from punctual.migrations
             union all select null, name, checksum from punctual.triggers
             order by version nulls last, name",
            &[],
        )
        .await
        .unwrap();
    let expected = embedded.expected();
    assert_eq!(rows.len(), expected.len());
    for (row, expected) in rows.iter().zip(expected) {
        assert_eq!(row.get::<_, Option<i64>>(0), expected.version);
        assert_eq!(row.get::<_, String>(1), expected.name);
        assert_eq!(row.get::<_, String>(2), expected.checksum);
    }
}

#[tokio::test]
async fn what_is_printed_applies_by_other_hands_and_both_ways_meet() {
    let db = TestDb::empty().await;
    let embedded = Migrator::embedded();
    let client = db.client().await;
    client.batch_execute(&embedded.print()).await.unwrap();
    let report = embedded.run(db.dsn()).await.unwrap();
    assert_eq!(
        report.applied.len() + report.triggers.len(),
        embedded.expected().len()
    );
}

#[tokio::test]
async fn two_at_once_take_turns() {
    let db = TestDb::empty().await;
    let (one, two) = tokio::join!(
        run(&db, &[ONE, TWO], &[TRIGGER]),
        run(&db, &[ONE, TWO], &[TRIGGER])
    );
    let mut both = [one.unwrap(), two.unwrap()];
    both.sort_by_key(|report| report.applied.len());
    assert_eq!(both, [Report::default(), report(&[ONE, TWO], &[TRIGGER])]);
}

#[tokio::test]
async fn a_file_changed_afterwards_is_refused_by_name() {
    let db = TestDb::empty().await;
    run(&db, &[ONE], &[]).await.unwrap();
    let edited = File {
        sql: "create table one (n bigint)",
        ..ONE
    };
    let error = run(&db, &[edited, TWO], &[TRIGGER]).await.unwrap_err();
    assert!(matches!(error, MigrateError::Changed { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains(ONE.name) && text.contains("append-only"),
        "{text}"
    );
    assert_eq!(
        count(&db, "select count(*) from punctual.migrations").await,
        1,
        "nothing after it was applied"
    );
}

#[tokio::test]
async fn a_changed_trigger_file_applies_again() {
    let db = TestDb::empty().await;
    run(&db, &[], &[TRIGGER]).await.unwrap();
    let changed = File {
        sql: "create or replace function answer() returns int language sql as 'select 2';",
        ..TRIGGER
    };
    let second = run(&db, &[], &[changed]).await.unwrap();
    assert_eq!(second, report(&[], &[changed]));
    assert_eq!(count(&db, "select answer()::bigint").await, 2);
    assert_eq!(run(&db, &[], &[changed]).await.unwrap(), Report::default());
}

#[tokio::test]
async fn an_older_program_keeps_its_hands_off() {
    let db = TestDb::empty().await;
    run(&db, &[ONE, TWO], &[]).await.unwrap();
    let error = run(&db, &[ONE], &[TRIGGER]).await.unwrap_err();
    assert!(matches!(error, MigrateError::Newer { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("newer") && text.contains("20260101000001"),
        "{text}"
    );
    assert_eq!(
        count(&db, "select count(*) from punctual.triggers").await,
        0
    );
}

/// An installation whose program is taken back by a version, and one of which only half is new.
#[tokio::test]
async fn a_program_runs_on_a_newer_schema_until_that_says_that_it_is_too_old() {
    let of = |migrations: &[File<'static>], triggers: &[File<'static>], program| {
        let files = Migrator::new(migrations, triggers).unwrap();
        files.of_program(program)
    };
    let db = TestDb::empty().await;
    let older = of(&[ONE], &[TRIGGER], 1);
    older.run(db.dsn()).await.unwrap();
    let changed = File {
        sql: "create or replace function answer() returns int language sql as 'select 2';",
        ..TRIGGER
    };
    let newer = of(&[ONE, TWO], &[changed], 2);
    newer.run(db.dsn()).await.unwrap();

    older.check(db.dsn()).await.unwrap();
    newer.check(db.dsn()).await.unwrap();
    let error = older.run(db.dsn()).await.unwrap_err();
    assert!(matches!(error, MigrateError::Newer { .. }), "{error:?}");
    assert_eq!(
        count(&db, "select answer()::bigint").await,
        2,
        "not brought back"
    );
    // Only the triggers are newer.
    let error = of(&[ONE, TWO], &[TRIGGER], 1).run(db.dsn()).await;
    let text = error.unwrap_err().to_string();
    assert!(
        text.contains("triggers/one.sql of a later version"),
        "{text}"
    );

    let shut_out =
        "update punctual.migrations set oldest_program = 2 where version = 20260101000001";
    db.client().await.batch_execute(shut_out).await.unwrap();
    newer.check(db.dsn()).await.unwrap();
    for refused in [
        older.check(db.dsn()).await.err(),
        older.run(db.dsn()).await.err(),
    ] {
        let error = refused.unwrap();
        assert!(
            matches!(
                error,
                MigrateError::TooOld {
                    oldest: 2,
                    program: 1
                }
            ),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_failing_file_names_its_line_and_leaves_nothing() {
    let db = TestDb::empty().await;
    let wrong = File {
        name: "migrations/20260101000002_wrong.sql",
        sql: "create table half (n int);\n-- ärger\n\ncreate table pair (m nothing);",
    };
    let error = run(&db, &[ONE, wrong], &[TRIGGER]).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("migrations/20260101000002_wrong.sql line 4: type \"nothing\""),
        "{text}"
    );
    assert_eq!(
        count(&db, "select count(*) from pg_class where relname = 'half'").await,
        0
    );
    // What came before it stands, and the next run goes on from there.
    let fixed = File {
        sql: "create table half (n int)",
        ..wrong
    };
    let report_of_next = run(&db, &[ONE, fixed], &[]).await.unwrap();
    assert_eq!(report_of_next, report(&[fixed], &[]));
}

#[tokio::test]
async fn a_constraint_that_fails_says_detail_and_hint() {
    let db = TestDb::empty().await;
    let wrong = File {
        name: "migrations/20260101000002_wrong.sql",
        sql: "do $$ begin raise exception 'no' using detail = 'for this', hint = 'do that'; end $$",
    };
    let text = run(&db, &[wrong], &[]).await.unwrap_err().to_string();
    for part in ["wrong.sql: no (P0001)", "detail: for this", "hint: do that"] {
        assert!(text.contains(part), "{part:?} in: {text}");
    }
}

#[tokio::test]
async fn an_error_that_quotes_a_row_shows_only_names() {
    let db = TestDb::empty().await;
    for (sql, parts) in [
        (
            "create table keyed (key text);
             insert into keyed values ('+13105550100'), ('+13105550100');
             create unique index keyed_once on keyed (key)",
            ["23505", "keyed_once"],
        ),
        ("select '+13105550100 x'::bigint", ["22P02", "line 1"]),
        // The words of a function that is not Punctual's, whatever code it has.
        (
            "create function own_words() returns int language plpgsql as
               $$ begin raise exception 'call +13105550100' using hint = 'or +13105550100'; end $$;
             select own_words()",
            ["P0001", "own_words"],
        ),
        (
            "create function own_code() returns int language plpgsql as
               $$ begin raise exception using errcode = 'PU001', message = 'call +13105550100'; end $$;
             select own_code()",
            ["PU001", "own_code"],
        ),
    ] {
        let wrong = File {
            name: "migrations/20260101000002_wrong.sql",
            sql,
        };
        let text = run(&db, &[wrong], &[]).await.unwrap_err().to_string();
        assert!(!text.contains("3105550100"), "{text}");
        for part in parts {
            assert!(text.contains(part), "{part:?} in: {text}");
        }
    }
}

#[tokio::test]
async fn a_lock_in_the_way_is_waited_for_with_others_let_through() {
    let db = TestDb::empty().await;
    run(&db, &[ONE], &[]).await.unwrap();
    let client = db.client().await;
    client
        .batch_execute("begin; lock table one in access share mode")
        .await
        .unwrap();
    let watcher = db.client().await;
    let migrating = run(&db, &[ONE, TWO], &[]);
    // Released only once the migrator has lost a try: its wait is seen, and then is over
    // although the lock is still held.
    let releasing = async {
        let waiting = "select exists (select from pg_locks where not granted
                                      and relation = 'one'::regclass), pg_sleep(0.02)";
        for expected in [true, false] {
            loop {
                let row = watcher.query_one(waiting, &[]).await.unwrap();
                if row.get::<_, bool>(0) == expected {
                    break;
                }
            }
        }
        client.batch_execute("commit").await.unwrap();
    };
    let (done, ()) = tokio::join!(migrating, releasing);
    assert_eq!(done.unwrap(), report(&[TWO], &[]));
}

#[tokio::test]
async fn a_session_lost_midway_says_why() {
    let db = TestDb::empty().await;
    let suicide = File {
        name: "migrations/20260101000002_end.sql",
        sql: "create table half (n int); select pg_terminate_backend(pg_backend_pid());",
    };
    let error = run(&db, &[suicide], &[]).await.unwrap_err().to_string();
    assert!(error.contains("terminating connection"), "{error}");
    assert_eq!(
        count(&db, "select count(*) from pg_class where relname = 'half'").await,
        0
    );
}

#[tokio::test]
async fn a_trigger_that_somebody_dropped_comes_back() {
    let check = async |change: &str, file: &str, starts: bool| {
        let db = TestDb::new().await;
        let client = db.client().await;
        client.batch_execute(change).await.unwrap();
        let embedded = Migrator::embedded();
        assert_eq!(embedded.check(db.dsn()).await.is_ok(), starts, "{change}");
        let report = embedded.run(db.dsn()).await.unwrap();
        assert_eq!(report.triggers, [file], "{change}");
        embedded.check(db.dsn()).await.unwrap();
        let again = embedded.run(db.dsn()).await.unwrap();
        assert_eq!(again.triggers, Vec::<String>::new(), "{change}");
    };
    check(
        "drop trigger punctual_notify_insert on scheduled_messages",
        "triggers/scheduled_messages.sql",
        false,
    )
    .await;
    // Without these messages go, so the daemon starts.
    check(
        "drop trigger punctual_opted_out on user_sms_preferences",
        "triggers/user_sms_preferences.sql",
        true,
    )
    .await;
    // As an app does that makes its table again.
    check(
        "drop table task_calendar_events;
         create table task_calendar_events (calendar_event_id text, user_id uuid)",
        "triggers/task_calendar_events.sql",
        true,
    )
    .await;
}

#[tokio::test]
async fn a_trigger_of_a_table_that_is_gone_or_a_view_is_not_missed() {
    let db = TestDb::new().await;
    let change = "drop table task_calendar_events; drop table user_sms_preferences;
                  create view task_calendar_events as select 1 as x";
    db.client().await.batch_execute(change).await.unwrap();
    let report = Migrator::embedded().run(db.dsn()).await.unwrap();
    assert_eq!(report, Report::default());
}

/// A default of the time zone that an earlier version's migration wrote, and one of the app's.
#[tokio::test]
async fn the_zone_that_an_earlier_version_gave_new_users_goes_and_the_apps_stays() {
    let db = TestDb::new().await;
    let client = db.client().await;
    let default = "select pg_get_expr(adbin, adrelid) from pg_attrdef d join pg_attribute a on attrelid = adrelid and attnum = adnum
                    where adrelid = 'user_sms_preferences'::regclass and attname = 'timezone'";
    let write = "alter table user_sms_preferences alter timezone set default 'America/Los_Angeles'";
    let migration = "update punctual.migrations set name = name where name like '%app_tables%'";
    let another = write.replace("Los_Angeles", "Denver");
    // Each text is a transaction.
    for (of, changes, stays) in [
        (
            "the app",
            vec![write.to_owned(), migration.to_owned()],
            true,
        ),
        ("the app", vec![format!("{another}; {migration}")], true),
        (
            "a dump that was restored in one transaction",
            vec![format!(
                "{write}; update punctual.migrations set name = name"
            )],
            true,
        ),
        ("Punctual", vec![format!("{write}; {migration}")], false),
    ] {
        for change in &changes {
            client.batch_execute(change).await.unwrap();
        }
        let earlier = "update punctual.triggers set checksum = 'earlier' where name like '%user_sms_preferences%'";
        client.batch_execute(earlier).await.unwrap();
        let report = Migrator::embedded().run(db.dsn()).await.unwrap();
        assert_eq!(report.triggers, ["triggers/user_sms_preferences.sql"]);
        let found = client.query(default, &[]).await.unwrap();
        assert_eq!(found.len(), usize::from(stays), "of {of}");
    }
}
