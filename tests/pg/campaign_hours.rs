//! What people ask who run campaigns: whether it is open, what is sent next, and what came due.

use punctual::message::Moment;
use punctual::plan::OpenTime;
use punctual::policy::{BusinessHours, CampaignDefaults, Rules};
use punctual::store::Migrator;
use uuid::Uuid;

use crate::harness::TestDb;
use crate::notice::Listening;
use crate::ours::{rules, store};
use crate::rows::{World, one, run};

/// A campaign with these hours.
async fn campaign(world: &World, zone: &str, hours: &BusinessHours) -> Uuid {
    let list = |all: Vec<i64>| format!("{all:?}").replace(['[', ']'], "");
    let from = list(hours.ranges().iter().map(|r| r.start).collect());
    let until = list(hours.ranges().iter().map(|r| r.end).collect());
    let sql = format!(
        "insert into punctual.campaigns (name, timezone, hours, open_from, open_until, gap_min, gap_max, skip_per_mille,
                                         skip_min, skip_max, seed)
         values ('{zone}', '{zone}', '{hours}', '{{{from}}}', '{{{until}}}', '4 min', '7 min', 0, '0', '0', 7) returning id"
    );
    one(&world.user, &sql).await
}

/// The rule in Rust and its picture in the database, over a year and every change of the clock.
#[tokio::test]
async fn the_hours_of_campaigns_are_the_same_in_the_database() {
    let world = World::new().await;
    for (zone, hours) in [
        ("America/Los_Angeles", "mon-fri 09:00-20:00"),
        (
            "Australia/Lord_Howe",
            "sun 01:30-02:00, mon-sat 22:00-02:15",
        ),
    ] {
        let hours: BusinessHours = hours.parse().unwrap();
        let id = campaign(&world, zone, &hours).await;
        let timezone = jiff::tz::TimeZone::get(zone).unwrap();
        let open = OpenTime::new(hours.clone(), timezone.clone());
        let campaign_hours = CampaignDefaults { hours, timezone };
        let rules = Rules {
            campaign_hours,
            ..rules()
        };
        store(&world).keep_settings(&rules).await.unwrap();
        let sql = format!(
            "select (extract(epoch from at) * 1000000)::bigint, is_business_hours('{id}', at),
                    punctual.is_campaign_open(null, at)
               from generate_series(timestamptz '2025-01-01 00:00:00+00', '2026-01-01', '15 minutes') t,
                    unnest(array[t - interval '1 microsecond', t]) as at"
        );
        let rows = world.user.query(&sql, &[]).await.unwrap();
        assert!(rows.len() > 70_000);
        for row in rows {
            let at = Moment::from_micros(row.get(0));
            let is_open = open.next(at) == Some(at);
            assert_eq!(row.get::<_, bool>(1), is_open, "{zone} {at}");
            assert_eq!(row.get::<_, bool>(2), is_open, "{zone} {at}");
        }
    }
    let unknown: Option<bool> = one(
        &world.user,
        "select is_business_hours('00000000-0000-0000-0000-000000000000', now())",
    )
    .await;
    assert_eq!(unknown, None);
}

#[tokio::test]
async fn the_status_has_the_pacific_time_and_the_hours_of_campaigns_never_the_installations() {
    let world = World::new().await;
    // Before any daemon ran.
    let sql = "select format('%s %s %s %s %s', timezone, business_hours,
                             current_hour_pst = extract(hour from current_pacific_time),
                             abs(extract(epoch from current_pacific_time - now() at time zone 'America/Los_Angeles')) < 60,
                             is_business_hours = is_business_hours())
                 from business_hours_status";
    let expected = "America/Los_Angeles mon-fri 09:00-20:00 t t t";
    assert_eq!(one::<String>(&world.user, sql).await, expected);
    let day = "select day_name = to_char(current_pacific_time, 'FMDay') from business_hours_status";
    assert!(one::<bool>(&world.user, day).await);
    let rules = Rules {
        business_hours: Some("sun 03:00-03:01".parse().unwrap()),
        ..rules()
    };
    store(&world).keep_settings(&rules).await.unwrap();
    assert_eq!(one::<String>(&world.user, sql).await, expected);
    for (from, until, is_open) in [("{}", "{}", false), ("{0}", "{604800000000}", true)] {
        let set = format!(
            "update punctual.settings set campaign_open_from = '{from}', campaign_open_until = '{until}'"
        );
        run(&world.user, &set).await;
        let now =
            "select is_business_hours() and (select is_business_hours from business_hours_status)";
        assert_eq!(one::<bool>(&world.user, now).await, is_open);
    }
}

#[tokio::test]
async fn what_is_next_and_what_was_sent_today_is_shown_by_the_pacific_clock() {
    let world = World::new().await;
    run(
        &world.user,
        "insert into scheduled_messages (to_number, body, scheduled_at, metadata)
         values ('+13105550101', 'later', now() + interval '10 min', '{\"customer_name\": \"Ada Example\"}'),
                ('+13105550102', 'sooner', now() + interval '2 min', '{}')",
    )
    .await;
    let shown: String = one(
        &world.user,
        "select string_agg(format('%s %s %s %s', customer_name, phone_number, round(minutes_until_send),
                                  scheduled_for_pst = scheduled_for_utc at time zone 'America/Los_Angeles'), ', ')
           from (select * from scheduled_messages_pst limit 10) m",
    )
    .await;
    assert_eq!(shown, " +13105550102 2 t, Ada Example +13105550101 10 t");
    let midnight = "date_trunc('day', now() at time zone 'America/Los_Angeles') at time zone 'America/Los_Angeles'";
    run(
        &world.unseen,
        &format!(
            "update scheduled_messages set status = 'sent', sent_at = {midnight} where body = 'sooner';
             update scheduled_messages set status = 'sent', sent_at = {midnight} - interval '1 s' where body = 'later'"
        ),
    )
    .await;
    let sent: String = one(
        &world.user,
        "select string_agg(phone_number || ' ' || sent_at_pst::time, ', ') from sent_today_pst",
    )
    .await;
    assert_eq!(sent, "+13105550102 00:00:00");
}

async fn processed(world: &World, safely: bool) -> String {
    let safe = if safely { "_safe" } else { "" };
    let sql = format!(
        "select format('%s|%s|%s', processed_count, error_message, skipped_reason) from process_scheduled_messages{safe}()"
    );
    one(&world.user, &sql).await
}

#[tokio::test]
async fn what_came_due_is_counted_once_and_handed_to_the_daemon() {
    let mut listening = Listening::new().await;
    let world = &listening.world;
    let always = "insert into punctual.settings (campaign_open_from, campaign_open_until) values ('{0}', '{604800000000}')";
    run(&world.user, always).await;
    // A test message of two bubbles, due by now.
    let insert = "insert into scheduled_messages (to_number, body, scheduled_at)
                  values ('+13105550101', E'Test bubble 1\\n\\n[BUBBLE]\\n\\nTest bubble 2', clock_timestamp())";
    run(&world.user, insert).await;
    let none = "no daemon is running, so nothing is sent: start one with punctual run";
    assert_eq!(processed(world, true).await, format!("1|{none}|"));
    assert_eq!(processed(world, false).await, format!("0|{none}|"));
    // One that a daemon has sent meanwhile counts too; what is due later does not.
    let sent = "insert into scheduled_messages (to_number, body, scheduled_at, status)
                values ('+13105550102', 'sent', clock_timestamp(), 'sent'),
                       ('+13105550103', 'later', now() + interval '1 hour', 'pending')";
    run(&world.unseen, sent).await;
    run(
        &world.unseen,
        "insert into punctual.instances (id, version, heartbeat_at, started_at) values (gen_random_uuid(), 'x', now(), now())",
    )
    .await;
    assert_eq!(processed(world, true).await, "1||");
    let due = "select id from scheduled_messages where status = 'pending' and scheduled_at < now()";
    let id: Uuid = one(&world.user, due).await;
    let said = listening
        .said("select process_scheduled_messages_safe()")
        .await;
    assert!(said.contains(&format!("ids {id}")), "{said:?}");

    let world = &listening.world;
    run(
        &world.user,
        "update punctual.settings set campaign_open_from = '{}', campaign_open_until = '{}'",
    )
    .await;
    run(&world.user, insert).await;
    let closed = "0||Outside business hours (mon-fri 09:00-20:00 America/Los_Angeles)";
    assert_eq!(processed(world, true).await, closed);
    assert_eq!(processed(world, false).await, "1||");
}

/// A role that has no right on schema punctual, as all of an app's.
#[tokio::test]
async fn an_apps_role_may_use_what_it_is_granted_in_its_own_schema() {
    let world = World::new().await;
    run(
        &world.user,
        "insert into scheduled_messages (to_number, body, scheduled_at, status, sent_at)
         values ('+13105550101', 'next', now() + interval '1 hour', 'pending', null),
                ('+13105550102', 'sent', now(), 'sent', now());
         create role campaign_app;
         grant usage on schema public to campaign_app;
         grant select on scheduled_messages, business_hours_status, scheduled_messages_pst, sent_today_pst to campaign_app;
         grant execute on function is_business_hours(), is_business_hours(uuid, timestamptz), process_scheduled_messages(),
                                   process_scheduled_messages_safe() to campaign_app;
         grant execute on function punctual.process_due(), punctual.process_safely() to campaign_app;
         alter table scheduled_messages enable row level security;
         create policy own on scheduled_messages for all to campaign_app using (true)",
    )
    .await;
    let app = world.db.client().await;
    run(&app, "set role campaign_app").await;
    for (sql, n) in [
        ("select count(*) from business_hours_status", 1_i64),
        (
            "select count(*) from (select * from scheduled_messages_pst) m",
            1,
        ),
        ("select count(*) from (select * from sent_today_pst) m", 1),
        (
            "select count(*) from (select is_business_hours(), is_business_hours(gen_random_uuid(), now())) m",
            1,
        ),
        ("select count(*) from process_scheduled_messages()", 1),
        ("select count(*) from process_scheduled_messages_safe()", 1),
    ] {
        assert_eq!(one::<i64>(&app, sql).await, n, "{sql}");
    }
    run(&app, "reset role").await;
    run(
        &world.user,
        "drop owned by campaign_app; drop role campaign_app",
    )
    .await;
}

/// Ours beside an app's own would make the app's calls ambiguous.
#[tokio::test]
async fn names_that_the_app_has_taken_are_left_to_it() {
    let db = TestDb::empty().await;
    let user = db.client().await;
    run(
        &user,
        "create function is_business_hours(at timestamptz default now()) returns boolean language sql as 'select true';
         create function process_scheduled_messages(batch int default 50) returns int language sql as 'select batch';
         create view scheduled_messages_pst as select 'punctual.mine' as whose",
    )
    .await;
    for _ in 0..2 {
        Migrator::embedded().run(db.dsn()).await.unwrap();
        assert!(one::<bool>(&user, "select is_business_hours()").await);
        assert_eq!(
            one::<i32>(&user, "select process_scheduled_messages()").await,
            50
        );
        let whose: String = one(&user, "select whose from scheduled_messages_pst").await;
        assert_eq!(whose, "punctual.mine");
    }
    // Those that are free are there.
    let there: i64 = one(
        &user,
        "select count(*) from (select to_regprocedure('is_business_hours(uuid, timestamptz)'),
                                      to_regprocedure('process_scheduled_messages_safe()'), to_regclass('sent_today_pst')) t (a, b, c)
          where num_nulls(a, b, c) = 0",
    )
    .await;
    assert_eq!(there, 1);
}
