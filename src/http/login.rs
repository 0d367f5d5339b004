//! `POST /login`: the token once, a cookie from then on.
//!
//! The cookie is no copy of the token: it is an expiry and a proof, made with the token, that we
//! set it. So it ends by itself, a changed token ends all, and nothing is kept here.

use std::time::Duration;

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use tokio::time::sleep;

use super::access::{is_token, the_only};
use super::page::{HEADERS, fill};
use super::{HttpState, text};
use crate::clock;

const LOGIN: &str = include_str!("page/login.html");

/// The cookie's name.
const COOKIE: &str = "punctual_session";

/// How long one login lasts: a working day.
const LASTS: Duration = Duration::from_secs(12 * 3600);

/// Logins looked at together. A wrong one keeps its place for [`Limits::wrong`], so this bounds
/// how fast tokens can be tried by the form.
///
/// [`Limits::wrong`]: super::Limits::wrong
pub(super) const AT_ONCE: usize = 4;

#[derive(Deserialize)]
pub(super) struct Given {
    #[serde(default)]
    token: String,
}

/// `GET /login`.
pub(super) async fn form(State(state): State<HttpState>) -> Response {
    if state.debug_token.is_none() {
        return Redirect::to("/").into_response();
    }
    (HEADERS, fill(LOGIN, &[])).into_response()
}

/// `POST /login`.
pub(super) async fn login(
    State(state): State<HttpState>,
    headers: HeaderMap,
    given: Result<Form<Given>, FormRejection>,
) -> Response {
    let Some(token) = &state.debug_token else {
        return Redirect::to("/").into_response();
    };
    if !is_from_here(&headers) {
        return foreign();
    }
    let Ok(_place) = state.logins.try_acquire() else {
        let again = [(header::RETRY_AFTER, "2")];
        let many = text(
            StatusCode::TOO_MANY_REQUESTS,
            "too many try to log in at this moment: try again in a few seconds",
        );
        return (again, many).into_response();
    };
    let Ok(Form(given)) = given else {
        return text(StatusCode::BAD_REQUEST, "the form has one field, token");
    };
    if !is_token(given.token.trim(), token) {
        tracing::warn!("somebody tried to log in with a wrong token");
        sleep(state.limits.wrong).await;
        let wrong = r#"<p class="wrong" role="alert">That is not the token.</p>"#;
        let page = fill(LOGIN, &[("wrong", wrong)]);
        return (StatusCode::UNAUTHORIZED, HEADERS, page).into_response();
    }
    let expires = now_s().saturating_add(LASTS.as_secs());
    let value = format!("{expires}.{}", proof(token, expires));
    let cookie = cookie(&value, LASTS, &headers);
    ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

/// `POST /logout`: forgets the cookie where it is kept.
pub(super) async fn logout(headers: HeaderMap) -> Response {
    if !is_from_here(&headers) {
        return foreign();
    }
    let cookie = cookie("", Duration::ZERO, &headers);
    ([(header::SET_COOKIE, cookie)], Redirect::to("/login")).into_response()
}

fn foreign() -> Response {
    text(
        StatusCode::FORBIDDEN,
        "this was sent from another site's page: open the page itself and try there",
    )
}

/// Whether a request carries a cookie that we set and that has not run out.
pub(super) fn has_session(headers: &HeaderMap, token: &SecretString) -> bool {
    let cookies = headers.get_all(header::COOKIE).iter();
    cookies
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == COOKIE)
        .any(|(_, value)| is_ours(value, token, now_s()))
}

fn is_ours(value: &str, token: &SecretString, now: u64) -> bool {
    let Some((expires, proven)) = value.split_once('.') else {
        return false;
    };
    let Ok(expires) = expires.parse::<u64>() else {
        return false;
    };
    let same: bool = proof(token, expires)
        .as_bytes()
        .ct_eq(proven.as_bytes())
        .into();
    same && now < expires
}

fn proof(token: &SecretString, expires: u64) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(token.expose_secret().as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(format!("punctual session until {expires}").as_bytes());
    let mut hex = String::with_capacity(64);
    for byte in mac.finalize().into_bytes() {
        // A String takes whatever is written to it.
        let _ = std::fmt::Write::write_fmt(&mut hex, format_args!("{byte:02x}"));
    }
    hex
}

/// Strict: it comes along only from our own pages. Secure, if that is how the browser came: an
/// `Origin` cannot be told otherwise by a page.
fn cookie(value: &str, lasts: Duration, headers: &HeaderMap) -> String {
    let by_https = the_only(headers, header::ORIGIN).is_some_and(|o| o.starts_with("https://"));
    let secure = if by_https { "; Secure" } else { "" };
    let age = lasts.as_secs();
    format!("{COOKIE}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}")
}

/// Whether a form was sent by our own page, or by no browser at all. Browsers tell where a
/// request comes from; older ones only by `Origin`, which must then name us.
fn is_from_here(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let origin = origin.to_str().ok().and_then(|o| o.split_once("://"));
    origin.is_some_and(|(_, host)| the_only(headers, header::HOST) == Some(host))
}

fn now_s() -> u64 {
    u64::try_from(clock::reading().real_us / 1_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_proven_and_runs_out() {
        let token = SecretString::from("s3cret");
        let until = 1_000;
        let value = format!("{until}.{}", proof(&token, until));
        assert!(is_ours(&value, &token, 999));
        assert!(!is_ours(&value, &token, 1_000), "run out");
        assert!(
            !is_ours(&value, &SecretString::from("other"), 0),
            "another token"
        );
        let longer = format!("9999.{}", proof(&token, until));
        assert!(!is_ours(&longer, &token, 0), "made to last");
        for broken in [
            "",
            ".",
            "1000",
            "1000.",
            "x.y",
            &format!(".{}", proof(&token, until)),
        ] {
            assert!(!is_ours(broken, &token, 0), "{broken:?}");
        }
        assert!(!value.contains("s3cret"));
    }
}
