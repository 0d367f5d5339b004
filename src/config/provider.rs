//! The settings of the provider: which one, credentials, default sender.

use std::fmt::Display;
use std::str::FromStr;

use secrecy::SecretString;

use super::error::Problem;
use super::key;
use super::raw::Raw;
use super::values;
use crate::message::{Channel, Sender};
use crate::provider;
use crate::provider::twilio::config::{AccountSid, ApiKeySid, BaseUrl, DEFAULT_BASE_URL};
use crate::provider::webhook::{Allowed, Secrets};

/// The chosen provider.
#[derive(Clone, Debug)]
pub enum ProviderChoice {
    /// Twilio's Messages API.
    Twilio(TwilioSettings),
    /// Endpoints are called, and no other channel has a provider.
    Webhook(WebhookSettings),
    /// Messages are printed, not delivered.
    Console,
}

impl ProviderChoice {
    /// The channels that it carries.
    pub fn channels(&self) -> Vec<Channel> {
        match self {
            Self::Twilio(_) => vec![Channel::Sms],
            Self::Webhook(_) => vec![Channel::Webhook],
            Self::Console => Channel::UNDERSTOOD.to_vec(),
        }
    }

    /// The word for it in the settings.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Twilio(_) => "twilio",
            Self::Webhook(_) => "webhook",
            Self::Console => "console",
        }
    }
}

/// The settings of webhooks.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// Sign every request.
    pub secrets: Secrets,
    /// Where requests may go in addition to the internet.
    pub allowed: Allowed,
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
#[derive(Clone, Copy)]
enum Word {
    Twilio,
    Webhook,
    Console,
}

impl FromStr for Word {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "twilio" => Ok(Self::Twilio),
            "webhook" => Ok(Self::Webhook),
            "console" => Ok(Self::Console),
            "modem" => Err("twilio, webhook or console (this version has no other)"),
            _ => Err("twilio, webhook or console"),
        }
    }
}

/// The provider, and webhooks beside it if they are set too. `None` only if a problem was reported.
pub(super) fn choose(raw: &mut Raw) -> Option<(ProviderChoice, Option<WebhookSettings>)> {
    match raw.or(&key::PROVIDER, "twilio", said::<Word>) {
        Word::Twilio => {
            let (twilio, webhook) = (twilio_settings(raw), webhook_beside(raw));
            Some((ProviderChoice::Twilio(twilio?), webhook))
        }
        Word::Console => Some((ProviderChoice::Console, webhook_beside(raw))),
        Word::Webhook => Some((ProviderChoice::Webhook(webhook_settings(raw)?), None)),
    }
}

/// Webhooks beside another provider: a secret turns them on.
fn webhook_beside(raw: &mut Raw) -> Option<WebhookSettings> {
    if raw.is_given(&key::WEBHOOK_SECRET) {
        return webhook_settings(raw);
    }
    if raw.is_given(&key::WEBHOOK_ALLOW) {
        raw.problem(Problem::Half {
            given: key::WEBHOOK_ALLOW.env,
            missing: key::WEBHOOK_SECRET.env,
        });
    }
    None
}

fn webhook_settings(raw: &mut Raw) -> Option<WebhookSettings> {
    let secrets = raw.require(
        &key::WEBHOOK_SECRET,
        "the secret that signs webhooks, like what `echo whsec_$(openssl rand -base64 32)` prints",
        said::<Secrets>,
    );
    let allowed = raw.get(&key::WEBHOOK_ALLOW, said::<Allowed>);
    Some(WebhookSettings {
        secrets: secrets?,
        allowed: allowed.unwrap_or_default(),
    })
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
    let (given, missing) = match (raw.is_given(sid), raw.is_given(secret)) {
        (true, false) => (sid.env, secret.env),
        (false, true) => (secret.env, sid.env),
        (true, true) | (false, false) => {
            return Some(ApiKey {
                sid: raw.get(sid, said::<ApiKeySid>)?,
                secret: raw.get(secret, values::credential)?,
            });
        }
    };
    raw.problem(Problem::Half { given, missing });
    None
}

/// Parses by the provider's own rule, whose error describes valid values.
fn said<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|why: T::Err| why.to_string())
}

/// The sender of texts on the console where none is set: a first trial needs no account.
const CONSOLE_SENDER: &str = "Console";

/// The first that is set, in the documented order. The others are validated too, because an invalid
/// one is a mistake even if it is not used.
pub(super) fn default_sender(raw: &mut Raw, provider: Option<&ProviderChoice>) -> Option<Sender> {
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
    let trial = match provider {
        Some(ProviderChoice::Console) => Sender::parse(CONSOLE_SENDER, None).ok(),
        Some(ProviderChoice::Twilio(_) | ProviderChoice::Webhook(_)) | None => None,
    };
    chain.into_iter().flatten().next().or(service).or(trial)
}
