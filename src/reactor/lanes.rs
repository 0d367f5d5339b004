//! The lanes that messages go out by, and how they share what there is.
//!
//! A provider refuses, throttles or is slow for one lane: an account, a channel and for webhooks a
//! host. So each lane has an agenda, permits, a breaker and connections of its
//! own, and while it waits its messages stay where they are, without being checked.
//!
//! Requests at once, claims, groups of records and unrecorded results are limited for all lanes
//! together. A lane takes at most half of what is free (see [`share`]), so that one that
//! is stuck leaves room for the others. A lane that is the only one takes everything.
//!
//! A lane exists from the first message that is armed for it until nothing names it any more.

use std::collections::{BTreeSet, HashMap};
use std::ops::{Index, IndexMut};
use std::sync::Arc;
use std::time::Duration;

use super::Settings;
use super::breaker::Breaker;
use super::throttle::Throttle;
use crate::message::{LaneKey, MessageId, Moment, Now, ProviderCapabilities, Routes, Uptime};
use crate::schedule::Agenda;

mod armed;
mod cleared;
mod load;
mod order;
mod slices;
mod ways;

pub(super) use armed::LanesWalk;
use order::LaneOrder;
use slices::Slices;

pub(super) use cleared::{ByPriority, DueKey};
pub(super) use load::Load;

/// Names a lane while it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Lane(u32);

/// What is kept for one lane.
pub(super) struct LaneState {
    pub(super) key: LaneKey,
    pub(super) breaker: Breaker,
    pub(super) throttle: Throttle,
    /// When the provider last accepted a request, or refused one for what is its own.
    pub(super) accepted_at: Uptime,
    /// While its provider cannot be reached: when a message that may go by another account tries it again.
    unreached_until: Option<Uptime>,
    /// The message that tries the account while that takes nothing.
    trial: Option<MessageId>,
    /// No connections are opened before this, because they were opened recently.
    prewarm_after: Moment,
    pub(super) load: Load,
    /// How long recent requests took, in microseconds.
    send_us: f64,
    agenda: Agenda,
    /// The messages that wait for their due time or a permit.
    cleared: ByPriority<BTreeSet<DueKey>>,
    /// The number of the latest claim that had a message of this lane.
    pub(super) claimed: u64,
    moments: Moments,
    /// Whether its agenda has changed since `moments` were computed.
    stale: bool,
    /// When something last needed it.
    used: Uptime,
}

impl LaneState {
    fn new(key: LaneKey, provider_max: usize, settings: &Settings, now: Now) -> Self {
        let limits = &settings.limits;
        let most = settings.max_in_flight.min(provider_max);
        Self {
            key,
            breaker: Breaker::new(limits.provider),
            throttle: Throttle::new(most, limits.provider, now.up),
            accepted_at: Uptime::MIN,
            unreached_until: None,
            trial: None,
            prewarm_after: now.db,
            load: Load::default(),
            send_us: limits.claims.first_request.as_secs_f64() * 1e6,
            agenda: Agenda::new(now.db),
            cleared: ByPriority::default(),
            claimed: 0,
            moments: Moments::default(),
            stale: false,
            used: now.up,
        }
    }

    /// Notes how long a request took.
    pub(super) fn took(&mut self, took: Duration) {
        // The last ten or so requests weigh as much as all before them.
        self.send_us += (took.as_secs_f64() * 1e6 - self.send_us) / 16.0;
    }

    /// How many requests can start within `span`, with `permits` at once.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an estimate; the cast saturates and nothing here is negative"
    )]
    pub(super) fn startable(&self, permits: usize, span: Duration) -> usize {
        (permits as f64 * span.as_secs_f64() * 1e6 / self.send_us.max(1.0)) as usize
    }

    /// How long recent requests took, in microseconds.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates and nothing here is negative"
    )]
    pub(super) const fn send_us(&self) -> u64 {
        self.send_us as u64
    }

    fn is_used(&self) -> bool {
        self.load.busy + self.load.paced_asks > 0 || !self.agenda.is_empty()
    }

    /// Whether there is nothing to remember of its provider.
    fn is_at_rest(&self, now: Now) -> bool {
        !self.breaker.is_open()
            && self.unreached_until.is_none()
            && self.throttle.next_step(now.up).is_none()
    }
}

/// When a lane next needs something: its key in each order of [`Lanes`].
#[derive(Clone, Copy, Default)]
struct Moments {
    due: Option<Moment>,
    advance: Option<Moment>,
    prewarm: Option<Moment>,
}

/// All lanes, and what they share.
pub(super) struct Lanes {
    /// By the number in [`Lane`]; `None`: a number that is free for another lane.
    slots: Vec<Option<LaneState>>,
    by_key: HashMap<LaneKey, Lane>,
    /// The lane that was there first: what is armed and not in `elsewhere` is armed there. So
    /// where there is one lane, no message is looked up but on its agenda.
    home: Option<Lane>,
    /// The lane of each message that is armed in another one than `home`.
    elsewhere: HashMap<MessageId, Lane>,
    /// Lanes by a bound that lies [`LEAD_MAX`](crate::schedule::LEAD_MAX) before any of their messages is to be
    /// checked, or earlier.
    pub(super) due: LaneOrder,
    /// Lanes by when their agenda is to be brought into order.
    pub(super) advance: LaneOrder,
    /// Lanes by when their connections are to be opened.
    pub(super) prewarm: LaneOrder,
    /// How long before their use connections are opened.
    prewarm_ahead: Duration,
    /// Those whose agenda has changed since their moments were computed.
    stale: Vec<Lane>,
    /// Each lane's first cleared message of each priority.
    first_cleared: ByPriority<BTreeSet<(DueKey, Lane)>>,
    /// The load of all lanes.
    load: Load,
    slices: Slices,
    /// How many claims were made.
    claims: u64,
    /// The most steps of one [`Lanes::advance`].
    #[cfg(test)]
    pub(super) longest_advance: usize,
    /// What the provider of each lane accepts.
    pub(super) capabilities: ProviderCapabilities,
    /// The accounts that messages go by which name none.
    pub(super) routes: Arc<Routes>,
    /// How far ahead a near sweep arms messages.
    near: Duration,
    /// The accounts of these whose senders are paused, and until when.
    paused: HashMap<Arc<str>, Moment>,
}

impl Index<Lane> for Lanes {
    type Output = LaneState;
    fn index(&self, lane: Lane) -> &LaneState {
        let state = self.slots[lane.0 as usize].as_ref();
        state.expect("a lane that is named exists")
    }
}

impl IndexMut<Lane> for Lanes {
    fn index_mut(&mut self, lane: Lane) -> &mut LaneState {
        let state = self.slots[lane.0 as usize].as_mut();
        state.expect("a lane that is named exists")
    }
}

impl Lanes {
    pub(super) fn new(prewarm_ahead: Duration, near: Duration) -> Self {
        Self {
            slots: Vec::new(),
            by_key: HashMap::new(),
            home: None,
            elsewhere: HashMap::new(),
            due: LaneOrder::default(),
            advance: LaneOrder::default(),
            prewarm: LaneOrder::default(),
            prewarm_ahead,
            stale: Vec::new(),
            first_cleared: ByPriority::default(),
            load: Load::default(),
            slices: Slices::default(),
            claims: 0,
            #[cfg(test)]
            longest_advance: 0,
            capabilities: ProviderCapabilities::default(),
            routes: Arc::default(),
            near,
            paused: HashMap::new(),
        }
    }

    /// The lane of this key, made if there is none; of a route that of the account that takes its messages now.
    pub(super) fn of(&mut self, key: &LaneKey, settings: &Settings, now: Now) -> Lane {
        if let Some(home) = self.home
            && self[home].key == *key
        {
            return home;
        }
        if let Some(lane) = self.by_key.get(key) {
            return *lane;
        }
        if let Some(way) = self.way(key, now) {
            return self.of(&way, settings, now);
        }
        if self.by_key.len() >= settings.limits.lanes.max && key.host().is_some() {
            // Too many hosts at once: the others share the lane of their account and channel.
            return self.of(&key.clone().without_host(), settings, now);
        }
        let at = self.slots.iter().position(Option::is_none);
        let at = at.unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        let provider = self.capabilities.get(key);
        let provider_max = provider.map_or(usize::MAX, |provider| provider.max_in_flight);
        self.slots[at] = Some(LaneState::new(key.clone(), provider_max, settings, now));
        let lane = Lane(u32::try_from(at).expect("fewer lanes than that fit into memory"));
        if self.by_key.is_empty() {
            self.home = Some(lane);
        }
        self.by_key.insert(key.clone(), lane);
        lane
    }

    /// The lane of this key, if there is one.
    pub(super) fn find(&self, key: &LaneKey) -> Option<Lane> {
        self.by_key.get(key).copied()
    }

    /// The same; of a route that of the account that takes its messages now.
    pub(super) fn find_way(&self, key: &LaneKey, now: Now) -> Option<Lane> {
        self.way(key, now)
            .map_or_else(|| self.find(key), |way| self.find(&way))
    }

    /// Whether there is only one, which need not leave anything to others.
    pub(super) fn is_alone(&self) -> bool {
        self.by_key.len() <= 1
    }

    /// How much more a lane that has `own` may take of what is `free`: half, in all. So one lane
    /// leaves half, two leave a third each, and a further one finds room.
    pub(super) fn share(&self, free: usize, own: usize) -> usize {
        if self.is_alone() {
            free
        } else {
            free.saturating_sub(own).div_ceil(2)
        }
    }

    /// All lanes there are.
    pub(super) fn all(&self) -> impl Iterator<Item = &LaneState> {
        self.slots.iter().flatten()
    }

    /// What all of them have under way.
    pub(super) const fn load(&self) -> Load {
        self.load
    }

    /// Changes what a lane has under way.
    pub(super) fn note(&mut self, lane: Lane, change: impl Fn(&mut Load)) {
        change(&mut self.load);
        change(&mut self[lane].load);
    }

    /// The number of the claim that is made now.
    pub(super) const fn next_claim_number(&mut self) -> u64 {
        self.claims += 1;
        self.claims
    }

    /// Frees the lanes that nothing names. What is known of a provider that refuses or throttles
    /// outlives the last message for a while, as the next one may be on its way.
    pub(super) fn free_unused(&mut self, kept: Duration, now: Now) {
        for at in 0..self.slots.len() {
            let Some(state) = &mut self.slots[at] else {
                continue;
            };
            if state.is_used() {
                state.used = now.up;
                continue;
            }
            if !state.is_at_rest(now) && now.up.since(state.used) < kept {
                continue;
            }
            let freed = self.by_key.remove(&state.key);
            let Moments {
                due,
                advance,
                prewarm,
            } = state.moments;
            if let Some(lane) = freed {
                self.due.change(lane, due, None);
                self.advance.change(lane, advance, None);
                self.prewarm.change(lane, prewarm, None);
            }
            self.stale.retain(|lane| Some(*lane) != freed);
            self.home = self.home.filter(|home| Some(*home) != freed);
            self.slots[at] = None;
        }
        while matches!(self.slots.last(), Some(None)) {
            self.slots.pop();
        }
    }
}
