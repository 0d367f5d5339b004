//! Messages that follow something else: a calendar event, and a user's day.

use std::time::{Duration, Instant};

use punctual::plan::reminders::TEMPLATE;
use punctual::store::Migrator;
use punctual::store::migrate::planner::Switch;
use uuid::Uuid;

use crate::daemon::{Daemon, until};
use crate::model::{Model, right};
use crate::world::{TO, World};

/// An event that starts in so many milliseconds, and a reminder `before_ms` ahead of it.
async fn reminder(world: &World, event: &str, in_ms: f64, before_ms: f64) -> (Uuid, Uuid) {
    let sql = "with made as (
                 insert into task_calendar_events (calendar_event_id, user_id, event_title, event_start)
                 values ($1, gen_random_uuid(), 'Dentist', clock_timestamp() + $2 * interval '1 ms')
                 returning calendar_event_id, user_id, event_start)
               insert into scheduled_messages
                      (to_number, body, scheduled_at, user_id, calendar_event_id, event_start)
               select $3, 'reminder of ' || $1, event_start - $4 * interval '1 ms', user_id,
                      calendar_event_id, event_start
                 from made
               returning id, user_id";
    let row = world
        .app
        .query_one(sql, &[&event, &in_ms, &TO, &before_ms])
        .await
        .unwrap();
    (row.get(0), row.get(1))
}

/// When the timer of a message is due, as the daemon has it armed.
async fn armed(daemon: &Daemon, id: Uuid) -> Option<String> {
    let report = daemon.timers(&format!("id={id}")).await;
    let due = report["timers"].get(0)?["due_at"].as_str()?.to_owned();
    Some(due)
}

async fn is_armed(daemon: &Daemon, id: Uuid) -> String {
    until("it is armed", async || armed(daemon, id).await).await
}

#[tokio::test]
async fn when_its_event_is_deleted_nothing_is_sent() {
    let world = World::new([]).await;
    let daemon = world.daemon().await;
    let (id, user) = reminder(&world, "deleted", 24_000.0, 12_000.0).await;
    is_armed(&daemon, id).await;
    let delete = "delete from task_calendar_events where user_id = $1";
    assert_eq!(world.app.execute(delete, &[&user]).await.unwrap(), 1);
    let row = world.row(id).await.unwrap();
    assert_eq!(row.status, "cancelled");
    assert_eq!(row.cancel_reason.as_deref(), Some("Calendar event deleted"));
    until("its timer is gone", async || {
        armed(&daemon, id).await.is_none().then_some(())
    })
    .await;
    // Sent after the deleted one's time: what was due before it has had its turn.
    let after = world.insert("after it", 12_500).await;
    world.arrived_once(after).await;
    assert!(world.requests("reminder of deleted").is_empty());
    daemon.stop().await;
}

/// Has the event of this user begin in so many seconds.
async fn begins_in(world: &World, user: Uuid, seconds: f64) {
    let sql =
        "update task_calendar_events set event_start = clock_timestamp() + $2 * interval '1 s'
                where user_id = $1";
    assert_eq!(world.app.execute(sql, &[&user, &seconds]).await.unwrap(), 1);
}

/// Waits until its timer is due at another moment; how long that took.
async fn timer_moves(daemon: &Daemon, id: Uuid, before: &str) -> Duration {
    let since = Instant::now();
    until("its timer has moved", async || {
        armed(daemon, id)
            .await
            .is_none_or(|due| due != before)
            .then_some(())
    })
    .await;
    since.elapsed()
}

#[tokio::test]
async fn when_its_event_moves_its_timer_moves_at_once() {
    let world = World::new([]).await;
    let daemon = world.daemon().await;
    let (id, user) = reminder(&world, "moved", 1_800_000.0, 900_000.0).await;
    // A busy machine may be slow once, not each time. Looking takes some milliseconds itself.
    let mut fastest = Duration::MAX;
    for minutes in [40.0, 20.0, 60.0, 25.0] {
        let before = is_armed(&daemon, id).await;
        begins_in(&world, user, minutes * 60.0).await;
        let took = timer_moves(&daemon, id, &before).await;
        fastest = fastest.min(took);
    }
    // Without the notice each would be the near sweep's turn, within 10 s.
    println!("figure: an event moves: its timer moves within {fastest:.1?}");
    assert!(fastest < Duration::from_secs(1), "{fastest:?}");
    begins_in(&world, user, 901.5).await;
    world.arrived_once(id).await;
    daemon.stop().await;
}

/// An audit trigger as apps have it, which does not find its table within Punctual's triggers.
#[tokio::test]
async fn what_a_trigger_of_the_apps_prevented_is_done_by_the_daemon_at_once() {
    let world = World::new([]).await;
    let daemon = world.daemon().await;
    let audit = "create table audit_log (id uuid, becomes text); grant insert on audit_log to public;
        create function audit() returns trigger language plpgsql as
          $$ begin insert into audit_log values (new.id, new.status); return new; end $$;
        create trigger audit after update on scheduled_messages for each row execute function audit()";
    world.app.batch_execute(audit).await.unwrap();
    let (moved, its_user) = reminder(&world, "moved", 1_800_000.0, 900_000.0).await;
    let (gone, of_gone) = reminder(&world, "gone", 1_800_000.0, 900_000.0).await;
    let (stopped, whose) = reminder(&world, "stopped", 1_800_000.0, 900_000.0).await;
    let before = is_armed(&daemon, moved).await;
    begins_in(&world, its_user, 903.0).await;
    let delete = "delete from task_calendar_events where user_id = $1";
    world.app.execute(delete, &[&of_gone]).await.unwrap();
    let stop = "insert into user_sms_preferences (user_id, phone_verified, opted_out) values ($1, true, true)";
    world.app.execute(stop, &[&whose]).await.unwrap();
    // Without the notification it would be the chore's turn, within 5 s.
    assert!(timer_moves(&daemon, moved, &before).await < Duration::from_secs(4));
    for id in [gone, stopped] {
        until("it is cancelled", async || {
            (world.row(id).await?.status == "cancelled").then_some(())
        })
        .await;
    }
    world.arrived_once(moved).await;
    for event in ["gone", "stopped"] {
        assert!(world.requests(&format!("reminder of {event}")).is_empty());
    }
    daemon.stop().await;
}

#[tokio::test]
async fn what_was_held_while_its_event_moved_follows_when_it_is_free() {
    let world = World::new([]).await;
    let daemon = world.daemon().await;
    let (id, user) = reminder(&world, "held", 1_800_000.0, 900_000.0).await;
    let before = is_armed(&daemon, id).await;
    let mut other = world.db.client().await;
    let holding = other.transaction().await.unwrap();
    let hold = "select from scheduled_messages where id = $1 for update";
    holding.query_one(hold, &[&id]).await.unwrap();
    begins_in(&world, user, 905.0).await;
    holding.rollback().await.unwrap();
    timer_moves(&daemon, id, &before).await;
    world.arrived_once(id).await;
    let (_, shown, _) = world.call(&["why", &id.to_string()]).await;
    for words in ["did not follow yet", "it has followed its calendar event"] {
        assert!(shown.contains(words), "no {words:?} in {shown}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn of_eleven_at_one_instant_ten_go_by_whichever_daemon() {
    let world = World::new([]).await;
    let (one, other) = (world.daemon().await, world.daemon().await);
    // Quiet hours are off (start = end), and the zone is one where it is about noon: no midnight
    // falls into this test.
    let sql = "insert into user_sms_preferences
                      (user_id, phone_verified, timezone, quiet_hours_start, quiet_hours_end, daily_sms_limit)
               select gen_random_uuid(), true, name, '00:00', '00:00', 10
                 from (values ('Etc/UTC', 0), ('Etc/GMT+8', -8), ('Etc/GMT-8', 8)) zone (name, hours)
                order by abs(extract(hour from clock_timestamp() at time zone 'UTC' + hours * interval '1 h') - 12)
                limit 1
               returning user_id";
    let user: Uuid = world.app.query_one(sql, &[]).await.unwrap().get(0);
    let herd = "with due as (select clock_timestamp() + interval '1.5 s' as at)
                insert into scheduled_messages (to_number, body, scheduled_at, user_id)
                select $1, 'of eleven ' || n, due.at, $2 from due, generate_series(1, 11) n";
    world.app.execute(herd, &[&TO, &user]).await.unwrap();
    let ends =
        "select status, cancel_reason, count(*) from scheduled_messages group by 1, 2 order by 1";
    let ends = until("all have ended", async || {
        let rows = world.app.query(ends, &[]).await.unwrap();
        let ends: Vec<(String, Option<String>, i64)> = rows
            .iter()
            .map(|row| (row.get(0), row.get(1), row.get(2)))
            .collect();
        let open =
            |(status, ..): &(String, _, _)| ["pending", "sending"].contains(&status.as_str());
        (!ends.iter().any(open)).then_some(ends)
    })
    .await;
    let over = "Daily SMS limit reached".to_owned();
    assert_eq!(
        ends,
        [
            ("cancelled".into(), Some(over), 1),
            ("sent".into(), None, 10)
        ]
    );
    assert_eq!(world.phone.accepted().len(), 10);
    one.stop().await;
    other.stop().await;
}

/// An event that is added during the day, whose reminder the daemon makes, has written by a language model and sends;
/// and what the commands show of it.
#[tokio::test]
async fn an_event_of_today_is_reminded_of_by_the_planner() {
    let model = Model::start([]).await;
    let world = World::new([]).await.with(&[
        ("PUNCTUAL_PLANNER", "true"),
        ("PUNCTUAL_PLANNER_LEAD", "1m"),
        ("PUNCTUAL_LLM_URL", model.url()),
        ("PUNCTUAL_LLM_MODEL", "m"),
    ]);
    let mut refused = Daemon::start(&world.env);
    assert!(
        !refused.ended().await.success(),
        "the planner is off in the database"
    );
    let on = Switch {
        is_on: true,
        template: TEMPLATE.into(),
    };
    let migrator = Migrator::embedded().with_planner(Some(on));
    migrator.run(world.db.dsn()).await.unwrap();
    let daemon = world.daemon().await;
    let user = Uuid::new_v4();
    // In a zone where it is about noon, so that it is the same day for a while.
    let prefer = "insert into user_sms_preferences (user_id, phone_number, phone_verified, event_reminders_enabled,
                                                    timezone, quiet_hours_start, quiet_hours_end)
                  select $1, $2, true, true, 'Etc/GMT' || case when h < 12 then '-' else '+' end || abs(12 - h), null, null
                    from (select extract(hour from now() at time zone 'UTC')::int as h) t";
    world.app.execute(prefer, &[&user, &TO]).await.unwrap();
    let event = "insert into task_calendar_events (calendar_event_id, user_id, event_title, event_start, sync_status)
                 values ('soon', $1, 'Standup', clock_timestamp() + interval '90 s', 'synced')";
    world.app.execute(event, &[&user]).await.unwrap();
    let planned = "select id from scheduled_messages where user_id = $1";
    let id = until("it is planned", async || {
        let row = world.app.query_opt(planned, &[&user]).await.unwrap();
        row.map(|row| row.get::<_, Uuid>(0))
    })
    .await;
    world.becomes(id, "sent").await;
    let sent: Vec<_> = world.phone.accepted();
    let [(_, seen)] = sent.as_slice() else {
        panic!("{} texts", sent.len());
    };
    let text = seen.field("Body").unwrap_or_default();
    assert_eq!(text, right(&model.asked()[0].data()));
    let (code, said, _) = world.call(&["plan", &user.to_string(), "--dry-run"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("Standup  not planned: it was planned before"),
        "{said}"
    );
    daemon.stop().await;
}
