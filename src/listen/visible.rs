//! A change feed sends what is on the disk. Whoever has written it is still about to end then, so for a moment, or as
//! long as its commit waits for a standby, others do not see what it has changed: a row that is read at once may be
//! missed.

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::{Heard, Notification};
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
        let first = if waiting.is_empty() {
            let Some(first) = written.recv().await else {
                return;
            };
            Some(first)
        } else {
            None
        };
        // All that are there are asked about at once.
        for other in gather(&mut waiting, first, &mut written, limits.written_max) {
            if heard.send(other).await.is_err() {
                return;
            }
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

/// Adds to what waits as much of what has come as there is room for: the rest stays where it is. Returns what need not
/// wait.
fn gather(
    waiting: &mut Vec<(u32, Notification)>,
    first: Option<Heard>,
    written: &mut mpsc::Receiver<Heard>,
    most: usize,
) -> Vec<Heard> {
    let mut others = Vec::new();
    let mut next = first;
    loop {
        match next.take() {
            Some(Heard::Written(by, notification)) => waiting.push((by, notification)),
            other => others.extend(other),
        }
        if waiting.len() + others.len() >= most {
            return others;
        }
        match written.try_recv() {
            Ok(one) => next = Some(one),
            Err(_) => return others,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_more_waits_than_there_is_room_for() {
        const MOST: usize = 4;
        let (tx, mut written) = mpsc::channel(16);
        let one = |by| Heard::Written(by, Notification::Rescan);
        for by in 1..=10 {
            tx.try_send(one(by)).unwrap();
        }
        let mut waiting = Vec::new();
        // Nobody sees any of them yet, however often that is asked.
        for _ in 0..5 {
            let others = gather(&mut waiting, None, &mut written, MOST);
            assert!(others.is_empty());
            assert_eq!((waiting.len(), written.len()), (MOST, 10 - MOST));
        }
        // What has come first goes first.
        waiting.clear();
        tx.try_send(Heard::Fed).unwrap();
        let others = gather(&mut waiting, Some(one(0)), &mut written, 16);
        let by: Vec<_> = waiting.iter().map(|(by, _)| *by).collect();
        assert_eq!(by, [0, 5, 6, 7, 8, 9, 10]);
        assert!(matches!(others[..], [Heard::Fed]), "{others:?}");
    }
}
