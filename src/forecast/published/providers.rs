//! What an instance publishes of its accounts and their providers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::message::{Capabilities, Channel, ProviderCapabilities};

/// What matters of an account for the judgement of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PublishedAccount {
    /// The sender of its rows that name none.
    pub sender: Option<String>,
    /// All its senders.
    pub senders: Vec<String>,
    /// What the provider of each channel takes; an earlier version had another name for it.
    #[serde(alias = "carriers")]
    pub providers: BTreeMap<String, PublishedProvider>,
}

/// What matters of a provider for the judgement of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PublishedProvider {
    /// The most characters of a text; `None`: any number.
    pub max_chars: Option<u64>,
    /// Whether it has sender pools.
    pub sender_pools: bool,
    /// Whether it sends media.
    pub media: bool,
    /// Whether it sends from numbers on WhatsApp.
    pub whatsapp: bool,
}

pub(super) fn published(providers: &ProviderCapabilities) -> BTreeMap<String, PublishedProvider> {
    let published = |(channel, of): (Channel, &Capabilities)| {
        let max = u64::try_from(of.max_chars).ok();
        let provider = PublishedProvider {
            max_chars: max.filter(|_| of.max_chars != usize::MAX),
            sender_pools: of.sender_pools.is_some(),
            media: of.media,
            whatsapp: of.whatsapp,
        };
        (channel.as_str().to_owned(), provider)
    };
    providers.channels().map(published).collect()
}

/// Providers like `provider` otherwise.
pub(super) fn read(
    published: &BTreeMap<String, PublishedProvider>,
    provider: Capabilities,
) -> ProviderCapabilities {
    let read = |(channel, own): (&String, &PublishedProvider)| {
        let most = own.max_chars.and_then(|most| usize::try_from(most).ok());
        let like = Capabilities {
            max_chars: most.unwrap_or(usize::MAX),
            sender_pools: provider.sender_pools.filter(|_| own.sender_pools),
            media: own.media,
            whatsapp: own.whatsapp,
            ..provider
        };
        (Channel::of(Some(channel)), like)
    };
    published.iter().map(read).collect()
}
