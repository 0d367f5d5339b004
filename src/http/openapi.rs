//! `GET /openapi.json`: the description of these routes. It is made from the handlers and the types that they return.

use axum::Extension;
use axum::body::Bytes;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{IntoParams, IntoResponses, Modify, OpenApi as _};
use uuid::Uuid;

use super::{api, events};
use crate::metrics::{Elsewhere, Frame};
use crate::provider;
use crate::reactor::events::MessageEvent;

/// The document as it is sent.
#[derive(Clone)]
pub(super) struct Document(Bytes);

/// What the routes do not say themselves.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Punctual",
        description = "The HTTP interface of a running daemon, and the callbacks that it accepts. Over TCP, routes with a \
                       `security` need the token that `punctual token` prints: `Authorization: Bearer …`, or the cookie of a \
                       login. Over the daemon's Unix socket, which only its user can open, they need none: `curl --unix-socket \
                       \"$(punctual token --socket)\" http://punctual/debug/timers`."
    ),
    // It is served by another router (`public.rs`).
    paths(super::links::follow),
    // They are in the events of a stream.
    components(schemas(MessageEvent, Elsewhere, Frame, events::Now, api::Body, api::Running)),
    modifiers(&Ways)
)]
struct Preface;

/// The ways in.
struct Ways;

impl Modify for Ways {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("bearer", bearer);
        let cookie = ApiKeyValue::with_description(
            "punctual_",
            "Set by /login. Its name ends in eight hexadecimal digits of the installation.",
        );
        let session = SecurityScheme::ApiKey(ApiKey::Cookie(cookie));
        components.add_security_scheme("session", session);
    }
}

/// The document of these routes, and of callbacks, which may have an address of their own.
pub(super) fn of(routes: OpenApi) -> Document {
    let mut document = Preface::openapi();
    document.merge(routes);
    document.merge(provider::callback_routes());
    // Maps with keys that are strings.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    require_nullable(&mut document);
    Document(document.to_string().into())
}

/// What may be null is always there: fields that are left out are never null (`nullable = false`).
fn require_nullable(part: &mut Value) {
    let is_null = |kind: &Value| kind == "null";
    let nullable = |of: &Value| {
        let kinds = of["type"].as_array().into_iter().flatten();
        let choices = of["oneOf"].as_array().into_iter().flatten();
        kinds.chain(choices.map(|one| &one["type"])).any(is_null)
    };
    match part {
        Value::Object(fields) => {
            let properties = fields.get("properties").and_then(Value::as_object);
            let of = properties.into_iter().flatten();
            let always: Vec<_> = of
                .filter(|(_, of)| nullable(of))
                .map(|(name, _)| name.clone())
                .collect();
            if !always.is_empty()
                && let Some(required) = fields
                    .entry("required")
                    .or_insert_with(|| json!([]))
                    .as_array_mut()
            {
                required.extend(always.into_iter().map(Value::String));
            }
            fields.values_mut().for_each(require_nullable);
        }
        Value::Array(parts) => parts.iter_mut().for_each(require_nullable),
        _ => {}
    }
}

/// This document
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "openapi",
    security(("bearer" = []), ("session" = [])),
    responses((status = 200, description = "OpenAPI 3.1.", body = Object), Guarded, Busy)
)]
pub(super) async fn document(Extension(Document(document)): Extension<Document>) -> Response {
    let head = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (head, document).into_response()
}

/// Which messages are meant; all of them together.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "they are parsed by their names (`Filter::set`)")]
pub(super) struct FilterParameters {
    /// In this status; several separated by commas.
    status: Option<String>,
    /// Due at this time or later (RFC 3339).
    #[param(format = DateTime)]
    from: Option<String>,
    /// Due before this time.
    #[param(format = DateTime)]
    to: Option<String>,
    /// The beginning of an id, a recipient, or the provider's id.
    q: Option<String>,
    /// Of this user.
    user: Option<Uuid>,
    /// Of this campaign.
    campaign: Option<Uuid>,
    /// Made from this template.
    template: Option<Uuid>,
    /// Not sent for this reason; `none`: without one.
    reason: Option<String>,
}

/// Answers of routes that need a token.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "they are made in `access`")]
pub(super) enum Guarded {
    /// The token is missing or wrong.
    #[response(status = 401, headers(("www-authenticate")))]
    Unauthorized(String),
    /// Wrong token, and too many wrong ones from this address. The right one is still accepted.
    #[response(status = 429, headers(("retry-after")))]
    TooMany(String),
}

/// Too many requests at the moment.
#[derive(IntoResponses)]
#[response(status = 503, headers(("retry-after")))]
#[expect(dead_code, reason = "it is made in `places`")]
pub(super) struct Busy(String);

/// The daemon is starting or stopping, or does not respond in time.
#[derive(IntoResponses)]
#[response(status = 503, headers(("retry-after")))]
#[expect(dead_code, reason = "it is made from a missing reply")]
pub(super) struct NoAnswer(String);

/// The form was sent by a page of another site.
#[derive(IntoResponses)]
#[response(status = 403)]
#[expect(dead_code, reason = "it is made in `login`")]
pub(super) struct Foreign(String);

/// The daemon has no database.
#[derive(IntoResponses)]
#[response(status = 404)]
#[expect(dead_code, reason = "it is made from `Refusal`")]
pub(super) struct NoDatabase(api::Body<'static>);

/// Answers of routes that read messages.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "they are made from `Refusal`")]
pub(super) enum NotRead {
    /// The parameters cannot be used.
    #[response(status = 400)]
    Query(api::Body<'static>),
    /// The database is not available, or too busy. The request may be repeated.
    #[response(status = 503, headers(("retry-after")))]
    Unavailable(api::Body<'static>),
}

/// Answers of every act.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "they are made from `Refusal`")]
pub(super) enum NotDone {
    /// It has not ended yet, and goes on.
    #[response(status = 202)]
    GoesOn(api::Running),
    /// The parameters cannot be used.
    #[response(status = 400)]
    Query(api::Body<'static>),
    /// The token is to read only; or the request has a cookie, and is not from the page.
    #[response(status = 403)]
    ReadOnly(api::Body<'static>),
    /// The database is not available, or busy with other acts. With `retry-after` nothing was changed.
    #[response(status = 503)]
    Unavailable(api::Body<'static>),
}

/// Answers of acts on one message.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "they are made from `Refusal`")]
pub(super) enum NotOne {
    /// No message matches, or the daemon has no database.
    #[response(status = 404)]
    Missing(api::Body<'static>),
    /// It cannot be done now: why, in a sentence. With `candidates`, several messages match.
    #[response(status = 409)]
    CannotBeDone(api::Body<'static>),
}

/// Answers of acts on the messages of a filter.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "they are made from `Refusal`")]
pub(super) enum NotAll {
    /// The daemon has no database.
    #[response(status = 404)]
    NoDatabase(api::Body<'static>),
    /// `messages` are meant now, and another number was confirmed: nothing was changed.
    #[response(status = 409)]
    Count(api::Body<'static>),
}

/// Answers of a resume.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "they are made from `Refusal`")]
pub(super) enum NotResumed {
    /// The daemon has no database.
    #[response(status = 404)]
    NoDatabase(api::Body<'static>),
    /// It is not paused. With `messages`: that many have expired meanwhile and would be cancelled, and fewer were
    /// confirmed.
    #[response(status = 409)]
    CannotBeDone(api::Body<'static>),
}

/// Texts and numbers are for whoever may decide about them.
#[derive(IntoResponses)]
#[response(status = 403)]
#[expect(dead_code, reason = "it is made from `Refusal`")]
pub(super) struct NotShown(api::Body<'static>);

/// There is no such campaign, or the daemon has no database.
#[derive(IntoResponses)]
#[response(status = 404)]
#[expect(dead_code, reason = "it is made from `Refusal`")]
pub(super) struct NoCampaign(api::Body<'static>);

/// Answers of acts on a campaign.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "they are made from `Refusal`")]
pub(super) enum NotDecided {
    /// There is no such campaign, or it has no such message; or the daemon has no database.
    #[response(status = 404)]
    Missing(api::Body<'static>),
    /// It cannot be done now: why, in a sentence. With `messages`: so many are meant now, and another number was
    /// confirmed.
    #[response(status = 409)]
    CannotBeDone(api::Body<'static>),
}
