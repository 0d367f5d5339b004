//! `punctual schedule`.

use std::fmt::Write as _;

use clap::ValueEnum;
use jiff::tz::TimeZone;
use serde::Serialize;
use uuid::Uuid;

use super::when::{self, FORMS, When};
use super::{Usage, output, session};
use crate::config::Sources;
use crate::message::segments::Segments;
use crate::message::{E164, MessageId, Moment, Sender};
use crate::policy::BODY_MAX_CHARS;
use crate::store::doctor::database_time;
use crate::store::user::{Draft, UserSession};

const EXAMPLE: &str = "\
Example:
  punctual schedule --to +13105551234 --body 'See you at eight.' --at '2026-12-24 19:00'
  punctual schedule --to +13105551234 --body 'Tea is ready' --at 'in 4m'

Writes a row of scheduled_messages as your app would; a running `punctual run` sends it.";

/// Schedules one message.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Args {
    /// Whom to: + and the country code, digits only
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    to: E164,

    /// The text, at most 1600 characters
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    body: String,

    #[arg(long, value_name = "WHEN", allow_hyphen_values = true, help = at_help())]
    at: String,

    /// Who from: a number, short code or name of yours, or a messaging service [default: the
    /// daemon's sender]
    #[arg(long, value_name = "SENDER")]
    from: Option<Sender>,

    /// Whose message it is: their preferences (quiet hours, limits) count
    #[arg(long, value_name = "UUID")]
    user: Option<Uuid>,

    /// Cancelled, not sent, once this has passed; written like --at
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    send_before: Option<String>,

    /// Refused while another message with this key is still to be sent
    #[arg(long, value_name = "KEY")]
    dedup_key: Option<String>,

    /// Who goes first among those due together
    #[arg(long, value_enum, default_value_t = Priority::Normal)]
    priority: Priority,

    /// The recipient's zone, and that of a local --at [default for --at: this machine's]
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    timezone: Option<TimeZone>,

    #[arg(
        long,
        value_name = "TYPE",
        help = "What kind of message it is, like event_reminder"
    )]
    message_type: Option<String>,

    /// Take a time that has passed: the message leaves at once, or is cancelled as too late
    #[arg(long)]
    past_ok: bool,

    /// Print JSON, with times in UTC
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Priority {
    Low,
    Normal,
    High,
    Urgent,
}

impl Priority {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Urgent => "urgent",
        }
    }
}

fn at_help() -> String {
    format!("When: {FORMS}")
}

pub(super) fn zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| {
        "expected a name of the IANA time zone database, like Europe/Berlin or UTC".into()
    })
}

/// What is said of a message that was scheduled.
#[derive(Serialize)]
struct Told {
    id: MessageId,
    to: String,
    scheduled_at: Moment,
    send_before: Option<Moment>,
    characters: usize,
    segments: Segments,
    #[serde(skip)]
    now: Moment,
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let local = args.timezone.clone().unwrap_or_else(TimeZone::system);
    let at = When::parse(&args.at, &local).map_err(Usage::of("--at"))?;
    let send_before = args.send_before.as_deref();
    let send_before = send_before
        .map(|text| When::parse(text, &local).map_err(Usage::of("--send-before")))
        .transpose()?;
    check_body(&args.body)?;
    let dsn = session::dsn(sources)?;
    let scheduled = session::with(&dsn, async |client| {
        let now = database_time(client).await?;
        let times = Times::checked(&at, send_before.as_ref(), now, args.past_ok)?;
        let app = UserSession::new(client);
        insert(&app, &args, &times).await
    })
    .await?;
    if let Some(note) = at.note() {
        output::remark(note);
    }
    if args.json {
        let text = serde_json::to_string_pretty(&scheduled)?;
        return output::print(&format!("{text}\n"));
    }
    output::print(&tell(&scheduled, &local))
}

fn check_body(body: &str) -> Result<(), Usage> {
    let wrong = |what: String| Err(Usage::of("--body")(what));
    let characters = body.chars().count();
    if body.trim().is_empty() {
        return wrong("it is empty, and nobody is sent an empty message".into());
    }
    if characters > BODY_MAX_CHARS {
        return wrong(format!(
            "it has {characters} characters, at most {BODY_MAX_CHARS} can be sent"
        ));
    }
    // Postgres has no such character in a text.
    if body.contains('\0') {
        return wrong("it has a null character in it".into());
    }
    Ok(())
}

/// Why a moment that has passed is not taken.
pub(super) fn passed(at: Moment, now: Moment) -> Usage {
    Usage::of("--at")(format!(
        "{} was {}; such a message leaves at once, or is cancelled as too late: say --past-ok if \
         that is meant",
        when::show(at, &TimeZone::system()),
        when::distance(at, now)
    ))
}

/// The moments of a message, on the database's clock.
struct Times {
    now: Moment,
    at: Moment,
    send_before: Option<Moment>,
}

impl Times {
    fn checked(
        at: &When,
        send_before: Option<&When>,
        now: Moment,
        past_ok: bool,
    ) -> Result<Self, Usage> {
        let zone = TimeZone::system();
        let (at, send_before) = (at.instant(now), send_before.map(|w| w.instant(now)));
        if at < now && !past_ok {
            return Err(passed(at, now));
        }
        if let Some(before) = send_before.filter(|before| *before <= at.max(now)) {
            return Err(Usage::of("--send-before")(format!(
                "{} is not after the message's time: it would be cancelled, not sent",
                when::show(before, &zone)
            )));
        }
        Ok(Self {
            now,
            at,
            send_before,
        })
    }
}

async fn insert(
    app: &UserSession<&tokio_postgres::Client>,
    args: &Args,
    times: &Times,
) -> anyhow::Result<Told> {
    let draft = Draft {
        to: args.to.as_str(),
        from: args.from.as_ref().map(Sender::as_str),
        body: &args.body,
        at: times.at,
        user: args.user,
        timezone: args.timezone.as_ref().and_then(TimeZone::iana_name),
        send_before: times.send_before,
        priority: args.priority.as_str(),
        dedup_key: args.dedup_key.as_deref(),
        message_type: args.message_type.as_deref(),
    };
    let id = app.schedule(&draft).await.map_err(super::refused)?;
    let Some(id) = id else {
        anyhow::bail!("nothing was scheduled: a trigger of the table's own has left the row out");
    };
    Ok(Told {
        id,
        to: args.to.masked(),
        scheduled_at: times.at,
        send_before: times.send_before,
        characters: args.body.chars().count(),
        segments: Segments::of(&args.body),
        now: times.now,
    })
}

fn tell(it: &Told, zone: &TimeZone) -> String {
    let mut text = format!("scheduled {}\n", it.id);
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<10}{value}");
    };
    line("to", it.to.clone());
    let at = when::show(it.scheduled_at, zone);
    line(
        "at",
        format!("{at}, {}", when::distance(it.scheduled_at, it.now)),
    );
    if let Some(before) = it.send_before {
        line("before", when::show(before, zone));
    }
    line(
        "text",
        format!("{} characters, {}", it.characters, it.segments),
    );
    line("story", format!("punctual why {}", it.id));
    text
}
