//! Who may see `/debug`.

use std::time::Duration;

use punctual::http::Limits;
use punctual::reactor::report::Missing;

use crate::server::{Reactor, Server};

async fn start(token: Option<&str>) -> Server {
    let limits = Limits {
        wrong: Duration::ZERO,
        ..Limits::default()
    };
    Server::start(Reactor::Answers(vec![]), token, limits).await
}

async fn check(server: &Server, headers: &[&str], status: u16) {
    let answer = server.send("GET /debug/timers", headers).await;
    assert_eq!(answer.status, status, "{headers:?}: {answer:?}");
    if status != 200 {
        let sentence = answer.body.trim();
        assert!(sentence.contains("PUNCTUAL_DEBUG_TOKEN"), "{sentence}");
        assert!(!sentence.contains("s3cret"), "{sentence}");
        // Nothing is learned about which pages there are, either.
        let unknown = server.send("GET /debug/nothing", headers).await;
        assert_eq!(unknown.status, status, "{headers:?}: {unknown:?}");
    }
    if status == 401 {
        assert!(answer.head.contains("www-authenticate: bearer"));
    }
}

#[tokio::test]
async fn without_a_token_only_this_machine_is_answered() {
    let server = start(None).await;
    let local = "Host: localhost:8080";
    check(&server, &[local], 200).await;
    check(&server, &["Host: 127.0.0.1"], 200).await;
    check(&server, &["Host: [::1]:8080"], 200).await;
    check(&server, &[local, "X-Request-Id: 1"], 200).await;
    // A name that its owner has pointed at 127.0.0.1.
    check(&server, &["Host: rebound.example:8080"], 403).await;
    check(&server, &["Host: 10.0.0.5"], 403).await;
    check(&server, &[], 403).await;
    check(&server, &[local, "Host: rebound.example"], 403).await;
    // A proxy that hides the Host it was asked by.
    for forwarding in [
        "Forwarded: for=192.0.2.1",
        "X-Forwarded-For: 192.0.2.1",
        "X-Forwarded-Host: example.com",
        "X-Forwarded-Proto: https",
        "x-forwarded-anything: 1",
        "X-Real-IP: 192.0.2.1",
        "Via: 1.1 proxy",
        "CF-Connecting-IP: 192.0.2.1",
        // Even one that claims to forward for this machine.
        "X-Forwarded-For: 127.0.0.1",
    ] {
        check(&server, &[local, forwarding], 403).await;
    }
}

#[tokio::test]
async fn the_name_in_an_absolute_request_counts_as_well() {
    let server = start(None).await;
    for (target, status) in [
        ("http://localhost/debug/timers", 200),
        ("http://rebound.example/debug/timers", 403),
    ] {
        let answer = server
            .send(&format!("GET {target}"), &["Host: localhost"])
            .await;
        assert_eq!(answer.status, status, "{target}: {answer:?}");
    }
}

#[tokio::test]
async fn with_a_token_only_its_bearer_is_answered() {
    let server = start(Some("s3cret")).await;
    let right = "Authorization: Bearer s3cret";
    // With a token it does not matter whence, proxies included.
    check(&server, &["Host: timers.example", right], 200).await;
    let via_proxy = ["Host: timers.example", right, "X-Forwarded-For: 192.0.2.1"];
    check(&server, &via_proxy, 200).await;
    check(&server, &["Host: a", "authorization: bearer s3cret"], 200).await;
    for wrong in [
        "X-Nothing: 1",
        "Authorization: Bearer",
        "Authorization: Bearer ",
        "Authorization: Bearer s3cre",
        "Authorization: Bearer s3cret2",
        "Authorization: Bearer S3CRET",
        "Authorization: s3cret",
        "Authorization: Basic s3cret",
    ] {
        check(&server, &["Host: localhost", wrong], 401).await;
    }
    let twice = ["Host: localhost", right, "Authorization: Bearer other"];
    check(&server, &twice, 401).await;
    // The token has no business in a URL, where logs keep it.
    let answer = server.get("/debug/timers?token=s3cret").await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn health_is_open_to_everyone() {
    let missing = vec![Missing::Connection];
    let server = Server::start(Reactor::Answers(missing), Some("s3cret"), Limits::default()).await;
    let from_afar = ["Host: lb.example", "X-Forwarded-For: 192.0.2.1"];
    let live = server.send("GET /healthz", &from_afar).await;
    let ready = server.send("GET /readyz", &from_afar).await;
    assert_eq!((live.status, ready.status), (200, 503));
}
