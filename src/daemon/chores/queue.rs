//! Selects the next chore: of those that are due, the one whose last step is longest ago. Pure.

use crate::message::Uptime;

#[derive(Debug)]
pub(super) struct Queue {
    entries: Vec<Entry>,
    steps: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    due: Uptime,
    /// The next step is not made before this, because the last one failed.
    pause_until: Uptime,
    /// The number of its last step.
    last: u64,
}

impl Entry {
    const fn new(due: Uptime) -> Self {
        Self {
            due,
            pause_until: Uptime::MIN,
            last: 0,
        }
    }
}

impl Queue {
    /// One entry for each, with the time when it is first due.
    pub(super) fn new(due: impl Iterator<Item = Uptime>) -> Self {
        Self {
            entries: due.map(Entry::new).collect(),
            steps: 0,
        }
    }

    /// The one that does the next step; `None`: none is due.
    pub(super) fn next(&self, now: Uptime) -> Option<usize> {
        let due = self
            .entries
            .iter()
            .enumerate()
            .filter(|(_, e)| e.due <= now);
        due.min_by_key(|(_, e)| e.last).map(|(index, _)| index)
    }

    /// It has done a step, and is due again at this time.
    pub(super) fn done(&mut self, index: usize, due: Uptime) {
        self.steps += 1;
        if let Some(entry) = self.entries.get_mut(index) {
            *entry = Entry {
                last: self.steps,
                ..Entry::new(due)
            };
        }
    }

    /// Its step failed. It is due again at this time and not sooner, whatever happens meanwhile.
    pub(super) fn failed(&mut self, index: usize, due: Uptime) {
        self.done(index, due);
        if let Some(entry) = self.entries.get_mut(index) {
            entry.pause_until = due;
        }
    }

    /// It is due at this time, if it was due later and its last step did not fail.
    pub(super) fn due_at(&mut self, index: usize, due: Uptime) {
        if let Some(entry) = self.entries.get_mut(index) {
            entry.due = entry.due.min(due.max(entry.pause_until));
        }
    }

    /// When the next one is due.
    pub(super) fn first_due(&self) -> Option<Uptime> {
        self.entries.iter().map(|e| e.due).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn one_that_is_never_done_holds_up_no_other() {
        let mut now = Uptime::from_micros(0);
        let mut queue = Queue::new([now; 4].into_iter());
        let mut steps = [0_u32; 4];
        for _ in 0..4_000 {
            let Some(next) = queue.next(now) else {
                panic!("the first two are always due");
            };
            steps[next] += 1;
            // The first two always have more; each step takes 10 ms.
            now = now + SECOND / 100;
            let pause = if next < 2 { Duration::ZERO } else { 5 * SECOND };
            queue.done(next, now + pause);
            let due = queue.next(now).is_some();
            assert!(due);
        }
        assert_eq!(steps[0].abs_diff(steps[1]), 0, "{steps:?}");
        // 40 s: every 5 s and the steps before it.
        assert!(steps[2] >= 7 && steps[3] >= 7, "{steps:?}");
    }

    #[test]
    fn nothing_is_done_before_it_is_due() {
        let now = Uptime::from_micros(0);
        let mut queue = Queue::new([now, now + SECOND].into_iter());
        assert_eq!(queue.next(now), Some(0));
        queue.done(0, now + 5 * SECOND);
        assert_eq!(queue.next(now), None);
        assert_eq!(queue.first_due(), Some(now + SECOND));
        assert_eq!(queue.next(now + SECOND), Some(1));
        queue.done(1, now + 6 * SECOND);
        assert_eq!(queue.next(now + 9 * SECOND), Some(0));
        queue.done(0, now + 14 * SECOND);
        queue.done(1, now + 14 * SECOND);
        assert_eq!(queue.next(now + 9 * SECOND), None);
        queue.due_at(1, now + 9 * SECOND);
        assert_eq!(queue.next(now + 9 * SECOND), Some(1));
        // What is due already does not become later.
        queue.due_at(1, now + 20 * SECOND);
        assert_eq!(queue.first_due(), Some(now + 9 * SECOND));
        // What failed keeps its pause, however often it is called; once it succeeds it can be called again.
        queue.failed(1, now + 14 * SECOND);
        queue.due_at(1, now + 9 * SECOND);
        assert_eq!(queue.next(now + 13 * SECOND), None);
        assert_eq!(queue.next(now + 14 * SECOND), Some(0));
        queue.done(0, now + 30 * SECOND);
        assert_eq!(queue.next(now + 14 * SECOND), Some(1));
        queue.done(1, now + 30 * SECOND);
        queue.due_at(1, now + 15 * SECOND);
        assert_eq!(queue.next(now + 15 * SECOND), Some(1));
    }
}
