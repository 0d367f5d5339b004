//! `punctual timers`, `health` and `token`, the built command, against the real routes.

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use punctual::http::{RuntimeDir, TokenKind};
use punctual::message::MessageId;
use punctual::reactor::events::{EventKind, MessageEvent};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};

use crate::server::{Reactor, Server, TOKEN, at, id, impatient, report};

async fn timers(args: &[&str], env: &[(&str, &str)]) -> Assert {
    punctual(&[&["timers"], args].concat(), env).await
}

/// Runs the command in an empty directory with nothing but these variables set.
async fn punctual(args: &[&str], env: &[(&str, &str)]) -> Assert {
    let dir = tempfile::TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_punctual"));
    command
        .current_dir(dir.path())
        .env_clear()
        .env("TZ", "Asia/Tokyo")
        .envs(env.iter().copied())
        .args(args);
    tokio::task::spawn_blocking(move || command.assert())
        .await
        .unwrap()
}

fn stdout(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn stderr(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

#[tokio::test]
async fn shows_what_the_daemon_answers() {
    let mut server = Server::ready().await;
    let addr = server.addr.to_string();
    let set = [
        ("PUNCTUAL_HTTP_ADDR", &*addr),
        ("PUNCTUAL_DEBUG_TOKEN", TOKEN),
    ];
    let by_setting = timers(&["--limit", "7"], &set).await;
    let text = stdout(&by_setting.success());
    assert!(
        text.contains("00000000-0000-0000-0000-000000000001  18:01:21.000  1m 21s  armed"),
        "{text}"
    );
    assert!(text.starts_with("ready · 2 armed"), "{text}");
    assert_eq!(server.asked.recv().await.unwrap().limit, 7);

    let url = format!("http://{addr}/");
    let json = timers(&["--json", "--url", &url], &set[1..]).await;
    let json = stdout(&json.success());
    let expected = serde_json::to_string(&report()).unwrap();
    assert_eq!(json.trim_end(), expected);
}

#[tokio::test]
async fn carries_the_token() {
    let server = Server::ready().await;
    let addr = server.addr.to_string();
    let addr = ("PUNCTUAL_HTTP_ADDR", addr.as_str());
    let wrong = ("PUNCTUAL_DEBUG_TOKEN", "wr0ng-and-long-enough");
    for env in [&[addr][..], &[addr, wrong]] {
        let text = stderr(&timers(&[], env).await.code(1));
        assert!(
            text.contains("401") && text.contains("punctual token"),
            "{text}"
        );
        assert!(!text.contains("wr0ng"), "{text}");
    }
}

/// The socket lies in the state directory, and no token is needed.
#[tokio::test]
async fn asks_by_the_socket_where_there_is_one() {
    let server = Server::ready().await;
    let dir = server.dir.path().to_str().unwrap();
    let nowhere = ("PUNCTUAL_HTTP_ADDR", "127.0.0.1:1");
    let set = [nowhere, ("PUNCTUAL_STATE_DIR", dir)];
    let text = stdout(&timers(&[], &set).await.success());
    assert!(text.starts_with("ready · 2 armed"), "{text}");
    let healthy = punctual(&["health"], &set).await.success();
    assert_eq!(stdout(&healthy), "ready\n");
    let socket = punctual(&["token", "--socket"], &set).await.success();
    assert_eq!(stdout(&socket).trim(), format!("{dir}/http.sock"));

    // Another user's directory, by its mode, is not trusted, whatever lies in it.
    let shared = tempfile::TempDir::new().unwrap();
    let runtime = RuntimeDir::of_user(
        Some(shared.path()),
        shared.path(),
        "127.0.0.1:1".parse().unwrap(),
    );
    let socket = punctual::http::Socket::open(&runtime).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(socket.path().parent().unwrap(), open).unwrap();
    let xdg = ("XDG_RUNTIME_DIR", shared.path().to_str().unwrap());
    let text = stderr(&timers(&[], &[nowhere, xdg]).await.code(1));
    assert!(text.contains("no daemon at http://127.0.0.1:1/"), "{text}");
}

#[tokio::test]
async fn the_token_is_printed_where_it_is_set_or_made() {
    let dir = tempfile::TempDir::new().unwrap();
    let state = ("PUNCTUAL_STATE_DIR", dir.path().to_str().unwrap());
    let none = stderr(&punctual(&["token"], &[state]).await.code(1));
    assert!(none.contains("`punctual run` makes one"), "{none}");
    let made = RuntimeDir::State(dir.path().to_owned());
    made.tokens(None, None).unwrap();
    for (args, kind) in [
        (&["token"][..], TokenKind::Debug),
        (&["token", "--operator"], TokenKind::Operator),
    ] {
        let printed = punctual(args, &[state]).await.success();
        let kept = std::fs::read_to_string(made.token_file(kind)).unwrap();
        assert_eq!(stdout(&printed), kept);
        // A link is for terminals only.
        assert_eq!(stderr(&printed), "");
    }
    let set = ("PUNCTUAL_DEBUG_TOKEN", TOKEN);
    let printed = punctual(&["token"], &[state, set]).await.success();
    assert_eq!(stdout(&printed).trim(), TOKEN);
}

#[tokio::test]
async fn says_what_to_do_when_nobody_answers() {
    let server = Server::ready().await;
    let addr = server.addr.to_string();
    server.shutdown.cancel();
    server.served.await.unwrap();
    let text = stderr(&timers(&[], &[("PUNCTUAL_HTTP_ADDR", &addr)]).await.code(1));
    assert!(
        text.contains(&addr) && text.contains("punctual run"),
        "{text}"
    );

    let hanging = Server::start(Reactor::Hangs, impatient()).await;
    let addr = hanging.addr.to_string();
    let set = [
        ("PUNCTUAL_HTTP_ADDR", &*addr),
        ("PUNCTUAL_DEBUG_TOKEN", TOKEN),
    ];
    let text = stderr(&timers(&[], &set).await.code(1));
    assert!(
        text.contains("503") && text.contains("did not respond in time"),
        "{text}"
    );
}

/// The events that `tail` prints.
struct Tail(
    tokio::io::Lines<tokio::io::BufReader<tokio::process::ChildStdout>>,
    tokio::process::Child,
);

impl Tail {
    fn start(args: &[&str], url: &str) -> Self {
        let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_punctual"))
            .args([&["tail", "--json", "--url", url], args].concat())
            .env_clear()
            .env("PUNCTUAL_DEBUG_TOKEN", TOKEN)
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let output = tokio::io::BufReader::new(child.stdout.take().unwrap());
        Self(output.lines(), child)
    }

    async fn next(&mut self) -> serde_json::Value {
        let line = self.0.next_line().await.unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

/// The latest events, then each as it happens, and only those that are wanted.
#[tokio::test]
async fn tail_prints_events_as_they_happen() {
    let server = Server::ready().await;
    let happens = |n: u128, what: EventKind| {
        let us = i64::try_from(n).unwrap();
        let event = MessageEvent::new(at(us), MessageId(id(n)), what);
        server.metrics.publish(vec![event], 0);
    };
    happens(1, EventKind::Sent);
    happens(2, EventKind::Armed);
    let url = format!("http://{}/", server.addr);
    let mut tail = Tail::start(&["--event", "sent,failed"], &url);
    assert_eq!(tail.next().await["event"], "sent");
    happens(3, EventKind::Moved);
    happens(4, EventKind::Failed);
    let failed = tail.next().await;
    assert_eq!(
        (&failed["event"], &failed["id"]),
        (&json!("failed"), &json!(id(4)))
    );

    let wrong = [("PUNCTUAL_DEBUG_TOKEN", "wrong-but-long-enough")];
    let wrong = punctual(&["tail", "--url", &url], &wrong).await;
    assert!(stderr(&wrong.failure().code(1)).contains("responded 401"));
    let unknown = punctual(&["tail", "--event", "teapot"], &[]).await;
    unknown.failure().code(64);
}

/// A daemon that restarts repeats its latest events: none is printed twice, and none is missed.
#[tokio::test]
async fn tail_connects_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let mut tail = Tail::start(&[], &url);
    let event = |n: u128| {
        let event = MessageEvent::new(at(0), MessageId(id(n)), EventKind::Sent);
        format!(
            "event: sent\ndata: {}\n\n",
            serde_json::to_string(&event).unwrap()
        )
    };
    for events in [event(1), event(1) + &event(2)] {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        let (reads, mut writes) = stream.split();
        let mut request = tokio::io::BufReader::new(reads).lines();
        while !request.next_line().await.unwrap().unwrap().is_empty() {}
        writes
            .write_all(format!("{head}{events}").as_bytes())
            .await
            .unwrap();
    }
    for n in [1, 2] {
        assert_eq!(tail.next().await["id"], json!(id(n)));
    }
    tail.1.kill().await.unwrap();
}
