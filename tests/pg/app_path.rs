//! Triggers and constraints of the app's on `scheduled_messages` that name their tables without a schema: they fail
//! in the triggers that change messages with their owner's rights, so the daemon makes those changes.

use std::collections::BTreeSet;

use tokio_postgres::AsyncMessage;
use uuid::Uuid;

use punctual::message::ClaimResponse;

use crate::calendar::{USER, event, notes, reminder};
use crate::ours::{claim, store, won};
use crate::rows::{World, hearing, one, run, until};

/// An audit trigger as apps have it.
const AUDIT: &str = "create table audit_log (id uuid, was text, becomes text);
    create function audit() returns trigger language plpgsql as
      $$ begin insert into audit_log values (new.id, old.status, new.status); return new; end $$;
    create trigger audit after update on scheduled_messages for each row execute function audit()";

/// The same by a constraint whose function reads a table.
const CHECK: &str = "create table rules (most int); insert into rules values (1000);
    create function is_allowed(body text) returns boolean language plpgsql as
      $$ begin return length(body) <= (select most from rules); end $$;
    alter table scheduled_messages add check (is_allowed(body))";

const OPT_OUT: &str = "update user_sms_preferences set opted_out = true";
const DELETE: &str = "delete from task_calendar_events";
const LATER: &str = "update task_calendar_events set event_start = event_start + interval '1 day'";
const EARLIER: &str =
    "update task_calendar_events set event_start = event_start - interval '1 minute'";
const AGAIN: &str = "insert into task_calendar_events (calendar_event_id, user_id, event_title, event_start)
    select calendar_event_id, user_id, 'Back', event_start + interval '1 day' from scheduled_messages";
const TITLE: &str = "update task_calendar_events set event_title = 'Doctor'";

/// A reminder that is due, of an event in a quarter of an hour.
async fn reminded(world: &World) -> Uuid {
    let user = format!(
        "insert into user_sms_preferences (user_id, phone_verified) values ('{USER}', true)"
    );
    run(&world.user, &user).await;
    event(world, "e", USER, "now() + interval '15 minutes'").await;
    let id = reminder(
        world,
        "e",
        USER,
        "15 minutes",
        ", e.event_start, '{\"event_title\": \"?\"}'",
    )
    .await;
    let fixed = "update scheduled_messages set created_at = scheduled_at";
    run(&world.unseen, fixed).await;
    id
}

async fn stands(world: &World, id: Uuid) -> String {
    let what = "concat_ws(' ', status, scheduled_at - created_at, cancel_reason, template_vars ->> 'event_title')";
    world.get(id, what).await
}

async fn is_claimed(world: &World, id: Uuid) -> bool {
    let answers = claim(&store(world), &[id]).await;
    matches!(answers.as_slice(), [ClaimResponse::Won(_)])
}

#[tokio::test]
async fn what_a_trigger_of_the_apps_cannot_follow_is_not_sent_and_follows_by_the_daemon() {
    for app in [AUDIT, CHECK] {
        for (change, becomes) in [
            (OPT_OUT, "cancelled 00:00:00 the recipient has opted out ?"),
            (DELETE, "cancelled 00:00:00 Calendar event deleted ?"),
            (LATER, "pending 1 day Dentist"),
            (EARLIER, "pending -00:01:00 Dentist"),
            (TITLE, "pending 00:00:00 Doctor"),
        ] {
            let world = World::new().await;
            let id = reminded(&world).await;
            run(&world.user, app).await;
            let (ears, mut notices) = hearing(&world.db).await;
            run(&ears, "listen punctual").await;
            run(&world.user, change).await;
            assert_eq!(stands(&world, id).await, "pending 00:00:00 ?", "{change}");
            assert!(!is_claimed(&world, id).await, "{change}");
            // Nobody has waited for the daemon's next look.
            let heard = notices.recv().await;
            let Some(AsyncMessage::Notification(notice)) = heard else {
                panic!("{heard:?}");
            };
            assert_eq!(notice.payload(), "missed");
            let said = notes(&world, id).await;
            assert!(
                said[0].contains("refused the change (SQLSTATE 42P01)"),
                "{said:?}"
            );

            assert_eq!(
                store(&world).follow_missed(25).await.unwrap(),
                1,
                "{change}"
            );
            assert_eq!(stands(&world, id).await, becomes, "{change}");
            let waiting = "select count(*) from punctual.missed_event_changes";
            assert_eq!(one::<i64>(&world.unseen, waiting).await, 0, "{change}");
            if app == AUDIT {
                let audited = "select count(*) from audit_log";
                assert_eq!(one::<i64>(&world.unseen, audited).await, 1, "{change}");
            }
            let due = becomes.starts_with("pending 00") || becomes.starts_with("pending -");
            assert_eq!(is_claimed(&world, id).await, due, "{change}");
        }
    }
}

#[tokio::test]
async fn an_event_that_comes_again_takes_its_messages_along_by_the_daemon() {
    let world = World::new().await;
    let id = reminded(&world).await;
    run(&world.user, DELETE).await;
    run(&world.user, AUDIT).await;
    run(&world.user, AGAIN).await;
    assert_eq!(world.status(id).await, "cancelled");
    assert_eq!(store(&world).follow_missed(25).await.unwrap(), 1);
    assert_eq!(stands(&world, id).await, "pending 1 day Back");
    // The same where another transaction holds the message, and no trigger is in the way.
    run(&world.user, "drop trigger audit on scheduled_messages").await;
    run(&world.user, DELETE).await;
    let other = world.db.client().await;
    run(&other, "begin; select from scheduled_messages for update").await;
    run(&world.user, AGAIN).await;
    run(&other, "commit").await;
    assert_eq!(world.status(id).await, "cancelled");
    assert_eq!(store(&world).follow_missed(25).await.unwrap(), 1);
    assert_eq!(stands(&world, id).await, "pending 2 days Back");

    // And an opt-out meanwhile, of a message that is held.
    run(&other, "begin; select from scheduled_messages for update").await;
    run(&world.user, OPT_OUT).await;
    run(&other, "commit").await;
    assert_eq!(world.status(id).await, "pending");
    assert_eq!(store(&world).follow_missed(25).await.unwrap(), 1);
    let becomes = "cancelled 2 days the recipient has opted out Back";
    assert_eq!(stands(&world, id).await, becomes);
}

/// The two ways in which a claim could overtake a change that is only recorded.
#[tokio::test]
async fn no_claim_overtakes_a_change_that_is_recorded() {
    let world = World::new().await;
    let id = reminded(&world).await;
    run(&world.user, AUDIT).await;
    for change in [LATER, OPT_OUT] {
        let app = world.db.client().await;
        run(&app, &format!("begin; {change}")).await;
        assert!(
            !is_claimed(&world, id).await,
            "the row is locked by the change"
        );

        // A claim whose snapshot is older than the change's commit, and whose lock is younger: it waits here for
        // the row, where the real one skips it until the moment of that commit.
        let late = world.daemon().await;
        run(&late, "set lock_timeout = 0").await;
        let asked = format!(
            "with free as materialized (select id, user_id from scheduled_messages where id = '{id}' for no key update)
             select count(q.id) from (select array_agg(id) as ids, array_agg(user_id) as users from free) a
              cross join lateral punctual.reserve_quota(a.ids, a.ids, a.users, array['e'], 'UTC', false) q"
        );
        let waiting = tokio::spawn(async move { one::<i64>(&late, &asked).await });
        let waits = "exists (select from pg_stat_activity where wait_event_type = 'Lock' and query like 'with free%')";
        until(&world.unseen, waits).await;
        run(&app, "commit").await;
        assert_eq!(waiting.await.unwrap(), 0, "{change}");
        run(&world.unseen, "truncate punctual.missed_event_changes").await;
    }
    // Without a record it is claimed; so these tests would notice.
    run(
        &world.user,
        "update user_sms_preferences set opted_out = false",
    )
    .await;
    won(&store(&world), &[id]).await;
}

/// A trigger that never permits the change: the message is not sent at its old time either, and ends as one that
/// is too late.
#[tokio::test]
async fn what_is_refused_for_good_is_not_sent_and_ends_as_too_late() {
    let world = World::new().await;
    let (id, store) = (reminded(&world).await, store(&world));
    let never = "create function never() returns trigger language plpgsql as
                   $$ begin if new.scheduled_at <> old.scheduled_at then raise 'no'; end if; return new; end $$;
                 create trigger never before update on scheduled_messages for each row execute function never()";
    run(&world.user, never).await;
    run(&world.user, LATER).await;
    let lateness = std::time::Duration::from_millis(1);
    let expired = async || store.expire(lateness, None, 10).await.unwrap().len();
    assert_eq!(expired().await, 0, "it may be moved yet");
    assert_eq!(store.follow_missed(25).await.unwrap(), 0);
    assert!(!is_claimed(&world, id).await);
    assert_eq!(expired().await, 1);
    assert_eq!(world.status(id).await, "cancelled");
}

/// Their function and their operator for each of the catalog that takes and returns such values, and their types.
const ALL_THEIRS: &str = "do $$
    declare
      own constant regtype[] := array['text', 'varchar', 'name', 'int2', 'int4', 'int8', 'float8', 'numeric', 'bool', 'uuid',
                                      'timestamptz', 'interval', 'oid', 'text[]']::regtype[];
      it record;
      body constant text := 'language plpgsql security definer as
        ''begin insert into theirs.calls values (session_user); return null; end''';
    begin
      for it in
        select p.oid, p.proname, p.prorettype::regtype as returns, oidvectortypes(p.proargtypes) as args
          from pg_proc p
         where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f' and not p.proretset
           and p.provariadic = 0 and p.proargtypes::oid[] <@ own::oid[] and p.prorettype = any (own::oid[])
           and to_regprocedure(format('theirs.%I(%s)', p.proname, oidvectortypes(p.proargtypes))) is null
      loop
        execute format('create function theirs.%I(%s) returns %s %s', it.proname, it.args, it.returns, body);
      end loop;
      for it in
        select o.oid, o.oprname, o.oprleft::regtype as l, o.oprright::regtype as r, o.oprresult::regtype as returns
          from pg_operator o
         where o.oprnamespace = 'pg_catalog'::regnamespace and o.oprleft = any (own::oid[])
           and o.oprright = any (own::oid[]) and o.oprresult = any (own::oid[])
           and to_regoperator(format('theirs.%s(%s, %s)', o.oprname, o.oprleft::regtype, o.oprright::regtype)) is null
      loop
        execute format('create function theirs.op%s(%s, %s) returns %s %s', it.oid, it.l, it.r, it.returns, body);
        execute format('create operator theirs.%s (leftarg = %s, rightarg = %s, function = theirs.op%s)',
                       it.oprname, it.l, it.r, it.oid);
      end loop;
      create domain theirs.text as pg_catalog.text check (theirs.call());
      create domain theirs.timestamptz as pg_catalog.timestamptz check (theirs.call());
      create domain theirs.interval as pg_catalog.interval check (theirs.call());
      grant usage on schema theirs to public;
    end
    $$";

/// Somebody with a schema in front of all others, in which the names that Punctual and the app use are theirs.
#[tokio::test]
async fn nobodys_search_path_counts_where_the_owners_rights_do() {
    let world = World::new().await;
    let id = reminded(&world).await;
    run(&world.user, AUDIT).await;
    let role = format!("mallory_{}", id.simple());
    let theirs = format!(
        "create role {role};
         grant select, insert, update, delete on scheduled_messages, user_sms_preferences, task_calendar_events to {role};
         create schema theirs authorization {role};
         set role {role};
         create table theirs.calls (by text);
         create table theirs.audit_log (id uuid, was text, becomes text);
         create table theirs.scheduled_messages (like public.scheduled_messages);
         create table theirs.user_sms_preferences (like public.user_sms_preferences);
         create function theirs.call() returns boolean language plpgsql security definer as
           $$ begin insert into theirs.calls values (session_user); return true; end $$;
         create function theirs.now() returns timestamptz language sql as
           $$ select pg_catalog.now() from theirs.call() $$;
         create function theirs.clock_timestamp() returns timestamptz language sql as
           $$ select pg_catalog.now() from theirs.call() $$;
         create function theirs.to_jsonb(it anyelement) returns jsonb language sql as
           $$ select pg_catalog.to_jsonb(it) from theirs.call() $$;
         create function theirs.pg_notify(a text, b text) returns void language sql as
           $$ select from theirs.call() $$;
         create function theirs.btrim(a text, b text) returns text language sql as
           $$ select pg_catalog.btrim(a, b) from theirs.call() $$;
         create function theirs.lower(a text) returns text language sql as
           $$ select pg_catalog.lower(a) from theirs.call() $$;
         create function theirs.current_setting(a text, b boolean) returns text language sql as
           $$ select pg_catalog.current_setting(a, b) from theirs.call() $$;
         create function theirs.set_config(a text, b text, c boolean) returns text language sql as
           $$ select pg_catalog.set_config(a, b, c) from theirs.call() $$;
         create function theirs.eq(a text, b text) returns boolean language sql as
           $$ select pg_catalog.texteq(a, b) from theirs.call() $$;
         create operator theirs.= (leftarg = text, rightarg = text, function = theirs.eq);
         set search_path = theirs, pg_catalog, public"
    );
    let mallory = world.db.client().await;
    run(&mallory, &theirs).await;
    for change in [
        "insert into public.scheduled_messages (to_number, body, scheduled_at) values ('+13105550199', 'x', pg_catalog.now())",
        "update public.scheduled_messages set scheduled_at = scheduled_at where to_number operator(pg_catalog.=) '+13105550199'",
        "delete from public.scheduled_messages where to_number operator(pg_catalog.=) '+13105550199'",
        "update public.task_calendar_events set event_start = event_start + interval '1 day'",
        "update public.task_calendar_events set event_title = 'Theirs'",
        "delete from public.task_calendar_events",
        "update public.user_sms_preferences set opted_out = true",
    ] {
        run(&mallory, change).await;
        let called: i64 = one(&world.unseen, "select count(*) from theirs.calls").await;
        assert_eq!(called, 0, "{change}");
    }
    run(&world.unseen, ALL_THEIRS).await;
    let again = world.db.client().await;
    let as_theirs = format!("set role {role}; set search_path = theirs, pg_catalog, public");
    run(&again, &as_theirs).await;
    // One that is judged, one that is recognized, one that is near, one that cannot be sent.
    for (number, days) in [
        ("+13105550199", 9),
        ("+13105550199", 9),
        ("+13105550199", 0),
        ("0", 9),
    ] {
        let insert = format!(
            "insert into public.scheduled_messages (to_number, body, scheduled_at)
             values ('{number}', 'x', pg_catalog.clock_timestamp() operator(pg_catalog.+) '{days} days'::pg_catalog.interval)"
        );
        run(&again, &insert).await;
        let called: i64 = one(&world.unseen, "select count(*) from theirs.calls").await;
        assert_eq!(called, 0, "{number} in {days} days");
    }
    run(&again, "update public.scheduled_messages set body = 'y'").await;
    let called: i64 = one(&world.unseen, "select count(*) from theirs.calls").await;
    assert_eq!(called, 0, "an update");
    // What is not named with its schema is theirs.
    run(
        &again,
        "select from public.scheduled_messages where status = 'pending'",
    )
    .await;
    let called: i64 = one(&world.unseen, "select count(*) from theirs.calls").await;
    assert!(called > 0);
    drop(again);
    run(
        &world.unseen,
        "delete from scheduled_messages where to_number in ('+13105550199', '0')",
    )
    .await;
    run(&world.unseen, "truncate audit_log, theirs.audit_log").await;
    assert_eq!(store(&world).follow_missed(25).await.unwrap(), 1);
    assert!(world.status(id).await == "cancelled");
    for (table, rows) in [("public", 1), ("theirs", 0)] {
        let count = format!("select count(*) from {table}.audit_log");
        assert_eq!(one::<i64>(&world.unseen, &count).await, rows, "{table}");
    }
    drop(mallory);
    let gone = format!("drop schema theirs cascade; drop owned by {role}; drop role {role}");
    run(&world.unseen, &gone).await;
}

/// With a temporary table of the name that the app's trigger has without a schema: it would be found, and its trigger
/// would have the rights of the owner.
#[tokio::test]
async fn nobodys_temporary_table_is_taken_for_the_apps() {
    for app in [AUDIT, CHECK] {
        for change in [OPT_OUT, DELETE, LATER, TITLE] {
            let world = World::new().await;
            let id = reminded(&world).await;
            run(&world.user, app).await;
            let role = format!("mallory_{}", id.simple());
            let theirs = format!(
                "create role {role};
                 grant select, insert, update, delete on scheduled_messages, user_sms_preferences, task_calendar_events to {role};
                 create table public.calls (by text); grant insert on public.calls to {role};
                 set role {role};
                 create temp table audit_log (id uuid, was text, becomes text);
                 create temp table rules (most int); insert into rules values (1000);
                 create function pg_temp.call() returns trigger language plpgsql as
                   $$ begin insert into public.calls values (current_user); return new; end $$;
                 create trigger call before insert on audit_log for each row execute function pg_temp.call()"
            );
            let mallory = world.db.client().await;
            run(&mallory, &theirs).await;
            run(&mallory, change).await;
            assert_eq!(stands(&world, id).await, "pending 00:00:00 ?", "{change}");
            assert!(!is_claimed(&world, id).await, "{change}");
            let said = notes(&world, id).await;
            assert!(
                said[0].contains("has, or has had, temporary objects"),
                "{said:?}"
            );
            let called = "select count(*) from public.calls";
            assert_eq!(one::<i64>(&world.unseen, called).await, 0, "{change}");
            assert_eq!(
                store(&world).follow_missed(25).await.unwrap(),
                1,
                "{change}"
            );
            assert_ne!(stands(&world, id).await, "pending 00:00:00 ?", "{change}");
            drop(mallory);
            let gone = format!("drop owned by {role}; drop role {role}");
            run(&world.unseen, &gone).await;
        }
    }
}

/// A role or a database that leaves the app's schema out of the path: the daemon's sessions have it nevertheless,
/// and keep what else is there.
#[tokio::test]
async fn the_daemons_sessions_find_the_apps_tables_whatever_path_they_inherit() {
    for (inherited, becomes) in [
        ("''", "\"\", public"),
        ("extensions", "extensions, public"),
        ("\"$user\", public", "\"$user\", public"),
        ("public, extensions", "public, extensions"),
    ] {
        let world = World::new().await;
        let name: String = one(&world.user, "select current_database()::text").await;
        let set = format!("alter database {name} set search_path = {inherited}");
        run(&world.user, &set).await;
        let daemon = world.daemon().await;
        let path: String = one(&daemon, "select current_setting('search_path')").await;
        assert_eq!(path, becomes);
        run(&daemon, "select from scheduled_messages").await;
    }
}

/// `docs/supabase.md` says why these have that of their caller.
#[tokio::test]
async fn every_other_function_has_a_path_of_its_own() {
    let world = World::new().await;
    let without = "select p.proname::text from pg_proc p
         where p.pronamespace = 'punctual'::regnamespace
           and not exists (select from unnest(p.proconfig) as c (setting) where setting like 'search_path=%')";
    let rows = world.user.query(without, &[]).await.unwrap();
    let without: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    let page = include_str!("../../docs/supabase.md");
    let table = page.split("| function | runs |").nth(1).unwrap();
    let explained = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let explained: BTreeSet<String> = explained
        .filter_map(|line| line.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(ToOwned::to_owned)
        .collect();
    assert_eq!(without, explained);
    // Those for apps have the path of their caller, and none its owner's rights, but for one that names all it calls.
    let (_, for_apps) = page.split_once("`punctual_api`, which write").unwrap();
    let for_apps = for_apps.split("\n\n").next().unwrap();
    let named: BTreeSet<&str> = for_apps.split('`').skip(1).step_by(2).collect();
    let theirs =
        "select p.proname::text from pg_proc p where p.pronamespace = 'punctual_api'::regnamespace
                      and p.proconfig is null and not p.prosecdef";
    let rows = world.user.query(theirs, &[]).await.unwrap();
    let theirs: BTreeSet<&str> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(theirs, named);
    // Whoever calls decides nothing, and has no type of its own before those of the catalog.
    let by_caller = "select count(*) from pg_proc p where p.pronamespace = 'punctual'::regnamespace
           and exists (select from unnest(p.proconfig) as c (setting)
                        where setting like 'search_path=%' and setting !~ '^search_path=pg_catalog, .*pg_temp$')";
    assert_eq!(
        one::<i64>(&world.user, by_caller).await,
        0,
        "pg_temp is searched first"
    );
    let by_owner = "select count(*) from pg_proc p where p.pronamespace = 'punctual'::regnamespace and p.prosecdef
           and not exists (select from unnest(p.proconfig) as c (setting) where setting like 'search_path=%')";
    assert_eq!(
        one::<i64>(&world.user, by_owner).await,
        0,
        "with the owner's rights"
    );
}
