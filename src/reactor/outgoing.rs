//! What has finished and waits for its record, in groups.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::failure_pause::FailurePause;
use super::lanes::Lane;
use crate::limits::RecordLimits;
use crate::message::{AttemptToken, Moment, Now, Uptime};
use crate::settle::Record;
use crate::settle::Settlement;

/// What has finished and is not in the database yet, and what is being sent.
#[derive(Debug)]
pub(super) struct Outgoing<P> {
    pub(super) limits: RecordLimits,
    /// No queue is empty.
    finished: BTreeMap<QueueKey, VecDeque<Record<P>>>,
    /// The records in all queues of `finished`.
    finished_len: usize,
    /// Until then `finished` waits for more records; [`Uptime::MIN`]: one of them cannot wait.
    gather_until: Uptime,
    /// Records that could not be written, by when they are tried again.
    pub(super) parked: BTreeMap<(Uptime, AttemptToken), (Option<Lane>, Record<P>)>,
    /// The groups that are being written, by number.
    pub(super) groups: BTreeMap<u64, Group<P>>,
    pub(super) last_group: u64,
    pub(super) pause: FailurePause,
}

/// What has finished of a lane (`None`: of a claim that the reactor does not know). Acceptances have a queue of their
/// own: during a herd it is long, and what happens next to a message with another outcome must not wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct QueueKey {
    is_accepted: bool,
    lane: Option<Lane>,
}

#[derive(Debug)]
pub(super) struct Group<P> {
    pub(super) records: Arc<Vec<Record<P>>>,
    pub(super) sweep: u32,
}

impl<P> Outgoing<P> {
    pub(super) const fn new(limits: RecordLimits) -> Self {
        Self {
            limits,
            finished: BTreeMap::new(),
            finished_len: 0,
            gather_until: Uptime::MIN,
            parked: BTreeMap::new(),
            groups: BTreeMap::new(),
            last_group: 0,
            pause: FailurePause::new(limits.retry),
        }
    }

    pub(super) fn unrecorded(&self) -> usize {
        let grouped: usize = self.groups.values().map(|g| g.records.len()).sum();
        self.waiting() + grouped
    }

    /// The unrecorded ones that are in no group yet.
    pub(super) fn waiting(&self) -> usize {
        self.finished_len + self.parked.len()
    }

    /// Outcomes of requests that are not recorded: they are known nowhere else.
    pub(super) fn unrecorded_answers(&self) -> usize {
        self.all().filter(|r| r.started.is_some()).count()
    }

    /// When the first request ended whose outcome is not recorded.
    pub(super) fn oldest_answer(&self) -> Option<Moment> {
        self.all().filter_map(|r| r.finished).min()
    }

    /// Results that could not be recorded at the first try: how many, and when the first of their requests ended.
    pub(super) fn delayed(&self) -> (u64, Option<Moment>) {
        let ends = self.all().filter(|r| r.tries > 0);
        let ends = ends.filter_map(|r| r.finished);
        ends.fold((0, None), |(n, first), at| {
            (n + 1, Some(first.map_or(at, |first: Moment| first.min(at))))
        })
    }

    fn all(&self) -> impl Iterator<Item = &Record<P>> {
        let grouped = self.groups.values().flat_map(|g| g.records.iter());
        let parked = self.parked.values().map(|(_, record)| record);
        let finished = self.finished.values().flatten();
        finished.chain(parked).chain(grouped)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unrecorded() == 0
    }

    /// Nobody waits for the record of an acceptance, so it may be written together with others. Any other
    /// outcome decides what happens to its message next.
    pub(super) fn push_answer(&mut self, lane: Option<Lane>, record: Record<P>, now: Now) {
        let until = match record.settlement {
            Settlement::Accepted { .. } if self.finished_len > 0 => self.gather_until,
            Settlement::Accepted { .. } => now.up + self.limits.gather,
            Settlement::Settled(_) => Uptime::MIN,
        };
        self.push(lane, record);
        self.gather_until = until;
    }

    /// Has this recorded at once, and what has finished with it.
    pub(super) fn push(&mut self, lane: Option<Lane>, record: Record<P>) {
        let is_accepted = matches!(record.settlement, Settlement::Accepted { .. });
        let key = QueueKey { is_accepted, lane };
        self.finished.entry(key).or_default().push_back(record);
        self.finished_len += 1;
        self.gather_until = Uptime::MIN;
    }

    /// Has everything recorded at once from now on, without waiting for more: the daemon is shutting down.
    pub(super) const fn hurry(&mut self) {
        self.limits.gather = Duration::ZERO;
        self.gather_until = Uptime::MIN;
    }

    /// When what has finished is to be recorded.
    fn ripe_at(&self) -> Uptime {
        let is_full = self.finished_len >= self.limits.batch
            || self.waiting() >= self.limits.unrecorded_max / 2;
        if is_full {
            Uptime::MIN
        } else {
            self.gather_until
        }
    }

    pub(super) fn holds(&self, token: AttemptToken) -> bool {
        self.all().any(|r| r.token == token)
    }

    pub(super) fn park(&mut self, lane: Option<Lane>, record: Record<P>, now: Now) {
        let pause = self.limits.retry.spread(record.tries, record.key());
        let key = (now.up + pause, record.token);
        self.parked.insert(key, (lane, record));
    }

    pub(super) fn next_wakeup(&self, now: Now) -> Option<Moment> {
        if self.groups.len() >= self.limits.at_once {
            return None;
        }
        let parked = self.parked.first_key_value().map(|((at, _), _)| *at);
        let finished = (self.finished_len > 0).then(|| self.ripe_at());
        let next = [parked, finished].into_iter().flatten().min()?;
        Some(now.db + next.max(self.pause.until()).since(now.up))
    }

    pub(super) fn next_group(&mut self, now: Now) -> Vec<Record<P>> {
        if !self.pause.is_over(now) {
            return Vec::new();
        }
        while let Some(entry) = self.parked.first_entry() {
            if entry.key().0 > now.up {
                break;
            }
            let (lane, record) = entry.remove();
            self.push(lane, record);
        }
        if self.ripe_at() > now.up {
            return Vec::new();
        }
        let mut left = self.finished_len.min(self.limits.batch);
        let mut group = Vec::with_capacity(left);
        // The same for each; what small queues do not use is for the larger ones.
        let queues = self.finished.iter().map(|(key, queue)| (queue.len(), *key));
        let mut queues: Vec<_> = queues.collect();
        queues.sort_unstable();
        let mut others = queues.len();
        for (len, key) in queues {
            let n = left.div_ceil(others).min(len);
            (left, others) = (left - n, others - 1);
            let Some(queue) = self.finished.get_mut(&key) else {
                continue;
            };
            group.extend(queue.drain(..n));
            if queue.is_empty() {
                self.finished.remove(&key);
            }
        }
        self.finished_len -= group.len();
        group
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::limits::Limits;
    use crate::message::{MessageId, ProviderSid};

    /// What was not begun, or is to be tried again, behind the acceptances of a herd.
    #[test]
    fn what_decides_what_happens_next_waits_for_no_acceptances() {
        let now = Now {
            db: Moment::from_micros(0),
            up: Uptime::from_micros(0),
        };
        let limits = Limits::default().records;
        let mut outgoing = Outgoing::<()>::new(limits);
        let returned =
            |n| Record::release(MessageId(Uuid::from_u128(n)), AttemptToken::fresh(), "");
        for n in 0..10_000 {
            let sid = ProviderSid("SM1".to_owned());
            let record = Record {
                settlement: Settlement::Accepted { sid },
                ..returned(n)
            };
            outgoing.push_answer(None, record, now);
        }
        outgoing.push_answer(None, returned(10_000), now);
        let group = outgoing.next_group(now);
        assert_eq!(group.len(), limits.batch);
        assert!(group.iter().any(|record| record.id.0.as_u128() == 10_000));
        let left = std::iter::from_fn(|| Some(outgoing.next_group(now)).filter(|g| !g.is_empty()));
        assert_eq!(
            left.map(|group| group.len()).sum::<usize>(),
            10_001 - limits.batch
        );
    }
}
