//! Decides what happens next. Pure: what happened comes in as an [`Input`], what to
//! do goes out as a [`Command`], and time is an argument. The daemon performs the commands; a
//! simulation can do so as well.
//!
//! A message is in one of two states here. Either it is **armed**: on its lane's agenda
//! ([`crate::schedule::Agenda`]), waiting for its time. Or it is **busy**: being claimed,
//! cleared, being sent or being recorded; notifications about it only set a mark then, and it is
//! read again when it is free.
//!
//! - `io`: inputs and commands, as values.
//! - `intake`: notifications, reads and sweeps keep the agenda consistent with the table.
//! - `lanes`: each account and channel has its own agenda, permits, breaker and throttle.
//! - `claims`, `room`: what is about to be due is claimed, no more than can be started in time.
//! - `distance`: more claims and records at once where the database is far away.
//! - `locked`: what another transaction has locked is tried again, at a cost that does not grow with it.
//! - `starts`, `sends`, `outgoing`: what is cleared starts at its instant; outcomes are recorded in groups.
//! - `breaker`, `throttle`: what an outcome means for the other messages of its lane: they wait while the
//!   account is refused, and fewer go at once while the provider is busy.
//! - `slowed`: the provider slows a sender or a recipient: its messages wait, and no others.
//! - `paces`: what keeps a distance from others is claimed by its pace, a slot after the other.
//! - `pauses`: what a person has paused is not started, even if it is claimed already.
//! - `quarantine`: after a restore, what may have been sent is not sent again.
//! - `events`: what just happened, for the feed and the counters.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::limits::Limits;
use crate::message::{AttemptToken, MessageId, Moment, Now, ProviderCapabilities, Routes, Uptime};
use crate::policy::ReasonKind;
use crate::schedule::{Lead, LeadSetting, Ranking};

mod breaker;
mod busy;
mod claims;
mod distance;
pub mod events;
mod failure_pause;
mod intake;
mod io;
mod lanes;
mod lateness;
mod locked;
mod outgoing;
mod paces;
mod pauses;
mod prewarm;
mod quarantine;
pub mod report;
mod room;
mod sends;
mod slowed;
mod start_before;
mod starts;
#[cfg(test)]
mod tests;
mod throttle;
mod view;

pub use breaker::BreakerTurn;
use busy::{Busy, Phase};
pub use io::{ClaimRequest, Command, Input, JudgedClaim, PaceRequest, Upcoming};
pub use lateness::Lateness;

/// The settings that the reactor needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How far ahead messages are armed.
    pub horizon: Duration,
    /// See [`Lead`].
    pub lead: LeadSetting,
    /// Requests at once, of all lanes together.
    pub max_in_flight: usize,
    /// How long a claim is valid.
    pub lease: Duration,
    /// The longest a request can take.
    pub send_timeout: Duration,
    /// Every limit and pause.
    pub limits: Arc<Limits>,
}

/// The reactor: inputs in, commands out.
pub struct Reactor<P> {
    settings: Settings,
    lead: Lead,
    /// `None`: not known yet, and taken as the only instance.
    ranking: Option<Ranking>,
    lanes: lanes::Lanes,
    /// Claimed messages. Bounded by [`crate::limits::ClaimLimits::ahead_max`] (with a journal
    /// `ahead_max_with_journal`), the permits and [`crate::limits::RecordLimits::unrecorded_max`].
    busy: BTreeMap<MessageId, Busy<P>>,
    intake: intake::Intake,
    /// Claims under way.
    claims: usize,
    /// When the latest was made.
    claimed_at: Uptime,
    /// See [`Self::set_connections`].
    connections: usize,
    claim_pause: failure_pause::FailurePause,
    locked: locked::Locked,
    outgoing: outgoing::Outgoing<P>,
    paces: paces::Paces,
    pauses: pauses::Pauses,
    breaker_turns: Vec<BreakerTurn>,
    slowed: slowed::Slowed,
    /// The lanes of one call of `claim_due`, empty in between: kept so that a claim allocates nothing.
    due_lanes: Vec<lanes::Lane>,
    lateness: Lateness,
    event_log: events::EventLog,
    /// What is due before this is in quarantine; `None`: nothing is.
    quarantine_before: Option<Moment>,
    /// Rows written after this are not in quarantine.
    quarantine_written_until: Moment,
    /// Messages that are due before that and were cleared from quarantine. Bounded by
    /// [`crate::limits::IntakeLimits::quarantine_cleared_max`].
    quarantine_cleared: BTreeSet<MessageId>,
    /// The database was restored or replaced since the claim began.
    was_restored: bool,
    clock_lost: bool,
    draining: bool,
    /// Messages claimed and not started, at the most.
    ahead_max: usize,
    /// Draws the tokens, so that a simulation can have its own.
    draw: fn() -> AttemptToken,
    commands: VecDeque<Command<P>>,
}

impl<P: Clone> Reactor<P> {
    /// A reactor that knows nothing yet.
    pub fn new(settings: Settings, now: Now, draw: fn() -> AttemptToken) -> Self {
        let settings = Settings {
            max_in_flight: settings.max_in_flight.max(1),
            ..settings
        };
        let limits = &settings.limits;
        Self {
            lead: Lead::new(settings.lead, limits.claims.herd),
            ranking: None,
            lanes: lanes::Lanes::new(limits.prewarm.ahead, limits.intake.near_sweep * 2),
            busy: BTreeMap::new(),
            intake: intake::Intake::new(limits.intake, now),
            claims: 0,
            claimed_at: Uptime::MIN,
            connections: usize::MAX,
            claim_pause: failure_pause::FailurePause::new(limits.claims.failed_retry),
            locked: locked::Locked::new(limits.claims),
            outgoing: outgoing::Outgoing::new(limits.records),
            paces: paces::Paces::new(limits.claims.failed_retry, limits.prewarm.ahead),
            pauses: pauses::Pauses::new(limits.pauses),
            breaker_turns: Vec::new(),
            slowed: slowed::Slowed::new(limits.slowed),
            due_lanes: Vec::new(),
            lateness: Lateness::new(),
            event_log: events::EventLog::new(limits.events),
            quarantine_before: None,
            quarantine_written_until: Moment::MAX,
            quarantine_cleared: BTreeSet::new(),
            was_restored: false,
            clock_lost: false,
            draining: false,
            ahead_max: limits.claims.ahead_max,
            draw,
            commands: VecDeque::new(),
            settings,
        }
    }

    /// If this process is killed, a journal shows which requests had begun: so while it is complete,
    /// more may be claimed before they can start.
    pub fn set_journal(&mut self, is_complete: bool) {
        let limits = &self.settings.limits.claims;
        self.ahead_max = if is_complete {
            limits.ahead_max_with_journal
        } else {
            limits.ahead_max
        };
    }

    /// Limits each lane to the requests at once that its channel's provider accepts.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: ProviderCapabilities) -> Self {
        self.lanes.capabilities = capabilities;
        self
    }

    /// Messages that name no account go by these.
    #[must_use]
    pub fn with_routes(mut self, routes: Arc<Routes>) -> Self {
        self.lanes.routes = routes;
        self
    }

    /// Takes in what happened, and decides.
    pub fn handle(&mut self, input: Input<P>, now: Now) {
        match input {
            Input::ChannelUp { unnotified } => {
                self.channel_up();
                self.intake.unnotified(unnotified, now);
                self.pauses.want();
            }
            Input::ChannelDown => self.intake.channel_down(),
            Input::Notification(ids) => self.notified(ids),
            // What has a pace now, or none any more, is armed in another way.
            Input::Rescan | Input::PacesChanged => self.intake.rescan(),
            Input::Rows { rows } => self.rows_read(rows, now),
            Input::Loaded(rows) => self.loaded(&rows, now),
            Input::LoadEnded { complete, reached } => self.load_ended(complete, reached, now),
            Input::Claimed { answers, took } => self.claimed(answers, took, now),
            Input::ClaimLost(asks) => self.claim_lost(&asks, now),
            Input::ClaimRefused(asks) => self.claim_refused(&asks, now),
            Input::Sent { id, answer } => self.sent(id, &answer, now),
            Input::TooLate { id } => self.not_begun(id, now),
            Input::Reported { parties, retry } => self.reported(&parties, retry, now),
            Input::Recorded {
                group,
                done,
                failed,
            } => self.recorded(group, done, failed, now),
            Input::OrphanedClaims(orphaned_claims) => self.orphaned_claims(orphaned_claims),
            Input::Members(ranking) => self.members(ranking),
            Input::Quarantine {
                before,
                written_until,
            } => self.quarantine(before, written_until, now),
            Input::QuarantineCleared(ids) => self.clear_quarantined(ids),
            Input::PacesLoaded(paces) => self.paces_loaded(paces, now),
            Input::PacesClaimed { answers, took } => self.paces_claimed(answers, took, now),
            Input::PausesChanged => self.pauses.changed(now),
            Input::Pauses { pauses, way } => self.pauses_read(pauses, way, now),
            Input::Expired(ids) => {
                for id in ids {
                    self.log_cancelled(id, ReasonKind::TooLate, now);
                }
            }
            Input::QuarantineEnded => self.end_quarantine(),
            Input::ClockLost => self.clock_lost = true,
            Input::ClockFound => {
                self.clock_lost = false;
                self.lanes.forget_prewarms();
                // By the wrong clock a pause may have seemed to be over.
                self.release_paused(now);
                self.locked.forget();
                self.paces.forget_waits();
                self.intake.resync();
            }
            Input::Drain => self.drain(now),
            Input::Tick => {}
        }
        self.advance(now);
    }

    /// The next thing to do.
    pub fn next_command(&mut self) -> Option<Command<P>> {
        self.commands.pop_front()
    }

    fn advance(&mut self, now: Now) {
        self.end_slots(now);
        // What is due starts before anything else is decided.
        self.start_due(now);
        self.sweep(now);
        self.check(now);
        self.read_notified(now);
        self.lanes
            .advance(now.db, self.settings.limits.intake.stretch);
        self.claim_due(now);
        self.claim_paced(now);
        self.prewarm(now);
        self.start_due(now);
        self.read_pauses(now);
        self.record_finished(now);
    }

    /// When [`Self::handle`] is to be called at the latest, in database time. `None`: only when
    /// something happens.
    pub fn next_wakeup(&mut self, now: Now) -> Option<Moment> {
        let first = self.next_due(now);
        let intake = self.intake.next_wakeup(first, now);
        let records = self.outgoing.next_wakeup(now);
        let start = self.next_start(now);
        let claim = self.next_claim(now);
        let prewarm = self.next_prewarm();
        let pauses = self.next_pause_read(now);
        let paces = [self.next_pace_claim(now), self.next_slot_end()];
        let paces = paces.into_iter().flatten().min();
        let agenda = self.lanes.next_advance();
        [
            intake, records, start, claim, agenda, prewarm, pauses, paces,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Whether the window is loaded and the channel proven.
    pub fn is_ready(&self) -> bool {
        self.intake.is_ready() && !self.draining
    }

    /// Whether a drain has ended. What a claim from paces wins is not busy before its answer.
    pub fn is_drained(&self) -> bool {
        let is_claiming = !self.busy.is_empty() || self.paces.is_asking();
        self.draining && !is_claiming && self.outgoing.is_empty()
    }

    /// What has not been recorded: outcomes, released claims, requests in flight, and claims under way, which
    /// may be committed.
    pub fn unrecorded(&self) -> usize {
        let load = self.lanes.load();
        self.outgoing.unrecorded() + load.sending + load.asking()
    }

    /// Those of them that are outcomes of requests: they are known nowhere else.
    pub fn unrecorded_answers(&self) -> usize {
        self.outgoing.unrecorded_answers() + self.lanes.load().sending
    }

    /// The settings.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How late messages were.
    pub const fn lateness(&self) -> &Lateness {
        &self.lateness
    }

    fn drain(&mut self, now: Now) {
        self.draining = true;
        self.outgoing.hurry();
        self.lanes.clear();
        self.forget_paces();
        self.intake.stop();
        for id in self.lanes.take_all_cleared() {
            self.release(id, "the daemon is shutting down", now);
        }
    }
}
