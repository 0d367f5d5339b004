//! A database that has become another one, or an older one: a failover, a restore.
//!
//! What is due is held by then, by the reactor. Here it is found out what of it was sent: by the
//! journals, and then by the provider's list (`held`). What neither tells waits until a person says
//! that it may go (`--accept-restore`).

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::quarantine::{self, Remaining};
use super::tasks::Tasks;
use super::{RunError, State};
use crate::dispatch::{Dispatch, Input, Payload};
use crate::journal::{self, Journal, PastFile, Slot};
use crate::message::{DatabaseId, Moment};
use crate::proof::recovery::{Answered, LastSeen, LogPosition, start};
use crate::reactor::Record;
use crate::receipt::reconcile::Reconciler;
use crate::store::{Lineage, Store, StoreError};

/// Between tries of what the database or the disk refused.
const AGAIN: Duration = Duration::from_secs(2);

/// Whoever looks after it.
struct Restore {
    dispatch: Dispatch,
    journal: Arc<Journal>,
    history: Lineage,
    inputs: mpsc::Sender<Input>,
    /// What the reactor holds.
    held: watch::Receiver<Option<Moment>>,
    /// What the latest look left held.
    left: watch::Sender<Option<Remaining>>,
    /// Nothing of what the journals tell need stand in the database.
    found: bool,
    /// What they do not tell of is not looked for: a person says that nothing is missing.
    accepted: bool,
}

impl Restore {
    /// Looks after it for as long as the daemon runs.
    async fn watch(mut self) {
        let history = self.history.clone();
        let mut moved = None;
        loop {
            if let Some(place) = moved.take()
                && !self.hold(place).await
            {
                // The daemon is ending.
                return;
            }
            moved = tokio::select! {
                place = history.moved() => Some(place),
                () = self.examine() => None,
            };
        }
    }

    /// Holds what is due, and then lets the sessions be used. Whether the reactor still listens.
    async fn hold(&mut self, place: LogPosition) -> bool {
        let before = self.dispatch.clock.now().db;
        tell(self.journal.database(), place, before);
        let told = self.inputs.send(Input::Quarantine { before }).await;
        let holds = |held: &Option<Moment>| *held == Some(before);
        if told.is_err() || self.held.wait_for(holds).await.is_err() {
            return false;
        }
        self.journal
            .begin_quarantine(before, place.database, place.reached);
        // A server that another took over from may go on answering its sessions.
        self.dispatch.store.distrust();
        self.history.accept(place);
        self.left.send_replace(None);
        self.found = true;
        // Somebody accepted the one before.
        self.accepted = false;
        true
    }

    /// Ends when there is nothing to be done.
    async fn examine(&mut self) {
        if self.found {
            self.merge().await;
            self.found = false;
        }
        if self.accepted {
            // A closed channel: the daemon is ending, and the next one asks again.
            if self.inputs.send(Input::QuarantineEnded).await.is_ok() {
                self.journal.end_quarantine();
            }
        } else if let Some(before) = self.journal.quarantined_before() {
            let reconciler = Reconciler {
                store: self.dispatch.store.clone(),
                provider: Arc::clone(&self.dispatch.provider),
            };
            quarantine::reconcile(&reconciler, before, &self.journal, &self.inputs, &self.left)
                .await;
            self.left.send_replace(None);
        }
        // Nothing more to find out until the database moves once more.
        std::future::pending::<()>().await;
    }

    /// Records everything that the journals know to have been sent. What stands there already
    /// is not changed by it.
    async fn merge(&self) {
        until(|| {
            self.dispatch
                .store
                .bounded(self.dispatch.store.mark_restored())
        })
        .await;
        let mut waits = until(|| async { self.journal.history() }).await;
        let mut proofs = 0;
        while let Some(path) = waits.pop() {
            let answers = until(|| read(path.clone())).await;
            let mut records: Vec<_> = answers.iter().filter_map(Answered::proof).collect();
            proofs += records.len();
            while !records.is_empty() {
                records = until(|| self.record(&records)).await;
                if !records.is_empty() {
                    sleep(AGAIN).await;
                }
            }
        }
        tracing::warn!(
            messages = proofs,
            "all messages that the journals show as sent are recorded"
        );
    }

    /// Those that somebody held.
    async fn record(
        &self,
        records: &[Record<Payload>],
    ) -> Result<Vec<Record<Payload>>, StoreError> {
        let store = &self.dispatch.store;
        let mut done = HashSet::new();
        for group in records.chunks(self.dispatch.record_batch) {
            let group: Vec<_> = group.iter().collect();
            let recorded = store.bounded(store.record(&group)).await?;
            done.extend(recorded.into_keys());
        }
        let left = records.iter().filter(|r| !done.contains(&r.token));
        Ok(left.cloned().collect())
    }
}

/// The journal of a daemon that starts, and what it finds.
pub(super) struct Begun {
    pub(super) journal: Arc<Journal>,
    /// What those before it left.
    pub(super) past: Vec<PastFile>,
    /// Where the database is, if it goes on from where they left it.
    pub(super) follows: Option<DatabaseId>,
    /// What is due before this is held.
    pub(super) held_before: Option<Moment>,
    /// Nothing of what they tell need stand in the database.
    pub(super) found: bool,
    /// It is held only until it does: a person says that nothing else can be missing.
    pub(super) accepted: bool,
}

impl Begun {
    /// Has what was left settled, and a restore noticed.
    pub(super) fn look_after(
        self,
        tasks: &mut Tasks,
        dispatch: Dispatch,
        history: Lineage,
        inputs: mpsc::Sender<Input>,
        held: watch::Receiver<Option<Moment>>,
        left: watch::Sender<Option<Remaining>>,
    ) {
        let (past, follows) = (self.past, self.follows);
        let recovery = super::recovery::settle(dispatch.clone(), past, follows, inputs.clone());
        tasks.spawn_finite("recovery", recovery);
        let restore = Restore {
            dispatch,
            journal: self.journal,
            history,
            inputs,
            held,
            left,
            found: self.found,
            accepted: self.accepted,
        };
        tasks.spawn("restore watch", restore.watch());
    }
}

/// Takes a slot, begins a journal there, and compares it with those before.
pub(super) async fn begin(
    state: State,
    database: &str,
    store: &Store,
    history: &Lineage,
    now: Moment,
) -> Result<Begun, RunError> {
    let State {
        dir,
        accept_restore,
    } = state;
    let instance = store.instance();
    let place = history.known();
    let mut slot = dir.take_slot(place.map(|place| place.database), database)?;
    let past = slot.past()?;
    let mut seen = past.last().map(|file| file.past.last_seen());
    if past.is_empty() {
        // The first daemon beside this database: perhaps its data were restored from another one.
        seen = include_earlier(&mut slot, store).await?;
    }
    tracing::info!(path = %slot.path().display(), "the journal is kept");
    let start = start(seen, place, accept_restore, now);
    if start.accepted {
        tracing::warn!(
            "restore accepted: overdue messages will be sent, once those that the journals show as \
             sent are recorded"
        );
    } else if let (true, Some(place)) = (start.moved, place) {
        tell(seen.and_then(|seen| seen.database), place, now);
    }
    let held_before = start.quarantine_before;
    let at = place.map(|place| (place.database, place.reached));
    Ok(Begun {
        journal: Arc::new(Journal::begin(slot, instance, at, held_before)?),
        past,
        follows: place.map(|place| place.database).filter(|_| !start.moved),
        held_before,
        found: start.merge_proofs,
        accepted: start.accepted,
    })
}

/// Includes the journals of other databases whose attempts are in this ledger; what the latest of them
/// last saw.
async fn include_earlier(slot: &mut Slot, store: &Store) -> Result<Option<LastSeen>, RunError> {
    let mut seen = None;
    for candidate in slot.candidates()? {
        let known = store.bounded(store.knows_any(&candidate.tokens)).await?;
        if known {
            seen = slot.include(candidate).or(seen);
        }
    }
    Ok(seen)
}

/// What a start says of a database that is not where the journal left it.
fn tell(was: Option<DatabaseId>, is: LogPosition, before: Moment) {
    tracing::error!(
        was = was.map(tracing::field::display),
        is = %is.database,
        held_before = %before,
        "the database was restored or replaced: messages due by now are in quarantine until it is \
         known whether they were sent. If nothing was lost: punctual run --accept-restore"
    );
}

/// Tries until it is done.
async fn until<T, E: std::fmt::Display, F: Future<Output = Result<T, E>>>(
    mut attempt: impl FnMut() -> F,
) -> T {
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => {
                tracing::warn!(%error, "the journals could not be merged yet; retrying");
                sleep(AGAIN).await;
            }
        }
    }
}

async fn read(path: PathBuf) -> std::io::Result<Vec<Answered>> {
    match tokio::task::spawn_blocking(move || journal::answers_in(&path)).await {
        // Removed meanwhile, for its age.
        Ok(Err(gone)) if gone.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Ok(read) => read,
        Err(ended) => Err(std::io::Error::other(ended)),
    }
}
