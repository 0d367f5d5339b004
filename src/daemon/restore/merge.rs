//! Records in a database that lost it what this instance and the journals know to have been accepted, and says
//! which instances are accounted for by that.

use std::collections::HashSet;
use std::path::PathBuf;

use tokio::time::sleep;

use super::until;
use crate::dispatch::{Dispatch, Payload};
use crate::journal::{self, Journal, Past};
use crate::message::{AttemptToken, InstanceId};
use crate::proof::recovery::Answered;
use crate::settle::Record;
use crate::store::StoreError;

/// Merges everything that is known. Returns the instances of which nothing else can have been sent. `dead`: those
/// that send nothing more, so that their journals are complete.
pub(super) async fn merge(
    dispatch: &Dispatch,
    journal: Option<&Journal>,
    dead: &[InstanceId],
) -> HashSet<InstanceId> {
    let store = &dispatch.store;
    let limits = &dispatch.limits.daemon.recovery;
    until(limits, || store.bounded(store.mark_restored())).await;
    let mut accounted = HashSet::new();
    let own = dispatch.store.instance();
    if own_requests(dispatch).await {
        accounted.insert(own);
    }
    let mut proofs = 0;
    if let Some(journal) = journal {
        for path in until(limits, || async { journal.history() }).await {
            let Some(past) = until(limits, || read(path.clone())).await else {
                continue;
            };
            let records: Vec<_> = past.answers().filter_map(Answered::proof).collect();
            proofs += records.len();
            record_all(dispatch, records).await;
            let instance = past.opened.instance;
            // What was written last before the machine was restarted may be missing.
            let is_whole = dead.contains(&instance)
                && past.opened.boot.is_some()
                && past.opened.boot == journal::boot();
            if let Some(unanswered) = past.unanswered().filter(|_| is_whole)
                && have_outcomes(dispatch, &unanswered).await
            {
                accounted.insert(instance);
            }
        }
    }
    tracing::warn!(
        messages = proofs,
        "all messages that this instance and the journals know as sent are recorded"
    );
    accounted
}

/// Whether everything that this instance sent is recorded by now.
async fn own_requests(dispatch: &Dispatch) -> bool {
    let lineage = &dispatch.lineage;
    // A request that begins later was claimed in the database as it is now.
    let sending = lineage.memory(crate::proof::history::Memory::sending);
    while lineage.memory(|memory| memory.is_sending(&sending)) {
        sleep(dispatch.limits.daemon.recovery.look).await;
    }
    let (records, must) = lineage.memory(|memory| (memory.proofs(), memory.must_be_recorded()));
    record_all(dispatch, records).await;
    have_outcomes(dispatch, &must).await
}

async fn have_outcomes(dispatch: &Dispatch, tokens: &[AttemptToken]) -> bool {
    let store = &dispatch.store;
    let limits = &dispatch.limits.daemon.recovery;
    tokens.is_empty() || until(limits, || store.bounded(store.without_outcome(tokens))).await == 0
}

/// Retries until all of them are recorded: some may be locked or refused at first.
async fn record_all(dispatch: &Dispatch, mut records: Vec<Record<Payload>>) {
    let limits = &dispatch.limits.daemon.recovery;
    while !records.is_empty() {
        records = until(limits, || record(dispatch, &records)).await;
        if !records.is_empty() {
            sleep(limits.retry).await;
        }
    }
}

/// Returns those that are not recorded yet.
async fn record(
    dispatch: &Dispatch,
    records: &[Record<Payload>],
) -> Result<Vec<Record<Payload>>, StoreError> {
    let all: Vec<_> = records.iter().collect();
    let mut done = Vec::with_capacity(all.len());
    dispatch.record_all(&all, &mut done).await?;
    let done: HashSet<_> = done.into_iter().map(|(token, _)| token).collect();
    let left = records.iter().filter(|r| !done.contains(&r.token));
    Ok(left.cloned().collect())
}

async fn read(path: PathBuf) -> std::io::Result<Option<Past>> {
    match tokio::task::spawn_blocking(move || journal::past_in(&path)).await {
        // Removed in the meantime because of its age.
        Ok(Err(gone)) if gone.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Ok(read) => read,
        Err(ended) => Err(std::io::Error::other(ended)),
    }
}
