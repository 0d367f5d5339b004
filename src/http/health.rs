//! `/healthz` and `/readyz`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::{HttpState, NoReply, Question, text};

/// `GET /healthz`: 200 while the process runs, also without the database: a supervisor that restarts on this must not
/// restart because Postgres is not available.
pub(super) async fn live() -> Response {
    text(StatusCode::OK, "ok")
}

/// `GET /readyz`: 503 names every reason, one a line. Messages in quarantine are not a reason, but the
/// response mentions them.
pub(super) async fn ready(State(state): State<HttpState>) -> Result<Response, NoReply> {
    let readiness = state.ask(|reply| Question::Ready { reply }).await?;
    if readiness.is_ready() {
        let held = readiness.held_before.map(|before| {
            format!(
                "\nmessages due before {before} are in quarantine: the database was restored or replaced, \
                 and it is not known yet which of them were sent. `punctual why ID` shows each; \
                 `punctual run --accept-restore` releases all"
            )
        });
        let mut body = format!("ready{}", held.unwrap_or_default());
        for remark in &readiness.remarks {
            body.push('\n');
            body.push_str(remark);
        }
        return Ok(text(StatusCode::OK, &body));
    }
    let reasons: Vec<String> = readiness.missing.iter().map(ToString::to_string).collect();
    Ok(text(StatusCode::SERVICE_UNAVAILABLE, &reasons.join("\n")))
}
