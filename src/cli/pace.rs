//! `punctual pace`: keeps the messages of a campaign apart, or a sender to its rate.

use std::time::Duration;

use anyhow::bail;
use humantime::{format_duration, parse_duration};
use jiff::tz::TimeZone;
use serde_json::json;
use uuid::Uuid;

use super::schedule::sender;
use super::{changes, output, session, when};
use crate::config::Sources;
use crate::message::{PaceKey, PaceScope, Sender};
use crate::store::changes::HistoryOf;
use crate::store::doctor::{self, Level, database_time};
use crate::store::paces::{self, Listed};

const HELP: &str = "\
Example:
  punctual pace set campaign 00000000-0000-0000-0000-00000000000c --gap 4m..7m
  punctual pace set sender +15005550006 --rate 1 --burst 3
  punctual pace list
  punctual pace remove sender +15005550006

Messages with this campaign_id are sent one after the other, in the order of their due times, a random gap apart. The \
texts of this sender are sent at this rate. Messages that wait stay pending, and can be changed and cancelled.";

/// Keep the messages of a campaign apart, or a sender to a rate: set, list or remove a pace.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Set a pace, or change it
    Set {
        #[command(flatten)]
        of: Of,

        /// Of a campaign, the gap after each message: 5m, or a range like 4m..7m, in which each gap is drawn
        #[arg(long, value_name = "GAP", value_parser = gap, required_unless_present = "rate")]
        gap: Option<Gap>,

        /// Of a sender, the segments in a second: 1, or 0.2 for one in 5 s
        #[arg(long, value_name = "SEGMENTS", value_parser = rate, conflicts_with = "gap")]
        rate: Option<Gap>,

        /// Of a sender, the segments it may send at once after it has sent nothing for a while
        #[arg(long, value_name = "SEGMENTS", requires = "rate", default_value_t = 1,
              value_parser = clap::value_parser!(i32).range(1..=10_000))]
        burst: i32,
    },
    /// List the paces, and when the next message of each may start
    List {
        /// Who set, changed and removed which pace, the last first
        #[arg(long)]
        history: bool,

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
    #[arg(value_name = "KIND", value_parser = ["campaign", "sender"])]
    kind: String,

    /// Which one: the campaign's id, or the sender as rows name it
    #[arg(value_name = "WHICH", allow_hyphen_values = true)]
    which: String,
}

impl Of {
    fn key(&self) -> anyhow::Result<PaceKey> {
        if self.kind == PaceScope::Sender.as_str() {
            return match sender(self.which.trim()) {
                Ok(sender) => Ok(PaceKey {
                    scope: PaceScope::Sender,
                    what: sender.as_str().to_owned(),
                }),
                Err(why) => bail!("this is no sender: {why}"),
            };
        }
        let Ok(id) = self.which.trim().parse::<Uuid>() else {
            bail!("expected the campaign's id, a UUID like 00000000-0000-0000-0000-00000000000c");
        };
        Ok(PaceKey {
            scope: PaceScope::Campaign,
            what: id.to_string(),
        })
    }
}

/// For people.
fn named(scope: &str, what: &str) -> String {
    format!("{scope} {what}")
}

/// The shortest and the longest gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap(pub(super) Duration, pub(super) Duration);

pub(super) fn gap(text: &str) -> Result<Gap, String> {
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

/// As the time of one segment, rounded up so that no more are sent than that.
fn rate(text: &str) -> Result<Gap, String> {
    let form =
        "expected segments in a second, like 1 or 0.2, more than one in 24 h and at most 1000";
    let rate: f64 = text.trim().parse().map_err(|_| form)?;
    if !(1.0 / 86_400.0..=1_000.0).contains(&rate) {
        return Err(form.into());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between a millisecond and a day, in microseconds"
    )]
    let us = (1e6 / rate).ceil() as u64;
    let each = Duration::from_micros(us);
    Ok(Gap(each, each))
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    match args.what {
        What::Set {
            of,
            gap,
            rate,
            burst,
        } => {
            let key = of.key()?;
            let gap = match (key.scope, gap, rate) {
                (PaceScope::Campaign, Some(gap), _) | (PaceScope::Sender, _, Some(gap)) => gap,
                (PaceScope::Campaign, ..) => {
                    bail!("the pace of a campaign has a gap: --gap 4m..7m")
                }
                (PaceScope::Sender, ..) => {
                    bail!("the pace of a sender has a rate: --rate 1 --burst 3")
                }
            };
            set(&key, gap, burst, sources).await
        }
        What::List {
            history: true,
            json,
        } => changes::show(HistoryOf::Paces, named, json, sources).await,
        What::List { json, .. } => list(json, sources).await,
        What::Remove { of, yes } => remove(&of.key()?, yes, sources).await,
    }
}

async fn set(
    key: &PaceKey,
    Gap(min, max): Gap,
    burst: i32,
    sources: &Sources,
) -> anyhow::Result<()> {
    let dsn = session::dsn(sources)?;
    let indexes = session::with(&dsn, async |client| {
        let set = paces::set(client, key, (min, max), burst).await;
        set.map_err(super::refused)?;
        // The first rate needs one that no other installation has.
        Ok(doctor::indexes(client).await?)
    })
    .await?;
    if key.scope == PaceScope::Sender && indexes.level != Level::Ok {
        let (found, remedy) = (indexes.found, indexes.remedy);
        output::remark(&format!("the rate is kept, but {found}; {remedy}"));
    }
    let what = &key.what;
    output::print(&match key.scope {
        PaceScope::Campaign => {
            let gap = gaps(min.as_secs_f64(), max.as_secs_f64());
            format!("the messages of campaign {what} are sent with a gap of {gap} after each\n")
        }
        PaceScope::Sender => {
            let rate = rated(min.as_secs_f64(), burst);
            format!("the messages of sender {what} are sent at {rate}\n")
        }
    })
}

async fn remove(key: &PaceKey, yes: bool, sources: &Sources) -> anyhow::Result<()> {
    let dsn = session::dsn(sources)?;
    let name = named(key.scope.as_str(), &key.what);
    let default = session::default_sender(sources);
    let removed = session::with(&dsn, async |client| {
        let default = default.as_ref().map(Sender::as_str);
        let waiting = paces::waiting(client, key, default).await?;
        if waiting > 0 && !yes {
            bail!(
                "{waiting} due messages of {name} wait for its pace, and nothing was changed: without it \
                 they are sent at once, and those that are overdue by more than PUNCTUAL_MAX_LATENESS are cancelled. \
                 To remove it nevertheless: --yes"
            );
        }
        let removed = paces::remove(client, key).await;
        removed.map_err(super::refused)
    })
    .await?;
    if !removed {
        bail!("{name} has no pace; `punctual pace list` lists those that have");
    }
    output::print(&format!("{name} has no pace any more\n"))
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
        let pace_of = if pace.scope == PaceScope::Sender.as_str() {
            rated(pace.gap_min_s, pace.burst)
        } else {
            format!("every {}", gaps(pace.gap_min_s, pace.gap_max_s))
        };
        let by = output::one_line(&pace.who);
        let since = when::distance(pace.at, now);
        format!(
            "{} {}: {pace_of}, {next}; {} so far; set by {by}, {since}\n",
            pace.scope, pace.what, pace.taken
        )
    };
    output::print(&all.iter().map(line).collect::<String>())
}

/// `1 segment a second, 3 at once`.
pub(super) fn rated(segment_s: f64, burst: i32) -> String {
    let rate = (1e3 / segment_s).round() / 1e3;
    let of = if rate >= 1.0 {
        format!(
            "{rate} segment{} a second",
            if rate > 1.0 { "s" } else { "" }
        )
    } else {
        format!("one segment every {}", gaps(segment_s, segment_s))
    };
    format!("{of}, {burst} at once")
}

/// `4m..7m`, as it is entered.
pub(super) fn gaps(min: f64, max: f64) -> String {
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
    fn rates_are_read_and_shown_in_one_form() {
        for (text, shown) in [
            ("1", Some("1 segment a second, 3 at once")),
            (" 2.5 ", Some("2.5 segments a second, 3 at once")),
            ("3", Some("3 segments a second, 3 at once")),
            ("0.2", Some("one segment every 5s, 3 at once")),
            ("0", None),
            ("-1", None),
            ("1001", None),
            ("NaN", None),
            ("fast", None),
        ] {
            let read = rate(text).ok();
            let read = read.map(|Gap(each, _)| rated(each.as_secs_f64(), 3));
            assert_eq!(read.as_deref(), shown, "{text}");
        }
    }

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
