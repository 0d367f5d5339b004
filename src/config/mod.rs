//! The settings: defaults < `punctual.toml` < environment, read once, valid afterwards.
//!
//! [`Sources`] names the sources, `raw` merges the layers, and [`Config::load`] parses the result
//! into types that cannot hold an invalid value. All problems are reported at once, each with its
//! key; a value that may be secret or private is never repeated.

mod accounts;
mod capabilities;
mod database;
mod error;
mod guards;
mod key;
mod lawful;
mod log;
mod planner;
mod provider;
mod raw;
mod rules;
mod secret_file;
mod show;
mod smtp;
mod state;
#[cfg(test)]
mod tests;
mod values;
mod webhook;
mod webpush;
mod writer;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};

use crate::clock::ZoneData;
use crate::http::{RuntimeDir, RuntimeError, TokenKind};
use crate::message::facts::LimitSource;
use crate::message::parts::SEPARATOR;
use crate::message::{InDoubt, Retention, Routes, Sender, WebhookUrls};
use crate::policy::{BusinessHours, CampaignDefaults, HoursByCampaign, HoursByType, Validate};
use crate::schedule::LeadSetting;
use crate::store::{AppTables, SourceTable};

pub use accounts::Account;
pub use database::{Changes, Database, app_schema, app_tables, database, source_tables};
pub use error::{ConfigError, Problem};
pub use guards::GuardSettings;
pub use lawful::LawfulSettings;
pub use log::LogSettings;
pub use planner::{PlannerSettings, planner};
pub use provider::{ApiKey, ModemSettings, ProviderChoice, TwilioSettings};
pub use raw::Sources;
pub use rules::{UnknownSettings, campaign_hours};
pub use smtp::SmtpSettings;
pub use state::StateSetting;
pub use values::LogFormat;
pub use webhook::WebhookSettings;
pub use webpush::WebPushSettings;
pub use writer::WriterSettings;

use raw::Raw;

/// The settings of `punctual run`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The database.
    pub database: Database,
    /// What HTTP needs.
    pub http: HttpSettings,
    /// The provider.
    pub provider: ProviderChoice,
    /// Those of other channels beside it.
    pub beside: Vec<ProviderChoice>,
    /// The accounts next to the default one.
    pub accounts: Vec<Account>,
    /// Which account sends a message.
    pub routes: Arc<Routes>,
    /// The sender of rows without a `from_number`, of the default account.
    pub default_sender: Option<Sender>,
    /// How far ahead messages are armed, 10 s to 1 h.
    pub horizon: Duration,
    /// How long before its due time a row is claimed.
    pub lead: LeadSetting,
    /// Requests at once, 1 to 10,000.
    pub max_in_flight: usize,
    /// Total deadline of one provider call.
    pub send_timeout: Duration,
    /// How long a claim is valid; at least `2 × send_timeout + LEAD_MAX`.
    pub lease: Duration,
    /// A message that is later than this is cancelled, not sent.
    pub max_lateness: Duration,
    /// Where the journal is kept.
    pub state_dir: StateSetting,
    /// What to do about uncertain outcomes, for rows without an `in_doubt`.
    pub in_doubt: InDoubt,
    /// The newest zone data that was found.
    pub zone_data: ZoneData,
    /// The installation's zone.
    pub timezone: TimeZone,
    /// When messages may be sent, in that zone; `None`: at any hour.
    pub business_hours: Option<BusinessHours>,
    /// `PUNCTUAL_HOURS_BY_TYPE`.
    pub hours_by_type: HoursByType,
    /// `PUNCTUAL_HOURS_BY_CAMPAIGN`.
    pub hours_by_campaign: HoursByCampaign,
    /// The hours of campaigns that have none of their own.
    pub campaign_hours: CampaignDefaults,
    /// The hours in which the law permits texts.
    pub lawful: LawfulSettings,
    /// What guards against expensive mistakes.
    pub guards: GuardSettings,
    /// The planner of reminders.
    pub planner: PlannerSettings,
    /// Whether urgent messages ignore quiet hours.
    pub urgent_passes_quiet_hours: bool,
    /// What counts towards the daily limit.
    pub limit_source: LimitSource,
    /// What is done about messages of which something is not known.
    pub unknown: UnknownSettings,
    /// What divides a text into parts; `None`: nothing does.
    pub part_separator: Option<String>,
    /// From the acceptance of one part to the next.
    pub part_gap: Duration,
    /// What the database does about rows that cannot be sent.
    pub validate: Validate,
    /// How long what is known of messages is kept.
    pub retention: Retention,
    /// The URLs of jobs by type.
    pub job_urls: WebhookUrls,
    /// The language model that writes texts; `None`: none does.
    pub writer: Option<WriterSettings>,
    /// The source tables.
    pub sources: Vec<SourceTable>,
    /// The app's tables for sent messages; `None`: they have the usual names.
    pub app_tables: Option<AppTables>,
    /// The settings of the log.
    pub log: LogSettings,
}

/// Where HTTP listens, and the tokens.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Where to listen.
    pub addr: SocketAddr,
    /// The address for the provider's callbacks alone; `None`: on `addr`.
    pub webhook_addr: Option<SocketAddr>,
    /// The URL at which the provider reaches the daemon; `None`: no callbacks are requested.
    pub public_url: Option<Url>,
    /// The URL at which tracking links are served; `None`: they are not, and texts get none.
    pub link_url: Option<Url>,
    /// The token for `/debug`, `/metrics` and the page; `None`: the daemon makes one.
    pub debug_token: Option<SecretString>,
    /// The token for actions; valid for all of the above too.
    pub operator_token: Option<SecretString>,
    /// Where the daemon's socket is, and the tokens it makes.
    pub runtime: RuntimeDir,
}

/// How commands reach a running daemon.
#[derive(Clone, Debug)]
pub struct DebugEndpoint {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Where its socket is, and the tokens it has made.
    pub runtime: RuntimeDir,
    /// The tokens that are set.
    debug_token: Option<SecretString>,
    operator_token: Option<SecretString>,
}

impl DebugEndpoint {
    /// The token of the daemon on this machine: the one that is set, else the one that it made, if it did.
    pub fn token(&self, kind: TokenKind) -> Result<Option<SecretString>, RuntimeError> {
        let set = match kind {
            TokenKind::Debug => &self.debug_token,
            TokenKind::Operator => &self.operator_token,
        };
        match set {
            Some(token) => Ok(Some(token.clone())),
            None => self.runtime.token(kind),
        }
    }

    /// The token that is set to look with.
    pub const fn set_token(&self) -> Option<&SecretString> {
        self.debug_token.as_ref()
    }
}

impl Config {
    /// Reads all settings. The error contains every problem.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let mut raw = Raw::read(sources);
        let database = database::read(&mut raw);
        let state_dir = StateSetting::read(&mut raw, sources);
        let http = http_of(&mut raw, state_dir.set().map(Into::into), sources);
        let provider = provider::choose(&mut raw);
        let (accounts, routes, default_sender) = accounts::accounts(&mut raw, provider.as_ref());
        let horizon = raw.or(&key::HORIZON, "1h", values::horizon);
        let lead = raw.or(&key::LEAD, "auto", values::lead);
        let max_in_flight = raw.or(&key::MAX_IN_FLIGHT, "256", values::max_in_flight);
        let (send_timeout, lease) = values::deadlines_of(&mut raw);
        let in_doubt = raw.or(&key::IN_DOUBT, "hold", values::in_doubt);
        let max_lateness = raw.or(&key::MAX_LATENESS, "1h", values::max_lateness);
        let zone_data = ZoneData::newest();
        let timezone = raw.or(&key::TIMEZONE, "UTC", |name| {
            values::timezone(&zone_data, name)
        });
        let business_hours = raw.or(&key::BUSINESS_HOURS, "off", values::business_hours);
        let hours_by_type = raw.or(&key::HOURS_BY_TYPE, "none", values::hours_by_type);
        let hours_by_campaign = raw.or(&key::HOURS_BY_CAMPAIGN, "none", values::hours_by_campaign);
        let campaign_hours = values::campaign_defaults(&mut raw, &zone_data);
        let lawful = LawfulSettings::read(&mut raw, &sources.dir);
        let guards = GuardSettings::read(&mut raw);
        let planner = PlannerSettings::read(&mut raw);
        let urgent_passes_quiet_hours = raw.or(&key::URGENT_PASSES, "false", values::yes_or_no);
        let limit_source = raw.or(&key::LIMIT_SOURCE, "punctual", values::limit_source);
        let unknown = UnknownSettings::read(&mut raw);
        let part_separator = raw.or(&key::PART_SEPARATOR, SEPARATOR, values::part_separator);
        let part_gap = raw.or(&key::PART_GAP, "1500ms", values::part_gap);
        let job_urls = webhook::job_urls(&mut raw, provider.as_ref());
        let validate = raw.or(&key::VALIDATE, "warn", values::validate);
        let retention = values::retention_of(&mut raw);
        let writer = writer::read(&mut raw);
        let log = LogSettings::read(&mut raw);
        match (database, provider) {
            (Some(database), Some((provider, beside))) if raw.problems.is_empty() => Ok(Self {
                database,
                http,
                provider,
                beside,
                accounts,
                routes: Arc::new(routes),
                default_sender,
                horizon,
                lead,
                max_in_flight,
                send_timeout,
                lease,
                max_lateness,
                state_dir,
                in_doubt,
                zone_data,
                timezone,
                business_hours,
                hours_by_type,
                hours_by_campaign,
                campaign_hours,
                lawful,
                guards,
                planner,
                urgent_passes_quiet_hours,
                limit_source,
                unknown,
                part_separator,
                part_gap,
                validate,
                retention,
                job_urls,
                writer,
                sources: raw.sources,
                app_tables: raw.app_tables,
                log,
            }),
            _ => Err(raw.into_error()),
        }
    }

    /// As `punctual.toml`, with `***` for every secret.
    pub fn to_toml(&self) -> String {
        show::to_toml(self)
    }
}

/// The environment variables of all settings.
pub fn names() -> impl Iterator<Item = &'static str> {
    key::ALL.iter().map(|setting| setting.env)
}

/// Reads only the address of a running daemon. Misspelt keys are errors here too.
pub fn debug_endpoint(sources: &Sources) -> Result<DebugEndpoint, ConfigError> {
    let mut raw = Raw::read(sources);
    let state_dir = StateSetting::read(&mut raw, sources);
    let addr = raw.or(&key::HTTP_ADDR, HTTP_ADDR_DEFAULT, values::address);
    let endpoint = DebugEndpoint {
        addr,
        runtime: runtime_dir(state_dir.set().map(Into::into), sources, addr),
        debug_token: raw.get(&key::DEBUG_TOKEN, values::token),
        operator_token: raw.get(&key::OPERATOR_TOKEN, values::token),
    };
    if raw.problems.is_empty() {
        Ok(endpoint)
    } else {
        Err(raw.into_error())
    }
}

/// Reachable only from this machine, unless configured otherwise.
const HTTP_ADDR_DEFAULT: &str = "127.0.0.1:8080";

/// The directory of a daemon that listens there and has no state directory, by this process's environment.
pub fn user_runtime_dir(sources: &Sources, addr: SocketAddr) -> RuntimeDir {
    let dir = |name: &str| {
        let value = sources.env.get(std::ffi::OsStr::new(name))?;
        (!value.is_empty()).then(|| PathBuf::from(value))
    };
    let temp = dir("TMPDIR").unwrap_or_else(|| PathBuf::from("/tmp"));
    RuntimeDir::of_user(dir("XDG_RUNTIME_DIR").as_deref(), &temp, addr)
}

fn runtime_dir(state_dir: Option<PathBuf>, sources: &Sources, addr: SocketAddr) -> RuntimeDir {
    match state_dir {
        Some(dir) => RuntimeDir::State(dir),
        None => user_runtime_dir(sources, addr),
    }
}

fn http_of(raw: &mut Raw, state_dir: Option<PathBuf>, sources: &Sources) -> HttpSettings {
    let addr = raw.or(&key::HTTP_ADDR, HTTP_ADDR_DEFAULT, values::address);
    let webhook_addr = raw.get(&key::WEBHOOK_ADDR, values::address);
    let public_url = raw.get(&key::PUBLIC_URL, values::public_url);
    let link_url = raw.get(&key::LINK_URL, values::base_url);
    let has_use = raw.is_given(&key::PUBLIC_URL) || raw.is_given(&key::LINK_URL);
    if webhook_addr.is_some() && !has_use {
        raw.problem(Problem::CallbacksWithoutUrl);
    }
    let debug_token = raw.get(&key::DEBUG_TOKEN, values::token);
    let operator_token = raw.get(&key::OPERATOR_TOKEN, values::token);
    if let (Some(debug), Some(operator)) = (&debug_token, &operator_token)
        && debug.expose_secret() == operator.expose_secret()
    {
        raw.problem(Problem::TokensSame);
    }
    HttpSettings {
        addr,
        webhook_addr,
        public_url,
        link_url,
        debug_token,
        operator_token,
        runtime: runtime_dir(state_dir, sources, addr),
    }
}
