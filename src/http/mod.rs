//! The HTTP interface of a running daemon.
//!
//! A request for the state becomes a [`Question`] to the reactor, which has the timers; its reply becomes the
//! response. `access` decides who may ask, `endpoint` has the address and the socket, [`serve`] the connections.

mod access;
mod api;
mod callbacks;
mod described;
mod endpoint;
mod events;
mod forecasts;
mod health;
mod hearing;
mod instances;
mod jobs;
mod limiter;
mod links;
mod login;
mod messages;
mod metrics;
mod openapi;
mod page;
mod patience;
mod places;
mod public;
mod runtime;
mod serve;
mod status;
mod timers;
mod token;

use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use crate::forecast::Surroundings;
use crate::limits::HttpLimits;
use crate::metrics::{Counter, Gauge, Metrics};
use crate::reactor::report::{Overview, Readiness, TimersQuery, TimersReport};
use crate::receipt::CallbackHandler;
use crate::store::forecast::Assumed;
use crate::store::{Store, TrackingLinks};

use described::{Described, Routes, routes};
use jobs::Jobs;
use limiter::Limiter;

pub use endpoint::{BindError, Endpoint, Socket, bind};
pub use runtime::{RuntimeDir, RuntimeError};
pub use serve::{serve, serve_public};
pub use token::{TOKEN_MIN, TokenKind, Tokens};

/// A question to the reactor, which answers on `reply`; if the receiver is gone, that is not an error.
#[derive(Debug)]
pub enum Question {
    /// For `GET /debug/timers`.
    Timers {
        /// Which timers.
        query: TimersQuery,
        /// Receives the answer.
        reply: oneshot::Sender<TimersReport>,
    },
    /// For the live page and the metrics.
    Overview {
        /// How many timers to include.
        timers: usize,
        /// Receives the answer.
        reply: oneshot::Sender<Overview>,
    },
    /// For `GET /readyz`.
    Ready {
        /// Receives the answer.
        reply: oneshot::Sender<Readiness>,
    },
}

/// What the routes need.
#[derive(Clone)]
pub struct HttpState {
    questions: mpsc::Sender<Question>,
    metrics: Arc<Metrics>,
    tokens: Tokens,
    callbacks: Option<CallbackHandler>,
    links: Option<TrackingLinks>,
    /// The store that histories and forecasts are read from, and what these assume.
    stories: Option<(Store, Arc<Assumed>)>,
    /// The forecasts that pages show.
    shown: forecasts::Shown,
    /// Hears the other instances for viewers.
    hearing: hearing::Hearing,
    limits: HttpLimits,
    /// Permits for streams of events.
    streams: Arc<Semaphore>,
    /// Takes work on the database.
    jobs: Jobs,
    /// Limits wrong tokens.
    limiter: Arc<Limiter>,
    /// Ends the streams at a shutdown.
    stop: CancellationToken,
}

impl HttpState {
    /// The state for routes that send their questions to `questions`, and are open to requests with one of
    /// `tokens` or over the Unix socket.
    pub fn new(questions: mpsc::Sender<Question>, metrics: Arc<Metrics>, tokens: Tokens) -> Self {
        let limits = HttpLimits::default();
        Self {
            questions,
            limiter: Arc::new(Limiter::new(Arc::clone(&metrics), &limits)),
            metrics,
            tokens,
            callbacks: None,
            links: None,
            stories: None,
            shown: forecasts::Shown::default(),
            hearing: hearing::Hearing::default(),
            limits,
            streams: Arc::new(Semaphore::new(limits.streams)),
            // `serve` has the worker.
            jobs: jobs::channel().0,
            stop: CancellationToken::new(),
        }
    }

    /// Adds the routes of the provider's callbacks.
    #[must_use]
    pub fn with_callbacks(self, handler: CallbackHandler) -> Self {
        Self {
            callbacks: Some(handler),
            ..self
        }
    }

    /// Adds the route of tracking links.
    #[must_use]
    pub fn with_links(self, links: Option<TrackingLinks>) -> Self {
        Self { links, ..self }
    }

    /// Adds the route of the histories of single messages, and forecasts.
    #[must_use]
    pub fn with_stories(self, store: Store, assumed: Assumed) -> Self {
        Self {
            stories: Some((store, Arc::new(assumed))),
            ..self
        }
    }

    /// Sets other limits.
    #[must_use]
    pub fn with_limits(self, limits: HttpLimits) -> Self {
        Self {
            limits,
            limiter: Arc::new(Limiter::new(Arc::clone(&self.metrics), &limits)),
            streams: Arc::new(Semaphore::new(limits.streams)),
            ..self
        }
    }

    /// The current state.
    fn now<'a>(&self, overview: &'a Overview, around: Option<&Surroundings>) -> events::Now<'a> {
        let metrics = &self.metrics;
        events::Now {
            overview,
            status: status::Status::of(overview, around),
            punctuality: metrics.punctuality(overview.timers.now),
            lateness: metrics.lateness().report(),
            provider: metrics.parts().provider.report(),
            in_doubt: metrics.measured(Gauge::InDoubt),
            outbox: metrics.measured(Gauge::Outbox),
            number_faults: metrics.measured(Gauge::NumberFaults),
            notify_queue: metrics.measured(Gauge::NotifyQueue),
            duplicates: metrics.counted(Counter::Duplicates),
            last_sent_at: metrics.last_sent_at(),
        }
    }

    /// Sends a question and waits for its answer.
    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<T, NoReply> {
        let (reply, received) = oneshot::channel();
        let exchange = async {
            self.questions
                .send(question(reply))
                .await
                .map_err(|_| NoReply::Gone)?;
            received.await.map_err(|_| NoReply::Gone)
        };
        tokio::time::timeout(self.limits.answer, exchange)
            .await
            .unwrap_or(Err(NoReply::Late))
    }
}

/// The reactor did not reply.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum NoReply {
    #[error("the daemon is starting or shutting down")]
    Gone,
    #[error("the daemon did not respond in time")]
    Late,
}

impl IntoResponse for NoReply {
    fn into_response(self) -> Response {
        text(StatusCode::SERVICE_UNAVAILABLE, &self.to_string())
    }
}

/// All routes of the daemon.
fn router(state: HttpState, jobs: Jobs, stop: CancellationToken) -> Router {
    let state = HttpState {
        jobs,
        stop,
        ..state
    };
    let limits = state.limits;
    let public = public::routes(state.callbacks.clone(), state.links.clone(), &limits);
    let router = inside(state)
        .served()
        .layer(Extension(openapi::document()))
        .merge(public)
        .fallback(not_found);
    bounded(router, &limits)
}

/// All but those that are for everybody.
fn inside(state: HttpState) -> Routes {
    let acts = Routes::new()
        .routes(routes!("/api/messages/cancel", post api::acts::routes::cancel_all))
        .routes(routes!("/api/messages/reschedule", post api::acts::routes::reschedule_all))
        .routes(routes!("/api/messages/retry", post api::acts::routes::retry_all))
        .routes(routes!("/api/messages/resolve", post api::acts::routes::resolve_all))
        .routes(routes!("/api/messages/{id}/cancel", post api::acts::routes::cancel))
        .routes(routes!("/api/messages/{id}/reschedule", post api::acts::routes::reschedule))
        .routes(routes!("/api/messages/{id}/retry", post api::acts::routes::retry))
        .routes(routes!("/api/messages/{id}/resolve", post api::acts::routes::resolve))
        .routes(routes!("/api/pause", post api::pauses::pause))
        .routes(routes!("/api/resume", post api::pauses::resume))
        .routes(routes!("/api/campaigns/{campaign}/approve", post api::campaigns::acts::approve))
        .routes(routes!("/api/campaigns/{campaign}/reject", post api::campaigns::acts::reject))
        .routes(routes!("/api/campaigns/{campaign}/cancel", post api::campaigns::acts::cancel))
        .route_layer(from_fn(access::without_body))
        .routes(routes!("/api/campaigns/{campaign}/messages/{position}/edit", post api::campaigns::acts::edit))
        .route_layer(from_fn(access::acts));
    let debug = Routes::new()
        .routes(routes!("/timers", get timers::timers))
        .routes(routes!("/events", get events::events))
        .routes(routes!("/messages/{id}", get messages::message))
        .fallback(not_found)
        .layer(map_response(again))
        .layer(from_fn_with_state(state.clone(), access::debug));
    let pages = Routes::new()
        .routes(routes!("/", get page::page))
        .routes(routes!("/messages/{id}", get page::message))
        .routes(routes!("/campaigns", get page::campaigns::all))
        .routes(routes!("/campaigns/{id}", get page::campaigns::one))
        .routes(routes!("/api/instances", get instances::instances))
        .routes(routes!("/api/messages", get api::list::list))
        .routes(routes!("/api/messages/{id}", get messages::named))
        .routes(routes!("/api/pauses", get api::pauses::list))
        .routes(routes!("/api/stats", get api::list::stats))
        .routes(routes!("/api/campaigns", get api::campaigns::list))
        .routes(routes!("/api/campaigns/{campaign}", get api::campaigns::campaign))
        .routes(routes!("/api/campaigns/{campaign}/messages", get api::campaigns::messages))
        .routes(routes!("/api/campaigns/{campaign}/decisions", get api::campaigns::decisions))
        .routes(routes!("/metrics", get metrics::metrics))
        .routes(routes!("/openapi.json", get openapi::openapi))
        .route_layer(map_response(again))
        .merge(acts)
        .route_layer(from_fn_with_state(state.clone(), access::debug));
    Routes::new()
        .routes(routes!("/healthz", get health::live))
        .routes(routes!("/readyz", get health::ready))
        .nest("/debug", debug)
        .merge(pages)
        .routes(routes!("/login", get login::form, post login::login))
        .routes(routes!("/logout", post login::logout))
        .routes(routes!("/assets/{name}", get page::asset))
        .with_state(state)
}

fn bounded(router: Router, limits: &HttpLimits) -> Router {
    router
        .layer(RequestBodyLimitLayer::new(limits.body))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            limits.request,
        ))
}

/// The path may contain anything, so it is neither returned nor logged.
async fn not_found() -> Response {
    text(
        StatusCode::NOT_FOUND,
        "no such page; the pages are /, /messages/…, /campaigns, /healthz, /readyz, /metrics, /api/instances, \
         /api/messages, /api/campaigns, /api/pauses, /api/stats, /debug/timers, /debug/messages/… and /debug/events",
    )
}

/// When a request that has changed nothing may be repeated.
const AGAIN: (HeaderName, HeaderValue) = (header::RETRY_AFTER, HeaderValue::from_static("2"));

/// What cannot be read now may be asked for again.
async fn again(mut response: Response) -> Response {
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        let (name, seconds) = AGAIN;
        response.headers_mut().entry(name).or_insert(seconds);
    }
    response
}

/// A sentence as a response: plain text that browsers do not interpret and caches do not keep.
fn text(status: StatusCode, sentence: &str) -> Response {
    (
        status,
        [
            (header::CACHE_CONTROL, "no-store"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ],
        format!("{sentence}\n"),
    )
        .into_response()
}
