//! The event loop: passes inputs to the reactor and starts what it decides. It contains no rule.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::backlog::Backlog;
use super::health::Health;
use super::outcome_log::OutcomeLog;
use super::quarantine::Remaining;
use super::systemd::Systemd;
use crate::clock::WakeTimer;
use crate::dispatch::{Dispatch, Input, Payload};
use crate::forecast::{PublishedRules, PublishedState};
use crate::http::Question;
use crate::limits::daemon::LoopLimits;
use crate::listen::{Heard, Notification};
use crate::message::{InstanceId, Moment, Now, Uptime};
use crate::metrics::Counter;
use crate::reactor::Reactor;
use crate::reactor::report::ListenerReport;

mod answers;
mod feed;
mod perform;
mod publish;
mod turn;

/// The sources of inputs.
pub(super) struct Sources {
    pub(super) heard: mpsc::Receiver<Heard>,
    pub(super) inputs: mpsc::Receiver<Input>,
    pub(super) questions: mpsc::Receiver<Question>,
}

/// Wakes other tasks.
#[derive(Clone, Default)]
pub(super) struct Wakers {
    /// Wakes the heartbeat: an instance started or stopped.
    pub(super) members: Arc<Notify>,
    /// The same for the change feed.
    pub(super) feed: Arc<Notify>,
    /// Wakes the chores: messages have missed a change.
    pub(super) missed: Arc<Notify>,
    /// Wakes the chores: reminders are to be planned.
    pub(super) plan: Arc<Notify>,
    /// Wakes the chores: outcomes are to be written to source tables.
    pub(super) outcomes: Arc<Notify>,
    /// Wakes the writer: texts are wanted.
    pub(super) drafts: Arc<Notify>,
    /// Wakes the task of the database clock: the wall clock was stepped.
    pub(super) clock_lost: Arc<Notify>,
    /// What the heartbeat publishes of this instance; it wakes it if others must know that at once.
    pub(super) published: watch::Sender<PublishedState>,
}

/// What the event loop shares with the tasks beside it.
pub(super) struct Shared {
    pub(super) wakers: Wakers,
    /// Whether due messages are sent.
    pub(super) health: Health,
    pub(super) outcomes: Arc<OutcomeLog>,
    /// What the reactor has in quarantine, for tasks that wait for that.
    pub(super) quarantined: watch::Sender<Option<Moment>>,
    /// What the latest reconciliation left in quarantine.
    pub(super) left: watch::Receiver<Option<Remaining>>,
}

pub(super) struct EventLoop {
    reactor: Reactor<Payload>,
    dispatch: Dispatch,
    /// Receives the parts of a load, which arrive while its task still runs.
    parts: mpsc::Sender<Input>,
    instance: InstanceId,
    shared: Shared,
    facts_after: Uptime,
    listener: ListenerReport,
    feed: feed::FeedState,
    backlog: Backlog,
    /// What it judges by, as it is published.
    rules: PublishedRules,
    /// The listener could not connect.
    cut_off: bool,
    /// Responses came that may not be in the journal yet.
    has_answers: bool,
    /// Bounded by the reactor: permits, two claims, one record, one read, one load, one read of the pauses; and by
    /// [`http`](crate::http)'s connections for the questions.
    tasks: JoinSet<Option<Input>>,
}

#[derive(Debug)]
enum Event {
    Stop,
    Input(Input),
    Heard(Heard),
    Question(Question),
    Woke,
    Done,
}

impl EventLoop {
    pub(super) fn new(
        reactor: Reactor<Payload>,
        dispatch: Dispatch,
        parts: mpsc::Sender<Input>,
        shared: Shared,
    ) -> Self {
        let listener = ListenerReport {
            connected: false,
            since: None,
            last_notice_at: None,
            resyncs: 0,
        };
        let limits = Arc::clone(&dispatch.limits);
        let backlog = Backlog::new(dispatch.store.clone(), limits);
        Self {
            instance: dispatch.store.instance(),
            reactor,
            parts,
            shared,
            facts_after: Uptime::MIN,
            listener,
            feed: feed::FeedState::default(),
            backlog,
            rules: PublishedRules::of(&dispatch.rules, &dispatch.providers.all_capabilities()),
            dispatch,
            cut_off: true,
            has_answers: false,
            tasks: JoinSet::new(),
        }
    }

    /// Runs until `stop`, and then until it has drained. Returns how many claims could not be released.
    pub(super) async fn run(
        mut self,
        mut from: Sources,
        stop: CancellationToken,
    ) -> io::Result<usize> {
        let mut timer = WakeTimer::new()?;
        let mut systemd = Systemd::of_process();
        let mut stopping = false;
        let mut deadline = None;
        while !self.reactor.is_drained() {
            let now = self.dispatch.clock.now();
            systemd.tick(now.up, self.reactor.is_ready());
            if deadline.is_some_and(|at| now.up > at) {
                let proofs = self.reactor.unrecorded_answers();
                if proofs == 0 {
                    return Ok(self.reactor.unrecorded());
                }
                tracing::error!(
                    outcomes = proofs,
                    "waiting until the database accepts outcomes that only this process has; \
                     a second signal exits at once, and loses them"
                );
                deadline = Some(now.up + self.limits().drain_grace);
            }
            timer.arm(Some(self.next_wakeup(now)))?;
            let event = tokio::select! {
                biased;
                () = stop.cancelled(), if !stopping => Event::Stop,
                woke = timer.fired() => { woke?; Event::Woke }
                Some(done) = self.tasks.join_next() => task_ended(done),
                Some(input) = from.inputs.recv() => Event::Input(input),
                Some(heard) = from.heard.recv() => Event::Heard(heard),
                Some(question) = from.questions.recv() => Event::Question(question),
            };
            if matches!(event, Event::Stop) {
                stopping = true;
                systemd.stopping();
                deadline =
                    Some(now.up + self.reactor.settings().send_timeout + self.limits().drain_grace);
            }
            self.take_in(event);
            let most = self.limits().inputs_per_turn;
            for event in from.waiting(&mut self.tasks, most) {
                self.take_in(event);
            }
            self.publish();
            self.begin();
            self.write_answers();
        }
        Ok(0)
    }

    fn limits(&self) -> &LoopLimits {
        &self.dispatch.limits.daemon.event_loop
    }

    fn next_wakeup(&mut self, now: Now) -> crate::message::Uptime {
        let nap = now.up + self.limits().nap_max;
        self.reactor.next_wakeup(now).map_or(nap, |at: Moment| {
            // Rounded up to the microsecond by the clock itself, so it is never early.
            let wait = u64::try_from(at.micros_from(now.db)).unwrap_or(0);
            nap.min(now.up + Duration::from_micros(wait))
        })
    }

    fn take_in(&mut self, event: Event) {
        let clock = &self.dispatch.clock;
        if clock.found_lost() {
            // The task that measures it logs a jump of the database's clock.
            if clock.disputed().is_none() {
                tracing::warn!(
                    "the wall clock was stepped; sending is paused until the database's clock is measured again"
                );
            }
            self.dispatch.metrics.count(Counter::ClockSteps, 1);
            let now = clock.now();
            self.reactor.handle(Input::ClockLost, now);
            self.shared.wakers.clock_lost.notify_one();
        }
        if turn::is_outdated(&event, clock) {
            return;
        }
        let now = clock.now();
        match event {
            Event::Stop => {
                tracing::info!(
                    "shutting down: waiting for requests in flight, releasing other claims"
                );
                self.reactor.handle(Input::Drain, now);
            }
            Event::Input(input) => {
                self.has_answers |= matches!(input, Input::Sent { .. } | Input::TooLate { .. });
                let is_outcome = matches!(input, Input::Recorded { .. });
                if is_outcome && self.dispatch.store.follows_outcomes() {
                    self.shared.wakers.outcomes.notify_one();
                }
                self.reactor.handle(input, now);
            }
            Event::Heard(heard) => self.hear(heard, now),
            Event::Question(question) => self.answer(question, now),
            Event::Woke => self.reactor.handle(Input::Tick, now),
            Event::Done => {}
        }
    }

    fn hear(&mut self, heard: Heard, now: Now) {
        let input = match heard {
            Heard::Up { unnotified } => {
                if let Some(every) = self.dispatch.limits.daemon.channel.poll_every {
                    tracing::info!(?every, "connected: changes are polled");
                } else {
                    tracing::info!("connected: LISTEN/NOTIFY verified");
                }
                // After a loss the pool's connections are gone as well.
                let store = self.dispatch.store.clone();
                self.tasks.spawn(async move {
                    super::start::prewarm(&store).await;
                    None
                });
                // What was notified meanwhile was not heard.
                self.shared.wakers.drafts.notify_one();
                self.cut_off = false;
                self.listener.connected = true;
                self.listener.since = Some(now.db);
                self.feed.unnotified = unnotified;
                let unnotified = self.is_unnotified();
                Input::ChannelUp { unnotified }
            }
            Heard::Down { reason, connected } => {
                if self.dispatch.limits.daemon.channel.poll_every.is_some() {
                    tracing::warn!(reason, "changes cannot be polled");
                } else {
                    tracing::warn!(reason, "the notification channel is down");
                }
                if self.listener.connected {
                    self.dispatch.metrics.count(Counter::ListenerLost, 1);
                }
                self.cut_off = !connected;
                self.listener.connected = false;
                self.listener.since = Some(now.db);
                Input::ChannelDown
            }
            Heard::Deafened(is_deafened) => return self.deafened(is_deafened, now),
            Heard::Fed => return self.fed(None, now),
            Heard::Unfed { reason } => return self.fed(Some(reason), now),
            Heard::Polled => {
                self.shared.wakers.drafts.notify_one();
                self.shared.wakers.plan.notify_one();
                return;
            }
            // A feed's have waited by now.
            Heard::Notification(notification) | Heard::Written(_, notification) => {
                self.listener.last_notice_at = Some(now.db);
                match notification {
                    Notification::Ids(ids) => Input::Notification(ids),
                    Notification::Rescan => Input::Rescan,
                    Notification::Missed => {
                        self.shared.wakers.missed.notify_one();
                        return;
                    }
                    Notification::Drafts => {
                        self.shared.wakers.drafts.notify_one();
                        return;
                    }
                    Notification::Plan => {
                        self.shared.wakers.plan.notify_one();
                        return;
                    }
                    Notification::Paces => Input::PacesChanged,
                    Notification::Pauses => Input::PausesChanged,
                    Notification::Members => {
                        // Coalesced: one read follows, however many notifications.
                        self.shared.wakers.members.notify_one();
                        self.shared.wakers.feed.notify_one();
                        return;
                    }
                    Notification::Nonce(_) => return,
                }
            }
        };
        self.reactor.handle(input, now);
    }

    /// Has the journal write the responses of this turn that the requests which began meanwhile did not take along.
    fn write_answers(&mut self) {
        if std::mem::take(&mut self.has_answers)
            && let Some(journal) = &self.dispatch.journal
        {
            journal.write_answers();
        }
    }
}

/// A panicked task is a bug, and its result is lost. The process ends at once: the next one and the
/// lease of the claim deal with that; to continue without its permit would not.
fn task_ended(done: Result<Option<Input>, tokio::task::JoinError>) -> Event {
    match done {
        Ok(Some(input)) => Event::Input(input),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The other error is cancellation, which does not happen while the loop runs.
        Ok(None) | Err(_) => Event::Done,
    }
}
