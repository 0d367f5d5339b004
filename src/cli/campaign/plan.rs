//! `punctual campaign preview` and `schedule`: the same plan, shown or written.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::bail;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use super::estimate::{Known, Outlook};
use super::{named, open_time, who};
use crate::cli::when::{self, FORMS, When};
use crate::cli::{Usage, output, session};
use crate::config::Sources;
use crate::message::Moment;
use crate::message::parts::{SEPARATOR, split};
use crate::message::segments::Segments;
use crate::plan::OpenTime;
use crate::plan::campaign::{Planned, Span, Start};
use crate::store::campaigns::{self, Approved, Campaign};
use crate::store::doctor::database_time;
use crate::store::user::UserSession;

/// The first message is due so long after the command.
const AHEAD: Duration = Duration::from_secs(60);

/// Which campaign, and when it begins.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The campaign: its name or id
    #[arg(value_name = "CAMPAIGN")]
    campaign: String,
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true, help = at_help())]
    at: Option<String>,
    /// How many segments the sender may send on a day, for the estimate
    #[arg(long, value_name = "SEGMENTS")]
    daily_cap: Option<usize>,
    /// Who schedules it, for the record [default: the user of this session]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Print JSON, with times in UTC
    #[arg(long)]
    json: bool,
}

fn at_help() -> String {
    format!("Not before this, by the clock of the campaign [default: in 1m]: {FORMS}")
}

/// A plan with what it is of.
struct Plan {
    campaign: Campaign,
    open: OpenTime,
    messages: Vec<Approved>,
    slots: Vec<Planned>,
    /// The ids of the rows that were written.
    ids: Option<Vec<Uuid>>,
    /// Of each text its parts, and their segments.
    sizes: Vec<(usize, usize)>,
    known: Known,
    now: Moment,
}

impl Plan {
    fn outlook(&self) -> Outlook {
        let segments: Vec<usize> = self.sizes.iter().map(|(_, segments)| *segments).collect();
        Outlook::of(&self.known, &self.slots, &segments, &self.open)
    }
}

pub(super) async fn run(args: Args, is_written: bool, sources: &Sources) -> anyhow::Result<()> {
    let dsn = session::dsn(sources)?;
    let plan = session::with(&dsn, async |client| {
        let app = UserSession::new(client);
        let separator = app.part_separator().await?;
        let separator = separator.unwrap_or_else(|| SEPARATOR.to_owned());
        let done = app.at_once(is_written, async || {
            let mut plan = made(client, &args, &separator, is_written, sources).await?;
            if is_written {
                write(client, &mut plan).await?;
            }
            Ok(plan)
        });
        done.await.map_err(crate::cli::refused)?
    })
    .await?;
    if args.json {
        return output::print(&format!("{:#}\n", as_json(&plan)));
    }
    output::print(&as_lines(&plan))
}

/// The plan of what is approved. If a part of the campaign is scheduled already, it goes on after that.
async fn made(
    client: &Client,
    args: &Args,
    separator: &str,
    is_written: bool,
    sources: &Sources,
) -> anyhow::Result<Plan> {
    let campaign = named(client, &args.campaign).await?;
    // Before anything is read that another act may change.
    if is_written && !campaigns::lock(client, campaign.id, &who(args.by.as_deref())).await? {
        let name = &campaign.settings.name;
        bail!("the campaign {name:?} is cancelled: nothing of it can be scheduled");
    }
    let open = open_time(&campaign)?;
    let at = args.at.as_deref();
    let at = at.map(|text| When::parse(text, open.zone()).map_err(Usage::of("--at")));
    let at = at.transpose()?;
    if let Some(note) = at.as_ref().and_then(When::note) {
        output::remark(note);
    }
    let now = database_time(client).await?;
    let begin = at.map_or(now + AHEAD, |at| at.instant(now));
    if begin < now {
        let shown = when::show(begin, open.zone());
        return Err(Usage::of("--at")(format!("{shown} is in the past")).into());
    }
    let messages = campaigns::approved(client, campaign.id).await?;
    let name = &campaign.settings.name;
    if messages.is_empty() {
        bail!(
            "no message of {name:?} is approved and waits to be scheduled: punctual campaign status {name:?}"
        );
    }
    let (first, last) = campaigns::planned(client, campaign.id).await?;
    let start = last.map_or(Start::At(begin), |last| Start::After {
        last,
        not_before: begin,
    });
    let pacing = campaign.settings.pacing;
    let Some(slots) = pacing.plan(&open, start, first, messages.len()) else {
        bail!("the hours of {name:?} never open");
    };
    let sizes = messages
        .iter()
        .map(|one| size(&one.draft.content, separator));
    Ok(Plan {
        sizes: sizes.collect(),
        known: Known::of(client, &campaign, args.daily_cap, sources).await?,
        campaign,
        open,
        messages,
        slots,
        ids: None,
        now,
    })
}

async fn write(client: &Client, plan: &mut Plan) -> anyhow::Result<()> {
    let name = &plan.campaign.settings.name;
    let put = campaigns::put(client, &plan.campaign, &plan.messages, &plan.slots).await;
    plan.ids = put.map_err(crate::cli::refused)?;
    if plan.ids.is_none() {
        bail!(
            "somebody else has changed a message of {name:?} meanwhile, and nothing was scheduled: try again"
        );
    }
    Ok(())
}

/// The parts of a text, and their segments.
fn size(text: &str, separator: &str) -> (usize, usize) {
    let parts = split(text, Some(separator));
    let segments = parts.iter().map(|part| Segments::of(part).count);
    (parts.len(), segments.sum())
}

fn as_json(plan: &Plan) -> Value {
    let settings = &plan.campaign.settings;
    let rows = plan.messages.iter().zip(&plan.slots).enumerate();
    let rows = rows.map(|(n, (message, slot))| {
        let (bubbles, segments) = plan.sizes.get(n).copied().unwrap_or_default();
        json!({
            "position": message.position,
            "customer_name": message.draft.customer_name,
            "phone_number": message.draft.phone_number,
            "scheduled_at": slot.at,
            "gap_s": slot.gap.as_secs_f64(),
            "skip_s": slot.skip.map(|skip| skip.as_secs_f64()),
            "bubbles": bubbles,
            "segments": segments,
            "id": plan.ids.as_ref().and_then(|ids| ids.get(n)),
        })
    });
    let rows: Vec<Value> = rows.collect();
    let span = Span::of(&plan.slots, &plan.open);
    json!({
        "campaign": settings.name,
        "id": plan.campaign.id,
        "scheduled": plan.ids.is_some(),
        "seed": settings.pacing.seed,
        "hours": settings.hours,
        "timezone": settings.timezone,
        "first_at": plan.slots.first().map(|slot| slot.at),
        "last_at": plan.slots.last().map(|slot| slot.at),
        "duration_s": span.map(|span| span.all.as_secs()),
        "open_s": span.map(|span| span.open.as_secs()),
        "days": span.map(|span| span.days),
        "estimate": plan.outlook().as_json(&plan.known),
        "messages": rows,
    })
}

/// A line for each message, and how long all of them take.
fn as_lines(plan: &Plan) -> String {
    let n = plan.messages.len();
    let wide = format!("[{n}/{n}]").len();
    let mut text = String::new();
    let rows = plan.messages.iter().zip(&plan.slots).zip(&plan.sizes);
    for (nth, ((message, slot), &(bubbles, _))) in (1..).zip(rows) {
        if let Some(skip) = slot.skip {
            let minutes = minutes(skip);
            let _ = writeln!(
                text,
                "    [SKIP] Adding extra {minutes} min delay (looks human)"
            );
        }
        let gap = if slot.position == 0 {
            minutes(slot.at.since(plan.now))
        } else {
            minutes(slot.gap) + slot.skip.map_or(0, minutes)
        };
        let name = message.draft.customer_name.as_deref().unwrap_or_default();
        let _ = writeln!(
            text,
            "{:<wide$} {:<19} | {:<14} | {} | +{gap:>2}m | {bubbles} bubble{}",
            format!("[{nth}/{n}]"),
            output::one_line(name),
            message.draft.phone_number,
            clock(slot.at, plan.open.zone()),
            if bubbles == 1 { "" } else { "s" },
        );
    }
    if let Some(span) = Span::of(&plan.slots, &plan.open) {
        let _ = writeln!(
            text,
            "\nCampaign Duration: {:.1} hours ({} day{} with nights paused), {:.1} of them open",
            span.all.as_secs_f64() / 3600.0,
            span.days,
            if span.days == 1 { "" } else { "s" },
            span.open.as_secs_f64() / 3600.0,
        );
    }
    text += &plan.outlook().as_lines(&plan.known, &plan.open);
    let name = &plan.campaign.settings.name;
    text + &match &plan.ids {
        Some(ids) => format!("{} messages of {name:?} were scheduled (SCH)\n", ids.len()),
        None => format!("nothing was scheduled; next: punctual campaign schedule {name:?}\n"),
    }
}

/// Rounded.
const fn minutes(span: Duration) -> u64 {
    (span.as_secs() + 30) / 60
}

/// `11/08 02:31 PM`.
pub(super) fn clock(at: Moment, zone: &TimeZone) -> String {
    Timestamp::from_microsecond(at.as_micros()).map_or_else(
        |_| at.to_string(),
        |at| {
            let shown = zone.to_datetime(at);
            shown.strftime("%m/%d %I:%M %p").to_string()
        },
    )
}
