//! `punctual.history`: who changed or deleted a message other than a daemon, and what of it.

use punctual::store::story::Story;
use tokio_postgres::{AsyncMessage, Client};
use uuid::Uuid;

use crate::calendar::{USER, event, reminder};
use crate::live_app::{role, session_as};
use crate::rows::{World, hearing, one, run, server_version};

/// What was recorded since the last look: `op old new`, by message.
async fn recorded(world: &World) -> Vec<String> {
    let sql = "with gone as (delete from punctual.history returning *)
               select concat_ws(' ', op, old, new) from gone order by id";
    let rows = world.unseen.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// A row of the app's, whose insert records nothing.
async fn inserted(world: &World, client: &Client) -> Uuid {
    let sql = "insert into scheduled_messages (to_number, body, scheduled_at)
               values ('+13105550100', 'hello', '2030-01-01T00:00:00Z') returning id";
    let id = one(client, sql).await;
    assert_eq!(recorded(world).await, [""; 0], "an insert");
    id
}

#[tokio::test]
async fn what_was_changed_is_kept_and_what_was_blanked_is_not() {
    let world = World::new().await;
    let app = &world.user;
    run(app, "set timezone = 'America/New_York'").await;
    for (change, is) in [
        // Nothing that counts.
        ("metadata = '{\"a\": 1}', updated_at = now()", ""),
        ("body = body, scheduled_at = scheduled_at", ""),
        // Punctual's own columns, which the guard sets back.
        ("attempts = 7, deferred_until = now()", ""),
        (
            "status = 'cancelled'",
            r#"update {"status": "pending"} {"status": "cancelled"}"#,
        ),
        (
            "body = 'bye'",
            r#"update {"body": "hello"} {"body": "bye"}"#,
        ),
        (
            "scheduled_at = '2031-01-01T00:00:00Z', send_before = '2032-01-01T00:00:00Z'",
            r#"update {"send_before": null, "scheduled_at": "2030-01-01T00:00:00+00:00"} {"send_before": "2032-01-01T00:00:00+00:00", "scheduled_at": "2031-01-01T00:00:00+00:00"}"#,
        ),
        (
            "to_number = '+13105550101', from_number = '+15005550006'",
            r#"update {"to_number": "+13105550100", "from_number": null} {"to_number": "+13105550101", "from_number": "+15005550006"}"#,
        ),
        (
            "template_vars = '{\"a\": 1}'",
            r#"update {"template_vars": null} {"template_vars": {"a": 1}}"#,
        ),
        // Whoever blanks a value wants it gone.
        (
            "to_number = '', body = ''",
            r#"update {"body": null, "to_number": null} {"body": "", "to_number": ""}"#,
        ),
        (
            "channel = null, priority = 'urgent'",
            r#"update {"channel": "sms", "priority": "normal"} {"channel": null, "priority": "urgent"}"#,
        ),
    ] {
        let id = inserted(&world, app).await;
        run(
            app,
            &format!("update scheduled_messages set {change} where id = '{id}'"),
        )
        .await;
        assert_eq!(recorded(&world).await.join("; "), is, "{change}");
    }
    let id = inserted(&world, app).await;
    run(
        app,
        &format!("delete from scheduled_messages where id = '{id}'"),
    )
    .await;
    let deleted = recorded(&world).await.join("; ");
    assert!(deleted.starts_with("delete {"), "{deleted}");
    assert!(deleted.contains(r#""status": "pending""#), "{deleted}");
    assert!(
        !deleted.contains("+1310") && !deleted.contains("hello"),
        "{deleted}"
    );
}

#[tokio::test]
async fn every_way_to_change_rows_is_recorded_once_a_row_and_the_daemons_is_not() {
    let world = World::new().await;
    let app = &world.user;
    let ids = [inserted(&world, app).await, inserted(&world, app).await];
    let [a, b] = ids;
    let set = "update scheduled_messages set body = 'x' || random()";
    let one_of_two_deleted = if server_version(app).await < 15 {
        format!(
            "with gone as (delete from scheduled_messages where id = '{a}') {set} where id = '{b}'"
        )
    } else {
        format!(
            "merge into scheduled_messages m using (values ('{a}'::uuid, 1), ('{b}', 2)) v (id, n) on m.id = v.id
             when matched and v.n = 1 then delete when matched then update set body = 'z'"
        )
    };
    for (sql, n) in [
        (set.to_owned(), 2),
        (format!("{set} where false"), 0),
        (
            format!(
                "insert into scheduled_messages (id, to_number, body, scheduled_at)
                 values ('{a}', '', '', now()), (gen_random_uuid(), '+13105550100', 'n', '2030-01-01')
                 on conflict (id) do update set body = 'y' || random()"
            ),
            1,
        ),
        (one_of_two_deleted, 2),
        (format!("with gone as (delete from scheduled_messages where id <> '{b}' returning id) {set} where id = '{b}'"), 2),
    ] {
        run(app, &sql).await;
        assert_eq!(recorded(&world).await.len(), n, "{sql}");
    }
    // A row that is skipped because it is too late has not changed.
    let (late, early) = (world.row("sent").await, world.row("pending").await);
    run(
        app,
        &format!(
            "update scheduled_messages set status = 'cancelled' where id in ('{late}', '{early}')"
        ),
    )
    .await;
    assert_eq!(
        recorded(&world).await,
        [r#"update {"status": "pending"} {"status": "cancelled"}"#]
    );

    let daemon = world.daemon().await;
    let early = world.row("pending").await;
    run(&daemon, &format!("update scheduled_messages set status = 'cancelled', cancel_reason = 'x' where id = '{early}'")).await;
    assert_eq!(recorded(&world).await, [""; 0], "the daemon's own");
    // What follows from a change of the app's is its change.
    event(&world, "e", USER, "now() + interval '3 hours'").await;
    reminder(&world, "e", USER, "15 minutes", ", e.event_start, null").await;
    assert_eq!(recorded(&world).await, [""; 0]);
    run(
        app,
        "update task_calendar_events set event_start = event_start + interval '1 hour'",
    )
    .await;
    let moved = recorded(&world).await;
    assert!(
        moved.len() == 1 && moved[0].contains("event_start"),
        "{moved:?}"
    );
}

/// Who was recorded, of the latest change.
async fn who(world: &World) -> String {
    let sql = "select format('%s, %s, %s, %s', role, coalesce(actor, '-'), coalesce(subject, '-'), coalesce(application, '-'))
                 from punctual.history order by id desc limit 1";
    one(&world.unseen, sql).await
}

#[tokio::test]
async fn who_changed_it_is_the_role_of_the_session_and_what_the_session_says() {
    let world = World::new().await;
    for name in ["changes_app", "changes_user"] {
        role(&world.db, name, "").await;
    }
    run(
        &world.unseen,
        "grant changes_user to changes_app;
         grant select, insert, update, delete on scheduled_messages to changes_app, changes_user;
         create policy app on scheduled_messages using (true) with check (true)",
    )
    .await;
    let app = session_as(&world.db, "changes_app").await;
    let id = world.row("pending").await;
    for (before, is) in [
        ("set application_name = ''", "changes_app, -, -, -"),
        (
            "set application_name = 'nightly job'",
            "changes_app, -, -, nightly job",
        ),
        // As PostgREST does for each request, and as it did before version 9.
        (
            r#"set role changes_user; set request.jwt.claims = '{"sub": "u1", "role": "changes_user"}'"#,
            "changes_user, -, u1, nightly job",
        ),
        (
            "set request.jwt.claims = ''; set request.jwt.claim.sub = 'u2'",
            "changes_user, -, u2, nightly job",
        ),
        // Nothing that a session says of itself hides who it is.
        (
            "set request.jwt.claims = '{not json'",
            "changes_user, -, u2, nightly job",
        ),
        (
            "set punctual.actor = 'ann'; set request.jwt.claims = '[]'",
            "changes_user, ann, u2, nightly job",
        ),
        (
            "reset role; set punctual.writer = 'on'",
            "changes_app, ann, u2, nightly job",
        ),
    ] {
        run(&app, before).await;
        run(
            &app,
            &format!("update scheduled_messages set body = 'x' || random() where id = '{id}'"),
        )
        .await;
        assert_eq!(who(&world).await, is, "{before}");
    }
    let most = one::<i64>(&world.unseen, "select count(*) from punctual.history").await;
    assert_eq!(most, 7);
}

#[tokio::test]
async fn a_change_that_cannot_be_recorded_is_made_all_the_same() {
    let world = World::new().await;
    let id = inserted(&world, &world.user).await;
    let (app, mut hears) = hearing(&world.db).await;
    let change =
        |body: &str| format!("update scheduled_messages set body = '{body}' where id = '{id}'");
    run(&app, &change("a")).await;
    run(
        &world.unseen,
        "alter table punctual.history rename to elsewhere",
    )
    .await;
    run(&app, &change("b")).await;
    assert_eq!(world.get::<String>(id, "body").await, "b");
    let mut warned = false;
    while let Ok(message) = hears.try_recv() {
        if let AsyncMessage::Notice(notice) = message {
            let text = notice.message();
            assert!(!text.contains("hello"), "{text}");
            warned |= text.contains("could not be recorded in punctual.history: SQLSTATE 42P01");
        }
    }
    assert!(warned);
    run(
        &app,
        &format!("delete from scheduled_messages where id = '{id}'"),
    )
    .await;
    assert_eq!(world.tally().await, "");
}

/// The path of the caller decides nothing where the owner's rights count: not for a table, a function or a type.
#[tokio::test]
async fn the_callers_names_are_not_used() {
    let world = World::new().await;
    role(&world.db, "changes_path", "").await;
    run(
        &world.unseen,
        "grant select, update on scheduled_messages to changes_path;
         grant create on schema public to changes_path;
         create policy app on scheduled_messages using (true) with check (true)",
    )
    .await;
    let id = world.row("pending").await;
    let app = session_as(&world.db, "changes_path").await;
    let evil = "create function public.evil(anyelement) returns boolean language plpgsql as
                  $$ begin
                    if current_user <> 'changes_path' then raise exception 'called as %', current_user; end if;
                    return true;
                  end $$;
                create domain pg_temp.text as pg_catalog.text check (public.evil(value::pg_catalog.varchar));
                create domain pg_temp.jsonb as pg_catalog.jsonb check (public.evil(value));
                create temp table history (like scheduled_messages);
                create temp table old_rows (like scheduled_messages);
                create temp table new_rows (like scheduled_messages);
                set search_path = pg_temp, public, pg_catalog;
                set request.jwt.claims = '{\"sub\": \"u1\"}'";
    run(&app, evil).await;
    run(
        &app,
        &format!("update public.scheduled_messages set body = 'x' where id = '{id}'"),
    )
    .await;
    assert_eq!(who(&world).await, "changes_path, -, u1, punctual");
}

/// A plan that is made for one row serves the next statement too, which may have very many.
#[tokio::test]
async fn a_statement_over_many_rows_joins_each_once_and_inserts_once() {
    let world = World::new().await;
    let (app, mut hears) = hearing(&world.db).await;
    world.rows(3, "pending").await;
    let one_row = "update scheduled_messages set body = 'x' || random()
                    where id = (select min(id::text)::uuid from scheduled_messages)";
    for _ in 0..3 {
        run(&app, one_row).await;
    }
    let explained = "load 'auto_explain'; set auto_explain.log_min_duration = 0; set auto_explain.log_analyze = on;
                     set auto_explain.log_nested_statements = on; set client_min_messages = log";
    run(&app, explained).await;
    run(&app, "update scheduled_messages set status = 'cancelled'").await;
    run(
        &app,
        "set client_min_messages = warning; reset auto_explain.log_min_duration",
    )
    .await;
    let mut plans = Vec::new();
    while let Ok(message) = hears.try_recv() {
        if let AsyncMessage::Notice(notice) = message
            && notice.message().contains("insert into punctual.history")
        {
            plans.push(notice.message().to_owned());
        }
    }
    let [plan] = &plans[..] else {
        panic!("{plans:?}")
    };
    assert!(
        plan.contains("Hash Join") && !plan.contains("Nested Loop"),
        "{plan}"
    );
    // The latter since PostgreSQL 18.
    let each_once = ["rows=3 loops=1", "rows=3.00 loops=1"];
    assert!(each_once.iter().any(|shown| plan.contains(shown)), "{plan}");
}

#[tokio::test]
async fn the_story_shows_who_changed_a_message_though_its_row_is_gone() {
    let world = World::new().await;
    let app = &world.user;
    let id = inserted(&world, app).await;
    for sql in [
        format!(
            "update scheduled_messages set body = 'good morning', to_number = '+13105550199' where id = '{id}'"
        ),
        format!("delete from scheduled_messages where id = '{id}'"),
    ] {
        run(app, &sql).await;
    }
    let story = Story::read(
        &world.daemon().await,
        punctual::message::MessageId(id),
        &crate::forecast::assumed(),
    )
    .await
    .unwrap();
    assert!(!story.is_empty() && story.row.is_none());
    let shown: Vec<String> = story
        .changes
        .iter()
        .map(|change| {
            let edits = change
                .columns
                .iter()
                .map(|edit| format!("{} {:?} {:?}", edit.column, edit.old, edit.new));
            format!("{}: {}", change.op, edits.collect::<Vec<_>>().join(", "))
        })
        .collect();
    assert!(
        shown[0].starts_with(
            r#"update: body Some("5 characters") Some("12 characters"), to_number Some("#
        ),
        "{shown:?}"
    );
    assert!(
        shown[1].contains(r#"status Some("pending") None"#),
        "{shown:?}"
    );
    assert!(!format!("{story:?}").contains("5550199"), "{story:?}");
}
