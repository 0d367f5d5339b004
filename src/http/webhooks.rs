//! `/webhooks`: what the provider posts. Only what its signature proves is looked at.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use super::text;
use crate::receipt::signature::{HEADER, Request};
use crate::receipt::{INBOUND_PATH, STATUS_PATH, Untaken, Webhooks};

pub(super) fn routes(webhooks: Webhooks) -> Router {
    Router::new()
        .route(STATUS_PATH, post(status))
        .route(INBOUND_PATH, post(inbound))
        .with_state(webhooks)
}

/// `POST /webhooks/twilio/status?message=…&token=…`: 204 once it is recorded, or there is
/// nothing to record; 503 asks for it again.
async fn status(
    State(webhooks): State<Webhooks>,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(refused) => return refused.into_response(),
    };
    let taken = webhooks.status(&request(&uri, &headers, &body)).await;
    answer(&webhooks, taken)
}

/// `POST /webhooks/twilio/inbound`: 204, which to Twilio is a reply without words.
async fn inbound(
    State(webhooks): State<Webhooks>,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(refused) => return refused.into_response(),
    };
    let taken = webhooks.inbound(&request(&uri, &headers, &body)).await;
    answer(&webhooks, taken)
}

fn request<'a>(uri: &'a Uri, headers: &'a HeaderMap, body: &'a [u8]) -> Request<'a> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    Request {
        path_and_query: uri.path_and_query().map_or("/", |pq| pq.as_str()),
        content_type: header(header::CONTENT_TYPE.as_str()),
        signature: header(HEADER),
        body,
    }
}

fn answer(webhooks: &Webhooks, taken: Result<(), Untaken>) -> Response {
    let Err(why) = taken else {
        return StatusCode::NO_CONTENT.into_response();
    };
    webhooks.refused();
    let status = match &why {
        Untaken::Forged(_) => StatusCode::FORBIDDEN,
        Untaken::Malformed(_) => StatusCode::BAD_REQUEST,
        Untaken::Late | Untaken::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    match &why {
        Untaken::Store(error) => {
            tracing::warn!(%error, "a callback could not be recorded; it is asked for again");
        }
        Untaken::Late => {
            tracing::warn!("a callback was not recorded in time; it is asked for again");
        }
        Untaken::Forged(_) => tracing::warn!(
            "a callback without a valid signature was refused; if Twilio sends it, check \
             PUNCTUAL_PUBLIC_URL and TWILIO_AUTH_TOKEN"
        ),
        Untaken::Malformed(what) => tracing::warn!(what, "a signed callback was not readable"),
    }
    text(status, &why.to_string())
}
