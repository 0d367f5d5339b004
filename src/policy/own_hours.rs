//! Business hours of single campaigns and message types, in place of the installation's.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::{BusinessHours, BusinessHoursError};

/// The values that mean that none has hours of its own, and that one is sent at any hour.
const NONE: &str = "none";
const OFF: &str = "off";

/// What can have business hours of its own.
pub trait HasHours: Ord + fmt::Display + Sized {
    /// What an entry begins with, in errors.
    const NAME: &'static str;

    /// Reads one of them; `None`: it is not valid.
    fn parse(text: &str) -> Option<Self>;
}

/// A message type.
impl HasHours for String {
    const NAME: &'static str = "TYPE";

    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// A campaign.
impl HasHours for Uuid {
    const NAME: &'static str = "CAMPAIGN";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// The business hours of those that have their own, by what they are found by.
///
/// ```text
/// event_reminder = off | invoice = mon-fri 08:00-18:00
/// none
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnHours<K>(BTreeMap<K, Option<BusinessHours>>);

/// The hours of message types.
pub type HoursByType = OwnHours<String>;

/// The hours of campaigns.
pub type HoursByCampaign = OwnHours<Uuid>;

/// Why a text is not valid as hours of message types or campaigns.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwnHoursError {
    /// A part that has no `=`, or nothing before it.
    #[error("{text:?} is not {name} = HOURS")]
    Form {
        /// The part.
        text: String,
        /// What should be before the `=`.
        name: &'static str,
    },
    /// What is named cannot have hours: a campaign whose id is no UUID.
    #[error("{0:?} is not the id of a campaign, a UUID")]
    Id(String),
    /// The hours are not valid.
    #[error("the hours of {of}: {why}")]
    Hours {
        /// The message type or the campaign that has them.
        of: String,
        /// Why not.
        why: BusinessHoursError,
    },
    /// One that is named twice.
    #[error("{0:?} is named twice")]
    Twice(String),
}

impl<K: Ord> OwnHours<K> {
    /// Its own hours, if it has some; `Some(None)`: it is sent at any hour.
    pub fn of<Q>(&self, key: &Q) -> Option<Option<&BusinessHours>>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.0.get(key).map(Option::as_ref)
    }
}

/// None has hours of its own.
impl<K> Default for OwnHours<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

/// As it is configured.
impl<K: fmt::Display> fmt::Display for OwnHours<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(NONE);
        }
        for (n, (key, hours)) in self.0.iter().enumerate() {
            let between = if n > 0 { " | " } else { "" };
            write!(f, "{between}{key} = ")?;
            match hours {
                Some(hours) => write!(f, "{hours}")?,
                None => f.write_str(OFF)?,
            }
        }
        Ok(())
    }
}

/// Parses `KEY = HOURS`, separated by `|`; with `none`, none has hours of its own.
impl<K: HasHours> FromStr for OwnHours<K> {
    type Err = OwnHoursError;

    fn from_str(text: &str) -> Result<Self, OwnHoursError> {
        let mut own = BTreeMap::new();
        if text.trim() == NONE {
            return Ok(Self(own));
        }
        for part in text.split('|') {
            let (name, hours) = part
                .split_once('=')
                .map(|(name, hours)| (name.trim(), hours.trim()))
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| OwnHoursError::Form {
                    text: part.trim().to_owned(),
                    name: K::NAME,
                })?;
            let key = K::parse(name).ok_or_else(|| OwnHoursError::Id(name.to_owned()))?;
            let hours = if hours == OFF {
                None
            } else {
                let wrong = |why| OwnHoursError::Hours {
                    of: name.to_owned(),
                    why,
                };
                Some(hours.parse().map_err(wrong)?)
            };
            if own.insert(key, hours).is_some() {
                return Err(OwnHoursError::Twice(name.to_owned()));
            }
        }
        Ok(Self(own))
    }
}
