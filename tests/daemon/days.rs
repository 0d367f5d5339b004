//! Days as users have them: whole daemons, and the database, shortly before the instants in question, on clocks that
//! are off by the same span all the time (`clock.rs`). Without Debian's `faketime` these print `SKIPPED`.
//!
//! `docs/testing.md` has a table of what the reminders of an app must do, with the test that shows it.

use std::time::Duration;

use jiff::Timestamp;
use punctual::plan::reminders::TEMPLATE;
use punctual::store::Migrator;
use punctual::store::dsn::Dsn;
use punctual::store::migrate::planner::Switch;
use serde_json::Value;
use uuid::Uuid;

use crate::clock::World;
use crate::daemon::{Daemon, own_address, until};
use crate::reports::report_all;
use crate::world::{AUTH_TOKEN, becomes, called, environment, row};

/// How long before an instant daemons start.
const BEFORE: Duration = Duration::from_secs(6);

impl World {
    /// From now on it is this time.
    fn turn_to(&self, at: &str, before: Duration) {
        let at: Timestamp = at.parse().unwrap();
        let off = at.duration_since(Timestamp::now()).as_secs_f64() - before.as_secs_f64();
        self.set_both(&format!("{off:+.6}"));
    }

    async fn one<T: tokio_postgres::types::FromSqlOwned>(&self, sql: &str) -> T {
        self.app.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Whether it is still before this time.
    async fn is_before(&self, at: &str) -> bool {
        self.one(&format!("select clock_timestamp() < '{at}'::timestamptz"))
            .await
    }

    /// The texts that arrived, in any order.
    fn arrived(&self) -> Vec<String> {
        let accepted = self.phone.accepted();
        let texts = accepted
            .iter()
            .map(|(_, seen)| seen.field("Body").unwrap().to_owned());
        let mut texts: Vec<String> = texts.collect();
        texts.sort();
        texts
    }

    /// The id of the one message with this text, or of this event.
    async fn id(&self, text: &str) -> Uuid {
        let sql = "select id from scheduled_messages where body = $1 or calendar_event_id = $1";
        self.app.query_one(sql, &[&text]).await.unwrap().get(0)
    }

    /// A daemon that is ready now, whose reports come in there.
    async fn ready(&self, hook: &str) -> Daemon {
        let mut daemon = self.daemon_with_a_clock(&[
            ("PUNCTUAL_PLANNER", "true"),
            ("PUNCTUAL_RETRY_CARRIER", "true"),
            ("PUNCTUAL_PUBLIC_URL", "https://sms.example"),
            ("PUNCTUAL_WEBHOOK_ADDR", hook),
        ]);
        daemon.ready().await;
        daemon
    }
}

/// What the provider reports about a message.
async fn reported(world: &World, hook: &str, id: Uuid, status: &str, code: &str) {
    let sid = row(&world.app, id).await.unwrap().sid.unwrap();
    let form = [
        ("MessageSid", &*sid),
        ("MessageStatus", status),
        ("ErrorCode", code),
    ];
    let form = &form[..if code.is_empty() { 2 } else { 3 }];
    let path = "/webhooks/twilio/status";
    assert_eq!(report_all(hook, path, AUTH_TOKEN, form).await, 204);
}

/// When 8 March 2026 begins in Los Angeles. At 2 o'clock the clock is put forward: the day has 23 hours.
const MIDNIGHT: &str = "2026-03-08T08:00:00Z";

/// Users, by what they are there for; events, by the users' names; and messages of the app's own.
const DAY: &str = "
    insert into user_sms_preferences (user_id, phone_number, phone_verified, event_reminders_enabled, timezone,
                                      quiet_hours_start, quiet_hours_end, daily_sms_limit)
    select md5(name)::uuid, '+1310555' || lpad((row_number() over ())::text, 4, '0'), true, true, zone, quiet_from::time,
           quiet_until::time, a_day
      from (values ('plain', 'America/Los_Angeles', null, null, 10), ('resting', 'America/Los_Angeles', '22:00', '08:00', null),
                   ('far', 'Asia/Tokyo', '22:00', '08:00', null), ('limited', 'America/Los_Angeles', null, null, 2),
                   ('counted', 'America/Los_Angeles', null, null, 1), ('moving', 'America/Los_Angeles', null, null, null),
                   ('travelling', 'America/Los_Angeles', null, null, null), ('leaving', 'America/Los_Angeles', null, null, null)
           ) u (name, zone, quiet_from, quiet_until, a_day);
    insert into task_calendar_events (calendar_event_id, user_id, event_title, event_start, event_end, sync_status)
    select id, md5(split_part(id, ' ', 1))::uuid, initcap(id), start::timestamptz,
           start::timestamptz + case when id like '% holiday' then interval '24 hours' else interval '30 minutes' end, 'synced'
      from (values ('plain yesterday', '2026-03-08T08:05:00Z'), ('plain first', '2026-03-08T08:15:00Z'),
                   ('plain standup', '2026-03-08T17:00:00Z'), ('plain last', '2026-03-09T07:10:00Z'),
                   ('plain holiday', '2026-03-09T07:00:00Z'), ('plain tomorrow', '2026-03-09T07:20:00Z'),
                   ('resting morning', '2026-03-08T15:10:00Z'), ('resting evening', '2026-03-09T05:05:00Z'),
                   ('resting night', '2026-03-09T05:30:00Z'), ('far away', '2026-03-08T08:15:09Z'),
                   ('limited one', '2026-03-08T16:00:00Z'), ('limited two', '2026-03-08T17:00:00Z'),
                   ('limited three', '2026-03-08T18:00:00Z'), ('moving up', '2026-03-08T17:00:00Z'),
                   ('moving away', '2026-03-08T18:00:00Z'), ('moving off', '2026-03-08T19:00:00Z'),
                   ('travelling there', '2026-03-08T17:00:00Z'), ('leaving now', '2026-03-08T17:00:00Z')) e (id, start);
    insert into scheduled_messages (to_number, body, scheduled_at, user_id)
    select '+13105559999', t.body, t.due::timestamptz, md5(t.name)::uuid
      from (values ('counted', 'the one of the day before', '2026-03-08T07:59:56.5Z'),
                   ('counted', 'one too many', '2026-03-08T07:59:57Z'),
                   ('counted', 'the one of the day', '2026-03-08T08:00:02Z'),
                   ('resting', 'late at night', '2026-03-08T08:00:02Z'),
                   ('far', 'in the afternoon', '2026-03-08T08:00:02Z')) t (name, body, due)";

/// What was planned, by the clock of Los Angeles.
const PLANNED: &str = "
    select coalesce(string_agg(m.calendar_event_id || to_char(m.scheduled_at at time zone 'America/Los_Angeles', ' DD HH24:MI'),
                               ', ' order by m.calendar_event_id), '')
      from scheduled_messages m where m.message_type = 'event_reminder'";

const OF_THE_DAY: &str = "far away 08 00:00, leaving now 08 09:45, limited one 08 08:45, limited two 08 09:45, \
    moving away 08 10:45, moving off 08 11:45, moving up 08 09:45, plain first 08 00:00, plain last 08 23:55, \
    plain standup 08 09:45, resting evening 08 21:50, travelling there 08 09:45";

/// A day that begins while a daemon runs. `None`: this machine was too slow for that.
async fn begun(world: &World, hook: &str) -> Option<Daemon> {
    world.turn_to(MIDNIGHT, Duration::from_secs(3_600));
    let on = Switch {
        is_on: true,
        template: TEMPLATE.into(),
    };
    let migrator = Migrator::embedded().with_planner(Some(on));
    let place = Dsn::parse(&world.url()).unwrap();
    migrator.run(&place).await.unwrap();
    world.app.batch_execute(DAY).await.unwrap();
    world.turn_to(MIDNIGHT, BEFORE);
    let daemon = world.ready(hook).await;
    let before: String = until("what is planned of the day before", async || {
        let planned: String = world.one(PLANNED).await;
        (!planned.is_empty()).then_some(planned)
    })
    .await;
    if !world.is_before("2026-03-08T07:59:56Z").await {
        daemon.stop().await;
        return None;
    }
    // It is afternoon there.
    assert_eq!(before, "far away 08 00:00");
    until("the day is planned", async || {
        let planned: String = world.one(PLANNED).await;
        (planned == OF_THE_DAY || !world.is_before("2026-03-08T08:00:30Z").await).then_some(())
    })
    .await;
    if !world.is_before("2026-03-08T08:00:07Z").await {
        daemon.stop().await;
        return None;
    }
    assert_eq!(world.one::<String>(PLANNED).await, OF_THE_DAY);
    let after = "select bool_and(planned_at >= '2026-03-08T08:00:00Z') from punctual.planned
                  where calendar_event_id <> 'far away'";
    assert!(world.one::<bool>(after).await, "not before the day begins");
    Some(daemon)
}

/// Has the event begin so soon that its reminder is due in a moment; its text, if it is sent then.
async fn begins_soon(world: &World, event: &str) -> String {
    let sql = "update task_calendar_events set event_start = clock_timestamp() + interval '15 minutes 2 seconds'
                where calendar_event_id = $1
               returning event_title || to_char(event_start at time zone 'America/Los_Angeles', '\" at \"HH24:MI\", in 15 minutes.\"')";
    let row = world.app.query_one(sql, &[&event]).await;
    row.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_begins_and_what_is_planned_of_it_follows_the_user_and_the_calendar() {
    let mut tries = 0;
    let (world, hook, daemon) = loop {
        tries += 1;
        assert!(
            tries <= 5,
            "this machine is too slow to begin before midnight"
        );
        let Some(world) = World::new().await else {
            return;
        };
        let hook = own_address();
        if let Some(daemon) = begun(&world, &hook).await {
            break (world, hook, daemon);
        }
    };
    // The app's users and their calendars, after the planning.
    let change = "delete from task_calendar_events where calendar_event_id = 'moving away';
        update task_calendar_events set sync_status = 'cancelled' where calendar_event_id = 'moving off';
        update user_sms_preferences set timezone = 'Asia/Tokyo' where user_id = md5('travelling')::uuid;
        update user_sms_preferences set opted_out = true where user_id = md5('leaving')::uuid;
        insert into scheduled_messages (to_number, body, scheduled_at, user_id)
        values ('+13105559999', 'by hand', clock_timestamp(), md5('limited')::uuid)";
    world.app.batch_execute(change).await.unwrap();
    let mut expected = vec![
        begins_soon(&world, "moving up").await,
        begins_soon(&world, "travelling there").await,
    ];
    let by_hand = world.id("by hand").await;
    becomes(&world.app, by_hand, "sent").await;
    expected.push(begins_soon(&world, "limited one").await);
    let one = world.id("limited one").await;
    becomes(&world.app, one, "sent").await;
    begins_soon(&world, "limited two").await;
    let two = world.id("limited two").await;
    let over = becomes(&world.app, two, "cancelled").await;
    assert_eq!(
        over.cancel_reason.as_deref(),
        Some("Daily SMS limit reached")
    );
    for event in ["moving away", "moving off", "leaving now"] {
        let id = world.id(event).await;
        becomes(&world.app, id, "cancelled").await;
    }
    // The day of the recipient has begun at midnight, and its count with it.
    let too_many = world.id("one too many").await;
    let row = becomes(&world.app, too_many, "cancelled").await;
    assert_eq!(
        row.cancel_reason.as_deref(),
        Some("Daily SMS limit reached")
    );
    // Eight hours of quiet hours are seven in this night.
    let late = world.id("late at night").await;
    let until_morning = format!(
        "select deferred_until = '2026-03-08T15:00:00Z' from scheduled_messages where id = '{late}'"
    );
    assert!(world.one::<bool>(&until_morning).await);
    for text in [
        "the one of the day before",
        "the one of the day",
        "in the afternoon",
        "moving up",
        "travelling there",
        "far away",
        "plain first",
    ] {
        let id = world.id(text).await;
        becomes(&world.app, id, "sent").await;
    }
    let zone =
        "select timezone from scheduled_messages where calendar_event_id = 'travelling there'";
    assert_eq!(world.one::<String>(zone).await, "America/Los_Angeles");
    expected.extend(
        [
            "Plain First at 00:15, in 15 minutes.",
            "Far Away at 17:15, in 15 minutes.",
            "the one of the day before",
            "the one of the day",
            "in the afternoon",
            "by hand",
        ]
        .map(str::to_owned),
    );
    expected.sort();
    assert_eq!(world.arrived(), expected);
    // Reports in another order than that of the events.
    let first = world.id("plain first").await;
    for status in ["delivered", "sent"] {
        reported(&world, &hook, first, status, "").await;
    }
    becomes(&world.app, first, "delivered").await;
    let record = "select bool_and(delivered_at is not null) from messages m where m.body like 'Plain First%'";
    assert!(world.one::<bool>(record).await);
    why_not(&world).await;
    daemon.stop().await;
}

/// Why the others are not planned.
async fn why_not(world: &World) {
    let mut env = environment(&world.url(), &world.phone.url());
    crate::daemon::set(&mut env, "PUNCTUAL_PLANNER", "true");
    let mut skipped = Vec::new();
    for name in ["plain", "resting", "limited"] {
        let user: Uuid = world.one(&format!("select md5('{name}')::uuid")).await;
        let user = user.to_string();
        let args = ["plan", &user, "--day", "2026-03-08", "--dry-run", "--json"];
        let (code, said, error) = called(&args, &env).await;
        assert_eq!(code, Some(0), "{error}");
        let said: Value = serde_json::from_str(&said).unwrap();
        for event in said["events"].as_array().unwrap() {
            let why = event["skipped"].as_str().unwrap_or_default();
            if why != "planned_before" {
                let id = event["calendar_event_id"].as_str().unwrap_or_default();
                skipped.push(format!("{id}: {why}"));
            }
        }
    }
    skipped.sort();
    assert_eq!(
        skipped,
        [
            "limited three: daily_limit",
            "plain holiday: all_day",
            "resting morning: quiet_hours",
            "resting night: quiet_hours",
        ]
    );
}

/// 23:00 on 31 October 2026 in Los Angeles. The night has an hour more: at 2 o'clock the clock is put back.
const LATE: &str = "2026-11-01T06:00:00Z";

/// 8:00 on the next day.
const MORNING: &str = "2026-11-01T16:00:00Z";

/// Starts a daemon shortly before `at`, waits for what is given, and stops it.
async fn at(world: &World, at: &str, hook: &str, wait: impl AsyncFnOnce()) {
    world.turn_to(at, Duration::from_secs(3));
    let daemon = world.ready(hook).await;
    wait().await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_by_the_night_goes_in_the_morning_and_what_failed_goes_again() {
    let Some(world) = World::new().await else {
        return;
    };
    let hook = own_address();
    world.turn_to(LATE, Duration::from_secs(3_600));
    let on = Switch {
        is_on: true,
        template: TEMPLATE.into(),
    };
    let place = Dsn::parse(&world.url()).unwrap();
    let migrator = Migrator::embedded().with_planner(Some(on));
    migrator.run(&place).await.unwrap();
    let night = "
        insert into user_sms_preferences (user_id, phone_number, phone_verified, timezone, quiet_hours_start, quiet_hours_end)
        values (md5('resting')::uuid, '+13105550001', true, 'America/Los_Angeles', '22:00', '08:00'),
               (md5('awake')::uuid, '+13105550002', true, 'America/Los_Angeles', null, null);
        insert into scheduled_messages (to_number, body, scheduled_at, user_id)
        values ('+13105550001', 'for the morning', '2026-11-01T06:00:00Z', md5('resting')::uuid),
               ('+13105550002', 'for the night', '2026-11-01T06:00:00Z', md5('awake')::uuid)";
    world.app.batch_execute(night).await.unwrap();
    let (morning, of_the_night) = (
        world.id("for the morning").await,
        world.id("for the night").await,
    );
    at(&world, LATE, &hook, async || {
        becomes(&world.app, of_the_night, "sent").await;
        reported(&world, &hook, of_the_night, "undelivered", "30008").await;
        let row = becomes(&world.app, of_the_night, "pending").await;
        assert_eq!(row.code, Some(30008));
        until("it waits for the morning", async || {
            let sql = format!(
                "select deferred_until = '{MORNING}' from scheduled_messages where id = '{morning}'"
            );
            world.one::<Option<bool>>(&sql).await.filter(|is| *is)
        })
        .await;
    })
    .await;
    assert_eq!(world.arrived(), ["for the night"]);
    // The base of what a carrier may have delivered is three minutes, where that is retried.
    let again = format!(
        "select to_char(next_attempt_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') from scheduled_messages
          where id = '{of_the_night}'"
    );
    let again: String = world.one(&again).await;
    assert!(again.starts_with("2026-11-01T06:0"), "{again}");
    at(&world, &again, &hook, async || {
        becomes(&world.app, of_the_night, "sent").await;
        reported(&world, &hook, of_the_night, "delivered", "").await;
        becomes(&world.app, of_the_night, "delivered").await;
    })
    .await;
    assert_eq!(world.arrived(), ["for the night", "for the night"]);
    at(&world, MORNING, &hook, async || {
        becomes(&world.app, morning, "sent").await;
    })
    .await;
    let begun = format!(
        "select bool_and(a.started_at >= case when a.message_id = '{morning}' then '{MORNING}'::timestamptz
                                              when a.number > 1 then '{again}'::timestamptz else '{LATE}' end)
           from punctual.attempts a where a.started_at is not null and a.outcome = 'accepted'"
    );
    assert!(world.one::<bool>(&begun).await, "not before its time");
    assert_eq!(world.phone.creates().len(), 3);
}
