//! SIGTERM and SIGINT: the first asks for a stop in good order, the second ends it at once.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A signal to the whole process group often comes with one from the parent that passes its own
/// on. What follows another signal within this is its echo, not somebody's impatience.
const ECHO: Duration = Duration::from_millis(200);

/// 128 + SIGTERM, as shells report a program that a signal ended.
const EXIT_SECOND_SIGNAL: i32 = 143;

/// Cancels `stop` at the first signal and ends the process at the second.
pub fn stop_on_signal(stop: CancellationToken) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        next().await;
        stop.cancel();
        while tokio::time::timeout(ECHO, next()).await.is_ok() {}
        next().await;
        tracing::warn!("second signal: exiting at once");
        std::process::exit(EXIT_SECOND_SIGNAL);
    });
    Ok(())
}
