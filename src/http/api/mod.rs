//! `/api`: lists, searches and counts of messages, and acts, for programs and the live page.

pub(super) mod acts;
pub(super) mod campaigns;
pub(super) mod list;
pub(super) mod pauses;

use std::fmt::Display;

use axum::Json;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::jobs::{Kind, NoResult};
use super::{AGAIN, HttpState};
use crate::message::filter::Search;
use crate::message::{Filter, FilterError, MessageId};
use crate::store::operator::{Listed, OperatorError};
use crate::store::{Store, StoreError};

/// The parameters of a query, in order.
pub(super) type Pairs = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// Why a request is not answered.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The query cannot be used.
    Query(String),
    /// Nothing matches.
    Missing,
    /// There is no such campaign, or it has no such message.
    NoCampaign,
    /// Several messages match.
    Ambiguous(Vec<Listed>),
    /// It cannot be done now, in a sentence.
    Conflict(String),
    /// Another number of messages was confirmed.
    Count {
        /// How many there are.
        messages: u64,
        /// The sentence.
        why: String,
    },
    /// The request may not act.
    Forbidden(&'static str),
    /// This daemon has no database.
    NoDatabase,
    /// The database.
    Store(&'static str, StoreError),
    /// An act ended before all was done, or before that was known, in a sentence.
    Interrupted(String),
    /// An act that has begun has not ended yet.
    Running,
    /// There is no result, and no act has begun.
    NoResult(NoResult),
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = Refusal))]
/// Why a request is not answered.
pub(super) struct Body<'a> {
    /// A sentence.
    error: &'a str,
    /// How many messages are meant now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    messages: Option<u64>,
    /// Of several messages that match, some.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    candidates: Option<&'a [Listed]>,
}

/// An act that has not ended yet.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(super) struct Running {
    /// False.
    is_done: bool,
    /// What to do next.
    detail: &'static str,
}

fn refusal(status: StatusCode, error: &str) -> Response {
    respond(
        status,
        Body {
            error,
            messages: None,
            candidates: None,
        },
    )
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        const UNAVAILABLE: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
        match self {
            Self::Query(why) => refusal(StatusCode::BAD_REQUEST, &why),
            Self::Missing => refusal(StatusCode::NOT_FOUND, "no message matches"),
            Self::NoCampaign => refusal(
                StatusCode::NOT_FOUND,
                "there is no such campaign, or it has no such message: GET /api/campaigns lists them",
            ),
            Self::Ambiguous(candidates) => respond(
                StatusCode::CONFLICT,
                Body {
                    error: "several messages match: give more characters of the id",
                    messages: None,
                    candidates: Some(&candidates),
                },
            ),
            Self::Conflict(why) => refusal(StatusCode::CONFLICT, &why),
            Self::Count { messages, why } => respond(
                StatusCode::CONFLICT,
                Body {
                    error: &why,
                    messages: Some(messages),
                    candidates: None,
                },
            ),
            Self::Forbidden(why) => refusal(StatusCode::FORBIDDEN, why),
            Self::NoDatabase => refusal(StatusCode::NOT_FOUND, "this daemon has no database"),
            Self::Store(step, error) => {
                tracing::warn!(%error, "{step} failed");
                refusal(UNAVAILABLE, "the database is not available now")
            }
            Self::Interrupted(why) => refusal(UNAVAILABLE, &why),
            Self::Running => {
                let body = Running {
                    is_done: false,
                    detail: "the act has not ended yet, and goes on: see the list of its messages",
                };
                respond(StatusCode::ACCEPTED, body)
            }
            Self::NoResult(why) => {
                ([AGAIN], refusal(UNAVAILABLE, &why.to_string())).into_response()
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
        let why = error.to_string();
        match error {
            OperatorError::Store(error) => Self::Store("a request for messages", error),
            OperatorError::Count { messages, .. } => Self::Count { messages, why },
            OperatorError::Interrupted { .. } => Self::Interrupted(why),
            OperatorError::Broad | OperatorError::Status { .. } | OperatorError::TooMany => {
                Self::Query(why)
            }
        }
    }
}

fn respond(status: StatusCode, body: impl Serialize) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// A result as JSON.
pub(super) fn json(body: impl Serialize) -> Response {
    respond(StatusCode::OK, body)
}

/// Has something done with the database.
pub(super) async fn work<T, F>(
    state: &HttpState,
    kind: Kind,
    work: impl FnOnce(Store) -> F,
) -> Result<T, Refusal>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let (store, _) = state.stories.as_ref().ok_or(Refusal::NoDatabase)?;
    let work = work(store.clone());
    let done = state.jobs.run(kind, state.limits.work, work).await;
    done.map_err(|why| match (why, kind) {
        (NoResult::Running, Kind::Act) => Refusal::Running,
        (NoResult::Cut, Kind::Act) => Refusal::Interrupted(
            "this was interrupted: the daemon shut down, or its log has the fault. It is not known whether it was done".to_owned(),
        ),
        (why, _) => Refusal::NoResult(why),
    })
}

/// A query, taken apart: its own parameters by their names, and the rest, which is a filter.
pub(super) struct Parameters<const N: usize> {
    pub(super) own: [Option<String>; N],
    filter: Filter,
}

impl<const N: usize> Parameters<N> {
    /// Reads a query with these parameters of its own, and a filter if it may have one.
    pub(super) fn read(
        pairs: Pairs,
        names: [&'static str; N],
        filters: bool,
    ) -> Result<Self, Refusal> {
        Self::read_some(pairs, names, &names, filters)
    }

    /// The same where only some of its parameters go with this request: `known`.
    fn read_some(
        pairs: Pairs,
        names: [&'static str; N],
        known: &[&str],
        filters: bool,
    ) -> Result<Self, Refusal> {
        let Query(pairs) = pairs.map_err(|_| query("the query cannot be parsed"))?;
        let mut own = [const { None }; N];
        let mut filter = Filter::default();
        for (name, value) in &pairs {
            match names.iter().zip(&mut own).find(|(known, _)| *known == name) {
                Some((_, _)) if value.trim().is_empty() => {}
                Some((name, slot)) => {
                    if slot.replace(value.trim().to_owned()).is_some() {
                        return Err(FilterError::Twice(name).into());
                    }
                }
                None if !filters => return Err(unknown(known)),
                None => filter.set(name, value).map_err(|error| match error {
                    FilterError::Unknown(of_filter) => {
                        FilterError::Unknown([of_filter, known.join(", ")].join(", "))
                    }
                    other => other,
                })?,
            }
        }
        Ok(Self { own, filter })
    }
}

/// Of a route without parameters.
pub(super) const NO_PARAMETERS: &str = "unknown parameter: there are none here";

/// A parameter that is not one of these.
fn unknown(known: &[&str]) -> Refusal {
    if known.is_empty() {
        return query(NO_PARAMETERS);
    }
    FilterError::Unknown(known.join(", ")).into()
}

/// The query of a route that has no parameters.
pub(super) fn no_parameters(pairs: Pairs) -> Result<(), Refusal> {
    Parameters::read(pairs, [], false).map(drop)
}

fn query(why: impl Display) -> Refusal {
    Refusal::Query(why.to_string())
}

/// Messages that are named in a response where a request does not name one precisely.
const CANDIDATES: usize = 10;

/// The one message that matches: by its id or the beginning of it, its recipient, or the provider's id.
pub(super) async fn named(state: &HttpState, text: &str) -> Result<MessageId, Refusal> {
    let search: Search = text.parse()?;
    let whole = match search {
        Search::Id { first, last } if first == last => Some(MessageId(first)),
        _ => None,
    };
    let found = work(state, Kind::List, move |store| async move {
        let found = store.search(&search, CANDIDATES).await?;
        if let [id] = found.as_slice() {
            return Ok(Ok(*id));
        }
        let ids: Vec<_> = found.iter().map(|id| id.0).collect();
        Ok::<_, OperatorError>(Err(store.listed(&ids, false).await?))
    });
    match found.await?? {
        Ok(id) => Ok(id),
        // What is known of a message outlives its row.
        Err(none) if none.is_empty() => whole.ok_or(Refusal::Missing),
        Err(several) => Err(Refusal::Ambiguous(several)),
    }
}

/// A parameter that is on or off; without it off.
pub(super) fn flag(name: &str, text: Option<&str>) -> Result<bool, Refusal> {
    match text {
        None | Some("0") => Ok(false),
        Some("1") => Ok(true),
        Some(_) => Err(query(format!("{name} is 0 or 1"))),
    }
}

/// A number of messages that is confirmed.
fn confirmed(text: Option<&str>) -> Result<Option<u64>, Refusal> {
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|_| query("confirm is a number of messages"))
}
