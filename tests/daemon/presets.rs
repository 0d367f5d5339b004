//! Presets: the tables of an app that is known, the statements of that app, and a whole daemon.

use tokio_postgres::Client;

use crate::daemon::until;
use crate::harness::TestDb;
use crate::world::{ROLE, World, called, environment, least, url};

const USER: &str = "11111111-1111-4111-8111-111111111111";

/// A user of the app's who may be texted.
const PREFERENCES: &str = "
  insert into user_sms_preferences (user_id, phone_number, phone_verified, event_reminders_enabled, quiet_hours_start,
                                    quiet_hours_end, daily_sms_limit)
  values ('11111111-1111-4111-8111-111111111111', '+13105551234', true, true, null, null, 100)";

/// What the app's planner does for one reminder, each statement by itself, with its text in the place of `TEXT`.
const PLANNED: [&str; 4] = [
    "insert into scheduled_sms_messages (user_id, message_content, message_type, event_title, scheduled_for, timezone, status,
       generated_via)
     values ('USER', 'TEXT', 'custom', 'Standup', clock_timestamp() + interval '1 s', 'UTC', 'scheduled', 'template')",
    "insert into sms_messages (user_id, phone_number, message_content, status, priority, scheduled_for, metadata)
     select user_id, '+13105551234', message_content, 'scheduled', 'normal', scheduled_for,
            jsonb_build_object('scheduled_sms_id', id, 'calendar_event_id', 'google-1', 'event_title', event_title)
       from scheduled_sms_messages where message_content = 'TEXT'",
    "update scheduled_sms_messages s set sms_message_id = m.id
       from sms_messages m where m.message_content = 'TEXT' and s.message_content = 'TEXT'",
    "insert into queue_jobs (user_id, job_type, queue_job_id, priority, scheduled_for, dedup_key, metadata)
     select s.user_id, 'send_sms', 'send-TEXT', 5, s.scheduled_for, 'send-scheduled-sms-' || s.id,
            jsonb_build_object('message_id', m.id, 'scheduled_sms_id', s.id, 'phone_number', m.phone_number,
                               'message', m.message_content, 'user_id', m.user_id)
       from scheduled_sms_messages s join sms_messages m on m.id = s.sms_message_id where s.message_content = 'TEXT'",
];

/// The same for a text that stands alone.
const ALONE: [&str; 2] = [
    "insert into sms_messages (user_id, phone_number, message_content, status, scheduled_for)
     values ('USER', '+13105551234', 'TEXT', 'scheduled', clock_timestamp() + interval '1 s')",
    "insert into queue_jobs (user_id, job_type, queue_job_id, scheduled_for, metadata)
     select user_id, 'send_sms', 'send-TEXT', scheduled_for, jsonb_build_object('message_id', id, 'message', message_content)
       from sms_messages where message_content = 'TEXT'",
];

/// What became of a text: the words of its row, of its record, and of its job.
const WORDS: &str = "select concat_ws(' ',
    (select 'row ' || s.status from scheduled_sms_messages s where s.message_content = $1),
    (select 'record ' || m.status from sms_messages m where m.message_content = $1),
    (select 'job ' || j.status from queue_jobs j where j.queue_job_id = 'send-' || $1))";

/// The first so many of these statements, and the next one of an app that is killed before it commits.
async fn killed_after(world: &World, statements: &[&str], n: usize, text: &str) {
    let of_text = |sql: &&str| sql.replace("TEXT", text).replace("USER", USER);
    for sql in statements[..n].iter().map(of_text) {
        world.app.batch_execute(&sql).await.unwrap();
    }
    if let Some(sql) = statements.get(n).map(of_text) {
        let app: Client = world.db.client().await;
        app.batch_execute("begin").await.unwrap();
        app.batch_execute(&sql).await.unwrap();
        let pid = app.query_one("select pg_backend_pid()", &[]).await.unwrap();
        let kill = "select pg_terminate_backend($1, 5000)";
        let pid: i32 = pid.get(0);
        world.app.query_one(kill, &[&pid]).await.unwrap();
    }
}

async fn becomes(world: &World, text: &str, words: &str) {
    until(&format!("{text}: {words}"), async || {
        let row = world.app.query_one(WORDS, &[&text]).await.unwrap();
        (row.get::<_, String>(0) == words).then_some(())
    })
    .await;
}

#[tokio::test]
async fn whatever_the_app_had_done_when_it_was_killed_one_text_is_sent_and_its_records_say_so() {
    let world = World::new([]).await;
    let owner = environment(&url(&world.app).await, &world.phone.url());
    let (code, out, said) = called(&["migrate", "--preset", "buildos"], &owner).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(out.contains("created the table sms_messages\n"), "{out}");
    assert!(out.contains("follows the source buildos_sms"), "{out}");
    world.app.batch_execute(PREFERENCES).await.unwrap();
    let daemon = world.daemon().await;
    let planned = [
        "row sent",
        "row sent record sent",
        "row sent record sent",
        "row sent record sent job completed",
    ];
    for n in 1..=planned.len() {
        killed_after(&world, &PLANNED, n, &format!("planned {n}")).await;
    }
    for n in 1..=ALONE.len() {
        killed_after(&world, &ALONE, n, &format!("alone {n}")).await;
    }
    for (n, words) in (1..).zip(planned) {
        becomes(&world, &format!("planned {n}"), words).await;
    }
    becomes(&world, "alone 1", "record sent").await;
    becomes(&world, "alone 2", "record sent job completed").await;
    // Records that come after the text was sent.
    for sql in &PLANNED[1..] {
        let sql = sql.replace("TEXT", "planned 1").replace("USER", USER);
        world.app.batch_execute(&sql).await.unwrap();
    }
    becomes(&world, "planned 1", planned[3]).await;
    // After the time of all of them.
    killed_after(&world, &ALONE, 2, "the last").await;
    becomes(&world, "the last", "record sent job completed").await;
    for n in 1..=planned.len() {
        let text = format!("planned {n}");
        assert_eq!(world.requests(&text).len(), 1, "{text}");
    }
    for text in ["alone 1", "alone 2", "the last"] {
        assert_eq!(world.requests(text).len(), 1, "{text}");
    }
    let (code, out, said) = called(&["migrate"], &owner).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(out, "nothing to do: the schema is up to date\n");
    daemon.stop().await;
}

/// The tables of an app that sends campaigns, with rows of its own.
const CAMPAIGN: &str = "
  create table scheduled_messages (
    id bigint primary key generated always as identity, phone_number text not null, customer_name text,
    message_content text not null, scheduled_for timestamptz not null, status text not null default 'SCH',
    campaign_message_id bigint, campaign_name text, sent_at timestamptz, error_message text,
    created_at timestamptz not null default now(), updated_at timestamptz not null default now());
  create table messages (id bigint primary key generated always as identity, phone_number text, content text,
                         status text default 'queued');
  insert into scheduled_messages (phone_number, customer_name, message_content, scheduled_for, campaign_name)
  values ('+13105551234', 'Ada Example', E'Test bubble 1\\n\\n[BUBBLE]\\n\\nTest bubble 2', now(), 'spring')";

/// Inserts a row of a campaign that is due in so many milliseconds; returns its id.
async fn scheduled(world: &World, text: &str, in_ms: f64) -> i64 {
    let sql = "insert into public.scheduled_messages (phone_number, message_content, scheduled_for, campaign_name)
               values ('+13105551234', $1, clock_timestamp() + $2 * interval '1 ms', 'spring') returning id";
    let row = world.app.query_one(sql, &[&text, &in_ms]).await;
    row.unwrap().get(0)
}

async fn is(world: &World, id: i64, status: &str) {
    let sql = "select concat_ws(' ', status, case when sent_at is null then 'unsent' else 'at its time' end)
                 from public.scheduled_messages where id = $1";
    until(&format!("{id}: {status}"), async || {
        let row = world.app.query_one(sql, &[&id]).await.unwrap();
        (row.get::<_, String>(0) == status).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_apps_own_table_of_scheduled_messages_is_followed_from_a_schema_beside_it() {
    let world = World::over(TestDb::empty().await, []).await;
    world.app.batch_execute(CAMPAIGN).await.unwrap();
    let says = async |world: &World, args: &[&str], expected: &str| {
        let (code, out, said) = world.call(args).await;
        assert_eq!(code, Some(1), "{args:?}: {out}");
        assert!(said.contains(expected), "{args:?}: {said}");
    };
    says(&world, &["migrate"], "column id is bigint").await;
    let preset = ["migrate", "--preset", "campaign"];
    says(&world, &preset, "PUNCTUAL_SCHEMA=punctual_app").await;
    let untouched =
        "select to_regnamespace('punctual') is null and to_regnamespace('punctual_app') is null";
    let untouched: bool = world.app.query_one(untouched, &[]).await.unwrap().get(0);
    assert!(untouched, "it was refused");

    let world = world.with(&[("PUNCTUAL_SCHEMA", "punctual_app")]);
    says(&world, &["run"], "punctual migrate --preset campaign").await;
    let create = format!(
        "do $$ begin create role {ROLE} login password '{ROLE}';
         exception when duplicate_object or unique_violation then null; end $$"
    );
    world.app.batch_execute(&create).await.unwrap();
    let with_role = ["migrate", "--preset", "campaign", "--role", ROLE];
    let (code, out, said) = world.call(&with_role).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(
        out.contains("follows the source campaign: 1 rows that were there before\n"),
        "{out}"
    );
    for again in [&preset[..], &["migrate"]] {
        let (_, out, said) = world.call(again).await;
        assert_eq!(out, "nothing to do: the schema is up to date\n", "{said}");
    }

    let owner = world.env.clone();
    let url = world.env.iter().find(|(name, _)| name == "DATABASE_URL");
    let url = least(&url.unwrap().1);
    let world = world.with(&[("DATABASE_URL", &url)]);
    let daemon = world.daemon().await;
    is(&world, 1, "sent at its time").await;
    let never = scheduled(&world, "never", 1_000.0).await;
    let moved = scheduled(&world, "moved", 3_600_000.0).await;
    let theirs = scheduled(&world, "theirs", 1_000.0).await;
    let gone = scheduled(&world, "gone", 1_000.0).await;
    // What the app's papers do by hand, and its own function, which marks what it has sent.
    let changes = format!(
        "update public.scheduled_messages set status = 'cancelled' where id = {never};
         update public.scheduled_messages set scheduled_for = clock_timestamp(), message_content = 'moved and changed'
          where id = {moved};
         update public.scheduled_messages set status = 'sent', sent_at = now() where id = {theirs};
         delete from public.scheduled_messages where id = {gone}"
    );
    world.app.batch_execute(&changes).await.unwrap();
    is(&world, moved, "sent at its time").await;
    let last = scheduled(&world, "the last", 1_500.0).await;
    is(&world, last, "sent at its time").await;
    for text in [
        "Test bubble 1",
        "Test bubble 2",
        "moved and changed",
        "the last",
    ] {
        assert_eq!(world.requests(text).len(), 1, "{text}");
    }
    for text in ["never", "moved", "theirs", "gone"] {
        assert!(world.requests(text).is_empty(), "{text}");
    }
    let ours = "select (select count(*) from public.messages) = 0 and (select count(*) from punctual_app.messages) = 4";
    until("the record is Punctual's own", async || {
        let row = world.app.query_one(ours, &[]).await.unwrap();
        row.get::<_, bool>(0).then_some(())
    })
    .await;
    let (_, out, _) = called(&["doctor", "--json"], &owner).await;
    let found: serde_json::Value = serde_json::from_str(&out).unwrap();
    let about = |what: &str| {
        let all = found.as_array().unwrap().iter();
        let one = all.clone().find(|one| one["what"] == what);
        one.unwrap_or_else(|| panic!("{what} is not in {out}"))["level"].clone()
    };
    for what in [
        "schema",
        "source tables",
        "source settings",
        "source presets",
    ] {
        assert_eq!(about(what), "ok", "{what}: {out}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_table_of_campaigns_that_is_missing_is_created_and_its_rows_are_sent() {
    let world = World::over(TestDb::empty().await, []).await;
    let world = world.with(&[("PUNCTUAL_SCHEMA", "punctual_app")]);
    let (code, out, said) = world.call(&["migrate", "--preset", "campaign"]).await;
    assert_eq!(code, Some(0), "{said}");
    for line in [
        "created the table scheduled_messages\n",
        "follows the source campaign: 0 rows that were there before\n",
    ] {
        assert!(out.contains(line), "{out}");
    }
    let (_, out, said) = world.call(&["migrate"]).await;
    assert_eq!(out, "nothing to do: the schema is up to date\n", "{said}");
    let daemon = world.daemon().await;
    let id = scheduled(&world, "hello", 1_000.0).await;
    is(&world, id, "sent at its time").await;
    assert_eq!(world.requests("hello").len(), 1);
    daemon.stop().await;
}
