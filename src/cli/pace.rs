//! `punctual pace`: keeps the messages of a campaign apart.

use std::time::Duration;

use anyhow::bail;
use humantime::{format_duration, parse_duration};
use jiff::tz::TimeZone;
use serde_json::json;
use uuid::Uuid;

use super::{output, session, when};
use crate::config::Sources;
use crate::store::doctor::database_time;
use crate::store::paces::{self, Listed};

const HELP: &str = "\
Example:
  punctual pace set campaign 00000000-0000-0000-0000-00000000000c --gap 4m..7m
  punctual pace list
  punctual pace remove campaign 00000000-0000-0000-0000-00000000000c

Messages with this campaign_id are sent one after the other, in the order of their due times, a random gap apart. Those \
that wait stay pending, and can be changed and cancelled.";

/// Keep the messages of a campaign apart: set, list or remove its pace.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Set a pace, or change its gaps
    Set {
        #[command(flatten)]
        of: Of,

        /// The gap after each message: 5m, or a range like 4m..7m, in which each gap is drawn
        #[arg(long, value_name = "GAP", value_parser = gap)]
        gap: Gap,
    },
    /// List the paces, and when the next message of each may start
    List {
        /// Print JSON, with times in UTC
        #[arg(long)]
        json: bool,
    },
    /// Remove a pace: what waits for it is sent at once, or cancelled if it is too late by now
    Remove {
        #[command(flatten)]
        of: Of,

        /// Even if messages wait for it
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Of {
    /// What has the pace
    #[arg(value_name = "KIND", value_parser = ["campaign"])]
    kind: String,

    /// Its id
    #[arg(value_name = "ID", value_parser = campaign)]
    id: Uuid,
}

/// The shortest and the longest gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gap(Duration, Duration);

fn campaign(text: &str) -> Result<Uuid, String> {
    text.trim().parse().map_err(|_| {
        "expected the campaign's id, a UUID like 00000000-0000-0000-0000-00000000000c".to_owned()
    })
}

fn gap(text: &str) -> Result<Gap, String> {
    let form = "expected a time like 5m, or a range like 4m..7m, longer than 0 and at most 24h";
    let one = |text: &str| -> Option<Duration> {
        let gap = parse_duration(text.trim()).ok()?;
        (gap >= Duration::from_micros(1) && gap <= Duration::from_secs(86_400)).then_some(gap)
    };
    let (min, max) = text.split_once("..").unwrap_or((text, text));
    let gaps = one(min).zip(one(max)).filter(|(min, max)| min <= max);
    let (min, max) = gaps.ok_or(form)?;
    Ok(Gap(min, max))
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    match args.what {
        What::Set { of, gap } => set(of.id, gap, sources).await,
        What::List { json } => list(json, sources).await,
        What::Remove { of, yes } => remove(of.id, yes, sources).await,
    }
}

async fn set(campaign: Uuid, Gap(min, max): Gap, sources: &Sources) -> anyhow::Result<()> {
    let dsn = session::dsn(sources)?;
    session::with(&dsn, async |client| {
        let set = paces::set(client, campaign, (min, max)).await;
        set.map_err(super::refused)
    })
    .await?;
    let gap = gaps(min.as_secs_f64(), max.as_secs_f64());
    output::print(&format!(
        "the messages of campaign {campaign} are sent with a gap of {gap} after each\n"
    ))
}

async fn remove(campaign: Uuid, yes: bool, sources: &Sources) -> anyhow::Result<()> {
    let dsn = session::dsn(sources)?;
    let removed = session::with(&dsn, async |client| {
        let waiting = paces::waiting(client, campaign).await?;
        if waiting > 0 && !yes {
            bail!(
                "{waiting} due messages of campaign {campaign} wait for its pace, and nothing was changed: without it \
                 they are sent at once, and those that are overdue by more than PUNCTUAL_MAX_LATENESS are cancelled. \
                 To remove it nevertheless: --yes"
            );
        }
        let removed = paces::remove(client, campaign).await;
        removed.map_err(super::refused)
    })
    .await?;
    if !removed {
        bail!("campaign {campaign} has no pace; `punctual pace list` lists those that have");
    }
    output::print(&format!("campaign {campaign} has no pace any more\n"))
}

async fn list(as_json: bool, sources: &Sources) -> anyhow::Result<()> {
    let dsn = session::dsn(sources)?;
    let (now, all) = session::with(&dsn, async |client| {
        Ok((database_time(client).await?, paces::list(client).await?))
    })
    .await?;
    if as_json {
        return output::print(&format!("{:#}\n", json!(all)));
    }
    if all.is_empty() {
        return output::print("there is no pace\n");
    }
    let local = TimeZone::system();
    let line = |pace: &Listed| {
        let next = if pace.next_at > now {
            format!("the next at {}", when::show(pace.next_at, &local))
        } else {
            "the next when it is due".to_owned()
        };
        let gap = gaps(pace.gap_min_s, pace.gap_max_s);
        let by = output::one_line(&pace.who);
        let since = when::distance(pace.at, now);
        format!(
            "{} {}: every {gap}, {next}; {} so far; set by {by}, {since}\n",
            pace.scope, pace.what, pace.taken
        )
    };
    output::print(&all.iter().map(line).collect::<String>())
}

/// `4m..7m`, as it is entered.
fn gaps(min: f64, max: f64) -> String {
    let shown = |seconds: f64| {
        let span = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        format_duration(span).to_string()
    };
    if min < max {
        format!("{}..{}", shown(min), shown(max))
    } else {
        shown(min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_read_and_shown_in_one_form() {
        for (text, shown) in [
            ("4m..7m", Some("4m..7m")),
            ("90s", Some("1m 30s")),
            (" 500ms .. 2s ", Some("500ms..2s")),
            ("24h", Some("1day")),
            ("7m..4m", None),
            ("0s..4m", None),
            ("0s", None),
            ("25h", None),
            ("-4m", None),
            ("4", None),
            ("", None),
        ] {
            let read = gap(text).ok();
            let read = read.map(|Gap(min, max)| gaps(min.as_secs_f64(), max.as_secs_f64()));
            assert_eq!(read.as_deref(), shown, "{text}");
        }
    }
}
