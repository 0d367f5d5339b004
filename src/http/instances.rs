//! `GET /api/instances`: the instances that run beside the database.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{HttpState, text};
use crate::reactor::limits::daemon::HeartbeatLimits;

pub(super) async fn instances(State(state): State<HttpState>) -> Response {
    let Some((store, _)) = &state.stories else {
        return text(StatusCode::NOT_FOUND, "this daemon has no database");
    };
    let silence = HeartbeatLimits::default().silence;
    match store
        .within(state.limits.history, store.instances(silence))
        .await
    {
        Ok(instances) => ([(header::CACHE_CONTROL, "no-store")], Json(instances)).into_response(),
        Err(error) => {
            tracing::warn!(%error, "the instances could not be read");
            let sentence = "the database is not available now";
            text(StatusCode::SERVICE_UNAVAILABLE, sentence)
        }
    }
}
