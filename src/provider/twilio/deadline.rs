//! The deadline of a request, for a process that may have been suspended meanwhile.
//!
//! Whoever wakes up finds the deadline passed, and perhaps the answer in the socket: it came in
//! time, and only nobody read it. A timer alone would make that message unconfirmed, though the
//! proof is at hand.

use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;

/// The part of a deadline that is kept for a last look, as a divisor of the whole. It begins
/// when the first part has been found over, however late that was; long enough for the
/// connection's task to read what is there.
const LAST_LOOK: u32 = 10;

/// What came of `call`, if it came within `limit`, or while nobody could look.
pub(super) async fn within<T>(limit: Duration, call: impl Future<Output = T>) -> Option<T> {
    let mut call = pin!(call);
    let last_look = limit / LAST_LOOK;
    match timeout(limit.saturating_sub(last_look), &mut call).await {
        Ok(done) => Some(done),
        Err(_) => timeout(last_look, call).await.ok(),
    }
}
