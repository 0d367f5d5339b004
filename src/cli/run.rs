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
    self, Config, HttpSettings, ModemSettings, ProviderChoice, SmtpSettings, Sources, StateSetting,
    TwilioSettings, WebhookSettings,
};
use crate::daemon::{self, CallbackParts, Parts, Writer};
use crate::http::{self, Endpoint};
use crate::journal::StateDir;
use crate::message::{Channel, LaneKey};
use crate::provider::console::Console;
use crate::provider::in_app::InApp;
use crate::provider::llm::Llm;
use crate::provider::modem::{Modem, ModemConfig};
use crate::provider::smtp::{Smtp, SmtpConfig};
use crate::provider::twilio::callback::status_path;
use crate::provider::twilio::{Credentials, StatusCallback, Twilio, TwilioCallbacks, TwilioConfig};
use crate::provider::webhook::{Webhook, WebhookConfig};
use crate::provider::webpush::{WebPush, WebPushConfig};
use crate::provider::{Callbacks, Providers};
use crate::reactor::Settings;
use crate::store::{InAppMessages, KeptAnswers, PushSubscriptions, TrackingLinks};

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
    let writer = writer(&config)?;
    let http = endpoint(tcp, &config)?;
    Ok(Parts {
        dsn,
        providers,
        rules: config.rules(),
        planning: config.planner.planning(),
        sources: config.sources,
        app_tables: config.app_tables,
        writer,
        settings: Settings {
            horizon: config.horizon,
            lead: config.lead,
            max_in_flight: config.max_in_flight,
            lease: config.lease,
            send_timeout: config.send_timeout,
            limits: Arc::new(config.database.limits()),
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

/// Callbacks arrive only with Twilio, which signs them, and only if it has a public URL. Beside them are tracking
/// links.
async fn callbacks(config: &Config) -> anyhow::Result<Option<CallbackParts>> {
    let callbacks: Vec<Arc<dyn Callbacks>> = config
        .each_provider()
        .filter_map(|(account, provider)| match provider {
            ProviderChoice::Twilio(twilio) => {
                let public_url = config.http.public_url.as_ref()?;
                let token = twilio.auth_token.clone();
                let of = TwilioCallbacks::of_account(account, public_url, token);
                Some(Arc::new(of) as Arc<dyn Callbacks>)
            }
            _ => None,
        })
        .collect();
    let links = match &config.http.link_url {
        Some(_) => Some(TrackingLinks::of(&config.database.dsn()?)),
        None => None,
    };
    if callbacks.is_empty() && links.is_none() {
        return Ok(None);
    }
    let listener = match config.http.webhook_addr {
        Some(addr) => Some(http::bind(addr, "PUNCTUAL_WEBHOOK_ADDR").await?),
        None => None,
    };
    Ok(Some(CallbackParts {
        callbacks,
        links,
        listener,
    }))
}

/// The URL for status callbacks.
fn status_callback(public_url: &Url, account: Option<&str>) -> anyhow::Result<StatusCallback> {
    let front = public_url.as_str().trim_end_matches('/');
    format!("{front}{}", status_path(account))
        .parse()
        .context("PUNCTUAL_PUBLIC_URL is not valid")
}

fn providers(config: &Config) -> anyhow::Result<Providers> {
    let own = of_account(None, &config.provider, &config.beside, config)?;
    config.accounts.iter().try_fold(own, |all, account| {
        let (name, beside) = (account.name.as_str(), &account.beside);
        let of = of_account(Some(name), &account.provider, beside, config)?;
        Ok(all.with_account(name, of))
    })
}

/// The providers of an account, as if it were the default one.
fn of_account(
    account: Option<&str>,
    provider: &ProviderChoice,
    beside: &[ProviderChoice],
    config: &Config,
) -> anyhow::Result<Providers> {
    let first = match provider {
        ProviderChoice::Console => Console::stdout(),
        _ => Providers::default(),
    };
    let mut all = std::iter::once(provider).chain(beside);
    all.try_fold(first, |providers, choice| {
        with(providers, choice, config, account)
    })
}

/// The same with one of them.
fn with(
    providers: Providers,
    choice: &ProviderChoice,
    config: &Config,
    account: Option<&str>,
) -> anyhow::Result<Providers> {
    Ok(match choice {
        ProviderChoice::Twilio(settings) => {
            let twilio = twilio(settings, config, account)?;
            providers.with(Channel::Sms, Arc::new(twilio))
        }
        ProviderChoice::Modem(settings) => {
            providers.with(Channel::Sms, Arc::new(modem(settings, config, account)?))
        }
        ProviderChoice::Webhook(settings) => {
            providers.with(Channel::Webhook, Arc::new(webhook(settings, config)?))
        }
        ProviderChoice::Smtp(settings) => {
            providers.with(Channel::Email, Arc::new(smtp(settings, config)?))
        }
        ProviderChoice::WebPush(settings) => {
            let subscriptions = PushSubscriptions::of(&config.database.dsn()?);
            let webpush = WebPush::new(
                &WebPushConfig {
                    vapid: settings.vapid.clone(),
                    allowed: settings.allowed.clone(),
                    send_timeout: config.send_timeout,
                    max_in_flight: most(config),
                },
                subscriptions,
            )?;
            providers.with(Channel::Push, Arc::new(webpush))
        }
        ProviderChoice::InApp => {
            let messages = InAppMessages::of(&config.database.dsn()?);
            let in_app = InApp::new(messages, config.send_timeout);
            providers.with(Channel::InApp, Arc::new(in_app))
        }
        // It is the first where it is chosen, for every channel that no other one has.
        ProviderChoice::Console => providers,
    })
}

/// What has texts written.
fn writer(config: &Config) -> anyhow::Result<Option<Writer>> {
    let writer = config.writer.as_ref().map(|settings| {
        let llm = Llm::new(settings.llm.clone()).context("PUNCTUAL_LLM_URL is not usable")?;
        Ok(Writer::new(llm, settings.prices, settings.budget))
    });
    writer.transpose()
}

pub(super) fn smtp(settings: &SmtpSettings, config: &Config) -> anyhow::Result<Smtp> {
    Ok(Smtp::new(&SmtpConfig {
        server: settings.server.clone(),
        login: settings.login.clone(),
        from: settings.from.clone(),
        unsubscribe_url: settings.unsubscribe_url.clone(),
        send_timeout: config.send_timeout,
    })?)
}

fn modem(
    settings: &ModemSettings,
    config: &Config,
    account: Option<&str>,
) -> anyhow::Result<Modem> {
    let sender = match account {
        None => config.default_sender.as_ref(),
        Some(name) => {
            let own = config.accounts.iter().find(|own| own.name == name);
            own.and_then(|own| own.sender.as_ref())
        }
    };
    Ok(Modem::new(ModemConfig {
        account: account.unwrap_or(LaneKey::DEFAULT_ACCOUNT).to_owned(),
        port: settings.port.clone(),
        pin: settings.pin.clone(),
        sender: sender.cloned().context("a modem needs a sender")?,
        send_timeout: config.send_timeout,
    }))
}

fn webhook(settings: &WebhookSettings, config: &Config) -> anyhow::Result<Webhook> {
    let webhook = Webhook::new(&WebhookConfig {
        secrets: settings.secrets.clone(),
        allowed: settings.allowed.clone(),
        send_timeout: config.send_timeout,
        max_in_flight: most(config),
    })?;
    if config.job_urls.is_empty() {
        return Ok(webhook);
    }
    let answers = KeptAnswers::of(&config.database.dsn()?);
    Ok(webhook.with_answers(Arc::new(answers)))
}

/// Requests at once.
fn most(config: &Config) -> NonZeroUsize {
    NonZeroUsize::new(config.max_in_flight).unwrap_or(NonZeroUsize::MIN)
}

pub(super) fn twilio(
    settings: &TwilioSettings,
    config: &Config,
    account: Option<&str>,
) -> anyhow::Result<Twilio> {
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
        status_callback: public_url
            .map(|url| status_callback(url, account))
            .transpose()?,
    };
    Ok(Twilio::new(&twilio)?)
}
