//! The routes of acts, and their parameters as the contract describes them.

use axum::extract::{Extension, Path, State};
use axum::response::Response;

#[cfg(test)]
use super::{Many, One};
use super::{Verb, on_all, on_one};
use crate::http::HttpState;
use crate::http::access::Caller;
use crate::http::api::{Pairs, Refusal};
#[cfg(test)]
use crate::http::openapi::{FilterParameters, Guarded, NotAll, NotDone, NotOne};

/// A new due time: one of these.
#[cfg(test)]
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "they are parsed by their names (`OWN`)")]
struct NewTimes {
    /// The new due time.
    #[param(format = DateTime)]
    at: Option<String>,
    /// Each by so much later, like `30m` or `1h 30m`.
    later: Option<String>,
    /// Each by so much earlier.
    earlier: Option<String>,
    /// 1: the new time may have passed.
    #[param(maximum = 1)]
    past_ok: Option<u8>,
}

/// How many messages are meant.
#[cfg(test)]
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it is parsed by its name (`OWN`)")]
struct Confirmed {
    /// The number of messages that are meant. Without it nothing is changed, and the response has the number.
    confirm: Option<u64>,
}

/// Who decided.
#[cfg(test)]
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it is parsed by its name")]
pub(in crate::http::api) struct Who {
    /// Who decided, for the record; by default the address of the request.
    by: Option<String>,
}

/// What became of a message whose outcome is uncertain.
#[cfg(test)]
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "it is parsed by its name (`to_decision`)")]
enum Decided {
    /// It was sent.
    Sent,
    /// It is sent again, now.
    Resend,
    /// It is cancelled.
    Cancel,
}

macro_rules! routes {
    ($($(#[$of_one:meta])* $one:ident, $(#[$of_all:meta])* $all:ident, $verb:ident;)*) => {$(
        $(#[$of_one])*
        pub(in crate::http) async fn $one(
            State(state): State<HttpState>,
            Extension(caller): Extension<Caller>,
            Path(id): Path<String>,
            pairs: Pairs,
        ) -> Result<Response, Refusal> {
            on_one(&state, caller, &id, Verb::$verb, pairs).await
        }

        $(#[$of_all])*
        pub(in crate::http) async fn $all(
            State(state): State<HttpState>,
            Extension(caller): Extension<Caller>,
            pairs: Pairs,
        ) -> Result<Response, Refusal> {
            on_all(&state, caller, Verb::$verb, pairs).await
        }
    )*};
}

routes! {
    /// Cancels the one pending message that matches
    #[cfg_attr(test, utoipa::path(
        post,
        path = "/api/messages/{id}/cancel",
        operation_id = "cancel_message",
        security(("bearer" = []), ("session" = [])),
        params(("id" = String, Path, description = "The name: its id or the beginning of it, its recipient, or the provider's id."), Who),
        responses((status = 200, description = "It is done, or was so already.", body = One), NotDone, NotOne, Guarded)
    ))]
    cancel,
    /// Cancels the pending messages of a filter
    #[cfg_attr(test, utoipa::path(
        post,
        path = "/api/messages/cancel",
        operation_id = "cancel_messages",
        security(("bearer" = []), ("session" = [])),
        params(FilterParameters, Confirmed, Who),
        responses((status = 200, description = "What was done; without `confirm`, how many messages there are.", body = Many<'static>), NotDone, NotAll, Guarded)
    ))]
    cancel_all,
    Cancel;
    /// Moves the one pending message that matches
    #[cfg_attr(test, utoipa::path(
        post,
        path = "/api/messages/{id}/reschedule",
        operation_id = "reschedule_message",
        security(("bearer" = []), ("session" = [])),
        params(("id" = String, Path, description = "The name: its id or the beginning of it, its recipient, or the provider's id."), NewTimes, Who),
        responses((status = 200, description = "It is done, or was so already.", body = One), NotDone, NotOne, Guarded)
    ))]
    reschedule,
    /// Moves the pending messages of a filter
    #[cfg_attr(test, utoipa::path(
        post,
        path = "/api/messages/reschedule",
        operation_id = "reschedule_messages",
        security(("bearer" = []), ("session" = [])),
        params(FilterParameters, NewTimes, Confirmed, Who),
        responses((status = 200, description = "What was done; without `confirm`, how many messages there are.", body = Many<'static>), NotDone, NotAll, Guarded)
    ))]
    reschedule_all,
    Reschedule;
    /// Sends after all the one failed message that matches
    #[cfg_attr(test, utoipa::path(
        post,
        path = "/api/messages/{id}/retry",
        operation_id = "retry_message",
        security(("bearer" = []), ("session" = [])),
        params(("id" = String, Path, description = "The name: its id or the beginning of it, its recipient, or the provider's id."), ("at" = Option<String>, Query, description = "The due time (RFC 3339); by default now.", format = DateTime), Who),
        responses((status = 200, description = "It is done, or was so already.", body = One), NotDone, NotOne, Guarded)
    ))]
    retry,
    /// Sends after all the failed messages of a filter
    #[cfg_attr(test, utoipa::path(
        post,
        path = "/api/messages/retry",
        operation_id = "retry_messages",
        security(("bearer" = []), ("session" = [])),
        params(FilterParameters, ("at" = Option<String>, Query, description = "The due time (RFC 3339); by default now.", format = DateTime), Confirmed, Who),
        responses((status = 200, description = "What was done; without `confirm`, how many messages there are.", body = Many<'static>), NotDone, NotAll, Guarded)
    ))]
    retry_all,
    Retry;
    /// Settles the one unconfirmed message that matches
    #[cfg_attr(test, utoipa::path(
        post,
        path = "/api/messages/{id}/resolve",
        operation_id = "resolve_message",
        security(("bearer" = []), ("session" = [])),
        params(("id" = String, Path, description = "The name: its id or the beginning of it, its recipient, or the provider's id."), ("decision" = inline(Decided), Query, description = "What became of it."), ("sid" = Option<String>, Query, description = "With `sent`: the provider's id of it, if it is known."), Who),
        responses((status = 200, description = "It is done, or was so already.", body = One), NotDone, NotOne, Guarded)
    ))]
    resolve,
    /// Settles the unconfirmed messages of a filter
    #[cfg_attr(test, utoipa::path(
        post,
        path = "/api/messages/resolve",
        operation_id = "resolve_messages",
        security(("bearer" = []), ("session" = [])),
        params(FilterParameters, ("decision" = inline(Decided), Query, description = "What became of it."), Confirmed, Who),
        responses((status = 200, description = "What was done; without `confirm`, how many messages there are.", body = Many<'static>), NotDone, NotAll, Guarded)
    ))]
    resolve_all,
    Resolve;
}
