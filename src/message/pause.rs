//! Pauses: what a person has stopped for a while, and which messages that are.

use std::fmt;

use uuid::Uuid;

use super::{Channel, Moment, PoolForm, Sender, SenderError};

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
    /// Those that say the same, of which there were too many: what the guard against bursts has held.
    Text,
}

impl PauseScope {
    /// All scopes.
    pub const ALL: [Self; 7] = [
        Self::Everything,
        Self::Lane,
        Self::Sender,
        Self::Campaign,
        Self::User,
        Self::MessageType,
        Self::Text,
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
            Self::Text => "text",
        }
    }

    /// The word in commands and requests.
    pub const fn written(self) -> &'static str {
        match self {
            Self::MessageType => "type",
            other => other.as_str(),
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

/// The characters that stand for what a text says: `policy::TextWords`.
const TEXT_KEY: usize = 16;

/// What was written does not name something to pause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PauseKeyError {
    /// Not a kind of thing.
    #[error("there is no {0} to pause: use lane, sender, campaign, user, type or text")]
    Kind(String),
    /// It does not say which one.
    #[error("which {0}? A value must follow the =")]
    Nothing(&'static str),
    /// Not a lane.
    #[error("a lane is one of {}", Channel::ALL.map(Channel::as_str).join(", "))]
    Lane,
    /// Not an id.
    #[error("expected its id, a UUID like 00000000-0000-0000-0000-000000000001")]
    Id,
    /// Not what a text says.
    #[error("expected the {TEXT_KEY} characters by which `punctual pauses` names it")]
    Text,
    /// Not a sender.
    #[error(transparent)]
    Sender(#[from] SenderError),
}

/// Everything.
impl Default for PauseKey {
    fn default() -> Self {
        Self {
            scope: PauseScope::Everything,
            what: String::new(),
        }
    }
}

impl PauseKey {
    /// Reads one of a kind, as a person writes it, in the form that the table has.
    pub fn parse(kind: &str, what: &str, pools: Option<PoolForm>) -> Result<Self, PauseKeyError> {
        let what = what.trim();
        let kinds = PauseScope::ALL.into_iter();
        let scope = kinds
            .filter(|scope| *scope != PauseScope::Everything)
            .find(|scope| scope.written() == kind)
            .ok_or_else(|| PauseKeyError::Kind(kind.to_owned()))?;
        if what.is_empty() {
            return Err(PauseKeyError::Nothing(scope.written()));
        }
        let id = || what.parse::<Uuid>().map_err(|_| PauseKeyError::Id);
        let what = match scope {
            PauseScope::Lane => {
                let what = what.to_ascii_lowercase();
                let mut channels = Channel::ALL.into_iter();
                if !channels.any(|channel| channel.as_str() == what) {
                    return Err(PauseKeyError::Lane);
                }
                what
            }
            PauseScope::Sender => Sender::parse(what, pools)?.as_str().to_owned(),
            PauseScope::Campaign | PauseScope::User => id()?.to_string(),
            PauseScope::Text => {
                let what = what.to_ascii_lowercase();
                if what.len() != TEXT_KEY || !what.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(PauseKeyError::Text);
                }
                what
            }
            PauseScope::MessageType | PauseScope::Everything => what.to_owned(),
        };
        Ok(Self { scope, what })
    }
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
    /// What it says, if a person has let it go that was held with others that say the same.
    pub text: Option<String>,
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
            PauseScope::Text => is(&self.text),
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
            text: Some("00ff".into()),
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
            (PauseScope::Text, "00ff", true),
            (PauseScope::Text, "brief", false),
        ] {
            assert_eq!(message.is_stopped_by(&key(scope, what)), stops, "{scope:?}");
        }
        for scope in PauseScope::ALL {
            assert_eq!(PauseScope::of(scope.as_str()), Some(scope));
        }
        let shown = format!("{:?} {message:?}", key(PauseScope::Sender, "+15005550006"));
        assert!(!shown.contains("+1500"), "{shown}");
    }

    #[test]
    fn a_scope_is_read_in_the_form_that_the_table_has() {
        let pools = PoolForm {
            prefix: "MG",
            digits: 32,
        };
        for (text, expected) in [
            ("lane=SMS", Some((PauseScope::Lane, "sms"))),
            ("lane=fax", None),
            (
                "sender= +15005550006",
                Some((PauseScope::Sender, "+15005550006")),
            ),
            ("sender=", None),
            (
                "sender=MG0123456789abcdef0123456789abcdef",
                Some((PauseScope::Sender, "MG0123456789abcdef0123456789abcdef")),
            ),
            (
                "campaign=00000000-0000-0000-0000-00000000000B",
                Some((PauseScope::Campaign, "00000000-0000-0000-0000-00000000000b")),
            ),
            ("campaign=summer", None),
            (
                "user=00000000-0000-0000-0000-00000000000A",
                Some((PauseScope::User, "00000000-0000-0000-0000-00000000000a")),
            ),
            ("user=7", None),
            (
                "type=daily_brief",
                Some((PauseScope::MessageType, "daily_brief")),
            ),
            ("type= ", None),
            (
                "text=0123456789ABCDEF",
                Some((PauseScope::Text, "0123456789abcdef")),
            ),
            ("text=hello", None),
            ("everything", None),
            ("message_type=daily_brief", None),
            ("colour=red", None),
        ] {
            let (kind, what) = text.split_once('=').unwrap_or((text, "x"));
            let read = PauseKey::parse(kind, what, Some(pools)).ok();
            let read = read.as_ref().map(|key| (key.scope, &*key.what));
            assert_eq!(read, expected, "{text}");
        }
    }
}
