//! Verifies that a callback is Twilio's, by its signature, which is made with the account's auth token.
//!
//! The URL that was signed is composed of the *configured* public URL and the path and query as
//! received. `Host` and `X-Forwarded-*` are set by the caller, so they are not used. There is no
//! timestamp in it, so a replay cannot be detected: what follows must be idempotent.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use url::{Url, form_urlencoded};

/// The header of the signature.
pub const HEADER: &str = "x-twilio-signature";

/// The parameter of the URL that stands for a JSON body.
const BODY_HASH: &str = "bodySHA256";

/// The part of a request that a signature covers, as received.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Path and query, byte for byte as received.
    pub path_and_query: &'a str,
    /// `Content-Type`, if given.
    pub content_type: Option<&'a str>,
    /// `X-Twilio-Signature`, if given.
    pub signature: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

/// It is not Twilio's, or was changed on the way. It does not say which of the two, because that would
/// help a forger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is missing or wrong")]
pub struct Forged;

/// Checks signatures. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Verifier {
    /// The public URL up to the path of a request, without a port and with one: which of the two
    /// Twilio signs has differed over time and between its products.
    fronts: [String; 2],
    auth_token: SecretString,
}

impl Verifier {
    /// For requests to `public_url`, signed with `auth_token`.
    pub fn new(public_url: &Url, auth_token: SecretString) -> Self {
        let scheme = public_url.scheme();
        let host = public_url.host_str().unwrap_or_default();
        let path = public_url.path().trim_end_matches('/');
        let port = public_url
            .port_or_known_default()
            .map_or_else(String::new, |port| format!(":{port}"));
        Self {
            fronts: [
                format!("{scheme}://{host}{path}"),
                format!("{scheme}://{host}{port}{path}"),
            ],
            auth_token,
        }
    }

    /// Whether the request is signed as Twilio signs.
    pub fn verify(&self, request: &Request<'_>) -> Result<(), Forged> {
        let signature = request.signature.ok_or(Forged)?;
        let signature = STANDARD.decode(signature.trim()).map_err(|_| Forged)?;
        let signed_body = if is_json(request.content_type) {
            let hash = body_hash(request.path_and_query).ok_or(Forged)?;
            let own = hex(&Sha256::digest(request.body));
            if !bool::from(own.as_bytes().ct_eq(hash.to_lowercase().as_bytes())) {
                return Err(Forged);
            }
            String::new()
        } else {
            sorted(request.body)
        };
        let key = self.auth_token.expose_secret().as_bytes();
        for front in &self.fronts {
            // HMAC takes a key of any length.
            let mut mac = Hmac::<Sha1>::new_from_slice(key).map_err(|_| Forged)?;
            mac.update(front.as_bytes());
            mac.update(request.path_and_query.as_bytes());
            mac.update(signed_body.as_bytes());
            // Compares in constant time.
            if mac.verify_slice(&signature).is_ok() {
                return Ok(());
            }
        }
        Err(Forged)
    }
}

pub(super) fn is_json(content_type: Option<&str>) -> bool {
    let essence = content_type.and_then(|ct| ct.split(';').next());
    essence.is_some_and(|ct| ct.trim().eq_ignore_ascii_case("application/json"))
}

fn body_hash(path_and_query: &str) -> Option<String> {
    let (_, query) = path_and_query.split_once('?')?;
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == BODY_HASH)
        .map(|(_, value)| value.into_owned())
}

/// Every parameter's name and value, sorted, a repeated pair once.
fn sorted(form: &[u8]) -> String {
    let mut parameters: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(form) {
        parameters.entry(name).or_default().insert(value);
    }
    let mut text = String::with_capacity(form.len());
    for (name, values) in &parameters {
        for value in values {
            text.push_str(name);
            text.push_str(value);
        }
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
