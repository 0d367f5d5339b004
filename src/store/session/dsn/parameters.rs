//! The parameters of a connection string, each by libpq's rules: understood, ignored (with a warning where the
//! user may rely on it), or refused, where ignoring it would make the connection less secure than requested.

use std::path::PathBuf;
use std::time::Duration;

use super::super::tls::{Roots, Versions};
use super::{DsnError, Mode};

/// What tokio-postgres reads itself, with libpq's meaning.
pub(super) const PASSED_ON: [&str; 15] = [
    "user",
    "password",
    "dbname",
    "host",
    "hostaddr",
    "port",
    "options",
    "application_name",
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "channel_binding",
];

/// What poolers, ORMs and libpq understand and has no effect here.
const IGNORED: [&str; 15] = [
    "connection_limit",
    "pool_timeout",
    "pool_mode",
    "pool_size",
    "socket_timeout",
    "statement_cache_size",
    "prepared_statements",
    "prepareThreshold",
    "supa",
    "workaround",
    "schema",
    "krbsrvname",
    "gsslib",
    "min_protocol_version",
    "max_protocol_version",
];

/// libpq's, and what to do instead: ignoring one would accept what the string excludes.
const REFUSED: [(&str, &str); 18] = [
    (
        "sslcert",
        "client certificates are not supported: use a password",
    ),
    (
        "sslkey",
        "client certificates are not supported: use a password",
    ),
    (
        "sslpassword",
        "client certificates are not supported: use a password",
    ),
    (
        "sslcrl",
        "revocation lists are not read: remove it, and have sslrootcert name only roots that are trusted",
    ),
    (
        "sslcrldir",
        "revocation lists are not read: remove it, and have sslrootcert name only roots that are trusted",
    ),
    (
        "require_auth",
        "the kind of login cannot be chosen: use sslmode=verify-full, with channel_binding=require",
    ),
    (
        "requirepeer",
        "the server's user is not checked: put the socket in a directory that only this user may write",
    ),
    (
        "service",
        "service files are not read: write the service's parameters into DATABASE_URL",
    ),
    (
        "servicefile",
        "service files are not read: write the service's parameters into DATABASE_URL",
    ),
    (
        "sslkeylogfile",
        "the keys of a session are never written to a file: remove it",
    ),
    ("requiressl", "write sslmode=require"),
    ("scram_client_key", "use a password"),
    ("scram_server_key", "use a password"),
    ("oauth_issuer", "OAuth is not supported: use a password"),
    ("oauth_client_id", "OAuth is not supported: use a password"),
    (
        "oauth_client_secret",
        "OAuth is not supported: use a password",
    ),
    ("oauth_scope", "OAuth is not supported: use a password"),
    (
        "replication",
        "Punctual uses no replication connection: remove it",
    ),
];

/// What has been read so far.
#[derive(Default)]
pub(super) struct Parts {
    /// The parameters for tokio-postgres, in its syntax.
    pub(super) words: String,
    pub(super) mode: Option<Mode>,
    pub(super) roots: Option<Roots>,
    pub(super) user_timeout: Option<Duration>,
    pub(super) says_pgbouncer: bool,
    pub(super) passfile: Option<PathBuf>,
    pub(super) fallback_name: Option<String>,
    pub(super) is_direct: bool,
    pub(super) is_primary_wanted: bool,
    pub(super) versions: Versions,
    pub(super) warnings: Vec<String>,
    /// The keys that the string itself has.
    pub(super) given: Vec<String>,
}

impl Parts {
    pub(super) fn take(&mut self, key: &str, value: &str) -> Result<(), DsnError> {
        self.given.push(key.to_owned());
        match key {
            "sslmode" => self.mode = Some(mode(value)?),
            "sslrootcert" if value == "system" => self.roots = Some(Roots::System),
            "sslrootcert" if value.is_empty() => {}
            "sslrootcert" => self.roots = Some(Roots::File(PathBuf::from(value))),
            "sslnegotiation" => self.is_direct = is_direct(value)?,
            "ssl_min_protocol_version" => self.versions.min(value)?,
            "ssl_max_protocol_version" => self.versions.max(value)?,
            // Milliseconds to libpq, seconds to tokio-postgres.
            "tcp_user_timeout" => self.user_timeout = Some(millis(value)?),
            "passfile" => self.passfile = Some(PathBuf::from(value)),
            "fallback_application_name" => self.fallback_name = Some(value.to_owned()),
            "target_session_attrs" => self.is_primary_wanted = is_primary(value)?,
            "pgbouncer" => self.says_pgbouncer = value == "true",
            // libpq's name for it, and tokio-postgres's.
            "keepalives_count" => self.pass("keepalives_retries", value),
            "gssencmode" | "gssdelegation" | "sslcertmode" | "sslcompression" | "sslsni"
            | "client_encoding" => {
                self.optional(key, value)?;
            }
            _ if PASSED_ON.contains(&key) => self.pass(key, value),
            _ if IGNORED.contains(&key) => {}
            _ => return refuse(key, value),
        }
        Ok(())
    }

    /// Parameters that may be off, and are not supported when on.
    fn optional(&mut self, key: &str, value: &str) -> Result<(), DsnError> {
        let refused = |instead| {
            Err(DsnError::Unsupported {
                key: key.to_owned(),
                instead,
            })
        };
        match (key, value) {
            ("gssencmode", "require") => {
                return refused("GSSAPI is not supported: use sslmode=verify-full");
            }
            ("gssdelegation", "1") => return refused("GSSAPI is not supported: use a password"),
            ("sslcertmode", "require") => {
                return refused("client certificates are not supported: use a password");
            }
            ("gssencmode", "prefer" | "disable")
            | ("gssdelegation" | "sslcompression", "0")
            | ("sslcertmode", "allow" | "disable")
            | ("sslsni", "1") => {}
            ("client_encoding", word)
                if ["utf8", "utf-8", "auto"].contains(&&*word.to_lowercase()) => {}
            ("client_encoding", _) => self.warn("client_encoding is ignored: sessions use UTF8"),
            ("sslcompression", "1") => {
                self.warn("sslcompression is ignored: no server compresses any more");
            }
            ("sslsni", "0") => {
                self.warn("sslsni=0 is ignored: the host's name is sent with the TLS handshake");
            }
            _ => {
                return Err(DsnError::Value {
                    key: key.to_owned(),
                    expected: match key {
                        "gssencmode" => "disable or prefer",
                        "sslcertmode" => "disable or allow",
                        _ => "0 or 1",
                    },
                });
            }
        }
        Ok(())
    }

    fn warn(&mut self, warning: &str) {
        self.warnings.push(warning.to_owned());
    }

    pub(super) fn pass(&mut self, key: &str, value: &str) {
        let value = value.replace('\\', "\\\\").replace('\'', "\\'");
        self.words.extend([key, "='", &value, "' "]);
    }
}

/// Parameters that are none of the above.
fn refuse(key: &str, value: &str) -> Result<(), DsnError> {
    let known = REFUSED.iter().find(|(name, _)| *name == key);
    let is_off = value.is_empty()
        || key == "replication" && ["false", "off", "no", "0"].contains(&value)
        || key == "requiressl" && value == "0";
    match known {
        Some(_) if is_off => Ok(()),
        Some((_, instead)) => Err(DsnError::Unsupported {
            key: key.to_owned(),
            instead,
        }),
        None => Err(DsnError::Unknown(key.to_owned())),
    }
}

fn mode(value: &str) -> Result<Mode, DsnError> {
    Ok(match value {
        "disable" => Mode::Disable,
        // `allow` tries without TLS first, for servers that should be spared the cost; that is not
        // supported.
        "allow" | "prefer" => Mode::Prefer,
        "require" => Mode::Require,
        "verify-ca" => Mode::VerifyCa,
        "verify-full" => Mode::VerifyFull,
        _ => {
            return Err(invalid(
                "sslmode",
                "disable, allow, prefer, require, verify-ca or verify-full",
            ));
        }
    })
}

fn is_direct(value: &str) -> Result<bool, DsnError> {
    match value {
        "postgres" => Ok(false),
        "direct" => Ok(true),
        _ => Err(invalid("sslnegotiation", "postgres or direct")),
    }
}

/// A daemon writes, so a server that accepts no writes is useless to it.
fn is_primary(value: &str) -> Result<bool, DsnError> {
    match value {
        "any" | "" => Ok(false),
        "read-write" | "primary" => Ok(true),
        _ => Err(invalid(
            "target_session_attrs",
            "any, read-write or primary: Punctual writes",
        )),
    }
}

fn millis(value: &str) -> Result<Duration, DsnError> {
    let millis = value.parse().map(Duration::from_millis);
    millis.map_err(|_| invalid("tcp_user_timeout", "milliseconds"))
}

pub(in crate::store::session) fn invalid(key: &str, expected: &'static str) -> DsnError {
    DsnError::Value {
        key: key.to_owned(),
        expected,
    }
}
