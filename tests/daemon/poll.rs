//! Changes that are polled, behind a `PgBouncer` in transaction mode with few sessions.

use rustix::process::Signal;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::bouncer::{Bouncer, pooled};
use crate::daemon::{Daemon, set};
use crate::harness::session;
use crate::world::{TO, World, called};

/// Sessions of the pooler's, for two daemons that make 12 connections, and an app.
const SESSIONS: usize = 3;

/// The world's settings for a daemon that polls through a pooler; `None` where there is none.
async fn polled(world: &World) -> Option<(Vec<(String, String)>, Bouncer)> {
    let (mut env, bouncer) = pooled(world, "transaction", SESSIONS).await?;
    set(&mut env, "PUNCTUAL_CHANGES", "poll");
    set(&mut env, "PUNCTUAL_POLL_EVERY", "200ms");
    Some((env, bouncer))
}

async fn daemon(env: &[(String, String)]) -> Daemon {
    let mut daemon = Daemon::start(env);
    daemon.ready().await;
    daemon
}

async fn through(env: &[(String, String)]) -> Client {
    let url = &env.iter().find(|(n, _)| n == "DATABASE_URL").unwrap().1;
    session(&punctual::store::Dsn::parse(url).unwrap().polled().unwrap()).await
}

/// What a query of one text finds in each of the pooler's sessions, where it is not empty: transactions that are open
/// at once are in different ones.
async fn in_each_session(env: &[(String, String)], sql: &str) -> Vec<String> {
    let mut clients = Vec::new();
    for _ in 0..SESSIONS {
        let client = through(env).await;
        client.batch_execute("begin").await.unwrap();
        clients.push(client);
    }
    let mut all = Vec::new();
    for client in &clients {
        let found: String = client.query_one(sql, &[]).await.unwrap().get(0);
        all.extend((!found.is_empty()).then_some(found));
    }
    for client in &clients {
        client.batch_execute("rollback").await.unwrap();
    }
    all
}

/// What is left in them, but for what inserts keep.
async fn left_behind(env: &[(String, String)]) -> Vec<String> {
    let sql = "select concat_ws(', ',
        (select 'statement ' || string_agg(name, ' ') from pg_prepared_statements where name <> ''),
        (select 'channel ' || string_agg(c, ' ') from pg_listening_channels() c),
        (select 'lock ' || count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid() having count(*) > 0),
        -- pg_settings shows none of these.
        (select 'setting ' || string_agg(name, ' ')
           from unnest(array['writer', 'judge', 'validate', 'notify', 'actor', 'forgetting', 'from_source',
                             'has_zone', 'program', 'job_call', 'callers', 'written_back', 'refused_update',
                             'refused_delete']) as own (name)
          where current_setting('punctual.' || name, true) <> ''),
        (select 'setting ' || string_agg(name, ' ') from pg_settings
          where source = 'session' and name not in ('application_name', 'client_encoding', 'transaction_isolation',
                                                    'transaction_read_only', 'transaction_deferrable')
            and setting is distinct from reset_val
            -- This session's own, until its transaction ends.
            and name not in ('statement_timeout', 'search_path')))";
    in_each_session(env, sql).await
}

/// What an insert keeps in its session (docs/poll.md): nothing of a message, and the same for all.
const KEPT: &str = "select concat_ws(' ', nullif(current_setting('punctual.separator', true), ''),
    'zone ' || nullif(current_setting('punctual.zone', true), ''),
    'words ' || nullif(current_setting('punctual.words', true), ''))";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_found_at_the_exact_moment_and_no_session_keeps_anything() {
    let world = World::new([]).await;
    let Some((env, mut bouncer)) = polled(&world).await else {
        return;
    };
    let far = 3_600_000;
    let moved = world.insert("moved", far).await;
    let later = world.insert("later", far).await;
    let (mut one, two) = (daemon(&env).await, daemon(&env).await);
    let ready = one.readyz(200).await;
    assert!(ready.contains("changes are polled, every 200ms"), "{ready}");

    let write = async |sql: &str, id: Uuid| {
        assert_eq!(world.app.execute(sql, &[&id]).await.unwrap(), 1, "{sql}");
    };
    let edited = world.insert("before", 3_000).await;
    let cancelled = world.insert("cancelled", 3_000).await;
    let deleted = world.insert("deleted", 3_000).await;
    write(
        "update scheduled_messages set body = 'after' where id = $1",
        edited,
    )
    .await;
    write(
        "update scheduled_messages set status = 'cancelled' where id = $1",
        cancelled,
    )
    .await;
    write("delete from scheduled_messages where id = $1", deleted).await;
    write(
        "update scheduled_messages set scheduled_at = clock_timestamp() + interval '600 ms' where id = $1",
        moved,
    )
    .await;
    let now = world.insert("now", 0).await;
    let soon = world.insert("soon", 700).await;
    for id in [now, moved, soon, edited] {
        world.arrived_once(id).await;
    }
    assert_eq!(world.requests("after").len(), 1);
    for nothing in ["before", "cancelled", "deleted", "later"] {
        assert!(world.requests(nothing).is_empty(), "{nothing}");
    }
    assert_eq!(world.row(later).await.unwrap().status, "pending");
    assert_eq!(left_behind(&env).await, Vec::<String>::new());

    // The pooler, its sessions, a daemon: each dies without notice.
    bouncer.kill();
    let away = world.insert("the pooler is away", 0).await;
    bouncer.again().await;
    world.arrived_once(away).await;
    let ended = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                  where datname = current_database() and usename = $1";
    let row = world.app.query_one(ended, &[&crate::world::ROLE]).await;
    let ended: i64 = row.unwrap().get(0);
    assert!(ended > 0);
    let cut = world.insert("sessions ended", 100).await;
    world.arrived_once(cut).await;
    one.signal(Signal::KILL);
    one.ended().await;
    let alone = world.insert("one is dead", 300).await;
    world.arrived_once(alone).await;
    let one = daemon(&env).await;
    let again = world.insert("two again", 300).await;
    world.arrived_once(again).await;
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn commands_work_there_and_what_needs_a_session_says_so() {
    let world = World::new([]).await;
    let Some((mut env, _bouncer)) = polled(&world).await else {
        return;
    };
    let id = world.insert("listed", 3_600_000).await.to_string();
    let (code, shown, stderr) = called(&["list"], &env).await;
    assert_eq!(code, Some(0), "{stderr}");
    assert!(shown.contains(&id), "{shown}");
    let (code, _, stderr) = called(&["cancel", &id], &env).await;
    assert_eq!(code, Some(0), "{stderr}");
    let (_, shown, _) = called(&["doctor", "--verbose"], &env).await;
    assert!(shown.contains("changes are polled, every 200ms"), "{shown}");
    assert!(!shown.contains("LISTEN"), "{shown}");
    let (code, _, stderr) = called(&["migrate"], &env).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("PUNCTUAL_CHANGES=notify"), "{stderr}");
    assert_eq!(in_each_session(&env, KEPT).await, Vec::<String>::new());
    let schedule = [
        "schedule",
        "--to",
        TO,
        "--body",
        "through it",
        "--at",
        "in 1h",
    ];
    let (code, _, stderr) = called(&schedule, &env).await;
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(in_each_session(&env, KEPT).await, ["[BUBBLE]"]);
    assert_eq!(left_behind(&env).await, Vec::<String>::new());

    // What each transaction cannot set for itself is refused at the start.
    let role = crate::world::ROLE;
    let serializable = async |what: &str| {
        let sql = format!(
            "do $$ begin execute format('alter role {role} in database %I {what}', current_database()); end $$"
        );
        world.app.batch_execute(&sql).await.unwrap();
    };
    serializable("set default_transaction_isolation = ''serializable''").await;
    // Sessions that are there already have the old default.
    let (_, direct) = world.env.iter().find(|(n, _)| n == "DATABASE_URL").unwrap();
    set(&mut env, "DATABASE_URL", direct);
    let (code, _, stderr) = called(&["run"], &env).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("begin serializable"), "{stderr}");
    serializable("reset all").await;
    let mut daemon = Daemon::start(&env);
    daemon.ready().await;
    let id = world.insert("without a pooler", 300).await;
    world.arrived_once(id).await;
    daemon.stop().await;
}

#[tokio::test]
async fn the_default_is_a_second_and_one_session_is_enough() {
    // Without the sweep in between it would be half a second on average.
    const LATE_MAX: f64 = 0.25;
    let world = World::new([]).await;
    let Some((mut env, _bouncer)) = pooled(&world, "transaction", 1).await else {
        return;
    };
    set(&mut env, "PUNCTUAL_CHANGES", "poll");
    let one = daemon(&env).await;
    let ready = one.readyz(200).await;
    assert!(ready.contains("every 1s"), "{ready}");
    let sql = "select count(*) filter (where a.started_at < m.scheduled_at),
                      percentile_cont(0.5) within group (order by extract(epoch from a.started_at - m.scheduled_at))
                 from punctual.attempts a join scheduled_messages m on m.id = a.message_id
                where m.body like $1";
    // A busy machine may be slow once, not each time.
    let mut least = f64::MAX;
    for batch in 0..5 {
        // Due after the next sweep: known by then, and so sent at their moment and not at the sweep after it.
        let mut ids = Vec::new();
        for n in 0..10 {
            ids.push(
                world
                    .insert(&format!("{batch} default {n}"), 1_500 + n * 77)
                    .await,
            );
        }
        for id in ids {
            world.arrived_once(id).await;
        }
        let row = world
            .app
            .query_one(sql, &[&format!("{batch} default %")])
            .await
            .unwrap();
        let (early, late): (i64, f64) = (row.get(0), row.get(1));
        assert_eq!(early, 0);
        least = least.min(late);
        if least < LATE_MAX {
            break;
        }
    }
    one.stop().await;
    println!(
        "figure: polled every second, due 1.5 s after the insert and more: late by {least:.4} s at the median"
    );
    assert!(least < LATE_MAX, "{least}");
}
