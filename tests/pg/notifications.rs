//! Notifications: an event, what is sent of it to whom, and how far that has come.

use punctual::message::facts::{QuietHours, TypeHours};
use punctual::store::{Migrator, Preset};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::ours::{accepted, claim, recorded, store, won};
use crate::rows::{World, one, run, said, until};

mod costs;
mod own_jobs;
mod worlds;

/// The app's tables, as its own papers have them.
const PAPERS: &str = include_str!("presets/notifications.sql");

const ADA: &str = "11111111-1111-4111-8111-111111111111";
const BEN: &str = "22222222-2222-4222-8222-222222222222";
const EVE: &str = "33333333-3333-4333-8333-333333333333";

/// Ada can be reached by every channel; Ben has no e-mail and a number that is not verified; Eve is an administrator.
const USERS: &str = "
  insert into users (id, email, is_admin) values ('11111111-1111-4111-8111-111111111111', 'ada@example.com', false),
    ('22222222-2222-4222-8222-222222222222', null, null), ('33333333-3333-4333-8333-333333333333', null, true);
  insert into user_sms_preferences (user_id, phone_number, phone_verified, quiet_hours_start, quiet_hours_end)
  values ('11111111-1111-4111-8111-111111111111', '+13105550101', true, null, null),
         ('22222222-2222-4222-8222-222222222222', '+13105550102', false, null, null);
  insert into punctual_api.push_subscriptions (user_id, endpoint, p256dh, auth)
  values ('11111111-1111-4111-8111-111111111111', 'https://push.example/1', repeat('B', 87), repeat('A', 22))";

async fn world() -> World {
    let world = World::new().await;
    let users = "create table users (id uuid primary key default gen_random_uuid(), email text, is_admin boolean)";
    run(&world.user, users).await;
    migrate(&world).await;
    run(&world.user, USERS).await;
    world
}

async fn migrate(world: &World) {
    let buildos = Migrator::embedded().with_preset(Preset::named("buildos"));
    buildos.run(world.db.dsn()).await.unwrap();
}

/// Emits an event, with these further arguments; returns its id.
async fn emit(client: &Client, kind: &str, payload: &str, more: &str) -> Uuid {
    let sql =
        format!("select emit_notification_event('{kind}', p_payload => '{payload}'::jsonb {more})");
    one(client, &sql).await
}

/// What has become of an event: each delivery, in the order of channels and users.
async fn deliveries(world: &World, event: Uuid, what: &str) -> String {
    let sql = format!(
        "select coalesce(string_agg(concat_ws(' ', {what}), ', ' order by channel, recipient_user_id), '')
           from notification_deliveries where event_id = '{event}'"
    );
    one(&world.unseen, &sql).await
}

/// The only delivery of an event by this channel, and its message.
async fn delivery(world: &World, event: Uuid, channel: &str) -> (Uuid, Uuid) {
    let sql = format!(
        "select d.id, r.message_id from notification_deliveries d
           join punctual.source_rows r on r.source = 'buildos_deliveries' and r.key = d.id::text
          where d.event_id = '{event}' and d.channel = '{channel}'"
    );
    let row = world.unseen.query_one(&sql, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

async fn is(world: &World, delivery: Uuid, what: &str) -> String {
    let sql = format!(
        "select concat_ws(' ', {what}) from notification_deliveries where id = '{delivery}'"
    );
    one(&world.unseen, &sql).await
}

/// Why a statement is refused.
async fn refused(client: &Client, sql: &str) -> String {
    match client.batch_execute(sql).await {
        Err(error) => said(&error),
        Ok(()) => panic!("not refused: {sql}"),
    }
}

async fn columns(world: &World, table: &str) -> Vec<String> {
    let sql = format!(
        "select array_agg(attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull || ' '
                          || coalesce(pg_get_expr(adbin, adrelid), '-') order by attnum)
           from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
          where attrelid = '{table}'::regclass and attnum > 0"
    );
    one(&world.unseen, &sql).await
}

#[tokio::test]
async fn the_tables_are_those_of_the_papers_and_those_of_an_app_get_what_they_lack() {
    let world = world().await;
    let theirs = World::new().await;
    let users = "create table users (id uuid primary key default gen_random_uuid(), email text, is_admin boolean)";
    run(&theirs.user, &format!("{users}; {PAPERS}")).await;
    let had = "insert into users (id) values ('11111111-1111-4111-8111-111111111111');
      insert into notification_deliveries (recipient_user_id, channel) values ('11111111-1111-4111-8111-111111111111', 'sms')";
    run(&theirs.user, had).await;
    let tables = [
        "notification_events",
        "notification_subscriptions",
        "user_notification_preferences",
        "notification_deliveries",
    ];
    for table in tables {
        let (ours, papers) = (columns(&world, table).await, columns(&theirs, table).await);
        assert_eq!(ours[..papers.len()], papers, "{table}");
    }
    migrate(&theirs).await;
    migrate(&theirs).await;
    let refers = "select string_agg(concat_ws(' ', conrelid::regclass, conkey, confrelid::regclass, confdeltype), ', '
                          order by conrelid::regclass::text, conkey)
                    from pg_constraint where contype = 'f' and conrelid::regclass::text like '%notification%'";
    assert_eq!(
        one::<String>(&world.unseen, refers).await,
        one::<String>(&theirs.unseen, refers).await
    );
    for world in [&world, &theirs] {
        for table in tables {
            assert_eq!(
                columns(world, table).await,
                columns(&theirs, table).await,
                "{table}"
            );
        }
        run(
            &world.user,
            "update notification_deliveries set status = 'cancelled'",
        )
        .await;
        let event = emit(&world.user, "brain_dump.processed", "{}", "").await;
        assert_eq!(deliveries(world, event, "status").await, "");
    }
    assert_eq!(theirs.tally().await, "", "what was there has no time");
}

#[tokio::test]
async fn an_event_goes_to_whom_it_concerns_by_the_channels_that_they_want() {
    let world = world().await;
    let subscribe = "select subscribe_to_notifications()";
    assert_eq!(one::<i64>(&world.user, subscribe).await, 6);
    assert_eq!(one::<i64>(&world.user, subscribe).await, 0);
    let defaults = "select count(*) from user_notification_preferences
                     where push_enabled and email_enabled and not sms_enabled and in_app_enabled and priority = 'normal'";
    assert_eq!(one::<i64>(&world.unseen, defaults).await, 6);
    let choose = format!(
        "update user_notification_preferences set sms_enabled = true, priority = 'urgent' where user_id <> '{EVE}'"
    );
    run(&world.user, &choose).await;
    let event = emit(
        &world.user,
        "brief.completed",
        r#"{"title": "Brief", "body": "Ready"}"#,
        "",
    )
    .await;
    let what = "channel, status, coalesce(cancel_reason, channel_identifier)";
    assert_eq!(
        deliveries(&world, event, what).await,
        format!(
            "email pending ada@example.com, email cancelled no_address, email cancelled no_address, in_app pending {ADA}, \
             in_app pending {BEN}, in_app pending {EVE}, push pending https://push.example/1, sms pending +13105550101, \
             sms cancelled phone_not_verified"
        )
    );
    let (id, message) = delivery(&world, event, "push").await;
    assert_eq!(
        is(
            &world,
            id,
            "subscription_id is not null, payload ->> 'title'"
        )
        .await,
        "t Brief"
    );
    let columns =
        "concat_ws(' ', channel, to_number, user_id, message_type, priority, subject, body)";
    assert_eq!(
        world.get::<String>(message, columns).await,
        format!("push https://push.example/1 {ADA} brief.completed urgent Brief Ready")
    );

    // To one alone, at its time; and nothing, where nothing is said.
    let later = format!(", p_target_user_id => '{ADA}', p_scheduled_for => '2035-01-01 00:00Z'");
    let event = emit(
        &world.user,
        "brief.completed",
        r#"{"message": "Later"}"#,
        &later,
    )
    .await;
    assert_eq!(
        deliveries(
            &world,
            event,
            "channel, extract(year from scheduled_for at time zone 'UTC')"
        )
        .await,
        "email 2035, in_app 2035, push 2035, sms 2035"
    );
    let (_, message) = delivery(&world, event, "sms").await;
    assert!(
        world
            .get::<bool>(message, "scheduled_at = '2035-01-01 00:00Z'")
            .await
    );
    let event = emit(
        &world.user,
        "brief.failed",
        "{}",
        &format!(", p_target_user_id => '{EVE}'"),
    )
    .await;
    assert_eq!(
        deliveries(&world, event, "channel, cancel_reason").await,
        "email no_address, in_app no_text"
    );
}

#[tokio::test]
async fn a_subscription_may_be_for_administrators_or_off_or_filtered_and_an_event_stays() {
    let world = world().await;
    let subscriptions = format!(
        "insert into notification_subscriptions (user_id, event_type, is_active, admin_only, filters)
         values ('{ADA}', 'error.critical', true, true, null), ('{EVE}', 'error.critical', true, true, null),
                ('{BEN}', 'error.critical', false, false, null),
                ('{ADA}', 'task.due_soon', true, false, '{{\"project\": \"x\", \"days\": {{\"$lte\": 3}}}}');
         update user_notification_preferences set push_enabled = false, email_enabled = false, sms_enabled = false"
    );
    run(&world.user, &subscriptions).await;
    for (kind, payload, to) in [
        ("error.critical", r#"{"text": "x"}"#, EVE),
        (
            "task.due_soon",
            r#"{"text": "x", "project": "x", "days": 3}"#,
            ADA,
        ),
        (
            "task.due_soon",
            r#"{"text": "x", "project": "x", "days": 4}"#,
            "",
        ),
        ("task.due_soon", r#"{"text": "x", "project": "x"}"#, ""),
        ("user.signup", r#"{"text": "x"}"#, ""),
    ] {
        let event = emit(&world.user, kind, payload, "").await;
        assert_eq!(
            deliveries(&world, event, "recipient_user_id").await,
            to,
            "{kind}: {payload}"
        );
    }

    // What has happened stays, without users that are gone; what is sent to these is not.
    let why = refused(&world.user, "update notification_events set payload = '{}'").await;
    assert!(why.contains("PT409"), "{why}");
    let gone = format!("delete from users where id = '{ADA}'");
    run(&world.user, &gone).await;
    let left = format!(
        "select concat_ws(' ', (select count(*) from notification_events), (select count(*) from notification_deliveries
           where recipient_user_id = '{ADA}'), (select count(*) from scheduled_messages where user_id = '{ADA}'))"
    );
    assert_eq!(one::<String>(&world.unseen, &left).await, "5 0 0");
}

#[tokio::test]
async fn what_is_not_understood_is_refused_when_it_is_written() {
    let world = world().await;
    let filter = |filters: &str| {
        format!(
            "insert into notification_subscriptions (user_id, event_type, filters) values ('{ADA}', 'a.b', '{filters}')"
        )
    };
    let preferences = |set: &str| format!("update user_notification_preferences set {set}");
    run(&world.user, &filter("{}")).await;
    let again = "delete from notification_subscriptions";
    for (sql, why) in [
        (
            filter(r#"{"x": {"$foo": 1}}"#),
            "\"$foo\" of \"x\" is not understood",
        ),
        (filter(r#"{"x": {"$in": 1}}"#), "\"$in\" of \"x\""),
        (filter(r#"{"x": {"y": {"$in": [1]}}}"#), "directly below"),
        (filter(r#"{"$or": []}"#), "\"$or\" is no field"),
        (filter("[]"), "filters must be an object"),
        (
            preferences("batch_enabled = true"),
            "batch_interval_minutes",
        ),
        (preferences("max_per_day = -1"), "max_per_day"),
        (preferences("timezone = 'Mars/Base'"), "timezone"),
        (
            "select emit_notification_event('Brief')".into(),
            "p_event_type",
        ),
        (
            "select emit_notification_event('a.b', 'me')".into(),
            "p_event_source",
        ),
        (
            "select emit_notification_event('a.b', p_payload => '[]')".into(),
            "p_payload",
        ),
        (
            "select emit_notification_event('a.b', p_scheduled_for => 'infinity')".into(),
            "p_scheduled_for",
        ),
        (
            "select preview_notification('a.b', 'fax')".into(),
            "channel",
        ),
    ] {
        let why_not = refused(&world.user, &sql).await;
        assert!(
            why_not.contains(why) && why_not.contains("PT422"),
            "{sql}: {why_not}"
        );
    }
    for (filters, payload, holds) in [
        (r#"{"a": {"b": 1}}"#, r#"{"a": {"b": 1, "c": 2}}"#, true),
        (r#"{"a": [1]}"#, r#"{"a": [2, 1]}"#, true),
        (r#"{"a": {"$in": [1, "x"]}}"#, r#"{"a": "x"}"#, true),
        (r#"{"a": {"$in": [1, "x"]}}"#, "{}", false),
        (r#"{"a": {"$ne": 1}}"#, "{}", true),
        (r#"{"a": {"$exists": true}}"#, r#"{"a": null}"#, true),
        (r#"{"a": {"$exists": false}}"#, r#"{"a": null}"#, false),
        (r#"{"a": {"$gt": 1, "$lt": 3}}"#, r#"{"a": 2}"#, true),
        (r#"{"a": {"$gt": 1, "$lt": 3}}"#, r#"{"a": 3}"#, false),
        (r#"{"a": {"$gte": 9}}"#, r#"{"a": "9"}"#, false),
        (
            r#"{"a": {"$gte": "2030-01-01"}}"#,
            r#"{"a": "2030-02-01"}"#,
            true,
        ),
    ] {
        run(&world.user, &format!("{again}; {}", filter(filters))).await;
        let ask = format!(
            "select punctual.filter_holds(filters, '{payload}') from notification_subscriptions"
        );
        assert_eq!(
            one::<bool>(&world.unseen, &ask).await,
            holds,
            "{filters} {payload}"
        );
    }
    // One that an earlier program has let in wants nothing.
    let ask = r#"select punctual.filter_holds('{"a": {"$foo": 1}}', '{"a": 1}')"#;
    assert!(!one::<bool>(&world.unseen, ask).await);
}

/// Subscribes Ada to a type of events, with these preferences.
async fn subscribe(world: &World, kind: &str, preferences: &str) {
    let sql = format!(
        "insert into notification_subscriptions (user_id, event_type) values ('{ADA}', '{kind}');
         update user_notification_preferences set push_enabled = false, email_enabled = false, in_app_enabled = false
          where user_id = '{ADA}' and event_type = '{kind}';
         update user_notification_preferences set {preferences} where user_id = '{ADA}' and event_type = '{kind}'"
    );
    run(&world.user, &sql).await;
}

const PROGRESS: &str = "status, sent_at is not null, delivered_at is not null, opened_at is not null, clicked_at is not null";

#[tokio::test]
async fn a_delivery_follows_its_message_and_never_goes_back() {
    let world = world().await;
    let (store, daemon) = (store(&world), world.daemon().await);
    subscribe(&world, "brief.completed", "sms_enabled = true").await;
    let say = r#"{"body": "Ready"}"#;
    let event = emit(&world.user, "brief.completed", say, "").await;
    let (id, message) = delivery(&world, event, "sms").await;
    let opened = format!("select mark_opened('{id}')");
    let clicked = format!("select punctual.delivery_progress('{id}', 'clicked')");
    assert!(!one::<bool>(&world.user, &opened).await, "it was not sent");
    let claim = won(&store, &[message]).await.remove(0);
    assert_eq!(
        is(&world, id, PROGRESS).await,
        "pending f f f f",
        "nothing is written in the claim"
    );
    // A click before the outcome is recorded.
    assert!(one::<bool>(&world.user, &clicked).await);
    assert!(!one::<bool>(&world.user, &clicked).await);
    assert_eq!(is(&world, id, PROGRESS).await, "pending f f t t");
    recorded(&store, &[accepted(&claim)]).await;
    store.write_back(10).await.unwrap();
    assert_eq!(is(&world, id, PROGRESS).await, "clicked t f t t");
    assert_eq!(
        is(&world, id, "external_id like 'SM%', attempts, last_error").await,
        "t 1"
    );
    let arrives = |message: Uuid| {
        format!(
            "update scheduled_messages set status = 'delivered', delivered_at = now() where id = '{message}'"
        )
    };
    run(&daemon, &arrives(message)).await;
    store.write_back(10).await.unwrap();
    assert_eq!(is(&world, id, PROGRESS).await, "clicked t t t t");
    for back in ["sent", "delivered", "opened", "failed", "bounced"] {
        run(
            &world.user,
            &format!("update notification_deliveries set status = '{back}' where id = '{id}'"),
        )
        .await;
        assert_eq!(is(&world, id, PROGRESS).await, "clicked t t t t", "{back}");
    }
    assert!(!one::<bool>(&world.user, &opened).await);

    // In order.
    let event = emit(&world.user, "brief.completed", say, "").await;
    let (id, message) = delivery(&world, event, "sms").await;
    let claim = won(&store, &[message]).await.remove(0);
    recorded(&store, &[accepted(&claim)]).await;
    store.write_back(10).await.unwrap();
    assert_eq!(is(&world, id, PROGRESS).await, "sent t f f f");
    run(&daemon, &arrives(message)).await;
    store.write_back(10).await.unwrap();
    assert_eq!(is(&world, id, PROGRESS).await, "delivered t t f f");
    assert!(one::<bool>(&world.user, &format!("select mark_opened('{id}')")).await);
    assert_eq!(is(&world, id, PROGRESS).await, "opened t t t f");
    assert!(
        one::<bool>(
            &world.user,
            &format!("select punctual.delivery_progress('{id}', 'clicked')")
        )
        .await
    );
    assert_eq!(is(&world, id, PROGRESS).await, "clicked t t t t");
    let left: i64 = one(&world.unseen, "select count(*) from punctual.source_writes").await;
    assert_eq!(left, 0);
}

#[tokio::test]
async fn what_does_not_arrive_says_why_and_may_be_sent_again() {
    let world = world().await;
    let (store, daemon) = (store(&world), world.daemon().await);
    subscribe(
        &world,
        "brief.completed",
        "sms_enabled = true, email_enabled = true",
    )
    .await;
    let event = emit(&world.user, "brief.completed", r#"{"body": "Ready"}"#, "").await;
    let (email, mail) = delivery(&world, event, "email").await;
    let (sms, text) = delivery(&world, event, "sms").await;
    won(&store, &[mail]).await;
    let bounces = format!(
        "update scheduled_messages set status = 'failed', error_code = 550, error_message = 'no such user' where id = '{mail}'"
    );
    run(&daemon, &bounces).await;
    let settled = "update punctual.attempts set outcome = 'refused', finished_at = now()";
    run(&world.unseen, settled).await;
    store.write_back(10).await.unwrap();
    let why = "status, failed_at is not null, error_code, last_error";
    assert_eq!(is(&world, email, why).await, "bounced t 550 no such user");
    run(
        &world.user,
        &format!("update scheduled_messages set status = 'pending' where id = '{mail}'"),
    )
    .await;
    store.write_back(10).await.unwrap();
    assert_eq!(is(&world, email, why).await, "pending f");
    let claim = won(&store, &[mail]).await.remove(0);
    recorded(&store, &[accepted(&claim)]).await;
    store.write_back(10).await.unwrap();
    assert_eq!(is(&world, email, "status").await, "sent");

    // Whoever opts out, and whatever the app cancels.
    run(
        &world.user,
        "update user_sms_preferences set opted_out = true",
    )
    .await;
    assert_eq!(world.status(text).await, "cancelled");
    store.write_back(10).await.unwrap();
    let cancelled = "status, cancelled_at is not null, cancel_reason";
    assert_eq!(
        is(&world, sms, cancelled).await,
        "cancelled t the recipient has opted out"
    );
    let event = emit(&world.user, "brief.completed", r#"{"body": "Ready"}"#, "").await;
    assert_eq!(
        deliveries(&world, event, "channel, status, cancel_reason").await,
        "email pending, sms cancelled opted_out"
    );
    let (email, mail) = delivery(&world, event, "email").await;
    let cancel = "update notification_deliveries set status = 'cancelled', cancel_reason = 'not now' where status = 'pending'";
    run(&world.user, cancel).await;
    assert_eq!(world.status(mail).await, "cancelled");
    assert_eq!(is(&world, email, cancelled).await, "cancelled t not now");
}

#[tokio::test]
async fn an_app_that_sends_itself_writes_what_it_hears_to_both() {
    let world = world().await;
    let made = format!(
        "with d as (insert into notification_deliveries (recipient_user_id, channel) values ('{ADA}', 'sms') returning id)
         insert into sms_messages (user_id, phone_number, message_content, status, notification_delivery_id)
         select '{ADA}', '+13105550101', 'hello', 'sending', id from d returning id"
    );
    let message: Uuid = one(&world.user, &made).await;
    let both = "select concat_ws(' ', s.status, s.twilio_status, s.twilio_error_code, d.status, d.external_id, d.last_error)
                  from sms_messages s join notification_deliveries d on d.id = s.notification_delivery_id";
    for (sid, mapped, more, expected) in [
        ("SM1", "sent", "", "sent word sent SM1"),
        ("SM2", "failed", "", "sent word sent SM1"),
        ("SM1", "delivered", "", "delivered word delivered SM1"),
        ("SM1", "sent", "", "delivered word delivered SM1"),
        (
            "SM1",
            "failed",
            ", 30003, 'away'",
            "delivered word delivered SM1",
        ),
    ] {
        let call = format!(
            "select from update_sms_status_atomic('{message}', '{sid}', 'word', '{mapped}' {more})"
        );
        run(&world.user, &call).await;
        assert_eq!(
            one::<String>(&world.unseen, both).await,
            expected,
            "{sid} {mapped}"
        );
    }
    run(&world.user, "update sms_messages set status = 'sending'; update notification_deliveries set status = 'pending'").await;
    let call = format!(
        "select concat_ws(' ', attempt_count, max_attempts, priority, updated_sms, updated_delivery)
           from update_sms_status_atomic('{message}', 'SM1', 'undelivered', 'undelivered', 30003, 'away')"
    );
    assert_eq!(one::<String>(&world.user, &call).await, "0 3 normal t t");
    assert_eq!(
        one::<String>(&world.unseen, both).await,
        "undelivered undelivered 30003 failed SM1 away (Code: 30003)"
    );
    let wrong = format!("select from update_sms_status_atomic('{message}', 'SM1', 'x', 'gone')");
    let why = refused(&world.user, &wrong).await;
    assert!(why.contains("PT422"), "{why}");
}

/// An event of Ada's at this minute of a day in 2035.
fn at(minute: u32) -> String {
    format!(
        ", p_target_user_id => '{ADA}', p_scheduled_for => '2035-06-01 10:00Z'::timestamptz + interval '{minute} min'"
    )
}

#[tokio::test]
async fn what_comes_within_the_interval_is_one_delivery_with_the_template_of_a_digest() {
    let world = world().await;
    let batches = "sms_enabled = true, in_app_enabled = true, batch_enabled = true, batch_interval_minutes = 30";
    subscribe(&world, "task.due_soon", batches).await;
    let templates = "insert into sms_templates (template_key, name, message_template)
      values ('task_due_soon', 'one', '{{task}} is due'), ('task_due_soon_sms_digest', 'many', '{{count}} tasks: {{lines}}')";
    run(&world.user, templates).await;
    let task = |name: &str| format!(r#"{{"task": "{name}"}}"#);
    let first = emit(&world.user, "task.due_soon", &task("A"), &at(0)).await;
    let body = "channel, batched, body";
    assert_eq!(
        deliveries(&world, first, body).await,
        "in_app 1 A is due, sms 1 A is due"
    );
    for (name, minute) in [("B", 10), ("C", 29)] {
        let event = emit(&world.user, "task.due_soon", &task(name), &at(minute)).await;
        assert_eq!(
            deliveries(&world, event, body).await,
            "",
            "it is in the batch"
        );
    }
    let lines = "- A is due\n- B is due\n- C is due";
    assert_eq!(
        deliveries(&world, first, body).await,
        format!("in_app 3 {lines}, sms 3 3 tasks: {lines}")
    );
    let (id, message) = delivery(&world, first, "sms").await;
    assert_eq!(
        world.get::<String>(message, "body").await,
        format!("3 tasks: {lines}")
    );
    assert!(
        world
            .get::<bool>(message, "scheduled_at = '2035-06-01 10:30Z'")
            .await
    );
    assert_eq!(
        is(
            &world,
            id,
            "payload -> 'count', jsonb_array_length(payload -> 'events')"
        )
        .await,
        "3 3"
    );
    let next = emit(&world.user, "task.due_soon", &task("D"), &at(30)).await;
    assert_eq!(
        deliveries(&world, next, body).await,
        "in_app 1 D is due, sms 1 D is due"
    );

    // One that is being sent takes no more; the other does.
    run(
        &world.unseen,
        &format!("update scheduled_messages set status = 'sending' where id = '{message}'"),
    )
    .await;
    let late = emit(&world.user, "task.due_soon", &task("E"), &at(12)).await;
    assert_eq!(deliveries(&world, late, body).await, "sms 1 E is due");
    assert_eq!(is(&world, id, "batched").await, "3");
    let preview = "select concat_ws(' ', p ->> 'ok', p ->> 'template', p ->> 'body')
                     from preview_notification('task.due_soon', 'sms', '{\"task\": \"X\"}', 2) p";
    assert_eq!(
        one::<String>(&world.user, preview).await,
        "true task_due_soon_sms_digest 2 tasks: - X is due\n- X is due"
    );
    // A template that cannot be used is no reason to lose an event.
    run(&world.user, "update sms_templates set message_template = 'Hi {{name' where template_key = 'task_due_soon'").await;
    let event = emit(&world.user, "task.due_soon", &task("F"), &at(600)).await;
    assert_eq!(
        deliveries(&world, event, "cancel_reason, last_error").await,
        "no_text template task_due_soon has a {{ without its }}, no_text template task_due_soon has a {{ without its }}"
    );
    let broken = "select preview_notification('task.due_soon', 'sms', '{}') ->> 'ok'";
    assert_eq!(one::<String>(&world.user, broken).await, "false");
}

#[tokio::test]
async fn two_that_emit_at_once_do_not_exceed_a_limit_together() {
    let world = world().await;
    subscribe(
        &world,
        "error.critical",
        "in_app_enabled = true, max_per_hour = 1, max_per_day = 2",
    )
    .await;
    let other = world.db.client().await;
    let say = r#"{"body": "down"}"#;
    run(&world.user, "begin").await;
    let first = emit(&world.user, "error.critical", say, &at(0)).await;
    let waits = async {
        until(
            &world.unseen,
            "exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')",
        )
        .await;
        run(&world.user, "commit").await;
    };
    let more = at(59);
    let (second, ()) = tokio::join!(emit(&other, "error.critical", say, &more), waits);
    let columns = "status, cancel_reason";
    assert_eq!(deliveries(&world, first, columns).await, "pending");
    assert_eq!(
        deliveries(&world, second, columns).await,
        "cancelled frequency"
    );
    let mut words = Vec::new();
    for minute in [60, 120, 24 * 60] {
        let event = emit(&world.user, "error.critical", say, &at(minute)).await;
        words.push(deliveries(&world, event, columns).await);
    }
    assert_eq!(words, ["pending", "cancelled frequency", "pending"]);
    // What is cancelled makes room.
    run(
        &world.user,
        &format!(
            "update notification_deliveries set status = 'cancelled' where event_id = '{first}'"
        ),
    )
    .await;
    let event = emit(&world.user, "error.critical", say, &at(30)).await;
    assert_eq!(deliveries(&world, event, columns).await, "pending");
    run(&other, "begin isolation level repeatable read").await;
    let why = refused(
        &other,
        "select emit_notification_event('error.critical', p_payload => '{\"body\": \"x\"}')",
    )
    .await;
    assert!(
        why.contains("limits or batches") && why.contains("PT422"),
        "{why}"
    );
}

/// Who emits several types with limits to a user, in another order than somebody else, waits for them at the first.
#[tokio::test]
async fn two_that_emit_the_same_types_in_another_order_wait_for_each_other() {
    let world = world().await;
    let kinds = ["error.critical", "task.due_soon"];
    for kind in kinds {
        subscribe(&world, kind, "in_app_enabled = true, max_per_hour = 1").await;
    }
    let other = world.db.client().await;
    let say = r#"{"body": "down"}"#;
    run(&world.user, "begin").await;
    emit(&world.user, kinds[0], say, &at(0)).await;
    let waits = async {
        until(
            &world.unseen,
            "exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')",
        )
        .await;
        let last = emit(&world.user, kinds[1], say, &at(0)).await;
        run(&world.user, "commit").await;
        last
    };
    let others = async {
        run(&other, "begin").await;
        let first = emit(&other, kinds[1], say, &at(1)).await;
        emit(&other, kinds[0], say, &at(1)).await;
        run(&other, "commit").await;
        first
    };
    let (of_other, of_first) = tokio::join!(others, waits);
    assert_eq!(deliveries(&world, of_first, "status").await, "pending");
    assert_eq!(deliveries(&world, of_other, "status").await, "cancelled");
}

/// The grant to a role of users and what restricts it are one.
#[tokio::test]
async fn a_table_that_users_may_read_has_row_level_security() {
    let world = World::new().await;
    let made = "begin; create role authenticated; create table of_users (user_id uuid);
                select punctual.own_rows('of_users', 'user_id', '{}')";
    run(&world.user, made).await;
    let both =
        "select relrowsecurity and has_table_privilege('authenticated', 'of_users', 'select')
                  from pg_class where relname = 'of_users'";
    assert!(one::<bool>(&world.user, both).await);
}

#[tokio::test]
async fn a_line_of_a_digest_has_whole_words_and_whole_links() {
    let world = world().await;
    let (fill, link) = ("ten chars ".repeat(10), "https://go.example/l/abcd1234");
    for (text, expected) in [
        (format!(" a\n b {link} "), format!("a b {link}")),
        // The link would be cut: it is there whole, and nothing after it.
        (
            format!("{fill}12345 {link} more"),
            format!("{fill}12345 {link}"),
        ),
        // It is too long: it is left out.
        (
            format!("{fill}12345 https://a.example/{}", "x".repeat(80)),
            format!("{fill}12345"),
        ),
        (
            format!("{fill}{fill}"),
            "ten chars ".repeat(12).trim_end().to_owned(),
        ),
        ("y".repeat(200), "y".repeat(120)),
    ] {
        let shown = world
            .unseen
            .query_one("select punctual.digest_line($1)", &[&text])
            .await;
        assert_eq!(shown.unwrap().get::<_, String>(0), expected);
    }
}

#[tokio::test]
async fn the_quiet_hours_of_a_type_come_with_the_claim_whenever_it_is() {
    let world = world().await;
    subscribe(&world, "brief.completed", "in_app_enabled = true").await;
    let store = store(&world);
    let hours = async || {
        let event = emit(&world.user, "brief.completed", r#"{"body": "x"}"#, "").await;
        let (_, message) = delivery(&world, event, "in_app").await;
        let mut claims = claim(&store, &[message]).await;
        let punctual::message::ClaimResponse::Won(claim) = claims.remove(0) else {
            panic!("it was not won");
        };
        claim.facts.type_hours
    };
    assert_eq!(hours().await, None);
    let on = "update user_notification_preferences set quiet_hours_enabled = true, timezone = 'Asia/Tokyo',
                quiet_hours_start = '21:30'";
    run(&world.user, on).await;
    let quiet = QuietHours {
        start: "21:30".parse().unwrap(),
        end: "08:00".parse().unwrap(),
    };
    let expected = TypeHours {
        hours: quiet,
        timezone: Some("Asia/Tokyo".into()),
    };
    assert_eq!(hours().await, Some(expected));
    run(
        &world.user,
        "alter table user_notification_preferences rename quiet_hours_end to ends",
    )
    .await;
    assert_eq!(
        hours().await,
        None,
        "a table of the app's with other columns"
    );
}

/// In any number of subscribers the statements are the same few, and go by key.
#[tokio::test]
async fn ten_thousand_are_notified_by_one_statement() {
    const MANY: u64 = 10_000;
    let world = world().await;
    let subscribe = format!(
        "insert into users (email) select 'u' || n || '@example.com' from generate_series(1, {MANY}) n;
         select subscribe_to_notifications('{{brief.completed}}');
         update user_notification_preferences set push_enabled = false, email_enabled = false"
    );
    run(&world.user, &subscribe).await;
    let explain = "explain (analyze, buffers, format json)
                   select emit_notification_event('brief.completed', p_payload => '{\"body\": \"hello\"}')";
    let plan: serde_json::Value = one(&world.user, explain).await;
    let blocks = |what: &str| plan[0]["Plan"][what].as_u64().unwrap();
    let blocks = blocks("Shared Hit Blocks") + blocks("Shared Read Blocks");
    let n: i64 = one(
        &world.unseen,
        "select count(*) from scheduled_messages where status = 'pending'",
    )
    .await;
    assert_eq!(n.unsigned_abs(), MANY + 3);
    println!(
        "figure: {} blocks for each of {MANY} subscribers",
        blocks / MANY
    );
    assert!(blocks < 90 * MANY, "{blocks} blocks");
}
