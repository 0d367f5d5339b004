//! Identifiers, one type each, so that a token cannot be passed for a message.

use serde::Serialize;
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
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
