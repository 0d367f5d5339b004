//! What Twilio posts: how far a message has come, and replies.

use secrecy::SecretString;
use url::{Url, form_urlencoded};
use uuid::Uuid;

use super::SID_MAX;
use super::opt_out;
use super::signature::{HEADER, Request, Verifier};
use super::status::status;
use crate::message::{AttemptToken, MessageId, ProviderSid};
use crate::proof::{About, Report, whole_number};
use crate::provider::{BadCallback, Callback, CallbackRequest, Callbacks, OptOut};

/// Where status callbacks come, below the public URL.
pub const STATUS_PATH: &str = "/webhooks/twilio/status";

/// Where replies come, below the public URL.
pub const INBOUND_PATH: &str = "/webhooks/twilio/inbound";

/// What is wrong if Twilio's own callbacks are refused.
const CHECK: &str = "if Twilio sends it, check PUNCTUAL_PUBLIC_URL and TWILIO_AUTH_TOKEN";

/// Reads Twilio's callbacks.
#[derive(Clone, Debug)]
pub struct TwilioCallbacks {
    verifier: Verifier,
}

impl TwilioCallbacks {
    /// Of the account with this auth token, which reaches us by `public_url`.
    pub fn new(public_url: &Url, auth_token: SecretString) -> Self {
        Self {
            verifier: Verifier::new(public_url, auth_token),
        }
    }
}

impl Callbacks for TwilioCallbacks {
    fn paths(&self) -> &'static [&'static str] {
        &[STATUS_PATH, INBOUND_PATH]
    }

    fn read(&self, request: &CallbackRequest<'_>) -> Result<Callback, BadCallback> {
        let signed = Request {
            path_and_query: request.path_and_query,
            content_type: (request.header)("content-type"),
            signature: (request.header)(HEADER),
            body: request.body,
        };
        self.verifier
            .verify(&signed)
            .map_err(|_| BadCallback::Forged { check: CHECK })?;
        if request.path() == INBOUND_PATH {
            reply(request.body)
        } else {
            report(request.path_and_query, request.body)
        }
    }
}

/// A status callback.
fn report(path_and_query: &str, body: &[u8]) -> Result<Callback, BadCallback> {
    let (mut sid, mut word, mut code, mut from, mut to) = (None, None, None, None, None);
    for (name, value) in form_urlencoded::parse(body) {
        let slot = match name.as_ref() {
            "MessageSid" => &mut sid,
            "MessageStatus" => &mut word,
            "ErrorCode" => &mut code,
            "From" => &mut from,
            "To" => &mut to,
            _ => continue,
        };
        *slot = Some(value.into_owned()).filter(|v| !v.is_empty());
    }
    let sid = sid
        .filter(|s| s.len() <= SID_MAX && s.bytes().all(|b| b.is_ascii_alphanumeric()))
        .ok_or(BadCallback::Malformed("a callback has a MessageSid"))?;
    let about = about(path_and_query)?;
    let word = word.ok_or(BadCallback::Malformed("a callback has a MessageStatus"))?;
    let Some(status) = status(&word, code.and_then(|code| code.parse().ok())) else {
        // Whatever is no word is somebody's text.
        let is_word = word.len() <= 24 && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        tracing::warn!(
            status = if is_word { &word } else { "(no word)" },
            "ignored a status that this version does not know"
        );
        return Ok(Callback::Nothing);
    };
    Ok(Callback::Report(Report {
        about,
        sid: ProviderSid(sid),
        status,
        from,
        to: to.as_deref().and_then(whole_number),
    }))
}

/// By the ids we gave along; a callback that was configured elsewhere (a messaging service's
/// own) has none and is told by its sid.
fn about(path_and_query: &str) -> Result<About, BadCallback> {
    let query = path_and_query
        .split_once('?')
        .map_or("", |(_, query)| query);
    let (mut message, mut token) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let slot = match name.as_ref() {
            "message" => &mut message,
            "token" => &mut token,
            _ => continue,
        };
        let id: Uuid = value
            .parse()
            .map_err(|_| BadCallback::Malformed("message and token are UUIDs"))?;
        *slot = Some(id);
    }
    match (message, token) {
        (Some(message), Some(token)) => Ok(About::Attempt {
            message: MessageId(message),
            token: AttemptToken(token),
        }),
        (None, None) => Ok(About::Sid),
        _ => Err(BadCallback::Malformed("message and token belong together")),
    }
}

/// A reply. Only the words that end or resume messages matter.
fn reply(body: &[u8]) -> Result<Callback, BadCallback> {
    let (mut from, mut to, mut service, mut text) = (None, None, None, String::new());
    for (name, value) in form_urlencoded::parse(body) {
        match name.as_ref() {
            "From" => from = Some(value.into_owned()),
            "To" => to = Some(value.into_owned()),
            "MessagingServiceSid" => service = Some(value.into_owned()),
            "Body" => text = value.into_owned(),
            _ => {}
        }
    }
    let there = |number: Option<String>| number.filter(|n| !n.trim().is_empty());
    let to = there(to).ok_or(BadCallback::Malformed("a reply has a To"))?;
    let theirs = there(from).ok_or(BadCallback::Malformed("a reply has a From"))?;
    Ok(match opt_out::command(&text) {
        Some(command) => Callback::Opt(OptOut {
            command,
            ours: std::iter::once(to).chain(there(service)).collect(),
            theirs,
        }),
        None => Callback::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Delivery;
    use crate::provider::OptCommand;

    fn check(path_and_query: &str, body: &str, expected: Result<bool, &str>) {
        let got = report(path_and_query, body.as_bytes())
            .map(|callback| match callback {
                Callback::Report(report) => matches!(report.about, About::Attempt { .. }),
                other => panic!("{other:?}"),
            })
            .map_err(|why| why.to_string());
        assert_eq!(
            got,
            expected.map_err(str::to_owned),
            "{path_and_query} {body}"
        );
    }

    #[test]
    fn what_a_callback_has() {
        let ids = "/s?message=00000000-0000-0000-0000-000000000001\
                   &token=00000000-0000-0000-0000-000000000002";
        let good = "MessageSid=SM1&MessageStatus=sent&ErrorCode=";
        check(ids, good, Ok(true));
        check("/s", good, Ok(false));
        check("/s?x=1", good, Ok(false));
        check(
            "/s?message=1&token=2",
            good,
            Err("message and token are UUIDs"),
        );
        check(&ids[..48], good, Err("message and token belong together"));
        check(ids, "MessageSid=SM1", Err("a callback has a MessageStatus"));
        check(
            ids,
            "MessageStatus=sent",
            Err("a callback has a MessageSid"),
        );
        check(
            ids,
            "MessageSid=S%27&MessageStatus=sent",
            Err("a callback has a MessageSid"),
        );
        check(ids, "\u{0}\u{1}", Err("a callback has a MessageSid"));
    }

    #[test]
    fn a_word_of_a_later_day_says_nothing() {
        let said = report("/s", b"MessageSid=SM1&MessageStatus=teleported");
        assert_eq!(said, Ok(Callback::Nothing));
        let said = report("/s", b"MessageSid=SM1&MessageStatus=read");
        let Ok(Callback::Report(read)) = said else {
            panic!("{said:?}");
        };
        assert_eq!(read.status.delivery, Delivery::Delivered);
        assert_eq!(read.status.word, "read");
    }

    #[test]
    fn a_reply_is_a_command_or_nothing() {
        let body = b"From=%2B13105551234&To=%2B15005550006&MessagingServiceSid=MG1&Body=stop";
        let stop = Callback::Opt(OptOut {
            command: OptCommand::Stop,
            ours: vec!["+15005550006".into(), "MG1".into()],
            theirs: "+13105551234".into(),
        });
        assert_eq!(reply(body), Ok(stop));
        let hello = b"From=%2B13105551234&To=%2B15005550006&Body=hello";
        assert_eq!(reply(hello), Ok(Callback::Nothing));
        let nobody = b"From=%2B13105551234&To=+&Body=stop";
        let malformed = BadCallback::Malformed("a reply has a To");
        assert_eq!(reply(nobody), Err(malformed));
    }
}
