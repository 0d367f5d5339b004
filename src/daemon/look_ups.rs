//! Queries the provider for what it has not reported, in a task of its own: sends never wait for it.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::receipt::look_up::LookUps;

/// Between two rounds: what is due waits at most this long, and an idle database gets one small query in this
/// time.
const PAUSE: Duration = Duration::from_secs(1);

/// After a round that an error of the database ended.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Makes look-ups until `stop`. A round in progress is then dropped: its look-ups become due again, for any
/// instance.
pub(super) async fn keep(look_ups: LookUps, stop: CancellationToken) {
    let rounds = async {
        loop {
            match look_ups.round().await {
                Ok(true) => {}
                Ok(false) => sleep(PAUSE).await,
                Err(error) => {
                    tracing::warn!(%error, "look-ups could not be read or recorded; retrying");
                    sleep(PAUSE_AFTER_FAILURE).await;
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = rounds => {}
    }
}
