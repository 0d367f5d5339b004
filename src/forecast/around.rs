//! What is known beside the message: the instances that run, and what they have published.

use std::time::Duration;

use super::published::{PublishedLane, PublishedState, Refused};
use crate::message::{
    InstanceId, LaneKey, Moment, Parties, ProviderCapabilities, Standing, choose,
};
use crate::policy::Rules;

/// The instances that run, and what they have published.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The database's clock.
    pub now: Moment,
    /// The instances that run and may claim.
    pub instances: Vec<Instance>,
    /// When one of them, or else the last that ran, was heard last; `None`: none ever ran.
    pub heard_at: Option<Moment>,
    /// What they judge by.
    pub rules: Rules,
    /// What their providers carry.
    pub capabilities: ProviderCapabilities,
    /// Whether these are what an instance has published. If not, they are the settings of this program.
    pub rules_are_known: bool,
}

/// An instance that runs.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Which one.
    pub id: InstanceId,
    /// What it has published; `None`: its version publishes nothing.
    pub state: Option<PublishedState>,
}

/// The messages that are due together with one, or before it and still wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crowd {
    /// How many.
    pub(super) messages: u64,
    /// When the last of them is sent.
    pub(super) ends: Moment,
    /// Whether the provider takes fewer requests at once than usual.
    pub(super) is_throttled: bool,
}

impl Crowd {
    /// Why its messages are not sent when they are due.
    pub(super) const fn reason(self) -> &'static str {
        if self.is_throttled {
            "throttled"
        } else {
            "queue"
        }
    }
}

/// A crowd that is sent within this time is none.
const CROWD: Duration = Duration::from_secs(2);

impl Surroundings {
    fn states(&self) -> impl Iterator<Item = Option<&PublishedState>> {
        self.instances
            .iter()
            .map(|instance| instance.state.as_ref())
    }

    /// Whether an instance runs that does not say what it knows.
    pub(super) fn has_silent(&self) -> bool {
        self.states().any(|state| state.is_none())
    }

    /// Why no instance sends, if none of those that run does.
    pub(super) fn missing(&self) -> Option<String> {
        let mut why: Vec<&str> = Vec::new();
        for state in self.states() {
            let missing = &state?.missing;
            if missing.is_empty() {
                return None;
            }
            for one in missing {
                if !why.contains(&one.as_str()) {
                    why.push(one);
                }
            }
        }
        (!why.is_empty()).then(|| why.join("; "))
    }

    /// Whether an instance has a message of these parties wait at that time, because the provider slows or refuses
    /// them.
    pub(super) fn slows(&self, parties: &Parties, at: Moment) -> bool {
        let mut slowed = self.states().flatten().flat_map(|state| &state.slowed);
        slowed.any(|one| [parties.sender, parties.pair].contains(&one.key) && one.until > at)
    }

    /// What the others that send have published.
    fn others(&self, own: InstanceId) -> impl Iterator<Item = &PublishedState> {
        let others = self.instances.iter().filter(move |other| other.id != own);
        let states = others.filter_map(|other| other.state.as_ref());
        states.filter(|state| state.missing.is_empty())
    }

    /// Whether another instance than this one sends.
    pub fn another_sends(&self, own: InstanceId) -> bool {
        self.others(own).next().is_some()
    }

    /// Whether another instance than this one sends by this account and channel, because its provider does not refuse
    /// it.
    pub fn another_sends_by(&self, own: InstanceId, account: &str, channel: &str) -> bool {
        let mut lanes = self.others(own).flat_map(|state| &state.lanes);
        lanes.any(|lane| {
            lane.account == account && lane.channel == channel && lane.refused.is_none()
        })
    }

    /// What each instance that sends knows of a lane; `None`: there is none, or one of them knows nothing like that.
    fn everywhere<'a, T>(
        &'a self,
        lane: &LaneKey,
        of: impl Fn(&'a PublishedLane) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut all = Vec::new();
        for state in self.states() {
            let state = state?;
            let known = lane_of(state, lane);
            let is_ready = state.missing.is_empty();
            // One that is loading sends by the lanes that it knows.
            if !is_ready && (!state.loading || known.is_none()) {
                continue;
            }
            all.push(of(known?)?);
        }
        Some(all)
    }

    /// That every instance that sends is refused by the provider in this lane: of the one that tries next first.
    pub fn refused(&self, lane: &LaneKey) -> Option<&Refused> {
        let all = self.everywhere(lane, |known| known.refused.as_ref())?;
        let at = |one: &&Refused| one.next_probe_at.unwrap_or(Moment::MAX);
        all.into_iter().min_by_key(at)
    }

    /// How a message that could go by others sees a lane.
    fn standing(&self, lane: &LaneKey) -> Standing<Moment> {
        let paused = |state: &PublishedState| {
            let until = state.paused_accounts.get(lane.account());
            until.is_some_and(|until| *until > self.now)
        };
        if lane.channel().is_phone() && self.states().flatten().any(paused) {
            return Standing::Paused;
        }
        let shut = self.everywhere(lane, |known| known.shut_until(self.now));
        match shut.and_then(|all| all.into_iter().min()) {
            // Which message tries it is not known.
            Some(try_at) => Standing::Shut {
                try_at,
                wants_probe: false,
            },
            None => Standing::Free,
        }
    }

    /// The lane that a message of this one goes by, as an instance chooses it.
    pub fn way(&self, key: &LaneKey) -> LaneKey {
        let mut ways = self.rules.routes.ways(key);
        let standings: Vec<_> = ways.iter().map(|way| self.standing(way)).collect();
        ways.swap_remove(choose(&standings))
    }

    /// Why a message goes by another account of its route than this one.
    pub(super) fn why_not(&self, lane: &LaneKey) -> String {
        let account = lane.account();
        match self.standing(lane) {
            Standing::Paused => format!("the sender of {account} is paused"),
            Standing::Shut { .. } if self.refused(lane).is_none() => {
                format!("{account} cannot be reached")
            }
            Standing::Shut { .. } | Standing::Free => format!("the provider refuses {account}"),
        }
    }

    /// The crowd that a message due then is in, if it takes longer to send than a moment.
    ///
    /// All instances have the same messages, and each makes requests: what waits is the most that one of them knows of,
    /// and what leaves is the sum.
    pub(super) fn crowd(&self, lane: &LaneKey, due: Moment) -> Option<Crowd> {
        // One that sends nothing makes no requests either.
        let sending = self
            .states()
            .flatten()
            .filter(|state| state.missing.is_empty());
        let lanes: Vec<_> = sending
            .filter_map(|state| Some((state.at, lane_of(state, lane)?)))
            .collect();
        let per_s: f64 = lanes.iter().map(|(_, lane)| requests_per_s(lane)).sum();
        let waiting = |lane: &PublishedLane| lane.due.iter().map(|n| u64::from(*n)).sum::<u64>();
        let (at, known) = *lanes.iter().max_by_key(|(_, lane)| waiting(lane))?;
        if per_s <= 0.0 || known.due_us == 0 {
            return None;
        }
        let stretch = Duration::from_micros(known.due_us);
        let (mut waiting, mut from) = (known.cleared, known.due_from);
        for n in &known.due {
            waiting += u64::from(*n);
            let until = from + stretch;
            // It was so when it was published: what has left since is not waited for.
            let begins = from.max(at);
            if due.max(self.now) < until {
                let ends = begins + needs(waiting, per_s);
                let takes = ends.since(due.max(from).max(self.now));
                let left = leave(self.now.since(begins), per_s);
                return (takes > CROWD).then_some(Crowd {
                    messages: waiting.saturating_sub(left),
                    ends,
                    is_throttled: lanes
                        .iter()
                        .any(|(_, lane)| lane.permits < lane.permits_max),
                });
            }
            waiting = waiting.saturating_sub(leave(until.since(begins), per_s));
            from = until;
        }
        None
    }
}

/// The lane of that name; of very many hosts the others share that of their account and channel.
fn lane_of<'a>(state: &'a PublishedState, key: &LaneKey) -> Option<&'a PublishedLane> {
    let find = |key: &LaneKey| state.lanes.iter().find(|lane| lane.is(key));
    find(key).or_else(|| find(&key.clone().without_host()))
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn requests_per_s(lane: &PublishedLane) -> f64 {
    lane.permits as f64 * 1e6 / (lane.send_us.max(1) as f64)
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn needs(messages: u64, per_s: f64) -> Duration {
    Duration::try_from_secs_f64(messages as f64 / per_s).unwrap_or(Duration::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate; the cast saturates, and nothing here is negative"
)]
fn leave(span: Duration, per_s: f64) -> u64 {
    (span.as_secs_f64() * per_s) as u64
}
