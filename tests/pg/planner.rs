//! Reminders that the planner makes: of which events, once, and at once after a change.

use jiff::Timestamp;
use punctual::message::{InstanceId, Moment};
use punctual::plan::reminders::{LEAD, Planning, Skip, TEMPLATE};
use punctual::policy::Rules;
use punctual::store::migrate::Report;
use punctual::store::migrate::planner::Switch;
use punctual::store::planner::{Settings, Step};
use punctual::store::{Migrator, Store};
use uuid::Uuid;

use crate::ours::store;
use crate::rows::{World, one, run};

const USER: &str = "11111111-1111-1111-1111-111111111111";
const OTHER: &str = "22222222-2222-2222-2222-222222222222";
const THIRD: &str = "33333333-3333-3333-3333-333333333333";

/// Which switches the planner.
fn migrator(is_on: bool) -> Migrator<'static> {
    Migrator::embedded().with_planner(Some(Switch {
        is_on,
        template: TEMPLATE.into(),
    }))
}

async fn planned() -> World {
    let world = World::new().await;
    let report = migrator(true).run(world.db.dsn()).await.unwrap();
    let on = "the planner is on, with a new row event_reminder of sms_templates";
    assert_eq!(report.app, [on]);
    assert_eq!(report.notes, Vec::<String>::new());
    world
}

async fn prefer(world: &World, user: &str, more: &str) {
    let sql = format!(
        "insert into user_sms_preferences (user_id, phone_number, phone_verified, event_reminders_enabled, timezone,
                                           quiet_hours_start, quiet_hours_end)
         values ('{user}', '+12025550101', true, true, 'America/Los_Angeles', null, null);
         update user_sms_preferences set {more} where user_id = '{user}'"
    );
    run(&world.user, &sql).await;
}

async fn event(world: &World, id: &str, user: &str, at: &str) {
    let sql = format!(
        "insert into task_calendar_events (calendar_event_id, user_id, event_title, event_start, event_end, sync_status)
         values ('{id}', '{user}', 'Standup {id}', {at}, {at} + interval '30 minutes', 'synced')"
    );
    run(&world.user, &sql).await;
}

fn moment(text: &str) -> Moment {
    Moment::from_micros(text.parse::<Timestamp>().unwrap().as_microsecond())
}

/// Steps of a daemon at this time, until nothing is left to be planned by then.
async fn plan(store: &Store, now: Moment) -> Step {
    let planning = Planning {
        template: TEMPLATE.into(),
        lead: LEAD,
    };
    let rules = Rules::default();
    let mut all = Step::default();
    loop {
        let settings = Settings {
            planning: &planning,
            rules: &rules,
            now,
        };
        let step = store.plan_step(settings, 2).await.unwrap();
        all.users += step.users;
        all.messages += step.messages;
        all.skipped.extend(step.skipped);
        all.refused.extend(step.refused);
        all.lacks_template |= step.lacks_template;
        all.next = step.next;
        if all.lacks_template || step.next.is_none_or(|next| next > now) {
            return all;
        }
    }
}

async fn now(world: &World) -> Moment {
    let us: i64 = one(
        &world.user,
        "select (extract(epoch from clock_timestamp()) * 1000000)::bigint",
    )
    .await;
    Moment::from_micros(us)
}

/// The planned messages, as `event distance status`.
async fn messages(world: &World) -> String {
    let sql = "select coalesce(string_agg(concat_ws(' ', calendar_event_id, event_start - scheduled_at, status), ', '
                                          order by calendar_event_id), '')
                 from scheduled_messages where message_type = 'event_reminder'";
    one(&world.user, sql).await
}

/// The local midnight of the user that begins today, in a zone where that was long ago and is far ahead: the test must
/// not depend on the hour of the day.
async fn noon_zone(world: &World) -> String {
    let sql = "select 'Etc/GMT' || case when h < 12 then '-' else '+' end || abs(12 - h)
                 from (select extract(hour from now() at time zone 'UTC')::int as h) t";
    one(&world.user, sql).await
}

#[tokio::test]
async fn the_events_of_a_users_day_are_planned_once() {
    let world = planned().await;
    prefer(&world, USER, "daily_sms_limit = 10").await;
    prefer(&world, OTHER, "event_reminders_enabled = false").await;
    event(&world, "a", USER, "timestamptz '2030-07-01 17:00:00+00'").await;
    event(&world, "b", USER, "timestamptz '2030-07-02 06:00:00+00'").await;
    event(
        &world,
        "tomorrow",
        USER,
        "timestamptz '2030-07-02 17:00:00+00'",
    )
    .await;
    event(
        &world,
        "other",
        OTHER,
        "timestamptz '2030-07-01 17:00:00+00'",
    )
    .await;
    let day = "update task_calendar_events set is_all_day = true where calendar_event_id = 'c'";
    run(
        &world.user,
        "alter table task_calendar_events add column is_all_day boolean",
    )
    .await;
    event(&world, "c", USER, "timestamptz '2030-07-01 18:00:00+00'").await;
    run(&world.user, day).await;
    event(
        &world,
        "pending",
        USER,
        "timestamptz '2030-07-01 18:00:00+00'",
    )
    .await;
    run(&world.user, "update task_calendar_events set sync_status = 'pending' where calendar_event_id = 'pending'").await;
    let store = store(&world);
    let midnight = moment("2030-07-01T07:00:00Z");
    let done = plan(&store, midnight).await;
    assert_eq!(done.messages, 2, "{done:?}");
    assert_eq!(done.skipped, [Skip::AllDay]);
    assert_eq!(done.next, Some(moment("2030-07-02T07:00:00Z")));
    assert_eq!(
        messages(&world).await,
        "a 00:15:00 pending, b 00:15:00 pending"
    );
    let row: String = one(
        &world.user,
        "select concat_ws('|', user_id, to_number, body, timezone, template_vars, metadata ->> 'planned',
                          metadata ->> 'generated_via')
           from scheduled_messages where calendar_event_id = 'a'",
    )
    .await;
    let expected = format!(
        "{USER}|+12025550101|Standup a at 10:00, in 15 minutes.|America/Los_Angeles|{{\"event_end\": \"2030-07-01T17:30:00Z\", \
         \"event_link\": null, \"event_title\": \"Standup a\"}}|true|template"
    );
    assert_eq!(row, expected);

    // Whatever becomes of them, they are not planned again: moved, cancelled, or deleted by the app.
    run(
        &world.user,
        "update scheduled_messages set status = 'cancelled' where calendar_event_id = 'a'",
    )
    .await;
    run(
        &world.user,
        "delete from scheduled_messages where calendar_event_id = 'b'",
    )
    .await;
    let again =
        "insert into punctual.planner_changes (user_id) select user_id from user_sms_preferences";
    run(&world.unseen, again).await;
    let done = plan(&store, midnight).await;
    assert_eq!((done.users, done.messages), (2, 0), "{done:?}");
    assert_eq!(done.skipped, [Skip::Planned, Skip::AllDay, Skip::Planned]);
    assert_eq!(messages(&world).await, "a 00:15:00 cancelled");
    let users: i64 = one(&world.user, "select count(*) from punctual.planner_users").await;
    assert_eq!(users, 1, "who has switched reminders off is not looked at");
}

/// While daemons have texts written, those of what is planned are asked for in the same transaction.
#[tokio::test]
async fn a_text_is_asked_for_with_what_is_planned() {
    let world = planned().await;
    let store = store(&world);
    store.keep_settings(&crate::ours::rules()).await.unwrap();
    prefer(&world, USER, "timezone = 'UTC'").await;
    event(&world, "a", USER, "timestamptz '2030-07-01 09:00:00+00'").await;
    plan(&store, moment("2030-07-01T00:00:00Z")).await;
    let drafts = "select coalesce(string_agg(concat_ws(' ', m.calendar_event_id, d.facts ->> 'title', d.needed_by = m.scheduled_at,
                                                       d.vars = m.template_vars), ', ' order by m.calendar_event_id), '')
                    from punctual.drafts d join scheduled_messages m on m.id = d.message_id";
    assert_eq!(
        one::<String>(&world.user, drafts).await,
        "",
        "nobody writes"
    );
    store.keep_model(Some("m")).await.unwrap();
    for (id, hour) in [("b", 10), ("c", 11)] {
        let at = format!("timestamptz '2030-07-01 {hour}:00:00+00'");
        event(&world, id, USER, &at).await;
    }
    let again = format!("insert into punctual.planner_changes (user_id) values ('{USER}')");
    run(&world.unseen, &again).await;
    assert_eq!(
        plan(&store, moment("2030-07-01T00:00:01Z")).await.messages,
        2
    );
    assert_eq!(
        one::<String>(&world.user, drafts).await,
        "b Standup b t t, c Standup c t t"
    );
}

#[tokio::test]
async fn the_daily_limit_leaves_out_the_last_ones_and_quiet_hours_their_own() {
    let world = planned().await;
    run(
        &world.user,
        "alter table user_sms_preferences add column event_reminder_lead_time_minutes int",
    )
    .await;
    prefer(
        &world,
        USER,
        "daily_sms_limit = 4, quiet_hours_start = '21:00', quiet_hours_end = '08:00',
                          event_reminder_lead_time_minutes = 60",
    )
    .await;
    for (id, at) in [
        ("early", "15:30"),
        ("m", "19:00"),
        ("n", "20:00"),
        ("o", "21:00"),
    ] {
        event(
            &world,
            id,
            USER,
            &format!("timestamptz '2030-07-01 {at}:00+00'"),
        )
        .await;
    }
    let used = format!(
        "insert into punctual.daily_counts (user_id, day, count) values ('{USER}', '2030-07-01', 1)"
    );
    run(&world.unseen, &used).await;
    let waiting = format!(
        "insert into scheduled_messages (to_number, body, scheduled_at, user_id, timezone)
         values ('+12025550101', 'x', '2030-07-01 18:00:00+00', '{USER}', 'America/Los_Angeles')"
    );
    run(&world.user, &waiting).await;
    let done = plan(&store(&world), moment("2030-07-01T07:00:00Z")).await;
    assert_eq!(
        messages(&world).await,
        "m 01:00:00 pending, n 01:00:00 pending"
    );
    assert_eq!(done.skipped, [Skip::QuietHours, Skip::DailyLimit]);
}

#[tokio::test]
async fn changes_during_the_day_are_planned_at_once() {
    let world = planned().await;
    let zone = noon_zone(&world).await;
    prefer(&world, USER, &format!("timezone = '{zone}'")).await;
    let store = store(&world);
    plan(&store, now(&world).await).await;
    let (at, later) = (
        "date_trunc('minute', now()) + interval '1 hour'",
        "date_trunc('minute', now()) + interval '2 hours'",
    );
    event(&world, "a", USER, at).await;
    event(&world, "over", USER, "now() - interval '10 minutes'").await;
    event(&world, "far", USER, "now() + interval '40 hours'").await;
    let done = plan(&store, now(&world).await).await;
    assert_eq!(done.messages, 1, "{done:?}");
    assert_eq!(messages(&world).await, "a 00:15:00 pending");
    // What moves takes its message along, and is not planned a second time; what moves into the day is planned.
    run(
        &world.user,
        &format!(
            "update task_calendar_events set event_start = {later} where calendar_event_id = 'a'"
        ),
    )
    .await;
    run(
        &world.user,
        &format!(
            "update task_calendar_events set event_start = {at} where calendar_event_id = 'far'"
        ),
    )
    .await;
    plan(&store, now(&world).await).await;
    assert_eq!(
        messages(&world).await,
        "a 00:15:00 pending, far 00:15:00 pending"
    );
    let moved: bool = one(
        &world.user,
        &format!(
            "select event_start = {later} from scheduled_messages where calendar_event_id = 'a'"
        ),
    )
    .await;
    assert!(moved);
    run(
        &world.user,
        "delete from task_calendar_events where calendar_event_id = 'a'",
    )
    .await;
    let done = plan(&store, now(&world).await).await;
    assert_eq!(done.messages, 0);
    assert_eq!(
        messages(&world).await,
        "a 00:15:00 cancelled, far 00:15:00 pending"
    );
    // What decides nothing is not looked at.
    run(&world.user, "update task_calendar_events set event_title = 'x'; update user_sms_preferences set daily_sms_count = 3").await;
    let noted: i64 = one(&world.user, "select count(*) from punctual.planner_changes").await;
    assert_eq!(noted, 0);
    // Who switches reminders off and on again.
    run(
        &world.user,
        "update user_sms_preferences set event_reminders_enabled = false",
    )
    .await;
    event(&world, "b", USER, at).await;
    assert_eq!(plan(&store, now(&world).await).await.messages, 0);
    run(
        &world.user,
        "update user_sms_preferences set event_reminders_enabled = true",
    )
    .await;
    assert_eq!(plan(&store, now(&world).await).await.messages, 1);
}

#[tokio::test]
async fn two_daemons_plan_each_reminder_once() {
    let world = planned().await;
    let users: Vec<Uuid> = (0..40).map(|_| Uuid::new_v4()).collect();
    for user in &users {
        prefer(&world, &user.to_string(), "timezone = 'UTC'").await;
        for hour in [9, 10, 11] {
            event(
                &world,
                &format!("{user}-{hour}"),
                &user.to_string(),
                &format!("timestamptz '2030-07-01 {hour}:00:00+00'"),
            )
            .await;
        }
    }
    let midnight = moment("2030-07-01T00:00:00Z");
    let (one_store, two) = (store(&world), store(&world));
    let (a, b) = tokio::join!(plan(&one_store, midnight), plan(&two, midnight));
    assert_eq!(a.messages + b.messages, 120);
    let rows: i64 = one(
        &world.user,
        "select count(distinct (user_id, calendar_event_id)) from scheduled_messages",
    )
    .await;
    assert_eq!(rows, 120);
}

#[tokio::test]
async fn a_user_whom_the_app_refuses_delays_no_other() {
    let world = planned().await;
    run(
        &world.user,
        "alter table scheduled_messages add check (to_number <> '+12025550199')",
    )
    .await;
    prefer(
        &world,
        USER,
        "timezone = 'UTC', phone_number = '+12025550199'",
    )
    .await;
    // What is checked at the end of a transaction is refused for one user alone, too.
    let checked_late = format!(
        "create table accounts (id uuid primary key); insert into accounts values ('{USER}'), ('{OTHER}');
         alter table scheduled_messages add foreign key (user_id) references accounts deferrable initially deferred"
    );
    run(&world.user, &checked_late).await;
    prefer(&world, OTHER, "timezone = 'UTC'").await;
    prefer(&world, THIRD, "timezone = 'UTC'").await;
    for (id, user) in [("a", USER), ("b", USER), ("c", OTHER), ("d", THIRD)] {
        event(&world, id, user, "timestamptz '2030-07-01 09:00:00+00'").await;
    }
    let done = plan(&store(&world), moment("2030-07-01T00:00:00Z")).await;
    assert_eq!(messages(&world).await, "c 00:15:00 pending");
    let refused: Vec<_> = done.refused.iter().map(|it| it.0.to_string()).collect();
    assert_eq!(refused, [USER, THIRD], "{done:?}");
    assert_eq!(
        done.next,
        Some(moment("2030-07-01T00:01:00Z")),
        "again a minute later"
    );
    let planned: i64 = one(&world.user, "select count(*) from punctual.planned").await;
    assert_eq!(planned, 1, "all of a user or none");
}

/// What the app's own table has beside the usual columns.
#[tokio::test]
async fn the_time_zone_of_the_account_counts_where_the_preferences_have_none() {
    let world = planned().await;
    run(
        &world.user,
        "create table users (id uuid primary key, timezone text)",
    )
    .await;
    migrator(true).run(world.db.dsn()).await.unwrap();
    prefer(&world, USER, "timezone = null").await;
    run(
        &world.user,
        &format!("insert into users values ('{USER}', 'Asia/Tokyo')"),
    )
    .await;
    event(&world, "a", USER, "timestamptz '2030-07-01 01:00:00+00'").await;
    let store = store(&world);
    plan(&store, moment("2030-06-30T15:00:00Z")).await;
    let zone: String = one(&world.user, "select timezone from scheduled_messages").await;
    assert_eq!(zone, "Asia/Tokyo");
    // The day of another zone begins then.
    run(&world.user, "update users set timezone = 'UTC'").await;
    let done = plan(&store, moment("2030-06-30T16:00:00Z")).await;
    assert_eq!(done.next, Some(moment("2030-07-01T00:00:00Z")));
}

#[tokio::test]
async fn switched_off_it_leaves_nothing_on_the_apps_tables() {
    let world = World::new().await;
    let triggers = "select count(*) from pg_trigger where tgname like 'punctual_plan_%'";
    assert_eq!(one::<i64>(&world.user, triggers).await, 0);
    migrator(true).run(world.db.dsn()).await.unwrap();
    assert_eq!(one::<i64>(&world.user, triggers).await, 6);
    let report = Migrator::embedded().run(world.db.dsn()).await.unwrap();
    assert!(
        report.notes[0].contains("the settings do not say so"),
        "{report:?}"
    );
    let again = migrator(true).run(world.db.dsn()).await.unwrap();
    assert_eq!(again, Report::default(), "nothing to do");
    prefer(&world, USER, "timezone = 'UTC'").await;
    let report = migrator(false).run(world.db.dsn()).await.unwrap();
    assert_eq!(report.app, ["the planner is off"]);
    let again = migrator(false).run(world.db.dsn()).await.unwrap();
    assert_eq!(again, Report::default(), "nothing to do");
    assert_eq!(one::<i64>(&world.user, triggers).await, 0);
    assert_eq!(
        one::<i64>(&world.user, "select count(*) from punctual.planner_changes").await,
        0
    );
    assert!(!migrator(false).check_planner(world.db.dsn()).await.unwrap());
    run(
        &world.user,
        "alter table task_calendar_events alter column event_start type text",
    )
    .await;
    let error = migrator(true)
        .run(world.db.dsn())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("event_start must be a column of type timestamp with time zone"),
        "{error}"
    );
}

#[tokio::test]
async fn without_its_template_nothing_is_planned() {
    let world = planned().await;
    prefer(&world, USER, "timezone = 'UTC'").await;
    event(&world, "a", USER, "timestamptz '2030-07-01 09:00:00+00'").await;
    run(&world.user, "update sms_templates set is_active = false").await;
    let store = Store::new(world.db.dsn().pool(2), InstanceId::fresh());
    assert!(
        plan(&store, moment("2030-07-01T00:00:00Z"))
            .await
            .lacks_template
    );
    run(&world.user, "update sms_templates set is_active = true").await;
    assert_eq!(
        plan(&store, moment("2030-07-01T00:00:00Z")).await.messages,
        1
    );
}

/// As many users as `PUNCTUAL_PLAN_USERS` says have their midnight at once, with three events each.
#[tokio::test]
async fn a_midnight_of_many_users_is_planned_in_steps() {
    let users: i64 =
        std::env::var("PUNCTUAL_PLAN_USERS").map_or(600, |users| users.parse().unwrap());
    let world = planned().await;
    let many = format!(
        "insert into user_sms_preferences (user_id, phone_number, phone_verified, event_reminders_enabled, timezone,
                                           quiet_hours_start, quiet_hours_end)
         select md5('user ' || i)::uuid, '+1202555' || lpad((i % 10000)::text, 4, '0'), true, true, 'UTC', null, null
           from generate_series(1, {users}) i;
         insert into task_calendar_events (calendar_event_id, user_id, event_title, event_start, event_end, sync_status)
         select 'event ' || i || ' ' || n, md5('user ' || i)::uuid, 'Standup', t.at, t.at + interval '30 minutes', 'synced'
           from generate_series(1, {users}) i
          cross join generate_series(1, 3) n
          cross join lateral (select timestamptz '2030-07-01 09:00:00+00' + n * interval '1 hour' as at) t"
    );
    run(&world.user, &many).await;
    let store = store(&world);
    let (planning, rules) = (
        Planning {
            template: TEMPLATE.into(),
            lead: LEAD,
        },
        Rules::default(),
    );
    let now = moment("2030-07-01T00:00:00Z");
    let (mut messages, mut steps, mut longest) = (0, 0, std::time::Duration::ZERO);
    let all = punctual::clock::Stopwatch::start();
    loop {
        let settings = Settings {
            planning: &planning,
            rules: &rules,
            now,
        };
        let began = punctual::clock::Stopwatch::start();
        let step = store.plan_step(settings, 250).await.unwrap();
        longest = longest.max(began.elapsed());
        messages += step.messages;
        steps += 1;
        if step.next.is_none_or(|next| next > now) {
            break;
        }
    }
    println!(
        "{users} users: {messages} messages in {:?}, {steps} steps, the longest {longest:?}",
        all.elapsed()
    );
    assert_eq!(i64::try_from(messages).unwrap(), users * 3);
}

/// The statements that need the index of the planner: by the key, whatever was planned before and is pending.
#[tokio::test]
async fn what_is_read_of_a_user_costs_the_same_however_much_there_is() {
    const USERS: i64 = 20;
    let world = planned().await;
    let daemon = world.daemon().await;
    let users = format!("array(select md5('user ' || i)::uuid from generate_series(1, {USERS}) i)");
    let times = format!(
        "array_fill(now(), array[{USERS}]), array_fill(now() + interval '1 day', array[{USERS}])"
    );
    let names = ["planner_events", "planner_counts"];
    for (name, sql) in crate::plans::statements() {
        if let Some(name) = name
            .strip_prefix("app/")
            .filter(|name| names.contains(name))
        {
            run(&daemon, &format!("prepare {name} as {sql}")).await;
        }
    }
    let literals: String = one(
        &world.user,
        &format!("select quote_literal({users}) || '::uuid[]'"),
    )
    .await;
    let asks = [
        format!("execute planner_events({literals}, {times})"),
        format!(
            "execute planner_counts({literals}, array_fill(current_date::text, array[{USERS}]), {times})"
        ),
        "select punctual.sent_metadata(gen_random_uuid())".to_owned(),
    ];
    // Planned while there are few messages and none of an event; what functions do, for good after some calls.
    run(
        &world.unseen,
        "insert into scheduled_messages (to_number, body, scheduled_at)
         select '+12025550101', 'x', now() + interval '1 hour' from generate_series(1, 1000);
         analyze scheduled_messages",
    )
    .await;
    for ask in asks.iter().cycle().take(8 * asks.len()) {
        run(&daemon, ask).await;
    }
    run(
        &world.unseen,
        "insert into scheduled_messages (to_number, body, scheduled_at, user_id, calendar_event_id)
         select '+12025550101', 'x', now() + interval '1 hour', md5('user ' || i % 10000)::uuid, 'event ' || i
           from generate_series(1, 50000) i;
         insert into task_calendar_events (calendar_event_id, user_id, event_start, sync_status)
         select 'event ' || i, md5('user ' || i % 10000)::uuid, now() + interval '3 hours', 'synced' from generate_series(1, 20000) i;
         insert into punctual.planned (user_id, calendar_event_id, message_id, starts_at)
         select md5('user ' || i % 10000)::uuid, 'event ' || i, gen_random_uuid(), now() from generate_series(1, 20000) i",
    )
    .await;
    let blocks = "select sum(pg_stat_get_xact_blocks_fetched(c.oid))::bigint from pg_class c
                   where c.relnamespace in ('public'::regnamespace, 'punctual'::regnamespace) and c.relkind in ('r', 'i', 't')";
    for ask in &asks {
        run(&daemon, "begin").await;
        let before: i64 = one(&daemon, blocks).await;
        run(&daemon, ask).await;
        let needed = one::<i64>(&daemon, blocks).await - before;
        run(&daemon, "rollback").await;
        assert!(needed < 30 + 80 * USERS, "{needed} blocks: {ask}");
    }
}

#[tokio::test]
async fn where_the_apps_table_has_no_index_of_its_events_one_is_built() {
    const LACKS: &str = "select punctual.lacks_event_index()";
    let world = World::new().await;
    let own = "alter table task_calendar_events drop constraint task_calendar_events_calendar_event_id_user_id_key";
    run(&world.user, own).await;
    // None of these is one.
    run(
        &world.user,
        "create index on task_calendar_events (user_id);
         create index on task_calendar_events (user_id, event_start, calendar_event_id);
         create index on task_calendar_events (calendar_event_id) where sync_status = 'synced';
         create index on task_calendar_events (lower(event_title), calendar_event_id)",
    )
    .await;
    assert!(one::<bool>(&world.user, LACKS).await);
    let report = migrator(true).run(world.db.dsn()).await.unwrap();
    let both = [
        "task_calendar_events_planner_idx",
        "task_calendar_events_event_idx",
    ];
    assert_eq!(report.indexes, both);
    assert!(!one::<bool>(&world.user, LACKS).await);
    let again = migrator(true).run(world.db.dsn()).await.unwrap();
    assert_eq!(again, Report::default(), "nothing to do");
    for own in [
        "(calendar_event_id)",
        "(user_id, calendar_event_id)",
        "(calendar_event_id, sync_status)",
    ] {
        let instead = format!(
            "drop index task_calendar_events_event_idx; create index task_calendar_events_event_idx on task_calendar_events {own}"
        );
        run(&world.user, &instead).await;
        assert!(!one::<bool>(&world.user, LACKS).await, "{own}");
    }
}
