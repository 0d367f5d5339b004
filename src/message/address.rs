//! The recipient of a message, parsed from `to_number` by the message's channel.
//!
//! `fault!` in `store/expressions.rs` has the same forms for the database; `tests/pg/validate.rs` compares the two.

use std::fmt;

use super::{Channel, E164, Email, PhoneError};

/// The most characters of a URL.
const URL_MAX: usize = 2048;

/// The length of a UUID with its hyphens.
const UUID_LEN: usize = 36;

/// A recipient. White space around it is dropped.
///
/// `Debug` is masked, as it is for [`E164`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A phone number.
    Phone(E164),
    /// An e-mail address.
    Email(Email),
    /// The endpoint of a Web Push subscription: an `https` URL.
    Push(WebUrl),
    /// A user of the app, by their id.
    User(UserId),
    /// The URL that a webhook calls.
    Url(WebUrl),
}

/// An `http` or `https` URL in ASCII, without a user name.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct WebUrl(String);

/// The id of a user, in lower case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UserId(String);

/// Why a text is not a valid recipient for a channel. No sentence repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The recipient of a text message.
    #[error(transparent)]
    Phone(#[from] PhoneError),
    /// The recipient of an e-mail.
    #[error("it is not an e-mail address, like name@example.com")]
    Email,
    /// The recipient of a push message.
    #[error(
        "it is not the endpoint of a push subscription, an https URL of at most {URL_MAX} characters"
    )]
    Push,
    /// The recipient of a message in the app.
    #[error("it is not the id of a user, a UUID with hyphens")]
    User,
    /// The recipient of a webhook.
    #[error(
        "it is not a URL: http or https, a host, no user name, only ASCII, at most {URL_MAX} characters"
    )]
    Url,
    /// The channel is not supported.
    #[error("its channel is not supported")]
    Channel,
}

impl Address {
    /// The recipient of a message of this channel.
    pub fn parse(channel: Channel, text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        match channel {
            Channel::Sms => Ok(Self::Phone(text.parse()?)),
            Channel::Email => text.parse().map(Self::Email),
            Channel::Push => web_url(text, &["https://"])
                .map(Self::Push)
                .ok_or(AddressError::Push),
            Channel::InApp => user_id(text).map(Self::User).ok_or(AddressError::User),
            Channel::Webhook => web_url(text, &["https://", "http://"])
                .map(Self::Url)
                .ok_or(AddressError::Url),
            Channel::Other => Err(AddressError::Channel),
        }
    }

    /// As a request has it. Not for logs.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Phone(number) => number.as_str(),
            Self::Email(email) => email.as_str(),
            Self::Push(WebUrl(text)) | Self::Url(WebUrl(text)) | Self::User(UserId(text)) => text,
        }
    }

    /// The number, if it is one.
    pub const fn phone(&self) -> Option<&E164> {
        match self {
            Self::Phone(number) => Some(number),
            Self::Email(_) | Self::Push(_) | Self::User(_) | Self::Url(_) => None,
        }
    }

    /// A row's recipient for people: masked; if it is not valid, a note that says so.
    pub fn masked_of(channel: Channel, text: &str) -> String {
        Self::parse(channel, text).map_or_else(
            |_| format!("not a recipient of {}", channel.as_str()),
            |to| to.masked(),
        )
    }

    /// For people: enough to recognise a known recipient, not enough to reach one.
    pub fn masked(&self) -> String {
        match self {
            Self::Phone(number) => number.masked(),
            Self::Email(email) => format!("{email:?}"),
            Self::Push(url) | Self::Url(url) => format!("{url:?}"),
            Self::User(user) => format!("{user:?}"),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl WebUrl {
    /// An `http` or `https` URL.
    pub fn parse(text: &str) -> Option<Self> {
        web_url(text.trim(), &["https://", "http://"])
    }

    /// An `https` URL.
    pub fn https(text: &str) -> Option<Self> {
        web_url(text.trim(), &["https://"])
    }

    /// As a request has it. Not for logs.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host, without the port.
    pub fn host(&self) -> &str {
        let (_, rest) = self.0.split_once("://").unwrap_or_default();
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        match authority.find(']') {
            Some(end) => &authority[..=end],
            None => authority.split(':').next().unwrap_or_default(),
        }
    }
}

impl fmt::Debug for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, _) = self.0.split_once("://").unwrap_or_default();
        write!(f, "{scheme}://{}/•••", self.host())
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {}•••", self.0.get(..4).unwrap_or_default())
    }
}

fn web_url(text: &str, schemes: &[&str]) -> Option<WebUrl> {
    let rest = schemes
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (host, port) = match authority.rsplit_once(':') {
        // The colons of an IPv6 address are within its brackets.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(v6) => {
            !v6.is_empty()
                && v6
                    .bytes()
                    .all(|b| b.is_ascii_hexdigit() || b":.".contains(&b))
        }
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b))
        }
    };
    let is_port =
        |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    let is_one = text.len() <= URL_MAX
        && is_host
        && port.is_none_or(is_port)
        && path.bytes().all(|b| b.is_ascii_graphic());
    is_one.then(|| WebUrl(text.to_owned()))
}

fn user_id(text: &str) -> Option<UserId> {
    let is_one = text.len() == UUID_LEN && uuid::Uuid::try_parse(text).is_ok();
    is_one.then(|| UserId(text.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(channel: Channel, text: &str, expected: Option<&str>) {
        let got = Address::parse(channel, text);
        let wire = got.as_ref().ok().map(Address::as_str);
        assert_eq!(wire, expected, "{channel:?} {text:?}");
        if let Ok(address) = got {
            assert_eq!(
                address.phone().is_some(),
                channel == Channel::Sms,
                "{text:?}"
            );
            assert!(!address.masked().contains(text.trim()), "{text:?}");
            assert_eq!(format!("{address:?}"), address.masked());
        }
    }

    #[test]
    fn a_channel_has_addresses_of_its_own() {
        let id = "0A1b2c3d-0000-4000-8000-0123456789ab";
        let addresses = [
            (Channel::Sms, "+13105551234"),
            (Channel::Email, "ada@example.com"),
            (Channel::Push, "https://push.example/send/abc?x=1"),
            (Channel::InApp, id),
            (Channel::Webhook, "http://localhost:8080/hook"),
        ];
        for (own, text) in addresses {
            let wire = text.replace(id, &id.to_lowercase());
            check(own, &format!(" {text}\n"), Some(&wire));
            for other in Channel::ALL {
                // The endpoint of a subscription is a URL.
                let is_both = (own, other) == (Channel::Push, Channel::Webhook);
                if other != own && !is_both {
                    check(other, text, None);
                }
            }
        }
    }

    #[test]
    fn what_is_no_address() {
        for text in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "ada@localhost",
            "ada@-a.example",
            "ada@a..example",
            "ada..b@example.com",
            ".ada@example.com",
            "ada.@example.com",
            "a da@example.com",
            "ada@example.com, bob@example.com",
            "ada@exa_mple.com",
            "ädä@example.com",
        ] {
            check(Channel::Email, text, None);
        }
        check(
            Channel::Email,
            &format!("{}@a.example", "a".repeat(64)),
            Some(&format!("{}@a.example", "a".repeat(64))),
        );
        check(
            Channel::Email,
            &format!("{}@a.example", "a".repeat(65)),
            None,
        );
        for text in [
            "",
            "https://",
            "https:///path",
            "ftp://a.example",
            "HTTPS://a.example",
            "a.example/hook",
            "https://me@a.example",
            "https://me:pw@a.example/",
            "https://a.example:port",
            "https://a.example:",
            "https://a.example/ö",
            "https://a.example/a b",
            "https://exämple.com",
            "https://[::1",
            "https://[]/",
        ] {
            check(Channel::Webhook, text, None);
        }
        check(
            Channel::Webhook,
            &format!("https://a.example/{}", "x".repeat(URL_MAX)),
            None,
        );
        check(Channel::Push, "http://push.example", None);
        for text in [
            "",
            "ada",
            "0a1b2c3d000040008000 0123456789ab",
            "{0a1b2c3d-0000-4000-8000-0123456789ab}",
        ] {
            check(Channel::InApp, text, None);
        }
    }

    #[test]
    fn the_host_of_a_url() {
        for (url, host) in [
            ("https://a.example", "a.example"),
            ("https://a.example:8443?x", "a.example"),
            ("http://A.example/b/c:d", "A.example"),
            ("http://[2001:db8::1]:80/", "[2001:db8::1]"),
        ] {
            let Ok(Address::Url(parsed)) = Address::parse(Channel::Webhook, url) else {
                panic!("{url} is one");
            };
            assert_eq!(parsed.host(), host);
        }
    }
}
