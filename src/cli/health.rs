//! `punctual health`: a health check for container engines.

use anyhow::bail;
use reqwest::StatusCode;

use super::ask::{self, At, Daemon};
use super::output;
use crate::config::{Sources, debug_endpoint};

/// Check whether the daemon is ready; exit code 1 if it is not, or does not respond.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  punctual health\n  punctual health --alive\n\n\
                  The same as GET /readyz and GET /healthz, for images without curl."
)]
pub(super) struct Args {
    /// Check only whether it lives; an unreachable database makes it unready, not dead
    #[arg(long)]
    alive: bool,

    #[command(flatten)]
    at: At,
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let endpoint = debug_endpoint(sources);
    let daemon = match args.at.url {
        // It responds without a token too, but then names no more than the kind of a cause.
        Some(url) => Daemon::new(
            url,
            endpoint
                .ok()
                .and_then(|endpoint| endpoint.set_token().cloned()),
        ),
        None => Daemon::here(&endpoint?).await?,
    };
    let path = if args.alive { "healthz" } else { "readyz" };
    let (status, body) = daemon.get(&[path], &[]).await?;
    if status != StatusCode::OK {
        bail!(
            "{daemon} responded {}: {}",
            status.as_u16(),
            ask::sentence(&body)
        );
    }
    if args.alive {
        return output::print("alive\n");
    }
    // With remarks, if there are any.
    output::print(&format!("{}\n", body.trim_end()))
}
