//! What the database shows to people, and what the app's rows have of templates.

use punctual::message::Moment;
use punctual::policy::{BusinessHours, Rules};

use crate::ours::{accepted, recorded, rules, sid, store, won};
use crate::rows::{World, one, run, until};

const USER: &str = "11111111-1111-1111-1111-111111111111";

#[tokio::test]
async fn uses_of_templates_are_counted_and_none_is_lost() {
    let world = World::new().await;
    run(
        &world.user,
        &format!("insert into sms_templates (id, message_template) values ('{USER}', 'hello')"),
    )
    .await;
    let store = store(&world);
    let mut ids = Vec::new();
    for vars in ["'{}'", "'{}'", "null"] {
        let values = format!(", '{USER}', {vars}");
        ids.push(
            world
                .row_with("pending", ", template_id, template_vars", &values)
                .await,
        );
    }
    let records: Vec<_> = won(&store, &ids).await.iter().map(accepted).collect();
    assert_eq!(recorded(&store, &records).await, 3);
    assert_eq!(recorded(&store, &records).await, 3);
    // A trigger of the app's names its table without a schema.
    let audit = "create table template_log (id uuid);
        create function log_template() returns trigger language plpgsql as
          $$ begin insert into template_log values (new.id); return new; end $$;
        create trigger log_template after update on sms_templates for each row execute function log_template()";
    run(&world.user, audit).await;
    // Somebody edits it meanwhile.
    run(&world.user, "begin; update sms_templates set name = 'x'").await;
    store.count_template_uses().await.unwrap();
    run(&world.user, "commit").await;
    for _ in 0..2 {
        store.count_template_uses().await.unwrap();
    }
    let count =
        "select usage_count from sms_templates where last_used_at > now() - interval '1 hour'";
    assert_eq!(one::<i64>(&world.user, count).await, 2);
    // A table without such counts is not asked twice.
    let record = {
        let values = format!(", '{USER}', '{{}}'");
        let id = world
            .row_with("pending", ", template_id, template_vars", &values)
            .await;
        accepted(&won(&store, &[id]).await[0])
    };
    recorded(&store, &[record]).await;
    run(
        &world.user,
        "alter table sms_templates drop column usage_count",
    )
    .await;
    store.count_template_uses().await.unwrap();
    until(
        &world.unseen,
        "select not exists (select from punctual.template_uses)",
    )
    .await;
}

/// A backlog of uses is counted in steps, and those of templates that are gone are in no one's way.
#[tokio::test]
async fn uses_of_templates_are_counted_in_bounded_steps() {
    let world = World::new().await;
    let store = store(&world);
    run(
        &world.user,
        &format!("insert into sms_templates (id, message_template) values ('{USER}', 'hello')"),
    )
    .await;
    run(
        &world.unseen,
        &format!(
            "insert into punctual.template_uses (template_id, uses, last_used_at)
             select case when n % 2 = 0 then '{USER}' else gen_random_uuid() end, 1, now()
               from generate_series(1, 12000) n"
        ),
    )
    .await;
    let (counted, left) = (
        "select coalesce(sum(usage_count), 0)::bigint from sms_templates",
        "select count(*) from punctual.template_uses",
    );
    for (uses, rest) in [(2_500, 7_000), (5_000, 2_000), (6_000, 0)] {
        store.count_template_uses().await.unwrap();
        assert!(one::<i64>(&world.user, counted).await >= uses);
        let rest_is: i64 = one(&world.unseen, left).await;
        assert!(rest_is <= rest, "{rest_is}");
        assert!(rest == 0 || rest_is > 0, "one step took all");
    }
    assert_eq!(one::<i64>(&world.user, counted).await, 6_000);
}

/// The rule in Rust and its picture in the database, over a year and every change of the clock.
#[tokio::test]
async fn business_hours_are_the_same_in_the_database() {
    let world = World::new().await;
    let store = store(&world);
    let open = |rules: &Rules, at| {
        let hours = rules.business_hours.as_ref().unwrap();
        hours.next_open(&rules.timezone, at) == Some(at)
    };
    for (zone, hours) in [
        ("America/Los_Angeles", "mon-fri 09:00-20:00"),
        ("Europe/Berlin", "mon-sun 02:00-03:00"),
        (
            "Australia/Lord_Howe",
            "sun 01:30-02:00, mon-sat 22:00-02:15",
        ),
        ("Africa/Cairo", "fri 00:00-01:00 23:00-24:00"),
        ("Asia/Kathmandu", "mon-sun 00:00-24:00"),
    ] {
        let rules = Rules {
            timezone: jiff::tz::TimeZone::get(zone).unwrap(),
            business_hours: Some(hours.parse::<BusinessHours>().unwrap()),
            ..rules()
        };
        store.keep_settings(&rules).await.unwrap();
        // Every quarter of an hour of 2025, and the microseconds around each.
        let sql = "select (extract(epoch from at) * 1000000)::bigint, is_business_hours(at)
                     from generate_series(timestamptz '2025-01-01 00:00:00+00', '2026-01-01', '15 minutes') t,
                          unnest(array[t - interval '1 microsecond', t]) as at";
        let rows = world.user.query(sql, &[]).await.unwrap();
        assert!(rows.len() > 70_000);
        for row in rows {
            let at = Moment::from_micros(row.get(0));
            assert_eq!(
                row.get::<_, bool>(1),
                open(&rules, at),
                "{zone} {hours} {at}"
            );
        }
    }
    store.keep_settings(&rules()).await.unwrap();
    let always: bool = one(
        &world.user,
        "select bool_and(is_business_hours(now() + n * interval '1 hour')) from generate_series(1, 168) n",
    )
    .await;
    assert!(always);
}

#[tokio::test]
async fn people_see_what_is_due_in_the_recipients_time_and_what_holds_it() {
    let world = World::new().await;
    run(
        &world.user,
        &format!(
            "insert into user_sms_preferences (user_id, timezone) values ('{USER}', 'Asia/Tokyo')"
        ),
    )
    .await;
    let at = ", user_id, timezone, deferred_until, deferred_reason";
    for (more, expected) in [
        ("null, 'Mars/Olympus', null, null", "UTC 12:00 -"),
        ("null, 'Europe/Berlin', null, null", "Europe/Berlin 13:00 -"),
        // To Postgres these are zones, two hours and five west.
        ("null, 'GMT+2', null, null", "UTC 12:00 -"),
        ("null, 'Here5', null, null", "UTC 12:00 -"),
        ("null, 'etc/gmt+2', null, null", "etc/gmt+2 10:00 -"),
        ("null, 'EST5EDT', null, null", "EST5EDT 07:00 -"),
        (&format!("'{USER}', null, null, null"), "Asia/Tokyo 21:00 -"),
        (
            &format!("'{USER}', 'PST', '2030-01-01 23:00:00+00', 'quiet hours'"),
            "Asia/Tokyo 08:00 quiet hours",
        ),
    ] {
        let id = world.row_with("pending", at, &format!(", {more}")).await;
        run(
            &world.unseen,
            "update scheduled_messages set scheduled_at = '2030-01-01 12:00:00+00'",
        )
        .await;
        let shown: String = one(
            &world.user,
            &format!(
                "select format('%s %s %s', timezone, to_char(due_local, 'HH24:MI'), coalesce(held_by, '-'))
                   from scheduled_messages_local where id = '{id}' and recipient = '+13105550100' and minutes_until > 0"
            ),
        )
        .await;
        assert_eq!(shown, expected);
    }
    // No row of the app's is shown to whom it is not shown anyway.
    run(
        &world.unseen,
        "create role looker_only; grant select on scheduled_messages_local, scheduled_messages to looker_only;
         alter table scheduled_messages enable row level security",
    )
    .await;
    run(&world.user, "set role looker_only").await;
    let none = "select count(*) from scheduled_messages_local";
    assert_eq!(one::<i64>(&world.user, none).await, 0);
    run(&world.user, "reset role").await;
    run(
        &world.unseen,
        "drop owned by looker_only; drop role looker_only",
    )
    .await;
}

/// What was rendered is kept with the attempt and written to the app, also where a callback is first.
#[tokio::test]
async fn the_text_that_was_sent_is_kept() {
    let world = World::new().await;
    let store = store(&world);
    let rendered = |claim: &punctual::message::Claim, body: &str| {
        let mut as_sent = claim.clone();
        body.clone_into(&mut as_sent.body);
        accepted(&as_sent)
    };
    let ids = world.rows(2, "pending").await;
    let claims = won(&store, &ids).await;
    let records = [rendered(&claims[0], "Hello Ada"), accepted(&claims[1])];
    assert_eq!(recorded(&store, &records).await, 2);
    for (claim, kept, written) in [
        (&claims[0], Some("Hello Ada"), "Hello Ada"),
        (&claims[1], None, "hello"),
    ] {
        let sql = format!(
            "select body from punctual.attempts where token = '{}'",
            claim.token
        );
        let body: Option<String> = one(&world.unseen, &sql).await;
        assert_eq!(body.as_deref(), kept);
        let sql = format!(
            "select body from messages where twilio_sid = '{}'",
            sid(claim)
        );
        assert_eq!(one::<String>(&world.unseen, &sql).await, written);
        assert_eq!(world.get::<String>(claim.id.0, "body").await, "hello");
    }
    // As a callback leaves it that came first.
    let id = world.row("pending").await;
    let claim = won(&store, &[id]).await.remove(0);
    run(
        &world.unseen,
        &format!(
            "update punctual.attempts set outcome = 'accepted', provider_sid = '{sid}' where token = '{}';
             update scheduled_messages set status = 'sent' where id = '{id}';
             insert into messages (direction, body, twilio_sid) values ('outbound', 'hello', '{sid}')",
            claim.token,
            sid = sid(&claim)
        ),
    )
    .await;
    recorded(&store, &[rendered(&claim, "Hello Bob")]).await;
    let sql = format!(
        "select body from messages where twilio_sid = '{}'",
        sid(&claim)
    );
    assert_eq!(one::<String>(&world.unseen, &sql).await, "Hello Bob");
}

/// `docs/columns.md` is what an app's author goes by.
#[tokio::test]
async fn every_column_is_in_the_docs() {
    let world = World::new().await;
    let sql = "select attname::text from pg_attribute
                where attrelid = 'scheduled_messages'::regclass and attnum > 0 and not attisdropped";
    let documented = include_str!("../../docs/columns.md");
    let rows = world.user.query(sql, &[]).await.unwrap();
    assert!(rows.len() > 35, "{}", rows.len());
    for row in rows {
        let column: &str = row.get(0);
        assert!(documented.contains(&format!("`{column}`")), "{column}");
    }
}
