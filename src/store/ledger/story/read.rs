//! Reads what the statements return of a message.

use tokio_postgres::Row;

use super::{StoryAttempt, StoryNote, StoryReceipt, StoryRow, StoryWrite};
use crate::clock::ZoneData;
use crate::message::facts::Preferences;
use crate::message::parts::split;
use crate::message::segments::Segments;
use crate::message::{Address, AttemptToken, Channel, Facts, InstanceId, Moment};
use crate::policy::{Rule, Rules, ZoneWarning, zone_of};
use crate::store::path::paces::shown;
use crate::store::session::timestamp::PgTimestamp;

pub(super) fn at(row: &Row, column: &str) -> Result<Moment, tokio_postgres::Error> {
    Ok(row.try_get::<_, PgTimestamp>(column)?.0)
}

fn maybe_at(row: &Row, column: &str) -> Result<Option<Moment>, tokio_postgres::Error> {
    Ok(row
        .try_get::<_, Option<PgTimestamp>>(column)?
        .map(|at| at.0))
}

pub(super) fn row(row: &Row) -> Result<StoryRow, tokio_postgres::Error> {
    let to: &str = row.try_get("to_number")?;
    let channel = Channel::of(row.try_get("channel")?);
    let text: &str = row.try_get("text")?;
    let texts = texts(row, channel, text)?;
    let done: i16 = row.try_get("parts_done")?;
    let total: i16 = row.try_get("parts_total")?;
    let total = usize::try_from(total).unwrap_or(1).max(texts.len());
    Ok(StoryRow {
        status: row.try_get("status")?,
        channel: channel.as_str(),
        to: Address::masked_of(channel, to),
        characters: texts.iter().map(|text| text.chars().count()).sum(),
        segments: Segments::of_all(&texts),
        parts: (total > 1).then(|| format!("{done} of {total}")),
        scheduled_at: at(row, "scheduled_at")?,
        due: at(row, "due")?,
        wanted_at: at(row, "wanted_at")?,
        deferred_until: maybe_at(row, "deferred_until")?,
        deferred_reason: row.try_get("deferred_reason")?,
        next_attempt_at: maybe_at(row, "next_attempt_at")?,
        paused_by: row.try_get("paused_by")?,
        requeued_at: maybe_at(row, "requeued_at")?,
        send_before: maybe_at(row, "send_before")?,
        sent_at: maybe_at(row, "sent_at")?,
        delivered_at: maybe_at(row, "delivered_at")?,
        cancelled_at: maybe_at(row, "cancelled_at")?,
        cancel_reason: row.try_get("cancel_reason")?,
        error_message: row.try_get("error_message")?,
        error_code: row.try_get("error_code")?,
        twilio_sid: row.try_get("twilio_sid")?,
        attempts: row.try_get("attempts")?,
        max_attempts: row.try_get("max_attempts")?,
        version: row.try_get("version")?,
        in_doubt: row.try_get("in_doubt")?,
        pace: paces(row)?,
        warnings: zone_warnings(row.try_get("timezone")?, row.try_get("their_timezone")?),
    })
}

/// The paces as people see them: senders are masked.
fn paces(row: &Row) -> Result<Option<String>, tokio_postgres::Error> {
    let scopes: Option<Vec<String>> = row.try_get("pace_scopes")?;
    let whats: Option<Vec<String>> = row.try_get("pace_whats")?;
    let named = scopes.zip(whats).map(|(scopes, whats)| {
        let both = scopes.iter().zip(&whats);
        let all = both.map(|(scope, what)| format!("{scope} {}", shown(scope, what)));
        all.collect::<Vec<_>>().join(" and ")
    });
    Ok(named)
}

/// The texts that are sent: those that were kept, or as the running daemon would divide it.
fn texts(row: &Row, channel: Channel, text: &str) -> Result<Vec<String>, tokio_postgres::Error> {
    let kept: Option<Vec<String>> = row.try_get("texts")?;
    let separator: &str = row.try_get("separator")?;
    let separator = Some(separator).filter(|_| Rule::Parts.holds(channel));
    let divided = || split(text, separator).into_iter().map(ToOwned::to_owned);
    Ok(kept.unwrap_or_else(|| divided().collect()))
}

/// What is wrong with its time zones, as the instance that judged it has logged it, with the names of the zones.
fn zone_warnings(own: Option<String>, theirs: Option<String>) -> Vec<String> {
    let facts = Facts {
        timezone: own,
        preferences: Some(Preferences {
            timezone: theirs,
            ..Preferences::default()
        }),
        ..Facts::default()
    };
    let rules = Rules {
        zones: ZoneData::newest().zones,
        ..Rules::default()
    };
    let warnings = zone_of(&facts, &rules).warnings;
    warnings.iter().map(ZoneWarning::with_name).collect()
}

pub(super) fn attempt(row: &Row) -> Result<StoryAttempt, tokio_postgres::Error> {
    Ok(StoryAttempt {
        number: row.try_get("number")?,
        part: row.try_get::<_, i16>("part")? + 1,
        token: AttemptToken(row.try_get("token")?),
        instance: InstanceId(row.try_get("instance")?),
        claimed_at: at(row, "claimed_at")?,
        lease_until: at(row, "lease_until")?,
        started_at: maybe_at(row, "started_at")?,
        finished_at: maybe_at(row, "finished_at")?,
        outcome: row.try_get("outcome")?,
        provider_sid: row.try_get("provider_sid")?,
        code: row.try_get("code")?,
        category: row.try_get("category")?,
        error: row.try_get("error")?,
        receipt_status: row.try_get("receipt_status")?,
        asked: row.try_get("lookups")?,
        asked_at: maybe_at(row, "looked_up_at")?,
        ask_note: row.try_get("lookup_note")?,
        next_ask_at: maybe_at(row, "next_lookup_at")?,
        settled_by: row.try_get("settled_by")?,
        settled_at: maybe_at(row, "settled_at")?,
        lawful: row.try_get("lawful")?,
    })
}

pub(super) fn receipt(row: &Row) -> Result<StoryReceipt, tokio_postgres::Error> {
    Ok(StoryReceipt {
        number: row.try_get("number")?,
        provider_sid: row.try_get("provider_sid")?,
        status: row.try_get("status")?,
        error_code: row.try_get("error_code")?,
        effect: row.try_get("effect")?,
        row_status: row.try_get("row_status")?,
        received_at: at(row, "received_at")?,
    })
}

pub(super) fn note(row: &Row) -> Result<StoryNote, tokio_postgres::Error> {
    Ok(StoryNote {
        at: at(row, "at")?,
        note: row.try_get("note")?,
    })
}

pub(super) fn write(row: &Row) -> Result<StoryWrite, tokio_postgres::Error> {
    Ok(StoryWrite {
        attempts: row.try_get("attempts")?,
        next_attempt_at: at(row, "next_attempt_at")?,
        last_error: row.try_get("last_error")?,
        app_error: row.try_get("app_error")?,
        created_at: at(row, "created_at")?,
    })
}
