//! What an instance publishes of one lane.

use serde::{Deserialize, Serialize};

use crate::message::{LaneKey, Moment};

/// The state of one lane.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PublishedLane {
    /// The account's name in the settings.
    pub account: String,
    /// As `scheduled_messages.channel` has it.
    pub channel: String,
    /// For channels whose lanes have one.
    pub host: Option<String>,
    /// That the provider refuses the account; `None`: it does not.
    pub refused: Option<Refused>,
    /// Until when it counts as one that cannot be reached; `None`: the latest request reached its provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreached_until: Option<Moment>,
    /// How many requests may be made at once.
    pub permits: u64,
    /// The most that may be; more than `permits`: the provider throttles.
    pub permits_max: u64,
    /// How long recent requests took, in microseconds.
    pub send_us: u64,
    /// Claimed and not started yet.
    pub cleared: u64,
    /// In flight.
    pub in_flight: u64,
    /// When the first stretch of `due` began.
    pub due_from: Moment,
    /// How long a stretch lasts, in microseconds.
    pub due_us: u64,
    /// How many messages are due in each of the next stretches; the first has what is overdue too.
    pub due: Vec<u32>,
}

/// Since when and why the provider refuses an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Refused {
    /// Since when.
    pub since: Moment,
    /// When one message is tried next, at the earliest; `None`: one is under way.
    pub next_probe_at: Option<Moment>,
    /// The kind of refusal.
    pub category: String,
    /// The provider's code, if it gave one.
    pub code: Option<i32>,
}

impl PublishedLane {
    /// With the name of a lane, and nothing under way.
    pub fn of(key: &LaneKey) -> Self {
        Self {
            account: key.account().to_owned(),
            channel: key.channel().as_str().to_owned(),
            host: key.host().map(str::to_owned),
            ..Self::default()
        }
    }

    /// Whether this is the lane with that name.
    pub fn is(&self, key: &LaneKey) -> bool {
        self.account == key.account()
            && self.channel == key.channel().as_str()
            && self.host.as_deref() == key.host()
    }

    /// Until when a message that could go by others goes by this one only if it must; `None`: nothing speaks
    /// against it.
    pub(crate) fn shut_until(&self, now: Moment) -> Option<Moment> {
        match &self.refused {
            Some(refused) => Some(refused.next_probe_at.unwrap_or(Moment::MAX)),
            None => self.unreached_until.filter(|until| *until > now),
        }
    }
}
