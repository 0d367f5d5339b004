//! `/api`: lists, searches and counts of messages, for programs and the live page.

pub(super) mod list;

use std::fmt::Display;
use std::ops::Deref;

use axum::Json;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::SemaphorePermit;

use super::HttpState;
use crate::message::filter::Search;
use crate::message::{Filter, FilterError, MessageId};
use crate::store::operator::{Listed, OperatorError};
use crate::store::{Store, StoreError};

/// The parameters of a query, in order.
type Pairs = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// Why a request is not answered.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The query cannot be used.
    Query(String),
    /// Nothing is named so.
    Missing,
    /// Several messages are named so.
    Ambiguous(Vec<Listed>),
    /// This daemon has no database.
    NoDatabase,
    /// The database.
    Store(&'static str, StoreError),
}

#[derive(Serialize)]
struct Error<'a> {
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidates: Option<&'a [Listed]>,
}

fn refusal(status: StatusCode, error: &str, candidates: Option<&[Listed]>) -> Response {
    let body = Error { error, candidates };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Query(why) => refusal(StatusCode::BAD_REQUEST, &why, None),
            Self::Missing => refusal(StatusCode::NOT_FOUND, "no message is named so", None),
            Self::Ambiguous(candidates) => refusal(
                StatusCode::CONFLICT,
                "several messages are named so: write more of the id of one",
                Some(&candidates),
            ),
            Self::NoDatabase => refusal(StatusCode::NOT_FOUND, "this daemon has no database", None),
            Self::Store(step, error) => {
                tracing::warn!(%error, "{step} failed");
                let why = "the database is not available now";
                refusal(StatusCode::SERVICE_UNAVAILABLE, why, None)
            }
        }
    }
}

impl From<FilterError> for Refusal {
    fn from(error: FilterError) -> Self {
        Self::Query(error.to_string())
    }
}

impl From<OperatorError> for Refusal {
    fn from(error: OperatorError) -> Self {
        match error {
            OperatorError::Store(error) => Self::Store("reading messages", error),
            other => Self::Query(other.to_string()),
        }
    }
}

/// A result as JSON.
fn json(body: impl Serialize) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// The store, and a permit to use it: messages that are to be sent use the same connections.
struct Access<'a> {
    store: &'a Store,
    _permit: SemaphorePermit<'a>,
}

impl Deref for Access<'_> {
    type Target = Store;

    fn deref(&self) -> &Store {
        self.store
    }
}

async fn store(state: &HttpState) -> Result<Access<'_>, Refusal> {
    let (store, _) = state.stories.as_ref().ok_or(Refusal::NoDatabase)?;
    let permit = state.reads.acquire().await;
    Ok(Access {
        store,
        _permit: permit.map_err(|_| Refusal::NoDatabase)?,
    })
}

/// A query, taken apart: its own parameters by their names, and the rest, which is a filter.
struct Parameters<const N: usize> {
    own: [Option<String>; N],
    filter: Filter,
}

impl<const N: usize> Parameters<N> {
    /// Reads a query with these parameters of its own.
    fn read(pairs: Pairs, names: [&'static str; N]) -> Result<Self, Refusal> {
        let Query(pairs) = pairs.map_err(|_| query("the query cannot be parsed"))?;
        let mut own = [const { None }; N];
        let mut filter = Filter::default();
        for (name, value) in &pairs {
            match names.iter().zip(&mut own).find(|(known, _)| *known == name) {
                Some((_, _)) if value.trim().is_empty() => {}
                Some((known, slot)) => {
                    if slot.replace(value.trim().to_owned()).is_some() {
                        return Err(FilterError::Twice(known).into());
                    }
                }
                None => filter.set(name, value).map_err(|error| match error {
                    FilterError::Unknown(known) => {
                        FilterError::Unknown([known, names.join(", ")].join(", "))
                    }
                    other => other,
                })?,
            }
        }
        Ok(Self { own, filter })
    }
}

fn query(why: impl Display) -> Refusal {
    Refusal::Query(why.to_string())
}

/// Messages that are named in a response where a request does not name one precisely.
const CANDIDATES: usize = 10;

/// The one message that is named so: by its id or the beginning of it, its recipient, or the provider's id.
pub(super) async fn named(state: &HttpState, text: &str) -> Result<MessageId, Refusal> {
    let search: Search = text.parse()?;
    if let Search::Id { first, last } = search
        && first == last
    {
        return Ok(MessageId(first));
    }
    let store = store(state).await?;
    let failed = |error| Refusal::Store("searching for a message", error);
    let found = store.search(&search, CANDIDATES).await.map_err(failed)?;
    match found.as_slice() {
        [] => Err(Refusal::Missing),
        [id] => Ok(*id),
        several => {
            let ids: Vec<_> = several.iter().map(|id| id.0).collect();
            let rows = store.listed(&ids, false).await.map_err(failed)?;
            Err(Refusal::Ambiguous(rows))
        }
    }
}
