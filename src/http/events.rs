//! `GET /debug/events`: what just happened, as server-sent events.
//!
//! Each event has the name of its kind (`armed`, `moved`, `claimed`, `sent` …). They go out in
//! bursts, at most ten a second; of a burst that is too long the older are only counted, in an
//! event `more`. With `?state=1` an event `state` tells how everything stands once a second,
//! which is what the live page draws.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use super::{HttpState, Question, text};
use crate::metrics::{Following, Frame, HistogramReport};
use crate::reactor::report::Overview;

/// Streams at once: some people's open pages. They are a part of all connections, so that health
/// checks and callbacks always have room.
pub(super) const STREAMS_MAX: usize = 32;

/// Between bursts: faster than the eye reads, and ten a second cost nothing.
const BURST: Duration = Duration::from_millis(100);

/// Between two tellings of the state.
const STATE: Duration = Duration::from_secs(1);

/// A sign of life where nothing happens; proxies cut connections that are silent for a minute.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How soon a client comes back after the connection broke.
const RETRY_MS: u32 = 1_000;

/// Timers in a state: what a screen shows.
pub(super) const TIMERS: usize = 16;

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// `1`: the state as well.
    #[serde(default)]
    state: u8,
}

/// How everything stands.
#[derive(Debug, Serialize)]
pub(super) struct Now<'a> {
    /// As the reactor tells it.
    #[serde(flatten)]
    pub(super) overview: &'a Overview,
    /// How late requests left.
    pub(super) lateness: HistogramReport,
    /// How long the provider takes.
    pub(super) provider: HistogramReport,
    /// What was measured last.
    pub(super) in_doubt: Option<f64>,
    /// See `in_doubt`.
    pub(super) outbox: Option<f64>,
    /// See `in_doubt`.
    pub(super) notify_queue: Option<f64>,
    /// Messages accepted twice.
    pub(super) duplicates: u64,
    /// When the provider last took a message.
    pub(super) last_sent_at: Option<crate::message::Moment>,
}

pub(super) async fn events(
    State(state): State<HttpState>,
    wish: Result<Query<Wish>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let Ok(Query(wish)) = wish else {
        return text(
            StatusCode::BAD_REQUEST,
            "the query is not understood: there is state=1, for the state once a second",
        );
    };
    let Ok(place) = std::sync::Arc::clone(&state.streams).try_acquire_owned() else {
        let again = [(header::RETRY_AFTER, "10")];
        let full = text(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many are watching: close another page, or try again",
        );
        return (again, full).into_response();
    };
    let stream = Stream::new(state, wish.state == 1, place);
    let body = stream::unfold(stream, |mut stream| async move {
        let chunk = stream.next().await?;
        Some((Ok::<_, std::convert::Infallible>(chunk), stream))
    });
    let head = [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // nginx would keep them until a buffer is full.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (head, Body::from_stream(body)).into_response()
}

struct Stream {
    state: HttpState,
    following: Following,
    states: Option<Interval>,
    first: bool,
    bursts: Interval,
    _place: OwnedSemaphorePermit,
}

impl Stream {
    fn new(state: HttpState, with_state: bool, place: OwnedSemaphorePermit) -> Self {
        Self {
            following: state.metrics.feed().follow(),
            states: with_state.then(|| every(STATE)),
            first: true,
            bursts: every(BURST),
            state,
            _place: place,
        }
    }

    /// The next bytes; `None` ends it, so that nobody's open page holds up the end of the
    /// process.
    async fn next(&mut self) -> Option<Bytes> {
        if std::mem::take(&mut self.first) {
            // With what has been, so that who comes back misses little.
            let mut chunk = format!("retry: {RETRY_MS}\n\n");
            write_told(&mut chunk, self.state.metrics.feed().recent());
            return Some(chunk.into());
        }
        let stop = self.state.stop.clone();
        let chunk = tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            chunk = self.happens() => chunk?,
        };
        Some(chunk.into())
    }

    async fn happens(&mut self) -> Option<String> {
        tokio::select! {
            () = tick(&mut self.states) => Some(self.tell_state().await),
            frame = self.following.something() => {
                let mut frame = frame?;
                // What comes until then goes along.
                self.bursts.tick().await;
                self.following.fill(&mut frame);
                Some(burst(frame))
            }
            () = sleep(HEARTBEAT) => Some(": still here\n\n".to_owned()),
        }
    }

    async fn tell_state(&self) -> String {
        let question = |reply| Question::Overview {
            timers: TIMERS,
            reply,
        };
        match self.state.ask(question).await {
            Ok(overview) => event("state", &self.state.now(&overview)),
            // It is stopping, or hangs. The page shows how long it has heard nothing.
            Err(_) => ": no answer\n\n".to_owned(),
        }
    }
}

/// At once, and then never more often than that.
fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Never, where there is nothing to wait for.
async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

fn event(name: &str, data: &impl Serialize) -> String {
    // What is written are numbers, words and ids, in maps with keys that are strings.
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n")
}

fn write_told(
    chunk: &mut String,
    told: impl IntoIterator<Item = crate::reactor::events::MessageEvent>,
) {
    for told in told {
        // A String takes whatever is written to it.
        let _ = chunk.write_str(&event(told.what.as_str(), &told));
    }
}

fn burst(mut frame: Frame) -> String {
    let mut chunk = String::new();
    if frame.is_partial() {
        chunk += &event("more", &frame);
    }
    write_told(&mut chunk, std::mem::take::<VecDeque<_>>(&mut frame.events));
    chunk
}
