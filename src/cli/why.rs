//! `punctual why ID`.

use std::fmt::Write as _;

use anyhow::bail;
use chrono::Local;
use uuid::Uuid;

use super::{output, session};
use crate::config::Sources;
use crate::message::{MessageId, Moment, Status};
use crate::store::story::{Story, StoryAttempt, StoryRow};

/// Tells the story of one message: its row, its attempts, and what happens next.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  punctual why 00000000-0000-0000-0000-000000000001")]
pub(super) struct Args {
    /// The message's id, as the table has it
    #[arg(value_parser = super::message_id)]
    id: Uuid,
    /// Print JSON, with times in UTC
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let dsn = session::dsn(sources)?;
    let id = MessageId(args.id);
    let story = session::with(&dsn, async |client| Ok(Story::read(client, id).await?)).await?;
    if story.row.is_none() && story.attempts.is_empty() {
        bail!("there is no message {id} in {dsn}");
    }
    if args.json {
        let text = serde_json::to_string_pretty(&story)?;
        return output::print(&format!("{text}\n"));
    }
    output::print(&tell(&story))
}

/// Local time for people.
fn local(at: Moment) -> String {
    at.to_utc().map_or_else(
        || at.to_string(),
        |t| {
            let local = t.with_timezone(&Local);
            local.format("%Y-%m-%d %H:%M:%S%.6f %:z").to_string()
        },
    )
}

fn tell(story: &Story) -> String {
    let mut text = format!("message {}\n", story.id);
    match &story.row {
        Some(row) => tell_row(&mut text, row),
        None => text.push_str("  its row has been deleted\n"),
    }
    for attempt in &story.attempts {
        tell_attempt(&mut text, attempt, story.row.as_ref());
    }
    for write in &story.outbox {
        let _ = writeln!(
            text,
            "outbox\n  the app's tables refused the sent message {} time{}: {}\n  tried again {}",
            write.attempts + 1,
            if write.attempts == 0 { "" } else { "s" },
            write.last_error,
            local(write.next_attempt_at),
        );
    }
    let _ = writeln!(text, "next\n  {}", next(story));
    text
}

fn tell_row(text: &mut String, row: &StoryRow) {
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(text, "  {name:<14}{value}");
        }
    };
    line("status", Some(row.status.clone()));
    line(
        "to",
        Some(format!(
            "{}, {} characters, {}",
            row.to, row.characters, row.segments
        )),
    );
    line("scheduled", Some(local(row.scheduled_at)));
    line("put back", row.requeued_at.map(local));
    line("deferred", row.deferred_until.map(local));
    line("because", row.deferred_reason.clone());
    line("next attempt", row.next_attempt_at.map(local));
    line("not after", row.send_before.map(local));
    line("sent", row.sent_at.map(local));
    line("delivered", row.delivered_at.map(local));
    line("cancelled", row.cancelled_at.map(local));
    line("because", row.cancel_reason.clone());
    line("error", row.error_message.clone());
    line("twilio", row.twilio_sid.clone());
}

fn tell_attempt(text: &mut String, attempt: &StoryAttempt, row: Option<&StoryRow>) {
    let outcome = attempt.outcome.as_deref().unwrap_or("in flight");
    let _ = writeln!(text, "attempt {}: {outcome}", attempt.number);
    let _ = writeln!(
        text,
        "  claimed       {} by {}",
        local(attempt.claimed_at),
        attempt.instance
    );
    if let Some(started) = attempt.started_at {
        let late = row.map(|row| started.micros_from(row.wanted_at));
        let late = late.filter(|us| *us >= 0).map(|us| {
            let (ms, us) = (us / 1_000, us % 1_000);
            format!(", {ms}.{us:03} ms after its time")
        });
        let _ = writeln!(
            text,
            "  request       {}{}",
            local(started),
            late.unwrap_or_default()
        );
    }
    if let Some(finished) = attempt.finished_at {
        let _ = writeln!(text, "  over          {}", local(finished));
    }
    if let Some(sid) = &attempt.provider_sid {
        let _ = writeln!(text, "  twilio        {sid}");
    }
    if let Some(receipt) = &attempt.receipt_status {
        let _ = writeln!(text, "  reported      {receipt}");
    }
    if let Some(category) = &attempt.category {
        let _ = writeln!(text, "  refused as    {category}");
    }
    if let Some(error) = &attempt.error {
        let _ = writeln!(text, "  because       {error}");
    }
}

/// What happens next, for a person who wonders.
fn next(story: &Story) -> String {
    let Some(row) = &story.row else {
        return "nothing: the row is gone; the attempts are kept".into();
    };
    match row.known_status() {
        Some(Status::Pending) => format!("it is sent at {}, or at once if that has passed", local(row.due)),
        Some(Status::Sending) => {
            let lease = story.attempts.iter().rfind(|a| a.outcome.is_none());
            match lease {
                Some(open) => format!(
                    "it is being sent; if its instance dies, it is unconfirmed after {}",
                    local(open.lease_until)
                ),
                None => "it is marked as being sent, but no attempt is open: somebody else has \
                         changed the row"
                    .into(),
            }
        }
        Some(Status::Sent) if story.outbox.is_empty() => "nothing: it was sent".into(),
        Some(Status::Sent) => "it was sent; its row in messages is tried again".into(),
        Some(Status::Delivered) => "nothing: it has arrived".into(),
        Some(Status::Failed | Status::Cancelled) => {
            "nothing, unless somebody puts it back to pending".into()
        }
        Some(Status::Unconfirmed) => "nothing by itself: whether the provider took it is not known, \
                                      and sending again could text twice; look it up in Twilio's log"
            .into(),
        None => format!("nothing: {:?} is not a status Punctual knows", row.status),
    }
}
