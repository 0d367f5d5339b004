//! The way a message goes out: which account sends it, over which channel, and for webhooks to
//! which host.
//!
//! What a provider refuses or is slow at, it refuses or is slow at for a whole lane, and for no
//! other. The reactor keeps what it knows of a provider by lane.

use std::fmt;
use std::sync::Arc;

/// The account whose messages name none.
const DEFAULT_ACCOUNT: &str = "default";

/// `scheduled_messages.channel`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Texts; also what a row without a channel means.
    #[default]
    Sms,
    /// A request to the row's URL.
    Webhook,
    /// Mail.
    Email,
    /// Web Push.
    Push,
    /// A row that the app reads itself.
    InApp,
    /// A word that is none of these. All such rows share a lane: the words are the app's, and one
    /// lane for each could become any number of lanes, and any word a label of a metric.
    Other,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 6] = [
        Self::Sms,
        Self::Webhook,
        Self::Email,
        Self::Push,
        Self::InApp,
        Self::Other,
    ];

    /// Those whose messages are taken. A row with any other word becomes `failed` when it is written.
    pub const UNDERSTOOD: [Self; 1] = [Self::Sms];

    /// Reads the column. Case and space around the word do not count.
    pub fn of(column: Option<&str>) -> Self {
        let word = column.map(str::trim).unwrap_or_default();
        if word.is_empty() {
            return Self::Sms;
        }
        let named = |channel: &Self| word.eq_ignore_ascii_case(channel.as_str());
        Self::ALL.into_iter().find(named).unwrap_or(Self::Other)
    }

    /// As the column has it, in reports and as a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Webhook => "webhook",
            Self::Email => "email",
            Self::Push => "push",
            Self::InApp => "in_app",
            Self::Other => "other",
        }
    }
}

/// What makes two messages go the same way. The usual one, texts of the one account there is,
/// allocates nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneKey {
    channel: Channel,
    /// `None`: the account of messages that name none.
    account: Option<Arc<str>>,
    host: Option<Arc<str>>,
}

impl LaneKey {
    /// The default account's lane of a channel.
    pub const fn of(channel: Channel) -> Self {
        Self {
            channel,
            account: None,
            host: None,
        }
    }

    /// The same of another account.
    #[must_use]
    pub fn with_account(self, account: &str) -> Self {
        let account = (account != DEFAULT_ACCOUNT).then(|| account.into());
        Self { account, ..self }
    }

    /// The same for one host.
    #[must_use]
    pub fn with_host(self, host: &str) -> Self {
        let host = Some(host.into());
        Self { host, ..self }
    }

    /// The same for all hosts.
    #[must_use]
    pub fn without_host(self) -> Self {
        Self { host: None, ..self }
    }

    /// Over what.
    pub const fn channel(&self) -> Channel {
        self.channel
    }

    /// The account's name in the settings.
    pub fn account(&self) -> &str {
        self.account.as_deref().unwrap_or(DEFAULT_ACCOUNT)
    }

    /// Where the channel tells hosts apart.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }
}

/// `account/channel` or `account/channel/host`.
impl fmt::Display for LaneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account(), self.channel.as_str())?;
        self.host().map_or(Ok(()), |host| write!(f, "/{host}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_channel_is_one_of_its_own() {
        for (word, channel) in [
            (None, Channel::Sms),
            (Some(""), Channel::Sms),
            (Some("  "), Channel::Sms),
            (Some("SMS "), Channel::Sms),
            (Some("Webhook"), Channel::Webhook),
            (Some("in_app"), Channel::InApp),
            (Some("whatsapp"), Channel::Other),
            (Some("other"), Channel::Other),
        ] {
            assert_eq!(Channel::of(word), channel, "{word:?}");
        }
        for channel in Channel::ALL {
            assert_eq!(Channel::of(Some(channel.as_str())), channel);
        }
    }

    #[test]
    fn account_channel_and_host_make_the_lane() {
        let sms = LaneKey::default();
        assert_eq!(sms, LaneKey::of(Channel::Sms));
        assert_eq!(sms, LaneKey::of(Channel::Sms).with_account("default"));
        let hook = LaneKey::of(Channel::Webhook).with_account("eu");
        assert_ne!(hook, LaneKey::of(Channel::Webhook));
        assert_ne!(hook, hook.clone().with_host("a.example"));
        assert_eq!(sms.to_string(), "default/sms");
        let host = hook.with_host("a.example");
        assert_eq!(host.to_string(), "eu/webhook/a.example");
    }
}
