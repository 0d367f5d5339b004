//! The writer in the built daemon: with a model that answers in time its texts go out, with one that does not the
//! messages' own do, each once and on time.

use rustix::process::Signal;
use serde_json::Value;
use uuid::Uuid;

use crate::daemon::{Daemon, until};
use crate::model::{Model, Says, right, whole};
use crate::world::{TO, World};

/// A world whose daemons ask this model.
async fn world(model: &Model, settings: &[(&str, &str)]) -> World {
    let own = [
        ("PUNCTUAL_LLM_URL", model.url()),
        ("PUNCTUAL_LLM_MODEL", "m"),
        ("PUNCTUAL_LLM_PRICE_IN", "0.14"),
        ("PUNCTUAL_LLM_PRICE_OUT", "0.28"),
    ];
    World::new([]).await.with(&own).with(settings)
}

/// A reminder with a template, due in so many milliseconds, for which a text is wanted.
async fn reminder(world: &World, title: &str, in_ms: f64) -> Uuid {
    let template = "insert into sms_templates (id, template_key, name, message_template)
        values ('aaaaaaaa-0000-4000-8000-000000000001', 'reminder', 'reminder', 'template: {{event_title}}') on conflict do nothing";
    world.app.batch_execute(template).await.unwrap();
    let sql = "with made as (
                 insert into task_calendar_events (calendar_event_id, user_id, event_title, event_start)
                 values ($1, gen_random_uuid(), $1, clock_timestamp() + $2 * interval '1 ms' + interval '15 minutes')
                 returning user_id, event_start)
               insert into scheduled_messages (to_number, body, scheduled_at, user_id, calendar_event_id, event_start,
                                               template_id, template_vars)
               select $3, 'template: ' || $1, event_start - interval '15 minutes', user_id, $1, event_start,
                      'aaaaaaaa-0000-4000-8000-000000000001', jsonb_build_object('event_title', $1::text)
                 from made returning id";
    let row = world.app.query_one(sql, &[&title, &in_ms, &TO]).await;
    let id: Uuid = row.unwrap().get(0);
    let want = "select punctual_api.request_text($1)";
    let answer: Value = world.app.query_one(want, &[&id]).await.unwrap().get(0);
    assert_eq!(answer["ok"], true, "{answer}");
    id
}

async fn ended(world: &World, id: Uuid) -> String {
    until("the draft has ended", async || {
        let sql = "select outcome from punctual.drafts where message_id = $1";
        let row = world.app.query_one(sql, &[&id]).await.unwrap();
        row.get::<_, Option<String>>(0)
    })
    .await
}

/// The texts that arrived, in any order.
fn arrived(world: &World) -> Vec<String> {
    let accepted = world.phone.accepted();
    let texts = accepted
        .iter()
        .map(|(_, seen)| seen.field("Body").unwrap().to_owned());
    let mut texts: Vec<String> = texts.collect();
    texts.sort();
    texts
}

async fn metric(daemon: &Daemon, name: &str) -> f64 {
    let (_, page) = daemon.answer("/metrics").await;
    let line = page.lines().find(|line| line.starts_with(name));
    let line = line.unwrap_or_else(|| panic!("no {name} in {page}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_text_that_comes_in_time_goes_out_once_in_place_of_the_template() {
    let model = Model::start([]).await;
    let world = world(&model, &[("PUNCTUAL_LLM_API_KEY", "sk-1")]).await;
    let (one, other) = (world.daemon().await, world.daemon().await);
    let id = reminder(&world, "Project Sync", 8_000.0).await;
    assert_eq!(ended(&world, id).await, "written");
    let asked = model.asked();
    assert_eq!(asked.len(), 1, "by one instance");
    let text = right(&asked[0].data());
    assert_eq!(text, "Heads-up: Project Sync in 15 mins");
    world.becomes(id, "sent").await;
    assert_eq!(arrived(&world), [text]);
    let written = [
        metric(&one, "punctual_texts_total{outcome=\"written\"}").await,
        metric(&other, "punctual_texts_total{outcome=\"written\"}").await,
    ];
    assert!((written[0] + written[1] - 1.0).abs() < 0.1, "{written:?}");
    let cost = metric(&one, "punctual_text_cost_usd_total").await
        + metric(&other, "punctual_text_cost_usd_total").await;
    assert!((cost - 0.000_042).abs() < 1e-9, "{cost}");
    let (_, why, _) = world.call(&["why", &id.to_string()]).await;
    assert!(why.contains("the writer"), "{why}");
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_model_that_stalls_or_lies_changes_nothing_that_is_sent() {
    let link = "Project Sync in 15 mins https://evil.example/x";
    let script = [
        Says::Stall,
        Says::Silence,
        Says::Text("Project Sync in 30 mins".into()),
        Says::Text(link.into()),
        Says::Text("You won! Call +15005550199".into()),
        Says::Other(200, "text/html", vec![], "<html>".into()),
        Says::Other(
            200,
            "application/json",
            vec![],
            whole("x").replace("\"stop\"", "\"length\""),
        ),
        Says::Flood,
    ];
    let many = script.len();
    let model = Model::start(script).await;
    let world = world(&model, &[("PUNCTUAL_LLM_TIMEOUT", "500ms")]).await;
    let daemon = world.daemon().await;
    let mut expected = Vec::new();
    for n in 0..many {
        let title = format!(
            "Project Sync {}",
            char::from(b'a' + u8::try_from(n).unwrap())
        );
        let id = reminder(&world, &title, 9_000.0).await;
        let end = ended(&world, id).await;
        assert!(
            ["timed_out", "refused", "failed"].contains(&end.as_str()),
            "{n}: {end}"
        );
        expected.push((id, format!("template: {title}")));
    }
    for (id, _) in &expected {
        world.becomes(*id, "sent").await;
    }
    let texts: Vec<String> = expected.into_iter().map(|(_, text)| text).collect();
    assert_eq!(arrived(&world), texts);
    assert!(
        (metric(&daemon, "punctual_texts_total{outcome=\"timed_out\"}").await - 2.0).abs() < 0.1
    );
    assert!((metric(&daemon, "punctual_texts_total{outcome=\"refused\"}").await - 3.0).abs() < 0.1);
    daemon.stop().await;
}

#[tokio::test]
async fn a_stalled_answer_does_not_make_a_message_late() {
    let model = Model::always(Says::Stall).await;
    let world = world(&model, &[("PUNCTUAL_LLM_TIMEOUT", "60s")]).await;
    let daemon = world.daemon().await;
    let id = reminder(&world, "Project Sync", 4_000.0).await;
    until("the model is asked", async || {
        (!model.asked().is_empty()).then_some(())
    })
    .await;
    let row = world.becomes(id, "sent").await;
    assert_eq!(arrived(&world), ["template: Project Sync"]);
    let sql = "select (extract(epoch from min(started_at) - $2::timestamptz) * 1000)::float8
                 from punctual.attempts where message_id = $1";
    let due = chrono::DateTime::from_timestamp_micros(i64::try_from(row.due.as_micros()).unwrap())
        .unwrap();
    let late: f64 = world.app.query_one(sql, &[&id, &due]).await.unwrap().get(0);
    println!("figure: beside a stalled model the request started {late:.3} ms after its time");
    assert_eq!(ended(&world, id).await, "timed_out");
    daemon.stop().await;
}

#[tokio::test]
async fn over_the_budget_of_the_day_templates_go_out_and_are_counted() {
    let model = Model::start([]).await;
    // Enough for one call at its highest price, and not for two.
    let world = world(&model, &[("PUNCTUAL_LLM_BUDGET", "0.0004")]).await;
    let daemon = world.daemon().await;
    let first = reminder(&world, "Project Sync", 9_000.0).await;
    assert_eq!(ended(&world, first).await, "written");
    let spend = "update punctual.draft_days set spent_usd = 0.0003";
    world.app.batch_execute(spend).await.unwrap();
    let second = reminder(&world, "Project Review", 6_000.0).await;
    assert_eq!(ended(&world, second).await, "over_budget");
    world.becomes(second, "sent").await;
    world.becomes(first, "sent").await;
    assert_eq!(model.asked().len(), 1);
    assert_eq!(
        arrived(&world),
        [
            "Heads-up: Project Sync in 15 mins",
            "template: Project Review"
        ]
    );
    assert!(
        (metric(&daemon, "punctual_texts_total{outcome=\"over_budget\"}").await - 1.0).abs() < 0.1
    );
    daemon.stop().await;
}

#[tokio::test]
async fn a_refused_key_is_logged_once_and_a_busy_endpoint_is_left_alone() {
    let refused = Says::Other(
        401,
        "application/json",
        vec![],
        "{\"error\": {\"message\": \"bad key\"}}".into(),
    );
    let model = Model::always(refused).await;
    let own = world(&model, &[]).await;
    let daemon = own.daemon().await;
    let id = reminder(&own, "Project Sync", 7_000.0).await;
    let log = until("it is logged", async || {
        let log = daemon.said();
        log.contains("no texts are written").then_some(log)
    })
    .await;
    assert!(
        log.contains("PUNCTUAL_LLM_API_KEY") && log.contains("bad key"),
        "{log}"
    );
    let other = reminder(&own, "Project Review", 7_000.0).await;
    own.becomes(id, "sent").await;
    own.becomes(other, "sent").await;
    assert_eq!(model.asked().len(), 1, "it is not asked again for minutes");
    assert_eq!(
        arrived(&own),
        ["template: Project Review", "template: Project Sync"]
    );
    assert_eq!(ended(&own, id).await, "late");
    daemon.stop().await;

    let busy = Says::Other(
        429,
        "application/json",
        vec![("retry-after", "1")],
        String::new(),
    );
    let model = Model::start([busy]).await;
    let own = world(&model, &[]).await;
    let daemon = own.daemon().await;
    let id = reminder(&own, "Project Sync", 20_000.0).await;
    assert_eq!(ended(&own, id).await, "written");
    assert_eq!(model.asked().len(), 2);
    daemon.stop().await;
}

#[tokio::test]
async fn a_draft_of_a_daemon_that_died_is_written_by_the_next_one() {
    let model = Model::start([Says::Silence]).await;
    let world = world(&model, &[("PUNCTUAL_LLM_TIMEOUT", "1s")]).await;
    let mut daemon = world.daemon().await;
    let id = reminder(&world, "Project Sync", 120_000.0).await;
    until("the model is asked", async || {
        (!model.asked().is_empty()).then_some(())
    })
    .await;
    daemon.signal(Signal::KILL);
    daemon.ended().await;
    let _next = world.daemon().await;
    // Its lease is eleven seconds; no notification says when it is over.
    assert_eq!(ended(&world, id).await, "written");
    assert_eq!(model.asked().len(), 2);
}

#[tokio::test]
async fn a_person_sees_what_the_model_would_write() {
    let model = Model::start([]).await;
    let world = world(&model, &[]).await;
    let daemon = world.daemon().await;
    let id = reminder(&world, "Project Sync", 600_000.0).await;
    assert_eq!(ended(&world, id).await, "written");
    let id = id.to_string();
    let (code, said, error) = world.call(&["write", &id, "--dry-run"]).await;
    assert_eq!(code, Some(0), "{error}");
    for part in [
        "m at 127.0.0.1",
        "\"title\":\"Project Sync\"",
        "it would be sent: 33 characters, 1 segment (GSM-7)",
        "0.000042 USD, 200 and 50 tokens",
    ] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    let (code, said, _) = world.call(&["write", &id, "--dry-run", "--json"]).await;
    assert_eq!(code, Some(0));
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["text"], "Heads-up: Project Sync in 15 mins");
    assert_eq!(said["spent"]["generation_cost_usd"], 0.000_042);
    let asked = model.asked().len();
    let (_, said, _) = world.call(&["doctor", "--online", "--verbose"]).await;
    assert!(said.contains("it answers in"), "{said}");
    assert_eq!(model.asked().len(), asked + 1);
    daemon.stop().await;
}
