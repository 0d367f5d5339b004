//! Whether the change feed is up, and what follows.

use super::EventLoop;
use crate::dispatch::Input;
use crate::message::Now;
use crate::metrics::Gauge;
use crate::reactor::report::Remark;

/// The change feed, as the event loop knows it.
#[derive(Debug, Default)]
pub(super) struct FeedState {
    is_up: bool,
    was_up: bool,
    /// Why it is not.
    reason: Option<String>,
    /// The notification channel misses something by itself.
    pub(super) unnotified: bool,
}

impl EventLoop {
    /// Until it is up, a sweep a second finds what is in the log alone, to the feeds of others or to one that this
    /// instance has just lost.
    pub(super) fn is_unnotified(&self) -> bool {
        let is_fed = self.dispatch.limits.daemon.channel.is_fed;
        self.feed.unnotified || is_fed && !self.feed.is_up
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
        if !self.listener.connected {
            return;
        }
        if was_lost {
            self.reactor.handle(Input::Rescan, now);
        }
        let unnotified = self.is_unnotified();
        self.reactor.handle(Input::ChannelUp { unnotified }, now);
    }

    /// By which way changes are learned of, if there is a feed, or should be.
    pub(super) fn feed_remark(&self) -> Option<Remark> {
        if !self.dispatch.limits.daemon.channel.is_fed {
            return None;
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
                    "there is no change feed ({reason}): changes are notified, and looked for every second; \
                     apps' inserts wait for each other"
                ),
            }
        })
    }
}
