//! Work on the database for requests. Except at a shutdown it runs to its end, also if its request is cancelled:
//! because the client has gone, or because it took too long.
//!
//! Otherwise the connection of a cancelled request would return to the pool in the middle of a statement, and whatever
//! takes it next, a claim for example, would wait for the end of that statement; and an act on many messages would end
//! somewhere in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::text;

/// Lists, counts and acts at once. They read and change many messages, over connections that claims need too.
const MANY_MAX: usize = 2;

/// Reads of single messages and of a page's timers at once, which are short.
const SINGLE_MAX: usize = 2;

/// Acts at once, of those: so that lists can be read while many messages are changed.
const ACTS_MAX: usize = 1;

type Job = BoxFuture<'static, ()>;

/// What kind of work it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A read of one message, or of a page's timers.
    Single,
    /// A list or a count.
    List,
    /// A change.
    Act,
}

/// Where requests hand over their work. Clones are the same.
#[derive(Clone)]
pub(super) struct Jobs {
    single: mpsc::Sender<Job>,
    lists: mpsc::Sender<Job>,
    acts: mpsc::Sender<Job>,
    many: Arc<Semaphore>,
}

/// Performs it.
pub(super) struct Worker {
    single: mpsc::Receiver<Job>,
    lists: mpsc::Receiver<Job>,
    acts: mpsc::Receiver<Job>,
}

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoResult {
    /// The worker has ended: this has not begun, and will not.
    #[error("the daemon is starting or shutting down")]
    Stopped,
    /// Other work took too long: this has not begun, and will not.
    #[error(
        "others are reading or changing many messages at the moment: try again in a few seconds"
    )]
    NotBegun,
    /// The worker has ended while the work was done: at a shutdown, or because the work panicked.
    #[error(
        "this was interrupted: the daemon shuts down, or its log has the fault. Try again in a few seconds"
    )]
    Cut,
    /// It takes longer, and goes on.
    #[error("the database takes long to answer: try again in a few seconds")]
    Running,
}

impl IntoResponse for NoResult {
    fn into_response(self) -> Response {
        text(StatusCode::SERVICE_UNAVAILABLE, &self.to_string())
    }
}

/// Whether work is begun. Only one of its two sides decides that: the worker when it takes it, or the request when it
/// does not wait any longer.
#[derive(Clone, Default)]
struct Turn(Arc<AtomicU8>);

impl Turn {
    const BEGUN: u8 = 1;
    const LEFT: u8 = 2;

    /// Whether this side came first.
    fn decide(&self, what: u8) -> bool {
        let decided = self
            .0
            .compare_exchange(0, what, Ordering::AcqRel, Ordering::Acquire);
        decided.is_ok()
    }
}

/// The side of the request: it leaves when it is cancelled.
struct Waiting(Turn);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.decide(Turn::LEFT);
    }
}

pub(super) fn channel() -> (Jobs, Worker) {
    // More wait in the senders, and leave when their request is cancelled.
    let ((single, singles), (lists, listed), (acts, acted)) =
        (mpsc::channel(1), mpsc::channel(1), mpsc::channel(1));
    let jobs = Jobs {
        single,
        lists,
        acts,
        many: Arc::new(Semaphore::new(MANY_MAX)),
    };
    let worker = Worker {
        single: singles,
        lists: listed,
        acts: acted,
    };
    (jobs, worker)
}

impl Jobs {
    /// Has work done, and waits so long for its result.
    pub(super) fn run<T: Send + 'static>(
        &self,
        kind: Kind,
        patience: Duration,
        work: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = Result<T, NoResult>> + Send {
        let (turn, (reply, received)) = (Turn::default(), oneshot::channel());
        let waiting = Waiting(turn.clone());
        let many = (kind != Kind::Single).then(|| Arc::clone(&self.many));
        // Boxed first, because it is large.
        let job: Job = Box::pin(async move {
            let _permit = match &many {
                Some(many) => many.acquire().await.ok(),
                None => None,
            };
            if turn.decide(Turn::BEGUN) {
                // Nobody may be waiting for the result any more.
                let _ = reply.send(work.await);
            }
        });
        let queue = match kind {
            Kind::Single => &self.single,
            Kind::List => &self.lists,
            Kind::Act => &self.acts,
        };
        async move {
            let result = async {
                queue.send(job).await.map_err(|_| NoResult::Stopped)?;
                received.await.map_err(|_| {
                    if waiting.0.decide(Turn::LEFT) {
                        NoResult::Stopped
                    } else {
                        NoResult::Cut
                    }
                })
            };
            match timeout(patience, result).await {
                Ok(result) => result,
                Err(_) if waiting.0.decide(Turn::LEFT) => Err(NoResult::NotBegun),
                Err(_) => Err(NoResult::Running),
            }
        }
    }
}

impl Worker {
    /// Works until no request can hand over more and all is done.
    pub(super) async fn run(self) {
        tokio::join!(
            perform(self.single, SINGLE_MAX),
            perform(self.lists, MANY_MAX),
            perform(self.acts, ACTS_MAX),
        );
    }
}

async fn perform(mut queue: mpsc::Receiver<Job>, at_once: usize) {
    // Dropping this future ends what it runs.
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = running.join_next() => {}
            job = queue.recv(), if running.len() < at_once => match job {
                Some(job) => {
                    running.spawn(job);
                }
                None => break,
            }
        }
    }
    while running.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    /// Work that had begun may have been done; what waited behind it was not.
    #[tokio::test]
    async fn a_shutdown_says_whether_work_had_begun() {
        const LONG: Duration = Duration::from_secs(3_600);
        let (jobs, worker) = channel();
        let (begins, has_begun) = oneshot::channel();
        let endless = async move {
            let _ = begins.send(());
            pending::<()>().await;
        };
        let first = jobs.run(Kind::Act, LONG, endless);
        let second = jobs.run(Kind::Act, LONG, ready(()));
        let mut both = Box::pin(async { tokio::join!(first, second) });
        tokio::select! {
            () = worker.run() => panic!("the worker has ended"),
            done = &mut both => panic!("{done:?}"),
            begun = has_begun => begun.unwrap(),
        }
        // The worker is dropped, as at a shutdown.
        assert_eq!(both.await, (Err(NoResult::Cut), Err(NoResult::Stopped)));
    }
}
