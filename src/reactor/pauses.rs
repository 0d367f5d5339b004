//! Pauses: what a person has stopped is not claimed, and what was cleared before is released. `claims` asks
//! before a lane is claimed from and when a claim was won, `sends` before a request begins.
//!
//! The claim refuses what is paused, by the table. What was claimed before the pause is stopped here: no request
//! begins unless the pauses were read recently for it, by its claim or since. So a pause takes effect within
//! [`max_age`](crate::limits::PauseLimits::max_age) even if no notification arrives; one that does, stops all
//! requests until the pauses are read again. While something is cleared, one read serves all of it.
//!
//! A paused row is due when its pause ends. One without an end is not armed; when somebody resumes, the window is read
//! again, once for all rows. A lane that is paused as a whole keeps what it has armed, and is not claimed from.

use std::collections::BTreeMap;
use std::time::Duration;

use super::failure_pause::FailurePause;
use super::lanes::Lane;
use super::report::PauseReport;
use super::{Command, Phase, Reactor};
use crate::limits::PauseLimits;
use crate::message::{LaneKey, Moment, Now, Pausable, Pause, PauseKey, PauseScope, Uptime};

/// Why claims are released.
pub(super) const PAUSED: &str = "it is paused";

/// When the pauses were read for something, and for how long that counts.
#[derive(Clone, Copy, Debug)]
struct Reading {
    /// When the statement was sent.
    asked: Uptime,
    /// Until then requests may begin that rely on it.
    good_until: Uptime,
}

/// The pauses in force, as they were last read.
#[derive(Debug)]
pub(super) struct Pauses {
    limits: PauseLimits,
    /// What is paused, and until when, by the latest read.
    known: BTreeMap<PauseKey, Moment>,
    latest: Reading,
    /// By when their claim was sent: how many messages are cleared, and until when the reading by that claim counts.
    cleared: BTreeMap<Uptime, (usize, Uptime)>,
    /// When the read under way was sent.
    reading: Option<Uptime>,
    /// How long the latest read took.
    took: Duration,
    /// They are to be read, whether or not something relies on them.
    is_wanted: bool,
    /// When a claim last met a pause that no read has shown; no read was sent and answered since.
    met: Option<Uptime>,
    /// When the first claim was sent that won what is paused by the latest read. The pauses were not read since.
    contradicted: Option<Uptime>,
    /// Another claim that was sent later won something paused too.
    is_repeated: bool,
    /// When the latest notification of a change came.
    heard: Uptime,
    failures: FailurePause,
}

impl Pauses {
    pub(super) const fn new(limits: PauseLimits) -> Self {
        Self {
            limits,
            known: BTreeMap::new(),
            latest: Reading {
                asked: Uptime::MIN,
                good_until: Uptime::MIN,
            },
            cleared: BTreeMap::new(),
            reading: None,
            took: Duration::ZERO,
            is_wanted: false,
            met: None,
            contradicted: None,
            is_repeated: false,
            heard: Uptime::MIN,
            failures: FailurePause::new(limits.failed_retry),
        }
    }

    /// Has the pauses read.
    pub(super) const fn want(&mut self) {
        self.is_wanted = true;
    }

    /// A claim met a pause with this end. If no read has shown one, they are read, once for all that it stops.
    pub(super) fn met(&mut self, until: Moment, now: Now) {
        if self.known.values().all(|known| *known != until) {
            self.is_wanted = true;
            self.met = Some(now.up);
        }
    }

    /// A claim that was sent at `asked` won what is paused by the latest read. If that is older, it is out of date.
    pub(super) fn contradicted(&mut self, asked: Uptime) {
        if self.latest.asked < asked {
            self.is_wanted = true;
            self.is_repeated |= *self.contradicted.get_or_insert(asked) < asked;
        }
    }

    /// Whether claims win, again and again, what is released at once: they wait until the pauses are read.
    pub(super) const fn are_out_of_date(&self) -> bool {
        self.is_repeated
    }

    /// A notification says that they have changed.
    pub(super) const fn changed(&mut self, now: Now) {
        self.is_wanted = true;
        self.heard = now.up;
    }

    /// A statement sent at `asked` has its response now. The limit is two round trips, where those take longer than
    /// the usual one: the next response cannot be here sooner.
    fn reading(&self, asked: Uptime, now: Now) -> Reading {
        let round_trips = now.up.since(asked).saturating_mul(2);
        Reading {
            asked,
            good_until: asked + self.limits.max_age.max(round_trips),
        }
    }

    /// Whether all messages of a campaign wait until somebody resumes.
    pub(super) fn stop_campaign(&self, campaign: &str) -> bool {
        let mut stopped = self
            .known
            .iter()
            .filter(|(_, until)| **until == Moment::MAX);
        stopped.any(|(key, _)| match key.scope {
            PauseScope::Everything => true,
            PauseScope::Campaign => key.what == campaign,
            _ => false,
        })
    }

    /// A message is cleared whose claim was sent at `asked`.
    pub(super) fn cleared(&mut self, asked: Uptime, now: Now) {
        let good_until = self.reading(asked, now).good_until;
        let (n, own) = self.cleared.entry(asked).or_insert((0, good_until));
        *n += 1;
        *own = good_until.min(*own);
    }

    /// A request was not begun: what was read by its claim is too old by now.
    pub(super) fn cleared_again(&mut self, asked: Uptime) {
        let (n, own) = self.cleared.entry(asked).or_insert((0, asked));
        *n += 1;
        *own = asked.min(*own);
    }

    /// A cleared message whose claim was sent at `asked` has started, or is released.
    pub(super) fn no_longer_cleared(&mut self, asked: Uptime) {
        if let Some((n, _)) = self.cleared.get_mut(&asked) {
            *n -= 1;
            if *n == 0 {
                self.cleared.remove(&asked);
            }
        }
    }

    /// How many are cleared of each claim.
    #[cfg(test)]
    pub(super) fn audit(&self) -> BTreeMap<Uptime, usize> {
        let all = self.cleared.iter();
        all.map(|(asked, (n, _))| (*asked, *n)).collect()
    }

    /// The oldest reading that something cleared relies on; `None`: nothing is cleared. The latest read is for all that
    /// was claimed before it was sent.
    fn oldest(&self) -> Option<Reading> {
        let (first, _) = self.cleared.first_key_value()?;
        let latest = (*first < self.latest.asked).then_some(self.latest);
        let own = self.cleared.range(self.latest.asked..);
        let own = own.map(|(asked, (_, good_until))| Reading {
            asked: *asked,
            good_until: *good_until,
        });
        latest.into_iter().chain(own).reduce(|a, b| Reading {
            asked: a.asked.min(b.asked),
            good_until: a.good_until.min(b.good_until),
        })
    }

    /// Whether what is cleared may start, as far as pauses are concerned.
    pub(super) fn is_fresh(&self, now: Now) -> bool {
        self.oldest()
            .is_some_and(|r| self.heard <= r.asked && now.up <= r.good_until)
    }

    /// Until when what is cleared may start without another read.
    pub(super) fn good_until(&self) -> Uptime {
        self.oldest().map_or(Uptime::MIN, |r| r.good_until)
    }

    /// How long after one read the next is sent: earlier where the response is long on its way, so that it is here
    /// before the one before has become too old.
    fn reread(&self) -> Duration {
        let left = self.limits.max_age.saturating_sub(self.took * 2);
        left.clamp(self.limits.reread / 2, self.limits.reread)
    }

    /// When the next read is to be sent.
    fn next_read(&self) -> Option<Uptime> {
        if self.reading.is_some() {
            return None;
        }
        let wanted = self.is_wanted.then_some(Uptime::MIN);
        let cleared = self.oldest().map(|r| r.asked + self.reread());
        let next = [wanted, cleared].into_iter().flatten().min()?;
        Some(next.max(self.failures.until()))
    }

    fn ends(&self, key: &LaneKey) -> Option<Moment> {
        if self.known.is_empty() {
            return None;
        }
        let of = |scope, what: &str| {
            let key = PauseKey {
                scope,
                what: what.to_owned(),
            };
            self.known.get(&key).copied()
        };
        let lane = of(PauseScope::Lane, key.channel().as_str());
        lane.max(of(PauseScope::Everything, ""))
    }

    /// Whether a message that was claimed for this moment is stopped beyond it.
    pub(super) fn stops(&self, message: &Pausable, due: Moment, now: Now) -> bool {
        let from = due.max(now.db);
        let mut known = self.known.iter();
        known.any(|(key, until)| *until > from && message.is_stopped_by(key))
    }
}

impl<P: Clone> Reactor<P> {
    pub(super) fn read_pauses(&mut self, now: Now) {
        if self.pauses.next_read().is_none_or(|at| at > now.up) {
            return;
        }
        self.pauses.is_wanted = false;
        self.pauses.reading = Some(now.up);
        self.commands.push_back(Command::ReadPauses);
    }

    pub(super) fn next_pause_read(&self, now: Now) -> Option<Moment> {
        let next = self.pauses.next_read()?;
        Some(now.db + next.since(now.up))
    }

    pub(super) fn pauses_read(&mut self, pauses: Option<Vec<Pause>>, way: Duration, now: Now) {
        let Some(asked) = self.pauses.reading.take() else {
            return;
        };
        let Some(pauses) = pauses else {
            self.pauses.failures.failed(now);
            self.pauses.is_wanted = true;
            return;
        };
        self.pauses.failures.succeeded();
        (self.pauses.contradicted, self.pauses.is_repeated) = (None, false);
        self.pauses.took = now.up.since(asked);
        self.note_round_trip(way);
        self.pauses.latest = self.pauses.reading(asked, now);
        let known = pauses.into_iter().map(|pause| (pause.key, pause.until));
        let before = std::mem::replace(&mut self.pauses.known, known.collect());
        let known = &self.pauses.known;
        self.lanes.note_paused(|sender| {
            let (scope, what) = (PauseScope::Sender, sender.to_owned());
            known.get(&PauseKey { scope, what }).copied()
        });
        let mut all = known.iter();
        let has_begun = all.any(|(key, until)| before.get(key).is_none_or(|was| was < until));
        let is_resumed = |(key, until): (&PauseKey, &Moment)| {
            *until > now.db && known.get(key).is_none_or(|now_until| now_until < until)
        };
        let mut is_over = before.iter().any(is_resumed);
        // If no pause has begun, one that a claim met before this was sent is over.
        if self.pauses.met.take_if(|met| *met <= asked).is_some() {
            is_over |= !has_begun;
        }
        if is_over {
            // Its rows are due again. One read of the window finds them all.
            self.intake.resync();
        }
        if has_begun {
            self.release_paused(now);
        }
    }

    /// Releases what was cleared before its pause.
    pub(super) fn release_paused(&mut self, now: Now) {
        let mut paused = Vec::new();
        for (id, busy) in &mut self.busy {
            if let Phase::Cleared { pausable, .. } = &busy.phase
                && self.pauses.stops(pausable, busy.due, now)
            {
                busy.recheck = true;
                paused.push((*id, busy.lane, busy.priority, busy.due));
            }
        }
        for (id, lane, priority, due) in paused {
            self.lanes.remove_cleared(lane, priority, (due, id));
            self.release(id, PAUSED, now);
        }
    }

    /// What is paused.
    pub fn pauses(&self, now: Now) -> Vec<PauseReport> {
        let known = self.pauses.known.iter();
        let in_force = known.filter(|(_, until)| **until > now.db);
        let report = |(key, until): (&PauseKey, &Moment)| PauseReport {
            scope: key.scope.as_str(),
            what: (!matches!(key.scope, PauseScope::Everything | PauseScope::Sender))
                .then(|| key.what.clone()),
            until: *until,
        };
        in_force.map(report).collect()
    }

    /// When a lane may be claimed from again; `None`: it is not paused.
    pub(super) fn lane_paused_until(&self, lane: Lane, lead: Duration, now: Now) -> Option<Moment> {
        let until = self.pauses.ends(&self.lanes[lane].key)?;
        let from = if until == Moment::MAX {
            until
        } else {
            until - lead
        };
        (from > now.db).then_some(from)
    }
}
