//! Who delivers, by which credentials, and from which sender.

use std::fmt::Display;
use std::str::FromStr;

use secrecy::SecretString;

use super::error::Problem;
use super::key;
use super::raw::Raw;
use super::values;
use crate::message::Sender;
use crate::provider::twilio::config::{AccountSid, ApiKeySid, BaseUrl, DEFAULT_BASE_URL};

/// Who delivers.
#[derive(Clone, Debug)]
pub enum ProviderChoice {
    /// Twilio's Messages API.
    Twilio(TwilioSettings),
    /// Nobody: messages are written to the console.
    Console,
}

/// How to reach Twilio.
#[derive(Clone, Debug)]
pub struct TwilioSettings {
    /// `AC…`; a part of every URL.
    pub account_sid: AccountSid,
    /// Signs callbacks, and sends where no API key is given.
    pub auth_token: SecretString,
    /// Sends, if given.
    pub api_key: Option<ApiKey>,
    /// Where the API is.
    pub base_url: BaseUrl,
}

/// A Twilio API key: it can be withdrawn without touching the account's token.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// `SK…`.
    pub sid: ApiKeySid,
    /// Its secret.
    pub secret: SecretString,
}

/// `None` only beside a problem.
pub(super) fn choose(raw: &mut Raw) -> Option<ProviderChoice> {
    let twilio = raw.or(&key::PROVIDER, "twilio", |text| match text {
        "twilio" => Ok(true),
        "console" => Ok(false),
        "webhook" | "modem" => Err("twilio or console: this version has no other".to_owned()),
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
        values::token,
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
                secret: raw.get(secret, values::token)?,
            });
        }
    };
    raw.problem(Problem::Half { given, missing });
    None
}

/// Parses by the provider's own rule, which also says what would have done.
fn said<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|why: T::Err| why.to_string())
}

/// The first that is set, in the order of the interface. Those behind it are checked all the
/// same: one that is unusable is a mistake whether or not it is its turn.
pub(super) fn default_sender(raw: &mut Raw) -> Option<Sender> {
    let numbers = [
        &key::FROM_NUMBER,
        &key::TEST1_NUMBER,
        &key::PHONE_NUMBER,
        &key::MAIN_NUMBER,
    ];
    let chain = numbers.map(|setting| {
        raw.get(setting, |text| {
            text.parse::<Sender>().map_err(|why| {
                format!("a number like +14155550100, a short code or a sender's name ({why})")
            })
        })
    });
    let service = raw.get(&key::SERVICE_SID, |text| match text.parse() {
        Ok(service @ Sender::Service(_)) => Ok(service),
        _ => Err("MG and 32 hexadecimal digits".to_owned()),
    });
    chain.into_iter().flatten().next().or(service)
}
