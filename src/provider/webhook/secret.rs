//! The secrets that sign webhooks, and the signature: after [Standard Webhooks](https://www.standardwebhooks.com).

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::Sha256;

/// How every secret begins.
const PREFIX: &str = "whsec_";

/// The bytes of a secret, by the standard.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// While a secret is replaced, a request has the signatures of the new one and of the old one.
const MOST: usize = 2;

/// One secret, or two while one is replaced by the other. `Debug` shows none.
#[derive(Clone, Debug)]
pub struct Secrets(Vec<SecretSlice<u8>>);

/// A text without usable secrets. No sentence repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// None, or more than two.
    #[error("one secret, or two with a space between them while one replaces the other")]
    Count,
    /// One of them does not begin as secrets do, or goes on with something else than base64.
    #[error("whsec_ and base64, like what `echo whsec_$(openssl rand -base64 32)` prints")]
    Form,
    /// One of them is too short, and could be guessed, or too long.
    #[error("whsec_ and the base64 of {} to {} bytes; it has {bytes}", BYTES.start(), BYTES.end())]
    Length {
        /// How many it has.
        bytes: usize,
    },
}

impl FromStr for Secrets {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let secrets: Vec<_> = text
            .split_whitespace()
            .map(secret)
            .collect::<Result<_, _>>()?;
        if (1..=MOST).contains(&secrets.len()) {
            Ok(Self(secrets))
        } else {
            Err(SecretError::Count)
        }
    }
}

fn secret(text: &str) -> Result<SecretSlice<u8>, SecretError> {
    let encoded = text.strip_prefix(PREFIX).ok_or(SecretError::Form)?;
    let key = STANDARD.decode(encoded).map_err(|_| SecretError::Form)?;
    let bytes = key.len();
    if BYTES.contains(&bytes) {
        Ok(key.into())
    } else {
        Err(SecretError::Length { bytes })
    }
}

impl Secrets {
    /// How many there are.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// The value of `webhook-signature`: one signature for each secret.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let signatures = self.0.iter().map(|secret| {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret())
                .expect("HMAC takes a key of any length");
            mac.update(format!("{id}.{timestamp}.").as_bytes());
            mac.update(body);
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the standard's documentation.
    #[test]
    fn it_signs_as_the_standard_does() {
        let secrets: Secrets = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let signed = secrets.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn two_secrets_make_two_signatures() {
        let (new, old) = (
            "whsec_bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXcgbmV3IQ==",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        );
        let both: Secrets = format!("{new}\n {old} ").parse().unwrap();
        let alone = |text: &str| text.parse::<Secrets>().unwrap().sign("id", 7, b"{}");
        assert_eq!(
            both.sign("id", 7, b"{}"),
            format!("{} {}", alone(new), alone(old))
        );
        assert_eq!(both.len(), 2);
        let shown = format!("{both:?}");
        assert!(!shown.contains("new") && !shown.contains("110"), "{shown}");
    }

    #[test]
    fn what_is_no_secret() {
        let good = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        for (text, expected) in [
            ("", SecretError::Count),
            (&format!("{good} {good} {good}"), SecretError::Count),
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", SecretError::Form),
            ("whsec_not base64", SecretError::Form),
            ("whsec_c2hvcnQ=", SecretError::Length { bytes: 5 }),
            (&format!("{good} whsec_"), SecretError::Length { bytes: 0 }),
        ] {
            assert_eq!(text.parse::<Secrets>().err(), Some(expected), "{text}");
        }
    }
}
