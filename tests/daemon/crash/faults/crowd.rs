//! Other processes and users of the same table.

use std::time::Instant;

use tokio_postgres::Client;

use super::{SECOND, load, recovered, report, world};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "asked for by name"]
async fn two_processes() {
    let mut world = world(2).await;
    world.up().await;
    let app = world.session().await;
    load(&app, 60, 20 * SECOND).await;
    let back = recovered(&world).await;
    report(&mut world, "two processes", back, "60 texts a second").await;
}

/// Everything that could be meant, and much that could not.
const FORGED: &str = "do $$ begin
    for i in 1..200 loop
        perform pg_notify('punctual', 'ids ' || (
            select string_agg(gen_random_uuid()::text, ',') from generate_series(1, 100)));
        perform pg_notify('punctual', 'nonce ' || gen_random_uuid());
        perform pg_notify('punctual', 'rescan' || repeat(' ', i - 1));
        perform pg_notify('punctual', repeat('x', 7000) || i);
    end loop;
    perform pg_notify('punctual', 'rescan');
    perform pg_notify('punctual', 'ids ' || (
        select string_agg(id::text, ',') from (select id from scheduled_messages limit 100) few));
    end $$";

const IN_ONE: usize = 802;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "asked for by name"]
async fn forged_notices() {
    let mut world = world(1).await;
    world.up().await;
    let (app, forger) = (world.session().await, world.session().await);
    let flood = async {
        tokio::time::sleep(4 * SECOND).await;
        let (began, mut sent) = (Instant::now(), 0);
        while began.elapsed() < 15 * SECOND {
            forger.batch_execute(FORGED).await.unwrap();
            sent += IN_ONE;
        }
        sent
    };
    let ((), sent) = tokio::join!(load(&app, 20, 22 * SECOND), flood);
    let back = recovered(&world).await;
    let note = format!("{sent} forged notices in 15 s");
    report(&mut world, "forged NOTIFY flood", back, &note).await;
}

/// By one statement, all within the horizon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "asked for by name"]
async fn a_million_rows() {
    const MILLION: &str = "insert into scheduled_messages (to_number, body, scheduled_at)
        select '+13105551234', 'far ' || n,
               clock_timestamp() + interval '30 min' + n * interval '1 ms'
          from generate_series(1, 1000000) n";
    let mut world = world(1).await;
    world.up().await;
    let (app, other) = (world.session().await, world.session().await);
    let (tx, mut done) = tokio::sync::oneshot::channel();
    let inserting = async {
        tokio::time::sleep(4 * SECOND).await;
        let began = Instant::now();
        other.execute(MILLION, &[]).await.unwrap();
        let took = began.elapsed();
        let armed = crate::daemon::until("all are armed", async || {
            // While it is busy it may say so in place of an answer.
            let answer = world.daemon(0).get("/debug/timers?limit=1").await;
            let (_, body) = answer.filter(|(status, _)| *status == 200)?;
            let state: serde_json::Value = serde_json::from_str(&body).unwrap();
            let armed = state["window"]["armed"].as_u64().unwrap();
            (armed >= 1_000_000).then(|| began.elapsed())
        });
        let armed = armed.await.saturating_sub(took);
        let _ = tx.send(());
        (took, armed)
    };
    let loading = async {
        while done.try_recv().is_err() {
            load(&app, 20, SECOND).await;
        }
        load(&app, 20, 3 * SECOND).await;
    };
    let ((took, armed), ()) = tokio::join!(inserting, loading);
    let back = recovered(&world).await;
    let note = format!("the statement took {took:.0?}; all armed {armed:.1?} after it");
    report(&mut world, "1,000,000 rows by one statement", back, &note).await;
}

/// What can be wrong with a row, and with what the app does to it.
const POISON: &str = "
    create function app_refuses_claim() returns trigger language plpgsql as $$ begin
        if new.body like 'poison refused%' and new.status = 'sending' then
            raise exception 'the app does not want this';
        end if;
        return new;
    end $$;
    create trigger app_refuses_claim before update on scheduled_messages
        for each row execute function app_refuses_claim();
    create function app_refuses_message() returns trigger language plpgsql as $$ begin
        if new.body like 'poison unwritten%' then
            raise exception 'the app does not want this';
        end if;
        return new;
    end $$;
    create trigger app_refuses_message before insert on messages
        for each row execute function app_refuses_message()";

const KINDS: [&str; 5] = [
    "insert into scheduled_messages (to_number, body, scheduled_at)
     values ('not a number', 'poison number ' || gen_random_uuid(), clock_timestamp() + interval '0.5 s')",
    "insert into scheduled_messages (to_number, body, scheduled_at)
     values ('+13105551234', 'poison long ' || repeat('x', 2000) || gen_random_uuid(), clock_timestamp() + interval '0.5 s')",
    "insert into scheduled_messages (to_number, from_number, body, scheduled_at)
     values ('+13105551234', '!!', 'poison sender ' || gen_random_uuid(), clock_timestamp() + interval '0.5 s')",
    "insert into scheduled_messages (to_number, body, scheduled_at)
     values ('+13105551234', 'poison refused ' || gen_random_uuid(), clock_timestamp() + interval '0.5 s')",
    "insert into scheduled_messages (to_number, body, scheduled_at)
     values ('+13105551234', 'poison unwritten ' || gen_random_uuid(), clock_timestamp() + interval '0.5 s')",
];

async fn poison(app: &Client) {
    // One of every hundred.
    for n in 0..20 {
        tokio::time::sleep(SECOND).await;
        app.execute(KINDS[n % KINDS.len()], &[]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "asked for by name"]
async fn one_in_a_hundred_is_poison() {
    let mut world = world(1).await;
    world.app.batch_execute(POISON).await.unwrap();
    world.up().await;
    let (app, other) = (world.session().await, world.session().await);
    tokio::join!(load(&app, 100, 21 * SECOND), poison(&other));
    let back = recovered(&world).await;
    let ends = "select string_agg(distinct split_part(body, ' ', 2) || ' → ' || status, ', ')
                  from scheduled_messages where body like 'poison%'";
    let ends: String = world.app.query_one(ends, &[]).await.unwrap().get(0);
    report(&mut world, "1 % poison rows", back, &ends).await;
}
