//! Reads the journals of earlier instances when a daemon starts.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Progress, RanBy, log};
use crate::daemon::tasks::Tasks;
use crate::daemon::{RunError, recovery};
use crate::dispatch::{Dispatch, Input};
use crate::journal::{Journal, PastFile, Slot, StateDir};
use crate::message::{DatabaseId, Moment};
use crate::proof::recovery::{LastSeen, start};
use crate::store::{Dsn, Lineage, Store};

/// The journal of a daemon that starts, and what earlier instances left.
pub(in crate::daemon) struct StartedJournal {
    pub(in crate::daemon) journal: Arc<Journal>,
    /// The files of earlier instances.
    pub(in crate::daemon) past: Vec<PastFile>,
    /// The database, if it has the history that they were written for.
    pub(in crate::daemon) follows: Option<DatabaseId>,
    /// The state of a quarantine, by the journals.
    pub(in crate::daemon) progress: Progress,
}

impl StartedJournal {
    /// Starts to settle what they left; `recovered` is called at the end.
    pub(in crate::daemon) fn settle(
        self,
        tasks: &mut Tasks,
        dispatch: &Dispatch,
        inputs: &mpsc::Sender<Input>,
        recovered: impl FnOnce() + Send + 'static,
    ) {
        let (past, follows) = (self.past, self.follows);
        let recovery = recovery::settle(dispatch.clone(), past, follows, inputs.clone());
        tasks.spawn_finite("recovery", async move {
            recovery.await;
            recovered();
        });
    }
}

/// Takes a slot, begins a journal there, and compares the database with the earlier journals. Without a directory
/// there is none.
pub(in crate::daemon) async fn begin(
    state_dir: Option<&StateDir>,
    dsn: &Dsn,
    accept_restore: bool,
    store: &Store,
    lineage: &Lineage,
    now: Moment,
) -> Result<Option<StartedJournal>, RunError> {
    let Some(state_dir) = state_dir else {
        return Ok(None);
    };
    let position = lineage.known();
    let mut slot = state_dir.take_slot(
        position.map(|position| position.database),
        &dsn.to_string(),
        dsn.database(),
    )?;
    let past = slot.past()?;
    let mut seen = past.last().map(|file| file.past.last_seen());
    if past.is_empty() {
        // The first daemon of this database: its data may have been restored from another one.
        seen = include_earlier(&mut slot, store).await?;
    }
    tracing::info!(path = %slot.path().display(), "the journal is kept");
    let start = start(seen, position, accept_restore, now);
    if start.moved && !start.accepted {
        log(seen.and_then(|seen| seen.database), position, true, now);
    }
    let at = position.map(|position| (position.database, position.reached));
    let dead: Vec<_> = past.iter().map(|file| file.past.opened.instance).collect();
    let witness = if dead.is_empty() {
        // The earlier journals are of another database, and it is unknown which other instances sent from it.
        RanBy::Nothing
    } else {
        RanBy::Journals(dead)
    };
    let progress = Progress {
        open: start.quarantine_before,
        unrecorded: start.moved,
        lost: start.merge_proofs,
        witness,
        accepted: start.accepted,
        ..Progress::default()
    };
    let instance = store.instance();
    Ok(Some(StartedJournal {
        journal: Arc::new(Journal::begin(slot, instance, at, start.quarantine_before)?),
        past,
        follows: position
            .map(|position| position.database)
            .filter(|_| !start.moved),
        progress,
    }))
}

/// Includes the journals of other databases whose attempts are in this ledger. Returns the state that the latest
/// of them last saw.
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

/// What is in quarantine, by the database and by the journals.
pub(in crate::daemon) fn at_start(
    journals: Progress,
    accept_restore: bool,
    lineage: &Lineage,
) -> Progress {
    let known = lineage.quarantined_before();
    let open = journals.open.max(known);
    let accepted = accept_restore && open.is_some();
    if accepted {
        tracing::warn!(
            "restore accepted: overdue messages will be sent, once those that the journals show as \
             sent are recorded"
        );
    }
    Progress {
        open,
        accepted,
        ..journals
    }
}
