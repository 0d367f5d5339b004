//! The tasks next to the event loop, each with a name. One that ends before the stop, or panics, ends the
//! daemon, and the error names it.

use std::collections::HashMap;
use std::future::pending;

use tokio::task::{AbortHandle, Id, JoinSet};
use tokio_util::sync::CancellationToken;

/// A task that the daemon needs has ended.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TaskError {
    /// It returned, which it does only at a stop.
    #[error("the task `{0}` ended; the daemon cannot run without it")]
    Ended(&'static str),
    /// A bug. The message of the panic is on stderr.
    #[error("the task `{0}` panicked; its message is above")]
    Panicked(&'static str),
}

/// When a task may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It runs until the stop.
    Lasting,
    /// It returns when its work is done.
    Finite,
}

/// The tasks beside the event loop. Dropping it ends all of them.
#[derive(Default)]
pub(super) struct Tasks {
    set: JoinSet<()>,
    known: HashMap<Id, (&'static str, Kind)>,
}

impl Tasks {
    /// Starts a task that must run until the stop.
    pub(super) fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let handle = self.set.spawn(task);
        self.enter(&handle, name, Kind::Lasting);
    }

    /// Starts a task that returns when its work is done.
    pub(super) fn spawn_finite(
        &mut self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let handle = self.set.spawn(task);
        self.enter(&handle, name, Kind::Finite);
    }

    fn enter(&mut self, handle: &AbortHandle, name: &'static str, kind: Kind) {
        self.known.insert(handle.id(), (name, kind));
    }

    /// Waits for the first task that ended and should not have. After `stop` only a panic counts.
    /// Cancel safe.
    pub(super) async fn failure(&mut self, stop: &CancellationToken) -> TaskError {
        loop {
            let Some(ended) = self.set.join_next_with_id().await else {
                return pending().await;
            };
            let id = ended
                .as_ref()
                .map_or_else(tokio::task::JoinError::id, |(id, ())| *id);
            let Some((name, kind)) = self.known.remove(&id) else {
                continue;
            };
            match ended {
                Ok(_) if kind == Kind::Finite || stop.is_cancelled() => {}
                Ok(_) => return TaskError::Ended(name),
                Err(error) if error.is_panic() => return TaskError::Panicked(name),
                // Cancelled, which happens only at the end.
                Err(_) => {}
            }
        }
    }

    /// Aborts all of them, and waits until they have ended.
    pub(super) async fn shutdown(&mut self) {
        self.set.shutdown().await;
    }

    /// Waits until all have ended.
    pub(super) async fn join_all(&mut self) {
        while self.set.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_is_gone_is_named() {
        let stop = CancellationToken::new();
        let mut tasks = Tasks::default();
        tasks.spawn("listener", pending());
        tasks.spawn("heartbeat", async { panic!("planted") });
        let failure = tasks.failure(&stop).await;
        assert_eq!(failure, TaskError::Panicked("heartbeat"));
        tasks.spawn("chores", async {});
        let failure = tasks.failure(&stop).await;
        assert_eq!(failure, TaskError::Ended("chores"));
        assert!(failure.to_string().contains("`chores`"));
        // The listener continues.
        assert_eq!(tasks.set.len(), 1);
    }

    #[tokio::test]
    async fn an_end_that_was_to_come_is_none_but_a_panic_is() {
        let stop = CancellationToken::new();
        let mut tasks = Tasks::default();
        tasks.spawn_finite("recovery", async {});
        let until_stop = stop.clone();
        tasks.spawn("chores", async move { until_stop.cancelled().await });
        let after = stop.clone();
        tasks.spawn_finite("restore", async move {
            after.cancelled().await;
            panic!("planted");
        });
        stop.cancel();
        let failure = tasks.failure(&stop).await;
        assert_eq!(failure, TaskError::Panicked("restore"));
        tasks.join_all().await;
    }
}
