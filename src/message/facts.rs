//! The facts that the policy judges a claimed row by, read with the claim.
//!
//! All are optional; a message without any is sent without restriction.

use jiff::civil;
use uuid::Uuid;

use super::Moment;

/// The facts of one message.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The user it belongs to.
    pub user_id: Option<Uuid>,
    /// Its `scheduled_at`. If that is before the start of an event, the message reminds of the event.
    pub scheduled_at: Option<Moment>,
    /// The recipient's time zone, as the row has it.
    pub timezone: Option<String>,
    /// That of the user in the app's own table of users.
    pub account_timezone: Option<String>,
    /// Whether Punctual itself has planned it.
    pub is_planned: bool,
    /// Its `message_type`.
    pub message_type: Option<String>,
    /// Its priority.
    pub priority: Priority,
    /// The template of its `template_id`, if it exists.
    pub template: Option<Template>,
    /// `template_vars` as JSON. With them the text is rendered from the template; without them it is the body.
    pub template_vars: Option<String>,
    /// The recipient's preferences, if there are any.
    pub preferences: Option<Preferences>,
    /// The quiet hours that the user has for its `message_type`, beside those of the preferences.
    pub type_hours: Option<TypeHours>,
    /// The calendar event it reminds of.
    pub event: Event,
    /// Its daily quota.
    pub limit: Limit,
    /// Its `subject`, of channels that show one.
    pub subject: Option<String>,
    /// The `html_template` of its template, of e-mails.
    pub html: Option<String>,
    /// The hours of its campaign, if that is one of `punctual.campaigns`.
    pub campaign_hours: Option<CampaignHours>,
    /// The URLs of its `media_urls`, or of the `media_url` of an app's table with such a column.
    pub media: Vec<String>,
}

/// Without texts of the app, which may be private.
impl std::fmt::Debug for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Facts")
            .field("user_id", &self.user_id)
            .field("timezone", &self.timezone)
            .field("message_type", &self.message_type)
            .field("is_planned", &self.is_planned)
            .field("priority", &self.priority)
            .field("event", &self.event)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// The quiet hours of a user for one type of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeHours {
    /// When.
    pub hours: QuietHours,
    /// The name of the time zone of their clock, if they have one.
    pub timezone: Option<String>,
}

/// When a campaign may send, as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignHours {
    /// Days and hours, in the form of `policy::BusinessHours`.
    pub hours: String,
    /// The name of their time zone.
    pub timezone: String,
    /// Whether the campaign was cancelled meanwhile.
    pub is_cancelled: bool,
    /// Whether the recipient has replied to it, and it stops then.
    pub has_reply: bool,
}

/// `scheduled_messages.priority`: of messages due at the same time the highest is sent first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// After all others.
    Low,
    /// The default, also for unknown values.
    #[default]
    Normal,
    /// Before `normal`.
    High,
    /// Before all others. Quiet hours do not apply to it if the installation is configured so.
    Urgent,
}

impl Priority {
    /// All priorities, in order.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Urgent];

    /// From the column's value.
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
    /// Its key, or else its name.
    pub name: String,
    /// `message_template`.
    pub text: String,
    /// `required_vars` as JSON: an array of names.
    pub required_vars: Option<String>,
    /// The most characters its rendered text may have.
    pub max_length: Option<i32>,
    /// Whether it is in use.
    pub is_active: bool,
}

/// A row of `user_sms_preferences`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Preferences {
    /// The phone number, of which [`Self::phone_verified`] speaks.
    pub phone_number: Option<String>,
    /// Whether the phone number is verified.
    pub phone_verified: bool,
    /// Whether the user has opted out of all messages.
    pub opted_out: bool,
    /// The kinds of message that are switched off.
    pub off: Vec<Switch>,
    /// The quiet hours.
    pub quiet_hours: Option<QuietHours>,
    /// The time zone.
    pub timezone: Option<String>,
}

/// Without the number, which is private.
impl std::fmt::Debug for Preferences {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Preferences")
            .field("phone_verified", &self.phone_verified)
            .field("opted_out", &self.opted_out)
            .field("off", &self.off)
            .field("quiet_hours", &self.quiet_hours)
            .field("timezone", &self.timezone)
            .finish_non_exhaustive()
    }
}

/// From `start` (included) to `end` (excluded) on the recipient's clock, across midnight if `end` is earlier.
/// If both are the same there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// When they start.
    pub start: civil::Time,
    /// When they end.
    pub end: civil::Time,
}

impl QuietHours {
    /// From microseconds since midnight, as in Postgres's `time`, where `24:00` is midnight. `None` if one of
    /// them is not a time of day.
    pub fn from_micros(start: i64, end: i64) -> Option<Self> {
        Some(Self {
            start: time_of_day(start)?,
            end: time_of_day(end)?,
        })
    }
}

/// 24 hours in microseconds.
pub(crate) const DAY_US: i64 = 24 * 3600 * 1_000_000;

fn time_of_day(us: i64) -> Option<civil::Time> {
    if !(0..=DAY_US).contains(&us) {
        return None;
    }
    let since = jiff::SignedDuration::from_micros(us % DAY_US);
    civil::Time::midnight().checked_add(since).ok()
}

/// The kinds of message that a user can switch off, each by a column of `user_sms_preferences`.
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
    /// All switches.
    pub const ALL: [Self; 7] = [
        Self::TaskReminders,
        Self::DailyBrief,
        Self::UrgentAlerts,
        Self::MorningKickoff,
        Self::EveningRecap,
        Self::NextUp,
        Self::EventReminders,
    ];

    /// Its column: false means off, null means on.
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

    /// The `message_type`s that it switches.
    pub const fn message_types(self) -> &'static [&'static str] {
        match self {
            Self::TaskReminders => &["task_reminder"],
            Self::DailyBrief => &["daily_brief", "daily_agenda"],
            Self::UrgentAlerts => &["urgent_alert"],
            Self::MorningKickoff => &["morning_kickoff"],
            Self::EveningRecap => &["evening_recap"],
            Self::NextUp => &["next_up"],
            Self::EventReminders => &["event_reminder", "event_starting_soon"],
        }
    }
}

/// The calendar event of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Event {
    /// The message has none.
    #[default]
    None,
    /// It names one that is not in the calendar; or it names no user, so that it is unknown whose event that is. When
    /// it starts, if the row says so.
    Missing(Option<Moment>),
    /// It was removed from the calendar, or is marked as cancelled.
    Gone,
    /// When it starts, by the calendar, or else by the row.
    Begins(Moment),
}

impl Event {
    /// When it starts, as far as is known.
    pub const fn starts(self) -> Option<Moment> {
        match self {
            Self::Begins(at) => Some(at),
            Self::Missing(at) => at,
            Self::None | Self::Gone => None,
        }
    }
}

/// The daily quota of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limit {
    /// Messages are not counted.
    #[default]
    NotCounted,
    /// Quota was used. If the message is not sent, it is returned to this day.
    Taken {
        /// The day, in the recipient's time zone.
        day: civil::Date,
    },
    /// There was no quota left, and none was used.
    Over {
        /// The daily limit.
        limit: i32,
    },
}

/// What counts towards the daily limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitSource {
    /// `punctual.daily_counts` alone.
    #[default]
    Punctual,
    /// Also the app's `daily_sms_count`.
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
