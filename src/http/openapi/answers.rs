//! Parameters and answers that many routes have, as the document describes them. Only the tests have these.

use utoipa::{IntoParams, IntoResponses};
use uuid::Uuid;

use crate::http::api;

/// Which messages are meant; all of them together.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "they are parsed by their names (`Filter::set`)")]
pub(in crate::http) struct FilterParameters {
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
pub(in crate::http) enum Guarded {
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
pub(in crate::http) struct Busy(String);

/// The daemon is starting or stopping, or does not respond in time.
#[derive(IntoResponses)]
#[response(status = 503, headers(("retry-after")))]
#[expect(dead_code, reason = "it is made from a missing reply")]
pub(in crate::http) struct NoAnswer(String);

/// The form was sent by a page of another site.
#[derive(IntoResponses)]
#[response(status = 403)]
#[expect(dead_code, reason = "it is made in `login`")]
pub(in crate::http) struct Foreign(String);

/// The daemon has no database.
#[derive(IntoResponses)]
#[response(status = 404)]
#[expect(dead_code, reason = "it is made from `Refusal`")]
pub(in crate::http) struct NoDatabase(api::Body<'static>);

/// Answers of routes that read messages.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "they are made from `Refusal`")]
pub(in crate::http) enum NotRead {
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
pub(in crate::http) enum NotDone {
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
pub(in crate::http) enum NotOne {
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
pub(in crate::http) enum NotAll {
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
pub(in crate::http) enum NotResumed {
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
pub(in crate::http) struct NotShown(api::Body<'static>);

/// There is no such campaign, or the daemon has no database.
#[derive(IntoResponses)]
#[response(status = 404)]
#[expect(dead_code, reason = "it is made from `Refusal`")]
pub(in crate::http) struct NoCampaign(api::Body<'static>);

/// Answers of acts on a campaign.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "they are made from `Refusal`")]
pub(in crate::http) enum NotDecided {
    /// There is no such campaign, or it has no such message; or the daemon has no database.
    #[response(status = 404)]
    Missing(api::Body<'static>),
    /// It cannot be done now: why, in a sentence. With `messages`: so many are meant now, and another number was
    /// confirmed.
    #[response(status = 409)]
    CannotBeDone(api::Body<'static>),
}
