//! `DATABASE_URL`, parsed once: where the database is, and how far its certificate is checked.
//!
//! tokio-postgres refuses what the ecosystem writes into these URLs (`sslmode=verify-full`,
//! `sslrootcert=`, `pgbouncer=true`), so they are read here, by libpq's rules, and it is told
//! the rest. No error repeats a value of the URL: any part of a mistyped one may be a piece of
//! the password.

mod place;
mod text;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tls::{self, Roots, Trust};

/// How long one address may take to accept a connection. Override: `connect_timeout=SECONDS`.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A silent connection is probed after this long …
const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);

/// … and again this often …
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);

/// … and given up after so many probes: a listener cut off without a word is known to be so
/// in about 11 s, where the kernel's own default is two hours.
const KEEPALIVE_RETRIES: u32 = 3;

/// How long written bytes may stay unacknowledged (Linux). The same for a statement that is
/// being sent into a dead connection; there the default is a quarter of an hour.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(10);

/// Supabase's pooler in transaction mode: LISTEN is taken there and nothing is ever delivered.
const TRANSACTION_POOLER_PORT: u16 = 6543;

/// Said wherever that pooler may be the cause.
pub(in crate::store) const POOLER_HINT: &str = "a transaction-mode pooler (Supabase: port 6543) cannot carry LISTEN or session settings: \
     use the direct connection or the session pooler, port 5432";

/// What poolers, ORMs and libpq understand and is of no consequence here.
const IGNORED: [&str; 14] = [
    "pgbouncer",
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
    "gssencmode",
    "client_encoding",
];

/// What tokio-postgres reads itself, with libpq's meaning.
const PASSED_ON: [&str; 16] = [
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
    "target_session_attrs",
    "channel_binding",
];

/// A usable connection string.
#[derive(Clone)]
pub struct Dsn {
    pub(in crate::store) config: Config,
    pub(in crate::store) tls: MakeRustlsConnect,
    mode: Mode,
    says_pgbouncer: bool,
}

/// `sslmode`, as far as its meaning differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Why a connection string is not usable.
#[derive(Debug, thiserror::Error)]
pub enum DsnError {
    /// Not of either form.
    #[error(
        "is not a Postgres URL: expected postgres://USER:PASSWORD@HOST:5432/DATABASE; \
         a password with : / ? # @ or % in it must be percent-encoded (@ is %40)"
    )]
    NotAUrl,
    /// It says where, but not whereto.
    #[error("names no host")]
    NoHost,
    /// An unknown parameter.
    #[error("has an unknown parameter {0:?}")]
    Unknown(String),
    /// The same in the `key=value` form, where the name may be half a password.
    #[error("has an unknown parameter; a value with a space in it needs single quotes")]
    UnknownWord,
    /// A parameter with an unusable value.
    #[error("has an invalid value for {key}: expected {expected}")]
    Value {
        /// The parameter.
        key: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// Client certificates.
    #[error("has {0}: client certificates are not supported, use a password")]
    ClientCertificate(&'static str),
    /// libpq refuses the same.
    #[error("has sslrootcert=system with a weaker sslmode: use sslmode=verify-full")]
    WeakWithSystemRoots,
    /// The roots to check against cannot be had.
    #[error("has certificates to verify, but {0}")]
    Roots(#[source] tls::RootsError),
}

impl Dsn {
    /// Reads a URL (`postgres://…`) or libpq's `key=value` form, and the root certificates it
    /// names.
    pub fn parse(text: &str) -> Result<Self, DsnError> {
        let mut parts = Parts::default();
        let text = text.trim();
        let rest = text
            .strip_prefix("postgres://")
            .or_else(|| text.strip_prefix("postgresql://"));
        let pairs = rest.map_or_else(|| text::words(text), text::url);
        for (key, value) in pairs.ok_or(DsnError::NotAUrl)? {
            parts.take(&key, value).map_err(|error| match error {
                // In this form a password with a space in it goes on as a key.
                DsnError::Unknown(_) if rest.is_none() => DsnError::UnknownWord,
                other => other,
            })?;
        }
        parts.finish()
    }

    /// Something to say about this way to the database before anything has gone wrong.
    pub fn warning(&self) -> Option<&'static str> {
        let port = self.config.get_ports().contains(&TRANSACTION_POOLER_PORT);
        (port || self.says_pgbouncer).then_some(POOLER_HINT)
    }

    /// Whether the connection is encrypted for certain, and with whom: as `sslmode` has it.
    pub const fn sslmode(&self) -> &'static str {
        match self.mode {
            Mode::Disable => "disable",
            Mode::Prefer => "prefer",
            Mode::Require => "require",
            Mode::VerifyCa => "verify-ca",
            Mode::VerifyFull => "verify-full",
        }
    }
}

impl FromStr for Dsn {
    type Err = DsnError;

    fn from_str(text: &str) -> Result<Self, DsnError> {
        Self::parse(text)
    }
}

/// What has been read so far.
#[derive(Default)]
struct Parts {
    /// For tokio-postgres, in its own words.
    words: String,
    mode: Option<Mode>,
    roots: Option<Roots>,
    user_timeout: Option<Duration>,
    says_pgbouncer: bool,
}

impl Parts {
    fn take(&mut self, key: &str, value: String) -> Result<(), DsnError> {
        match key {
            "sslmode" => self.mode = Some(parse_mode(&value)?),
            "sslrootcert" if value == "system" => self.roots = Some(Roots::System),
            "sslrootcert" if value.is_empty() => {}
            "sslrootcert" => self.roots = Some(Roots::File(PathBuf::from(value))),
            "sslcert" => return Err(DsnError::ClientCertificate("sslcert")),
            "sslkey" => return Err(DsnError::ClientCertificate("sslkey")),
            // Milliseconds to libpq, seconds to tokio-postgres.
            "tcp_user_timeout" => self.user_timeout = Some(parse_millis(&value)?),
            "pgbouncer" => self.says_pgbouncer = value == "true",
            // libpq's name for it, and tokio-postgres's.
            "keepalives_count" => self.pass("keepalives_retries", &value),
            _ if PASSED_ON.contains(&key) => self.pass(key, &value),
            _ if IGNORED.contains(&key) => {}
            _ => return Err(DsnError::Unknown(key.to_owned())),
        }
        Ok(())
    }

    fn pass(&mut self, key: &str, value: &str) {
        let value = value.replace('\\', "\\\\").replace('\'', "\\'");
        self.words.extend([key, "='", &value, "' "]);
    }

    fn finish(self) -> Result<Dsn, DsnError> {
        let mut config: Config = self.words.parse().map_err(|e| unusable(&e))?;
        check_hosts(&mut config)?;

        let system_only = matches!(self.roots, Some(Roots::System));
        let mode = match self.mode {
            Some(mode) if system_only && mode != Mode::VerifyFull => {
                return Err(DsnError::WeakWithSystemRoots);
            }
            Some(mode) => mode,
            None if system_only => Mode::VerifyFull,
            None => Mode::Prefer,
        };
        let trust = match (mode, self.roots) {
            (Mode::VerifyFull, roots) => Trust::Full(roots.unwrap_or(Roots::System)),
            (Mode::VerifyCa, roots) => Trust::Chain(roots.unwrap_or(Roots::System)),
            // Who gives a root wants it looked at; libpq reads `require` so as well.
            (Mode::Prefer | Mode::Require, Some(roots)) => Trust::Chain(roots),
            (Mode::Prefer | Mode::Require, None) | (Mode::Disable, _) => Trust::Anyone,
        };
        config.ssl_mode(match mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        });
        set_defaults(&mut config, self.user_timeout);
        Ok(Dsn {
            config,
            tls: MakeRustlsConnect::new(tls::client(trust).map_err(DsnError::Roots)?),
            mode,
            says_pgbouncer: self.says_pgbouncer,
        })
    }
}

fn parse_mode(value: &str) -> Result<Mode, DsnError> {
    Ok(match value {
        "disable" => Mode::Disable,
        // `allow` tries in the clear first, for servers that must not be troubled with TLS;
        // none of ours is.
        "allow" | "prefer" => Mode::Prefer,
        "require" => Mode::Require,
        "verify-ca" => Mode::VerifyCa,
        "verify-full" => Mode::VerifyFull,
        _ => {
            return Err(DsnError::Value {
                key: "sslmode",
                expected: "disable, allow, prefer, require, verify-ca or verify-full",
            });
        }
    })
}

fn parse_millis(value: &str) -> Result<Duration, DsnError> {
    value
        .parse()
        .map(Duration::from_millis)
        .map_err(|_| DsnError::Value {
            key: "tcp_user_timeout",
            expected: "milliseconds",
        })
}

/// What tokio-postgres did not like, without the value.
fn unusable(error: &tokio_postgres::Error) -> DsnError {
    use std::error::Error;
    let said = error.source().map(ToString::to_string).unwrap_or_default();
    PASSED_ON
        .into_iter()
        .find(|key| said.contains(&format!("`{key}`")))
        .map_or(DsnError::NotAUrl, |key| DsnError::Value {
            key,
            expected: match key {
                "port" => "a number up to 65535 (is the password percent-encoded?)",
                "hostaddr" => "an IP address",
                "target_session_attrs" => "any, read-write or read-only",
                "load_balance_hosts" => "disable or random",
                "channel_binding" => "disable, prefer or require",
                _ => "a number",
            },
        })
}

/// A host with a character no host has is a piece of a password that was not encoded.
fn check_hosts(config: &mut Config) -> Result<(), DsnError> {
    if config.get_hosts().is_empty() {
        // Also the name the certificate is checked for, so it cannot stay empty.
        let addresses = config.get_hostaddrs().to_vec();
        for address in addresses {
            config.host(address.to_string());
        }
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:%".contains(c) || !c.is_ascii();
    for host in config.get_hosts() {
        match host {
            Host::Tcp(name) if name.is_empty() => return Err(DsnError::NoHost),
            Host::Tcp(name) if !name.chars().all(fits) => return Err(DsnError::NotAUrl),
            Host::Tcp(_) | Host::Unix(_) => {}
        }
    }
    if config.get_hosts().is_empty() {
        return Err(DsnError::NoHost);
    }
    Ok(())
}

/// What the URL did not say itself.
fn set_defaults(config: &mut Config, user_timeout: Option<Duration>) {
    if config.get_application_name().is_none() {
        config.application_name("punctual");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    let untold = Config::new();
    if config.get_keepalives_idle() == untold.get_keepalives_idle() {
        config.keepalives_idle(KEEPALIVE_IDLE);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(KEEPALIVE_INTERVAL);
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(KEEPALIVE_RETRIES);
    }
    config.tcp_user_timeout(user_timeout.unwrap_or(TCP_USER_TIMEOUT));
}

#[cfg(test)]
mod tests;
