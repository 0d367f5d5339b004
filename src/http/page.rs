//! `GET /`: the live page.
//!
//! The server renders the current state; a script updates it from `/debug/events`. All files are in the program,
//! and the content security policy permits no others.

use std::fmt::Write as _;

use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::events::TIMERS;
use super::{HttpState, Question, text};
use crate::message::Moment;
use crate::metrics::Gauge;
use crate::reactor::events::MessageEvent;
use crate::reactor::report::{Overview, TimerKind, TimerReport, TimerState};

const PAGE: &str = include_str!("page/page.html");

/// Scripts, styles and images only from this server, and none inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// The headers of every page.
pub(super) const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
];

/// The files of the page: name, type and content.
const ASSETS: [(&str, &str, &str); 6] = [
    (
        "page.css",
        "text/css; charset=utf-8",
        include_str!("page/page.css"),
    ),
    ("page.js", JAVASCRIPT, include_str!("page/page.js")),
    ("draw.js", JAVASCRIPT, include_str!("page/draw.js")),
    ("story.js", JAVASCRIPT, include_str!("page/story.js")),
    ("words.js", JAVASCRIPT, include_str!("page/words.js")),
    ("mark.svg", "image/svg+xml", include_str!("page/mark.svg")),
];

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// `GET /assets/{name}`: without a token, because they contain no data and the login needs them too.
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    let Some((_, kind, bytes)) = ASSETS.iter().find(|(own, ..)| *own == name) else {
        return text(StatusCode::NOT_FOUND, "no such file");
    };
    let head = [
        (header::CONTENT_TYPE, *kind),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // So that a new version is loaded at once.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (head, *bytes).into_response()
}

/// `GET /`.
pub(super) async fn page(State(state): State<HttpState>) -> Response {
    let question = |reply| Question::Overview {
        timers: TIMERS,
        reply,
    };
    match state.ask(question).await {
        Ok(overview) => (HEADERS, draw(&state, &overview)).into_response(),
        Err(no_reply) => no_reply.into_response(),
    }
}

fn draw(state: &HttpState, overview: &Overview) -> String {
    let report = &overview.timers;
    let good = report.ready && !report.breaker.open && report.pauses.is_empty();
    let ready = match (report.ready, report.breaker.open) {
        (false, _) => {
            let reasons: Vec<_> = overview.missing.iter().map(ToString::to_string).collect();
            format!("Not sending: {}", reasons.join("; "))
        }
        (true, true) => "Sending is paused: the provider refuses the account".to_owned(),
        (true, false) => String::from(if good { "Sending" } else { "Paused" }),
    };
    let late = report.lateness_us;
    let figure = |us| {
        if late.count == 0 {
            "–".to_owned()
        } else {
            span(us)
        }
    };
    fill(
        PAGE,
        &[
            ("ready_lamp", if good { "good" } else { "warn" }),
            ("ready", &escape(&ready)),
            ("now", &clock(report.now)),
            ("armed", &format!("{} in memory", report.window.armed)),
            ("timers", &rows(&report.timers)),
            (
                "none_hidden",
                if report.timers.is_empty() {
                    ""
                } else {
                    "hidden"
                },
            ),
            ("feed", &feed(&state.metrics.feed().recent())),
            ("count", &format!("{} requests", late.count)),
            ("p50", &figure(late.p50)),
            ("p99", &figure(late.p99)),
            ("max", &figure(late.max)),
            ("health", &health(state, overview)),
            ("levels", &levels(overview)),
            ("instance", &report.instance.to_string()),
        ],
    )
}

/// Replaces the placeholders of a page, in one pass: values are not searched for placeholders.
pub(super) fn fill(page: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(page.len() * 2);
    let mut rest = page;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let Some((name, after)) = after.split_once("}}") else {
            rest = after;
            break;
        };
        let value = values.iter().find(|(own, _)| *own == name);
        filled.push_str(value.map_or("", |(_, value)| value));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// Only ids, times and fixed texts are inserted; they are escaped anyway.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn clock(at: Moment) -> String {
    at.to_utc()
        .map_or_else(|| at.to_string(), |t| t.format("%H:%M:%S").to_string())
}

/// 250 µs, 1.2 ms, 3.4 s.
#[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
fn span(us: u64) -> String {
    let us = us as f64;
    if us < 1e3 {
        format!("{us} µs")
    } else if us < 1e6 {
        format!("{:.1} ms", us / 1e3)
    } else {
        format!("{:.1} s", us / 1e6)
    }
}

fn then(timer: &TimerReport) -> &'static str {
    match (timer.kind, timer.state) {
        (TimerKind::Watch, _) => "another instance is sending it; checked again then",
        (TimerKind::Message, TimerState::Armed) => "will be sent",
        (TimerKind::Message, TimerState::Cleared) => "claimed; will be sent on time",
        (TimerKind::Message, TimerState::Sending) => "waiting for the provider's response",
    }
}

fn link(id: &str) -> String {
    let short = id.get(..8).unwrap_or(id);
    format!(r#"<a class="id" href="/debug/messages/{id}" title="{id}">{short}</a>"#)
}

fn rows(timers: &[TimerReport]) -> String {
    let mut rows = String::new();
    for timer in timers {
        let id = timer.id.to_string();
        // Writing to a String cannot fail.
        let _ = write!(
            rows,
            r#"<tr data-id="{id}"><td class="num">{}</td><td>{}</td><td>{}</td><td class="then">{}</td></tr>"#,
            countdown(timer.due_in_us),
            clock(timer.due_at),
            link(&id),
            then(timer),
        );
    }
    rows
}

fn countdown(us: i64) -> String {
    let sign = if us < 0 { "−" } else { "" };
    let s = us.unsigned_abs() / 1_000_000;
    format!("{sign}{}:{:02}", s / 60, s % 60)
}

fn feed(recent: &[MessageEvent]) -> String {
    let mut lines = String::new();
    for event in recent.iter().rev() {
        let late = event
            .late
            .map(|late| format!("{} late", span(late.lateness_us)));
        let _ = write!(
            lines,
            r#"<li><time>{}</time><span class="what">{}</span>{}<span class="tell">{}</span></li>"#,
            clock(event.at),
            event.what.as_str(),
            link(&event.id.to_string()),
            late.or_else(|| event.status.map(str::to_owned))
                .unwrap_or_default(),
        );
    }
    lines
}

fn health(state: &HttpState, overview: &Overview) -> String {
    let report = &overview.timers;
    let clock = match (report.clock.offset_us, report.clock.uncertainty_us) {
        (Some(offset), Some(uncertainty)) => (
            true,
            format!("{offset} µs ± {uncertainty} µs from the database's"),
        ),
        _ => (false, "not measured; sending is paused".to_owned()),
    };
    let unconfirmed = state.metrics.measured(Gauge::InDoubt).unwrap_or(0.0);
    let lines = [
        (
            "Change notifications",
            report.listener.connected,
            if report.listener.connected {
                "live"
            } else {
                "lost"
            }
            .to_owned(),
        ),
        ("Clock", clock.0, clock.1),
        (
            "Database",
            true,
            format!(
                "{} connections, {} idle",
                overview.database.open, overview.database.idle
            ),
        ),
        (
            "Account",
            !report.breaker.open,
            if report.breaker.open {
                "refused"
            } else {
                "accepted"
            }
            .to_owned(),
        ),
        (
            "Quarantine",
            report.restore.held_before.is_none(),
            report.restore.held_before.map_or_else(
                || "empty".to_owned(),
                |before| format!("messages due before {before}"),
            ),
        ),
        (
            "In flight",
            true,
            format!(
                "{} requests (limit {})",
                overview.load.in_flight, overview.load.permits
            ),
        ),
        (
            "Unconfirmed",
            unconfirmed == 0.0,
            match unconfirmed {
                0.0 => "none".to_owned(),
                1.0 => "1 message".to_owned(),
                more => format!("{more} messages"),
            },
        ),
    ];
    let mut html = String::new();
    for (name, good, words) in lines {
        let is = if good { "good" } else { "bad" };
        let _ = write!(
            html,
            r#"<div><dt class="lamp" data-is="{is}">{name}</dt><dd>{}</dd></div>"#,
            escape(&words),
        );
    }
    html
}

fn levels(overview: &Overview) -> String {
    let mut html = String::new();
    for level in &overview.timers.wheel {
        let _ = write!(
            html,
            "<li>{} a slot<b>{}</b></li>",
            span(level.slot_us),
            level.occupied
        );
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_never_a_place() {
        let filled = fill("a {{x}} b {{y}} {{z}}c", &[("x", "{{y}}"), ("y", "2")]);
        assert_eq!(filled, "a {{y}} b 2 c");
        assert_eq!(escape("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
    }

    #[test]
    fn every_place_of_the_page_is_known() {
        let known = [
            "ready_lamp",
            "ready",
            "now",
            "armed",
            "timers",
            "none_hidden",
            "feed",
            "count",
            "p50",
            "p99",
            "max",
            "health",
            "levels",
            "instance",
        ];
        for place in PAGE.split("{{").skip(1) {
            let (name, _) = place.split_once("}}").unwrap();
            assert!(known.contains(&name), "{name}");
        }
    }
}
