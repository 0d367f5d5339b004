//! Connections: one that its caller polls (the listener, the migrator), and a pool for the
//! statements of a message's path; and what to do about a failure.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::{Client, Socket};

use super::dsn::{Dsn, POOLER_HINT};
use super::lineage::{Lineage, Session};
use super::stateless::{DAEMON, Wire};
use super::tls;
use super::watch::Watch;
use crate::message::InstanceId;
use crate::store::Sql;
use crate::store::refusal::words;

/// The time-out for making a session: look-up, every address, TLS, authentication, settings. It
/// also covers a server that accepts and then sends nothing.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(15);

/// Why a session is not used; the daemon handles what follows.
const ANOTHER: &str = "the database is another one than before, or an older one";
const STANDBY: &str =
    "the server is a standby, where nothing can be claimed: connect to the primary";

/// Resets what no session may inherit; the reasons are in the file.
static INHERITED: &Sql = sql!("sql/inherited.sql");

/// The settings of every pooled session; the reasons are in the file.
static SESSION: &Sql = sql!("sql/session.sql");

/// The half of a session that must be polled by its owner: as a future, or message by message with
/// `poll_message` for notifications.
pub type Connection = tokio_postgres::Connection<Socket, Wire>;

/// Why there is no session. The texts contain host, port and database, and the server's message;
/// never the password.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There was no response in time.
    #[error("{place} did not respond within {} s", SESSION_TIMEOUT.as_secs())]
    Silent {
        /// `host:port/database`.
        place: String,
    },
    /// The server cannot be reached: name, route, port.
    #[error("cannot reach {place}: {}", chain(source))]
    Unreachable {
        /// `host:port/database`.
        place: String,
        /// What failed.
        source: tokio_postgres::Error,
    },
    /// No agreement on encryption, or the certificate was not trusted.
    #[error("no TLS with {place}: {}", tls_reason(source))]
    Tls {
        /// `host:port/database`.
        place: String,
        /// What failed.
        source: tokio_postgres::Error,
    },
    /// Postgres, or a pooler in front of it, refused.
    #[error("{place} refuses the connection: {}", refusal(source))]
    Refused {
        /// `host:port/database`.
        place: String,
        /// What it reported.
        source: tokio_postgres::Error,
    },
    /// A standby, or a server in recovery.
    #[error(
        "{place} is a standby and accepts no writes: connect to the primary, or name all hosts, \
         separated by commas, and the one that accepts writes is used"
    )]
    Standby {
        /// `host:port/database`.
        place: String,
    },
    /// The connection broke while it was made, or the response was not that of Postgres.
    #[error("no session with {place}: {}", chain(source))]
    Broken {
        /// `host:port/database`.
        place: String,
        /// What failed.
        source: tokio_postgres::Error,
    },
}

impl ConnectError {
    /// Whether this may be over soon: the server is away, or starts, or has no room.
    pub fn is_away(&self) -> bool {
        match self {
            // A standby may be promoted.
            Self::Silent { .. }
            | Self::Unreachable { .. }
            | Self::Standby { .. }
            | Self::Broken { .. } => true,
            Self::Refused { source, .. } => is_away(source),
            Self::Tls { .. } => false,
        }
    }
}

/// Whether the error means that a server is away, starts, shuts down or has no room, or that there
/// was no response.
pub(in crate::store) fn is_away(error: &tokio_postgres::Error) -> bool {
    let Some(db) = error.as_db_error() else {
        return error.is_closed()
            || error
                .source()
                .is_some_and(<dyn std::error::Error>::is::<io::Error>);
    };
    let code = db.code();
    // Connections, resources, and an operator who ends sessions or permits none.
    ["08", "53", "57P"]
        .iter()
        .any(|class| code.code().starts_with(class))
        || *code == SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE
}

impl Dsn {
    /// One connection, not polled yet: nothing happens on the client until the connection is
    /// polled. It inherits no time-out, and finds the app's tables by their names; [`prepare_session`] makes
    /// the daemon's settings.
    pub async fn connect(&self) -> Result<(Client, Connection), ConnectError> {
        let session = async {
            let (client, mut connection) = self.config.connect(self.tls.clone()).await?;
            // There each transaction makes its settings, or none are made.
            if !self.tls.has_sessions() {
                return Ok((client, connection));
            }
            // It makes progress only while it is polled, and its error is the cause.
            tokio::select! {
                set = client.batch_execute(INHERITED.text()) => set?,
                ended = &mut connection => ended?,
            }
            Ok((client, connection))
        };
        match tokio::time::timeout(SESSION_TIMEOUT, session).await {
            Ok(Ok(session)) => Ok(session),
            Ok(Err(error)) => Err(self.explain(error)),
            Err(_) => Err(ConnectError::Silent {
                place: self.to_string(),
            }),
        }
    }

    /// The same, to a server that accepts writes.
    pub async fn connect_to_primary(&self) -> Result<(Client, Connection), ConnectError> {
        let (client, connection) = self.connect().await?;
        // The server reports this without a query.
        if connection.parameter("in_hot_standby") == Some("on") {
            return Err(ConnectError::Standby {
                place: self.to_string(),
            });
        }
        Ok((client, connection))
    }

    /// Does `work` in a session that ends with it. If the connection was lost, `work` only saw it close; the cause
    /// is the second result.
    pub async fn with_session<T, E>(
        &self,
        work: impl AsyncFnOnce(&Client) -> Result<T, E>,
    ) -> Result<(Result<T, E>, Option<ConnectError>), ConnectError> {
        let (client, connection) = self.connect().await?;
        // Driven here and not by a task, so that the session and its locks end when this call does.
        let (done, ended) = tokio::join!(
            async move {
                let done = work(&client).await;
                drop(client);
                done
            },
            connection
        );
        Ok((done, ended.err().map(|lost| self.explain(lost))))
    }

    /// At most `max_size` connections, made when they are first needed; each has the daemon's
    /// settings. Waiting for a free one is bounded by [`SESSION_TIMEOUT`], as is making one.
    ///
    /// # Panics
    ///
    /// Never: the pool is given the runtime that its time-outs need.
    pub fn pool(&self, max_size: usize) -> Pool {
        self.pool_with(max_size, None, None)
    }

    /// The same, with sessions that are all in one history of one database, and that a watch checks.
    ///
    /// # Panics
    ///
    /// Never, as above.
    pub fn pool_with(
        &self,
        max_size: usize,
        history: Option<(&Lineage, InstanceId)>,
        watch: Option<&Watch>,
    ) -> Pool {
        let history = history.map(|(lineage, instance)| (lineage.clone(), instance));
        let is_polled = self.is_polled();
        // What a process of the server does for a connection is not known behind a pooler.
        let watch = watch.filter(|_| !is_polled).cloned();
        let manager = Manager::from_config(
            self.config.clone(),
            self.tls.clone().with_settings(DAEMON),
            ManagerConfig {
                // No check before each use: it would cost every claim a round trip, and a
                // connection may break between check and use anyway.
                recycling_method: RecyclingMethod::Fast,
            },
        );
        Pool::builder(manager)
            .max_size(max_size)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(SESSION_TIMEOUT))
            .create_timeout(Some(SESSION_TIMEOUT))
            .recycle_timeout(Some(SESSION_TIMEOUT))
            .post_create(Hook::async_fn(move |client, metrics| {
                let (history, watch, made) = (history.clone(), watch.clone(), metrics.created);
                Box::pin(async move {
                    if !is_polled {
                        prepare_session(client).await.map_err(HookError::Backend)?;
                    }
                    if let Some(watch) = watch {
                        let met = watch.meet(client, made).await;
                        met.map_err(HookError::Backend)?;
                    }
                    let Some((lineage, instance)) = history else {
                        return Ok(());
                    };
                    match lineage.check(client, instance).await {
                        Ok(Session::Usable) => Ok(()),
                        Ok(Session::Another) => Err(HookError::message(ANOTHER)),
                        Ok(Session::Standby) => Err(HookError::message(STANDBY)),
                        Err(error) => Err(HookError::Backend(error)),
                    }
                })
            }))
            .build()
            .expect("a pool with time-outs has been given a runtime")
    }

    /// Explains an error of this connection, or of the pool's.
    pub fn explain(&self, source: tokio_postgres::Error) -> ConnectError {
        let place = self.to_string();
        if source.as_db_error().is_some() {
            ConnectError::Refused { place, source }
        } else if rustls_error(&source).is_some() || no_tls(&source) {
            ConnectError::Tls { place, source }
        } else if source
            .source()
            .is_some_and(<dyn std::error::Error>::is::<io::Error>)
            && !source.is_closed()
        {
            ConnectError::Unreachable { place, source }
        } else {
            ConnectError::Broken { place, source }
        }
    }
}

/// Makes a session one of the daemon's: its writes are distinguished from the app's, its commits
/// are durable, none of its statements waits for long.
pub async fn prepare_session(client: &Client) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(INHERITED.text()).await?;
    client.batch_execute(SESSION.text()).await
}

/// tokio-postgres reports this only as text.
fn no_tls(error: &tokio_postgres::Error) -> bool {
    error
        .source()
        .is_some_and(|e| e.to_string() == "server does not support TLS")
}

fn rustls_error(error: &tokio_postgres::Error) -> Option<&rustls::Error> {
    // An io::Error hides its inner error from `source`.
    let carrier = error.source()?.downcast_ref::<io::Error>()?;
    carrier.get_ref()?.downcast_ref()
}

fn tls_reason(error: &tokio_postgres::Error) -> String {
    match rustls_error(error) {
        Some(reason) => tls::explain(reason),
        None => "the server does not offer it, and it is required: by sslmode, or because without sslmode nothing goes \
                 unencrypted to another host (in a network that nobody else reaches: sslmode=disable)"
            .to_owned(),
    }
}

/// An error and its causes in one line. tokio-postgres keeps the details in the cause.
pub(in crate::store) fn chain(error: &tokio_postgres::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !line.contains(&text) {
            // Writing to a String cannot fail.
            let _ = write!(line, ": {text}");
        }
        cause = inner.source();
    }
    line
}

fn refusal(error: &tokio_postgres::Error) -> String {
    let Some(said) = error.as_db_error() else {
        return chain(error);
    };
    let code = said.code().code();
    match advice(said) {
        Some(advice) => format!("{} ({code}); {advice}", words(said)),
        None => format!("{} ({code})", words(said)),
    }
}

/// What to do about the refusals that newcomers meet.
fn advice(said: &DbError) -> Option<&'static str> {
    let text = said.message();
    let code = said.code();
    if pooler_complains(said) {
        Some(POOLER_HINT)
    } else if text.contains("Tenant or user not found") {
        Some(
            "on Supabase's pooler the user is postgres.PROJECT_REF, and the host is the project's region",
        )
    } else if *code == SqlState::INVALID_PASSWORD {
        Some("check user and password; in a URL the password is percent-encoded")
    } else if text.contains("no encryption") || text.contains("SSL off") {
        Some("the server wants TLS: sslmode=require or stricter")
    } else if *code == SqlState::TOO_MANY_CONNECTIONS || text.contains("max clients") {
        Some("the server is out of connections: use fewer, or raise its limit")
    } else {
        None
    }
}

/// Whether this error is typical of a pooler in transaction mode: it rejects settings at the start,
/// and loses prepared statements.
pub fn pooler_complains(said: &DbError) -> bool {
    *said.code() == SqlState::DUPLICATE_PSTATEMENT
        || *said.code() == SqlState::INVALID_SQL_STATEMENT_NAME
        || said.message().contains("unsupported startup parameter")
}
