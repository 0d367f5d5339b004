//! Who may use the debug routes, the page and the metrics.
//!
//! Over the Unix socket this user, without a token. At the address requests with a token, or with a cookie of
//! [`login`](super::login), local ones included: those of a proxy or tunnel on this machine look local too.

use std::net::IpAddr;

use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::limiter::Answer;
use super::login::has_session;
use super::serve::Peer;
use super::{HttpState, text};
use crate::clock;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Denied {
    #[error(
        "a token is required (`punctual token` prints it): send the header `Authorization: Bearer <token>`, \
         or log in at /login"
    )]
    Token,
    #[error(
        "wrong token: send the one that `punctual token` prints in the header \
         `Authorization: Bearer <token>`"
    )]
    WrongToken,
    #[error("too many wrong tokens from this address; the right one is still accepted")]
    TooMany {
        /// In seconds.
        again: u64,
    },
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let sentence = self.to_string();
        match self {
            Self::Token | Self::WrongToken => {
                let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
                (challenge, text(StatusCode::UNAUTHORIZED, &sentence)).into_response()
            }
            Self::TooMany { again } => {
                let again = [(header::RETRY_AFTER, again.to_string())];
                (again, text(StatusCode::TOO_MANY_REQUESTS, &sentence)).into_response()
            }
        }
    }
}

/// Guards the page, the metrics, and every path under `/debug`, unknown ones included.
pub(super) async fn debug(
    State(state): State<HttpState>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    match admit(&state, peer, headers) {
        Ok(()) => next.run(request).await,
        // A browser is redirected to the form.
        Err(Denied::Token) if is_page(request.uri().path()) && wants_html(headers) => {
            Redirect::to("/login").into_response()
        }
        Err(denied) => denied.into_response(),
    }
}

fn is_page(path: &str) -> bool {
    path == "/" || path.starts_with("/messages/")
}

fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

fn admit(state: &HttpState, peer: Peer, headers: &HeaderMap) -> Result<(), Denied> {
    let Peer::Network(peer) = peer else {
        return Ok(());
    };
    match bearer(headers) {
        Some(carried) if state.tokens.admit(carried) => Ok(()),
        Some(_) => Err(wrong(state, peer)),
        None if has_session(headers, &state.tokens) => Ok(()),
        None => Err(Denied::Token),
    }
}

fn wrong(state: &HttpState, peer: IpAddr) -> Denied {
    match state.limiter.wrong(peer, clock::reading().up) {
        Answer::Wrong => Denied::WrongToken,
        Answer::TooMany { again } => Denied::TooMany {
            again: again.as_secs() + 1,
        },
    }
}

/// The token of the one `Authorization: Bearer …`; the scheme's case does not matter (RFC 9110).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = the_only(headers, header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

pub(super) fn the_only(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    value.to_str().ok().map(str::trim)
}
