//! `punctual run`: builds the daemon from the settings and runs it.

use std::io::IsTerminal as _;
use std::num::NonZeroUsize;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{logs, output, token};
use crate::config::{
    self, Config, HttpSettings, ProviderChoice, Sources, StateSetting, TwilioSettings,
    WebhookSettings,
};
use crate::daemon::{self, CallbackParts, Parts};
use crate::http::{self, Endpoint};
use crate::journal::StateDir;
use crate::message::Channel;
use crate::provider::Providers;
use crate::provider::console::Console;
use crate::provider::twilio::callback::STATUS_PATH;
use crate::provider::twilio::{Credentials, StatusCallback, Twilio, TwilioCallbacks, TwilioConfig};
use crate::provider::webhook::{Webhook, WebhookConfig};
use crate::reactor::Settings;

/// Run the daemon until SIGTERM or SIGINT.
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub(super) struct Args {
    /// Print the settings, without secrets, and exit
    #[arg(long)]
    print_config: bool,
    /// Release all messages in quarantine after a restore or failover that lost nothing
    #[arg(long)]
    accept_restore: bool,
    /// Take the database's clock as right, whatever this host's clock says
    #[arg(long)]
    accept_clock: bool,
}

fn after_help() -> String {
    let settings: Vec<&str> = config::names().collect();
    format!(
        "Example:\n  DATABASE_URL=postgres://… PUNCTUAL_PROVIDER=console punctual run\n\n\
         The first signal waits for requests in flight and releases the other claims; a second one \
         exits at once.\n\nSettings, in the environment or in punctual.toml:\n  {}",
        settings.join("\n  ")
    )
}

pub(super) async fn run(args: Args, sources: &Sources) -> anyhow::Result<()> {
    let config = Config::load(sources)?;
    if args.print_config {
        return output::print(&config.to_toml());
    }
    let _logs = logs::start(&config.log);
    let stop = CancellationToken::new();
    daemon::stop_on_signal(stop.clone()).context("cannot wait for signals")?;
    let parts = parts(config, &args).await?;
    // Boxed because it is large.
    Box::pin(daemon::run(parts, stop)).await?;
    Ok(())
}

async fn parts(config: Config, args: &Args) -> anyhow::Result<Parts> {
    let dsn = config.database.dsn().context("DATABASE_URL is not valid")?;
    let ignored = dsn.warnings().iter().map(String::as_str);
    for warning in dsn.pooler_warning().into_iter().chain(ignored) {
        tracing::warn!("{warning}");
    }
    let providers = providers(&config)?;
    let state_dir = state_dir(&config.state_dir)?;
    let tcp = http::bind(config.http.addr, "PUNCTUAL_HTTP_ADDR").await?;
    let callbacks = callbacks(&config).await?;
    let http = endpoint(tcp, &config)?;
    Ok(Parts {
        dsn,
        providers,
        rules: config.rules(),
        settings: Settings {
            horizon: config.horizon,
            lead: config.lead,
            max_in_flight: config.max_in_flight,
            lease: config.lease,
            send_timeout: config.send_timeout,
            limits: Arc::default(),
        },
        http,
        callbacks,
        state_dir,
        accept_restore: args.accept_restore,
        accept_clock: args.accept_clock,
    })
}

/// The directory of the journal. One that was set must be usable; without one that was only found, messages
/// are sent all the same.
fn state_dir(setting: &StateSetting) -> anyhow::Result<Option<StateDir>> {
    const WITHOUT: &str =
        "no journal: if this process dies, messages it had claimed become unconfirmed";
    let Some(path) = setting.path() else {
        let reason = setting.reason().unwrap_or_default();
        tracing::warn!(
            reason,
            "{WITHOUT}; set PUNCTUAL_STATE_DIR to a writable directory"
        );
        return Ok(None);
    };
    match (StateDir::open(path), setting) {
        (Ok(dir), _) => Ok(Some(dir)),
        (Err(error), StateSetting::Found { variable, .. }) => {
            let error = anyhow::Error::from(error);
            tracing::warn!(
                error = format!("{error:#}"),
                variable,
                "{WITHOUT}; set PUNCTUAL_STATE_DIR to a writable directory"
            );
            Ok(None)
        }
        (Err(error), _) => Err(error).context("PUNCTUAL_STATE_DIR is not usable"),
    }
}

/// The address and the Unix socket. Only a terminal is shown the link, which contains the token; logs are kept.
fn endpoint(tcp: TcpListener, config: &Config) -> anyhow::Result<Endpoint> {
    let HttpSettings {
        debug_token,
        operator_token,
        runtime,
        ..
    } = config.http.clone();
    let endpoint = Endpoint::open(tcp, runtime, debug_token, operator_token)?;
    if std::io::stderr().is_terminal()
        && let Ok(addr) = endpoint.tcp.local_addr()
    {
        let link = token::link(addr, endpoint.tokens.debug())?;
        output::remark(&format!("the live page: {link}"));
    }
    Ok(endpoint)
}

/// Callbacks arrive only with Twilio, which signs them, and only if it has a public URL.
async fn callbacks(config: &Config) -> anyhow::Result<Option<CallbackParts>> {
    let (ProviderChoice::Twilio(twilio), Some(public_url)) =
        (&config.provider, &config.http.public_url)
    else {
        return Ok(None);
    };
    let listener = match config.http.webhook_addr {
        Some(addr) => Some(http::bind(addr, "PUNCTUAL_WEBHOOK_ADDR").await?),
        None => None,
    };
    Ok(Some(CallbackParts {
        callbacks: Arc::new(TwilioCallbacks::new(public_url, twilio.auth_token.clone())),
        listener,
    }))
}

/// The URL for status callbacks.
fn status_callback(public_url: &Url) -> anyhow::Result<StatusCallback> {
    let front = public_url.as_str().trim_end_matches('/');
    format!("{front}{STATUS_PATH}")
        .parse()
        .context("PUNCTUAL_PUBLIC_URL is not valid")
}

fn providers(config: &Config) -> anyhow::Result<Providers> {
    let providers = match &config.provider {
        ProviderChoice::Console => Console::stdout(),
        ProviderChoice::Twilio(settings) => Providers::texts(Arc::new(twilio(settings, config)?)),
        ProviderChoice::Webhook(settings) => {
            Providers::default().with(Channel::Webhook, Arc::new(webhook(settings, config)?))
        }
    };
    Ok(match &config.webhook {
        Some(settings) => providers.with(Channel::Webhook, Arc::new(webhook(settings, config)?)),
        None => providers,
    })
}

fn webhook(settings: &WebhookSettings, config: &Config) -> anyhow::Result<Webhook> {
    Ok(Webhook::new(&WebhookConfig {
        secrets: settings.secrets.clone(),
        allowed: settings.allowed.clone(),
        send_timeout: config.send_timeout,
        max_in_flight: most(config),
    })?)
}

/// Requests at once.
fn most(config: &Config) -> NonZeroUsize {
    NonZeroUsize::new(config.max_in_flight).unwrap_or(NonZeroUsize::MIN)
}

pub(super) fn twilio(settings: &TwilioSettings, config: &Config) -> anyhow::Result<Twilio> {
    let credentials = match &settings.api_key {
        Some(key) => Credentials::ApiKey {
            sid: key.sid.clone(),
            secret: key.secret.clone(),
        },
        None => Credentials::AuthToken(settings.auth_token.clone()),
    };
    let public_url = config.http.public_url.as_ref();
    let twilio = TwilioConfig {
        account_sid: settings.account_sid.clone(),
        credentials,
        base_url: settings.base_url.clone(),
        send_timeout: config.send_timeout,
        max_in_flight: most(config),
        status_callback: public_url.map(status_callback).transpose()?,
    };
    Ok(Twilio::new(&twilio)?)
}
