//! Which instance claims a message first, where several run.
//!
//! Each ranks the instances for each message by a hash of both ids (rendezvous hashing), and so
//! all of them come to the same order without talking. The first claims in time; the others
//! take over, each a little later than the one before. It only saves work that would be done
//! several times: if two instances know different members, the claim still decides between them.

use std::time::Duration;

use crate::message::{InstanceId, MessageId, PaceId};

/// Between one instance's turn and the next one's. More than a claim usually takes, so that the
/// first has won before the second claims; and the whole delay of a message when the first has
/// just died.
pub const STAGGER: Duration = Duration::from_millis(100);

/// Instances beyond this rank wait no longer than this one: any of them may claim then.
const RANK_MAX: u32 = 8;

/// The instances that run, as one of them knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranking {
    me: InstanceId,
    /// Sorted, without `me`.
    others: Vec<InstanceId>,
}

impl Ranking {
    /// `me` among `members`, which may name it too.
    pub fn new(me: InstanceId, members: impl IntoIterator<Item = InstanceId>) -> Self {
        let mut others: Vec<_> = members.into_iter().filter(|other| *other != me).collect();
        others.sort_unstable();
        others.dedup();
        Self { me, others }
    }

    /// Whether no other instance runs.
    pub fn is_alone(&self) -> bool {
        self.others.is_empty()
    }

    /// How long after the first this instance's turn is.
    pub fn stagger(&self, id: MessageId) -> Duration {
        STAGGER * self.rank(id).min(RANK_MAX)
    }

    /// The same for the messages of a pace, which have one order of instances: what is first among them changes.
    pub fn stagger_of_pace(&self, id: PaceId) -> Duration {
        self.stagger(MessageId(id.0))
    }

    /// How many come before this instance.
    fn rank(&self, id: MessageId) -> u32 {
        let mine = (score(self.me, id), self.me);
        let before = |other: &&InstanceId| (score(**other, id), **other) > mine;
        u32::try_from(self.others.iter().filter(before).count()).unwrap_or(u32::MAX)
    }

    /// Whose turn is first.
    pub fn first(&self, id: MessageId) -> InstanceId {
        let all = self.others.iter().copied().chain([self.me]);
        all.max_by_key(|instance| (score(*instance, id), *instance))
            .unwrap_or(self.me)
    }
}

/// The same on every machine and in every version: two versions may run side by side.
fn score(instance: InstanceId, id: MessageId) -> u64 {
    let (a, b) = instance.0.as_u64_pair();
    let (c, d) = id.0.as_u64_pair();
    [a, b, c, d].into_iter().fold(0, |h, word| mix(h ^ word))
}

/// The finalizer of splitmix64: every bit of the input turns half of the output's.
const fn mix(word: u64) -> u64 {
    let mut z = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn instance(n: u128) -> InstanceId {
        InstanceId(Uuid::from_u128(0xD << 120 | n))
    }

    fn messages(n: u128) -> impl Iterator<Item = MessageId> {
        (0..n).map(|n| MessageId(Uuid::from_u128(n)))
    }

    fn rankings(n: u128) -> Vec<Ranking> {
        let all = || (0..n).map(instance);
        all().map(|me| Ranking::new(me, all())).collect()
    }

    #[test]
    fn all_come_to_the_same_order() {
        for n in 1..6 {
            let rankings = rankings(n);
            for id in messages(200) {
                let mut ranks: Vec<_> = rankings.iter().map(|r| r.rank(id)).collect();
                let first = rankings[ranks.iter().position(|r| *r == 0).unwrap()].me;
                assert!(rankings.iter().all(|r| r.first(id) == first));
                ranks.sort_unstable();
                assert!(ranks.into_iter().map(u128::from).eq(0..n));
            }
        }
    }

    #[test]
    fn each_has_about_its_share() {
        let rankings = rankings(4);
        for ranking in &rankings {
            let own = messages(4_000).filter(|id| ranking.rank(*id) == 0).count();
            assert!((850..1_150).contains(&own), "{own} of 4,000");
        }
    }

    #[test]
    fn who_leaves_takes_no_more_than_its_own() {
        let before = Ranking::new(instance(0), (0..4).map(instance));
        let after = Ranking::new(instance(0), (0..3).map(instance));
        for id in messages(1_000) {
            let (was, is) = (before.first(id), after.first(id));
            assert!(was == is || was == instance(3));
        }
    }

    #[test]
    fn alone_nothing_is_waited_for() {
        let alone = Ranking::new(instance(7), [instance(7)]);
        assert!(alone.is_alone());
        assert!(messages(100).all(|id| alone.stagger(id) == Duration::ZERO));
    }

    #[test]
    fn the_turns_are_bounded() {
        let many = Ranking::new(instance(0), (0..500).map(instance));
        let latest = messages(1_000).map(|id| many.stagger(id)).max();
        assert_eq!(latest, Some(STAGGER * RANK_MAX));
    }
}
