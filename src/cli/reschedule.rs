//! `punctual reschedule`: moves messages to another time.

use std::time::Duration;

use clap::ArgGroup;
use jiff::tz::TimeZone;
use serde_json::json;

use super::act::{self, ActOutcome, Session, Target};
use super::schedule::zone;
use super::when::{self, FORMS, When};
use super::{Usage, output};
use crate::config::Sources;
use crate::message::Moment;
use crate::store::operator::{Act, NewTime};

/// Move a message that has not been sent yet to another time, or all of a filter.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  punctual reschedule 00000000-0000-0000-0000-000000000001 --at 'in 2h'\n  \
                  punctual reschedule --status pending --to 'in 1h' --later 30m\n\n\
                  A deferral (quiet hours) or a retry's pause is dropped, and the rules apply again \
                  to the new time. A failed message is not moved but retried: punctual retry."
)]
#[command(group = ArgGroup::new("new time").required(true).args(["at", "later", "earlier"]))]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,

    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    #[arg(help = format!("Due time: {FORMS}"))]
    at: Option<String>,

    /// Each by so much later, like 30m or 1h 30m
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    later: Option<Duration>,

    /// Each by so much earlier
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    earlier: Option<Duration>,

    /// Time zone of a local --at [default: this machine's]
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    timezone: Option<TimeZone>,

    /// Accept a time in the past (sent at once, or cancelled if older than the allowed lateness)
    #[arg(long)]
    past_ok: bool,
}

impl Args {
    /// The new time; relative ones count from `now`.
    fn new_time(&self, now: Moment, local: &TimeZone) -> anyhow::Result<NewTime> {
        let us = |by: Duration| i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        let past_ok = self.past_ok;
        let by = |us| NewTime::By { us, past_ok };
        if let Some(later) = self.later {
            return Ok(by(us(later)));
        }
        if let Some(earlier) = self.earlier {
            return Ok(by(-us(earlier)));
        }
        let at = at(self.at.as_deref().unwrap_or_default(), now, local)?;
        if at < now && !self.past_ok {
            return Err(super::schedule::passed(at, now).into());
        }
        Ok(NewTime::At(at))
    }
}

/// The time of --at, with a remark on how it was read.
pub(super) fn at(text: &str, now: Moment, local: &TimeZone) -> Result<Moment, Usage> {
    let written = When::parse(text, local).map_err(Usage::of("--at"))?;
    if let Some(note) = written.note() {
        output::remark(note);
    }
    Ok(written.instant(now))
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let local = args.timezone.clone().unwrap_or_else(TimeZone::system);
    // A mistake in it is found before the database is asked.
    if let Some(text) = &args.at {
        When::parse(text, &local).map_err(Usage::of("--at"))?;
    }
    let session = Session::begin(sources).await?;
    let to = args.new_time(session.now, &local)?;
    let id = match session.act(&args.target, &Act::Reschedule(to)).await? {
        ActOutcome::One { id, .. } => id,
        ActOutcome::Many(done) => return act::print_many(done, "moved", args.target.json),
    };
    let at = match to {
        NewTime::At(at) => Some(at),
        NewTime::By { .. } => None,
    };
    if args.target.json {
        let text = json!({"id": id, "status": "pending", "scheduled_at": at});
        return output::print(&format!("{text:#}\n"));
    }
    let moved = at.map_or_else(
        || "moved".to_owned(),
        |at| {
            let shown = when::show(at, &local);
            format!("moved to {shown}, {}", when::distance(at, session.now))
        },
    );
    output::print(&format!("message {id} {moved}\n"))
}
