//! Who says when the database has changed; the providers that keep a connection of their own, and who records what they
//! receive there.

use tokio::sync::mpsc;

use super::event_loop::Wakers;
use super::tasks::Tasks;
use crate::dispatch::Dispatch;
use crate::listen::{self, Heard, Way};
use crate::provider::Providers;
use crate::receipt::CallbackHandler;
use crate::store::Dsn;

/// How much may wait to be recorded. The provider keeps what is more.
const WAITING: usize = 64;

/// Starts the tasks that say when the database has changed, or that it answers.
pub(super) fn spawn_listener(
    tasks: &mut Tasks,
    dsn: Dsn,
    dispatch: &Dispatch,
    heard: mpsc::Sender<Heard>,
    wakers: &Wakers,
) {
    let (store, limits) = (dispatch.store.clone(), dispatch.limits.daemon.channel);
    if dsn.is_polled() {
        tasks.spawn("listener", listen::poll(store, heard, limits));
        return;
    }
    if limits.is_fed {
        let way = Way::Feed {
            silence: dispatch.limits.daemon.heartbeat.silence,
            others: wakers.feed.clone(),
        };
        let (written_tx, written) = mpsc::channel(limits.written_max);
        let feed = listen::listen(dsn.clone(), store.clone(), written_tx, limits, way);
        tasks.spawn("feed", feed);
        let visible = listen::when_visible(written, store.clone(), heard.clone(), limits);
        tasks.spawn("feed's transactions", visible);
    }
    let way = Way::Notices {
        beside_feed: limits.is_fed,
    };
    let listener = listen::listen(dsn, store, heard, limits, way);
    tasks.spawn("listener", listener);
}

/// Starts the tasks of those providers, if there are any.
pub(super) fn spawn(tasks: &mut Tasks, providers: &Providers, handler: CallbackHandler) {
    let (heard_tx, heard) = mpsc::channel(WAITING);
    let listening: Vec<_> = providers
        .all()
        .filter_map(|provider| provider.listen(heard_tx.clone()))
        .collect();
    if listening.is_empty() {
        return;
    }
    for provider in listening {
        tasks.spawn("provider's connection", provider);
    }
    tasks.spawn("what providers receive", handler.listen(heard));
}
