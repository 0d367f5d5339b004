//! A campaign over three instances, from the file to the requests: with a kill, a pause, a closing time and a
//! restart in its middle no gap is shorter than the shortest, the order is kept, nothing begins while it is closed,
//! and nobody gets two.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use punctual::schedule::PACE_SLACK;
use rustix::process::Signal;
use serde_json::Value;

use crate::daemon::Daemon;
use crate::world::World;

/// How many messages, and after how many seconds it closes: `PUNCTUAL_CAMPAIGN=346` runs that many.
fn size() -> (usize, i64) {
    let rows = std::env::var("PUNCTUAL_CAMPAIGN").map_or(24, |rows| rows.parse().unwrap());
    // Before half of them are sent, a slot of a second and a gap each.
    (rows, i64::try_from(rows * 53 / 100).unwrap().max(14))
}

/// The gaps of a campaign, a thousandth of the usual ones.
const GAPS: &str = "240ms..420ms";
const SHORTEST: i64 = 240_000;

/// How long it is closed.
const CLOSED_S: i64 = 6;

/// How long nothing may begin before that is a failure.
const STALLED: Duration = Duration::from_secs(90);

async fn done(world: &World, args: &[&str]) -> String {
    let (code, said, complaint) = world.call(&[&["campaign"], args].concat()).await;
    assert_eq!(code, Some(0), "{args:?}: {said}{complaint}");
    said
}

/// Microseconds since 1970, by the database.
async fn clock(world: &World) -> i64 {
    let sql = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint";
    world.app.query_one(sql, &[]).await.unwrap().get(0)
}

/// Of each request that began, in that order: the position of its message, when, and which attempt. A claim that was
/// returned, as happens on a busy machine, was none.
async fn begun(world: &World) -> Vec<(i32, i64, i32)> {
    let sql = "select c.position, (extract(epoch from a.started_at) * 1000000)::bigint,
                      1 + (select count(*)::int from punctual.attempts b
                            where b.message_id = a.message_id and b.number < a.number
                              and b.outcome is distinct from 'returned')
                 from punctual.attempts a
                 join punctual.campaign_messages c on c.message_id = a.message_id
                where a.started_at is not null order by a.started_at";
    let rows = world.db.client().await.query(sql, &[]).await.unwrap();
    rows.iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect()
}

/// Waits until so many have begun, as long as there is progress.
async fn begin(world: &World, wanted: usize) {
    let (mut before, mut since) = (0, Instant::now());
    loop {
        let now = begun(world).await.len();
        if now >= wanted {
            return;
        }
        if now > before {
            (before, since) = (now, Instant::now());
        }
        assert!(since.elapsed() < STALLED, "{now} of {wanted} began");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// `HH:MM:SS` of a moment, in UTC.
fn time(us: i64) -> String {
    let at = jiff::Timestamp::from_second(us / 1_000_000).unwrap();
    at.strftime("%H:%M:%S").to_string()
}

#[tokio::test]
async fn three_instances_keep_a_campaign_through_a_kill_a_pause_a_closing_time_and_a_restart() {
    let (rows, closes_after) = size();
    let world = World::new([]).await;
    let mut daemons: Vec<Daemon> = Vec::new();
    for _ in 0..3 {
        daemons.push(world.daemon().await);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spring.csv");
    let mut text = "customer_name,phone_number,content\n".to_owned();
    for n in 0..rows {
        let _ = writeln!(text, "Customer {n},+1202555{n:04},campaign {n}");
    }
    std::fs::write(&path, text).unwrap();
    // It closes in a while, whatever the time of day, and opens again soon after.
    let closes = (clock(&world).await / 1_000_000 + closes_after) * 1_000_000;
    let opens = closes + CLOSED_S * 1_000_000;
    let hours = format!("mon-sun {}-{}", time(opens), time(closes));
    let path = path.to_str().unwrap();
    let how = [
        "--hours",
        &hours,
        "--timezone",
        "UTC",
        "--gap",
        GAPS,
        "--skip-chance",
        "0",
    ];
    done(&world, &[&["import", path][..], &how].concat()).await;
    done(&world, &["approve", "spring", "--all"]).await;
    let plan = done(&world, &["schedule", "spring", "--at", "in 1s", "--json"]).await;
    let plan: Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan["messages"].as_array().unwrap().len(), rows);

    begin(&world, rows / 4).await;
    let mut killed = daemons.remove(0);
    killed.signal(Signal::KILL);
    killed.ended().await;
    // Past the closing time, which some messages were planned before.
    begin(&world, rows / 2).await;
    done(&world, &["pause", "spring"]).await;
    let paused = clock(&world).await + 100_000;
    daemons.push(world.daemon().await);
    daemons.remove(0).stop().await;
    let resumed = clock(&world).await;
    done(&world, &["resume", "spring"]).await;

    let left = "select count(*) from scheduled_messages where status in ('pending', 'sending')";
    let (mut before, mut since) = (i64::MAX, Instant::now());
    loop {
        let now: i64 = world.app.query_one(left, &[]).await.unwrap().get(0);
        if now == 0 {
            break;
        }
        if now < before {
            (before, since) = (now, Instant::now());
        }
        assert!(since.elapsed() < STALLED, "{now} are left");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let all = begun(&world).await;
    for pair in all.windows(2) {
        let gap = pair[1].1 - pair[0].1;
        assert!(gap >= SHORTEST, "{gap} us between {pair:?}");
    }
    let slack = i64::try_from(PACE_SLACK.as_micros()).unwrap();
    for (position, at, _) in &all {
        assert!(
            !(closes + slack..opens).contains(at),
            "{position} began while it was closed"
        );
        assert!(
            !(paused..resumed).contains(at),
            "{position} began in the pause"
        );
    }
    // What the killed instance had claimed, one message at most, waits until that is known.
    let mut order: Vec<i32> = all.iter().map(|(position, ..)| *position).collect();
    let late: Vec<i32> = all
        .iter()
        .filter(|(.., number)| *number > 1)
        .map(|(position, ..)| *position)
        .collect();
    assert!(late.len() <= 1, "{all:?}");
    order.retain(|position| !late.contains(position));
    assert!(order.is_sorted(), "{all:?}");
    for n in 0..rows {
        let requests = world.requests(&format!("campaign {n}")).len();
        assert!(requests <= 1, "{n}: {requests} requests");
    }
    let sent = "select count(*) from scheduled_messages where status in ('sent', 'delivered')";
    let sent: i64 = world.app.query_one(sent, &[]).await.unwrap().get(0);
    assert!(sent >= i64::try_from(rows).unwrap() - 1, "{sent} were sent");
    for daemon in daemons {
        daemon.stop().await;
    }
}

/// What people did by hand to try a campaign before there was a daemon.
#[tokio::test]
async fn a_message_of_two_bubbles_is_sent_and_processed_in_business_hours_alone() {
    let processed = async |world: &World| -> (i32, Option<String>, Option<String>) {
        let sql = "select processed_count, error_message, skipped_reason from process_scheduled_messages_safe()";
        let row = world.app.query_one(sql, &[]).await.unwrap();
        (row.get(0), row.get(1), row.get(2))
    };
    let always = [("PUNCTUAL_CAMPAIGN_HOURS", "mon-sun 00:00-24:00")];
    let world = World::new([]).await.with(&always);
    let daemon = world.daemon().await;
    let status = "select is_business_hours and is_business_hours()
                         and abs(extract(epoch from current_pacific_time - now() at time zone 'America/Los_Angeles')) < 60
                    from business_hours_status";
    assert!(
        world
            .app
            .query_one(status, &[])
            .await
            .unwrap()
            .get::<_, bool>(0)
    );
    assert_eq!(processed(&world).await, (0, None, None));
    let text = "Test bubble 1\n\n[BUBBLE]\n\nTest bubble 2";
    let id = world.insert(text, 1_000).await;
    world.becomes(id, "sent").await;
    for bubble in ["Test bubble 1", "Test bubble 2"] {
        assert_eq!(world.requests(bubble).len(), 1, "{bubble}");
    }
    let order = "select string_agg(body, ',' order by started_at) from punctual.attempts where message_id = $1";
    let order = world.db.client().await.query_one(order, &[&id]).await;
    assert_eq!(
        order.unwrap().get::<_, &str>(0),
        "Test bubble 1,Test bubble 2"
    );
    // It came due since the call before, and was sent.
    assert_eq!(processed(&world).await, (1, None, None));
    daemon.stop().await;

    // On another day than today's.
    let zone = jiff::tz::TimeZone::get("America/Los_Angeles").unwrap();
    let now = jiff::Timestamp::from_microsecond(clock(&world).await).unwrap();
    let later = zone.to_datetime(now).date() + jiff::Span::new().days(3);
    let hours = format!("{} 09:00-10:00", later.strftime("%a")).to_lowercase();
    let world = world.with(&[("PUNCTUAL_CAMPAIGN_HOURS", &hours)]);
    let daemon = world.daemon().await;
    let (n, error, skipped) = processed(&world).await;
    assert_eq!((n, error), (0, None));
    assert!(skipped.unwrap().starts_with("Outside business hours"));
    let open = world.app.query_one("select is_business_hours()", &[]).await;
    assert!(!open.unwrap().get::<_, bool>(0));
    daemon.stop().await;
}
