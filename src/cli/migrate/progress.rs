//! The progress of a migration on a terminal, because large tables take minutes.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::session;
use crate::store::migrate::Report;
use crate::store::migrate::progress::{Step, built};
use crate::store::{Dsn, MigrateError, Migrator};

/// How often the progress of an index is queried, and the spinner turns.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// Runs the migrations and shows their progress on stderr, if that is a terminal.
pub(super) async fn shown(migrator: &Migrator<'_>, dsn: &Dsn) -> Result<Report, MigrateError> {
    // Draws nothing without a terminal.
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4} {wide_msg}") {
        bar.set_style(style);
    }
    let progress = |step: Step<'_>| match step {
        Step::File { name, number, of } => bar.set_message(format!("{number} of {of}: {name}")),
        Step::Index { name } => bar.set_message(format!("building {name}")),
    };
    let run = migrator.run_with_progress(dsn, &progress);
    if bar.is_hidden() {
        return run.await;
    }
    bar.enable_steady_tick(ASK_EVERY);
    let done = tokio::select! {
        done = run => done,
        never = follow(dsn, &bar) => never,
    };
    bar.finish_and_clear();
    done
}

/// Shows the progress of an index until the run ends. A failure to read it does not end the run.
async fn follow<T>(dsn: &Dsn, bar: &ProgressBar) -> T {
    let _ = session::with(dsn, async |client| -> anyhow::Result<()> {
        loop {
            tokio::time::sleep(ASK_EVERY).await;
            let Some(built) = built(client).await? else {
                continue;
            };
            let text = bar.message();
            let name = text.split(':').next().unwrap_or_default();
            let percent = (built.done * 100).checked_div(built.of);
            let percent = percent.map_or_else(String::new, |n| format!(", {n} %"));
            bar.set_message(format!("{name}: {}{percent}", built.phase));
        }
    })
    .await;
    std::future::pending().await
}
