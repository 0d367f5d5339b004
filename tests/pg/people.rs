//! What is known of users and templates, as the app's tables have it, whatever their shape.

use jiff::civil;
use punctual::message::ProviderCapabilities;
use punctual::message::facts::{Event, Priority, QuietHours, Switch};
use punctual::message::{Capabilities, Facts, Moment};
use punctual::policy::{self, Verdict};
use punctual::store::Migrator;

use crate::harness::TestDb;
use crate::ours::{rules, store, won};
use crate::rows::{World, one, run};

const USER: &str = "11111111-1111-1111-1111-111111111111";

async fn facts(world: &World, columns: &str, values: &str) -> Facts {
    let id = world.row_with("pending", columns, values).await;
    won(&store(world), &[id]).await.remove(0).facts
}

#[tokio::test]
async fn what_the_tables_say_comes_with_the_claim() {
    let world = World::new().await;
    run(
        &world.user,
        &format!(
            "insert into user_sms_preferences (user_id, phone_verified, task_reminders, event_reminders_enabled,
                                               daily_brief_sms, quiet_hours_start, quiet_hours_end)
             values ('{USER}', true, true, null, true, '22:30:00.5', '24:00');
             insert into task_calendar_events (calendar_event_id, user_id, event_start)
             values ('e', '{USER}', '2030-01-01 00:00:00+00');
             insert into sms_templates (id, template_key, message_template, required_vars)
             values ('{USER}', 'hello', 'Hello {{{{name}}}}', '[\"name\"]')"
        ),
    )
    .await;
    let all = ", user_id, timezone, message_type, priority, template_id, template_vars, calendar_event_id, event_start";
    let values = format!(
        ", '{USER}', 'Europe/Berlin', 'event_reminder', 'urgent', '{USER}', '{{\"name\": \"Ada\"}}', 'e', '2031-01-01'"
    );
    let facts = facts(&world, all, &values).await;
    assert_eq!(facts.user_id, Some(USER.parse().unwrap()));
    assert_eq!(facts.priority, Priority::Urgent);
    assert_eq!(facts.timezone.as_deref(), Some("Europe/Berlin"));
    assert_eq!(facts.message_type.as_deref(), Some("event_reminder"));
    assert_eq!(facts.template_vars.as_deref(), Some(r#"{"name": "Ada"}"#));
    let template = facts.template.unwrap();
    assert_eq!(
        (
            template.name.as_str(),
            template.text.as_str(),
            template.max_length
        ),
        ("hello", "Hello {{name}}", Some(160))
    );
    assert_eq!(template.required_vars.as_deref(), Some(r#"["name"]"#));
    assert!(template.is_active);
    let begins = Moment::from_micros(1_893_456_000_000_000);
    assert_eq!(facts.event, Event::Begins(begins), "the calendar's word");
    let chosen = facts.preferences.unwrap();
    assert!(chosen.phone_verified && !chosen.opted_out);
    assert_eq!(
        chosen.off,
        [Switch::MorningKickoff, Switch::EveningRecap, Switch::NextUp]
    );
    assert_eq!(
        chosen.quiet_hours,
        Some(QuietHours {
            start: civil::time(22, 30, 0, 500_000_000),
            end: civil::Time::midnight(),
        })
    );
    // That of the installation.
    assert_eq!(chosen.timezone, None);
}

#[tokio::test]
async fn of_whom_nothing_is_known_nothing_is_returned() {
    let world = World::new().await;
    let at = |facts: &Facts| Facts {
        scheduled_at: facts.scheduled_at,
        ..Facts::default()
    };
    let none = facts(&world, "", "").await;
    assert_eq!(none, at(&none));
    // A user without preferences, an event of another calendar, a template that is gone.
    let some = facts(
        &world,
        ", user_id, calendar_event_id, event_start, template_vars, template_id",
        &format!(", '{USER}', 'x', '2030-01-01 00:00:00+00', '{{}}', null"),
    )
    .await;
    assert!(some.preferences.is_none() && some.template.is_none());
    let begins = Moment::from_micros(1_893_456_000_000_000);
    assert_eq!(some.event, Event::Missing(Some(begins)));
}

/// What is null is what the policy takes it for, and never an answer that is neither.
#[tokio::test]
async fn whether_texts_can_reach_a_user_is_yes_or_no() {
    for (columns, values, expected) in [
        ("phone_verified, opted_out", "true, null", "t +1 t f"),
        ("phone_verified, opted_out", "null, false", "f +1 f f"),
        ("phone_verified, opted_out", "null, true", "f +1 f t"),
    ] {
        let world = World::new().await;
        run(
            &world.user,
            &format!("insert into user_sms_preferences (user_id, phone_number, {columns}) values ('{USER}', '+1', {values})"),
        )
        .await;
        let info: String = one(
            &world.user,
            &format!(
                "select format('%s %s %s %s', has_sms_available, phone_number, phone_verified, opted_out)
                   from get_user_sms_channel_info('{USER}')"
            ),
        )
        .await;
        assert_eq!(info, expected, "{values}");
    }
}

/// The app's tables before ours, with columns of their own, and changed under a running daemon.
#[tokio::test]
async fn tables_of_another_shape_are_read_as_far_as_they_can_be() {
    let world = World::new().await;
    run(
        &world.user,
        &format!(
            "drop table user_sms_preferences, task_calendar_events;
             alter table scheduled_messages drop constraint scheduled_messages_template_id_fkey;
             drop table sms_templates;
             create table user_sms_preferences (user_id text, opted_out text, quiet_hours_start text,
                                                quiet_hours_end text, daily_sms_limit bigint, timezone varchar(40));
             insert into user_sms_preferences values ('{USER}', 'yes', '22:00', '8 in the morning', 3, 'UTC'),
                                                     ('{USER}', null, null, null, 9, null);
             create table task_calendar_events (calendar_event_id varchar(20), user_id uuid, event_start timestamp);
             insert into task_calendar_events values ('e', '{USER}', '2030-01-01');
             create table sms_templates (id uuid, name text, message_template text, required_vars text);
             insert into sms_templates values ('{USER}', 'old', 'Hi', 'name')"
        ),
    )
    .await;
    let all = ", user_id, calendar_event_id, template_id, template_vars";
    let values = format!(", '{USER}', 'e', '{USER}', '{{}}'");
    let store = store(&world);
    let claimed = async || {
        let id = world.row_with("pending", all, &values).await;
        won(&store, &[id]).await.remove(0).facts
    };
    let read = claimed().await;
    let chosen = read.preferences.unwrap();
    assert!(chosen.opted_out && chosen.phone_verified && chosen.off.is_empty());
    assert_eq!(
        (chosen.quiet_hours, chosen.timezone.as_deref()),
        (None, Some("UTC"))
    );
    // Whose time zone the calendar has is unknown.
    assert_eq!(read.event, Event::None);
    let template = read.template.unwrap();
    assert_eq!(
        (template.text.as_str(), template.required_vars),
        ("Hi", None)
    );

    // Counted by the limit all the same, and by the same prepared statement as before.
    run(
        &world.user,
        "alter table user_sms_preferences drop column opted_out",
    )
    .await;
    assert!(matches!(
        claimed().await.limit,
        punctual::message::facts::Limit::Taken { .. }
    ));
    run(
        &world.user,
        "drop table user_sms_preferences, task_calendar_events, sms_templates;
         create table user_sms_preferences (id int); create view sms_templates as select 1 as id",
    )
    .await;
    let read = claimed().await;
    assert!(read.preferences.is_none() && read.template.is_none());
}

#[tokio::test]
async fn migrate_adds_what_an_app_lacks_and_holds_nobody_up() {
    let db = TestDb::empty().await;
    let client = db.client().await;
    client
        .batch_execute(&format!(
            "create table user_sms_preferences (user_id uuid primary key, opted_out boolean, extra text not null);
             insert into user_sms_preferences values ('{USER}', null, 'mine');
             create function get_user_sms_channel_info(who uuid) returns int language sql as 'select 1';
             create function is_business_hours() returns boolean language sql as 'select true';
             create view business_hours_status as select 'mine' as whose;
             create table task_calendar_events (calendar_event_id text, user_id uuid, sync_status text);
             insert into task_calendar_events values ('e', '{USER}', 'whatever')"
        ))
        .await
        .unwrap();
    Migrator::embedded().run(db.dsn()).await.unwrap();
    assert_eq!(
        one::<i32>(
            &client,
            &format!("select get_user_sms_channel_info('{USER}')")
        )
        .await,
        1
    );
    assert!(one::<bool>(&client, "select is_business_hours()").await);
    assert!(one::<bool>(&client, "select is_business_hours(now())").await);
    let kept: String = one(
        &client,
        "select format('%s %s %s %s %s', extra, opted_out, phone_verified, quiet_hours_start, daily_sms_limit)
           from user_sms_preferences",
    )
    .await;
    assert_eq!(kept, "mine  t  ");
    let new: String = one(
        &client,
        "insert into user_sms_preferences (user_id, extra) values (gen_random_uuid(), '')
         returning format('%s %s %s', quiet_hours_start, quiet_hours_end, daily_sms_limit)",
    )
    .await;
    assert_eq!(new, "21:00:00 08:00:00 10");
    // The app's words stay.
    run(
        &client,
        "insert into task_calendar_events values ('f', null, 'its own')",
    )
    .await;
    assert!(Migrator::embedded().check(db.dsn()).await.is_ok());
}

#[tokio::test]
async fn opting_out_cancels_what_is_pending_in_that_transaction() {
    let world = World::new().await;
    let of_user = format!(", '{USER}'");
    let waiting = world.row_with("pending", ", user_id", &of_user).await;
    let sending = world.row_with("pending", ", user_id", &of_user).await;
    let others = world.row("pending").await;
    won(&store(&world), &[sending]).await;
    run(
        &world.user,
        &format!(
            "insert into user_sms_preferences (user_id, phone_verified) values ('{USER}', true)"
        ),
    )
    .await;
    run(
        &world.unseen,
        "create role chooser_only; grant select, update on user_sms_preferences to chooser_only",
    )
    .await;
    run(
        &world.user,
        "set role chooser_only; begin; update user_sms_preferences set opted_out = true; rollback",
    )
    .await;
    assert_eq!(world.status(waiting).await, "pending");
    run(
        &world.user,
        "update user_sms_preferences set opted_out = true; reset role",
    )
    .await;
    assert_eq!(world.status(waiting).await, "cancelled");
    let why: String = world.get(waiting, "cancel_reason").await;
    assert_eq!(why, "the recipient has opted out");
    assert_eq!(world.status(others).await, "pending");
    let note: String = one(
        &world.unseen,
        &format!("select note from punctual.notes where message_id = '{sending}'"),
    )
    .await;
    assert_eq!(
        note,
        "the recipient has opted out; too late, it was being sent"
    );
    let info: String = one(
        &world.user,
        &format!("select format('%s %s', has_sms_available, opted_out) from get_user_sms_channel_info('{USER}')"),
    )
    .await;
    assert_eq!(info, "f t");
    // What comes later is stopped at its claim, with the same words.
    let later = world.row_with("pending", ", user_id", &of_user).await;
    let claim = won(&store(&world), &[later]).await.remove(0);
    let Verdict::Cancel { reason } = policy::judge(
        &claim,
        &rules(),
        &ProviderCapabilities::all(Capabilities::SENDS_ONLY),
        claim.due,
    ) else {
        panic!("not cancelled");
    };
    assert_eq!(reason.text, why);
    run(
        &world.unseen,
        "drop owned by chooser_only; drop role chooser_only",
    )
    .await;
}

#[tokio::test]
async fn two_under_way_may_not_have_one_key_and_what_has_ended_gives_it_free() {
    let world = World::new().await;
    let insert = "insert into scheduled_messages (to_number, body, scheduled_at, dedup_key)
                  values ('+13105550100', 'hello', now() + interval '1 day', 'k')";
    run(&world.user, insert).await;
    let twice = world.user.batch_execute(insert).await.unwrap_err();
    assert_eq!(twice.code().unwrap().code(), "23505");
    run(
        &world.user,
        "update scheduled_messages set status = 'cancelled'",
    )
    .await;
    run(&world.user, insert).await;

    // Where there are two already, migrate goes on, and builds it once there are not.
    run(&world.unseen, "drop index scheduled_messages_dedup_key").await;
    run(&world.user, insert).await;
    let migrator = Migrator::embedded();
    let report = migrator.run(world.db.dsn()).await.unwrap();
    assert!(report.indexes.is_empty(), "{report:?}");
    let there = "select count(*) from pg_class where relname = 'scheduled_messages_dedup_key'";
    assert_eq!(one::<i64>(&world.unseen, there).await, 0);
    run(&world.user, "delete from scheduled_messages").await;
    let report = migrator.run(world.db.dsn()).await.unwrap();
    assert_eq!(report.indexes, ["scheduled_messages_dedup_key"]);
}

/// A template without variables needs neither a text of its own nor variables.
#[tokio::test]
async fn a_message_without_a_text_has_that_of_its_template() {
    let world = World::new().await;
    let make = "insert into sms_templates (template_key, name, message_template) values ('hello', 'Hello', 'Hello there')
                returning id";
    let template: uuid::Uuid = one(&world.user, make).await;
    let inserted: uuid::Uuid = one(
        &world.user,
        &format!(
            "insert into scheduled_messages (to_number, body, scheduled_at, template_id)
             values ('+13105550100', '', now(), '{template}') returning id"
        ),
    )
    .await;
    let claim = won(&store(&world), &[inserted]).await.remove(0);
    assert_eq!(crate::ours::cleared(&claim).body(), "Hello there");
    // With a text it has that; without a template it has none.
    let own: Option<String> = one(
        &world.user,
        &format!(
            "insert into scheduled_messages (to_number, body, scheduled_at, template_id)
             values ('+13105550100', 'my own', now(), '{template}') returning template_vars::text"
        ),
    )
    .await;
    assert_eq!(own, None);
    let empty = "insert into scheduled_messages (to_number, body, scheduled_at) values ('+13105550100', '', now())
                 returning template_vars::text";
    assert_eq!(one::<Option<String>>(&world.user, empty).await, None);
}

/// The number of the preferences, the zone of the app's own table of users, and who has made the message, whatever the
/// types of the columns are.
#[tokio::test]
async fn a_users_number_and_zone_come_with_the_claim() {
    let world = World::new().await;
    run(
        &world.user,
        &format!(
            "create table users (id uuid primary key, timezone text);
             insert into users values ('{USER}', 'Asia/Tokyo');
             insert into user_sms_preferences (user_id, phone_number, phone_verified, quiet_hours_start)
             values ('{USER}', '+13105550100', true, null);
             insert into task_calendar_events (calendar_event_id, user_id) values ('e', '{USER}')"
        ),
    )
    .await;
    for types in [
        "",
        "alter table user_sms_preferences alter user_id type text using user_id::text",
    ] {
        run(&world.user, types).await;
        let id = world
            .row_with(
                "pending",
                ", user_id, calendar_event_id",
                &format!(", '{USER}', 'e'"),
            )
            .await;
        let mut of = won(&store(&world), &[id]).await.remove(0).facts;
        let own = of.preferences.take().unwrap();
        assert_eq!(own.phone_number.as_deref(), Some("+13105550100"));
        assert_eq!(of.account_timezone.as_deref(), Some("Asia/Tokyo"));
        assert!(!of.is_planned);
        run(
            &world.unseen,
            &format!(
                "delete from punctual.planned;
                 insert into punctual.planned (user_id, calendar_event_id, message_id, starts_at) values ('{USER}', 'e', '{id}', now());
                 update scheduled_messages set status = 'pending' where id = '{id}'"
            ),
        )
        .await;
        let of = won(&store(&world), &[id]).await.remove(0).facts;
        assert!(of.is_planned);
    }
    let local = "select timezone from scheduled_messages_local limit 1";
    world
        .row_with("pending", ", user_id", &format!(", '{USER}'"))
        .await;
    assert_eq!(one::<String>(&world.user, local).await, "Asia/Tokyo");
}
