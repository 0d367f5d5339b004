//! Limits the responses and log lines for wrong tokens, for each address.
//!
//! Tokens are compared first, so the right one is always accepted, even if others from the same address (behind a
//! proxy: all clients) send wrong ones.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::limits::HttpLimits;
use crate::message::Uptime;
use crate::metrics::{Counter, Metrics};

/// How many peers are distinguished, by a hash: memory is fixed, and two peers in one slot share its limit, which
/// only changes the response they get.
const PEERS: usize = 1_024;

/// The response to a wrong token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is wrong.
    Wrong,
    /// It is wrong, and there have been too many.
    TooMany {
        /// The time until the usual response is given again.
        again: Duration,
    },
}

pub(super) struct Limiter {
    hasher: RandomState,
    tally: Mutex<Tally>,
    metrics: Arc<Metrics>,
    limits: HttpLimits,
}

struct Tally {
    /// For each peer, when its whole limit will be free again.
    free_at: Vec<Uptime>,
    lines: u32,
    /// Wrong tokens without a log line.
    more: u64,
}

impl Limiter {
    pub(super) fn new(metrics: Arc<Metrics>, limits: &HttpLimits) -> Self {
        Self {
            hasher: RandomState::new(),
            tally: Mutex::new(Tally {
                free_at: vec![Uptime::from_micros(0); PEERS],
                lines: 0,
                more: 0,
            }),
            metrics,
            limits: *limits,
        }
    }

    /// Counts a wrong token and returns the response to it.
    pub(super) fn wrong(&self, peer: IpAddr, now: Uptime) -> Answer {
        self.metrics.count(Counter::TokensRefused, 1);
        let place = place(&self.hasher, peer, PEERS);
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        if tally.lines < self.limits.wrong_token_lines {
            tally.lines += 1;
            tracing::warn!(%peer, "wrong token");
        } else {
            tally.more += 1;
        }
        let Some(free_at) = tally.free_at.get_mut(place) else {
            return Answer::Wrong;
        };
        let used = free_at.since(now);
        let (burst, every) = (self.limits.wrong_tokens, self.limits.wrong_token_every);
        let over = used.saturating_sub(every * burst.saturating_sub(1));
        if over > Duration::ZERO {
            return Answer::TooMany { again: over };
        }
        *free_at = now + used + every;
        Answer::Wrong
    }

    /// Logs how many wrong tokens had no log line.
    pub(super) fn sum_up(&self) {
        let more = {
            let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.lines = 0;
            std::mem::take(&mut tally.more)
        };
        if more > 0 {
            tracing::warn!(more, "further wrong tokens since the last summary");
        }
    }
}

/// Which of so many places an address has, by a hash. IPv6 addresses count by their /64 network.
pub(super) fn place(hasher: &RandomState, peer: IpAddr, places: usize) -> usize {
    let peer = match peer.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    };
    let hash = hasher.hash_one(peer);
    usize::try_from(hash % places as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: i64) -> Uptime {
        Uptime::from_micros(3_600_000_000 + ms * 1_000)
    }

    fn limiter() -> Limiter {
        Limiter::new(Arc::default(), &HttpLimits::default())
    }

    #[test]
    fn a_peer_gets_a_burst_and_then_one_at_a_time() {
        let (limiter, peer) = (limiter(), "192.0.2.1".parse().unwrap());
        let burst = limiter.limits.wrong_tokens;
        for n in 0..burst {
            assert_eq!(limiter.wrong(peer, at(0)), Answer::Wrong, "{n}");
        }
        let again = limiter.limits.wrong_token_every;
        let again = Answer::TooMany { again };
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
        for _ in 0..burst {
            assert_eq!(limiter.wrong(peer, at(200_000)), Answer::Wrong);
        }
        assert!(matches!(
            limiter.wrong(peer, at(200_000)),
            Answer::TooMany { .. }
        ));
        let counted = limiter.metrics.counted(Counter::TokensRefused);
        assert_eq!(counted, u64::from(burst) * 2 + 6);
    }

    #[test]
    fn one_peers_tries_are_not_anothers_and_a_network_is_one_peer() {
        let limiter = limiter();
        let place = |peer: &str| place(&limiter.hasher, peer.parse().unwrap(), PEERS);
        assert_eq!(place("2001:db8::1"), place("2001:db8::ffff:1"));
        assert_eq!(place("::ffff:192.0.2.1"), place("192.0.2.1"));
        let other = (1..=9).map(|n| place(&format!("192.0.2.{n}")));
        assert!(other.collect::<std::collections::HashSet<_>>().len() > 5);
    }
}
