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

/// The chosen provider.
#[derive(Clone, Debug)]
pub enum ProviderChoice {
    /// Twilio's Messages API.
    Twilio(TwilioSettings),
    /// Messages are printed, not delivered.
    Console,
}

impl ProviderChoice {
    /// The channels that it carries.
    pub fn channels(&self) -> Vec<Channel> {
        match self {
            Self::Twilio(_) => vec![Channel::Sms],
            Self::Console => Channel::UNDERSTOOD.to_vec(),
        }
    }
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

/// `None` only if a problem was reported.
pub(super) fn choose(raw: &mut Raw) -> Option<ProviderChoice> {
    let twilio = raw.or(&key::PROVIDER, "twilio", |text| match text {
        "twilio" => Ok(true),
        "console" => Ok(false),
        "webhook" | "modem" => Err("twilio or console (this version has no other)".to_owned()),
        _ => Err("twilio or console".to_owned()),
    });
    if twilio {
        twilio_settings(raw).map(ProviderChoice::Twilio)
    } else {
        Some(ProviderChoice::Console)
    }
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
        Some(ProviderChoice::Twilio(_)) | None => None,
    };
    chain.into_iter().flatten().next().or(service).or(trial)
}
