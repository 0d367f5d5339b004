//! The routes of Twilio's callbacks, as the daemon's contract describes them. Those of another account than the
//! default one have its name in the path.

use utoipa::{IntoResponses, OpenApi as _, ToSchema};

/// The description of the default account's.
pub(crate) fn routes() -> utoipa::openapi::OpenApi {
    Routes::openapi()
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(status, inbound))]
struct Routes;

#[derive(ToSchema)]
#[expect(
    dead_code,
    non_snake_case,
    reason = "Twilio's fields, which are read by their names"
)]
struct StatusCallback {
    MessageSid: String,
    MessageStatus: String,
    ErrorCode: Option<String>,
    To: Option<String>,
    From: Option<String>,
}

#[derive(ToSchema)]
#[expect(
    dead_code,
    non_snake_case,
    reason = "Twilio's fields, which are read by their names"
)]
struct InboundMessage {
    From: String,
    To: String,
    Body: Option<String>,
    MessagingServiceSid: Option<String>,
}

#[derive(IntoResponses)]
#[expect(dead_code, reason = "they are made in `http::callbacks`")]
enum Answer {
    /// Recorded, or nothing to record.
    #[response(status = 204)]
    Recorded,
    /// Signed, but not valid.
    #[response(status = 400)]
    Malformed(String),
    /// Not signed by Twilio.
    #[response(status = 403)]
    Forged(String),
    /// Longer than 64 KiB.
    #[response(status = 413)]
    Long(String),
    /// It could not be recorded; it should be sent again.
    #[response(status = 503)]
    NotRecorded(String),
}

/// Twilio's status callback
///
/// Exists if `PUNCTUAL_PUBLIC_URL` is set; if `PUNCTUAL_WEBHOOK_ADDR` is set, only at that address.
#[utoipa::path(
    post,
    path = "/webhooks/twilio/status",
    operation_id = "twilioStatus",
    params(
        ("message" = Option<Uuid>, Query),
        ("token" = Option<Uuid>, Query),
        ("x-twilio-signature" = String, Header),
    ),
    request_body(content = StatusCallback, content_type = "application/x-www-form-urlencoded"),
    responses(Answer)
)]
#[expect(dead_code, reason = "only its description")]
const fn status() {}

/// Replies: STOP and START
#[utoipa::path(
    post,
    path = "/webhooks/twilio/inbound",
    operation_id = "twilioInbound",
    params(("x-twilio-signature" = String, Header)),
    request_body(content = InboundMessage, content_type = "application/x-www-form-urlencoded"),
    responses(Answer)
)]
#[expect(dead_code, reason = "only its description")]
const fn inbound() {}
