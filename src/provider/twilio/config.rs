//! The configuration of the Twilio provider. Every value is valid.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::message::{AttemptToken, MessageId};

/// Twilio's API, unless `TWILIO_API_BASE_URL` says otherwise.
pub const DEFAULT_BASE_URL: &str = "https://api.twilio.com";

/// Everything [`Twilio::new`](super::Twilio::new) needs.
#[derive(Clone, Debug)]
pub struct TwilioConfig {
    /// The account that sends.
    pub account_sid: AccountSid,
    /// Its credentials.
    pub credentials: Credentials,
    /// The URL of the API.
    pub base_url: BaseUrl,
    /// The time-out of one request in total, from the call to the last byte of the response.
    pub send_timeout: Duration,
    /// Sends at once; as many idle connections are kept.
    pub max_in_flight: NonZeroUsize,
    /// The URL to which Twilio reports the status of a message; `None`: it does not.
    pub status_callback: Option<StatusCallback>,
}

/// A value that cannot be used. The sentence follows the name of the setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not an account.
    #[error("an account SID is AC followed by letters and digits")]
    AccountSid,
    /// Not an API key.
    #[error("an API key's SID is SK and 32 hexadecimal digits")]
    ApiKeySid,
    /// Not a URL.
    #[error("it is not a URL")]
    Url(#[from] url::ParseError),
    /// Neither http nor https, or no host.
    #[error("it must start with http:// or https:// and name a host")]
    NotHttp,
    /// User and password in the URL, where they would be shown.
    #[error("it must not contain credentials")]
    Credentials,
    /// Paths and parameters are appended to it.
    #[error("it must not have a query (?…) or a fragment (#…)")]
    QueryOrFragment,
    /// Twilio's rule for callbacks.
    #[error("its host name has an underscore, and Twilio does not call such hosts")]
    Underscore,
}

/// `AC…`. Not a secret. Twilio's own are 32 hexadecimal digits after the prefix; simulators and
/// test accounts are less strict, so the only requirement is that it is one segment of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSid(String);

impl AccountSid {
    /// As it is in URLs.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountSid {
    type Err = ConfigError;
    fn from_str(s: &str) -> Result<Self, ConfigError> {
        let s = s.trim();
        s.strip_prefix("AC")
            .filter(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
            .map(|_| Self(s.to_owned()))
            .ok_or(ConfigError::AccountSid)
    }
}

/// `SK…`. Not a secret. In Basic authentication a colon would end it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeySid(String);

impl ApiKeySid {
    /// As it is in the head of a request.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ApiKeySid {
    type Err = ConfigError;
    fn from_str(s: &str) -> Result<Self, ConfigError> {
        let s = s.trim();
        let usable = !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric());
        usable
            .then(|| Self(s.to_owned()))
            .ok_or(ConfigError::ApiKeySid)
    }
}

/// One of the two kinds of credentials. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// The account's own token.
    AuthToken(SecretString),
    /// A key made for one purpose, which can be revoked alone.
    ApiKey {
        /// The key.
        sid: ApiKeySid,
        /// Its secret.
        secret: SecretString,
    },
}

impl Credentials {
    /// User and password for HTTP Basic authentication.
    pub(super) fn basic<'a>(&'a self, account: &'a AccountSid) -> (&'a str, &'a SecretString) {
        match self {
            Self::AuthToken(token) => (account.as_str(), token),
            Self::ApiKey { sid, secret } => (&sid.0, secret),
        }
    }
}

/// The API's root: http or https, with a host, perhaps with a path before the API's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// As configured, normalized.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The URL of `path`, segment by segment, below the root.
    pub(super) fn join(&self, path: &[&str]) -> Url {
        let mut url = self.0.clone();
        // Never fails: an http URL can be a base.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// Whether the connection is encrypted.
    pub(super) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }
}

impl FromStr for BaseUrl {
    type Err = ConfigError;
    fn from_str(s: &str) -> Result<Self, ConfigError> {
        Ok(Self(plain_http(s)?))
    }
}

impl Default for BaseUrl {
    fn default() -> Self {
        DEFAULT_BASE_URL
            .parse()
            .expect("a constant, and a test parses it")
    }
}

/// The public URL of the route that takes status callbacks.
#[derive(Clone, PartialEq, Eq)]
pub struct StatusCallback(Url);

impl StatusCallback {
    /// The URL for one attempt. The query identifies the attempt, because Twilio has no other field for
    /// an id of ours; the fragment, which Twilio does not send, makes it repeat a callback up to
    /// five times after any error (`rc`, `rp`) instead of once.
    pub(super) fn url(&self, message: MessageId, token: AttemptToken) -> String {
        let base = &self.0;
        format!("{base}?message={message}&token={token}#rc=5&rp=all")
    }
}

impl FromStr for StatusCallback {
    type Err = ConfigError;
    fn from_str(s: &str) -> Result<Self, ConfigError> {
        let url = plain_http(s)?;
        if url.host_str().is_some_and(|host| host.contains('_')) {
            return Err(ConfigError::Underscore);
        }
        Ok(Self(url))
    }
}

impl fmt::Debug for StatusCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatusCallback({})", self.0)
    }
}

fn plain_http(text: &str) -> Result<Url, ConfigError> {
    let url: Url = text.trim().parse()?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(ConfigError::NotHttp);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ConfigError::Credentials);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(ConfigError::QueryOrFragment);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn check<T: FromStr<Err = ConfigError>>(text: &str, expected: Result<(), ConfigError>) {
        assert_eq!(text.parse::<T>().map(|_| ()), expected, "{text}");
    }

    #[test]
    fn only_usable_values_exist() {
        let hex = "0123456789abcdef0123456789abcdef";
        check::<AccountSid>(&format!(" AC{hex}\n"), Ok(()));
        check::<AccountSid>(&format!("SK{hex}"), Err(ConfigError::AccountSid));
        check::<AccountSid>("AC", Err(ConfigError::AccountSid));
        check::<AccountSid>("AC/../x", Err(ConfigError::AccountSid));
        check::<ApiKeySid>(&format!("SK{hex}"), Ok(()));
        check::<ApiKeySid>("SK/../", Err(ConfigError::ApiKeySid));
        check::<BaseUrl>("http://127.0.0.1:4010/twilio/", Ok(()));
        check::<BaseUrl>("ftp://x.example", Err(ConfigError::NotHttp));
        check::<BaseUrl>("https://u:p@x.example", Err(ConfigError::Credentials));
        check::<BaseUrl>("https://x.example?a=b", Err(ConfigError::QueryOrFragment));
        check::<StatusCallback>("https://sms.example.com/webhooks/twilio/status", Ok(()));
        check::<StatusCallback>("https://my_host.example/", Err(ConfigError::Underscore));
        check::<StatusCallback>("https://x.example/#a", Err(ConfigError::QueryOrFragment));
        check::<StatusCallback>(
            "example.com",
            Err(url::ParseError::RelativeUrlWithoutBase.into()),
        );
    }

    #[test]
    fn paths_go_below_the_base() {
        for (base, joined) in [
            (DEFAULT_BASE_URL, "https://api.twilio.com/v/a.json"),
            ("http://h:1/pre", "http://h:1/pre/v/a.json"),
            ("http://h:1/pre/", "http://h:1/pre/v/a.json"),
        ] {
            let base: BaseUrl = base.parse().unwrap();
            assert_eq!(base.join(&["v", "a.json"]).as_str(), joined);
        }
        assert!(BaseUrl::default().is_https());
    }

    #[test]
    fn a_callback_names_its_attempt() {
        let callback: StatusCallback = "https://sms.example.com/status".parse().unwrap();
        let url = callback.url(
            MessageId(Uuid::from_u128(1)),
            AttemptToken(Uuid::from_u128(2)),
        );
        assert_eq!(
            url,
            "https://sms.example.com/status?message=00000000-0000-0000-0000-000000000001\
             &token=00000000-0000-0000-0000-000000000002#rc=5&rp=all"
        );
    }
}
