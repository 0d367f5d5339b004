//! `punctual plan`, as an operator uses it: whom it plans nothing for, and what it says then.

use crate::database::{ask, execute};
use crate::harness::TestDb;

const USER: &str = "11111111-1111-1111-1111-111111111111";

/// What it says about the user, with the planner switched on in a file of settings.
async fn says(db: &TestDb, settings: &str, more: &[&str], code: i32, expected: &str) {
    let args = [&["--config", settings, "plan", USER], more].concat();
    let (said, ended) = ask(db, &args).await;
    assert_eq!(ended, Some(code), "{more:?}: {said}");
    assert!(said.contains(expected), "{more:?}: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_is_not_planned_for_and_a_planner_that_cannot_are_named() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("punctual.toml");
    std::fs::write(&file, "[planner]\nenabled = true\n").unwrap();
    let settings = file.to_str().unwrap();
    let db = TestDb::new().await;
    let app = db.client().await;
    for (args, expected) in [
        (&["plan", "ada"][..], "the user's id"),
        (
            &["plan", USER, "--day", "tomorrow"],
            "a date like 2026-07-01",
        ),
    ] {
        let (said, code) = ask(&db, args).await;
        assert!(code == Some(64) && said.contains(expected), "{said}");
    }
    let (said, code) = ask(&db, &["plan", USER]).await;
    assert!(code == Some(64) && said.contains("add --dry-run"), "{said}");
    says(&db, settings, &[], 1, "the planner is off in the database").await;

    let (said, code) = ask(&db, &["--config", settings, "migrate"]).await;
    assert_eq!(code, Some(0), "{said}");
    let none = "the user has no row in user_sms_preferences";
    for more in [&[][..], &["--dry-run"]] {
        says(&db, settings, more, 1, none).await;
    }
    let user = format!(
        "insert into user_sms_preferences (user_id, phone_number, phone_verified, event_reminders_enabled, timezone,
                                           quiet_hours_start, quiet_hours_end)
         values ('{USER}', '555', true, false, 'Pacific/Apia', null, null)"
    );
    execute(&app, &user).await;
    for (change, expected) in [
        ("opted_out = true", "the user has opted out"),
        (
            "opted_out = false, phone_verified = false",
            "the user's phone number is not verified",
        ),
        (
            "phone_verified = true",
            "the user has not switched event reminders on",
        ),
        (
            "event_reminders_enabled = true",
            "the user has no valid phone number",
        ),
    ] {
        execute(&app, &format!("update user_sms_preferences set {change}")).await;
        says(&db, settings, &["--dry-run"], 1, expected).await;
    }
    execute(
        &app,
        "update user_sms_preferences set phone_number = '+12025550101'",
    )
    .await;
    let left_out = ["--day", "2011-12-30", "--dry-run"];
    says(&db, settings, &left_out, 1, "Pacific/Apia has no such day").await;
    says(
        &db,
        settings,
        &["--day", "2030-07-01"],
        0,
        "no events\n0 messages inserted",
    )
    .await;

    let event = format!(
        "insert into task_calendar_events (calendar_event_id, user_id, event_title, event_start, sync_status)
         values ('a', '{USER}', 'Standup', '2030-07-01 22:00:00+00', 'synced')"
    );
    execute(&app, &event).await;
    // At 11:00 of the next day there.
    let day = ["--day", "2030-07-02", "--dry-run"];
    let line = "07-02 11:00  Standup  would be planned for 07-02 10:45";
    says(&db, settings, &day, 0, line).await;
    execute(&app, "update sms_templates set is_active = false").await;
    let lacks = "sms_templates has no active template event_reminder";
    for more in [&day[..2], &day] {
        says(&db, settings, more, 1, lacks).await;
    }
    execute(&app, "update sms_templates set is_active = true").await;
    says(&db, settings, &day[..2], 0, "1 message inserted").await;
    let again = "not planned: it was planned before";
    says(&db, settings, &day[..2], 0, again).await;
    says(
        &db,
        settings,
        &["--day", "2020-01-01"],
        0,
        "0 messages inserted",
    )
    .await;
}
