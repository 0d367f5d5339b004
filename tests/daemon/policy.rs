//! Whether a message may go, and when: the verdicts as the built daemon carries them out. Hours
//! are laid so that they end a moment from now, since neither the daemon's clock nor the
//! database's is one to play with here.

use std::time::Duration;

use uuid::Uuid;

use crate::daemon::{Daemon, until};
use crate::standin::Act;
use crate::world::{TO, World, asked};

/// Shorter than what is closed stays closed, and longer than a machine stalls.
const MAX_LATENESS: &str = "5s";

/// How far ahead what is closed opens. Whole seconds, so that it can be written as a time of day.
const OPENS_IN: &str = "date_trunc('second', clock_timestamp()) + interval '9 s'";

/// A world whose business hours begin soon, its daemon, the hours and the moment of their beginning on a clock in
/// UTC. The daemon is up while they are closed, however long it took to start.
async fn closed(settings: &[(&str, &str)]) -> (World, Daemon, String, String) {
    let mut world = World::new([]).await.with(settings);
    for ahead in [12, 30, 60, 120] {
        let sql =
            "with o as (select date_trunc('second', clock_timestamp()) + $1 * interval '1 s' as at)
                   select to_char(at at time zone 'UTC', 'HH24:MI:SS'),
                          to_char((at - interval '100 s') at time zone 'UTC', 'HH24:MI:SS'), at
                     from o";
        let row = world
            .app
            .query_one(sql, &[&f64::from(ahead)])
            .await
            .unwrap();
        let (opens, closed): (String, String) = (row.get(0), row.get(1));
        let at: std::time::SystemTime = row.get(2);
        let hours = format!("mon-sun {opens}-{closed}");
        world = world.with(&[("PUNCTUAL_BUSINESS_HOURS", &hours)]);
        let daemon = world.daemon().await;
        let left = "select extract(epoch from $1 - clock_timestamp())::float8";
        let left: f64 = world.app.query_one(left, &[&at]).await.unwrap().get(0);
        if left > 0.5 * f64::from(ahead) {
            return (world, daemon, hours, opens);
        }
        daemon.stop().await;
    }
    panic!("no daemon starts within two minutes");
}

/// When this message's row is deferred to, as a time of day in UTC, and why.
async fn deferral(world: &World, id: Uuid) -> (Option<String>, Option<String>) {
    let sql = "select to_char(deferred_until at time zone 'UTC', 'HH24:MI:SS.US'), deferred_reason
               from scheduled_messages where id = $1";
    let row = world.app.query_one(sql, &[&id]).await.unwrap();
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn outside_of_business_hours_it_waits_for_the_opening() {
    // A message that had to wait is not late by its waiting.
    let (world, daemon, hours, opens) = closed(&[("PUNCTUAL_MAX_LATENESS", MAX_LATENESS)]).await;
    let id = world.insert("at the opening", 0).await;
    world.arrived_once(id).await;
    daemon.stop().await;

    let (until, reason) = deferral(&world, id).await;
    assert_eq!(until, Some(format!("{opens}.000000")));
    assert_eq!(reason, Some(format!("outside of {hours} UTC")));
    let row = world.row(id).await.unwrap();
    assert_eq!((row.error, row.code), (None, None));
    let ledger = "select array_agg(outcome order by number), count(started_at)
                  from punctual.attempts where message_id = $1";
    let ledger = world.app.query_one(ledger, &[&id]).await.unwrap();
    assert_eq!(ledger.get::<_, Vec<String>>(0), ["deferred", "accepted"]);
    assert_eq!(ledger.get::<_, i64>(1), 1);
    let attempts = "select attempts from scheduled_messages where id = $1";
    let attempts = world.app.query_one(attempts, &[&id]).await.unwrap();
    assert_eq!(attempts.get::<_, i32>(0), 1);
}

#[tokio::test]
async fn what_would_wait_too_long_is_cancelled_at_once() {
    let (world, daemon, hours, _) = closed(&[]).await;
    let sql = "insert into scheduled_messages (to_number, body, scheduled_at, send_before)
               select $1, 'too short', clock_timestamp(), clock_timestamp() + interval '5 s'
               returning id";
    let row = world.app.query_one(sql, &[&TO]).await;
    let id = row.unwrap().get(0);
    let row = world.becomes(id, "cancelled").await;
    let reason = row.cancel_reason.unwrap();
    let expected = format!("outside of {hours} UTC until ");
    assert!(reason.starts_with(&expected), "{reason}");
    assert!(reason.contains(", and send_before is "), "{reason}");
    assert!(world.requests("too short").is_empty());
    // What may wait, waits and goes.
    let other = world.insert("long enough", 0).await;
    world.arrived_once(other).await;
    asked(&world.phone, 1).await;
    daemon.stop().await;
}

/// A user who lives there, is not to be disturbed for ten hours that end at the opening, and
/// may be sent so many messages a day.
async fn user(world: &World, timezone: &str, a_day: i32) -> Uuid {
    let sql = format!(
        "insert into user_sms_preferences
                (user_id, phone_verified, timezone, quiet_hours_start, quiet_hours_end, daily_sms_limit)
         select gen_random_uuid(), true, $1,
                (({OPENS_IN}) at time zone $1)::time - interval '10 h', (({OPENS_IN}) at time zone $1)::time, $2
         returning user_id"
    );
    let row = world.app.query_one(&sql, &[&timezone, &a_day]).await;
    row.unwrap().get(0)
}

/// A message of a user, due in so long; the rest of its columns as given.
async fn insert_of(world: &World, user: Uuid, body: &str, in_ms: i32, more: (&str, &str)) -> Uuid {
    let sql = format!(
        "insert into scheduled_messages (to_number, body, scheduled_at, user_id{})
         select $1, $2, clock_timestamp() + $3 * interval '1 ms', $4{} returning id",
        more.0, more.1
    );
    let in_ms = f64::from(in_ms);
    let row = world
        .app
        .query_one(&sql, &[&TO, &body, &in_ms, &user])
        .await;
    row.unwrap().get(0)
}

#[tokio::test]
async fn in_quiet_hours_it_waits_for_their_end_and_is_not_late_then() {
    let world = World::new([]).await;
    let world = world.with(&[("PUNCTUAL_MAX_LATENESS", MAX_LATENESS)]);
    let daemon = world.daemon().await;
    let asleep = user(&world, "Asia/Kolkata", 10).await;
    let held = insert_of(&world, asleep, "good morning", 0, ("", "")).await;
    let urgent = insert_of(&world, asleep, "urgent", 0, (", priority", ", 'urgent'")).await;
    let elsewhere = (", timezone", ", 'Mars/Olympus'");
    let lost = insert_of(&world, asleep, "from far away", 0, elsewhere).await;
    for id in [held, urgent, lost] {
        world.arrived_once(id).await;
    }
    let said = daemon.stop().await;

    let sql = "select to_char(quiet_hours_end, 'HH24:MI:SS') = to_char(deferred_until at time zone 'Asia/Kolkata', 'HH24:MI:SS'),
                      deferred_until = date_trunc('second', deferred_until), deferred_reason
                 from scheduled_messages m join user_sms_preferences p using (user_id) where m.id = $1";
    for id in [held, urgent, lost] {
        let row = world.app.query_one(sql, &[&id]).await.unwrap();
        assert!(row.get::<_, bool>(0) && row.get::<_, bool>(1));
        let reason: String = row.get(2);
        assert!(reason.starts_with("quiet hours "), "{reason}");
        assert!(reason.contains(" Asia/Kolkata"), "{reason}");
    }
    // A zone that is none: the next one counts, and the log and `why` say so. What the row has in place
    // of a zone is somebody's text.
    let warning = "timezone is not an IANA time zone";
    assert!(said.contains(warning) && !said.contains("Mars"), "{said}");
    let (code, shown, _) = world.call(&["why", &lost.to_string()]).await;
    assert_eq!(code, Some(0));
    assert!(shown.contains(warning), "{shown}");
}

#[tokio::test]
async fn a_place_that_a_refused_message_had_goes_to_the_next() {
    let world = World::new([]).await;
    let daemon = world.daemon().await;
    let awake = "insert into user_sms_preferences
                        (user_id, phone_verified, quiet_hours_start, quiet_hours_end, daily_sms_limit)
                 values (gen_random_uuid(), true, null, null, 1) returning user_id";
    let user: Uuid = world.app.query_one(awake, &[]).await.unwrap().get(0);
    // Due at one instant, so that one claim has both; the urgent one has the only place.
    let both = "insert into scheduled_messages (to_number, body, scheduled_at, user_id, priority)
                select n, 'for one place', due, $2, p
                  from (select clock_timestamp() + interval '500 ms' as due) d,
                       (values ('nobody', 'urgent'), ($1, 'normal')) as v (n, p)
                returning id";
    let rows = world.app.query(both, &[&TO, &user]).await.unwrap();
    world.becomes(rows[0].get(0), "failed").await;
    world.arrived_once(rows[1].get(0)).await;
    daemon.stop().await;
    let row = world.row(rows[1].get(0)).await.unwrap();
    assert_eq!(row.status, "sent");
    let sql = "select count from punctual.daily_counts where user_id = $1";
    let count: i32 = world.app.query_one(sql, &[&user]).await.unwrap().get(0);
    assert_eq!(count, 1);
}

#[tokio::test]
async fn an_opt_out_holds_before_the_claim_and_is_too_late_after_it() {
    let world = World::new([Act::AcceptAfter(Duration::from_secs(1))]).await;
    let daemon = world.daemon().await;
    let awake = "insert into user_sms_preferences (user_id, phone_verified, quiet_hours_start, quiet_hours_end)
                 values (gen_random_uuid(), true, null, null) returning user_id";
    let user: Uuid = world.app.query_one(awake, &[]).await.unwrap().get(0);
    let first = insert_of(&world, user, "on its way", 0, ("", "")).await;
    let second = insert_of(&world, user, "not yet", 60_000, ("", "")).await;
    asked(&world.phone, 1).await;
    let out = "update user_sms_preferences set opted_out = true where user_id = $1";
    assert_eq!(world.app.execute(out, &[&user]).await.unwrap(), 1);
    let row = world.row(second).await.unwrap();
    assert_eq!(row.status, "cancelled");
    assert_eq!(
        row.cancel_reason.as_deref(),
        Some("the recipient has opted out")
    );
    // And what is scheduled for them from now on.
    let third = insert_of(&world, user, "no more", 0, ("", "")).await;
    let row = world.becomes(third, "cancelled").await;
    assert_eq!(
        row.cancel_reason.as_deref(),
        Some("the recipient has opted out")
    );

    world.arrived_once(first).await;
    daemon.stop().await;
    assert_eq!(world.phone.creates().len(), 1);
    let (_, shown, _) = world.call(&["why", &first.to_string()]).await;
    assert!(
        shown.contains("the recipient has opted out; too late"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_template_is_rendered_and_kept_or_the_row_says_why_not() {
    let world = World::new([]).await;
    let daemon = world.daemon().await;
    let template = "insert into sms_templates (template_key, name, message_template, required_vars)
                    values ('visit', 'Visit', 'Hi {{ name }}, {{time}} it is.', '[\"time\"]') returning id";
    let template: Uuid = world.app.query_one(template, &[]).await.unwrap().get(0);
    let schedule = async |body: &str, vars: Option<&str>| -> Uuid {
        let sql = "insert into scheduled_messages (to_number, body, scheduled_at, template_id, template_vars)
                   values ($1, $2, clock_timestamp(), $3, $4::text::jsonb) returning id";
        let row = world
            .app
            .query_one(sql, &[&TO, &body, &template, &vars])
            .await;
        row.unwrap().get(0)
    };
    let rendered = schedule("visit", Some(r#"{"name": "{{time}}", "time": 9.50}"#)).await;
    let as_it_stands = schedule("as it stands", None).await;
    let lacking = schedule("lacking", Some("{}")).await;
    world.becomes(rendered, "sent").await;
    world.arrived_once(as_it_stands).await;
    let row = world.becomes(lacking, "failed").await;
    daemon.stop().await;

    let text = "Hi {{time}}, 9.50 it is.";
    assert_eq!(world.requests(text).len(), 1);
    let error = row.error.unwrap();
    assert_eq!(
        error,
        "template visit needs the variable time, which template_vars does not have"
    );
    let kept = "select m.body, a.body, w.body from scheduled_messages m
                  join punctual.attempts a on a.message_id = m.id
                  join messages w on w.twilio_sid = m.twilio_sid where m.id = $1";
    let kept = world.app.query_one(kept, &[&rendered]).await.unwrap();
    let kept: Vec<String> = (0..3).map(|n| kept.get(n)).collect();
    assert_eq!(kept, ["visit", text, text]);
}

#[tokio::test]
async fn of_a_herd_the_urgent_go_first() {
    // One at a time, and each longer than a claim takes, so that the order shows.
    let slow = std::iter::repeat_n(Act::AcceptAfter(Duration::from_millis(50)), 20);
    let world = World::new(slow)
        .await
        .with(&[("PUNCTUAL_MAX_IN_FLIGHT", "1")]);
    let daemon = world.daemon().await;
    let herd = "with due as (select clock_timestamp() + interval '1.5 s' as at)
                insert into scheduled_messages (to_number, body, scheduled_at, priority)
                select '+13105551234', priority || ' ' || n, due.at, priority
                from due, unnest(array['low', 'normal', 'high', 'urgent']) priority, generate_series(1, 5) n";
    world.app.execute(herd, &[]).await.unwrap();
    until("all have gone", async || {
        (world.phone.creates().len() == 20).then_some(())
    })
    .await;
    daemon.stop().await;
    let of = |seen: &crate::standin::Seen| {
        let body = seen.field("Body").unwrap();
        body.split(' ').next().unwrap().to_owned()
    };
    let mut order: Vec<String> = world.phone.creates().iter().map(of).collect();
    order.dedup();
    assert_eq!(order, ["urgent", "high", "normal", "low"]);
}
