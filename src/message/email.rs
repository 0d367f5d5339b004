//! E-mail addresses: of recipients, and of senders of e-mails.

use std::fmt;
use std::str::FromStr;

use super::AddressError;

/// The most characters of an e-mail address (RFC 5321, 4.5.3.1.3), and of the part before the `@`.
const EMAIL_MAX: usize = 254;
const LOCAL_MAX: usize = 64;

/// What the part of an e-mail address before the `@` may contain in addition to letters, digits and dots between them.
const LOCAL_PUNCTUATION: &str = "!#$%&'*+/=?^_`{|}~-";

/// An e-mail address, as HTML's `input type=email` accepts it; but each dot is between two other characters, without
/// which a server would need it in quotes (RFC 5321, 4.1.2).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

impl Email {
    /// As a request has it. Not for logs.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = AddressError;

    /// White space around it is dropped.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let (local, domain) = text.split_once('@').ok_or(AddressError::Email)?;
        let is_atom = |text: &str| {
            let is_inside = |c: char| c.is_ascii_alphanumeric() || LOCAL_PUNCTUATION.contains(c);
            !text.is_empty() && text.chars().all(is_inside)
        };
        let is_one = text.len() <= EMAIL_MAX
            && (1..=LOCAL_MAX).contains(&local.len())
            && local.split('.').all(is_atom)
            && domain.contains('.')
            && domain.split('.').all(is_label);
        is_one
            .then(|| Self(text.to_owned()))
            .ok_or(AddressError::Email)
    }
}

/// A part of a domain (RFC 1035, 2.3.4).
fn is_label(text: &str) -> bool {
    let is_inside = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(is_inside)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (local, domain) = self.0.split_once('@').unwrap_or_default();
        write!(f, "{}•••@{domain}", local.get(..1).unwrap_or_default())
    }
}
