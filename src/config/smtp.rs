//! The settings of e-mail.

use secrecy::SecretString;

use super::error::Problem;
use super::key;
use super::provider::{pair, said};
use super::raw::Raw;
use crate::provider::smtp::{Mailbox, Server, UnsubscribeUrl};

/// The settings of e-mail.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// The SMTP server.
    pub server: Server,
    /// The user name and password to log in with; `None`: the server wants none.
    pub login: Option<(String, SecretString)>,
    /// The sender of e-mails whose rows name none.
    pub from: Mailbox,
    /// Where recipients can unsubscribe.
    pub unsubscribe_url: Option<UnsubscribeUrl>,
}

pub(super) fn read(raw: &mut Raw) -> Option<SmtpSettings> {
    let server = raw.require(
        &key::SMTP,
        "the SMTP server, like smtp://mail.example.com:587 (STARTTLS) or smtps://mail.example.com (TLS)",
        said::<Server>,
    );
    let from = raw.require(
        &key::SMTP_FROM,
        "the sender of e-mails, like Example <hello@example.com>",
        said::<Mailbox>,
    );
    let unsubscribe_url = raw.get(&key::UNSUBSCRIBE_URL, said::<UnsubscribeUrl>);
    let login = pair(raw, &key::SMTP_USER, &key::SMTP_PASSWORD).then(|| {
        let user = raw.get(&key::SMTP_USER, line)?;
        let password = raw.get(&key::SMTP_PASSWORD, line)?;
        Some((user, password.into()))
    });
    let (server, login) = (server?, login.flatten());
    if login.is_some() && server.is_readable() {
        raw.problem(Problem::PlainPassword {
            server: raw.name(&key::SMTP),
            password: raw.name(&key::SMTP_PASSWORD),
        });
    }
    Some(SmtpSettings {
        server,
        login,
        from: from?,
        unsubscribe_url,
    })
}

/// As the server has it, with spaces and letters of any language.
fn line(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        Err("one line".into())
    } else {
        Ok(text.to_owned())
    }
}
