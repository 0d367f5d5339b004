//! `POST /api/campaigns/…`: approves and rejects messages, changes one, and cancels a campaign.

use std::ops::RangeInclusive;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Path, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::shown::Message;
use super::{NO_CAMPAIGN, failed, statuses};
use crate::http::HttpState;
use crate::http::access::Caller;
use crate::http::api::acts::routes::Who;
use crate::http::api::{Pairs, Parameters, Refusal, confirmed, json, query, work};
use crate::http::jobs::Kind;
use crate::http::openapi::{Guarded, NotDecided, NotDone};
use crate::store::Store;
use crate::store::campaigns::{Decision, Done, Draft, Rows};
use crate::store::operator::{Actor, OperatorError};

/// Which messages of a campaign, and how many these are.
#[derive(IntoParams)]
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
}

/// What was decided, or would be.
#[derive(Serialize, ToSchema)]
struct Decided {
    /// False: the messages were only counted.
    is_done: bool,
    /// The messages that are meant.
    messages: u64,
    /// Those that were changed.
    changed: u64,
    /// Who decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    by: Option<String>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<String>,
}

/// A message as it is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CampaignEdit)]
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
#[derive(Serialize, ToSchema)]
#[schema(as = CampaignEdited)]
struct Edited {
    /// As it is now.
    message: Message,
    /// Its approval has ended by that.
    was_approved: bool,
    /// Who changed it.
    by: String,
}

/// Approves messages of a campaign: only these can be scheduled
#[utoipa::path(
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
)]
pub(in crate::http) async fn approve(
    State(state): State<HttpState>,
    Extension(caller): Extension<Caller>,
    Path(named): Path<String>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    decide(&state, caller, named, true, pairs).await
}

/// Rejects messages of a campaign, also approved ones that are not scheduled
#[utoipa::path(
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
)]
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
    let keys = ["rows", "q", "status", "confirm", "by"];
    let [rows, search, status, confirm, by] = Parameters::read(pairs, keys, false)?.own;
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
        Some(text) => text.split(',').map(row).collect::<Result<_, _>>()?,
        None => vec![(1..=i32::MAX).into()],
    };
    let decision = Decision {
        is_approved,
        of,
        rows,
        search,
    };
    let who = caller.actor(by.as_deref());
    let verb = if is_approved { "approve" } else { "reject" };
    counted(state, who, confirmed, verb, move |store, who| async move {
        store.decide(&named, &decision, &who, confirmed).await
    })
    .await
}

/// Cancels a campaign: nothing more of it is sent, nor can be scheduled
#[utoipa::path(
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
)]
pub(in crate::http) async fn cancel(
    State(state): State<HttpState>,
    Extension(caller): Extension<Caller>,
    Path(named): Path<String>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    let [confirm, by] = Parameters::read(pairs, ["confirm", "by"], false)?.own;
    let confirmed = confirmed(confirm.as_deref())?;
    let who = caller.actor(by.as_deref());
    counted(
        &state,
        who,
        confirmed,
        "cancel",
        move |store, who| async move { store.cancel_campaign(&named, &who, confirmed).await },
    )
    .await
}

/// An act that changes nothing before its number is confirmed.
async fn counted<F>(
    state: &HttpState,
    who: Actor,
    confirmed: Option<u64>,
    verb: &str,
    act: impl FnOnce(Store, Actor) -> F + Send + 'static,
) -> Result<Response, Refusal>
where
    F: Future<Output = Result<Done<u64>, OperatorError>> + Send + 'static,
{
    // Without a confirmation the messages are only counted.
    let kind = confirmed.map_or(Kind::List, |_| Kind::Act);
    let by = who.as_str().to_owned();
    let done = work(state, kind, move |store| act(store, who)).await?;
    Ok(json(match done {
        Ok(done) => {
            let changed = or_refused(done)?;
            Decided {
                is_done: true,
                messages: changed,
                changed,
                by: Some(by),
                detail: None,
            }
        }
        Err(OperatorError::Count {
            messages,
            confirmed: None,
        }) => Decided {
            is_done: false,
            messages,
            changed: 0,
            by: None,
            detail: Some(format!(
                "nothing was changed: to {verb} them, send the same request with confirm={messages}"
            )),
        },
        Err(error) => return Err(error.into()),
    }))
}

/// Changes name, number and text of a message that is not scheduled; an approval of it ends
///
/// In a body, unlike other acts: texts and numbers do not belong into addresses, which are logged.
#[utoipa::path(
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
)]
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

/// Reads `25`, `1-20` or `25@seen`.
fn row(text: &str) -> Result<Rows, Refusal> {
    let (range, seen) = text
        .split_once('@')
        .map_or((text, None), |(range, seen)| (range, Some(seen)));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let one = |text: &str| text.trim().parse::<i32>().ok().filter(|n| *n > 0);
    let positions: Option<RangeInclusive<i32>> =
        one(first).zip(one(last)).map(|(first, last)| first..=last);
    match positions {
        Some(positions) if !positions.is_empty() => Ok(Rows {
            positions,
            seen: seen.map(|seen| seen.trim().to_owned()),
        }),
        _ => Err(query("rows are positions and ranges of them, like 1-20,25")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_singly_as_ranges_and_as_they_were_seen() {
        for (text, read) in [
            ("25", Some((25..=25, None))),
            (" 1 - 20 ", Some((1..=20, None))),
            ("3@0af", Some((3..=3, Some("0af")))),
            ("20-1", None),
            ("0", None),
            ("@0af", None),
            ("", None),
        ] {
            let rows = row(text).ok();
            let found = rows
                .as_ref()
                .map(|rows| (rows.positions.clone(), rows.seen.as_deref()));
            assert_eq!(found, read, "{text}");
        }
    }
}
