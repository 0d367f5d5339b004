//! `punctual campaign approve` and `reject`.

use std::ops::RangeInclusive;

use anyhow::bail;
use serde_json::json;

use super::{named, who};
use crate::cli::{output, session};
use crate::config::Sources;
use crate::store::campaigns::{self, Decision};
use crate::store::user::UserSession;

/// Which messages of which campaign.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The campaign: its name or id
    #[arg(value_name = "CAMPAIGN")]
    campaign: String,
    /// All that are suggested; of reject, also all that are approved
    #[arg(long, required_unless_present_any = ["rows", "search"], conflicts_with_all = ["rows", "search"])]
    all: bool,
    /// Those at these positions: 1-20,25
    #[arg(long, value_name = "POSITIONS", value_delimiter = ',', value_parser = range)]
    rows: Vec<RangeInclusive<i32>>,
    /// Those with this in their name, number or text
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    search: Option<String>,
    /// Also approve what was rejected before
    #[arg(long)]
    again: bool,
    /// Who decided, for the record [default: the user of this session]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Reads `25` or `1-20`.
fn range(text: &str) -> Result<RangeInclusive<i32>, String> {
    let form = "expected a position or a range of them, like 25 or 1-20";
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let one = |text: &str| text.trim().parse::<i32>().ok().filter(|n| *n > 0);
    let range = one(first).zip(one(last)).map(|(first, last)| first..=last);
    range
        .filter(|range| !range.is_empty())
        .ok_or_else(|| form.into())
}

pub(super) async fn run(args: Args, is_approved: bool, sources: &Sources) -> anyhow::Result<()> {
    let of: &[&str] = match (is_approved, args.again) {
        (true, false) => &["SUG"],
        (true, true) => &["SUG", "REJ"],
        (false, _) => &["SUG", "APR"],
    };
    let rows = match args.rows.as_slice() {
        [] => vec![(1..=i32::MAX).into()],
        some => some.iter().cloned().map(Into::into).collect(),
    };
    let decision = Decision {
        is_approved,
        of: of.iter().map(|&status| status.to_owned()).collect(),
        rows,
        search: args.search,
    };
    let dsn = session::dsn(sources)?;
    let (campaign, decided) = session::with(&dsn, async |client| {
        let app = UserSession::new(client);
        let done = app.at_once(true, async || {
            let campaign = named(client, &args.campaign).await?;
            if !campaigns::lock(client, campaign.id, &who(args.by.as_deref())).await? {
                bail!("the campaign {:?} is cancelled", campaign.settings.name);
            }
            let decided = campaigns::decide(client, campaign.id, &decision).await;
            Ok((campaign, decided.map_err(crate::cli::refused)?.messages))
        });
        done.await.map_err(crate::cli::refused)?
    })
    .await?;
    let name = campaign.settings.name;
    if decided == 0 {
        bail!(
            "none of these messages of {name:?} is {}: nothing was changed",
            of.join(" or ")
        );
    }
    if args.json {
        let status = if is_approved { "APR" } else { "REJ" };
        let text =
            json!({"campaign": name, "id": campaign.id, "status": status, "changed": decided});
        return output::print(&format!("{text:#}\n"));
    }
    let (done, next) = if is_approved {
        (
            "approved (APR)",
            format!("next: punctual campaign preview {name:?}\n"),
        )
    } else {
        ("rejected (REJ)", String::new())
    };
    output::print(&format!(
        "{decided} messages of {name:?} were {done}\n{next}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_singly_and_as_ranges() {
        for (text, read) in [
            ("25", Some(25..=25)),
            (" 1 - 20 ", Some(1..=20)),
            ("20-1", None),
            ("0", None),
            ("-3", None),
            ("a", None),
            ("", None),
        ] {
            assert_eq!(range(text).ok(), read, "{text}");
        }
    }
}
