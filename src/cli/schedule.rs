//! `punctual schedule`: inserts a message as an app would.

use clap::ValueEnum;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::when::{self, When};
use super::{Usage, output, session};
use crate::config::Sources;
use crate::forecast::Forecast;
use crate::message::segments::Segments;
use crate::message::{Address, Channel, MessageId, Moment, Sender, media};
use crate::store::StoreError;
use crate::store::doctor::database_time;
use crate::store::forecast;
use crate::store::user::{Draft, UserSession};

mod input;
mod recipient;
mod summary;
mod text;

use input::{at_help, channel, channel_help, check_subject, sender_of};
pub(super) use input::{sender, zone};
use summary::{PartSummary, Summary, show};
use text::Text;

const EXAMPLE: &str = "\
Example:
  punctual schedule --to +13105551234 --body 'See you at eight.' --at '2026-12-24 19:00'
  punctual schedule --to +13105551234 --body 'Tea is ready' --at 'in 4m'
  punctual schedule --to +13105551234 --template appointment --var name=Ada --var time=9:00 --at 'in 1h'

Inserts a row into scheduled_messages, as your app would, and says what will happen to it, as it was known before the row
was committed; a running `punctual run` sends it. With --dry-run the row is inserted too, so that the table's checks and triggers apply, and the transaction is rolled back.";

/// Schedule one message.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Args {
    /// Recipient: + and the country code, digits only; for other channels an e-mail address, a URL or a user's id. A
    /// webhook without one goes to the URL of its message type
    #[arg(long, value_name = "ADDRESS", allow_hyphen_values = true)]
    #[arg(required_unless_present = "message_type")]
    to: Option<String>,

    #[arg(long, value_name = "CHANNEL", default_value = Channel::Sms.as_str(), value_parser = channel)]
    #[arg(help = channel_help())]
    channel: Channel,

    /// Text; of a text message at most 1600 characters, or as many in each of its parts
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    #[arg(required_unless_present = "template", conflicts_with = "template")]
    body: Option<String>,

    /// Subject of an e-mail; title of a push message or a message in the app
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    subject: Option<String>,

    #[arg(long, value_name = "KEY")]
    #[arg(help = "Template in place of a text: template_key or id of a row of sms_templates")]
    template: Option<String>,

    /// A variable of the template; repeat for each
    #[arg(long, value_name = "NAME=VALUE", requires = "template", value_parser = text::variable)]
    var: Vec<(String, String)>,

    #[arg(long, value_name = "WHEN", allow_hyphen_values = true, help = at_help())]
    at: String,

    /// Sender: your number, short code, name or messaging service; of an e-mail its address [default: the daemon's]
    #[arg(long, value_name = "SENDER")]
    from: Option<String>,

    /// The user it belongs to: their preferences (quiet hours, limits) apply
    #[arg(long, value_name = "UUID")]
    user: Option<Uuid>,

    /// Picture or file that goes with it, an https URL; repeat for each, at most 10. Of an e-mail a link below the text
    #[arg(long, value_name = "URL")]
    media: Vec<String>,

    /// Cancel it, instead of sending it, after this time; written like --at
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    send_before: Option<String>,

    /// Refuse it while another message with this key is in progress
    #[arg(long, value_name = "KEY")]
    dedup_key: Option<String>,

    /// Order among messages due together
    #[arg(long, value_enum, default_value_t = Priority::Normal)]
    priority: Priority,

    /// Time zone of the recipient and of a local --at [default for --at: this machine's]
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    timezone: Option<TimeZone>,

    #[arg(
        long,
        value_name = "TYPE",
        help = "Type of the message, like event_reminder"
    )]
    message_type: Option<String>,

    /// Accept a time in the past (sent at once, or cancelled if older than the allowed lateness)
    #[arg(long)]
    past_ok: bool,

    /// Say what would happen to it, and insert nothing
    #[arg(long)]
    dry_run: bool,

    /// Print JSON, with times in UTC
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Priority {
    Low,
    Normal,
    High,
    Urgent,
}

impl Priority {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Urgent => "urgent",
        }
    }
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let local = args.timezone.clone().unwrap_or_else(TimeZone::system);
    let at = When::parse(&args.at, &local).map_err(Usage::of("--at"))?;
    let send_before = args.send_before.as_deref();
    let send_before = send_before
        .map(|text| When::parse(text, &local).map_err(Usage::of("--send-before")))
        .transpose()?;
    if let Some(body) = &args.body {
        text::check(body).map_err(Usage::of("--body"))?;
    }
    let to = recipient::parse(args.channel, args.to.as_deref()).map_err(Usage::of("--to"))?;
    let from = args.from.as_deref();
    let from = from.map(|from| sender_of(args.channel, from)).transpose();
    let from = from.map_err(Usage::of("--from"))?;
    if let Some(subject) = &args.subject {
        check_subject(&args, subject).map_err(Usage::of("--subject"))?;
    }
    // Whether the daemon's provider sends them is in the forecast.
    media::parse(args.channel, true, &args.media)
        .map_err(|why| Usage::of("--media")(why.text().to_owned()))?;
    let dsn = session::dsn(sources)?;
    let scheduled = session::with(&dsn, async |client| {
        let now = database_time(client).await?;
        let times = Times::checked(&at, send_before.as_ref(), now, args.past_ok)?;
        let app = UserSession::new(client);
        if let Some(to) = &to {
            recipient::check_number(client, to, from.as_ref(), sources).await?;
        }
        let text = Text::of(&app, &args).await?;
        if text.parts.len() > 1 {
            let n = text.parts.len();
            output::remark(&format!(
                "the text is sent in {n} parts, one after the other"
            ));
        }
        let scheduled = app.at_once(!args.dry_run, async || {
            let parties = (to.as_ref(), from.as_ref());
            let (id, mut scheduled) = insert(&app, &args, parties, text, &times).await?;
            // Before anybody can send it.
            let foreseen = app.apart(async || foreseen(client, id, sources).await);
            let foreseen = foreseen.await?;
            if args.dry_run {
                scheduled.forecast = foreseen.map_err(super::refused)?;
                anyhow::ensure!(
                    scheduled.forecast.is_some(),
                    "a trigger of the table would end the message at once"
                );
            } else {
                // An app's role may have no right on what it depends on.
                scheduled.forecast = foreseen.ok().flatten();
                scheduled.id = Some(id);
            }
            Ok(scheduled)
        });
        scheduled.await.map_err(super::refused)?
    })
    .await?;
    if let Some(note) = at.note() {
        output::remark(note);
    }
    for remark in &scheduled.remarks {
        output::remark(remark);
    }
    if args.json {
        let text = serde_json::to_string_pretty(&scheduled)?;
        return output::print(&format!("{text}\n"));
    }
    output::print(&show(&scheduled, &local))
}

/// What will happen to a message; `None`: it is not pending.
async fn foreseen(
    client: &tokio_postgres::Client,
    id: MessageId,
    sources: &Sources,
) -> Result<Option<Forecast>, StoreError> {
    let mut known = forecast::forecasts(client, &[id], &session::assumed(sources)).await?;
    Ok(known.take(id))
}

/// The error for a time in the past.
pub(super) fn passed(at: Moment, now: Moment) -> Usage {
    Usage::of("--at")(format!(
        "{} is in the past ({}); pass --past-ok to allow it: the message is then sent at once, or \
         cancelled as too late",
        when::show(at, &TimeZone::system()),
        when::distance(at, now)
    ))
}

/// The moments of a message, on the database's clock.
struct Times {
    now: Moment,
    at: Moment,
    send_before: Option<Moment>,
}

impl Times {
    fn checked(
        at: &When,
        send_before: Option<&When>,
        now: Moment,
        past_ok: bool,
    ) -> Result<Self, Usage> {
        let zone = TimeZone::system();
        let (at, send_before) = (at.instant(now), send_before.map(|w| w.instant(now)));
        if at < now && !past_ok {
            return Err(passed(at, now));
        }
        if let Some(before) = send_before.filter(|before| *before <= at.max(now)) {
            return Err(Usage::of("--send-before")(format!(
                "{} is not after the message's due time, so it would be cancelled",
                when::show(before, &zone)
            )));
        }
        Ok(Self {
            now,
            at,
            send_before,
        })
    }
}

async fn insert(
    app: &UserSession<&tokio_postgres::Client>,
    args: &Args,
    (to, from): (Option<&Address>, Option<&Sender>),
    text: Text,
    times: &Times,
) -> anyhow::Result<(MessageId, Summary)> {
    let draft = Draft {
        channel: args.channel.as_str(),
        to: to.map_or("", Address::as_str),
        from: from.map(Sender::as_str),
        subject: args.subject.as_deref(),
        body: &text.body,
        at: times.at,
        user: args.user,
        timezone: args.timezone.as_ref().and_then(TimeZone::iana_name),
        send_before: times.send_before,
        priority: args.priority.as_str(),
        dedup_key: args.dedup_key.as_deref(),
        message_type: args.message_type.as_deref(),
        template: text.template.as_ref().map(|of| of.id),
        template_vars: text.template.as_ref().map(|of| of.vars.as_str()),
        media: &args.media,
    };
    let id = app.schedule(&draft).await.map_err(super::refused)?;
    let Some(id) = id else {
        anyhow::bail!("nothing was scheduled: a trigger of the table skipped the row");
    };
    let summary = Summary {
        id: None,
        channel: args.channel.as_str(),
        to: recipient::shown(to),
        scheduled_at: times.at,
        send_before: times.send_before,
        characters: text.body.chars().count(),
        segments: (text.parts.len() == 1).then(|| Segments::of(&text.body)),
        parts: match text.parts.len() {
            1 => Vec::new(),
            _ => text
                .parts
                .iter()
                .map(|part| PartSummary::of(part))
                .collect(),
        },
        text: text.template.is_some().then_some(text.body),
        template: text.template.map(|of| of.name),
        forecast: None,
        now: times.now,
        remarks: text.remarks,
    };
    Ok((id, summary))
}
