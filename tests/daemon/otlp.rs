//! Spans of messages, as a collector gets them.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use crate::daemon::{set, until};
use crate::world::World;

type Bodies = Arc<Mutex<Vec<Vec<u8>>>>;

/// One that takes whatever is posted to it.
async fn collector() -> (String, Bodies) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let bodies = Bodies::default();
    let kept = Arc::clone(&bodies);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(take(stream, Arc::clone(&kept)));
        }
    });
    (url, bodies)
}

async fn take(mut stream: TcpStream, bodies: Bodies) -> Option<()> {
    let mut bytes = Vec::new();
    loop {
        let head = loop {
            if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        };
        let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
        assert!(text.starts_with("post /v1/traces "), "{text}");
        let length = text.split("content-length: ").nth(1)?.lines().next()?;
        let end = head + length.parse::<usize>().ok()?;
        while bytes.len() < end {
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        }
        bodies.lock().unwrap().push(bytes[head..end].to_vec());
        bytes.drain(..end);
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.ok()?;
    }
}

fn has(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn the_spans_of_an_attempt_are_one_trace() {
    let (url, bodies) = collector().await;
    let mut world = World::new([]).await;
    set(&mut world.env, "OTEL_EXPORTER_OTLP_ENDPOINT", &url);
    let daemon = world.daemon().await;
    let id = world.insert("followed", 300).await;
    world.arrived_once(id).await;
    // What is left goes out at the end.
    daemon.stop().await;
    let sql = "select token from punctual.attempts where message_id = $1";
    let token: Uuid = world.app.query_one(sql, &[&id]).await.unwrap().get(0);
    until("the spans have come", async || {
        let all = bodies.lock().unwrap().concat();
        let there = [&b"claim"[..], b"send", b"record", id.to_string().as_bytes()]
            .iter()
            .all(|part| has(&all, part));
        there.then_some(())
    })
    .await;
    let all = bodies.lock().unwrap().concat();
    assert!(has(&all, token.as_bytes()), "another trace");
    assert!(!has(&all, b"followed"), "the text");
    assert!(!has(&all, &crate::world::TO.as_bytes()[1..]), "the number");
}
