//! Several daemons over one table: what is due within one second is one instance's, or each one's own if it is too
//! much for one, and what one leaves lying the next one takes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use punctual::schedule::{LEAD_MAX, STAGGER};
use rustix::process::Signal;
use tokio::sync::Notify;

use crate::daemon::{Daemon, TOKEN, until};
use crate::standin::Act;
use crate::world::{World, asked};

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap()
}

/// Far messages, each in another slice of time, whose timers show whose they are.
async fn far(world: &World, n: i32) {
    for n in 0..n {
        let name = format!("far {n}");
        world.insert(&name, 1_800_000 + n * 1_000).await;
    }
}

/// Whose each message is first, as this daemon sees it.
async fn owners(daemon: &Daemon, n: usize) -> Option<Vec<(String, String)>> {
    let report = daemon.timers("limit=1000").await;
    let word = |timer: &serde_json::Value, name: &str| timer[name].as_str().unwrap().to_owned();
    let timers = report["timers"].as_array()?.iter();
    let mut owners: Vec<_> = timers.map(|t| (word(t, "id"), word(t, "owner"))).collect();
    owners.sort();
    (owners.len() >= n).then_some(owners)
}

/// Waits until both see both, and the same owner for each message.
async fn know_each_other(one: &Daemon, other: &Daemon, n: usize) {
    until("both come to the same owners", async || {
        let (a, b) = (owners(one, n).await?, owners(other, n).await?);
        let who: BTreeSet<_> = a.iter().map(|(_, owner)| owner).collect();
        (a == b && who.len() == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn two_share_the_messages_and_claim_each_once() {
    let world = World::new([]).await;
    // One of a version that claims nothing here has no turn, and is reported.
    let outdated = "insert into punctual.instances (id, version, heartbeat_at, beats)
                    values (gen_random_uuid(), '0.0.9', clock_timestamp() + interval '1 hour', 0)";
    world.app.batch_execute(outdated).await.unwrap();
    let (one, other) = (world.daemon().await, world.daemon().await);
    until("it is reported", async || {
        let remarks = one.readyz(200).await;
        remarks.contains("a version that is too old").then_some(())
    })
    .await;
    // Whose each slice is depends on the instances' ids. Binomial: fewer than 12 of 60 for one of them happens once in
    // a million.
    far(&world, 60).await;
    know_each_other(&one, &other, 60).await;
    let far = owners(&one, 60).await.unwrap();
    for (_, owner) in &far {
        let own = far.iter().filter(|(_, other)| other == owner).count();
        assert!((12..=48).contains(&own), "{own} of 60");
    }
    let mut ids = Vec::new();
    for n in 0..60 {
        ids.push(world.insert(&format!("shared {n}"), 2_500 + n * 20).await);
    }
    let mut owner_of: BTreeMap<String, String> = BTreeMap::new();
    until("all are armed, or were sent", async || {
        owner_of.extend(owners(&one, 0).await?);
        let waiting = "select count(*) from scheduled_messages where status = 'pending' and body like 'shared %'";
        let waiting: i64 = world.app.query_one(waiting, &[]).await.unwrap().get(0);
        (owner_of.len() == far.len() + ids.len() || waiting == 0).then_some(())
    })
    .await;
    for id in &ids {
        world.arrived_once(*id).await;
    }
    one.stop().await;
    other.stop().await;
    // On a busy machine a claim may be returned, because its pauses were read too long ago.
    let claims = "select a.message_id::text, a.instance::text,
                         (extract(epoch from a.claimed_at - m.scheduled_at) * 1000000)::bigint
                    from punctual.attempts a join scheduled_messages m on m.id = a.message_id
                   where a.outcome <> 'returned'";
    let claims = world.app.query(claims, &[]).await.unwrap();
    assert_eq!(claims.len(), 60);
    for claim in &claims {
        let (id, by): (String, String) = (claim.get(0), claim.get(1));
        let late = claim.get::<_, i64>(2) + micros(LEAD_MAX);
        // The other one only takes what its owner, on a busy machine, has not claimed in time.
        let owner = owner_of.get(&id);
        let is_own = owner.is_none_or(|owner| *owner == by);
        assert!(
            is_own || late >= micros(STAGGER),
            "{id}: {by} for {owner:?}, after {late} us"
        );
    }
}

/// What the live page of this daemon receives at its beginning: which instance sent which message, if it was not its
/// own, and the punctuality.
async fn page(daemon: &Daemon) -> Option<(BTreeMap<String, Option<String>>, serde_json::Value)> {
    let bearer = format!("authorization: Bearer {TOKEN}\r\n");
    let path = "/debug/events?state=1";
    // The last of the state.
    let last = Some(r#""last_sent_at":"#);
    let (_, body) = daemon.ask(path, &bearer, last).await?;
    let of = |name: &str| {
        let name = format!("event: {name}\ndata: ");
        let all: Vec<_> = body
            .split("\n\n")
            .filter_map(|one| Some(one.split_once(&name)?.1.to_owned()))
            .collect();
        all
    };
    // What was read last may be cut off.
    let sent = of("sent").into_iter().filter_map(|data| {
        let event: serde_json::Value = serde_json::from_str(&data).ok()?;
        let word = |name: &str| event[name].as_str().map(str::to_owned);
        Some((word("id")?, word("instance")))
    });
    let state = of("state").pop()?;
    let (_, punctuality) = state.split_once(r#""punctuality":"#)?;
    let punctuality = serde_json::Deserializer::from_str(punctuality)
        .into_iter()
        .next()?;
    Some((sent.collect(), punctuality.ok()?))
}

#[tokio::test]
async fn each_shows_what_the_other_sent() {
    let world = World::new([]).await;
    let (one, other) = (world.daemon().await, world.daemon().await);
    far(&world, 40).await;
    know_each_other(&one, &other, 40).await;
    // Each second's are one instance's: some more, until both have sent.
    let mut inserted = 0;
    let sent = until("both send, and all are sent", async || {
        let sql = "select message_id::text, instance::text from punctual.attempts where outcome = 'accepted'";
        let rows = world.app.query(sql, &[]).await.unwrap();
        let all: BTreeMap<String, String> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let by: BTreeSet<_> = all.values().collect();
        let is_done = inserted >= 20 && all.len() == inserted;
        if inserted < 20 || is_done && by.len() < 2 {
            world.insert(&format!("of both {inserted}"), 500).await;
            inserted += 1;
        }
        (is_done && by.len() == 2).then_some(all)
    })
    .await;
    // A stream without states has them too, for `punctual tail`.
    let bearer = format!("authorization: Bearer {TOKEN}\r\n");
    let elsewhere = Some(r#""instance":""#);
    let tail = one.ask("/debug/events", &bearer, elsewhere).await;
    assert!(tail.is_some(), "nothing of the other instance");
    for daemon in [&one, &other] {
        let (events, punctuality) = until("the page has all", async || {
            page(daemon).await.filter(|(events, punctuality)| {
                events.len() == inserted && punctuality["hour"]["count"] == inserted
            })
        })
        .await;
        assert_eq!(punctuality["instances"], 2);
        assert_eq!(punctuality["running"], 2);
        assert_eq!(punctuality["day"]["count"], inserted);
        let (_, seen) = daemon.answer("/api/instances").await;
        let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
        for (id, by) in &sent {
            let is_own = seen["own"] == **by;
            let expected = (!is_own).then(|| by.clone());
            assert_eq!(events.get(id), Some(&expected), "{id}");
        }
    }
    // What the first sends last it publishes when it stops: nothing else is due, so no heartbeat follows.
    let last = until("one of the first's own is the last", async || {
        let near = world.insert("last", 300).await;
        world.becomes(near, "sent").await;
        let by = "select 1 from punctual.attempts where message_id = $1 and instance = $2";
        let (_, seen) = one.answer("/api/instances").await;
        let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
        let own: uuid::Uuid = seen["own"].as_str().unwrap().parse().unwrap();
        let rows = world.app.query(by, &[&near, &own]).await.unwrap();
        (!rows.is_empty()).then_some(near.to_string())
    })
    .await;
    one.stop().await;
    until("the page of the other has it", async || {
        let (events, punctuality) = page(&other).await?;
        let is_alone = punctuality["running"] == 1 && punctuality["instances"] == 1;
        (is_alone && events.contains_key(&last)).then_some(())
    })
    .await;
    // The other one is alone, and stops publishing for nobody.
    until("nothing is published for pages of others", async || {
        let sql =
            "select count(*) from punctual.instances where stopped_at is null and state ? 'feed'";
        let with: i64 = world.app.query_one(sql, &[]).await.unwrap().get(0);
        (with == 0).then_some(())
    })
    .await;
    other.stop().await;
}

#[tokio::test]
async fn what_one_releases_the_other_sends_at_once() {
    // One place each, which is taken until both have claimed more: that waits.
    let answers = [(); 2].map(|()| Arc::new(Notify::new()));
    let world = World::new(answers.clone().map(Act::AcceptWhen))
        .await
        .with(&[
            ("PUNCTUAL_MAX_IN_FLIGHT", "1"),
            ("PUNCTUAL_SEND_TIMEOUT", "50s"),
            ("PUNCTUAL_LEASE", "120s"),
        ]);
    let (mut one, other) = (world.daemon().await, world.daemon().await);
    far(&world, 40).await;
    know_each_other(&one, &other, 40).await;
    let mut ids = Vec::new();
    // What the owner of their second leaves lying is divided: fewer than two of some 28 for the other one happens once
    // in ten million.
    for n in 0..30 {
        ids.push(world.insert(&format!("handed on {n}"), 400).await);
    }
    asked(&world.phone, 2).await;
    until("each has claimed some that wait", async || {
        let sql = "select instance from punctual.attempts where outcome is null
                   group by 1 having count(*) > 1";
        (world.app.query(sql, &[]).await.unwrap().len() == 2).then_some(())
    })
    .await;
    one.signal(Signal::TERM);
    until("it has released what waits", async || {
        let sql = "select from punctual.attempts where outcome = 'returned' limit 1";
        world.app.query_opt(sql, &[]).await.unwrap()
    })
    .await;
    for answer in &answers {
        answer.notify_one();
    }
    assert_eq!(one.ended().await.code(), Some(0));
    for id in ids {
        world.arrived_once(id).await;
    }
    // An instance that is not notified waits for the next near sweep (10 s), or the lease (30 s).
    let back = "select count(*), (extract(epoch from max(again.claimed_at - back.finished_at)) * 1000)::bigint
                from punctual.attempts back
                join punctual.attempts again using (message_id)
                where back.outcome = 'returned' and again.number = back.number + 1";
    let row = world.app.query_one(back, &[]).await.unwrap();
    let (back, ms): (i64, Option<i64>) = (row.get(0), row.get(1));
    assert!(back > 0);
    assert!(
        ms.is_some_and(|ms| ms < 5_000),
        "{back} were taken after {ms:?} ms"
    );
    until("the other has all timers to itself", async || {
        let owners = owners(&other, 40).await?;
        let who: BTreeSet<_> = owners.iter().map(|(_, owner)| owner).collect();
        (who.len() == 1).then_some(())
    })
    .await;
    other.stop().await;
}
