//! Pauses as people make them: what they stop is not sent until the resume, all else is.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

use uuid::Uuid;

use crate::daemon::{Daemon, OPERATOR_TOKEN, until};
use crate::standin::Act;
use crate::world::{TO, World};

async fn of_type(world: &World, kind: &str, body: &str, more: &str) -> Uuid {
    let sql = format!(
        "insert into scheduled_messages (to_number, body, message_type, scheduled_at, send_before)
         values ($1, $2, $3, clock_timestamp(), {more}) returning id"
    );
    let row = world.app.query_one(&sql, &[&TO, &body, &kind]).await;
    row.unwrap().get(0)
}

async fn done(world: &World, args: &[&str]) -> String {
    let (code, said, complaint) = world.call(args).await;
    assert_eq!(code, Some(0), "{args:?}: {said}{complaint}");
    said
}

/// The daemon knows of so many pauses.
async fn knows(daemon: &Daemon, pauses: usize) {
    until("the daemon has read the pauses", async || {
        let timers = daemon.timers("").await;
        (timers["pauses"].as_array()?.len() == pauses).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_paused_waits_for_the_resume_and_the_rest_does_not() {
    let world = World::new([]).await;
    let daemon = world.daemon().await;
    assert_eq!(done(&world, &["pauses"]).await, "nothing is paused\n");
    let said = done(&world, &["pause", "type=brief", "--why", "wrong text"]).await;
    assert_eq!(said, "type=brief is paused until somebody resumes\n");
    knows(&daemon, 1).await;
    assert!(daemon.readyz(200).await.contains("punctual pauses"));
    let brief = of_type(&world, "brief", "a brief", "null").await;
    let expired = of_type(&world, "brief", "an old brief", "clock_timestamp()").await;
    // Due later than these, and sent.
    let plain = world.insert("plain", 300).await;
    world.arrived_once(plain).await;
    assert!(world.requests("a brief").is_empty());
    let id = brief.to_string();
    let why = done(&world, &["why", &id]).await;
    assert!(
        why.contains("paused") && why.contains("wrong text"),
        "{why}"
    );
    let listed = done(&world, &["pauses"]).await;
    assert!(listed.starts_with("type=brief, until resumed; by ") && listed.contains("wrong text"));
    let metrics = daemon.get("/metrics").await.unwrap().1;
    assert!(metrics.contains("punctual_pauses 1\n"), "{metrics}");

    // One would be cancelled: that is said first, and nothing is done.
    let (code, said, complaint) = world.call(&["resume", "type=brief"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        complaint.contains("1 message that has expired") && complaint.contains("--yes"),
        "{complaint}"
    );
    let (code, _, complaint) = world.call(&["resume", "type=other"]).await;
    assert_eq!(code, Some(1));
    assert!(complaint.contains("is not paused"), "{complaint}");
    let said = done(&world, &["resume", "type=brief", "--yes"]).await;
    assert_eq!(said, "type=brief is resumed\n");
    world.arrived_once(brief).await;
    world.becomes(expired, "cancelled").await;
    assert!(world.requests("an old brief").is_empty());
    daemon.stop().await;
}

/// In the middle of a herd: what is cleared is released, nothing goes out until the end, and nothing twice.
#[tokio::test]
async fn a_herd_is_paused_and_goes_on() {
    // The herd takes seven seconds: on a busy machine the command that pauses it takes one or two to start.
    let slow = Act::AcceptAfter(Duration::from_millis(50));
    let world = World::new(vec![slow; 300])
        .await
        .with(&[("PUNCTUAL_MAX_IN_FLIGHT", "2")]);
    let daemon = world.daemon().await;
    let herd = "insert into scheduled_messages (to_number, body, scheduled_at)
                select $1, 'herd ' || n, clock_timestamp() + interval '300 ms' from generate_series(1, 300) n";
    world.app.execute(herd, &[&TO]).await.unwrap();
    until("the herd is on its way", async || {
        (world.phone.creates().len() >= 20).then_some(())
    })
    .await;
    done(&world, &["pause"]).await;
    let count = async |status: &str| -> i64 {
        let sql = "select count(*) from scheduled_messages where status = $1";
        world.app.query_one(sql, &[&status]).await.unwrap().get(0)
    };
    until("nothing is being sent", async || {
        (count("sending").await == 0).then_some(())
    })
    .await;
    let (sent, waiting) = (world.phone.creates().len(), count("pending").await);
    let quiet = "select clock_timestamp()";
    let quiet: SystemTime = world.app.query_one(quiet, &[]).await.unwrap().get(0);
    assert!(waiting > 0, "{sent} were sent before the pause was read");
    knows(&daemon, 1).await;
    assert_eq!(world.phone.creates().len(), sent);
    // It ends by itself, and not before (`early`, below).
    let lasts = "update punctual.pauses set until = clock_timestamp() + interval '700 ms'";
    world.app.batch_execute(lasts).await.unwrap();
    until("all are sent", async || {
        (count("sent").await == 300).then_some(())
    })
    .await;
    assert_eq!(world.phone.creates().len(), 300);
    // The daemon's reading of the database's clock may be off by a few milliseconds.
    let early = "select count(*) from punctual.attempts a, punctual.pauses p
                 where a.started_at > $1 and a.started_at < p.until - interval '10 ms'";
    let early: i64 = world.app.query_one(early, &[&quiet]).await.unwrap().get(0);
    assert_eq!(early, 0);
    daemon.stop().await;
}

/// After the commit of a pause nothing starts for longer than this, or than two round trips to the database.
const TAKES_EFFECT: Duration = Duration::from_millis(100);

/// How far off the daemon's reading of the database's clock may be.
const CLOCK: Duration = Duration::from_millis(10);

/// Of a stall of the machine the measured round trips may see nothing, or the daemon: so many rounds must be in time …
const IN_TIME: usize = 4;

/// … of at most so many. Where pauses take effect late, none is.
const ROUNDS: usize = 28;

/// The longest round trip to the database while something goes on, and that something's result.
async fn round_trips<T>(world: &World, work: impl Future<Output = T>) -> (Duration, T) {
    let probe = world.db.client().await;
    let longest = std::cell::Cell::new(Duration::ZERO);
    let measure = async {
        loop {
            let sent = Instant::now();
            probe
                .query("select * from punctual.pauses", &[])
                .await
                .unwrap();
            longest.set(longest.get().max(sent.elapsed()));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let done = tokio::select! {
        never = measure => never,
        done = work => done,
    };
    (longest.get(), done)
}

/// Sending all the time, with messages that are claimed and wait for a permit: of a pause that is notified, and of one
/// that nothing reports.
#[tokio::test]
async fn nothing_starts_later_than_two_round_trips_after_a_pause_was_committed() {
    let world = World::new([])
        .await
        .with(&[("PUNCTUAL_MAX_IN_FLIGHT", "2")]);
    let daemons = [world.daemon().await, world.daemon().await];
    let herd = "insert into scheduled_messages (to_number, body, scheduled_at)
                select $1, 'herd ' || n, clock_timestamp() + interval '300 ms' from generate_series(1, $2::int) n";
    let left = "select count(*) from scheduled_messages where status = 'pending'";
    let unseen = world.db.client().await;
    unseen
        .batch_execute("set session_replication_role = replica")
        .await
        .unwrap();
    let begun = "select count(*) from punctual.attempts where started_at is not null";
    let clock = "select clock_timestamp()";
    for (reported, session) in [(true, &world.app), (false, &unseen)] {
        let mut kept = 0;
        for _ in 0..ROUNDS {
            // Never so few that the pause comes after the last of them.
            let waiting: i64 = session.query_one(left, &[]).await.unwrap().get(0);
            if waiting < 2_000 {
                world.app.execute(herd, &[&TO, &4_000]).await.unwrap();
            }
            let before: i64 = session.query_one(begun, &[]).await.unwrap().get(0);
            until("messages are on their way", async || {
                let now: i64 = session.query_one(begun, &[]).await.unwrap().get(0);
                (now >= before + 20).then_some(())
            })
            .await;
            let pause = async {
                let insert = "insert into punctual.pauses (scope, what) values ('everything', '')";
                session.execute(insert, &[]).await.unwrap();
                let committed: SystemTime = session.query_one(clock, &[]).await.unwrap().get(0);
                until("nothing is claimed", async || {
                    let claimed =
                        "select count(*) from scheduled_messages where status = 'sending'";
                    let claimed: i64 = session.query_one(claimed, &[]).await.unwrap().get(0);
                    (claimed == 0).then_some(())
                })
                .await;
                committed
            };
            let (round_trip, committed) = round_trips(&world, pause).await;
            let last = "select max(started_at) from punctual.attempts";
            let last: SystemTime = session.query_one(last, &[]).await.unwrap().get(0);
            let after = last.duration_since(committed).unwrap_or_default();
            let most = TAKES_EFFECT.max(2 * round_trip) + CLOCK;
            println!(
                "figure: pause, reported={reported}: the last start {after:.1?} after the commit, {most:.1?} allowed"
            );
            kept += usize::from(after <= most);
            let waiting: i64 = session.query_one(left, &[]).await.unwrap().get(0);
            assert!(waiting > 0, "all were sent before the pause");
            world
                .app
                .execute("delete from punctual.pauses", &[])
                .await
                .unwrap();
            if kept == IN_TIME {
                break;
            }
        }
        assert_eq!(
            kept, IN_TIME,
            "reported={reported}: in time in so many of {ROUNDS} rounds"
        );
    }
    for daemon in daemons {
        daemon.stop().await;
    }
}

/// How many messages have this status.
async fn count(world: &World, status: &str) -> i64 {
    let sql = "select count(*) from scheduled_messages where status = $1";
    world.app.query_one(sql, &[&status]).await.unwrap().get(0)
}

/// A herd on two instances, paused on the page of one and resumed on that of the other, in several rounds; then each
/// message was sent once. `PUNCTUAL_PAUSE_HERD=10000` for a large one.
#[tokio::test]
async fn a_herd_on_two_instances_is_paused_and_resumed_from_their_pages() {
    let size: i64 =
        std::env::var("PUNCTUAL_PAUSE_HERD").map_or(3_000, |size| size.parse().unwrap());
    let world = World::new([]).await.with(&[
        ("PUNCTUAL_MAX_IN_FLIGHT", "4"),
        ("PUNCTUAL_OPERATOR_TOKEN", OPERATOR_TOKEN),
    ]);
    let daemons = [world.daemon().await, world.daemon().await];
    let cookies = [daemons[0].log_in().await, daemons[1].log_in().await];
    let herd = "insert into scheduled_messages (to_number, body, scheduled_at)
                select $1, 'herd ' || n, clock_timestamp() + interval '1 s' from generate_series(1, $2::bigint) n";
    world.app.execute(herd, &[&TO, &size]).await.unwrap();
    let (mut rounds, mut kept) = (0, 0);
    for round in 0..5 {
        let before = count(&world, "sent").await;
        until("messages are on their way", async || {
            (count(&world, "sent").await >= before + size / 20).then_some(())
        })
        .await;
        let (pauses, resumes) = (round % 2, (round + 1) % 2);
        let pause = async {
            let pause = "/api/pause?why=wrong%20text";
            let (status, pause) = daemons[pauses].act_on_page(&cookies[pauses], pause).await;
            assert_eq!(status, 200, "{pause}");
            until("nothing is being sent", async || {
                (count(&world, "sending").await == 0).then_some(())
            })
            .await;
            let at = pause["at"].as_str().unwrap();
            SystemTime::from(chrono::DateTime::parse_from_rfc3339(at).unwrap())
        };
        // The pause was committed after this.
        let (round_trip, at) = round_trips(&world, pause).await;
        let last = "select max(started_at), clock_timestamp() from punctual.attempts";
        let row = world.app.query_one(last, &[]).await.unwrap();
        let (last, quiet): (SystemTime, SystemTime) = (row.get(0), row.get(1));
        let (after, most) = (
            last.duration_since(at).unwrap_or_default(),
            TAKES_EFFECT.max(2 * round_trip) + CLOCK,
        );
        let left = count(&world, "pending").await;
        println!(
            "figure: pause from the page, {left} of {size} left: the last start {after:.1?} after it was made, \
             {most:.1?} allowed"
        );
        rounds += 1;
        kept += usize::from(after <= most);
        for daemon in &daemons {
            knows(daemon, 1).await;
        }
        let begun = "select count(*) from punctual.attempts where started_at > $1";
        let quiet = quiet.max(at + most);
        let begun: i64 = world.app.query_one(begun, &[&quiet]).await.unwrap().get(0);
        assert_eq!(begun, 0, "requests began during the pause");
        let (status, answer) = daemons[resumes]
            .act_on_page(&cookies[resumes], "/api/resume")
            .await;
        assert_eq!(status, 200, "{answer}");
        if left < size / 4 {
            break;
        }
    }
    assert!(2 * kept > rounds, "{kept} of {rounds}");
    let mut sent = count(&world, "sent").await;
    while sent < size {
        sent = until("more are sent", async || {
            let now = count(&world, "sent").await;
            (now > sent).then_some(now)
        })
        .await;
    }
    let accepted = world.phone.accepted();
    let texts: BTreeSet<_> = accepted
        .iter()
        .map(|(_, seen)| seen.field("Body"))
        .collect();
    assert_eq!(
        (accepted.len(), texts.len()),
        (usize::try_from(size).unwrap(), accepted.len())
    );
    for daemon in daemons {
        daemon.stop().await;
    }
}
