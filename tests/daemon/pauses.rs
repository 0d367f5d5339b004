//! Pauses as people make them: what they stop is not sent until the resume, all else is.

use std::time::SystemTime;

use uuid::Uuid;

use crate::daemon::{Daemon, until};
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
    let world = World::new([])
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
    // It ends by itself, and not before.
    let lasts = "update punctual.pauses set until = clock_timestamp() + interval '700 ms'";
    world.app.batch_execute(lasts).await.unwrap();
    knows(&daemon, 1).await;
    assert_eq!(world.phone.creates().len(), sent);
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
