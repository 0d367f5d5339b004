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

/// The same, of a table that was vacuumed before: a walk through these is far over every bound.
const ROWS_AFTER_VACUUM: u64 = 10_000;

/// What reads more than its share for a while, where a vacuum has seen an empty table: two indexes are taken for
/// equally cheap, or a whole queue for as cheap to sort as its first rows are to merge. The next analysis ends it.
const UNTIL_ANALYZED: &[&str] = &[
    "path/claim_paced",
    "path/paces_load",
    "operator/pace_waiting",
    "operator/forecast_queues",
    "operator/overdue",
    "operator/forecast_rows",
    "operator/campaign_last",
    "operator/campaign_decide",
    "operator/campaign_meant",
    "operator/campaign_edit",
    "app/planner_done",
    "app/draft_take",
    "app/draft_put",
    "an event that moves",
    "an event that is cancelled",
    "an event that is deleted",
    "a new event",
];

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
    let blocks = tried(session, sql).await;
    blocks.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
}

/// The same, or why it was ended: what walks a large table for each row of another does not come to an end in time.
async fn tried(session: &Client, sql: &str) -> Result<i64, tokio_postgres::Error> {
    const COUNT: &str = "select plans.blocks()";
    run(session, "begin").await;
    let before: i64 = one(session, COUNT).await;
    let done = session.simple_query(sql).await;
    let blocks = match done {
        Ok(_) => Ok(one::<i64>(session, COUNT).await - before),
        Err(error) => Err(error),
    };
    run(session, "rollback").await;
    blocks
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
    grown(&World::new().await, ROWS, OTHERS, &[]).await;
}

/// A vacuum leaves behind how few rows there were: a walk through all of them is cheap then, by any index, and is kept
/// as the plan.
#[tokio::test]
async fn a_table_that_was_vacuumed_while_it_was_small_makes_no_statement_dearer() {
    let world = World::new().await;
    run(&world.unseen, "vacuum analyze").await;
    grown(
        &world,
        ROWS_AFTER_VACUUM,
        ROWS_AFTER_VACUUM / 2,
        UNTIL_ANALYZED,
    )
    .await;
}

/// Waits until no transaction of the server is older than what has been written: while another test's is, the dead
/// entries of an index are passed over each time, and none is marked as dead.
async fn passed(client: &Client) {
    const LEFT_OPEN: &str = "select count(*) from pg_stat_activity
         where backend_xid is not null and state like 'idle in transaction%'
           and state_change < clock_timestamp() - interval '1 minute'";
    const OLDEST: &str = "select txid_snapshot_xmin(txid_current_snapshot())";
    let written: i64 = one(client, "select txid_current()").await;
    while one::<i64>(client, OLDEST).await <= written {
        let left: i64 = one(client, LEFT_OPEN).await;
        assert_eq!(left, 0, "transactions in which nothing is done");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn grown(world: &World, rows: u64, others: u64, but: &[&str]) {
    crate::sources::follow_reminders(world).await;
    run(&world.unseen, include_str!("plans/names.sql")).await;
    had_a_rate(world).await;
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

    let grow = include_str!("plans/grow.sql").replace("{rows}", &rows.to_string());
    run(
        &world.unseen,
        &grow.replace("{others}", &others.to_string()),
    )
    .await;
    passed(&world.unseen).await;
    let mut dear = Vec::new();
    let all = asked().chain(wrote());
    for (session, sql, case) in all.filter(|(_, _, case)| !but.contains(&case.name)) {
        let most = FIXED + case.of * case.each;
        // Dead entries of an index are passed over from the second look on.
        let needed = match tried(session, &sql).await {
            Ok(_) => tried(session, &sql).await,
            Err(error) => Err(error),
        };
        match needed {
            Ok(needed) if needed.unsigned_abs() <= most => {
                println!("{needed:5} of {most:5}  {}", case.name);
            }
            needed => dear.push(format!(
                "{}: {needed:?} blocks, and {most} are allowed",
                case.name
            )),
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
                        '+15005550006', 'UTC', false, 0, '{{}}', '{{}}', '{{}}', null, null, 1000000, 0, plans.same(50000::bigint))",
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

/// The most rows that a node of the plan has passed on altogether while this was performed.
async fn most_rows(session: &Client, sql: &str) -> f64 {
    let asked = format!("explain (analyze, timing off, costs off) {sql}");
    let plan = session.simple_query(&asked).await.unwrap();
    let passed = plan.iter().filter_map(|message| {
        let SimpleQueryMessage::Row(row) = message else {
            return None;
        };
        let (_, counts) = row.get(0)?.split_once("(actual rows=")?;
        let (rows, loops) = counts.trim_end_matches(')').split_once(" loops=")?;
        Some(rows.parse::<f64>().ok()? * loops.parse::<f64>().ok()?)
    });
    let most = passed.fold(0.0, f64::max);
    assert!(most > 0.0, "{sql} passes nothing on");
    most
}

/// A join of what is claimed or recorded with what was asked compares each with all: there are no hash joins.
#[tokio::test]
async fn a_herd_costs_each_of_its_messages_no_more_than_a_few_do() {
    const MANY: u32 = 200;
    let world = World::new().await;
    let setup = format!(
        "{};
         create function plans.many(kind text) returns uuid[] language sql immutable
           return array(select plans.id(kind, i) from generate_series(1, {MANY}) i);
         create function plans.each(word anyelement) returns anyarray language sql immutable as
           'select array_fill(word, array[{MANY}])';
         create function plans.new_sids(kind text) returns text[] language sql immutable
           return array(select 'SM ' || kind || i from generate_series(1, {MANY}) i)",
        include_str!("plans/names.sql")
    );
    run(&world.unseen, &setup).await;
    let daemon = world.db.client().await;
    prepare_session(&daemon).await.unwrap();
    for (name, sql) in &statements() {
        if ["path/claim", "path/record_accepted"].contains(&name.as_str()) {
            run(&daemon, &format!("prepare {} as {sql}", prepared(name))).await;
        }
    }
    for (kind, via) in [("of one", "null::text"), ("of another", "'other'::text")] {
        let pending = format!(
            "insert into public.scheduled_messages (id, to_number, body, scheduled_at)
             select plans.id('{kind}', n), '+1' || (3000000000 + n), 'x', now() from generate_series(1, {MANY}) n"
        );
        run(&world.unseen, &pending).await;
        let claim = format!(
            "execute path_claim(plans.many('{kind}'), plans.many('token {kind}'), plans.id('instance', 2), 30000, 50000,
               '+15005550006', 'UTC', false, 0, '{{}}', '{{}}', '{{}}', plans.each({via}), null)"
        );
        let most = most_rows(&daemon, &claim).await;
        assert!(most <= f64::from(2 * MANY), "a claim passes {most} rows on");
        let account: String = one(
            &world.unseen,
            &format!(
                "select string_agg(distinct a.account, ' ') from punctual.attempts a where a.token = any (plans.many('token {kind}'))"
            ),
        )
        .await;
        assert_eq!(account, if kind == "of one" { "default" } else { "other" });
        let record = format!(
            "execute path_record_accepted(plans.many('{kind}'), plans.many('token {kind}'), plans.new_sids('{kind}'),
               plans.each(now()), plans.each(now()), 60000, plans.each('x'::text), plans.each('+15005550006'::text),
               plans.each('+13000000001'::text), plans.each(null::bigint), plans.each(0::smallint), plans.each(1::smallint),
               plans.each(null::bigint), plans.each('x'::text))"
        );
        let most = most_rows(&daemon, &record).await;
        assert!(
            most <= f64::from(2 * MANY),
            "a record passes {most} rows on"
        );
    }
}
