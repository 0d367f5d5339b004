//! One daemon: the real reactor, and around it what `daemon::event_loop` and the tasks beside it do.
//! It calls the reactor when something comes in and when `next_wakeup` says so, and never
//! otherwise.

use std::collections::BTreeSet;
use std::sync::Arc;

use punctual::forecast::{self, PublishedRules};
use punctual::message::{
    ClaimResponse, InstanceId, LaneKey, MessageId, Moment, Now, PacedResponse, RowState, Uptime,
};
use punctual::proof::quarantine::WRITTEN_AFTER;
use punctual::reactor::{Command, Reactor};
use uuid::Uuid;

use super::database::Call;
use super::{Input, Payload, Process, START, Whose, World, draw_token};
use crate::mutant::Mutant;
use crate::plan::{BEAT, MS, SECOND, micros};
use crate::witness::{EVERYTHING, Seen, Witness};

/// A place where a daemon runs, ends, and runs again.
pub(super) struct Slot {
    /// How often a daemon ended here.
    pub(super) run: u32,
    pub(super) instance: Option<Instance>,
    /// Whether its LISTEN stands, as the database has it.
    pub(super) hears: bool,
    /// Counts its listener's connections.
    pub(super) ear: u64,
    /// After a drain.
    pub(super) down_for: i64,
}

impl Slot {
    pub(super) const fn new(_: usize) -> Self {
        Self {
            run: 0,
            instance: None,
            hears: false,
            ear: 0,
            down_for: 0,
        }
    }
}

pub(super) struct Instance {
    pub(super) id: InstanceId,
    pub(super) reactor: Reactor<Payload>,
    /// The uptime is the world's time and this.
    booted: i64,
    /// The clock's error, within what is published.
    error_us: i64,
    /// What the wall clock was set by, and how often.
    pub(super) step_us: i64,
    pub(super) steps: u64,
    pub(super) step_noticed: bool,
    /// Whether the database's clock was found to have jumped, and was not found right since.
    disputes: bool,
    /// What it knows of a quarantine.
    quarantine: Option<Moment>,
    cleared: BTreeSet<MessageId>,
    pub(super) suspended_until: i64,
    generation: u64,
    pub(super) witness: Witness,
}

impl World {
    pub(super) fn instance(&self, whose: Whose) -> Option<&Instance> {
        let slot = self.slots.get(whose.slot)?;
        slot.instance.as_ref().filter(|_| slot.run == whose.run)
    }

    /// What the daemons that run would publish now.
    pub(super) fn published(&self, rules: &PublishedRules) -> Vec<forecast::Instance> {
        let of = |(slot, place): (usize, &Slot)| {
            let instance = place.instance.as_ref()?;
            let (reactor, now) = (&instance.reactor, self.now_of(slot));
            let missing = reactor.readiness().missing;
            Some(forecast::Instance {
                id: instance.id,
                state: Some(reactor.published(&missing, rules, now)),
            })
        };
        self.slots.iter().enumerate().filter_map(of).collect()
    }

    /// How many daemons there may be at once.
    pub(crate) fn places(&self) -> usize {
        self.slots.len()
    }

    /// The worst clock that the reactor could be given: as if a step were followed until it is measured.
    pub(crate) fn now_of(&self, slot: usize) -> Now {
        let step = self.slots[slot].instance.as_ref().map_or(0, |i| i.step_us);
        let steady = self.steady_now_of(slot);
        Now {
            db: Moment::from_micros(steady.db.as_micros() + step),
            ..steady
        }
    }

    /// As the daemon's clock is, which follows no step and no jump (`schedule/offset.rs`).
    pub(crate) fn steady_now_of(&self, slot: usize) -> Now {
        let jump = if self.mutant == Some(Mutant::FollowedJump) {
            self.jump_us
        } else {
            0
        };
        let (off, booted) = self.slots[slot]
            .instance
            .as_ref()
            .map_or((0, 0), |i| (i.error_us, i.booted));
        Now {
            db: Moment::from_micros(START.as_micros() + self.t + off + jump),
            up: Uptime::from_micros(booted + self.t),
        }
    }

    pub(super) fn start_instance(&mut self, slot: usize) {
        if self.slots[slot].instance.is_some() {
            return;
        }
        let run = self.slots[slot].run;
        let whose = Whose { slot, run };
        let id = InstanceId(Uuid::from_u128(
            0xD << 120 | (slot as u128) << 32 | u128::from(run),
        ));
        self.note(|| format!("daemon {slot} starts, run {run}"));
        self.db.start_instance(id, self.db_now());
        self.forgets_slowed(slot);
        let widest = self.plan.uncertainty;
        let error_us = if self.mutant == Some(Mutant::FastClock) {
            50 * MS
        } else {
            self.chances.time.between(-widest, widest + 1)
        };
        let booted = i64::try_from(slot).unwrap_or(0) * 1_000 * SECOND + 77 * SECOND;
        let now = Now {
            db: Moment::from_micros(START.as_micros() + self.t + error_us),
            up: Uptime::from_micros(booted + self.t),
        };
        self.slots[slot].instance = Some(Instance {
            id,
            reactor: Reactor::new(self.plan.settings.clone(), now, draw_token)
                .with_routes(Arc::clone(&self.db.routes)),
            booted,
            error_us,
            step_us: 0,
            steps: 0,
            step_noticed: true,
            disputes: false,
            quarantine: None,
            cleared: BTreeSet::new(),
            suspended_until: 0,
            generation: 0,
            witness: Witness::new(&self.plan.settings, !self.plan.accounts.is_empty()),
        });
        self.slots[slot].ear += 1;
        let ear = self.slots[slot].ear;
        let connects = self.t + self.chances.time.between(MS, 300 * MS);
        self.process_at(connects, whose, Process::Reconnected { ear });
        self.process_at(self.t + MS, whose, Process::Maintenance);
        self.process(whose, Process::ReadsQuarantine);
        self.arm(whose);
    }

    /// What the database has of a quarantine, compared with what this daemon knows.
    fn reads_quarantine(&mut self, whose: Whose) {
        let is = self.db.quarantined_before();
        let Some(instance) = self.slots[whose.slot].instance.as_mut() else {
            return;
        };
        if instance.quarantine != is {
            instance.quarantine = is;
            instance.cleared.clear();
            let input = is.map_or(Input::QuarantineEnded, |before| Input::Quarantine {
                before,
                written_until: before + WRITTEN_AFTER,
            });
            self.feed(whose, input);
        }
        let cleared = self.db.quarantine_cleared.clone();
        let Some(instance) = self.slots[whose.slot].instance.as_mut() else {
            return;
        };
        let more: Vec<_> = cleared.difference(&instance.cleared).copied().collect();
        if is.is_some() && !more.is_empty() {
            instance.cleared = cleared;
            self.feed(whose, Input::QuarantineCleared(more));
        }
    }

    /// A reading of the database's clock: a jump is not followed, and nothing is claimed until it is over.
    pub(super) fn measures(&mut self, whose: Whose) {
        let jumped = self.jump_us != 0 && self.mutant != Some(Mutant::FollowedJump);
        let Some(instance) = self.slots[whose.slot].instance.as_mut() else {
            return;
        };
        if jumped && !instance.disputes {
            instance.disputes = true;
            instance.step_noticed = false;
            instance.steps += 1;
            let step = instance.steps;
            self.process_at(self.t + MS, whose, Process::ClockFound { step });
        }
    }

    pub(super) fn process(&mut self, whose: Whose, what: Process) {
        match what {
            Process::Wake { generation } => {
                let current = self
                    .instance(whose)
                    .is_some_and(|i| i.generation == generation);
                if current {
                    self.feed(whose, Input::Tick);
                }
            }
            Process::Input(input) => self.feed(whose, input),
            Process::Claimed(answer) => self.claimed(whose, answer),
            Process::Charged(charged) => self.charged(whose, charged),
            Process::Kept(keeping) => self.kept(whose, keeping),
            Process::PacesClaimed { answers, asked } => self.paces_claimed(whose, answers, asked),
            Process::Leave(departure) => self.leave(whose, departure),
            Process::Answered(reply) => self.answered(whose, reply),
            Process::Maintenance => {
                self.issue(whose, Call::Maintenance);
                self.process_at(self.t + BEAT, whose, Process::Maintenance);
            }
            Process::ReadsQuarantine => {
                self.reads_quarantine(whose);
                self.process_at(self.t + BEAT, whose, Process::ReadsQuarantine);
            }
            Process::ClockFound { step } => {
                let Some(instance) = self.slots[whose.slot].instance.as_mut() else {
                    return;
                };
                if instance.steps == step && self.jump_us != 0 {
                    // Measured again until it is right.
                    self.process_at(self.t + SECOND, whose, Process::ClockFound { step });
                } else if instance.steps == step {
                    instance.step_us = 0;
                    instance.disputes = false;
                    self.feed(whose, Input::ClockFound);
                }
            }
            Process::EarLost { ear } => {
                if self.slots[whose.slot].ear == ear {
                    self.feed(whose, Input::ChannelDown);
                }
            }
            Process::Reconnected { ear } => {
                if self.slots[whose.slot].ear == ear && !self.plan.deaf {
                    self.slots[whose.slot].hears = true;
                    let proven = self.t + self.chances.time.between(MS, 30 * MS);
                    self.process_at(proven, whose, Process::Proven { ear });
                }
            }
            Process::Proven { ear } => {
                if self.slots[whose.slot].ear == ear {
                    self.feed(whose, Input::ChannelUp { unnotified: false });
                }
            }
        }
    }

    /// The loop's turn: what happened goes in, what was decided is begun, the timer is set.
    pub(super) fn feed(&mut self, whose: Whose, input: Input) {
        let now = self.now_of(whose.slot);
        let mut input = input;
        if self.mutant == Some(Mutant::OneLane) {
            without_lanes(&mut input);
        }
        let Some(instance) = self.slots[whose.slot].instance.as_mut() else {
            return;
        };
        if !instance.step_noticed {
            // The loop looks for a step before it passes an input on. What the reactor decides by it is
            // begun first, so that it is not taken for a consequence of the input.
            instance.step_noticed = true;
            instance.reactor.handle(Input::ClockLost, now);
            self.begin(whose);
        }
        let Some(instance) = self.slots[whose.slot].instance.as_mut() else {
            return;
        };
        let woke = matches!(input, Input::Tick);
        instance.witness.hears(&input, self.t);
        instance.reactor.handle(input, now);
        let began = self.begin(whose);
        self.watch_instance(whose.slot, woke && began == 0);
        let drained = self.instance(whose).is_some_and(|i| i.reactor.is_drained());
        if drained {
            self.stop_instance(whose.slot);
        } else {
            self.arm(whose);
        }
    }

    fn stop_instance(&mut self, slot: usize) {
        self.note(|| format!("daemon {slot} has drained and stops"));
        if let Some(instance) = self.slots[slot].instance.take() {
            self.db.beat(instance.id, self.db_now());
        }
        self.slots[slot].run += 1;
        self.slots[slot].hears = false;
        self.come_back(slot, self.slots[slot].down_for);
    }

    fn arm(&mut self, whose: Whose) {
        let now = self.now_of(whose.slot);
        // Late by a hair, never early.
        let hair = if self.mutant == Some(Mutant::LateTimer) {
            3 * SECOND
        } else {
            self.chances.time.between(0, 200)
        };
        let Some(instance) = self.slots[whose.slot].instance.as_mut() else {
            return;
        };
        instance.generation += 1;
        let generation = instance.generation;
        let Some(at) = instance.reactor.next_wakeup(now) else {
            return;
        };
        let wait = at.micros_from(now.db).max(0);
        instance.witness.sleeps(wait);
        // A nap of a day ends after every world does.
        let at = self.t + wait.min(86_400 * SECOND) + hair;
        self.process_at(at, whose, Process::Wake { generation });
    }

    fn begin(&mut self, whose: Whose) -> usize {
        let mut commands = Vec::new();
        if let Some(instance) = self.slots[whose.slot].instance.as_mut() {
            while let Some(command) = instance.reactor.next_command() {
                commands.push(command);
            }
        }
        let began = commands.len();
        // Requests first, as the loop does.
        let is_start = |c: &Command<Payload>| matches!(c, Command::Start { .. });
        let (starts, rest): (Vec<_>, Vec<_>) = commands.into_iter().partition(is_start);
        for command in starts.into_iter().chain(rest) {
            self.perform(whose, command);
        }
        began
    }

    fn perform(&mut self, whose: Whose, command: Command<Payload>) {
        let until_full = self.now_of(whose.slot).db + micros(24 * SECOND);
        let t = self.t;
        let seen = self.slots[whose.slot]
            .instance
            .as_mut()
            .and_then(|instance| instance.witness.decides(&command, until_full, t));
        if let Some((invariant, what)) = seen {
            self.break_down(invariant, what);
        }
        match command {
            Command::Read(ids) => self.issue(whose, Call::Read(ids)),
            Command::ReadPauses => self.issue(whose, Call::Pauses),
            Command::Load { from, until, most } => {
                self.issue(whose, Call::Load { from, until, most });
            }
            Command::Claim(asks) => {
                let asked = self.now_of(whose.slot).up;
                self.issue(whose, Call::Claim { asks, asked });
            }
            Command::ClaimPaced { asks, until } => {
                let asked = self.now_of(whose.slot).up;
                self.issue(whose, Call::ClaimPaced { asks, until, asked });
            }
            Command::Record { group, records } => {
                self.issue(whose, Call::Record { group, records });
            }
            Command::Start {
                id,
                payload,
                start_before,
            } => {
                self.watch_start(whose.slot, id, &payload);
                self.depart(whose, id, payload, start_before);
            }
            Command::Prewarm { .. } => {}
        }
    }
}

impl World {
    fn watch_start(&mut self, slot: usize, id: MessageId, payload: &Payload) {
        let (now, permits) = (self.now_of(slot), self.plan.settings.max_in_flight);
        let lane = self.lanes.get(&payload.token()).cloned();
        let Some(instance) = self.slots[slot].instance.as_mut() else {
            return;
        };
        let heard = instance.witness.heard_pauses;
        let lanes = instance.reactor.lanes(now).len();
        let seen = instance
            .witness
            .starts(id, lane.unwrap_or_default(), lanes, permits);
        let seen = seen.or_else(|| instance.witness.quarantines(id, payload.due()));
        let seen = seen.or_else(|| self.hammers(slot, payload));
        // Heard of after the commit, and started nonetheless.
        let seen = seen.or_else(|| self.started_in_pause(payload, |paused| paused < heard));
        if let Some((invariant, what)) = seen {
            self.break_down(invariant, format!("daemon {slot}: {what}"));
        }
    }

    /// The longest that this daemon may be without a reading of the pauses.
    pub(crate) fn pause_span(&self, slot: usize) -> i64 {
        let longest = self.slots[slot].instance.as_ref();
        longest.map_or(0, |instance| instance.witness.pause_span())
    }

    pub(crate) fn look_at_instance(&mut self, slot: usize, idle: bool, now: Now) -> Seen {
        let instance = self.slots[slot].instance.as_mut()?;
        // To list every timer costs more than a turn does.
        let mut timers = Vec::new();
        if instance.generation.is_multiple_of(8) {
            let all = instance.reactor.timers(EVERYTHING, instance.id, now);
            timers.extend(all.into_iter().map(|timer| timer.id));
        }
        let (events, _) = instance.reactor.take_events();
        let broken = instance.witness.counts_events(&events, self.t);
        if broken.is_some() {
            return broken;
        }
        let settings = &self.plan.settings;
        let ready = instance.reactor.is_ready();
        let awake = (instance.suspended_until, self.t);
        let lanes = (&*instance.reactor.lanes(now), awake);
        instance.witness.judge(ready, timers, idle, settings, lanes)
    }
}

/// As if no statement returned the channel.
fn without_lanes(input: &mut Input) {
    let forget = |state: &mut RowState| match state {
        RowState::Pending { lane, .. } | RowState::Sending { lane, .. } => {
            *lane = LaneKey::default();
        }
        RowState::Gone { .. } => {}
    };
    match input {
        Input::Loaded(rows) => rows
            .iter_mut()
            .for_each(|row| row.lane = LaneKey::default()),
        Input::Rows { rows } => {
            let rows = rows.iter_mut().flatten();
            rows.for_each(|(_, state)| forget(state));
        }
        Input::Recorded { done, .. } => {
            let states = done.iter_mut().filter_map(|(_, state)| state.as_mut());
            states.for_each(forget);
        }
        Input::Claimed { answers, .. } => {
            for (_, answer) in answers {
                match answer {
                    ClaimResponse::Won(judged) => judged.lane = LaneKey::default(),
                    ClaimResponse::Lost(state)
                    | ClaimResponse::Paused(state)
                    | ClaimResponse::Paced(state) => forget(state),
                    ClaimResponse::OptedOut => {}
                }
            }
        }
        Input::PacesClaimed { answers, .. } => {
            for (_, answer) in answers {
                match answer {
                    PacedResponse::Won(paced) => paced.claim.lane = LaneKey::default(),
                    PacedResponse::Wait(due) => due.lane = LaneKey::default(),
                    PacedResponse::OptedOut(_) | PacedResponse::Idle => {}
                }
            }
        }
        Input::PacesLoaded(paces) => paces
            .iter_mut()
            .for_each(|due| due.lane = LaneKey::default()),
        _ => {}
    }
}
