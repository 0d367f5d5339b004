//! What is compared: names, and what is so under each.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::time::Duration;

use punctual::message::{Claim, Moment, PaceId, PacedResponse, PauseKey, RowState};
use punctual::reactor::Upcoming;
use uuid::Uuid;

use crate::deed::{name, token_name};
use crate::model::{Attempt, Pace, Row};

/// Something that both must agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    Word(String),
    /// The database reads its clock within a step, the model has the one from before it.
    Time(Moment),
}

pub(crate) type Facts = BTreeMap<String, Fact>;

#[allow(
    clippy::needless_pass_by_value,
    reason = "words and numbers, passed as they come"
)]
pub(crate) fn word(facts: &mut Facts, key: impl Into<String>, value: impl Display) {
    facts.insert(key.into(), Fact::Word(value.to_string()));
}

pub(crate) fn time(facts: &mut Facts, key: impl Into<String>, value: Option<Moment>) {
    let fact = value.map_or_else(|| Fact::Word("none".into()), Fact::Time);
    facts.insert(key.into(), fact);
}

/// Where `real` is not as `expected`. A moment that a step of length `span` took from the clock may differ by as much.
pub(crate) fn differences(expected: &Facts, real: &Facts, span: Duration) -> Vec<String> {
    let keys: BTreeSet<_> = expected.keys().chain(real.keys()).collect();
    let micros = u64::try_from(span.as_micros()).unwrap();
    let agree = |key: &str| match (expected.get(key), real.get(key)) {
        (Some(Fact::Time(model)), Some(Fact::Time(real))) => {
            model.micros_from(*real).unsigned_abs() <= micros
        }
        (model, real) => model == real,
    };
    keys.into_iter()
        .filter(|key| !agree(key))
        .map(|key| {
            let (model, real) = (expected.get(key), real.get(key));
            format!("{key}: the model has {model:?}, the database {real:?}")
        })
        .collect()
}

pub(crate) fn of_row(facts: &mut Facts, row: &Row) {
    let n = name(row.id);
    word(facts, format!("row {n} status"), row.status.as_str());
    word(facts, format!("row {n} channel"), row.channel.as_str());
    word(facts, format!("row {n} to"), &row.to);
    word(facts, format!("row {n} body"), &row.body);
    word(facts, format!("row {n} attempts"), row.attempts);
    let total = row.parts_total.map_or("none".into(), |n| n.to_string());
    word(
        facts,
        format!("row {n} parts"),
        format!("{} of {total}", row.parts_done),
    );
    word(facts, format!("row {n} version"), row.version);
    word(
        facts,
        format!("row {n} reason"),
        row.reason.as_deref().unwrap_or("none"),
    );
    word(
        facts,
        format!("row {n} sid"),
        row.sid.as_deref().unwrap_or("none"),
    );
    time(
        facts,
        format!("row {n} scheduled_at"),
        Some(row.scheduled_at),
    );
    time(facts, format!("row {n} deferred_until"), row.deferred_until);
    time(
        facts,
        format!("row {n} next_attempt_at"),
        row.next_attempt_at,
    );
    time(facts, format!("row {n} requeued_at"), row.requeued_at);
    time(facts, format!("row {n} sent_at"), row.sent_at);
}

pub(crate) fn of_attempt(facts: &mut Facts, attempt: &Attempt) {
    let n = token_name(attempt.token);
    word(facts, format!("attempt {n} message"), name(attempt.message));
    word(facts, format!("attempt {n} number"), attempt.number);
    let texts = attempt.texts.join(" | ");
    word(
        facts,
        format!("attempt {n} part"),
        format!("{} {texts}", attempt.part),
    );
    word(facts, format!("attempt {n} instance"), attempt.instance);
    time(facts, format!("attempt {n} started"), attempt.started);
    word(
        facts,
        format!("attempt {n} outcome"),
        attempt.outcome.unwrap_or("none"),
    );
    time(
        facts,
        format!("attempt {n} claimed_at"),
        Some(attempt.claimed_at),
    );
    time(
        facts,
        format!("attempt {n} lease_until"),
        Some(attempt.lease_until),
    );
}

pub(crate) fn of_pauses(facts: &mut Facts, pauses: &BTreeMap<PauseKey, Moment>) {
    for (key, until) in pauses {
        time(facts, format!("pause of {key:?} until"), Some(*until));
    }
}

pub(crate) fn of_paces(facts: &mut Facts, paces: &BTreeMap<Uuid, Pace>) {
    for (campaign, pace) in paces {
        let key = format!("pace of {campaign}");
        let token = pace.token.map_or(0, token_name);
        let (gaps, position) = (pace.gaps, pace.position);
        word(
            facts,
            &key,
            format!("gaps {gaps:?}, position {position}, token {token}"),
        );
        time(facts, format!("{key} next"), Some(pace.next));
        time(facts, format!("{key} slot"), pace.slot);
    }
}

pub(crate) fn of_paced(facts: &mut Facts, id: PaceId, answer: &PacedResponse<Claim>) {
    let key = format!("pace {id}");
    match answer {
        PacedResponse::Won(paced) => {
            of_claim(facts, &paced.claim);
            word(facts, &key, format!("won {}", name(paced.id)));
            time(facts, format!("{key} latest"), Some(paced.latest));
            time(facts, format!("{key} next"), Some(paced.next));
        }
        PacedResponse::Wait(due) => {
            let line = format!("waits, {} {}, lane {}", due.scope, due.what, due.lane);
            word(facts, &key, line);
            time(facts, format!("{key} at"), Some(due.at));
        }
        PacedResponse::OptedOut(id) => word(facts, &key, format!("cancelled {}", name(*id))),
        PacedResponse::Idle => word(facts, &key, "idle"),
    }
}

pub(crate) fn of_state(facts: &mut Facts, key: &str, state: &RowState) {
    match state {
        RowState::Pending {
            due,
            version,
            attempts,
            lane,
            pace,
            ..
        } => {
            word(
                facts,
                key,
                format!("pending, version {version}, attempts {attempts}, lane {lane}"),
            );
            if let Some(pace) = pace {
                word(facts, format!("{key} pace"), pace.id);
                time(facts, format!("{key} pace at"), Some(pace.at));
            }
            time(facts, format!("{key} due"), Some(*due));
        }
        RowState::Sending { lease_until, lane } => {
            word(facts, key, format!("sending, lane {lane}"));
            time(facts, format!("{key} lease_until"), Some(*lease_until));
        }
        RowState::Gone { status } => {
            word(
                facts,
                key,
                status.map_or("absent", punctual::message::Status::as_str),
            );
        }
    }
}

pub(crate) fn of_claim(facts: &mut Facts, claim: &Claim) {
    let n = name(claim.id);
    let line = format!(
        "token {}, number {}, {} of {}, retry {}, lane {}, to {}, {}, part {}: {:?}",
        token_name(claim.token),
        claim.number,
        claim.attempts_before,
        claim.max_attempts,
        claim.is_retry,
        claim.lane,
        claim.to_number,
        claim.body,
        claim.part,
        claim.part_text,
    );
    word(facts, format!("won {n}"), line);
    time(facts, format!("won {n} due"), Some(claim.due));
    time(facts, format!("won {n} wanted_at"), Some(claim.wanted_at));
}

pub(crate) fn of_upcoming(facts: &mut Facts, row: &Upcoming) {
    let n = name(row.id);
    let line = format!(
        "version {}, attempts {}, lane {}",
        row.version, row.attempts, row.lane
    );
    word(facts, format!("loaded {n}"), line);
    time(facts, format!("loaded {n} due"), Some(row.due));
}
