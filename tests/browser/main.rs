//! The live page as people see it: headless Chromium before a real daemon and a real Postgres.
//! `tests/browser/run` fetches what drives the browser and runs this.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cost;
#[allow(dead_code, reason = "shared with the tests of the daemon")]
#[path = "../daemon/daemon.rs"]
mod daemon;
#[allow(dead_code, reason = "shared with the simulation")]
#[path = "../sim/dice.rs"]
mod dice;
mod failures;
mod flow;
#[allow(dead_code, reason = "shared with the tests of the store")]
#[path = "../pg/harness.rs"]
mod harness;
mod pictures;
#[allow(dead_code, reason = "shared with the tests of Supabase's tools")]
#[path = "../supabase/postgrest.rs"]
mod postgrest;
#[allow(dead_code, reason = "shared with the tests of the daemon")]
#[path = "../daemon/push_service.rs"]
mod push_service;
#[allow(dead_code, reason = "shared with the tests of the daemon")]
#[path = "../daemon/reports.rs"]
mod reports;
#[allow(dead_code, reason = "shared with the tests of the daemon")]
#[path = "../daemon/smtp_server.rs"]
mod smtp_server;
#[allow(dead_code, reason = "shared with the tests of the provider")]
#[path = "../wire/standin.rs"]
mod standin;
mod states;
#[path = "../wire/twilio/mod.rs"]
mod twilio;
#[allow(dead_code, reason = "shared with the tests of the daemon")]
#[path = "../daemon/world.rs"]
mod world;

use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use world::World;

/// A browser and who works it.
struct Eyes {
    said: Lines<BufReader<ChildStdout>>,
    orders: ChildStdin,
    _child: Child,
}

impl Eyes {
    async fn open(url: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/eyes.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node: run tests/browser/run");
        let mut eyes = Self {
            said: BufReader::new(child.stdout.take().unwrap()).lines(),
            orders: child.stdin.take().unwrap(),
            _child: child,
        };
        eyes.see(&["open", url]).await;
        eyes
    }

    /// Has one thing done or looked for; what the browser reports of it.
    async fn see(&mut self, order: &[&str]) -> String {
        let line = order.join("\t") + "\n";
        self.orders.write_all(line.as_bytes()).await.unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(90), self.said.next_line());
        let answer = answer.await.expect("the browser answers").unwrap();
        let answer = answer.expect("the browser is there");
        let report = answer.strip_prefix("ok");
        report
            .unwrap_or_else(|| panic!("{order:?}: {answer}"))
            .trim()
            .to_owned()
    }
}

/// The address by which a browser comes in, as a terminal shows it.
fn link(daemon: &daemon::Daemon) -> String {
    format!("http://{}/login?token={}", daemon.addr(), daemon::TOKEN)
}

/// A row's due time, as the page shows it in UTC.
async fn due(world: &World, id: &str) -> String {
    let sql = "select to_char(scheduled_at at time zone 'UTC', 'HH24:MI:SS')
               from scheduled_messages where id = $1::text::uuid";
    world.app.query_one(sql, &[&id]).await.unwrap().get(0)
}

#[tokio::test]
#[ignore = "needs a browser: tests/browser/run"]
async fn the_page_follows_what_happens_without_being_loaded_again() {
    let world = World::new([]).await;
    let daemon = world.daemon().await;
    let mut eyes = Eyes::open(&link(&daemon)).await;
    eyes.see(&["sees", "No upcoming messages."]).await;
    // This session may only read.
    eyes.see(&["sees", "Read only"]).await;
    eyes.see(&["absent", "#pause-all, #act"]).await;

    // An insert appears.
    let far = world.insert("far", 240_000).await.to_string();
    let shown = eyes.see(&["upcoming", &far]).await;
    assert_eq!(shown, due(&world, &far).await);
    eyes.see(&["fed", "armed", &far]).await;
    eyes.see(&["counts"]).await;

    // An edit moves it.
    let edit = "update scheduled_messages set scheduled_at = scheduled_at + interval '90 s'
                where id = $1::text::uuid";
    world.app.execute(edit, &[&far]).await.unwrap();
    let moved = due(&world, &far).await;
    eyes.see(&["due", &far, &moved]).await;
    let report = eyes.see(&["fed", "moved", &far]).await;
    assert!(report.contains(&moved), "{report}");

    // Its story.
    let story = eyes.see(&["story", &far]).await;
    assert!(story.contains("armed"), "{story}");
    assert!(!story.contains(&world::TO[1..]), "{story}");
    eyes.see(&["says", &far, "due in"]).await;

    // A send shows its lateness.
    let near = world.insert("near", 1_500).await.to_string();
    let report = eyes.see(&["fed", "sent", &near]).await;
    assert!(report.starts_with('+'), "{report}");
    eyes.see(&["gone", &near]).await;
    eyes.see(&["sees", "1 request"]).await;

    // A cancel removes it.
    let cancel = "update scheduled_messages set status = 'cancelled' where id = $1::text::uuid";
    world.app.execute(cancel, &[&far]).await.unwrap();
    eyes.see(&["gone", &far]).await;
    let report = eyes.see(&["fed", "disarmed", &far]).await;
    assert!(report.contains("cancelled"), "{report}");
    eyes.see(&["says", &far, "Cancelled"]).await;

    // One that fails is named with its reason, and found from there and from the chart.
    let fails = "insert into scheduled_messages (to_number, body, scheduled_at)
                 values ('abc', 'x', clock_timestamp()) returning id";
    let failed: uuid::Uuid = world.app.query_one(fails, &[]).await.unwrap().get(0);
    let failed = failed.to_string();
    let report = eyes
        .see(&["needs", "failed today: recipient", &failed])
        .await;
    assert!(report.starts_with("Failed"), "{report}");
    eyes.see(&["chart", "failed", &failed]).await;
    eyes.see(&["tab", "Sent"]).await;
    eyes.see(&["upcoming", &near]).await;
    eyes.see(&["tab", "Upcoming"]).await;
    eyes.see(&["gone", &near]).await;

    // A pause, and its end.
    let call = async |args: &[&str]| {
        let (code, said, complaint) = world.call(args).await;
        assert_eq!(code, Some(0), "{said}{complaint}");
    };
    call(&["pause", "type=brief"]).await;
    let paused = "Sending; paused: message type brief until somebody resumes";
    eyes.see(&["sees", paused]).await;
    let users = [1, 2, 3].map(|n| format!("user=00000000-0000-0000-0000-00000000000{n}"));
    for user in &users {
        call(&["pause", user, "--until", "in 30h"]).await;
    }
    eyes.see(&["sees", ", 1 more"]).await;
    for scope in users.iter().map(String::as_str).chain(["type=brief"]) {
        call(&["resume", scope]).await;
    }
    eyes.see(&["good"]).await;
    call(&["pause"]).await;
    eyes.see(&["sees", "Paused: nothing is sent until somebody resumes"])
        .await;
    call(&["resume"]).await;
    eyes.see(&["good"]).await;

    for scheme in ["light", "dark"] {
        eyes.see(&["axe", scheme, &near]).await;
    }
    eyes.see(&["keyboard"]).await;
    for width in ["320", "360", "900", "1440", "2200"] {
        eyes.see(&["fits", width]).await;
    }
    eyes.see(&["clean"]).await;
    daemon.stop().await;
}

/// The page as it is, at several widths, in light and dark; where pictures are taken, at each width in both.
async fn look(eyes: &mut Eyes, name: &str) {
    let schemes = ["light", "dark"];
    for (n, width) in ["320", "768", "1024", "1440"].into_iter().enumerate() {
        for scheme in schemes {
            if scheme == schemes[n % 2] || std::env::var_os("BROWSER_PICTURES").is_some() {
                eyes.see(&["looks", scheme, width, name]).await;
            }
        }
    }
}

/// A pause has a scope, and its end says first what it would cancel.
async fn pauses_one_type(world: &World, eyes: &mut Eyes) {
    eyes.see(&["type", "p"]).await;
    eyes.see(&["shown", "#act-do", "Pause everything"]).await;
    eyes.see(&["absent", "#act [name=what]:visible"]).await;
    eyes.see(&["fill", "#act [name=scope]", "type"]).await;
    eyes.see(&["shown", "#act-do", "Pause a message type"])
        .await;
    // It must have a name.
    eyes.see(&["press", "#act-do"]).await;
    eyes.see(&["shown", "#act-error:visible", "type is empty"])
        .await;
    eyes.see(&["fill", "#act [name=what]", "brief"]).await;
    look(eyes, "act-pause-type").await;
    eyes.see(&["press", "#act-do"]).await;
    eyes.see(&["shown", "#acted", "Paused: message type brief."])
        .await;
    eyes.see(&["sees", "Sending; paused: message type brief"])
        .await;
    let expired = "set session_replication_role = replica;
        insert into scheduled_messages (to_number, body, message_type, status, scheduled_at, send_before)
        values ('+13105551234', 'old', 'brief', 'pending', now() - interval '99 h', now() - interval '1 min'),
               ('+13105551234', 'far', 'brief', 'pending', now() + interval '101 h', null)";
    let old = world.db.client().await;
    old.batch_execute(expired).await.unwrap();
    // The widest that its column has, and what would be wider.
    eyes.see(&["shown", "#list-rows td.num", "−99:0"]).await;
    eyes.see(&["shown", "#list-rows tr:nth-child(2) td.num", "d"])
        .await;
    eyes.see(&["type", "p"]).await;
    eyes.see(&["press", "#act-sample button"]).await;
    let button = "#act-sample button:has-text('Resume, and cancel 1 message')";
    eyes.see(&["shown", button, ""]).await;
    let why = "1 message that has expired meanwhile";
    eyes.see(&["shown", "#act-error:visible", why]).await;
    look(eyes, "act-resume-expired").await;
    eyes.see(&["press", button]).await;
    eyes.see(&["shown", "#acted", "Resumed: message type brief."])
        .await;
    eyes.see(&["good"]).await;
}

/// A pause is made by its button, not by an Enter, also where what is paused cannot be read.
async fn pauses_by_intent(eyes: &mut Eyes) {
    let made = eyes.see(&["asked", "/api/pause?"]).await;
    for (status, body) in [
        ("502", "bad gateway"),
        ("200", "[{"),
        (
            "200",
            r#"[{"scope":"user","what":"7","until":"infinity","who":"Ada"}]"#,
        ),
    ] {
        eyes.see(&["answers", "**/api/pauses", status, body]).await;
        eyes.see(&["type", "p"]).await;
        eyes.see(&["shown", "#act-title", "What is paused"]).await;
        if body.contains("Ada") {
            eyes.see(&["shown", "#act-sample", "by Ada"]).await;
        } else {
            let why = "What is paused could not be read.";
            eyes.see(&["shown", "#act-error:visible", why]).await;
        }
        eyes.see(&["enter", "#act [name=by]"]).await;
        eyes.see(&["shown", "#act[open] #act-title", "What is paused"])
            .await;
        if !body.contains("Ada") {
            eyes.see(&["press", "#act-not"]).await;
        }
    }
    // Its answer comes when another dialog is open.
    eyes.see(&["hold", "**/api/resume?*"]).await;
    eyes.see(&["press", "#act-sample button"]).await;
    eyes.see(&["press", "#act-not"]).await;
    eyes.see(&["type", "p"]).await;
    eyes.see(&["shown", "#act[open] #act-title", "Pause sending?"])
        .await;
    eyes.see(&["release"]).await;
    eyes.see(&["shown", "#acted", "Not resumed: user 7."]).await;
    eyes.see(&["enter", "#act [name=by]"]).await;
    eyes.see(&["shown", "#act[open] #act-title", "Pause sending?"])
        .await;
    eyes.see(&["press", "#act-not"]).await;
    eyes.see(&["closed"]).await;
    assert_eq!(eyes.see(&["asked", "/api/pause?"]).await, made);
}

/// What may have been done is not reported as done, nor repeated from the same dialog; a late dialog replaces no other.
async fn doubts(world: &World, eyes: &mut Eyes) {
    let id = world.insert("doubt", 280_000).await.to_string();
    let going_on = r#"{"is_done":false,"detail":"the act has not ended yet"}"#;
    for (status, body, says) in [
        ("202", going_on, "the act has not ended yet."),
        ("200", "{", "{"),
        ("502", "bad gateway", "bad gateway"),
    ] {
        eyes.see(&["keys", &id, "c"]).await;
        eyes.see(&["answers", "**/cancel?*", status, body]).await;
        eyes.see(&["press", "#act-do"]).await;
        eyes.see(&["shown", "#act-error:visible", says]).await;
        eyes.see(&["shown", "#act-do:disabled", "Cancel"]).await;
        eyes.see(&["press", "#act-not"]).await;
    }
    eyes.see(&["hold", "**/api/pauses"]).await;
    eyes.see(&["type", "p"]).await;
    eyes.see(&["keys", &id, "c"]).await;
    eyes.see(&["release"]).await;
    eyes.see(&["shown", "#act[open] #act-title", "Cancel 1 message?"])
        .await;
    // Somebody else was faster, to the same end.
    let so = r#"{"id":"","status":"cancelled","changed":false,"by":"Ada"}"#;
    eyes.see(&["answers", "**/cancel?*", "200", so]).await;
    eyes.see(&["press", "#act-do"]).await;
    eyes.see(&["shown", "#acted", "0 messages cancelled, 1 already so."])
        .await;
    eyes.see(&["closed"]).await;
}

/// A failed message is retried, and an unconfirmed one settled on its page.
async fn settles(world: &World, eyes: &mut Eyes) {
    let old = world.db.client().await;
    old.batch_execute("set session_replication_role = replica")
        .await
        .unwrap();
    let sql = "insert into scheduled_messages (to_number, body, scheduled_at, status)
               values ('+13105551234', 'again', now(), $1) returning id";
    let ended =
        async |status: &str| -> uuid::Uuid { old.query_one(sql, &[&status]).await.unwrap().get(0) };
    let failed = ended("failed").await;
    eyes.see(&["press", "#need-list li:has-text('failed today') button"])
        .await;
    eyes.see(&["shown", "#act-title", "Retry all that match: 1 message?"])
        .await;
    eyes.see(&["press", "#act-do"]).await;
    eyes.see(&["closed"]).await;
    world.becomes(failed, "sent").await;
    let uncertain = ended("unconfirmed").await;
    eyes.see(&["visit", &format!("/messages/{uncertain}")])
        .await;
    eyes.see(&["press", "#acts [data-act=resolve]"]).await;
    eyes.see(&["fill", "#act [name=decision]", "cancel"]).await;
    look(eyes, "act-resolve").await;
    // Somebody else was faster.
    let settled = "update scheduled_messages set status = 'sent' where id = $1";
    old.execute(settled, &[&uncertain]).await.unwrap();
    eyes.see(&["press", "#act-do"]).await;
    eyes.see(&["shown", "#act-error", "nothing to resolve"])
        .await;
}

/// The acts of an operator: one message, all of a filter, what changed meanwhile, pause and resume.
#[tokio::test]
#[ignore = "needs a browser: tests/browser/run"]
async fn an_operator_acts_on_the_page() {
    let token = ("PUNCTUAL_OPERATOR_TOKEN", daemon::OPERATOR_TOKEN);
    let world = World::new([]).await.with(&[token]);
    let daemon = world.daemon().await;
    let login = format!("http://{}/login?token={}", daemon.addr(), token.1);
    let mut eyes = Eyes::open(&login).await;
    let count = async |status: &str| -> i64 {
        let sql = "select count(*) from scheduled_messages where status = $1";
        world.app.query_one(sql, &[&status]).await.unwrap().get(0)
    };

    // One message, by keys.
    let far = world.insert("far", 240_000).await;
    let id = far.to_string();
    eyes.see(&["keys", &id, "c"]).await;
    eyes.see(&["shown", "#act-title", "Cancel 1 message?"])
        .await;
    look(&mut eyes, "act-cancel-one").await;
    eyes.see(&["fill", "#act [name=by]", "Ada"]).await;
    eyes.see(&["press", "#act-do"]).await;
    eyes.see(&["shown", "#acted", "1 message cancelled."]).await;
    eyes.see(&["gone", &id]).await;
    let row = world.becomes(far, "cancelled").await;
    assert_eq!(row.cancel_reason.as_deref(), Some("cancelled by Ada"));

    // Those that are selected.
    let pair = [
        world.insert("one", 250_000).await,
        world.insert("two", 260_000).await,
    ];
    for id in pair {
        eyes.see(&["keys", &id.to_string(), "x"]).await;
    }
    eyes.see(&[
        "press",
        "#acts [data-act=reschedule]:has-text('2 selected')",
    ])
    .await;
    eyes.see(&["fill", "#act [name=later]", "1h"]).await;
    look(&mut eyes, "act-reschedule-two").await;
    // Of what cannot be used only the first is asked; all can be tried again.
    eyes.see(&["fill", "#act [name=later]", "soon"]).await;
    eyes.see(&["press", "#act-do"]).await;
    let why = "later is a duration like 30m or 1h 30m.";
    eyes.see(&["shown", "#act-error:visible", why]).await;
    assert_eq!(eyes.see(&["asked", "later=soon"]).await, "1");
    eyes.see(&["fill", "#act [name=later]", "1h"]).await;
    eyes.see(&["press", "#act-do"]).await;
    eyes.see(&["shown", "#acted", "2 messages moved."]).await;

    // All that match, more than a page; and again, when another comes meanwhile.
    let many = "insert into scheduled_messages (to_number, body, scheduled_at)
                select '+13105551234', 'many', now() + interval '20 min' + n * interval '1 s' from generate_series(1, 40) n";
    world.app.batch_execute(many).await.unwrap();
    eyes.see(&[
        "press",
        "#acts [data-act=cancel]:has-text('all that match')",
    ])
    .await;
    eyes.see(&["shown", "#act-title", "Cancel all that match: 42 messages?"])
        .await;
    world.insert("meanwhile", 270_000).await;
    eyes.see(&["press", "#act-do"]).await;
    eyes.see(&["shown", "#act-error", "43 messages now, not 42"])
        .await;
    assert_eq!(count("pending").await, 43);
    eyes.see(&["press", "#act-not"]).await;
    eyes.see(&["press", "#acts [data-act=cancel]"]).await;
    eyes.see(&["shown", "#act-do", "Cancel 43 messages"]).await;
    look(&mut eyes, "act-cancel-filter").await;
    eyes.see(&["press", "#act-do"]).await;
    eyes.see(&["shown", "#acted", "43 messages cancelled."])
        .await;
    assert_eq!((count("pending").await, count("cancelled").await), (0, 44));

    // Pause and resume.
    eyes.see(&["type", "p"]).await;
    eyes.see(&["fill", "#act [name=why]", "a wrong text"]).await;
    eyes.see(&["fill", "#act [name=until]", "2099-01-01T10:00"])
        .await;
    look(&mut eyes, "act-pause-all").await;
    eyes.see(&["press", "#act-do"]).await;
    eyes.see(&["sees", "Paused: nothing is sent until"]).await;
    eyes.see(&["press", "#pause-all:has-text('Resume')"]).await;
    eyes.see(&["shown", "#act-sample", "by Ada: a wrong text"])
        .await;
    look(&mut eyes, "act-resume-all").await;
    eyes.see(&["press", "#act-sample button"]).await;
    eyes.see(&["good"]).await;
    eyes.see(&["shown", "#acted", "Resumed: everything."]).await;

    pauses_one_type(&world, &mut eyes).await;
    pauses_by_intent(&mut eyes).await;
    doubts(&world, &mut eyes).await;
    settles(&world, &mut eyes).await;
    eyes.see(&["clean"]).await;
    daemon.stop().await;
}

#[tokio::test]
#[ignore = "needs a browser: tests/browser/run"]
async fn an_open_page_holds_nothing_up_and_comes_back() {
    let addr = daemon::own_address();
    let world = World::new([]).await.with(&[
        ("PUNCTUAL_HTTP_ADDR", &addr),
        ("PUNCTUAL_OPERATOR_TOKEN", daemon::OPERATOR_TOKEN),
    ]);
    let daemon = world.daemon().await;
    let token = daemon::OPERATOR_TOKEN;
    let login = format!("http://{}/login?token={token}", daemon.addr());
    let mut eyes = Eyes::open(&login).await;
    let far = world.insert("far", 240_000).await.to_string();
    eyes.see(&["upcoming", &far]).await;
    look(&mut eyes, "act-list").await;
    eyes.see(&["shown", "#acts button:enabled", "Cancel all that match"])
        .await;

    let began = Instant::now();
    daemon.stop().await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(2), "the end took {took:?}");
    eyes.see(&["lost"]).await;

    let daemon = world.daemon().await;
    eyes.see(&["back"]).await;
    let later = world.insert("later", 200_000).await.to_string();
    eyes.see(&["upcoming", &later]).await;
    eyes.see(&["upcoming", &far]).await;
    eyes.see(&["shown", "#acts button:enabled", "Cancel all that match"])
        .await;
    eyes.see(&["clean"]).await;

    // Also where it has no time to say goodbye.
    let mut daemon = daemon;
    daemon.signal(Signal::KILL);
    daemon.ended().await;
    eyes.see(&["lost"]).await;
    let daemon = world.daemon().await;
    eyes.see(&["back"]).await;
    eyes.see(&["clean"]).await;
    daemon.stop().await;
}

#[tokio::test]
#[ignore = "needs a browser: tests/browser/run"]
async fn people_log_in_with_the_token() {
    let world = World::new([]).await;
    let world = world.with(&[("PUNCTUAL_DEBUG_TOKEN", "a-token-for-the-page")]);
    let daemon = world.daemon().await;
    let mut eyes = Eyes::open(&format!("http://{}/", daemon.addr())).await;
    for width in ["320", "831", "832", "1247", "1248", "2200"] {
        eyes.see(&["column", width]).await;
    }
    eyes.see(&["login", "a-token-for-the-page"]).await;
    let far = world.insert("far", 240_000).await.to_string();
    eyes.see(&["upcoming", &far]).await;
    eyes.see(&["sees", "Log out"]).await;
    // More tabs than a browser makes connections to one server.
    eyes.see(&["tabs", "10", &far]).await;
    // Another instance is on the page of the first.
    let other = world.daemon().await;
    eyes.see(&["sees", "2 instances run"]).await;
    other.stop().await;
    eyes.see(&["sees", "1 instance runs"]).await;
    eyes.see(&["clean"]).await;
    daemon.stop().await;
}

#[tokio::test]
#[ignore = "needs a browser: tests/browser/run"]
async fn the_page_of_one_instance_shows_what_the_other_sent() {
    let world = World::new([]).await;
    let daemon = world.daemon().await;
    let mut eyes = Eyes::open(&link(&daemon)).await;
    let other = world.daemon().await;
    eyes.see(&["sees", "2 instances run"]).await;
    // Whose a message is depends on its id.
    let of_other = "select a.message_id::text, a.instance::text from punctual.attempts a
                     where a.outcome = 'accepted'
                       and a.instance = (select id from punctual.instances order by started_at desc limit 1)";
    let mut sent = 0;
    let (id, instance): (String, String) = loop {
        let near = world.insert("near", 1_000).await;
        world.becomes(near, "sent").await;
        sent += 1;
        if let Some(row) = world.app.query_opt(of_other, &[]).await.unwrap() {
            break (row.get(0), row.get(1));
        }
    };
    let report = eyes.see(&["fed", "sent", &id]).await;
    let where_ = format!("instance {}", &instance[28..]);
    assert!(
        report.starts_with('+') && report.contains(&where_),
        "{report}"
    );
    let requests = if sent == 1 { "request" } else { "requests" };
    let all = format!("{sent} {requests} in the last hour, on 2 instances");
    eyes.see(&["sees", &all]).await;
    eyes.see(&["sees", "sent per second, on 2 instances"]).await;
    eyes.see(&["clean"]).await;
    other.stop().await;
    eyes.see(&["sees", "1 instance runs"]).await;
    daemon.stop().await;
}

#[tokio::test]
#[ignore = "needs a browser: tests/browser/run"]
async fn ten_thousand_timers_and_a_thousand_events_a_second_leave_it_calm() {
    let world = World::new([]).await;
    let daemon = world.daemon().await;
    let mut eyes = Eyes::open(&link(&daemon)).await;
    let many = "insert into scheduled_messages (to_number, body, scheduled_at)
                select '+13105551234', 'many', now() + interval '20 min' + n * interval '100 ms'
                from generate_series(1, 10000) n";
    world.app.batch_execute(many).await.unwrap();
    eyes.see(&["sees", "10,000 messages wait"]).await;
    // Edits of 200 rows a statement, a thousand events a second and more.
    let app = world.db.client().await;
    let storm = tokio::spawn(async move {
        let edit = "update scheduled_messages set scheduled_at = scheduled_at + interval '1 s'
                    where id in (select id from scheduled_messages order by random() limit 200)";
        let mut statements = 0_u32;
        loop {
            app.batch_execute(edit).await.unwrap();
            statements += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
            if statements == 60 {
                return;
            }
        }
    });
    eyes.see(&["sees", "moved"]).await;
    let busy = eyes.see(&["calm"]).await;
    let numbers: Vec<u64> = busy.split(' ').map(|n| n.parse().unwrap()).collect();
    let [changes, longest, lines] = numbers[..] else {
        panic!("{busy}");
    };
    println!("in 2 s: {changes} changes of the feed, the longest task {longest} ms, {lines} lines");
    assert!(changes <= 40, "the feed changed {changes} times in 2 s");
    assert!(lines <= 80, "{lines} lines are kept");
    storm.await.unwrap();
    eyes.see(&["clean"]).await;
    daemon.stop().await;
}

/// Two campaigns: one with messages of every kind of text to decide about, one that is empty.
const CAMPAIGNS: &str = "
  insert into punctual.campaigns (name, timezone, hours, open_from, open_until, gap_min, gap_max, skip_per_mille, skip_min,
                                  skip_max, seed)
  select name, 'America/Los_Angeles', 'mon-fri 09:00-20:00', '{32400000000}', '{72000000000}', '4 min', '7 min', 175, '10 min',
         '15 min', 7
    from unnest('{summer,spring}'::text[]) name;
  insert into punctual.campaign_messages (campaign_id, position, customer_name, phone_number, content)
  select c.id, n, case when n = 3 then null else 'Customer ' || n end, '+1310555' || lpad(n::text, 4, '0'),
         case n when 1 then E'Hi Ada,\n\nare you coming on Friday? [BUBBLE] We would be glad 😀 [BUBBLE] ' || repeat('Bring a friend. ', 20)
                when 2 then repeat('longwordwithoutspaces', 20) when 3 then '<b>not bold</b> & \"quoted\"'
                else 'Hello customer ' || n end
    from punctual.campaigns c, generate_series(1, 60) n where c.name = 'spring'";

/// One row of a campaign, as the database has it.
async fn decided(world: &World, position: i32) -> (String, Option<String>, String) {
    let sql =
        "select status, decided_by, content from punctual.campaign_messages where position = $1";
    let row = world
        .db
        .client()
        .await
        .query_one(sql, &[&position])
        .await
        .unwrap();
    (row.get(0), row.get(1), row.get(2))
}

async fn one_by_one(world: &World, eyes: &mut Eyes, card: &impl Fn(i32) -> String) {
    // One, by its button and by the keys.
    eyes.see(&["press", &format!("{} [data-act=approve]", card(4))])
        .await;
    eyes.see(&["shown", "#acted", "Message 4 (Customer 4) approved."])
        .await;
    eyes.see(&["press", &format!("{} [data-act=reject]", card(5))])
        .await;
    eyes.see(&["shown", "#acted", "Message 5 (Customer 5) rejected."])
        .await;
    // What was decided about stays in its place, so that nothing comes under the pointer.
    eyes.see(&[
        "shown",
        "#texts > li.past[data-position='5']",
        "You have rejected it.",
    ])
    .await;
    assert_eq!(decided(world, 4).await.0, "APR");
    assert_eq!(decided(world, 5).await.0, "REJ");

    // What somebody else changes meanwhile is not approved unseen.
    eyes.see(&["hold", "**/approve?*"]).await;
    eyes.see(&["press", &format!("{} [data-act=approve]", card(6))])
        .await;
    let change =
        "update punctual.campaign_messages set content = 'changed by others' where position = 6";
    world.db.client().await.batch_execute(change).await.unwrap();
    eyes.see(&["release"]).await;
    eyes.see(&[
        "shown",
        "#acted",
        "Message 6 was not approved: it was changed",
    ])
    .await;
    eyes.see(&["shown", &card(6), "changed by others"]).await;
    assert_eq!(decided(world, 6).await.0, "SUG");
}

async fn many_at_once(world: &World, eyes: &mut Eyes, card: &impl Fn(i32) -> String) {
    // Some, by selection; then all that match.
    for n in [7, 8] {
        eyes.see(&["press", &format!("{} input[type=checkbox]", card(n))])
            .await;
    }
    eyes.see(&["press", "#acts [data-act=approve]"]).await;
    eyes.see(&["shown", "#act-title", "Approve 2 messages?"])
        .await;
    look(eyes, "campaign-approve").await;
    eyes.see(&["press", "#act-do"]).await;
    eyes.see(&["shown", "#acted", "2 messages approved."]).await;
    eyes.see(&["fill", "#find-text", "customer 1"]).await;
    eyes.see(&["enter", "#find-text"]).await;
    // 1, and 10 to 19.
    eyes.see(&["gone-from", &card(2)]).await;
    eyes.see(&["press", "#acts [data-act=reject]"]).await;
    eyes.see(&[
        "shown",
        "#act-title",
        "Reject all with \u{201c}customer 1\u{201d}: 11 messages?",
    ])
    .await;
    eyes.see(&["press", "#act-do"]).await;
    eyes.see(&["shown", "#acted", "11 messages rejected."])
        .await;
    eyes.see(&["fill", "#find-text", ""]).await;
    eyes.see(&["enter", "#find-text"]).await;
    eyes.see(&["press", "#paging #next"]).await;
    eyes.see(&["shown", "#place", "Page 2"]).await;
    eyes.see(&["press", "#acts [data-act=approve]"]).await;
    eyes.see(&["press", "#act-do"]).await;
    eyes.see(&["shown", "#none", "Nothing is left to be decided."])
        .await;
    let sql = "select count(*) from punctual.campaign_messages where status = 'APR'";
    let approved: i64 = world
        .db
        .client()
        .await
        .query_one(sql, &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(approved, 60 - 1 - 11);
}

/// A campaign is approved on the page: one by one, changed, selected and all at once; and who did is shown.
#[tokio::test]
#[ignore = "needs a browser: tests/browser/run"]
async fn a_campaign_is_approved_on_the_page() {
    let token = ("PUNCTUAL_OPERATOR_TOKEN", daemon::OPERATOR_TOKEN);
    let world = World::new([]).await.with(&[token]);
    world
        .db
        .client()
        .await
        .batch_execute(CAMPAIGNS)
        .await
        .unwrap();
    let daemon = world.daemon().await;
    let login = format!("http://{}/login?token={}", daemon.addr(), token.1);
    let mut eyes = Eyes::open(&login).await;
    eyes.see(&["visit", "/campaigns"]).await;
    eyes.see(&["shown", "#campaign-rows tr", "summer"]).await;
    eyes.see(&[
        "shown",
        "#campaign-rows tr:has-text('spring') [data-what='to decide']",
        "60",
    ])
    .await;
    look(&mut eyes, "campaigns").await;
    eyes.see(&["press", "#campaign-rows a:has-text('spring')"])
        .await;
    eyes.see(&["begun"]).await;

    // As it arrives: parts, characters, segments; nothing of a text is markup.
    let card = |n: i32| format!("#texts > li[data-position='{n}']");
    eyes.see(&["shown", "#state", "spring: draft"]).await;
    eyes.see(&[
        "shown",
        &format!("{} .bubble >> nth=1", card(1)),
        "We would be glad",
    ])
    .await;
    eyes.see(&["shown", &card(1), "part 2 of 3"]).await;
    eyes.see(&["shown", &card(1), "(UCS-2)"]).await;
    eyes.see(&["shown", &card(1), "3 parts, billed as 5 segments"])
        .await;
    eyes.see(&[
        "shown",
        &format!("{} .bubble", card(3)),
        "<b>not bold</b> & \"quoted\"",
    ])
    .await;
    eyes.see(&["absent", "#texts b:has-text('not bold')"]).await;
    look(&mut eyes, "campaign-texts").await;

    one_by_one(&world, &mut eyes, &card).await;
    edits(&world, &mut eyes, &card).await;
    changes_under_the_reader(&world, &mut eyes, &card).await;

    many_at_once(&world, &mut eyes, &card).await;

    // Who decided what, and when.
    eyes.see(&["shown", "#line", "Ada approved 2 messages (7 to 8)"])
        .await;
    eyes.see(&[
        "shown",
        "#line",
        "Ada changed, and so no longer approved: message 4",
    ])
    .await;
    eyes.see(&["shown", "#do code", "punctual campaign schedule spring"])
        .await;
    eyes.see(&["press", "#tabs [data-status=APR]"]).await;
    eyes.see(&["shown", &card(7), "approved by Ada"]).await;
    look(&mut eyes, "campaign-approved").await;
    // Once it is scheduled it is paused here.
    let scheduled = "update punctual.campaigns set state = 'scheduled' where name = 'spring'";
    world
        .db
        .client()
        .await
        .batch_execute(scheduled)
        .await
        .unwrap();
    eyes.see(&["shown", "#state", "spring: scheduled"]).await;
    eyes.see(&["press", "#do button:has-text('Pause')"]).await;
    eyes.see(&["press", "#act-do"]).await;
    eyes.see(&["shown", "#do button", "Resume"]).await;
    eyes.see(&["press", "#do button:has-text('Cancel campaign')"])
        .await;
    eyes.see(&["shown", "#act-says", "0 messages that are still to be sent"])
        .await;
    eyes.see(&["press", "#act-do"]).await;
    eyes.see(&["shown", "#state", "spring: cancelled"]).await;
    eyes.see(&["clean"]).await;
    daemon.stop().await;
}

/// An edit ends the approval, and what cannot be sent is not accepted.
async fn edits(world: &World, eyes: &mut Eyes, card: &impl Fn(i32) -> String) {
    eyes.see(&["press", "#tabs [data-status=APR]"]).await;
    eyes.see(&["shown", &card(4), "approved by an operator, from 127.0.0.1"])
        .await;
    eyes.see(&["press", &format!("{} [data-act=edit]", card(4))])
        .await;
    eyes.see(&["shown", "#act-says", "approved again afterwards"])
        .await;
    eyes.see(&["fill", "#act [name=phone_number]", "310"]).await;
    eyes.see(&["fill", "#act [name=content]", "Hello, and bye"])
        .await;
    eyes.see(&["fill", "#act [name=by]", "Ada"]).await;
    look(eyes, "campaign-correct").await;
    eyes.see(&["press", "#act-do"]).await;
    eyes.see(&[
        "shown",
        "#act-error:visible",
        "phone_number: it must start with +",
    ])
    .await;
    eyes.see(&["fill", "#act [name=phone_number]", "+13105550004"])
        .await;
    eyes.see(&["press", "#act-do"]).await;
    eyes.see(&[
        "shown",
        "#acted",
        "Message 4 was changed, and has to be approved again.",
    ])
    .await;
    assert_eq!(
        decided(world, 4).await,
        ("SUG".to_owned(), None, "Hello, and bye".to_owned())
    );
    eyes.see(&["press", "#tabs [data-status=SUG]"]).await;
    eyes.see(&["shown", &card(4), "Hello, and bye"]).await;
}

/// A message that is changed while it is selected is not selected any more, and the next click only acknowledges that.
async fn changes_under_the_reader(world: &World, eyes: &mut Eyes, card: &impl Fn(i32) -> String) {
    let tick = format!("{} input[type=checkbox]", card(9));
    eyes.see(&["press", &tick]).await;
    eyes.see(&["shown", "#acts", "Approve 1 selected"]).await;
    let change =
        "update punctual.campaign_messages set content = 'changed again' where position = 9";
    world.db.client().await.batch_execute(change).await.unwrap();
    eyes.see(&["shown", &card(9), "It was changed since you saw it"])
        .await;
    eyes.see(&["shown", "#acts", "Approve all that match"])
        .await;
    eyes.see(&["press", &format!("{} [data-act=approve]", card(9))])
        .await;
    eyes.see(&["absent", &format!("{} .changed", card(9))])
        .await;
    assert_eq!(decided(world, 9).await.0, "SUG");
}
