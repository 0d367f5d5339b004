//! What Prometheus reads.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use punctual::message::{Category, MessageId};
use punctual::metrics::{Counter, Gauge};
use punctual::reactor::events::{EventKind, Late, MessageEvent};

use crate::server::{Reactor, Server, at, id};

/// A bit of everything.
fn fill(server: &Server) {
    let event = |what| MessageEvent::new(at(0), MessageId(id(1)), what);
    let late = Late {
        lateness_us: 1_500,
        policy_us: 0,
        claim_us: 500,
        wake_us: 1_000,
        provider_us: 40_000,
        paced_us: 0,
    };
    let sent = MessageEvent {
        late: Some(late),
        ..event(EventKind::Sent)
    };
    let failed = MessageEvent {
        category: Some(Category::OptedOut.as_str()),
        ..event(EventKind::Failed)
    };
    server
        .metrics
        .publish(vec![sent, failed, event(EventKind::Returned)], 3);
    server
        .metrics
        .receipt(at(1), MessageId(id(1)), "delivered", None);
    server.metrics.count(Counter::Reaped, 2);
    server.metrics.set(Gauge::InDoubt, 4.0);
}

#[tokio::test]
async fn the_metrics_show_what_was_counted() {
    let server = Server::ready().await;
    fill(&server);
    let answer = server.get("/metrics").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer
            .head
            .contains("content-type: text/plain; version=0.0.4")
    );
    for line in [
        "punctual_lateness_seconds_bucket{le=\"0.001\"} 0",
        "punctual_lateness_seconds_bucket{le=\"0.0025\"} 1",
        "punctual_lateness_seconds_count 1",
        "punctual_lateness_part_seconds_sum{part=\"wake\"} 0.001",
        "punctual_sends_total{outcome=\"sent\",category=\"none\"} 1",
        "punctual_sends_total{outcome=\"failed\",category=\"opted_out\"} 1",
        "punctual_refusals_total{severity=\"low\"} 1",
        "punctual_refusals_total{severity=\"critical\"} 0",
        "punctual_unused_claims_total{verdict=\"returned\",reason=\"none\"} 1",
        "punctual_receipts_total{status=\"delivered\"} 1",
        "punctual_reaped_total 2",
        "punctual_in_doubt 4.0",
        "punctual_restore_hold 0",
        "punctual_armed_timers 2",
        "punctual_lane_armed_timers{account=\"default\",channel=\"sms\"} 2",
        "punctual_lane_in_flight_max{account=\"default\",channel=\"sms\"} 64",
        "punctual_clock_offset_seconds -0.00012",
        "punctual_pool_connections{state=\"busy\"} 1",
    ] {
        assert!(
            answer.body.lines().any(|l| l == line),
            "{line} is not in\n{}",
            answer.body
        );
    }
}

#[tokio::test]
async fn a_reactor_that_hangs_does_not_hide_the_counters() {
    let server = Server::start(Reactor::Hangs, crate::server::impatient()).await;
    fill(&server);
    let answer = server.get("/metrics").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.contains("punctual_reaped_total 2"));
    assert!(!answer.body.contains("punctual_ready"));
}

#[tokio::test]
async fn the_metrics_are_not_for_everyone() {
    let server = Server::ready().await;
    let answer = server.send_bare("GET /metrics", &["Host: localhost"]).await;
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!(server.get("/metrics").await.status, 200);
}

/// Prometheus's own judge, where it is installed.
#[tokio::test]
async fn promtool_finds_nothing_to_complain_of() {
    let server = Server::ready().await;
    fill(&server);
    let body = server.get("/metrics").await.body;
    let judge = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut judge) = judge else {
        eprintln!("skipped: there is no promtool here");
        return;
    };
    judge
        .stdin
        .take()
        .unwrap()
        .write_all(body.as_bytes())
        .unwrap();
    let said = judge.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout) + String::from_utf8_lossy(&said.stderr);
    assert!(
        said.status.success() && text.trim().is_empty(),
        "{text}\n{body}"
    );
}

fn deployed(path: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(path)
}

/// The alerts do what they are meant to, by Prometheus's own judge, where it is installed.
#[test]
fn promtool_passes_the_alerts() {
    for (what, file) in [
        ("check", "prometheus/alerts.yml"),
        ("test", "prometheus/alerts.test.yml"),
    ] {
        let judged = Command::new("promtool")
            .args([what, "rules"])
            .arg(deployed(file))
            .output();
        let Ok(judged) = judged else {
            eprintln!("skipped: there is no promtool here");
            return;
        };
        let said = String::from_utf8_lossy(&judged.stdout);
        let wrong = String::from_utf8_lossy(&judged.stderr);
        assert!(judged.status.success(), "{file}: {said}{wrong}");
    }
}

/// A thousand messages that are rejected at once are reported within ten seconds: scraped, evaluated, and not waited
/// for.
#[test]
fn rejections_fire_within_ten_seconds() {
    let rules = std::fs::read_to_string(deployed("prometheus/alerts.yml")).unwrap();
    let mut groups = rules.split("  - name: ");
    let group = groups.find(|group| group.contains("alert: PunctualRejections"));
    let group = group.unwrap();
    assert!(group.contains("interval: 5s\n"), "{group}");
    assert!(
        group.contains("record: punctual:unsent:ratio_rate10m"),
        "{group}"
    );
    let (_, alert) = group.split_once("alert: PunctualRejections").unwrap();
    let (alert, _) = alert.split_once("- alert: ").unwrap();
    assert!(!alert.contains("for:"), "{alert}");
    let docs = std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md"),
    );
    assert!(docs.unwrap().contains("scrape_interval: 5s"));
}

/// An alert on a metric that is not there never fires, and a panel of it stays empty.
#[tokio::test]
async fn alerts_and_dashboard_name_metrics_that_there_are() {
    let server = Server::ready().await;
    fill(&server);
    for gauge in [Gauge::NotifyQueue, Gauge::Outbox, Gauge::Journal] {
        server.metrics.set(gauge, 0.0);
    }
    let mut body = server.get("/metrics").await.body;
    // The exporter of Postgres has each gauge of this query under the query's name.
    let exported = std::fs::read_to_string(deployed("prometheus/daily_metrics.yaml")).unwrap();
    let (query, gauges) = exported.split_once(":\n").unwrap();
    let query = query.lines().last().unwrap();
    for gauge in gauges.lines().filter(|line| line.contains("\"GAUGE\"")) {
        let gauge = gauge.trim_start_matches([' ', '-']);
        let (gauge, _) = gauge.split_once(':').unwrap();
        writeln!(body, "{query}_{gauge} 0").unwrap();
    }
    for file in ["prometheus/alerts.yml", "grafana/punctual.json"] {
        let text = std::fs::read_to_string(deployed(file)).unwrap();
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let mut named = 0;
        // The schema that the query of the exporter reads is no metric.
        let metrics = words.filter(|word| word.starts_with("punctual_") && *word != "punctual_api");
        for name in metrics {
            named += 1;
            assert!(
                body.lines().any(
                    |line| line.starts_with(name) && line[name.len()..].starts_with([' ', '{'])
                ),
                "{file} names {name}, which is not among the metrics"
            );
        }
        assert!(named > 10, "{file} names {named}");
    }
}
