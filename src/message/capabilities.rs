//! What a provider can do. All code that depends on the provider depends on this value alone, so a new provider
//! needs no new decisions.

use std::collections::BTreeMap;
use std::fmt;

use super::{Channel, LaneKey};

/// What a provider can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own"
)]
pub struct Capabilities {
    /// Whether it accepts an idempotency key, so that a repeated request makes no second message.
    /// The key is the same for every attempt of a message.
    pub idempotent: bool,
    /// Whether it can be queried for a message by its sid, and for its list of messages.
    pub look_up: bool,
    /// Whether it can be asked if it has a message by our id and its part, for what has no id of the provider's yet.
    pub knows_ids: bool,
    /// Whether it reports by itself what happens to a message later.
    pub receipts: bool,
    /// Whether it sends pictures and files with a text.
    pub media: bool,
    /// The most characters of a text.
    pub max_chars: usize,
    /// The most requests it takes at once; `usize::MAX` if that is not known in advance.
    pub max_in_flight: usize,
    /// The form of its ids of sender pools, if it has such pools.
    pub sender_pools: Option<PoolForm>,
    /// Whether it sends from numbers on WhatsApp.
    pub whatsapp: bool,
}

impl Capabilities {
    /// A provider that only sends, without limits.
    pub const SENDS_ONLY: Self = Self {
        idempotent: false,
        look_up: false,
        knows_ids: false,
        receipts: false,
        media: false,
        max_chars: usize::MAX,
        max_in_flight: usize::MAX,
        sender_pools: None,
        whatsapp: false,
    };
}

/// What the provider of each account and channel can do. A channel that is missing has no provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderCapabilities {
    /// The default account's.
    own: BTreeMap<Channel, Capabilities>,
    /// The other accounts', by name.
    others: BTreeMap<String, BTreeMap<Channel, Capabilities>>,
}

impl ProviderCapabilities {
    /// One provider for text messages, and none for other channels.
    pub fn texts(provider: Capabilities) -> Self {
        Self::from_iter([(Channel::Sms, provider)])
    }

    /// One provider for every supported channel.
    pub fn all(provider: Capabilities) -> Self {
        Channel::UNDERSTOOD
            .into_iter()
            .map(|channel| (channel, provider))
            .collect()
    }

    /// The same with another account, whose own account is the default one there.
    #[must_use]
    pub fn with_account(mut self, name: &str, account: Self) -> Self {
        self.others.insert(name.to_owned(), account.own);
        self
    }

    /// The channels of the default account that have a provider.
    pub fn channels(&self) -> impl Iterator<Item = (Channel, &Capabilities)> {
        self.own.iter().map(|(channel, of)| (*channel, of))
    }

    /// The other accounts, as if each were the default one.
    pub fn others(&self) -> impl Iterator<Item = (&str, Self)> {
        self.others.iter().map(|(name, own)| {
            let own = Self {
                own: own.clone(),
                others: BTreeMap::new(),
            };
            (name.as_str(), own)
        })
    }

    /// The capabilities of a lane's provider.
    pub fn get(&self, lane: &LaneKey) -> Option<&Capabilities> {
        let of = match lane.other_account() {
            None => Some(&self.own),
            Some(account) => self.others.get(account),
        };
        of?.get(&lane.channel())
    }
}

impl FromIterator<(Channel, Capabilities)> for ProviderCapabilities {
    fn from_iter<T: IntoIterator<Item = (Channel, Capabilities)>>(of: T) -> Self {
        Self {
            own: of.into_iter().collect(),
            others: BTreeMap::new(),
        }
    }
}

/// The form of a provider's ids of sender pools: a prefix and hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolForm {
    /// How every id begins.
    pub prefix: &'static str,
    /// How many hexadecimal digits follow.
    pub digits: usize,
}

impl PoolForm {
    /// Whether a text is such an id.
    pub fn matches(self, text: &str) -> bool {
        text.strip_prefix(self.prefix).is_some_and(|rest| {
            rest.len() == self.digits && rest.bytes().all(|b| b.is_ascii_hexdigit())
        })
    }
}

impl fmt::Display for PoolForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {} hexadecimal digits", self.prefix, self.digits)
    }
}
