//! Identifiers, one type each, so that a token cannot be passed for a message.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// `scheduled_messages.id`.
    MessageId
}
id! {
    /// One attempt at one message. Whoever holds it may start that attempt and no other;
    /// it is drawn before the claim is asked for, so that a claim whose answer was lost on
    /// the way can still be found.
    AttemptToken
}
id! {
    /// One run of one daemon. A restart is another instance.
    InstanceId
}

impl AttemptToken {
    /// A token nobody else has. Version 7 keeps the index that holds them append-mostly.
    pub fn fresh() -> Self {
        Self(Uuid::now_v7())
    }
}

impl InstanceId {
    /// An identity for a daemon that starts.
    pub fn fresh() -> Self {
        Self(Uuid::now_v7())
    }
}

/// Which database this is, and on which of its histories. A restore or a failover changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseId {
    /// The server's `system_identifier`, drawn at `initdb`.
    pub system: i64,
    /// Of its write-ahead log: one more after every promotion.
    pub timeline: u32,
    /// The database's oid: another one of the same server is another one.
    pub database: u32,
}

impl std::fmt::Display for DatabaseId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            system,
            timeline,
            database,
        } = self;
        write!(
            f,
            "system {system}, timeline {timeline}, database {database}"
        )
    }
}
