//! `punctual retry`: sets failed messages back to pending.

use jiff::tz::TimeZone;
use serde_json::json;

use super::act::{self, ActOutcome, Session, Target};
use super::output;
use super::reschedule::at;
use super::schedule::zone;
use super::when::FORMS;
use crate::config::Sources;
use crate::store::operator::Act;

/// Send a failed message after all, or all failed ones of a filter.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  punctual retry 00000000-0000-0000-0000-000000000001\n  \
                  punctual retry --reason template --from '24h ago' --yes\n\n\
                  The message becomes pending, due now or at --at, and the rules apply again. Refused if it may have \
                  been accepted before: then it could be sent twice."
)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,

    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    #[arg(help = format!("Due time [default: now]: {FORMS}"))]
    at: Option<String>,

    /// Time zone of a local --at [default: this machine's]
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    timezone: Option<TimeZone>,
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let local = args.timezone.clone().unwrap_or_else(TimeZone::system);
    let session = Session::begin(sources).await?;
    let due = args.at.as_deref().map(|text| at(text, session.now, &local));
    let due = due.transpose()?;
    // One that has passed means now: it is not the time that lateness would count from.
    let due = due.filter(|due| *due > session.now);
    let id = match session.act(&args.target, &Act::Retry(due)).await? {
        ActOutcome::One { id, .. } => id,
        ActOutcome::Many(done) => {
            return act::print_many(done, "set back to pending", args.target.json);
        }
    };
    if args.target.json {
        let text = json!({"id": id, "status": "pending"});
        return output::print(&format!("{text:#}\n"));
    }
    output::print(&format!(
        "message {id} is pending and will be sent by a running daemon\n"
    ))
}
