//! Whether the change feed is up, and what follows.

use super::EventLoop;
use crate::dispatch::Input;
use crate::message::Now;
use crate::metrics::Gauge;
use crate::reactor::report::Remark;

/// Why changes are not notified to an instance that has nothing else.
const DEAFENED: &str = "the change feed of another instance is there, which should have ended: as long as it is, \
     changes are not notified, and looked for every second. Its daemon hangs (end it), or its host has vanished (the \
     server ends the feed after wal_sender_timeout)";

/// From so many looks on it does not end by itself.
const STUBBORN: u32 = 2;

/// The change feed, as the event loop knows it.
#[derive(Debug, Default)]
pub(super) struct FeedState {
    is_up: bool,
    was_up: bool,
    /// Why it is not.
    reason: Option<String>,
    /// The notification channel misses something by itself.
    pub(super) unnotified: bool,
    /// So many looks in a row have found a change feed that this instance does not hear. With the first one others may
    /// not have heard yet that this instance needs notifications.
    deafened: u32,
}

impl EventLoop {
    /// Until it is up, a sweep a second finds what is in the log alone, to the feeds of others or to one that this
    /// instance has just lost. The same where there should be none.
    pub(super) fn is_unnotified(&self) -> bool {
        let is_fed = self.dispatch.limits.daemon.channel.is_fed;
        self.feed.unnotified || self.feed.deafened > 0 || is_fed && !self.feed.is_up
    }

    /// What is committed is notified to a feed that this instance does not hear, or is notified again.
    pub(super) fn deafened(&mut self, is_deafened: bool, now: Now) {
        let before = self.feed.deafened;
        self.feed.deafened = if is_deafened {
            before.saturating_add(1)
        } else {
            0
        };
        if before >= STUBBORN && !is_deafened {
            tracing::info!("the change feed has ended; changes are notified again");
        }
        if self.feed.deafened == STUBBORN {
            tracing::warn!("{DEAFENED}");
        }
        if is_deafened != (before > 0) {
            self.ways_changed(!is_deafened, now);
        }
    }

    /// Has the reactor sweep as often as it must now. `was_missed`: something may be due after the next sweeps that was
    /// not heard.
    fn ways_changed(&mut self, was_missed: bool, now: Now) {
        if !self.listener.connected {
            return;
        }
        if was_missed {
            self.reactor.handle(Input::Rescan, now);
        }
        let unnotified = self.is_unnotified();
        self.reactor.handle(Input::ChannelUp { unnotified }, now);
    }

    /// The feed is up, or is not and why.
    pub(super) fn fed(&mut self, lost: Option<String>, now: Now) {
        let is_up = lost.is_none();
        match &lost {
            None => tracing::info!("the change feed is verified"),
            Some(reason) if self.feed.reason != lost => {
                tracing::warn!(reason, "no change feed; changes are notified and swept for");
            }
            Some(_) => {}
        }
        let shown = f64::from(u8::from(is_up));
        self.dispatch.metrics.set(Gauge::Feed, shown);
        // What was in the log meanwhile was not heard, and may be due after the next sweeps.
        let was_lost = is_up && self.feed.was_up && !self.feed.is_up;
        self.feed.is_up = is_up;
        self.feed.was_up |= is_up;
        self.feed.reason = lost;
        self.ways_changed(was_lost, now);
    }

    /// By which way changes are learned of, if there is a feed, or should be.
    pub(super) fn feed_remark(&self) -> Option<Remark> {
        if !self.dispatch.limits.daemon.channel.is_fed {
            return (self.feed.deafened >= STUBBORN).then(|| Remark {
                kind: "deafened",
                text: DEAFENED.to_owned(),
            });
        }
        Some(if self.feed.is_up {
            Remark {
                kind: Remark::FED,
                text: format!("{} (PUNCTUAL_CHANGES=feed)", Remark::FED_TEXT),
            }
        } else {
            let reason = self.feed.reason.as_deref();
            let reason = reason.unwrap_or(
                "the server has not made a slot yet: it waits until the transactions that are open have ended",
            );
            Remark {
                kind: "unfed",
                text: format!(
                    "there is no change feed ({reason}): changes are looked for every second; they are notified too, \
                     and apps' inserts wait for each other, unless another instance has a feed"
                ),
            }
        })
    }
}
