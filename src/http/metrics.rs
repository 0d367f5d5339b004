//! `GET /metrics`: the counters and the current state, in Prometheus's text format.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

#[cfg(test)]
use super::openapi::{Busy, Guarded};
use super::{HttpState, Question};
use crate::metrics::text;

/// Metrics, in Prometheus's text format
///
/// If the reactor does not respond, they are the counters: they do not change, and `punctual_ready` is missing.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    security(("bearer" = []), ("session" = [])),
    responses(
        (status = 200, description = "Text format 0.0.4.", body = String),
        Guarded,
        Busy,
    )
))]
pub(super) async fn metrics(State(state): State<HttpState>) -> Response {
    let overview = state.ask(|reply| Question::Overview { timers: 0, reply });
    let overview = overview.await.ok();
    let page = text::render(&state.metrics, overview);
    let head = [
        (header::CONTENT_TYPE, text::CONTENT_TYPE),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (head, page).into_response()
}
