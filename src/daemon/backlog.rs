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
    latest: Arc<Mutex<Option<(Uptime, Pending)>>>,
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
        if let Some((_, count)) = latest.filter(|(at, _)| now.since(*at) < fresh) {
            counted(window(&mut report), count);
            let _ = reply.send(report);
            return;
        }
        let count = self.store.bounded(
            self.store
                .pending(until, self.limits.daemon.event_loop.backlog_max),
        );
        let mut count = std::pin::pin!(count);
        let in_time = timeout(patience, &mut count).await;
        if let Ok(Ok(count)) = in_time {
            *latest = Some((now, count));
            counted(window(&mut report), count);
        }
        // The client may have disconnected.
        let _ = reply.send(report);
        if in_time.is_err() {
            // Not cancelled, or its connection would return to the pool with the statement running.
            *latest = count.await.ok().map(|count| (now, count));
        }
    }
}

fn counted(window: &mut WindowReport, pending: Pending) {
    window.waiting = Some(pending.within);
    window.beyond = Some(pending.beyond);
}
