//! What texts cost by the price table of the settings, and how much they may cost a day. What a day has cost is counted
//! by the database (`triggers/costs.sql`), which all instances share.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::guards::whole;
use super::{Cleared, Reason, ReasonKind};
use crate::message::segments::Segments;
use crate::message::{Address, Channel, Nanos, Sender, country_of, is_country};

/// The price of every country that has none of its own.
const OTHER: &str = "other";

/// The price of a message with media.
const MEDIA: &str = "media";

/// What a segment costs in each country, in one currency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextPrices {
    by_country: BTreeMap<String, Nanos>,
    other: Nanos,
    media: Option<Nanos>,
}

/// What is no price table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "prices of a segment by country, and that of all others, as in US = 0.0079, DE = 0.0875, other = 0.1; \
     media = 0.02 is that of a message with media"
)]
pub struct TextPricesError;

impl FromStr for TextPrices {
    type Err = TextPricesError;

    fn from_str(text: &str) -> Result<Self, TextPricesError> {
        let (mut by_country, mut other, mut media) = (BTreeMap::new(), None, None);
        for entry in text.split(',') {
            let (of, price) = entry.split_once('=').ok_or(TextPricesError)?;
            let price = price.trim().parse().map_err(|_| TextPricesError)?;
            let before = match of.trim() {
                OTHER => other.replace(price),
                MEDIA => media.replace(price),
                country => {
                    let country = country.to_ascii_uppercase();
                    if !is_country(&country) {
                        return Err(TextPricesError);
                    }
                    by_country.insert(country, price)
                }
            };
            if before.is_some() {
                return Err(TextPricesError);
            }
        }
        Ok(Self {
            by_country,
            other: other.ok_or(TextPricesError)?,
            media,
        })
    }
}

impl fmt::Display for TextPrices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (country, price) in &self.by_country {
            write!(f, "{country} = {price}, ")?;
        }
        write!(f, "{OTHER} = {}", self.other)?;
        match self.media {
            Some(price) => write!(f, ", {MEDIA} = {price}"),
            None => Ok(()),
        }
    }
}

impl TextPrices {
    /// The least that a text may cost.
    fn cheapest(&self) -> Nanos {
        let all = self.by_country.values().chain(&self.media);
        all.copied().fold(self.other, Nanos::min)
    }
}

/// Whose costs of a day have a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CostScope {
    /// All texts.
    Installation,
    /// Those of one campaign.
    Campaign,
    /// Those to one user.
    User,
}

impl CostScope {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Installation, Self::Campaign, Self::User];

    /// As `punctual.cost_days` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Installation => "installation",
            Self::Campaign => "campaign",
            Self::User => "user",
        }
    }

    /// The setting of its cap.
    pub const fn setting(self) -> &'static str {
        match self {
            Self::Installation => "PUNCTUAL_COST_CAP",
            Self::Campaign => "PUNCTUAL_COST_CAP_CAMPAIGN",
            Self::User => "PUNCTUAL_COST_CAP_USER",
        }
    }
}

/// The most that the texts of a day may cost; `None`: anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostCaps {
    /// All together.
    pub installation: Option<Nanos>,
    /// Those of each campaign.
    pub campaign: Option<Nanos>,
    /// Those to each user.
    pub user: Option<Nanos>,
}

impl CostCaps {
    /// Whether there is one.
    pub fn is_some(&self) -> bool {
        *self != Self::default()
    }

    /// That of a scope.
    pub const fn of(&self, scope: CostScope) -> Option<Nanos> {
        match scope {
            CostScope::Installation => self.installation,
            CostScope::Campaign => self.campaign,
            CostScope::User => self.user,
        }
    }
}

/// What texts cost, and may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Costs {
    /// The price table.
    pub prices: TextPrices,
    /// Its currency, as the provider writes it.
    pub currency: String,
    /// What they may cost a day.
    pub caps: CostCaps,
}

impl Costs {
    /// What the request for a text costs by the table; `None`: nothing is counted, because it is none.
    pub fn of(&self, cleared: &Cleared) -> Option<Nanos> {
        if cleared.channel() != Channel::Sms {
            return None;
        }
        let Address::Phone(to) = cleared.to() else {
            return None;
        };
        if !cleared.media().is_empty()
            && let Some(price) = self.prices.media
        {
            return Some(price);
        }
        let country = country_of(to);
        let by_country = &self.prices.by_country;
        let own =
            country.and_then(|own| by_country.get(own).or_else(|| by_country.get(whole(own))));
        let price = own.copied().unwrap_or(self.prices.other);
        let segments = match cleared.from() {
            // A message there has no segments.
            Some(Sender::WhatsApp(_)) => 1,
            _ => Segments::of(cleared.body()).count as u64,
        };
        Some(Nanos(price.0.saturating_mul(segments)))
    }

    /// Why a text of this price can be sent on no day; `None`: it can.
    pub(super) fn never(&self, cost: Nanos, has_campaign: bool, has_user: bool) -> Option<Reason> {
        let holds = |scope: &CostScope| match scope {
            CostScope::Installation => true,
            CostScope::Campaign => has_campaign,
            CostScope::User => has_user,
        };
        let mut scopes = CostScope::ALL.into_iter().filter(holds);
        let scope = scopes.find(|scope| self.caps.of(*scope).is_some_and(|cap| cost > cap))?;
        let cap = self.caps.of(scope)?;
        let text = format!(
            "it costs {} by PUNCTUAL_PRICES, and {} is {} a day",
            self.amount(cost),
            scope.setting(),
            self.amount(cap)
        );
        Some(Reason::new(ReasonKind::CostCap, text))
    }

    /// Whether a cap of which so much is spent has room for no text, whatever it says.
    pub fn is_reached(&self, scope: CostScope, spent: Nanos) -> bool {
        self.left(scope, spent) < self.prices.cheapest()
    }

    /// Why something waits whose cap of the day is reached.
    pub fn reached(&self, scope: CostScope) -> Reason {
        let text = format!("the {} is reached ({})", self.cap(scope), scope.setting());
        Reason::new(ReasonKind::CostCap, text)
    }

    /// Why a text of this price waits that does not fit into what is left of a cap.
    pub fn too_dear(&self, scope: CostScope, cost: Nanos, spent: Nanos) -> Reason {
        let text = format!(
            "it costs {} by PUNCTUAL_PRICES, and {} is left of the {} ({})",
            self.amount(cost),
            self.amount(self.left(scope, spent)),
            self.cap(scope),
            scope.setting()
        );
        Reason::new(ReasonKind::CostCap, text)
    }

    fn left(&self, scope: CostScope, spent: Nanos) -> Nanos {
        let cap = self.caps.of(scope).unwrap_or_default();
        Nanos(cap.0.saturating_sub(spent.0))
    }

    /// For people.
    fn cap(&self, scope: CostScope) -> String {
        let cap = self.caps.of(scope).unwrap_or_default();
        let of = match scope {
            CostScope::Installation => "",
            CostScope::Campaign => " of the campaign",
            CostScope::User => " of the user",
        };
        format!("cost cap{of} of {} a day", self.amount(cap))
    }

    fn amount(&self, amount: Nanos) -> String {
        format!("{amount} {}", self.currency)
    }
}

/// For people.
impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.currency, self.prices)?;
        let mut any = false;
        for scope in CostScope::ALL {
            if let Some(cap) = self.caps.of(scope) {
                any = true;
                let of = scope.as_str();
                write!(f, "; at most {} a day for each {of}", self.amount(cap))?;
            }
        }
        if any { Ok(()) } else { f.write_str("; no cap") }
    }
}
