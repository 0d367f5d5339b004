//! Who delivers, by which credentials, and from which sender.

use reqwest::Url;
use secrecy::SecretString;

use super::error::Problem;
use super::key;
use super::raw::Raw;
use super::values;
use crate::message::Sender;

/// Twilio's own API.
const TWILIO_API: &str = "https://api.twilio.com";

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
    pub account_sid: String,
    /// Signs callbacks, and sends where no API key is given.
    pub auth_token: SecretString,
    /// Sends, if given.
    pub api_key: Option<ApiKey>,
    /// Where the API is.
    pub base_url: Url,
}

/// A Twilio API key: it can be withdrawn without touching the account's token.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// `SK…`.
    pub sid: SecretString,
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
        account_sid,
    );
    let auth_token = raw.require(
        &key::AUTH_TOKEN,
        "the account's token from Twilio's console, or choose PUNCTUAL_PROVIDER=console",
        values::token,
    );
    let api_key = api_key(raw);
    let base_url = raw.or(&key::API_BASE_URL, TWILIO_API, values::base_url);
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
                sid: raw.get(sid, user_name)?,
                secret: raw.get(secret, values::token)?,
            });
        }
    };
    raw.problem(Problem::Half { given, missing });
    None
}

/// It becomes a part of a path, so nothing that would lead elsewhere may be in it.
fn account_sid(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("AC").filter(|rest| !rest.is_empty());
    if rest.is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_alphanumeric())) {
        Ok(text.to_owned())
    } else {
        Err("AC followed by letters and digits".into())
    }
}

/// In Basic authentication a colon ends the name.
fn user_name(text: &str) -> Result<SecretString, String> {
    if text.contains(':') {
        return Err("the key's SID (SK…)".into());
    }
    values::token(text)
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
