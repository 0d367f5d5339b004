//! `/login`: checks the token from the form or from a link, and sets a session cookie.

use std::time::Duration;

use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Extension, Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::access::the_only;
use super::limiter::Answer;
#[cfg(test)]
use super::openapi::{Busy, Foreign};
use super::page::{HEADERS, view};
use super::serve::Peer;
use super::token::{TokenKind, Tokens};
use super::{HttpState, text};
use crate::clock;

/// How long a session lasts: a working day.
const LASTS: Duration = Duration::from_secs(12 * 3600);

/// The fields of the form.
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(super) struct Given {
    /// A token, as `punctual token` prints it.
    #[serde(default)]
    token: String,
}

/// The login form; with a token, the login
#[cfg_attr(test, utoipa::path(
    get,
    path = "/login",
    operation_id = "loginForm",
    params(("token" = Option<String>, Query, description = "As in the link that a terminal shows. Redirects to a URL without the token.")),
    responses(
        (status = 200, description = "The form.", body = String, content_type = "text/html"),
        (status = 303, description = "Redirect to the page: with a session cookie, or over the Unix socket, which needs no login."),
        (status = 401, description = "Wrong token.", body = String, content_type = "text/html"),
        (status = 429, description = "Wrong token, and too many wrong ones from this address. The right one is still accepted.", body = String, content_type = "text/html", headers(("retry-after"))),
        Busy,
    )
))]
pub(super) async fn form(
    State(state): State<HttpState>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    given: Result<Query<Given>, QueryRejection>,
) -> Response {
    match given {
        Ok(Query(given)) if !given.token.is_empty() => {
            let mut answer = open(&state, peer, &headers, &given);
            let referrer = header::HeaderValue::from_static("no-referrer");
            answer
                .headers_mut()
                .insert(header::REFERRER_POLICY, referrer);
            answer
        }
        _ if peer == Peer::Own => Redirect::to("/").into_response(),
        _ => (HEADERS, view::login(None)).into_response(),
    }
}

/// Logs in with the token
#[cfg_attr(test, utoipa::path(
    post,
    path = "/login",
    operation_id = "login",
    request_body(content = Given, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "Redirect to the page, with a session cookie.", headers(("set-cookie"))),
        (status = 400, description = "Not the fields of the form.", body = String),
        (status = 413, description = "Longer than 64 KiB.", body = String),
        (status = 401, description = "Wrong token.", body = String, content_type = "text/html"),
        (status = 429, description = "Wrong token, and too many wrong ones from this address. The right one is still accepted.", body = String, content_type = "text/html", headers(("retry-after"))),
        Foreign,
        Busy,
    )
))]
pub(super) async fn login(
    State(state): State<HttpState>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    given: Result<Form<Given>, FormRejection>,
) -> Response {
    if !is_from_here(&headers) {
        return foreign();
    }
    match given {
        Ok(Form(given)) => open(&state, peer, &headers, &given),
        Err(_) => text(StatusCode::BAD_REQUEST, "the form has one field, token"),
    }
}

fn open(state: &HttpState, peer: Peer, headers: &HeaderMap, given: &Given) -> Response {
    let Peer::Network(peer) = peer else {
        return Redirect::to("/").into_response();
    };
    let expires = now_s().saturating_add(LASTS.as_secs());
    if let Some(value) = state.tokens.open_session(given.token.trim(), expires) {
        let cookie = cookie(&state.tokens, &value, LASTS, headers);
        let answer = [(header::SET_COOKIE, cookie)];
        return (answer, Redirect::to("/")).into_response();
    }
    let again = |sentence| (HEADERS, view::login(Some(sentence)));
    match state.limiter.wrong(peer, clock::reading().up) {
        Answer::Wrong => {
            let page = again("Wrong token.");
            (StatusCode::UNAUTHORIZED, page).into_response()
        }
        Answer::TooMany { again: wait } => {
            let page = again("Wrong token; too many attempts from this address.");
            let wait = [(header::RETRY_AFTER, (wait.as_secs() + 1).to_string())];
            (StatusCode::TOO_MANY_REQUESTS, wait, page).into_response()
        }
    }
}

/// Deletes the session cookie
#[cfg_attr(test, utoipa::path(
    post,
    path = "/logout",
    operation_id = "logout",
    responses(
        (status = 303, description = "Redirect to /login.", headers(("set-cookie"))),
        Foreign,
        Busy,
    )
))]
pub(super) async fn logout(State(state): State<HttpState>, headers: HeaderMap) -> Response {
    if !is_from_here(&headers) {
        return foreign();
    }
    let cookie = cookie(&state.tokens, "", Duration::ZERO, &headers);
    ([(header::SET_COOKIE, cookie)], Redirect::to("/login")).into_response()
}

fn foreign() -> Response {
    text(
        StatusCode::FORBIDDEN,
        "the form was sent by a page of another site; open the page of this daemon. If you did, a proxy in front \
         of it does not pass on the Host header (nginx: proxy_set_header Host $host)",
    )
}

/// The token of the session that a request has a valid cookie of.
pub(super) fn session(headers: &HeaderMap, tokens: &Tokens) -> Option<TokenKind> {
    let own = tokens.cookie();
    let cookies = headers.get_all(header::COOKIE).iter();
    cookies
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == own)
        .find_map(|(_, value)| tokens.session(value, now_s()))
}

/// A cookie for this site only, and `Secure` if the page was loaded by https: a page cannot set the `Origin` itself.
fn cookie(tokens: &Tokens, value: &str, lasts: Duration, headers: &HeaderMap) -> String {
    let by_https = the_only(headers, header::ORIGIN).is_some_and(|o| o.starts_with("https://"));
    let secure = if by_https { "; Secure" } else { "" };
    let (name, age) = (tokens.cookie(), lasts.as_secs());
    format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}")
}

/// Whether a form was sent by a page of this daemon, or not by a browser. Browsers send `Sec-Fetch-Site`; old ones,
/// and all of them without https, only `Origin`, which must then name this host.
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

/// The same for a request that only browsers make: one that does not say where it comes from is not from here. All
/// browsers send `Origin` with a POST.
pub(super) fn is_surely_from_here(headers: &HeaderMap) -> bool {
    let says = headers.contains_key("sec-fetch-site") || headers.contains_key(header::ORIGIN);
    says && is_from_here(headers)
}

fn now_s() -> u64 {
    u64::try_from(clock::reading().real_us / 1_000_000).unwrap_or(0)
}
