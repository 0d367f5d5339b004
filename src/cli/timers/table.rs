//! Formats the daemon's timers as a table that fits the terminal.

use std::fmt::Write;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use serde::Deserialize;

/// The part of `GET /debug/timers` that is shown. Times stay texts: an unreadable one is shown
/// as received.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    now: String,
    pub(super) ready: bool,
    clock: Clock,
    window: Window,
    lead_us: u64,
    lateness_us: Lateness,
    paces: Vec<Pace>,
    /// Missing from daemons of the version before.
    #[serde(default)]
    slowed: Slowed,
    timers: Vec<Timer>,
}

#[derive(Debug, Deserialize)]
struct Pace {
    scope: String,
    what: String,
    next_at: String,
    /// Missing from daemons of the version before, as is the next.
    #[serde(default)]
    channel: String,
    #[serde(default)]
    refused: bool,
}

#[derive(Debug, Deserialize)]
struct Clock {
    offset_us: Option<i64>,
    uncertainty_us: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Window {
    until: Option<String>,
    armed: u64,
    beyond: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Lateness {
    count: u64,
    p50: u64,
    p99: u64,
}

/// Counts of what the provider slows.
#[derive(Debug, Default, Deserialize)]
struct Slowed {
    senders: u64,
    recipients: u64,
    senders_refused: u64,
}

impl Slowed {
    /// A line, if there is any.
    fn line(&self) -> String {
        let counts = [
            (self.senders, "senders throttled"),
            (self.recipients, "recipients throttled"),
            (self.senders_refused, "senders refused"),
        ];
        let counts = counts.into_iter().filter(|(n, _)| *n > 0);
        let counts: Vec<_> = counts.map(|(n, what)| format!("{n} {what}")).collect();
        if counts.is_empty() {
            String::new()
        } else {
            format!("by the provider: {}\n", counts.join(" · "))
        }
    }
}

#[derive(Debug, Deserialize)]
struct Timer {
    id: String,
    due_at: String,
    due_in_us: i64,
    state: String,
    attempt: i64,
    /// Missing while the database does not say it.
    #[serde(default)]
    forecast: Option<Forecast>,
}

/// What will happen to a message.
#[derive(Debug, Deserialize)]
struct Forecast {
    outcome: String,
    #[serde(default)]
    reason: Option<String>,
    text: String,
}

impl Forecast {
    /// It is sent when it is due.
    fn is_plain(&self) -> bool {
        self.outcome == "send" && self.reason.is_none()
    }
}

/// The order in which columns are dropped on a narrow terminal, by index. The id stays, and is
/// shortened at last.
const DISPENSABLE: [usize; 3] = [4, 3, 2];

/// The characters of a shortened id: its end, which is the random part.
const ID_SHORT: usize = 12;

/// Two lines about the daemon, then a line per timer, with times in `zone`, in at most `width`
/// columns, and what will happen to those that are not simply sent when they are due. `not_ready`: why the daemon is
/// not ready.
pub(super) fn render(
    answer: &Answer,
    not_ready: Option<&str>,
    zone: &TimeZone,
    width: Option<usize>,
) -> String {
    let today = answer.now.parse().ok().map(|now| zoned(now, zone));
    let width = width.unwrap_or(usize::MAX);
    let mut text = fold(&head(answer, not_ready, zone, today.as_ref()), width);
    for Pace {
        scope,
        what,
        next_at,
        channel,
        refused,
    } in &answer.paces
    {
        let next = local(next_at, zone, today.as_ref());
        let line = if *refused {
            format!(
                "the next of {scope} {what} goes by {channel}, and waits: the provider refuses the account\n"
            )
        } else {
            format!("the next of {scope} {what} waits for its pace, about {next}\n")
        };
        text += &fold(&line, width);
    }
    if answer.timers.is_empty() {
        text += "no timers\n";
        return text;
    }
    let rows = answer.timers.iter().map(|timer| {
        [
            timer.id.clone(),
            local(&timer.due_at, zone, today.as_ref()),
            due_in(timer.due_in_us),
            timer.state.clone(),
            timer.attempt.to_string(),
        ]
    });
    let titles = ["ID", "DUE", "IN", "STATE", "ATTEMPT"].map(str::to_owned);
    text += &columns(std::iter::once(titles).chain(rows).collect(), width);
    for timer in &answer.timers {
        if let Some(forecast) = timer.forecast.as_ref().filter(|known| !known.is_plain()) {
            text += &wrap(&format!("{}: {}", timer.id, forecast.text), width);
        }
    }
    let shown = answer.timers.len() as u64;
    if let Some(more) = answer.window.armed.checked_sub(shown).filter(|n| *n > 0) {
        let _ = writeln!(text, "… {more} more (--limit, up to 10000)");
    }
    text
}

fn head(
    answer: &Answer,
    not_ready: Option<&str>,
    zone: &TimeZone,
    today: Option<&ZonedDateTime>,
) -> String {
    let ready = not_ready.map_or_else(|| "ready".to_owned(), |why| format!("NOT READY: {why}"));
    let until = answer.window.until.as_ref();
    let until = until.map(|until| format!(", due before {}", local(until, zone, today)));
    let clock = match (answer.clock.offset_us, answer.clock.uncertainty_us) {
        (Some(offset), Some(uncertainty)) => {
            format!("{} ± {}", short(offset), short(signed(uncertainty)))
        }
        _ => "not measured".to_owned(),
    };
    // Unknown if the database did not count them in time.
    let beyond = answer.window.beyond;
    let beyond = beyond.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let late = &answer.lateness_us;
    let lateness = if late.count == 0 {
        "none sent yet".to_owned()
    } else {
        let (p50, p99) = (short(signed(late.p50)), short(signed(late.p99)));
        format!("p50 {p50}, p99 {p99} of {}", late.count)
    };
    format!(
        "{ready} · {} armed{} · {beyond} later · times in {}\n\
         clock {clock} · lead {} · lateness {lateness}\n{}",
        answer.window.armed,
        until.unwrap_or_default(),
        zone.iana_name().unwrap_or("local time"),
        short(signed(answer.lead_us)),
        answer.slowed.line(),
    )
}

/// Breaks a line that is too wide between its words.
fn wrap(line: &str, width: usize) -> String {
    let (mut wrapped, mut column) = (String::new(), 0);
    for word in line.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            wrapped += "\n  ";
            column = 2;
        } else if column > 0 {
            wrapped.push(' ');
            column += 1;
        }
        wrapped += word;
        column += length;
    }
    wrapped.push('\n');
    wrapped
}

/// Breaks lines that are too wide between their items.
fn fold(text: &str, width: usize) -> String {
    const BETWEEN: &str = " · ";
    let mut folded = String::new();
    for line in text.lines() {
        let mut column = 0;
        for part in line.split(BETWEEN) {
            let length = part.chars().count();
            let between = if column == 0 {
                0
            } else {
                BETWEEN.chars().count()
            };
            if column > 0 && column + between + length > width {
                folded.push('\n');
                column = 0;
            } else if column > 0 {
                folded += BETWEEN;
                column += between;
            }
            folded += part;
            column += length;
        }
        folded.push('\n');
    }
    folded
}

/// Left-aligned columns two spaces apart, each as wide as its widest cell; as many as fit.
pub(in crate::cli) fn columns<const N: usize>(mut rows: Vec<[String; N]>, width: usize) -> String {
    const GAP: usize = 2;
    let widths = |rows: &[[String; N]]| {
        let mut widths = [0; N];
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    };
    let mut shown: Vec<usize> = (0..N).collect();
    let total = |widths: &[usize; N], shown: &[usize]| {
        shown.iter().map(|at| widths[*at]).sum::<usize>() + GAP * shown.len().saturating_sub(1)
    };
    for at in DISPENSABLE {
        if total(&widths(&rows), &shown) > width {
            shown.retain(|column| *column != at);
        }
    }
    if total(&widths(&rows), &shown) > width {
        for row in rows.iter_mut().skip(1) {
            let skipped = row[0].chars().count().saturating_sub(ID_SHORT);
            row[0] = format!("…{}", row[0].chars().skip(skipped).collect::<String>());
        }
    }
    let widths = widths(&rows);
    let mut text = String::new();
    for row in rows {
        let cells = shown
            .iter()
            .map(|at| format!("{:width$}", row[*at], width = widths[*at]));
        text += cells.collect::<Vec<_>>().join(&" ".repeat(GAP)).trim_end();
        text.push('\n');
    }
    text
}

pub(in crate::cli) fn zoned(time: Timestamp, zone: &TimeZone) -> ZonedDateTime {
    time.to_zoned_datetime(zone.clone())
}

/// The time of day with milliseconds; for another day than `today`, the day and the minute.
/// Both are cut off, not rounded up.
pub(in crate::cli) fn local(time: &str, zone: &TimeZone, today: Option<&ZonedDateTime>) -> String {
    let Ok(time) = time.parse::<Timestamp>() else {
        return time.to_owned();
    };
    let time = zoned(time, zone);
    let format = if today.is_some_and(|today| today.date() == time.date()) {
        "%H:%M:%S%.3f"
    } else {
        "%b %d %H:%M"
    };
    time.strftime(format).to_string()
}

/// A duration in two units, negative if it is in the past.
fn due_in(us: i64) -> String {
    let sign = if us < 0 { "-" } else { "" };
    let seconds = us.unsigned_abs() / 1_000_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..60 => short(us),
        60..3600 => format!("{sign}{minutes}m {:02}s", seconds % 60),
        3600..86400 => format!("{sign}{hours}h {:02}m", minutes % 60),
        _ => format!("{sign}{days}d {:02}h", hours % 24),
    }
}

/// A short duration in a suitable unit.
fn short(us: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let us_f = us as f64;
    match us.unsigned_abs() {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{:.1} ms", us_f / 1e3),
        _ => format!("{:.1} s", us_f / 1e6),
    }
}

fn signed(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
