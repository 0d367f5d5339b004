//! The two tokens: one to read, one also to change something.
//!
//! They are compared by their digests, in constant time. A session does not contain the token: it is an expiry and a
//! MAC made with the token. So sessions expire, a changed token ends all of them, and none is stored here.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use uuid::Uuid;

/// The least characters of a token. The right token is accepted even after many wrong ones, so only its length prevents
/// guessing.
pub const TOKEN_MIN: usize = 16;

/// Which token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// To read: `PUNCTUAL_DEBUG_TOKEN`.
    Debug,
    /// To change something, and to read: `PUNCTUAL_OPERATOR_TOKEN`.
    Operator,
}

impl TokenKind {
    /// The setting.
    pub const fn setting(self) -> &'static str {
        match self {
            Self::Debug => "PUNCTUAL_DEBUG_TOKEN",
            Self::Operator => "PUNCTUAL_OPERATOR_TOKEN",
        }
    }

    /// The file name of a generated token.
    pub(super) const fn file(self) -> &'static str {
        match self {
            Self::Debug => "debug_token",
            Self::Operator => "operator_token",
        }
    }
}

/// The tokens of a daemon.
#[derive(Clone, Debug)]
pub struct Tokens {
    debug: SecretString,
    operator: SecretString,
}

impl Tokens {
    /// From configured or stored ones.
    pub const fn new(debug: SecretString, operator: SecretString) -> Self {
        Self { debug, operator }
    }

    /// New random ones.
    pub fn fresh() -> Self {
        Self::new(fresh(), fresh())
    }

    /// The token in the link to the page.
    pub const fn debug(&self) -> &SecretString {
        &self.debug
    }

    /// Which of them this is.
    pub(super) fn admit(&self, given: &str) -> Option<TokenKind> {
        self.of(given).map(|(kind, _)| kind)
    }

    /// A new session for this token; `None` if it is wrong.
    pub(super) fn open_session(&self, given: &str, expires: u64) -> Option<String> {
        let (_, token) = self.of(given)?;
        Some(format!("{expires}.{}", proof(token, expires)))
    }

    /// Of which of them this is a session that has not expired.
    pub(super) fn session(&self, value: &str, now: u64) -> Option<TokenKind> {
        let (expires, proven) = value.split_once('.')?;
        let expires = expires
            .parse::<u64>()
            .ok()
            .filter(|expires| now < *expires)?;
        let by = |token| proof(token, expires).as_bytes().ct_eq(proven.as_bytes());
        let (debug, operator) = (by(&self.debug), by(&self.operator));
        match (debug.into(), operator.into()) {
            (_, true) => Some(TokenKind::Operator),
            (true, false) => Some(TokenKind::Debug),
            (false, false) => None,
        }
    }

    /// The name of the cookie. Browsers send cookies to all ports of a host, so daemons on one host, which have
    /// different tokens, need different names.
    pub(super) fn cookie(&self) -> String {
        let mac = hex(&mac(&self.debug, "punctual cookie"));
        format!("punctual_{}", mac.get(..8).unwrap_or_default())
    }

    /// Compares with both, in constant time.
    fn of(&self, given: &str) -> Option<(TokenKind, &SecretString)> {
        let digest = |text: &str| Sha256::digest(text.as_bytes());
        let given = digest(given);
        let is = |token: &SecretString| -> Choice { given.ct_eq(&digest(token.expose_secret())) };
        match (is(&self.debug).into(), is(&self.operator).into()) {
            (_, true) => Some((TokenKind::Operator, &self.operator)),
            (true, false) => Some((TokenKind::Debug, &self.debug)),
            (false, false) => None,
        }
    }
}

/// A new token: 244 random bits of two UUIDs of version 4.
pub(super) fn fresh() -> SecretString {
    let half = || Uuid::new_v4().simple();
    format!("{}{}", half(), half()).into()
}

fn proof(token: &SecretString, expires: u64) -> String {
    hex(&mac(token, &format!("punctual session until {expires}")))
}

fn mac(token: &SecretString, text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(token.expose_secret().as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: &str = "a-token-to-look-with";
    const ACT: &str = "a-token-to-act-with";

    fn tokens() -> Tokens {
        Tokens::new(LOOK.into(), ACT.into())
    }

    #[test]
    fn either_token_admits_and_nothing_else_does() {
        assert_eq!(tokens().admit(LOOK), Some(TokenKind::Debug));
        assert_eq!(tokens().admit(ACT), Some(TokenKind::Operator));
        for wrong in [
            "",
            "a-token",
            "a-token-to-look-witH",
            "a-token-to-look-with2",
        ] {
            assert_eq!(tokens().admit(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_session_is_proven_and_runs_out() {
        for (token, kind) in [(LOOK, TokenKind::Debug), (ACT, TokenKind::Operator)] {
            let value = tokens().open_session(token, 1_000).unwrap();
            assert_eq!(tokens().session(&value, 999), Some(kind));
            assert_eq!(tokens().session(&value, 1_000), None, "run out");
            assert_eq!(Tokens::fresh().session(&value, 0), None, "other tokens");
            let (_, proven) = value.split_once('.').unwrap();
            let longer = format!("9999.{proven}");
            assert_eq!(tokens().session(&longer, 0), None, "made to last");
            for broken in ["", ".", "1000", "1000.", "x.y", &format!(".{proven}")] {
                assert_eq!(tokens().session(broken, 0), None, "{broken:?}");
            }
            assert!(!value.contains(token));
        }
        assert!(tokens().open_session("wrong", 1_000).is_none());
    }

    #[test]
    fn fresh_tokens_are_long_differ_and_name_other_cookies() {
        let (one, two) = (Tokens::fresh(), Tokens::fresh());
        assert!(one.debug.expose_secret().len() >= 2 * TOKEN_MIN);
        assert_ne!(one.debug.expose_secret(), one.operator.expose_secret());
        assert_ne!(one.cookie(), two.cookie());
        assert_eq!(one.cookie().len(), "punctual_".len() + 8);
    }
}
