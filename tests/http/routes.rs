//! What each route answers.

use punctual::http::bind;
use punctual::limits::HttpLimits;
use punctual::message::MessageId;
use punctual::reactor::report::{Missing, TimersQuery};
use serde_json::json;

use crate::server::{Reactor, Server, at, id, impatient};

#[tokio::test]
async fn timers_have_the_shape_of_the_interface() {
    let server = Server::ready().await;
    let answer = server.get("/debug/timers").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.head.contains("content-type: application/json"));
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let expected = json!({
        "now": "2026-01-01T09:00:00.000000Z",
        "instance": "00000000-0000-0000-0000-000000000007", "ready": true,
        "clock": {"offset_us": -120, "uncertainty_us": 300},
        "listener": {"connected": true, "since": "2026-01-01T08:59:00.000000Z",
                     "last_notice_at": null, "resyncs": 1},
        "window": {"until": "2026-01-01T10:00:00.000000Z", "armed": 2, "waiting": 1002, "beyond": 140},
        "breaker": {"open": false, "since": null, "next_probe_at": null, "category": null, "reason": null},
        "lanes": [{"account": "default", "channel": "sms", "lanes": 1, "refused": 0,
                   "breaker": {"open": false, "since": null, "next_probe_at": null, "category": null,
                               "reason": null},
                   "armed": 2, "cleared": 0, "in_flight": 0, "permits": 64, "unrecorded": 0}],
        "pauses": [{"scope": "lane", "what": "sms", "until": "infinity"}],
        "paces": [{"scope": "campaign", "what": "00000000-0000-0000-0000-00000000000c",
                   "next_at": "2026-01-01T09:04:00.000000Z", "channel": "sms", "refused": true}],
        "restore": {"held_before": null, "held": null, "reason": null},
        "slowed": {"senders": 1, "recipients": 0, "senders_refused": 0},
        "journal": {"path": "/var/lib/punctual/journal/0-app/0", "writable": true, "reason": null},
        "lead_us": 4200,
        "lateness_us": {"count": 10, "p50": 310, "p99": 900, "max": 1200},
        "wheel": [{"level": 0, "slot_us": 1000, "occupied": 1}],
        "timers": [{"id": "00000000-0000-0000-0000-000000000001",
                    "due_at": "2026-01-01T09:01:21.000000Z", "due_in_us": 81_000_000,
                    "kind": "message", "state": "armed", "attempt": 0, "version": 3,
                    "owner": "00000000-0000-0000-0000-000000000007", "lane": "default/sms", "forecast": null}]
    });
    assert_eq!(body, expected);
}

async fn check(query: &str, expected: Result<TimersQuery, &str>) {
    let mut server = Server::ready().await;
    let answer = server.get(&format!("/debug/timers{query}")).await;
    match expected {
        Ok(expected) => {
            assert_eq!(answer.status, 200, "{query}: {answer:?}");
            assert_eq!(server.asked.try_recv(), Ok(expected), "{query}");
        }
        Err(sentence) => {
            assert_eq!(answer.status, 400, "{query}: {answer:?}");
            assert!(answer.body.contains(sentence), "{query}: {}", answer.body);
            assert!(server.asked.try_recv().is_err(), "{query} was asked");
        }
    }
}

#[tokio::test]
async fn the_query_selects() {
    let all = TimersQuery {
        limit: 100,
        before: None,
        id: None,
    };
    check("", Ok(all)).await;
    check("?limit=&before=&id=", Ok(all)).await;
    check("?limit=0", Ok(TimersQuery { limit: 0, ..all })).await;
    check(
        "?limit=10000",
        Ok(TimersQuery {
            limit: 10_000,
            ..all
        }),
    )
    .await;
    for time in [
        "2026-01-01T09:00:00.000250Z",
        "2026-01-01T10:00:00.000250%2B01:00",
        "2026-01-01T10:00:00.000250+01:00",
        "2026-01-01T04:00:00.00025-05:00",
    ] {
        let before = Some(at(250));
        check(
            &format!("?before={time}"),
            Ok(TimersQuery { before, ..all }),
        )
        .await;
    }
    let one = Some(MessageId(id(9)));
    let both = TimersQuery {
        limit: 1,
        id: one,
        ..all
    };
    check(&format!("?id={}&limit=1", id(9)), Ok(both)).await;
}

#[tokio::test]
async fn a_query_that_is_not_understood_is_refused_with_the_reason() {
    let limit = Err("limit must be a number from 0 to 10000");
    check("?limit=10001", limit).await;
    check("?limit=-1", limit).await;
    check("?limit=ten", limit).await;
    check("?limit=99999999999999999999", limit).await;
    check("?before=tomorrow", Err("before must be a time")).await;
    check("?before=2026-01-01", Err("before must be a time")).await;
    check("?id=1", Err("id must be a UUID")).await;
    check("?limit=1&limit=2", Err("limit is given twice")).await;
    check("?state=armed", Err("unknown parameter")).await;
}

#[tokio::test]
async fn readiness_names_every_reason() {
    let server = Server::ready().await;
    let answer = server.get("/readyz").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ready\n"));

    let missing = vec![Missing::Window, Missing::Channel];
    let server = Server::start(Reactor::Answers(missing), HttpLimits::default()).await;
    let answer = server.get("/readyz").await;
    assert_eq!(answer.status, 503);
    let lines: Vec<&str> = answer.body.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("not loaded") && lines[1].contains("LISTEN/NOTIFY"));
}

#[tokio::test]
async fn a_reactor_that_does_not_answer_is_503_while_the_process_lives() {
    for reactor in [Reactor::Hangs, Reactor::Gone] {
        let server = Server::start(reactor, impatient()).await;
        for path in ["/readyz", "/debug/timers"] {
            // Asked more often than the channel has room, so that a full one counts as well.
            for _ in 0..3 {
                assert_eq!(server.get(path).await.status, 503, "{path}");
            }
        }
        assert_eq!(server.get("/healthz").await.status, 200);
    }
}

#[tokio::test]
async fn unknown_paths_and_methods() {
    let server = Server::ready().await;
    for (request, status) in [
        ("GET /index.html", 404),
        ("GET /assets/", 404),
        ("GET /assets/..%2Fpage.rs", 404),
        ("GET /logout", 405),
        ("GET /health", 404),
        ("GET /debug", 404),
        ("GET /debug/", 404),
        ("GET /debug/nothing", 404),
        ("GET /%00", 404),
        ("POST /healthz", 405),
        ("DELETE /debug/timers", 405),
    ] {
        let answer = server.send(request, &["Host: localhost"]).await;
        assert_eq!(answer.status, status, "{request}: {answer:?}");
    }
}

#[tokio::test]
async fn head_answers_without_a_body() {
    let server = Server::ready().await;
    for path in ["/healthz", "/readyz", "/debug/timers"] {
        let answer = server
            .send(&format!("HEAD {path}"), &["Host: localhost"])
            .await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{path}");
        assert!(answer.head.contains("content-length: "), "{}", answer.head);
    }
}

#[tokio::test]
async fn a_taken_address_is_named_with_its_setting() {
    let server = Server::ready().await;
    let error = bind(server.addr, "PUNCTUAL_HTTP_ADDR").await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&server.addr.to_string()), "{text}");
    assert!(text.contains("PUNCTUAL_HTTP_ADDR"), "{text}");
    assert!(text.contains("choose another port"), "{text}");
}
