//! `GET /l/{code}`: leads whoever clicks a tracking link to its destination, and counts that.
//!
//! It is on the public address and needs no token: whoever has a code may follow it. So nothing here says anything else
//! about a link, an address may ask only so often, and no destination is logged.

use std::hash::RandomState;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;
use url::Url;

use super::described::{Described, Routes, routes};
use super::limiter::place;
use super::serve::Peer;
use super::{AGAIN, text};
use crate::clock;
use crate::limits::HttpLimits;
use crate::message::Uptime;
use crate::store::{Link, TrackingLinks};

/// Where the links are, below their URL.
const PATH: &str = "/l/";

/// How many addresses are distinguished, by a hash: memory is fixed, and two of them that share a place share its
/// limit.
const PLACES: usize = 65_536;

/// The longest code. That of an app of its own may have other characters than ours.
const CODE_MAX: usize = 64;

/// What follows links.
#[derive(Clone)]
pub(super) struct Links {
    store: TrackingLinks,
    asked: Arc<Asked>,
    /// For the database to answer.
    patience: Duration,
}

impl Links {
    pub(super) fn new(links: TrackingLinks, limits: &HttpLimits) -> Self {
        Self {
            store: links,
            asked: Arc::new(Asked::new(limits)),
            patience: limits.history,
        }
    }
}

pub(super) fn routes(links: Links) -> Router {
    // The document describes it (`openapi.rs`) even where it is not served.
    Routes::new()
        .routes(routes!("/l/{code}", get follow))
        .with_state(links)
        .served()
}

/// Leads to the destination of a tracking link
#[cfg_attr(test, utoipa::path(
    get,
    path = "/l/{code}",
    operation_id = "followLink",
    description = "Exists if `PUNCTUAL_LINK_URL` is set; if `PUNCTUAL_WEBHOOK_ADDR` is set, only at that address. A click is \
                   counted, unless it is a `HEAD` or comes from a program that looks ahead for its user.",
    params(("code" = String, Path, description = "The short code of the link.")),
    responses(
        (status = 302, description = "The destination.", headers(("location"), ("cache-control"), ("referrer-policy"))),
        (status = 404, description = "There is no such link.", body = String),
        (status = 410, description = "It has expired.", body = String),
        (status = 429, description = "Too many requests from this address.", body = String, headers(("retry-after"))),
        (status = 503, description = "The database does not respond. The request may be repeated.", body = String,
         headers(("retry-after")))
    )
))]
pub(super) async fn follow(
    State(links): State<Links>,
    Extension(peer): Extension<Peer>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let now = clock::reading().up;
    if let Err(again) = links.asked.take(client(peer, &headers), now) {
        let again = [(header::RETRY_AFTER, (again.as_secs() + 1).to_string())];
        let sentence = "too many requests from this address; try again in a minute";
        return (again, text(StatusCode::TOO_MANY_REQUESTS, sentence)).into_response();
    }
    let code = uri.path().strip_prefix(PATH).filter(|code| is_code(code));
    let Some(code) = code else {
        return unknown();
    };
    let counts = method == Method::GET && !looks_ahead(&headers);
    match timeout(links.patience, links.store.follow(code, counts)).await {
        Ok(Ok(Link::To { id, destination })) => {
            destination_of(&destination).map_or_else(
                || {
                    tracing::warn!(%id, "a tracking link leads to no http or https URL: it is not followed");
                    unknown()
                },
                leads_to,
            )
        }
        Ok(Ok(Link::Unknown)) => unknown(),
        Ok(Ok(Link::Over)) => text(StatusCode::GONE, "this link has expired"),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a tracking link could not be followed");
            unavailable()
        }
        Err(_) => {
            let error = "the database did not respond in time";
            tracing::warn!(%error, "a tracking link could not be followed");
            unavailable()
        }
    }
}

fn unknown() -> Response {
    text(StatusCode::NOT_FOUND, "there is no such link")
}

fn unavailable() -> Response {
    let sentence = "the link cannot be followed at the moment; try again in a few seconds";
    ([AGAIN], text(StatusCode::SERVICE_UNAVAILABLE, sentence)).into_response()
}

/// Kept by no cache, so that each click arrives here; and the page that it leads to does not see the code.
fn leads_to(destination: HeaderValue) -> Response {
    let head = [
        (header::LOCATION, destination),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'"),
        ),
    ];
    (StatusCode::FOUND, head).into_response()
}

/// The app may have written the row itself, so it is judged here too: only what a browser opens as a web page.
fn destination_of(destination: &str) -> Option<HeaderValue> {
    let url: Url = destination.parse().ok()?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    let is_plain = url.username().is_empty() && url.password().is_none();
    HeaderValue::from_str(url.as_str())
        .ok()
        .filter(|_| is_web && is_plain)
}

fn is_code(code: &str) -> bool {
    let is_letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=CODE_MAX).contains(&code.len()) && code.bytes().all(is_letter)
}

/// Programs that fetch links before, or without, anybody clicking them: by what a browser says when it looks ahead, and
/// by the names of those that show previews, search the web or check e-mails.
fn looks_ahead(headers: &HeaderMap) -> bool {
    const PURPOSES: [&str; 4] = ["purpose", "sec-purpose", "x-purpose", "x-moz"];
    const AHEAD: [&str; 3] = ["prefetch", "prerender", "preview"];
    const PROGRAMS: [&str; 19] = [
        "bot/",
        "bot;",
        "bot)",
        "crawler",
        "spider",
        "preview",
        "facebookexternalhit",
        "facebookcatalog",
        "whatsapp/",
        "slack-imgproxy",
        "embedly",
        "iframely",
        "vkshare",
        "google-pagerenderer",
        "mimecast",
        "barracuda",
        "proofpoint",
        "safelinks",
        "googleimageproxy",
    ];
    let says = |name: &str, words: &[&str]| {
        headers.get_all(name).iter().any(|value| {
            let value = String::from_utf8_lossy(value.as_bytes()).to_lowercase();
            words.iter().any(|word| value.contains(word))
        })
    };
    PURPOSES.iter().any(|name| says(name, &AHEAD)) || says("user-agent", &PROGRAMS)
}

/// Who asks. Behind a proxy on this machine or network all clients have its address; it appends theirs to
/// `X-Forwarded-For`. What stands before that is whatever the client sent, and is not believed, nor is the header from
/// anybody else.
fn client(peer: Peer, headers: &HeaderMap) -> IpAddr {
    let mut known = match peer {
        Peer::Own => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Peer::Network(ip) => ip.to_canonical(),
    };
    let values = headers.get_all("x-forwarded-for").iter();
    let values: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
    let hops = values.join(",");
    for hop in hops.rsplit(',') {
        if !is_near(known) {
            break;
        }
        match hop.trim().parse::<IpAddr>() {
            Ok(ip) => known = ip.to_canonical(),
            Err(_) => break,
        }
    }
    known
}

/// Whether it is of this machine or a private network, where proxies are.
fn is_near(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            ip.is_loopback() || ip.is_private() || ip.is_link_local() || is_shared
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// How often each address has asked.
struct Asked {
    hasher: RandomState,
    places: Mutex<Vec<Place>>,
    most: u32,
    within: Duration,
}

#[derive(Clone, Copy)]
struct Place {
    until: Uptime,
    times: u32,
}

impl Asked {
    fn new(limits: &HttpLimits) -> Self {
        const FREE: Place = Place {
            until: Uptime::from_micros(0),
            times: 0,
        };
        Self {
            hasher: RandomState::new(),
            places: Mutex::new(vec![FREE; PLACES]),
            most: limits.link_requests,
            within: limits.link_requests_within,
        }
    }

    /// Counts a request; an error says when the next one is answered.
    fn take(&self, peer: IpAddr, now: Uptime) -> Result<(), Duration> {
        let at = place(&self.hasher, peer, PLACES);
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = places.get_mut(at) else {
            return Ok(());
        };
        let left = place.until.since(now);
        if left.is_zero() {
            *place = Place {
                until: now + self.within,
                times: 1,
            };
            return Ok(());
        }
        if place.times >= self.most {
            return Err(left);
        }
        place.times += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
