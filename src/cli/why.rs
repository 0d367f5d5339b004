//! `punctual why ID`: shows the history of one message.

use std::fmt::Write as _;

use anyhow::bail;
use chrono::{DateTime, Local, Utc};
use serde_json::Value;
use uuid::Uuid;

use self::rows::Known;
use super::ask::Daemon;
use super::{output, session};
use crate::config::{Sources, debug_endpoint};
use crate::message::{Category, Channel, MessageId, Moment, counted};
use crate::store::story::{Story, StoryAttempt, StoryChange, StoryHold, StoryReceipt, StoryRow};

mod rows;

/// Show the history of one message: row, timer, attempts, receipts, and what will happen next.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  punctual why 00000000-0000-0000-0000-000000000001")]
pub(super) struct Args {
    /// Id of the message, or what it follows: a row of a source table, such as a delivery or a job, or an event
    #[arg(value_parser = super::message_id)]
    id: Uuid,
    /// Print JSON, with times in UTC
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let dsn = session::dsn(sources)?;
    let id = MessageId(args.id);
    let assumed = session::assumed(sources);
    let known = session::with(&dsn, async |client| {
        let story = Story::read(client, id, &assumed).await?;
        if story.is_empty() {
            return Known::of(client, args.id, &assumed).await;
        }
        let (rows, stories) = (Vec::new(), vec![story]);
        Ok(Known { rows, stories })
    })
    .await;
    let mut known = known?;
    if known.rows.is_empty() && known.stories.is_empty() {
        bail!("no message {id} in {dsn}, nor a row of the app's that a message follows");
    }
    for story in &mut known.stories {
        if let Some(response) = ask(story, sources).await {
            story.heard(timer(&response, story.id), hold(&response));
        }
    }
    if args.json {
        return output::print(&format!("{}\n", known.json()?));
    }
    output::print(&known.text(show))
}

/// The response of a daemon about it, if one runs. Without one the rest is shown.
async fn ask(story: &Story, sources: &Sources) -> Option<Value> {
    let endpoint = debug_endpoint(sources).ok()?;
    let daemon = Daemon::here(&endpoint).await.ok()?;
    let id = story.id.to_string();
    let query = [("id", id.as_str())];
    let (_, body) = daemon.get(&["debug", "timers"], &query).await.ok()?;
    serde_json::from_str(&body).ok()
}

fn timer(response: &Value, id: MessageId) -> Option<Value> {
    let timers = response.get("timers")?.as_array()?;
    let id = id.to_string();
    let own = timers
        .iter()
        .find(|t| t.get("id").and_then(Value::as_str) == Some(&id));
    own.cloned()
}

fn hold(response: &Value) -> Option<StoryHold> {
    let restore = response.get("restore")?;
    let word = |key| restore.get(key).and_then(Value::as_str);
    let before: DateTime<Utc> = word("held_before")?.parse().ok()?;
    Some(StoryHold {
        before: before.into(),
        reason: word("reason").map(Into::into),
    })
}

/// Local time for people.
pub(super) fn local(at: Moment) -> String {
    at.to_utc().map_or_else(
        || at.to_string(),
        |t| {
            let local = t.with_timezone(&Local);
            local.format("%Y-%m-%d %H:%M:%S%.6f %:z").to_string()
        },
    )
}

fn show(story: &Story) -> String {
    let mut text = format!("message {}\n", story.id);
    match &story.row {
        Some(row) => show_row(&mut text, row),
        None => text.push_str("  its row has been deleted\n"),
    }
    if let Some(timer) = &story.timer {
        let word = |key| timer.get(key).and_then(Value::as_str).unwrap_or("?");
        let _ = writeln!(
            text,
            "  timer         {} by {}",
            word("state"),
            word("owner")
        );
    }
    if let Some(hold) = &story.hold {
        let _ = writeln!(
            text,
            "  quarantine    due before {}, when the database was restored",
            local(hold.before)
        );
    }
    let mut has_begun = false;
    for attempt in &story.attempts {
        // A retry is not late again. With a pace lateness counts from the slot, which is not kept.
        let row = story.row.as_ref();
        let timed = row.filter(|row| row.pace.is_none() && !has_begun);
        let of_parts = row.is_some_and(|row| row.parts.is_some());
        show_attempt(&mut text, attempt, of_parts, timed.map(|row| row.wanted_at));
        has_begun |= attempt.started_at.is_some();
    }
    for receipt in &story.receipts {
        show_receipt(&mut text, receipt);
    }
    for note in &story.notes {
        let _ = writeln!(text, "note\n  {}  {}", local(note.at), note.note);
    }
    for change in &story.changes {
        show_change(&mut text, change);
    }
    for write in &story.outbox {
        let _ = writeln!(
            text,
            "outbox\n  the app's tables refused the sent message {} time{}: {}\n  next retry {}",
            write.attempts + 1,
            if write.attempts == 0 { "" } else { "s" },
            write.last_error,
            local(write.next_attempt_at),
        );
        if let Some(words) = &write.app_error {
            let _ = writeln!(
                text,
                "  in the app's own words: {}",
                output::one_line(words)
            );
        }
    }
    let _ = writeln!(text, "next\n  {}", output::with_times(&story.next, local));
    let unknown = story.forecast.iter().flat_map(|forecast| &forecast.unknown);
    for unknown in unknown {
        let _ = writeln!(text, "  not known: {unknown}");
    }
    text
}

fn show_row(text: &mut String, row: &StoryRow) {
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(text, "  {name:<14}{}", output::one_line(&value));
        }
    };
    line("status", Some(row.status.clone()));
    let channel = Some(row.channel).filter(|channel| *channel != Channel::Sms.as_str());
    line("channel", channel.map(str::to_owned));
    line(
        "to",
        Some(format!(
            "{}, {}, {}",
            row.to,
            counted(row.characters, "character", "characters"),
            row.segments
        )),
    );
    line(
        "parts",
        row.parts.as_ref().map(|parts| format!("{parts} sent")),
    );
    line("scheduled", Some(local(row.scheduled_at)));
    line("requeued", row.requeued_at.map(local));
    line("deferred", row.deferred_until.map(local));
    line("reason", row.deferred_reason.clone());
    line("next attempt", row.next_attempt_at.map(local));
    line("paused", row.paused_by.clone());
    line("pace", row.pace.as_ref().map(|pace| format!("of {pace}")));
    line("send before", row.send_before.map(local));
    line("in_doubt", row.in_doubt.clone());
    line("sent", row.sent_at.map(local));
    line("delivered", row.delivered_at.map(local));
    line("cancelled", row.cancelled_at.map(local));
    line("reason", row.cancel_reason.clone());
    line("error", row.error_message.clone());
    line("twilio", row.twilio_sid.clone());
    for warning in &row.warnings {
        line(
            "note",
            Some(format!("{warning}; the next valid time zone applies")),
        );
    }
}

/// `of_parts`: the message is sent in parts. `wanted_at`: from when its lateness counts.
fn show_attempt(
    text: &mut String,
    attempt: &StoryAttempt,
    of_parts: bool,
    wanted_at: Option<Moment>,
) {
    let outcome = attempt.outcome.as_deref().unwrap_or("in flight");
    let part = of_parts.then(|| format!(", part {}", attempt.part));
    let part = part.unwrap_or_default();
    let _ = writeln!(text, "attempt {}{part}: {outcome}", attempt.number);
    let _ = writeln!(
        text,
        "  claimed       {} by {}",
        local(attempt.claimed_at),
        attempt.instance
    );
    if let Some(started) = attempt.started_at {
        let late = wanted_at.map(|at| started.micros_from(at));
        // Of a part that was not the first it counts from another moment.
        let late = late.filter(|us| *us >= 0 && attempt.part == 1).map(|us| {
            let (ms, us) = (us / 1_000, us % 1_000);
            format!(" ({ms}.{us:03} ms late)")
        });
        let _ = writeln!(
            text,
            "  request       {}{}",
            local(started),
            late.unwrap_or_default()
        );
    }
    if let Some(lawful) = &attempt.lawful {
        let _ = writeln!(text, "  lawful hours  {lawful}");
    }
    if let Some(finished) = attempt.finished_at {
        let _ = writeln!(text, "  finished      {}", local(finished));
    }
    if let Some(sid) = &attempt.provider_sid {
        let _ = writeln!(text, "  twilio        {sid}");
    }
    if let Some(receipt) = &attempt.receipt_status {
        let _ = writeln!(text, "  last status   {receipt}");
    }
    if let Some(category) = &attempt.category {
        let severity = Category::of(category).map(|kind| kind.severity().as_str());
        let severity = severity.map(|of| format!(" (severity {of})"));
        let _ = writeln!(
            text,
            "  category      {category}{}",
            severity.unwrap_or_default()
        );
    }
    if let Some(error) = &attempt.error {
        let _ = writeln!(text, "  error         {error}");
    }
    if let (Some(note), Some(at)) = (&attempt.ask_note, attempt.asked_at) {
        let at = local(at);
        let _ = match attempt.asked {
            0 => writeln!(text, "  look-up       no response yet, at {at}: {note}"),
            1 => writeln!(text, "  looked up     once, at {at}: {note}"),
            n => writeln!(text, "  looked up     {n} times, last at {at}: {note}"),
        };
    }
    if let Some(at) = attempt.next_ask_at {
        let _ = writeln!(text, "  next look-up  {}", local(at));
    }
    if let (Some(by), Some(at)) = (&attempt.settled_by, attempt.settled_at) {
        let _ = writeln!(text, "  settled       {} by {by}", local(at));
    }
}

fn show_receipt(text: &mut String, receipt: &StoryReceipt) {
    let about = receipt.number.map(|n| format!(" (attempt {n})"));
    let code = receipt.error_code.map(|code| format!(" (Code: {code})"));
    let became = match (&receipt.row_status, receipt.effect.as_str()) {
        (_, "contradicted") => ", which contradicts the recorded status".to_owned(),
        (Some(status), _) => format!(": the message became {status}"),
        (None, _) => String::new(),
    };
    let _ = writeln!(
        text,
        "callback{} at {}\n  {}{}{became}",
        about.unwrap_or_default(),
        local(receipt.received_at),
        receipt.status,
        code.unwrap_or_default(),
    );
}

fn show_change(text: &mut String, change: &StoryChange) {
    let said = [
        ("as", &change.actor),
        ("subject", &change.subject),
        ("application", &change.application),
    ];
    let said = said
        .iter()
        .filter_map(|(name, value)| Some(format!("{name} {}", value.as_deref()?)))
        .collect::<Vec<_>>()
        .join(", ");
    let said = if said.is_empty() {
        said
    } else {
        format!(" ({said})")
    };
    let who = output::one_line(&format!("{}{said}", change.role));
    let _ = writeln!(
        text,
        "{} by {who}\n  at            {}",
        change.op,
        local(change.at)
    );
    for edit in &change.columns {
        let value =
            |value: &Option<String>| value.as_deref().map_or("none".into(), output::one_line);
        let _ = match change.op.as_str() {
            "delete" => writeln!(text, "  {:<14}was {}", edit.column, value(&edit.old)),
            _ => writeln!(
                text,
                "  {:<14}{} → {}",
                edit.column,
                value(&edit.old),
                value(&edit.new)
            ),
        };
    }
}
