//! The main path: at its time, once, and the user's last word counts.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use uuid::Uuid;

use crate::daemon::{set, until};
use crate::standin::Act;
use crate::twilio::{Fault, Habits, Twilio};
use crate::world::{ACCOUNT, AUTH_TOKEN, World, asked};

#[tokio::test]
async fn it_arrives_once_and_not_before_its_time() {
    let world = World::new([]).await;
    let daemon = world.daemon().await;
    let id = world.insert("at its time", 700).await;
    world.arrived_once(id).await;
    daemon.stop().await;

    let sql = "select m.direction, m.body, m.from_number, m.to_number, m.twilio_sid, m.status,
                       m.metadata ->> 'source', m.metadata ->> 'scheduled_message_id',
                       c.phone_number
                from messages m join conversations c on c.id = m.conversation_id";
    let rows = world.app.query(sql, &[]).await.unwrap();
    assert_eq!(rows.len(), 1);
    let written: Vec<String> = (0..9).map(|i| rows[0].get(i)).collect();
    let sid = world.row(id).await.unwrap().sid.unwrap();
    let own = id.to_string();
    let expected = [
        "outbound",
        "at its time",
        crate::world::FROM,
        crate::world::TO,
        &sid,
        "sent",
        "scheduled",
        &own,
        crate::world::TO,
    ];
    assert_eq!(written, expected);
}

#[tokio::test]
async fn the_last_word_before_its_time_counts() {
    let world = World::new([]).await;
    let daemon = world.daemon().await;
    let execute = async |sql: &str, id| {
        let n = world.app.execute(sql, &[&id]).await.unwrap();
        assert_eq!(n, 1, "{sql}");
    };
    let shift = |how: &str| {
        format!("update scheduled_messages set scheduled_at = scheduled_at {how} where id = $1")
    };

    let edited = world.insert("before the edit", 3_000).await;
    let earlier = world.insert("earlier", 3_600_000).await;
    let later = world.insert("later", 3_000).await;
    let out = world.insert("out of sight", 3_000).await;
    let deleted = world.insert("deleted", 3_000).await;
    execute(
        "update scheduled_messages set body = 'after the edit' where id = $1",
        edited,
    )
    .await;
    execute(&shift("- interval '3598 s'"), earlier).await;
    execute(&shift("+ interval '1 s'"), later).await;
    execute(&shift("+ interval '3 days'"), out).await;
    execute("delete from scheduled_messages where id = $1", deleted).await;
    // As late as the cut-off allows; on a busy machine it may be too late, and is notified so.
    let mut too_late = 0;
    let cancelled = loop {
        let id = world.insert("cancelled", 1_000).await;
        let sleep = "select pg_sleep_until(scheduled_at - interval '150 ms') from scheduled_messages where id = $1";
        world.app.execute(sleep, &[&id]).await.unwrap();
        let cancel = "update scheduled_messages set status = 'cancelled' where id = $1";
        match world.app.execute(cancel, &[&id]).await {
            Ok(n) => {
                assert_eq!(n, 1);
                break id;
            }
            Err(refused) => {
                let code = refused.code().map(SqlState::code);
                assert_eq!(code, Some("PT409"), "{refused:?}");
            }
        }
        world.arrived_once(id).await;
        too_late += 1;
        assert!(too_late < 20, "each was claimed 150 ms before its time");
    };
    // What was due before it has had its turn.
    let after = world.insert("after the cancelled one", 500).await;

    for id in [edited, earlier, later, after] {
        world.arrived_once(id).await;
    }
    assert_eq!(world.row(edited).await.unwrap().body, "after the edit");
    daemon.stop().await;
    assert_eq!(
        world.phone.creates().len(),
        4 + too_late,
        "and nothing else"
    );
    assert_eq!(world.row(out).await.unwrap().status, "pending");
    assert_eq!(world.row(cancelled).await.unwrap().status, "cancelled");
    assert!(world.row(deleted).await.is_none());
}

#[tokio::test]
async fn a_first_start_on_an_old_table_texts_nobody_of_the_past() {
    let world = World::new([])
        .await
        .with(&[("PUNCTUAL_MAX_LATENESS", "10m")]);
    let old = "insert into scheduled_messages (to_number, body, scheduled_at)
               select '+13105551234', 'old ' || n, now() - n * interval '1 h'
               from generate_series(1, 3000) n";
    world.app.execute(old, &[]).await.unwrap();
    let overdue = world.insert("five minutes late", -300_000).await;
    let daemon = world.daemon().await;
    world.arrived_once(overdue).await;
    crate::daemon::until("the old ones are cancelled", async || {
        let sql = "select count(*) from scheduled_messages where status = 'cancelled'
                   and cancel_reason like 'too late: % s after its time, more than the 600 s allowed'";
        let n: i64 = world.app.query_one(sql, &[]).await.unwrap().get(0);
        (n == 3000).then_some(())
    })
    .await;
    daemon.stop().await;
    assert_eq!(world.phone.creates().len(), 1);
}

#[tokio::test]
async fn of_two_daemons_each_message_has_one() {
    let slow = std::iter::repeat_n(Act::AcceptAfter(Duration::from_millis(20)), 200);
    let world = World::new(slow).await;
    let (one, two) = (world.daemon().await, world.daemon().await);
    let mut ids = Vec::new();
    for n in 0..100 {
        ids.push(world.insert(&format!("herd {n}"), 1_500 - 10 * n).await);
    }
    for id in ids {
        world.arrived_once(id).await;
    }
    one.stop().await;
    two.stop().await;
    assert_eq!(world.phone.creates().len(), 100);
}

/// Both ends of an unsent message's story: the provider is away, then back.
#[tokio::test]
async fn what_could_not_leave_leaves_when_the_provider_is_back() {
    let world = World::new([]).await;
    // Bound and not listening: connections are refused, and nobody else can have the port.
    let door = tokio::net::TcpSocket::new_v4().unwrap();
    door.set_reuseaddr(true).unwrap();
    door.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let away = format!("http://{}", door.local_addr().unwrap());
    let world = world.with(&[("TWILIO_API_BASE_URL", &away)]);
    let daemon = world.daemon().await;
    let id = world.insert("unsent at first", 200).await;
    let row = crate::daemon::until("it is put off", async || {
        let row = world.row(id).await?;
        row.error.is_some().then_some(row)
    })
    .await;
    assert_eq!(row.status, "pending");

    let provider = world.phone.url();
    let provider = provider.strip_prefix("http://").unwrap().to_owned();
    let proxy = crate::proxy::Proxy::over(door.listen(64).unwrap(), provider);
    world.arrived_once(id).await;
    daemon.stop().await;
    assert_eq!(world.phone.creates().len(), 1);
    drop(proxy);
}

#[tokio::test]
async fn a_throttled_message_goes_later() {
    let world = World::new([
        Act::Answer(429, "retry-after: 1\r\n", String::new()),
        Act::Accept,
    ])
    .await;
    let daemon = world.daemon().await;
    let id = world.insert("too much at once", 100).await;
    asked(&world.phone, 2).await;
    world.arrived_once(id).await;
    let seen = world.requests("too much at once");
    assert!(seen[1].at - seen[0].at >= Duration::from_secs(1));
    daemon.stop().await;
}

/// Three times "too many", with a `Retry-After` of a second: it is tried after 1, 2 and 4 s, less a quarter.
#[tokio::test]
async fn one_number_that_is_throttled_slows_no_other_and_is_late_once() {
    let twilio = Twilio::start(ACCOUNT, AUTH_TOKEN, Habits::default()).await;
    let (slow, beside) = ("to one number", "to the same number");
    let held = "to a number that waits for a minute";
    twilio.with_text(slow, [Fault::Busy(Some(1)); 3]);
    twilio.with_text(held, [Fault::Busy(Some(60))]);
    let mut world = World::new([]).await;
    set(&mut world.env, "TWILIO_API_BASE_URL", &twilio.url());
    set(&mut world.env, "PUNCTUAL_MAX_IN_FLIGHT", "8");
    let daemon = world.daemon().await;
    let others = "insert into scheduled_messages (to_number, body, scheduled_at)
        select '+1202555' || 1000 + n, 'other ' || n, clock_timestamp() + n * interval '200 ms'
          from generate_series(1, 30) n";
    world.app.execute(others, &[]).await.unwrap();
    // What is due to a number that is throttled is released, and says why.
    let to_held = "insert into scheduled_messages (to_number, body, scheduled_at)
                   values ('+13105559876', $1, clock_timestamp()) returning id";
    let insert =
        async |body: &str| -> Uuid { world.app.query_one(to_held, &[&body]).await.unwrap().get(0) };
    let waiting = insert(held).await;
    let slowed = until("it is throttled", async || {
        let timers = daemon.timers("").await;
        (timers["slowed"]["recipients"] == 1).then_some(timers)
    })
    .await;
    assert_eq!(slowed["slowed"]["senders"], 0);
    let second = insert("and behind it").await;
    let row = until("the second waits", async || {
        let row = world.row(second).await?;
        row.error.is_some().then_some(row)
    })
    .await;
    let reason = "the provider throttles its recipient";
    assert_eq!(
        (&*row.status, row.error.as_deref()),
        ("pending", Some(reason))
    );
    let (_, why, _) = world.call(&["why", &second.to_string()]).await;
    assert!(
        why.contains(reason) && why.contains("next attempt"),
        "{why}"
    );

    let cancel = "update scheduled_messages set status = 'cancelled' where id = any ($1)";
    let both = world.app.execute(cancel, &[&vec![waiting, second]]).await;
    assert_eq!(both.unwrap(), 2);

    let first = world.insert(slow, 100).await;
    world.becomes(first, "sent").await;
    until("the others are sent", async || {
        let sql =
            "select count(*) from scheduled_messages where status = 'sent' and body like 'other %'";
        let sent: i64 = world.app.query_one(sql, &[]).await.ok()?.get(0);
        (sent == 30).then_some(())
    })
    .await;
    let asked = twilio.book().text(slow).asked.clone();
    assert_eq!(asked.len(), 4);
    for (n, pair) in asked.windows(2).enumerate() {
        let least = Duration::from_millis(750) * (1 << n);
        assert!(pair[1] >= pair[0] + least, "{n} {asked:?}");
    }
    let timers = daemon.timers("").await;
    // Each request counts from when it was to start, and the retries' five seconds do not; the others may be late
    // themselves on a busy machine.
    assert_eq!(timers["lateness_us"]["count"], 35);
    let sql = "select (extract(epoch from max(a.started_at - m.scheduled_at)) * 1000000)::bigint
                 from scheduled_messages m join punctual.attempts a on a.message_id = m.id
                where m.body like 'other %'";
    let of_others: i64 = world.app.query_one(sql, &[]).await.unwrap().get(0);
    let late = timers["lateness_us"]["max"].as_i64().unwrap();
    let most = of_others.max(5_000_000) + 250_000;
    assert!(late < most, "{late} µs, others {of_others} µs");
    assert_eq!(timers["lanes"][0]["permits"], 8);
    // The next one may have to wait for its turn, and is sent.
    let third = world.insert(beside, 0).await;
    world.becomes(third, "sent").await;
    daemon.stop().await;
}
