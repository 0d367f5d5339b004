//! A change feed sends what is on the disk. Whoever has written it is still about to end then, so for a moment, or as
//! long as its commit waits for a standby, others do not see what it has changed: a row that is read at once may be
//! missed.

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::Heard;
use crate::limits::daemon::ChannelLimits;
use crate::store::Store;

/// Passes on what a feed has heard as soon as every statement sees it, until either end is closed.
pub async fn when_visible(
    mut written: mpsc::Receiver<Heard>,
    store: Store,
    heard: mpsc::Sender<Heard>,
    limits: ChannelLimits,
) {
    let mut waiting = Vec::new();
    let mut tries = 0_u32;
    loop {
        let mut next = if waiting.is_empty() {
            let Some(first) = written.recv().await else {
                return;
            };
            Some(first)
        } else {
            written.try_recv().ok()
        };
        // All that are there are asked about at once.
        while let Some(one) = next {
            match one {
                Heard::Written(by, notification) => waiting.push((by, notification)),
                other => {
                    if heard.send(other).await.is_err() {
                        return;
                    }
                }
            }
            let has_room = waiting.len() < limits.written_max;
            next = has_room.then(|| written.try_recv().ok()).flatten();
        }
        if waiting.is_empty() {
            continue;
        }
        let by: Vec<u32> = waiting.iter().map(|(by, _)| *by).collect();
        let unseen = match store.bounded(store.unseen(&by)).await {
            Ok(unseen) => unseen,
            Err(error) => {
                tracing::debug!(%error, "could not read which transactions have ended");
                by
            }
        };
        let (later, now): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|(by, _)| unseen.contains(by));
        tries = if now.is_empty() {
            tries.saturating_add(1)
        } else {
            1
        };
        for (_, notification) in now {
            if heard.send(Heard::Notification(notification)).await.is_err() {
                return;
            }
        }
        waiting = later;
        if !waiting.is_empty() {
            sleep(limits.visible.pause(tries)).await;
        }
    }
}
