//! Finds out what of that which is held was sent, by the provider's list: beside the loop, so
//! that what is due after the hold never waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use crate::dispatch::Input;
use crate::journal::Journal;
use crate::message::{MessageId, Moment};
use crate::proof::matching::ABSENT_AFTER;
use crate::proof::quarantine::{CLEARED_MAX, Reason, Reconciliation};
use crate::receipt::reconcile::Reconciler;
use crate::schedule::Backoff;

/// Between two looks, ever longer: what an hour has not told, only a person can.
const LOOKS: Backoff = Backoff::new(Duration::from_secs(30), Duration::from_secs(3600));

/// After a look that the database did not let come to its end.
const AGAIN: Duration = Duration::from_secs(5);

/// Rows written after the hold that are due before it are looked for so often: somebody means
/// them to go now. The provider is not asked for that.
const FRESH: Duration = Duration::from_secs(5);

/// What the latest look left held, for those who ask.
#[derive(Debug)]
pub(super) struct Remaining {
    pub(super) rows: usize,
    pub(super) reasons: BTreeMap<MessageId, Reason>,
}

/// Looks until it is known of everything whether it was sent, and lets go what was not.
pub(super) async fn reconcile(
    reconciler: &Reconciler,
    before: Moment,
    journal: &Journal,
    inputs: &mpsc::Sender<Input>,
    left: &watch::Sender<Option<Remaining>>,
) {
    let mut free = BTreeSet::new();
    let mut looks = 0;
    loop {
        looks += 1;
        let mut pause = LOOKS.pause(looks);
        match reconciler.look(before, &free).await {
            Ok(looked) if looked.is_over() => {
                return release(&looked, journal, inputs).await;
            }
            Ok(mut looked) => {
                left.send_replace(Some(Remaining {
                    rows: looked.held.values().sum(),
                    reasons: std::mem::take(&mut looked.reasons),
                }));
                tell(&looked, before);
                if looked.more > 0 {
                    pause = LOOKS.pause(1);
                }
                // One look as soon as a miss is proof.
                let until_proof = ABSENT_AFTER.saturating_sub(looked.age);
                if !until_proof.is_zero() {
                    pause = pause.min(until_proof);
                }
                // Those of before too: the reactor may not have had room for them.
                let mut absent = looked.absent;
                absent.extend(looked.free);
                free.clear();
                clear(absent, &mut free, inputs).await;
            }
            Err(error) => {
                tracing::warn!(%error, "messages in quarantine could not be looked up; retrying");
                pause = pause.min(AGAIN);
            }
        }
        while !pause.is_zero() {
            let nap = pause.min(FRESH);
            sleep(nap).await;
            pause = pause.saturating_sub(nap);
            match reconciler.fresh(before).await {
                Ok(fresh) => clear(fresh, &mut free, inputs).await,
                Err(error) => {
                    tracing::warn!(%error, "rows written since the restore could not be read; retrying");
                }
            }
        }
    }
}

async fn release(looked: &Reconciliation, journal: &Journal, inputs: &mpsc::Sender<Input>) {
    tracing::warn!(
        sent = looked.sent,
        absent = looked.absent.len() + looked.more,
        "quarantine ended: every message in it is accounted for"
    );
    // A closed channel: the daemon is ending, and the next one looks again.
    if inputs.send(Input::QuarantineEnded).await.is_ok() {
        journal.end_quarantine();
    }
}

/// Has those of these sent that are not `free` yet, if they are still to be.
async fn clear(
    absent: Vec<MessageId>,
    free: &mut BTreeSet<MessageId>,
    inputs: &mpsc::Sender<Input>,
) {
    let mut more = Vec::new();
    for id in absent {
        if free.len() < CLEARED_MAX && free.insert(id) {
            more.push(id);
        }
    }
    if !more.is_empty() {
        // A closed channel: the daemon is ending.
        let _ = inputs.send(Input::QuarantineCleared(more)).await;
    }
}

/// What one look came to.
fn tell(looked: &Reconciliation, before: Moment) {
    let held: usize = looked.held.values().sum();
    tracing::warn!(
        held_before = %before,
        sent = looked.sent,
        absent = looked.absent.len() + looked.more,
        held,
        reasons = looked.in_words(),
        "messages in quarantine after a restore were compared with the provider's list, and will be \
         again. To decide by hand: mark one as sent, cancel or reschedule it. To release all, if none \
         can have been sent: punctual run --accept-restore"
    );
}
