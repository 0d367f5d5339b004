//! Guards: recipients at which a mistake, or a fraud, is expensive. By the numbering plans of libphonenumber
//! ([`countries_of`]).

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Reason, ReasonKind, Unknown};
use crate::message::{Address, E164, NumberFault, Sender, countries_of, is_country, is_in_any};

/// The islands and territories of a country that share its country code, and whose texts cost what its own do.
const PARTS: [(&str, &[&str]); 7] = [
    ("US", &["AS", "GU", "MP", "PR", "VI"]),
    ("GB", &["GG", "IM", "JE"]),
    ("AU", &["CC", "CX"]),
    ("FI", &["AX"]),
    ("IT", &["VA"]),
    ("MA", &["EH"]),
    ("NO", &["SJ"]),
];

/// Countries whose senders text to both as to their own.
const NEIGHBOURS: [&str; 2] = ["CA", "US"];

/// Which countries texts may go to, as the settings say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Countries {
    /// Every one.
    All,
    /// Those of the senders, if all of these are phone numbers.
    #[default]
    OfSenders,
    /// These.
    Only(BTreeSet<String>),
}

/// What is neither a word nor a list of countries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("senders, all, or countries by their two letters, as in US, CA")]
pub struct CountriesError;

impl FromStr for Countries {
    type Err = CountriesError;

    fn from_str(text: &str) -> Result<Self, CountriesError> {
        match text.trim() {
            "all" => return Ok(Self::All),
            "senders" => return Ok(Self::OfSenders),
            _ => {}
        }
        let all = text.split(',').map(|code| code.trim().to_ascii_uppercase());
        let all: BTreeSet<String> = all.collect();
        if !all.iter().all(|code| is_country(code)) {
            return Err(CountriesError);
        }
        Ok(Self::Only(all))
    }
}

impl fmt::Display for Countries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::OfSenders => f.write_str("senders"),
            Self::Only(all) => f.write_str(&list(all)),
        }
    }
}

fn list(all: &BTreeSet<String>) -> String {
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    all.join(", ")
}

/// Which recipients no text goes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guards {
    /// The countries that texts go to, with their `PARTS`; `None`: every one.
    pub countries: Option<BTreeSet<String>>,
    /// Whether these are those of the senders: then a text also goes to the country of its own, and one from a sender
    /// without a country to any.
    pub is_by_senders: bool,
    /// What is done about premium-rate numbers.
    pub premium: Unknown,
}

/// Texts go to every country, and not to premium-rate numbers.
impl Default for Guards {
    fn default() -> Self {
        Self {
            premium: Unknown::Refuse,
            ..Self::none()
        }
    }
}

impl Guards {
    /// Texts go to every number.
    pub const fn none() -> Self {
        Self {
            countries: None,
            is_by_senders: false,
            premium: Unknown::Send,
        }
    }

    /// By these settings, for an installation with these senders of texts; `None` is one that is not known.
    pub fn new<'a>(
        countries: &Countries,
        premium: Unknown,
        senders: impl Iterator<Item = Option<&'a Sender>>,
    ) -> Self {
        let (countries, is_by_senders) = match countries {
            Countries::All => (None, false),
            Countries::Only(all) => (Some(all.clone()), false),
            Countries::OfSenders => (of_all(senders), true),
        };
        Self {
            countries,
            is_by_senders,
            premium,
        }
    }

    /// Why no text from this sender goes to a number, as a fault of the number; `None`: it may.
    pub fn fault(&self, to: &E164, from: Option<&Sender>) -> Option<NumberFault> {
        if self.premium == Unknown::Refuse && NumberFault::of(to) == Some(NumberFault::Premium) {
            return Some(NumberFault::Premium);
        }
        let allowed = self.countries.as_ref()?;
        let allows = |country: &str| allowed.contains(whole(country));
        // One of no country, as those of satellites, is in none of them.
        let is_allowed = is_in_any(to, allows)
            || self.is_by_senders && from.is_some_and(|from| leads_to(from, to));
        (!is_allowed).then_some(NumberFault::Country)
    }

    /// The same of a sender as a row has it.
    pub fn fault_ahead(&self, to: &E164, from: Option<&str>) -> Option<NumberFault> {
        let from = from.map(str::parse::<Sender>).transpose();
        let fault = self.fault(to, from.as_ref().ok().and_then(Option::as_ref))?;
        // A messaging service has no form of its own here, and no country.
        let is_unknown = self.is_by_senders && from.is_err();
        (fault != NumberFault::Country || !is_unknown).then_some(fault)
    }

    /// Why no text from this sender goes to an address, and what to do; `None`: it may, or it is no phone number.
    pub fn refusal(&self, to: &Address, from: Option<&Sender>) -> Option<Reason> {
        let to = to.phone()?;
        if self.fault(to, from)? != NumberFault::Country {
            let text = "to_number is refused: it is a premium-rate number (PUNCTUAL_PREMIUM=send sends it all the same)";
            return Some(Reason::new(ReasonKind::Premium, text));
        }
        let own = match countries_of(to).join(" or ") {
            none if none.is_empty() => "no country".to_owned(),
            own => own,
        };
        let allowed = self.countries.as_ref().map(list).unwrap_or_default();
        let why = if self.is_by_senders {
            ", where its senders are"
        } else {
            ""
        };
        let text = format!(
            "to_number is refused: it is in {own}, and this installation sends to {allowed}{why} (PUNCTUAL_COUNTRIES has \
             others, or all)"
        );
        Some(Reason::new(ReasonKind::Country, text))
    }
}

/// For people.
impl fmt::Display for Guards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.countries {
            None if self.is_by_senders => f.write_str(
                "texts go to every country, because one of the senders is no phone number, or none is set",
            )?,
            None => f.write_str("texts go to every country")?,
            Some(all) if self.is_by_senders => {
                write!(f, "texts go to {}, where the senders are", list(all))?;
            }
            Some(all) => write!(f, "texts go to {}", list(all))?,
        }
        match self.premium {
            Unknown::Refuse => f.write_str("; to no premium-rate number"),
            Unknown::Send => f.write_str("; to premium-rate numbers too"),
        }
    }
}

/// The country that this is a part of, or itself.
pub(super) fn whole(country: &str) -> &str {
    let mut all = PARTS.iter();
    all.find(|(_, parts)| parts.contains(&country))
        .map_or(country, |(whole, _)| whole)
}

/// The countries that somebody with this number texts to as to their own.
fn reach(sender: &E164) -> Vec<&'static str> {
    // A number free of charge is of all that share its code: it is taken for one of the first of them.
    let own = countries_of(sender).first().map(|own| whole(own));
    match own {
        Some(own) if NEIGHBOURS.contains(&own) => NEIGHBOURS.to_vec(),
        own => own.into_iter().collect(),
    }
}

/// `None`: there is none, or one of them is in no country that is known.
fn of_all<'a>(senders: impl Iterator<Item = Option<&'a Sender>>) -> Option<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for sender in senders {
        match sender {
            Some(Sender::Number(number)) => {
                let own = reach(number);
                if own.is_empty() {
                    return None;
                }
                all.extend(own.into_iter().map(str::to_owned));
            }
            // What they send is no text of a telephone network.
            Some(Sender::WhatsApp(_) | Sender::Email(_)) => {}
            None | Some(Sender::ShortCode(_) | Sender::Alphanumeric(_) | Sender::Pool(_)) => {
                return None;
            }
        }
    }
    (!all.is_empty()).then_some(all)
}

/// Whether what this sender texts to as its own has the number, or the sender is in no country that is known.
fn leads_to(from: &Sender, to: &E164) -> bool {
    let Sender::Number(from) = from else {
        return true;
    };
    let own = reach(from);
    own.is_empty() || is_in_any(to, |country| own.contains(&whole(country)))
}
