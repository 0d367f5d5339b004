//! Tracking links as the built daemon serves them: at the address of callbacks, to whoever has a code.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::daemon::{Daemon, own_address};
use crate::world::{World, called, environment, url};

const DELIVERY: &str = "33333333-3333-4333-8333-333333333333";
const TO: &str = "https://app.example/briefs/42?from=text";

/// Of another client at each call, as a proxy reports it.
pub(crate) async fn ask(addr: &str, line: &str, client: &str, header: &str) -> (u16, String) {
    let request = format!(
        "{line} HTTP/1.1\r\nhost: go.example\r\nconnection: close\r\nx-forwarded-for: 198.51.100.9, {client}\r\n{header}\r\n"
    );
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.to_lowercase())
}

async fn said(world: &World, sql: &str) -> String {
    world.app.query_one(sql, &[]).await.unwrap().get(0)
}

/// A daemon that serves links at this address, and the code of one of them.
async fn served() -> (World, Daemon, String, String) {
    let hook = own_address();
    let world = World::new([]).await.with(&[
        ("PUNCTUAL_LINK_URL", "https://go.example"),
        ("PUNCTUAL_WEBHOOK_ADDR", &hook),
    ]);
    let tables = format!(
        "create table users (id uuid primary key);
         create table notification_deliveries (
           id uuid primary key default gen_random_uuid(), event_id uuid, subscription_id uuid, recipient_user_id uuid not null,
           channel text not null, channel_identifier text, status text not null default 'pending', payload jsonb not null default '{{}}',
           sent_at timestamptz, delivered_at timestamptz, opened_at timestamptz, clicked_at timestamptz, failed_at timestamptz,
           attempts int default 0, max_attempts int default 3, last_error text, external_id text, tracking_id text,
           created_at timestamptz default now(), updated_at timestamptz default now());
         insert into notification_deliveries (id, recipient_user_id, channel, status)
         values ('{DELIVERY}', gen_random_uuid(), 'sms', 'sent')"
    );
    world.app.batch_execute(&tables).await.unwrap();
    let owner = environment(&url(&world.app).await, &world.phone.url());
    let (code, _, error) = called(&["migrate", "--preset", "buildos"], &owner).await;
    assert_eq!(code, Some(0), "{error}");
    let daemon = world.daemon().await;
    let create = format!("select create_tracking_link('{DELIVERY}', '{TO}')");
    let code = said(&world, &create).await;
    (world, daemon, hook, code)
}

/// One address has 60 requests a minute.
async fn is_limited(hook: &str) {
    let mut answered = 0;
    let refused = loop {
        let (status, answer) = ask(hook, "GET /l/ABCD1234", "203.0.113.7", "").await;
        if status == 429 {
            break answer;
        }
        answered += 1;
        assert!(answered < 200, "no limit");
    };
    assert!(answered >= 60, "{answered}");
    let again = refused
        .lines()
        .find_map(|line| line.strip_prefix("retry-after: "));
    let again: u64 = again.unwrap().parse().unwrap();
    assert!((1..=61).contains(&again), "{refused}");
}

#[tokio::test]
async fn a_link_leads_to_its_destination_and_clicks_are_counted() {
    let (world, daemon, hook, code) = served().await;
    let line = format!("GET /l/{code}");

    let clicks = async || {
        let sql = "select click_count || ' ' || d.status from notification_tracking_links, notification_deliveries d";
        said(&world, sql).await
    };
    let head = format!("HEAD /l/{code}");
    for (line, header) in [
        (&*head, ""),
        (&*line, "sec-purpose: prefetch;prerender\r\n"),
        (&*line, "user-agent: WhatsApp/2.24.1 A\r\n"),
    ] {
        let (status, answer) = ask(&hook, line, "203.0.113.1", header).await;
        assert_eq!(status, 302, "{answer}");
        assert!(
            answer.contains(&format!("\r\nlocation: {TO}\r\n")),
            "{answer}"
        );
        assert_eq!(clicks().await, "0 sent", "{header}");
    }
    for expected in ["1 clicked", "2 clicked"] {
        let (status, answer) =
            ask(&hook, &line, "203.0.113.1", "user-agent: Mozilla/5.0\r\n").await;
        assert_eq!(status, 302, "{answer}");
        for header in [
            "cache-control: no-store",
            "referrer-policy: no-referrer",
            "x-content-type-options: nosniff",
        ] {
            assert!(
                answer.contains(&format!("\r\n{header}\r\n")),
                "{header}: {answer}"
            );
        }
        assert_eq!(clicks().await, expected);
    }
    // Nothing but the code decides where it leads.
    let other = format!("GET /l/{code}?to=https://evil.example");
    let (_, answer) = ask(
        &hook,
        &other,
        "203.0.113.1",
        "x-forwarded-host: evil.example\r\n",
    )
    .await;
    assert!(
        answer.contains(&format!("\r\nlocation: {TO}\r\n")),
        "{answer}"
    );
    for unknown in [
        "GET /l/ABCD1234",
        "GET /l/",
        "GET /l/a%2Fb",
        "GET /l/%00",
        "GET /l//evil.example",
    ] {
        let (status, answer) = ask(&hook, unknown, "203.0.113.1", "").await;
        assert_eq!(status, 404, "{unknown}: {answer}");
        assert!(!answer.contains("location:"), "{answer}");
    }
    let (status, _) = ask(&hook, &line.replace("GET", "POST"), "203.0.113.1", "").await;
    assert_eq!(status, 405);

    let spoilt = "update notification_tracking_links set destination_url = 'javascript:alert(1)'";
    world.app.batch_execute(spoilt).await.unwrap();
    assert_eq!(ask(&hook, &line, "203.0.113.1", "").await.0, 404);
    let expired = format!(
        "update notification_tracking_links set destination_url = '{TO}', created_at = now() - interval '91 days'"
    );
    world.app.batch_execute(&expired).await.unwrap();
    assert_eq!(ask(&hook, &line, "203.0.113.1", "").await.0, 410);

    // Other clients of the same proxy have their own.
    is_limited(&hook).await;
    assert_eq!(
        ask(&hook, "GET /l/ABCD1234", "203.0.113.8", "").await.0,
        404
    );
    // It is not served beside the live page then, and its destination is in no log.
    assert_eq!(ask(daemon.addr(), &line, "203.0.113.8", "").await.0, 404);
    assert!(!daemon.said().contains("app.example"), "{}", daemon.said());
    daemon.stop().await;
}
