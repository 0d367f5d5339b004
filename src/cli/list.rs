//! `punctual list`: the messages of a filter.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use serde_json::json;

use super::select::{self, FilterArgs};
use super::timers::table;
use super::{output, session};
use crate::config::Sources;
use crate::message::Moment;
use crate::message::filter::{PAGE_MAX, PageStart};
use crate::store::doctor::database_time;
use crate::store::operator::{Listed, Paging};

const EXAMPLE: &str = "\
Example:
  punctual list --status unconfirmed
  punctual list --status failed --from '24h ago' --reason opted_out
  punctual list --search +13105550100

Of pending messages the next comes first; of all others, and of several statuses, the latest. Numbers are masked, and \
texts left out, without --full.";

/// List messages, by status, due time, user, campaign, template or reason, or search for them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Args {
    #[command(flatten)]
    filter: FilterArgs,
    /// Messages at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = limit)]
    limit: usize,
    /// Go on where an earlier list ended: its `next`
    #[arg(long, value_name = "PLACE")]
    after: Option<PageStart>,
    /// Show numbers and texts
    #[arg(long)]
    full: bool,
    /// Print JSON, with times in UTC
    #[arg(long)]
    json: bool,
}

fn limit(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(limit) if (1..=PAGE_MAX).contains(&limit) => Ok(limit),
        _ => Err(format!("a number from 1 to {PAGE_MAX}")),
    }
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let zone = TimeZone::system();
    let dsn = session::dsn(sources)?;
    let now = session::with(&dsn, async |client| Ok(database_time(client).await?)).await?;
    let filter = args.filter.filter(now, &zone)?;
    let store = select::store(&dsn);
    let (mut rows, mut after) = (Vec::new(), args.after);
    let next = loop {
        let paging = Paging {
            limit: args.limit - rows.len(),
            after,
            reveals: args.full,
        };
        let page = store.list(&filter, paging).await?;
        rows.extend(page.messages);
        match page.next {
            // A page may end early, where few of the rows that it read match.
            Some(next) if rows.len() < args.limit => after = Some(next.parse()?),
            next => break next,
        }
    };
    if args.json {
        let text = json!({"messages": rows, "next": next});
        return output::print(&format!("{text:#}\n"));
    }
    output::print(&show(&rows, next.as_deref(), now, &zone))
}

/// A line for each, and the texts where they were requested.
pub(super) fn show(rows: &[Listed], next: Option<&str>, now: Moment, zone: &TimeZone) -> String {
    if rows.is_empty() {
        return "no messages\n".to_owned();
    }
    let today = now.to_string().parse().ok();
    let today = today.map(|now| table::zoned(now, zone));
    let titles = ["ID", "DUE", "STATUS", "TO", "WHY"].map(str::to_owned);
    let lines = rows.iter().map(|row| {
        let to = output::one_line(&row.to);
        let text = row
            .body
            .as_ref()
            .map(|body| format!("  {}", output::one_line(body)));
        [
            row.id.to_string(),
            table::local(&row.due.to_string(), zone, today.as_ref()),
            row.status.clone(),
            to + &text.unwrap_or_default(),
            why(row),
        ]
    });
    let width = output::width().unwrap_or(usize::MAX);
    let mut text = table::columns(std::iter::once(titles).chain(lines).collect(), width);
    if let Some(next) = next {
        let _ = writeln!(text, "… more: --after {next}");
    }
    text
}

/// In a few words: the reason from the ledger, and what the row says.
fn why(row: &Listed) -> String {
    let detail = row.detail.as_deref().map(output::one_line);
    match (&row.reason, detail) {
        (Some(reason), Some(detail)) => format!("{reason}: {detail}"),
        (Some(reason), None) => reason.clone(),
        (None, detail) => detail.unwrap_or_default(),
    }
}
