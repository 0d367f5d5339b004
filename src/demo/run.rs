//! Starts what the demo needs (a private Postgres, the simulated phone, the daemon), plays the script, and
//! stops everything again.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::phone::Phone;
use super::play::Player;
use super::postgres::{Options, PostgresError, PrivatePostgres};
use super::webhook;
use crate::clock;
use crate::daemon::{self, Parts, RunError};
use crate::http::{self, Endpoint, RuntimeDir, Socket, Tokens};
use crate::message::{Channel, Moment, Sender};
use crate::policy::Rules;
use crate::provider::twilio::{Credentials, Twilio, TwilioConfig};
use crate::provider::webhook::{Webhook, WebhookConfig};
use crate::provider::{ClientError, Providers};
use crate::reactor::Settings;
use crate::schedule::LeadSetting;
use crate::store::user::UserSession;
use crate::store::{ConnectError, Dsn, DsnError, MigrateError, Migrator, StoreError};

/// The page's address, if the port is free.
const PAGE: &str = "127.0.0.1:8080";

/// The sender of the demo's messages. `+1 555 01xx` numbers are reserved for fiction.
const SENDER: &str = "+12025550100";

/// The result of the demo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DemoReport {
    /// Each message that was lost, doubled, early or wrongly sent.
    pub faults: Vec<String>,
}

/// Why the demo could not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The private Postgres did not start or stop.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// Its address does not parse.
    #[error(transparent)]
    Dsn(#[from] DsnError),
    /// It refused a connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The schema could not be created.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// A statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The daemon did not start.
    #[error(transparent)]
    Daemon(#[from] RunError),
    /// The client for the simulated phone could not be built.
    #[error(transparent)]
    Provider(#[from] ClientError),
    /// No free port on loopback.
    #[error("cannot bind 127.0.0.1")]
    Socket(#[from] std::io::Error),
    /// The HTTP address could not be bound.
    #[error(transparent)]
    Bind(#[from] http::BindError),
    /// A line could not be printed.
    #[error("cannot print")]
    Print(#[source] anyhow::Error),
    /// A task ended before the demo did.
    #[error("{0} ended unexpectedly")]
    Ended(&'static str),
}

/// Prints one line.
type Print<'a> = &'a mut (dyn FnMut(&str) -> anyhow::Result<()> + Send);

/// How the demo runs.
pub struct DemoOptions {
    /// Exit after the last message; otherwise the daemon keeps running, so that people can look around.
    pub exit_after: bool,
    /// Whether the output is a terminal: only there the page's address includes its token.
    pub terminal: bool,
    /// The directory of the daemon's socket.
    pub runtime: RuntimeDir,
}

/// Runs the demo until its end, or until `stop`.
pub async fn run(
    stop: CancellationToken,
    options: DemoOptions,
    print: Print<'_>,
) -> Result<DemoReport, DemoError> {
    let mut say = |line: String| print(&format!("{line}\n")).map_err(DemoError::Print);
    say("starting a private Postgres …".into())?;
    let postgres = tokio::task::spawn_blocking(|| PrivatePostgres::start(Options::default()))
        .await
        .map_err(|_| DemoError::Ended("the start of Postgres"))??;
    let dsn = Dsn::parse(&postgres.url("postgres"))?;
    let migrated = Migrator::embedded().run(&dsn).await?;
    say(format!(
        "created the schema: {} migrations, {} trigger files",
        migrated.applied.len(),
        migrated.triggers.len()
    ))?;

    let mut helpers = JoinSet::new();
    let (phone, phone_server, arrivals) = Phone::start(stop.clone()).await?;
    helpers.spawn(async move {
        let _ = phone_server.await;
    });
    let (client, connection) = dsn.connect().await?;
    helpers.spawn(async move {
        let _ = connection.await;
    });
    let app = UserSession::new(client);

    let endpoint = endpoint(options.runtime).await?;
    let page = page(&endpoint, options.terminal)?;
    let daemon_stop = CancellationToken::new();
    let mut daemon = JoinSet::new();
    daemon.spawn(daemon::run(
        parts(&dsn, &phone, endpoint)?,
        daemon_stop.clone(),
    ));
    say(page)?;
    say(format!("the database:        {}", postgres.url("postgres")))?;

    let player = Player {
        app,
        phone,
        began: Moment::from_micros(clock::reading().real_us),
    };
    let mut report = DemoReport::default();
    let outcome = tokio::select! {
        result = player.play(arrivals, &mut say) => Some(result),
        ended = daemon.join_next() => return Err(match ended {
            Some(Ok(Err(why))) => why.into(),
            _ => DemoError::Ended("the daemon"),
        }),
        () = stop.cancelled() => None,
    };
    if let Some(result) = outcome {
        report = result?;
        if !options.exit_after {
            say("done; the daemon keeps running until Ctrl-C".into())?;
            stop.cancelled().await;
        }
    }

    daemon_stop.cancel();
    let ended = daemon.join_next().await;
    stop.cancel();
    helpers.shutdown().await;
    let stopped = tokio::task::spawn_blocking(move || postgres.stop()).await;
    match ended {
        Some(Ok(done)) => done?,
        _ => return Err(DemoError::Ended("the daemon")),
    }
    stopped.map_err(|_| DemoError::Ended("the stop of Postgres"))??;
    Ok(report)
}

/// Where the demo's daemon serves HTTP. Its tokens are new for each run, so they need no file.
async fn endpoint(runtime: RuntimeDir) -> Result<Endpoint, DemoError> {
    let tcp = match TcpListener::bind(PAGE).await {
        Ok(listener) => listener,
        Err(_) => http::bind(SocketAddr::from(([127, 0, 0, 1], 0)), "any free port").await?,
    };
    let runtime = runtime.listening_on(tcp.local_addr()?);
    Ok(Endpoint {
        tcp,
        // The page works without one.
        socket: Socket::open(&runtime).ok(),
        tokens: Tokens::fresh(),
    })
}

/// Where the page and the debug JSON are.
fn page(endpoint: &Endpoint, terminal: bool) -> Result<String, DemoError> {
    let addr = endpoint.tcp.local_addr()?;
    let page = if terminal {
        let token = endpoint.tokens.debug().expose_secret();
        format!("http://{addr}/login?token={token}")
    } else {
        format!("http://{addr}/ (printed with its token on a terminal only)")
    };
    let by_socket = endpoint.socket.as_ref().map(|socket| {
        let path = socket.path().display();
        format!("\nwithout a token:     curl --unix-socket {path} http://punctual/debug/timers")
    });
    Ok(format!(
        "the live page:       {page}{}",
        by_socket.unwrap_or_default()
    ))
}

/// A daemon that sends to the phone and calls its endpoint.
fn parts(dsn: &Dsn, phone: &Phone, http: Endpoint) -> Result<Parts, DemoError> {
    let send_timeout = Duration::from_secs(10);
    let parse = "a constant of the demo parses";
    let twilio = Twilio::new(&TwilioConfig {
        account_sid: "AC00000000000000000000000000000000".parse().expect(parse),
        credentials: Credentials::AuthToken("demo".to_owned().into()),
        base_url: format!("http://{}", phone.addr).parse().expect(parse),
        send_timeout,
        max_in_flight: NonZeroUsize::new(16).expect(parse),
        status_callback: None,
    })?;
    let webhook = Webhook::new(&WebhookConfig {
        secrets: format!("whsec_{}", webhook::KEY).parse().expect(parse),
        // The endpoint is on this machine.
        allowed: phone.addr.ip().to_string().parse().expect(parse),
        send_timeout,
        max_in_flight: NonZeroUsize::MIN,
    })?;
    Ok(Parts {
        sources: Vec::new(),
        app_tables: None,
        writer: None,
        planning: None,
        dsn: dsn.clone(),
        providers: Providers::texts(Arc::new(twilio)).with(Channel::Webhook, Arc::new(webhook)),
        rules: Rules {
            default_sender: Some(SENDER.parse::<Sender>().expect(parse)),
            ..Rules::default()
        },
        settings: Settings {
            horizon: Duration::from_secs(3600),
            lead: LeadSetting::Auto,
            max_in_flight: 16,
            lease: Duration::from_secs(30),
            send_timeout,
            limits: Arc::default(),
        },
        http,
        callbacks: None,
        state_dir: None,
        accept_restore: false,
        accept_clock: false,
    })
}
