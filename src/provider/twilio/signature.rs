//! Whether a callback is Twilio's: the signature over it, made with the account's auth token.
//!
//! The URL that was signed is put together from the *configured* public URL and the path and
//! query as received. `Host` and `X-Forwarded-*` are the caller's words and are not asked.
//! There is no timestamp in it, so that a replay cannot be told apart: what follows must be
//! idempotent.

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

/// A request as it came, as far as a signature covers it.
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

/// It is not Twilio's, or not as Twilio sent it. Which of the two is not told: it would only
/// help whoever forges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is missing or wrong")]
pub struct Forged;

/// Checks signatures. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Verifier {
    /// The public URL up to where a request's path begins, without a port and with one: which
    /// of the two Twilio signs has differed over time and between its products.
    fronts: [String; 2],
    auth_token: SecretString,
}

impl Verifier {
    /// For requests that reach us by `public_url`, signed with `auth_token`.
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
            // A key of any length does for HMAC.
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

fn is_json(content_type: Option<&str>) -> bool {
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FORM: Option<&str> = Some("application/x-www-form-urlencoded; charset=UTF-8");
    const JSON: Option<&str> = Some("application/json");
    const PATH: &str = "/myapp.php?foo=1&bar=2";
    const P: &str = "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&\
                     From=%2B14158675309&To=%2B18005551212";
    const P_SIGNED: &str = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
    const HASHED: &str = "/myapp.php?foo=1&bar=2&bodySHA256=\
                          0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
    const OBJECT: &str = r#"{"property": "value", "boolean": true}"#;
    const OBJECT_SIGNED: &str = "a9nBmqA0ju/hNViExpshrM61xv4=";

    fn verifier(public_url: &str) -> Verifier {
        Verifier::new(&public_url.parse().unwrap(), "12345".to_owned().into())
    }

    fn signed(
        public_url: &str,
        path_and_query: &str,
        content_type: Option<&str>,
        body: &str,
        signature: &str,
    ) -> bool {
        let request = Request {
            path_and_query,
            content_type,
            signature: Some(signature),
            body: body.as_bytes(),
        };
        verifier(public_url).verify(&request).is_ok()
    }

    /// Twilio's published examples and those of its own libraries' tests.
    #[test]
    fn what_twilio_signs_is_taken() {
        let https = "https://mycompany.com";
        let digits = "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234";
        for (public, path, content_type, body, signature) in [
            (https, PATH, FORM, P, P_SIGNED),
            (https, PATH, FORM, P, "kvajT1Ptam85bY51eRf/AJRuM3w="),
            (
                "http://mycompany.com/",
                PATH,
                FORM,
                P,
                "0ZXoZLH/DfblKGATFgpif+LLRf4=",
            ),
            (https, HASHED, JSON, OBJECT, OBJECT_SIGNED),
            (https, PATH, FORM, digits, "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
        ] {
            assert!(
                signed(public, path, content_type, body, signature),
                "{public} {path} {signature}"
            );
        }
    }

    #[test]
    fn a_prefix_of_the_public_url_stands_before_the_path() {
        let rest = "?foo=1&bar=2";
        assert!(signed(
            "https://mycompany.com/myapp.php",
            rest,
            FORM,
            P,
            P_SIGNED
        ));
        assert!(signed(
            "https://mycompany.com/myapp.php/",
            rest,
            FORM,
            P,
            P_SIGNED
        ));
        assert!(!signed("https://mycompany.com/x", PATH, FORM, P, P_SIGNED));
    }

    #[test]
    fn anything_else_is_refused() {
        let https = "https://mycompany.com";
        for (why, public, path, content_type, body, signature) in [
            ("another host", "https://other.com", PATH, FORM, P, P_SIGNED),
            (
                "another port",
                "https://mycompany.com:8443",
                PATH,
                FORM,
                "x=1",
                P_SIGNED,
            ),
            (
                "another scheme",
                "http://mycompany.com",
                PATH,
                FORM,
                P,
                P_SIGNED,
            ),
            ("no query", https, "/myapp.php", FORM, P, P_SIGNED),
            (
                "a query in another order",
                https,
                "/myapp.php?bar=2&foo=1",
                FORM,
                P,
                P_SIGNED,
            ),
            ("no signature", https, PATH, FORM, P, ""),
            (
                "no base64",
                https,
                PATH,
                FORM,
                P,
                "RSOYDt4T1cUTdK1PDd93/VVr8B8",
            ),
            ("a piece of it", https, PATH, FORM, P, "RSOY"),
            ("JSON without a hash", https, PATH, JSON, P, P_SIGNED),
            (
                "JSON of another hash",
                https,
                HASHED,
                JSON,
                "{}",
                OBJECT_SIGNED,
            ),
            (
                "a form in JSON's place",
                https,
                HASHED,
                FORM,
                P,
                OBJECT_SIGNED,
            ),
        ] {
            assert!(
                !signed(public, path, content_type, body, signature),
                "{why}"
            );
        }
        let unsigned = Request {
            path_and_query: PATH,
            content_type: FORM,
            signature: None,
            body: P.as_bytes(),
        };
        assert_eq!(verifier(https).verify(&unsigned), Err(Forged));
    }

    #[test]
    fn debug_tells_no_secret() {
        assert!(!format!("{:?}", verifier("https://x.example")).contains("12345"));
    }

    /// By another way than the code above: the text is put together by hand.
    fn sign(url: &str, parameters: &BTreeMap<String, String>) -> String {
        let text = parameters
            .iter()
            .fold(url.to_owned(), |text, (n, v)| text + n + v);
        let mut mac = Hmac::<Sha1>::new_from_slice(b"12345").unwrap();
        mac.update(text.as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }

    fn form(parameters: &BTreeMap<String, String>) -> String {
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish()
    }

    /// The same with the character at `at` of all names and values replaced.
    fn altered(parameters: &BTreeMap<String, String>, at: usize) -> BTreeMap<String, String> {
        let mut pairs: Vec<(String, String)> = parameters.clone().into_iter().collect();
        let mut at = at;
        for text in pairs.iter_mut().flat_map(|(n, v)| [n, v]) {
            if at < text.len() {
                let other = if text.as_bytes()[at] == b'~' {
                    "!"
                } else {
                    "~"
                };
                text.replace_range(at..=at, other);
                break;
            }
            at -= text.len();
        }
        pairs.into_iter().collect()
    }

    proptest! {
        #[test]
        fn one_changed_byte_is_refused(
            parameters in prop::collection::btree_map("[A-Za-z]{1,9}", "[ -}]{1,20}", 1..6),
            at in any::<prop::sample::Index>(),
        ) {
            let path = "/webhooks/twilio/status?message=1&token=2";
            let signature = sign(&format!("https://sms.example{path}"), &parameters);
            let check = |path: &str, body: &str, signature: &str| {
                signed("https://sms.example", path, FORM, body, signature)
            };
            prop_assert!(check(path, &form(&parameters), &signature));

            let length = parameters.iter().map(|(n, v)| n.len() + v.len()).sum();
            let body = form(&altered(&parameters, at.index(length)));
            prop_assert!(!check(path, &body, &signature));

            let mut other = path.to_owned();
            let i = at.index(path.len());
            other.replace_range(i..=i, "~");
            prop_assert!(!check(&other, &form(&parameters), &signature));

            let mut other = signature.clone();
            let i = at.index(signature.len());
            other.replace_range(i..=i, if &other[i..=i] == "A" { "B" } else { "A" });
            prop_assert!(!check(path, &form(&parameters), &other));
        }
    }
}
