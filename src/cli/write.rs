//! `punctual write MESSAGE`: has a text written, or shows which one the language model would write.

use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::select;
use super::{output, session};
use crate::clock::Stopwatch;
use crate::config::{Config, Sources, WriterSettings};
use crate::message::filter::Search;
use crate::message::segments::Segments;
use crate::provider::llm::Llm;
use crate::store::drafts::DraftShown;
use crate::wording::{Brief, Fault, Request, Spent, judge};

/// Have the language model write the text of a pending message, or only show what it writes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  punctual write 00000000-0000-0000-0000-000000000001 --dry-run\n\n\
    --dry-run asks the model once, by the settings of this command, and changes nothing. Without it a running daemon \
    writes the text, and the message keeps its own if that fails."
)]
pub(super) struct Args {
    /// The message: its id or the beginning of it, its recipient, or the provider's id of it
    #[arg(value_name = "MESSAGE", value_parser = select::search)]
    message: Search,
    /// Show the request, the answer, whether it would be sent, and its cost
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let dsn = session::dsn(sources)?;
    let store = select::store(&dsn);
    let id = select::one(&store, &dsn, &args.message).await?;
    if !args.dry_run {
        if !store.want_text(id).await.map_err(super::refused)? {
            bail!(
                "no text is written for message {id}: a daemon with PUNCTUAL_LLM_URL must run, and the message must be a \
                 pending text of no campaign, due later than in 2 s, with an event that has a title and a start"
            );
        }
        return output::print(&if args.json {
            format!("{:#}\n", json!({"id": id, "wanted": true}))
        } else {
            format!("a text of message {id} is wanted; it has its own until then\n")
        });
    }
    let config = Config::load(sources)?;
    let writer = config
        .writer
        .as_ref()
        .context("no language model is set: set PUNCTUAL_LLM_URL and PUNCTUAL_LLM_MODEL")?;
    let shown = store.draft_of(id).await.map_err(super::refused)?;
    let shown = shown.with_context(|| format!("no message {id} in {dsn}"))?;
    let brief = brief(&shown, &config).context("no text can be written")?;
    let tried = try_out(writer, &brief, config.part_separator.as_deref()).await?;
    output::print(&if args.json {
        format!("{:#}\n", tried.json(&shown))
    } else {
        tried.text(&shown, writer)
    })
}

fn brief(shown: &DraftShown, config: &Config) -> anyhow::Result<Brief> {
    let zone = Brief::zone_of(&shown.facts);
    let zone = zone.and_then(|name| config.zone_data.zones.get(&name));
    let zone = zone.as_ref().unwrap_or(&config.timezone);
    Ok(Brief::of(&shown.facts, shown.due, zone)?)
}

/// One request and what came of it.
pub(super) struct Tried {
    request: Request,
    /// As the model has it, or why there is none.
    answer: Result<String, String>,
    /// The text that would be sent.
    pub(super) verdict: Option<Result<String, Fault>>,
    pub(super) spent: Spent,
}

impl Tried {
    /// Why there is no answer.
    pub(super) fn failure(&self) -> Option<&str> {
        self.answer.as_ref().err().map(String::as_str)
    }
}

/// Asks the model once.
pub(super) async fn try_out(
    writer: &WriterSettings,
    brief: &Brief,
    separator: Option<&str>,
) -> anyhow::Result<Tried> {
    let llm = Llm::new(writer.llm.clone()).context("PUNCTUAL_LLM_URL is not usable")?;
    let request = Request::of(brief);
    let began = Stopwatch::start();
    let asked = llm.ask(&request, writer.llm.timeout).await;
    let spent = llm.spent(&request, &asked, writer.prices, began.elapsed());
    let answer = asked.map(|answer| answer.text);
    let verdict = answer.as_ref().ok();
    let verdict = verdict.map(|text| judge(text, brief, separator));
    Ok(Tried {
        request,
        answer: answer.map_err(|failure| failure.to_string()),
        verdict,
        spent,
    })
}

impl Tried {
    fn json(&self, shown: &DraftShown) -> serde_json::Value {
        let text = self
            .verdict
            .as_ref()
            .and_then(|judged| judged.as_ref().ok());
        let fault = self
            .verdict
            .as_ref()
            .and_then(|judged| judged.as_ref().err());
        json!({
            "status": shown.status,
            "due": shown.due.to_string(),
            "system": self.request.system,
            "user": self.request.user,
            "answer": self.answer.as_ref().ok(),
            "failure": self.failure(),
            "text": text,
            "refused": fault.map(ToString::to_string),
            "spent": self.spent.metadata("llm"),
        })
    }

    fn text(&self, shown: &DraftShown, writer: &WriterSettings) -> String {
        let mut lines = vec![
            ("message", format!("{}, due {}", shown.status, shown.due)),
            (
                "model",
                format!("{} at {}", writer.llm.model, writer.llm.url.host()),
            ),
        ];
        if let Some(outcome) = &shown.outcome {
            let reason = shown.reason.as_ref().map(|why| format!(": {why}"));
            lines.push(("draft", format!("{outcome}{}", reason.unwrap_or_default())));
        }
        let system = self.request.system.replace('\n', "\n         ");
        lines.push(("system", system));
        lines.push(("user", self.request.user.clone()));
        match (&self.answer, &self.verdict) {
            (Err(why), _) => lines.push(("failure", why.clone())),
            (Ok(answer), verdict) => {
                lines.push(("answer", output::one_line(answer)));
                lines.push((
                    "verdict",
                    match verdict {
                        Some(Ok(text)) => {
                            let chars = text.chars().count();
                            format!(
                                "it would be sent: {chars} characters, {}",
                                Segments::of(text)
                            )
                        }
                        Some(Err(fault)) => format!("it would not be sent: {fault}"),
                        None => String::new(),
                    },
                ));
            }
        }
        let cost = self.spent.cost.map(|cost| format!("{cost} USD, "));
        let usage = self
            .spent
            .usage
            .map(|usage| format!("{} and {} tokens, ", usage.input, usage.output));
        let took = self.spent.took.as_millis();
        let (cost, usage) = (cost.unwrap_or_default(), usage.unwrap_or_default());
        lines.push(("cost", format!("{cost}{usage}{took} ms")));
        let mut text = String::new();
        for (name, value) in lines {
            // A String takes whatever is written to it.
            let _ = writeln!(text, "{name:<8} {value}");
        }
        text
    }
}
