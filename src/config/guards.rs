//! The settings of the guards.

use std::sync::Arc;

use serde::Serialize;

use super::key::{self, Setting};
use super::raw::Raw;
use super::{Config, Problem};
use crate::message::{Channel, Nanos, Sender};
use crate::policy::{
    Burst, BurstError, CostCaps, Costs, Countries, CountriesError, Guards, TextPrices,
    TextPricesError, Unknown,
};

/// No bound.
const OFF: &str = "off";

/// What guards against expensive mistakes.
#[derive(Clone, Debug)]
pub struct GuardSettings {
    /// Which countries texts may go to.
    pub countries: Countries,
    /// Texts to premium-rate numbers.
    pub premium: Unknown,
    /// What texts cost, and may a day; `None`: it is not counted.
    pub costs: Option<Arc<Costs>>,
    /// How many equal texts go to new numbers before the others are held; `None`: all.
    pub burst: Option<Burst>,
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
            costs: costs(raw).map(Arc::new),
            burst: raw.or(&key::BURST, OFF, burst),
        }
    }

    pub(super) fn shown(&self) -> Shown {
        let costs = self.costs.as_ref();
        let cap = |of: fn(&CostCaps) -> Option<Nanos>| {
            costs
                .and_then(|costs| of(&costs.caps))
                .map(|cap| cap.to_string())
        };
        Shown {
            countries: self.countries.to_string(),
            premium: self.premium,
            prices: costs.map(|costs| costs.prices.to_string()),
            currency: costs.map(|costs| costs.currency.clone()),
            cost_cap: cap(|caps| caps.installation),
            cost_cap_campaign: cap(|caps| caps.campaign),
            cost_cap_user: cap(|caps| caps.user),
            burst: self
                .burst
                .map_or_else(|| OFF.to_owned(), |burst| burst.to_string()),
        }
    }
}

/// The price table, and the caps, which need it.
fn costs(raw: &mut Raw) -> Option<Costs> {
    let prices = raw.get(&key::PRICES, |text| {
        text.parse::<TextPrices>()
            .map_err(|why: TextPricesError| why.to_string())
    });
    let currency = raw.or(&key::CURRENCY, "USD", currency);
    let mut cap = |setting: &Setting| {
        let cap = raw.get(setting, |text| {
            let cap = text.parse::<Nanos>().ok();
            let cap = cap.filter(|cap| *cap > Nanos::default());
            cap.ok_or_else(|| "an amount a day like 25 or 2.50, more than 0".to_owned())
        });
        if cap.is_some() && !raw.is_given(&key::PRICES) {
            raw.problem(Problem::Half {
                given: raw.name(setting),
                missing: raw.name(&key::PRICES),
            });
        }
        cap
    };
    let caps = CostCaps {
        installation: cap(&key::COST_CAP),
        campaign: cap(&key::COST_CAP_CAMPAIGN),
        user: cap(&key::COST_CAP_USER),
    };
    Some(Costs {
        prices: prices?,
        currency,
        caps,
    })
}

fn currency(text: &str) -> Result<String, String> {
    let is_one = text.len() == 3 && text.bytes().all(|b| b.is_ascii_alphabetic());
    is_one
        .then(|| text.to_ascii_uppercase())
        .ok_or_else(|| "the three letters of a currency, like USD".into())
}

fn burst(text: &str) -> Result<Option<Burst>, String> {
    if text == OFF {
        return Ok(None);
    }
    let burst = text.parse().map_err(|why: BurstError| why.to_string());
    burst.map(Some)
}

/// As the settings file has it.
#[derive(Serialize)]
pub(super) struct Shown {
    countries: String,
    premium: Unknown,
    #[serde(skip_serializing_if = "Option::is_none")]
    prices: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_cap: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_cap_campaign: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_cap_user: Option<String>,
    burst: String,
}

impl Config {
    /// The recipients that no text goes to.
    pub fn guards(&self) -> Guards {
        let own = &self.guards;
        Guards::new(&own.countries, own.premium, self.text_senders())
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
