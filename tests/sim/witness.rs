//! The inputs and decisions of one daemon, kept beside its reactor, and what follows for the
//! reactor from that.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use punctual::limits::EventLimits;
use punctual::limits::Limits;
use punctual::message::{
    AttemptToken, ClaimResponse, LaneKey, MessageId, Moment, PaceDue, PaceId, PacedResponse,
    RowState,
};
use punctual::reactor::events::EventKind;
use punctual::reactor::report::{LaneReport, TimersQuery};
use punctual::reactor::{self, Command, Settings};
use punctual::schedule::Backoff;

use crate::cause::Causes;
use crate::plan::{MS, SECOND, micros_of};
use crate::watch::Invariant;
use crate::world::{Input, Payload, message};

/// A read that failed is not repeated before this; the reactor's own pause is 500 ms.
const READ_PAUSE: i64 = 450 * MS;

/// How long a lane that nobody needs may be kept: two sweeps, the second of which may be slow.
const IDLE_MAX: i64 = 25 * SECOND;

/// Wake-ups in a row that find nothing to do and ask to be woken at once, beyond those that
/// bring what is armed into order or compare it with a sweep.
const SPINS_MAX: u32 = 20;

/// Equal events of one message within this are no more than there are tries, and a few: it may be
/// released and armed again for another reason.
const REPEATS_WITHIN: i64 = 10 * SECOND;
const REPEATS: usize = 4;

/// One try a pause while the database fails, however much waits for it.
#[derive(Debug)]
struct Pause {
    backoff: Backoff,
    failures: u32,
    until: i64,
}

impl Pause {
    const fn new(backoff: Backoff) -> Self {
        Self {
            backoff,
            failures: 0,
            until: 0,
        }
    }

    fn answered(&mut self, failed: bool, t: i64) {
        if !failed {
            self.failures = 0;
        } else if t >= self.until {
            self.failures += 1;
            self.until = t + micros_of(self.backoff.pause(self.failures));
        }
    }

    fn allows(&self, what: &str, t: i64) -> Seen {
        let early = self.until - t;
        (early > 0).then(|| {
            let what = format!("{what} {early} us before the pause is over");
            (Invariant::NoHammering, what)
        })
    }

    /// How many tries there are within so long a time.
    fn tries_within(&self, span: i64) -> usize {
        let pauses = (1..).map(|n| micros_of(self.backoff.pause(n)));
        let ends = pauses.scan(0, |sum, pause| {
            *sum += pause;
            Some(*sum)
        });
        1 + ends.take_while(|end| *end < span).count()
    }
}

/// An invariant that is broken, and how.
pub(crate) type Seen = Option<(Invariant, String)>;

/// Events with these in common are equal: message, kind, and due time.
type EventKey = (MessageId, EventKind, Option<Moment>);

/// The inputs and decisions of one daemon.
#[derive(Debug)]
pub(crate) struct Witness {
    limits: Limits,
    claims: u32,
    reads: u32,
    loads: u32,
    groups: u32,
    requests: usize,
    read_failed_at: Option<i64>,
    records_pause: Pause,
    claims_pause: Pause,
    paces_pause: Pause,
    /// The attempts in flight, and those that have ended and are not recorded.
    started: BTreeMap<MessageId, AttemptToken>,
    finished: BTreeMap<MessageId, AttemptToken>,
    /// What is claimed, or may be, and not started, until the daemon knows that it is recorded.
    ahead: BTreeMap<MessageId, AttemptToken>,
    ahead_max: usize,
    heard: bool,
    /// A full sweep that began when the channel was up already.
    full_since_up: bool,
    loaded: bool,
    spins: u32,
    wait: i64,
    /// By which lane what is on its way goes.
    flying: BTreeMap<MessageId, LaneKey>,
    /// How many lanes there were after the last turn.
    lanes: usize,
    /// Lanes that nobody needs, and since when.
    idle_lanes: BTreeMap<(&'static str, String), i64>,
    /// The lane of each pace, and those of the claim from paces under way: it needs them.
    pace_lanes: BTreeMap<PaceId, &'static str>,
    asked_lanes: BTreeSet<&'static str>,
    /// How long a lane that nobody needs may be kept.
    idle_max: i64,
    /// The most timers there were.
    armed: usize,
    /// What it was notified of a quarantine: what is due before this, and is not among those cleared.
    quarantine: Option<Moment>,
    cleared: BTreeSet<MessageId>,
    /// When there was which event.
    repeats: HashMap<EventKey, VecDeque<i64>>,
    causes: Causes,
    /// When it last heard that pauses changed; negative: never.
    pub(crate) heard_pauses: i64,
    pause_reads: u32,
    /// Paces in the claim under way.
    paces_asked: usize,
    pauses_pause: Pause,
    /// When the statements under way that read the pauses were sent: claims, and reads of them.
    reading_pauses: Vec<i64>,
    /// The longest that one of them took.
    slowest_reading: i64,
}

impl Witness {
    /// How long a reading of the pauses counts, at the most.
    pub(crate) fn pause_span(&self) -> i64 {
        micros_of(self.limits.pauses.max_age).max(2 * self.slowest_reading)
    }

    /// One of the statements that read the pauses has its response; which one does not matter.
    fn read_pauses(&mut self, t: i64) {
        let oldest = self.reading_pauses.iter().min().copied().unwrap_or(t);
        self.slowest_reading = self.slowest_reading.max(t - oldest);
        if self.pause_reads + self.claims == 0 && self.paces_asked == 0 {
            self.reading_pauses.clear();
        }
    }

    /// `routed`: accounts that could not be reached are remembered, because others take their messages.
    pub(crate) fn new(settings: &Settings, routed: bool) -> Self {
        Self {
            limits: Limits::clone(&settings.limits),
            claims: 0,
            reads: 0,
            loads: 0,
            groups: 0,
            requests: 0,
            read_failed_at: None,
            records_pause: Pause::new(settings.limits.records.retry),
            claims_pause: Pause::new(settings.limits.claims.failed_retry),
            paces_pause: Pause::new(settings.limits.claims.failed_retry),
            ahead: BTreeMap::new(),
            started: BTreeMap::new(),
            finished: BTreeMap::new(),
            ahead_max: settings.limits.claims.ahead_max,
            heard: false,
            full_since_up: false,
            loaded: false,
            spins: 0,
            wait: 0,
            flying: BTreeMap::new(),
            lanes: 0,
            idle_lanes: BTreeMap::new(),
            pace_lanes: BTreeMap::new(),
            asked_lanes: BTreeSet::new(),
            idle_max: if routed { i64::MAX } else { IDLE_MAX },
            armed: 0,
            quarantine: None,
            cleared: BTreeSet::new(),
            repeats: HashMap::new(),
            causes: Causes::new(settings),
            heard_pauses: -1,
            pause_reads: 0,
            paces_asked: 0,
            pauses_pause: Pause::new(settings.limits.pauses.failed_retry),
            reading_pauses: Vec::new(),
            slowest_reading: 0,
        }
    }

    /// The events that a daemon gives those who watch.
    pub(crate) fn counts_events(
        &mut self,
        events: &[reactor::events::MessageEvent],
        t: i64,
    ) -> Seen {
        let EventLimits { agenda_max, max } = self.limits.events;
        if events.len() > agenda_max.max(max) {
            return Some((Invariant::EventsBounded, format!("{} events", events.len())));
        }
        for one in events {
            let times = self
                .repeats
                .entry((one.id, one.what, one.due_at))
                .or_default();
            times.push_back(t);
            times.retain(|at| t - at < REPEATS_WITHIN);
            if times.len() > self.claims_pause.tries_within(REPEATS_WITHIN) + REPEATS {
                let (what, row) = (one.what.as_str(), one.id.0.as_u128());
                let what = format!("{} events {what} of row {row}", times.len());
                return Some((Invariant::EventsBounded, what));
            }
        }
        None
    }

    pub(crate) fn hears(&mut self, input: &Input, t: i64) {
        self.causes.hears(input);
        match input {
            Input::ChannelUp { .. } => {
                self.heard = true;
                self.full_since_up = false;
            }
            Input::ChannelDown => {
                self.heard = false;
                self.full_since_up = false;
                self.loaded = false;
            }
            Input::Rows { rows } => {
                for (_, state) in rows.iter().flatten() {
                    if let RowState::Pending {
                        pace: Some(due), ..
                    } = state
                    {
                        self.knows_pace(due);
                    }
                }
                self.reads -= 1;
                self.read_failed_at = rows.is_none().then_some(t);
            }
            Input::LoadEnded { complete, .. } => {
                self.loads -= 1;
                self.loaded |= *complete && self.full_since_up;
                self.full_since_up = false;
            }
            Input::PausesChanged => self.heard_pauses = t,
            Input::Pauses { pauses, .. } => {
                self.pause_reads -= 1;
                self.read_pauses(t);
                self.pauses_pause.answered(pauses.is_none(), t);
            }
            Input::Claimed { answers, .. } => {
                self.claims -= 1;
                self.read_pauses(t);
                self.claims_pause.answered(false, t);
                for (id, answer) in answers {
                    if !matches!(answer, ClaimResponse::Won(_)) {
                        self.ahead.remove(id);
                    }
                }
            }
            Input::PacesLoaded(paces) => paces.iter().for_each(|due| self.knows_pace(due)),
            Input::PacesClaimed { answers, .. } => {
                self.asked_lanes.clear();
                let asked = std::mem::take(&mut self.paces_asked);
                self.read_pauses(t);
                self.paces_pause.answered(answers.len() < asked, t);
                for (_, answer) in answers {
                    match answer {
                        PacedResponse::Won(paced) => {
                            self.ahead.insert(paced.id, paced.claim.token);
                        }
                        PacedResponse::Wait(due) => self.knows_pace(due),
                        PacedResponse::OptedOut(_) | PacedResponse::Idle => {}
                    }
                }
            }
            Input::ClaimLost(_) => {
                self.claims -= 1;
                self.claims_pause.answered(true, t);
            }
            Input::ClaimRefused(asks) => {
                self.claims -= 1;
                self.claims_pause.answered(true, t);
                for ask in asks {
                    self.ahead.remove(&ask.id);
                }
            }
            Input::Recorded { failed, done, .. } => {
                for (token, _) in done {
                    self.finished.retain(|_, own| own != token);
                }
                self.groups -= 1;
                let done: HashSet<_> = done.iter().map(|(token, _)| *token).collect();
                self.ahead.retain(|_, token| !done.contains(token));
                self.records_pause.answered(*failed, t);
            }
            Input::Quarantine { before, .. } => {
                self.quarantine = Some(*before);
                self.cleared.clear();
            }
            Input::QuarantineCleared(ids) => self.cleared.extend(ids),
            Input::QuarantineEnded => self.quarantine = None,
            // It sweeps no more, and its lanes end with it.
            Input::Drain => self.idle_max = i64::MAX,
            Input::Sent { id, .. } | Input::TooLate { id } => {
                self.requests -= 1;
                self.flying.remove(id);
                self.finished
                    .extend(self.started.remove(id).map(|token| (*id, token)));
            }
            _ => {}
        }
    }

    fn knows_pace(&mut self, due: &PaceDue) {
        self.pace_lanes.insert(due.id, due.lane.channel().as_str());
    }

    pub(crate) const fn sleeps(&mut self, wait: i64) {
        self.wait = wait;
    }

    pub(crate) fn decides(
        &mut self,
        command: &Command<Payload>,
        near_until: Moment,
        t: i64,
    ) -> Seen {
        match command {
            Command::Read(ids) => {
                if ids.len() > self.limits.intake.read_batch {
                    return Some((Invariant::Bounded, format!("a read of {}", ids.len())));
                }
                self.reads += 1;
                self.causes.reads(ids.len());
                if let Some(failed) = self.read_failed_at
                    && t - failed < READ_PAUSE
                {
                    let what = format!("a read {} us after one that failed", t - failed);
                    return Some((Invariant::NoHammering, what));
                }
            }
            Command::Load { until, .. } => {
                self.loads += 1;
                self.causes.loads(self.reads > 0);
                let full = *until > near_until;
                self.full_since_up = self.heard && full;
                if full {
                    return self.causes.sweeps(t);
                }
            }
            Command::ReadPauses => {
                self.pause_reads += 1;
                self.reading_pauses.push(t);
                return self.pauses_pause.allows("a read of the pauses", t);
            }
            Command::Claim(asks) => {
                if asks.len() > self.limits.claims.batch {
                    return Some((Invariant::Bounded, format!("a claim of {}", asks.len())));
                }
                self.claims += 1;
                self.reading_pauses.push(t);
                self.ahead
                    .extend(asks.iter().map(|ask| (ask.id, ask.token)));
                return self.claims_pause.allows("a claim", t);
            }
            Command::ClaimPaced { asks, .. } => {
                if self.paces_asked > 0 || asks.len() > self.limits.claims.batch {
                    let what = format!("{} paces beside {}", asks.len(), self.paces_asked);
                    return Some((Invariant::Bounded, what));
                }
                self.paces_asked = asks.len();
                let lanes = asks.iter().map(|ask| self.pace_lanes.get(&ask.pace));
                self.asked_lanes = lanes.flatten().copied().collect();
                self.reading_pauses.push(t);
                return self.paces_pause.allows("a claim from paces", t);
            }
            Command::Record { records, .. } => {
                if records.len() > self.limits.records.batch {
                    return Some((Invariant::Bounded, format!("a group of {}", records.len())));
                }
                self.groups += 1;
                return self.records_pause.allows("a record", t);
            }
            Command::Start { id, payload, .. } => {
                let limits = &self.limits.records;
                let groups = limits.at_once.max(limits.at_once_far);
                if self.finished.len() >= limits.unrecorded_max + limits.batch * groups {
                    let what = format!("a request with {} results unrecorded", self.finished.len());
                    return Some((Invariant::Bounded, what));
                }
                self.requests += 1;
                self.started.insert(*id, payload.token());
                self.ahead.remove(id);
            }
            Command::Prewarm { .. } => {}
        }
        None
    }

    /// A request begins of a message that is due at `due`.
    pub(crate) fn quarantines(&self, id: MessageId, due: Moment) -> Seen {
        let within = self.quarantine.is_some_and(|before| due < before);
        (within && !self.cleared.contains(&id)).then(|| {
            let what = format!("row {} starts in quarantine", id.0.as_u128());
            (Invariant::Quarantined, what)
        })
    }

    /// A request begins. `lanes`: those the daemon knows of, with what each may send at once.
    pub(crate) fn starts(
        &mut self,
        id: MessageId,
        lane: LaneKey,
        lanes: usize,
        permits: usize,
    ) -> Seen {
        let own = self.flying.values().filter(|of| **of == lane).count();
        let free = permits.saturating_sub(self.flying.len());
        let channel = lane.channel().as_str();
        self.flying.insert(id, lane);
        // A lane that came in this turn may have come after the request was decided.
        let is_shared = lanes.min(self.lanes) > 1;
        (is_shared && own >= free).then(|| {
            let what = format!("{channel} has {own} on their way, and takes one of {free} left");
            (Invariant::FairShare, what)
        })
    }

    /// Lanes without a message, a refusal or a throttle go with the next sweep but one.
    fn outlived(
        &mut self,
        lanes: &[LaneReport],
        most: usize,
        (awake_since, t): (i64, i64),
    ) -> Option<String> {
        let is_idle = |lane: &&LaneReport| {
            let load = lane.armed + lane.cleared + lane.in_flight + lane.unrecorded;
            load == 0
                && !self.asked_lanes.contains(lane.channel)
                && lane.refused == 0
                && lane.permits == most as u64
        };
        let idle = lanes.iter().filter(is_idle);
        let idle: Vec<_> = idle.map(|l| (l.channel, l.account.clone())).collect();
        self.idle_lanes.retain(|lane, _| idle.contains(lane));
        for lane in idle {
            let since = *self.idle_lanes.entry(lane.clone()).or_insert(t);
            if t - since.max(awake_since) > self.idle_max {
                return Some(format!("{lane:?} is kept, of no use since {since}"));
            }
        }
        None
    }

    fn crowd(&self, permits: usize) -> Option<String> {
        // As many as where the database is far away: a world's may be for a time. One more is for what is more urgent.
        let claims = &self.limits.claims;
        let claims_max = claims.at_once.max(claims.at_once_max) + 1;
        let records = &self.limits.records;
        let groups_max = records.at_once.max(records.at_once_far);
        let Self {
            claims,
            reads,
            loads,
            groups,
            requests,
            ..
        } = *self;
        let crowded = claims as usize > claims_max
            || self.pause_reads > 1
            || reads > 1
            || loads > 1
            || groups as usize > groups_max
            || requests > permits;
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
    /// What a daemon reports of itself against its inputs and decisions.
    pub(crate) fn judge(
        &mut self,
        ready: bool,
        mut timers: Vec<MessageId>,
        idle: bool,
        settings: &Settings,
        (lanes, awake): (&[LaneReport], (i64, i64)),
    ) -> Seen {
        let permits = settings.max_in_flight;
        self.lanes = lanes.len();
        if let Some(what) = self.outlived(lanes, permits, awake) {
            return Some((Invariant::LanesFreed, what));
        }
        if let Some(what) = self.crowd(permits) {
            return Some((Invariant::Bounded, what));
        }
        if self.ahead.len() > self.ahead_max {
            let what = format!("{} claimed and not started", self.ahead.len());
            return Some((Invariant::Bounded, what));
        }
        self.spins = if idle && self.wait == 0 {
            self.spins + 1
        } else {
            0
        };
        // Each timer is looked at once a level, where lanes share the stretch of a turn; and once by each of two
        // sweeps, as far as there is room to note them all.
        let intake = &self.limits.intake;
        let levels = self.armed.div_ceil(intake.stretch) * 4 * lanes.len().max(1);
        let compared = intake.stretch.min((intake.notified_max / 2).max(1));
        let looks = u32::try_from(levels + 2 * self.armed.div_ceil(compared));
        if self.spins > SPINS_MAX + looks.unwrap_or(0) {
            let what = "it asks to be woken at once, for nothing".to_owned();
            return Some((Invariant::NoSpinning, what));
        }
        if ready && !self.loaded {
            let what = "it calls itself ready, and has not loaded since it hears".to_owned();
            return Some((Invariant::ReadyIsReady, what));
        }
        let all = timers.len();
        self.armed = self.armed.max(all);
        timers.sort_unstable();
        timers.dedup();
        let twice = timers.len() < all;
        let stranger = timers.iter().any(|id| *id >= message(2_000));
        (twice || stranger).then(|| {
            let what = format!("{all} timers for {} messages", timers.len());
            (Invariant::Bounded, what)
        })
    }
}
