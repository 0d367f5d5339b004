//! Who may use the debug routes, the page and the metrics.
//!
//! Over the Unix socket this user, without a token. At the address requests with a token, or with a cookie of
//! [`login`](super::login), local ones included: those of a proxy or tunnel on this machine look local too.
//!
//! To act takes the operator's token. A cookie is sent by the browser also with requests that a page of another site
//! makes; so a request to act with a cookie must come from a page of this daemon, and have a header that pages of other
//! sites cannot send here.

use std::net::IpAddr;

use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use http_body::Body as _;

use super::api::Refusal;
use super::limiter::Answer;
use super::login::{is_surely_from_here, session};
use super::serve::Peer;
use super::token::TokenKind;
use super::{HttpState, text};
use crate::clock;
use crate::store::operator::Actor;

/// The header of a page's requests to act, with any value.
const ACT_HEADER: &str = "punctual-act";

/// Who made a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    peer: Peer,
    way: Way,
}

/// How a request was admitted.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Over the Unix socket.
    Socket,
    /// With this token in a header.
    Bearer(TokenKind),
    /// With the cookie of a login by this token.
    Session(TokenKind),
}

impl Caller {
    /// Whether it may change something.
    pub(super) const fn may_act(self) -> bool {
        match self.way {
            Way::Socket => true,
            Way::Bearer(kind) | Way::Session(kind) => matches!(kind, TokenKind::Operator),
        }
    }

    /// For the record: by the name that the request gives, or as far as this is known.
    pub(super) fn actor(self, name: Option<&str>) -> Actor {
        let own = match self.peer {
            Peer::Own => "an operator, by the socket".to_owned(),
            Peer::Network(ip) => format!("an operator, from {}", ip.to_canonical()),
        };
        Actor::named(name, &own)
    }
}

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
    mut request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    match admit(&state, peer, headers) {
        Ok(way) => {
            request.extensions_mut().insert(Caller { peer, way });
            next.run(request).await
        }
        // A browser is redirected to the form.
        Err(Denied::Token) if is_page(request.uri().path()) && wants_html(headers) => {
            Redirect::to("/login").into_response()
        }
        Err(denied) => denied.into_response(),
    }
}

/// Guards what changes something. The requests have passed [`debug`].
pub(super) async fn acts(
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Response {
    let why = if !caller.may_act() {
        "this token is to read only: to act, use the one that `punctual token --operator` prints"
    } else if matches!(caller.way, Way::Session(_)) && !is_from_own_page(request.headers()) {
        "with a cookie, only the page of this daemon may act: send the operator's token in the header \
         `Authorization: Bearer <token>`. If this was the page, a proxy in front of it does not pass on the Host header \
         (nginx: proxy_set_header Host $host)"
    } else {
        return next.run(request).await;
    };
    Refusal::Forbidden(why).into_response()
}

/// Refuses what would have no effect.
pub(super) async fn without_body(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let why = "the parameters of an act are in the URL: send no body";
    Refusal::Query(why.to_owned()).into_response()
}

fn is_from_own_page(headers: &HeaderMap) -> bool {
    headers.contains_key(ACT_HEADER) && is_surely_from_here(headers)
}

fn is_page(path: &str) -> bool {
    path == "/"
        || path == "/campaigns"
        || path.starts_with("/messages/")
        || path.starts_with("/campaigns/")
}

fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// Whether a request to an open route may see what the guarded ones show. A wrong token counts as one.
pub(super) fn is_admitted(state: &HttpState, peer: Peer, headers: &HeaderMap) -> bool {
    admit(state, peer, headers).is_ok()
}

fn admit(state: &HttpState, peer: Peer, headers: &HeaderMap) -> Result<Way, Denied> {
    let Peer::Network(peer) = peer else {
        return Ok(Way::Socket);
    };
    match bearer(headers) {
        Some(carried) => match state.tokens.admit(carried) {
            Some(kind) => Ok(Way::Bearer(kind)),
            None => Err(wrong(state, peer)),
        },
        None => match session(headers, &state.tokens) {
            Some(kind) => Ok(Way::Session(kind)),
            None => Err(Denied::Token),
        },
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
