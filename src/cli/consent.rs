//! `punctual consent`: records who has agreed to what, and exports the log.

use anyhow::Context as _;
use clap::ValueEnum;
use jiff::tz::TimeZone;
use serde_json::json;

use super::when::{FORMS, When};
use super::{Usage, output, session};
use crate::config::Sources;
use crate::store::consents::{self, Consent, NewConsent};
use crate::store::doctor::database_time;

/// Rows that are read at once.
const PAGE: i64 = 1_000;

/// Record who has agreed to be texted, and export the log of it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  punctual consent export --to +13105550100\n\n\
    DATABASE_URL must be that of the owner of schema punctual, or of a role that may call the functions."
)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Record(Record),
    Export(Export),
}

/// Record that somebody has agreed, or has withdrawn that: it sends and stops nothing
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  punctual consent record +13105550100 --how 'paper form' --shown 'I agree to …'"
)]
struct Record {
    /// A phone number, however it is formatted, or another address
    recipient: String,
    /// How it was given, like `web form`
    #[arg(long)]
    how: String,
    /// The words that the person was shown
    #[arg(long)]
    shown: Option<String>,
    /// For which messages
    #[arg(long, value_enum, default_value_t = Scope::Marketing)]
    scope: Scope,
    /// When, if not now
    #[arg(long, long_help = format!("When, if not now: {FORMS}"))]
    at: Option<String>,
    /// It was withdrawn
    #[arg(long)]
    withdrawn: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scope {
    Marketing,
    Transactional,
    All,
}

impl Scope {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Marketing => "marketing",
            Self::Transactional => "transactional",
            Self::All => "all",
        }
    }
}

/// Print the log as CSV, oldest first
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  punctual consent export --json > consents.json")]
struct Export {
    /// Only of this recipient, also if they were forgotten
    #[arg(long)]
    to: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    match args.what {
        What::Record(args) => record(args, sources).await,
        What::Export(args) => export(args, sources).await,
    }
}

async fn record(args: Record, sources: &Sources) -> anyhow::Result<()> {
    let zone = TimeZone::system();
    let at = args.at.as_deref().map(|text| When::parse(text, &zone));
    let at = at.transpose().map_err(Usage::of("--at"))?;
    if let Some(note) = at.as_ref().and_then(When::note) {
        output::remark(note);
    }
    let dsn = session::dsn(sources)?;
    let id = session::with(&dsn, async |client| {
        let now = database_time(client).await?;
        let new = NewConsent {
            recipient: &args.recipient,
            how: &args.how,
            shown: args.shown.as_deref(),
            is_given: !args.withdrawn,
            scope: args.scope.as_str(),
            at: at.as_ref().map(|at| at.instant(now)),
        };
        consents::record(client, &new).await.map_err(super::refused)
    })
    .await?;
    if args.json {
        output::print(&format!("{:#}\n", json!({ "id": id })))
    } else {
        output::print(&format!("recorded as {id}\n"))
    }
}

async fn export(args: Export, sources: &Sources) -> anyhow::Result<()> {
    let dsn = session::dsn(sources)?;
    session::with(&dsn, async |client| {
        let mut after = 0;
        let mut is_first = true;
        loop {
            let page = consents::page(client, after, PAGE, args.to.as_deref()).await;
            let page = page.map_err(super::refused)?;
            let is_last = i64::try_from(page.len()).unwrap_or(i64::MAX) < PAGE;
            after = page.last().map_or(after, |last| last.id);
            let text = if args.json {
                as_json(&page, is_first, is_last)?
            } else {
                as_csv(&page, is_first)?
            };
            output::print(&text)?;
            is_first = false;
            if is_last {
                return Ok(());
            }
        }
    })
    .await
}

/// A part of one list.
fn as_json(page: &[Consent], is_first: bool, is_last: bool) -> anyhow::Result<String> {
    let mut text = String::new();
    if is_first {
        text.push('[');
    }
    for (n, consent) in page.iter().enumerate() {
        text.push_str(if is_first && n == 0 { "\n" } else { ",\n" });
        text.push_str(&serde_json::to_string(consent)?);
    }
    if is_last {
        text.push_str("\n]\n");
    }
    Ok(text)
}

/// Lines; the first page begins with the names of the columns.
fn as_csv(page: &[Consent], is_first: bool) -> anyhow::Result<String> {
    let mut writer = csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(Vec::new());
    if is_first {
        writer.write_record([
            "id",
            "recipient",
            "user_id",
            "is_given",
            "scope",
            "our_number",
            "how",
            "shown",
            "at",
            "recorded_at",
            "role",
            "actor",
        ])?;
    }
    for consent in page {
        writer.serialize(consent)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(csv::IntoInnerError::into_error)?;
    String::from_utf8(bytes).context("CSV is text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Moment;

    fn consent(id: i64, shown: Option<&str>) -> Consent {
        Consent {
            id,
            recipient: "+13105550100".into(),
            user_id: None,
            is_given: true,
            scope: "marketing".into(),
            our_number: None,
            how: "web form".into(),
            shown: shown.map(Into::into),
            at: Moment::from_micros(1_767_258_000_000_000),
            recorded_at: Moment::from_micros(1_767_258_000_000_000),
            role: "app".into(),
            actor: None,
        }
    }

    #[test]
    fn pages_are_one_list() {
        let pages = [
            vec![consent(1, None), consent(2, None)],
            vec![consent(3, None)],
            Vec::new(),
        ];
        for last in [1, 2] {
            let pages = &pages[..=last];
            let parts = pages.iter().enumerate();
            let text: String = parts
                .map(|(n, page)| as_json(page, n == 0, n == last).unwrap())
                .collect();
            let read: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
            assert_eq!(read.len(), 3);
            assert_eq!(read[0]["at"], "2026-01-01T09:00:00.000000Z");
        }
        let none: Vec<serde_json::Value> =
            serde_json::from_str(&as_json(&[], true, true).unwrap()).unwrap();
        assert!(none.is_empty());
    }

    #[test]
    fn a_text_with_lines_and_quotes_is_one_field() {
        let text = as_csv(&[consent(1, Some("I \"agree\",\nyes"))], true).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap().get(7), Some("shown"));
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].get(7), Some("I \"agree\",\nyes"));
        assert_eq!(rows[0].get(3), Some("true"));
        assert!(as_csv(&[], false).unwrap().is_empty());
    }
}
