//! Every state of the page, looked at: at four widths, in light and dark, by axe-core, and for what is cut off or too
//! wide. With `BROWSER_PICTURES` each is a picture as well.

use std::time::Duration;

use rustix::process::Signal;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::daemon::Daemon;
use crate::standin::Act;
use crate::world::World;
use crate::{Eyes, daemon, look};

/// More viewers than a daemon takes.
const VIEWERS: usize = 40;

/// A user in quiet hours, whenever this runs.
const QUIET: &str = "
    insert into user_sms_preferences (user_id, phone_verified, quiet_hours_start, quiet_hours_end, timezone)
    values (md5('quiet')::uuid, true, (now() at time zone 'UTC' - interval '2 h')::time,
            (now() at time zone 'UTC' + interval '2 h')::time, 'UTC')";

/// What will not be sent as it is, each for another reason.
const BLOCKED: [(&str, &str); 4] = [
    ("to_number", "'abc'"),
    ("to_number, user_id", "'+13105551234', md5('quiet')::uuid"),
    ("to_number, template_vars", "'+13105551234', '{}'"),
    (
        "to_number, message_type",
        "'+13105551234', 'a_type_with_a_name_of_some_length'",
    ),
];

/// Messages that have ended, as an old table has them.
const ENDED: &str = "
    set session_replication_role = replica;
    insert into scheduled_messages (to_number, body, scheduled_at, status, error_message, error_code, cancel_reason,
                                    twilio_sid, sent_at)
    select '+13105551234', 'ended', now() - n * interval '90 s', s, e, c, r, t, case when t > '' then now() end
      from generate_series(1, 12) n,
           (values ('sent', null, null, null, 'SM0123456789abcdef0123456789abcdef'),
                   ('delivered', null, null, null, 'SM00000000000000000000000000000001'),
                   ('failed', 'template: no variable \"calendar_event_title\"', null, null, null),
                   ('failed', 'Unreachable destination handset', 30003, null, null),
                   ('cancelled', null, null, 'the recipient has opted out', null),
                   ('unconfirmed', 'no certain response', null, null, null)) v (s, e, c, r, t)";

/// Goes to the list by its address, which shows this.
async fn list(eyes: &mut Eyes, query: &str, words: &str) {
    eyes.see(&["visit", &format!("/?{query}")]).await;
    eyes.see(&["shown", "#list-rows td.then", words]).await;
}

/// A message's page once it says this.
async fn message(eyes: &mut Eyes, id: &str, words: &str, name: &str) {
    eyes.see(&["visit", &format!("/messages/{id}")]).await;
    eyes.see(&["sees", words]).await;
    look(eyes, name).await;
}

/// One message in this status.
async fn one(world: &World, status: &str) -> String {
    let sql = "select id::text from scheduled_messages where status = $1 limit 1";
    world.app.query_one(sql, &[&status]).await.unwrap().get(0)
}

/// A herd that goes on until this is dropped.
struct Herd(tokio::task::JoinHandle<()>);

impl Herd {
    async fn of(world: &World) -> Self {
        let app = world.db.client().await;
        Self(tokio::spawn(async move {
            let many = "insert into scheduled_messages (to_number, body, scheduled_at)
                        select '+13105551234', 'herd', clock_timestamp() from generate_series(1, 60)";
            loop {
                app.batch_execute(many).await.unwrap();
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        }))
    }
}

impl Drop for Herd {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn logs_in(eyes: &mut Eyes) {
    look(eyes, "login").await;
    eyes.see(&["fill", "#token", "another token"]).await;
    eyes.see(&["enter", "#token"]).await;
    eyes.see(&["shown", ".wrong", ""]).await;
    look(eyes, "login-refused").await;
    eyes.see(&["login", daemon::OPERATOR_TOKEN]).await;
}

/// What waits, what has ended, and the filters of both.
async fn lists(eyes: &mut Eyes) {
    eyes.see(&["visit", "/?status=pending"]).await;
    eyes.see(&["shown", "#list-rows tr", "deferred"]).await;
    look(eyes, "upcoming").await;
    let why = "the database is not available now";
    eyes.see(&["answers", "**/api/messages?*", "502", why])
        .await;
    eyes.see(&["press", "#tabs button:has-text('Upcoming')"])
        .await;
    eyes.see(&["shown", "#none", "What is listed is older."])
        .await;
    eyes.see(&["shown", "#list-rows td.then", "Not known now"])
        .await;
    look(eyes, "unread").await;
    eyes.see(&["press", "#tabs button:has-text('Upcoming')"])
        .await;
    eyes.see(&["shown", "#list-rows td.then", "deferred"]).await;
    for (status, words) in [
        ("failed", "template"),
        ("unconfirmed", "Unconfirmed"),
        ("cancelled", "opted out"),
    ] {
        list(eyes, &format!("status={status}"), words).await;
        look(eyes, &format!("list-{status}")).await;
    }
    let query = "status=failed&reason=template&from=2020-01-01T00:00:00Z&q=1234";
    eyes.see(&["visit", &format!("/?{query}")]).await;
    eyes.see(&["shown", "#none", "No messages match"]).await;
    look(eyes, "filter-none").await;
    list(
        eyes,
        "status=failed&from=2020-01-01T00:00:00Z&q=%2B13105551234",
        "template",
    )
    .await;
    look(eyes, "filter").await;
    eyes.see(&["press", "#acts button:has-text('all that match')"])
        .await;
    eyes.see(&["shown", "#act-title", "Retry all that match"])
        .await;
    look(eyes, "filter-preview").await;
    eyes.see(&["press", "#act-not"]).await;
    eyes.see(&["visit", "/"]).await;
    eyes.see(&["press", ".system summary"]).await;
    eyes.see(&["shown", "#health dd", "in step with the database"])
        .await;
    eyes.see(&["type", "?"]).await;
    look(eyes, "keys").await;
    eyes.see(&["press", "#help button"]).await;
    look(eyes, "system").await;
}

async fn messages(world: &World, eyes: &mut Eyes, waiting: &str) {
    message(eyes, waiting, "due in", "message-pending").await;
    for (status, words) in [
        ("failed", "Failed"),
        ("cancelled", "Cancelled"),
        ("unconfirmed", "needs a decision"),
    ] {
        let id = one(world, status).await;
        message(eyes, &id, words, &format!("message-{status}")).await;
    }
    let sent = world.insert("now", 0).await;
    world.becomes(sent, "sent").await;
    message(eyes, &sent.to_string(), "Sent", "message-sent").await;
    eyes.see(&["press", "summary"]).await;
    look(eyes, "message-raw").await;
    let gone = world.insert("gone", 600_000).await;
    let delete = "delete from scheduled_messages where id = $1";
    world.app.execute(delete, &[&gone]).await.unwrap();
    message(eyes, &gone.to_string(), "Deleted", "message-deleted").await;
    let unknown = Uuid::nil().to_string();
    message(eyes, &unknown, "No message with this id", "message-unknown").await;
    eyes.see(&["visit", "/"]).await;
}

/// The provider refuses the account. A new process tries it at once.
async fn refused(world: &World, eyes: &mut Eyes, waiting: &str, daemon: Daemon) -> Daemon {
    let refuses = || Act::refuse(401, 20003, "Authenticate");
    world
        .phone
        .answers(std::iter::repeat_with(refuses).take(10));
    world.insert("refused", 0).await;
    let words = "Not sending: the provider refuses the account";
    eyes.see(&["sees", words]).await;
    look(eyes, "breaker").await;
    let words = "the provider has refused the account";
    message(eyes, waiting, words, "message-breaker").await;
    eyes.see(&["visit", "/"]).await;
    world.phone.answers([]);
    daemon.stop().await;
    let daemon = world.daemon().await;
    eyes.see(&["back"]).await;
    daemon
}

async fn paused(world: &World, eyes: &mut Eyes, waiting: &str) {
    let call = async |args: &[&str]| {
        let (code, said, complaint) = world.call(args).await;
        assert_eq!(code, Some(0), "{said}{complaint}");
    };
    call(&[
        "pause",
        "type=brief",
        "--why",
        "a wrong text in the brief of today",
    ])
    .await;
    eyes.see(&["sees", "paused: message type brief"]).await;
    look(eyes, "paused-type").await;
    call(&["pause"]).await;
    eyes.see(&["sees", "Paused: nothing is sent"]).await;
    eyes.see(&["shown", "#list-rows td.then", "aused"]).await;
    look(eyes, "paused").await;
    message(
        eyes,
        waiting,
        "paused until somebody resumes",
        "message-paused",
    )
    .await;
    eyes.see(&["visit", "/"]).await;
    call(&["resume"]).await;
    call(&["resume", "type=brief"]).await;
    eyes.see(&["good"]).await;
}

/// Streams that somebody else has open.
async fn viewers(addr: &str) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..VIEWERS {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let token = daemon::TOKEN;
        let request = format!(
            "GET /debug/events HTTP/1.1\r\nhost: {addr}\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        open.push(stream);
    }
    open
}

#[tokio::test]
#[ignore = "needs a browser: tests/browser/run"]
async fn every_state_of_the_page_is_readable() {
    let addr = daemon::own_address();
    let world = World::new([]).await.with(&[
        ("PUNCTUAL_HTTP_ADDR", &addr),
        ("PUNCTUAL_OPERATOR_TOKEN", daemon::OPERATOR_TOKEN),
    ]);
    let mut daemon = world.daemon().await;
    let mut eyes = Eyes::open(&format!("http://{addr}/")).await;
    logs_in(&mut eyes).await;
    eyes.see(&["sees", "No upcoming messages."]).await;
    look(&mut eyes, "empty").await;

    world.app.batch_execute(QUIET).await.unwrap();
    let waiting = world.insert("waits", 1_500_000).await.to_string();
    for (columns, values) in BLOCKED {
        let sql = format!(
            "insert into scheduled_messages (body, scheduled_at, {columns}) values ('b', now() + interval '20 min', {values})"
        );
        world.app.batch_execute(&sql).await.unwrap();
    }
    world.db.client().await.batch_execute(ENDED).await.unwrap();
    lists(&mut eyes).await;
    messages(&world, &mut eyes, &waiting).await;
    daemon = refused(&world, &mut eyes, &waiting, daemon).await;
    paused(&world, &mut eyes, &waiting).await;
    let herd = Herd::of(&world).await;
    eyes.see(&["sees", "not shown"]).await;
    look(&mut eyes, "busy").await;
    drop(herd);

    daemon.signal(Signal::KILL);
    daemon.ended().await;
    eyes.see(&["lost"]).await;
    look(&mut eyes, "lost").await;
    let world = world.with(&[
        ("PUNCTUAL_OPERATOR_TOKEN", "another-operators-token"),
        ("PUNCTUAL_DEBUG_TOKEN", "another-token-for-the-page"),
    ]);
    let daemon = world.daemon().await;
    eyes.see(&["sees", "You are logged out."]).await;
    look(&mut eyes, "logged-out").await;
    eyes.see(&["press", "#lost a"]).await;
    eyes.see(&["login", "another-operators-token"]).await;
    eyes.see(&["good"]).await;
    eyes.see(&["clean"]).await;
    daemon.stop().await;
}

/// Whoever opens one page too many sees why it does not follow, and what the server rendered.
#[tokio::test]
#[ignore = "needs a browser: tests/browser/run"]
async fn one_viewer_too_many_sees_why() {
    let world = World::new([]).await;
    let daemon = world.daemon().await;
    let others = viewers(daemon.addr()).await;
    let token = daemon::TOKEN;
    let mut eyes = Eyes::open(&format!("http://{}/login?token={token}", daemon.addr())).await;
    eyes.see(&["sees", "Too many viewers"]).await;
    look(&mut eyes, "too-many").await;
    drop(others);
    eyes.see(&["back"]).await;
    daemon.stop().await;
}
