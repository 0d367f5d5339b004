//! `punctual cancel ID`.

use anyhow::bail;
use serde_json::json;
use uuid::Uuid;

use super::{output, session};
use crate::config::Sources;
use crate::message::{MessageId, Status};
use crate::store::user::UserSession;

/// Cancels a message that has not left yet.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  punctual cancel 00000000-0000-0000-0000-000000000001\n\nFrom 50 ms \
                  before its time on it is too late, and said so with exit code 1."
)]
pub(super) struct Args {
    /// The message's id, as the table has it
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
        let fate = app.fate(id).await?;
        if !app.cancel(id).await.map_err(super::refused)? {
            bail!("there is no message {id} in {dsn}, or none that this role may change");
        }
        Ok(fate.is_some_and(|(status, _)| status == Status::Cancelled))
    })
    .await?;
    if args.json {
        let text = json!({"id": id, "status": "cancelled", "changed": !already});
        return output::print(&format!("{text:#}\n"));
    }
    let done = if already {
        "was cancelled already"
    } else {
        "is cancelled"
    };
    output::print(&format!("message {id} {done}\n"))
}
