//! Asks the provider what it did not tell, beside the loop: sends never wait for it.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::receipt::look_up::LookUps;

/// Between two rounds: what is due waits at most this long, and an idle database is asked one
/// small question in it.
const PAUSE: Duration = Duration::from_secs(1);

/// After a round that the database did not let come to its end.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Asks until `stop`. A round that is under way then is given up: what it had taken is taken
/// again by whoever comes next.
pub(super) async fn keep(look_ups: LookUps, stop: CancellationToken) {
    let rounds = async {
        loop {
            match look_ups.round().await {
                Ok(true) => {}
                Ok(false) => sleep(PAUSE).await,
                Err(error) => {
                    tracing::warn!(%error, "the provider could not be queried; retrying");
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
