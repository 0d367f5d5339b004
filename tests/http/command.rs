//! `punctual timers`, the built command, against the real routes.

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use punctual::http::Limits;

use crate::server::{Reactor, Server, impatient, report};

/// Runs `punctual timers` in an empty directory with nothing but these variables set.
async fn timers(args: &[&str], env: &[(&str, &str)]) -> Assert {
    let dir = tempfile::TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_punctual"));
    command
        .current_dir(dir.path())
        .env_clear()
        .env("TZ", "Asia/Tokyo")
        .envs(env.iter().copied())
        .arg("timers")
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
    let by_setting = timers(&["--limit", "7"], &[("PUNCTUAL_HTTP_ADDR", &addr)]).await;
    let text = stdout(&by_setting.success());
    assert!(
        text.contains("00000000-0000-0000-0000-000000000001  18:01:21.000  1m 21s  armed"),
        "{text}"
    );
    assert!(text.starts_with("ready · armed 2"), "{text}");
    assert_eq!(server.asked.recv().await.unwrap().limit, 7);

    let url = format!("http://{addr}/");
    let json = stdout(&timers(&["--json", "--url", &url], &[]).await.success());
    let expected = serde_json::to_string(&report()).unwrap();
    assert_eq!(json.trim_end(), expected);
}

#[tokio::test]
async fn carries_the_token() {
    let server = Server::start(Reactor::Answers(vec![]), Some("s3cret"), Limits::default()).await;
    let addr = server.addr.to_string();
    let addr = ("PUNCTUAL_HTTP_ADDR", addr.as_str());
    timers(&[], &[addr, ("PUNCTUAL_DEBUG_TOKEN", "s3cret")])
        .await
        .success();
    for env in [&[addr][..], &[addr, ("PUNCTUAL_DEBUG_TOKEN", "wr0ng")]] {
        let text = stderr(&timers(&[], env).await.code(1));
        assert!(
            text.contains("401") && text.contains("PUNCTUAL_DEBUG_TOKEN"),
            "{text}"
        );
        assert!(!text.contains("wr0ng"), "{text}");
    }
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

    let hanging = Server::start(Reactor::Hangs, None, impatient()).await;
    let addr = hanging.addr.to_string();
    let text = stderr(&timers(&[], &[("PUNCTUAL_HTTP_ADDR", &addr)]).await.code(1));
    assert!(
        text.contains("503") && text.contains("does not answer in time"),
        "{text}"
    );
}
