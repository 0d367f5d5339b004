//! Business hours of single message types, in place of the installation's.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::{BusinessHours, BusinessHoursError};

/// What stands for no types, and for a type that is sent at any hour.
const NONE: &str = "none";
const OFF: &str = "off";

/// The business hours of message types.
///
/// ```text
/// event_reminder = off | invoice = mon-fri 08:00-18:00
/// none
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HoursByType(BTreeMap<String, Option<BusinessHours>>);

/// Why a text is not valid as hours of message types.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoursByTypeError {
    /// A part that has no `=`, or nothing before it.
    #[error("{0:?} is not TYPE = HOURS")]
    Form(String),
    /// The hours of a type are not valid.
    #[error("the hours of {of}: {why}")]
    Hours {
        /// The type.
        of: String,
        /// Why not.
        why: BusinessHoursError,
    },
    /// A type that is named twice.
    #[error("{0:?} is named twice")]
    Twice(String),
}

impl HoursByType {
    /// The hours of a type, if it has its own; `Some(None)`: it is sent at any hour.
    pub fn of(&self, message_type: &str) -> Option<Option<&BusinessHours>> {
        self.0.get(message_type.trim()).map(Option::as_ref)
    }
}

/// As it is configured.
impl fmt::Display for HoursByType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(NONE);
        }
        for (n, (message_type, hours)) in self.0.iter().enumerate() {
            let between = if n > 0 { " | " } else { "" };
            write!(f, "{between}{message_type} = ")?;
            match hours {
                Some(hours) => write!(f, "{hours}")?,
                None => f.write_str(OFF)?,
            }
        }
        Ok(())
    }
}

/// Parses `TYPE = HOURS`, separated by `|`; `none` has no type.
impl FromStr for HoursByType {
    type Err = HoursByTypeError;

    fn from_str(text: &str) -> Result<Self, HoursByTypeError> {
        let mut of_types = BTreeMap::new();
        if text.trim() == NONE {
            return Ok(Self(of_types));
        }
        for part in text.split('|') {
            let (message_type, hours) = part
                .split_once('=')
                .map(|(of, hours)| (of.trim(), hours.trim()))
                .filter(|(of, _)| !of.is_empty())
                .ok_or_else(|| HoursByTypeError::Form(part.trim().to_owned()))?;
            let hours = if hours == OFF {
                None
            } else {
                let wrong = |why| HoursByTypeError::Hours {
                    of: message_type.to_owned(),
                    why,
                };
                Some(hours.parse().map_err(wrong)?)
            };
            if of_types.insert(message_type.to_owned(), hours).is_some() {
                return Err(HoursByTypeError::Twice(message_type.to_owned()));
            }
        }
        Ok(Self(of_types))
    }
}
