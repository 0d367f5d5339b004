//! `punctual forget RECIPIENT`: removes a recipient from what is kept of messages.

use anyhow::bail;
use serde_json::json;

use super::{Usage, output, session};
use crate::config::Sources;
use crate::message::counted;
use crate::store::forget::forget;

/// Blank number and text of all messages to a recipient that have ended, in their rows and in schema `punctual`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  punctual forget +13105550100\n\n\
    DATABASE_URL must be that of the owner of schema punctual. Opt-outs are obeyed as before: they are kept as a hash.")]
pub(super) struct Args {
    /// A phone number, however it is formatted, or another address of a message
    recipient: String,
    /// In the app's tables messages, conversations and contacts, too
    #[arg(long)]
    app_tables: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let recipient = args.recipient.trim().to_owned();
    if recipient.len() < 4 {
        return Err(Usage::of("RECIPIENT")("it is too short for an address".to_owned()).into());
    }
    let dsn = session::dsn(sources)?;
    let forgotten = session::with(&dsn, async |client| {
        forget(client, &recipient, args.app_tables)
            .await
            .map_err(super::refused)
    })
    .await?;
    let (erased, opt_outs, app_rows) = (forgotten.erased, forgotten.opt_outs, forgotten.app_rows);
    if args.json {
        let kept = &forgotten.kept;
        let text =
            json!({"erased": erased, "kept": kept, "opt_outs": opt_outs, "app_rows": app_rows});
        output::print(&format!("{text:#}\n"))?;
    } else {
        output::print(&format!(
            "{} blanked; {} of the app's tables blanked; {} still obeyed\n",
            counted(erased, "message", "messages"),
            counted(app_rows, "row", "rows"),
            counted(opt_outs, "opt-out", "opt-outs"),
        ))?;
    }
    let Some(first) = forgotten.kept.first() else {
        return Ok(());
    };
    bail!(
        "{} of its messages may still be sent, or may have been: cancel or settle them and repeat this (one of them: {first})",
        forgotten.kept.len()
    )
}
