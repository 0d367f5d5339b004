//! The page, and how a browser comes to see it.

use std::time::Duration;

use punctual::http::Limits;

use crate::server::{Answer, Reactor, Server};

const TOKEN: &str = "s3cret-of-the-page";

async fn start(token: Option<&str>) -> Server {
    let limits = Limits {
        wrong: Duration::ZERO,
        ..Limits::default()
    };
    Server::start(Reactor::Answers(vec![]), token, limits).await
}

async fn post(server: &Server, path: &str, headers: &[&str], body: &str) -> Answer {
    let mut raw = format!(
        "POST {path} HTTP/1.1\r\nConnection: close\r\nHost: page.example\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
        body.len()
    );
    for header in headers {
        raw += header;
        raw += "\r\n";
    }
    server.send_raw(&format!("{raw}\r\n{body}")).await
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let mut lines = answer.head.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[tokio::test]
async fn the_page_lets_nothing_in_from_elsewhere() {
    let server = start(None).await;
    let page = server.get("/").await;
    assert_eq!(page.status, 200, "{page:?}");
    let policy = header(&page, "content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(header(&page, "x-frame-options"), Some("deny"));
    assert!(!page.body.contains(" style=") && !page.body.contains("<style"));
    assert!(!page.body.contains("://"), "a link to elsewhere");
    // What it needs is there, and is what it says.
    for part in page.body.split(['"', '\'']) {
        if part.starts_with("/assets/") {
            let asset = server.get(part).await;
            assert_eq!(asset.status, 200, "{part}");
            assert_eq!(header(&asset, "x-content-type-options"), Some("nosniff"));
        }
    }
    // Drawn without a script as well.
    assert!(page.body.contains("00000000-0000-0000-0000-000000000001"));
    assert!(page.body.contains("310 µs"), "{}", page.body);
    assert_eq!(server.get("/assets/nothing.js").await.status, 404);
}

#[tokio::test]
async fn without_a_token_the_page_is_for_this_machine_only() {
    let server = start(None).await;
    for (headers, status) in [
        (&["Host: localhost:8080"][..], 200),
        (&["Host: rebound.example"], 403),
        (&["Host: localhost", "X-Forwarded-For: 192.0.2.1"], 403),
    ] {
        for path in ["/", "/metrics", "/debug/events?x"] {
            let answer = server.send(&format!("GET {path}"), headers).await;
            let status = if path.ends_with("?x") && status == 200 {
                400
            } else {
                status
            };
            assert_eq!(answer.status, status, "{path} {headers:?}");
        }
    }
    let login = server.send("GET /login", &["Host: localhost"]).await;
    assert_eq!((login.status, header(&login, "location")), (303, Some("/")));
}

#[tokio::test]
async fn a_browser_logs_in_and_out() {
    let server = start(Some(TOKEN)).await;
    let browser = ["Host: page.example", "Accept: text/html,*/*"];
    let sent_on = server.send("GET /", &browser).await;
    assert_eq!(header(&sent_on, "location"), Some("/login"), "{sent_on:?}");
    // Programs are told, not sent on.
    assert_eq!(server.send("GET /", &["Host: a"]).await.status, 401);
    assert_eq!(server.get("/login").await.status, 200);

    let right = format!("token={TOKEN}");
    let origin = ["Origin: https://page.example"];
    let login = post(&server, "/login", &origin, &right).await;
    assert_eq!(login.status, 303, "{login:?}");
    let set = header(&login, "set-cookie").unwrap().to_owned();
    for word in [
        "httponly",
        "samesite=strict",
        "secure",
        "max-age=43200",
        "path=/",
    ] {
        assert!(set.contains(word), "{word}: {set}");
    }
    assert!(!set.contains(TOKEN), "{set}");
    let cookie = format!("Cookie: other=1; {}", set.split(';').next().unwrap());
    for path in ["/", "/debug/timers", "/metrics"] {
        let seen = server
            .send(&format!("GET {path}"), &["Host: page.example", &cookie])
            .await;
        assert_eq!(seen.status, 200, "{path}: {seen:?}");
        assert!(!seen.body.contains(TOKEN));
    }
    let forged = cookie.replace("punctual_session=1", "punctual_session=2");
    let refused = server.send("GET /metrics", &["Host: a", &forged]).await;
    assert_eq!(refused.status, 401);

    let logout = post(&server, "/logout", &["Origin: http://page.example"], "").await;
    assert_eq!(header(&logout, "location"), Some("/login"));
    let cleared = header(&logout, "set-cookie").unwrap();
    assert!(cleared.contains("punctual_session=;") && cleared.contains("max-age=0"));
    // Over plain HTTP a browser would not keep a secure one.
    assert!(!cleared.contains("secure"));
}

#[tokio::test]
async fn a_foreign_page_cannot_log_anybody_in_or_out() {
    let server = start(Some(TOKEN)).await;
    let right = format!("token={TOKEN}");
    for (headers, allowed) in [
        (&["Origin: https://evil.example"][..], false),
        (&["Origin: null"], false),
        (&["Sec-Fetch-Site: cross-site"], false),
        (
            &["Sec-Fetch-Site: same-site", "Origin: https://page.example"],
            false,
        ),
        (
            &[
                "Sec-Fetch-Site: same-origin",
                "Origin: https://behind-a-proxy.example",
            ],
            true,
        ),
        (&["Origin: http://page.example"], true),
        // No browser.
        (&[], true),
    ] {
        let login = post(&server, "/login", headers, &right).await;
        assert_eq!(login.status, if allowed { 303 } else { 403 }, "{headers:?}");
        let logout = post(&server, "/logout", headers, "").await;
        assert_eq!(
            logout.status,
            if allowed { 303 } else { 403 },
            "{headers:?}"
        );
    }
}

#[tokio::test]
async fn wrong_tokens_are_slow_and_not_many_at_once() {
    let limits = Limits {
        wrong: Duration::from_millis(300),
        ..Limits::default()
    };
    let server = Server::start(Reactor::Answers(vec![]), Some(TOKEN), limits).await;
    let began = std::time::Instant::now();
    let tries = (0..8).map(|n| {
        let server = &server;
        async move { post(server, "/login", &[], &format!("token=wrong{n}")).await }
    });
    let answers = futures_util::future::join_all(tries).await;
    let count = |status| answers.iter().filter(|a| a.status == status).count();
    assert_eq!((count(401), count(429)), (4, 4), "{answers:?}");
    assert!(began.elapsed() >= Duration::from_millis(300));
    let wrong = answers.iter().find(|a| a.status == 401).unwrap();
    assert!(wrong.body.contains("not the token"), "{wrong:?}");
    assert!(!wrong.body.contains("wrong0"));

    let began = std::time::Instant::now();
    let bearer = ["Host: a", "Authorization: Bearer wrong"];
    assert_eq!(server.send("GET /metrics", &bearer).await.status, 401);
    assert!(began.elapsed() >= Duration::from_millis(300));
}
