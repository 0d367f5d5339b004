//! The meaning of a response. Pure: status, header and body in, an [`Outcome`] out.
//!
//! Only proof makes an outcome certain. A 429 was not processed; a 4xx *that the provider itself wrote*
//! was refused; a 2xx that names the message was accepted. After anything else, even if it
//! looks like a failure, a text may have been sent.

use serde_json::{Map, Value};

use super::codes;
use super::is_message_sid;
use crate::message::{Category, Outcome, ProviderSid, Retry};
use crate::provider::http::retry_after::seconds;
use crate::provider::http::tidy::{tidy, unquote};

/// The outcome of a request with a response of this `status`.
///
/// `body` is the whole body, or why it could not be read completely; `sent` is the text of the
/// message, which a refusal may quote.
pub(super) fn outcome(
    status: u16,
    retry_after: Option<&str>,
    body: Result<&[u8], &str>,
    sent: &str,
) -> Outcome {
    let parsed = body.map(|bytes| serde_json::from_slice::<Map<String, Value>>(bytes).ok());
    let json = parsed.as_ref().ok().and_then(Option::as_ref);
    match status {
        429 => throttled(retry_after, json.and_then(code)),
        200..=299 => json
            .and_then(accepted)
            .unwrap_or_else(|| unknown(status, "without a message sid", parsed.err())),
        400..=499 => json
            .and_then(|json| refused(status, json, sent))
            .unwrap_or_else(|| unknown(status, "but not in the provider's words", parsed.err())),
        300..=399 => unknown(status, "a redirect, which is not followed", None),
        _ => unknown(status, "which says nothing about the message", None),
    }
}

/// A rolling limit that is used up gives a 429, as a burst does, and a burst of one sender as one of the account;
/// only the code distinguishes them.
fn throttled(retry_after: Option<&str>, code: Option<i32>) -> Outcome {
    let retry = code.map(|code| codes::retry(Some(code), codes::category(code)));
    Outcome::Throttled {
        retry_after: retry_after.and_then(seconds),
        code,
        scope: retry.and_then(Retry::slows).unwrap_or_default(),
        hold: retry.and_then(Retry::holds_account),
    }
}

fn unknown(status: u16, what: &str, broken: Option<&str>) -> Outcome {
    let what = broken.unwrap_or(what);
    Outcome::Unknown {
        reason: format!("HTTP {status}, {what}"),
    }
}

/// The sid of a message resource is `SM…`, or `MM…` with media. The success of another request is no
/// proof.
fn accepted(json: &Map<String, Value>) -> Option<Outcome> {
    let sid = json.get("sid")?.as_str()?;
    is_message_sid(sid).then(|| Outcome::Accepted {
        sid: ProviderSid(sid.to_owned()),
    })
}

/// A refusal in one of the two forms Twilio uses: its own, `{code, message, more_info,
/// status}`, or RFC 9457's, `{type, title, status, detail}` with a `code` as well.
///
/// Both must have a code or repeat the HTTP status: any gateway may respond with some JSON. A 408
/// without a code may be from a gateway that timed out *after* it had forwarded the request.
fn refused(status: u16, json: &Map<String, Value>, sent: &str) -> Option<Outcome> {
    let text = ["message", "detail", "title"]
        .into_iter()
        .find_map(|key| json.get(key)?.as_str())?;
    let code = code(json);
    let same_status = json.get("status").and_then(Value::as_u64) == Some(u64::from(status));
    if code.is_none() && (!same_status || status == 408) {
        return None;
    }
    let category = match (code.map_or(Category::Unknown, codes::category), status) {
        (Category::Unknown, 401) => Category::AccountIssue,
        (Category::Unknown, 403) if code.is_none() => Category::AccountIssue,
        (known, _) => known,
    };
    Some(Outcome::Refused {
        code,
        category,
        text: tidy(&unquote(text, sent)),
        retry: codes::retry(code, category),
    })
}

/// `code`, or the number at the end of RFC 9457's `type` if that is a page of Twilio's errors.
fn code(json: &Map<String, Value>) -> Option<i32> {
    let own = match json.get("code") {
        Some(Value::Number(number)) => number.as_i64().and_then(|n| i32::try_from(n).ok()),
        Some(Value::String(digits)) => digits.parse().ok(),
        _ => None,
    };
    own.or_else(|| {
        let (page, number) = json.get("type")?.as_str()?.rsplit_once("/errors/")?;
        page.contains("twilio.com")
            .then(|| number.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests;
