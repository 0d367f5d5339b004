//! The providers that keep a connection of their own, and who records what they receive there.

use tokio::sync::mpsc;

use super::tasks::Tasks;
use crate::provider::Providers;
use crate::receipt::CallbackHandler;

/// How much may wait to be recorded. The provider keeps what is more.
const WAITING: usize = 64;

/// Starts their tasks, if there are any.
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
