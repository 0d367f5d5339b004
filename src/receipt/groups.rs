//! Writes many rows in few statements. A row that another transaction has locked is written alone, with a longer
//! time-out.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::message::MessageId;
use crate::proof::Report;
use crate::store::look_ups::PutBack;
use crate::store::receipts::Received;
use crate::store::{Halving, Store, StoreError};

/// Merges reports, at most `most` in one transaction, and returns the result of each, in their order. An error
/// that is not about a row ends it: there are then fewer results than reports, and the last one is that error.
pub(super) async fn merge(
    store: &Store,
    reports: &[Report],
    max_lateness: Duration,
    most: usize,
) -> Vec<Result<Received, StoreError>> {
    let mut results = Vec::with_capacity(reports.len());
    let mut groups = Halving::new(reports, most);
    while let Some(group) = groups.next_group() {
        // Boxed because it is large.
        let receive = Box::pin(store.receive(group, max_lateness));
        match store.bounded(receive).await {
            Ok(received) => {
                for (report, received) in group.iter().zip(received) {
                    let result = match received {
                        Received::Locked { message, token } => {
                            let of = (message, token);
                            let alone = Box::pin(store.receive_alone(report, of, max_lateness));
                            store.bounded(alone).await
                        }
                        received => Ok(received),
                    };
                    results.push(result);
                }
            }
            Err(refused) if groups.halve(group, &refused) => {}
            Err(refused) if group.len() == 1 && refused.is_refusal() => results.push(Err(refused)),
            Err(broken) => {
                results.push(Err(broken));
                return results;
            }
        }
    }
    results
}

/// Sets unconfirmed messages back to `pending`. Returns those that were.
pub(super) async fn put_back(
    store: &Store,
    rows: &[PutBack<'_>],
    max_lateness: Duration,
) -> Result<BTreeSet<MessageId>, StoreError> {
    let mut moved = BTreeSet::new();
    let mut groups = Halving::new(rows, rows.len());
    while let Some(group) = groups.next_group() {
        match store.bounded(store.put_back(group, max_lateness)).await {
            Ok(those) => moved.extend(those),
            Err(refused) if groups.halve(group, &refused) => {}
            Err(refused) if group.len() == 1 && refused.is_refusal() => {
                let message = group.first().map(|row| row.look_up.message);
                tracing::warn!(message.id = ?message.map(|id| id.0), error = %refused,
                    "an unconfirmed message could not be set back to pending; retrying");
            }
            Err(broken) => return Err(broken),
        }
    }
    Ok(moved)
}
