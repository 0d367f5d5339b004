//! Queries the provider for what it has not reported, in a task of its own: sends never wait for it.

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::receipt::look_up::LookUps;

/// Makes look-ups until `stop`. A round in progress is then dropped: its look-ups become due again, for any
/// instance.
pub(super) async fn keep(look_ups: LookUps, stop: CancellationToken) {
    let rounds = async {
        loop {
            // By a clock that is wrong none is due at its time, and the next ones would be as wrong.
            if !look_ups.clock.is_trusted() {
                sleep(look_ups.limits.pause).await;
                continue;
            }
            match look_ups.round().await {
                Ok(true) => {}
                Ok(false) => sleep(look_ups.limits.pause).await,
                Err(error) => {
                    tracing::warn!(%error, "look-ups could not be read or recorded; retrying");
                    sleep(look_ups.limits.failed_pause).await;
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = rounds => {}
    }
}
