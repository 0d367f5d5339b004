//! `GET /api/instances`: the instances that run beside the database.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::jobs::Kind;
use super::openapi::{Guarded, NoAnswer};
use super::{HttpState, text};
use crate::limits::daemon::HeartbeatLimits;
use crate::store::InstancesSeen;

/// The instances that run beside the database
#[utoipa::path(
    get,
    path = "/api/instances",
    operation_id = "instances",
    security(("bearer" = []), ("session" = [])),
    responses(
        (status = 200, description = "Those that run, and those that fell silent within the last hour.", body = InstancesSeen),
        (status = 404, description = "The daemon has no database to read.", body = String),
        Guarded,
        NoAnswer,
    )
)]
pub(super) async fn instances(State(state): State<HttpState>) -> Response {
    let Some((store, _)) = state.stories.clone() else {
        return text(StatusCode::NOT_FOUND, "this daemon has no database");
    };
    let (patience, silence) = (state.limits.history, HeartbeatLimits::default().silence);
    let read = async move { store.within(patience, store.instances(silence)).await };
    match state.jobs.run(Kind::Single, state.limits.work, read).await {
        Ok(Ok(instances)) => {
            ([(header::CACHE_CONTROL, "no-store")], Json(instances)).into_response()
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "the instances could not be read");
            let sentence = "the database is not available now";
            text(StatusCode::SERVICE_UNAVAILABLE, sentence)
        }
        Err(no_result) => no_result.into_response(),
    }
}
