//! Which instance claims a message first, where several run.
//!
//! What is due within one slice of time belongs to one instance, so that it is claimed and recorded in groups as large
//! as those of an instance that is alone. What is still pending a moment after it was due, and what is more than one
//! instance can start in time, is divided by the messages' ids. Each ranks the instances by a hash of their id and the
//! slice, or the message (rendezvous hashing), and so all of them come to the same order without talking; by the due
//! time and not by their clocks, so these may be apart. The others take over, each a little later than the one before.
//! It only saves work that would be done several times: if two instances know different members, or different
//! messages, the claim still decides between them.

use std::time::Duration;

use crate::message::{InstanceId, MessageId, Moment, PaceId};

/// Between one instance's turn and the next one's. More than a claim usually takes, so that the
/// first has won before the second claims.
pub const STAGGER: Duration = Duration::from_millis(100);

/// What is due within one of these is one instance's. So long that the claims and records at its ends, which are
/// smaller, are few among the others; so short that each instance has its share of any minute.
pub const SLICE: Duration = Duration::from_secs(1);

/// The same, to count with.
const SLICE_US: i64 = 1_000_000;

/// Instances beyond this rank wait no longer than this one: any of them may claim then.
const RANK_MAX: u32 = 8;

/// Whose turn a message is when it is to be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// This instance may be the first. Whether it is, is decided then, when it is known how many are due with it.
    Open,
    /// Another instance has probably claimed it by then: it is read.
    Others,
    /// Others had their turn, or another transaction had locked its row: whoever checks it claims it.
    Anybodys,
}

/// How many messages are due in one slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HowMany {
    /// One instance claims them.
    Few,
    /// Perhaps: each instance counts by itself, and others may count fewer. They are divided, and the one whose slice
    /// it is looks at once whether the others claim theirs: a look that finds that they do is no harm, and a message
    /// for which each waits for another is late.
    Several,
    /// They are divided by their ids.
    Many,
}

/// The slice in which a moment lies.
pub const fn slice(due: Moment) -> i64 {
    due.as_micros().div_euclid(SLICE_US)
}

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

    /// When this instance checks a message that was read just now and is pending, and whose turn it is then.
    pub fn arm(&self, id: MessageId, due: Moment, now: Moment) -> (Moment, Turn) {
        if self.is_alone() {
            return (due, Turn::Open);
        }
        let rank = self.rank(id.into());
        if is_late(due, now) {
            // It is divided already, and the turns of the others are counted from now.
            return match rank {
                0 => (due, Turn::Anybodys),
                rank => (now + STAGGER * rank, Turn::Others),
            };
        }
        if rank == 0 || self.has_slice(due) {
            (due, Turn::Open)
        } else {
            (due + STAGGER * (rank + 1), Turn::Others)
        }
    }

    /// Whether this instance claims a message whose turn was open until now; if not, when it looks whether others have.
    pub fn looks_later(
        &self,
        id: MessageId,
        due: Moment,
        due_with_it: HowMany,
        now: Moment,
    ) -> Option<Moment> {
        if self.is_alone() {
            return None;
        }
        let rank = self.rank(id.into());
        let has_slice = self.has_slice(due);
        let is_late = is_late(due, now);
        match due_with_it {
            // It was held up itself: the other may have claimed this long since.
            HowMany::Few if is_late && !has_slice => Some(now),
            // What is left is divided: it goes on with its own share.
            _ if is_late => (rank > 0).then(|| now + STAGGER * rank),
            HowMany::Few if has_slice => None,
            HowMany::Few => Some(due + STAGGER * (rank + 1)),
            HowMany::Several if has_slice => (rank > 0).then_some(due),
            HowMany::Several | HowMany::Many => (rank > 0).then(|| due + STAGGER * rank),
        }
    }

    /// Whether what is due then is this instance's, unless it is too much for one.
    pub fn has_slice(&self, due: Moment) -> bool {
        self.rank(Key::of_slice(due)) == 0
    }

    /// Whether a message is this instance's where they are divided by their ids.
    pub fn has_share(&self, id: MessageId) -> bool {
        self.rank(id.into()) == 0
    }

    /// How long after the first this instance's turn is for the messages of a pace, which have one order of instances:
    /// what is first among them changes.
    pub fn stagger_of_pace(&self, id: PaceId) -> Duration {
        STAGGER * self.rank(MessageId(id.0).into())
    }

    /// How many come before this instance, at most [`RANK_MAX`].
    fn rank(&self, key: Key) -> u32 {
        let mine = (score(self.me, key), self.me);
        let before = |other: &&InstanceId| (score(**other, key), **other) > mine;
        let rank = self.others.iter().filter(before).count();
        u32::try_from(rank).unwrap_or(u32::MAX).min(RANK_MAX)
    }

    /// Whose turn is first.
    pub fn first(&self, id: MessageId, due: Moment, due_with_it: HowMany) -> InstanceId {
        let key = match due_with_it {
            HowMany::Few | HowMany::Several => Key::of_slice(due),
            HowMany::Many => id.into(),
        };
        let all = self.others.iter().copied().chain([self.me]);
        all.max_by_key(|instance| (score(*instance, key), *instance))
            .unwrap_or(self.me)
    }
}

/// Others have had the time to claim it.
fn is_late(due: Moment, now: Moment) -> bool {
    now >= due + STAGGER
}

/// What instances are ranked for.
#[derive(Clone, Copy)]
struct Key(u64, u64);

impl Key {
    const fn of_slice(due: Moment) -> Self {
        Self(0, slice(due).cast_unsigned())
    }
}

impl From<MessageId> for Key {
    fn from(id: MessageId) -> Self {
        let (a, b) = id.0.as_u64_pair();
        Self(a, b)
    }
}

/// The same on every machine and in every version: two versions may run side by side.
fn score(instance: InstanceId, key: Key) -> u64 {
    let (a, b) = instance.0.as_u64_pair();
    [a, b, key.0, key.1]
        .into_iter()
        .fold(0, |h, word| mix(h ^ word))
}

/// The finalizer of splitmix64: every bit of the input turns half of the output's.
const fn mix(word: u64) -> u64 {
    let mut z = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
