//! An app whose tables are in a schema of another name (`PUNCTUAL_SCHEMA`), in databases that have no `public` at all:
//! the schema's name has to be in every statement, trigger and function.

use uuid::Uuid;

use crate::daemon::{Daemon, set, until};
use crate::harness::TestDb;
use crate::world::{ROLE, TO, World, called, least};

/// The app's own table.
const TABLE: &str = "create table scheduled_messages (
    id uuid primary key default gen_random_uuid(), to_number text not null, body text not null,
    scheduled_at timestamptz not null, status text not null default 'pending')";

/// A trigger of the app's that finds its table by the `search_path` alone.
const AUDIT: &str = "create table audit (id uuid);
    create function log_it() returns trigger language plpgsql as
      $$ begin insert into audit values (new.id); return new; end $$;
    create trigger log_it after update on scheduled_messages for each row execute function log_it()";

/// With the app's table in this schema, the only one.
async fn app_in(schema: &str) -> World {
    let world = World::over(TestDb::empty().await, []).await;
    let make = format!(
        "drop schema public cascade; create schema \"{schema}\"; set search_path = \"{schema}\"; {TABLE}; {AUDIT}"
    );
    run(&world, &make).await;
    world
}

async fn run(world: &World, sql: &str) {
    let done = world.app.batch_execute(sql).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

async fn one<T: for<'a> tokio_postgres::types::FromSql<'a>>(world: &World, sql: &str) -> T {
    let row = world.app.query_one(sql, &[]).await;
    row.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
        .get(0)
}

/// A command fails with this sentence.
async fn refuses(world: &World, args: &[&str], says: &str) {
    let (code, stdout, stderr) = world.call(args).await;
    assert!(code != Some(0), "{args:?}: {stdout}");
    let said = stdout + &stderr;
    assert!(said.contains(says), "{args:?}: no {says:?} in\n{said}");
}

/// What tables, views and functions there are outside of Punctual's own schema, by schema.
const MADE: &str = "select coalesce(string_agg(distinct n.nspname, ', '), '') from pg_namespace n
     where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'punctual', 'punctual_api')
       and (exists (select from pg_class c where c.relnamespace = n.oid)
            or exists (select from pg_proc p where p.pronamespace = n.oid))";

/// Everything that a daemon, the commands and the triggers do for a message.
async fn serves(world: World, schema: &str) {
    refuses(
        &world,
        &["migrate"],
        &format!("set PUNCTUAL_SCHEMA={schema}"),
    )
    .await;
    refuses(
        &world,
        &["doctor"],
        &format!("set PUNCTUAL_SCHEMA={schema}"),
    )
    .await;
    let absent: bool = one(&world, "select to_regnamespace('punctual') is null").await;
    assert!(absent, "it was made though it was refused");

    let world = world.with(&[("PUNCTUAL_SCHEMA", schema)]);
    refuses(&world, &["run"], "run `punctual migrate` first").await;
    let create = format!(
        "do $$ begin create role {ROLE} login password '{ROLE}';
         exception when duplicate_object or unique_violation then null; end $$"
    );
    run(&world, &create).await;
    let (code, printed, failed) = world.call(&["migrate", "--role", ROLE]).await;
    assert_eq!(code, Some(0), "{failed}");
    assert!(
        printed.contains(&format!("\"{schema}\".scheduled_messages")) || !schema.contains(' '),
        "{printed}"
    );
    let (_, printed, failed) = world.call(&["migrate"]).await;
    assert_eq!(
        printed, "nothing to do: the schema is up to date\n",
        "{failed}"
    );
    assert_eq!(one::<String>(&world, MADE).await, schema);
    run(&world, &format!("grant insert on audit to {ROLE}")).await;

    let url = world
        .env
        .iter()
        .find(|(name, _)| name == "DATABASE_URL")
        .unwrap()
        .1
        .clone();
    let world = world.with(&[("DATABASE_URL", &least(&url))]);
    let daemon = world.daemon().await;
    sends(&world, &daemon).await;
    follows(&world).await;
    let (_, printed, _) = world.call(&["doctor", "--json"]).await;
    let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
    for what in [
        "schema",
        "triggers",
        "app tables",
        "policy tables",
        "indexes",
        "sending path",
        "daemon role",
        "who may write",
    ] {
        let found = printed
            .as_array()
            .unwrap()
            .iter()
            .find(|found| found["what"] == what);
        assert_eq!(found.unwrap()["level"], "ok", "{what}: {printed:#}");
    }
    daemon.stop().await;
    assert_eq!(one::<String>(&world, MADE).await, schema);
    moves(world, schema).await;
}

/// Sent once, moved, edited, cancelled, scheduled by the command, with the rows that the app reads.
async fn sends(world: &World, daemon: &Daemon) {
    let sent = world.insert("on time", 500).await;
    let moved = world.insert("moved", 60_000).await;
    let cancelled = world.insert("cancelled", 60_000).await;
    until("it is armed", async || {
        let armed = daemon.timers(&format!("id={cancelled}")).await;
        armed["timers"].get(0).map(|_| ())
    })
    .await;
    let edit = format!(
        "update scheduled_messages set scheduled_at = clock_timestamp(), body = 'edited' where id = '{moved}'"
    );
    run(world, &edit).await;
    let (code, printed, failed) = world.call(&["cancel", &cancelled.to_string()]).await;
    assert_eq!(code, Some(0), "{printed}{failed}");
    let args = [
        "schedule",
        "--to",
        TO,
        "--body",
        "by command",
        "--at",
        "in 1s",
    ];
    let (code, _, failed) = world.call(&args).await;
    assert_eq!(code, Some(0), "{failed}");
    let by_command: Uuid = one(
        world,
        "select id from scheduled_messages where body = 'by command'",
    )
    .await;
    for id in [sent, moved, by_command] {
        world.arrived_once(id).await;
    }
    assert_eq!(world.requests("edited").len(), 1);
    assert!(world.requests("cancelled").is_empty());
    until("the app's rows are written", async || {
        let rows: i64 = one(
            world,
            "select count(*) from messages m join conversations c on c.id = m.conversation_id where m.twilio_sid is not null",
        )
        .await;
        (rows == 3).then_some(())
    })
    .await;
    let audited: bool = one(
        world,
        &format!("select exists (select from audit where id = '{sent}')"),
    )
    .await;
    assert!(audited, "the app's trigger ran in the claim");
    let late = format!("update scheduled_messages set body = 'late' where id = '{sent}'");
    let error = world.app.batch_execute(&late).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "PT409");
    let (code, printed, failed) = world.call(&["why", &sent.to_string()]).await;
    assert!(
        code == Some(0) && printed.contains("attempt 1: accepted"),
        "{printed}{failed}"
    );
}

/// What a message follows: its user's preferences, its template and its event, and the views that show it.
async fn follows(world: &World) {
    let user = Uuid::new_v4();
    let insert = format!(
        "insert into user_sms_preferences (user_id, phone_verified, event_reminders_enabled, quiet_hours_start)
           values ('{user}', true, true, null);
         insert into task_calendar_events (calendar_event_id, user_id, event_start)
           values ('dentist', '{user}', clock_timestamp() + interval '1 day');
         insert into sms_templates (template_key, message_template) values ('hello', 'Hello {{{{name}}}}');
         insert into scheduled_messages (to_number, body, scheduled_at, user_id, calendar_event_id, event_start)
           select '{TO}', 'reminder', event_start, user_id, calendar_event_id, event_start from task_calendar_events;
         insert into scheduled_messages (to_number, body, scheduled_at, user_id, template_id, template_vars)
           select '{TO}', 'fallback', clock_timestamp(), '{user}', id, '{{\"name\": \"Ada\"}}' from sms_templates"
    );
    run(world, &insert).await;
    until("the template's text is sent", async || {
        (world.requests("Hello Ada").len() == 1).then_some(())
    })
    .await;
    run(
        world,
        "update task_calendar_events set event_start = event_start + interval '1 day'",
    )
    .await;
    let is_moved = "select scheduled_at = event_start and scheduled_at > clock_timestamp() + interval '47 hours'
                      from scheduled_messages where body = 'reminder'";
    until("it has followed its event", async || {
        one::<bool>(world, is_moved).await.then_some(())
    })
    .await;
    let shown: i64 = one(
        world,
        "select count(*) from scheduled_messages_local where message = 'reminder'",
    )
    .await;
    assert_eq!(shown, 1);
    assert!(one::<bool>(world, "select is_business_hours(now())").await);
    run(world, "update user_sms_preferences set opted_out = true").await;
    until("the opt-out has cancelled it", async || {
        let status: String = one(
            world,
            "select status from scheduled_messages where body = 'reminder'",
        )
        .await;
        (status == "cancelled").then_some(())
    })
    .await;
}

/// The same database with another setting, and with its tables moved to another schema.
async fn moves(world: World, schema: &str) {
    let used = format!("this database is used with the tables of schema {schema}");
    run(
        &world,
        &format!("create schema elsewhere; grant usage on schema elsewhere to {ROLE}"),
    )
    .await;
    let mut world = world.with(&[("PUNCTUAL_SCHEMA", "elsewhere")]);
    for command in ["run", "migrate", "doctor"] {
        refuses(&world, &[command], &used).await;
    }
    let rename = format!(
        "drop schema elsewhere; alter schema \"{schema}\" rename to elsewhere; set search_path = elsewhere"
    );
    run(&world, &rename).await;
    refuses(&world, &["run"], "run `punctual migrate` first").await;
    let url = crate::world::url(&world.app).await;
    let mut owner = world.env.clone();
    set(&mut owner, "DATABASE_URL", &url);
    let (code, printed, failed) = called(&["migrate"], &owner).await;
    assert!(
        code == Some(0) && printed.contains("applied triggers/facts.sql"),
        "{printed}{failed}"
    );
    let daemon = world.daemon().await;
    let id = world.insert("after the move", 200).await;
    world.arrived_once(id).await;
    daemon.stop().await;
    world = world.with(&[("PUNCTUAL_SCHEMA", "nowhere")]);
    refuses(&world, &["run"], "used with the tables of schema elsewhere").await;
    let empty = World::over(TestDb::empty().await, [])
        .await
        .with(&[("PUNCTUAL_SCHEMA", "nowhere")]);
    refuses(&empty, &["migrate"], "there is no schema nowhere").await;
    // One table apart from the others: an empty one in its place would have no opt-outs.
    let apart = World::over(TestDb::empty().await, []).await;
    run(
        &apart,
        "create schema app; create table app.user_sms_preferences (user_id uuid primary key, opted_out boolean)",
    )
    .await;
    for command in ["migrate", "doctor"] {
        refuses(&apart, &[command], "there is app.user_sms_preferences").await;
    }
    run(
        &apart,
        "alter table app.user_sms_preferences set schema public",
    )
    .await;
    let (code, printed, failed) = called(&["migrate"], &apart.env).await;
    assert_eq!(code, Some(0), "{printed}{failed}");
}

#[tokio::test]
async fn the_apps_tables_may_be_in_any_schema() {
    let in_schema = async |schema: &str| serves(app_in(schema).await, schema).await;
    tokio::join!(in_schema("app"), in_schema("My äpp-1.$"));
}
