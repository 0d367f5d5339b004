//! The wheel beside what one would write without it: an ordered set of (due, id) and a map
//! from id to due. Both run here in turn, so that a claim can be a ratio and not a number of
//! somebody's machine.
//!
//! `cargo bench --bench wheel`; add a filter such as `pop` for a part of it.

use std::collections::{BTreeSet, HashMap};

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use punctual::message::{MessageId, Moment};
use punctual::schedule::Wheel;
use uuid::Uuid;

/// A quiet installation, a busy one, and more than one process should hold.
const SIZES: [u32; 3] = [1_000, 100_000, 1_000_000];
const START: i64 = 1_767_258_000_000_000;
/// The longest horizon.
const HOUR: u64 = 3_600_000_000;

type Payload = (u64, u32);
type Timer = (MessageId, Moment, Payload);

fn main() {
    divan::main();
}

/// What both can do.
trait Queue {
    fn empty() -> Self;
    fn insert(&mut self, id: MessageId, due: Moment, payload: Payload);
    fn remove(&mut self, id: MessageId);
    fn next_wakeup(&self) -> Option<Moment>;
    fn pop_due(&mut self, now: Moment) -> Option<Timer>;
}

impl Queue for Wheel<Payload> {
    fn empty() -> Self {
        Self::new(Moment::from_micros(START))
    }
    fn insert(&mut self, id: MessageId, due: Moment, payload: Payload) {
        self.insert(id, due, payload);
    }
    fn remove(&mut self, id: MessageId) {
        self.remove(id);
    }
    fn next_wakeup(&self) -> Option<Moment> {
        self.next_wakeup()
    }
    fn pop_due(&mut self, now: Moment) -> Option<Timer> {
        self.pop_due(now)
    }
}

struct Ordered {
    queue: BTreeSet<(Moment, MessageId)>,
    armed: HashMap<MessageId, (Moment, Payload)>,
}

impl Queue for Ordered {
    fn empty() -> Self {
        Self {
            queue: BTreeSet::new(),
            armed: HashMap::new(),
        }
    }
    fn insert(&mut self, id: MessageId, due: Moment, payload: Payload) {
        if let Some((was, _)) = self.armed.insert(id, (due, payload)) {
            self.queue.remove(&(was, id));
        }
        self.queue.insert((due, id));
    }
    fn remove(&mut self, id: MessageId) {
        if let Some((was, _)) = self.armed.remove(&id) {
            self.queue.remove(&(was, id));
        }
    }
    fn next_wakeup(&self) -> Option<Moment> {
        self.queue.first().map(|first| first.0)
    }
    fn pop_due(&mut self, now: Moment) -> Option<Timer> {
        if self.queue.first()?.0 > now {
            return None;
        }
        let (due, id) = self.queue.pop_first()?;
        let (_, payload) = self.armed.remove(&id)?;
        Some((id, due, payload))
    }
}

/// Scatters `n`; the same each time, so that both meet the same ids and times.
fn scatter(n: u64) -> u64 {
    let mut x = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn id(n: u32) -> MessageId {
    let (high, low) = (scatter(n.into()), scatter(u64::from(n) + (1 << 40)));
    MessageId(Uuid::from_u64_pair(high, low))
}

/// Anywhere within the hour.
fn due(n: u32, salt: u64) -> Moment {
    let within = scatter(u64::from(n) ^ (salt << 32)) % HOUR;
    Moment::from_micros(START + within.cast_signed())
}

fn filled<Q: Queue>(size: u32) -> Q {
    let mut queue = Q::empty();
    for n in 0..size {
        queue.insert(id(n), due(n, 1), (0, n));
    }
    queue
}

/// Sleeps and pops, as the daemon does, until nothing is left.
fn drain<Q: Queue>(queue: &mut Q) -> u32 {
    let mut popped = 0;
    while let Some(now) = queue.next_wakeup() {
        while let Some(timer) = queue.pop_due(now) {
            black_box(timer);
            popped += 1;
        }
    }
    popped
}

#[divan::bench(types = [Wheel<Payload>, Ordered], args = SIZES, sample_count = 5, sample_size = 1)]
fn insert<Q: Queue>(bencher: Bencher<'_, '_>, size: u32) {
    bencher
        .counter(ItemsCount::new(size))
        .bench_local(|| filled::<Q>(size));
}

/// Each timer to another time of the hour, in the order of ids.
#[divan::bench(types = [Wheel<Payload>, Ordered], args = SIZES, sample_count = 5, sample_size = 1)]
fn reschedule<Q: Queue>(bencher: Bencher<'_, '_>, size: u32) {
    bencher
        .counter(ItemsCount::new(size))
        .with_inputs(|| filled::<Q>(size))
        .bench_local_values(|mut queue| {
            for n in 0..size {
                queue.insert(id(n), due(n, 2), (1, n));
            }
            queue
        });
}

#[divan::bench(types = [Wheel<Payload>, Ordered], args = SIZES, sample_count = 5, sample_size = 1)]
fn remove<Q: Queue>(bencher: Bencher<'_, '_>, size: u32) {
    bencher
        .counter(ItemsCount::new(size))
        .with_inputs(|| filled::<Q>(size))
        .bench_local_values(|mut queue| {
            for n in 0..size {
                queue.remove(id(n));
            }
            queue
        });
}

/// Due times all over the hour: every timer is spread level by level before it is popped.
#[divan::bench(types = [Wheel<Payload>, Ordered], args = SIZES, sample_count = 5, sample_size = 1)]
fn pop<Q: Queue>(bencher: Bencher<'_, '_>, size: u32) {
    bencher
        .counter(ItemsCount::new(size))
        .with_inputs(|| filled::<Q>(size))
        .bench_local_values(|mut queue| {
            assert_eq!(drain(&mut queue), size);
            queue
        });
}

/// All at ten o'clock sharp.
#[divan::bench(types = [Wheel<Payload>, Ordered], args = SIZES, sample_count = 5, sample_size = 1)]
fn pop_herd<Q: Queue>(bencher: Bencher<'_, '_>, size: u32) {
    let sharp = Moment::from_micros(START + HOUR.cast_signed());
    bencher
        .counter(ItemsCount::new(size))
        .with_inputs(|| {
            let mut queue = Q::empty();
            for n in 0..size {
                queue.insert(id(n), sharp, (0, n));
            }
            queue
        })
        .bench_local_values(|mut queue| {
            assert_eq!(drain(&mut queue), size);
            queue
        });
}

/// The debug page's question. The set answers it in order of ids at ties, the wheel in order of
/// arming; here there are next to none.
#[divan::bench(args = SIZES)]
fn upcoming_100(bencher: Bencher<'_, '_>, size: u32) {
    let queue: Wheel<Payload> = filled(size);
    bencher.bench_local(|| queue.upcoming(100, None));
}
