//! `GET /openapi.json`: the description of these routes. A test compares it with the routes.

use axum::http::header;
use axum::response::{IntoResponse, Response};

const DOCUMENT: &str = include_str!("openapi.json");

/// With a token, like the routes it describes, because it shows the version.
pub(super) async fn document() -> Response {
    let head = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (head, DOCUMENT.replace("VERSION", env!("CARGO_PKG_VERSION"))).into_response()
}
