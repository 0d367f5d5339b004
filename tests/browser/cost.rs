//! What the page takes of a core while 500 events a second happen, beyond what it takes while nothing does.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::world::World;
use crate::{Eyes, link};

/// Of each kind of event so many a second: rows that are armed, claimed and sent, and rows that are moved.
const EACH: u32 = 125;
/// Statements a second.
const STATEMENTS: u32 = 5;

/// The most that all processes of the browser may take of a core, in percent, beyond what they take for a page where
/// nothing happens. A machine that others use too takes longer for the same.
const MOST: f64 = 10.0;

/// How long each is measured; `BROWSER_COST_S=60` for figures.
fn span() -> String {
    std::env::var("BROWSER_COST_S").unwrap_or_else(|_| "8".to_owned())
}

async fn cost(eyes: &mut Eyes) -> BTreeMap<String, f64> {
    let said = eyes.see(&["cost", &span()]).await;
    let parse = |pair: &str| {
        let (kind, share) = pair.split_once('=').unwrap();
        (kind.to_owned(), share.parse().unwrap())
    };
    said.split(' ').map(parse).collect()
}

#[tokio::test]
#[ignore = "needs a browser: tests/browser/run"]
async fn five_hundred_events_a_second_cost_little() {
    let world = World::new([]).await;
    let daemon = world.daemon().await;
    let mut eyes = Eyes::open(&link(&daemon)).await;
    let many = "insert into scheduled_messages (to_number, body, scheduled_at)
                select '+13105551234', 'far', now() + interval '20 min' + n * interval '100 ms'
                  from generate_series(1, 2000) n";
    world.app.batch_execute(many).await.unwrap();
    eyes.see(&["sees", "2,000 messages wait"]).await;
    // What the page does at first is over.
    eyes.see(&["cost", "3"]).await;
    let idle = cost(&mut eyes).await;

    let app = world.db.client().await;
    let events = tokio::spawn(async move {
        let rows = EACH / STATEMENTS;
        let send = format!(
            "insert into scheduled_messages (to_number, body, scheduled_at)
             select '+13105551234', 'near', clock_timestamp() + interval '2 s' + n * interval '8 ms'
               from generate_series(1, {rows}) n"
        );
        let moves = format!(
            "update scheduled_messages set scheduled_at = scheduled_at + interval '1 s'
              where id in (select id from scheduled_messages where body = 'far' order by random() limit {rows})"
        );
        let mut every = tokio::time::interval(Duration::from_secs(1) / STATEMENTS);
        let (began, mut done) = (Instant::now(), 0_u32);
        loop {
            every.tick().await;
            app.batch_execute(&send).await.unwrap();
            app.batch_execute(&moves).await.unwrap();
            done += 1;
            if done.is_multiple_of(20) {
                let per_s = f64::from(done * rows * 4) / began.elapsed().as_secs_f64();
                println!("figure: {per_s:.0} events a second");
            }
        }
    });
    eyes.see(&["sees", "not shown"]).await;
    eyes.see(&["cost", "3"]).await;
    let busy = cost(&mut eyes).await;
    events.abort();
    println!("figure: percent of a core, idle {idle:?}, with 500 events a second {busy:?}");
    // The time of the page's own tasks is by the wall clock, and part of its process.
    let all = |of: &BTreeMap<String, f64>| -> f64 {
        let processes = of.iter().filter(|(kind, _)| *kind != "page");
        processes.map(|(_, share)| share).sum()
    };
    let taken = all(&busy) - all(&idle);
    println!("figure: {taken:.1} % of a core more than idle");
    assert!(
        taken < MOST,
        "{taken:.1} % of a core more than idle: {busy:?}"
    );
    eyes.see(&["clean"]).await;
    daemon.stop().await;
}
