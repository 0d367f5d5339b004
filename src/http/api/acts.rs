//! `POST /api/messages/…`: acts on one message, and on all of a filter once their number is confirmed.

pub(in crate::http) mod routes;

use std::time::Duration;

use axum::response::Response;
use serde::Serialize;

use super::{Pairs, Parameters, Refusal, confirmed, flag, json, named, query, work};
use crate::http::HttpState;
use crate::http::access::Caller;
use crate::http::jobs::Kind;
use crate::message::filter::time;
use crate::message::{Filter, MessageId, Moment};
use crate::provider;
use crate::store::operator::{Act, Acted, NewTime, OperatorError};
use crate::store::resolve::Decision;
use crate::store::{Store, StoreError};

/// The parameters of acts.
const OWN: [&str; 8] = [
    "at", "later", "earlier", "past_ok", "decision", "sid", "by", "confirm",
];

type Own = [Option<String>; 8];

#[derive(Clone, Copy)]
enum Verb {
    Cancel,
    Reschedule,
    Retry,
    Resolve,
}

impl Verb {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Reschedule => "reschedule",
            Self::Retry => "retry",
            Self::Resolve => "resolve",
        }
    }

    /// The parameters that say what is to be done.
    const fn takes(self) -> &'static [&'static str] {
        match self {
            Self::Cancel => &[],
            Self::Reschedule => &["at", "later", "earlier", "past_ok"],
            Self::Retry => &["at"],
            Self::Resolve => &["decision", "sid"],
        }
    }
}

/// An act as it is requested. Times are compared with the database's.
struct Requested {
    act: Act,
    past_ok: bool,
}

/// What was done to one message.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = Act))]
pub(super) struct One {
    /// Which one.
    id: MessageId,
    /// Its status now.
    status: &'static str,
    /// False: it was so already.
    changed: bool,
    /// Who decided.
    by: String,
}

/// What was done, or would be, to the messages of a filter.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = Acts))]
pub(super) struct Many<'a> {
    /// False: they were only counted.
    is_done: bool,
    /// The messages that the act applies to.
    messages: u64,
    /// Those that were changed.
    changed: u64,
    /// Those that were claimed, ended or changed by others meanwhile, or are not to be changed so.
    skipped: u64,
    /// Who decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    by: Option<&'a str>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    detail: Option<String>,
}

async fn on_one(
    state: &HttpState,
    caller: Caller,
    id: &str,
    verb: Verb,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    let known = [verb.takes(), &["by"]].concat();
    let Parameters { own, .. } = Parameters::read_some(pairs, OWN, &known, false)?;
    let requested = requested(verb, &own)?;
    let [.., by, confirm] = own;
    if confirm.is_some() {
        return Err(query(
            "confirm is for the messages of a filter: leave it out",
        ));
    }
    let who = caller.actor(by.as_deref());
    let id = named(state, id).await?;
    let status = requested.act.status().as_str();
    let by = who.as_str().to_owned();
    let acted = work(state, Kind::Act, move |store| async move {
        let act = requested.now(&store).await?;
        store.act(id, &act, &who).await.map_err(failed)
    });
    let changed = match acted.await?? {
        Acted::Done => true,
        Acted::Already => false,
        Acted::Refused(why) => return Err(Refusal::Conflict(why)),
        Acted::Missing => return Err(Refusal::Missing),
    };
    Ok(json(One {
        id,
        status,
        changed,
        by,
    }))
}

async fn on_all(
    state: &HttpState,
    caller: Caller,
    verb: Verb,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    // A sid is that of one message.
    let takes = verb.takes().iter().copied().filter(|name| *name != "sid");
    let known: Vec<_> = takes.chain(["confirm", "by"]).collect();
    let Parameters { own, filter } = Parameters::read_some(pairs, OWN, &known, true)?;
    let requested = requested(verb, &own)?;
    if filter == Filter::default() {
        return Err(query(
            "name the messages with a filter, such as status, from and to, campaign or user; status alone is all of \
             them in that status",
        ));
    }
    if matches!(requested.act, Act::Resolve(Decision::Sent(Some(_)))) {
        return Err(query(
            "a sid is that of one message: leave it out, or name the message",
        ));
    }
    let [.., by, confirm] = own;
    let confirmed = confirmed(confirm.as_deref())?;
    let who = caller.actor(by.as_deref());
    let by = who.as_str().to_owned();
    // Without a confirmation the messages are only counted.
    let kind = confirmed.map_or(Kind::List, |_| Kind::Act);
    let done = work(state, kind, move |store| async move {
        let act = requested.now(&store).await?;
        let done = store.act_on_all(&filter, &act, &who, confirmed).await;
        Ok::<_, Refusal>((act, done))
    });
    let many = match done.await?? {
        (_, Ok(done)) => Many {
            is_done: true,
            messages: done.changed + done.skipped,
            changed: done.changed,
            skipped: done.skipped,
            by: Some(&by),
            detail: None,
        },
        (
            act,
            Err(OperatorError::Count {
                messages,
                confirmed: None,
            }),
        ) => Many {
            is_done: false,
            messages,
            changed: 0,
            skipped: 0,
            by: None,
            detail: Some(format!(
                "nothing was changed: to {} them, send the same request with confirm={messages}",
                act.as_str()
            )),
        },
        (_, Err(error)) => return Err(error.into()),
    };
    Ok(json(many))
}

/// A row that the database refuses to change is no failure of the database.
fn failed(error: StoreError) -> Refusal {
    if error.is_about_a_row() {
        return Refusal::Conflict(error.to_string());
    }
    Refusal::Store("an act of an operator", error)
}

impl Requested {
    /// The act, by the database's time now.
    async fn now(self, store: &Store) -> Result<Act, Refusal> {
        let at = match &self.act {
            Act::Retry(Some(at)) => *at,
            Act::Reschedule(NewTime::At(at)) if !self.past_ok => *at,
            _ => return Ok(self.act),
        };
        let now = store.now().await.map_err(failed)?;
        match self.act {
            // One that has passed means now: it is not the time that lateness would count from.
            Act::Retry(_) => Ok(Act::Retry(Some(at).filter(|at| *at > now))),
            _ if at < now => Err(query(format!(
                "at has passed: it is {now}. With past_ok=1 messages are sent at once, or cancelled if older than the \
                 allowed lateness"
            ))),
            act => Ok(act),
        }
    }
}

/// Reads the parameters of an act. One of another act is refused, because it would have no effect.
fn requested(verb: Verb, own: &Own) -> Result<Requested, Refusal> {
    let [at, later, earlier, past_ok, decision, sid, ..] = own;
    let (takes, of) = (verb.takes(), verb.as_str());
    let given = OWN
        .iter()
        .zip(own)
        .take(6)
        .filter(|(_, value)| value.is_some());
    if let Some((name, _)) = given.into_iter().find(|(name, _)| !takes.contains(name)) {
        return Err(query(format!("{name} is not a parameter of {of}")));
    }
    let at = at.as_deref().map(|text| time("at", text)).transpose()?;
    let past_ok = flag("past_ok", past_ok.as_deref())?;
    let act = match verb {
        Verb::Cancel => Act::Cancel,
        Verb::Retry => Act::Retry(at),
        Verb::Reschedule => {
            Act::Reschedule(new_time(at, later.as_deref(), earlier.as_deref(), past_ok)?)
        }
        Verb::Resolve => Act::Resolve(to_decision(decision.as_deref(), sid.as_deref())?),
    };
    Ok(Requested { act, past_ok })
}

fn new_time(
    at: Option<Moment>,
    later: Option<&str>,
    earlier: Option<&str>,
    past_ok: bool,
) -> Result<NewTime, Refusal> {
    let by = |name: &str, text: &str| {
        let duration = humantime::parse_duration(text);
        let us = duration.map(|by: Duration| i64::try_from(by.as_micros()));
        match us {
            Ok(Ok(us)) => Ok(us),
            _ => Err(query(format!("{name} is a duration like 30m or 1h 30m"))),
        }
    };
    match (at, later, earlier) {
        (Some(at), None, None) => Ok(NewTime::At(at)),
        (None, Some(text), None) => by("later", text).map(|us| NewTime::By { us, past_ok }),
        (None, None, Some(text)) => by("earlier", text).map(|us| NewTime::By { us: -us, past_ok }),
        _ => Err(query(
            "reschedule takes one of at (a time), later and earlier (durations like 30m)",
        )),
    }
}

fn to_decision(decision: Option<&str>, sid: Option<&str>) -> Result<Decision, Refusal> {
    match (decision, sid) {
        (Some("sent"), sid) => Ok(Decision::Sent(
            sid.map(provider::sid).transpose().map_err(query)?,
        )),
        (Some("resend"), None) => Ok(Decision::Resend),
        (Some("cancel"), None) => Ok(Decision::Cancel),
        (Some("resend" | "cancel"), Some(_)) => Err(query("a sid goes with decision=sent")),
        _ => Err(query(
            "decision is sent (with the provider's sid if it is known), resend or cancel",
        )),
    }
}
