//! What is translated of the connection of a change feed.

use super::*;

fn tagged(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = BytesMut::new();
    put(&mut out, tag, parts).unwrap();
    out.to_vec()
}

fn streamed(parts: &[&[u8]]) -> Vec<u8> {
    tagged(b'd', parts)
}

/// A record of the log at this place: a message with this prefix.
fn record(at: u64, prefix: &[u8], payload: &[u8]) -> Vec<u8> {
    let at = at.to_be_bytes();
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head: &[&[u8]] = &[
        b"w",
        &at,
        &at,
        &[0; 8],
        b"M",
        &[1],
        &at,
        prefix,
        &[NUL],
        &length,
    ];
    streamed(&[head, &[payload]].concat())
}

fn keepalive(at: u64, wants_response: u8) -> Vec<u8> {
    streamed(&[b"k", &at.to_be_bytes(), &[0; 8], &[wants_response]])
}

fn confirmation(at: u64) -> Vec<u8> {
    let at = at.to_be_bytes();
    streamed(&[b"r", &at, &at, &at, &[0; 8], &[0]])
}

fn notification(by: u8, payload: &[u8]) -> Vec<u8> {
    tagged(b'A', &[&[0, 0, 0, by], b"punctual\0", payload, &[NUL]])
}

/// What the client and the server get, however the bytes are cut.
fn translated(server: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
    let bytes = server.concat();
    let mut seen = Vec::new();
    for size in [1, 7, bytes.len()] {
        let mut feed = Feed::default();
        let (mut out, mut confirmed) = (BytesMut::new(), BytesMut::new());
        for chunk in bytes.chunks(size) {
            feed.for_client(chunk, &mut out, &mut confirmed).unwrap();
        }
        seen.push((out.to_vec(), confirmed.to_vec()));
    }
    assert!(seen.iter().all(|one| *one == seen[0]));
    seen.remove(0)
}

#[test]
fn the_first_message_asks_for_replication_and_the_others_stay() {
    let greeting = [&[0, 0, 0, 19, 0, 3, 0, 0][..], b"user\0none\0\0"].concat();
    let more = tagged(b'p', &[b"secret\0"]);
    let expected = [
        &[0, 0, 0, 40, 0, 3, 0, 0][..],
        b"user\0none\0replication\0database\0\0",
        &more,
    ]
    .concat();
    for size in [1, greeting.len(), greeting.len() + 3, 100] {
        let (mut feed, mut out) = (Feed::default(), BytesMut::new());
        for chunk in [greeting.clone(), more.clone()].concat().chunks(size) {
            feed.for_server(chunk, &mut out).unwrap();
        }
        assert_eq!(out, expected);
    }
}

#[test]
fn what_the_log_says_arrives_as_a_notification() {
    let before = tagged(b'Z', &[b"I"]);
    let begun = [tagged(b'C', &[b"START_REPLICATION\0"]), before.clone()].concat();
    let (out, confirmed) = translated(&[
        before.clone(),
        tagged(b'W', &[&[0, 0, 0]]),
        streamed(&[b"w", &[0; 24], b"B", &[0; 16], &[0, 0, 0, 5]]),
        record(10, b"punctual", b"ids 1"),
        record(11, b"another", b"ids 2"),
        record(12, b"punctual", b"a\0b"),
        record(13, b"punctual", b"\xff"),
        // As long as a program likes; it is not kept.
        record(14, b"another", &vec![b'x'; 3 * LONGEST]),
        streamed(&[b"w", &[0; 24], b"B", &[0; 16], &[0, 0, 0, 6]]),
        record(15, b"punctual", b"rescan"),
        keepalive(16, 0),
    ]);
    let notified = [notification(5, b"ids 1"), notification(6, b"rescan")].concat();
    assert_eq!(out, [before, begun, notified].concat());
    assert!(confirmed.is_empty());
}

#[test]
fn the_log_is_confirmed_when_the_server_asks_and_with_each_piece() {
    let (out, confirmed) = translated(&[
        tagged(b'W', &[&[0, 0, 0]]),
        keepalive(100, 1),
        keepalive(200, 0),
        keepalive(100 + CONFIRM_AFTER, 0),
        record(101 + CONFIRM_AFTER, b"another", b"x"),
        record(100 + 2 * CONFIRM_AFTER, b"another", b"x"),
        // It never goes back.
        keepalive(7, 1),
    ]);
    let all = [
        100,
        100 + CONFIRM_AFTER,
        100 + 2 * CONFIRM_AFTER,
        100 + 2 * CONFIRM_AFTER,
    ];
    assert_eq!(confirmed, all.map(confirmation).concat());
    assert_eq!(
        out,
        [
            tagged(b'C', &[b"START_REPLICATION\0"]),
            tagged(b'Z', &[b"I"])
        ]
        .concat()
    );
}

#[test]
fn the_end_of_the_stream_is_the_end_of_the_connection() {
    let mut feed = Feed::default();
    let bytes = [tagged(b'W', &[&[0, 0, 0]]), tagged(b'c', &[])].concat();
    let ended = feed.for_client(&bytes, &mut BytesMut::new(), &mut BytesMut::new());
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}
