//! `punctual cancel ID`: cancels a message that has not been sent yet.

use anyhow::bail;
use serde_json::json;
use uuid::Uuid;

use super::{output, session};
use crate::config::Sources;
use crate::message::{MessageId, Status};
use crate::store::user::UserSession;

/// Cancel a message that has not been sent yet.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  punctual cancel 00000000-0000-0000-0000-000000000001\n\nRefused \
                  (exit code 1) once it has been claimed, at most 50 ms before its time."
)]
pub(super) struct Args {
    /// Id of the message
    #[arg(value_parser = super::message_id)]
    id: Uuid,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let dsn = session::dsn(sources)?;
    let id = MessageId(args.id);
    let already = session::with(&dsn, async |client| {
        let app = UserSession::new(client);
        let before = app.fate(id).await?;
        if !app.cancel(id).await.map_err(super::refused)? {
            bail!("no message {id} in {dsn}, or this role may not change it");
        }
        Ok(before.is_some_and(|(status, _)| status == Status::Cancelled))
    })
    .await?;
    if args.json {
        let text = json!({"id": id, "status": "cancelled", "changed": !already});
        return output::print(&format!("{text:#}\n"));
    }
    let done = if already {
        "was already cancelled"
    } else {
        "cancelled"
    };
    output::print(&format!("message {id} {done}\n"))
}
