//! Jobs of the app as the built daemon runs them: at an endpoint that does them, goes on with them, or dies.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::daemon::{Daemon, until};
use crate::standin::{Act, JSON, Seen, StandIn};
use crate::world::{ROLE, World, asked, called, environment, url};

const SECRET: &str = "whsec_bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXcgbmV3IQ==";
const USER: &str = "11111111-1111-4111-8111-111111111111";

/// How many jobs are due at one instant, unless `JOBS_AT_ONCE` says so: 10,000 take some minutes.
const AT_ONCE: usize = 60;

/// With these endpoints for these types.
async fn world(endpoints: &[(&str, &StandIn)]) -> (World, Daemon) {
    let urls: Vec<String> = endpoints
        .iter()
        .map(|(kind, endpoint)| format!("{kind} = {}/jobs", endpoint.url()))
        .collect();
    let world = World::new([]).await.with(&[
        ("PUNCTUAL_WEBHOOK_SECRET", SECRET),
        ("PUNCTUAL_WEBHOOK_ALLOW", "127.0.0.1"),
        ("PUNCTUAL_JOB_URLS", &urls.join(" | ")),
    ]);
    let owner = environment(&url(&world.app).await, &world.phone.url());
    let (code, _, error) = called(&["migrate", "--preset", "buildos"], &owner).await;
    assert_eq!(code, Some(0), "{error}");
    // It is there before its type has a URL.
    add(&world, "generate_daily_brief", "").await;
    let daemon = world.daemon().await;
    (world, daemon)
}

async fn add(world: &World, kind: &str, rest: &str) -> Uuid {
    let sql = format!("select add_queue_job('{USER}', '{kind}', '{{\"a\": \"{kind}\"}}'{rest})");
    world.app.query_one(&sql, &[]).await.unwrap().get(0)
}

async fn said(world: &World, sql: &str) -> String {
    let row = world.app.query_opt(sql, &[]).await.unwrap();
    let said: Option<String> = row.and_then(|row| row.get(0));
    said.unwrap_or_default()
}

/// Waits until a job stands so: its status, attempts, error and result.
async fn becomes(world: &World, job: Uuid, expected: &str) {
    let sql = format!(
        "select concat_ws(' ', status, attempts, error_message, result) from queue_jobs where id = '{job}'"
    );
    let last = std::cell::RefCell::new(String::new());
    until(&format!("{job}: {expected}"), async || {
        let is = said(world, &sql).await;
        let done = (is == expected).then_some(());
        *last.borrow_mut() = is;
        done
    })
    .await;
}

/// The time passes until what waits for a job is due.
async fn passes(world: &World) {
    let sql = "update scheduled_messages set scheduled_at = clock_timestamp()
                where channel = 'webhook' and status = 'pending'";
    world.app.batch_execute(sql).await.unwrap();
}

/// What a worker calls.
async fn calls(world: &World, call: &str) -> bool {
    let row = world.app.query_one(&format!("select {call}"), &[]).await;
    row.unwrap().get(0)
}

fn job_of(seen: &Seen) -> Uuid {
    let body: Value = serde_json::from_str(&seen.text()).unwrap();
    body["job_id"].as_str().unwrap().parse().unwrap()
}

fn answers(status: u16, body: &str) -> Act {
    Act::Answer(status, JSON, body.to_owned())
}

/// A worker goes on with a job, reports how far it is, and ends it.
async fn goes_on_with_it(world: &World) {
    let job = add(world, "process_brain_dump", "").await;
    becomes(world, job, "processing 1").await;
    let lease = "select (m.scheduled_at - clock_timestamp())::text from scheduled_messages m
                  where m.status = 'pending' and m.message_type = 'job:process_brain_dump'";
    assert!(said(world, lease).await.starts_with("00:04:"));
    let earlier = "update scheduled_messages set scheduled_at = clock_timestamp() + interval '1 min' where status = 'pending'";
    world.app.batch_execute(earlier).await.unwrap();
    assert!(calls(world, &format!("job_progress('{job}', 2, 5, 'reading')")).await);
    assert!(
        said(world, lease).await.starts_with("00:04:"),
        "the lease begins again"
    );
    let progress = format!("select metadata ->> 'progress' from queue_jobs where id = '{job}'");
    assert!(said(world, &progress).await.contains("reading"));
    assert!(calls(world, &format!("job_complete('{job}', '{{\"ok\": true}}')")).await);
    becomes(world, job, r#"completed 1 {"ok": true}"#).await;
    let changed =
        format!("select (updated_at > created_at)::text from queue_jobs where id = '{job}'");
    assert_eq!(said(world, &changed).await, "true");
    assert!(
        !calls(world, &format!("job_complete('{job}')")).await,
        "it has ended"
    );
    assert_eq!(said(world, lease).await, "");
    passes(world).await;
}

/// A job is run again when the lease of its worker is over, and fails after the last one.
async fn is_silent(world: &World, endpoint: &StandIn) {
    let job = add(world, "send_email", "").await;
    let twice = format!("update queue_jobs set max_attempts = 2 where id = '{job}'");
    world.app.batch_execute(&twice).await.unwrap();
    becomes(world, job, "processing 1").await;
    passes(world).await;
    becomes(world, job, "processing 2").await;
    passes(world).await;
    becomes(
        world,
        job,
        "failed 2 its worker did not report within the lease, 2 times",
    )
    .await;
    let ids: Vec<_> = endpoint
        .creates()
        .iter()
        .map(|s| s.webhook_id().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1], "another run, not the same request");
    // A person has it run again; they may name the job.
    let (code, shown, said) = world.call(&["why", &job.to_string()]).await;
    assert_eq!(code, Some(0), "{said}");
    let (first, _) = shown.split_once('\n').unwrap();
    let message = first
        .strip_prefix(&format!("row {job} of queue_jobs: message "))
        .unwrap_or_else(|| panic!("{shown}"));
    assert!(
        shown.contains("the last lease of its job is over"),
        "{shown}"
    );
    let (code, retried, said) = world.call(&["retry", &job.to_string()]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(retried.contains(message), "{retried}");
    let status = format!("select status::text from queue_jobs where id = '{job}'");
    until("it is run again", async || {
        (self::said(world, &status).await == "completed").then_some(())
    })
    .await;
    assert_eq!(endpoint.creates().len(), 3);
}

#[tokio::test]
async fn a_job_ends_as_its_worker_says() {
    let taken = || answers(202, "");
    let brief = StandIn::start([]).await;
    let does = StandIn::start([answers(200, r#"{"phases": 3}"#)]).await;
    let writes = StandIn::start([answers(200, "done, all of it")]).await;
    let goes_on = StandIn::start([taken()]).await;
    let crashes = StandIn::start([taken(), taken()]).await;
    let breaks = StandIn::start([answers(500, ""), answers(200, "2")]).await;
    let fails = StandIn::start([taken(), answers(200, "3")]).await;
    let is_cancelled = StandIn::start([taken()]).await;
    let (world, daemon) = world(&[
        ("generate_daily_brief", &brief),
        ("generate_phases", &does),
        ("sync_calendar", &writes),
        ("process_brain_dump", &goes_on),
        ("send_email", &crashes),
        ("update_recurring_tasks", &breaks),
        ("cleanup_old_data", &fails),
        ("onboarding_analysis", &is_cancelled),
    ])
    .await;
    until("the job from before is done", async || {
        let sql = "select status::text from queue_jobs where job_type = 'generate_daily_brief'";
        (said(&world, sql).await == "completed").then_some(())
    })
    .await;

    let done = add(&world, "generate_phases", "").await;
    let written = add(
        &world,
        "sync_calendar",
        ", 1, clock_timestamp() + interval '300 ms'",
    )
    .await;
    let for_the_app = add(&world, "other", "").await;
    becomes(&world, done, r#"completed 1 {"phases": 3}"#).await;
    becomes(&world, written, r#"completed 1 "done, all of it""#).await;
    let seen = does.creates().remove(0);
    assert_eq!(job_of(&seen), done);
    let body: Value = serde_json::from_str(&seen.text()).unwrap();
    assert_eq!(body["metadata"]["a"], "generate_phases");

    goes_on_with_it(&world).await;
    is_silent(&world, &crashes).await;
    // Its endpoint breaks; its worker fails.
    let job = add(&world, "update_recurring_tasks", "").await;
    becomes(&world, job, "retrying 1 the endpoint failed (Code: 500)").await;
    passes(&world).await;
    becomes(&world, job, "completed 1 2").await;
    let job = add(&world, "cleanup_old_data", "").await;
    becomes(&world, job, "processing 1").await;
    assert!(calls(&world, &format!("job_fail('{job}', 'no space')")).await);
    becomes(&world, job, "retrying 1 no space").await;
    passes(&world).await;
    becomes(&world, job, "completed 2 3").await;

    // The app cancels one that is being worked on: its worker is shown that.
    let job = add(&world, "onboarding_analysis", "").await;
    becomes(&world, job, "processing 1").await;
    let cancel = format!("update queue_jobs set status = 'cancelled' where id = '{job}'");
    world.app.batch_execute(&cancel).await.unwrap();
    assert!(!calls(&world, &format!("job_progress('{job}', 1, 2)")).await);
    passes(&world).await;
    becomes(&world, job, "cancelled 1").await;
    becomes(&world, for_the_app, "pending 0").await;
    for endpoint in [&does, &writes, &goes_on, &is_cancelled] {
        assert_eq!(endpoint.creates().len(), 1);
    }
    let left = "select count(*)::text from punctual.job_runs r
                 where not exists (select from scheduled_messages m where m.id = r.message_id and m.status = 'pending')
                   and r.status is not null";
    assert_eq!(said(&world, left).await, "0");
    daemon.stop().await;
}

/// One that is too long, one that comes when the worker has given the job up, and one that cannot be kept.
#[tokio::test]
async fn an_answer_is_kept_or_the_request_is_repeated() {
    let long = StandIn::start([answers(200, &"x".repeat(20 * 1024))]).await;
    let answered = Arc::new(Notify::new());
    let late = StandIn::start([Act::AcceptWhen(Arc::clone(&answered)), answers(200, "3")]).await;
    let not_kept = StandIn::start([answers(200, "4"), answers(200, "5")]).await;
    let (world, daemon) = world(&[
        ("generate_phases", &long),
        ("sync_calendar", &late),
        ("send_email", &not_kept),
    ])
    .await;
    let job = add(&world, "generate_phases", "").await;
    let why = format!(
        "select status || ' ' || (result ? 'not_kept')::text from queue_jobs where id = '{job}'"
    );
    until("it is done", async || {
        (said(&world, &why).await == "completed true").then_some(())
    })
    .await;

    let job = add(&world, "sync_calendar", "").await;
    asked(&late, 1).await;
    assert!(calls(&world, &format!("job_fail('{job}', 'no space')")).await);
    answered.notify_one();
    becomes(&world, job, "retrying 1 no space").await;
    passes(&world).await;
    becomes(&world, job, "completed 2 3").await;

    let right = "execute on function punctual.job_answer(uuid, int, text, boolean)";
    let revoke = format!("revoke {right} from {ROLE}");
    world.app.batch_execute(&revoke).await.unwrap();
    add(&world, "send_email", "").await;
    let waits = "select status from scheduled_messages where message_type = 'job:send_email'";
    until("whether it was done is not known", async || {
        (said(&world, waits).await == "unconfirmed").then_some(())
    })
    .await;
    let grant = format!("grant {right} to {ROLE}");
    world.app.batch_execute(&grant).await.unwrap();
    let status = "select status::text from queue_jobs where job_type = 'send_email'";
    until("it is done", async || {
        (said(&world, status).await == "completed").then_some(())
    })
    .await;
    let mut ids: Vec<_> = not_kept.creates();
    assert!(ids.len() > 1);
    ids.dedup_by_key(|seen| seen.webhook_id().map(str::to_owned));
    assert_eq!(ids.len(), 1, "the same request");
    daemon.stop().await;
}

/// Those from before their type had a URL, which the app's table refuses, keep no daemon from its work.
#[tokio::test]
async fn jobs_that_cannot_be_followed_hold_up_nothing() {
    let endpoint = StandIn::start([]).await;
    let url_of = format!("generate_daily_brief = {}/jobs", endpoint.url());
    let world = World::new([]).await.with(&[
        ("PUNCTUAL_WEBHOOK_SECRET", SECRET),
        ("PUNCTUAL_WEBHOOK_ALLOW", "127.0.0.1"),
        ("PUNCTUAL_JOB_URLS", &url_of),
    ]);
    let owner = environment(&url(&world.app).await, &world.phone.url());
    let (code, _, error) = called(&["migrate", "--preset", "buildos"], &owner).await;
    assert_eq!(code, Some(0), "{error}");
    add(&world, "generate_daily_brief", "").await;
    let refuses = "alter table scheduled_messages add constraint of_the_apps
                     check (message_type is distinct from 'job:generate_daily_brief')";
    world.app.batch_execute(refuses).await.unwrap();
    let mut daemon = world.daemon().await;
    daemon.says("jobs from before").await;
    let text = world.insert("hello", 0).await;
    world.arrived_once(text).await;
    daemon.stop().await;
}

/// All at one instant, and a worker that takes each and dies; every second job is ended by somebody else meanwhile.
#[tokio::test]
async fn jobs_whose_worker_dies_end_and_are_run_again_only_after_a_lease() {
    let many = std::env::var("JOBS_AT_ONCE").map_or(AT_ONCE, |n| n.parse().unwrap());
    let script = std::iter::repeat_with(|| answers(202, "")).take(many * 3);
    let dies = StandIn::start(script).await;
    let (world, daemon) = world(&[("generate_phases", &dies)]).await;
    let herd = format!(
        "insert into queue_jobs (user_id, job_type, scheduled_for)
         select '{USER}', 'generate_phases', now() + interval '1 s' from generate_series(1, {many})"
    );
    world.app.batch_execute(&herd).await.unwrap();
    let count = async |status: &str| -> usize {
        let sql = format!(
            "select count(*)::text from queue_jobs where job_type = 'generate_phases' and status = '{status}'"
        );
        said(&world, &sql).await.parse().unwrap()
    };
    until("all are worked on", async || {
        (count("processing").await == many).then_some(())
    })
    .await;
    assert_eq!(dies.creates().len(), many);
    let half = "select count(job_complete(id))::text from (
                  select id from queue_jobs where job_type = 'generate_phases' order by id limit $1) j";
    let half: String = {
        let most = i64::try_from(many / 2).unwrap();
        world.app.query_one(half, &[&most]).await.unwrap().get(0)
    };
    assert_eq!(half, (many / 2).to_string());
    let left = many - many / 2;
    for run in 2..=3 {
        passes(&world).await;
        let again = format!(
            "select count(*)::text from queue_jobs where status = 'processing' and attempts = {run}"
        );
        until("those left are run again", async || {
            (said(&world, &again).await == left.to_string()).then_some(())
        })
        .await;
    }
    passes(&world).await;
    until("all have ended", async || {
        (count("failed").await == left && count("completed").await == many / 2).then_some(())
    })
    .await;
    let mut runs = std::collections::HashMap::<Uuid, Vec<String>>::new();
    for seen in dies.creates() {
        let ids = runs.entry(job_of(&seen)).or_default();
        ids.push(seen.webhook_id().unwrap().to_owned());
    }
    let mut three = 0;
    for (job, mut ids) in runs {
        assert!(ids.len() == 1 || ids.len() == 3, "{job}: {ids:?}");
        three += usize::from(ids.len() == 3);
        ids.sort_unstable();
        ids.dedup();
        assert!(
            ids.len() == 1 || ids.len() == 3,
            "{job}: a request was repeated"
        );
    }
    assert_eq!(three, left);
    daemon.stop().await;
}
