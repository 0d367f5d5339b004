//! `GET /openapi.json`: the description of these routes. The tests make it from the handlers and the types that they
//! return, and hold the file that the program sends against it (`openapi/written.rs`).

use axum::Extension;
use axum::body::Bytes;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::version::VERSION;

#[cfg(test)]
mod answers;
#[cfg(test)]
mod written;

#[cfg(test)]
pub(super) use answers::{
    Busy, FilterParameters, Foreign, Guarded, NoAnswer, NoCampaign, NoDatabase, NotAll, NotDecided,
    NotDone, NotOne, NotRead, NotResumed, NotShown,
};

/// As the tests have written it.
const WRITTEN: &str = include_str!("openapi/openapi.json");

/// Where the version of the program is to be in it.
const ANY_VERSION: &str = "\"version\": \"0.0.0\"";

/// The document as it is sent.
#[derive(Clone)]
pub(super) struct Document(Bytes);

/// The document of these routes, and of callbacks, which may have an address of their own.
pub(super) fn document() -> Document {
    let version = format!("\"version\": \"{VERSION}\"");
    Document(WRITTEN.replacen(ANY_VERSION, &version, 1).into())
}

/// This document
#[cfg_attr(test, utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "openapi",
    security(("bearer" = []), ("session" = [])),
    responses((status = 200, description = "OpenAPI 3.1.", body = Object), Guarded, Busy)
))]
pub(super) async fn openapi(Extension(Document(document)): Extension<Document>) -> Response {
    let head = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (head, document).into_response()
}
