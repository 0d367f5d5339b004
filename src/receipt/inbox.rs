//! A queue of reports, which are merged in groups: the request that gets the turn merges all reports that
//! have arrived by then.
//!
//! There is no separate task. A request either receives the result from another request that merged its
//! report, or gets the turn itself. If a request is dropped during its turn, the reports of its group are
//! enqueued again by their own requests: to merge a report twice changes nothing.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use super::CallbackRejected;
use crate::limits::daemon::ReceiptLimits;
use crate::message::{AttemptToken, MessageId};
use crate::proof::Report;
use crate::store::receipts::Received;
use crate::store::{Halving, Store, StoreError};

type RecordedResult = Result<Received, Arc<StoreError>>;

/// A report in the queue, and where to send the result.
struct Waiting {
    report: Report,
    done: oneshot::Sender<RecordedResult>,
}

/// The queue of reports that wait to be merged.
pub(super) struct Inbox {
    store: Store,
    max_lateness: Duration,
    limits: ReceiptLimits,
    waiting: Mutex<VecDeque<Waiting>>,
    /// One group at a time.
    turn: Semaphore,
    /// One single report or reply at a time, next to the group, so that no lock delays a group.
    single: Semaphore,
    /// It has been logged that reports wait too long, and none was recorded since.
    late: AtomicBool,
}

impl Inbox {
    pub(super) fn new(store: Store, max_lateness: Duration, limits: ReceiptLimits) -> Self {
        Self {
            store,
            max_lateness,
            limits,
            waiting: Mutex::default(),
            turn: Semaphore::new(1),
            single: Semaphore::new(1),
            late: AtomicBool::new(false),
        }
    }

    /// Merges a report.
    pub(super) async fn merge(&self, report: &Report) -> Result<Received, CallbackRejected> {
        match self.merge_in_group(report).await? {
            // Alone, because it may then wait for the lock.
            Received::Locked { message, token } => self.merge_alone(report, (message, token)).await,
            received => Ok(received),
        }
    }

    /// Performs a step in the database that belongs to no group.
    pub(super) async fn alone<T>(
        &self,
        step: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, CallbackRejected> {
        let turn = timeout(self.limits.patience, self.single.acquire());
        let Ok(_turn) = turn.await else {
            return Err(self.late());
        };
        let done = self.store.within(self.limits.patience, step).await;
        done.map_err(|error| {
            tracing::warn!(%error, "a callback could not be recorded; the provider will repeat it");
            CallbackRejected::Store(Arc::new(error))
        })
    }

    async fn merge_alone(
        &self,
        report: &Report,
        of: (MessageId, AttemptToken),
    ) -> Result<Received, CallbackRejected> {
        // Boxed because it is large and most reports do not need it.
        let merge = Box::pin(self.store.receive_alone(report, of, self.max_lateness));
        self.alone(merge).await
    }

    async fn merge_in_group(&self, report: &Report) -> Result<Received, CallbackRejected> {
        let mut patience = pin!(sleep(self.limits.patience));
        let mut result = self.enqueue(report);
        loop {
            tokio::select! {
                biased;
                merged = &mut result => match merged {
                    Ok(received) => return received.map_err(CallbackRejected::Store),
                    // The request that had taken it was dropped.
                    Err(_) => result = self.enqueue(report),
                },
                // Never closed.
                _turn = self.turn.acquire() => self.take_turn().await,
                () = &mut patience => return Err(self.late()),
            }
        }
    }

    fn enqueue(&self, report: &Report) -> oneshot::Receiver<RecordedResult> {
        let (done, result) = oneshot::channel();
        let report = report.clone();
        self.queue().push_back(Waiting { report, done });
        result
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Merges the next reports of the queue.
    async fn take_turn(&self) {
        let waiting = self.next_group().into_iter();
        let (reports, done): (Vec<_>, Vec<_>) = waiting.map(|w| (w.report, w.done)).unzip();
        let mut done = done.into_iter();
        let mut groups = Halving::new(&reports, self.limits.group);
        while let Some(group) = groups.next_group() {
            // Boxed because it is large and there is only one.
            let merge = Box::pin(self.store.receive(group, self.max_lateness));
            match self.store.within(self.limits.patience, merge).await {
                Ok(received) => {
                    self.late.store(false, Ordering::Relaxed);
                    for (received, done) in received.into_iter().zip(done.by_ref()) {
                        // If the receiver is gone, the provider repeats the callback.
                        let _ = done.send(Ok(received));
                    }
                }
                Err(refused) if groups.halve(group, &refused) => {}
                Err(error) => {
                    tracing::warn!(%error, callbacks = group.len(),
                        "callbacks could not be recorded; the provider will repeat them");
                    let error = Arc::new(error);
                    for done in done.by_ref().take(group.len()) {
                        let _ = done.send(Err(Arc::clone(&error)));
                    }
                }
            }
        }
    }

    /// The next reports of the queue, without those that nobody waits for any more.
    fn next_group(&self) -> Vec<Waiting> {
        let mut queue = self.queue();
        let many = queue.len().min(self.limits.group);
        let group = queue.drain(..many);
        group.filter(|waiting| !waiting.done.is_closed()).collect()
    }

    fn late(&self) -> CallbackRejected {
        if !self.late.swap(true, Ordering::Relaxed) {
            tracing::warn!("callbacks are not recorded in time; the provider will repeat them");
        }
        CallbackRejected::Late
    }
}
