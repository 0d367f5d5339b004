//! Parses the texts of settings. An error describes valid values; whether the text itself may be
//! shown is decided elsewhere.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use humantime::{format_duration, parse_duration};
use jiff::tz::TimeZone;
use reqwest::Url;
use secrecy::SecretString;
use serde::Serialize;
use tracing_subscriber::filter::Targets;

use super::raw::Raw;
use super::{Problem, StateSetting, key};
use crate::clock::ZoneData;
use crate::http::TOKEN_MIN;
use crate::message::facts::LimitSource;
use crate::message::parts::SEPARATOR;
use crate::message::{InDoubt, Retention};
use crate::policy::{BusinessHours, CampaignDefaults, HoursByCampaign, HoursByType, Validate};
use crate::schedule::{LEAD_MAX, LeadSetting};
use crate::store::{AppSchema, SchemaNameError};

type Parsed<T> = Result<T, String>;

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one JSON object per line.
    Json,
}

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Below the minimum, every timer would be read from the table instead of being in memory; the
/// maximum is half of the window within which triggers notify.
const HORIZON: RangeInclusive<Duration> = Duration::from_secs(10)..=HOUR;

/// Less than the time of a handshake would send nothing; more is not useful.
const SEND_TIMEOUT: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(300);

/// The minimum follows from the shortest send time-out. After a crash its messages are uncertain for
/// this long, so an hour is more than enough.
const LEASE: RangeInclusive<Duration> = Duration::from_millis(250)..=HOUR;

/// Less would cancel messages that only wait for a permit; more than a year means never.
const MAX_LATENESS: RangeInclusive<Duration> = SECOND..=Duration::from_secs(366 * 24 * 3600);

/// Longer than a minute between the parts of one message is a campaign.
const PART_GAP: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(60);

/// The minimum is that of `punctual.retain`: a restored database, a late callback or a look-up may need what is
/// younger.
const RETENTION: RangeInclusive<Duration> =
    Duration::from_secs(30 * DAY)..=Duration::from_secs(3660 * DAY);

/// A message whose delivery is not known is looked up for a day, and may be tried again.
const TEXT_RETENTION: RangeInclusive<Duration> =
    Duration::from_secs(DAY)..=Duration::from_secs(3660 * DAY);

const DAY: u64 = 24 * 3600;

/// The most characters of a separator.
const SEPARATOR_MAX: usize = 64;

/// Each is a task and a socket; more would exceed the ports to one address.
const MAX_IN_FLIGHT: RangeInclusive<usize> = 1..=10_000;

pub(super) fn horizon(text: &str) -> Parsed<Duration> {
    duration(text, &HORIZON)
}

pub(super) fn send_timeout(text: &str) -> Parsed<Duration> {
    duration(text, &SEND_TIMEOUT)
}

pub(super) fn lease(text: &str) -> Parsed<Duration> {
    duration(text, &LEASE)
}

pub(super) fn max_lateness(text: &str) -> Parsed<Duration> {
    duration(text, &MAX_LATENESS)
}

/// How long messages and their texts are kept, the texts no longer than the rest.
pub(super) fn retention_of(raw: &mut Raw) -> Retention {
    let messages = raw.or(&key::RETENTION, "90d", |text| match text {
        "forever" => Ok(None),
        _ => duration(text, &RETENTION)
            .map(Some)
            .map_err(|or| format!("forever, or {or}")),
    });
    let texts = raw.get(&key::TEXT_RETENTION, |text| duration(text, &TEXT_RETENTION));
    Retention { messages, texts }
}

pub(super) fn duration(text: &str, range: &RangeInclusive<Duration>) -> Parsed<Duration> {
    parse_duration(text)
        .ok()
        .filter(|d| range.contains(d))
        .ok_or_else(|| {
            format!(
                "a duration with its unit (like 500ms, 10s, 1h) from {} to {}",
                format_duration(*range.start()),
                format_duration(*range.end())
            )
        })
}

pub(super) fn in_doubt(text: &str) -> Parsed<InDoubt> {
    text.parse()
        .map_err(|_| "hold, resend_if_absent or resend".to_owned())
}

pub(super) fn lead(text: &str) -> Parsed<LeadSetting> {
    if text == "auto" {
        return Ok(LeadSetting::Auto);
    }
    duration(text, &(Duration::ZERO..=LEAD_MAX))
        .map(LeadSetting::Fixed)
        .map_err(|or| format!("auto, or {or}"))
}

pub(super) fn max_in_flight(text: &str) -> Parsed<usize> {
    text.parse()
        .ok()
        .filter(|n| MAX_IN_FLIGHT.contains(n))
        .ok_or_else(|| {
            let (least, most) = (MAX_IN_FLIGHT.start(), MAX_IN_FLIGHT.end());
            format!("an integer from {least} to {most}")
        })
}

pub(super) fn address(text: &str) -> Parsed<SocketAddr> {
    text.parse()
        .map_err(|_| "an IP address and a port, like 127.0.0.1:8080 or [::]:8080".into())
}

/// Checks only the form; the store parses it.
pub(super) fn database_url(text: &str) -> Parsed<SecretString> {
    let url = text.starts_with("postgres://") || text.starts_with("postgresql://");
    // libpq's other form: `host=… user=…`.
    let words = !text.contains("://") && text.contains('=');
    if url || words {
        Ok(text.into())
    } else {
        Err("postgres://USER:PASSWORD@HOST:5432/DATABASE".into())
    }
}

pub(super) fn schema(text: &str) -> Parsed<AppSchema> {
    text.parse()
        .map_err(|error: SchemaNameError| error.to_string())
}

/// A credential is sent in a header, where only visible ASCII is portable.
pub(super) fn credential(text: &str) -> Parsed<SecretString> {
    if text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text.into())
    } else {
        Err("letters, digits and punctuation without spaces".into())
    }
}

/// The PIN of a SIM.
pub(super) fn pin(text: &str) -> Parsed<SecretString> {
    if (4..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) {
        Ok(text.into())
    } else {
        Err("4 to 8 digits".into())
    }
}

/// A token of the HTTP API. It must not only be well-formed, but hard to guess.
pub(super) fn token(text: &str) -> Parsed<SecretString> {
    if text.len() >= TOKEN_MIN && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text.into())
    } else {
        Err(format!(
            "at least {TOKEN_MIN} letters, digits and punctuation without spaces, like what \
             `openssl rand -hex 32` prints; unset, one is made"
        ))
    }
}

pub(super) fn base_url(text: &str) -> Parsed<Url> {
    text.parse()
        .ok()
        .filter(is_plain)
        .ok_or_else(|| "a URL like https://example.com, without user, query or fragment".into())
}

/// Twilio refuses callbacks to a host with an underscore, and only when a message is sent.
pub(super) fn public_url(text: &str) -> Parsed<Url> {
    base_url(text).and_then(|url| match url.host_str() {
        Some(host) if host.contains('_') => {
            Err("a host name without an underscore, because Twilio would not call it".into())
        }
        _ => Ok(url),
    })
}

fn is_plain(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}

/// Whether it is writable is checked by the daemon, which creates and locks it.
pub(super) fn state_dir(text: &str) -> Parsed<StateSetting> {
    if text == "off" {
        return Ok(StateSetting::Off);
    }
    let path = PathBuf::from(text);
    if path.file_name().is_some() {
        Ok(StateSetting::Set(path))
    } else {
        Err("a directory like /var/lib/punctual, or off".into())
    }
}

pub(super) fn timezone(data: &ZoneData, text: &str) -> Parsed<TimeZone> {
    data.zones
        .get(text)
        .ok_or_else(|| "an IANA time zone, like Europe/Berlin or UTC".into())
}

pub(super) fn hours_by_type(text: &str) -> Parsed<HoursByType> {
    text.parse().map_err(|why| {
        format!(
            "none, or hours of message types like \
             `event_reminder = off | invoice = mon-fri 08:00-18:00`: {why}"
        )
    })
}

pub(super) fn campaign_hours(text: &str) -> Parsed<BusinessHours> {
    text.parse()
        .map_err(|why| format!("days and hours like `mon-fri 09:00-20:00`: {why}"))
}

/// The hours of campaigns that have none of their own.
pub(super) fn campaign_defaults(raw: &mut Raw, zones: &ZoneData) -> CampaignDefaults {
    let (hours, zone) = (CampaignDefaults::HOURS, CampaignDefaults::TIMEZONE);
    let zone_of = |name: &str| timezone(zones, name);
    CampaignDefaults {
        hours: raw.or(&key::CAMPAIGN_HOURS, hours, campaign_hours),
        timezone: raw.or(&key::CAMPAIGN_TIMEZONE, zone, zone_of),
    }
}

pub(super) fn hours_by_campaign(text: &str) -> Parsed<HoursByCampaign> {
    text.parse().map_err(|why| {
        format!(
            "none, or hours of campaigns like \
             `5f0c1c9e-0000-4000-8000-000000000001 = mon-fri 10:00-16:00`: {why}"
        )
    })
}

pub(super) fn business_hours(text: &str) -> Parsed<Option<BusinessHours>> {
    if text == "off" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|why| {
        format!(
            "off, or days and hours like `mon-fri 09:00-20:00` or \
             `mon-fri 09:00-12:00 13:00-18:00, sat 10:00-14:00`: {why}"
        )
    })
}

pub(super) fn yes_or_no(text: &str) -> Parsed<bool> {
    text.parse().map_err(|_| "true or false".into())
}

pub(super) fn limit_source(text: &str) -> Parsed<LimitSource> {
    match text {
        "punctual" => Ok(LimitSource::Punctual),
        "app" => Ok(LimitSource::App),
        _ => Err("punctual or app".into()),
    }
}

pub(super) fn part_separator(text: &str) -> Parsed<Option<String>> {
    let is_one = text.chars().count() <= SEPARATOR_MAX && !text.chars().any(char::is_control);
    is_one
        .then(|| Some(text.to_owned()).filter(|text| !text.is_empty()))
        .ok_or_else(|| {
            format!(
                "at most {SEPARATOR_MAX} characters without line breaks, like {SEPARATOR}; empty: texts are not divided"
            )
        })
}

pub(super) fn part_gap(text: &str) -> Parsed<Duration> {
    duration(text, &PART_GAP)
}

pub(super) fn validate(text: &str) -> Parsed<Validate> {
    [Validate::Warn, Validate::Refuse]
        .into_iter()
        .find(|mode| mode.as_str() == text)
        .ok_or_else(|| "warn or refuse".into())
}

pub(super) fn log_filter(text: &str) -> Parsed<Targets> {
    text.parse().map_err(|_| {
        "a level (error, warn, info, debug, trace) or target=level, separated by commas".into()
    })
}

pub(super) fn log_format(text: &str) -> Parsed<LogFormat> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("text or json".into()),
    }
}

/// A claim must outlast its request and the wait for a permit; with less, a request could still be
/// running after its lease, and another instance would make its message unconfirmed.
pub(super) fn deadlines_of(raw: &mut Raw) -> (Duration, Duration) {
    let within = raw.or(&key::SEND_TIMEOUT, "10s", send_timeout);
    let lease = raw.or(&key::LEASE, "30s", self::lease);
    let floor = 2 * within + LEAD_MAX;
    if lease < floor {
        raw.problem(Problem::LeaseTooShort {
            lease,
            send_timeout: within,
            floor,
        });
    }
    (within, lease)
}
