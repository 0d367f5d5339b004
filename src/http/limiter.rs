//! Wrong tokens: how many of one peer's are answered one by one, and what the log tells of them.
//!
//! Every token is compared before anything is asked here, so the right one is never limited, whoever
//! else comes from the same address (behind a proxy that is everybody). What is limited is what wrong
//! ones cost: an answer with a sentence each, and a line in the log.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::message::Uptime;
use crate::metrics::{Counter, Metrics};

/// Wrong tokens of one peer that are answered as such at once …
const BURST: u32 = 10;

/// … and how often one more is.
const EVERY: Duration = Duration::from_secs(10);

/// Peers that are told apart. Two that fall on one place share its bound, which costs neither more than
/// another sentence; so the memory is fixed, however many peers come.
const PEERS: usize = 1_024;

/// Lines of the log for single wrong tokens between two sums: enough to see whence.
const LINES: u32 = 5;

/// What is answered to a wrong token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// That it is wrong.
    Wrong,
    /// That there have been too many.
    TooMany {
        /// Until the next is answered as such.
        again: Duration,
    },
}

pub(super) struct Limiter {
    hasher: RandomState,
    book: Mutex<Book>,
    metrics: Arc<Metrics>,
}

struct Book {
    /// When what each peer has used up will be free again.
    free_at: Vec<Uptime>,
    lines: u32,
    /// Not in the log one by one.
    more: u64,
}

impl Limiter {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            hasher: RandomState::new(),
            book: Mutex::new(Book {
                free_at: vec![Uptime::from_micros(0); PEERS],
                lines: 0,
                more: 0,
            }),
            metrics,
        }
    }

    /// Counts a wrong token and says what to answer.
    pub(super) fn wrong(&self, peer: IpAddr, now: Uptime) -> Answer {
        self.metrics.count(Counter::TokensRefused, 1);
        let place = self.place(peer);
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        if book.lines < LINES {
            book.lines += 1;
            tracing::warn!(%peer, "a wrong token was given");
        } else {
            book.more += 1;
        }
        let Some(free_at) = book.free_at.get_mut(place) else {
            return Answer::Wrong;
        };
        let used = free_at.since(now);
        let over = used.saturating_sub(EVERY * (BURST - 1));
        if over > Duration::ZERO {
            return Answer::TooMany { again: over };
        }
        *free_at = now + used + EVERY;
        Answer::Wrong
    }

    /// Tells the log of those it has not been told of one by one.
    pub(super) fn sum_up(&self) {
        let more = {
            let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
            book.lines = 0;
            std::mem::take(&mut book.more)
        };
        if more > 0 {
            tracing::warn!(
                more,
                "more wrong tokens were given since the last such line"
            );
        }
    }

    /// Who has an IPv6 network has all addresses in it.
    fn place(&self, peer: IpAddr) -> usize {
        let peer = match peer.to_canonical() {
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
            v4 @ IpAddr::V4(_) => v4,
        };
        let hash = self.hasher.hash_one(peer);
        usize::try_from(hash % PEERS as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: i64) -> Uptime {
        Uptime::from_micros(3_600_000_000 + ms * 1_000)
    }

    fn limiter() -> Limiter {
        Limiter::new(Arc::default())
    }

    #[test]
    fn a_peer_gets_a_burst_and_then_one_at_a_time() {
        let (limiter, peer) = (limiter(), "192.0.2.1".parse().unwrap());
        for n in 0..BURST {
            assert_eq!(limiter.wrong(peer, at(0)), Answer::Wrong, "{n}");
        }
        let again = Answer::TooMany { again: EVERY };
        assert_eq!(limiter.wrong(peer, at(0)), again);
        // Those that are refused use nothing up.
        assert_eq!(limiter.wrong(peer, at(0)), again);
        assert!(matches!(
            limiter.wrong(peer, at(9_999)),
            Answer::TooMany { .. }
        ));
        assert_eq!(limiter.wrong(peer, at(10_000)), Answer::Wrong);
        assert!(matches!(
            limiter.wrong(peer, at(10_000)),
            Answer::TooMany { .. }
        ));
        // After a pause the whole burst.
        for _ in 0..BURST {
            assert_eq!(limiter.wrong(peer, at(200_000)), Answer::Wrong);
        }
        assert!(matches!(
            limiter.wrong(peer, at(200_000)),
            Answer::TooMany { .. }
        ));
        let counted = limiter.metrics.counted(Counter::TokensRefused);
        assert_eq!(counted, u64::from(BURST) * 2 + 6);
    }

    #[test]
    fn one_peers_tries_are_not_anothers_and_a_network_is_one_peer() {
        let limiter = limiter();
        let place = |peer: &str| limiter.place(peer.parse().unwrap());
        assert_eq!(place("2001:db8::1"), place("2001:db8::ffff:1"));
        assert_eq!(place("::ffff:192.0.2.1"), place("192.0.2.1"));
        let other = (1..=9).map(|n| place(&format!("192.0.2.{n}")));
        assert!(other.collect::<std::collections::HashSet<_>>().len() > 5);
    }
}
