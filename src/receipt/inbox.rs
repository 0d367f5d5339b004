//! Where reports wait to be merged, and come together in groups: whoever gets the turn takes along
//! everything that has come in meanwhile.
//!
//! There is no task for it. A request whose report waits either hears that another has taken it along,
//! or gets the turn itself. One that is dropped in the middle of its turn leaves the others without an
//! answer, and they wait again: to merge a report twice changes nothing.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use super::CallbackRejected;
use crate::message::{AttemptToken, MessageId};
use crate::proof::Report;
use crate::store::receipts::Received;
use crate::store::{Store, StoreError};

/// Reports in one transaction.
const GROUP_MAX: usize = 500;

/// Until the turn has come: well within the 15 s after which a provider may give up, together with
/// what the database then may take, so that it hears from us that it should come again.
const PATIENCE: Duration = Duration::from_secs(5);

type SendResult = Result<Received, Arc<StoreError>>;

/// A report that waits, and who wants to know.
struct Waiting {
    report: Report,
    done: oneshot::Sender<SendResult>,
}

/// See the module.
pub(super) struct Inbox {
    store: Store,
    max_lateness: Duration,
    waiting: Mutex<VecDeque<Waiting>>,
    /// One group at a time.
    turn: Semaphore,
    /// Beside it one report alone, or one reply, so that no lock holds up a group.
    alone: Semaphore,
    /// It has been logged that reports wait too long, and none was recorded since.
    late: AtomicBool,
}

impl Inbox {
    pub(super) fn new(store: Store, max_lateness: Duration) -> Self {
        Self {
            store,
            max_lateness,
            waiting: Mutex::default(),
            turn: Semaphore::new(1),
            alone: Semaphore::new(1),
            late: AtomicBool::new(false),
        }
    }

    /// Has a report merged.
    pub(super) async fn merge(&self, report: &Report) -> Result<Received, CallbackRejected> {
        match self.merge_in_group(report).await? {
            // By ourselves, for then it may take as long as the lock does.
            Received::Locked { message, token } => self.merge_alone(report, (message, token)).await,
            received => Ok(received),
        }
    }

    /// Does something with the database that belongs to no group.
    pub(super) async fn beside<T>(
        &self,
        step: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, CallbackRejected> {
        let turn = timeout(PATIENCE, self.alone.acquire());
        let Ok(_turn) = turn.await else {
            return Err(self.late());
        };
        let done = self.store.within(PATIENCE, step).await;
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
        // Boxed, for it is large and most reports do without.
        let merge = Box::pin(self.store.receive_alone(report, of, self.max_lateness));
        self.beside(merge).await
    }

    async fn merge_in_group(&self, report: &Report) -> Result<Received, CallbackRejected> {
        let mut patience = pin!(sleep(PATIENCE));
        let mut answer = self.enqueue(report);
        loop {
            tokio::select! {
                biased;
                told = &mut answer => match told {
                    Ok(received) => return received.map_err(CallbackRejected::Store),
                    // Whoever had taken it along was dropped.
                    Err(_) => answer = self.enqueue(report),
                },
                // Never closed.
                _turn = self.turn.acquire() => self.take_turn().await,
                () = &mut patience => return Err(self.late()),
            }
        }
    }

    fn enqueue(&self, report: &Report) -> oneshot::Receiver<SendResult> {
        let (done, answer) = oneshot::channel();
        let report = report.clone();
        self.queue().push_back(Waiting { report, done });
        answer
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Merges what waits. A group that is refused for one of its reports is halved, until that one is
    /// found.
    async fn take_turn(&self) {
        let mut groups = vec![self.next_group()];
        while let Some(mut group) = groups.pop() {
            if group.is_empty() {
                continue;
            }
            let reports: Vec<Report> = group.iter().map(|waiting| waiting.report.clone()).collect();
            // Boxed, for it is large and there is one.
            let merge = Box::pin(self.store.receive(&reports, self.max_lateness));
            match self.store.within(PATIENCE, merge).await {
                Ok(received) => {
                    self.late.store(false, Ordering::Relaxed);
                    for (waiting, received) in group.into_iter().zip(received) {
                        // Nobody waits any more: the provider comes again.
                        let _ = waiting.done.send(Ok(received));
                    }
                }
                Err(refused) if group.len() > 1 && refused.is_about_a_row() => {
                    let half = group.split_off(group.len() / 2);
                    groups.extend([half, group]);
                }
                Err(error) => {
                    tracing::warn!(%error, callbacks = group.len(),
                        "callbacks could not be recorded; they are asked for again");
                    let error = Arc::new(error);
                    for waiting in group {
                        let _ = waiting.done.send(Err(Arc::clone(&error)));
                    }
                }
            }
        }
    }

    /// What has come in, without that which nobody waits for any more.
    fn next_group(&self) -> Vec<Waiting> {
        let mut queue = self.queue();
        let many = queue.len().min(GROUP_MAX);
        let group = queue.drain(..many);
        group.filter(|waiting| !waiting.done.is_closed()).collect()
    }

    fn late(&self) -> CallbackRejected {
        if !self.late.swap(true, Ordering::Relaxed) {
            tracing::warn!("callbacks are not recorded in time; they are asked for again");
        }
        CallbackRejected::Late
    }
}
