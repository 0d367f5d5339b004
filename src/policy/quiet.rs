//! Quiet hours: [start, end) in the recipient's local time.

use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::open_hours::OpenHours;
use super::zones::name_of;
use crate::message::Moment;
use crate::message::facts::QuietHours;

/// The earliest time at or after `at` that is not quiet in `zone`.
pub(super) fn end(hours: &QuietHours, zone: &TimeZone, at: Moment) -> Option<Moment> {
    if hours.start == hours.end {
        return Some(at);
    }
    // The open hours begin where the quiet ones end.
    OpenHours::daily(hours.end, hours.start).next_open(zone, at)
}

/// Whether `at` is in them.
pub fn is_quiet(hours: &QuietHours, zone: &TimeZone, at: Moment) -> bool {
    end(hours, zone, at) != Some(at)
}

/// For people.
pub(super) fn describe(hours: &QuietHours, zone: &TimeZone) -> String {
    let (from, until) = (clock(hours.start), clock(hours.end));
    format!("quiet hours {from}-{until} {}", name_of(zone))
}

/// `22:00`, with seconds only if they are not zero.
pub(super) fn clock(time: Time) -> String {
    if time.second() == 0 && time.subsec_nanosecond() == 0 {
        time.strftime("%H:%M").to_string()
    } else {
        time.strftime("%H:%M:%S%.f").to_string()
    }
}
