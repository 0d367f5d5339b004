//! Shows a push service who sends (RFC 8292): a token that is signed by a key whose public half the subscriptions have.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

/// How long a token is valid: a day is the most.
const VALID_FOR_S: i64 = 12 * 3_600;

/// A pair of keys, and whom a push service can reach about what is sent.
#[derive(Clone)]
pub struct Vapid {
    pair: Arc<EcdsaKeyPair>,
    public: String,
    subject: String,
}

/// Why there is no such pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VapidError {
    /// One of them is no key.
    #[error(
        "32 bytes for the private and 65 for the public key, in base64url, as `npx web-push generate-vapid-keys` prints them"
    )]
    Form,
    /// They do not belong together.
    #[error("the private key that belongs to the public one")]
    Pair,
    /// Not how one can be reached.
    #[error("a mailto: or https: URL at which a push service can reach you")]
    Subject,
}

impl Vapid {
    /// From the keys as tools print them.
    pub fn new(private: &SecretString, public: &str, subject: &str) -> Result<Self, VapidError> {
        let bytes = |text: &str, length| {
            let text = text.trim_end_matches('=');
            let bytes = URL_SAFE_NO_PAD.decode(text).ok();
            let bytes = bytes.filter(|bytes| bytes.len() == length);
            bytes.ok_or(VapidError::Form)
        };
        let is_subject = ["mailto:", "https://"]
            .iter()
            .any(|scheme| subject.len() > scheme.len() && subject.starts_with(scheme));
        if !is_subject || subject.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(VapidError::Subject);
        }
        let (secret, point) = (bytes(private.expose_secret(), 32)?, bytes(public, 65)?);
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &secret,
            &point,
            &SystemRandom::new(),
        );
        Ok(Self {
            pair: Arc::new(pair.map_err(|_| VapidError::Pair)?),
            public: URL_SAFE_NO_PAD.encode(point),
            subject: subject.to_owned(),
        })
    }

    /// The public key, which subscriptions are made with.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// Who can be reached.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The header `Authorization` for a push service of this origin. `None`: there is no randomness to sign with.
    pub(super) fn authorization(&self, origin: &str, now_s: i64) -> Option<String> {
        #[derive(Serialize)]
        struct Claims<'a> {
            aud: &'a str,
            exp: i64,
            sub: &'a str,
        }
        let claims = Claims {
            aud: origin,
            exp: now_s + VALID_FOR_S,
            sub: &self.subject,
        };
        let claims = serde_json::to_vec(&claims).expect("texts and numbers are valid JSON");
        let head = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"ES256"}"#);
        let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = self
            .pair
            .sign(&SystemRandom::new(), signed.as_bytes())
            .ok()?;
        let signature = URL_SAFE_NO_PAD.encode(signature);
        Some(format!("vapid t={signed}.{signature}, k={}", self.public))
    }
}

/// Without the private key.
impl fmt::Debug for Vapid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vapid")
            .field("public", &self.public)
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of RFC 8291, appendix A: the keys of the sender.
    const PRIVATE: &str = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";
    const PUBLIC: &str =
        "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";

    #[test]
    fn only_a_pair_signs() {
        let made = |private: &str, public: &str, subject: &str| {
            Vapid::new(&private.into(), public, subject).map(|_| ())
        };
        let me = "mailto:push@example.com";
        assert_eq!(made(PRIVATE, PUBLIC, me), Ok(()));
        assert_eq!(
            made(&format!("{PRIVATE}="), PUBLIC, "https://example.com"),
            Ok(())
        );
        assert_eq!(
            made(PRIVATE, PUBLIC, "push@example.com"),
            Err(VapidError::Subject)
        );
        assert_eq!(made(PRIVATE, PUBLIC, "mailto:"), Err(VapidError::Subject));
        assert_eq!(made(PUBLIC, PRIVATE, me), Err(VapidError::Form));
        let other = PRIVATE.replace('f', "g");
        assert_eq!(made(&other, PUBLIC, me), Err(VapidError::Pair));
    }

    #[test]
    fn a_token_is_for_one_origin_and_half_a_day() {
        let vapid = Vapid::new(&PRIVATE.into(), PUBLIC, "mailto:push@example.com").unwrap();
        assert!(!format!("{vapid:?}").contains(PRIVATE));
        let header = vapid.authorization("https://push.example", 1_000).unwrap();
        let (token, key) = header
            .strip_prefix("vapid t=")
            .unwrap()
            .split_once(", k=")
            .unwrap();
        assert_eq!(key, PUBLIC);
        let parts: Vec<_> = token
            .split('.')
            .map(|part| URL_SAFE_NO_PAD.decode(part).unwrap())
            .collect();
        assert_eq!(
            parts[1],
            br#"{"aud":"https://push.example","exp":44200,"sub":"mailto:push@example.com"}"#
        );
        assert_eq!(parts[2].len(), 64);
    }
}
