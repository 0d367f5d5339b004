//! The delivery status of a message that its provider has accepted, the same for all providers.
//!
//! A provider translates its own status into a [`Delivery`], and all decisions depend on that alone. The ledger
//! and the app's `messages.status` store the [`Stage`].

use std::str::FromStr;

use super::{Category, Retry, Scope, Status};

/// How far a message has come, as the app's `messages.status` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The provider has it, and has not yet passed it on.
    Queued,
    /// The provider is passing it on.
    Sending,
    /// The carrier accepted it.
    Sent,
    /// The recipient's device has it.
    Delivered,
    /// The carrier or the device rejected it.
    Undelivered,
    /// The provider could not pass it on.
    Failed,
    /// It was cancelled at the provider.
    Cancelled,
}

impl Stage {
    /// All stages.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Sending,
        Self::Sent,
        Self::Delivered,
        Self::Undelivered,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The final stages without arrival.
    pub const NOT_DELIVERED: [Self; 3] = [Self::Undelivered, Self::Failed, Self::Cancelled];

    /// As `punctual.attempts` and the app's `messages` have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reports arrive in any order and have no time, so a lower rank never overwrites a higher one.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Queued => 0,
            Self::Sending => 1,
            Self::Sent => 2,
            Self::Delivered | Self::Undelivered | Self::Failed | Self::Cancelled => 3,
        }
    }

    /// Whether it is final.
    pub const fn is_final(self) -> bool {
        self.rank() == 3
    }

    /// Whether it ended without arrival.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Undelivered | Self::Failed | Self::Cancelled)
    }

    /// The `scheduled_messages.status` that it leads to.
    pub const fn row_status(self) -> Status {
        match self {
            Self::Queued | Self::Sending | Self::Sent => Status::Sent,
            Self::Delivered => Status::Delivered,
            Self::Undelivered | Self::Failed | Self::Cancelled => Status::Failed,
        }
    }
}

/// An unknown stage.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown stage of delivery {0:?}")]
pub struct UnknownStage(String);

impl FromStr for Stage {
    type Err = UnknownStage;
    fn from_str(s: &str) -> Result<Self, UnknownStage> {
        Self::ALL
            .into_iter()
            .find(|stage| stage.as_str() == s)
            .ok_or_else(|| UnknownStage(s.to_owned()))
    }
}

/// Why an accepted message did not arrive, and whether it is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure it is.
    pub category: Category,
    /// Whether to retry.
    pub retry: Retry,
}

impl Failure {
    /// The reason is unknown, so there is no retry.
    pub const UNEXPLAINED: Self = Self {
        category: Category::Unknown,
        retry: Retry::No,
    };

    /// What it concerns beside this message.
    pub const fn scope(self) -> Option<Scope> {
        self.retry.scope()
    }

    /// Whether a retry follows, if the row permits one.
    pub const fn is_retried(self) -> bool {
        match self.retry {
            Retry::After { .. } | Retry::HoldAccount { .. } | Retry::HoldSender { .. } => true,
            Retry::No | Retry::MayHaveArrived => false,
        }
    }
}

/// The status that a provider reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// See [`Stage::Queued`].
    Queued,
    /// See [`Stage::Sending`].
    Sending,
    /// See [`Stage::Sent`].
    Sent,
    /// See [`Stage::Delivered`].
    Delivered,
    /// See [`Stage::Undelivered`].
    Undelivered(Failure),
    /// See [`Stage::Failed`].
    Failed(Failure),
    /// See [`Stage::Cancelled`].
    Cancelled(Failure),
}

impl Delivery {
    /// Its stage.
    pub const fn stage(self) -> Stage {
        match self {
            Self::Queued => Stage::Queued,
            Self::Sending => Stage::Sending,
            Self::Sent => Stage::Sent,
            Self::Delivered => Stage::Delivered,
            Self::Undelivered(_) => Stage::Undelivered,
            Self::Failed(_) => Stage::Failed,
            Self::Cancelled(_) => Stage::Cancelled,
        }
    }

    /// Why it did not arrive; `None` if it has not failed.
    pub const fn failure(self) -> Option<Failure> {
        match self {
            Self::Queued | Self::Sending | Self::Sent | Self::Delivered => None,
            Self::Undelivered(failure) | Self::Failed(failure) | Self::Cancelled(failure) => {
                Some(failure)
            }
        }
    }

    /// Whether it did not arrive because the recipient has opted out.
    pub fn is_opt_out(self) -> bool {
        let category = self.failure().map(|failure| failure.category);
        category == Some(Category::OptedOut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_ledger_parse_back() {
        for stage in Stage::ALL {
            assert_eq!(stage.as_str().parse(), Ok(stage));
            let listed = Stage::NOT_DELIVERED.contains(&stage);
            assert_eq!(stage.is_failure(), listed, "{stage:?}");
            assert_eq!(stage.row_status() == Status::Failed, listed, "{stage:?}");
        }
        for other in ["", "Sent", "canceled", "read", "accepted"] {
            assert!(other.parse::<Stage>().is_err(), "{other}");
        }
    }

    #[test]
    fn only_an_end_is_final_and_only_a_failure_has_a_cause() {
        let why = Failure::UNEXPLAINED;
        for (delivery, rank, failed) in [
            (Delivery::Queued, 0, false),
            (Delivery::Sending, 1, false),
            (Delivery::Sent, 2, false),
            (Delivery::Delivered, 3, false),
            (Delivery::Undelivered(why), 3, true),
            (Delivery::Failed(why), 3, true),
            (Delivery::Cancelled(why), 3, true),
        ] {
            let stage = delivery.stage();
            assert_eq!((stage.rank(), stage.is_final()), (rank, rank == 3));
            assert_eq!(delivery.failure().is_some(), failed, "{delivery:?}");
            assert_eq!(stage.is_failure(), failed, "{delivery:?}");
        }
    }
}
