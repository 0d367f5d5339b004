//! Which events of a user are reminded of on one day of theirs, and why others are not.
//!
//! A reminder belongs to the day on which it is sent, not to the day of its event: the reminder of an event at five
//! past midnight is planned a day before. Between an event and its reminder is a fixed span, so no local time is
//! converted to an instant.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::message::facts::QuietHours;
use crate::message::{E164, Moment};
use crate::policy::{Rules, is_quiet, local_day};

/// What the settings say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planning {
    /// The key of the template of its texts.
    pub template: String,
    /// How long before an event users are reminded who have not chosen.
    pub lead: Duration,
}

/// The template, if the settings name no other.
pub const TEMPLATE: &str = "event_reminder";

/// The lead, if neither the user nor the settings have another.
pub const LEAD: Duration = Duration::from_secs(15 * 60);

/// The longest lead.
pub const LEAD_MAX: Duration = Duration::from_secs(24 * 3_600);

/// A user, as their preferences are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// The phone number.
    pub number: Option<String>,
    /// Whether it is verified.
    pub is_verified: bool,
    /// Whether they have opted out.
    pub has_opted_out: bool,
    /// Whether they want to be reminded of events.
    pub wants_reminders: bool,
    /// The time zone of the preferences, and that of the user's account.
    pub timezones: [Option<String>; 2],
    /// The quiet hours.
    pub quiet_hours: Option<QuietHours>,
    /// The lead that they have chosen, in minutes.
    pub lead_minutes: Option<i32>,
    /// How many texts they get in a day.
    pub daily_limit: Option<i32>,
    /// The app's own count of that, and since when it counts.
    pub app_count: (i32, Option<Moment>),
}

/// Why nothing is planned for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unplanned {
    /// They have no row of preferences.
    Unknown,
    /// They have opted out.
    OptedOut,
    /// Their number is not verified.
    Unverified,
    /// They have not switched reminders on.
    Off,
    /// Their number is missing, or not one.
    NoNumber,
}

impl Unplanned {
    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Unknown => "the user has no row in user_sms_preferences",
            Self::OptedOut => "the user has opted out",
            Self::Unverified => "the user's phone number is not verified",
            Self::Off => "the user has not switched event reminders on",
            Self::NoNumber => "the user has no valid phone number",
        }
    }
}

impl Person {
    /// Why nothing is planned for them.
    pub fn unplanned(&self) -> Option<Unplanned> {
        let number = self.number.as_deref().map(str::trim);
        if self.has_opted_out {
            Some(Unplanned::OptedOut)
        } else if !self.is_verified {
            Some(Unplanned::Unverified)
        } else if !self.wants_reminders {
            Some(Unplanned::Off)
        } else if number.is_none_or(|number| number.parse::<E164>().is_err()) {
            Some(Unplanned::NoNumber)
        } else {
            None
        }
    }

    /// Their time zone: the first that is one.
    pub fn zone(&self, rules: &Rules) -> TimeZone {
        let mut names = self.timezones.iter().flatten();
        let own = names.find_map(|name| rules.zones.get(name));
        own.unwrap_or_else(|| rules.timezone.clone())
    }

    /// How long before an event they are reminded.
    pub fn lead(&self, planning: &Planning) -> Duration {
        let chosen = self.lead_minutes.and_then(|n| u64::try_from(n).ok());
        let chosen = chosen.map(|minutes| Duration::from_secs(minutes * 60));
        chosen
            .filter(|lead| *lead <= LEAD_MAX)
            .unwrap_or(planning.lead)
    }
}

/// A day of a user's calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// The date.
    pub date: Date,
    /// When it begins: the local midnight, or what takes its place.
    pub starts: Moment,
    /// When the next one begins.
    pub ends: Moment,
}

/// Before the beginning of a day, however long it is: where a zone crossed the date line, one had 48 hours.
const BEFORE: Duration = Duration::from_secs(72 * 3_600);

/// Days from there on that are looked at.
const DAYS_MAX: usize = 8;

/// A day that began less than this ago is planned as at its beginning: that takes a while, and a reminder of its first
/// moments would be over by then.
const BEGINNING: Duration = Duration::from_secs(120);

impl Day {
    /// The day at `at`; `None`: time has no such day.
    pub fn of(zone: &TimeZone, at: Moment) -> Option<Self> {
        let (mut starts, mut from) = (None, at - BEFORE);
        for _ in 0..DAYS_MAX {
            let (date, ends, _) = local_day(zone, from)?;
            if ends > at {
                return Some(Self {
                    date,
                    starts: starts?,
                    ends,
                });
            }
            (starts, from) = (Some(ends), ends);
        }
        None
    }

    /// The day of this date; `None`: the zone left it out.
    pub fn on(zone: &TimeZone, date: Date) -> Option<Self> {
        let noon = TimeZone::UTC.to_timestamp(date.at(12, 0, 0, 0)).ok()?;
        let noon = Moment::from_micros(noon.as_microsecond());
        let mut day = Self::of(zone, noon - Duration::from_secs(24 * 3_600))?;
        while day.date < date {
            day = Self::of(zone, day.ends)?;
        }
        (day.date == date).then_some(day)
    }

    /// The starts of the events that are reminded of on it, with this lead: from here until there.
    pub fn events(&self, lead: Duration) -> (Moment, Moment) {
        (self.starts + lead, self.ends + lead)
    }
}

/// An event that is in sync, and what is known of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id in the calendar.
    pub id: String,
    /// Which time it is, of one that takes place again under the same id.
    pub occurrence: String,
    /// Its title.
    pub title: Option<String>,
    /// Its link.
    pub link: Option<String>,
    /// When it begins.
    pub starts: Moment,
    /// When it ends.
    pub ends: Option<Moment>,
    /// Whether the calendar says that it lasts all day.
    pub is_all_day: bool,
    /// Whether the table has several rows of it for this user.
    pub is_twice: bool,
    /// Whether a reminder was planned for it before, whatever became of that, or the app has one under way.
    pub is_planned: bool,
}

/// Why an event is not reminded of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skip {
    /// It has been planned before: this one counts as planned.
    Planned,
    /// The time of the reminder is over.
    Past,
    /// It lasts all day.
    AllDay,
    /// The reminder would be sent in the user's quiet hours.
    QuietHours,
    /// The user gets no more texts that day.
    DailyLimit,
    /// Several rows have its id: a message cannot follow it.
    Ambiguous,
}

impl Skip {
    /// Each, in the order of the metrics.
    pub const ALL: [Self; 6] = [
        Self::Planned,
        Self::Past,
        Self::AllDay,
        Self::QuietHours,
        Self::DailyLimit,
        Self::Ambiguous,
    ];

    /// As the metrics have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned_before",
            Self::Past => "past",
            Self::AllDay => "all_day",
            Self::QuietHours => "quiet_hours",
            Self::DailyLimit => "daily_limit",
            Self::Ambiguous => "ambiguous",
        }
    }

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Planned => "it was planned before, or the app has a reminder of it",
            Self::Past => "the time of the reminder is over",
            Self::AllDay => "it lasts all day",
            Self::QuietHours => "the reminder would be sent in the user's quiet hours",
            Self::DailyLimit => "the user gets no more texts that day",
            Self::Ambiguous => "several rows have its calendar_event_id",
        }
    }
}

/// What is decided about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is reminded of, then.
    Remind(Moment),
    /// It is not.
    Skip(Skip),
}

/// A day of a user that is planned.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// Their zone.
    pub zone: &'a TimeZone,
    /// The day.
    pub day: Day,
    /// How long before each event.
    pub lead: Duration,
    /// Their quiet hours.
    pub quiet_hours: Option<QuietHours>,
    /// How many texts they may still get on that day; `None`: as many as there are.
    pub left: Option<i64>,
    /// When it is planned.
    pub now: Moment,
}

impl Plan<'_> {
    /// Decides about each event with a reminder on that day, the earliest first.
    pub fn decide<'e>(&self, events: &'e [Event]) -> Vec<(&'e Event, Decision)> {
        let (from, until) = self.day.events(self.lead);
        let mut all: Vec<_> = events
            .iter()
            .filter(|event| (from..until).contains(&event.starts))
            .collect();
        all.sort_by(|a, b| (a.starts, &a.id).cmp(&(b.starts, &b.id)));
        let mut left = self.left;
        let mut decided = Vec::with_capacity(all.len());
        for event in all {
            let decision = match self.skip(event) {
                Some(skip) => Decision::Skip(skip),
                None if left.is_some_and(|left| left <= 0) => Decision::Skip(Skip::DailyLimit),
                None => {
                    left = left.map(|left| left - 1);
                    Decision::Remind(event.starts - self.lead)
                }
            };
            decided.push((event, decision));
        }
        decided
    }

    fn skip(&self, event: &Event) -> Option<Skip> {
        let at = event.starts - self.lead;
        if event.is_planned {
            Some(Skip::Planned)
        } else if event.is_twice {
            Some(Skip::Ambiguous)
        } else if event.is_all_day || self.is_of_whole_days(event) {
            Some(Skip::AllDay)
        } else if at < self.begins() {
            Some(Skip::Past)
        } else if self
            .quiet_hours
            .is_some_and(|hours| is_quiet(&hours, self.zone, at))
        {
            Some(Skip::QuietHours)
        } else {
            None
        }
    }

    /// What was to be sent before this is over.
    fn begins(&self) -> Moment {
        if self.now < self.day.starts + BEGINNING {
            self.day.starts
        } else {
            self.now
        }
    }

    /// From one local midnight to another.
    fn is_of_whole_days(&self, event: &Event) -> bool {
        let is_midnight = |at: Moment| {
            let date = |us| {
                let at = Timestamp::from_microsecond(us).ok()?;
                Some(self.zone.to_datetime(at).date())
            };
            date(at.as_micros()) != date(at.as_micros().saturating_sub(1))
        };
        event
            .ends
            .is_some_and(|ends| ends > event.starts && is_midnight(ends))
            && is_midnight(event.starts)
    }
}

#[cfg(test)]
mod tests;
