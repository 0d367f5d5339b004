//! Messages that missed a change of their calendar event, because somebody held them or they were
//! on their way: they follow as soon as they can.

use std::time::Duration;

use punctual::message::{InstanceId, Outcome, ProviderSid};
use punctual::settle::{AttemptBudget, SendResult, Settlement};
use punctual::store::{Migrator, Store};
use tokio_postgres::{AsyncMessage, Client};
use uuid::Uuid;

use crate::calendar::{USER, distance, event, notes, reminder};
use crate::live_app::{dsn_as, role};
use crate::ours::{record, recorded, store, won};
use crate::rows::{World, hearing, one, run};

const EVENT_START: &str = ", e.event_start, '{\"event_title\": \"?\"}'";

/// Another transaction of the app's, which holds these.
async fn holding(world: &World, id: Uuid) -> Client {
    let other = world.db.client().await;
    let lock = format!("begin; select from scheduled_messages where id = '{id}' for update");
    run(&other, &lock).await;
    other
}

async fn moves(world: &World, by: &str) {
    let sql =
        format!("update task_calendar_events set event_start = event_start + interval '{by}'");
    run(&world.user, &sql).await;
}

/// How far from its first time a message is due, and its event begins.
async fn moved(world: &World, id: Uuid) -> String {
    let what = "concat_ws(' ', status, scheduled_at - created_at, event_start - created_at)";
    world.get(id, what).await
}

async fn waiting(world: &World) -> i64 {
    one(
        &world.unseen,
        "select count(*) from punctual.missed_event_changes",
    )
    .await
}

/// An event in two hours, to the microsecond after the messages' `created_at`, and a reminder
/// 15 minutes ahead of it.
async fn reminded(world: &World, more: &str) -> Uuid {
    event(world, "e", USER, "now() + interval '2 hours'").await;
    let id = reminder(world, "e", USER, "15 minutes", more).await;
    run(
        &world.unseen,
        "update scheduled_messages set created_at = scheduled_at - interval '105 minutes'",
    )
    .await;
    id
}

#[tokio::test]
async fn what_was_held_follows_when_it_is_free_and_once() {
    for (by, more, stands) in [
        // Both ways, with a start of its own and without.
        (&["1 hour"][..], EVENT_START, "pending 02:45:00 03:00:00"),
        (&["-1 hour"], EVENT_START, "pending 00:45:00 01:00:00"),
        (&["1 hour"], "", "pending 02:45:00 03:00:00"),
        (&["1 hour", "30 minutes"], "", "pending 03:15:00 03:30:00"),
        (&["1 hour", "-1 hour"], "", "pending 01:45:00 02:00:00"),
    ] {
        let world = World::new().await;
        let (store, id) = (store(&world), reminded(&world, more).await);
        let other = holding(&world, id).await;
        for by in by {
            moves(&world, by).await;
        }
        assert_eq!(notes(&world, id).await.len(), 1);
        assert_eq!(store.follow_missed(25).await.unwrap(), 0, "it is held");
        run(&other, "commit").await;
        let still = moved(&world, id).await;
        assert!(still.starts_with("pending 01:45:00"), "{still}");

        let (ears, mut notices) = hearing(&world.db).await;
        run(&ears, "listen punctual").await;
        // As it stands with a retry ahead: the new time counts.
        run(
            &world.unseen,
            "update scheduled_messages set deferred_until = now() + interval '9 h', attempts = 2",
        )
        .await;
        assert_eq!(store.follow_missed(25).await.unwrap(), 1);
        assert_eq!(moved(&world, id).await, stands, "{by:?} {more}");
        if by.len() == 1 {
            let fresh = "deferred_until is null and attempts = 0 and version > 0";
            assert!(world.get::<bool>(id, fresh).await);
        }
        // Only what is near is notified.
        if *by == ["-1 hour"] {
            let heard = tokio::time::timeout(Duration::from_secs(10), notices.recv()).await;
            let Ok(Some(AsyncMessage::Notification(notice))) = heard else {
                panic!("{heard:?}");
            };
            assert_eq!(notice.payload(), format!("ids {id}"));
        }
        let said = notes(&world, id).await;
        assert_eq!(said.last().unwrap(), "it has followed its calendar event");
        assert_eq!(waiting(&world).await, 0);
        assert_eq!(store.follow_missed(25).await.unwrap(), 0);
        // What comes later counts from there.
        moves(&world, "10 minutes").await;
        assert_eq!(distance(&world, id).await, "00:15:00");
    }
}

#[tokio::test]
async fn a_title_and_a_deletion_are_followed_too_and_an_event_that_is_back() {
    let title = "update task_calendar_events set event_title = 'Doctor'";
    let delete = "delete from task_calendar_events";
    let back = "insert into task_calendar_events (calendar_event_id, user_id, event_title, event_start)
                select calendar_event_id, user_id, 'Back', created_at + interval '4 hours' from scheduled_messages";
    let cancel = "update task_calendar_events set sync_status = 'cancelled'";
    // As an app leaves it that has no use for it.
    let unknown = "update task_calendar_events set sync_status = null, event_title = 'Nurse'";
    for (changes, stands, title) in [
        (&[title][..], "pending 01:45:00 02:00:00", "Doctor"),
        (&[unknown], "pending 01:45:00 02:00:00", "Nurse"),
        (&[delete], "cancelled 01:45:00 02:00:00", "?"),
        (&[cancel], "cancelled 01:45:00 02:00:00", "?"),
        (&[delete, back], "pending 03:45:00 04:00:00", "Back"),
    ] {
        let world = World::new().await;
        let (store, id) = (store(&world), reminded(&world, EVENT_START).await);
        let other = holding(&world, id).await;
        for change in changes {
            run(&world.user, change).await;
        }
        run(&other, "commit").await;
        assert_eq!(store.follow_missed(25).await.unwrap(), 1, "{changes:?}");
        assert_eq!(moved(&world, id).await, stands, "{changes:?}");
        let has: String = world.get(id, "template_vars ->> 'event_title'").await;
        assert_eq!(has, title);
        assert_eq!(waiting(&world).await, 0);
    }
}

/// What the request of a claim came to.
async fn answered(store: &Store, claim: &punctual::message::Claim, outcome: Outcome) {
    let tries = AttemptBudget {
        number: claim.number,
        before: claim.attempts_before,
        max: claim.max_attempts,
        expires: punctual::message::Moment::MAX,
    };
    let answer = SendResult {
        outcome,
        started: Some(claim.due),
        finished: claim.due,
    };
    let settled = record(claim, Settlement::of(answer, claim.id, tries));
    assert_eq!(recorded(store, &[settled]).await, 1);
}

#[tokio::test]
async fn what_was_on_its_way_follows_if_it_comes_back() {
    let unsent = || Outcome::Unsent {
        reason: "no way".into(),
    };
    let unknown = || Outcome::Unknown {
        reason: "no answer".into(),
    };
    let accepted = || Outcome::Accepted {
        sid: ProviderSid("SM1".into()),
    };
    let policy = "update punctual.attempts set settled_by = 'resend', settled_at = now();
                  set punctual.writer = 'on'; update scheduled_messages set status = 'pending'; reset punctual.writer";
    let receipt = "set punctual.writer = 'on'; update scheduled_messages set status = 'pending'; reset punctual.writer";
    for (outcome, then, becomes) in [
        (unsent(), "", "pending"),
        (unknown(), policy, "pending"),
        (accepted(), receipt, "pending"),
        (accepted(), "", "sent"),
        (unknown(), "", "unconfirmed"),
    ] {
        for (change, stands) in [
            (
                "update task_calendar_events set event_start = event_start + interval '1 day'",
                "pending 1 day",
            ),
            ("delete from task_calendar_events", "cancelled 00:00:00"),
        ] {
            let world = World::new().await;
            let store = store(&world);
            event(&world, "e", USER, "now() + interval '15 minutes'").await;
            let id = reminder(&world, "e", USER, "15 minutes", EVENT_START).await;
            run(
                &world.unseen,
                "update scheduled_messages set created_at = scheduled_at, template_vars = null",
            )
            .await;
            let claim = won(&store, &[id]).await.remove(0);
            run(&world.user, change).await;
            assert_eq!(
                store.follow_missed(25).await.unwrap(),
                0,
                "it is being sent"
            );
            answered(&store, &claim, outcome.clone()).await;
            run(&world.unseen, then).await;
            let followed = store.follow_missed(25).await.unwrap();
            let case = format!("{outcome:?} {change}");
            if becomes == "pending" {
                assert_eq!(followed, 1, "{case}");
                let what = "concat_ws(' ', status, scheduled_at - created_at)";
                assert_eq!(world.get::<String>(id, what).await, stands, "{case}");
                assert_eq!(waiting(&world).await, 0, "{case}");
            } else {
                assert_eq!((followed, waiting(&world).await), (0, 1), "{case}");
                assert_eq!(world.status(id).await, becomes, "{case}");
                // What was sent is not waited for for ever, what is unconfirmed is.
                let old =
                    "update punctual.missed_event_changes set noted_at = now() - interval '4 days'";
                run(&world.unseen, old).await;
                assert_eq!(store.follow_missed(25).await.unwrap(), 0);
                assert_eq!(
                    waiting(&world).await,
                    i64::from(becomes == "unconfirmed"),
                    "{case}"
                );
            }
        }
    }
}

/// An opt-out is for texts, and for the user whose message it is.
#[tokio::test]
async fn the_note_names_what_a_message_has_followed() {
    let opt_out = format!(
        "insert into user_sms_preferences (user_id, phone_verified, opted_out) values ('{USER}', true, true)"
    );
    for (column, value, stands, note) in [
        (
            "channel",
            "in_app",
            "pending 02:45:00 03:00:00",
            Some("it has followed its calendar event"),
        ),
        (
            "channel",
            "sms",
            "cancelled 01:45:00 02:00:00",
            Some("it has followed the opt-out of its user"),
        ),
        // Of another user by now.
        (
            "user_id",
            "22222222-2222-2222-2222-222222222222",
            "pending 01:45:00 02:00:00",
            None,
        ),
    ] {
        let world = World::new().await;
        let id = reminded(&world, EVENT_START).await;
        run(&world.unseen, &opt_out).await;
        let other = holding(&world, id).await;
        moves(&world, "1 hour").await;
        let set = format!("update scheduled_messages set {column} = '{value}'; commit");
        run(&other, &set).await;
        assert_eq!(store(&world).follow_missed(25).await.unwrap(), 1, "{value}");
        assert_eq!(moved(&world, id).await, stands, "{value}");
        let notes = notes(&world, id).await;
        let followed: Vec<_> = notes
            .iter()
            .filter(|note| note.starts_with("it has followed"))
            .collect();
        assert_eq!(followed, note.iter().collect::<Vec<_>>(), "{value}");
        assert_eq!(waiting(&world).await, 0, "{value}");
    }
}

#[tokio::test]
async fn what_the_table_refuses_holds_nobody_up_and_is_tried_again_later() {
    let world = World::new().await;
    let store = store(&world);
    let stays = reminded(&world, "").await;
    let goes = reminder(&world, "e", USER, "15 minutes", "").await;
    let others = [holding(&world, stays).await, holding(&world, goes).await];
    moves(&world, "1 hour").await;
    for other in others {
        run(&other, "commit").await;
    }
    run(
        &world.user,
        &format!(
            "create function no() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
             create trigger no before update on scheduled_messages for each row
               when (old.id = '{stays}') execute function no()"
        ),
    )
    .await;
    assert_eq!(store.follow_missed(25).await.unwrap(), 1);
    assert_eq!(distance(&world, goes).await, "00:15:00");
    assert_eq!(waiting(&world).await, 1);
    run(&world.user, "drop trigger no on scheduled_messages").await;
    assert_eq!(
        store.follow_missed(25).await.unwrap(),
        0,
        "not all the time"
    );
    run(
        &world.unseen,
        "update punctual.missed_event_changes set refused_at = now() - interval '2 minutes'",
    )
    .await;
    assert_eq!(store.follow_missed(25).await.unwrap(), 1);
    assert_eq!(distance(&world, stays).await, "00:15:00");

    // A row that is gone is nobody's business any more.
    let other = holding(&world, goes).await;
    moves(&world, "1 hour").await;
    run(
        &other,
        &format!("delete from scheduled_messages where id = '{goes}'; commit"),
    )
    .await;
    assert_eq!(store.follow_missed(25).await.unwrap(), 0);
    assert_eq!(waiting(&world).await, 0);
}

#[tokio::test]
async fn the_daemons_role_needs_no_right_on_the_calendar() {
    let world = World::new().await;
    let id = reminded(&world, "").await;
    let other = holding(&world, id).await;
    moves(&world, "1 hour").await;
    run(&other, "commit").await;
    role(&world.db, "missed_daemon", "").await;
    Migrator::embedded()
        .grant(world.db.dsn(), "missed_daemon")
        .await
        .unwrap();
    let theirs = Store::new(
        dsn_as(&world.db, "missed_daemon").await.pool(1),
        InstanceId::fresh(),
    );
    assert_eq!(theirs.follow_missed(25).await.unwrap(), 1);
    assert_eq!(distance(&world, id).await, "00:15:00");
    let other = world.db.client().await;
    run(&other, "set role missed_daemon").await;
    let read = other
        .batch_execute("select from task_calendar_events")
        .await;
    assert!(read.is_err(), "{read:?}");
    drop((theirs, other));
    run(
        &world.unseen,
        "drop owned by missed_daemon; drop role missed_daemon",
    )
    .await;
}

/// A sync of the calendar deletes events and inserts them again, also of messages that a policy or a
/// person has put back after a doubt; and several of one key live again as one.
#[tokio::test]
async fn what_was_put_back_after_a_doubt_comes_again_with_its_event_and_of_one_key_one() {
    let world = World::new().await;
    let sync = "with gone as (delete from task_calendar_events returning *)
                insert into task_calendar_events (calendar_event_id, user_id, event_title, event_start)
                select calendar_event_id, user_id, event_title, event_start from gone";
    let again = || async {
        run(&world.user, "delete from task_calendar_events").await;
        assert_eq!(world.tally().await, "cancelled 1");
        event(&world, "e", USER, "now() + interval '2 hours'").await;
    };
    let id = reminded(&world, "").await;
    for (settled_by, becomes) in [("'resend'", "pending"), ("null", "cancelled")] {
        let attempt = format!(
            "truncate punctual.attempts;
             insert into punctual.attempts (token, message_id, number, instance, lease_until, outcome, settled_by)
             values (gen_random_uuid(), '{id}', 1, gen_random_uuid(), now(), 'unknown', {settled_by})"
        );
        run(&world.unseen, &attempt).await;
        again().await;
        assert_eq!(world.status(id).await, becomes, "{settled_by}");
        run(&world.unseen, "truncate punctual.attempts").await;
        again().await;
        assert_eq!(world.status(id).await, "pending");
    }

    // Two that were cancelled with their event and have one key, and one that has it now.
    run(
        &world.unseen,
        "update scheduled_messages set dedup_key = 'k'",
    )
    .await;
    run(&world.user, "delete from task_calendar_events").await;
    let newer = "insert into scheduled_messages (to_number, body, scheduled_at, user_id, calendar_event_id, dedup_key, event_start)
                 select to_number, 'newer', scheduled_at, user_id, calendar_event_id, 'k', event_start
                   from scheduled_messages limit 1";
    run(&world.user, newer).await;
    let free = "insert into scheduled_messages (to_number, body, scheduled_at, user_id, calendar_event_id)
                select to_number, 'free', scheduled_at, user_id, calendar_event_id from scheduled_messages limit 1";
    run(&world.user, free).await;
    for _ in 0..2 {
        event(&world, "e", USER, "now() + interval '2 hours'").await;
        let stand = "select string_agg(concat(body, ' ', status), ', ' order by body) from scheduled_messages";
        assert_eq!(
            one::<String>(&world.unseen, stand).await,
            "free pending, hello cancelled, newer pending"
        );
        let said = notes(&world, id).await;
        let noted = said.iter().filter(|note| note.contains("same dedup_key"));
        assert_eq!(noted.count(), 1, "{said:?}");
        run(&world.user, "delete from task_calendar_events").await;
        assert_eq!(world.tally().await, "cancelled 3");
    }
    event(&world, "e", USER, "now() + interval '2 hours'").await;
    run(&world.user, sync).await;
    assert_eq!(world.tally().await, "cancelled 1, pending 2");
}

/// An event that moves while an earlier move is being followed: nothing of it is lost, and the app's
/// transaction waits for a moment at most.
#[tokio::test]
async fn an_event_that_moves_while_it_is_followed_is_followed_again() {
    let world = World::new().await;
    let store = store(&world);
    event(&world, "e", USER, "now() + interval '2 hours'").await;
    let sql = "insert into scheduled_messages (to_number, body, scheduled_at, user_id, calendar_event_id, event_start)
               select '+13105550100', 'n' || n, e.event_start - interval '15 minutes', e.user_id, e.calendar_event_id, e.event_start
                 from task_calendar_events e, generate_series(1, 120) n";
    run(&world.user, sql).await;
    for _ in 0..4 {
        let other = world.db.client().await;
        run(&other, "begin; select from scheduled_messages for update").await;
        moves(&world, "1 minute").await;
        run(&other, "commit").await;
        let (followed, ()) = tokio::join!(store.follow_missed(25), moves(&world, "1 minute"));
        followed.unwrap();
        while store.follow_missed(25).await.unwrap() > 0 {}
        let wrong = "select count(*) from scheduled_messages m, task_calendar_events e
                      where m.event_start <> e.event_start
                         or m.scheduled_at <> e.event_start - interval '15 minutes'";
        assert_eq!(one::<i64>(&world.unseen, wrong).await, 0);
        assert_eq!(waiting(&world).await, 0);
    }
    // It is held by a sweep that is slow.
    let sweep = world.daemon().await;
    let other = world.db.client().await;
    run(&other, "begin; select from scheduled_messages for update").await;
    moves(&world, "1 minute").await;
    run(&other, "commit").await;
    run(&sweep, "begin; select punctual.follow_missed(200)").await;
    moves(&world, "1 minute").await;
    run(&sweep, "commit").await;
    assert_eq!(store.follow_missed(200).await.unwrap(), 120);
    let right = "select count(*) from scheduled_messages m, task_calendar_events e
                  where m.scheduled_at = e.event_start - interval '15 minutes'";
    assert_eq!(one::<i64>(&world.unseen, right).await, 120);
    assert_eq!(waiting(&world).await, 0);
}
