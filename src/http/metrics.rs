//! `GET /metrics`: the counters and the current state, in Prometheus's text format.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::{HttpState, Question};
use crate::metrics::text;

/// Responds even if the reactor does not: then the counters do not change, and `punctual_ready` is missing.
pub(super) async fn metrics(State(state): State<HttpState>) -> Response {
    let overview = state.ask(|reply| Question::Overview { timers: 0, reply });
    let overview = overview.await.ok();
    let page = text::render(&state.metrics, overview.as_ref());
    let head = [
        (header::CONTENT_TYPE, text::CONTENT_TYPE),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (head, page).into_response()
}
