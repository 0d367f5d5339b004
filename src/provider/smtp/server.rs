//! The SMTP server of the settings, and how the connection to it is encrypted.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

/// How a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    /// From its first byte.
    Tls,
    /// After `STARTTLS`, without which nothing is sent.
    StartTls,
    /// Not at all.
    Plain,
}

/// Each with its scheme and its usual port.
const SCHEMES: [(&str, Security, u16); 3] = [
    ("smtps", Security::Tls, 465),
    ("smtp", Security::StartTls, 587),
    ("smtp+plain", Security::Plain, 25),
];

/// A server, parsed from its URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub(super) security: Security,
    /// A name, or an address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    is_loopback: bool,
}

/// A text that is no server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// Not a URL of these schemes, or one with more than a host and a port.
    #[error(
        "smtp://HOST:PORT (STARTTLS, port 587), smtps://HOST:PORT (TLS, port 465), or smtp+plain://HOST:PORT (without TLS, \
         port 25)"
    )]
    Form,
    /// With a user name.
    #[error(
        "a URL without a user name and password: they are settings of their own, PUNCTUAL_SMTP_USER and \
         PUNCTUAL_SMTP_PASSWORD"
    )]
    User,
}

impl FromStr for Server {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Self, ServerError> {
        let url: Url = text.trim().parse().map_err(|_| ServerError::Form)?;
        let scheme = SCHEMES.iter().find(|(own, ..)| *own == url.scheme());
        let (_, security, usual) = scheme.ok_or(ServerError::Form)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ServerError::User);
        }
        let is_bare =
            ["", "/"].contains(&url.path()) && url.query().is_none() && url.fragment().is_none();
        let host = url.host_str().filter(|host| is_bare && !host.is_empty());
        let host = Host::parse(host.ok_or(ServerError::Form)?).map_err(|_| ServerError::Form)?;
        let is_loopback = match &host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        let host = match host {
            Host::Ipv6(address) => address.to_string(),
            other => other.to_string(),
        };
        Ok(Self {
            security: *security,
            host,
            port: url.port().unwrap_or(*usual),
            is_loopback,
        })
    }
}

impl Server {
    /// Whether its certificate is verified.
    pub(super) fn has_tls(&self) -> bool {
        self.security != Security::Plain
    }

    /// Whether what is sent leaves this machine in the clear.
    pub fn is_readable(&self) -> bool {
        !self.has_tls() && !self.is_loopback
    }
}

/// As it is parsed.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = SCHEMES.iter().find(|(_, own, _)| *own == self.security);
        let (scheme, ..) = named.unwrap_or(&SCHEMES[0]);
        // An IPv6 address.
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_says_how_it_is_encrypted() {
        for (text, shown) in [
            ("smtp://mail.example", "smtp://mail.example:587"),
            ("smtps://mail.example/", "smtps://mail.example:465"),
            ("smtp://mail.example:2525", "smtp://mail.example:2525"),
            ("smtp+plain://127.0.0.1", "smtp+plain://127.0.0.1:25"),
            (" smtp+plain://[::1]:1025 ", "smtp+plain://[::1]:1025"),
        ] {
            let server: Server = text.parse().unwrap();
            assert_eq!(server.to_string(), shown);
            assert_eq!(server.to_string().parse(), Ok(server));
        }
        for text in [
            "",
            "mail.example",
            "mail.example:587",
            "http://mail.example",
            "smtp://",
            "smtp://mail.example/inbox",
            "smtp://mail.example?tls=off",
        ] {
            assert_eq!(text.parse::<Server>(), Err(ServerError::Form), "{text}");
        }
        let secret = "smtp://me:pw@mail.example".parse::<Server>();
        assert_eq!(secret, Err(ServerError::User));
    }

    #[test]
    fn a_password_crosses_no_network_in_the_clear() {
        for (text, shows) in [
            ("smtp+plain://127.0.0.1:1025", false),
            ("smtp+plain://localhost", false),
            ("smtp+plain://[::1]", false),
            ("smtp+plain://mail.internal", true),
            ("smtp+plain://10.0.0.7", true),
            ("smtp://10.0.0.7", false),
            ("smtps://mail.example", false),
        ] {
            let server: Server = text.parse().unwrap();
            assert_eq!(server.is_readable(), shows, "{text}");
        }
    }
}
