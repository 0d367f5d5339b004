//! Makes the document from the routes, and says whether the file is it.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi as _};

use super::{ANY_VERSION, WRITTEN};
use crate::http::{HttpState, Tokens, api, events, inside, links};
use crate::metrics::{Elsewhere, Frame, Metrics};
use crate::provider;
use crate::reactor::events::MessageEvent;

/// What the routes do not say themselves.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Punctual",
        description = "The HTTP interface of a running daemon, and the callbacks that it accepts. Over TCP, routes with a \
                       `security` need the token that `punctual token` prints: `Authorization: Bearer …`, or the cookie of a \
                       login. Over the daemon's Unix socket, which only its user can open, they need none: `curl --unix-socket \
                       \"$(punctual token --socket)\" http://punctual/debug/timers`.",
        version = "0.0.0"
    ),
    // It is served by another router (`public.rs`).
    paths(links::follow),
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

fn of(routes: OpenApi) -> Value {
    let mut document = Preface::openapi();
    document.merge(routes);
    document.merge(provider::callback_routes());
    // Maps with keys that are strings.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    require_nullable(&mut document);
    document
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

#[test]
fn the_file_is_what_the_routes_say() {
    let (questions, _) = mpsc::channel(1);
    let state = HttpState::new(questions, Arc::new(Metrics::default()), Tokens::fresh());
    let (_, routes) = inside(state).split_for_parts();
    let mut text = Vec::new();
    let indented = PrettyFormatter::with_indent(b" ");
    let mut to_text = Serializer::with_formatter(&mut text, indented);
    of(routes).serialize(&mut to_text).unwrap();
    let text = String::from_utf8(text).unwrap() + "\n";
    assert_eq!(text.matches(ANY_VERSION).count(), 1);
    if text != WRITTEN {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/openapi/openapi.json");
        std::fs::write(&file, text).unwrap();
        panic!(
            "{} was not what the routes say: it is now, so commit it",
            file.display()
        );
    }
}
