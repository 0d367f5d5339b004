//! Which messages a command is about: one, named by its id or a part of it, or those of a filter.

use std::fmt::Write as _;

use anyhow::bail;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::when::When;
use super::{Usage, output};
use crate::message::filter::Search;
use crate::message::{Filter, FilterError, InstanceId, MessageId, Moment, Status};
use crate::schedule::LookUpPlan;
use crate::store::operator::Listed;
use crate::store::{Dsn, Store};

/// Candidates that are shown where a message is not named precisely.
const SHOWN: usize = 10;

/// The options of a filter.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Filter")]
pub(super) struct FilterArgs {
    /// In this status; several separated by commas
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = status)]
    status: Vec<Status>,
    /// Due at this time or later: as for --at, or "2h ago"
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    from: Option<String>,
    /// Due before this time
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    to: Option<String>,
    /// The beginning of an id, a recipient, or the provider's id
    #[arg(long = "search", value_name = "TEXT", value_parser = search, allow_hyphen_values = true)]
    search: Option<Search>,
    /// Messages of this user
    #[arg(long, value_name = "ID")]
    user: Option<Uuid>,
    /// Messages of this campaign
    #[arg(long, value_name = "ID")]
    campaign: Option<Uuid>,
    /// Made from this template
    #[arg(long, value_name = "ID")]
    template: Option<Uuid>,
    #[arg(long, value_name = "REASON")]
    #[arg(help = "Not sent for this reason, like opted_out; none: without one")]
    reason: Option<String>,
}

fn status(text: &str) -> Result<Status, String> {
    text.trim()
        .parse()
        .map_err(|_| FilterError::Status.to_string())
}

/// Reads what names a message.
pub(super) fn search(text: &str) -> Result<Search, String> {
    text.parse().map_err(|error: FilterError| error.to_string())
}

impl FilterArgs {
    /// The filter; relative times count from `now`.
    pub(super) fn filter(&self, now: Moment, zone: &TimeZone) -> Result<Filter, Usage> {
        let time = |option: &'static str, text: &Option<String>| -> Result<_, Usage> {
            let read = text.as_deref().map(|text| When::parse(text, zone));
            let read = read.transpose().map_err(Usage::of(option))?;
            if let Some(note) = read.as_ref().and_then(When::note) {
                output::remark(note);
            }
            Ok(read.map(|when| when.instant(now)))
        };
        let mut filter = Filter {
            statuses: self.status.clone(),
            from: time("--from", &self.from)?,
            to: time("--to", &self.to)?,
            search: self.search.clone(),
            user: self.user,
            campaign: self.campaign,
            template: self.template,
            reason: None,
        };
        filter.statuses.sort_unstable();
        filter.statuses.dedup();
        let usage = |error: FilterError| Usage::of("the filter")(error.to_string());
        if let Some(reason) = &self.reason {
            // An empty one counts as none in a form; here it is a variable that was not set, and must not mean all.
            if reason.trim().is_empty() {
                return Err(usage(FilterError::Reason));
            }
            filter.set("reason", reason).map_err(usage)?;
        }
        filter.check().map_err(usage)?;
        Ok(filter)
    }
}

/// A store for a command.
pub(super) fn store(dsn: &Dsn) -> Store {
    Store::new(dsn.pool(1), InstanceId::fresh()).with_look_ups(Some(LookUpPlan::UNHEARD.first()))
}

/// The one message that matches, or that follows what has this id, as on the page and in the API.
pub(super) async fn one(store: &Store, dsn: &Dsn, named: &Search) -> anyhow::Result<MessageId> {
    let found = store.search(named, SHOWN + 1).await?;
    match (found.as_slice(), named) {
        // What is known of a message outlives its row.
        ([], Search::Id { first, last }) if first == last => Ok(MessageId(*first)),
        ([], _) => bail!("no message in {dsn} matches"),
        ([id], _) => Ok(*id),
        (several, _) => {
            let ids: Vec<Uuid> = several.iter().take(SHOWN).map(|id| id.0).collect();
            let rows = store.listed(&ids, false).await?;
            let more = if several.len() > SHOWN {
                " or more"
            } else {
                ""
            };
            // Several, and so never one.
            let shown = ids.len();
            let whole = matches!(named, Search::Id { first, last } if first == last);
            let then = if whole {
                "follow what has this id; name one of them:"
            } else {
                "match; give more characters of the id:"
            };
            let mut text = format!("{shown}{more} messages {then}");
            for Listed {
                id,
                status,
                to,
                due,
                ..
            } in rows
            {
                let _ = write!(text, "\n  {id}  {status}  due {due}  to {to}");
            }
            bail!(text)
        }
    }
}
