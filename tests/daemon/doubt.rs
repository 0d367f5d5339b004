//! Unconfirmed messages with a daemon that runs: what settles them by itself, and by a manual decision.

use serde_json::Value;

use crate::daemon::{Daemon, set, until};
use crate::twilio::{Fault, Habits, Twilio, When};
use crate::world::{ACCOUNT, AUTH_TOKEN, World};

async fn story(daemon: &Daemon, id: uuid::Uuid) -> Value {
    let (status, body) = daemon.answer(&format!("/debug/messages/{id}")).await;
    assert_eq!(status, 200, "{body}");
    assert!(
        !body.contains("3105551234") && !body.contains("answer was"),
        "{body}"
    );
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn the_list_a_policy_or_a_person_settles_what_is_in_doubt() {
    let twilio = Twilio::start(ACCOUNT, AUTH_TOKEN, Habits::default()).await;
    let (taken, again, held) = (
        "its answer was lost",
        "its request was lost",
        "this one too",
    );
    twilio.with_text(taken, [Fault::Reset(When::After)]);
    for text in [again, held] {
        twilio.with_text(text, [Fault::Reset(When::Before)]);
    }
    let mut world = World::new([]).await;
    set(&mut world.env, "TWILIO_API_BASE_URL", &twilio.url());
    let daemon = world.daemon().await;
    let taken_id = world.insert(taken, 300).await;
    let again_id = world.insert(again, 300).await;
    let held_id = world.insert(held, 300).await;
    let sql = "update scheduled_messages set in_doubt = 'resend' where id = $1";
    assert_eq!(world.app.execute(sql, &[&again_id]).await.unwrap(), 1);
    world.becomes(taken_id, "unconfirmed").await;
    let shown = story(&daemon, taken_id).await;
    assert_eq!(shown["row"]["status"], "unconfirmed");
    assert!(
        shown["next"]
            .as_str()
            .unwrap()
            .contains("list will be checked"),
        "{shown}"
    );
    assert!(shown["attempts"][0]["next_ask_at"].is_string(), "{shown}");

    // By themselves.
    let sent = |text| {
        twilio.until(text, move |book| {
            (!book.text(text).sids.is_empty()).then_some(())
        })
    };
    sent(again).await;
    let settled = async |id| {
        until("it is settled", async || {
            let row = world.row(id).await.unwrap();
            ["sent", "delivered"].contains(&&*row.status).then_some(())
        })
        .await;
    };
    settled(taken_id).await;
    settled(again_id).await;
    let shown = story(&daemon, again_id).await;
    assert_eq!(shown["attempts"][0]["settled_by"], "resend", "{shown}");
    assert_eq!(shown["attempts"][1]["outcome"], "accepted", "{shown}");

    // By a manual decision.
    let row = world.row(held_id).await.unwrap();
    assert_eq!(row.status, "unconfirmed");
    assert_eq!(twilio.book().text(held).asked.len(), 1);
    let id = held_id.to_string();
    let (code, said, error) = world
        .call(&["resolve", &id, "--resend", "--by", "Ada"])
        .await;
    assert_eq!(code, Some(0), "{error}");
    assert!(said.contains("is pending"), "{said}");
    sent(held).await;
    settled(held_id).await;
    let (_, said, _) = world.call(&["why", &id]).await;
    for words in [
        "person: Ada",
        "attempt 1: unknown",
        "attempt 2: accepted",
        "looked up",
    ] {
        assert!(said.contains(words), "no {words} in\n{said}");
    }
    for (text, asked) in [(taken, 1), (again, 2), (held, 2)] {
        let text = twilio.book().text(text);
        assert_eq!((text.asked.len(), text.sids.len()), (asked, 1));
    }
    let (_, metrics) = daemon.get("/metrics").await.unwrap();
    assert!(metrics.contains("punctual_duplicates_total 0"), "{metrics}");
    daemon.stop().await;
}

#[tokio::test]
async fn a_story_is_shown_with_its_timer_to_who_may_see_it() {
    let world = World::new([]).await;
    let daemon = world.daemon().await;
    let id = world.insert("later", 3_000_000).await;
    let shown = until("its timer", async || {
        let shown = story(&daemon, id).await;
        shown["timer"].is_object().then_some(shown)
    })
    .await;
    assert_eq!(shown["timer"]["state"], "armed");
    assert_eq!(shown["row"]["to"], "+13•••34");
    assert!(
        shown["next"]
            .as_str()
            .unwrap()
            .contains("will be sent at 20"),
        "{shown}"
    );
    let other = uuid::Uuid::from_u128(7);
    for (path, status) in [(other.to_string(), 404), ("not-an-id".into(), 400)] {
        let answer = daemon.answer(&format!("/debug/messages/{path}")).await;
        assert_eq!(answer.0, status, "{path}");
    }
    daemon.stop().await;
}
