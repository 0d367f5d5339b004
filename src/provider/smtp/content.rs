//! An e-mail as it is sent (RFC 5322), and the addresses of its envelope.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Message, MultiPart, SinglePart};
use url::Url;
use url::form_urlencoded::byte_serialize;

use super::SmtpConfig;
use super::quoted::Quotable;
use crate::clock;
use crate::message::template::escape_html;
use crate::message::{Category, Email, Outcome, Retry, WebUrl};
use crate::policy::Cleared;

/// A sender with or without a name, like `Example <hello@example.com>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox(lettre::message::Mailbox);

/// A text that is no sender of e-mails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an address like hello@example.com or Example <hello@example.com>, without line breaks")]
pub struct MailboxError;

impl FromStr for Mailbox {
    type Err = MailboxError;

    fn from_str(text: &str) -> Result<Self, MailboxError> {
        let mailbox: lettre::message::Mailbox = text.trim().parse().map_err(|_| MailboxError)?;
        let has_control = text.trim().chars().any(char::is_control);
        // The form that rows have: a name with its domain.
        let is_one = mailbox.email.to_string().parse::<Email>().is_ok();
        (is_one && !has_control)
            .then_some(Self(mailbox))
            .ok_or(MailboxError)
    }
}

impl Mailbox {
    /// The domain of the address.
    pub(super) fn domain(&self) -> &str {
        self.0.email.domain()
    }
}

/// As it is parsed.
impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a recipient can unsubscribe: a URL with `{to}`, `{user}` or `{id}` in it for the recipient, the user's id and
/// the message's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsubscribeUrl(String);

/// A text that is no such URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an https URL, like https://app.example/unsubscribe?to={{to}}; {{to}}, {{user}} and {{id}} are replaced by the \
     recipient, the row's user_id and its id"
)]
pub struct UnsubscribeUrlError;

impl FromStr for UnsubscribeUrl {
    type Err = UnsubscribeUrlError;

    fn from_str(text: &str) -> Result<Self, UnsubscribeUrlError> {
        let url = Self(text.trim().to_owned());
        let filled = url.filled("to", "user", "id");
        let is_one = filled
            .parse::<Url>()
            .is_ok_and(|url| url.scheme() == "https")
            && filled
                .bytes()
                .all(|b| b.is_ascii_graphic() && !b"<>{}".contains(&b));
        is_one.then_some(url).ok_or(UnsubscribeUrlError)
    }
}

impl UnsubscribeUrl {
    /// As it is parsed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn filled(&self, to: &str, user: &str, id: &str) -> String {
        let quoted = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let url = self.0.replace("{id}", &quoted(id));
        url.replace("{user}", &quoted(user))
            .replace("{to}", &quoted(to))
    }
}

/// What goes to the server.
pub(super) struct Content {
    pub(super) from: lettre::Address,
    pub(super) to: lettre::Address,
    pub(super) bytes: Vec<u8>,
    pub(super) quotable: Quotable,
}

/// The e-mail of a message. An error is its outcome.
pub(super) fn of(
    message: &Cleared,
    to: &Email,
    config: &SmtpConfig,
    sid: &str,
) -> Result<Content, Outcome> {
    let from = match message.from() {
        None => config.from.0.clone(),
        Some(own) => own
            .as_str()
            .parse()
            .map_err(|_| refused(Category::SenderIssue))?,
    };
    let address: lettre::Address = to
        .as_str()
        .parse()
        .map_err(|_| refused(Category::InvalidNumber))?;
    let now = u64::try_from(clock::reading().real_us).unwrap_or_default();
    let mut builder = Message::builder()
        .date(UNIX_EPOCH + Duration::from_micros(now))
        .from(from.clone())
        .to(address.clone().into())
        .message_id(Some(format!("<{sid}@{}>", from.email.domain())))
        .raw_header(header("Auto-Submitted", "auto-generated".to_owned()));
    if let Some(subject) = message.subject() {
        builder = builder.subject(subject);
    }
    if let Some(url) = &config.unsubscribe_url {
        let user = message.about().user_id.map(|user| user.to_string());
        let url = url.filled(
            to.as_str(),
            &user.unwrap_or_default(),
            &message.id().to_string(),
        );
        builder = builder.raw_header(header("List-Unsubscribe", format!("<{url}>")));
    }
    let text = SinglePart::plain(with_links(lines(message.body()), message.media()));
    let mail = match message.html() {
        None => builder.singlepart(text),
        // The last one is what is shown where it can be.
        Some(html) => {
            let html = SinglePart::html(with_html_links(lines(html), message.media()));
            let both = MultiPart::alternative().singlepart(text);
            builder.multipart(both.singlepart(html))
        }
    };
    let mail = mail.map_err(|_| refused(Category::Content))?;
    // The line that ends the content begins with one more.
    let mut bytes = mail.formatted();
    if bytes.ends_with(b"\r\n") {
        bytes.truncate(bytes.len() - 2);
    }
    Ok(Content {
        from: from.email,
        to: address,
        bytes,
        quotable: Quotable {
            subject: message.subject().map(str::to_owned),
            text: match message.html() {
                Some(html) => [message.body(), html].join("\n"),
                None => message.body().to_owned(),
            },
        },
    })
}

/// A text with one kind of line breaks. A CR alone is none in an e-mail, but there are servers that take it for one,
/// and then a dot behind it for the end of the content.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// A text, and below it the links to what goes with it: a file is not fetched, because the server it is on could delay
/// this and all other messages of the moment.
fn with_links(mut text: String, media: &[WebUrl]) -> String {
    for (n, url) in media.iter().enumerate() {
        text.push_str(if n == 0 { "\n\n" } else { "\n" });
        text.push_str(url.as_str());
    }
    text
}

/// The same in HTML, before the end of its body, if it has one.
fn with_html_links(mut html: String, media: &[WebUrl]) -> String {
    let link = |url: &WebUrl| {
        let url = escape_html(url.as_str());
        format!("<p><a href=\"{url}\">{url}</a></p>\n")
    };
    let links: String = media.iter().map(link).collect();
    let end = html.to_ascii_lowercase().rfind("</body");
    html.insert_str(end.unwrap_or(html.len()), &links);
    html
}

/// A header of ASCII that is not folded.
fn header(name: &'static str, value: String) -> HeaderValue {
    let name = HeaderName::new_from_ascii_str(name);
    HeaderValue::dangerous_new_pre_encoded(name, value.clone(), value)
}

/// It cannot be an e-mail, and would not be later.
fn refused(category: Category) -> Outcome {
    Outcome::Refused {
        code: None,
        category,
        text: "it cannot be made an e-mail".to_owned(),
        retry: Retry::No,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Else a message would be refused at its moment only.
        #[test]
        fn every_address_of_a_row_can_be_sent_to(
            text in "[a-cZ0-9.!#$%&'*+/=?^_`{|}~-]{1,66}@[a-c0-9-]{1,64}(\\.[a-c0-9-]{1,64}){0,4}",
        ) {
            if text.parse::<Email>().is_ok() {
                prop_assert!(text.parse::<lettre::Address>().is_ok(), "{}", text);
            }
        }
    }

    #[test]
    fn no_return_stands_alone() {
        assert_eq!(lines("a\r.\nb\r\nc\r\rd\n"), "a\n.\nb\nc\n\nd\n");
    }

    #[test]
    fn links_are_below_the_text() {
        let url = |text| WebUrl::https(text).unwrap();
        let text = with_links(
            "See:".into(),
            &[url("https://a.example/1"), url("https://b.example")],
        );
        assert_eq!(text, "See:\n\nhttps://a.example/1\nhttps://b.example");
        assert_eq!(with_links("x".into(), &[]), "x");
        let html = |text: &str| with_html_links(text.into(), &[url("https://a.example/?b&c")]);
        let link = "<p><a href=\"https://a.example/?b&amp;c\">https://a.example/?b&amp;c</a></p>\n";
        assert_eq!(html("<p>İ"), format!("<p>İ{link}"));
        assert_eq!(html("<BODY>İ</BODY>"), format!("<BODY>İ{link}</BODY>"));
    }

    #[test]
    fn senders_and_urls_that_are_none() {
        for text in [
            "hello@example.com",
            " Example <hello@example.com> ",
            "Zoë <a@b.example>",
        ] {
            let mailbox: Mailbox = text.parse().unwrap();
            assert_eq!(mailbox.to_string().parse(), Ok(mailbox));
        }
        for text in [
            "",
            "Example",
            "hello@localhost",
            "a@b.example\nBcc: x@y.example",
            "ä@b.example",
        ] {
            assert_eq!(text.parse::<Mailbox>(), Err(MailboxError), "{text:?}");
        }
        let url: UnsubscribeUrl = "https://a.example/u/{user}?to={to}&m={id}".parse().unwrap();
        let filled = url.filled("a+b@c.example", "", "7");
        assert_eq!(filled, "https://a.example/u/?to=a%2Bb%40c.example&m=7");
        for text in [
            "",
            "http://a.example",
            "https://a.example/{name}",
            "https://a.example/ x",
            "mailto:a@b.example",
        ] {
            assert_eq!(
                text.parse::<UnsubscribeUrl>(),
                Err(UnsubscribeUrlError),
                "{text:?}"
            );
        }
    }
}
