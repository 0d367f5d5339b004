//! What `cancel`, `reschedule`, `retry` and `resolve` have in common: one message, or those of a filter after a
//! preview.

use std::io::{BufRead, IsTerminal, Write, stderr, stdin};

use anyhow::bail;
use jiff::tz::TimeZone;
use serde_json::json;

use super::select::{self, FilterArgs};
use super::{Usage, list, output, session};
use crate::config::Sources;
use crate::message::filter::Search;
use crate::message::{Filter, MessageId, Moment, counted};
use crate::store::doctor::database_time;
use crate::store::operator::{Act, Acted, Actor, Done, OperatorError, Paging};
use crate::store::{Dsn, Store};

/// Messages that a preview shows.
const PREVIEW: usize = 5;

/// Which messages, and who acts.
#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// The message: its id or the beginning of it, its recipient, or the provider's id of it
    #[arg(value_name = "MESSAGE", value_parser = select::search)]
    #[arg(required_unless_present_any = FILTER, conflicts_with_all = FILTER)]
    message: Option<Search>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Do not ask before many messages are changed
    #[arg(long)]
    yes: bool,
    /// Who decided, for the record [default: the user of this session]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

const FILTER: [&str; 8] = [
    "status", "from", "to", "search", "user", "campaign", "template", "reason",
];

impl Target {
    /// Whether it is a filter.
    pub(super) const fn is_many(&self) -> bool {
        self.message.is_none()
    }

    pub(super) fn who(&self) -> Actor {
        let user = std::env::var("USER").ok();
        Actor::named(self.by.as_deref().or(user.as_deref()), "unknown")
    }
}

/// What was done.
pub(super) enum ActOutcome {
    /// To one message.
    One {
        /// Which.
        id: MessageId,
        /// Whether it changed; else it was so already.
        is_changed: bool,
    },
    /// To those of a filter.
    Many(Done),
}

/// A session with the database for an act.
pub(super) struct Session {
    dsn: Dsn,
    store: Store,
    /// The database's time when it began.
    pub(super) now: Moment,
}

impl Session {
    pub(super) async fn begin(sources: &Sources) -> anyhow::Result<Self> {
        let dsn = session::dsn(sources)?;
        let now = session::with(&dsn, async |client| Ok(database_time(client).await?)).await?;
        let store = select::store(&dsn);
        Ok(Self { dsn, store, now })
    }

    /// Does it.
    pub(super) async fn act(&self, target: &Target, act: &Act) -> anyhow::Result<ActOutcome> {
        let who = target.who();
        let Some(named) = &target.message else {
            return self.act_on_all(target, act, &who).await;
        };
        let id = select::one(&self.store, &self.dsn, named).await?;
        match self
            .store
            .act(id, act, &who)
            .await
            .map_err(super::refused)?
        {
            Acted::Done => Ok(ActOutcome::One {
                id,
                is_changed: true,
            }),
            Acted::Already => Ok(ActOutcome::One {
                id,
                is_changed: false,
            }),
            Acted::Refused(why) => bail!("{why}"),
            Acted::Missing => bail!(
                "no message {id} in {}, or this role may not change it",
                self.dsn
            ),
        }
    }

    async fn act_on_all(
        &self,
        target: &Target,
        act: &Act,
        who: &Actor,
    ) -> anyhow::Result<ActOutcome> {
        let zone = TimeZone::system();
        let filter = target.filter.filter(self.now, &zone)?;
        let all = async |confirmed| self.store.act_on_all(&filter, act, who, confirmed).await;
        let confirmed = match all(None).await {
            Err(OperatorError::Count { messages: 0, .. }) => {
                bail!(
                    "nothing to {}: the filter has no messages that are {}",
                    act.as_str(),
                    act.applies_to().as_str()
                )
            }
            Err(OperatorError::Count { messages, .. }) => messages,
            Err(OperatorError::Status { .. }) => {
                let status = act.applies_to().as_str();
                let why = format!("{} applies to messages that are {status}", act.as_str());
                return Err(Usage::of("--status")(why).into());
            }
            Err(error) => return Err(error.into()),
            Ok(done) => return Ok(ActOutcome::Many(done)),
        };
        if !target.yes {
            self.confirm(&filter, act, confirmed, &zone).await?;
        }
        Ok(ActOutcome::Many(all(Some(confirmed)).await?))
    }

    /// Shows what is meant, and asks.
    async fn confirm(
        &self,
        filter: &Filter,
        act: &Act,
        messages: u64,
        zone: &TimeZone,
    ) -> anyhow::Result<()> {
        let filter = Filter {
            statuses: vec![act.applies_to()],
            ..filter.clone()
        };
        let paging = Paging {
            limit: PREVIEW,
            after: None,
            reveals: false,
        };
        let page = self.store.list(&filter, paging).await?;
        let shown = list::show(&page.messages, None, self.now, zone);
        let verb = act.as_str();
        let question = format!(
            "this would {verb} {}",
            counted(messages, "message", "messages")
        );
        let sample = format!("{shown}punctual: {question}");
        if !stdin().is_terminal() {
            bail!("{question}; to do it: --yes\n{shown}");
        }
        let _ = write!(stderr(), "{sample}. Go on? [y/N] ");
        let mut answer = String::new();
        stdin().lock().read_line(&mut answer)?;
        if matches!(answer.trim(), "y" | "Y" | "yes") {
            return Ok(());
        }
        bail!("nothing was changed")
    }
}

/// Prints what was done to many.
pub(super) fn print_many(done: Done, past: &str, json: bool) -> anyhow::Result<()> {
    if json {
        let text = json!(done);
        return output::print(&format!("{text:#}\n"));
    }
    let Done { changed, skipped } = done;
    let skipped = match skipped {
        0 => String::new(),
        n => format!(
            "; {n} skipped: claimed, ended or changed by others meanwhile, or not to be changed so"
        ),
    };
    output::print(&format!(
        "{} {past}{skipped}\n",
        counted(changed, "message", "messages")
    ))
}
