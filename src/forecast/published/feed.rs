//! What an instance publishes of what has just happened there, for the live pages of the others.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::message::{InstanceId, MessageId, Moment};

/// What has just happened at one instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PublishedFeed {
    /// How many outcomes and status updates there have been since it started, by kind.
    pub counts: BTreeMap<String, u64>,
    /// The latest of them, the oldest first.
    pub latest: Vec<PublishedEvent>,
    /// How late its requests of the last hour started.
    pub hour: PublishedLateness,
    /// The same of the last 24 hours.
    pub day: PublishedLateness,
}

impl PublishedFeed {
    /// The number of the latest event, counted from the start of the instance; those before it have lower ones.
    pub fn number(&self) -> u64 {
        self.counts.values().sum()
    }
}

/// What all instances have published, as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Feeds {
    /// When it was read, by the database's clock.
    pub at: Moment,
    /// One for each instance.
    pub all: Vec<InstanceFeed>,
}

/// What one instance has published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceFeed {
    /// Which one.
    pub instance: InstanceId,
    /// Whether it runs. If not, it has stopped or fallen silent, and these were its last outcomes.
    pub is_running: bool,
    /// When it has published this.
    pub at: Moment,
    /// `None`: it publishes nothing, or a version has written it that says something else.
    pub feed: Option<PublishedFeed>,
}

/// One outcome or status update, as far as pages show it. Another version may know kinds that this one does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct PublishedEvent {
    /// When, on the database's clock.
    pub at: Moment,
    /// Of which message.
    pub id: MessageId,
    /// What.
    pub event: String,
    /// When it is due again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    pub due_at: Option<Moment>,
    /// How late the request started, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    pub lateness_us: Option<u64>,
    /// How long the provider took to respond.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    pub provider_us: Option<u64>,
    /// Which attempt it was, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    pub attempt: Option<i32>,
    /// Of a message of several parts: which of them, like `2 of 3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    pub part: Option<String>,
    /// The status that a callback reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    pub status: Option<String>,
    /// The kind of refusal by the provider, or of the rule that prevented or deferred it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    pub category: Option<String>,
    /// The provider's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(nullable = false))]
    pub code: Option<i32>,
}

/// How late the requests of a period started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PublishedLateness {
    /// The sum, in microseconds.
    pub sum_us: u64,
    /// The greatest.
    pub max_us: u64,
    /// How many requests are in each bucket of the histogram.
    pub counts: Vec<u64>,
}
