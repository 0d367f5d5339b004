//! `POST /api/campaigns/…`: approves and rejects messages, changes one, and cancels a campaign.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Path, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::shown::Message;
use super::{NO_CAMPAIGN, failed, rows, statuses};
use crate::http::HttpState;
use crate::http::access::Caller;
#[cfg(test)]
use crate::http::api::acts::routes::Who;
use crate::http::api::{Pairs, Parameters, Refusal, confirmed, json, query, work};
use crate::http::jobs::Kind;
#[cfg(test)]
use crate::http::openapi::{Guarded, NotDecided, NotDone};
use crate::store::campaigns::{Decision, Done, Draft};

/// Which messages of a campaign, and how many these are.
#[cfg(test)]
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "they are parsed by their names")]
struct Which {
    /// At these positions, like `1-20,25`; by default all. `25@SEEN`: only if it is as it was seen, by its `seen`.
    rows: Option<String>,
    /// With this in the name, the number or the text.
    q: Option<String>,
    /// Of those in this status: to approve `SUG` or `REJ`, by default `SUG`; to reject `SUG` or `APR`, by default both.
    status: Option<String>,
    /// The number of messages that are meant. Without it nothing is changed, and the response has the number.
    confirm: Option<u64>,
    /// With `confirm`: the `seen` of that response. If one of the messages was changed since then, nothing is changed.
    seen: Option<String>,
}

/// What was decided, or would be.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
struct Decided {
    /// False: the messages were only counted.
    is_done: bool,
    /// The messages that are meant.
    messages: u64,
    /// Those that were changed.
    changed: u64,
    /// What these messages are together, to confirm them as they are now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    seen: Option<String>,
    /// Who decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    by: Option<String>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    detail: Option<String>,
}

/// A message as it is to be.
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, schema(as = CampaignEdit))]
pub(in crate::http) struct Edit {
    /// Whom it is for.
    customer_name: Option<String>,
    /// Their number.
    phone_number: String,
    /// The text, in parts where it has the separator.
    content: String,
    /// The message as it was seen, by its `seen`.
    seen: String,
}

/// A message that was changed.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = CampaignEdited))]
struct Edited {
    /// As it is now.
    message: Message,
    /// Its approval has ended by that.
    was_approved: bool,
    /// Who changed it.
    by: String,
}

/// Approves messages of a campaign: only these can be scheduled
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/campaigns/{campaign}/approve",
    operation_id = "approve",
    security(("bearer" = []), ("session" = [])),
    params(("campaign" = String, Path, description = "Its name or its id."), Which, Who),
    responses(
        (status = 200, description = "They are approved, or without a confirmation counted.", body = Decided),
        NotDone,
        NotDecided,
        Guarded,
    )
))]
pub(in crate::http) async fn approve(
    State(state): State<HttpState>,
    Extension(caller): Extension<Caller>,
    Path(named): Path<String>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    decide(&state, caller, named, true, pairs).await
}

/// Rejects messages of a campaign, also approved ones that are not scheduled
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/campaigns/{campaign}/reject",
    operation_id = "reject",
    security(("bearer" = []), ("session" = [])),
    params(("campaign" = String, Path, description = "Its name or its id."), Which, Who),
    responses(
        (status = 200, description = "They are rejected, or without a confirmation counted.", body = Decided),
        NotDone,
        NotDecided,
        Guarded,
    )
))]
pub(in crate::http) async fn reject(
    State(state): State<HttpState>,
    Extension(caller): Extension<Caller>,
    Path(named): Path<String>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    decide(&state, caller, named, false, pairs).await
}

async fn decide(
    state: &HttpState,
    caller: Caller,
    named: String,
    is_approved: bool,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    let keys = ["rows", "q", "status", "confirm", "seen", "by"];
    let [rows, search, status, confirm, seen, by] = Parameters::read(pairs, keys, false)?.own;
    let confirmed = confirmed(confirm.as_deref())?;
    let (known, usual): (&[&str], &[&str]) = if is_approved {
        (&["SUG", "REJ"], &["SUG"])
    } else {
        (&["SUG", "APR"], &["SUG", "APR"])
    };
    let of = match status {
        Some(status) => statuses(Some(&status), known)?,
        None => usual.iter().map(|&status| status.to_owned()).collect(),
    };
    let rows = match rows {
        Some(text) => rows::read(&text)?,
        None => vec![(1..=i32::MAX).into()],
    };
    let decision = Decision {
        is_approved,
        of,
        rows,
        search,
    };
    let Some(confirmed) = confirmed else {
        let meant = work(state, Kind::List, move |store| async move {
            store.campaign_meant(&named, &decision).await
        });
        let meant = or_refused(meant.await?.map_err(failed)?)?;
        let verb = if is_approved { "approve" } else { "reject" };
        return Ok(json(Decided::counted(
            meant.messages,
            Some(meant.seen),
            verb,
        )));
    };
    let who = caller.actor(by.as_deref());
    let by = who.as_str().to_owned();
    let done = work(state, Kind::Act, move |store| async move {
        let seen = seen.as_deref();
        store.decide(&named, &decision, &who, confirmed, seen).await
    });
    Ok(json(Decided::done(or_refused(done.await??)?, by)))
}

/// Cancels a campaign: nothing more of it is sent, nor can be scheduled
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/campaigns/{campaign}/cancel",
    operation_id = "cancelCampaign",
    security(("bearer" = []), ("session" = [])),
    params(
        ("campaign" = String, Path, description = "Its name or its id."),
        ("confirm" = Option<u64>, Query, description = "How many messages may be cancelled. Without it nothing is changed, and the response has their number."),
        Who,
    ),
    responses(
        (status = 200, description = "It is cancelled, or without a confirmation its messages are counted.", body = Decided),
        NotDone,
        NotDecided,
        Guarded,
    )
))]
pub(in crate::http) async fn cancel(
    State(state): State<HttpState>,
    Extension(caller): Extension<Caller>,
    Path(named): Path<String>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    let [confirm, by] = Parameters::read(pairs, ["confirm", "by"], false)?.own;
    let Some(confirmed) = confirmed(confirm.as_deref())? else {
        let waiting = work(&state, Kind::List, move |store| async move {
            store.campaign_waiting(&named).await
        });
        let waiting = or_refused(waiting.await?.map_err(failed)?)?;
        return Ok(json(Decided::counted(waiting, None, "cancel")));
    };
    let who = caller.actor(by.as_deref());
    let by = who.as_str().to_owned();
    let done = work(&state, Kind::Act, move |store| async move {
        store.cancel_campaign(&named, &who, confirmed).await
    });
    Ok(json(Decided::done(or_refused(done.await??)?, by)))
}

impl Decided {
    fn counted(messages: u64, seen: Option<String>, verb: &str) -> Self {
        Self {
            is_done: false,
            messages,
            changed: 0,
            seen,
            by: None,
            detail: Some(format!(
                "nothing was changed: to {verb} them, send the same request with confirm={messages}"
            )),
        }
    }

    const fn done(changed: u64, by: String) -> Self {
        Self {
            is_done: true,
            messages: changed,
            changed,
            seen: None,
            by: Some(by),
            detail: None,
        }
    }
}

/// Changes name, number and text of a message that is not scheduled; an approval of it ends
///
/// In a body, unlike other acts: texts and numbers do not belong into addresses, which are logged.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/campaigns/{campaign}/messages/{position}/edit",
    operation_id = "editCampaignMessage",
    security(("bearer" = []), ("session" = [])),
    params(
        ("campaign" = String, Path, description = "Its name or its id."),
        ("position" = i32, Path, description = "The message's position."),
        Who,
    ),
    request_body = Edit,
    responses(
        (status = 200, description = "It is changed.", body = Edited),
        NotDone,
        NotDecided,
        Guarded,
    )
))]
pub(in crate::http) async fn edit(
    State(state): State<HttpState>,
    Extension(caller): Extension<Caller>,
    Path((named, position)): Path<(String, String)>,
    pairs: Pairs,
    body: Result<Json<Edit>, JsonRejection>,
) -> Result<Response, Refusal> {
    let [by] = Parameters::read(pairs, ["by"], false)?.own;
    let position = position
        .parse()
        .map_err(|_| query("a position is a number"))?;
    let Json(edit) = body.map_err(|_| {
        query("the body is JSON: {\"customer_name\": …, \"phone_number\": …, \"content\": …, \"seen\": …}")
    })?;
    let who = caller.actor(by.as_deref());
    let by = who.as_str().to_owned();
    let edited = work(&state, Kind::Act, move |store| async move {
        let separator = store.part_separator().await.map_err(failed)?;
        let (name, number) = (edit.customer_name.as_deref(), &edit.phone_number);
        let draft = Draft::read(name, number, &edit.content, Some(&separator)).map_err(query)?;
        let edited = store.edit(&named, position, &edit.seen, &draft, &who).await;
        Ok::<_, Refusal>((edited.map_err(failed)?, separator))
    });
    let (edited, separator) = edited.await??;
    let edited = or_refused(edited)?;
    Ok(json(Edited {
        message: Message::of(edited.now, &separator),
        was_approved: edited.was_approved,
        by,
    }))
}

fn or_refused<T>(done: Done<T>) -> Result<T, Refusal> {
    match done {
        Done::Done(done) => Ok(done),
        Done::Missing => Err(NO_CAMPAIGN),
        Done::Refused(why) => Err(Refusal::Conflict(why.to_string())),
    }
}
