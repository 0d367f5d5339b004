//! What just happened, as it streams.

use std::time::Duration;

use punctual::http::HttpState;
use punctual::limits::HttpLimits;
use punctual::message::MessageId;
use punctual::reactor::events::{EventKind, MessageEvent};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::acts::{assumed, patient_store};
use crate::rows::run;
use crate::server::{Reactor, Response, Server, TOKEN, at, id};

fn event(n: u128, what: EventKind) -> MessageEvent {
    MessageEvent::new(at(0), MessageId(id(n)), what)
}

async fn open(server: &Server, path: &str) -> TcpStream {
    let mut stream = server.connect().await;
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Reads until this has come.
async fn read_until(stream: &mut TcpStream, words: &str) -> String {
    let mut said = String::new();
    let reading = async {
        let mut bytes = [0; 4096];
        while !said.contains(words) {
            let n = stream.read(&mut bytes).await.unwrap();
            assert!(n > 0, "ended without {words:?}: {said}");
            said.push_str(std::str::from_utf8(&bytes[..n]).unwrap());
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(20), reading).await;
    assert!(in_time.is_ok(), "not in time: {words:?}");
    said
}

#[tokio::test]
async fn what_was_and_what_comes_is_sent() {
    let server = Server::ready().await;
    server.metrics.publish(vec![event(1, EventKind::Armed)], 0);
    let mut stream = open(&server, "/debug/events").await;
    let said = read_until(&mut stream, "event: armed").await;
    assert!(said.contains("content-type: text/event-stream"), "{said}");
    assert!(said.contains("retry: "), "{said}");
    let sent = MessageEvent {
        code: Some(21211),
        ..event(2, EventKind::Failed)
    };
    server.metrics.publish(vec![sent], 0);
    let said = read_until(&mut stream, "event: failed").await;
    let said = if said.contains("\n\n") {
        said
    } else {
        said + &read_until(&mut stream, "\n\n").await
    };
    let expected = r#"{"at":"2026-01-01T09:00:00.000000Z","id":"00000000-0000-0000-0000-000000000002","event":"failed","code":21211}"#;
    assert!(said.contains(expected), "{said}");
}

#[tokio::test]
async fn a_burst_is_cut_short_and_counted() {
    let server = Server::ready().await;
    let mut stream = open(&server, "/debug/events").await;
    read_until(&mut stream, "retry: ").await;
    for n in 0..1_000 {
        server.metrics.publish(vec![event(n, EventKind::Armed)], 0);
    }
    server
        .metrics
        .publish(vec![event(5_000, EventKind::Sent)], 0);
    let said = read_until(&mut stream, "event: sent").await;
    let armed = said.matches("event: armed").count();
    assert!(armed <= 200, "{armed} in two bursts");
    assert!(said.contains("event: more"), "{said}");
}

#[tokio::test]
async fn the_state_is_sent_on_request() {
    let server = Server::ready().await;
    let mut stream = open(&server, "/debug/events?state=1").await;
    let said = read_until(&mut stream, "event: state").await;
    let more = read_until(&mut stream, "\n\n").await;
    let said = said + &more;
    assert!(said.contains(r#""density":{"from""#), "{said}");
    let answer = server.get("/debug/events?status=1").await;
    assert_eq!(answer.status, 400, "{answer:?}");
}

/// The events of this instance do not wait for what the database says of the others.
#[tokio::test]
async fn a_database_that_hangs_holds_up_no_viewer() {
    let hour = Duration::from_secs(3_600);
    let limits = HttpLimits {
        forecast: hour,
        ..HttpLimits::default()
    };
    let (world, store) = patient_store().await;
    run(&world.user, "begin; lock table punctual.instances").await;
    let with = |state: HttpState| state.with_stories(store, assumed());
    let server = Server::start_with(Reactor::Answers(vec![]), limits, with).await;
    let mut stream = open(&server, "/debug/events").await;
    read_until(&mut stream, "retry: ").await;
    for n in 0..3 {
        // The database is asked for the others meanwhile.
        tokio::time::sleep(limits.hear_every).await;
        server.metrics.publish(vec![event(n, EventKind::Sent)], 0);
        read_until(&mut stream, &id(n).to_string()).await;
    }
}

/// The head that keeps proxies and caches from holding events back, and a comment while there are none.
#[tokio::test]
async fn a_quiet_stream_says_that_it_is_there() {
    let limits = HttpLimits {
        comment_every: Duration::from_millis(50),
        ..HttpLimits::default()
    };
    let server = Server::start(Reactor::Answers(vec![]), limits).await;
    let mut stream = open(&server, "/debug/events").await;
    let said = read_until(&mut stream, "retry: 1000\n\n").await;
    for header in [
        "content-type: text/event-stream",
        "cache-control: no-store",
        "x-accel-buffering: no",
        "x-content-type-options: nosniff",
    ] {
        assert!(said.contains(header), "{said}");
    }
    read_until(&mut stream, ": still here\n\n").await;
}

#[tokio::test]
async fn those_who_watch_are_bounded_and_leave_room_for_others() {
    let server = Server::ready().await;
    let mut open_streams = Vec::new();
    for _ in 0..32 {
        let mut stream = open(&server, "/debug/events").await;
        read_until(&mut stream, "retry: ").await;
        open_streams.push(stream);
    }
    let answer = server.get("/debug/events").await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.head.contains("retry-after"), "{answer:?}");
    assert_eq!(server.get("/healthz").await.status, 200);
    open_streams.clear();
    let began = std::time::Instant::now();
    // The server notices at its next word to a closed one.
    loop {
        server.metrics.publish(vec![event(1, EventKind::Armed)], 0);
        let mut stream = open(&server, "/debug/events").await;
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        if first.ends_with(b"200") {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "no place again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_open_stream_does_not_hold_up_the_end() {
    let limits = HttpLimits {
        drain: Duration::from_secs(60),
        ..HttpLimits::default()
    };
    let mut server = Server::start(Reactor::Answers(vec![]), limits).await;
    let mut stream = open(&server, "/debug/events?state=1").await;
    read_until(&mut stream, "event: state").await;
    server.shutdown.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(10), &mut server.served).await;
    ended.expect("it ends at once").unwrap();
    // And in good order: with the end of the last chunk.
    let rest = Response::read(stream).await;
    assert_eq!(rest.status, 0, "{rest:?}");
}

/// What is said within a burst that is too long, with the state.
pub(crate) async fn burst_and_state(server: &Server) -> String {
    let mut stream = open(server, "/debug/events?state=1").await;
    let mut said = read_until(&mut stream, "event: state").await;
    for n in 0..500 {
        server.metrics.publish(vec![event(n, EventKind::Armed)], 0);
    }
    server
        .metrics
        .publish(vec![event(5_000, EventKind::Sent)], 0);
    said += &read_until(&mut stream, "event: sent").await;
    // Chunks of the transfer lie between messages, and within none; the last message may be incomplete.
    let said = said.replace("\r\n", "\n");
    let (whole, _) = said.rsplit_once("\n\n").unwrap();
    whole.to_owned()
}
