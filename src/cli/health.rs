//! `punctual health`: for container engines and other watchers.

use anyhow::bail;
use reqwest::{StatusCode, Url};

use super::ask::{self, Daemon};
use super::output;
use crate::config::{Sources, debug_endpoint};

/// Asks a running daemon whether it is ready; exit code 1 if it is not, or none answers.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  punctual health\n  punctual health --alive\n\n\
                  The same as GET /readyz and GET /healthz, for where there is no curl."
)]
pub(super) struct Args {
    /// Only whether it lives: a database that is away makes it unready, not dead
    #[arg(long)]
    alive: bool,

    #[arg(
        long,
        help = "Where the daemon answers [default: http:// and PUNCTUAL_HTTP_ADDR]"
    )]
    #[arg(value_name = "URL", value_parser = ask::http_url)]
    url: Option<Url>,
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let daemon = match args.url {
        Some(url) => Daemon::new(url, None),
        None => Daemon::at(debug_endpoint(sources)?.addr, None)?,
    };
    let path = if args.alive { "healthz" } else { "readyz" };
    let (status, body) = daemon.get(&[path], &[]).await?;
    if status != StatusCode::OK {
        bail!(
            "{} answers {}: {}",
            daemon.base,
            status.as_u16(),
            ask::sentence(&body)
        );
    }
    output::print(if args.alive { "alive\n" } else { "ready\n" })
}
