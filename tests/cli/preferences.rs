//! `punctual migrate --rls own`: users of a Supabase project and their own preferences, in sessions like `PostgREST`'s.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::database::{ask, execute};
use crate::doctor::planted::ROLES;
use crate::harness::TestDb;

const ADA: &str = "00000000-0000-0000-0000-00000000000a";
const BOB: &str = "00000000-0000-0000-0000-00000000000b";

/// As Supabase has it.
const AUTH: &str = "create schema auth; grant usage on schema auth to anon, authenticated;
    create function auth.uid() returns uuid language sql stable as
      $$ select (current_setting('request.jwt.claims', true)::json ->> 'sub')::uuid $$;
    grant usage on schema public to anon, authenticated";

/// What Supabase grants on every new table of `public`.
const DEFAULTS: &str = "grant all on user_sms_preferences to anon, authenticated";

/// The session of a request by this role and user.
async fn request(db: &TestDb, role: &str, user: &str) -> Client {
    let client = db.client().await;
    let claims = format!(
        "set role {role}; select set_config('request.jwt.claims', '{{\"sub\": \"{user}\"}}', false)"
    );
    execute(&client, &claims).await;
    client
}

async fn changed(client: &Client, sql: &str) -> u64 {
    let done = client.execute(sql, &[]).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
}

async fn forbidden(client: &Client, sql: &str) {
    let error = client.execute(sql, &[]).await.expect_err(sql);
    assert_eq!(
        error.code(),
        Some(&SqlState::INSUFFICIENT_PRIVILEGE),
        "{sql}: {error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn users_read_and_write_their_own_preferences_and_no_others() {
    let db = TestDb::new().await;
    let owner = db.client().await;
    let (said, code) = ask(&db, &["migrate", "--rls", "own"]).await;
    assert!(code == Some(1) && said.contains("auth.uid()"), "{said}");
    execute(&owner, ROLES).await;
    execute(&owner, &format!("{AUTH}; {DEFAULTS}")).await;
    let (said, code) = ask(&db, &["migrate", "--rls", "own"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("punctual own preferences"), "{said}");
    let (said, _) = ask(&db, &["migrate", "--rls", "own"]).await;
    assert_eq!(said, "nothing to do: the schema is up to date\n");
    let bobs = format!(
        "insert into user_sms_preferences (user_id, phone_verified) values ('{BOB}', true)"
    );
    execute(&owner, &bobs).await;

    let ada = request(&db, "authenticated", ADA).await;
    let own = format!("insert into user_sms_preferences (user_id, task_reminders) values ('{ADA}', true)
                       on conflict (user_id) do update set task_reminders = excluded.task_reminders");
    for _ in 0..2 {
        assert_eq!(changed(&ada, &own).await, 1);
    }
    let rows = ada
        .query(
            "select user_id::text, timezone from user_sms_preferences",
            &[],
        )
        .await
        .unwrap();
    let seen: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(seen, [ADA]);
    let choose = "update user_sms_preferences set urgent_alerts = false, quiet_hours_start = '22:00',
                    quiet_hours_end = '07:00', timezone = 'Europe/Berlin', morning_kickoff_time = '09:00'";
    assert_eq!(changed(&ada, choose).await, 1, "her own row alone");
    let of_bob = format!("insert into user_sms_preferences (user_id) values ('{BOB}')");
    let error = ada.execute(&of_bob, &[]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
    for apps in [
        "phone_verified = true",
        "phone_number = '+12025550177'",
        "daily_sms_limit = null",
        "daily_sms_count = 0",
    ] {
        forbidden(&ada, &format!("update user_sms_preferences set {apps}")).await;
    }
    forbidden(
        &ada,
        &format!("update user_sms_preferences set user_id = '{BOB}'"),
    )
    .await;
    forbidden(
        &ada,
        "insert into user_sms_preferences (user_id, phone_verified) values (auth.uid(), true)",
    )
    .await;
    forbidden(&ada, "delete from user_sms_preferences").await;
    forbidden(&ada, "truncate user_sms_preferences").await;

    // Her opt-out counts at once, although she may not write messages.
    let message = format!(
        "insert into scheduled_messages (to_number, body, scheduled_at, user_id)
                           values ('+12025550177', 'x', now() + interval '1 hour', '{ADA}')"
    );
    execute(&owner, &message).await;
    assert_eq!(
        changed(&ada, "update user_sms_preferences set opted_out = true").await,
        1
    );
    let row = owner
        .query_one("select status from scheduled_messages", &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, String>(0), "cancelled");

    let stranger = request(&db, "anon", ADA).await;
    let rows = stranger
        .query("select from user_sms_preferences", &[])
        .await
        .unwrap();
    assert!(rows.is_empty());
    assert_eq!(
        changed(
            &stranger,
            "update user_sms_preferences set opted_out = true"
        )
        .await,
        0
    );

    // Its findings are none of these: a user may opt out, and no more.
    let (said, _) = ask(&db, &["doctor", "--json"]).await;
    let found: serde_json::Value =
        serde_json::from_str(&said[..=said.rfind(']').unwrap()]).unwrap();
    for what in ["who may read", "who may send"] {
        let finding = found
            .as_array()
            .unwrap()
            .iter()
            .find(|finding| finding["what"] == what);
        let found = finding.unwrap()["found"].to_string();
        assert!(!found.contains("user_sms_preferences"), "{found}");
    }
}
