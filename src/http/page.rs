//! `GET /` and `GET /messages/{id}`: the live page, and the page of one message.
//!
//! The server renders the current state; scripts update it from `/debug/events` and the API. All files are in the
//! program, and the content security policy permits no others.

use axum::extract::{Extension, Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::access::Caller;
use super::events::TIMERS;
#[cfg(test)]
use super::openapi::{Busy, Guarded, NoAnswer};
use super::status::Status;
use super::{HttpState, Question, text};

pub(super) mod campaigns;
pub(super) mod view;

/// Scripts, styles and images only from this server, and none inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; \
                      connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// The headers of every page.
pub(super) const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
];

/// The scripts: name and content.
const SCRIPTS: [(&str, &str); 14] = [
    ("page.js", include_str!("page/page.js")),
    ("message.js", include_str!("page/message.js")),
    ("campaigns.js", include_str!("page/campaigns.js")),
    ("campaign.js", include_str!("page/campaign.js")),
    ("stream.js", include_str!("page/stream.js")),
    ("worker.js", include_str!("page/worker.js")),
    ("acts.js", include_str!("page/acts.js")),
    ("shell.js", include_str!("page/shell.js")),
    ("chart.js", include_str!("page/chart.js")),
    ("list.js", include_str!("page/list.js")),
    ("feed.js", include_str!("page/feed.js")),
    ("system.js", include_str!("page/system.js")),
    ("draw.js", include_str!("page/draw.js")),
    ("words.js", include_str!("page/words.js")),
];

const STYLE: &str = include_str!("page/page.css");
const MARK: &str = include_str!("page/mark.svg");

/// A file of the page
///
/// Without a token, because they contain no data and the login needs them too.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/assets/{name}",
    operation_id = "asset",
    params(("name" = String, Path)),
    responses(
        (status = 200, description = "The file.", content((String = "text/css"), (String = "text/javascript"), (String = "image/svg+xml"))),
        (status = 404, description = "No such file.", body = String),
        Busy,
    )
))]
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    let script = SCRIPTS.iter().find(|(own, _)| *own == name);
    let (kind, bytes) = match (name.as_str(), script) {
        (_, Some((_, script))) => ("text/javascript; charset=utf-8", *script),
        ("page.css", None) => ("text/css; charset=utf-8", STYLE),
        ("mark.svg", None) => ("image/svg+xml", MARK),
        _ => return text(StatusCode::NOT_FOUND, "no such file"),
    };
    let head = [
        (header::CONTENT_TYPE, kind),
        // A shared worker has the policy of its own file.
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // So that a new version is loaded at once.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (head, bytes).into_response()
}

/// The live page
#[cfg_attr(test, utoipa::path(
    get,
    path = "/",
    operation_id = "page",
    security(("bearer" = []), ("session" = [])),
    responses(
        (status = 200, description = "The page.", body = String, content_type = "text/html"),
        (status = 303, description = "A browser without a session: redirect to /login."),
        Guarded,
        NoAnswer,
    )
))]
pub(super) async fn page(
    State(state): State<HttpState>,
    Extension(caller): Extension<Caller>,
) -> Response {
    let question = |reply| Question::Overview {
        timers: TIMERS,
        reply,
    };
    match state.ask(question).await {
        Ok(mut overview) => {
            let timers = &mut overview.timers.timers;
            let around = state.forecast_shown(timers).await;
            let status = Status::of(&overview, around.as_deref());
            (
                HEADERS,
                view::overview(&overview, &status, caller.may_act()),
            )
                .into_response()
        }
        Err(no_reply) => no_reply.into_response(),
    }
}

/// The page of one message
#[cfg_attr(test, utoipa::path(
    get,
    path = "/messages/{id}",
    operation_id = "messagePage",
    security(("bearer" = []), ("session" = [])),
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The page; its script asks for the message.", body = String, content_type = "text/html"),
        (status = 303, description = "A browser without a session: redirect to /login."),
        (status = 400, description = "Not a UUID.", body = String),
        Guarded,
        Busy,
    )
))]
pub(super) async fn message(
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Response {
    match id.parse::<Uuid>() {
        Ok(id) => (HEADERS, view::message(&id.to_string(), caller.may_act())).into_response(),
        Err(_) => text(StatusCode::BAD_REQUEST, "a message's id is a UUID"),
    }
}
