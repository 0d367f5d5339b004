//! What one daemon was told and has decided, kept beside its reactor, and what follows for the
//! reactor from that.

use punctual::message::{MessageId, Moment};
use punctual::reactor::Command;
use punctual::reactor::report::TimersQuery;

use crate::plan::MS;
use crate::watch::Invariant;
use crate::world::{Input, Payload, message};

/// A read that failed is not repeated before this; the reactor's own pause is 500 ms.
const READ_PAUSE: i64 = 450 * MS;

/// Wake-ups in a row that find nothing to do and ask to be woken at once.
const SPINS_MAX: u32 = 20;

/// An invariant that is broken, and how.
pub(crate) type Told = Option<(Invariant, String)>;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    claims: u32,
    reads: u32,
    loads: u32,
    groups: u32,
    requests: usize,
    read_failed_at: Option<i64>,
    heard: bool,
    /// A full sweep that began when the channel was up already.
    full_since_up: bool,
    loaded: bool,
    spins: u32,
    wait: i64,
}

impl Witness {
    pub(crate) fn hears(&mut self, input: &Input, t: i64) {
        match input {
            Input::ChannelUp => {
                self.heard = true;
                self.full_since_up = false;
            }
            Input::ChannelDown => {
                self.heard = false;
                self.full_since_up = false;
                self.loaded = false;
            }
            Input::Rows { rows } => {
                self.reads -= 1;
                self.read_failed_at = rows.is_none().then_some(t);
            }
            Input::LoadEnded { complete } => {
                self.loads -= 1;
                self.loaded |= *complete && self.full_since_up;
                self.full_since_up = false;
            }
            Input::Claimed { .. } | Input::ClaimLost(_) | Input::ClaimRefused(_) => {
                self.claims -= 1;
            }
            Input::Recorded { .. } => self.groups -= 1,
            Input::Sent { .. } => self.requests -= 1,
            _ => {}
        }
    }

    pub(crate) const fn sleeps(&mut self, wait: i64) {
        self.wait = wait;
    }

    pub(crate) fn decides(
        &mut self,
        command: &Command<Payload>,
        near_until: Moment,
        t: i64,
    ) -> Told {
        match command {
            Command::Read(_) => {
                self.reads += 1;
                if let Some(failed) = self.read_failed_at
                    && t - failed < READ_PAUSE
                {
                    let what = format!("a read {} us after one that failed", t - failed);
                    return Some((Invariant::NoHammering, what));
                }
            }
            Command::Load { until } => {
                self.loads += 1;
                self.full_since_up = self.heard && *until > near_until;
            }
            Command::Claim(_) => self.claims += 1,
            Command::Record { .. } => self.groups += 1,
            Command::Start { .. } => self.requests += 1,
            Command::Warm { .. } => {}
        }
        None
    }

    fn crowd(&self, permits: usize) -> Option<String> {
        let Self {
            claims,
            reads,
            loads,
            groups,
            requests,
            ..
        } = *self;
        let crowded = claims > 2 || reads > 1 || loads > 1 || groups > 1 || requests > permits;
        crowded.then(|| {
            format!(
                "{claims} claims, {reads} reads, {loads} sweeps, {groups} groups, \
                 {requests} requests with {permits} permits"
            )
        })
    }
}

/// All timers.
pub(crate) const EVERYTHING: TimersQuery = TimersQuery {
    limit: usize::MAX,
    before: None,
    id: None,
};

impl Witness {
    /// What a daemon says of itself against what it was told and has decided.
    pub(crate) fn judge(
        &mut self,
        ready: bool,
        mut timers: Vec<MessageId>,
        idle: bool,
        permits: usize,
    ) -> Told {
        if let Some(what) = self.crowd(permits) {
            return Some((Invariant::Bounded, what));
        }
        self.spins = if idle && self.wait == 0 {
            self.spins + 1
        } else {
            0
        };
        if self.spins > SPINS_MAX {
            let what = "it asks to be woken at once, for nothing".to_owned();
            return Some((Invariant::NoSpinning, what));
        }
        if ready && !self.loaded {
            let what = "it calls itself ready, and has not loaded since it hears".to_owned();
            return Some((Invariant::ReadyIsReady, what));
        }
        let all = timers.len();
        timers.sort_unstable();
        timers.dedup();
        let twice = timers.len() < all;
        let stranger = timers.iter().any(|id| *id >= message(1_000));
        (twice || stranger).then(|| {
            let what = format!("{all} timers for {} messages", timers.len());
            (Invariant::Bounded, what)
        })
    }
}
