//! No secret, phone number or text in anything that is said, however much is asked to be said.

use crate::daemon::{Daemon, set};
use crate::standin::Act;
use crate::world::{World, admin, asked};

const TO: &str = "+13105557777";
/// Who is throttled: all other messages to it wait as well. The canary is in it too.
const THROTTLED: &str = "+443105557777";
const FROM: &str = "+15005558888";
const BODY: &str = "canary-body-chirps";
const PASSWORD: &str = "canarypassword42";
const AUTH_TOKEN: &str = "canary0auth0token0canary0auth0to";
const DEBUG_TOKEN: &str = "canary-debug-token";

const CANARIES: [&str; 6] = [
    // Without the plus, which a log may write otherwise; the last digits are enough to recognize it.
    "3105557777",
    "5005558888",
    "canary-body",
    PASSWORD,
    AUTH_TOKEN,
    DEBUG_TOKEN,
];

fn is_clean(what: &str, said: &str) {
    for canary in CANARIES {
        for line in said.lines() {
            assert!(!line.contains(canary), "{what} shows {canary}: {line}");
        }
    }
}

/// An app that refuses and quotes its rows: by a constraint, by a trigger whose message has a line break in it, at a
/// write of ours and at the claim itself.
const QUOTING_APP: &str = r"
    alter table messages add constraint picky check (body not like 'canary%');
    create function say_no() returns trigger language plpgsql as $$
    begin
      raise exception E'no % for %\nFORGED line', new.body, new.to_number;
    end $$;
    create trigger say_no before insert on messages for each row
      when (new.body like '%quoted-by-trigger') execute function say_no();
    create trigger say_no before update on scheduled_messages for each row
      when (new.status = 'sending' and new.body like '%refused-at-its-claim') execute function say_no();
";

/// Rows that the app refuses: one of its own table's, one at its claim; the zone of both is no name.
async fn the_app_refuses_and_quotes(world: &World) -> uuid::Uuid {
    let insert = async |body: &str| -> uuid::Uuid {
        let sql =
            "insert into scheduled_messages (to_number, body, timezone, user_id, scheduled_at)
                   values ($1, $2, $1, gen_random_uuid(), clock_timestamp()) returning id";
        let body = format!("{BODY} {body}");
        let row = world.app.query_one(sql, &[&TO, &body]).await;
        row.unwrap().get(0)
    };
    insert("refused-at-its-claim").await;
    let id = insert("quoted-by-trigger").await;
    crate::daemon::until("the app's refusal is kept", async || {
        let sql = "select last_error from punctual.outbox where message_id = $1";
        let row = world.app.query_opt(sql, &[&id]).await.unwrap()?;
        let kept: String = row.get(0);
        is_clean("the outbox", &kept);
        // Written together with others, it has the refusal of all until it is tried alone.
        kept.contains("SQLSTATE P0001, function \"say_no\"")
            .then_some(())
    })
    .await;
    id
}

/// The message's story has them, marked as the app's, and nothing else has.
async fn its_words_are_for_who_asks(world: &World, daemon: &Daemon, refused: uuid::Uuid) {
    let said = format!("no {BODY} quoted-by-trigger for {TO}");
    let (_, body) = daemon.answer(&format!("/debug/messages/{refused}")).await;
    let mut story: serde_json::Value = serde_json::from_str(&body).unwrap();
    let words = story["outbox"][0]["app_error"].take();
    assert!(words.as_str().unwrap().starts_with(&said), "{words}");
    let warnings = story["row"]["warnings"].take();
    assert!(
        warnings[0]
            .as_str()
            .unwrap()
            .contains("not an IANA time zone"),
        "{warnings}"
    );
    is_clean("the rest of a story", &story.to_string());
    let (code, printed, stderr) = world.call(&["why", &refused.to_string()]).await;
    assert_eq!(code, Some(0), "{stderr}");
    let line = printed
        .lines()
        .find(|line| line.contains("in the app's own words: "));
    assert!(line.unwrap().contains(&said), "{printed}");
    assert!(
        !printed.lines().any(|line| line.starts_with("FORGED")),
        "{printed}"
    );
    let (_, printed, stderr) = world.call(&["doctor"]).await;
    let printed = printed.replace(FROM, "");
    assert!(
        printed.contains("refused by the app's tables"),
        "{printed}{stderr}"
    );
    is_clean("doctor", &printed);
    is_clean("doctor", &stderr);
}

/// Everything that can come of a message, in one run.
async fn check(format: &str) {
    let text = format!("{TO} is not a number to {FROM}: {BODY}");
    let acts = [
        Act::refuse(400, 21211, &text),
        Act::Answer(500, "", text.clone()),
        Act::Silence,
        Act::Reset,
        Act::Answer(429, "retry-after: 3600\r\n", text),
        Act::Accept,
    ];
    let mut world = World::new(acts).await;
    let admin = admin().await;
    let name: String = {
        let row = world.app.query_one("select current_database()", &[]).await;
        row.unwrap().get(0)
    };
    let role = format!("canary_{name}");
    admin
        .batch_execute(&format!(
            "create role {role} superuser login password '{PASSWORD}'"
        ))
        .await
        .unwrap();
    let port = crate::harness::cluster().port();
    let url = format!("postgres://{role}:{PASSWORD}@127.0.0.1:{port}/{name}");
    for (setting, value) in [
        ("DATABASE_URL", url.as_str()),
        ("TWILIO_AUTH_TOKEN", AUTH_TOKEN),
        ("TWILIO_SMS_FROM_NUMBER", FROM),
        ("PUNCTUAL_DEBUG_TOKEN", DEBUG_TOKEN),
        ("PUNCTUAL_COUNTRIES", "all"),
        ("PUNCTUAL_SEND_TIMEOUT", "500ms"),
        ("RUST_LOG", "trace"),
        ("PUNCTUAL_LOG_FORMAT", format),
    ] {
        set(&mut world.env, setting, value);
    }
    world.app.batch_execute(QUOTING_APP).await.unwrap();

    let mut daemon = Daemon::start(&world.env);
    daemon.ready().await;
    for n in 1..=6 {
        let to = if n == 5 { THROTTLED } else { TO };
        insert(&world, to, &format!("{BODY} {n}")).await;
        asked(&world.phone, n).await;
    }
    let refused = the_app_refuses_and_quotes(&world).await;
    let bad = format!("{TO} or {TO}");
    let failed = insert(&world, &bad, BODY).await;
    let row = world.becomes(failed, "failed").await;
    is_clean("a reason", &row.error.unwrap());
    crate::daemon::until("all is recorded", async || {
        let sql = "select count(*) from scheduled_messages where status = 'sending'";
        let n: i64 = world.app.query_one(sql, &[]).await.unwrap().get(0);
        (n == 0).then_some(())
    })
    .await;
    // The sessions end: errors of every connection.
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where usename = $1";
    admin.execute(end, &[&role]).await.unwrap();
    daemon.says("the notification channel is down").await;
    daemon.ready().await;

    let wrong = format!("authorization: Bearer {TO}{BODY}\r\n");
    for headers in ["", &wrong] {
        let (head, body) = daemon.ask("/debug/timers", headers, None).await.unwrap();
        assert!(head.starts_with("HTTP/1.1 401"), "{head}");
        is_clean("a refusal", &body);
    }
    every_route_is_clean(&daemon, failed).await;
    its_words_are_for_who_asks(&world, &daemon, refused).await;
    let url = format!("http://{}", daemon.addr());
    for args in [
        &["timers", "--url", &url][..],
        &["timers", "--json", "--url", &url],
        &["run", "--print-config"],
    ] {
        let (code, stdout, stderr) = world.call(args).await;
        assert_eq!(code, Some(0), "{stderr}");
        // The sender is a setting, and no secret.
        is_clean("a command", &stdout.replace(FROM, ""));
        is_clean("a command", &stderr);
    }
    let said = daemon.stop().await;
    assert!(said.contains("TRACE") || said.contains("DEBUG"), "{said}");
    is_clean("the log", &said);
    assert!(said.contains("P0001") && said.contains("say_no"), "{said}");
    let forged = said.lines().any(|line| line.starts_with("FORGED"));
    assert!(!forged, "{said}");

    // What people see when it does not start.
    let mut wrong = world.env.clone();
    let elsewhere = format!("postgres://{role}:{PASSWORD}x@127.0.0.1:{port}/{name}");
    set(&mut wrong, "DATABASE_URL", &elsewhere);
    let (code, stdout, stderr) = crate::world::called(&["run"], &wrong).await;
    assert_eq!(code, Some(1), "{stderr}");
    is_clean("an error", &(stdout + &stderr));
}

/// Whatever is shown to who has the token, head and body.
async fn every_route_is_clean(daemon: &Daemon, message: uuid::Uuid) {
    let bearer = format!("authorization: Bearer {DEBUG_TOKEN}\r\n");
    let of_message = format!("/debug/messages/{message}");
    for (path, until) in [
        ("/", None),
        ("/login", None),
        ("/metrics", None),
        ("/openapi.json", None),
        ("/debug/timers", None),
        ("/debug/events?state=1", Some("event: state")),
        (&of_message, None),
        ("/readyz", None),
        (&*format!("/debug/timers?id={TO}"), None),
        (&*format!("/{TO}/{BODY}"), None),
    ] {
        let (head, body) = daemon.ask(path, &bearer, until).await.unwrap();
        assert!(!body.is_empty(), "{path}: {head}");
        is_clean(path, &head);
        is_clean(path, &body);
        if path == of_message {
            is_a_story(daemon, &bearer, &body).await;
        }
        if until.is_some() {
            for event in ["claimed", "sent", "unconfirmed", "refused"] {
                let is_there = body.contains(&format!("event: {event}"));
                assert!(is_there || event == "refused", "no {event} in {body}");
            }
        }
    }
}

/// It has the shape that the daemon's own document promises.
async fn is_a_story(daemon: &Daemon, bearer: &str, body: &str) {
    let (_, document) = daemon.ask("/openapi.json", bearer, None).await.unwrap();
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    let schema = serde_json::json!({
        "components": document["components"],
        "allOf": [{"$ref": "#/components/schemas/Story"}],
    });
    let story = serde_json::from_str(body).unwrap();
    if let Err(wrong) = jsonschema::validate(&schema, &story) {
        panic!("{}: {wrong}\n{story:#}", wrong.instance_path());
    }
}

async fn insert(world: &World, to: &str, body: &str) -> uuid::Uuid {
    let sql = "insert into scheduled_messages (to_number, body, scheduled_at)
               values ($1, $2, clock_timestamp()) returning id";
    world
        .app
        .query_one(sql, &[&to, &body])
        .await
        .unwrap()
        .get(0)
}

#[tokio::test]
async fn nothing_private_is_shown_in_either_format() {
    tokio::join!(check("text"), check("json"));
}
