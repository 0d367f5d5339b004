//! `DATABASE_URL`, parsed once: where the database is, and how far its certificate is checked.
//!
//! tokio-postgres refuses parameters that are common in these URLs (`sslmode=verify-full`,
//! `sslrootcert=`, `pgbouncer=true`), so they are read here, by libpq's rules, and the rest is
//! passed to it. No error repeats a value of the URL: any part of a mistyped one may be a piece of
//! the password.

mod defaults;
mod environment;
mod parameters;
mod place;
mod text;

use std::str::FromStr;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, SslNegotiation, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::stateless::{Connector, DOCTOR, Encryption};
use super::tls::{self, Roots, Trust};
use environment::VARIABLES;
use parameters::{PASSED_ON, Parts};

pub(super) use parameters::invalid;

pub use defaults::CONNECT_TIMEOUT;

/// Supabase's pooler in transaction mode: LISTEN is accepted there and nothing is ever delivered.
const TRANSACTION_POOLER_PORT: u16 = 6543;

/// Added to errors that this pooler may cause.
pub(in crate::store) const POOLER_HINT: &str = "a transaction-mode pooler (Supabase: port 6543) cannot carry LISTEN or session settings: \
     use the direct connection or the session pooler, port 5432, or set PUNCTUAL_CHANGES=poll";

/// A usable connection string.
#[derive(Clone)]
pub struct Dsn {
    pub(in crate::store) config: Config,
    pub(in crate::store) tls: Connector,
    mode: Mode,
    says_pgbouncer: bool,
    warnings: Vec<String>,
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
    /// It has neither form.
    #[error(
        "is not a Postgres URL: expected postgres://USER:PASSWORD@HOST:5432/DATABASE; \
         a password with : / ? # @ or % in it must be percent-encoded (@ is %40)"
    )]
    NotAUrl,
    /// It names no host.
    #[error("names no host")]
    NoHost,
    /// An unknown parameter.
    #[error("has an unknown parameter {0:?}")]
    Unknown(String),
    /// The same in the `key=value` form, where the name may be a part of a password.
    #[error("has an unknown parameter; a value with a space in it needs single quotes")]
    UnknownWord,
    /// A parameter with an unusable value.
    #[error("has an invalid value for {key}: expected {expected}")]
    Value {
        /// The parameter.
        key: String,
        /// What it accepts.
        expected: &'static str,
    },
    /// A parameter of libpq's that is not supported, and without which the connection would be less secure.
    #[error("has {key}, which is not supported; {instead}")]
    Unsupported {
        /// The parameter.
        key: String,
        /// What to do instead.
        instead: &'static str,
    },
    /// libpq refuses the same.
    #[error("has sslnegotiation=direct with a weaker sslmode: use sslmode=require or stricter")]
    WeakWithDirect,
    /// libpq refuses the same.
    #[error("has sslrootcert=system with a weaker sslmode: use sslmode=verify-full")]
    WeakWithSystemRoots,
    /// tokio-postgres passes no socket to the connector, which polling and feeds rely on.
    #[error(
        "names a Unix socket, over which changes cannot be polled, nor fed: name the server or the pooler by its \
         address (for example 127.0.0.1), or use PUNCTUAL_CHANGES=notify"
    )]
    Socket,
    /// The root certificates cannot be read.
    #[error("has certificates to verify, but {0}")]
    Roots(#[source] tls::RootsError),
}

impl Dsn {
    /// Reads a URL (`postgres://…`) or libpq's `key=value` form, libpq's environment variables and password
    /// file, and the root certificates that these name.
    pub fn parse(text: &str) -> Result<Self, DsnError> {
        Self::parse_in(text, |name| std::env::var(name).ok())
    }

    /// The same with another environment.
    fn parse_in(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, DsnError> {
        let mut parts = Parts::default();
        let text = text.trim();
        let rest = text
            .strip_prefix("postgres://")
            .or_else(|| text.strip_prefix("postgresql://"));
        let pairs = rest.map_or_else(|| text::words(text), text::url);
        for (key, value) in pairs.ok_or(DsnError::NotAUrl)? {
            parts.take(&key, &value).map_err(|error| match error {
                // In this form a password with a space in it continues as a key.
                DsnError::Unknown(_) if rest.is_none() => DsnError::UnknownWord,
                other => other,
            })?;
        }
        let names_host = |key: &String| key == "host" || key == "hostaddr";
        let has_host = parts.given.iter().any(names_host);
        for (name, key) in VARIABLES {
            let is_of_host = has_host && ["host", "hostaddr", "port"].contains(&key);
            let value = variable(name).filter(|value| !value.is_empty());
            if let Some(value) = value
                && !is_of_host
                && !parts.given.iter().any(|given| given == key)
            {
                parts.take(key, &value)?;
            }
        }
        if parts.passfile.is_none() {
            parts.passfile = environment::default_passfile(variable);
        }
        parts.finish()
    }

    /// What to do, if it names a pooler in transaction mode and changes are not polled: no notification would ever
    /// arrive there.
    pub fn pooler_warning(&self) -> Option<&'static str> {
        let port = self.config.get_ports().contains(&TRANSACTION_POOLER_PORT);
        (!self.is_polled() && (port || self.says_pgbouncer)).then_some(POOLER_HINT)
    }

    /// The same place for a process that polls for changes: nothing is left in a session, so each transaction may get
    /// another one.
    pub fn polled(self) -> Result<Self, DsnError> {
        self.translated(Connector::stateless)
    }

    /// The same place for a connection that carries a change feed, and nothing else.
    pub fn fed(self) -> Result<Self, DsnError> {
        self.translated(Connector::feed)
    }

    fn translated(
        mut self,
        by: impl FnOnce(Connector, Encryption) -> Connector,
    ) -> Result<Self, DsnError> {
        let is_socket = |host: &Host| matches!(host, Host::Unix(_));
        if self.config.get_hosts().iter().any(is_socket) {
            return Err(DsnError::Socket);
        }
        let encryption = match self.mode {
            Mode::Disable => Encryption::Off,
            Mode::Prefer => Encryption::Preferred,
            _ if self.config.get_ssl_negotiation() == SslNegotiation::Direct => Encryption::Direct,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => Encryption::Required,
        };
        // It leaves all that follows the connect to the connector.
        self.config.ssl_mode(SslMode::Require);
        self.config.ssl_negotiation(SslNegotiation::Direct);
        self.tls = by(self.tls, encryption);
        Ok(self)
    }

    /// Whether changes are polled, and each transaction stands for itself.
    pub fn is_polled(&self) -> bool {
        self.tls.is_stateless()
    }

    /// The same place with the time limits of doctor's sessions, where these cannot set them.
    #[must_use]
    pub fn for_doctor(mut self) -> Self {
        self.tls = self.tls.with_settings(DOCTOR);
        self
    }

    /// Parameters and files that are ignored, and why.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether the connection is certainly encrypted, and with which check of the server: by
    /// `sslmode`.
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

impl Parts {
    fn finish(mut self) -> Result<Dsn, DsnError> {
        let mut config: Config = self.words.parse().map_err(|e| unusable(&e))?;
        check_hosts(&mut config)?;
        if config.get_password().is_none() {
            self.look_up_password(&mut config);
        }
        // Of several hosts the one that accepts writes, whatever the string says.
        if self.is_primary_wanted || config.get_hosts().len() > 1 {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        let mode = self.mode(&config)?;
        if self.is_direct {
            if matches!(mode, Mode::Disable | Mode::Prefer) {
                return Err(DsnError::WeakWithDirect);
            }
            config.ssl_negotiation(SslNegotiation::Direct);
        }
        let trust = match (mode, self.roots) {
            (Mode::VerifyFull, roots) => Trust::Full(roots.unwrap_or(Roots::System)),
            (Mode::VerifyCa, roots) => Trust::Chain(roots.unwrap_or(Roots::System)),
            // A root certificate means that the server's is to be checked; libpq reads `require` so
            // too.
            (Mode::Prefer | Mode::Require, Some(roots)) => Trust::Chain(roots),
            (Mode::Prefer | Mode::Require, None) | (Mode::Disable, _) => Trust::Anyone,
        };
        config.ssl_mode(match mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        });
        let name = self.fallback_name.as_deref();
        defaults::set(&mut config, self.user_timeout, name);
        let tls = tls::client(trust, self.versions, self.is_direct).map_err(DsnError::Roots)?;
        Ok(Dsn {
            config,
            tls: Connector::new(MakeRustlsConnect::new(tls)),
            mode,
            says_pgbouncer: self.says_pgbouncer,
            warnings: self.warnings,
        })
    }

    /// Nothing is sent unencrypted to another host unless the string says so.
    fn mode(&self, config: &Config) -> Result<Mode, DsnError> {
        let system_only = matches!(self.roots, Some(Roots::System));
        match self.mode {
            Some(mode) if system_only && mode != Mode::VerifyFull => {
                Err(DsnError::WeakWithSystemRoots)
            }
            Some(mode) => Ok(mode),
            None if system_only => Ok(Mode::VerifyFull),
            None if place::is_local(config) => Ok(Mode::Prefer),
            None => Ok(Mode::Require),
        }
    }

    /// By the first host: a file has a password for each, and a connection only one.
    fn look_up_password(&mut self, config: &mut Config) {
        let (Some(file), Some(user)) = (&self.passfile, config.get_user()) else {
            return;
        };
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => return,
        };
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let database = config.get_dbname().unwrap_or(user);
        match environment::password(file, &host, port, database, user) {
            Ok(Some(password)) => {
                config.password(password);
            }
            Ok(None) => {}
            Err(why) => self.warnings.push(why),
        }
    }
}

/// What tokio-postgres refused, without the value.
fn unusable(error: &tokio_postgres::Error) -> DsnError {
    use std::error::Error;
    let said = error.source().map(ToString::to_string).unwrap_or_default();
    PASSED_ON
        .into_iter()
        .find(|key| said.contains(&format!("`{key}`")))
        .map_or(DsnError::NotAUrl, |key| DsnError::Value {
            key: key.to_owned(),
            expected: match key {
                "port" => "a number up to 65535 (is the password percent-encoded?)",
                "hostaddr" => "an IP address",
                "load_balance_hosts" => "disable or random",
                "channel_binding" => "disable, prefer or require",
                _ => "a number",
            },
        })
}

/// A host with a character that no host has is a piece of a password that was not encoded.
fn check_hosts(config: &mut Config) -> Result<(), DsnError> {
    if config.get_hosts().is_empty() {
        // Also the name that the certificate is checked for, so it cannot stay empty.
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

#[cfg(test)]
mod tests;
