//! The deadline of a request, for a process that may have been suspended meanwhile.
//!
//! After a suspend the deadline has passed, but the response may be in the socket: it arrived in time,
//! and was only not read. A timer alone would make that message unconfirmed, although the proof is
//! there.

use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;

/// The part of a deadline that is reserved for a last read, as a divisor of the whole. It begins
/// when the end of the first part has been noticed, however late that is; long enough for the
/// connection's task to read what has arrived.
const LAST_LOOK: u32 = 10;

/// The result of `call`, if it arrived within `limit`, or while the process was suspended.
pub(in crate::provider) async fn within<T>(
    limit: Duration,
    call: impl Future<Output = T>,
) -> Option<T> {
    let mut call = pin!(call);
    let last_look = limit / LAST_LOOK;
    match timeout(limit.saturating_sub(last_look), &mut call).await {
        Ok(done) => Some(done),
        Err(_) => timeout(last_look, call).await.ok(),
    }
}
