//! What is measured from time to time, and as what Prometheus gets it.

/// What is measured from time to time, by a chore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gauge {
    /// How full the server's notification queue is, 0 to 1.
    NotifyQueue,
    /// Messages `unconfirmed`, counted up to a bound.
    InDoubt,
    /// Writes that the app's tables refused and that wait.
    Outbox,
    /// Pending messages whose number has a fault, counted up to a bound.
    NumberFaults,
    /// What the texts of today cost; not measured: it is not counted.
    CostToday,
    /// 1 while the journal can be written; not measured: there is none.
    Journal,
    /// 1 while the change feed is verified; not measured: there is none.
    Feed,
    /// Bytes of the log that the server keeps for the feed that is behind most; not measured: there is none.
    FeedKept,
}

impl Gauge {
    /// Each, in order.
    pub const ALL: [Self; 8] = [
        Self::NotifyQueue,
        Self::InDoubt,
        Self::Outbox,
        Self::NumberFaults,
        Self::CostToday,
        Self::Journal,
        Self::Feed,
        Self::FeedKept,
    ];

    /// Its name and its help.
    pub(super) const fn described(self) -> (&'static str, &'static str) {
        match self {
            Self::NotifyQueue => (
                "punctual_notify_queue_usage_ratio",
                "Used share of the server's notification queue; at 1 transactions that notify fail.",
            ),
            Self::InDoubt => (
                "punctual_in_doubt",
                "Unconfirmed messages, counted up to 10000.",
            ),
            Self::Outbox => (
                "punctual_outbox_waiting",
                "Writes that the app's tables refused and that are pending, counted up to 10000.",
            ),
            Self::NumberFaults => (
                "punctual_number_faults",
                "Pending messages whose number cannot receive texts, or is a premium-rate one, counted up to 10000.",
            ),
            Self::CostToday => (
                "punctual_cost_today",
                "What today's texts cost by PUNCTUAL_PRICES, as far as they are counted.",
            ),
            Self::Journal => (
                "punctual_journal_writable",
                "1 while the journal can be written; absent if there is none.",
            ),
            Self::Feed => (
                "punctual_feed_up",
                "1 while the change feed is verified; absent if there is none.",
            ),
            Self::FeedKept => (
                "punctual_feed_kept_bytes",
                "Bytes of the log that the server keeps for the change feeds; absent if there are none.",
            ),
        }
    }
}
