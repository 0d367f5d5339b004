//! Clients that want too much, and the end.

use std::time::Duration;

use punctual::limits::HttpLimits;
use tokio::io::AsyncWriteExt;

use crate::server::{Reactor, Response, Server, impatient};

/// A question that reaches the reactor.
const TIMERS: &[u8] =
    b"GET /debug/timers HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer s3cret-of-the-tests\r\n\r\n";

#[tokio::test]
async fn heads_and_bodies_are_bounded() {
    let server = Server::ready().await;
    let long = format!("X-Long: {}", "a".repeat(20_000));
    let answer = server.send("GET /healthz", &["Host: a", &long]).await;
    assert_eq!(answer.status, 431, "{answer:?}");

    let many: Vec<String> = (0..100).map(|n| format!("X-{n}: 1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let answer = server.send("GET /healthz", &many).await;
    assert_eq!(answer.status, 431, "{answer:?}");

    let large = ["Host: localhost", "Content-Length: 70000"];
    let answer = server.send("POST /debug/timers", &large).await;
    assert_eq!(answer.status, 413, "{answer:?}");
}

#[tokio::test]
async fn a_client_that_trickles_or_idles_is_closed() {
    let server = Server::start(Reactor::Answers(vec![]), impatient()).await;
    for said in [
        "",
        "GET /healthz HT",
        "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let mut stream = server.connect().await;
        stream.write_all(said.as_bytes()).await.unwrap();
        // Returns only because the server closes.
        let answer = tokio::time::timeout(Duration::from_secs(10), Response::read(stream)).await;
        assert!(answer.is_ok(), "still open after {said:?}");
    }
}

/// Who says nothing gives way to who comes, the longest silent first.
#[tokio::test]
async fn past_the_limit_the_silent_give_way() {
    let limits = HttpLimits {
        connections: 2,
        reserved: 1,
        ..HttpLimits::default()
    };
    let server = Server::start(Reactor::Answers(vec![]), limits).await;
    let (first, mut second) = (server.connect().await, server.connect().await);
    assert_eq!(server.get("/healthz").await.status, 200);
    // Ended by the server, without an answer.
    assert_eq!(Response::read(first).await.status, 0);
    let request = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    second.write_all(request).await.unwrap();
    assert_eq!(Response::read(second).await.status, 200);
}

#[tokio::test]
async fn pages_past_their_part_are_asked_to_come_again_and_health_is_not() {
    let limits = HttpLimits {
        connections: 4,
        reserved: 2,
        answer: Duration::from_secs(3600),
        request: Duration::from_secs(3600),
        ..HttpLimits::default()
    };
    let mut server = Server::start(Reactor::Hangs, limits).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut stream = server.connect().await;
        stream.write_all(TIMERS).await.unwrap();
        server.asked.recv().await.unwrap();
        open.push(stream);
    }
    let busy = server.get("/debug/timers").await;
    assert_eq!(busy.status, 503, "{busy:?}");
    assert!(
        busy.body.contains("too many requests at the moment") && busy.head.contains("retry-after")
    );
    assert_eq!(server.get("/healthz").await.status, 200);
    drop(open);
}

/// Asks again and again without reading an answer: what is written for it must not be kept for ever.
#[tokio::test]
async fn a_client_that_does_not_read_is_closed() {
    let limits = HttpLimits {
        write: Duration::from_millis(50),
        ..HttpLimits::default()
    };
    let server = Server::start(Reactor::Answers(vec![]), limits).await;
    let mut stream = server.connect().await;
    let request = b"GET /assets/page.js HTTP/1.1\r\nHost: a\r\n\r\n".repeat(200);
    let writing = async { while stream.write_all(&request).await.is_ok() {} };
    let ended = tokio::time::timeout(Duration::from_secs(30), writing).await;
    assert!(ended.is_ok(), "still open");
}

#[tokio::test]
async fn shutdown_lets_a_request_finish_and_takes_no_new_one() {
    let limits = HttpLimits {
        answer: Duration::from_millis(100),
        drain: Duration::from_secs(60),
        ..HttpLimits::default()
    };
    let mut server = Server::start(Reactor::Hangs, limits).await;
    let mut open = server.connect().await;
    open.write_all(TIMERS).await.unwrap();
    server.asked.recv().await.unwrap();
    server.shutdown.cancel();
    let (answer, ended) = tokio::join!(Response::read(open), &mut server.served);
    assert_eq!(answer.status, 503, "{answer:?}");
    ended.unwrap();
    assert!(tokio::net::TcpStream::connect(server.addr).await.is_err());
}

#[tokio::test]
async fn shutdown_does_not_wait_for_ever() {
    let limits = HttpLimits {
        answer: Duration::from_secs(3600),
        request: Duration::from_secs(3600),
        drain: Duration::from_millis(50),
        ..HttpLimits::default()
    };
    let mut server = Server::start(Reactor::Hangs, limits).await;
    let mut open = server.connect().await;
    open.write_all(TIMERS).await.unwrap();
    server.asked.recv().await.unwrap();
    server.shutdown.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(10), server.served).await;
    assert!(ended.is_ok(), "still serving");
}
