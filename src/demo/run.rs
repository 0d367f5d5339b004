//! Performs the script against the real thing: a real Postgres, the real daemon, real HTTP.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::lines::{milliseconds, summary, time};
use super::phone::{Arrival, Phone};
use super::postgres::{Options, PostgresError, PrivatePostgres};
use super::script::{Deed, Fate, SCENES, Scene};
use super::users;
use crate::clock;
use crate::daemon::{self, Parts, RunError};
use crate::http::{self, Endpoint, RuntimeDir, Socket, Tokens};
use crate::message::{MessageId, Moment, Sender, Status};
use crate::policy::Rules;
use crate::provider::twilio::{Credentials, Twilio, TwilioConfig, TwilioError};
use crate::reactor::Settings;
use crate::schedule::LeadSetting;
use crate::store::user::UserSession;
use crate::store::{ConnectError, Dsn, DsnError, MigrateError, Migrator, StoreError};

/// The page's address, if nobody else has it.
const PAGE: &str = "127.0.0.1:8080";

/// After a message is over with, its row is looked at; recording takes a few milliseconds.
const SETTLE: Duration = Duration::from_millis(500);

/// Who the demo sends as. `+1 555 01xx` numbers are reserved for fiction.
const SENDER: &str = "+12025550100";

/// How the demo went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What was lost, doubled, early or wrongly sent; empty if all went well.
    pub faults: Vec<String>,
}

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// No private Postgres.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// Its address does not parse.
    #[error(transparent)]
    Dsn(#[from] DsnError),
    /// It does not let us in.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// No schema in it.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// A statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The daemon did not start.
    #[error(transparent)]
    Daemon(#[from] RunError),
    /// No client for the pretend phone.
    #[error(transparent)]
    Provider(#[from] TwilioError),
    /// No socket.
    #[error("cannot bind 127.0.0.1")]
    Socket(#[from] std::io::Error),
    /// No address for HTTP.
    #[error(transparent)]
    Bind(#[from] http::BindError),
    /// A line could not be printed.
    #[error("cannot print")]
    Print(#[source] anyhow::Error),
    /// A part ended that should not.
    #[error("{0} ended unexpectedly")]
    Ended(&'static str),
}

type Print<'a> = &'a mut (dyn FnMut(&str) -> anyhow::Result<()> + Send);

/// How a demo is to go.
pub struct Ways {
    /// End with the last message; otherwise it goes on, for people who want to look around.
    pub exit_after: bool,
    /// Whether a terminal is printed to: only there the page's address has its token with it.
    pub terminal: bool,
    /// Where the daemon's socket is to be, but for the address.
    pub runtime: RuntimeDir,
}

/// Runs the demo until its end, or until `stop`.
pub async fn run(
    stop: CancellationToken,
    ways: Ways,
    print: Print<'_>,
) -> Result<Verdict, DemoError> {
    let mut say = |line: String| print(&format!("{line}\n")).map_err(DemoError::Print);
    say("starting a private Postgres …".into())?;
    let postgres = tokio::task::spawn_blocking(|| PrivatePostgres::start(Options::default()))
        .await
        .map_err(|_| DemoError::Ended("the start of Postgres"))??;
    let dsn = Dsn::parse(&postgres.url("postgres"))?;
    let report = Migrator::embedded().run(&dsn).await?;
    say(format!(
        "created the schema: {} migrations, {} trigger files",
        report.applied.len(),
        report.triggers.len()
    ))?;

    let mut beside = JoinSet::new();
    let (phone, phone_server, rings) = Phone::plug_in(stop.clone()).await?;
    beside.spawn(async move {
        let _ = phone_server.await;
    });
    let (client, connection) = dsn.connect().await?;
    beside.spawn(async move {
        let _ = connection.await;
    });
    let app = UserSession::new(client);

    let endpoint = endpoint(ways.runtime).await?;
    let page = page(&endpoint, ways.terminal)?;
    let daemon_stop = CancellationToken::new();
    let mut daemon = JoinSet::new();
    daemon.spawn(daemon::run(
        parts(&dsn, &phone, endpoint)?,
        daemon_stop.clone(),
    ));
    say(page)?;
    say(format!("the database:        {}", postgres.url("postgres")))?;

    let stage = Stage {
        app,
        phone,
        began: Moment::from_micros(clock::reading().real_us),
    };
    let mut verdict = Verdict::default();
    let outcome = tokio::select! {
        played = stage.play(rings, &mut say) => Some(played),
        ended = daemon.join_next() => return Err(match ended {
            Some(Ok(Err(why))) => why.into(),
            _ => DemoError::Ended("the daemon"),
        }),
        () = stop.cancelled() => None,
    };
    if let Some(played) = outcome {
        verdict = played?;
        if !ways.exit_after {
            say("that was all; Ctrl-C ends it, until then the daemon goes on".into())?;
            stop.cancelled().await;
        }
    }

    daemon_stop.cancel();
    let ended = daemon.join_next().await;
    stop.cancel();
    beside.shutdown().await;
    let stopped = tokio::task::spawn_blocking(move || postgres.stop()).await;
    match ended {
        Some(Ok(done)) => done?,
        _ => return Err(DemoError::Ended("the daemon")),
    }
    stopped.map_err(|_| DemoError::Ended("the stop of Postgres"))??;
    Ok(verdict)
}

/// Its tokens are nobody's before and nobody's after, so they need no file.
async fn endpoint(runtime: RuntimeDir) -> Result<Endpoint, DemoError> {
    let tcp = match TcpListener::bind(PAGE).await {
        Ok(listener) => listener,
        Err(_) => http::bind(SocketAddr::from(([127, 0, 0, 1], 0)), "any free port").await?,
    };
    let runtime = runtime.listening_on(tcp.local_addr()?);
    Ok(Endpoint {
        tcp,
        // Without one the page is still there.
        socket: Socket::open(&runtime).ok(),
        tokens: Tokens::fresh(),
    })
}

/// How to look inside.
fn page(endpoint: &Endpoint, terminal: bool) -> Result<String, DemoError> {
    let addr = endpoint.tcp.local_addr()?;
    let page = if terminal {
        let token = endpoint.tokens.debug().expose_secret();
        format!("http://{addr}/login?token={token}")
    } else {
        format!("http://{addr}/ (a terminal is shown the token)")
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

fn parts(dsn: &Dsn, phone: &Phone, http: Endpoint) -> Result<Parts, DemoError> {
    let send_timeout = Duration::from_secs(10);
    let parse = "the demo's own constants parse";
    let twilio = Twilio::new(&TwilioConfig {
        account_sid: "AC00000000000000000000000000000000".parse().expect(parse),
        credentials: Credentials::AuthToken("demo".to_owned().into()),
        base_url: format!("http://{}", phone.addr).parse().expect(parse),
        send_timeout,
        max_in_flight: NonZeroUsize::new(16).expect(parse),
        status_callback: None,
    })?;
    Ok(Parts {
        dsn: dsn.clone(),
        provider: Arc::new(twilio),
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
        webhooks: None,
        state: None,
    })
}

struct Stage {
    app: UserSession,
    phone: Phone,
    began: Moment,
}

/// One thing that happens on the stage.
enum Cue {
    Insert(usize),
    Act(usize, Deed),
    Look(usize),
}

impl Stage {
    async fn play(
        &self,
        mut rings: mpsc::UnboundedReceiver<Arrival>,
        say: &mut (impl FnMut(String) -> Result<(), DemoError> + Send),
    ) -> Result<Verdict, DemoError> {
        let mut cues: Vec<(Duration, Cue)> = Vec::new();
        for (n, scene) in SCENES.iter().enumerate() {
            cues.push((scene.inserted, Cue::Insert(n)));
            if let Some((at, deed)) = scene.deed {
                cues.push((at, Cue::Act(n, deed)));
            }
            if !matches!(scene.fate(), Fate::Arrives(..)) {
                cues.push((scene.over() + SETTLE, Cue::Look(n)));
            }
        }
        cues.sort_by_key(|(at, _)| *at);
        say(format!(
            "\n{:<24}{:<17}{:<17}{:>12}",
            "message", "planned (UTC)", "arrived", "late"
        ))?;

        users::settle(&self.app, self.began).await?;
        let mut ids: HashMap<usize, MessageId> = HashMap::new();
        for (at, cue) in cues {
            self.until(at, &mut rings, say).await?;
            match cue {
                Cue::Insert(n) => {
                    let scene = &SCENES[n];
                    let at = self.began + scene.at;
                    let user = users::of(scene.of);
                    let id = self.app.insert(user, scene.to, scene.body, at);
                    ids.insert(n, id.await?);
                }
                Cue::Act(n, deed) => self.act(ids[&n], deed).await?,
                Cue::Look(n) => say(self.line_of_unsent(&SCENES[n], ids[&n]).await?)?,
            }
        }
        let last = SCENES.iter().map(Scene::over).max().unwrap_or_default();
        self.until(last + SETTLE, &mut rings, say).await?;
        let verdict = self.judge(&ids).await?;
        say(summary(&self.phone.arrivals(), &verdict))?;
        Ok(verdict)
    }

    /// Waits until so long after the start, printing what arrives meanwhile.
    async fn until(
        &self,
        at: Duration,
        rings: &mut mpsc::UnboundedReceiver<Arrival>,
        say: &mut (impl FnMut(String) -> Result<(), DemoError> + Send),
    ) -> Result<(), DemoError> {
        let now = Moment::from_micros(clock::reading().real_us);
        let mut pause = std::pin::pin!(sleep((self.began + at).since(now)));
        loop {
            tokio::select! {
                () = &mut pause => return Ok(()),
                Some(arrival) = rings.recv() => say(self.line_of(&arrival))?,
            }
        }
    }

    async fn act(&self, id: MessageId, deed: Deed) -> Result<(), DemoError> {
        match deed {
            Deed::Move(at) => self.app.reschedule(id, self.began + at).await?,
            Deed::Edit(body) => self.app.edit(id, body).await?,
            Deed::Cancel => self.app.cancel(id).await?,
            Deed::Delete => self.app.delete(id).await?,
        };
        Ok(())
    }

    fn line_of(&self, arrival: &Arrival) -> String {
        let scene = SCENES
            .iter()
            .find(|s| matches!(s.fate(), Fate::Arrives(_, body) if body == arrival.body));
        let Some(scene) = scene else {
            return format!("{:<24}{:<17}{:<17}", "NOT EXPECTED", "-", time(arrival.at));
        };
        let planned = self.began + scene.over();
        format!(
            "{:<24}{:<17}{:<17}{:>12}",
            scene.title,
            time(planned),
            time(arrival.at),
            milliseconds(arrival.at.micros_from(planned))
        )
    }

    async fn line_of_unsent(&self, scene: &Scene, id: MessageId) -> Result<String, DemoError> {
        let fate = match self.app.fate(id).await? {
            None => "deleted, not sent".to_owned(),
            Some((status, None)) => format!("{}, not sent", status.as_str()),
            Some((status, Some(why))) => format!("{}, not sent: {why}", status.as_str()),
        };
        let planned = time(self.began + scene.at);
        Ok(format!("{:<24}{planned:<17}{fate}", scene.title))
    }

    /// Holds what arrived, and how the rows ended, against the script.
    async fn judge(&self, ids: &HashMap<usize, MessageId>) -> Result<Verdict, DemoError> {
        let arrivals = self.phone.arrivals();
        let mut faults = Vec::new();
        let mut expected = 0;
        for (n, scene) in SCENES.iter().enumerate() {
            let fate = self.app.fate(ids[&n]).await?.map(|(status, _)| status);
            let wanted = match scene.fate() {
                Fate::Arrives(at, body) => {
                    expected += 1;
                    let due = self.began + at;
                    let mine: Vec<_> = arrivals.iter().filter(|a| a.body == body).collect();
                    match mine.as_slice() {
                        [] => faults.push(format!("lost: {}", scene.title)),
                        [one] if one.at < due => faults.push(format!("early: {}", scene.title)),
                        [_] => {}
                        _ => faults.push(format!("sent {} times: {}", mine.len(), scene.title)),
                    }
                    Some(Status::Sent)
                }
                Fate::Cancelled => Some(Status::Cancelled),
                Fate::Failed => Some(Status::Failed),
                Fate::Deleted => None,
            };
            if fate != wanted {
                let is = fate.map_or("gone", Status::as_str);
                faults.push(format!("the row of {:?} is {is}", scene.title));
            }
        }
        if arrivals.len() != expected {
            faults.push(format!(
                "{} texts arrived, {expected} should have",
                arrivals.len()
            ));
        }
        Ok(Verdict { faults })
    }
}
