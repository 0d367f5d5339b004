//! The endpoint of the demo's webhook: verifies the signature as any endpoint would, by
//! [Standard Webhooks](https://www.standardwebhooks.com).

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What the demo signs with, after `whsec_`.
pub(super) const KEY: &str = "dGhlIHNlY3JldCBvZiB0aGUgZGVtbywgMzIgYnl0ZXM=";

/// The path of the endpoint, and so the recipient of the demo's webhook.
pub(super) const JOBS: &str = "/jobs";

/// How old a request may be, in seconds.
const OLD: u64 = 300;

/// Whether this request is from the daemon, as of `now` (in seconds).
pub(super) fn is_genuine(key: &str, headers: &HeaderMap, body: &[u8], now: i64) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(id), Some(timestamp), Some(signatures)) = (
        header("webhook-id"),
        header("webhook-timestamp"),
        header("webhook-signature"),
    ) else {
        return false;
    };
    let is_new = timestamp
        .parse::<i64>()
        .is_ok_and(|at| at.abs_diff(now) <= OLD);
    let signed = STANDARD.decode(key).ok().and_then(|key| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        Some(mac)
    });
    let Some(mac) = signed.filter(|_| is_new) else {
        return false;
    };
    // One for each secret, while one replaces another.
    signatures.split(' ').any(|signature| {
        let own = signature.strip_prefix("v1,");
        let own = own.and_then(|own| STANDARD.decode(own).ok());
        own.is_some_and(|own| mac.clone().verify_slice(&own).is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the standard's documentation.
    #[test]
    fn a_request_is_genuine_by_its_signature_and_its_age() {
        const KEY: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        const AT: i64 = 1_614_265_330;
        let body = br#"{"test": 2432232314}"#;
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            (
                "webhook-signature",
                "v1,bm90IHRoaXMgb25l v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        assert!(is_genuine(KEY, &headers, body, AT + 299));
        assert!(!is_genuine(KEY, &headers, body, AT + 301));
        assert!(!is_genuine(KEY, &headers, b"{}", AT));
        assert!(!is_genuine(super::KEY, &headers, body, AT));
        headers.remove("webhook-id");
        assert!(!is_genuine(KEY, &headers, body, AT));
    }
}
