//! What a statement costs depends neither on how large the tables are, nor on how many dead rows they have, nor
//! on what they looked like when it was planned.

use std::collections::BTreeSet;
use std::path::Path;

use punctual::store::connect::prepare_session;
use punctual::store::{Migrator, with_expressions};
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::rows::{World, one, run};

mod cases;

use cases::{APART, APP, Case, DAEMON};

/// Messages pending, and as many ended, with an attempt and dead versions each.
pub(crate) const ROWS: u64 = 100_000;

/// Rows of whatever grows more slowly.
const OTHERS: u64 = 20_000;

/// Blocks that any statement may need, whatever it is asked: the roots of the indexes it opens.
pub(crate) const FIXED: u64 = 30;

/// Executions after which a function's statement is no longer planned again.
pub(crate) const PLANNED: usize = 6;

/// Every statement of the store, by room and file.
pub(crate) fn statements() -> Vec<(String, String)> {
    let store = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let mut found = Vec::new();
    for room in std::fs::read_dir(&store).unwrap() {
        let room = room.unwrap().path();
        let Ok(files) = std::fs::read_dir(room.join("sql")) else {
            continue;
        };
        for file in files {
            let file = file.unwrap().path();
            let part = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
            let sql = with_expressions(&std::fs::read_to_string(&file).unwrap());
            found.push((format!("{}/{}", part(&room), part(&file)), sql));
        }
    }
    found
}

/// The name under which a session has prepared it.
fn prepared(name: &str) -> String {
    name.replace('/', "_")
}

fn executing(case: &Case) -> String {
    let name = prepared(case.name);
    if case.asks.is_empty() {
        format!("execute {name}")
    } else {
        format!("execute {name}({})", case.asks)
    }
}

/// Runs it and undoes it; how many blocks it has asked for.
pub(crate) async fn blocks(session: &Client, sql: &str) -> i64 {
    const COUNT: &str = "select plans.blocks()";
    run(session, "begin").await;
    let before: i64 = one(session, COUNT).await;
    let done = session.simple_query(sql).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let after: i64 = one(session, COUNT).await;
    run(session, "rollback").await;
    after - before
}

/// A database in which a sender had a rate once: with the index that finds the messages of a sender.
async fn had_a_rate(world: &World) {
    let rate = "insert into punctual.paces (scope, what, gap_min, gap_max) values ('sender', '+15005550009', '1 s', '1 s')";
    run(&world.unseen, rate).await;
    let built = Migrator::embedded().run(world.db.dsn()).await.unwrap();
    assert_eq!(built.indexes, ["scheduled_messages_sender_idx"]);
    run(&world.unseen, "delete from punctual.paces").await;
}

#[tokio::test]
async fn a_grown_table_makes_no_statement_dearer() {
    let world = World::new().await;
    crate::sources::follow_reminders(&world).await;
    run(&world.unseen, include_str!("plans/names.sql")).await;
    had_a_rate(&world).await;
    let statements = statements();
    let named: BTreeSet<&str> = DAEMON.iter().map(|case| case.name).collect();
    let there: BTreeSet<&str> = statements
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| !APART.iter().any(|apart| name.starts_with(apart)))
        .collect();
    assert_eq!(
        named, there,
        "a statement has no case, or a case no statement"
    );

    let (daemon, app) = (world.db.client().await, world.db.client().await);
    prepare_session(&daemon).await.unwrap();
    for (name, sql) in &statements {
        if there.contains(name.as_str()) {
            let sql = format!("prepare {} as {sql}", prepared(name));
            run(&daemon, &sql).await;
        }
    }
    let asked = || DAEMON.iter().map(|case| (&daemon, executing(case), case));
    let wrote = || APP.iter().map(|case| (&app, case.asks.to_owned(), case));
    for (session, sql, _) in asked().chain(wrote()) {
        for _ in 0..PLANNED {
            blocks(session, &sql).await;
        }
    }

    let grow = include_str!("plans/grow.sql").replace("{rows}", &ROWS.to_string());
    run(
        &world.unseen,
        &grow.replace("{others}", &OTHERS.to_string()),
    )
    .await;
    let mut dear = Vec::new();
    for (session, sql, case) in asked().chain(wrote()) {
        let most = FIXED + case.of * case.each;
        // Dead entries of an index are passed over from the second look on.
        blocks(session, &sql).await;
        let needed = blocks(session, &sql).await;
        println!("{:5} of {most:5}  {}", needed, case.name);
        if needed.unsigned_abs() > most {
            dear.push(format!(
                "{}: {needed} blocks, and {most} are allowed",
                case.name
            ));
        }
    }
    assert!(dear.is_empty(), "{}", dear.join("\n"));
}

/// However many texts of other senders wait before it, and whether rows name their sender or not, and however many
/// accounts have it.
#[tokio::test]
async fn the_first_text_of_a_sender_costs_the_same_whatever_others_wait_for() {
    const WAITING: u64 = 5_000;
    let world = World::new().await;
    run(&world.unseen, include_str!("plans/names.sql")).await;
    had_a_rate(&world).await;
    let daemon = world.db.client().await;
    prepare_session(&daemon).await.unwrap();
    let name = "path/claim_paced";
    let all = statements();
    let (_, sql) = all.iter().find(|(found, _)| found == name).unwrap();
    run(&daemon, &format!("prepare {} as {sql}", prepared(name))).await;
    let of = |rate| {
        format!(
            "execute {}(array[plans.id('rate', {rate})], plans.tokens('new'), plans.id('instance', 2), 30000, 50000,
                        '+15005550006', 'UTC', false, 0, '{{}}', '{{}}', '{{}}', 1000000, 0, plans.same(50000::bigint))",
            prepared(name)
        )
    };
    for _ in 0..PLANNED {
        blocks(&daemon, &of(1)).await;
    }
    let grow = format!(
        "insert into punctual.paces (id, scope, what, gap_min, gap_max, next_at)
         select plans.id('rate', n), 'sender', '+1500555000' || n, '1 s', '1 s', now() - interval '1 hour'
           from generate_series(6, 9) n;
         insert into public.scheduled_messages (to_number, from_number, body, scheduled_at)
         select '+18000000000', '+15005550009', 'others', now() - interval '1 minute'
           from generate_series(1, {WAITING});
         insert into public.scheduled_messages (to_number, from_number, body, scheduled_at)
         values ('+18000000000', '+15005550008', 'named', now() - interval '1 s'),
                ('+18000000000', null, 'not named', now() - interval '1 s');
         insert into punctual.settings (account_senders) values ('{{\"one\": \"+15005550007\", \"two\": \"+15005550007\"}}')
         on conflict (one) do update set account_senders = excluded.account_senders;
         insert into public.scheduled_messages (to_number, account, body, scheduled_at)
         select '+18000000000', case n % 2 when 0 then 'one' else 'two' end, 'of an account', now() - interval '1 minute'
           from generate_series(1, {WAITING}) n"
    );
    run(&world.unseen, &grow).await;
    for rate in [6, 7, 8, 9] {
        let needed = blocks(&daemon, &of(rate)).await;
        println!("{needed} blocks for the text of sender {rate}");
        assert!(needed < 400, "{rate}: {needed} blocks");
        run(&daemon, "begin").await;
        let won = daemon.simple_query(&of(rate)).await.unwrap();
        let is_row = |m: &SimpleQueryMessage| matches!(m, SimpleQueryMessage::Row(_));
        assert_eq!(won.iter().filter(|m| is_row(m)).count(), 1);
        run(&daemon, "rollback").await;
    }
}
