//! What is known of an event, as drafts have it.

use jiff::ZonedDateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::message::Moment;

/// The most characters of a title or a place that a model is given. A calendar takes thousands.
const SHOWN_MAX: usize = 200;

/// The longest link: a longer one leaves no room in the text.
const LINK_MAX: usize = 120;

const MINUTE_US: i64 = 60_000_000;

/// What a text is written from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brief {
    /// On one line, and not longer than it is shown.
    pub title: String,
    /// Where it is, likewise.
    pub location: Option<String>,
    /// How to join.
    pub link: Option<String>,
    /// When the text is sent, by the recipient's clock.
    pub sent: ZonedDateTime,
    /// When the event begins.
    pub starts: ZonedDateTime,
    /// When it ends.
    pub ends: Option<ZonedDateTime>,
}

/// Why there is no text to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BriefError {
    /// It is not an object with these fields.
    #[error("the facts are not an object with a title and a start")]
    Form,
    /// The event has no title.
    #[error("the event has no title")]
    NoTitle,
    /// A time is out of range, or has no offset.
    #[error("a time of the event is not valid")]
    Time,
    /// It has begun when the text is sent.
    #[error("the event has begun when the text is sent")]
    Begun,
    /// Its link leaves no room.
    #[error("the link is too long for a text")]
    LongLink,
}

#[derive(Deserialize)]
struct Facts {
    title: String,
    starts_at: String,
    ends_at: Option<String>,
    link: Option<String>,
    location: Option<String>,
}

impl Brief {
    /// From the facts of a draft, for a text that is sent at this time to somebody in this zone.
    pub fn of(facts: &str, sent: Moment, zone: &TimeZone) -> Result<Self, BriefError> {
        let facts: Facts = serde_json::from_str(facts).map_err(|_| BriefError::Form)?;
        let title = one_line(&facts.title);
        if !title.chars().any(char::is_alphanumeric) {
            return Err(BriefError::NoTitle);
        }
        let at = |text: &str| {
            let at: jiff::Timestamp = text.parse().map_err(|_| BriefError::Time)?;
            Ok(at.to_zoned_datetime(zone.clone()))
        };
        let sent = jiff::Timestamp::from_microsecond(sent.as_micros())
            .map_err(|_| BriefError::Time)?
            .to_zoned_datetime(zone.clone());
        let starts = at(&facts.starts_at)?;
        if starts <= sent {
            return Err(BriefError::Begun);
        }
        let link = facts.link.map(|link| link.trim().to_owned());
        let link = link.filter(|link| !link.is_empty());
        if link
            .as_ref()
            .is_some_and(|link| link.chars().count() > LINK_MAX)
        {
            return Err(BriefError::LongLink);
        }
        let location = facts.location.map(|place| one_line(&place));
        Ok(Self {
            title,
            location: location.filter(|place| !place.is_empty()),
            link,
            sent,
            starts,
            ends: facts.ends_at.as_deref().map(at).transpose()?,
        })
    }

    /// The name of the recipient's time zone in facts.
    pub fn zone_of(facts: &str) -> Option<String> {
        #[derive(Deserialize)]
        struct Zone {
            timezone: Option<String>,
        }
        serde_json::from_str::<Zone>(facts).ok()?.timezone
    }

    /// From when the text is sent to the start, in whole minutes.
    pub fn minutes(&self) -> i64 {
        let us = self.starts.timestamp().as_microsecond() - self.sent.timestamp().as_microsecond();
        (us + MINUTE_US / 2).div_euclid(MINUTE_US)
    }

    /// The same for people, as the text should have it.
    pub fn begins_in(&self) -> String {
        let minutes = self.minutes();
        let count = |n: i64, one: &str, many: &str| match n {
            0 => None,
            1 => Some(format!("1 {one}")),
            n => Some(format!("{n} {many}")),
        };
        let parts = [
            count(minutes / 1440, "day", "days"),
            count(minutes % 1440 / 60, "hr", "hrs"),
            count(minutes % 60, "min", "mins"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() {
            "now".to_owned()
        } else {
            format!("in {}", parts.join(" "))
        }
    }

    /// Whether the event begins on the day on which the text is sent.
    pub fn is_today(&self) -> bool {
        self.starts.date() == self.sent.date()
    }
}

/// On one line and bounded: characters that are not shown would only hide something.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars() {
        if c.is_control() || c.is_whitespace() {
            if !line.ends_with(' ') && !line.is_empty() {
                line.push(' ');
            }
        } else if !is_hidden(c) {
            line.push(c);
        }
    }
    let line = line.trim_end();
    line.chars().take(SHOWN_MAX).collect()
}

/// Whether a character is not shown, or changes the direction of others.
pub(super) fn is_hidden(c: char) -> bool {
    crate::message::parts::INVISIBLE
        .iter()
        .any(|range| range.contains(&c))
}
