//! The short way of most inserts: what it recognizes, and that nothing passes by it that the long way would judge.

use punctual::policy::{Rules, Validate};
use tokio_postgres::Client;

use crate::ours::{rules, store};
use crate::rows::{World, one, run, said};

/// A world that refuses what cannot be sent.
async fn world() -> World {
    let world = World::new().await;
    let settings = Rules {
        validate: Validate::Refuse,
        ..rules()
    };
    store(&world).keep_settings(&settings).await.unwrap();
    world
}

fn insert(columns: &str, values: &str) -> String {
    format!(
        "insert into scheduled_messages (to_number, scheduled_at, body {columns})
         values ('+13105550100', now() + interval '9 days', {values})"
    )
}

/// The rows that a session inserts are recognized from now on, for some seconds.
async fn recognized(client: &Client) {
    // Twice, in case the seconds are over between the two statements.
    for _ in 0..2 {
        run(client, &insert("", "'hello'")).await;
        let judged = "select coalesce(current_setting('punctual.separator', true), '')";
        assert_eq!(one::<String>(client, judged).await, "[BUBBLE]");
    }
}

/// Right after rows that are plain, whatever is not.
#[tokio::test]
async fn what_is_not_plain_is_judged_also_after_what_is() {
    let world = world().await;
    for (columns, values) in [
        ("", "''"),
        ("", "'[BUBBLE] [BUBBLE]'"),
        ("", "repeat('x', 1601)"),
        (", from_number", "'hello', 'a!'"),
        (", channel", "'hello', 'email'"),
        (", channel", "'hello', 'Webhook'"),
    ] {
        recognized(&world.user).await;
        let sql = insert(columns, values);
        let error = world.user.batch_execute(&sql).await.expect_err(&sql);
        assert!(said(&error).ends_with("(PT422)"), "{sql}: {}", said(&error));
        // In the middle of others, and beside a row that is refused for itself.
        let among = "insert into scheduled_messages (to_number, scheduled_at, body)
             select case when n = 50 then '0' else '+13105550100' end, now() + interval '9 days', 'hello'
               from generate_series(1, 99) n";
        let error = world.user.batch_execute(among).await.expect_err(among);
        assert!(said(&error).ends_with("(PT422)"), "{}", said(&error));
    }
    // What only the daemon decides is not taken from a plain row either.
    for (column, value, kept) in [
        ("attempts", "3", "0"),
        ("version", "7", "0"),
        ("parts_done", "1", "0"),
        ("parts_total", "2", ""),
        ("parts_total", "-1", ""),
        ("next_attempt_at", "now()", ""),
        ("deferred_until", "now()", ""),
        ("requeued_at", "now()", ""),
        ("twilio_sid", "'SM1'", ""),
        ("delivered_at", "now()", ""),
    ] {
        recognized(&world.user).await;
        let sql = insert(&format!(", {column}"), &format!("'hello', {value}"));
        let sql = format!("{sql} returning concat({column})");
        assert_eq!(one::<String>(&world.user, &sql).await, kept, "{column}");
    }
    recognized(&world.user).await;
    let unknown = insert(", channel", "'hello', 'pigeon'") + " returning status";
    assert_eq!(one::<String>(&world.user, &unknown).await, "failed");
    let sending = insert(", status", "'hello', 'sending'");
    let error = world.user.batch_execute(&sending).await.unwrap_err();
    assert_eq!(said(&error), "a new message cannot be sending (PT409)");
    // The zone of a message before is known, and no other.
    run(
        &world.unseen,
        "insert into punctual.days (zone, starts, ends, day) values ('europe/berlin', now(), now(), current_date)",
    )
    .await;
    for _ in 0..2 {
        run(
            &world.user,
            &insert(", timezone", "'hello', 'Europe/Berlin'"),
        )
        .await;
    }
    let wrong = insert(", timezone", "'hello', 'Mars/Olympus'");
    assert!(world.user.batch_execute(&wrong).await.is_err());
}

/// A trigger of the app's that inserts messages in the middle of a statement with rows to be judged.
#[tokio::test]
async fn a_statement_within_another_takes_nothing_of_it_along() {
    let world = world().await;
    let nested = "create function follow() returns trigger language plpgsql as $$
        begin
          if new.body <> 'nested' then
            insert into scheduled_messages (to_number, body, scheduled_at)
            values ('+13105550100', 'nested', now() + interval '9 days');
          end if;
          return new;
        end $$;
        create trigger a_follow before insert on scheduled_messages for each row execute function follow();
        create trigger follow_after after insert on scheduled_messages for each row execute function follow()";
    run(&world.unseen, nested).await;
    recognized(&world.user).await;
    let rows = "insert into scheduled_messages (to_number, body, scheduled_at)
                select t, 'hello', now() + interval '9 days' from unnest(array['0', '+13105550100']) t";
    let error = world.user.batch_execute(rows).await.unwrap_err();
    assert!(said(&error).ends_with("(PT422)"), "{}", said(&error));
    run(&world.user, &rows.replace("'0'", "'+13105550101'")).await;
    let judge = "select coalesce(current_setting('punctual.judge', true), '')";
    assert_eq!(one::<String>(&world.user, judge).await, "");
}

/// The same by a function that the statement calls, and in what it returns.
#[tokio::test]
async fn a_statement_that_calls_a_function_which_inserts_is_judged() {
    let world = world().await;
    let enqueue = "create function enqueue(n int) returns text language plpgsql as $$
        begin
          insert into scheduled_messages (to_number, body, scheduled_at)
          values ('+13105550100', case when n = 2 then ' hello ' else 'x' end, now() + interval '9 days');
          return 'hello';
        end $$";
    run(&world.unseen, enqueue).await;
    for sql in [
        "insert into scheduled_messages (to_number, body, scheduled_at)
         select case n when 1 then '0' else '+13105550100' end, enqueue(n), now() + interval '9 days'
           from generate_series(1, 3) n",
        "insert into scheduled_messages (to_number, body, scheduled_at)
         values ('0', 'x', now() + interval '9 days') returning enqueue(1)",
    ] {
        // Also where what is inserted in the middle is not recognized.
        for reset in ["select", "reset punctual.read_at"] {
            recognized(&world.user).await;
            run(&world.user, reset).await;
            let error = world.user.batch_execute(sql).await.expect_err(sql);
            assert!(said(&error).ends_with("(PT422)"), "{sql}: {}", said(&error));
        }
    }
}

/// Of another type in a session that has inserted, of an order that no pattern compares, gone, and one whose name the
/// check uses.
#[tokio::test]
async fn columns_of_the_apps_in_another_shape_prevent_no_insert() {
    for (change, still_judged) in [
        (
            "alter column to_number type varchar(20), alter column body type varchar(2000)",
            true,
        ),
        (
            "alter column from_number type varchar(20), alter column timezone type varchar(60)",
            true,
        ),
        ("alter column to_number type text collate another", false),
        ("drop column from_number", false),
        ("drop column timezone", false),
        ("add column separator text", true),
    ] {
        let world = world().await;
        recognized(&world.user).await;
        run(
            &world.unseen,
            "create collation another (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             drop view if exists scheduled_messages_local",
        )
        .await;
        run(
            &world.unseen,
            &format!("alter table scheduled_messages {change}"),
        )
        .await;
        for _ in 0..3 {
            run(&world.user, &insert("", "'hello'")).await;
        }
        let bad = insert("", "'hello'").replace("+13105550100", "0");
        let judged = world.user.batch_execute(&bad).await.is_err();
        assert!(judged || !still_judged, "{change}");
    }
}

/// Neither an insert that is recognized nor one that is not leaves the path of the session changed.
#[tokio::test]
async fn the_path_of_the_session_stays() {
    let world = world().await;
    let path = "\"$user\", public, pg_temp";
    let is = "select current_setting('search_path')";
    run(&world.user, &format!("set search_path = {path}")).await;
    for sql in [
        insert("", "'hello'"),
        insert("", "'hello'"),
        insert(", attempts", "'hello', 3"),
        insert("", "'hello'").replace("9 days", "9 seconds"),
    ] {
        run(&world.user, &format!("begin; {sql}")).await;
        assert_eq!(one::<String>(&world.user, is).await, path, "{sql}");
        // One that is set in the transaction, after it.
        run(&world.user, "set local search_path = public, pg_temp").await;
        run(&world.user, &sql).await;
        assert_eq!(one::<String>(&world.user, is).await, "public, pg_temp");
        run(&world.user, "commit").await;
        assert_eq!(one::<String>(&world.user, is).await, path, "{sql}");
    }
    let refused = insert("", "''").replace("9 days", "9 seconds");
    world.user.batch_execute(&refused).await.unwrap_err();
    assert_eq!(one::<String>(&world.user, is).await, path);
}

/// Postgres reads them once a statement, from the text that it keeps of each: what an insert of one row costs depends
/// on their length.
#[tokio::test]
async fn the_conditions_of_triggers_are_short() {
    let world = World::new().await;
    for (event, bit, most) in [("insert", 4, 2_000), ("update", 16, 15_000)] {
        let length = format!(
            "select sum(length(tgqual::text))::bigint from pg_trigger
              where tgrelid = 'scheduled_messages'::regclass and tgtype & {bit} > 0 and tgenabled = 'O'
                and tgattr::text = ''"
        );
        let length: i64 = one(&world.unseen, &length).await;
        assert!(length > 0 && length <= most, "{event}: {length}");
    }
}
