//! `punctual reschedule ID --at`: moves a message to another time.

use anyhow::bail;
use jiff::tz::TimeZone;
use serde_json::json;
use uuid::Uuid;

use super::schedule::zone;
use super::when::{self, FORMS, When};
use super::{Usage, output, session};
use crate::config::Sources;
use crate::message::{MessageId, Status};
use crate::store::doctor::database_time;
use crate::store::user::UserSession;

/// Move a message that has not been sent yet to another time.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  punctual reschedule 00000000-0000-0000-0000-000000000001 --at 'in 2h'\n\n\
                  A deferral (quiet hours) or a retry's pause is dropped, and the rules apply again \
                  to the new time."
)]
pub(super) struct Args {
    /// Id of the message
    #[arg(value_parser = super::message_id)]
    id: Uuid,

    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    #[arg(help = format!("Due time: {FORMS}"))]
    at: String,

    /// Time zone of a local --at [default: this machine's]
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    timezone: Option<TimeZone>,

    /// Accept a time in the past (sent at once, or cancelled if older than the allowed lateness)
    #[arg(long)]
    past_ok: bool,

    /// Print JSON, with times in UTC
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let local = args.timezone.clone().unwrap_or_else(TimeZone::system);
    let written = When::parse(&args.at, &local).map_err(Usage::of("--at"))?;
    let dsn = session::dsn(sources)?;
    let id = MessageId(args.id);
    let (at, now) = session::with(&dsn, async |client| {
        let now = database_time(client).await?;
        let at = written.instant(now);
        if at < now && !args.past_ok {
            return Err(super::schedule::passed(at, now).into());
        }
        let app = UserSession::new(client);
        if !app.reschedule(id, at).await.map_err(super::refused)? {
            bail!(match app.fate(id).await? {
                Some((status, _)) => why_not(id, status),
                None => format!("no message {id} in {dsn}"),
            });
        }
        Ok((at, now))
    })
    .await?;
    if let Some(note) = written.note() {
        output::remark(note);
    }
    if args.json {
        let text = json!({"id": id, "status": "pending", "scheduled_at": at});
        return output::print(&format!("{text:#}\n"));
    }
    let shown = when::show(at, &local);
    let distance = when::distance(at, now);
    output::print(&format!("message {id} moved to {shown}, {distance}\n"))
}

fn why_not(id: MessageId, status: Status) -> String {
    let what = match status {
        // It became pending between the two statements, or the role may read and not write.
        Status::Pending => "is pending, but this role may not change it",
        Status::Sending => "is being sent; it can no longer be moved",
        Status::Unconfirmed => "is unconfirmed; `punctual why` shows what to do",
        Status::Sent | Status::Delivered => {
            "was already sent; to send it again, schedule a new one"
        }
        Status::Failed => "has failed; to send it again, set its status to 'pending'",
        Status::Cancelled => "is cancelled; to send it after all, set its status to 'pending'",
    };
    format!("message {id} {what}")
}
