//! `punctual timers`: what a running daemon holds armed.

mod table;

use anyhow::{Context, bail};
use reqwest::{StatusCode, Url};

use super::ask::{self, Daemon};
use super::output;
use crate::config::{Sources, debug_endpoint};

const EXAMPLE: &str = "\
Example:
  punctual timers --limit 20
  punctual timers --json | jq '.timers[0]'

Asks the daemon at PUNCTUAL_HTTP_ADDR, with PUNCTUAL_DEBUG_TOKEN if that is set.
Times are in this machine's time zone; --json has them in UTC.";

/// Shows the timers that a running daemon holds armed, the earliest due first.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Args {
    #[arg(
        long,
        help = "Where the daemon answers [default: http:// and PUNCTUAL_HTTP_ADDR]"
    )]
    #[arg(value_name = "URL", value_parser = ask::http_url)]
    url: Option<Url>,

    /// Prints the daemon's answer as it is
    #[arg(long)]
    json: bool,

    /// At most so many timers
    #[arg(long, default_value_t = 100, value_name = "N",
          value_parser = clap::value_parser!(u32).range(0..=10_000))]
    limit: u32,
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let endpoint = debug_endpoint(sources)?;
    let daemon = match args.url {
        Some(url) => Daemon::new(url, endpoint.token),
        None => Daemon::at(endpoint.addr, endpoint.token)?,
    };
    let base = &daemon.base;
    let limit = args.limit.to_string();
    let (status, body) = daemon
        .get(&["debug", "timers"], &[("limit", &limit)])
        .await?;
    if status != StatusCode::OK {
        bail!(
            "{base} answers {}: {}",
            status.as_u16(),
            ask::sentence(&body)
        );
    }
    if args.json {
        return output::print(&(body + "\n"));
    }
    let answer: table::Answer = serde_json::from_str(&body)
        .with_context(|| format!("{base} does not answer like a daemon of this version"))?;
    let zone = jiff::tz::TimeZone::system();
    output::print_styled(&table::render(&answer, &zone, output::width()))
}
