//! Identifiers, each with a type of its own.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[cfg_attr(test, derive(utoipa::ToSchema))]
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
    /// `punctual.paces.id`.
    PaceId
}
id! {
    /// The token of one attempt: only its holder may start that attempt. It is drawn before the claim is made,
    /// so that a claim whose response was lost can be found.
    AttemptToken
}
id! {
    /// One run of one daemon; after a restart it is another instance.
    InstanceId
}

impl AttemptToken {
    /// A new token. UUID version 7, so that its index grows mostly at its end.
    pub fn fresh() -> Self {
        Self(Uuid::now_v7())
    }
}

impl InstanceId {
    /// A new id for a daemon that starts.
    pub fn fresh() -> Self {
        Self(Uuid::now_v7())
    }
}

/// Which database this is, and on which timeline; a restore or a failover changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseId {
    /// The server's `system_identifier`, drawn at `initdb`.
    pub system: i64,
    /// The timeline of its write-ahead log; a promotion starts a new one.
    pub timeline: u32,
    /// The oid of the database in its server.
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
