//! The effective settings as TOML, for `--print-config`.

use std::collections::BTreeMap;
use std::time::Duration;

use humantime::format_duration;
use serde::Serialize;

use super::rules::Campaign;
use super::values::LogFormat;
use super::{Account, Config, ProviderChoice, StateSetting, writer};
use crate::message::facts::LimitSource;
use crate::message::{Sender, WebhookUrls};
use crate::provider::smtp::UnsubscribeUrl;
use crate::schedule::LeadSetting;
use crate::store::{AppTables, SourceTable};

/// Replaces a secret.
const HIDDEN: &str = "***";

/// Keys as in the settings file, so the output works as one once its secrets are filled in.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    database: super::database::Shown<'a>,
    http_addr: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_addr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    debug_token: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator_token: Option<&'static str>,
    provider: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    routes: String,
    horizon: String,
    #[serde(serialize_with = "lead")]
    lead: LeadSetting,
    max_in_flight: usize,
    send_timeout: String,
    lease: String,
    in_doubt: &'static str,
    max_lateness: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_dir: Option<String>,
    timezone: &'a str,
    business_hours: String,
    hours_by_type: String,
    hours_by_campaign: String,
    urgent_passes_quiet_hours: bool,
    limit_source: &'static str,
    #[serde(flatten)]
    unknown: super::UnknownSettings,
    part_separator: &'a str,
    part_gap: String,
    validate: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help_text: Option<&'a str>,
    retention: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text_retention: Option<String>,
    in_app: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_urls: Option<String>,
    log: String,
    log_format: LogFormat,
    campaign: Campaign,
    lawful: super::lawful::Shown<'a>,
    guards: super::guards::Shown,
    planner: super::planner::Shown<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<Webhook>,
    #[serde(skip_serializing_if = "Option::is_none")]
    smtp: Option<Smtp<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webpush: Option<WebPush<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    llm: Option<writer::Shown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modem: Option<Modem>,
    twilio: Twilio<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    accounts: BTreeMap<&'a str, ShownAccount<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    source: &'a [SourceTable],
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<&'a AppTables>,
}

#[derive(Serialize)]
struct ShownAccount<'a> {
    provider: &'static str,
    in_app: bool,
    #[serde(flatten)]
    twilio: Twilio<'a>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    modem: Option<Modem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    senders: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    webhook: Option<Webhook>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    smtp: Option<Smtp<'a>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    webpush: Option<WebPush<'a>>,
}

#[derive(Serialize)]
struct Modem {
    port: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pin: Option<&'static str>,
}

#[derive(Serialize)]
struct Smtp<'a> {
    server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'static str>,
    from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    unsubscribe_url: Option<&'a str>,
}

#[derive(Serialize)]
struct WebPush<'a> {
    private_key: &'static str,
    public_key: &'a str,
    subject: &'a str,
    push_allow: String,
}

#[derive(Serialize)]
struct Webhook {
    secret: &'static str,
    allow: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    urls: Option<String>,
}

#[derive(Default, Serialize)]
struct Twilio<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    account_sid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_token: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_secret: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_base_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messaging_service_sid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sms_from_number: Option<&'a str>,
}

pub(super) fn to_toml(config: &Config) -> String {
    let shown = Shown {
        database: config.database.shown(HIDDEN),
        http_addr: config.http.addr.to_string(),
        webhook_addr: config.http.webhook_addr.map(|addr| addr.to_string()),
        public_url: config.http.public_url.as_ref().map(reqwest::Url::as_str),
        link_url: config.http.link_url(),
        debug_token: config.http.debug_token.as_ref().map(|_| HIDDEN),
        operator_token: config.http.operator_token.as_ref().map(|_| HIDDEN),
        provider: config.provider.as_str(),
        horizon: format_duration(config.horizon).to_string(),
        lead: config.lead,
        max_in_flight: config.max_in_flight,
        send_timeout: format_duration(config.send_timeout).to_string(),
        lease: format_duration(config.lease).to_string(),
        in_doubt: config.in_doubt.as_str(),
        max_lateness: format_duration(config.max_lateness).to_string(),
        state_dir: match &config.state_dir {
            StateSetting::Set(dir) => Some(dir.display().to_string()),
            StateSetting::Off => Some("off".into()),
            // Not a setting.
            StateSetting::Found { .. } | StateSetting::Unknown => None,
        },
        timezone: config.timezone.iana_name().unwrap_or("UTC"),
        business_hours: config
            .business_hours
            .as_ref()
            .map_or_else(|| "off".into(), ToString::to_string),
        hours_by_type: config.hours_by_type.to_string(),
        hours_by_campaign: config.hours_by_campaign.to_string(),
        urgent_passes_quiet_hours: config.urgent_passes_quiet_hours,
        limit_source: match config.limit_source {
            LimitSource::Punctual => "punctual",
            LimitSource::App => "app",
        },
        unknown: config.unknown,
        part_separator: config.part_separator.as_deref().unwrap_or_default(),
        part_gap: format_duration(config.part_gap).to_string(),
        validate: config.validate.as_str(),
        help_text: config.lawful.help_text.as_deref(),
        retention: config.retention.messages.map_or("forever".into(), kept),
        text_retention: config.retention.texts.map(kept),
        in_app: has_in_app(&config.provider, &config.beside),
        routes: config.routes.list().to_string(),
        job_urls: (!config.job_urls.is_empty()).then(|| config.job_urls.to_string()),
        log: config.log.filter.to_string(),
        log_format: config.log.format,
        campaign: Campaign::of(config),
        lawful: config.lawful.shown(),
        guards: config.guards.shown(),
        planner: config.planner.shown(),
        webhook: webhook(&config.provider, &config.beside),
        smtp: smtp(&config.provider, &config.beside),
        webpush: webpush(&config.provider, &config.beside),
        llm: config.writer.as_ref().map(|writer| writer.shown(HIDDEN)),
        modem: modem(&config.provider),
        twilio: twilio(&config.provider, config.default_sender.as_ref()),
        accounts: config
            .accounts
            .iter()
            .map(|own| account(config, own))
            .collect(),
        source: &config.sources,
        app: config.app_tables.as_ref(),
    };
    toml::to_string(&shown).expect("strings and numbers are valid TOML")
}

/// In days if it is some, because a month is no round number of them.
fn kept(time: Duration) -> String {
    match time.as_secs() {
        secs if secs % 86_400 == 0 => format!("{}days", secs / 86_400),
        _ => format_duration(time).to_string(),
    }
}

fn account<'a>(config: &Config, account: &'a Account) -> (&'a str, ShownAccount<'a>) {
    let senders: Vec<&str> = account.senders.iter().map(Sender::as_str).collect();
    // What the sender is called where none is set is no setting.
    let set = account.sender.as_ref();
    let set = set.filter(|set| {
        let mut choosing = config.routes.senders(&account.name);
        choosing.any(|own| own == set.as_str())
    });
    let (provider, beside) = (&account.provider, &account.beside);
    let shown = ShownAccount {
        provider: provider.as_str(),
        in_app: has_in_app(provider, beside),
        twilio: twilio(provider, set),
        modem: modem(provider),
        senders: (!senders.is_empty()).then(|| senders.join(", ")),
        webhook: webhook(provider, beside),
        smtp: smtp(provider, beside),
        webpush: webpush(provider, beside),
    };
    (&account.name, shown)
}

/// Those of the account that are of one kind.
fn one<'a, T>(
    provider: &'a ProviderChoice,
    beside: &'a [ProviderChoice],
    of: impl FnMut(&'a ProviderChoice) -> Option<T>,
) -> Option<T> {
    std::iter::once(provider).chain(beside).find_map(of)
}

fn has_in_app(provider: &ProviderChoice, beside: &[ProviderChoice]) -> bool {
    let is_it = |of: &ProviderChoice| matches!(of, ProviderChoice::InApp).then_some(());
    one(provider, beside, is_it).is_some()
}

fn webhook(provider: &ProviderChoice, beside: &[ProviderChoice]) -> Option<Webhook> {
    let settings = one(provider, beside, ProviderChoice::webhook)?;
    Some(Webhook {
        secret: HIDDEN,
        allow: settings.allowed.to_string(),
        urls: (settings.urls != WebhookUrls::default()).then(|| settings.urls.to_string()),
    })
}

fn smtp<'a>(provider: &'a ProviderChoice, beside: &'a [ProviderChoice]) -> Option<Smtp<'a>> {
    let settings = one(provider, beside, ProviderChoice::smtp)?;
    let login = settings.login.as_ref();
    Some(Smtp {
        server: settings.server.to_string(),
        user: login.map(|(user, _)| user.as_str()),
        password: login.map(|_| HIDDEN),
        from: settings.from.to_string(),
        unsubscribe_url: settings
            .unsubscribe_url
            .as_ref()
            .map(UnsubscribeUrl::as_str),
    })
}

fn webpush<'a>(provider: &'a ProviderChoice, beside: &'a [ProviderChoice]) -> Option<WebPush<'a>> {
    let settings = one(provider, beside, ProviderChoice::webpush)?;
    Some(WebPush {
        private_key: HIDDEN,
        public_key: settings.vapid.public(),
        subject: settings.vapid.subject(),
        push_allow: settings.allowed.to_string(),
    })
}

fn modem(provider: &ProviderChoice) -> Option<Modem> {
    match provider {
        ProviderChoice::Modem(settings) => Some(Modem {
            port: settings.port.to_string(),
            pin: settings.pin.as_ref().map(|_| HIDDEN),
        }),
        _ => None,
    }
}

fn twilio<'a>(provider: &'a ProviderChoice, sender: Option<&'a Sender>) -> Twilio<'a> {
    let mut shown = match provider {
        ProviderChoice::Twilio(twilio) => Twilio {
            account_sid: Some(twilio.account_sid.as_str()),
            auth_token: Some(HIDDEN),
            api_key: twilio.api_key.as_ref().map(|key| key.sid.as_str()),
            api_secret: twilio.api_key.as_ref().map(|_| HIDDEN),
            api_base_url: Some(twilio.base_url.as_str()),
            ..Twilio::default()
        },
        _ => Twilio::default(),
    };
    // The chain has been walked: its winner is shown under its first name.
    match sender {
        Some(service @ Sender::Pool(_)) => shown.messaging_service_sid = Some(service.as_str()),
        Some(number) => shown.sms_from_number = Some(number.as_str()),
        None => {}
    }
    shown
}

fn lead<S: serde::Serializer>(lead: &LeadSetting, s: S) -> Result<S::Ok, S::Error> {
    match lead {
        LeadSetting::Auto => s.serialize_str("auto"),
        LeadSetting::Fixed(lead) => s.collect_str(&humantime::format_duration(*lead)),
    }
}
