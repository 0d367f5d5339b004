//! What the providers of the settings can do.

use std::iter;

use super::Config;
use super::provider::ProviderChoice;
use crate::message::{Capabilities, Channel, ProviderCapabilities, Sender};
use crate::provider::{self, in_app, modem, smtp, twilio, webhook, webpush};

impl ProviderChoice {
    /// What it can do, for each channel that it carries.
    fn capabilities(&self) -> Vec<(Channel, Capabilities)> {
        let of = |channel: Channel| match self {
            Self::Twilio(_) => twilio::CAPABILITIES,
            Self::Modem(_) => modem::CAPABILITIES,
            Self::Webhook(_) => webhook::CAPABILITIES,
            Self::Smtp(_) => smtp::CAPABILITIES,
            Self::WebPush(_) => webpush::CAPABILITIES,
            Self::InApp => in_app::CAPABILITIES,
            Self::Console if channel.is_phone() => provider::TEXTS,
            Self::Console => Capabilities {
                media: channel.has_media(),
                ..Capabilities::SENDS_ONLY
            },
        };
        let all = self.channels();
        all.into_iter().map(|own| (own, of(own))).collect()
    }

    /// The same with others beside it.
    pub(super) fn all_capabilities(&self, beside: &[Self]) -> ProviderCapabilities {
        // Of a channel that two carry, this one's count.
        let all = beside.iter().chain(iter::once(self));
        all.flat_map(Self::capabilities).collect()
    }

    /// Whether it sends from this sender at all.
    pub(super) fn takes(&self, sender: &Sender) -> bool {
        let on_whatsapp = || self.capabilities().iter().any(|(_, can)| can.whatsapp);
        !matches!(sender, Sender::WhatsApp(_)) || on_whatsapp()
    }
}

impl Config {
    /// What the providers of each account can do.
    pub fn capabilities(&self) -> ProviderCapabilities {
        let own = self.provider.all_capabilities(&self.beside);
        self.accounts.iter().fold(own, |all, account| {
            let of = account.provider.all_capabilities(&account.beside);
            all.with_account(&account.name, of)
        })
    }
}
