//! `punctual campaign`: messages that are imported, approved, and scheduled by a plan.

use std::path::PathBuf;

use anyhow::bail;
use jiff::tz::TimeZone;
use tokio_postgres::Client;

use super::pace::{Gap, gap};
use super::schedule::{sender, zone};
use crate::clock::ZoneData;
use crate::config::Sources;
use crate::message::Sender;
use crate::plan::OpenTime;
use crate::policy::BusinessHours;
use crate::store::campaigns::{self, Campaign};

mod decide;
mod estimate;
mod file;
mod import;
mod manage;
mod plan;
mod report;
mod status;

const HELP: &str = "\
Example:
  punctual campaign import spring.csv
  punctual campaign approve spring --all
  punctual campaign preview spring
  punctual campaign schedule spring
  punctual campaign status spring

A campaign is a list of messages: imported as suggested (SUG), approved (APR) or rejected (REJ) by a person, scheduled (SCH) \
by a plan: in their order, a random gap apart, now and then a longer one, and only in its hours. The same campaign always \
has the same plan. Scheduled messages are rows of scheduled_messages like any other.";

/// Import, approve, plan and schedule the messages of a campaign.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Read messages from a CSV or JSON file, as suggested; nothing is imported if a row cannot be
    Import(Import),
    /// Approve messages: only these can be scheduled
    Approve(decide::Args),
    /// Reject messages, also approved ones that are not scheduled yet
    Reject(decide::Args),
    /// Show when each approved message would be sent; nothing is written
    Preview(plan::Args),
    /// Schedule the approved messages
    Schedule(plan::Args),
    /// Stop what was not sent yet, until it is resumed
    Pause {
        #[command(flatten)]
        of: Of,
        /// The reason, for people
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
    },
    /// Go on with a campaign that is paused
    Resume {
        #[command(flatten)]
        of: Of,
    },
    /// Move all messages that are to be sent by as much open time
    Reschedule {
        #[command(flatten)]
        of: Of,
        /// How much later: 1h
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        by: std::time::Duration,
    },
    /// Cancel what was not sent yet, for good
    Cancel {
        #[command(flatten)]
        of: Of,
        /// Confirms it
        #[arg(long)]
        yes: bool,
        /// Who decided, for the record [default: the user of this session]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
    /// What a campaign has come to: sent, delivered, replies, opt-outs, segments, costs, and why others were not sent
    Report {
        #[command(flatten)]
        of: Of,
    },
    /// List the campaigns, or how many messages of one are in which status
    Status {
        /// The campaign: its name or id
        #[arg(value_name = "CAMPAIGN")]
        campaign: Option<String>,
        /// Print JSON, with times in UTC
        #[arg(long)]
        json: bool,
    },
}

/// Which campaign.
#[derive(Debug, clap::Args)]
struct Of {
    /// The campaign: its name or id
    #[arg(value_name = "CAMPAIGN")]
    campaign: String,
    /// Print JSON, with times in UTC
    #[arg(long)]
    json: bool,
}

/// Where the messages are, and how the campaign is paced.
#[derive(Debug, clap::Args)]
struct Import {
    /// The file, .csv or .json: rows of `customer_name`, `phone_number`, `content`
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The campaign; one that exists gets more messages [default: the name of the file]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Import the other rows, and list those that cannot be
    #[arg(long)]
    skip_bad: bool,
    /// When its messages may be sent [default: `PUNCTUAL_CAMPAIGN_HOURS`]
    #[arg(long, value_name = "HOURS")]
    hours: Option<BusinessHours>,
    /// The time zone of these hours [default: `PUNCTUAL_CAMPAIGN_TIMEZONE`]
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    timezone: Option<TimeZone>,
    /// The gap after each message: 5m, or a range in which each gap is drawn [default: 4m..7m]
    #[arg(long, value_name = "GAP", value_parser = gap)]
    gap: Option<Gap>,
    /// How many of the gaps are longer: 0% to 100% [default: 17.5%]
    #[arg(long, value_name = "PERCENT", value_parser = import::per_mille)]
    skip_chance: Option<u32>,
    /// By how much these are longer [default: 10m..15m]
    #[arg(long, value_name = "GAP", value_parser = gap)]
    skip: Option<Gap>,
    /// Whom the messages are from [default: the sender of messages that name none]
    #[arg(long, value_name = "SENDER", value_parser = sender)]
    from: Option<Sender>,
    /// Whether it sends nothing more to whom has replied [default: true]
    #[arg(long, value_name = "true|false")]
    stop_on_reply: Option<bool>,
    /// What the plan is drawn from: the same seed gives the same plan [default: a random one]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<i64>,
    /// Who imports them, for the record [default: the user of this session]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    match args.what {
        What::Import(args) => import::run(args, sources).await,
        What::Approve(args) => decide::run(args, true, sources).await,
        What::Reject(args) => decide::run(args, false, sources).await,
        What::Preview(args) => plan::run(args, false, sources).await,
        What::Schedule(args) => plan::run(args, true, sources).await,
        What::Pause { of, why } => manage::pause(of, why.as_deref(), sources).await,
        What::Resume { of } => manage::resume(of, sources).await,
        What::Reschedule { of, by } => manage::reschedule(of, by, sources).await,
        What::Cancel { of, yes, by } => manage::cancel(of, yes, by.as_deref(), sources).await,
        What::Report { of } => report::run(of, sources).await,
        What::Status { campaign, json } => status::run(campaign.as_deref(), json, sources).await,
    }
}

/// The campaign of this name, or this id.
async fn named(client: &Client, name: &str) -> anyhow::Result<Campaign> {
    match campaigns::find(client, name.trim()).await? {
        Some(campaign) => Ok(campaign),
        None => bail!("there is no campaign {name:?}; `punctual campaign status` lists them"),
    }
}

/// Its hours, as its messages are judged by them.
fn open_time(campaign: &Campaign) -> anyhow::Result<OpenTime> {
    let settings = &campaign.settings;
    let Some(zone) = ZoneData::newest().zones.get(&settings.timezone) else {
        bail!(
            "the time zone {:?} of the campaign is not an IANA time zone",
            settings.timezone
        );
    };
    let hours = settings.hours.parse();
    let hours =
        hours.map_err(|why| anyhow::anyhow!("the hours of the campaign cannot be read: {why}"))?;
    Ok(OpenTime::new(hours, zone))
}

/// Who acts.
fn who(named: Option<&str>) -> crate::store::operator::Actor {
    let user = std::env::var("USER").ok();
    crate::store::operator::Actor::named(named.or(user.as_deref()), "unknown")
}
