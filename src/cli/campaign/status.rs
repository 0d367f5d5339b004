//! `punctual campaign status`.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::named;
use crate::cli::{output, pace, session, when};
use crate::config::Sources;
use crate::store::campaigns::{self, Campaign, Count};

pub(super) async fn run(
    campaign: Option<&str>,
    as_json: bool,
    sources: &Sources,
) -> anyhow::Result<()> {
    let dsn = session::dsn(sources)?;
    let Some(name) = campaign else {
        let all = session::with(&dsn, async |client| Ok(campaigns::list(client).await?)).await?;
        return list(&all, as_json);
    };
    let (campaign, counts) = session::with(&dsn, async |client| {
        let campaign = named(client, name).await?;
        let counts = campaigns::counts(client, campaign.id).await?;
        Ok((campaign, counts))
    })
    .await?;
    if as_json {
        let mut text = described(&campaign);
        text["messages"] = json!(counts);
        return output::print(&format!("{text:#}\n"));
    }
    output::print(&as_lines(&campaign, &counts))
}

fn list(all: &[Campaign], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let all: Vec<Value> = all.iter().map(described).collect();
        return output::print(&format!("{:#}\n", json!(all)));
    }
    if all.is_empty() {
        return output::print("there is no campaign\n");
    }
    let line = |one: &Campaign| {
        let name = output::one_line(&one.settings.name);
        format!("{} {:<9} {name}\n", one.id, one.state)
    };
    output::print(&all.iter().map(line).collect::<String>())
}

fn described(one: &Campaign) -> Value {
    let (settings, pacing) = (&one.settings, one.settings.pacing);
    json!({
        "campaign": settings.name,
        "id": one.id,
        "state": one.state,
        "hours": settings.hours,
        "timezone": settings.timezone,
        "gap_min_s": pacing.gaps.0.as_secs_f64(),
        "gap_max_s": pacing.gaps.1.as_secs_f64(),
        "skip_per_mille": pacing.skips.per_mille,
        "skip_min_s": pacing.skips.length.0.as_secs_f64(),
        "skip_max_s": pacing.skips.length.1.as_secs_f64(),
        "from_number": settings.from,
        "stop_on_reply": settings.stop_on_reply,
        "seed": pacing.seed,
        "first_at": one.first_at,
        "created_by": one.created_by,
        "created_at": one.created_at,
    })
}

fn as_lines(one: &Campaign, counts: &[Count]) -> String {
    let (settings, pacing) = (&one.settings, one.settings.pacing);
    let spans = |(min, max): (std::time::Duration, std::time::Duration)| {
        pace::gaps(min.as_secs_f64(), max.as_secs_f64())
    };
    let skips = pacing.skips;
    let mut text = format!(
        "{} is {} ({})\n  hours  {} {}\n  gaps   {}, {}% of them {} longer; seed {}\n",
        output::one_line(&settings.name),
        one.state,
        one.id,
        settings.hours,
        settings.timezone,
        spans(pacing.gaps),
        f64::from(skips.per_mille) / 10.0,
        spans(skips.length),
        pacing.seed,
    );
    let zone = TimeZone::get(&settings.timezone).unwrap_or(TimeZone::UTC);
    for count in counts {
        let due = count.first_at.zip(count.last_at).map(|(first, last)| {
            let (first, last) = (when::show(first, &zone), when::show(last, &zone));
            format!(", due {first} to {last}")
        });
        let _ = writeln!(
            text,
            "  {:<11} {}{}",
            count.status,
            count.messages,
            due.unwrap_or_default()
        );
    }
    if counts.is_empty() {
        text += "  it has no messages\n";
    }
    text
}
