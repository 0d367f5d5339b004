//! The timers themselves: one array, found by id, linked into lists.
//!
//! An entry carries its links, so moving and disarming allocate nothing, and the index holds
//! positions and hashes the id it finds there: the id is stored once. The index is in shards,
//! because one that grows hashes all its ids again: a shard of a million timers does so in less
//! than a millisecond.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::message::{MessageId, Moment};

/// Shards of the index. They are chosen by bits of the hash that the tables do not use much.
const SHARDS: usize = 64;

/// The link to no entry.
const NIL: u32 = u32::MAX;
/// In `prev`: the entry is vacant, and `next` is the next vacant one.
const VACANT: u32 = u32::MAX - 1;

struct Entry<T> {
    id: MessageId,
    due: Moment,
    prev: u32,
    next: u32,
    payload: T,
}

/// A list through the slab, first in, first out.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    head: u32,
    tail: u32,
}

impl List {
    pub(super) const EMPTY: Self = Self {
        head: NIL,
        tail: NIL,
    };

    pub(super) const fn is_empty(self) -> bool {
        self.head == NIL
    }

    /// Whether that timer is the first or the last.
    pub(super) const fn ends_at(self, at: u32) -> bool {
        self.head == at || self.tail == at
    }

    pub(super) const fn first(self) -> Option<u32> {
        if self.is_empty() {
            None
        } else {
            Some(self.head)
        }
    }
}

/// All timers of a wheel.
pub(super) struct Slab<T> {
    entries: Vec<Entry<T>>,
    vacant: u32,
    len: usize,
    index: Box<[HashTable<u32>]>,
    hasher: DefaultHashBuilder,
}

impl<T: Copy> Slab<T> {
    pub(super) fn new() -> Self {
        Self {
            entries: Vec::new(),
            vacant: NIL,
            len: 0,
            index: vec![HashTable::new(); SHARDS].into_boxed_slice(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    fn entry(&self, at: u32) -> &Entry<T> {
        &self.entries[at as usize]
    }

    fn entry_mut(&mut self, at: u32) -> &mut Entry<T> {
        &mut self.entries[at as usize]
    }

    pub(super) fn find(&self, id: MessageId) -> Option<u32> {
        if self.len == 0 {
            return None;
        }
        let hash = hash(&self.hasher, id);
        let found = self.index[shard(hash)].find(hash, |&at| self.entry(at).id == id);
        found.copied()
    }

    pub(super) fn due(&self, at: u32) -> Moment {
        self.entry(at).due
    }

    pub(super) fn set_due(&mut self, at: u32, due: Moment) {
        self.entry_mut(at).due = due;
    }

    pub(super) fn payload_mut(&mut self, at: u32) -> &mut T {
        &mut self.entry_mut(at).payload
    }

    pub(super) fn get(&self, at: u32) -> (MessageId, Moment, &T) {
        let entry = self.entry(at);
        (entry.id, entry.due, &entry.payload)
    }

    /// Adds a timer that [`find`](Self::find) did not find; it is in no list yet.
    pub(super) fn add(&mut self, id: MessageId, due: Moment, payload: T) -> u32 {
        let entry = Entry {
            id,
            due,
            prev: NIL,
            next: NIL,
            payload,
        };
        let at = self.vacant;
        let at = if at == NIL {
            self.push(entry)
        } else {
            self.vacant = self.entry(at).next;
            *self.entry_mut(at) = entry;
            at
        };
        let (entries, hasher) = (&self.entries, &self.hasher);
        let own = hash(hasher, id);
        self.index[shard(own)]
            .insert_unique(own, at, |&other| hash(hasher, entries[other as usize].id));
        self.len += 1;
        at
    }

    fn push(&mut self, entry: Entry<T>) -> u32 {
        let at = u32::try_from(self.entries.len()).unwrap_or(NIL);
        assert!(at < VACANT, "a wheel holds at most {VACANT} timers");
        if self.entries.len() == self.entries.capacity() {
            // By a quarter, not by doubling: at a million timers doubling would leave up to
            // 48 MB idle, and large blocks are grown in place by the allocator.
            self.entries.reserve_exact(self.entries.len() / 4 + 16);
        }
        self.entries.push(entry);
        at
    }

    /// Removes a timer that is in no list any more.
    pub(super) fn take(&mut self, at: u32) -> (MessageId, Moment, T) {
        let vacant = self.vacant;
        let entry = self.entry_mut(at);
        let taken = (entry.id, entry.due, entry.payload);
        entry.prev = VACANT;
        entry.next = vacant;
        self.vacant = at;
        self.len -= 1;
        let hash = hash(&self.hasher, taken.0);
        if let Ok(found) = self.index[shard(hash)].find_entry(hash, |&other| other == at) {
            found.remove();
        }
        taken
    }

    /// Appends to `list` a timer that is in none.
    pub(super) fn push_back(&mut self, list: &mut List, at: u32) {
        let before = list.tail;
        let entry = self.entry_mut(at);
        entry.prev = before;
        entry.next = NIL;
        if before == NIL {
            list.head = at;
        } else {
            self.entry_mut(before).next = at;
        }
        list.tail = at;
    }

    /// Takes a timer out of `list`, which must be the one it is in.
    pub(super) fn unlink(&mut self, list: &mut List, at: u32) {
        let Entry { prev, next, .. } = *self.entry(at);
        if prev == NIL {
            list.head = next;
        } else {
            self.entry_mut(prev).next = next;
        }
        if next == NIL {
            list.tail = prev;
        } else {
            self.entry_mut(next).prev = prev;
        }
    }

    pub(super) fn next(&self, at: u32) -> Option<u32> {
        let next = self.entry(at).next;
        (next != NIL).then_some(next)
    }

    /// The timers of a list, in order.
    pub(super) fn walk(&self, list: List) -> impl Iterator<Item = u32> {
        std::iter::successors(list.first(), |&at| self.next(at))
    }

    /// The timers at `most` places from `from` on, in no order, and where the next ones begin:
    /// `None` after the last.
    pub(super) fn stretch(
        &self,
        from: usize,
        most: usize,
    ) -> (impl Iterator<Item = (MessageId, Moment, &T)>, Option<usize>) {
        let end = from.saturating_add(most).min(self.entries.len());
        let places = self.entries.get(from..end).unwrap_or_default();
        let taken = places.iter().filter(|entry| entry.prev != VACANT);
        let timers = taken.map(|entry| (entry.id, entry.due, &entry.payload));
        (timers, (end < self.entries.len()).then_some(end))
    }

    /// Bytes allocated.
    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        let index: usize = self.index.iter().map(HashTable::allocation_size).sum();
        self.entries.capacity() * size_of::<Entry<T>>() + index
    }
}

const fn shard(hash: u64) -> usize {
    // A table takes its low bits for the bucket and its seven highest for the tag.
    (hash >> 40) as usize % SHARDS
}

fn hash(hasher: &DefaultHashBuilder, id: MessageId) -> u64 {
    hasher.hash_one(id.0.as_u128())
}
