//! `GET /debug/events`: events of messages, as server-sent events: those of this instance as they happen, and what the
//! other instances publish of theirs.
//!
//! Each event has the name of its kind (`armed`, `moved`, `claimed`, `sent` …). They are sent in bursts, at most ten
//! a second; of a burst that is too long the oldest are only counted, in an event `more`. With `?state=1` an event
//! `state` has the current state once a second, for the live page.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse, Response, Sse};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::api::{Pairs, Parameters, Refusal, flag};
#[cfg(test)]
use super::openapi::Guarded;
use super::status::Status;
use super::{HttpState, Question, text};
use crate::metrics::{Following, Frame, Happened, HistogramReport, Punctuality};
use crate::reactor::report::Overview;

/// Between bursts.
const BURST: Duration = Duration::from_millis(100);

/// Between two events `state`.
const STATE: Duration = Duration::from_secs(1);

/// How soon a client reconnects.
const RETRY: Duration = Duration::from_secs(1);

/// Timers in an event `state`: one screen.
pub(super) const TIMERS: usize = 16;

/// The content of an event `state`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = State))]
pub(super) struct Now<'a> {
    /// From the reactor.
    #[serde(flatten)]
    pub(super) overview: &'a Overview,
    /// Whether messages are sent, in a sentence.
    pub(super) status: Status,
    /// The lateness of requests lately, of the instances that run.
    pub(super) punctuality: Punctuality,
    /// The same since the start.
    pub(super) lateness: HistogramReport,
    /// How long the provider takes to respond.
    pub(super) provider: HistogramReport,
    /// As last measured.
    pub(super) in_doubt: Option<f64>,
    /// See `in_doubt`.
    pub(super) outbox: Option<f64>,
    /// Pending messages whose number may not receive texts, as last counted.
    pub(super) number_faults: Option<f64>,
    /// See `in_doubt`.
    pub(super) notify_queue: Option<f64>,
    /// Messages accepted twice.
    pub(super) duplicates: u64,
    /// When the provider last accepted a message.
    pub(super) last_sent_at: Option<crate::message::Moment>,
}

/// Events of messages, as server-sent events
///
/// Each event has the name of its kind and contains an Event; one that another instance has published contains an
/// `EventElsewhere`, with its `instance`. They are sent in bursts, at most ten a second; what a burst leaves out is
/// counted in an event `more`, which contains a More. With `state=1` an event `state` contains a State once a second. A
/// comment every 15 s where nothing happens.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/events",
    operation_id = "events",
    security(("bearer" = []), ("session" = [])),
    params(("state" = Option<u8>, Query, maximum = 1)),
    responses(
        (status = 200, description = "The stream; it ends when the daemon stops.", body = String, content_type = "text/event-stream"),
        (status = 400, description = "The query is not valid.", body = String),
        Guarded,
        (status = 503, description = "Too many streams are open.", body = String, headers(("retry-after"))),
    )
))]
pub(super) async fn events(State(state): State<HttpState>, pairs: Pairs) -> Response {
    let Ok(with_state) = with_state(pairs) else {
        return text(
            StatusCode::BAD_REQUEST,
            "unknown parameter, or another value of it; known are state",
        );
    };
    let Ok(place) = std::sync::Arc::clone(&state.streams).try_acquire_owned() else {
        let again = [(header::RETRY_AFTER, "10")];
        let most = state.limits.streams;
        let sentence =
            format!("too many viewers (the limit is {most}): close another page and reload");
        let full = text(StatusCode::SERVICE_UNAVAILABLE, &sentence);
        return (again, full).into_response();
    };
    let limits = state.limits;
    let viewer = Viewer::new(state, with_state, place);
    // A viewer's next events are made when those before have been read.
    let events = stream::unfold(viewer, |mut viewer| async move {
        let next = viewer.next().await?;
        Some((stream::iter(next), viewer))
    });
    let quiet = KeepAlive::new();
    let quiet = quiet.interval(limits.comment_every).text("still here");
    let head = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Otherwise nginx would buffer the events.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (head, Sse::new(events.flatten()).keep_alive(quiet)).into_response()
}

/// Whether the stream has events `state`.
fn with_state(pairs: Pairs) -> Result<bool, Refusal> {
    let [state] = Parameters::read(pairs, ["state"], false)?.own;
    flag("state", state.as_deref())
}

/// Events of the stream, or why one cannot be written.
type Events = Vec<Result<Event, axum::Error>>;

struct Viewer {
    state: HttpState,
    following: Following,
    states: Option<Interval>,
    first: bool,
    bursts: Interval,
    _place: OwnedSemaphorePermit,
}

impl Viewer {
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

    /// The next events; `None` at a shutdown, so that open pages do not delay it.
    async fn next(&mut self) -> Option<Events> {
        if std::mem::take(&mut self.first) {
            self.state.hear_soon().await;
            // Starts with recent events, so that a reconnect loses few.
            let recent = self.state.metrics.feed().recent();
            let retry = Event::default().retry(RETRY);
            return Some(
                [Ok(retry)]
                    .into_iter()
                    .chain(recent.iter().map(of))
                    .collect(),
            );
        }
        let stop = self.state.stop.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => None,
            events = self.later() => events,
        }
    }

    async fn later(&mut self) -> Option<Events> {
        tokio::select! {
            () = tick(&mut self.states) => Some(vec![self.state_event().await]),
            frame = self.following.something() => {
                let mut frame = frame?;
                // Includes the events until then.
                self.bursts.tick().await;
                self.following.fill(&mut frame);
                Some(burst(&frame))
            }
        }
    }

    async fn state_event(&self) -> Result<Event, axum::Error> {
        let question = |reply| Question::Overview {
            timers: TIMERS,
            reply,
        };
        match self.state.ask(question).await {
            Ok(mut overview) => {
                let timers = &mut overview.timers.timers;
                let around = self.state.forecast_shown(timers).await;
                event("state", &self.state.now(&overview, around.as_deref()))
            }
            // The daemon is stopping, or hangs. The page shows since when there was no state.
            Err(_) => Ok(Event::default().comment("no reply")),
        }
    }
}

/// Ticks at once, and then with at least this period.
fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// The next tick; never, if there is no interval.
async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

fn event(name: &str, data: &impl Serialize) -> Result<Event, axum::Error> {
    Event::default().event(name).json_data(data)
}

fn of(one: &Happened) -> Result<Event, axum::Error> {
    event(one.kind().as_str(), one)
}

fn burst(frame: &Frame) -> Events {
    let more = frame.is_partial().then(|| event("more", frame));
    more.into_iter()
        .chain(frame.events.iter().map(of))
        .collect()
}
