//! When a message that waits for a pace, or for the rate of its sender, is claimed.

use super::{Place, Room, Subject};
use crate::message::{Claim, Moment, counted};
use crate::policy::{self, Rules};
use crate::schedule::pace::room_at;

/// The slot that a message waits for.
pub(super) struct Slot {
    /// When it begins.
    pub(super) at: Moment,
    /// From when the lateness of the message counts: since when there is a slot for the first of a queue, although a
    /// daemon that was away could not take it.
    pub(super) late_from: Moment,
    /// How many messages are before it.
    pub(super) ahead: u64,
    /// The campaign or the sender whose slot it is, for people.
    name: String,
}

impl Slot {
    /// Of a message that is due then: the later one of the slots of its campaign and of its sender. `None`: it waits
    /// for none.
    pub(super) fn first(subject: &Subject, due: Moment, now: Moment) -> Option<Self> {
        let of_pace = subject.pace.as_ref().map(|place| Self {
            at: place.turn.map_or(due, |turn| turn.first),
            late_from: place.turn.map_or(place.open_from, |turn| turn.open_from),
            ahead: place.turn.map_or(0, |turn| turn.ahead),
            name: place.name(),
        });
        let of_rate = subject.rate.as_ref().map(|room| {
            let at = room.slot(now).unwrap_or(due);
            let ahead = room.ahead.unwrap_or(0);
            let open_from = room_at(room.next_at, room.own, room.burst, room.each);
            Self {
                at,
                late_from: if ahead > 0 { at } else { open_from },
                ahead,
                name: room.name(),
            }
        });
        let both: Vec<Self> = of_pace.into_iter().chain(of_rate).collect();
        let late_from = both.iter().map(|slot| slot.late_from).max()?;
        let latest = both.into_iter().max_by_key(|slot| slot.at)?;
        Some(Self {
            at: latest.at.max(due),
            late_from,
            ..latest
        })
    }

    /// Before "will be sent".
    pub(super) fn intro(&self) -> String {
        let Self { ahead, name, .. } = self;
        let others = counted(*ahead, "other", "others");
        format!("waits for the {name}, behind {others}; then it ")
    }
}

/// When a message that is deferred until then is claimed again. `is_closed`: by business hours alone, which defer the
/// others of its campaign as well.
pub(super) fn slot_after(
    subject: &Subject,
    claim: &Claim,
    until: Moment,
    is_closed: bool,
    rules: &Rules,
) -> Moment {
    let of_pace = subject.pace.as_ref().and_then(|place| {
        let turn = place.turn.filter(|turn| is_closed && turn.slot >= until);
        let opens = |at| policy::opens(claim, rules, at);
        turn.or_else(|| place.queue.turn_after(claim.id, until, opens))
    });
    let of_rate = subject.rate.as_ref();
    let of_rate = of_rate.and_then(|room| room.slot_after(until, is_closed));
    let slots = [of_pace.map(|turn| turn.slot), of_rate];
    slots.into_iter().flatten().fold(until, Moment::max)
}

/// What the queue of a message waits for.
pub(super) fn queue_name(subject: &Subject) -> Option<String> {
    let of_rate = || subject.rate.as_ref().map(Room::name);
    subject.pace.as_ref().map(Place::name).or_else(of_rate)
}

impl Place {
    fn name(&self) -> String {
        format!("pace of {} {}", self.scope, self.what)
    }
}

impl Room {
    fn name(&self) -> String {
        format!("rate of sender {}", self.sender)
    }

    /// When there is room for the message, after all that are before it.
    fn slot(&self, now: Moment) -> Option<Moment> {
        self.ahead?;
        let Self {
            each, burst, own, ..
        } = *self;
        // It is never more than a burst.
        let full = now - each * burst.saturating_sub(1).unsigned_abs();
        let next = self.next_at.max(full) + each * self.before;
        let since = self.busy_since.unwrap_or(Moment::MIN);
        let behind = since + each * (self.before + own.min(burst).unsigned_abs());
        Some(room_at(next, own, burst, each).max(behind - each * burst.unsigned_abs()))
    }

    /// When there is room for the message that is deferred until then: after all that are before it, if closed hours
    /// defer them too; else after none of them.
    fn slot_after(&self, until: Moment, is_closed: bool) -> Option<Moment> {
        let (before, busy_since) = if is_closed {
            (self.before, Some(until))
        } else {
            (0, None)
        };
        let then = Self {
            before,
            busy_since,
            ..self.clone()
        };
        then.slot(until)
    }
}
