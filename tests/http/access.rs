//! Who may see what is inside.

use punctual::limits::HttpLimits;
use punctual::reactor::report::{Missing, Remark};

use crate::server::{OPERATOR_TOKEN, Reactor, Server, TOKEN};

/// Everything that shows something of messages.
const INSIDE: [&str; 7] = [
    "/",
    "/metrics",
    "/openapi.json",
    "/debug/timers",
    "/debug/events?x=1",
    "/debug/messages/00000000-0000-0000-0000-000000000001",
    // Nothing is learned about which pages there are, either.
    "/debug/nothing",
];

async fn check(server: &Server, headers: &[&str], status: u16) {
    let answer = server.send_bare("GET /debug/timers", headers).await;
    assert_eq!(answer.status, status, "{headers:?}: {answer:?}");
    if status != 200 {
        let sentence = answer.body.trim();
        assert!(sentence.contains("punctual token"), "{sentence}");
        assert!(!sentence.contains("s3cret"), "{sentence}");
    }
    if status == 401 {
        assert!(answer.head.contains("www-authenticate: bearer"));
    }
}

/// However the request calls us, and whatever it says of whence it comes: a proxy on this machine with
/// its defaults looks like a client on this machine.
#[tokio::test]
async fn over_tcp_there_is_nothing_without_a_token() {
    let server = Server::ready().await;
    for headers in [
        &["Host: localhost:8080"][..],
        &["Host: 127.0.0.1"],
        &["Host: [::1]:8080"],
        &[],
        &["Host: rebound.example:8080"],
        &["Host: localhost", "X-Forwarded-For: 127.0.0.1"],
        &["Host: localhost", "Cookie: punctual_session=1"],
        &["Host: localhost", "Authorization: Basic Og=="],
    ] {
        for path in INSIDE {
            let answer = server.send_bare(&format!("GET {path}"), headers).await;
            assert_eq!(answer.status, 401, "{path} {headers:?}: {answer:?}");
        }
    }
    let absolute = server
        .send_bare("GET http://localhost/debug/timers", &[])
        .await;
    assert_eq!(absolute.status, 401);
}

#[tokio::test]
async fn over_the_socket_there_is_everything_without_one() {
    let server = Server::ready().await;
    for path in INSIDE {
        for headers in [
            &["Host: punctual"][..],
            &[],
            &["Authorization: Bearer wrong"],
        ] {
            let answer = server.send_by_socket(&format!("GET {path}"), headers).await;
            let good = matches!(answer.status, 200 | 400 | 404);
            assert!(good, "{path} {headers:?}: {answer:?}");
        }
    }
    let login = server.send_by_socket("GET /login", &["Host: a"]).await;
    assert!(
        login.status == 303 && login.head.contains("location: /\r\n"),
        "{login:?}"
    );
}

#[tokio::test]
async fn either_token_opens_and_nothing_like_it_does() {
    let server = Server::ready().await;
    for token in [TOKEN, OPERATOR_TOKEN] {
        let right = format!("Authorization: Bearer {token}");
        check(&server, &["Host: timers.example", &right], 200).await;
        let via_proxy = ["Host: a", &right, "X-Forwarded-For: 192.0.2.1"];
        check(&server, &via_proxy, 200).await;
        let lower = format!("authorization: bearer {token}");
        check(&server, &["Host: a", &lower], 200).await;
    }
    let right = format!("Authorization: Bearer {TOKEN}");
    for wrong in [
        "X-Nothing: 1".to_owned(),
        "Authorization: Bearer".to_owned(),
        "Authorization: Bearer ".to_owned(),
        right[..right.len() - 1].to_owned(),
        format!("{right}2"),
        right.to_uppercase(),
        format!("Authorization: {TOKEN}"),
        format!("Authorization: Basic {TOKEN}"),
    ] {
        check(&server, &["Host: localhost", &wrong], 401).await;
    }
    let twice = ["Host: localhost", &right, "Authorization: Bearer other"];
    check(&server, &twice, 401).await;
    // The token has no business in a URL that stays, where logs keep it.
    let query = format!("GET /debug/timers?token={TOKEN}");
    assert_eq!(server.send_bare(&query, &["Host: a"]).await.status, 401);
}

#[tokio::test]
async fn health_is_open_to_everyone() {
    let missing = vec![Missing::Connection];
    let server = Server::start(Reactor::Answers(missing), HttpLimits::default()).await;
    let from_afar = ["Host: lb.example", "X-Forwarded-For: 192.0.2.1"];
    let live = server.send_bare("GET /healthz", &from_afar).await;
    let ready = server.send_bare("GET /readyz", &from_afar).await;
    assert_eq!((live.status, ready.status), (200, 503));
}

/// Who has no token learns that something is wrong, and no name of a trigger, a policy or a table.
#[tokio::test]
async fn readiness_names_triggers_only_to_those_with_a_token() {
    let remark = || Remark {
        kind: "no_effect",
        text: "trigger swallow may drop changes".into(),
    };
    let right = format!("Authorization: Bearer {TOKEN}");
    let wrong = "Authorization: Bearer wrong".to_owned();
    let missing = Reactor::Answers(vec![Missing::Sending(remark()), Missing::Window]);
    for (reactor, status) in [(missing, 503), (Reactor::Remarks(vec![remark()]), 200)] {
        let server = Server::start(reactor, HttpLimits::default()).await;
        for (header, in_full) in [(None, false), (Some(&wrong), false), (Some(&right), true)] {
            let host = ["Host: lb.example"].into_iter();
            let headers: Vec<&str> = host.chain(header.map(String::as_str)).collect();
            let ready = server.send_bare("GET /readyz", &headers).await;
            assert_eq!(ready.status, status);
            assert_eq!(ready.body.contains("swallow"), in_full, "{}", ready.body);
            assert_eq!(ready.body.contains("no_effect"), !in_full, "{}", ready.body);
            // What has no name is shown to everybody.
            assert_eq!(ready.body.contains("not loaded"), status == 503);
        }
    }
}
