//! Who may see what is inside.
//!
//! With a token: whoever carries it, or a cookie of [`login`](super::login). Without one: only the machine itself. Listening on
//! loopback is not enough for that, as two things reach a loopback address from afar: a
//! browser, led by a name that its owner has pointed at 127.0.0.1 (DNS rebinding), and a
//! reverse proxy or tunnel. The first shows in `Host`, the second in its forwarding headers.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use tokio::time::sleep;

use super::login::has_session;
use super::{HttpState, text};

/// Why a request may not see `/debug`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Denied {
    #[error(
        "this page needs the token of PUNCTUAL_DEBUG_TOKEN: send the header \
         `Authorization: Bearer <token>`, or log in at /login"
    )]
    Token,
    #[error(
        "this is not the token of PUNCTUAL_DEBUG_TOKEN, which goes into the header \
         `Authorization: Bearer <token>`"
    )]
    WrongToken,
    #[error(
        "without PUNCTUAL_DEBUG_TOKEN this page is shown only to this machine: ask for it as \
         localhost or 127.0.0.1, or set a token"
    )]
    ForeignHost,
    #[error(
        "without PUNCTUAL_DEBUG_TOKEN this page is not shown through a proxy: set a token, or \
         ask the daemon directly"
    )]
    Forwarded,
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        match self {
            Self::Token | Self::WrongToken => {
                let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
                let answer = text(StatusCode::UNAUTHORIZED, &self.to_string());
                (challenge, answer).into_response()
            }
            Self::ForeignHost | Self::Forwarded => text(StatusCode::FORBIDDEN, &self.to_string()),
        }
    }
}

/// Guards the page, the metrics, and every path under `/debug`, unknown ones included.
pub(super) async fn debug(
    State(state): State<HttpState>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    match admit(request.uri(), headers, state.debug_token.as_ref()) {
        Ok(()) => next.run(request).await,
        // Somebody with a browser: there is a form for them.
        Err(Denied::Token) if request.uri().path() == "/" && wants_html(headers) => {
            Redirect::to("/login").into_response()
        }
        Err(denied) => {
            if denied == Denied::WrongToken {
                sleep(state.limits.wrong).await;
            }
            denied.into_response()
        }
    }
}

fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// In a time that tells nothing of how the two differ.
pub(super) fn is_token(given: &str, token: &SecretString) -> bool {
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    digest(given).ct_eq(&digest(token.expose_secret())).into()
}

fn admit(uri: &Uri, headers: &HeaderMap, token: Option<&SecretString>) -> Result<(), Denied> {
    if let Some(token) = token {
        return match bearer(headers) {
            Some(carried) if is_token(carried, token) => Ok(()),
            Some(_) => Err(Denied::WrongToken),
            None if has_session(headers, token) => Ok(()),
            None => Err(Denied::Token),
        };
    }
    if headers.keys().any(|name| forwards(name.as_str())) {
        return Err(Denied::Forwarded);
    }
    if names_this_machine(uri, headers) {
        Ok(())
    } else {
        Err(Denied::ForeignHost)
    }
}

/// The token of the one `Authorization: Bearer …`; the scheme's case does not matter (RFC 9110).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = the_only(headers, header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Headers that only something between the client and us adds.
fn forwards(name: &str) -> bool {
    name.starts_with("x-forwarded")
        || matches!(
            name,
            "forwarded"
                | "via"
                | "x-real-ip"
                | "x-client-ip"
                | "true-client-ip"
                | "cf-connecting-ip"
        )
}

/// Every name the request calls us by (the `Host` header, and the address of a request written
/// in absolute form) must be a loopback one, and there must be exactly one `Host`.
fn names_this_machine(uri: &Uri, headers: &HeaderMap) -> bool {
    let by_uri = uri.authority().is_none_or(|a| is_loopback(a.as_str()));
    by_uri && the_only(headers, header::HOST).is_some_and(is_loopback)
}

pub(super) fn the_only(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    value.to_str().ok().map(str::trim)
}

/// `localhost`, `127.0.0.0/8` or `[::1]`, with or without a port.
fn is_loopback(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        // The colons of a bare `[::1]` are not a port's.
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    if port.is_some_and(|p| p.parse::<u16>().is_err()) {
        return false;
    }
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    match name.strip_prefix('[').and_then(|n| n.strip_suffix(']')) {
        Some(v6) => v6.parse().is_ok_and(|ip: Ipv6Addr| ip.is_loopback()),
        None => name.parse().is_ok_and(|ip: Ipv4Addr| ip.is_loopback()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_name_this_machine() {
        for (host, loopback) in [
            ("localhost", true),
            ("LocalHost:8080", true),
            ("127.0.0.1", true),
            ("127.0.0.1:8080", true),
            ("127.1.2.3:80", true),
            ("[::1]", true),
            ("[::1]:8080", true),
            ("", false),
            (":8080", false),
            ("::1", false),
            ("[::1", false),
            ("[::2]:8080", false),
            ("[::ffff:10.0.0.1]", false),
            ("128.0.0.1", false),
            ("10.0.0.1:8080", false),
            ("0.0.0.0", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example:8080", false),
            ("evil.example", false),
            ("evil.example:127.0.0.1", false),
            ("localhost:", false),
            ("localhost:99999", false),
            ("user@localhost", false),
            ("2130706433", false),
        ] {
            assert_eq!(is_loopback(host), loopback, "{host:?}");
        }
    }
}
