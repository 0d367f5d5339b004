//! Settles the open attempts of dead instances by their journals.
//!
//! The process that wrote such a journal is dead, because its lock is free; so this does not wait for
//! leases. A claim whose statement was on its way to the server when that process died may still be
//! committed: the checks go on until that is impossible.

use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::clock;
use crate::dispatch::{Dispatch, Input, Payload};
use crate::journal::{self, PastFile};
use crate::message::{DatabaseId, MessageId};
use crate::proof::recovery::{NotAccepted, Recovery, reaped_unbegun, recover};
use crate::settle::Record;
use crate::store::{Halving, StoreError};

/// Runs until everything that `files` prove is recorded, however long the database is unreachable.
/// `database`: its id, if it has the history that they were written for.
pub(super) async fn settle(
    dispatch: Dispatch,
    mut files: Vec<PastFile>,
    database: Option<DatabaseId>,
    inputs: mpsc::Sender<Input>,
) {
    let Some(journal) = dispatch.journal.clone() else {
        return;
    };
    let limits = dispatch.limits.daemon.recovery;
    files.retain(|file| !file.past.settled);
    let began = clock::reading().up;
    while !files.is_empty() {
        let mut left = Vec::new();
        for mut file in files {
            let done = settle_file(&dispatch, &file, database, &inputs).await;
            let late = clock::reading().up.since(began) >= limits.settled_after;
            match done {
                Ok(true) if late => journal.done_with(&mut file),
                Ok(_) => left.push(file),
                Err(error) => {
                    let instance = file.past.opened.instance;
                    tracing::warn!(%instance, %error,
                        "the open attempts of a dead instance are not settled yet; retrying");
                    left.push(file);
                }
            }
        }
        files = left;
        sleep(limits.retry).await;
    }
}

/// One check of the open attempts of an instance. Whether nothing is left to do.
async fn settle_file(
    dispatch: &Dispatch,
    file: &PastFile,
    database: Option<DatabaseId>,
    inputs: &mpsc::Sender<Input>,
) -> Result<bool, StoreError> {
    let store = &dispatch.store;
    let past = &file.past;
    let left = store.left_open(past.opened.instance);
    let left = store.bounded(left).await?;
    let boot = journal::boot();
    let here = past.opened.boot.is_some() && past.opened.boot == boot;
    let may_deny = past.may_deny(boot.as_deref(), database);
    let now = dispatch.clock.now().db;
    let (mut not_accepted, mut records) = (Vec::new(), Vec::<Record<Payload>>::new());
    for open in &left {
        match recover(
            open,
            past.of_attempt(open.token, may_deny && !open.journal_incomplete),
            here,
            now,
        ) {
            Recovery::Release(attempt) => not_accepted.push(attempt),
            Recovery::Record(record) => records.push(record),
            Recovery::Leave => {}
        }
    }
    let (back, recorded) = (not_accepted.len(), records.len());
    if back + recorded == 0 {
        return Ok(true);
    }
    tracing::info!(
        instance = %past.opened.instance,
        not_accepted = back,
        recorded,
        "settling the open attempts of a dead instance by its journal"
    );
    let released = release(dispatch, &not_accepted, inputs).await?;
    let records: Vec<_> = records.iter().collect();
    let mut done = Vec::with_capacity(records.len());
    dispatch.record_all(&records, &mut done).await?;
    let next = records.iter().filter(|record| record.has_next());
    let next: Vec<MessageId> = next.map(|record| record.id).collect();
    if !next.is_empty() {
        // See `release`.
        let _ = inputs.send(Input::Notification(next)).await;
    }
    Ok(released + done.len() >= back + recorded)
}

/// Attempts of this instance that were reaped, because it was suspended or cut off for longer than its
/// leases: those that never began, by its own journal, are pending again.
pub(super) async fn reaped_alive(
    dispatch: &Dispatch,
    inputs: &mpsc::Sender<Input>,
) -> Result<(), StoreError> {
    let (store, Some(journal)) = (&dispatch.store, &dispatch.journal) else {
        return Ok(());
    };
    if !journal.may_deny() {
        return Ok(());
    }
    let left = store.bounded(store.reaped(store.instance()));
    let unbegun = reaped_unbegun(&left.await?, |token| journal.is_open(token));
    release(dispatch, &unbegun, inputs).await?;
    Ok(())
}

/// How many of these are settled.
async fn release(
    dispatch: &Dispatch,
    attempts: &[NotAccepted],
    inputs: &mpsc::Sender<Input>,
) -> Result<usize, StoreError> {
    let mut freed: Vec<MessageId> = Vec::new();
    let mut done = 0;
    let mut groups = Halving::new(attempts, dispatch.limits.records.batch);
    while let Some(group) = groups.next_group() {
        let given = dispatch.store.not_accepted(group);
        match dispatch.store.bounded(given).await {
            Ok(given) => {
                done += given.len();
                let moved = |a: &&NotAccepted| given.contains(&(a.token, true));
                freed.extend(group.iter().filter(moved).map(|a| a.message));
            }
            Err(refused) if groups.halve(group, &refused) => {}
            Err(refused) if refused.is_about_a_row() => {
                let message = group.first().map(|attempt| attempt.message);
                tracing::warn!(message.id = ?message.map(|id| id.0), error = %refused,
                    "a message whose request never began could not be set back to pending; retrying");
            }
            Err(error) => return Err(error),
        }
    }
    if !freed.is_empty() {
        tracing::info!(
            messages = freed.len(),
            "pending again: their requests never began"
        );
        // A closed channel: the daemon is ending. The next sweep would find them as well.
        let _ = inputs.send(Input::Notification(freed)).await;
    }
    Ok(done)
}
