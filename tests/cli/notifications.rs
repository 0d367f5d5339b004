//! Who may emit events and see what is sent of them, in sessions like `PostgREST`'s.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::database::{ask, execute};
use crate::doctor::planted::ROLES;
use crate::harness::TestDb;

const ADA: &str = "00000000-0000-0000-0000-00000000000a";
const BOB: &str = "00000000-0000-0000-0000-00000000000b";

/// What Supabase grants on what is new in `public`.
const DEFAULTS: &str = "grant usage on schema public to anon, authenticated;
    alter default privileges in schema public grant all on tables to anon, authenticated;
    alter default privileges in schema public grant execute on functions to anon, authenticated";

/// The app's own trigger, which notifies everybody, whoever's statement it is.
const TRIGGER: &str = "create table joined (whose uuid); grant insert on joined to authenticated;
    create function joined() returns trigger language plpgsql security definer set search_path = public as
      $$ begin perform emit_notification_event('user.signup', 'database_trigger', new.whose); return null; end $$;
    create trigger joined after insert on joined for each row execute function joined()";

async fn request(db: &TestDb, role: &str, user: &str) -> Client {
    let client = db.client().await;
    let claims = format!(
        "set role {role}; select set_config('request.jwt.claims', '{{\"sub\": \"{user}\"}}', false)"
    );
    execute(&client, &claims).await;
    client
}

async fn forbidden(client: &Client, sql: &str) {
    let error = client.execute(sql, &[]).await.expect_err(sql);
    let code = error.code();
    assert_eq!(
        code,
        Some(&SqlState::INSUFFICIENT_PRIVILEGE),
        "{sql}: {error:?}"
    );
}

async fn count(client: &Client, what: &str) -> i64 {
    let row = client
        .query_one(&format!("select count(*) from {what}"), &[])
        .await;
    row.unwrap_or_else(|error| panic!("{what}: {error:?}"))
        .get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_emits_to_themselves_alone_and_sees_their_own() {
    let db = TestDb::new().await;
    let owner = db.client().await;
    execute(&owner, &format!("{ROLES}; {DEFAULTS}")).await;
    execute(
        &owner,
        "create table users (id uuid primary key, email text)",
    )
    .await;
    let (said, code) = ask(&db, &["migrate", "--preset", "buildos"]).await;
    assert_eq!(code, Some(0), "{said}");
    let users = format!(
        "insert into users (id) values ('{ADA}'), ('{BOB}');
         select subscribe_to_notifications('{{brief.completed,user.signup}}'); {TRIGGER}"
    );
    execute(&owner, &users).await;

    let (anon, ada) = (
        request(&db, "anon", ADA).await,
        request(&db, "authenticated", ADA).await,
    );
    let emit = |more: &str| {
        format!(
            "select emit_notification_event('brief.completed', p_payload => '{{\"body\": \"x\"}}' {more})"
        )
    };
    let to = |user: &str| format!(", p_target_user_id => '{user}'");
    forbidden(&anon, &emit(&to(ADA))).await;
    for not_hers in [
        emit(""),
        emit(&to(BOB)),
        emit(&format!("{}, p_actor_user_id => '{BOB}'", to(ADA))),
        format!("select punctual.emit_event('brief.completed', 'api_action', null, '{BOB}', '{{}}', null, null)"),
        "select preview_notification('brief.completed', 'sms')".into(),
        "select subscribe_to_notifications()".into(),
        "select update_sms_status_atomic(gen_random_uuid(), 'SM1', 'sent', 'sent')".into(),
        format!("insert into notification_subscriptions (user_id, event_type) values ('{ADA}', 'payment.failed')"),
        "insert into notification_deliveries (recipient_user_id, channel) values (gen_random_uuid(), 'sms')".into(),
        "update notification_deliveries set status = 'pending'".into(),
    ] {
        forbidden(&ada, &not_hers).await;
    }
    for hers in [
        emit(&to(ADA)),
        emit(&format!("{}, p_actor_user_id => '{ADA}'", to(ADA))),
    ] {
        execute(&ada, &hers).await;
    }
    execute(&owner, &emit(&to(BOB))).await;
    assert_eq!(
        count(&owner, "notification_deliveries where channel = 'in_app'").await,
        3
    );
    assert_eq!(
        count(&ada, "notification_deliveries where channel = 'in_app'").await,
        2
    );
    assert_eq!(count(&ada, "notification_subscriptions").await, 2);
    forbidden(&ada, "select from notification_events").await;
    let own =
        "update user_notification_preferences set sms_enabled = true, quiet_hours_enabled = true";
    assert_eq!(ada.execute(own, &[]).await.unwrap(), 2, "her own");
    forbidden(
        &ada,
        &format!("update user_notification_preferences set user_id = '{BOB}'"),
    )
    .await;
    for table in [
        "notification_deliveries",
        "notification_subscriptions",
        "notification_events",
    ] {
        forbidden(&anon, &format!("select from {table}")).await;
    }

    // What another was sent is not hers to open.
    execute(
        &owner,
        "update notification_deliveries set status = 'sent' where channel = 'in_app'",
    )
    .await;
    let ids = owner.query("select id::text, recipient_user_id::text from notification_deliveries where channel = 'in_app'", &[]);
    for row in ids.await.unwrap() {
        let (id, whose): (String, String) = (row.get(0), row.get(1));
        let opened = ada
            .query_one(&format!("select mark_opened('{id}')"), &[])
            .await
            .unwrap();
        assert_eq!(opened.get::<_, bool>(0), whose == ADA);
    }
    // The app's own trigger acts for the app.
    execute(&ada, &format!("insert into joined values ('{ADA}')")).await;
    assert_eq!(
        count(
            &owner,
            "notification_deliveries where event_type = 'user.signup' and channel = 'in_app'"
        )
        .await,
        2
    );
}
