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

/// `GET /readyz`: 503 names every reason, one a line. That some messages are held is no reason, and
/// told all the same.
pub(super) async fn ready(State(state): State<HttpState>) -> Result<Response, NoAnswer> {
    let readiness = state.ask(|reply| Question::Ready { reply }).await?;
    if readiness.is_ready() {
        let held = readiness.held_before.map(|before| {
            format!(
                "\nwhat was due before {before} is held: the database was restored or replaced, or an older \
                 one, and it is being found out what of it was sent. `punctual why ID` tells of each; \
                 `punctual run --accept-restore` sends all of it"
            )
        });
        let body = format!("ready{}", held.unwrap_or_default());
        return Ok(text(StatusCode::OK, &body));
    }
    let reasons: Vec<String> = readiness.missing.iter().map(ToString::to_string).collect();
    Ok(text(StatusCode::SERVICE_UNAVAILABLE, &reasons.join("\n")))
}
