//! Messages follow the calendar event they remind of, in the app's own transaction.

use std::time::Duration;

use tokio_postgres::AsyncMessage;
use uuid::Uuid;

use crate::ours::{claim, cleared, store, won};
use crate::rows::{World, hearing, one, run, until};
use punctual::message::ClaimResponse;
use punctual::message::facts::Event;

pub(crate) const USER: &str = "11111111-1111-1111-1111-111111111111";
const OTHER: &str = "22222222-2222-2222-2222-222222222222";

/// A reminder of the event, `before` it.
pub(crate) async fn reminder(
    world: &World,
    event: &str,
    user: &str,
    before: &str,
    more: &str,
) -> Uuid {
    let sql = format!(
        "insert into scheduled_messages (to_number, body, scheduled_at, user_id, calendar_event_id {columns})
         select '+13105550100', 'hello', e.event_start - interval '{before}', e.user_id, e.calendar_event_id {more}
           from task_calendar_events e where e.calendar_event_id = '{event}' and e.user_id = '{user}'
         returning id",
        columns = if more.is_empty() { "" } else { ", event_start, template_vars" },
    );
    one(&world.user, &sql).await
}

pub(crate) async fn event(world: &World, name: &str, user: &str, start: &str) {
    let sql = format!(
        "insert into task_calendar_events (calendar_event_id, user_id, event_title, event_start)
         values ('{name}', '{user}', 'Dentist', {start})"
    );
    run(&world.user, &sql).await;
}

/// How long before the event's start it is due, as the row has both.
pub(crate) async fn distance(world: &World, id: Uuid) -> String {
    world.get(id, "(event_start - scheduled_at)::text").await
}

pub(crate) async fn notes(world: &World, id: Uuid) -> Vec<String> {
    let sql = "select note from punctual.notes where message_id = $1 order by id";
    let rows = world.unseen.query(sql, &[&id]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn a_reminder_keeps_its_distance_however_often_the_event_moves() {
    let world = World::new().await;
    let start = "'2030-03-09 20:00:00+00'";
    event(&world, "e", USER, start).await;
    event(&world, "e", OTHER, start).await;
    event(&world, "f", USER, start).await;
    let with = ", e.event_start, '{\"name\": \"Ada\", \"event_title\": \"?\"}'";
    let full = reminder(&world, "e", USER, "15 minutes", with).await;
    let bare = reminder(&world, "e", USER, "1 hour", "").await;
    let others = [
        reminder(&world, "e", OTHER, "1 hour", "").await,
        reminder(&world, "f", USER, "1 hour", "").await,
    ];
    // Over a change of the clock: it is the same span all the same.
    for _ in 0..3 {
        let sql = format!(
            "update task_calendar_events set event_start = event_start + interval '23 hours'
              where calendar_event_id = 'e' and user_id = '{USER}'"
        );
        run(&world.user, &sql).await;
    }
    assert_eq!(distance(&world, full).await, "00:15:00");
    assert_eq!(distance(&world, bare).await, "01:00:00");
    let moved = "event_start = '2030-03-09 20:00:00+00'::timestamptz + interval '69 hours'";
    assert!(world.get::<bool>(full, moved).await && world.get::<bool>(bare, moved).await);
    for id in others {
        assert_eq!(world.get::<i64>(id, "version").await, 0, "another's");
    }

    // The title, by a session in another zone, in a transaction that is not the first of it.
    run(
        &world.user,
        "set timezone = 'Asia/Kolkata'; begin; update task_calendar_events set event_title = 'Doctor', event_link = 'https://x';
         commit; set timezone = 'UTC'",
    )
    .await;
    let vars: String = world.get(full, "template_vars::text").await;
    assert_eq!(
        vars,
        r#"{"name": "Ada", "event_link": "https://x", "event_title": "Doctor"}"#
    );
    assert_eq!(distance(&world, full).await, "00:15:00");
    assert!(world.get::<bool>(bare, "template_vars is null").await);
    assert_eq!(world.get::<String>(full, "body").await, "hello");
    // Its end, too.
    run(
        &world.user,
        "set timezone = 'Asia/Kolkata'; update task_calendar_events set event_end = '2030-03-12 18:30:00+00'; set timezone = 'UTC'",
    )
    .await;
    let end: String = world.get(full, "template_vars ->> 'event_end'").await;
    assert_eq!(end, "2030-03-12T18:30:00Z");
}

/// What the text of a moved event says, as it would be sent now.
#[tokio::test]
async fn a_text_shows_the_time_of_an_event_that_has_moved() {
    let world = World::new().await;
    event(&world, "e", USER, "now() + interval '15 minutes'").await;
    let template = "insert into sms_templates (template_key, name, message_template)
                    values ('r', 'r', '{{event_name}} {{event_start}} {{minutes}}')";
    run(&world.user, template).await;
    let with = ", e.event_start, '{\"event_title\": \"Dentist\"}'";
    let id = reminder(&world, "e", USER, "15 minutes", with).await;
    let of = "update scheduled_messages set template_id = (select id from sms_templates), timezone = 'Asia/Tokyo'";
    run(&world.user, of).await;
    let moved = "update task_calendar_events
                    set event_start = date_trunc('minute', now()) + interval '45 minutes', event_title = 'Doctor'";
    run(&world.user, moved).await;
    run(
        &world.user,
        "update scheduled_messages set scheduled_at = now()",
    )
    .await;
    let claim = won(&store(&world), &[id]).await.remove(0);
    let sent = cleared(&claim).body().to_owned();
    let start: String = one(
        &world.user,
        "select to_char(event_start at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') from task_calendar_events",
    )
    .await;
    let left = sent.strip_prefix(&format!("Doctor {start} "));
    // As many minutes as there were when it was claimed.
    let left: u32 = left
        .and_then(|left| left.parse().ok())
        .unwrap_or_else(|| panic!("{sent}"));
    assert!((1..=45).contains(&left), "{sent}");
}

#[tokio::test]
async fn what_is_deleted_and_comes_again_takes_its_reminders_along() {
    let world = World::new().await;
    event(&world, "e", USER, "now() + interval '2 hours'").await;
    let soon = reminder(&world, "e", USER, "15 minutes", "").await;
    let early = reminder(&world, "e", USER, "110 minutes", "").await;
    let by_hand = reminder(&world, "e", USER, "20 minutes", "").await;
    run(
        &world.user,
        &format!("update scheduled_messages set status = 'cancelled', cancel_reason = 'no' where id = '{by_hand}'"),
    )
    .await;
    let sent = world
        .row_with(
            "sent",
            ", user_id, calendar_event_id, event_start",
            &format!(", '{USER}', 'e', now() + interval '2 hours'"),
        )
        .await;
    // Two that remind: as a sync of the calendar does it, in one transaction and in two.
    for (gone, again) in [
        ("delete from task_calendar_events", true),
        (
            "update task_calendar_events set sync_status = 'cancelled'",
            false,
        ),
    ] {
        run(&world.user, gone).await;
        for id in [soon, early] {
            assert_eq!(world.status(id).await, "cancelled");
            let why: String = world.get(id, "cancel_reason").await;
            assert_eq!(why, "Calendar event deleted");
        }
        if again {
            event(&world, "e", USER, "now() + interval '3 hours'").await;
        } else {
            run(
                &world.user,
                "update task_calendar_events set sync_status = 'synced', event_start = now() + interval '30 minutes'",
            )
            .await;
        }
    }
    assert_eq!(world.status(soon).await, "pending");
    assert_eq!(distance(&world, soon).await, "00:15:00");
    assert_eq!(
        world.status(early).await,
        "cancelled",
        "its time would be over"
    );
    assert_eq!(world.get::<String>(by_hand, "cancel_reason").await, "no");
    // Noted once, however often it is synced; and nothing is left of it.
    let said = notes(&world, sent).await;
    assert_eq!(
        said,
        ["the calendar event was deleted; too late, it had been sent"]
    );
    let gone = "select count(*) from punctual.deleted_events";
    assert_eq!(one::<i64>(&world.unseen, gone).await, 0);
}

#[tokio::test]
async fn the_apps_transaction_neither_fails_nor_hangs() {
    let world = World::new().await;
    event(&world, "e", USER, "now() + interval '2 hours'").await;
    let held = reminder(&world, "e", USER, "15 minutes", "").await;
    let free = reminder(&world, "e", USER, "20 minutes", "").await;
    let other = world.db.client().await;
    let lock = format!("begin; update scheduled_messages set body = 'mine' where id = '{held}'");
    run(&other, &lock).await;
    let began = std::time::Instant::now();
    run(&world.user, "delete from task_calendar_events").await;
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(world.status(free).await, "cancelled");
    run(&other, "commit").await;
    assert_eq!(world.status(held).await, "pending");
    assert_eq!(
        notes(&world, held).await,
        [
            "the calendar event was deleted; the message was locked by another transaction, so it did not follow yet"
        ]
    );
    // No claim takes it before it has followed; one that would knows of the event too.
    run(
        &world.user,
        "update scheduled_messages set scheduled_at = now() where status = 'pending'",
    )
    .await;
    let answers = claim(&store(&world), &[held]).await;
    assert!(matches!(answers.as_slice(), [ClaimResponse::Lost(_)]));
    run(&world.unseen, "delete from punctual.missed_event_changes").await;
    let claims = won(&store(&world), &[held]).await;
    assert_eq!(claims[0].facts.event, Event::Gone);

    // Too late: it is being sent. The event may go all the same.
    event(&world, "e", USER, "now() + interval '2 hours'").await;
    run(&world.user, "delete from task_calendar_events").await;
    assert_eq!(world.status(held).await, "sending");
    let said = notes(&world, held).await;
    assert_eq!(
        said.last().unwrap(),
        "the calendar event was deleted; too late, it was being sent"
    );

    // A trigger of the app's that refuses what follows.
    run(
        &world.user,
        "create function no() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
         create trigger no before update on scheduled_messages for each row execute function no()",
    )
    .await;
    event(&world, "e", USER, "now() + interval '2 hours'").await;
    let stays = reminder(&world, "e", USER, "15 minutes", "").await;
    run(&world.user, "delete from task_calendar_events").await;
    assert_eq!(world.status(stays).await, "pending");
}

#[tokio::test]
async fn a_role_with_no_right_on_messages_moves_them_and_is_heard() {
    let world = World::new().await;
    event(&world, "e", USER, "now() + interval '30 minutes'").await;
    let id = reminder(&world, "e", USER, "15 minutes", "").await;
    run(
        &world.unseen,
        "create role calendar_only; grant select, update, delete on task_calendar_events to calendar_only",
    )
    .await;
    let (ears, mut notices) = hearing(&world.db).await;
    run(&ears, "listen punctual").await;
    run(
        &world.user,
        "set role calendar_only; update task_calendar_events set event_start = event_start + interval '1 hour'; reset role",
    )
    .await;
    assert!(
        world
            .get::<bool>(id, "scheduled_at > now() + interval '1 hour'")
            .await
    );
    let heard = async {
        loop {
            if let Some(AsyncMessage::Notification(notice)) = notices.recv().await {
                break notice.payload().to_owned();
            }
        }
    };
    let heard = tokio::time::timeout(Duration::from_secs(10), heard).await;
    assert_eq!(heard.expect("a notice"), format!("ids {id}"));
    run(
        &world.unseen,
        "drop owned by calendar_only; drop role calendar_only",
    )
    .await;
}

/// Whoever comes first wins, and nobody is left in between.
#[tokio::test]
async fn an_event_that_goes_while_its_message_is_claimed() {
    let world = World::new().await;
    let (mut cancelled, mut sent) = (0, 0);
    for n in 0..20 {
        let name = format!("e{n}");
        event(&world, &name, USER, "now() + interval '1 second'").await;
        let id = reminder(&world, &name, USER, "1 second", "").await;
        let store = store(&world);
        let gone = format!("delete from task_calendar_events where calendar_event_id = '{name}'");
        let ids = [id];
        let (answers, ()) = tokio::join!(claim(&store, &ids), run(&world.user, &gone));
        match &answers[0] {
            ClaimResponse::Won(claim) => {
                sent += usize::from(claim.facts.event != Event::Gone);
                assert_eq!(world.status(id).await, "sending");
                assert_eq!(notes(&world, id).await.len(), 1);
            }
            ClaimResponse::Lost(_)
            | ClaimResponse::Paused(_)
            | ClaimResponse::Paced(_)
            | ClaimResponse::OptedOut => {
                cancelled += 1;
                until(
                    &world.unseen,
                    &format!(
                        "select status = 'cancelled' from scheduled_messages where id = '{id}'"
                    ),
                )
                .await;
            }
        }
    }
    assert!(cancelled + sent <= 20);
}

/// How often the functions that follow an event were called in this transaction.
const FOLLOWED: &str = "select coalesce(sum(calls), 0)::bigint from pg_stat_xact_user_functions
                          where funcname in ('event_is', 'event_gone', 'event_vars', 'is_only_recorded')";

#[tokio::test]
async fn an_event_that_no_message_reminds_of_costs_a_look_by_its_key() {
    const EVENTS: i64 = 100;
    let world = World::new().await;
    run(&world.user, "set track_functions = 'all'").await;
    let there =
        "select count(distinct proname) from pg_proc where pronamespace = 'punctual'::regnamespace
                  and proname in ('event_is', 'event_gone', 'event_vars', 'is_only_recorded')";
    assert_eq!(
        one::<i64>(&world.unseen, there).await,
        4,
        "they are called so"
    );
    // The plans of the session are made while there is next to nothing.
    for n in 0..8 {
        event(
            &world,
            &format!("before {n}"),
            USER,
            "'2030-07-01 17:00:00+00'",
        )
        .await;
    }
    let many = format!(
        "insert into scheduled_messages (to_number, body, scheduled_at, user_id, calendar_event_id)
         select '+13105550100', 'x', now() + interval '3 hours', '{OTHER}', 'other ' || i from generate_series(1, 20000) i"
    );
    run(&world.unseen, &many).await;
    let blocks = "select sum(pg_stat_get_xact_blocks_fetched(c.oid))::bigint from pg_class c
                   where c.oid in ('scheduled_messages'::regclass, 'punctual.deleted_events'::regclass)
                      or c.relname like 'scheduled_messages%' and c.relkind = 'i'";
    for change in [
        format!(
            "insert into task_calendar_events (calendar_event_id, user_id, event_title, event_start, sync_status)
             select 'e' || i, '{USER}', 'Dentist', now() + interval '3 hours', 'synced' from generate_series(1, {EVENTS}) i"
        ),
        "update task_calendar_events set event_title = 'x' where calendar_event_id like 'e%'".to_owned(),
        "update task_calendar_events set event_start = event_start + interval '1 hour' where calendar_event_id like 'e%'".to_owned(),
        "update task_calendar_events set sync_status = 'cancelled' where calendar_event_id like 'e%'".to_owned(),
        "delete from task_calendar_events where calendar_event_id like 'e%'".to_owned(),
    ] {
        run(&world.user, "begin").await;
        let before: i64 = one(&world.user, blocks).await;
        run(&world.user, &change).await;
        assert_eq!(one::<i64>(&world.user, FOLLOWED).await, 0, "{change}");
        let read = one::<i64>(&world.user, blocks).await - before;
        assert!(read <= 6 * EVENTS, "{read} blocks: {change}");
        run(&world.user, "commit").await;
    }
    // One that a message reminds of is followed; and one that was deleted is known to be there again.
    event(&world, "e", USER, "'2030-07-01 17:00:00+00'").await;
    let id = reminder(&world, "e", USER, "15 minutes", "").await;
    let moves = "update task_calendar_events set event_start = event_start + interval '1 hour' where calendar_event_id = 'e'";
    run(&world.user, &format!("begin; {moves}")).await;
    assert!(
        one::<i64>(&world.user, FOLLOWED).await > 0,
        "they are counted"
    );
    run(&world.user, "rollback").await;
    run(
        &world.user,
        "delete from task_calendar_events where calendar_event_id = 'e'",
    )
    .await;
    assert_eq!(world.status(id).await, "cancelled");
    run(&world.unseen, "delete from scheduled_messages").await;
    let gone = format!(
        "insert into punctual.deleted_events (calendar_event_id, user_id) values ('e', '{USER}')"
    );
    run(&world.unseen, &gone).await;
    event(&world, "e", USER, "'2030-07-01 17:00:00+00'").await;
    let gone = "select count(*) from punctual.deleted_events";
    assert_eq!(one::<i64>(&world.unseen, gone).await, 0);
}

#[tokio::test]
async fn a_message_follows_its_event_though_the_apps_columns_are_called_as_variables_are() {
    let world = World::new().await;
    run(
        &world.user,
        "alter table scheduled_messages add column owner uuid, add column event text, add column starts timestamptz,
           add column was text, add column vars jsonb, add column ids text, add column gone boolean, add column moved boolean,
           add column revive boolean, add column refused text, add column wanted text, add column message text, add column own text",
    )
    .await;
    event(&world, "e", USER, "'2030-07-01 17:00:00+00'").await;
    let id = reminder(
        &world,
        "e",
        USER,
        "15 minutes",
        ", e.event_start, '{\"event_title\": \"?\"}'",
    )
    .await;
    run(
        &world.user,
        "update task_calendar_events set event_start = event_start + interval '1 hour'",
    )
    .await;
    let moved = "event_start = '2030-07-01 18:00:00+00'";
    assert!(world.get::<bool>(id, moved).await);
    assert_eq!(distance(&world, id).await, "00:15:00");
    run(&world.user, "delete from task_calendar_events").await;
    assert_eq!(world.status(id).await, "cancelled");
    event(&world, "e", USER, "'2030-07-01 19:00:00+00'").await;
    assert_eq!(world.status(id).await, "pending");
    assert_eq!(notes(&world, id).await, Vec::<String>::new());
}
