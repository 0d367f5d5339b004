//! `punctual timers`: shows the armed timers of a running daemon.

pub(super) mod table;

use anyhow::{Context, bail};
use reqwest::StatusCode;
use serde::Deserialize;

use super::ask::{self, At};
use super::output;
use crate::config::{Sources, debug_endpoint};
use crate::message::Moment;

const EXAMPLE: &str = "\
Example:
  punctual timers --limit 20
  punctual timers --json | jq '.timers[0]'

Queries the daemon over its Unix socket, or at PUNCTUAL_HTTP_ADDR with its token;
with --url, with PUNCTUAL_DEBUG_TOKEN if set.
Times are in this machine's time zone, with --json in UTC.";

/// Show the armed timers of a running daemon, the earliest due first.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Args {
    #[command(flatten)]
    at: At,

    /// Print the daemon's JSON
    #[arg(long)]
    json: bool,

    /// Maximum number of timers
    #[arg(long, default_value_t = 100, value_name = "N",
          value_parser = clap::value_parser!(u32).range(0..=10_000))]
    limit: u32,
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let endpoint = debug_endpoint(sources)?;
    let daemon = args.at.daemon(&endpoint).await?;
    let limit = args.limit.to_string();
    let (status, body) = daemon
        .get(&["debug", "timers"], &[("limit", &limit)])
        .await?;
    if status != StatusCode::OK {
        bail!(
            "{daemon} responded {}: {}",
            status.as_u16(),
            ask::sentence(&body)
        );
    }
    if args.json {
        return output::print(&(body + "\n"));
    }
    let answer: table::Answer = serde_json::from_str(&body).with_context(|| {
        format!("the response of {daemon} is not that of this version's daemon")
    })?;
    let not_ready = if answer.ready {
        None
    } else {
        let (_, reasons) = daemon.get(&["readyz"], &[]).await?;
        Some(ask::sentence(&reasons))
    };
    let zone = jiff::tz::TimeZone::system();
    let width = output::width();
    let refused: Refused = serde_json::from_str(&body).unwrap_or_default();
    output::print_styled(&format!(
        "{}{}",
        refused.lines(),
        table::render(&answer, not_ready.as_deref(), &zone, width)
    ))
}

/// The part of the response that says which lanes the provider refuses.
#[derive(Debug, Default, Deserialize)]
struct Refused {
    lanes: Vec<Lane>,
}

#[derive(Debug, Deserialize)]
struct Lane {
    account: String,
    channel: String,
    breaker: Breaker,
}

#[derive(Debug, Deserialize)]
struct Breaker {
    open: bool,
    since: Option<Moment>,
    next_probe_at: Option<Moment>,
    category: Option<String>,
}

impl Refused {
    /// A line for each: what is due by it is not sent at its time.
    fn lines(&self) -> String {
        let local = |at: Option<Moment>| at.map(super::why::local).unwrap_or_default();
        let line = |lane: &Lane| {
            let (breaker, category) = (&lane.breaker, lane.breaker.category.as_deref());
            format!(
                "the provider has refused {}/{} since {} ({}): messages wait; the next try is at {}\n",
                lane.account,
                lane.channel,
                local(breaker.since),
                category.unwrap_or_default().replace('_', " "),
                local(breaker.next_probe_at),
            )
        };
        let refused = self.lanes.iter().filter(|lane| lane.breaker.open);
        refused.map(line).collect()
    }
}
