//! How many messages are pending, in the window and beyond it (the backlog). The count reads an index, and is made for
//! requests to the debug endpoint, so never more than one at a time nor more than one a second.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;

use crate::limits::Limits;
use crate::message::Uptime;
use crate::reactor::report::{Overview, TimersReport, WindowReport};
use crate::store::{Pending, Store};

/// The place of the count in a reply.
type WindowOf<T> = fn(&mut T) -> &mut WindowReport;

#[derive(Clone)]
pub(super) struct Backlog {
    store: Store,
    limits: Arc<Limits>,
    latest: Arc<Mutex<Option<Count>>>,
}

/// What was counted, and what was in memory then.
#[derive(Clone, Copy)]
struct Count {
    at: Uptime,
    window: WindowReport,
    pending: Pending,
}

impl Backlog {
    pub(super) fn new(store: Store, limits: Arc<Limits>) -> Self {
        Self {
            store,
            limits,
            latest: Arc::default(),
        }
    }

    /// Adds the count to the timers' report, if it is made in time, and sends it.
    pub(super) async fn answer(
        self,
        report: TimersReport,
        reply: oneshot::Sender<TimersReport>,
        now: Uptime,
    ) {
        let window: WindowOf<TimersReport> = |report| &mut report.window;
        let fresh = self.limits.daemon.event_loop.backlog_fresh;
        self.complete(report, reply, now, fresh, window).await;
    }

    /// The same for the overview.
    pub(super) async fn answer_overview(
        self,
        overview: Overview,
        reply: oneshot::Sender<Overview>,
        now: Uptime,
    ) {
        let window: WindowOf<Overview> = |overview| &mut overview.timers.window;
        let fresh = self.limits.daemon.event_loop.backlog_fresh_repeated;
        self.complete(overview, reply, now, fresh, window).await;
    }

    async fn complete<T>(
        self,
        mut report: T,
        reply: oneshot::Sender<T>,
        now: Uptime,
        fresh: Duration,
        window: WindowOf<T>,
    ) {
        let patience = self.limits.daemon.event_loop.backlog_patience;
        let turn = timeout(patience, self.latest.lock()).await;
        let (Some(until), Ok(mut latest)) = (window(&mut report).until, turn) else {
            let _ = reply.send(report);
            return;
        };
        let own = *window(&mut report);
        let is_fresh =
            |count: &Count| now.since(count.at) < fresh && count.window.until == own.until;
        if let Some(count) = latest.filter(is_fresh) {
            count.add_to(window(&mut report));
            let _ = reply.send(report);
            return;
        }
        let count = self.store.bounded(
            self.store
                .pending(until, self.limits.daemon.event_loop.backlog_max),
        );
        let mut count = std::pin::pin!(count);
        let in_time = timeout(patience, &mut count).await;
        let counted = |pending| Count {
            at: now,
            window: own,
            pending,
        };
        if let Ok(Ok(pending)) = in_time {
            let count = counted(pending);
            *latest = Some(count);
            count.add_to(window(&mut report));
        }
        // The client may have disconnected.
        let _ = reply.send(report);
        if in_time.is_err() {
            // Not cancelled, or its connection would return to the pool with the statement running.
            *latest = count.await.ok().map(counted);
        }
    }
}

impl Count {
    /// What is in memory now, and what was counted and was not: the count is kept for seconds, and a page that says
    /// that no message waits lists them below. In a herd memory has more than are pending, those that are being sent.
    fn add_to(&self, window: &mut WindowReport) {
        let elsewhere = self.pending.within.saturating_sub(self.window.armed);
        window.waiting = Some(elsewhere.saturating_add(window.armed));
        window.beyond = Some(self.pending.beyond);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_follows_what_is_in_memory() {
        let window = |armed| WindowReport {
            until: None,
            armed,
            waiting: None,
            beyond: None,
        };
        let count = |within, armed| Count {
            at: Uptime::from_micros(0),
            window: window(armed),
            pending: Pending { within, beyond: 7 },
        };
        // Two wait for a pace, and are not in memory; or many are being sent.
        for (count, armed, waiting) in [
            (count(5, 3), 3, 5),
            (count(5, 3), 4, 6),
            (count(5, 3), 0, 2),
            (count(6, 66), 6, 6),
        ] {
            let mut now = window(armed);
            count.add_to(&mut now);
            assert_eq!((now.waiting, now.beyond), (Some(waiting), Some(7)));
        }
    }
}
