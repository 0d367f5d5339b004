//! `punctual campaign import`.

use anyhow::{Context, bail};
use jiff::tz::TimeZone;
use serde_json::json;
use tokio_postgres::Client;
use uuid::Uuid;

use super::file::{self, Fault, Rows};
use super::{Gap, Import, who};
use crate::cli::{Usage, output, session};
use crate::config::{self, Sources};
use crate::message::Sender;
use crate::message::parts::SEPARATOR;
use crate::plan::campaign::{Pacing, Skips};
use crate::policy::BusinessHours;
use crate::store::campaigns::{self, Settings};
use crate::store::user::UserSession;

/// The gaps of campaigns that say nothing else.
const GAPS: Gap = Gap(
    std::time::Duration::from_secs(240),
    std::time::Duration::from_secs(420),
);

/// Faults that are listed for people.
const SHOWN: usize = 50;

/// Reads `17.5%`, as thousandths.
pub(super) fn per_mille(text: &str) -> Result<u32, String> {
    let form = "expected a share of the gaps, 0% to 100%, like 17.5%";
    let share: f64 = text
        .trim()
        .trim_end_matches('%')
        .trim()
        .parse()
        .map_err(|_| form)?;
    if !(0.0..=100.0).contains(&share) {
        return Err(form.into());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 1,000"
    )]
    let rounded = (share * 10.0).round() as u32;
    Ok(rounded)
}

/// What was done.
struct Imported {
    id: Uuid,
    name: String,
    is_new: bool,
    messages: usize,
    faults: Vec<Fault>,
}

pub(super) async fn run(args: Import, sources: &Sources) -> anyhow::Result<()> {
    let bytes = std::fs::read(&args.file)
        .with_context(|| format!("cannot read {}", args.file.display()))?;
    let ending = args.file.extension().and_then(|e| e.to_str());
    let is_json = match ending.map(str::to_ascii_lowercase).as_deref() {
        Some("json") => true,
        Some("csv" | "tsv" | "txt") => false,
        _ => return Err(Usage::of("FILE")("expected a .csv or .json file".to_owned()).into()),
    };
    let stem = args.file.file_stem().and_then(|stem| stem.to_str());
    let name = args.name.as_deref().or(stem).unwrap_or_default().trim();
    if name.is_empty() || name.chars().count() > 200 || name.contains('\0') {
        let why = "a campaign has a name of at most 200 characters".to_owned();
        return Err(Usage::of("--name")(why).into());
    }
    if Uuid::parse_str(name).is_ok() {
        let why = "a name that is a UUID could be the id of another campaign".to_owned();
        return Err(Usage::of("--name")(why).into());
    }
    let set = config::campaign_hours(sources)?;
    let dsn = session::dsn(sources)?;
    let imported = session::with(&dsn, async |client| {
        let settings = settings(client, &args, name, set).await?;
        let app = UserSession::new(client);
        let separator = app.part_separator().await?;
        let separator = separator.as_deref().unwrap_or(SEPARATOR);
        let rows = file::read(&bytes, is_json, Some(separator)).map_err(Usage::of("FILE"))?;
        if rows.total() == 0 {
            bail!("{} has no messages", args.file.display());
        }
        let done = app.at_once(true, async || write(client, &args, &settings, rows).await);
        done.await.map_err(crate::cli::refused)?
    })
    .await?;
    show(&imported, args.json)
}

/// What the campaign is made with, if there is none of this name.
///
/// Its hours are those of the options, else of these settings, else of the daemon's.
async fn settings(
    client: &Client,
    args: &Import,
    name: &str,
    (hours, zone): (Option<BusinessHours>, Option<TimeZone>),
) -> anyhow::Result<(Settings, BusinessHours)> {
    let (their_zone, their_hours) = campaigns::default_hours(client).await?;
    let hours = match args.hours.clone().or(hours) {
        Some(hours) => hours,
        None => their_hours.parse()?,
    };
    let zone = args.timezone.clone().or(zone);
    let zone = zone.as_ref().and_then(TimeZone::iana_name);
    let Gap(min, max) = args.gap.unwrap_or(GAPS);
    let skips = Skips::default();
    let drawn = i64::try_from(Uuid::new_v4().as_u64_pair().0 >> 11).unwrap_or_default();
    let settings = Settings {
        name: name.to_owned(),
        timezone: zone.map_or(their_zone, str::to_owned),
        hours: hours.to_string(),
        pacing: Pacing {
            seed: args.seed.unwrap_or(drawn),
            gaps: (min, max),
            skips: Skips {
                per_mille: args.skip_chance.unwrap_or(skips.per_mille),
                length: args.skip.map_or(skips.length, |Gap(min, max)| (min, max)),
            },
        },
        stop_on_reply: args.stop_on_reply.unwrap_or(true),
        from: args
            .from
            .as_ref()
            .map(|from| Sender::as_str(from).to_owned()),
    };
    Ok((settings, hours))
}

/// Everything, or nothing: the error rolls back.
async fn write(
    client: &Client,
    args: &Import,
    (settings, hours): &(Settings, BusinessHours),
    mut rows: Rows,
) -> anyhow::Result<Imported> {
    let made = campaigns::make(client, settings, hours, &who(args.by.as_deref())).await;
    let made = made.map_err(crate::cli::refused)?;
    let id = match made {
        Some(id) => id,
        None => match campaigns::find(client, &settings.name).await? {
            Some(campaign) => campaign.id,
            None => bail!("the campaign is being made by somebody else; try again"),
        },
    };
    let is_set = args.hours.is_some()
        || args.timezone.is_some()
        || args.gap.is_some()
        || args.skip.is_some()
        || args.skip_chance.is_some()
        || args.from.is_some()
        || args.stop_on_reply.is_some()
        || args.seed.is_some();
    if made.is_none() && is_set {
        bail!(
            "there is a campaign {:?}, which keeps its hours, gaps, sender and seed: leave these options out to add the \
             messages to it, or give another --name",
            settings.name
        );
    }
    if !campaigns::lock(client, id, &who(args.by.as_deref())).await? {
        bail!("the campaign {:?} is cancelled", settings.name);
    }
    let known = campaigns::known(client, id, &rows.drafts).await?;
    rows.leave_out(known.iter().map(|known| {
        let why = format!("the campaign has it already, as message {}", known.position);
        (known.index, why)
    }));
    if !rows.faults.is_empty() && !args.skip_bad {
        let (faults, total) = (rows.faults.len(), rows.total());
        print_faults(&rows.faults, args.json)?;
        bail!(
            "{faults} of {total} rows cannot be imported, so nothing was: correct them, or leave them out by --skip-bad"
        );
    }
    if rows.drafts.is_empty() {
        print_faults(&rows.faults, args.json)?;
        bail!("no row can be imported, so nothing was");
    }
    let added = campaigns::add(client, id, &rows.drafts).await;
    added.map_err(crate::cli::refused)?;
    Ok(Imported {
        id,
        name: settings.name.clone(),
        is_new: made.is_some(),
        messages: rows.drafts.len(),
        faults: rows.faults,
    })
}

fn print_faults(faults: &[Fault], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let text = json!({"imported": 0, "faults": faults});
        return output::print(&format!("{text:#}\n"));
    }
    output::print(&listed(faults))
}

fn listed(faults: &[Fault]) -> String {
    let lines = faults.iter().take(SHOWN);
    let mut shown: Vec<_> = lines
        .map(|fault| format!("line {}: {}\n", fault.line, fault.why))
        .collect();
    if faults.len() > SHOWN {
        let more = faults.len() - SHOWN;
        shown.push(format!("and {more} more; all of them: --json\n"));
    }
    shown.concat()
}

fn show(done: &Imported, as_json: bool) -> anyhow::Result<()> {
    let (name, n, left_out) = (&done.name, done.messages, done.faults.len());
    if as_json {
        let text = json!({"campaign": name, "id": done.id, "imported": n, "faults": done.faults});
        return output::print(&format!("{text:#}\n"));
    }
    let to = if done.is_new {
        "a new campaign"
    } else {
        "campaign"
    };
    let skipped = match left_out {
        0 => String::new(),
        n => format!("{n} rows were left out:\n{}", listed(&done.faults)),
    };
    output::print(&format!(
        "{n} messages were imported into {to} {name:?}, as suggested (SUG)\n{skipped}next: punctual campaign approve \
         {name:?} --all\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_read_in_percent() {
        for (text, read) in [
            ("17.5%", Some(175)),
            ("0", Some(0)),
            (" 100 % ", Some(1_000)),
            ("100.1%", None),
            ("-1%", None),
            ("NaN", None),
            ("often", None),
        ] {
            assert_eq!(per_mille(text).ok(), read, "{text}");
        }
    }
}
