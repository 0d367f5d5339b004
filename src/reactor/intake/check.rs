//! Compares what is armed with what a sweep found.

use super::super::Reactor;
use super::super::lanes::LanesWalk;
use super::{Intake, Reach};
use crate::message::{Moment, Now};
use crate::schedule::Timer;

/// What is still to be compared. Of two sweeps of one kind the later one counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Checks {
    /// Goes first: what is about to be due.
    near: Option<Check>,
    full: Option<Check>,
}

#[derive(Clone, Copy, Debug)]
struct Check {
    /// The number of the sweep.
    sweep: u32,
    /// How far it reached.
    until: Moment,
    /// How far the comparison has come.
    at: LanesWalk,
    reach: Reach,
}

impl Check {
    /// Whether a timer is older than the sweep, which did not find its row, or did not reach so far.
    const fn is_older(&self, timer: &Timer) -> bool {
        // The numbers go round.
        timer.seen.wrapping_sub(self.sweep).cast_signed() < 0 && !timer.watch
    }
}

impl Checks {
    pub(super) fn begin(&mut self, reach: Reach, sweep: u32, until: Moment) {
        let check = Check {
            sweep,
            until,
            at: LanesWalk::default(),
            reach,
        };
        match reach {
            Reach::Near => self.near = Some(check),
            Reach::Full => {
                *self = Self {
                    near: None,
                    full: Some(check),
                }
            }
        }
    }

    fn first(&mut self) -> &mut Option<Check> {
        if self.near.is_some() {
            &mut self.near
        } else {
            &mut self.full
        }
    }

    const fn is_empty(&self) -> bool {
        self.near.is_none() && self.full.is_none()
    }
}

impl Intake {
    /// How much of the room for reads this may use: the other half is for notifications.
    fn share(&self) -> usize {
        (self.limits.notified_max / 2).max(1)
    }

    /// How many timers are compared in one turn: all of them may have to be read.
    fn stretch(&self) -> usize {
        self.limits.stretch.clamp(1, self.share())
    }

    /// Whether there is something to compare, and room for the reads.
    pub(super) fn may_check(&self) -> bool {
        let room = self.share().saturating_sub(self.notified.len());
        !self.stopped && !self.checks.is_empty() && room >= self.stretch()
    }
}

impl<P: Clone> Reactor<P> {
    /// Has read what is armed and was not found: changed without a notification. Reading decides; a
    /// timer that is merely newer than the sweep loses nothing by it.
    pub(in crate::reactor) fn check(&mut self, now: Now) {
        if !self.intake.may_check() {
            return;
        }
        let stretch = self.intake.stretch();
        let Some(check) = *self.intake.checks.first() else {
            return;
        };
        let kept_until = self.intake.kept_until(check.reach, now);
        let (mut stale, mut beyond) = (Vec::new(), Vec::new());
        let next = self.lanes.walk(check.at, stretch, |id, timer| {
            if !check.is_older(timer) {
                return;
            }
            if timer.due <= check.until {
                stale.push(id);
            } else if kept_until.is_some_and(|until| until < timer.due) {
                beyond.push((id, timer.due));
            }
        });
        *self.intake.checks.first() = next.map(|at| Check { at, ..check });
        for id in stale {
            self.intake.note_for_read(id);
        }
        self.disarm_beyond(beyond, now);
    }
}
