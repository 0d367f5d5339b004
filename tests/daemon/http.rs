//! What a daemon shows of itself.

use std::time::Duration;

use crate::daemon::{Daemon, OPERATOR_TOKEN, until};
use crate::standin::Act;
use crate::world::{World, asked};

#[tokio::test]
async fn it_lives_before_it_is_ready_and_says_what_is_missing() {
    let world = World::new([]).await;
    // Holds the first load up: the window is read from this table.
    let mut other = world.db.client().await;
    let lock = other.transaction().await.unwrap();
    lock.batch_execute("lock table scheduled_messages in access exclusive mode")
        .await
        .unwrap();
    let mut daemon = Daemon::start(&world.env);
    // Before that: not connected.
    crate::daemon::until("the window is missing", async || {
        let (status, reason) = daemon.get("/readyz").await?;
        (status == 503 && reason.contains("not loaded")).then_some(())
    })
    .await;
    assert_eq!(daemon.get("/healthz").await, Some((200, "ok\n".into())));
    lock.rollback().await.unwrap();
    daemon.ready().await;
    daemon.stop().await;
}

#[tokio::test]
async fn the_timers_show_what_is_armed_cleared_and_being_sent() {
    let slow = Act::AcceptAfter(Duration::from_secs(3));
    let world = World::new([slow.clone(), slow]).await;
    let world = world.with(&[
        ("PUNCTUAL_MAX_IN_FLIGHT", "1"),
        ("PUNCTUAL_OPERATOR_TOKEN", OPERATOR_TOKEN),
    ]);
    let daemon = world.daemon().await;
    let far = world.insert("far", 3_000_000).await;
    let timer = async |id: uuid::Uuid| {
        let report = daemon.timers(&format!("id={id}")).await;
        report["timers"].get(0).cloned()
    };
    let version = world.row(far).await.unwrap().version;
    let armed = until("it is armed", async || timer(far).await).await;
    assert_eq!(armed["state"], "armed");
    assert_eq!(armed["version"], version);

    let edit = "update scheduled_messages set scheduled_at = scheduled_at + interval '1 min'
                where id = $1";
    world.app.execute(edit, &[&far]).await.unwrap();
    let row = world.row(far).await.unwrap();
    assert_eq!(row.version, version + 1);
    let moved = until("the edit is heard", async || {
        timer(far).await.filter(|t| t["version"] == row.version)
    })
    .await;
    let due: chrono::DateTime<chrono::Utc> = moved["due_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        u128::from(due.timestamp_micros().unsigned_abs()),
        row.due.as_micros()
    );

    let sending = world.insert("is being sent", 300).await;
    let cleared = world.insert("waits for a place", 400).await;
    asked(&world.phone, 1).await;
    for (id, state) in [(sending, "sending"), (cleared, "cleared")] {
        until(state, async || {
            timer(id).await.filter(|t| t["state"] == state)
        })
        .await;
    }
    let report = daemon.timers("limit=10").await;
    assert_eq!(report["ready"], true);
    assert_eq!(report["window"]["armed"], 3);

    let url = format!("http://{}", daemon.addr());
    let (code, table, _) = world.call(&["timers", "--url", &url]).await;
    assert_eq!(code, Some(0), "{table}");
    for id in [far, sending, cleared] {
        assert!(table.contains(&id.to_string()), "{table}");
    }
    world.arrived_once(sending).await;
    world.arrived_once(cleared).await;
    lists(&daemon, [far, sending, cleared]).await;
    acts(&world, &daemon, far).await;
    daemon.stop().await;
}

/// The API's acts, with the rights that the daemon's role has.
async fn acts(world: &World, daemon: &Daemon, far: uuid::Uuid) {
    let done = async |target: &str| {
        let (status, body) = daemon.act(target).await;
        assert_eq!(status, 200, "{target}: {body}");
    };
    let paused = async |count: usize| {
        until("the daemon has read the pauses", async || {
            let timers = daemon.timers("").await;
            (timers["pauses"].as_array()?.len() == count).then_some(())
        })
        .await;
    };
    done("/api/pause?type=brief&why=a%20test&by=Ada").await;
    paused(1).await;
    done("/api/resume?type=brief").await;
    paused(0).await;
    done(&format!("/api/messages/{far}/reschedule?later=1h")).await;
    done("/api/messages/cancel?status=pending&confirm=1&by=Ada").await;
    let row = world.becomes(far, "cancelled").await;
    assert_eq!(row.cancel_reason.as_deref(), Some("cancelled by Ada"));
    let ended = async |status: &str| -> uuid::Uuid {
        let app = world.db.client().await;
        let sql = "set session_replication_role = replica";
        app.batch_execute(sql).await.unwrap();
        let sql = "insert into scheduled_messages (to_number, body, scheduled_at, status)
                   values ('+13105551234', 'again', now(), $1) returning id";
        app.query_one(sql, &[&status]).await.unwrap().get(0)
    };
    let failed = ended("failed").await;
    done(&format!("/api/messages/{failed}/retry")).await;
    world.becomes(failed, "sent").await;
    let uncertain = ended("unconfirmed").await;
    done(&format!(
        "/api/messages/{uncertain}/resolve?decision=cancel&by=Ada"
    ))
    .await;
    world.becomes(uncertain, "cancelled").await;
}

/// The API's lists, counts and searches: one message is pending, two were sent.
async fn lists(daemon: &Daemon, [far, sending, cleared]: [uuid::Uuid; 3]) {
    let ask = async |target: &str| {
        let (status, body) = daemon.answer(target).await;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        (status, body)
    };
    let ids = |page: &serde_json::Value| -> Vec<uuid::Uuid> {
        let rows = page["messages"].as_array().unwrap();
        let ids = rows
            .iter()
            .map(|row| row["id"].as_str().unwrap().parse().unwrap());
        ids.collect()
    };
    let (_, page) = ask("/api/messages?status=pending").await;
    assert_eq!(ids(&page), [far], "{page}");
    assert_eq!(page["next"], serde_json::Value::Null);
    assert!(
        page["messages"][0]["to"].as_str().unwrap().contains("•••"),
        "{page}"
    );
    assert!(page["messages"][0].get("body").is_none(), "{page}");
    // The latest first, a page at a time.
    let (_, first) = ask("/api/messages?limit=2").await;
    assert_eq!(ids(&first), [far, cleared], "{first}");
    let next = first["next"].as_str().unwrap();
    let (_, second) = ask(&format!("/api/messages?limit=2&cursor={next}")).await;
    assert_eq!(ids(&second), [sending], "{second}");
    let (_, stats) = ask("/api/stats?status=sent").await;
    assert_eq!(stats["counts"][0]["messages"], 2, "{stats}");
    let far = far.to_string();
    let (code, story) = ask(&format!("/api/messages/{}", &far[..8])).await;
    assert_eq!((code, story["id"].as_str()), (200, Some(&*far)));
    let number = story["row"]["to"].as_str().unwrap();
    assert!(number.contains("•••"), "{story}");
    let (code, refusal) = ask("/api/messages?colour=red").await;
    assert_eq!(code, 400);
    assert!(
        refusal["error"]
            .as_str()
            .unwrap()
            .contains("known are status, from"),
        "{refusal}"
    );
}
