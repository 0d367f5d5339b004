//! `punctual demo`.

use super::{logs, output};
use crate::config::{LogFormat, LogSettings};
use crate::{daemon, demo};
use anyhow::Context;
use tokio_util::sync::CancellationToken;

/// Shows the main job: a private Postgres, a pretend phone and a dozen messages in 20 seconds.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  punctual demo --exit-after\n\nNeeds no configuration and no \
                  database. Ctrl-C leaves nothing running and nothing behind."
)]
pub(super) struct Args {
    /// End when the last message is over with; the exit code is 1 if one was lost, doubled,
    /// early or wrongly sent
    #[arg(long)]
    exit_after: bool,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let _logs = logs::start(&LogSettings {
        filter: std::env::var("RUST_LOG")
            .unwrap_or_else(|_| "error".into())
            .parse()
            .context("RUST_LOG")?,
        format: LogFormat::Text,
    });
    let stop = CancellationToken::new();
    daemon::stop_on_signal(stop.clone()).context("cannot wait for signals")?;
    let verdict = demo::run(stop, args.exit_after, &mut |line| output::print(line)).await?;
    anyhow::ensure!(
        verdict.faults.is_empty(),
        "the demo went wrong:\n  {}",
        verdict.faults.join("\n  ")
    );
    Ok(())
}
