//! `punctual pause`, `punctual resume` and `punctual pauses`: stop messages for a while.

use std::io::{BufRead, IsTerminal, Write, stderr, stdin};

use anyhow::bail;
use jiff::tz::TimeZone;
use serde_json::json;

use super::schedule::zone;
use super::when::{self, FORMS, When};
use super::{Usage, changes, output, session};
use crate::config::Sources;
use crate::message::{Moment, PauseKey, PauseScope, Sender};
use crate::provider;
use crate::store::changes::HistoryOf;
use crate::store::doctor::database_time;
use crate::store::pauses::{self, Listed, expired_words};

/// How a scope is written.
const SCOPES: &str = "What to pause: nothing for everything, or lane=CHANNEL, sender=NUMBER, campaign=ID, user=ID, \
     type=MESSAGE_TYPE, text=KEY";

const PAUSE_HELP: &str = "\
Example:
  punctual pause --why 'wrong text in the brief'
  punctual pause type=daily_brief --until 'in 2h'

What is paused stays pending, and can be changed and cancelled. What is already being sent is not stopped.";

/// Stop messages until a time or until `punctual resume`: all, or those of a lane, sender, campaign, user, type or
/// text.
#[derive(Debug, clap::Args)]
#[command(after_help = PAUSE_HELP)]
pub(super) struct PauseArgs {
    #[arg(value_name = "SCOPE", value_parser = scope, help = SCOPES)]
    scope: Option<PauseKey>,

    #[arg(long, value_name = "WHEN")]
    #[arg(help = format!("When the pause ends [default: when somebody resumes]: {FORMS}"))]
    until: Option<String>,

    /// The reason, for others to read
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,

    /// Time zone of a local --until [default: this machine's]
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    timezone: Option<TimeZone>,

    /// Print JSON, with times in UTC
    #[arg(long)]
    json: bool,
}

/// End a pause; says first how many of its messages have expired meanwhile, and asks.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  punctual resume\n  punctual resume type=daily_brief --yes\n\n\
                  Messages whose send_before, or whose event's start, has passed are cancelled when the pause \
                  ends. The lateness of all others counts from then."
)]
pub(super) struct ResumeArgs {
    #[arg(value_name = "SCOPE", value_parser = scope, help = SCOPES)]
    scope: Option<PauseKey>,

    /// Do not ask
    #[arg(long)]
    yes: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// List what is paused, until when, by whom and why.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  punctual pauses\n  punctual pauses --history\n  punctual pauses --json"
)]
pub(super) struct ListArgs {
    /// Who paused, changed and resumed what, the last first, in place of what is paused
    #[arg(long)]
    history: bool,

    /// Print JSON, with times in UTC
    #[arg(long)]
    json: bool,
}

/// Reads a scope.
fn scope(text: &str) -> Result<PauseKey, String> {
    let Some((kind, what)) = text.split_once('=') else {
        return Err("expected lane=, sender=, campaign=, user=, type= or text= and a value; left out, it is everything".into());
    };
    let key = PauseKey::parse(kind.trim(), what, provider::TEXTS.sender_pools);
    key.map_err(|why| why.to_string())
}

/// As it is written on the command line.
fn named(scope: &str, what: &str) -> String {
    if what.is_empty() {
        return scope.to_owned();
    }
    let kind = PauseScope::of(scope).map_or(scope, |known| known.written());
    output::one_line(&format!("{kind}={what}"))
}

pub(super) async fn pause(args: PauseArgs, sources: &Sources) -> anyhow::Result<()> {
    let local = args.timezone.clone().unwrap_or_else(TimeZone::system);
    let until = args.until.as_deref().map(|text| When::parse(text, &local));
    let until = until.transpose().map_err(Usage::of("--until"))?;
    if let Some(note) = until.as_ref().and_then(When::note) {
        output::remark(note);
    }
    let (key, dsn) = (args.scope.unwrap_or_default(), session::dsn(sources)?);
    let (now, (paused, replaced)) = session::with(&dsn, async |client| {
        let now = database_time(client).await?;
        let end = until
            .as_ref()
            .map_or(Moment::MAX, |until| until.instant(now));
        if end <= now {
            let why = "the pause would be over already";
            return Err(Usage::of("--until")(why.to_owned()).into());
        }
        let paused = pauses::pause(client, &key, end, args.why.as_deref(), None).await;
        Ok((now, paused.map_err(super::refused)?))
    })
    .await?;
    if args.json {
        let mut text = json!(paused);
        text["replaced"] = json!(replaced);
        return output::print(&format!("{text:#}\n"));
    }
    let end = if paused.until == Moment::MAX {
        "until somebody resumes".to_owned()
    } else {
        let until = when::show(paused.until, &local);
        format!("until {until}, {}", when::distance(paused.until, now))
    };
    let name = named(&paused.scope, &paused.what);
    let was = replaced.map(|was| format!("it was already: {}\n", line(&was, now, &local)));
    output::print(&format!(
        "{name} is paused {end}\n{}",
        was.unwrap_or_default()
    ))
}

pub(super) async fn resume(args: ResumeArgs, sources: &Sources) -> anyhow::Result<()> {
    let (key, dsn) = (args.scope.unwrap_or_default(), session::dsn(sources)?);
    let name = named(key.scope.as_str(), &key.what);
    let sender = session::default_sender(sources);
    let (is_resumed, expired) = session::with(&dsn, async |client| {
        let sender = sender.as_ref().map(Sender::as_str);
        let expired = pauses::expired(client, &key, sender).await?;
        if expired > 0 && !args.yes {
            confirm(&name, expired)?;
        }
        let is_resumed = pauses::resume(client, &key).await.map_err(super::refused)?;
        Ok((is_resumed, expired))
    })
    .await?;
    if !is_resumed {
        bail!("{name} is not paused; `punctual pauses` lists what is");
    }
    if args.json {
        let text = json!({"scope": key.scope.as_str(), "what": key.what, "expired": expired});
        return output::print(&format!("{text:#}\n"));
    }
    output::print(&format!("{name} is resumed\n"))
}

/// Asks before messages are cancelled that nobody meant to cancel.
fn confirm(named: &str, expired: u64) -> anyhow::Result<()> {
    let warning = format!(
        "when {named} is resumed, {} will be cancelled",
        expired_words(expired)
    );
    if !stdin().is_terminal() {
        bail!("{warning}; to resume nevertheless: --yes");
    }
    let _ = write!(stderr(), "punctual: {warning}. Resume? [y/N] ");
    let mut answer = String::new();
    stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    bail!("nothing was changed");
}

/// A pause in a line: until when, by whom, since when and why.
fn line(pause: &Listed, now: Moment, local: &TimeZone) -> String {
    let name = named(&pause.scope, &pause.what);
    let until = if pause.until == Moment::MAX {
        "until resumed".to_owned()
    } else {
        format!("until {}", when::show(pause.until, local))
    };
    let since = when::distance(pause.at, now);
    let why = pause.why.as_ref().map(|why| format!(": {why}"));
    let by = format!("{}, {since}{}", pause.who, why.unwrap_or_default());
    format!("{name}, {until}; by {}", output::one_line(&by))
}

pub(super) async fn list(args: ListArgs, sources: &Sources) -> anyhow::Result<()> {
    if args.history {
        return changes::show(HistoryOf::Pauses, named, args.json, sources).await;
    }
    let dsn = session::dsn(sources)?;
    let (now, paused) = session::with(&dsn, async |client| {
        Ok((database_time(client).await?, pauses::list(client).await?))
    })
    .await?;
    if args.json {
        return output::print(&format!("{:#}\n", json!(paused)));
    }
    if paused.is_empty() {
        return output::print("nothing is paused\n");
    }
    let local = TimeZone::system();
    let lines = paused.iter().map(|pause| line(pause, now, &local) + "\n");
    output::print(&lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_until_of_the_example_is_understood() {
        let (_, until) = PAUSE_HELP.split_once("--until '").unwrap();
        let (until, _) = until.split_once('\'').unwrap();
        assert!(When::parse(until, &TimeZone::UTC).is_ok(), "{until}");
    }

    #[test]
    fn what_others_wrote_stays_on_its_line() {
        assert_eq!(named("everything", ""), "everything");
        assert_eq!(named("message_type", "brief"), "type=brief");
        assert_eq!(named("campaign", "a\u{1b}[2J\n"), "campaign=a\\u{1b}[2J\\n");
    }
}
