//! Runs everything: builds the parts, runs the event loop, supervises the other tasks, and shuts down in
//! order.
//!
//! - `event_loop`: passes inputs to the reactor, and starts what it decides.
//! - `tasks`: the other tasks; one that ends or panics ends the daemon with its name. They are
//!   the listener, the change feed, those of `listening` providers, the `heartbeat`, the `database_clock`, the
//!   `health` check, the `chores`, the `look_ups`, the `journal_watch`, the `recovery` of attempts of dead
//!   instances, the `restore` watch, which compares what is in `quarantine`, the `writer`, and the HTTP servers.
//! - `log_sums`: sums up log lines that repeat, with `repeats` and `outcome_log`.
//! - `start`: the checks before anything starts. `end`: the orderly shutdown.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::dispatch::{Dispatch, Payload};
use crate::http::Endpoint;
use crate::journal::{JournalError, StateDir};
use crate::listen;
use crate::message::{AttemptToken, Capabilities, InstanceId};
use crate::metrics::Metrics;
use crate::plan::reminders::Planning;
use crate::policy::Rules;
use crate::provider::{self, Callbacks, Providers};
use crate::reactor::{Reactor, Settings};
use crate::receipt::look_up::{LookUps, Pace};
use crate::schedule::LookUpPlan;
use crate::store::forecast::Assumed;
use crate::store::{
    AppTables, ConnectError, Dsn, MigrateError, SourceTable, StoreError, TrackingLinks,
};

mod backlog;
mod chores;
mod connections;
mod database_clock;
mod end;
mod event_loop;
mod health;
mod heartbeat;
mod journal_watch;
mod listening;
mod log_sums;
mod look_ups;
mod outcome_log;
mod quarantine;
mod recovery;
mod repeats;
mod restore;
mod servers;
mod signals;
mod start;
mod systemd;
mod tasks;
mod writer;

use connections::Connections;
use end::Running;
use event_loop::{EventLoop, Shared, Sources, Wakers};
use health::Health;
use outcome_log::OutcomeLog;
use restore::{Progress, Restore};
use servers::Http;
use start::Start;
use tasks::Tasks;

pub use repeats::SumUp;
pub use signals::stop_on_signal;
pub use tasks::TaskError;
pub use writer::Writer;

/// What a daemon is built from. Every value is valid.
pub struct Parts {
    /// The database.
    pub dsn: Dsn,
    /// The provider of each channel.
    pub providers: Providers,
    /// The installation's rules for all messages.
    pub rules: Rules,
    /// The source tables.
    pub sources: Vec<SourceTable>,
    /// The app's tables for sent messages; `None`: they have the usual names.
    pub app_tables: Option<AppTables>,
    /// Has texts written by a language model; `None`: nobody does.
    pub writer: Option<Writer>,
    /// How reminders of events are planned; `None`: they are not.
    pub planning: Option<Planning>,
    /// The reactor's settings.
    pub settings: Settings,
    /// Where HTTP is served, already bound.
    pub http: Endpoint,
    /// The provider's callbacks; `None`: none are accepted.
    pub callbacks: Option<CallbackParts>,
    /// Where the journal is; `None`: there is none.
    pub state_dir: Option<StateDir>,
    /// A person says that nothing is missing in the database, though it has another history.
    pub accept_restore: bool,
    /// A person confirms the database's clock, even if this host's differs.
    pub accept_clock: bool,
}

/// What callbacks need, and what else is for everybody.
pub struct CallbackParts {
    /// Parse them, for each account.
    pub callbacks: Vec<Arc<dyn Callbacks>>,
    /// The tracking links; `None`: they are not served.
    pub links: Option<TrackingLinks>,
    /// A separate address for them, already bound; `None`: that of all other routes.
    pub listener: Option<TcpListener>,
}

/// Why a daemon did not start, or did not shut down in order.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The schema is not the one this program needs.
    #[error(transparent)]
    Schema(#[from] MigrateError),
    /// Notifications do not arrive.
    #[error(transparent)]
    Unproven(#[from] listen::Unproven),
    /// Changes cannot be polled.
    #[error(transparent)]
    Unpolled(#[from] listen::Unpolled),
    /// There can be no change feed.
    #[error(transparent)]
    Unfed(#[from] listen::Unfed),
    /// No session with the database.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The database refuses something that every daemon needs.
    #[error("the database refuses this instance: {0}")]
    Database(#[from] StoreError),
    /// There is no journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The kernel refuses a timer.
    #[error("cannot create a timer")]
    Timer(#[source] std::io::Error),
    /// A task ended that must not end.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The database was unreachable while it stopped.
    #[error(
        "stopped with {0} claims that could not be released: their messages stay \
         `sending` until the lease is over and are then `unconfirmed`, though none was sent"
    )]
    Unrecorded(usize),
}

impl RunError {
    /// Whether the database is unreachable, perhaps only for a moment.
    fn is_away(&self) -> bool {
        match self {
            Self::Schema(error) => error.is_away(),
            Self::Unproven(error) => error.is_away(),
            Self::Unpolled(error) => error.is_away(),
            Self::Unfed(error) => error.is_away(),
            Self::Connect(error) => error.is_away(),
            Self::Database(error) => error.is_away(),
            Self::Journal(_) | Self::Timer(_) | Self::Task(_) | Self::Unrecorded(_) => false,
        }
    }
}

/// Runs until `stop`, then drains: claims nothing more, waits for requests in flight, records their
/// outcomes, releases the other claims.
pub async fn run(parts: Parts, stop: CancellationToken) -> Result<(), RunError> {
    // A task that ended stops this daemon, not the owner of the token.
    let stop = stop.child_token();
    let instance = InstanceId::fresh();
    let clock = Arc::new(clock(parts.accept_clock));
    let connections = Connections::of(&parts, instance, &clock);
    let (store, lineage) = (connections.store.clone(), connections.lineage.clone());
    let (rules, metrics) = (Arc::new(parts.rules), Arc::new(Metrics::default()));
    let limits = Arc::clone(&parts.settings.limits);
    let (input_tx, inputs) = mpsc::channel(limits.daemon.event_loop.inputs);
    // Before the database is reachable: /readyz says what is missing.
    let http = Http {
        endpoint: parts.http,
        callbacks: parts.callbacks,
        assumed: assumed(&rules, &parts.providers),
        limits: &limits.daemon,
    };
    let (servers, mut questions, handler) = http.serve(&store, &clock, &metrics, input_tx.clone());
    let (mut tasks, outcomes) = (Tasks::default(), Arc::new(OutcomeLog::default()));
    tasks.spawn("log sums", log_sums::keep(Arc::clone(&outcomes)));
    let start = Start {
        dsn: &parts.dsn,
        connections: &connections,
        clock: &clock,
        rules: &rules,
        sources: &parts.sources,
        app_tables: parts.app_tables.as_ref(),
        model: parts.writer.as_ref().map(Writer::model),
        plans: parts.planning.is_some(),
        limits: &limits.daemon,
        state_dir: parts.state_dir.as_ref(),
        accept_restore: parts.accept_restore,
    };
    let begun = tokio::select! {
        // Nothing has been claimed yet: there is nothing to finish.
        () = stop.cancelled() => return Ok(()),
        // Boxed because it is large and ends soon.
        there = Box::pin(start.when_there(&mut questions)) => there?,
    };
    tracing::info!(%instance, "started");

    let (heard_tx, heard) = mpsc::channel(limits.daemon.event_loop.inputs);
    let dispatch = Dispatch {
        store: store.clone(),
        providers: parts.providers,
        rules,
        clock: Arc::clone(&clock),
        metrics,
        lease: parts.settings.lease,
        limits: Arc::clone(&limits),
        journal: begun.as_ref().map(|begun| Arc::clone(&begun.journal)),
        lineage: lineage.clone(),
        notes: Arc::default(),
    };
    let (wakers, health) = (Wakers::default(), Health::default());
    listening::spawn_listener(&mut tasks, parts.dsn, &dispatch, heard_tx, &wakers);
    let recovered = handler.when_recovered();
    listening::spawn(&mut tasks, &dispatch.providers, handler);
    connections.spawn_own(&mut tasks, &dispatch, &input_tx, &wakers, &health);
    let chores = chores::Context::new(&dispatch, &input_tx, &wakers, parts.planning);
    let writer = writer::Context::of(parts.writer, &dispatch, &wakers);
    spawn_maintenance(&mut tasks, chores, look_ups(&dispatch), writer, &stop);

    let mut reactor = reactor(parts.settings, &dispatch);
    let (quarantined_tx, quarantined) = watch::channel(None);
    let (left_tx, left) = watch::channel(None);
    let mut progress = Progress::default();
    if let Some(mut begun) = begun {
        reactor.set_journal(true);
        let watch = journal_watch::keep(Arc::clone(&begun.journal), dispatch.clone());
        tasks.spawn("journal", watch);
        progress = std::mem::take(&mut begun.progress);
        begun.settle(&mut tasks, &dispatch, &input_tx, recovered);
    } else {
        recovered();
    }
    let progress = restore::at_start(progress, parts.accept_restore, &lineage);
    if let Some(before) = progress.open {
        reactor.handle(quarantine::input(before), clock.now());
    }
    let restore = Restore::new(&dispatch, &input_tx, quarantined, left_tx, progress);
    tasks.spawn("restore watch", restore.watch());
    let running = Running {
        tasks,
        servers,
        dispatch: dispatch.clone(),
        outcomes: Arc::clone(&outcomes),
        published: wakers.published.subscribe(),
        stop,
    };
    let shared = Shared {
        wakers,
        health,
        outcomes,
        quarantined: quarantined_tx,
        left,
    };
    let event_loop = EventLoop::new(reactor, dispatch, input_tx, shared);
    let sources = Sources {
        heard,
        inputs,
        questions,
    };
    running.until_drained(event_loop, sources).await
}

fn clock(accepts: bool) -> Clock {
    if accepts {
        Clock::accepting()
    } else {
        Clock::new()
    }
}

fn reactor(settings: Settings, dispatch: &Dispatch) -> Reactor<Payload> {
    Reactor::new(settings, dispatch.clock.now(), AttemptToken::fresh)
        .with_capabilities(dispatch.providers.all_capabilities())
        .with_routes(Arc::clone(&dispatch.rules.routes))
}

/// Starts the tasks on which no message that is due waits.
fn spawn_maintenance(
    tasks: &mut Tasks,
    chores: chores::Context,
    look_ups: LookUps,
    writer: Option<writer::Context>,
    stop: &CancellationToken,
) {
    tasks.spawn("chores", chores::keep(chores, stop.clone()));
    tasks.spawn("look-ups", look_ups::keep(look_ups, stop.clone()));
    if let Some(writer) = writer {
        tasks.spawn("writer", writer::keep(writer, stop.clone()));
    }
}

/// What forecasts assume until an instance has published its rules.
fn assumed(rules: &Rules, providers: &Providers) -> Assumed {
    Assumed {
        rules: rules.clone(),
        capabilities: providers.all_capabilities(),
        provider: provider::TEXTS,
    }
}

/// When text messages without a final status are looked up.
const fn unheard(provider: &Capabilities) -> LookUpPlan {
    if provider.receipts {
        LookUpPlan::UNHEARD
    } else {
        // No callback will come.
        LookUpPlan::NO_RECEIPTS
    }
}

/// What the providers of texts can do.
fn text_capabilities(providers: &Providers) -> Capabilities {
    let of = providers.of_texts();
    of.map_or(Capabilities::SENDS_ONLY, |of| of.capabilities())
}

fn look_ups(dispatch: &Dispatch) -> LookUps {
    LookUps {
        metrics: Arc::clone(&dispatch.metrics),
        clock: Arc::clone(&dispatch.clock),
        store: dispatch.store.clone(),
        providers: dispatch.providers.clone(),
        policy: dispatch.rules.in_doubt,
        max_lateness: dispatch.rules.max_lateness,
        unheard: unheard(&text_capabilities(&dispatch.providers)),
        pace: Pace::default(),
        limits: dispatch.limits.daemon.look_ups,
        group: dispatch.limits.daemon.receipts.group,
    }
}
