//! `punctual tail`: prints what happens to messages, as it happens, from the events of a running daemon.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::bail;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use reqwest::{Response, StatusCode};
use serde::Deserialize;

use super::ask::{self, At, Daemon};
use super::output;
use crate::config::{Sources, debug_endpoint};
use crate::message::Moment;
use crate::reactor::events::EventKind;

const EXAMPLE: &str = "\
Example:
  punctual tail
  punctual tail --event failed,unconfirmed,rejected --json | jq .id

Begins with the latest events, and goes on until it is interrupted; a lost connection is made again. What other instances
sent comes up to 7 s later, and of very many at once only how many. `punctual why ID` has the whole history of a message.";

/// Between two tries to connect again.
const AGAIN: Duration = Duration::from_secs(1);

/// Latest events that are remembered: after a reconnect the daemon repeats up to 60.
const REMEMBERED: usize = 256;

/// The most bytes of an event: the daemon's have a few hundred.
const EVENT_MAX: usize = 1 << 20;

const FOREIGN: &str = "the daemon's events are not those of this version";

/// Print what happens to messages, as it happens: sent, failed, moved, and so on.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Args {
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kind)]
    #[arg(help = format!("Only events of this kind; several with commas: {}", kinds()))]
    event: Vec<EventKind>,

    /// Only of messages whose id begins so
    #[arg(long, value_name = "ID", value_parser = beginning)]
    id: Option<String>,

    /// Only with this reason, like `opted_out`
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,

    #[command(flatten)]
    at: At,

    /// Print JSON, an event a line, with times in UTC
    #[arg(long)]
    json: bool,
}

fn kinds() -> String {
    EventKind::ALL.map(EventKind::as_str).join(", ")
}

fn kind(text: &str) -> Result<EventKind, String> {
    EventKind::parse(text.trim()).ok_or_else(|| format!("expected one of {}", kinds()))
}

fn beginning(text: &str) -> Result<String, String> {
    let id = text.trim().to_ascii_lowercase();
    let is_id = !id.is_empty() && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    is_id
        .then_some(id)
        .ok_or_else(|| "expected the beginning of an id, with its hyphens".to_owned())
}

/// An event, as far as it is shown.
#[derive(Debug, Deserialize)]
struct Event {
    at: Moment,
    id: String,
    #[serde(rename = "event")]
    kind: String,
    due_at: Option<Moment>,
    was_due_at: Option<Moment>,
    lateness_us: Option<u64>,
    provider_us: Option<u64>,
    attempt: Option<i32>,
    part: Option<String>,
    status: Option<String>,
    category: Option<String>,
    code: Option<i32>,
    /// Of another instance than the one that is asked.
    instance: Option<String>,
}

/// How many events were not sent one by one.
#[derive(Debug, Deserialize)]
struct More {
    more: std::collections::BTreeMap<String, u64>,
    dropped: u64,
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let endpoint = debug_endpoint(sources)?;
    let daemon = args.at.daemon(&endpoint).await?;
    let mut tail = Tail {
        args,
        zone: TimeZone::system(),
        seen: VecDeque::new(),
    };
    let mut stream = open(&daemon).await?;
    loop {
        if !tail.follow(&mut stream).await? {
            return Ok(());
        }
        output::remark("the connection to the daemon was lost; trying again");
        stream = loop {
            tokio::time::sleep(AGAIN).await;
            // The daemon restarts.
            match daemon.open(&["debug", "events"]).await {
                Ok(stream) if stream.status() == StatusCode::OK => break stream,
                Ok(refused) if refused.status() != StatusCode::SERVICE_UNAVAILABLE => {
                    return Err(refusal(&daemon, refused).await);
                }
                Ok(_) | Err(_) => {}
            }
        };
        output::remark("connected again");
    }
}

async fn open(daemon: &Daemon) -> anyhow::Result<Response> {
    let stream = daemon.open(&["debug", "events"]).await?;
    if stream.status() == StatusCode::OK {
        return Ok(stream);
    }
    Err(refusal(daemon, stream).await)
}

async fn refusal(daemon: &Daemon, response: Response) -> anyhow::Error {
    let status = response.status().as_u16();
    let body = response.text().await.unwrap_or_default();
    anyhow::anyhow!("{daemon} responded {status}: {}", ask::sentence(&body))
}

struct Tail {
    args: Args,
    zone: TimeZone,
    seen: VecDeque<String>,
}

impl Tail {
    /// Prints events until the connection is lost (true), or nobody reads the output (false).
    async fn follow(&mut self, stream: &mut Response) -> anyhow::Result<bool> {
        let mut received = Vec::new();
        while let Ok(Some(chunk)) = stream.chunk().await {
            received.extend_from_slice(&chunk);
            while let Some(end) = received.windows(2).position(|two| two == b"\n\n") {
                let message: Vec<u8> = received.drain(..end + 2).collect();
                if !self.message(&String::from_utf8_lossy(&message))? {
                    return Ok(false);
                }
            }
            if received.len() > EVENT_MAX {
                bail!(FOREIGN);
            }
        }
        Ok(true)
    }

    /// Prints a message of the stream. False: nobody reads the output.
    fn message(&mut self, message: &str) -> anyhow::Result<bool> {
        let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name));
        let (Some(name), Some(data)) = (field("event: "), field("data: ")) else {
            return Ok(true);
        };
        if name == "more" {
            if let Ok(more) = serde_json::from_str(data) {
                self.remark(&more);
            }
            return Ok(true);
        }
        let Ok(event) = serde_json::from_str::<Event>(data) else {
            bail!(FOREIGN);
        };
        if !self.is_wanted(&event) || self.seen.iter().any(|seen| seen == data) {
            return Ok(true);
        }
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(data.to_owned());
        let line = if self.args.json {
            format!("{data}\n")
        } else {
            line(&event, &self.zone)
        };
        output::print_if_read(&line)
    }

    fn is_wanted(&self, event: &Event) -> bool {
        let Args {
            event: kinds,
            id,
            reason,
            ..
        } = &self.args;
        (kinds.is_empty() || kinds.iter().any(|kind| kind.as_str() == event.kind))
            && id.as_ref().is_none_or(|id| event.id.starts_with(id))
            && (reason.is_none() || reason == &event.category)
    }

    /// Says what is missing, if it may be wanted.
    fn remark(&self, more: &More) {
        let is_wanted = |name: &str| {
            self.args.event.is_empty() || self.args.event.iter().any(|kind| kind.as_str() == name)
        };
        let counted = more.more.iter().filter(|(name, _)| is_wanted(name));
        let mut parts: Vec<_> = counted.map(|(name, n)| format!("{n} {name}")).collect();
        if more.dropped > 0 {
            parts.push(format!("{} others", more.dropped));
        }
        if !parts.is_empty() {
            let parts = output::one_line(&parts.join(", "));
            output::remark(&format!("too many at once to show each: {parts}"));
        }
    }
}

/// An event in a line, with local times.
fn line(event: &Event, zone: &TimeZone) -> String {
    let clock = |at: Moment| {
        Timestamp::from_microsecond(at.as_micros()).map_or_else(
            |_| at.to_string(),
            |at| {
                at.to_zoned_datetime(zone.clone())
                    .strftime("%m-%d %H:%M:%S%.3f")
                    .to_string()
            },
        )
    };
    let ms = |us: u64| format!("{}.{} ms", us / 1_000, us % 1_000 / 100);
    let mut parts = Vec::new();
    if let Some(us) = event.lateness_us {
        parts.push(format!("late {}", ms(us)));
    }
    if let Some(us) = event.provider_us {
        parts.push(format!("responded in {}", ms(us)));
    }
    parts.extend(event.category.clone());
    parts.extend(event.code.map(|code| format!("code {code}")));
    parts.extend(event.status.clone());
    match (event.was_due_at, event.due_at) {
        (Some(was), Some(due)) => parts.push(format!("due {} → {}", clock(was), clock(due))),
        (None, Some(due)) => parts.push(format!("due {}", clock(due))),
        (_, None) => {}
    }
    parts.extend(event.attempt.map(|attempt| format!("attempt {attempt}")));
    parts.extend(event.part.iter().map(|part| format!("part {part}")));
    let short = |id: &String| format!("instance {}", id.get(..8).unwrap_or(id));
    parts.extend(event.instance.as_ref().map(short));
    let (at, id) = (clock(event.at), output::one_line(&event.id));
    let (what, rest) = (
        output::one_line(&event.kind),
        output::one_line(&parts.join(", ")),
    );
    format!("{at}  {id}  {what:<11}  {rest}")
        .trim_end()
        .to_owned()
        + "\n"
}

#[cfg(test)]
mod tests;
