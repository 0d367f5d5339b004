//! Who asks, what counts as a click, and where a link may lead.

use super::*;

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

#[test]
fn an_address_asks_sixty_times_a_minute() {
    let asked = Asked::new(&HttpLimits::default());
    let at = |s: i64| Uptime::from_micros(3_600_000_000 + s * 1_000_000);
    let (one, other) = ("192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
    for n in 0..60 {
        assert_eq!(asked.take(one, at(n / 2)), Ok(()), "{n}");
    }
    assert_eq!(asked.take(one, at(40)), Err(Duration::from_secs(20)));
    assert_eq!(asked.take(other, at(40)), Ok(()));
    // The same network, which one client has all of.
    let neighbour = "2001:db8::2".parse().unwrap();
    for _ in 1..60 {
        assert_eq!(asked.take(neighbour, at(41)), Ok(()));
    }
    assert_eq!(asked.take(other, at(42)), Err(Duration::from_secs(58)));
    assert_eq!(asked.take(one, at(60)), Ok(()), "the next minute");
}

#[test]
fn a_proxy_of_this_network_says_who_asks_and_nobody_else_does() {
    let who = |peer: &str, forwarded: &[&str]| {
        let lines: Vec<_> = forwarded.iter().map(|v| ("x-forwarded-for", *v)).collect();
        client(Peer::Network(peer.parse().unwrap()), &headers(&lines)).to_string()
    };
    assert_eq!(who("127.0.0.1", &[]), "127.0.0.1");
    assert_eq!(who("127.0.0.1", &["203.0.113.7"]), "203.0.113.7");
    assert_eq!(who("::ffff:10.0.0.2", &["203.0.113.7"]), "203.0.113.7");
    // What the client has sent comes before it.
    assert_eq!(
        who("127.0.0.1", &["198.51.100.9, 203.0.113.7"]),
        "203.0.113.7"
    );
    assert_eq!(
        who("127.0.0.1", &["198.51.100.9", "203.0.113.7"]),
        "203.0.113.7"
    );
    // Through two proxies.
    assert_eq!(who("127.0.0.1", &["203.0.113.7, 10.0.0.3"]), "203.0.113.7");
    assert_eq!(who("fd00::1", &["2001:db8::7"]), "2001:db8::7");
    assert_eq!(who("203.0.113.1", &["198.51.100.9"]), "203.0.113.1");
    assert_eq!(who("127.0.0.1", &["unknown"]), "127.0.0.1");
    assert_eq!(
        client(Peer::Own, &HeaderMap::new()).to_string(),
        "127.0.0.1"
    );
}

#[test]
fn what_looks_ahead_is_known_by_what_it_says() {
    let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1";
    for (name, value) in [
        ("purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("x-purpose", "preview"),
        ("x-moz", "prefetch"),
        (
            "user-agent",
            "facebookexternalhit/1.1 Facebot Twitterbot/1.0",
        ),
        (
            "user-agent",
            "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots) Slackbot/1.0",
        ),
        ("user-agent", "WhatsApp/2.24.1 A"),
        ("user-agent", "TelegramBot (like TwitterBot)"),
        (
            "user-agent",
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        ),
        ("user-agent", "SkypeUriPreview Preview/0.5"),
    ] {
        assert!(looks_ahead(&headers(&[(name, value)])), "{name}: {value}");
    }
    for (name, value) in [
        ("user-agent", phone),
        (
            "user-agent",
            "Mozilla/5.0 (Linux; Android 13; CUBOT X30 Build/1) Mobile",
        ),
        ("sec-purpose", ""),
        ("accept", "prefetch"),
    ] {
        assert!(!looks_ahead(&headers(&[(name, value)])), "{name}: {value}");
    }
    assert!(!looks_ahead(&HeaderMap::new()));
}

#[test]
fn only_web_pages_are_led_to() {
    let to = |url: &str| destination_of(url).map(|to| to.to_str().unwrap().to_owned());
    for url in ["https://app.example/a?b=c#d", "http://app.example/"] {
        assert_eq!(to(url).as_deref(), Some(url));
    }
    assert_eq!(
        to("https://app.example/ü").as_deref(),
        Some("https://app.example/%C3%BC")
    );
    for url in [
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.example/",
        "/local",
        "ftp://app.example/",
        "https://app.example@evil.example/",
        "https:///",
        "",
    ] {
        assert_eq!(to(url), None, "{url}");
    }
    let split = to("https://app.example/a\r\nSet-Cookie: x=y").unwrap();
    assert!(!split.contains(['\r', '\n']), "{split}");
}

#[test]
fn codes_are_letters_and_digits() {
    for code in ["abc123", "A-b_9"] {
        assert!(is_code(code));
    }
    for code in ["", "a/b", "a%20b", "a.b", "é", &"a".repeat(65)] {
        assert!(!is_code(code), "{code}");
    }
}
