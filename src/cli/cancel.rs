//! `punctual cancel`: cancels messages that have not been sent yet.

use serde_json::json;

use super::act::{self, ActOutcome, Session, Target};
use super::output;
use crate::config::Sources;
use crate::store::operator::Act;

/// Cancel a message that has not been sent yet, or all of a filter.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  punctual cancel 00000000-0000-0000-0000-000000000001\n  punctual cancel --campaign \
                  00000000-0000-0000-0000-00000000000b --yes\n\nRefused (exit code 1) once it has been claimed, at \
                  most 50 ms before its time; of many, those are skipped and counted."
)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let session = Session::begin(sources).await?;
    let json = args.target.json;
    let (id, is_changed) = match session.act(&args.target, &Act::Cancel).await? {
        ActOutcome::One { id, is_changed } => (id, is_changed),
        ActOutcome::Many(done) => return act::print_many(done, "cancelled", json),
    };
    if json {
        let text = json!({"id": id, "status": "cancelled", "changed": is_changed});
        return output::print(&format!("{text:#}\n"));
    }
    let done = if is_changed {
        "cancelled"
    } else {
        "was already cancelled"
    };
    output::print(&format!("message {id} {done}\n"))
}
