//! Twilio's callbacks: the status of a message, and replies.

use secrecy::SecretString;
use url::{Url, form_urlencoded};
use uuid::Uuid;

use super::SID_MAX;
use super::fields::Fields;
use super::opt_out;
use super::request::recipient;
use super::signature::{HEADER, Request, Verifier};
use super::status::status;
use crate::message::{AttemptToken, Channel, LaneKey, MessageId, ProviderSid, is_whatsapp};
use crate::proof::{About, Report, whole_number};
use crate::provider::{BadCallback, Callback, CallbackRequest, Callbacks, OptOut, Reply};

/// The path of status callbacks to this account, below the public URL; `None`: the default one.
pub fn status_path(account: Option<&str>) -> String {
    path(account, "status")
}

/// The path of replies to numbers of this account.
pub fn inbound_path(account: Option<&str>) -> String {
    path(account, "inbound")
}

fn path(account: Option<&str>, what: &str) -> String {
    match account {
        Some(account) => format!("/webhooks/twilio/{account}/{what}"),
        None => format!("/webhooks/twilio/{what}"),
    }
}

/// What to check if Twilio's own callbacks are refused.
const CHECK: &str = "if Twilio sends it, check PUNCTUAL_PUBLIC_URL and TWILIO_AUTH_TOKEN (auth_token in [accounts.NAME])";

/// Reads Twilio's callbacks.
#[derive(Clone, Debug)]
pub struct TwilioCallbacks {
    lane: LaneKey,
    verifier: Verifier,
    status_path: String,
    inbound_path: String,
}

impl TwilioCallbacks {
    /// For the default account, with this auth token, which calls `public_url`.
    pub fn new(public_url: &Url, auth_token: SecretString) -> Self {
        Self::of_account(None, public_url, auth_token)
    }

    /// The same for another account.
    pub fn of_account(account: Option<&str>, public_url: &Url, auth_token: SecretString) -> Self {
        Self {
            lane: LaneKey::of(Channel::Sms)
                .with_account(account.unwrap_or(LaneKey::DEFAULT_ACCOUNT)),
            verifier: Verifier::new(public_url, auth_token),
            status_path: status_path(account),
            inbound_path: inbound_path(account),
        }
    }
}

impl Callbacks for TwilioCallbacks {
    fn paths(&self) -> Vec<String> {
        vec![self.status_path.clone(), self.inbound_path.clone()]
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
        let fields = Fields::read(signed.content_type, request.body)?;
        if request.path() == self.inbound_path {
            reply(self.lane.account(), &fields)
        } else {
            report(self.lane.clone(), request.path_and_query, &fields)
        }
    }
}

/// The provider's id of a message: of one we sent, or of a reply.
fn sid(fields: &Fields) -> Option<&str> {
    let is_one = |s: &&str| s.len() <= SID_MAX && s.bytes().all(|b| b.is_ascii_alphanumeric());
    fields.get("MessageSid").filter(is_one)
}

/// A status callback.
fn report(lane: LaneKey, path_and_query: &str, fields: &Fields) -> Result<Callback, BadCallback> {
    let sid = sid(fields).ok_or(BadCallback::Malformed("a callback has a MessageSid"))?;
    let about = about(path_and_query)?;
    let word = fields
        .get("MessageStatus")
        .ok_or(BadCallback::Malformed("a callback has a MessageStatus"))?;
    let code = fields.get("ErrorCode").and_then(|code| code.parse().ok());
    let Some(status) = status(word, code) else {
        // Other content is not logged, because it may be the text of a message.
        let is_word = word.len() <= 24 && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        tracing::warn!(
            status = if is_word { word } else { "(no word)" },
            "ignored a status that this version does not know"
        );
        return Ok(Callback::Nothing);
    };
    Ok(Callback::Report(Report {
        lane,
        about,
        sid: ProviderSid(sid.to_owned()),
        status,
        from: fields.get("From").map(str::to_owned),
        to: fields.get("To").map(recipient).and_then(whole_number),
    }))
}

/// The attempt, by the ids in the URL of the callback. A callback that was configured elsewhere (in a
/// messaging service) has none, and is matched by its sid.
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

/// A reply: a command that ends or resumes messages, or whatever somebody says.
fn reply(account: &str, fields: &Fields) -> Result<Callback, BadCallback> {
    let to = fields.get("To");
    let to = to.ok_or(BadCallback::Malformed("a reply has a To"))?;
    let theirs = fields.get("From");
    let theirs = theirs.ok_or(BadCallback::Malformed("a reply has a From"))?;
    let text = fields.get("Body").unwrap_or_default();
    let verdict = fields.get("OptOutType");
    let command = opt_out::command(verdict, text);
    if command.is_none() && opt_out::is_help(verdict) {
        return Ok(Callback::Nothing);
    }
    let id = sid(fields).ok_or(BadCallback::Malformed("a reply has a MessageSid"))?;
    // A service's pool is one of senders of texts: what is said on WhatsApp is for the number there.
    let service = fields
        .get("MessagingServiceSid")
        .filter(|_| !is_whatsapp(to));
    let ours = std::iter::once(to).chain(service).map(str::to_owned);
    let (id, theirs) = (id.to_owned(), recipient(theirs).to_owned());
    Ok(match command {
        Some(command) => Callback::Opt(OptOut {
            command,
            id,
            ours: ours.collect(),
            theirs,
        }),
        None => Callback::Reply(Reply {
            id,
            account: account.to_owned(),
            ours: ours.collect(),
            theirs,
            text: text.to_owned(),
            // On WhatsApp the provider answers no words.
            asks_help: opt_out::asks_help(text, !is_whatsapp(to)),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Delivery;
    use crate::provider::OptCommand;

    fn form(body: &str) -> Fields {
        Fields::read(None, body.as_bytes()).unwrap()
    }

    fn check(path_and_query: &str, body: &str, expected: Result<bool, &str>) {
        let got = report(LaneKey::default(), path_and_query, &form(body))
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
    fn callbacks_are_of_the_account_in_their_path() {
        let url = Url::parse("https://sms.example.com").unwrap();
        let of = |account| TwilioCallbacks::of_account(account, &url, String::new().into());
        for (account, name, path) in [
            (None, "default", "/webhooks/twilio/status"),
            (Some("eu"), "eu", "/webhooks/twilio/eu/status"),
        ] {
            let of = of(account);
            assert_eq!((of.lane.account(), &*of.paths()[0]), (name, path));
        }
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
    fn an_unknown_status_is_ignored() {
        let said = report(
            LaneKey::default(),
            "/s",
            &form("MessageSid=SM1&MessageStatus=teleported"),
        );
        assert_eq!(said, Ok(Callback::Nothing));
        let said = report(
            LaneKey::default(),
            "/s",
            &form("MessageSid=SM1&MessageStatus=read"),
        );
        let Ok(Callback::Report(read)) = said else {
            panic!("{said:?}");
        };
        assert_eq!(read.status.delivery, Delivery::Delivered);
        assert_eq!(read.status.word, "read");
    }

    #[test]
    fn a_reply_is_a_command_or_what_somebody_says() {
        let to_service =
            "MessageSid=SM9&From=%2B13105551234&To=%2B15005550006&MessagingServiceSid=MG1";
        let got = |rest: &str| reply("eu", &form(&format!("{to_service}&{rest}")));
        let asks = |command| {
            Ok(Callback::Opt(OptOut {
                command,
                id: "SM9".into(),
                ours: vec!["+15005550006".into(), "MG1".into()],
                theirs: "+13105551234".into(),
            }))
        };
        assert_eq!(got("Body=stop"), asks(OptCommand::Stop));
        assert_eq!(got("Body=basta&OptOutType=STOP"), asks(OptCommand::Stop));
        assert_eq!(got("OptOutType=START"), asks(OptCommand::Start));
        assert_eq!(got("Body=stop&OptOutType=HELP"), Ok(Callback::Nothing));
        let hello = Callback::Reply(Reply {
            id: "SM9".into(),
            account: "eu".into(),
            ours: vec!["+15005550006".into(), "MG1".into()],
            theirs: "+13105551234".into(),
            text: "hello".into(),
            asks_help: false,
        });
        assert!(!format!("{hello:?}").contains("hello"));
        assert_eq!(got("Body=hello"), Ok(hello));
        for (said, asks) in [("aide", true), ("help", false)] {
            let Ok(Callback::Reply(said)) = got(&format!("Body={said}")) else {
                panic!("it is a reply")
            };
            assert_eq!(said.asks_help, asks);
        }
        // A picture without words.
        let Ok(Callback::Reply(picture)) = got("NumMedia=1") else {
            panic!("it is a reply")
        };
        assert_eq!(picture.text, "");
        // On WhatsApp the recipient is known by the number, as in rows, and the sender is another one.
        let whatsapp =
            "MessageSid=SM9&From=whatsapp:%2B13105551234&To=whatsapp:%2B15005550006&Body=stop";
        let Ok(Callback::Opt(opt)) = reply("eu", &form(whatsapp)) else {
            panic!("it is a command")
        };
        assert_eq!(opt.theirs, "+13105551234");
        assert_eq!(opt.ours, ["whatsapp:+15005550006"]);
        for word in ["stop", "start"] {
            let to_pool = whatsapp.replace("stop", word) + "&MessagingServiceSid=MG1";
            let Ok(Callback::Opt(opt)) = reply("eu", &form(&to_pool)) else {
                panic!("it is a command")
            };
            assert_eq!(opt.ours, ["whatsapp:+15005550006"], "{word}");
        }
        let sent = "MessageSid=SM1&MessageStatus=read&To=whatsapp:%2B13105551234&From=whatsapp:%2B15005550006";
        let Ok(Callback::Report(said)) = report(LaneKey::default(), "/s", &form(sent)) else {
            panic!("it is a report")
        };
        assert_eq!(said.to.as_deref(), Some("+13105551234"));
        assert_eq!(said.from.as_deref(), Some("whatsapp:+15005550006"));
        let nobody = form("MessageSid=SM9&From=%2B13105551234&To=+&Body=stop");
        let malformed = |why| Err(BadCallback::Malformed(why));
        assert_eq!(reply("eu", &nobody), malformed("a reply has a To"));
        let nameless = form("From=%2B13105551234&To=%2B15005550006&Body=stop");
        assert_eq!(
            reply("eu", &nameless),
            malformed("a reply has a MessageSid")
        );
    }
}
