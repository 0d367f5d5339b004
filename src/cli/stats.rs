//! `punctual stats`: how many messages there are, by time, status or reason.

use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::json;

use super::select::{self, FilterArgs};
use super::{output, session};
use crate::config::Sources;
use crate::message::filter::Search;
use crate::store::doctor::database_time;
use crate::store::operator::{By, Stats};

/// The time that is counted where none is given.
pub(super) const SPAN: Duration = Duration::from_secs(24 * 3600);

/// Count messages by status, reason, hour or day of their due time.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  punctual stats --by reason\n  punctual stats --by hour --from '7d ago' --status sent,delivered\n\n\
                  Without --from and --to: those due in the last 24 hours. Days are in the installation's time \
                  zone, shorter times in UTC."
)]
pub(super) struct Args {
    /// status, reason, day, hour, 15min, minute or 10s
    #[arg(long, value_name = "WHAT", default_value = "status")]
    by: By,
    #[command(flatten)]
    filter: FilterArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let dsn = session::dsn(sources)?;
    let now = session::with(&dsn, async |client| Ok(database_time(client).await?)).await?;
    let mut filter = args.filter.filter(now, &TimeZone::system())?;
    if filter.from.is_none()
        && filter.to.is_none()
        && !matches!(filter.search, Some(Search::Id { .. }))
    {
        filter.from = Some(now - SPAN);
        filter.to = Some(now);
    }
    let stats = select::store(&dsn).stats(&filter, args.by).await?;
    if args.json {
        let text = json!(stats);
        return output::print(&format!("{text:#}\n"));
    }
    output::print(&show(&stats))
}

/// A line for each key, with its statuses.
fn show(stats: &Stats) -> String {
    if stats.counts.is_empty() {
        return "no messages\n".to_owned();
    }
    let mut text = String::new();
    let width = stats
        .counts
        .iter()
        .map(|stat| stat.key.chars().count())
        .max();
    let width = width.unwrap_or_default();
    for group in stats.counts.chunk_by(|one, other| one.key == other.key) {
        let Some(first) = group.first() else {
            continue;
        };
        let all: i64 = group.iter().map(|stat| stat.messages).sum();
        let of_each = group
            .iter()
            .map(|stat| format!("{} {}", stat.messages, stat.status));
        let of_each = of_each.collect::<Vec<_>>().join(", ");
        let key = output::one_line(&first.key);
        let line = if first.key == first.status {
            format!("{key:width$}  {all}\n")
        } else {
            format!("{key:width$}  {all}: {of_each}\n")
        };
        text += &line;
    }
    if stats.is_partial {
        text += "… and more: these are the first that were counted; narrow the filter\n";
    }
    text
}
