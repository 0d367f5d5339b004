//! Messages of several parts with a daemon that runs, and is killed between its parts and within them.

use rustix::process::Signal;
use uuid::Uuid;

use crate::daemon::{Daemon, set, until};
use crate::twilio::{Habits, Twilio};
use crate::world::{ACCOUNT, AUTH_TOKEN, World};

/// Messages, and parts of each.
const MESSAGES: usize = 5;
const PARTS: usize = 4;

fn text(message: usize, part: usize) -> String {
    format!("message {message}, part {part}")
}

/// With a provider that can be asked what it has, and a journal.
async fn world(dir: &tempfile::TempDir) -> (World, Twilio) {
    let twilio = Twilio::start(ACCOUNT, AUTH_TOKEN, Habits::default()).await;
    let mut world = World::new([]).await.with(&[
        ("PUNCTUAL_STATE_DIR", dir.path().to_str().unwrap()),
        ("PUNCTUAL_PART_GAP", "300ms"),
        // What is not in the provider's list was not sent.
        ("PUNCTUAL_IN_DOUBT", "resend"),
    ]);
    set(&mut world.env, "TWILIO_API_BASE_URL", &twilio.url());
    (world, twilio)
}

async fn schedule(world: &World) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for message in 0..MESSAGES {
        let texts: Vec<_> = (0..PARTS).map(|part| text(message, part)).collect();
        ids.push(world.insert(&texts.join("\n[BUBBLE]\n"), 500).await);
    }
    ids
}

#[tokio::test]
async fn killed_between_and_within_parts_it_doubles_none_and_skips_none() {
    let dir = tempfile::tempdir().unwrap();
    let (world, twilio) = world(&dir).await;
    let mut daemon = world.daemon().await;
    let ids = schedule(&world).await;
    // Each time a little further: when a request has just been read, or has just been answered.
    for (kill, asks) in (0..).zip([1, 4, 7, 11, 14, 18]) {
        until("the next requests", async || {
            let book = twilio.book();
            let seen = if kill % 2 == 0 {
                book.asks()
            } else {
                book.answers()
            };
            (seen >= asks).then_some(())
        })
        .await;
        daemon.signal(Signal::KILL);
        daemon.ended().await;
        daemon = Daemon::start(&world.env);
    }
    for id in &ids {
        until("all of its parts are sent", async || {
            let sql = "select status in ('sent', 'delivered') and parts_done = $2 from scheduled_messages where id = $1";
            let parts = i32::try_from(PARTS).unwrap();
            let row = world.app.query_one(sql, &[id, &parts]).await.unwrap();
            row.get::<_, bool>(0).then_some(())
        })
        .await;
    }
    {
        let book = twilio.book();
        assert_eq!(book.doubled(), Vec::<String>::new());
        for message in 0..MESSAGES {
            let of_it = format!("message {message}, ");
            let taken = book.messages().iter().map(|taken| taken.body.clone());
            let taken: Vec<_> = taken.filter(|body| body.starts_with(&of_it)).collect();
            let expected: Vec<_> = (0..PARTS).map(|part| text(message, part)).collect();
            assert_eq!(taken, expected);
        }
    }
    let rows = "select count(*), count(distinct body) from messages";
    let rows = world.app.query_one(rows, &[]).await.unwrap();
    let all = i64::try_from(MESSAGES * PARTS).unwrap();
    assert_eq!((rows.get::<_, i64>(0), rows.get::<_, i64>(1)), (all, all));
    daemon.ready().await;
    daemon.stop().await;
}

#[tokio::test]
async fn between_its_parts_it_is_shown_as_so_many_and_can_be_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let (world, twilio) = world(&dir).await;
    let world = world.with(&[
        ("PUNCTUAL_PART_GAP", "1m"),
        ("PUNCTUAL_PART_SEPARATOR", "--"),
    ]);
    let daemon = world.daemon().await;
    until("its settings are written", async || {
        let sql = "select coalesce(max(part_separator), '') = '--' from punctual.settings";
        let row = world.app.query_one(sql, &[]).await.unwrap();
        row.get::<_, bool>(0).then_some(())
    })
    .await;
    let (code, said, remark) = world
        .call(&[
            "schedule",
            "--to",
            "+13105551234",
            "--body",
            "a -- b -- -- c",
            "--at",
            "in 1s",
        ])
        .await;
    assert_eq!(code, Some(0), "{remark}");
    assert!(remark.contains("the text is sent in 3 parts"), "{remark}");
    assert!(
        said.contains("3 parts") && said.contains("part 3"),
        "{said}"
    );
    let id = said.split_whitespace().nth(1).unwrap().to_owned();
    let sent = twilio.until("a", |book| (book.text("a").answered > 0).then_some(()));
    sent.await;
    let shown = until("its first part is recorded", async || {
        let (_, body) = daemon.get(&format!("/debug/messages/{id}")).await?;
        let shown: serde_json::Value = serde_json::from_str(&body).unwrap();
        // Not while its row changes between the two reads of one answer.
        (shown["row"]["parts"] == "1 of 3" && !shown["forecast"].is_null()).then_some(shown)
    })
    .await;
    assert_eq!(shown["row"]["status"], "pending", "{shown}");
    assert_eq!(shown["attempts"][0]["part"], 1, "{shown}");
    let next = shown["next"].as_str().unwrap();
    assert!(
        next.starts_with("will be sent at") && next.contains("(part 2 of 3)"),
        "{shown}"
    );
    let (_, said, _) = world.call(&["why", &id]).await;
    assert!(
        said.contains("1 of 3 sent") && said.contains("attempt 1, part 1: accepted"),
        "{said}"
    );
    let (code, _, error) = world.call(&["reschedule", &id, "--at", "in 1h"]).await;
    assert_eq!(code, Some(1), "{error}");
    assert!(
        error.contains("pending, 1 of 3 parts sent; it is too late to change it"),
        "{error}"
    );
    let (code, _, error) = world.call(&["cancel", &id]).await;
    assert_eq!(code, Some(0), "{error}");
    let row = world.row(id.parse().unwrap()).await.unwrap();
    assert_eq!(row.status, "cancelled");
    let reason = row.cancel_reason.unwrap_or_default();
    assert!(reason.ends_with("; 1 of 3 parts sent"), "{reason}");
    let (_, said, _) = world.call(&["why", &id]).await;
    assert!(
        said.contains("to send the parts that are left (1 of 3 were sent)"),
        "{said}"
    );
    daemon.stop().await;
    assert_eq!(twilio.book().asks(), 1);
}
