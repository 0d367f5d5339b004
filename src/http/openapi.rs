//! `GET /openapi.json`: the contract of these routes, as `openapi.json` beside this file has it.
//! A test walks the routes and holds it to them.

use axum::http::header;
use axum::response::{IntoResponse, Response};

const DOCUMENT: &str = include_str!("openapi.json");

/// Under the same rule as what it describes: which version runs here is nobody else's business.
pub(super) async fn document() -> Response {
    let head = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (head, DOCUMENT.replace("VERSION", env!("CARGO_PKG_VERSION"))).into_response()
}
