//! The rate of a sender over two instances: in any time no more segments than it allows, and the texts of another
//! sender are not delayed.

use std::time::{Duration, Instant};

use punctual::message::segments::Segments;
use punctual::schedule::PACE_SLACK;
use punctual::store::Migrator;

use crate::daemon::until;
use crate::world::{FROM, TO, World};

/// The sender of the texts that have no rate.
const OTHER: &str = "+15005550007";

/// The sender of those that wait for hours.
const SLOW: &str = "+15005550008";

/// The time of a segment at 20 a second, and the burst.
const EACH: Duration = Duration::from_millis(50);
const BURST: i64 = 5;

/// How long nothing may be sent before that is a failure.
const STALLED: Duration = Duration::from_secs(60);

/// When each text of this sender began, in microseconds, and how many segments it has.
async fn begun(world: &World, from: Option<&str>) -> Vec<(i64, i64)> {
    let sql = "select (extract(epoch from a.started_at) * 1000000)::bigint, m.body
                 from punctual.attempts a join scheduled_messages m on m.id = a.message_id
                where a.started_at is not null and m.from_number is not distinct from $1
                order by a.started_at";
    let rows = world.app.query(sql, &[&from]).await.unwrap();
    let segments = |body: &str| i64::try_from(Segments::of(body).count).unwrap();
    rows.iter()
        .map(|row| (row.get(0), segments(row.get(1))))
        .collect()
}

/// One in ten of two segments, all due at one moment.
async fn insert(world: &World, from: Option<&str>, n: i32) {
    let insert = "insert into scheduled_messages (to_number, from_number, body, scheduled_at)
                  select $1, $2, case when n % 10 = 0 then repeat('x', 200) else 'short ' || n end,
                         clock_timestamp() + interval '1 s'
                    from generate_series(1, $3::int) n";
    let all = world.app.execute(insert, &[&TO, &from, &n]).await;
    assert_eq!(all.unwrap(), u64::try_from(n).unwrap());
}

#[tokio::test]
async fn two_instances_keep_the_rate_of_a_sender() {
    const TEXTS: i32 = 60;
    let world = World::new([]).await;
    let daemons = [world.daemon().await, world.daemon().await];
    let set = [
        "pace", "set", "sender", FROM, "--rate", "20", "--burst", "5",
    ];
    // The daemon's role may set a rate, but build no index of the app's table.
    let (code, said, remark) = world.call(&set).await;
    assert_eq!(code, Some(0), "{said}{remark}");
    assert_eq!(
        said,
        format!("the messages of sender {FROM} are sent at 20 segments a second, 5 at once\n")
    );
    assert!(
        remark.contains("scheduled_messages_sender_idx missing"),
        "{remark}"
    );
    let built = Migrator::embedded().run(world.db.dsn()).await.unwrap();
    assert_eq!(built.indexes, ["scheduled_messages_sender_idx"]);
    assert_eq!(world.call(&set).await.2, "");

    insert(&world, None, TEXTS).await;
    insert(&world, Some(OTHER), 30).await;

    let (mut before, mut since) = (0, Instant::now());
    while before < usize::try_from(TEXTS).unwrap() {
        let now = begun(&world, None).await.len();
        if now > before {
            (before, since) = (now, Instant::now());
        }
        assert!(since.elapsed() < STALLED, "{now} of {TEXTS} began");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let all = begun(&world, None).await;
    assert_eq!(all.len(), usize::try_from(TEXTS).unwrap(), "each once");
    // On a busy machine slots are longer than `RATE_SLACK`, and never than this.
    let (each, slack) = (EACH.as_micros(), PACE_SLACK.as_micros());
    let (each, slack) = (i64::try_from(each).unwrap(), i64::try_from(slack).unwrap());
    for (n, (from, _)) in all.iter().enumerate() {
        let mut segments = 0;
        for (at, own) in &all[n..] {
            segments += own;
            let span = at - from;
            assert!(
                (segments - BURST) * each <= span + slack,
                "{segments} segments in {span} us"
            );
        }
    }
    let segments: i64 = all.iter().map(|(_, own)| own).sum();
    let took = all[all.len() - 1].0 - all[0].0;
    let others = until("the texts of the other sender begin", async || {
        let others = begun(&world, Some(OTHER)).await;
        (others.len() == 30).then_some(others)
    })
    .await;
    println!(
        "{segments} segments took {took} us where {} us are the least; 30 of another sender {} us",
        (segments - BURST) * each,
        others[29].0 - others[0].0
    );

    // Hours for each segment: whatever else happens, the second text waits.
    let slow = ["pace", "set", "sender", SLOW, "--rate", "0.0001"];
    assert_eq!(world.call(&slow).await.0, Some(0));
    insert(&world, Some(SLOW), 2).await;
    until("the first text begins", async || {
        (begun(&world, Some(SLOW)).await.len() == 1).then_some(())
    })
    .await;
    let sql =
        "select id::text from scheduled_messages where status = 'pending' and from_number = $1";
    let id: String = world.app.query_one(sql, &[&SLOW]).await.unwrap().get(0);
    let (_, why, _) = world.call(&["why", &id]).await;
    let says = "waits for the rate of sender +15•••";
    assert!(why.contains(says) && !why.contains(SLOW), "{why}");
    for daemon in daemons {
        daemon.stop().await;
    }
}
