//! Compares what is in quarantine with the provider's list, in a task of its own: what is due later never waits
//! for it.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use crate::dispatch::Input;
use crate::message::{MessageId, Moment};
use crate::proof::matching::ABSENT_AFTER;
use crate::proof::quarantine::{CLEARED_MAX, Reconciliation, StayReason, WRITTEN_AFTER};
use crate::receipt::reconcile::Reconciler;

/// What the latest comparison left in quarantine, for HTTP.
#[derive(Debug)]
pub(super) struct Remaining {
    pub(super) rows: usize,
    pub(super) reasons: BTreeMap<MessageId, StayReason>,
}

/// What is due before this is in quarantine.
pub(super) fn input(before: Moment) -> Input {
    Input::Quarantine {
        before,
        written_until: before + WRITTEN_AFTER,
    }
}

/// Compares until every row is decided, and clears what was not sent.
pub(super) async fn reconcile(
    reconciler: &Reconciler,
    before: Moment,
    inputs: &mpsc::Sender<Input>,
    left: &watch::Sender<Option<Remaining>>,
) {
    let limits = &reconciler.limits;
    let mut cleared = BTreeSet::new();
    let mut comparisons = 0;
    loop {
        comparisons += 1;
        let mut pause = limits.comparisons.pause(comparisons);
        match reconciler.reconcile(before, &cleared).await {
            Ok(found) if found.is_over() => {
                log_end(&found);
                return;
            }
            Ok(mut found) => {
                left.send_replace(Some(Remaining {
                    rows: found.remaining.values().sum(),
                    reasons: std::mem::take(&mut found.reasons),
                }));
                log(&found, before);
                if found.unsent_more > 0 {
                    pause = limits.comparisons.pause(1);
                }
                // A comparison at the time from which a message that is not on the list was not sent.
                let until_proof = ABSENT_AFTER.saturating_sub(found.age);
                if !until_proof.is_zero() {
                    pause = pause.min(until_proof);
                }
                // Those of previous comparisons too: the reactor may not have had room for them.
                let mut unsent = found.unsent;
                unsent.extend(found.cleared);
                cleared.clear();
                if let Err(error) = reconciler.clear(&unsent).await {
                    tracing::warn!(%error, "messages could not be cleared from quarantine; retrying");
                    pause = pause.min(limits.comparison_retry);
                } else {
                    pass_on(unsent, &mut cleared, inputs).await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "messages in quarantine could not be looked up; retrying");
                pause = pause.min(limits.comparison_retry);
            }
        }
        // From the first one on after each comparison: a transaction that ended late may have written one that
        // is before the last one read.
        let mut last = None;
        while !pause.is_zero() {
            let nap = pause.min(limits.cleared_every);
            sleep(nap).await;
            pause = pause.saturating_sub(nap);
            match reconciler.cleared(last).await {
                Ok(more) => {
                    last = more.last().copied().or(last);
                    let more = more.iter().map(|cleared| cleared.id).collect();
                    pass_on(more, &mut cleared, inputs).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "what other instances have cleared could not be read; retrying");
                }
            }
        }
    }
}

/// Passes those that are not in `cleared` yet to the reactor, which loads them if they are still to be sent.
async fn pass_on(
    unsent: Vec<MessageId>,
    cleared: &mut BTreeSet<MessageId>,
    inputs: &mpsc::Sender<Input>,
) {
    let mut more = Vec::new();
    for id in unsent {
        if cleared.len() < CLEARED_MAX && cleared.insert(id) {
            more.push(id);
        }
    }
    if !more.is_empty() {
        // A closed channel: the daemon is ending.
        let _ = inputs.send(Input::QuarantineCleared(more)).await;
    }
}

/// What one comparison showed.
fn log(found: &Reconciliation, before: Moment) {
    let remaining: usize = found.remaining.values().sum();
    tracing::warn!(
        held_before = %before,
        sent = found.sent,
        absent = found.unsent.len() + found.unsent_more,
        held = remaining,
        reasons = found.in_words(),
        "messages in quarantine after a restore were compared with the provider's list, and will be \
         again. To decide by hand: mark one as sent, cancel or reschedule it. To release all, if none \
         can have been sent: punctual run --accept-restore"
    );
}

fn log_end(found: &Reconciliation) {
    tracing::info!(
        sent = found.sent,
        absent = found.unsent.len() + found.unsent_more,
        "the provider's list decides every message in quarantine"
    );
}
