//! The rates that the sender of the texts has had, and how many texts they allow.

use punctual::schedule::LEAD_MAX;

use crate::plan::micros_of;

/// [`Rates::most`] counts in parts of a text, so many each.
pub(crate) const MOST_IN: i64 = 1_000_000;

/// The rate from a moment on.
#[derive(Clone, Copy, Debug)]
struct Rate {
    since: i64,
    /// The time of a text.
    each: i64,
    burst: i32,
}

/// All of them, the first from the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rates(Vec<Rate>);

impl Rates {
    pub(crate) fn set(&mut self, since: i64, each: i64, burst: i32) {
        let rate = Rate { since, each, burst };
        self.0.push(rate);
    }

    /// How many texts have slots from then to then, at the most: the room that there was, and what came to it. A text
    /// is claimed by the rate that there is then, up to the lead before its slot.
    pub(crate) fn most(&self, from: i64, until: i64, off: i64) -> i64 {
        let lead = micros_of(LEAD_MAX);
        let in_force = |from: i64, until: i64| {
            let ends = self.0.iter().skip(1).map(|next| next.since);
            let ends = ends.chain([i64::MAX]);
            let each = self.0.iter().zip(ends);
            each.filter_map(move |(rate, end)| {
                let (from, until) = (rate.since.max(from), end.min(until));
                (from <= until).then_some((*rate, until - from))
            })
        };
        let is_changed = in_force(from - lead, until).count() > 1;
        let claimed = if is_changed { from - lead } else { from };
        let room = in_force(claimed, from)
            .map(|(rate, _)| i64::from(rate.burst))
            .max();
        let came: i64 = in_force(claimed, until)
            .map(|(rate, span)| span * MOST_IN / rate.each + 1)
            .sum();
        let fastest = in_force(claimed, until).map(|(rate, _)| rate.each).min();
        let lead = if is_changed { lead } else { 0 };
        let more = fastest.map_or(0, |each| (off + lead) * MOST_IN / each);
        room.unwrap_or(0) * MOST_IN + came + more
    }
}
