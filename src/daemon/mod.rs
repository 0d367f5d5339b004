//! Runs everything: builds the parts, turns the reactor's loop, and ends in good order.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::dispatch::{Dispatch, Input};
use crate::http::{self, HttpState, Question};
use crate::journal::{JournalError, StateDir};
use crate::listen;
use crate::message::{AttemptToken, InstanceId};
use crate::metrics::Metrics;
use crate::policy::Rules;
use crate::provider::Provider;
use crate::reactor::{Reactor, Settings};
use crate::receipt::enquire::Enquirer;
use crate::receipt::signature::Verifier;
use crate::receipt::{self, Webhooks};
use crate::schedule::Enquiry;
use crate::store::{Dsn, Lineage, MigrateError, Migrator, Store, StoreError, Watch};

mod beyond;
mod enquiries;
mod held;
mod recovery;
mod restore;
mod signals;
mod supervisor;
mod turn;
mod upkeep;

pub use signals::stop_on_signal;

/// Connections: two that claim, one that records, one for everything else. With the listener's
/// that makes five, which the smallest Supabase plan can spare.
const POOL: usize = 4;

/// Inputs waiting for the reactor. A full channel makes the senders wait, never lose.
const INPUTS: usize = 1_024;

/// Questions from HTTP waiting for the reactor.
const QUESTIONS: usize = 64;

/// What a daemon is built from. Every value is valid.
pub struct Parts {
    /// The database.
    pub dsn: Dsn,
    /// Who delivers.
    pub provider: Arc<dyn Provider>,
    /// What the installation lays down for all messages.
    pub rules: Rules,
    /// The reactor's settings.
    pub settings: Settings,
    /// Where HTTP listens, already bound.
    pub http: TcpListener,
    /// Who may see `/debug`.
    pub debug_token: Option<secrecy::SecretString>,
    /// The provider's callbacks; `None`: none are taken.
    pub webhooks: Option<WebhookParts>,
    /// Where the journal is; `None`: none is kept.
    pub state: Option<State>,
}

/// What the journal needs.
pub struct State {
    /// Where it is.
    pub dir: StateDir,
    /// A person says that nothing is missing in the database, though it has become another one.
    pub accept_restore: bool,
}

/// What callbacks need.
pub struct WebhookParts {
    /// Tells the provider's from others'.
    pub verifier: Verifier,
    /// Where they come, already bound; `None`: where everything else does.
    pub listener: Option<TcpListener>,
}

/// Why a daemon does not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The schema is not the one this program needs.
    #[error(transparent)]
    Schema(#[from] MigrateError),
    /// Nothing would be heard of what changes.
    #[error(transparent)]
    Unproven(#[from] listen::Unproven),
    /// The database does not let us in, or not do what we must.
    #[error("the database refuses this instance: {0}")]
    Database(#[from] StoreError),
    /// There is no journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The kernel has no timer for us.
    #[error("no timer from the kernel")]
    Timer(#[source] std::io::Error),
    /// The database was away while it stopped.
    #[error(
        "stopped with {0} claims that the database did not take back: their messages stay \
         `sending` until the lease is over and are then `unconfirmed`, though none was sent"
    )]
    Unrecorded(usize),
}

/// Runs until `stop`, then drains: claims nothing more, lets what is being sent end, records
/// it, gives the rest back.
pub async fn run(parts: Parts, stop: CancellationToken) -> Result<(), RunError> {
    let (instance, clock) = (InstanceId::fresh(), Arc::new(Clock::new()));
    // Callbacks bring their own connections, so that they take nobody else's.
    let callbacks = parts.webhooks.as_ref().map_or(0, |_| receipt::AT_ONCE);
    let unheard = match parts.webhooks {
        Some(_) => Enquiry::UNHEARD,
        // Nothing comes by itself.
        None => Enquiry::UNTOLD,
    };
    let (at_most, history) = (POOL + callbacks, Lineage::default());
    let watch = Watch::over(parts.dsn.clone());
    let of = parts.state.as_ref().map(|_| &history);
    let pool = parts.dsn.pool_with(at_most, of, Some(&watch));
    let store = Store::new(pool, instance)
        .with_watch(watch)
        .with_rules(&parts.rules)
        .with_enquiries(parts.provider.can_look_up().then(|| unheard.first()));
    let rules = Arc::new(parts.rules);
    let prepared = async {
        prepare(&parts.dsn, &store, &clock, &rules).await?;
        let begin = |state| restore::begin(state, &history, instance, clock.now().db);
        Ok::<_, RunError>(parts.state.map(begin).transpose()?)
    };
    let begun = tokio::select! {
        // Nothing has been claimed yet: there is nothing to finish.
        () = stop.cancelled() => return Ok(()),
        begun = prepared => begun?,
    };
    tracing::info!(%instance, "started");

    let metrics = Arc::new(Metrics::default());
    let (heard_tx, heard) = mpsc::channel(INPUTS);
    let (input_tx, inputs) = mpsc::channel(INPUTS);
    let (question_tx, questions) = mpsc::channel::<Question>(QUESTIONS);
    let dispatch = Dispatch {
        store: store.clone(),
        provider: parts.provider,
        rules,
        clock: Arc::clone(&clock),
        metrics: Arc::clone(&metrics),
        lease: parts.settings.lease,
        journal: begun.as_ref().map(|begun| Arc::clone(&begun.journal)),
    };

    // Everything beside the loop. Dropping the set at the end drops them.
    let mut beside = JoinSet::new();
    let members = Arc::new(Notify::new());
    beside.spawn(listen::listen(parts.dsn, store.clone(), heard_tx));
    beside.spawn(upkeep::keep(
        dispatch.clone(),
        begun.as_ref().map(|_| history.clone()),
        input_tx.clone(),
        Arc::clone(&members),
        stop.clone(),
    ));
    let enquirer = enquirer(&dispatch, unheard);
    beside.spawn(enquiries::keep(enquirer, stop.clone()));
    let mut reactor = Reactor::new(parts.settings, clock.now(), AttemptToken::fresh);
    let (held_tx, held) = watch::channel(None);
    let (left_tx, left) = watch::channel(None);
    let journal = dispatch.journal.clone();
    if let Some(begun) = begun {
        if let Some(before) = begun.held_before {
            reactor.handle(Input::Hold { before }, clock.now());
        }
        let (dispatch, inputs) = (dispatch.clone(), input_tx.clone());
        begun.look_after(&mut beside, dispatch, history, inputs, held, left_tx);
    }
    let http_stop = CancellationToken::new();
    let state = HttpState::new(question_tx, Arc::clone(&metrics), parts.debug_token)
        .with_stories(store.clone());
    let webhooks = parts.webhooks.map(|parts| {
        let (clock, metrics) = (Arc::clone(&clock), Arc::clone(&metrics));
        let webhooks = Webhooks::new(parts.verifier, store.clone(), clock, metrics)
            .with_max_lateness(dispatch.rules.max_lateness);
        (webhooks, parts.listener)
    });
    let served = serve_http(parts.http, state, webhooks, &http_stop);

    let held = (held_tx, left);
    let turn = turn::Turn::new(reactor, dispatch, input_tx, instance, members, held);
    let sources = turn::Sources {
        heard,
        inputs,
        questions,
    };
    let unrecorded = turn.run(sources, stop).await.map_err(RunError::Timer)?;

    beside.shutdown().await;
    if unrecorded == 0 {
        sign_off(&store).await;
    }
    if let (0, Some(journal)) = (unrecorded, journal) {
        journal.close();
    }
    http_stop.cancel();
    // Their own deadline ends them.
    served.join_all().await;
    if unrecorded > 0 {
        return Err(RunError::Unrecorded(unrecorded));
    }
    tracing::info!(%instance, "stopped");
    Ok(())
}

async fn sign_off(store: &Store) {
    match upkeep::sign_off(store).await {
        Ok(()) => upkeep::tell_of_members(store).await,
        Err(error) => {
            tracing::warn!(%error, "could not sign off; the heartbeat will run out instead");
        }
    }
}

fn enquirer(dispatch: &Dispatch, unheard: Enquiry) -> Enquirer {
    Enquirer {
        metrics: Arc::clone(&dispatch.metrics),
        store: dispatch.store.clone(),
        provider: Arc::clone(&dispatch.provider),
        policy: dispatch.rules.in_doubt,
        max_lateness: dispatch.rules.max_lateness,
        unheard,
    }
}

/// Makes sure that this database will do, before anything is begun in it.
async fn prepare(
    dsn: &Dsn,
    store: &Store,
    clock: &Clock,
    rules: &Arc<Rules>,
) -> Result<(), RunError> {
    listen::prove(dsn).await?;
    Migrator::embedded().check(dsn).await?;
    store.instance_start().await?;
    upkeep::tell_of_members(store).await;
    upkeep::open(store).await;
    upkeep::measure(store, clock).await?;
    store.keep_settings(rules).await?;
    upkeep::tell_days(store, Arc::clone(rules), clock.now().db).await?;
    Ok(())
}

/// Begins to listen: one listener for everything, or one of their own for the callbacks.
fn serve_http(
    listener: TcpListener,
    state: HttpState,
    webhooks: Option<(Webhooks, Option<TcpListener>)>,
    stop: &CancellationToken,
) -> JoinSet<()> {
    let mut served = JoinSet::new();
    let state = match webhooks {
        None => state,
        Some((webhooks, None)) => state.with_webhooks(webhooks),
        Some((webhooks, Some(own))) => {
            let limits = http::Limits::default();
            served.spawn(http::serve_webhooks(own, webhooks, limits, stop.clone()));
            state
        }
    };
    served.spawn(http::serve(listener, state, stop.clone()));
    served
}
