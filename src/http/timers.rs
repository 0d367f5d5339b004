//! `GET /debug/timers`: the armed timers as JSON.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use uuid::Uuid;

#[cfg(test)]
use super::openapi::{Guarded, NoAnswer};
use super::{HttpState, Question, text};
use crate::message::{MessageId, Moment};
use crate::reactor::report::TimersQuery;
#[cfg(test)]
use crate::reactor::report::TimersReport;

/// How many timers without a limit: one or two screens.
const LIMIT_DEFAULT: usize = 100;

/// The most timers of one response, about 2 MB. The reactor copies them between two inputs, so this also limits how
/// long it is delayed.
const LIMIT_MAX: usize = 10_000;

/// Why a query is refused. It is not ignored, because a filter that silently does not filter misleads.
#[derive(Debug, thiserror::Error)]
enum QueryError {
    #[error("limit must be a number from 0 to {LIMIT_MAX}")]
    Limit,
    #[error(
        "before must be a time like 2026-01-01T09:00:00Z or 2026-01-01T10:00:00+01:00 \
         (a + is written %2B in a URL)"
    )]
    Before,
    #[error("id must be a UUID, the id of a message")]
    Id,
    #[error("{0} is given twice")]
    Twice(&'static str),
    #[error("unknown parameter; known are limit, before, id")]
    Unknown,
    #[error("the query cannot be parsed: write it like limit=10&before=2026-01-01T09:00:00Z")]
    Unreadable(#[from] QueryRejection),
}

/// The armed timers
#[cfg_attr(test, utoipa::path(
    get,
    path = "/timers",
    operation_id = "timers",
    security(("bearer" = []), ("session" = [])),
    params(
        ("limit" = Option<usize>, Query, maximum = 10_000),
        ("before" = Option<String>, Query, description = "Only those due before this.", format = DateTime),
        ("id" = Option<Uuid>, Query, description = "Only the timer of this message."),
    ),
    responses(
        (status = 200, description = "The state of the daemon, and the matching timers.", body = TimersReport),
        (status = 400, description = "The query is not valid.", body = String),
        Guarded,
        NoAnswer,
    )
))]
pub(super) async fn timers(
    State(state): State<HttpState>,
    pairs: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Response {
    let query = match pairs
        .map_err(QueryError::from)
        .and_then(|Query(pairs)| parse(&pairs))
    {
        Ok(query) => query,
        Err(error) => return text(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    match state.ask(|reply| Question::Timers { query, reply }).await {
        Ok(mut report) => {
            let mut known = state.forecasts(&report.timers).await;
            for timer in &mut report.timers {
                timer.forecast = known.remove(&timer.id);
            }
            ([(header::CACHE_CONTROL, "no-store")], Json(report)).into_response()
        }
        Err(no_reply) => no_reply.into_response(),
    }
}

/// An empty value counts as none, so that forms with empty fields work.
fn parse(pairs: &[(String, String)]) -> Result<TimersQuery, QueryError> {
    let (mut limit, mut before, mut id) = (None, None, None);
    for (name, value) in pairs.iter().map(|(n, v)| (n.as_str(), v.trim())) {
        let (name, slot) = match name {
            "limit" => ("limit", &mut limit),
            "before" => ("before", &mut before),
            "id" => ("id", &mut id),
            _ => return Err(QueryError::Unknown),
        };
        if !value.is_empty() && slot.replace(value).is_some() {
            return Err(QueryError::Twice(name));
        }
    }
    Ok(TimersQuery {
        limit: limit.map_or(Ok(LIMIT_DEFAULT), parse_limit)?,
        before: before.map(parse_before).transpose()?,
        id: id.map(parse_id).transpose()?,
    })
}

fn parse_limit(value: &str) -> Result<usize, QueryError> {
    match value.parse() {
        Ok(limit) if limit <= LIMIT_MAX => Ok(limit),
        _ => Err(QueryError::Limit),
    }
}

fn parse_before(value: &str) -> Result<Moment, QueryError> {
    // In a query string a bare `+` means a space, so this is how `+01:00` often arrives.
    let time: DateTime<Utc> = DateTime::parse_from_rfc3339(&value.replace(' ', "+"))
        .map_err(|_| QueryError::Before)?
        .to_utc();
    Ok(time.into())
}

fn parse_id(value: &str) -> Result<MessageId, QueryError> {
    value
        .parse::<Uuid>()
        .map(MessageId)
        .map_err(|_| QueryError::Id)
}
