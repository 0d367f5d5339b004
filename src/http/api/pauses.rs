//! `GET /api/pauses`, `POST /api/pause` and `POST /api/resume`.

use axum::extract::{Extension, State};
use axum::response::Response;
use serde::Serialize;
#[cfg(test)]
use uuid::Uuid;

#[cfg(test)]
use super::acts::routes::Who;
use super::{Pairs, Parameters, Refusal, confirmed, json, no_parameters, query, work};
use crate::http::HttpState;
use crate::http::access::Caller;
use crate::http::jobs::Kind;
#[cfg(test)]
use crate::http::openapi::{Guarded, NoDatabase, NotDone, NotRead, NotResumed};
use crate::message::filter::time;
use crate::message::{Moment, PauseKey, PauseScope};
use crate::provider;
use crate::store::pauses::{Listed, expired_words};
use crate::store::{Store, StoreError};

/// What is paused, each by a parameter of its own.
const SCOPES: [&str; 6] = ["lane", "sender", "campaign", "user", "type", "text"];

/// What is paused: one of these; without any, everything.
#[cfg(test)]
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "they are parsed by their names (`SCOPES`)")]
struct Scope {
    /// A channel.
    lane: Option<String>,
    /// A sender.
    sender: Option<String>,
    /// A campaign.
    campaign: Option<Uuid>,
    /// A user.
    user: Option<Uuid>,
    /// A `message_type`.
    r#type: Option<String>,
    /// What texts say of which there were too many, as `GET /api/pauses` names it.
    text: Option<String>,
}

/// A pause as it is now.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = PausedNow))]
struct Paused {
    #[serde(flatten)]
    now: Listed,
    /// The pause in force that it replaces.
    replaced: Option<Listed>,
}

/// A pause that was ended.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
struct Resumed {
    /// As `punctual.pauses` has it.
    scope: &'static str,
    /// Which one; empty for everything.
    what: String,
    /// Messages that are cancelled because they have expired meanwhile.
    expired: u64,
    /// Who ended it.
    by: String,
}

/// The most characters of a reason.
const WHY_MAX: usize = 500;

/// What is paused, until when, by whom and why
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/pauses",
    operation_id = "pauses",
    security(("bearer" = []), ("session" = [])),
    responses(
        (status = 200, description = "The pauses in force.", body = Vec<Listed>),
        NotRead,
        NoDatabase,
        Guarded,
    )
))]
pub(in crate::http) async fn list(
    State(state): State<HttpState>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    no_parameters(pairs)?;
    let read = |store: Store| async move { store.paused().await };
    let paused = work(&state, Kind::Single, read).await?;
    Ok(json(paused.map_err(failed("reading the pauses"))?))
}

/// Pauses everything, or the messages of one scope; or changes a pause
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/pause",
    operation_id = "pause",
    security(("bearer" = []), ("session" = [])),
    params(
        Scope,
        ("until" = Option<String>, Query, description = "When it ends; by default when somebody resumes.", format = DateTime),
        ("why" = Option<String>, Query, description = "The reason, for others to read.", max_length = 500),
        Who,
    ),
    responses(
        (status = 200, description = "The pause, and the one that it replaces.", body = Paused),
        NotDone,
        NoDatabase,
        Guarded,
    )
))]
pub(in crate::http) async fn pause(
    State(state): State<HttpState>,
    Extension(caller): Extension<Caller>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    let [lane, sender, campaign, user, kind, text, until, why, by] =
        parameters(pairs, ["until", "why", "by"])?;
    let key = key([lane, sender, campaign, user, kind, text])?;
    let until = until
        .as_deref()
        .map(|text| time("until", text))
        .transpose()?;
    if why
        .as_ref()
        .is_some_and(|why| why.chars().count() > WHY_MAX)
    {
        return Err(query(format!("why has at most {WHY_MAX} characters")));
    }
    let who = caller.actor(by.as_deref());
    let paused = work(&state, Kind::Act, move |store: Store| async move {
        if let Some(until) = until {
            let now = store.now().await.map_err(failed("pausing"))?;
            if until <= now {
                let why =
                    format!("until has passed: it is {now}, and the pause would be over already");
                return Err(query(why));
            }
        }
        let until = until.unwrap_or(Moment::MAX);
        let paused = store.pause(&key, until, why.as_deref(), who.as_str()).await;
        let (now, replaced) = paused.map_err(failed("pausing"))?;
        tracing::info!(scope = key.scope.as_str(), %until, who = who.as_str(), "paused by an operator");
        Ok(Paused { now, replaced })
    });
    Ok(json(paused.await??))
}

/// Ends a pause
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/resume",
    operation_id = "resume",
    security(("bearer" = []), ("session" = [])),
    params(
        Scope,
        ("confirm" = Option<u64>, Query, description = "How many messages may be cancelled, because they have expired meanwhile; by default none."),
        Who,
    ),
    responses(
        (status = 200, description = "It is resumed.", body = Resumed),
        NotDone,
        NotResumed,
        Guarded,
    )
))]
pub(in crate::http) async fn resume(
    State(state): State<HttpState>,
    Extension(caller): Extension<Caller>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    let [lane, sender, campaign, user, kind, text, confirm, by] =
        parameters(pairs, ["confirm", "by"])?;
    let key = key([lane, sender, campaign, user, kind, text])?;
    let confirmed = confirmed(confirm.as_deref())?.unwrap_or(0);
    let who = caller.actor(by.as_deref());
    let resumed = work(&state, Kind::Act, move |store: Store| async move {
        const STEP: &str = "ending a pause";
        let expired = store.expired(&key).await.map_err(failed(STEP))?;
        // Some may expire between the question and the confirmation; fewer than were confirmed is no reason to ask.
        if expired > confirmed {
            let why = format!(
                "nothing was changed: when this is resumed, {} will be cancelled. To resume nevertheless: confirm={expired}",
                expired_words(expired)
            );
            return Err(Refusal::Count {
                messages: expired,
                why,
            });
        }
        if !store
            .resume(&key, who.as_str())
            .await
            .map_err(failed(STEP))?
        {
            return Err(Refusal::Conflict(
                "that is not paused: GET /api/pauses lists what is".to_owned(),
            ));
        }
        tracing::info!(
            scope = key.scope.as_str(),
            who = who.as_str(),
            expired,
            "resumed by an operator"
        );
        Ok(Resumed {
            scope: key.scope.as_str(),
            what: key.what,
            expired,
            by: who.as_str().to_owned(),
        })
    });
    Ok(json(resumed.await??))
}

fn failed(step: &'static str) -> impl Fn(StoreError) -> Refusal {
    move |error| Refusal::Store(step, error)
}

/// The parameters that name what is paused, and these.
fn parameters<const N: usize, const ALL: usize>(
    pairs: Pairs,
    more: [&'static str; N],
) -> Result<[Option<String>; ALL], Refusal> {
    // An empty one would mean everything.
    if let Ok(axum::extract::Query(pairs)) = &pairs
        && let Some((name, _)) = pairs
            .iter()
            .find(|(name, value)| SCOPES.contains(&&**name) && value.trim().is_empty())
    {
        return Err(query(format!(
            "{name} is empty: name which one, or leave it out for everything"
        )));
    }
    let mut names = [""; ALL];
    for (slot, name) in names.iter_mut().zip(SCOPES.into_iter().chain(more)) {
        *slot = name;
    }
    Ok(Parameters::read(pairs, names, false)?.own)
}

/// What is paused; without a parameter everything.
fn key(given: [Option<String>; 6]) -> Result<PauseKey, Refusal> {
    let mut given = SCOPES
        .iter()
        .zip(given)
        .filter_map(|(kind, what)| Some((*kind, what?)));
    let Some((kind, what)) = given.next() else {
        return Ok(PauseKey::default());
    };
    if given.next().is_some() {
        let all = PauseScope::ALL.map(PauseScope::written).join(", ");
        return Err(query(format!(
            "a pause has one scope, one of {all}: make two of them"
        )));
    }
    let key = PauseKey::parse(kind, &what, provider::TEXTS.sender_pools);
    key.map_err(|why| query(format!("{kind}: {why}")))
}
