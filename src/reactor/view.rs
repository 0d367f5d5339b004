//! The reports on timers, lanes and readiness.

use std::collections::BTreeMap;

use super::lanes::LaneState;
use super::report::{
    DensityReport, Held, LaneReport, LatenessReport, LoadReport, Missing, Readiness, TimerKind,
    TimerReport, TimerState, TimersQuery, WheelLevel, WindowReport,
};
use super::{Busy, Phase, Reactor};
use crate::message::{Channel, InstanceId, LaneKey, MessageId, Moment, Now};
use crate::schedule::{DENSITY_BUCKET, Timer};

mod published;

/// Ten minutes of density: more than anybody watches the page for.
const DENSITY_BUCKETS: usize = 120;

impl<P: Clone> Reactor<P> {
    /// The timers of the query, soonest first.
    pub fn timers(&self, query: TimersQuery, owner: InstanceId, now: Now) -> Vec<TimerReport> {
        let before = |due: Moment| query.before.is_none_or(|before| due < before);
        if let Some(id) = query.id {
            let timer = match self.busy.get(&id) {
                Some(busy) => Some(self.occupied(id, busy, owner, now)),
                None => self.lanes.get(id).map(|t| self.armed(id, t, owner, now)),
            };
            let timer = timer.filter(|timer| before(timer.due_at));
            return timer.into_iter().take(query.limit).collect();
        }
        let busy = self.busy.iter().filter(|(_, busy)| before(busy.due));
        let mut timers: Vec<_> = busy
            .map(|(id, busy)| self.occupied(*id, busy, owner, now))
            .collect();
        let upcoming = self.lanes.upcoming(query.limit, query.before);
        timers.extend(
            upcoming
                .into_iter()
                .map(|(id, t)| self.armed(id, t, owner, now)),
        );
        timers.sort_by_key(|t| (t.due_at, t.id));
        timers.truncate(query.limit);
        timers
    }

    /// The instance that is the first to claim a message.
    fn owner(&self, id: MessageId, timer: &Timer, me: InstanceId) -> InstanceId {
        let limits = &self.settings.limits.claims;
        let due_with_it = || self.lanes.due_with(timer.due, limits);
        let ranking = self.ranking.as_ref();
        ranking.map_or(me, |all| all.first(id, timer.due, due_with_it()))
    }

    /// How far the window reaches, and what is in it.
    pub fn window(&self) -> WindowReport {
        WindowReport {
            until: self.intake.is_ready().then(|| self.intake.window_until()),
            armed: (self.lanes.armed() + self.busy.len()) as u64,
            waiting: None,
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
        self.lanes
            .levels()
            .into_iter()
            .filter(|level| level.occupied > 0)
            .map(|level| WheelLevel {
                level: level.level,
                slot_us: level.slot_us,
                occupied: level.occupied,
            })
            .collect()
    }

    /// The lanes that cannot send more at present, and why.
    pub fn held_lanes(&self, now: Now) -> Vec<(LaneKey, Held)> {
        let held = |state: &LaneState| {
            let held = if state.breaker.is_open() {
                Held::Refused
            } else if state.load.sending >= self.permits_of(state, now) {
                Held::Full
            } else {
                return None;
            };
            Some((state.key.clone(), held))
        };
        self.lanes.all().filter_map(held).collect()
    }

    /// How many results were tried to be recorded and are not yet, and when the first of their requests ended.
    pub fn delayed_results(&self) -> (u64, Option<Moment>) {
        self.outgoing.delayed()
    }

    /// How many are due when, for the next minutes.
    pub fn density(&self, now: Now) -> DensityReport {
        let (from, counts) = self.lanes.density(now.db, DENSITY_BUCKETS);
        DensityReport {
            from,
            bucket_us: u64::try_from(DENSITY_BUCKET.as_micros()).unwrap_or(u64::MAX),
            counts,
        }
    }

    /// How much is under way.
    pub fn load(&self, now: Now) -> LoadReport {
        let (load, most) = (self.lanes.load(), self.settings.max_in_flight);
        let permits = |state: &LaneState| state.throttle.permits(now.up);
        // Where there is no lane, nothing is throttled.
        let permits = self.lanes.all().map(permits).reduce(usize::saturating_add);
        LoadReport {
            cleared: load.cleared.iter().sum::<usize>() as u64,
            in_flight: load.sending as u64,
            permits: permits.map_or(most, |permits| permits.min(most)) as u64,
            max_in_flight: most as u64,
            unrecorded: self.outgoing.unrecorded() as u64,
            unrecorded_oldest_us: self
                .outgoing
                .oldest_answer()
                .map_or(0, |at| u64::try_from(now.db.micros_from(at)).unwrap_or(0)),
        }
    }

    /// The lanes there are, one entry for each account and channel.
    pub fn lanes(&self, now: Now) -> Vec<LaneReport> {
        let mut reports: BTreeMap<(&str, Channel), LaneReport> = BTreeMap::new();
        for state in self.lanes.all() {
            let key = (state.key.account(), state.key.channel());
            let report = reports.entry(key).or_default();
            let breaker = state.breaker.report(now);
            report.lanes += 1;
            report.refused += u64::from(breaker.open);
            if breaker.open && (!report.breaker.open || breaker.since < report.breaker.since) {
                report.breaker = breaker;
            }
            report.armed += state.armed() as u64;
            report.cleared += state.load.cleared.iter().sum::<usize>() as u64;
            report.in_flight += state.load.sending as u64;
            report.unrecorded += state.load.unrecorded() as u64;
            report.permits += state.throttle.permits(now.up) as u64;
        }
        let most = self.settings.max_in_flight as u64;
        let named = |((account, channel), report): ((&str, Channel), LaneReport)| LaneReport {
            account: account.to_owned(),
            channel: channel.as_str(),
            permits: report.permits.min(most),
            ..report
        };
        reports.into_iter().map(named).collect()
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
            held_before: self.quarantine_before,
            remarks: Vec::new(),
        }
    }

    fn armed(&self, id: MessageId, timer: Timer, me: InstanceId, now: Now) -> TimerReport {
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
            part: None,
            version: i64::from(timer.version),
            owner: self.owner(id, &timer, me),
            lane: self.lanes.name_of(id),
            forecast: None,
        }
    }

    fn occupied(&self, id: MessageId, busy: &Busy<P>, owner: InstanceId, now: Now) -> TimerReport {
        let state = match busy.phase {
            // Its claim is under way and not won: still only armed.
            Phase::Claiming { .. } => TimerState::Armed,
            Phase::Cleared { .. } => TimerState::Cleared,
            Phase::Sending { .. } | Phase::Recording { .. } => TimerState::Sending,
        };
        TimerReport {
            id,
            due_at: busy.due,
            due_in_us: busy.due.micros_from(now.db),
            kind: TimerKind::Message,
            state,
            attempt: i32::from(busy.attempts),
            part: busy.part.of_several(),
            version: i64::from(busy.version),
            owner,
            lane: self.lanes[busy.lane].key.to_string(),
            forecast: None,
        }
    }
}
