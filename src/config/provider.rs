//! The settings of the provider: which one, credentials, default sender.

use std::fmt::Display;
use std::iter;
use std::str::FromStr;

use secrecy::SecretString;

use super::Config;
use super::error::Problem;
use super::key::{self, Setting};
use super::raw::Raw;
use super::smtp::{self, SmtpSettings};
use super::values;
use super::webhook::{self, WebhookSettings};
use super::webpush::{self, WebPushSettings};
use crate::message::{Channel, Sender, WebhookUrls};
use crate::provider;
use crate::provider::modem::Port;
use crate::provider::twilio::config::{AccountSid, ApiKeySid, BaseUrl, DEFAULT_BASE_URL};

/// The chosen provider.
#[derive(Clone, Debug)]
pub enum ProviderChoice {
    /// Twilio's Messages API.
    Twilio(TwilioSettings),
    /// A GSM modem.
    Modem(ModemSettings),
    /// Endpoints are called.
    Webhook(WebhookSettings),
    /// E-mail by an SMTP server.
    Smtp(SmtpSettings),
    /// Web Push.
    WebPush(WebPushSettings),
    /// Rows of a table that the app shows.
    InApp,
    /// Messages are printed, not delivered.
    Console,
}

impl ProviderChoice {
    /// The word for the first of them.
    pub const TWILIO: &str = "twilio";

    /// The channels that it carries.
    pub fn channels(&self) -> Vec<Channel> {
        match self {
            Self::Twilio(_) | Self::Modem(_) => vec![Channel::Sms],
            Self::Webhook(_) => vec![Channel::Webhook],
            Self::Smtp(_) => vec![Channel::Email],
            Self::WebPush(_) => vec![Channel::Push],
            Self::InApp => vec![Channel::InApp],
            Self::Console => Channel::UNDERSTOOD.to_vec(),
        }
    }

    /// The channels with those of others beside it.
    pub(super) fn with(&self, beside: &[Self]) -> Vec<Channel> {
        let mut channels = self.channels();
        for other in beside {
            let own = other.channels();
            channels.extend(own.into_iter().filter(|own| !self.channels().contains(own)));
        }
        channels
    }

    /// The word for it in the settings.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Twilio(_) => Self::TWILIO,
            Self::Modem(_) => "modem",
            Self::Webhook(_) => "webhook",
            Self::Smtp(_) => "smtp",
            Self::WebPush(_) => "webpush",
            Self::InApp => "in_app",
            Self::Console => "console",
        }
    }

    /// Its settings, if it is webhooks.
    pub const fn webhook(&self) -> Option<&WebhookSettings> {
        match self {
            Self::Webhook(settings) => Some(settings),
            _ => None,
        }
    }

    /// Its settings, if it is Web Push.
    pub const fn webpush(&self) -> Option<&WebPushSettings> {
        match self {
            Self::WebPush(settings) => Some(settings),
            _ => None,
        }
    }

    /// Its settings, if it is an SMTP server.
    pub const fn smtp(&self) -> Option<&SmtpSettings> {
        match self {
            Self::Smtp(settings) => Some(settings),
            _ => None,
        }
    }
}

impl Config {
    /// The channels of the default account that have a provider.
    pub fn channels(&self) -> Vec<Channel> {
        self.provider.with(&self.beside)
    }

    /// The URLs of webhooks by message type.
    pub(super) fn webhook_urls(&self) -> WebhookUrls {
        let mut own = iter::once(&self.provider).chain(&self.beside);
        let settings = own.find_map(ProviderChoice::webhook);
        settings.map_or_else(WebhookUrls::default, |own| own.urls.clone())
    }

    /// The providers of each account; `None`: of the default one.
    pub fn each_provider(&self) -> impl Iterator<Item = (Option<&str>, &ProviderChoice)> {
        let own = iter::once(&self.provider).chain(&self.beside);
        let others = self.accounts.iter().flat_map(|account| {
            let of = iter::once(&account.provider).chain(&account.beside);
            of.map(|provider| (Some(account.name.as_str()), provider))
        });
        own.map(|provider| (None, provider)).chain(others)
    }
}

/// The settings of a modem.
#[derive(Clone, Debug)]
pub struct ModemSettings {
    /// Where it is.
    pub port: Port,
    /// The PIN of its SIM.
    pub pin: Option<SecretString>,
}

/// The settings of Twilio.
#[derive(Clone, Debug)]
pub struct TwilioSettings {
    /// `AC…`; a part of every URL.
    pub account_sid: AccountSid,
    /// Signs callbacks, and authenticates requests without an API key.
    pub auth_token: SecretString,
    /// Authenticates requests, if set.
    pub api_key: Option<ApiKey>,
    /// The URL of the API.
    pub base_url: BaseUrl,
}

/// A Twilio API key: it can be revoked without changing the account's token.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// `SK…`.
    pub sid: ApiKeySid,
    /// Its secret.
    pub secret: SecretString,
}

/// The words for providers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Twilio,
    Modem,
    Webhook,
    Smtp,
    WebPush,
    InApp,
    Console,
}

impl FromStr for Word {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "twilio" => Ok(Self::Twilio),
            "modem" => Ok(Self::Modem),
            "webhook" => Ok(Self::Webhook),
            "smtp" => Ok(Self::Smtp),
            "webpush" => Ok(Self::WebPush),
            "in_app" => Ok(Self::InApp),
            "console" => Ok(Self::Console),
            _ => Err("twilio, modem, webhook, smtp, webpush, in_app or console"),
        }
    }
}

/// The provider, and those of other channels beside it whose settings are given too. `None` only if a problem was
/// reported.
pub(super) fn choose(raw: &mut Raw) -> Option<(ProviderChoice, Vec<ProviderChoice>)> {
    let word = raw.or(&key::PROVIDER, "twilio", said::<Word>);
    let chosen = match word {
        Word::Twilio => twilio_settings(raw).map(ProviderChoice::Twilio),
        Word::Modem => modem_settings(raw).map(ProviderChoice::Modem),
        Word::Webhook => webhook::read(raw).map(ProviderChoice::Webhook),
        Word::Smtp => smtp::read(raw).map(ProviderChoice::Smtp),
        Word::WebPush => webpush::read(raw).map(ProviderChoice::WebPush),
        Word::InApp => Some(ProviderChoice::InApp),
        Word::Console => Some(ProviderChoice::Console),
    };
    let mut beside = Vec::new();
    let more = [&key::WEBHOOK_ALLOW, &key::WEBHOOK_URLS];
    if word != Word::Webhook && is_on(raw, &key::WEBHOOK_SECRET, &more) {
        beside.extend(webhook::read(raw).map(ProviderChoice::Webhook));
    }
    let more = [
        &key::SMTP_USER,
        &key::SMTP_PASSWORD,
        &key::SMTP_FROM,
        &key::UNSUBSCRIBE_URL,
    ];
    if word != Word::Smtp && is_on(raw, &key::SMTP, &more) {
        beside.extend(smtp::read(raw).map(ProviderChoice::Smtp));
    }
    let more = [&key::VAPID_PUBLIC, &key::VAPID_SUBJECT, &key::PUSH_ALLOW];
    if word != Word::WebPush && is_on(raw, &key::VAPID_PRIVATE, &more) {
        beside.extend(webpush::read(raw).map(ProviderChoice::WebPush));
    }
    if raw.or(&key::IN_APP, "false", values::yes_or_no) && word != Word::InApp {
        beside.push(ProviderChoice::InApp);
    }
    Some((chosen?, beside))
}

/// Whether another provider is to be beside the one that is chosen: its first setting turns it on.
fn is_on(raw: &mut Raw, first: &Setting, more: &[&Setting]) -> bool {
    let is_on = raw.is_given(first);
    if let Some(given) = more.iter().find(|more| !is_on && raw.is_given(more)) {
        raw.problem(Problem::Half {
            given: raw.name(given),
            missing: raw.name(first),
        });
    }
    is_on
}

/// Whether both of a pair are given. One without the other is a problem.
pub(super) fn pair(raw: &mut Raw, one: &Setting, other: &Setting) -> bool {
    let (given, missing) = match (raw.is_given(one), raw.is_given(other)) {
        (true, false) => (one, other),
        (false, true) => (other, one),
        (true, true) => return true,
        (false, false) => return false,
    };
    raw.problem(Problem::Half {
        given: raw.name(given),
        missing: raw.name(missing),
    });
    false
}

fn modem_settings(raw: &mut Raw) -> Option<ModemSettings> {
    let port = raw.require(
        &key::MODEM,
        "the modem's device, like /dev/ttyUSB0, or tcp: and host and port of a server that has one",
        said::<Port>,
    );
    let pin = raw.get(&key::MODEM_PIN, values::pin);
    Some(ModemSettings { port: port?, pin })
}

fn twilio_settings(raw: &mut Raw) -> Option<TwilioSettings> {
    let account_sid = raw.require(
        &key::ACCOUNT_SID,
        "the account's SID (AC…) from Twilio's console, or choose PUNCTUAL_PROVIDER=console",
        said::<AccountSid>,
    );
    let auth_token = raw.require(
        &key::AUTH_TOKEN,
        "the account's token from Twilio's console, or choose PUNCTUAL_PROVIDER=console",
        values::credential,
    );
    let api_key = api_key(raw);
    let base_url = raw.or(&key::API_BASE_URL, DEFAULT_BASE_URL, said::<BaseUrl>);
    Some(TwilioSettings {
        account_sid: account_sid?,
        auth_token: auth_token?,
        api_key,
        base_url,
    })
}

fn api_key(raw: &mut Raw) -> Option<ApiKey> {
    let (sid, secret) = (&key::API_KEY, &key::API_SECRET);
    if !pair(raw, sid, secret) {
        return None;
    }
    Some(ApiKey {
        sid: raw.get(sid, said::<ApiKeySid>)?,
        secret: raw.get(secret, values::credential)?,
    })
}

/// Parses by the provider's own rule, whose error describes valid values.
pub(super) fn said<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|why: T::Err| why.to_string())
}

/// The sender of texts on the console where none is set: a first trial needs no account.
const CONSOLE_SENDER: &str = "Console";

/// The sender of texts by a modem where none is set: the recipient sees the SIM's number whatever it is.
const MODEM_SENDER: &str = "Modem";

/// The first sender that is set, in the documented order. The others are validated too, because an invalid one is a
/// mistake even if it is not used.
pub(super) fn set_sender(raw: &mut Raw) -> Option<Sender> {
    let numbers = [
        &key::FROM_NUMBER,
        &key::TEST1_NUMBER,
        &key::PHONE_NUMBER,
        &key::MAIN_NUMBER,
    ];
    let pools = provider::TEXTS.sender_pools;
    let chain = numbers.map(|setting| {
        raw.get(setting, |text| {
            Sender::parse(text, pools).map_err(|why| {
                format!("a number like +14155550100, a short code or a sender's name ({why})")
            })
        })
    });
    let service = raw.get(&key::SERVICE_SID, |text| match Sender::parse(text, pools) {
        Ok(service @ Sender::Pool(_)) => Ok(service),
        _ => Err(pools.map_or_else(String::new, |form| form.to_string())),
    });
    chain.into_iter().flatten().next().or(service)
}

/// The sender of texts where none is set. It chooses no account: several may have it.
pub(super) fn fallback_sender(provider: &ProviderChoice) -> Option<Sender> {
    let name = match provider {
        ProviderChoice::Console => CONSOLE_SENDER,
        ProviderChoice::Modem(_) => MODEM_SENDER,
        ProviderChoice::Twilio(_)
        | ProviderChoice::Webhook(_)
        | ProviderChoice::Smtp(_)
        | ProviderChoice::WebPush(_)
        | ProviderChoice::InApp => return None,
    };
    Sender::parse(name, None).ok()
}
