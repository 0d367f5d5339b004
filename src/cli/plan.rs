//! `punctual plan USER`: which events a user is reminded of on a day, and why others are not.

use std::fmt::Write as _;

use anyhow::bail;
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use super::{Usage, output, session};
use crate::config::{self, Sources};
use crate::message::{Moment, counted};
use crate::plan::reminders::{Decision, Event};
use crate::store::doctor::database_time;
use crate::store::planner::{self, DayPlan, Settings, UserDay};
use crate::store::user::UserSession;

/// Plan the reminders of a user's day, as the planner does at their midnight, and show why others are not planned.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  punctual plan 00000000-0000-0000-0000-000000000001 --dry-run\n  \
                  punctual plan 00000000-0000-0000-0000-000000000001 --day 2026-07-01 --dry-run"
)]
pub(super) struct Args {
    /// The id of the user
    #[arg(value_parser = user)]
    user: Uuid,
    /// A day of the user's calendar, like 2026-07-01 [default: the user's today]
    #[arg(long, value_name = "DATE", value_parser = date)]
    day: Option<Date>,
    /// Write nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON, with times in UTC
    #[arg(long)]
    json: bool,
}

fn user(text: &str) -> Result<Uuid, String> {
    text.trim().parse().map_err(|_| {
        "expected a UUID like 00000000-0000-0000-0000-000000000001, the user's id".into()
    })
}

fn date(text: &str) -> Result<Date, String> {
    text.trim()
        .parse()
        .map_err(|_| "expected a date like 2026-07-01".into())
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let dsn = session::dsn(sources)?;
    let settings = config::planner(sources)?;
    if !args.dry_run && settings.enabled != Some(true) {
        let why = "the planner is off, so nothing may be planned: add --dry-run to see what it would do, or set \
                   planner.enabled = true in punctual.toml and run `punctual migrate`";
        return Err(Usage::of("plan")(why.into()).into());
    }
    let rules = session::assumed(sources).rules;
    let (day, ids) = session::with(&dsn, async |client| {
        let settings = Settings {
            planning: &settings.planning,
            rules: &rules,
            now: database_time(client).await?,
        };
        let app = UserSession::new(client);
        let planned = app.at_once(!args.dry_run, async || plan(client, &args, settings).await);
        planned.await?
    })
    .await?;
    let ids = (!args.dry_run).then_some(ids);
    if args.json {
        return output::print(&format!("{:#}\n", as_json(&day, ids.as_deref())));
    }
    output::print(&as_lines(&day, ids.as_deref())?)
}

async fn plan(
    client: &Client,
    args: &Args,
    settings: Settings<'_>,
) -> anyhow::Result<(UserDay, Vec<Uuid>)> {
    if !args.dry_run && !planner::is_on(client).await? {
        bail!(
            "the planner is off in the database, so nothing was planned: run `punctual migrate` with the settings of the daemon, \
             or add --dry-run"
        );
    }
    let mut days = planner::days(client, &[args.user], args.day, settings).await?;
    let mut ids = Vec::new();
    if days.iter().any(|day| day.planned.is_ok()) {
        // Without it nothing would be planned, so a dry run says so too.
        let texts = planner::texts(client, &settings.planning.template).await?;
        if !args.dry_run {
            let put = planner::put(client, &days, &texts).await;
            ids = put.map_err(super::refused)?;
        }
    }
    match days.pop() {
        Some(day) => Ok((day, ids)),
        None => bail!("the user was not read"),
    }
}

fn as_lines(day: &UserDay, ids: Option<&[Uuid]>) -> anyhow::Result<String> {
    let of = match &day.planned {
        Ok(of) => of,
        Err(why) => bail!("nothing is planned for user {}: {}", day.user, why.text()),
    };
    let zone = of.zone.iana_name().unwrap_or("UTC");
    let Some(today) = of.day else {
        bail!("{zone} has no such day");
    };
    let left = match of.left {
        None => "no daily limit".to_owned(),
        Some(left) => format!(
            "{} left",
            counted(usize::try_from(left).unwrap_or(0), "text", "texts")
        ),
    };
    let mut text = format!(
        "{} in {zone}, {} before each event, {left}\n",
        today.date,
        counted(
            usize::try_from(of.lead.as_secs() / 60).unwrap_or(0),
            "minute",
            "minutes"
        ),
    );
    if of.events.is_empty() {
        text.push_str("  no events\n");
    }
    for (event, decision) in &of.events {
        let title = output::one_line(event.title.as_deref().unwrap_or("(no title)"));
        let what = match decision {
            Decision::Remind(at) if ids.is_some() => format!("planned for {}", clock(of, *at)),
            Decision::Remind(at) => format!("would be planned for {}", clock(of, *at)),
            Decision::Skip(skip) => format!("not planned: {}", skip.text()),
        };
        writeln!(text, "  {}  {title}  {what}", clock(of, event.starts))?;
    }
    if let Some(ids) = ids {
        let n = counted(ids.len(), "message", "messages");
        writeln!(text, "{n} inserted")?;
    }
    Ok(text)
}

/// By the user's clock.
fn clock(of: &DayPlan, at: Moment) -> String {
    Timestamp::from_microsecond(at.as_micros()).map_or_else(
        |_| at.to_string(),
        |at| of.zone.to_datetime(at).strftime("%m-%d %H:%M").to_string(),
    )
}

fn as_json(day: &UserDay, ids: Option<&[Uuid]>) -> Value {
    let event = |(event, decision): &(Event, Decision)| {
        let (remind_at, skipped) = match decision {
            Decision::Remind(at) => (Some(at.to_string()), None),
            Decision::Skip(skip) => (None, Some(skip.as_str())),
        };
        json!({
            "calendar_event_id": event.id,
            "title": event.title,
            "starts_at": event.starts.to_string(),
            "remind_at": remind_at,
            "skipped": skipped,
        })
    };
    match &day.planned {
        Err(why) => json!({"user_id": day.user, "unplanned": why.text()}),
        Ok(of) => json!({
            "user_id": day.user,
            "timezone": of.zone.iana_name(),
            "day": of.day.map(|day| day.date.to_string()),
            "lead_minutes": of.lead.as_secs() / 60,
            "left": of.left,
            "events": of.events.iter().map(event).collect::<Vec<_>>(),
            "messages": ids,
        }),
    }
}
