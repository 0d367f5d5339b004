//! `punctual resolve ID`: settles an unconfirmed message by hand.

use anyhow::bail;
use clap::ArgGroup;
use serde_json::json;
use uuid::Uuid;

use super::{Usage, output, session};
use crate::config::Sources;
use crate::message::{InstanceId, MessageId, ProviderSid};
use crate::provider;
use crate::schedule::LookUpPlan;
use crate::store::Store;
use crate::store::resolve::{Resolved, Verdict};

const EXAMPLE: &str = "\
Example:
  punctual resolve 00000000-0000-0000-0000-000000000001 --sent SM0123456789abcdef0123456789abcdef
  punctual resolve 00000000-0000-0000-0000-000000000001 --resend

Look the message up in Twilio's log first: `punctual why ID` shows when it was tried and the \
look-ups so far. If it was sent after all, --resend sends a second text.";

/// Settle an unconfirmed message by hand.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
#[command(group = ArgGroup::new("decision").required(true).args(["sent", "resend", "cancel"]))]
pub(super) struct Args {
    /// Id of the message
    #[arg(value_parser = super::message_id)]
    id: Uuid,
    /// Twilio has it; with its sid, the delivery status will be looked up
    #[arg(long, value_name = "SID", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "clap: a flag that may have a value")]
    sent: Option<Option<String>>,
    /// Twilio does not have it, or a second text does no harm: send it now
    #[arg(long)]
    resend: bool,
    /// Do not send it, whether or not it was sent
    #[arg(long)]
    cancel: bool,
    /// Who decided, for the record [default: the user of this session]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    fn verdict(&self) -> Result<Verdict, Usage> {
        match &self.sent {
            Some(sid) => sid.as_deref().map(read_sid).transpose().map(Verdict::Sent),
            None if self.resend => Ok(Verdict::Resend),
            None => Ok(Verdict::Cancel),
        }
    }

    fn by(&self) -> String {
        let named = self.by.clone();
        named
            .or_else(|| std::env::var("USER").ok())
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "unknown".to_owned())
    }
}

fn read_sid(text: &str) -> Result<ProviderSid, Usage> {
    provider::sid(text).map_err(|why| Usage::of("--sent")(why.to_owned()))
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let (id, by, verdict) = (MessageId(args.id), args.by(), args.verdict()?);
    let dsn = session::dsn(sources)?;
    let store = Store::new(dsn.pool(1), InstanceId::fresh())
        .with_look_ups(Some(LookUpPlan::UNHEARD.first()));
    match store
        .resolve(id, &verdict, &by)
        .await
        .map_err(super::refused)?
    {
        Resolved::Done => {}
        Resolved::Missing => {
            bail!("no message {id} in {dsn}, or this role may not change it")
        }
        Resolved::NotInDoubt(status) => bail!(
            "message {id} is {status}, not unconfirmed: there is nothing to resolve; see \
             `punctual why {id}`"
        ),
        Resolved::SidTaken => bail!("that sid belongs to another message: nothing was changed"),
    }
    let status = verdict.status().as_str();
    if args.json {
        let text = json!({"id": id, "status": status, "by": by});
        return output::print(&format!("{text:#}\n"));
    }
    let now = match verdict {
        Verdict::Resend => "is pending and will be sent at once by a running daemon",
        Verdict::Sent(_) => "is sent",
        Verdict::Cancel => "is cancelled",
    };
    output::print(&format!("message {id} {now}\n"))
}
