//! The routes that are for everybody: the provider's callbacks, which are signed, and tracking links.

use axum::Router;
use axum::middleware::from_fn;

use super::{bounded, callbacks, links, not_found, serve};
use crate::limits::HttpLimits;
use crate::receipt::CallbackHandler;
use crate::store::TrackingLinks;

/// Only what is for everybody.
pub(super) fn router(
    handler: CallbackHandler,
    links: Option<TrackingLinks>,
    limits: &HttpLimits,
) -> Router {
    let all = routes(Some(handler), links, limits);
    bounded(all.fallback(not_found), limits)
}

/// The provider's callbacks, and tracking links.
pub(super) fn routes(
    handler: Option<CallbackHandler>,
    links: Option<TrackingLinks>,
    limits: &HttpLimits,
) -> Router {
    // A layer needs a route.
    let handler = handler.filter(|handler| !handler.paths().is_empty());
    let callbacks = handler.map(|of| callbacks::routes(of).route_layer(from_fn(serve::whole)));
    let links = links.map(|links| links::routes(links::Links::new(links, limits)));
    let callbacks = callbacks.unwrap_or_default();
    callbacks.merge(links.unwrap_or_default())
}
