//! `punctual resolve`: settles unconfirmed messages by hand.

use clap::ArgGroup;
use serde_json::json;

use super::act::{self, ActOutcome, Session, Target};
use super::{Usage, output};
use crate::config::Sources;
use crate::message::ProviderSid;
use crate::provider;
use crate::store::operator::Act;
use crate::store::resolve::Decision;

const EXAMPLE: &str = "\
Example:
  punctual resolve 00000000-0000-0000-0000-000000000001 --sent SM0123456789abcdef0123456789abcdef
  punctual resolve 00000000-0000-0000-0000-000000000001 --resend
  punctual resolve --from '2h ago' --cancel

Look the message up in the provider's log first: `punctual why ID` shows when it was tried and the \
look-ups so far. If it was sent after all, --resend sends a second text.";

/// Settle an unconfirmed message by hand, or all of a filter.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
#[command(group = ArgGroup::new("decision").required(true).args(["sent", "resend", "cancel"]))]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
    /// The provider has it; with its sid, the delivery status will be looked up
    #[arg(long, value_name = "SID", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "clap: a flag that may have a value")]
    sent: Option<Option<String>>,
    /// The provider does not have it, or a second text does no harm: send it now
    #[arg(long)]
    resend: bool,
    /// Do not send it, whether or not it was sent
    #[arg(long)]
    cancel: bool,
}

impl Args {
    fn decision(&self) -> Result<Decision, Usage> {
        match &self.sent {
            Some(sid) => sid.as_deref().map(read_sid).transpose().map(Decision::Sent),
            None if self.resend => Ok(Decision::Resend),
            None => Ok(Decision::Cancel),
        }
    }
}

fn read_sid(text: &str) -> Result<ProviderSid, Usage> {
    provider::sid(text).map_err(|why| Usage::of("--sent")(why.to_owned()))
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let decision = args.decision()?;
    if matches!(decision, Decision::Sent(Some(_))) && args.target.is_many() {
        let why = "a sid is that of one message: leave it out, or name the message";
        return Err(Usage::of("--sent")(why.to_owned()).into());
    }
    let session = Session::begin(sources).await?;
    let json = args.target.json;
    let id = match session
        .act(&args.target, &Act::Resolve(decision.clone()))
        .await?
    {
        ActOutcome::One { id, .. } => id,
        ActOutcome::Many(done) => return act::print_many(done, "resolved", json),
    };
    let status = decision.status().as_str();
    if json {
        let text = json!({"id": id, "status": status, "by": args.target.who().as_str()});
        return output::print(&format!("{text:#}\n"));
    }
    let now = match decision {
        Decision::Resend => "is pending and will be sent at once by a running daemon",
        Decision::Sent(_) => "is sent",
        Decision::Cancel => "is cancelled",
    };
    output::print(&format!("message {id} {now}\n"))
}
