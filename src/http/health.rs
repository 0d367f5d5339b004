//! Whether the process lives, and whether messages would go out.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::{HttpState, NoAnswer, Question, text};

/// `GET /healthz`: answers while the process lives, whatever the database does. A supervisor
/// that restarts on this must not restart because Postgres is away.
pub(super) async fn live() -> Response {
    text(StatusCode::OK, "ok")
}

/// `GET /readyz`: 503 names every reason, one a line.
pub(super) async fn ready(State(state): State<HttpState>) -> Result<Response, NoAnswer> {
    let readiness = state.ask(|reply| Question::Ready { reply }).await?;
    if readiness.is_ready() {
        return Ok(text(StatusCode::OK, "ready"));
    }
    let reasons: Vec<String> = readiness.missing.iter().map(ToString::to_string).collect();
    Ok(text(StatusCode::SERVICE_UNAVAILABLE, &reasons.join("\n")))
}
