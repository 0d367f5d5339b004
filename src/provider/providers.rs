//! The provider of each channel.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Provider;
use crate::message::{Capabilities, Carriers, Channel};

/// The provider of each channel that has one.
#[derive(Clone, Default)]
pub struct Providers(BTreeMap<Channel, Arc<dyn Provider>>);

impl Providers {
    /// One provider for text messages, and none for other channels.
    pub fn texts(provider: Arc<dyn Provider>) -> Self {
        Self::default().with(Channel::Sms, provider)
    }

    /// The same with this provider for a channel.
    #[must_use]
    pub fn with(mut self, channel: Channel, provider: Arc<dyn Provider>) -> Self {
        self.0.insert(channel, provider);
        self
    }

    /// The provider of a channel.
    pub fn get(&self, channel: Channel) -> Option<&Arc<dyn Provider>> {
        self.0.get(&channel)
    }

    /// What each can do.
    pub fn carriers(&self) -> Carriers {
        let each = self.0.iter();
        each.map(|(channel, provider)| (*channel, provider.capabilities()))
            .collect()
    }

    /// What a channel's provider can do; without one, nothing but send.
    pub fn capabilities(&self, channel: Channel) -> Capabilities {
        self.get(channel)
            .map_or(Capabilities::SENDS_ONLY, |provider| provider.capabilities())
    }
}
