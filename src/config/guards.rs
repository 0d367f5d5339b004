//! The settings of the guards.

use serde::Serialize;

use super::raw::Raw;
use super::{Config, key};
use crate::message::{Channel, Sender};
use crate::policy::{Countries, CountriesError, Guards, Unknown};

/// What guards against expensive mistakes.
#[derive(Clone, Debug)]
pub struct GuardSettings {
    /// Which countries texts may go to.
    pub countries: Countries,
    /// Texts to premium-rate numbers.
    pub premium: Unknown,
}

impl GuardSettings {
    pub(super) fn read(raw: &mut Raw) -> Self {
        Self {
            countries: raw.or(&key::COUNTRIES, "senders", |text| {
                text.parse().map_err(|why: CountriesError| why.to_string())
            }),
            premium: raw.or(&key::PREMIUM, "refuse", |text| {
                Unknown::of(text).ok_or_else(|| "send or refuse".into())
            }),
        }
    }

    pub(super) fn shown(&self) -> Shown {
        Shown {
            countries: self.countries.to_string(),
            premium: self.premium,
        }
    }
}

/// As the settings file has it.
#[derive(Serialize)]
pub(super) struct Shown {
    countries: String,
    premium: Unknown,
}

impl Config {
    /// The recipients that no text goes to.
    pub fn guards(&self) -> Guards {
        let GuardSettings { countries, premium } = &self.guards;
        Guards::new(countries, *premium, self.text_senders())
    }

    /// The senders of texts of all accounts; `None` is one that is not known.
    fn text_senders(&self) -> impl Iterator<Item = Option<&Sender>> {
        let own = self.provider.with(&self.beside);
        let own = own
            .contains(&Channel::Sms)
            .then_some(self.default_sender.as_ref());
        let others = self.accounts.iter();
        let others = others.filter(|own| own.channels().contains(&Channel::Sms));
        own.into_iter().chain(others.flat_map(|account| {
            let all = account.sender.iter().chain(&account.senders).map(Some);
            let is_unknown = account.sender.is_none() && account.senders.is_empty();
            all.chain(is_unknown.then_some(None))
        }))
    }
}
