//! The limits of the writer.

use std::time::Duration;

use super::daemon::{milliseconds, seconds};
use crate::schedule::Backoff;

/// The writer, which has texts written by a language model before messages are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterLimits {
    /// A draft whose message is due sooner is not begun: an answer takes a second or two.
    pub due_after: Duration,
    /// What is left of the time to a message when its answer must be there.
    pub spare: Duration,
    /// How much longer than the time-out of a call a draft is this instance's: for the statements around it.
    pub lease_beyond: Duration,
    /// Calls for one draft, if the endpoint fails.
    pub attempts: i32,
    /// From one of these to the next.
    pub retry: Backoff,
    /// How long nothing is asked after "too many requests", if the endpoint does not say.
    pub throttled_pause: Duration,
    /// The same after the endpoint has refused the key: one draft is tried then.
    pub refused_pause: Duration,
    /// So many requests refused one after the other are about all of them, and not about their texts.
    pub refusals: u32,
    /// After an error of the database.
    pub failed_pause: Duration,
    /// Between two looks for drafts that come too late, while others are written.
    pub late_every: Duration,
    /// Of these so many in one statement.
    pub late: usize,
    /// The shortest and the longest sleep. It is woken by notifications, and sleeps until a lease or a time is over.
    pub nap: (Duration, Duration),
}

impl Default for WriterLimits {
    fn default() -> Self {
        Self {
            due_after: seconds(2),
            spare: milliseconds(200),
            lease_beyond: seconds(10),
            attempts: 3,
            retry: Backoff::new(seconds(1), seconds(10)),
            throttled_pause: seconds(5),
            refused_pause: seconds(300),
            refusals: 3,
            failed_pause: seconds(5),
            late_every: seconds(1),
            late: 500,
            nap: (milliseconds(20), seconds(3_600)),
        }
    }
}
