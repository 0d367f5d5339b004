//! What stands around a claimed row and decides whether it may go, read with the claim.
//!
//! All of it is optional. [`Facts::default`] knows nothing, and a message of which nothing is
//! known just goes.

use jiff::civil;
use uuid::Uuid;

use super::Moment;

/// See the module.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whose message it is.
    pub user_id: Option<Uuid>,
    /// When the user wanted it. A message that was wanted before an event reminds of it.
    pub scheduled_at: Option<Moment>,
    /// The recipient's zone as the row has it.
    pub timezone: Option<String>,
    /// What kind of message it is, in the app's words.
    pub message_type: Option<String>,
    /// How urgent it is.
    pub priority: Priority,
    /// The template the row names, if there is such a row.
    pub template: Option<Template>,
    /// `template_vars` as `jsonb` prints it. With them the message is rendered, without them
    /// its body goes as it stands.
    pub template_vars: Option<String>,
    /// What the recipient has chosen. `None`: there is no user, or nothing was chosen.
    pub preferences: Option<Preferences>,
    /// The event it reminds of.
    pub event: Event,
    /// Its place in the recipient's day.
    pub limit: Limit,
}

/// Words of the app may be private; what is shown is enough to tell facts apart.
impl std::fmt::Debug for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Facts")
            .field("user_id", &self.user_id)
            .field("timezone", &self.timezone)
            .field("message_type", &self.message_type)
            .field("priority", &self.priority)
            .field("event", &self.event)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// `scheduled_messages.priority`. Among messages due together, the last of these goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// May wait for the others.
    Low,
    /// As usual; also what an unknown word means.
    #[default]
    Normal,
    /// Before the usual.
    High,
    /// Before all others. It passes quiet hours if the installation says so.
    Urgent,
}

impl Priority {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Urgent];

    /// From the column's word.
    pub fn of(word: Option<&str>) -> Self {
        match word.map(str::trim) {
            Some("low") => Self::Low,
            Some("high") => Self::High,
            Some("urgent") => Self::Urgent,
            _ => Self::Normal,
        }
    }
}

/// A row of `sms_templates`.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    /// How people call it: its key, or its name.
    pub name: String,
    /// `message_template`.
    pub text: String,
    /// `required_vars` as `jsonb` prints it: names, in an array.
    pub required_vars: Option<String>,
    /// The most characters its rendered text may have.
    pub max_length: Option<i32>,
    /// Whether it may be used.
    pub is_active: bool,
}

/// A row of `user_sms_preferences`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    /// Whether the user has proven that the phone is theirs.
    pub phone_verified: bool,
    /// Whether the user wants no text at all.
    pub opted_out: bool,
    /// The kinds of message that are switched off.
    pub off: Vec<Switch>,
    /// When the user is not to be disturbed.
    pub quiet_hours: Option<QuietHours>,
    /// Where the user lives.
    pub timezone: Option<String>,
}

/// From `start` until just before `end` on the recipient's clock, across midnight where `end`
/// comes first. Where they are the same there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// The first quiet instant.
    pub start: civil::Time,
    /// The first instant that is not quiet any more.
    pub end: civil::Time,
}

impl QuietHours {
    /// From microseconds since midnight, as Postgres's `time` counts them. Its `24:00` is
    /// midnight. `None`: one of them is no time of day, and then there are no quiet hours.
    pub fn from_micros(start: i64, end: i64) -> Option<Self> {
        Some(Self {
            start: time_of_day(start)?,
            end: time_of_day(end)?,
        })
    }
}

/// A day as clocks show it, in microseconds.
pub(crate) const DAY_US: i64 = 24 * 3600 * 1_000_000;

fn time_of_day(us: i64) -> Option<civil::Time> {
    if !(0..=DAY_US).contains(&us) {
        return None;
    }
    let since = jiff::SignedDuration::from_micros(us % DAY_US);
    civil::Time::midnight().checked_add(since).ok()
}

/// What a user can switch off, a column of `user_sms_preferences` each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Switch {
    /// `task_reminders`
    TaskReminders,
    /// `daily_brief_sms`
    DailyBrief,
    /// `urgent_alerts`
    UrgentAlerts,
    /// `morning_kickoff_enabled`
    MorningKickoff,
    /// `evening_recap_enabled`
    EveningRecap,
    /// `next_up_enabled`
    NextUp,
    /// `event_reminders_enabled`
    EventReminders,
}

impl Switch {
    /// Every switch.
    pub const ALL: [Self; 7] = [
        Self::TaskReminders,
        Self::DailyBrief,
        Self::UrgentAlerts,
        Self::MorningKickoff,
        Self::EveningRecap,
        Self::NextUp,
        Self::EventReminders,
    ];

    /// Its column. False there means off, null does not.
    pub const fn column(self) -> &'static str {
        match self {
            Self::TaskReminders => "task_reminders",
            Self::DailyBrief => "daily_brief_sms",
            Self::UrgentAlerts => "urgent_alerts",
            Self::MorningKickoff => "morning_kickoff_enabled",
            Self::EveningRecap => "evening_recap_enabled",
            Self::NextUp => "next_up_enabled",
            Self::EventReminders => "event_reminders_enabled",
        }
    }

    /// The `message_type` it switches.
    pub const fn message_type(self) -> &'static str {
        match self {
            Self::TaskReminders => "task_reminder",
            Self::DailyBrief => "daily_brief",
            Self::UrgentAlerts => "urgent_alert",
            Self::MorningKickoff => "morning_kickoff",
            Self::EveningRecap => "evening_recap",
            Self::NextUp => "next_up",
            Self::EventReminders => "event_reminder",
        }
    }
}

/// How the event of a message stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Event {
    /// The message has none, or the calendar has never been heard of.
    #[default]
    None,
    /// It was in the calendar and is there no more, or it is marked as cancelled.
    Gone,
    /// It is to begin then, by the calendar or, where that does not know, by the row.
    Begins(Moment),
}

/// A message's place among those its recipient may be sent on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limit {
    /// Nobody counts.
    #[default]
    NotCounted,
    /// A place was taken. Whatever is not sent gives it back to this day.
    Taken {
        /// Of the recipient's calendar.
        day: civil::Date,
    },
    /// There was none left, and none was taken.
    Over {
        /// How many there are a day.
        limit: i32,
    },
}

/// Who counts what a recipient is sent in a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitSource {
    /// `punctual.daily_counts` alone.
    #[default]
    Punctual,
    /// That, and the app's own `daily_sms_count` as well.
    App,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_postgres_are_times_of_day() {
        let hour = 3_600_000_000;
        let quiet = QuietHours::from_micros(22 * hour + 1, 24 * hour).unwrap();
        assert_eq!(quiet.start, civil::time(22, 0, 0, 1_000));
        assert_eq!(quiet.end, civil::Time::midnight());
        assert_eq!(QuietHours::from_micros(-1, hour), None);
        assert_eq!(QuietHours::from_micros(hour, 24 * hour + 1), None);
    }

    #[test]
    fn a_word_that_is_no_priority_is_the_usual_one() {
        for (word, priority) in [
            (Some("low"), Priority::Low),
            (Some(" urgent "), Priority::Urgent),
            (Some("high"), Priority::High),
            (Some("normal"), Priority::Normal),
            (Some("very"), Priority::Normal),
            (None, Priority::Normal),
        ] {
            assert_eq!(Priority::of(word), priority);
        }
        assert!(Priority::Urgent > Priority::High && Priority::Normal > Priority::Low);
    }
}
