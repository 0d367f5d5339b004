//! The progress of a migration on a terminal, because large tables take minutes.

use std::io::{IsTerminal, Write, stderr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::cli::session;
use crate::clock;
use crate::message::Uptime;
use crate::store::migrate::Report;
use crate::store::migrate::progress::{Step, built};
use crate::store::{Dsn, MigrateError, Migrator};

/// How often the progress of an index is queried.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// How often the line is written, so that one sees that it is alive.
const DRAW_EVERY: Duration = Duration::from_millis(250);

/// Runs the migrations and shows their progress on stderr, if that is a terminal.
pub(super) async fn shown(migrator: &Migrator<'_>, dsn: &Dsn) -> Result<Report, MigrateError> {
    let line = Line::new(clock::reading().up);
    let progress = |step: Step<'_>| match step {
        Step::File { name, number, of } => line.set(format!("{number} of {of}: {name}")),
        Step::Index { name } => line.set(format!("building {name}")),
    };
    let run = migrator.run_with_progress(dsn, &progress);
    if !stderr().is_terminal() {
        return run.await;
    }
    let done = tokio::select! {
        done = run => done,
        never = follow(dsn, &line) => never,
        never = draw(&line) => never,
    };
    write("");
    done
}

/// The line on the terminal.
struct Line {
    began: Uptime,
    text: Mutex<String>,
}

impl Line {
    const fn new(began: Uptime) -> Self {
        let text = Mutex::new(String::new());
        Self { began, text }
    }

    fn set(&self, text: String) {
        *self.text.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }

    fn text(&self) -> String {
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        text.clone()
    }

    /// As it is at this time, in a terminal of so many columns: a longer one would not be written over.
    fn at(&self, now: Uptime, columns: usize) -> String {
        let seconds = now.since(self.began).as_secs();
        let elapsed = format!("{}:{:02}", seconds / 60, seconds % 60);
        let line = format!("{elapsed} {}", self.text());
        line.chars().take(columns.saturating_sub(1)).collect()
    }
}

/// Writes the line until the run ends.
async fn draw<T>(line: &Line) -> T {
    loop {
        let size = rustix::termios::tcgetwinsize(stderr());
        let columns = size.map_or(0, |size| usize::from(size.ws_col));
        // A terminal that does not know its width says 0.
        let columns = if columns == 0 { 80 } else { columns };
        write(&line.at(clock::reading().up, columns));
        tokio::time::sleep(DRAW_EVERY).await;
    }
}

/// Writes this in place of the line before.
fn write(line: &str) {
    let mut out = stderr();
    // A closed stderr is not a reason to fail.
    let _ = write!(out, "\r\x1b[2K{line}").and_then(|()| out.flush());
}

/// Shows the progress of an index until the run ends. A failure to read it does not end the run.
async fn follow<T>(dsn: &Dsn, line: &Line) -> T {
    let _ = session::with(dsn, async |client| -> anyhow::Result<()> {
        loop {
            tokio::time::sleep(ASK_EVERY).await;
            let Some(built) = built(client).await? else {
                continue;
            };
            let text = line.text();
            let name = text.split(':').next().unwrap_or_default();
            let percent = (built.done * 100).checked_div(built.of);
            let percent = percent.map_or_else(String::new, |n| format!(", {n} %"));
            line.set(format!("{name}: {}{percent}", built.phase));
        }
    })
    .await;
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_fits_the_terminal() {
        let line = Line::new(Uptime::from_micros(0));
        line.set("building scheduled_messages_due_idx".to_owned());
        let now = Uptime::from_micros(125_000_000);
        assert_eq!(line.at(now, 80), "2:05 building scheduled_messages_due_idx");
        assert_eq!(line.at(now, 14), "2:05 building");
    }
}
