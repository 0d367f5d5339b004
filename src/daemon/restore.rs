//! A database of another history: one that was restored, or a standby that took over.
//!
//! What is due is put in quarantine, in the reactor first and then in the database, for all instances. Each that
//! ran when the history changed records what it knows as sent, and accounts for it. When the last of them has, the
//! quarantine ends. If one is missing, the provider's list decides row by row (`quarantine`), or a person does
//! (`--accept-restore`).

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::heartbeat::notify_members;
use super::quarantine::{self, Remaining};
use crate::dispatch::{Dispatch, Input};
use crate::journal::Journal;
use crate::limits::daemon::RecoveryLimits;
use crate::message::{DatabaseId, InstanceId, Moment};
use crate::proof::history::Memory;
use crate::proof::recovery::{LogPosition, quarantine_before};
use crate::receipt::reconcile::Reconciler;
use crate::store::{Moved, Quarantine};

mod begin;
mod merge;

pub(super) use begin::{StartedJournal, at_start, begin};

/// The task that handles a restore.
pub(super) struct Restore {
    dispatch: Dispatch,
    journal: Option<Arc<Journal>>,
    inputs: mpsc::Sender<Input>,
    /// What the reactor has in quarantine.
    quarantined: watch::Receiver<Option<Moment>>,
    /// What the latest comparison left in quarantine.
    left: watch::Sender<Option<Remaining>>,
    progress: Progress,
}

/// The state of a restore.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// What is due before this is in quarantine.
    pub(super) open: Option<Moment>,
    /// The quarantine is not recorded in the database yet.
    pub(super) unrecorded: bool,
    /// What this instance and its journals know as sent may be missing in the database.
    pub(super) lost: bool,
    /// How it is known which instances ran.
    pub(super) witness: RanBy,
    /// A person decided to end it, once what is known as sent is recorded.
    pub(super) accepted: bool,
    /// Instances whose requests are all recorded.
    accounted: Option<HashSet<InstanceId>>,
    /// Those whose requests are not all recorded, as the database has it.
    unaccounted: Vec<InstanceId>,
}

/// How it is known which instances ran when the history changed.
#[derive(Debug, Default)]
pub(super) enum RanBy {
    /// This one ran, and remembers it.
    #[default]
    Memory,
    /// From the journals of these, which are dead; the latest last.
    Journals(Vec<InstanceId>),
    /// Nothing shows it.
    Nothing,
}

impl RanBy {
    fn dead(&self) -> &[InstanceId] {
        match self {
            Self::Journals(dead) => dead,
            Self::Memory | Self::Nothing => &[],
        }
    }
}

enum Event {
    Moved(Moved),
    Read(Option<Quarantine>),
}

impl Restore {
    /// `quarantined`: what the reactor has in quarantine; `left`: what a comparison left in it.
    pub(super) fn new(
        dispatch: &Dispatch,
        inputs: &mpsc::Sender<Input>,
        quarantined: watch::Receiver<Option<Moment>>,
        left: watch::Sender<Option<Remaining>>,
        progress: Progress,
    ) -> Self {
        Self {
            journal: dispatch.journal.clone(),
            dispatch: dispatch.clone(),
            inputs: inputs.clone(),
            quarantined,
            left,
            progress,
        }
    }

    /// Handles restores for as long as the daemon runs.
    pub(super) async fn watch(mut self) {
        let lineage = self.dispatch.lineage.clone();
        let mut quarantine = lineage.quarantine();
        quarantine.mark_changed();
        loop {
            let event = tokio::select! {
                biased;
                moved = lineage.moved() => Event::Moved(moved),
                // The sender is the lineage's: it cannot be gone.
                _ = quarantine.changed() => Event::Read(quarantine.borrow_and_update().clone()),
                never = self.work() => match never {},
            };
            let goes_on = match event {
                Event::Moved(moved) => self.moved(moved).await,
                Event::Read(read) => self.follow(read).await,
            };
            if !goes_on {
                // The daemon is ending.
                return;
            }
        }
    }

    /// Puts what is due in quarantine, and then accepts the sessions. Whether the reactor still listens.
    async fn moved(&mut self, moved: Moved) -> bool {
        let latest = self.dispatch.lineage.memory(Memory::latest);
        let before = quarantine_before(self.dispatch.clock.now().db, latest);
        log(
            self.journal.as_deref().and_then(Journal::database),
            moved.to,
            moved.lost,
            before,
        );
        if !self.quarantine(before).await {
            return false;
        }
        if let Some(journal) = &self.journal {
            journal.begin_quarantine(
                before,
                moved.to.map(|place| (place.database, place.reached)),
            );
        }
        // A server that was replaced by another may continue to respond in its sessions.
        self.dispatch.store.distrust();
        self.dispatch.lineage.accept(moved);
        self.left.send_replace(None);
        self.progress = Progress {
            open: Some(before),
            unrecorded: true,
            lost: moved.lost || self.progress.lost && self.progress.accounted.is_none(),
            // `--accept-restore` was about the previous quarantine.
            ..Progress::default()
        };
        true
    }

    /// Has the reactor put what is due in quarantine. Whether it still listens.
    async fn quarantine(&mut self, before: Moment) -> bool {
        let sent = self.inputs.send(quarantine::input(before)).await;
        let is_done = |quarantined: &Option<Moment>| *quarantined == Some(before);
        sent.is_ok() && self.quarantined.wait_for(is_done).await.is_ok()
    }

    /// Follows what the database has. Whether the reactor still listens.
    async fn follow(&mut self, read: Option<Quarantine>) -> bool {
        if self.progress.unrecorded {
            return true;
        }
        match (read, self.progress.open) {
            (Some(quarantine), open) if !quarantine.has_ended => {
                self.progress.unaccounted = quarantine.unaccounted;
                if open == Some(quarantine.before) {
                    return true;
                }
                self.progress.open = Some(quarantine.before);
                self.left.send_replace(None);
                tracing::warn!(held_before = %quarantine.before,
                    "another instance found that the database was restored or replaced: messages due by \
                     then are in quarantine until it is known whether they were sent");
                self.quarantine(quarantine.before).await
            }
            (Some(ended), Some(open)) if ended.before >= open => {
                tracing::warn!("quarantine ended: every message in it is accounted for");
                self.progress = Progress::default();
                self.left.send_replace(None);
                if let Some(journal) = &self.journal {
                    journal.end_quarantine();
                }
                self.inputs.send(Input::QuarantineEnded).await.is_ok()
            }
            // The database has lost it, or only a journal knows of it.
            (_, Some(_)) => {
                self.progress.unrecorded = true;
                self.progress.witness = RanBy::Nothing;
                true
            }
            (_, None) => true,
        }
    }

    /// Does what remains to be done. May be dropped at any point, and is then called again.
    async fn work(&mut self) -> std::convert::Infallible {
        if let Some(before) = self.progress.open {
            if self.progress.unrecorded {
                self.record(before).await;
            }
            self.account().await;
            self.decide(before).await;
        }
        // Nothing more to be done.
        std::future::pending().await
    }

    /// Records the quarantine, for all instances.
    async fn record(&mut self, before: Moment) {
        let store = &self.dispatch.store;
        let limits = &self.dispatch.limits.daemon.recovery;
        let silence = self.dispatch.limits.daemon.heartbeat.silence;
        let mut ran = self.dispatch.lineage.members();
        let first = match &self.progress.witness {
            RanBy::Memory => Some(store.instance()),
            RanBy::Journals(dead) => dead.last().copied(),
            RanBy::Nothing => None,
        };
        ran.extend(first);
        until(limits, || {
            store.bounded(store.quarantine_begin(before, &ran, first, silence))
        })
        .await;
        // This instance may be recorded in the previous history only.
        let changes = self.dispatch.limits.daemon.channel.changes();
        until(limits, || store.bounded(store.instance_start(changes))).await;
        self.progress.unrecorded = false;
        self.publish().await;
    }

    /// Records what this instance and its journals know, and accounts for it.
    async fn account(&mut self) {
        if self.progress.accounted.is_none() {
            let known = if self.progress.lost {
                merge::merge(
                    &self.dispatch,
                    self.journal.as_deref(),
                    self.progress.witness.dead(),
                )
                .await
            } else {
                // The database has everything that this instance committed.
                HashSet::from([self.dispatch.store.instance()])
            };
            self.progress.accounted = Some(known);
        }
        let accounted: Vec<_> = self.progress.accounted.iter().flatten().copied().collect();
        if !accounted
            .iter()
            .any(|id| self.progress.unaccounted.contains(id))
        {
            return;
        }
        let store = &self.dispatch.store;
        let limits = &self.dispatch.limits.daemon.recovery;
        until(limits, || {
            store.bounded(store.quarantine_account(&accounted))
        })
        .await;
        self.publish().await;
    }

    /// Decides the remaining messages: by a person's decision, or by the provider's list.
    async fn decide(&mut self, before: Moment) {
        let store = &self.dispatch.store;
        let limits = &self.dispatch.limits.daemon.recovery;
        if self.progress.accepted {
            until(limits, || store.bounded(store.quarantine_end(before))).await;
            self.publish().await;
            return;
        }
        if self.dispatch.lineage.quarantined_before().is_none() {
            return;
        }
        let reconciler = Reconciler {
            clock: Arc::clone(&self.dispatch.clock),
            store: store.clone(),
            providers: self.dispatch.providers.clone(),
            limits: *limits,
        };
        quarantine::reconcile(&reconciler, before, &self.inputs, &self.left).await;
        until(limits, || store.bounded(store.quarantine_end(before))).await;
        self.publish().await;
    }

    /// Has all instances read it again, this one included.
    async fn publish(&self) {
        let store = &self.dispatch.store;
        let limits = &self.dispatch.limits.daemon.recovery;
        notify_members(store, &self.dispatch.limits.daemon.heartbeat).await;
        until(limits, || store.bounded(store.quarantine_read())).await;
    }
}

/// Logs that the database has another history.
fn log(was: Option<DatabaseId>, is: Option<LogPosition>, lost: bool, before: Moment) {
    let was = was.map(tracing::field::display);
    let is = is.map(|place| tracing::field::display(place.database));
    if lost {
        tracing::error!(was, is, held_before = %before,
            "the database was restored or replaced, and lacks what was committed: messages due by now are in \
             quarantine until it is known whether they were sent. If none was: punctual run --accept-restore");
    } else {
        tracing::warn!(was, is, held_before = %before,
            "the database was restored or replaced, and has everything that this instance committed: messages \
             due by now are in quarantine until every instance has confirmed the same");
    }
}

/// Retries until it succeeds.
pub(super) async fn until<T, E: std::fmt::Display, F: Future<Output = Result<T, E>>>(
    limits: &RecoveryLimits,
    mut attempt: impl FnMut() -> F,
) -> T {
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => {
                tracing::warn!(%error, "a step of the quarantine failed; retrying");
                sleep(limits.retry).await;
            }
        }
    }
}
