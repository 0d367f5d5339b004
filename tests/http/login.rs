//! The page, and how a browser comes to see it.

use futures_util::future::join_all;
use punctual::metrics::Counter;

use crate::server::{OPERATOR_TOKEN, Response, Server, TOKEN};

async fn post(server: &Server, path: &str, headers: &[&str], body: &str) -> Response {
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

fn header<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    let mut lines = answer.head.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// The files that a page or a script names.
fn assets(text: &str) -> Vec<String> {
    let parts = text.split(['"', '\'']);
    let named = parts.filter_map(|part| {
        if part.starts_with("/assets/") {
            return Some(part.to_owned());
        }
        let script = part.strip_prefix("./")?.strip_suffix(".js")?;
        Some(format!("/assets/{script}.js"))
    });
    named.collect()
}

#[tokio::test]
async fn the_page_lets_nothing_in_from_elsewhere() {
    let server = Server::ready().await;
    let id = "00000000-0000-0000-0000-000000000001";
    for path in ["/".to_owned(), format!("/messages/{id}")] {
        let page = server.get(&path).await;
        assert_eq!(page.status, 200, "{page:?}");
        let policy = header(&page, "content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(header(&page, "x-frame-options"), Some("deny"));
        assert!(!page.body.contains(" style=") && !page.body.contains("<style"));
        assert!(!page.body.contains("://"), "a link to elsewhere");
        // What it and its scripts need is there, and is what it says.
        let mut wanted: Vec<String> = assets(&page.body);
        let mut seen = std::collections::BTreeSet::new();
        while let Some(part) = wanted.pop() {
            if !seen.insert(part.clone()) {
                continue;
            }
            let asset = server.get(&part).await;
            assert_eq!(asset.status, 200, "{part}");
            assert_eq!(header(&asset, "x-content-type-options"), Some("nosniff"));
            // A shared worker has the policy of its own file.
            assert_eq!(header(&asset, "content-security-policy"), Some(policy));
            wanted.extend(assets(&asset.body));
        }
        assert!(seen.contains("/assets/worker.js"), "{seen:?}");
        // Drawn without a script as well.
        assert!(page.body.contains(id));
    }
    let page = server.get("/").await;
    let sentence = "Sending; paused: lane sms until somebody resumes";
    assert!(page.body.contains(sentence), "{}", page.body);
    assert_eq!(server.get("/assets/nothing.js").await.status, 404);
}

#[tokio::test]
async fn a_browser_logs_in_and_out() {
    let server = Server::ready().await;
    let browser = ["Host: page.example", "Accept: text/html,*/*"];
    let sent_on = server.send_bare("GET /", &browser).await;
    assert_eq!(header(&sent_on, "location"), Some("/login"), "{sent_on:?}");
    // Programs get an error, and are not sent on.
    assert_eq!(server.send_bare("GET /", &["Host: a"]).await.status, 401);
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
            .send_bare(&format!("GET {path}"), &["Host: page.example", &cookie])
            .await;
        assert_eq!(seen.status, 200, "{path}: {seen:?}");
        assert!(!seen.body.contains(TOKEN));
    }
    let (name, _) = set.split_once('=').unwrap();
    let forged = cookie.replace(&format!("{name}=1"), &format!("{name}=2"));
    assert_ne!(forged, cookie);
    let refused = server
        .send_bare("GET /metrics", &["Host: a", &forged])
        .await;
    assert_eq!(refused.status, 401);

    let logout = post(&server, "/logout", &["Origin: http://page.example"], "").await;
    assert_eq!(header(&logout, "location"), Some("/login"));
    let cleared = header(&logout, "set-cookie").unwrap();
    assert!(cleared.contains(&format!("{name}=;")) && cleared.contains("max-age=0"));
    // Over plain HTTP a browser would not keep a secure one.
    assert!(!cleared.contains("secure"));
}

#[tokio::test]
async fn a_foreign_page_cannot_log_anybody_in_or_out() {
    let server = Server::ready().await;
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

/// A terminal shows such a link. The address that the browser keeps has no token in it.
#[tokio::test]
async fn a_link_is_exchanged_for_a_cookie() {
    let server = Server::ready().await;
    for token in [TOKEN, OPERATOR_TOKEN] {
        let link = format!("GET /login?token={token}");
        let answer = server.send_bare(&link, &["Host: localhost"]).await;
        assert_eq!(answer.status, 303, "{answer:?}");
        assert_eq!(header(&answer, "location"), Some("/"));
        assert_eq!(header(&answer, "referrer-policy"), Some("no-referrer"));
        assert!(!answer.head.contains(token), "{answer:?}");
        let set = header(&answer, "set-cookie").unwrap();
        let cookie = format!("Cookie: {}", set.split(';').next().unwrap());
        let page = server
            .send_bare("GET /", &["Host: localhost", &cookie])
            .await;
        assert_eq!(page.status, 200, "{page:?}");
    }
    let wrong = server
        .send_bare("GET /login?token=wrong", &["Host: localhost"])
        .await;
    assert_eq!((wrong.status, header(&wrong, "set-cookie")), (401, None));
}

/// By whatever way they come, and with everybody behind one proxy.
#[tokio::test]
async fn wrong_tokens_are_counted_and_keep_nobody_out() {
    let server = Server::ready().await;
    let bearer = ["Host: a", "Authorization: Bearer wrong"];
    let tries = (0..60).map(|n| {
        let (server, bearer) = (&server, &bearer);
        async move {
            match n % 3 {
                0 => post(server, "/login", &[], &format!("token=wrong{n}")).await,
                1 => server.send_bare("GET /metrics", bearer).await,
                _ => {
                    server
                        .send_bare("GET /login?token=wrong", &["Host: a"])
                        .await
                }
            }
        }
    });
    let right = (0..20).map(|n| {
        let server = &server;
        async move {
            if n % 2 == 0 {
                post(server, "/login", &[], &format!("token={TOKEN}")).await
            } else {
                server.get("/debug/timers").await
            }
        }
    });
    let (wrong, right) = tokio::join!(join_all(tries), join_all(right));
    assert!(
        right.iter().all(|a| matches!(a.status, 200 | 303)),
        "{right:?}"
    );
    let count = |status| wrong.iter().filter(|a| a.status == status).count();
    // One more may be answered as time goes on.
    assert!((10..=15).contains(&count(401)), "{wrong:?}");
    assert_eq!(count(401) + count(429), 60, "{wrong:?}");
    assert!(wrong.iter().all(|a| !a.body.contains("wrong0")));
    let limited = wrong.iter().find(|a| a.status == 429).unwrap();
    assert!(header(limited, "retry-after").is_some(), "{limited:?}");
    assert_eq!(server.metrics.counted(Counter::TokensRefused), 60);
}
