//! `punctual demo`: runs the daemon with a private Postgres and a simulated phone.

use std::io::{IsTerminal as _, stdout};
use std::net::SocketAddr;

use super::{logs, output};
use crate::config::{LogFormat, LogSettings, Sources, user_runtime_dir};
use crate::{daemon, demo};
use anyhow::Context;
use tokio_util::sync::CancellationToken;

/// Run a self-contained demo: twenty messages in 20 seconds on a private Postgres.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  punctual demo --exit-after\n\nNeeds no configuration and no \
                  database. Ctrl-C stops everything and cleans up."
)]
pub(super) struct Args {
    /// Exit after the last message; the exit code is 1 if one was lost, doubled, early or
    /// sent by mistake
    #[arg(long)]
    exit_after: bool,
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let _logs = logs::start(&LogSettings {
        filter: std::env::var("RUST_LOG")
            .unwrap_or_else(|_| "error".into())
            .parse()
            .context("RUST_LOG")?,
        format: LogFormat::Text,
    });
    let stop = CancellationToken::new();
    daemon::stop_on_signal(stop.clone()).context("cannot wait for signals")?;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let options = demo::DemoOptions {
        exit_after: args.exit_after,
        terminal: stdout().is_terminal(),
        runtime: user_runtime_dir(sources, any),
    };
    let report = demo::run(stop, options, &mut |line| output::print(line)).await?;
    anyhow::ensure!(
        report.faults.is_empty(),
        "the demo failed:\n  {}",
        report.faults.join("\n  ")
    );
    Ok(())
}
