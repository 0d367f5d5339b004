//! The channel of a message, and its lane: the account that sends it, the channel, and for webhooks and push
//! messages the host.
//!
//! A refusal, throttling or slowness of a provider affects one lane, so the reactor keeps its state of a
//! provider by lane.

use std::fmt;
use std::sync::Arc;

use super::{Address, Route};

/// `scheduled_messages.channel`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Text messages; also for rows without a channel.
    #[default]
    Sms,
    /// An HTTP request to the row's URL.
    Webhook,
    /// E-mail.
    Email,
    /// Web Push.
    Push,
    /// The app reads the row itself.
    InApp,
    /// An unknown channel. All such rows share a lane, because the values are the app's: one lane for each could
    /// become any number of lanes, and any value a label of a metric.
    Other,
}

impl Channel {
    /// All channels.
    pub const ALL: [Self; 6] = [
        Self::Sms,
        Self::Webhook,
        Self::Email,
        Self::Push,
        Self::InApp,
        Self::Other,
    ];

    /// Supported channels. A row with another one becomes `failed` when it is written.
    pub const UNDERSTOOD: [Self; 5] = [
        Self::Sms,
        Self::Webhook,
        Self::Email,
        Self::Push,
        Self::InApp,
    ];

    /// Reads the column, ignoring case and surrounding white space.
    pub fn of(column: Option<&str>) -> Self {
        let word = column.map(str::trim).unwrap_or_default();
        if word.is_empty() {
            return Self::Sms;
        }
        let named = |channel: &Self| word.eq_ignore_ascii_case(channel.as_str());
        Self::ALL.into_iter().find(named).unwrap_or(Self::Other)
    }

    /// The value in the column, in reports and in labels.
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

    /// Whether its recipients are phone numbers.
    pub const fn is_phone(self) -> bool {
        matches!(self, Self::Sms)
    }

    /// Whether its recipients are URLs, whose hosts have a lane each: rows choose them.
    pub const fn has_hosts(self) -> bool {
        matches!(self, Self::Webhook | Self::Push)
    }

    /// Whether its messages have a subject: the title, where it is no e-mail.
    pub const fn has_subject(self) -> bool {
        matches!(self, Self::Email | Self::Push | Self::InApp)
    }

    /// Whether its messages can have pictures and files.
    pub const fn has_media(self) -> bool {
        matches!(self, Self::Sms | Self::Email)
    }

    /// Whether it reaches a person. A webhook reaches a program.
    pub const fn reaches_person(self) -> bool {
        !matches!(self, Self::Webhook)
    }
}

/// In the place of a text's sender, where its row names none: this, and the beginning of its recipient's number, which
/// decides the route (`lane_address!`). No sender begins with it.
pub const NO_SENDER: &str = ">";

/// The key of a lane. That of text messages of the default account allocates nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneKey {
    channel: Channel,
    /// `None` for the account of messages that name none.
    account: Option<Arc<str>>,
    host: Option<Arc<str>>,
}

impl LaneKey {
    /// The account of messages that name none.
    pub const DEFAULT_ACCOUNT: &str = "default";

    /// Takes the place of names that are no account's: as values of the app they could be any number.
    pub const UNKNOWN_ACCOUNT: &str = "unknown";

    /// Before the name of a route, which takes the place of an account's until one is chosen.
    pub(super) const ROUTE: &str = ">";

    /// The lane of a channel and the default account.
    pub const fn of(channel: Channel) -> Self {
        Self {
            channel,
            account: None,
            host: None,
        }
    }

    /// The lane of a row with this channel and recipient. A webhook or push message whose recipient is not valid, and
    /// which will fail, is in the lane without a host.
    pub fn of_row(channel: Channel, to: Option<&str>) -> Self {
        let to = to.filter(|_| channel.has_hosts());
        match to.map(|to| Address::parse(channel, to)) {
            Some(Ok(Address::Url(url) | Address::Push(url))) => {
                Self::of(channel).with_host(&url.host().to_ascii_lowercase())
            }
            _ => Self::of(channel),
        }
    }

    /// The same with this account.
    #[must_use]
    pub fn with_account(self, account: &str) -> Self {
        self.in_account((account != Self::DEFAULT_ACCOUNT).then(|| account.into()))
    }

    /// The same; `None`: with the default one.
    #[must_use]
    pub fn in_account(self, account: Option<Arc<str>>) -> Self {
        Self { account, ..self }
    }

    /// The same by this route, of whose accounts none is chosen yet.
    #[must_use]
    pub(super) fn by_route(self, route: &Route) -> Self {
        self.in_account(Some(Arc::clone(route.key())))
    }

    /// The route whose accounts the message may go by, while none is chosen.
    pub fn route(&self) -> Option<&str> {
        self.account.as_deref()?.strip_prefix(Self::ROUTE)
    }

    /// The same with this host.
    #[must_use]
    pub fn with_host(self, host: &str) -> Self {
        let host = Some(host.into());
        Self { host, ..self }
    }

    /// The same without a host.
    #[must_use]
    pub fn without_host(self) -> Self {
        Self { host: None, ..self }
    }

    /// The channel.
    pub const fn channel(&self) -> Channel {
        self.channel
    }

    /// The account's name in the settings.
    pub fn account(&self) -> &str {
        self.account.as_deref().unwrap_or(Self::DEFAULT_ACCOUNT)
    }

    /// The same; `None`: it is the default one.
    pub fn other_account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// The host, for channels whose lanes have one.
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

    #[test]
    fn a_webhook_is_in_the_lane_of_its_host() {
        let lane = |channel, to| LaneKey::of_row(channel, to).to_string();
        let url = Some(" HTTPS://A.example/ ");
        assert_eq!(lane(Channel::Webhook, url), "default/webhook");
        let url = Some(" https://A.example:444/hook ");
        assert_eq!(lane(Channel::Webhook, url), "default/webhook/a.example");
        assert_eq!(lane(Channel::Webhook, None), "default/webhook");
        assert_eq!(lane(Channel::Push, url), "default/push/a.example");
        let url = Some("https://push.example/send/1");
        assert_eq!(lane(Channel::Push, url), "default/push/push.example");
    }
}
