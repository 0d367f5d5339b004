//! SIGTERM and SIGINT: the first begins an orderly shutdown, the second ends the process at once.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A signal to the whole process group is often followed by one from the parent, which forwards its own.
/// A signal within this time after another one is taken for such a duplicate.
const ECHO: Duration = Duration::from_millis(200);

/// 128 + SIGTERM, as shells report a program that a signal ended.
const EXIT_SECOND_SIGNAL: i32 = 143;

/// Cancels `stop` at the first signal and ends the process at the second.
pub fn stop_on_signal(stop: CancellationToken) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Not one of the daemon's supervised tasks: the second signal must end the process while those are being ended.
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
