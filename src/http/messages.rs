//! `GET /debug/messages/{id}` and `GET /api/messages/{id}`: the history of one message, as `punctual why --json` prints it.
//! The first takes a whole id, the second anything that names one message.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::api::{self, Refusal};
use super::{HttpState, Question, text};
use crate::message::MessageId;
use crate::reactor::report::TimersQuery;
use crate::store::story::StoryHold;

pub(super) async fn message(State(state): State<HttpState>, Path(id): Path<String>) -> Response {
    let Ok(id) = id.parse().map(MessageId) else {
        let sentence = "a message's id is a UUID";
        return text(StatusCode::BAD_REQUEST, sentence);
    };
    history(&state, id).await
}

pub(super) async fn named(
    State(state): State<HttpState>,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let id = api::named(&state, &name).await?;
    Ok(history(&state, id).await)
}

async fn history(state: &HttpState, id: MessageId) -> Response {
    let Some((store, assumed)) = &state.stories else {
        return text(StatusCode::NOT_FOUND, "this daemon has no histories");
    };
    let mut history = match store
        .within(state.limits.history, store.story(id, assumed))
        .await
    {
        Ok(history) => history,
        Err(error) => {
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
