//! What the reactor tells of its timers.

use super::report::{
    DensityReport, LatenessReport, LoadReport, Missing, Readiness, TimerKind, TimerReport,
    TimerState, TimersQuery, WheelLevel, WindowReport,
};
use super::{Busy, Phase, Reactor};
use crate::message::{InstanceId, MessageId, Now};
use crate::schedule::{DENSITY_BUCKET, Timer};

/// Ten minutes of density: what somebody who watches can still see come.
const DENSITY_BUCKETS: usize = 120;

impl<P: Clone> Reactor<P> {
    /// The timers asked for, soonest first.
    pub fn timers(&self, query: TimersQuery, owner: InstanceId, now: Now) -> Vec<TimerReport> {
        if let Some(id) = query.id {
            let timer = self.busy.get(&id).map_or_else(
                || {
                    self.agenda
                        .get(id)
                        .map(|t| armed(id, t, self.owner(id, owner), now))
                },
                |busy| Some(occupied(id, busy, owner, now)),
            );
            let before = |t: &TimerReport| query.before.is_none_or(|b| t.due_at < b);
            return timer.into_iter().filter(before).take(query.limit).collect();
        }
        let mut timers: Vec<_> = self
            .busy
            .iter()
            .map(|(id, busy)| occupied(*id, busy, owner, now))
            .filter(|t| query.before.is_none_or(|b| t.due_at < b))
            .collect();
        let upcoming = self.agenda.upcoming(query.limit, query.before);
        timers.extend(
            upcoming
                .into_iter()
                .map(|(id, t)| armed(id, t, self.owner(id, owner), now)),
        );
        timers.sort_by_key(|t| (t.due_at, t.id));
        timers.truncate(query.limit);
        timers
    }

    /// Whose turn it is first.
    fn owner(&self, id: MessageId, me: InstanceId) -> InstanceId {
        self.ranking
            .as_ref()
            .map_or(me, |ranking| ranking.first(id))
    }

    /// How far the window reaches, and what is in it.
    pub fn window(&self) -> WindowReport {
        WindowReport {
            until: self.intake.is_ready().then(|| self.intake.window_until()),
            armed: (self.agenda.len() + self.busy.len()) as u64,
            beyond: None,
        }
    }

    /// How late messages were.
    pub fn lateness_report(&self) -> LatenessReport {
        LatenessReport {
            count: self.lateness.count(),
            p50: self.lateness.quantile_us(0.5),
            p99: self.lateness.quantile_us(0.99),
            max: self.lateness.max_us(),
        }
    }

    /// How the wheel is filled.
    pub fn wheel(&self) -> Vec<WheelLevel> {
        self.agenda
            .levels()
            .filter(|level| level.occupied > 0)
            .map(|level| WheelLevel {
                level: level.level,
                slot_us: level.slot_us,
                occupied: level.occupied,
            })
            .collect()
    }

    /// How many are due when, for the next minutes.
    pub fn density(&self, now: Now) -> DensityReport {
        let (from, counts) = self.agenda.density(now.db, DENSITY_BUCKETS);
        DensityReport {
            from,
            bucket_us: u64::try_from(DENSITY_BUCKET.as_micros()).unwrap_or(u64::MAX),
            counts,
        }
    }

    /// How much is under way.
    pub fn load(&self) -> LoadReport {
        LoadReport {
            cleared: self.cleared.len() as u64,
            in_flight: self.outgoing.sending() as u64,
            permits: self.pressure.permits() as u64,
            max_in_flight: self.settings.max_in_flight as u64,
            unrecorded: self.outgoing.unrecorded() as u64,
        }
    }

    /// How long before its time a message is claimed, in µs.
    pub fn lead_us(&self) -> u64 {
        u64::try_from(self.lead.single().as_micros()).unwrap_or(u64::MAX)
    }

    /// Full sweeps that ended.
    pub const fn resyncs(&self) -> u64 {
        self.intake.resyncs()
    }

    /// What is missing for messages to leave on time.
    pub fn readiness(&self) -> Readiness {
        let mut missing = Vec::new();
        if self.draining {
            missing.push(Missing::Draining);
        }
        if self.clock_lost {
            missing.push(Missing::Clock);
        }
        if !self.intake.channel_is_up() {
            missing.push(Missing::Channel);
        }
        if !self.intake.is_ready() {
            missing.push(Missing::Window);
        }
        Readiness {
            missing,
            held_before: self.held_before,
        }
    }
}

fn armed(id: MessageId, timer: Timer, owner: InstanceId, now: Now) -> TimerReport {
    TimerReport {
        id,
        due_at: timer.due,
        due_in_us: timer.due.micros_from(now.db),
        kind: if timer.watch {
            TimerKind::Watch
        } else {
            TimerKind::Message
        },
        state: TimerState::Armed,
        attempt: i32::from(timer.attempts),
        version: i64::from(timer.version),
        owner,
    }
}

fn occupied<P>(id: MessageId, busy: &Busy<P>, owner: InstanceId, now: Now) -> TimerReport {
    let state = match busy.phase {
        // Asked for and not won yet: still only armed.
        Phase::Claiming { .. } => TimerState::Armed,
        Phase::Cleared { .. } => TimerState::Cleared,
        Phase::Sending { .. } | Phase::Recording => TimerState::Sending,
    };
    TimerReport {
        id,
        due_at: busy.due,
        due_in_us: busy.due.micros_from(now.db),
        kind: TimerKind::Message,
        state,
        attempt: i32::from(busy.attempts),
        version: i64::from(busy.version),
        owner,
    }
}
