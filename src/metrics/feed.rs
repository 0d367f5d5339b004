//! The feed of what just happened: each follower reads at its own pace; a slow one misses some
//! events and gets their number.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::broadcast::{self, error::TryRecvError};
use utoipa::ToSchema;

use crate::reactor::events::{EventKind, MessageEvent};

/// Events kept for followers: several times what the fastest daemon produces in a tenth of a second.
const KEPT: usize = 4_096;

/// Shown to a follower that comes later.
const RECENT: usize = 60;

/// Events given one by one in a frame. Nobody reads more than a few in a tenth of a second;
/// the rest of them is counted.
const FRAME_MAX: usize = 60;

/// The latest events, for any number of followers.
#[derive(Debug)]
pub struct Feed {
    sender: broadcast::Sender<Entry>,
    recent: Mutex<VecDeque<MessageEvent>>,
}

#[derive(Clone, Copy, Debug)]
enum Entry {
    MessageEvent(MessageEvent),
    LeftOut(u64),
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            sender: broadcast::Sender::new(KEPT),
            recent: Mutex::default(),
        }
    }
}

impl Feed {
    fn recent_held(&self) -> MutexGuard<'_, VecDeque<MessageEvent>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn publish(&self, events: Vec<MessageEvent>, left_out: u64) {
        if events.is_empty() && left_out == 0 {
            return;
        }
        {
            let mut recent = self.recent_held();
            let skip = events.len().saturating_sub(RECENT);
            for event in &events[skip..] {
                if recent.len() == RECENT {
                    recent.pop_front();
                }
                recent.push_back(*event);
            }
        }
        if self.sender.receiver_count() == 0 {
            return;
        }
        for event in events {
            // There are no followers to miss it.
            let _ = self.sender.send(Entry::MessageEvent(event));
        }
        if left_out > 0 {
            let _ = self.sender.send(Entry::LeftOut(left_out));
        }
    }

    /// The latest, the oldest of them first.
    pub fn recent(&self) -> Vec<MessageEvent> {
        self.recent_held().iter().copied().collect()
    }

    /// From now on.
    pub fn follow(&self) -> Following {
        Following(self.sender.subscribe())
    }
}

/// A follower.
#[derive(Debug)]
pub struct Following(broadcast::Receiver<Entry>);

/// What has come since the last frame.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = More)]
pub struct Frame {
    /// In order; of more than so many the latest.
    #[serde(skip)]
    pub events: VecDeque<MessageEvent>,
    /// What is not in `events`, by kind.
    pub more: BTreeMap<EventKind, u64>,
    /// What is not counted by kind either.
    pub dropped: u64,
}

impl Following {
    /// Waits until there is something. `None`: there will be nothing more.
    pub async fn something(&mut self) -> Option<Frame> {
        let mut frame = Frame::default();
        match self.0.recv().await {
            Ok(entry) => frame.take(entry),
            Err(broadcast::error::RecvError::Lagged(n)) => frame.dropped += n,
            Err(broadcast::error::RecvError::Closed) => return None,
        }
        Some(frame)
    }

    /// Adds to a frame what has come since.
    pub fn fill(&mut self, frame: &mut Frame) {
        // Not more than is kept: it must end, however fast it comes.
        for _ in 0..KEPT {
            match self.0.try_recv() {
                Ok(entry) => frame.take(entry),
                Err(TryRecvError::Lagged(n)) => frame.dropped += n,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }
}

impl Frame {
    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::MessageEvent(event) => {
                if self.events.len() == FRAME_MAX
                    && let Some(oldest) = self.events.pop_front()
                {
                    *self.more.entry(oldest.what).or_insert(0) += 1;
                }
                self.events.push_back(event);
            }
            Entry::LeftOut(n) => self.dropped += n,
        }
    }

    /// Whether something is left out of `events`.
    pub fn is_partial(&self) -> bool {
        self.dropped > 0 || !self.more.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::message::{MessageId, Moment};

    fn event(n: u128) -> MessageEvent {
        let id = MessageId(Uuid::from_u128(n));
        MessageEvent::new(Moment::from_micros(0), id, EventKind::Armed)
    }

    #[tokio::test]
    async fn who_is_slow_misses_some_and_sees_how_many() {
        let feed = Feed::default();
        let mut following = feed.follow();
        let all = KEPT as u128 + 100;
        for n in 0..all {
            feed.publish(vec![event(n)], 0);
        }
        feed.publish(Vec::new(), 5);
        let mut frame = following.something().await.unwrap();
        following.fill(&mut frame);
        assert_eq!(frame.events.len(), FRAME_MAX);
        assert_eq!(frame.events.back(), Some(&event(all - 1)));
        let counted = frame.events.len() as u64 + frame.more[&EventKind::Armed] + frame.dropped;
        assert_eq!(u128::from(counted), all + 5);
        assert_eq!(feed.recent().len(), RECENT);
    }
}
