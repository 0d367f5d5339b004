//! `/healthz` and `/readyz`.

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::serve::Peer;
use super::{HttpState, NoReply, Question, access, text};
use crate::reactor::report::Readiness;

/// Whether the process runs
///
/// Also without the database: a supervisor that restarts on this must not restart because Postgres is not available.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/healthz",
    operation_id = "health",
    responses(
        (status = 200, description = "It runs.", body = String),
    )
))]
pub(super) async fn live() -> Response {
    text(StatusCode::OK, "ok")
}

/// Whether messages will be sent on time
///
/// Messages in quarantine are no reason, but the response mentions them. What may name a trigger, a policy or a path is
/// shown to those who are admitted to the other routes; the others see of which kind it is.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/readyz",
    operation_id = "ready",
    responses(
        (status = 200, description = "They will; further lines are remarks.", body = String),
        (status = 503, description = "They will not; each line is a reason.", body = String),
    )
))]
pub(super) async fn ready(
    State(state): State<HttpState>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, NoReply> {
    let in_full = access::is_admitted(&state, peer, &headers);
    let readiness = state.ask(|reply| Question::Ready { reply }).await?;
    Ok(if readiness.is_ready() {
        text(StatusCode::OK, &remarks(&readiness, in_full))
    } else {
        let reasons: Vec<String> = readiness
            .missing
            .iter()
            .map(|missing| {
                if in_full {
                    missing.to_string()
                } else {
                    missing.in_short()
                }
            })
            .collect();
        text(StatusCode::SERVICE_UNAVAILABLE, &reasons.join("\n"))
    })
}

fn remarks(readiness: &Readiness, in_full: bool) -> String {
    let mut body = "ready".to_owned();
    if let Some(before) = readiness.held_before {
        let held = format!(
            "\nmessages due before {before} are in quarantine: the database was restored or replaced, \
             and it is not known yet which of them were sent. `punctual why ID` shows each; \
             `punctual run --accept-restore` releases all"
        );
        body.push_str(&held);
    }
    for remark in &readiness.remarks {
        body.push('\n');
        if in_full {
            body.push_str(&remark.text);
        } else {
            body.push_str("remark: ");
            body.push_str(remark.kind);
        }
    }
    body
}
