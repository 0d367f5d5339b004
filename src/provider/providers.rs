//! The provider of each account and channel.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Provider;
use crate::message::{Capabilities, Channel, LaneKey, ProviderCapabilities};

/// The providers of one account.
type OfAccount = BTreeMap<Channel, Arc<dyn Provider>>;

/// The provider of each account and channel that has one.
#[derive(Clone, Default)]
pub struct Providers {
    /// The default account's.
    own: OfAccount,
    /// The other accounts', by name.
    others: BTreeMap<String, OfAccount>,
}

impl Providers {
    /// One provider for text messages, and none for other channels.
    pub fn texts(provider: Arc<dyn Provider>) -> Self {
        Self::default().with(Channel::Sms, provider)
    }

    /// The same with this provider for a channel.
    #[must_use]
    pub fn with(mut self, channel: Channel, provider: Arc<dyn Provider>) -> Self {
        self.own.insert(channel, provider);
        self
    }

    /// The same with another account, which has these.
    #[must_use]
    pub fn with_account(mut self, name: &str, account: Self) -> Self {
        self.others.insert(name.to_owned(), account.own);
        self
    }

    /// The provider of a lane.
    pub fn get(&self, lane: &LaneKey) -> Option<&Arc<dyn Provider>> {
        let of = match lane.other_account() {
            None => Some(&self.own),
            Some(account) => self.others.get(account),
        };
        of?.get(&lane.channel())
    }

    /// A provider of texts, of an account that has look-ups if there is one: whether callbacks come is the same for
    /// all.
    pub fn of_texts(&self) -> Option<&Arc<dyn Provider>> {
        let accounts = std::iter::once(&self.own).chain(self.others.values());
        let mut all = accounts.filter_map(|account| account.get(&Channel::Sms));
        let looks_up = all.clone().find(|of| of.capabilities().look_up);
        looks_up.or_else(|| all.next())
    }

    /// Each of them.
    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn Provider>> {
        let accounts = std::iter::once(&self.own).chain(self.others.values());
        accounts.flat_map(BTreeMap::values)
    }

    /// What each can do.
    pub fn all_capabilities(&self) -> ProviderCapabilities {
        let of = |account: &OfAccount| -> ProviderCapabilities {
            let each = account.iter();
            each.map(|(channel, provider)| (*channel, provider.capabilities()))
                .collect()
        };
        self.others
            .iter()
            .fold(of(&self.own), |all, (name, account)| {
                all.with_account(name, of(account))
            })
    }

    /// What a lane's provider can do; without one, nothing but send.
    pub fn capabilities(&self, lane: &LaneKey) -> Capabilities {
        self.get(lane)
            .map_or(Capabilities::SENDS_ONLY, |provider| provider.capabilities())
    }
}
