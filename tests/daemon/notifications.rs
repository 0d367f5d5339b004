//! The flow of a notification, whole: an event of the app's, its deliveries by several channels, the callback.

use uuid::Uuid;

use crate::daemon::{own_address, until};
use crate::links::ask;
use crate::push_service::{AUTH, P256DH, PushService};
use crate::reports::report;
use crate::world::{AUTH_TOKEN, ROLE, TO, World, called, environment, url};

const ADA: &str = "11111111-1111-4111-8111-111111111111";

async fn one<T: for<'a> tokio_postgres::types::FromSql<'a>>(world: &World, sql: &str) -> T {
    world.app.query_one(sql, &[]).await.unwrap().get(0)
}

/// Waits until the deliveries of an event are these, in the order of channels.
async fn are(world: &World, event: Uuid, expected: &str) {
    let sql = format!(
        "select string_agg(concat_ws(' ', channel, status, cancel_reason), ', ' order by channel)
           from notification_deliveries where event_id = '{event}'"
    );
    until(expected, async || {
        (one::<String>(world, &sql).await == expected).then_some(())
    })
    .await;
}

/// A database with the tables, and Ada, who has subscribed, for a daemon with its own role.
async fn subscribed(service: &PushService, hook: &str) -> World {
    let settings = service.settings();
    let mut settings: Vec<_> = settings.iter().map(|(k, v)| (*k, &**v)).collect();
    settings.extend([
        ("PUNCTUAL_IN_APP", "true"),
        ("PUNCTUAL_LINK_URL", "https://go.example"),
        ("PUNCTUAL_PUBLIC_URL", "https://sms.example"),
        ("PUNCTUAL_WEBHOOK_ADDR", hook),
    ]);
    let world = World::new([]).await.with(&settings);
    let users = "create table users (id uuid primary key, email text)";
    world.app.batch_execute(users).await.unwrap();
    let owner = environment(&url(&world.app).await, &world.phone.url());
    let migrate = ["migrate", "--preset", "buildos", "--role", ROLE];
    let (code, _, said) = called(&migrate, &owner).await;
    assert_eq!(code, Some(0), "{said}");
    let endpoint = service.endpoint("ada");
    let subscribed = format!(
        "insert into users (id) values ('{ADA}');
         insert into user_sms_preferences (user_id, phone_number, phone_verified, quiet_hours_start, quiet_hours_end)
         values ('{ADA}', '{TO}', true, null, null);
         insert into punctual_api.push_subscriptions (user_id, endpoint, p256dh, auth)
         values ('{ADA}', '{endpoint}', '{P256DH}', '{AUTH}');
         select subscribe_to_notifications('{{brief.completed,brief.failed}}');
         update user_notification_preferences set sms_enabled = true;
         update user_notification_preferences set push_enabled = false, in_app_enabled = false, quiet_hours_enabled = true,
           quiet_hours_start = (now() at time zone 'UTC' - interval '1 h')::time,
           quiet_hours_end = (now() at time zone 'UTC' + interval '12 h')::time where event_type = 'brief.failed';
         insert into sms_templates (template_key, name, message_template)
         values ('brief_completed_sms', 'Brief', 'Your brief is ready! Key focus: {{{{main_focus}}}}. {{{{url}}}}')"
    );
    world.app.batch_execute(&subscribed).await.unwrap();
    world
}

#[tokio::test]
async fn an_event_is_delivered_by_each_channel_and_its_text_is_followed_to_the_end() {
    let (service, hook) = (PushService::start().await, own_address());
    let world = subscribed(&service, &hook).await;
    let daemon = world.daemon().await;
    let emit = |kind: &str| {
        format!(
            "select emit_notification_event('{kind}', 'worker_job', p_target_user_id => '{ADA}',
               p_payload => '{{\"title\": \"Brief\", \"main_focus\": \"the garden\", \"url\": \"https://app.example/brief\"}}')"
        )
    };
    let event: Uuid = one(&world, &emit("brief.completed")).await;
    let of_quiet: Uuid = one(&world, &emit("brief.failed")).await;
    are(
        &world,
        event,
        "email cancelled no_address, in_app sent, push sent, sms sent",
    )
    .await;
    let text_of = "Your brief is ready! Key focus: the garden. https://go.example/l/";
    let texts = world.phone.creates();
    let [text] = &texts[..] else {
        panic!("{} texts", texts.len());
    };
    let code = text
        .field("Body")
        .unwrap()
        .strip_prefix(text_of)
        .unwrap()
        .to_owned();
    assert_eq!(service.pushed("ada").len(), 1);
    let shown = "select concat_ws(' ', subject, body) from punctual_api.in_app_messages";
    assert_eq!(one::<String>(&world, shown).await, "Brief Brief");
    let sid = format!(
        "select external_id from notification_deliveries where event_id = '{event}' and channel = 'sms'"
    );
    let sid: String = one(&world, &sid).await;
    let path = "/webhooks/twilio/status";
    assert_eq!(
        report(&hook, path, AUTH_TOKEN, (&sid, "delivered")).await,
        204
    );
    are(
        &world,
        event,
        "email cancelled no_address, in_app sent, push sent, sms delivered",
    )
    .await;
    let opened = format!(
        "select mark_opened(id) from notification_deliveries where event_id = '{event}' and channel = 'in_app'"
    );
    assert!(one::<bool>(&world, &opened).await);
    let line = format!("GET /l/{code}");
    let (status, answer) = ask(&hook, &line, "203.0.113.1", "user-agent: Mozilla/5.0\r\n").await;
    assert_eq!(status, 302, "{answer}");
    assert!(
        answer.contains("location: https://app.example/brief\r\n"),
        "{answer}"
    );
    are(
        &world,
        event,
        "email cancelled no_address, in_app opened, push sent, sms clicked",
    )
    .await;

    let (code, shown, error) = world.call(&["why", &event.to_string()]).await;
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(
        shown
            .matches(" of notification_deliveries: message ")
            .count(),
        3,
        "{shown}"
    );
    let none = "of notification_deliveries: no message; it is cancelled: no_address";
    assert!(shown.contains(none), "{shown}");

    let (code, _, error) = world.call(&["cancel", &event.to_string()]).await;
    assert_eq!(code, Some(1), "an event has several: {error}");
    assert!(
        error.contains("3 messages follow what has this id"),
        "{error}"
    );

    // Quiet hours of the type: it waits, as the row says.
    are(&world, of_quiet, "email cancelled no_address, sms pending").await;
    let deferred =
        "select deferred_reason like 'quiet hours%UTC' and deferred_until > now() + interval '11 h'
                      from scheduled_messages where message_type = 'brief.failed'";
    until("it is deferred", async || {
        one::<Option<bool>>(&world, deferred).await.filter(|is| *is)
    })
    .await;
    daemon.stop().await;
}
