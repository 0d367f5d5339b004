//! The feed of what just happened: each follower reads at its own pace; a slow one misses some
//! events and gets their number.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::broadcast::{self, error::TryRecvError};

use super::others::{Elsewhere, News};
use super::{ANSWERS, UNUSED};
use crate::message::{MessageId, Moment};
use crate::reactor::events::{EventKind, MessageEvent};

/// Events kept for followers: several times what the fastest daemon produces in a tenth of a second.
const KEPT: usize = 4_096;

/// Shown to a follower that comes later.
const RECENT: usize = 60;

/// Events given one by one in a frame. Nobody reads more than a few in a tenth of a second;
/// the rest of them is counted.
const FRAME_MAX: usize = 60;

/// What is older is not counted as happening now: pages show how many are sent per second by the last of these.
pub(super) const PRESENT: Duration = Duration::from_secs(10);

/// Outcomes that are published for the other instances.
const OUTCOMES: usize = 50;

/// The latest events, for any number of followers.
#[derive(Debug)]
pub struct Feed {
    sender: broadcast::Sender<Entry>,
    latest: Mutex<Latest>,
}

#[derive(Debug, Default)]
struct Latest {
    /// Of all instances, by time.
    events: VecDeque<Happened>,
    /// Outcomes and status updates of this one.
    outcomes: VecDeque<MessageEvent>,
    /// How many there have been.
    counts: BTreeMap<EventKind, u64>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Happened {
    /// At this instance.
    Here(MessageEvent),
    /// At another one.
    Elsewhere(Box<Elsewhere>),
}

impl Happened {
    /// What.
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Here(event) => event.what,
            Self::Elsewhere(event) => event.kind,
        }
    }

    /// Of which message.
    pub fn id(&self) -> MessageId {
        match self {
            Self::Here(event) => event.id,
            Self::Elsewhere(event) => event.event.id,
        }
    }

    fn at(&self) -> Moment {
        match self {
            Self::Here(event) => event.at,
            Self::Elsewhere(event) => event.event.at,
        }
    }
}

#[derive(Clone, Debug)]
enum Entry {
    Event(Happened),
    Counted(EventKind, u64),
    LeftOut(u64),
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            sender: broadcast::Sender::new(KEPT),
            latest: Mutex::default(),
        }
    }
}

impl Feed {
    fn held(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn publish(&self, events: Vec<MessageEvent>, left_out: u64) {
        if events.is_empty() && left_out == 0 {
            return;
        }
        self.held().note(&events);
        let events = events.into_iter().map(Happened::Here).map(Entry::Event);
        self.send(events);
        if left_out > 0 {
            self.send([Entry::LeftOut(left_out)]);
        }
    }

    /// What is new of another instance.
    pub(super) fn pass_on(&self, news: News) {
        let elsewhere = |event| Happened::Elsewhere(Box::new(event));
        let present: Vec<_> = news.present.into_iter().map(elsewhere).collect();
        let mut held = self.held();
        for event in news.past.into_iter().map(elsewhere) {
            keep_latest(&mut held.events, event);
        }
        for event in &present {
            keep_latest(&mut held.events, event.clone());
        }
        drop(held);
        self.send(present.into_iter().map(Entry::Event));
        let more = news.more.into_iter();
        self.send(more.map(|(kind, n)| Entry::Counted(kind, n)));
    }

    fn send(&self, entries: impl IntoIterator<Item = Entry>) {
        if self.sender.receiver_count() == 0 {
            return;
        }
        for entry in entries {
            // There are no followers to miss it.
            let _ = self.sender.send(entry);
        }
    }

    /// How many outcomes and status updates this instance has had, and the latest of them, the oldest first.
    pub(super) fn outcomes(&self) -> (BTreeMap<EventKind, u64>, Vec<MessageEvent>) {
        let held = self.held();
        (held.counts.clone(), held.outcomes.iter().copied().collect())
    }

    /// The latest, the oldest of them first.
    pub fn recent(&self) -> Vec<Happened> {
        self.held().events.iter().cloned().collect()
    }

    /// How many follow.
    pub fn followers(&self) -> usize {
        self.sender.receiver_count()
    }

    /// From now on.
    pub fn follow(&self) -> Following {
        Following(self.sender.subscribe())
    }
}

impl Latest {
    fn note(&mut self, events: &[MessageEvent]) {
        let skip = events.len().saturating_sub(RECENT);
        for event in &events[skip..] {
            keep_latest(&mut self.events, Happened::Here(*event));
        }
        for event in events.iter().filter(|event| is_outcome(event.what)) {
            *self.counts.entry(event.what).or_insert(0) += 1;
            if self.outcomes.len() == OUTCOMES {
                self.outcomes.pop_front();
            }
            self.outcomes.push_back(*event);
        }
    }
}

/// What only the instance knows where it happens; timers are known to all.
fn is_outcome(what: EventKind) -> bool {
    ANSWERS.contains(&what) || UNUSED.contains(&what) || what == EventKind::Receipt
}

/// Those of other instances come later than their time.
fn keep_latest(latest: &mut VecDeque<Happened>, one: Happened) {
    let after = latest
        .iter()
        .rev()
        .take_while(|other| other.at() > one.at());
    latest.insert(latest.len() - after.count(), one);
    if latest.len() > RECENT {
        latest.pop_front();
    }
}

/// A follower.
#[derive(Debug)]
pub struct Following(broadcast::Receiver<Entry>);

/// What has come since the last frame.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = More))]
pub struct Frame {
    /// In order; of more than so many the latest.
    #[serde(skip)]
    pub events: VecDeque<Happened>,
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
            Entry::Event(event) => {
                if self.events.len() == FRAME_MAX
                    && let Some(oldest) = self.events.pop_front()
                {
                    self.count(oldest.kind(), 1);
                }
                self.events.push_back(event);
            }
            Entry::Counted(kind, n) => self.count(kind, n),
            Entry::LeftOut(n) => self.dropped += n,
        }
    }

    fn count(&mut self, kind: EventKind, n: u64) {
        *self.more.entry(kind).or_insert(0) += n;
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
        assert_eq!(frame.events.back(), Some(&Happened::Here(event(all - 1))));
        let counted = frame.events.len() as u64 + frame.more[&EventKind::Armed] + frame.dropped;
        assert_eq!(u128::from(counted), all + 5);
        assert_eq!(feed.recent().len(), RECENT);
    }
}
