//! `/webhooks`: callbacks of the provider. Only requests with a valid signature are processed.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use super::text;
use crate::provider::{BadCallback, CallbackRequest};
use crate::receipt::{CallbackHandler, CallbackRejected};

pub(super) fn routes(handler: CallbackHandler) -> Router {
    let paths = handler.paths();
    paths
        .into_iter()
        .fold(Router::new(), |router, path| {
            router.route(&path, post(callback))
        })
        .with_state(handler)
}

/// A callback: 204 once it is recorded, or if there is nothing to record; with 503 the provider repeats it.
async fn callback(
    State(handler): State<CallbackHandler>,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(refused) => return refused.into_response(),
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let request = CallbackRequest {
        path_and_query: uri.path_and_query().map_or("/", |pq| pq.as_str()),
        header: &header,
        body: &body,
    };
    match handler.take(&request).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(why) => rejected(&handler, &why),
    }
}

fn rejected(handler: &CallbackHandler, why: &CallbackRejected) -> Response {
    handler.refused();
    let status = match why {
        CallbackRejected::Bad(BadCallback::Forged { check }) => {
            tracing::warn!(check, "a callback without a valid signature was refused");
            StatusCode::FORBIDDEN
        }
        CallbackRejected::Bad(BadCallback::Malformed(what)) => {
            tracing::warn!(what, "a signed callback could not be parsed");
            StatusCode::BAD_REQUEST
        }
        // Logged once, not for each callback.
        CallbackRejected::Store(_) | CallbackRejected::Late | CallbackRejected::NotYet => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    text(status, &why.to_string())
}
