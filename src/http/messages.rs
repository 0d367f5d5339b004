//! `GET /debug/messages/{id}` and `GET /api/messages/{id}`: the history of one message, as `punctual why --json` prints
//! it. The first takes a whole id, the second anything that names one message.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

#[cfg(test)]
use super::api::Body;
use super::api::{self, Pairs, Refusal};
use super::jobs::Kind;
#[cfg(test)]
use super::openapi::{Guarded, NoAnswer};
use super::{HttpState, Question, text};
use crate::message::MessageId;
use crate::reactor::report::TimersQuery;
#[cfg(test)]
use crate::store::story::Story;
use crate::store::story::StoryHold;

/// The history of one message, as `punctual why` shows it
#[cfg_attr(test, utoipa::path(
    get,
    path = "/messages/{id}",
    operation_id = "message",
    security(("bearer" = []), ("session" = [])),
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "Its row, attempts, receipts, and what happens next.", body = Story),
        (status = 400, description = "Not a UUID, or a query parameter, of which there are none.", body = String),
        (status = 404, description = "No message with this id.", body = String),
        Guarded,
        NoAnswer,
    )
))]
pub(super) async fn message(
    State(state): State<HttpState>,
    Path(id): Path<String>,
    pairs: Pairs,
) -> Response {
    if api::no_parameters(pairs).is_err() {
        return text(StatusCode::BAD_REQUEST, api::NO_PARAMETERS);
    }
    let Ok(id) = id.parse().map(MessageId) else {
        let sentence = "a message's id is a UUID";
        return text(StatusCode::BAD_REQUEST, sentence);
    };
    history(&state, id).await
}

/// The history of the one message that matches: by its id or the beginning of it, its recipient, or the provider's id
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/messages/{id}",
    operation_id = "named_message",
    security(("bearer" = []), ("session" = [])),
    params(("id" = String, Path, description = "The name.")),
    responses(
        (status = 200, description = "Its row, attempts, receipts, and what happens next.", body = Story),
        (status = 400, description = "Not a name of a message, or a query parameter, of which there are none.", body = Body<'static>),
        (status = 404, description = "No message matches, or the daemon has no database.", content((Body<'static> = "application/json"), (String = "text/plain"))),
        (status = 409, description = "Several messages match; some of them.", body = Body<'static>),
        Guarded,
        (status = 503, description = "The database is not available.", content((Body<'static> = "application/json"), (String = "text/plain")), headers(("retry-after"))),
    )
))]
pub(super) async fn named(
    State(state): State<HttpState>,
    Path(name): Path<String>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    api::no_parameters(pairs)?;
    let id = api::named(&state, &name).await?;
    Ok(history(&state, id).await)
}

async fn history(state: &HttpState, id: MessageId) -> Response {
    let Some((store, assumed)) = state.stories.clone() else {
        return text(StatusCode::NOT_FOUND, "this daemon has no histories");
    };
    let patience = state.limits.history;
    let read = async move { store.within(patience, store.story(id, &assumed)).await };
    let mut history = match state.jobs.run(Kind::Single, state.limits.work, read).await {
        Ok(Ok(history)) => history,
        Err(no_result) => return no_result.into_response(),
        Ok(Err(error)) => {
            tracing::warn!(message.id = %id, %error, "the history of a message could not be read");
            let sentence = "the database is not available now";
            return text(StatusCode::SERVICE_UNAVAILABLE, sentence);
        }
    };
    if history.is_empty() {
        return text(StatusCode::NOT_FOUND, "no message with this id");
    }
    let query = TimersQuery {
        limit: 1,
        before: None,
        id: Some(id),
    };
    // The history is useful without its timer too.
    if let Ok(report) = state.ask(|reply| Question::Timers { query, reply }).await {
        let timer = report.timers.into_iter().find(|timer| timer.id == id);
        let timer = timer.and_then(|timer| serde_json::to_value(timer).ok());
        let hold = report.restore.held_before.map(|before| StoryHold {
            before,
            reason: report.restore.reason.map(Into::into),
        });
        history.heard(timer, hold);
    }
    ([(header::CACHE_CONTROL, "no-store")], Json(history)).into_response()
}
