//! Which messages a person means: the filter of lists, of counts and of what is done to many messages at once.
//!
//! A filter is parsed once, from the parameters of a request or the options of a command; `store/operator/sql/walk.sql`
//! is the one statement that applies it.

use std::str::FromStr;

use chrono::DateTime;
use uuid::Uuid;

use super::{E164, Moment, PauseKey, Status};

/// The fewest characters of the beginning of an id. Of random ids, four distinguish some 65,000.
const PREFIX_MIN: usize = 4;

/// The most rows of a page.
pub const PAGE_MAX: usize = 1_000;

/// The parameters of a filter, as requests and commands name them.
pub const PARAMETERS: [&str; 8] = [
    "status", "from", "to", "q", "user", "campaign", "template", "reason",
];

/// What a list shows, and what an act applies to. The default is every message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// In one of these statuses; empty: in any.
    pub statuses: Vec<Status>,
    /// Due at this time or later.
    pub from: Option<Moment>,
    /// Due before this time.
    pub to: Option<Moment>,
    /// With this id, sid or recipient.
    pub search: Option<Search>,
    /// The user.
    pub user: Option<Uuid>,
    /// The campaign.
    pub campaign: Option<Uuid>,
    /// Made from this template.
    pub template: Option<Uuid>,
    /// Not sent for this reason, as `punctual.attempts.category` has it.
    pub reason: Option<String>,
}

/// What is searched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// The beginning of an id, or a whole one: the first and the last id with it.
    Id {
        /// The first id.
        first: Uuid,
        /// The last one.
        last: Uuid,
    },
    /// The provider's id of a message.
    Sid(String),
    /// A recipient, as rows have it.
    Recipient(String),
    /// What texts say that are held, as their pause names it.
    Held(String),
}

/// Why a filter is refused. It is not ignored, because a filter that silently does not filter misleads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Not a status.
    #[error("status is one or more of {}, separated by commas", statuses())]
    Status,
    /// Not a time.
    #[error(
        "{0} must be a time like 2026-01-01T09:00:00Z or 2026-01-01T10:00:00+01:00 (a + is written %2B in a URL)"
    )]
    Time(&'static str),
    /// An interval that contains nothing.
    #[error("to must be later than from")]
    Order,
    /// Not an id.
    #[error("{0} must be an id, a UUID like 00000000-0000-0000-0000-000000000001")]
    Id(&'static str),
    /// Not searchable.
    #[error(
        "a message is named by its id or the beginning of it ({PREFIX_MIN} characters or more), by its recipient (a \
         number with its + and country code; in a URL a + is written %2B), or by the provider's id of it; those of a \
         paused text by text= and its key"
    )]
    Search,
    /// Not a reason.
    #[error("reason is a word like opted_out, as the counts by reason show them")]
    Reason,
    /// A place that no list has given out.
    #[error("cursor is not one that a list has returned for this filter")]
    Cursor,
    /// Too many rows.
    #[error("limit must be a number from 1 to {PAGE_MAX}")]
    Limit,
    /// Given twice.
    #[error("{0} is given twice")]
    Twice(&'static str),
    /// Not a parameter.
    #[error("unknown parameter; known are {0}")]
    Unknown(String),
}

fn statuses() -> String {
    Status::ALL.map(Status::as_str).join(", ")
}

/// The order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By due time, the earliest first.
    SoonestFirst,
    /// By due time, the latest first.
    NewestFirst,
}

impl Filter {
    /// In which order they are shown: what is still to be sent has the next one first, everything else the latest.
    pub fn order(&self) -> Order {
        if self.statuses == [Status::Pending] {
            Order::SoonestFirst
        } else {
            Order::NewestFirst
        }
    }

    /// Whether an index alone finds its rows: then a page reads no others.
    pub const fn is_by_index(&self) -> bool {
        self.user.is_none()
            && self.campaign.is_none()
            && self.template.is_none()
            && self.reason.is_none()
            && !matches!(self.search, Some(Search::Recipient(_)))
    }

    /// Sets one of [`PARAMETERS`]. An empty value counts as none, so that forms with empty fields work.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), FilterError> {
        let value = value.trim();
        let Some(name) = PARAMETERS.into_iter().find(|known| *known == name) else {
            return Err(FilterError::Unknown(PARAMETERS.join(", ")));
        };
        if value.is_empty() {
            return Ok(());
        }
        let once = |is_set: bool| {
            if is_set {
                Err(FilterError::Twice(name))
            } else {
                Ok(())
            }
        };
        match name {
            "status" => {
                once(!self.statuses.is_empty())?;
                self.statuses = parse_statuses(value)?;
            }
            "from" => {
                once(self.from.is_some())?;
                self.from = Some(time("from", value)?);
            }
            "to" => {
                once(self.to.is_some())?;
                self.to = Some(time("to", value)?);
            }
            "q" => {
                once(self.search.is_some())?;
                self.search = Some(value.parse()?);
            }
            "user" => {
                once(self.user.is_some())?;
                self.user = Some(id("user", value)?);
            }
            "campaign" => {
                once(self.campaign.is_some())?;
                self.campaign = Some(id("campaign", value)?);
            }
            "template" => {
                once(self.template.is_some())?;
                self.template = Some(id("template", value)?);
            }
            _ => {
                once(self.reason.is_some())?;
                self.reason = Some(reason(value)?);
            }
        }
        self.check()
    }

    /// Whether anything can be due from `from` on and before `to`.
    pub fn check(&self) -> Result<(), FilterError> {
        match (self.from, self.to) {
            (Some(from), Some(to)) if from >= to => Err(FilterError::Order),
            _ => Ok(()),
        }
    }
}

fn parse_statuses(value: &str) -> Result<Vec<Status>, FilterError> {
    let words = value.split(',').map(str::trim);
    let mut read: Vec<Status> = words
        .map(|word| word.parse().map_err(|_| FilterError::Status))
        .collect::<Result<_, _>>()?;
    read.sort_unstable();
    read.dedup();
    Ok(read)
}

/// The time of a parameter.
pub fn time(name: &'static str, value: &str) -> Result<Moment, FilterError> {
    // In a query string a bare `+` means a space, so this is how `+01:00` often arrives.
    DateTime::parse_from_rfc3339(&value.replace(' ', "+"))
        .map(|time| time.to_utc().into())
        .map_err(|_| FilterError::Time(name))
}

fn id(name: &'static str, value: &str) -> Result<Uuid, FilterError> {
    value.parse().map_err(|_| FilterError::Id(name))
}

fn reason(value: &str) -> Result<String, FilterError> {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let fits = value.len() <= 64 && value.chars().all(is_word);
    fits.then(|| value.to_owned()).ok_or(FilterError::Reason)
}

impl FromStr for Search {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let text = text.trim();
        if let Some(key) = text.strip_prefix("text=") {
            let key = PauseKey::parse("text", key, None).map_err(|_| FilterError::Search)?;
            return Ok(Self::Held(key.what));
        }
        if text.starts_with('+') {
            let number: E164 = text.parse().map_err(|_| FilterError::Search)?;
            return Ok(Self::Recipient(number.as_str().to_owned()));
        }
        if text.contains('@') || text.contains("://") {
            return Ok(Self::Recipient(text.to_owned()));
        }
        if let Some((first, last)) = ids(text) {
            return Ok(Self::Id { first, last });
        }
        let is_sid = text.len() >= 8 && text.len() <= 64;
        if is_sid && text.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Ok(Self::Sid(text.to_owned()));
        }
        Err(FilterError::Search)
    }
}

/// The first and the last id that begin so, with the hyphens in their places or without any.
fn ids(text: &str) -> Option<(Uuid, Uuid)> {
    let with_hyphens = text.contains('-');
    let mut digits = String::with_capacity(32);
    for (at, c) in text.char_indices() {
        if with_hyphens && matches!(at, 8 | 13 | 18 | 23) {
            if c != '-' {
                return None;
            }
        } else if c.is_ascii_hexdigit() && digits.len() < 32 {
            digits.push(c);
        } else {
            return None;
        }
    }
    if digits.len() < PREFIX_MIN {
        return None;
    }
    let filled = |with: &str| Uuid::from_str(&(digits.clone() + &with.repeat(32 - digits.len())));
    Some((filled("0").ok()?, filled("f").ok()?))
}

/// A place in a list: a page begins after it. Its text is for a URL, and says nothing to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageStart {
    /// The due time of the row before the page.
    pub due: Moment,
    /// Its id.
    pub id: Uuid,
}

impl std::fmt::Display for PageStart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.due.as_micros(), self.id.simple())
    }
}

impl FromStr for PageStart {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let (due, id) = text.split_once('.').ok_or(FilterError::Cursor)?;
        let due = due.parse().map_err(|_| FilterError::Cursor)?;
        Ok(Self {
            due: Moment::from_micros(due),
            id: id.parse().map_err(|_| FilterError::Cursor)?,
        })
    }
}

#[cfg(test)]
mod tests;
