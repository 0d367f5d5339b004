//! The slots for connections of one listener, and which connection is closed when all are occupied.
//!
//! The purpose of a connection is known only once the head of its request has arrived, and a client that delays the
//! head or the body has its slot meanwhile. So for a new connection the one is closed that has been waited for the
//! longest, and pages and streams can never occupy all slots: some are reserved for callbacks and health checks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    /// Its request is not complete.
    Waiting,
    Work(Class),
    /// It is being closed.
    Closing,
}

/// The kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// A page, a stream or any other route.
    Page,
    /// A callback, or a health check.
    Reserved,
}

struct Entry {
    doing: Doing,
    /// The order in which it came into this state.
    since: u64,
    leave: CancellationToken,
}

#[derive(Default)]
struct Book {
    /// The next number, for connections and for their order.
    next: u64,
    entries: BTreeMap<u64, Entry>,
}

impl Book {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn count(&self, is: impl Fn(Doing) -> bool) -> usize {
        self.entries.values().filter(|e| is(e.doing)).count()
    }

    fn is_full(&self, most: usize) -> bool {
        self.count(|doing| doing != Doing::Closing) >= most
    }

    /// The connection that has been waited for the longest.
    fn idle(&mut self) -> Option<&mut Entry> {
        let waiting = self.entries.values_mut();
        waiting
            .filter(|e| e.doing == Doing::Waiting)
            .min_by_key(|e| e.since)
    }
}

pub(super) struct Places {
    book: Mutex<Book>,
    changed: Notify,
    most: usize,
    most_pages: usize,
}

impl Places {
    /// With `most` slots, of which `reserved` are for callbacks and health checks.
    pub(super) fn new(most: usize, reserved: usize) -> Arc<Self> {
        Arc::new(Self {
            book: Mutex::default(),
            changed: Notify::new(),
            most,
            most_pages: most.saturating_sub(reserved).max(1),
        })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is a slot, or one that can be freed. Cancel safe.
    pub(super) async fn room(&self) {
        loop {
            let changed = self.changed.notified();
            {
                let mut book = self.book();
                if !book.is_full(self.most) || book.idle().is_some() {
                    return;
                }
            }
            changed.await;
        }
    }

    /// Takes a slot, closing another connection if necessary.
    pub(super) fn take(self: &Arc<Self>) -> Seat {
        let mut book = self.book();
        if book.is_full(self.most)
            && let Some(idle) = book.idle()
        {
            idle.doing = Doing::Closing;
            idle.leave.cancel();
        }
        let number = book.number();
        let leave = CancellationToken::new();
        let entry = Entry {
            doing: Doing::Waiting,
            since: number,
            leave: leave.clone(),
        };
        book.entries.insert(number, entry);
        let slot = Slot {
            places: Arc::clone(self),
            number,
        };
        Seat {
            slot: Arc::new(slot),
            leave,
        }
    }
}

struct Slot {
    places: Arc<Places>,
    number: u64,
}

impl Slot {
    fn does(&self, doing: Doing, book: &mut Book) {
        let since = book.number();
        if let Some(entry) = book.entries.get_mut(&self.number)
            && entry.doing != Doing::Closing
        {
            (entry.doing, entry.since) = (doing, since);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.places.book().entries.remove(&self.number);
        self.places.changed.notify_one();
    }
}

/// The slot of a connection.
#[derive(Clone)]
pub(super) struct Seat {
    slot: Arc<Slot>,
    leave: CancellationToken,
}

impl Seat {
    /// Returns when the slot is needed for another connection.
    pub(super) async fn lost(&self) {
        self.leave.cancelled().await;
    }

    /// Marks the slot as in use, until the result is dropped. `None` if too many pages are.
    pub(super) fn begin(&self, class: Class) -> Option<Work> {
        let places = &self.slot.places;
        let mut book = places.book();
        let pages = |doing| doing == Doing::Work(Class::Page);
        if class == Class::Page && book.count(pages) >= places.most_pages {
            return None;
        }
        self.slot.does(Doing::Work(class), &mut book);
        Some(Work(Arc::clone(&self.slot)))
    }
}

/// A request in progress, until this is dropped.
pub(super) struct Work(Arc<Slot>);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.does(Doing::Waiting, &mut self.0.places.book());
        self.0.places.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn is_lost(seat: &Seat) -> bool {
        seat.lost().now_or_never().is_some()
    }

    #[test]
    fn the_connection_waited_for_the_longest_is_closed() {
        let places = Places::new(3, 1);
        let seats = [places.take(), places.take(), places.take()];
        // The first did something meanwhile, so the second has been waited for longer.
        drop(seats[0].begin(Class::Page));
        let _working = seats[2].begin(Class::Reserved).unwrap();
        let newcomer = places.take();
        assert_eq!(seats.each_ref().map(is_lost), [false, true, false]);
        assert!(!is_lost(&newcomer));
        let _another = places.take();
        assert_eq!(seats.each_ref().map(is_lost), [true, true, false]);
    }

    #[test]
    fn pages_never_have_all_slots() {
        let places = Places::new(3, 1);
        let seats = [places.take(), places.take(), places.take()];
        let first = seats[0].begin(Class::Page).unwrap();
        let _second = seats[1].begin(Class::Page).unwrap();
        assert!(seats[2].begin(Class::Page).is_none());
        assert!(seats[2].begin(Class::Reserved).is_some());
        drop(first);
        assert!(seats[2].begin(Class::Page).is_some());
    }

    #[test]
    fn a_connection_in_use_is_not_closed() {
        let places = Places::new(2, 1);
        let seats = [places.take(), places.take()];
        let page = seats[0].begin(Class::Page).unwrap();
        let callback = seats[1].begin(Class::Reserved).unwrap();
        assert!(places.room().now_or_never().is_none());
        drop(callback);
        assert!(places.room().now_or_never().is_some());
        drop(page);
        drop(seats);
        assert!(places.book().entries.is_empty());
    }
}
