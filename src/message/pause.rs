//! Pauses: what a person has stopped for a while, and which messages that are.

use std::fmt;

use super::{Channel, Moment};

/// The kinds of things that can be paused, as `punctual.pauses.scope` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PauseScope {
    /// All messages.
    Everything,
    /// Those of a channel.
    Lane,
    /// Those from a sender.
    Sender,
    /// Those of a campaign.
    Campaign,
    /// Those to a user.
    User,
    /// Those with a `message_type`.
    MessageType,
}

impl PauseScope {
    /// All scopes.
    pub const ALL: [Self; 6] = [
        Self::Everything,
        Self::Lane,
        Self::Sender,
        Self::Campaign,
        Self::User,
        Self::MessageType,
    ];

    /// The word in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Lane => "lane",
            Self::Sender => "sender",
            Self::Campaign => "campaign",
            Self::User => "user",
            Self::MessageType => "message_type",
        }
    }

    /// From the word in the table.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }
}

/// What is paused: a scope, and which one of its kind; of everything there is one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PauseKey {
    /// The kind.
    pub scope: PauseScope,
    /// Which one, as the table has it.
    pub what: String,
}

/// Without senders and users, because it may be logged.
impl fmt::Debug for PauseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scope {
            PauseScope::Sender | PauseScope::User => f.write_str(self.scope.as_str()),
            scope => write!(f, "{} {}", scope.as_str(), self.what),
        }
    }
}

/// A pause in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// What it stops.
    pub key: PauseKey,
    /// When it ends; [`Moment::MAX`]: when somebody resumes.
    pub until: Moment,
}

/// What a pause may stop a message by.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pausable {
    /// Its channel.
    pub channel: Channel,
    /// The sender that it goes out from, the installation's if the row names none.
    pub sender: Option<String>,
    /// Its campaign.
    pub campaign: Option<String>,
    /// The user it is to.
    pub user: Option<String>,
    /// Its `message_type`.
    pub message_type: Option<String>,
}

/// Without senders and users.
impl fmt::Debug for Pausable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pausable")
            .field("channel", &self.channel)
            .field("campaign", &self.campaign)
            .field("message_type", &self.message_type)
            .finish_non_exhaustive()
    }
}

impl Pausable {
    /// Whether a pause of this stops it.
    pub fn is_stopped_by(&self, key: &PauseKey) -> bool {
        let is = |own: &Option<String>| own.as_deref() == Some(&*key.what);
        match key.scope {
            PauseScope::Everything => true,
            PauseScope::Lane => self.channel.as_str() == key.what,
            PauseScope::Sender => is(&self.sender),
            PauseScope::Campaign => is(&self.campaign),
            PauseScope::User => is(&self.user),
            PauseScope::MessageType => is(&self.message_type),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_stops_what_has_its_value_and_nothing_else() {
        let message = Pausable {
            channel: Channel::Sms,
            sender: Some("+15005550006".into()),
            campaign: Some("c1".into()),
            user: None,
            message_type: Some("brief".into()),
        };
        let key = |scope, what: &str| PauseKey {
            scope,
            what: what.into(),
        };
        for (scope, what, stops) in [
            (PauseScope::Everything, "", true),
            (PauseScope::Lane, "sms", true),
            (PauseScope::Lane, "email", false),
            (PauseScope::Sender, "+15005550006", true),
            (PauseScope::Sender, "+15005550007", false),
            (PauseScope::Campaign, "c1", true),
            (PauseScope::Campaign, "", false),
            (PauseScope::User, "", false),
            (PauseScope::MessageType, "brief", true),
            (PauseScope::MessageType, "c1", false),
        ] {
            assert_eq!(message.is_stopped_by(&key(scope, what)), stops, "{scope:?}");
        }
        for scope in PauseScope::ALL {
            assert_eq!(PauseScope::of(scope.as_str()), Some(scope));
        }
        let shown = format!("{:?} {message:?}", key(PauseScope::Sender, "+15005550006"));
        assert!(!shown.contains("+1500"), "{shown}");
    }
}
