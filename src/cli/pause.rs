//! `punctual pause`, `punctual resume` and `punctual pauses`: stop messages for a while.

use std::io::{BufRead, IsTerminal, Write, stderr, stdin};

use anyhow::bail;
use jiff::tz::TimeZone;
use serde_json::json;

use super::schedule::zone;
use super::when::{self, FORMS, When};
use super::{Usage, output, session};
use crate::config::{Config, Sources};
use crate::message::{Channel, Moment, PauseKey, PauseScope, Sender};
use crate::store::doctor::database_time;
use crate::store::pauses::{self, EXPIRED_MAX, Listed};

/// How a scope is written.
const SCOPES: &str = "What to pause: nothing for everything, or lane=CHANNEL, sender=NUMBER, campaign=ID, user=ID, \
     type=MESSAGE_TYPE";

/// Stop messages until a time or until `punctual resume`: all, or those of a lane, sender, campaign, user or type.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  punctual pause --why 'wrong text in the brief'\n  \
                  punctual pause type=daily_brief --until 'tomorrow 9:00'\n\n\
                  Takes effect within 100 ms, or two round trips to the database if those take longer. \
                  What is paused stays pending, and can be changed and cancelled."
)]
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
#[command(after_help = "Example:\n  punctual pauses\n  punctual pauses --json")]
pub(super) struct ListArgs {
    /// Print JSON, with times in UTC
    #[arg(long)]
    json: bool,
}

/// Reads a scope.
fn scope(text: &str) -> Result<PauseKey, String> {
    let Some((kind, what)) = text.split_once('=') else {
        return Err("expected lane=, sender=, campaign=, user= or type= and a value; left out, it is everything".into());
    };
    let what = what.trim().to_owned();
    let (scope, what) = match kind.trim() {
        "lane" => {
            let channels = Channel::ALL.map(Channel::as_str);
            let what = what.to_lowercase();
            if !channels.contains(&&*what) {
                return Err(format!("a lane is one of {}", channels.join(", ")));
            }
            (PauseScope::Lane, what)
        }
        "sender" => {
            let sender: Sender = what.parse().map_err(|e| format!("{e}"))?;
            (PauseScope::Sender, sender.as_str().to_owned())
        }
        "campaign" => (PauseScope::Campaign, what.to_lowercase()),
        "user" => (PauseScope::User, super::message_id(&what)?.to_string()),
        "type" => (PauseScope::MessageType, what),
        other => {
            return Err(format!(
                "there is no {other} to pause: use lane, sender, campaign, user or type"
            ));
        }
    };
    if what.is_empty() {
        return Err(format!(
            "which {}? A value must follow the =",
            scope.as_str()
        ));
    }
    Ok(PauseKey { scope, what })
}

fn key(scope: Option<PauseKey>) -> PauseKey {
    scope.unwrap_or_else(|| PauseKey {
        scope: PauseScope::Everything,
        what: String::new(),
    })
}

/// As it was written on the command line.
fn named(key: &PauseKey) -> String {
    match key.scope {
        PauseScope::Everything => "everything".to_owned(),
        PauseScope::MessageType => format!("type={}", key.what),
        scope => format!("{}={}", scope.as_str(), key.what),
    }
}

pub(super) async fn pause(args: PauseArgs, sources: &Sources) -> anyhow::Result<()> {
    let local = args.timezone.clone().unwrap_or_else(TimeZone::system);
    let until = args.until.as_deref().map(|text| When::parse(text, &local));
    let until = until.transpose().map_err(Usage::of("--until"))?;
    let (key, dsn) = (key(args.scope), session::dsn(sources)?);
    let (now, paused) = session::with(&dsn, async |client| {
        let now = database_time(client).await?;
        let end = until
            .as_ref()
            .map_or(Moment::MAX, |until| until.instant(now));
        if end <= now {
            bail!("--until: the pause would be over already");
        }
        let paused = pauses::pause(client, &key, end, args.why.as_deref()).await;
        Ok((now, paused.map_err(super::refused)?))
    })
    .await?;
    if args.json {
        return output::print(&format!("{:#}\n", json!(paused)));
    }
    let end = if paused.until == Moment::MAX {
        "until somebody resumes".to_owned()
    } else {
        let until = when::show(paused.until, &local);
        format!("until {until}, {}", when::distance(paused.until, now))
    };
    output::print(&format!("{} is paused {end}\n", named(&key)))
}

pub(super) async fn resume(args: ResumeArgs, sources: &Sources) -> anyhow::Result<()> {
    let (key, dsn) = (key(args.scope), session::dsn(sources)?);
    // Without valid settings no sender is the default one.
    let config = Config::load(sources).ok();
    let sender = config.and_then(|config| config.default_sender);
    let (is_resumed, expired) = session::with(&dsn, async |client| {
        let sender = sender.as_ref().map(Sender::as_str);
        let expired = pauses::expired(client, &key, sender).await?;
        if expired > 0 && !args.yes {
            confirm(&named(&key), expired)?;
        }
        let is_resumed = pauses::resume(client, &key).await.map_err(super::refused)?;
        Ok((is_resumed, expired))
    })
    .await?;
    if !is_resumed {
        bail!(
            "{} is not paused; `punctual pauses` lists what is",
            named(&key)
        );
    }
    if args.json {
        let text = json!({"scope": key.scope.as_str(), "what": key.what, "expired": expired});
        return output::print(&format!("{text:#}\n"));
    }
    output::print(&format!("{} is resumed\n", named(&key)))
}

/// Asks before messages are cancelled that nobody meant to cancel.
fn confirm(named: &str, expired: u64) -> anyhow::Result<()> {
    let many = if expired == EXPIRED_MAX.unsigned_abs() {
        "or more "
    } else {
        ""
    };
    let warning = format!(
        "{expired} {many}messages have passed their send_before or the start of their event, and will be cancelled \
         when {named} is resumed"
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

pub(super) async fn list(args: ListArgs, sources: &Sources) -> anyhow::Result<()> {
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
    let line = |pause: &Listed| {
        let scope = PauseScope::of(&pause.scope);
        let name = scope.map(|scope| PauseKey {
            scope,
            what: pause.what.clone(),
        });
        let name = name.map_or_else(|| pause.scope.clone(), |key| named(&key));
        let until = if pause.until == Moment::MAX {
            "until resumed".to_owned()
        } else {
            format!("until {}", when::show(pause.until, &local))
        };
        let since = when::distance(pause.at, now);
        let why = pause.why.as_ref().map(|why| {
            let why: String = why.chars().filter(|c| !c.is_control()).collect();
            format!(": {why}")
        });
        format!(
            "{name}, {until}; by {}, {since}{}\n",
            pause.who,
            why.unwrap_or_default()
        )
    };
    output::print(&paused.iter().map(line).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_read_in_the_form_that_the_table_has() {
        for (text, expected) in [
            ("lane=SMS", Some((PauseScope::Lane, "sms"))),
            ("lane=fax", None),
            (
                "sender= +15005550006",
                Some((PauseScope::Sender, "+15005550006")),
            ),
            ("sender=", None),
            ("campaign=A1", Some((PauseScope::Campaign, "a1"))),
            (
                "user=00000000-0000-0000-0000-00000000000A",
                Some((PauseScope::User, "00000000-0000-0000-0000-00000000000a")),
            ),
            ("user=7", None),
            (
                "type=daily_brief",
                Some((PauseScope::MessageType, "daily_brief")),
            ),
            ("type= ", None),
            ("everything", None),
            ("colour=red", None),
        ] {
            let read = scope(text).ok();
            let read = read.as_ref().map(|key| (key.scope, &*key.what));
            assert_eq!(read, expected, "{text}");
        }
    }
}
