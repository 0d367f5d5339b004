//! A row of the table of [`World`](super::world::World).

use super::world::id;
use crate::message::{
    Channel, LaneKey, MessageId, Moment, Part, Parties, Priority, RowState, Status,
};
use crate::settle::Settlement;

#[derive(Debug)]
pub(in crate::reactor) struct Row {
    pub(in crate::reactor) id: MessageId,
    pub(in crate::reactor) due: Moment,
    pub(in crate::reactor) status: Status,
    pub(in crate::reactor) attempts: i32,
    /// It is locked.
    pub(in crate::reactor) locked: bool,
    pub(in crate::reactor) lane: LaneKey,
    /// That of its latest claim.
    pub(super) chosen: LaneKey,
    pub(super) written: Option<Moment>,
    pub(super) priority: Priority,
    pub(super) max_attempts: i32,
    /// When it was due first.
    pub(super) wanted_at: Moment,
    pub(super) has_begun: bool,
    /// It is not permitted from here on, for an hour.
    pub(super) closes: Moment,
    pub(in crate::reactor) part: Part,
    from: &'static str,
    to: u128,
}

impl Row {
    pub(in crate::reactor) fn due(n: u128, due: Moment) -> Self {
        Self {
            id: id(n),
            due,
            status: Status::Pending,
            attempts: 0,
            locked: false,
            lane: LaneKey::default(),
            chosen: LaneKey::default(),
            written: None,
            priority: Priority::Normal,
            max_attempts: 3,
            wanted_at: due,
            has_begun: false,
            closes: Moment::MAX,
            part: Part::ONLY,
            from: "+15005550006",
            to: n,
        }
    }

    /// The same from this sender.
    pub(in crate::reactor) fn from(self, from: &'static str) -> Self {
        Self { from, ..self }
    }

    /// The same to this recipient. All others have one of their own.
    pub(in crate::reactor) fn to(self, to: u128) -> Self {
        Self { to, ..self }
    }

    /// The same, permitted until then.
    pub(in crate::reactor) fn closing(self, closes: Moment) -> Self {
        Self { closes, ..self }
    }

    pub(super) fn parties(&self) -> Parties {
        Parties::of(&self.lane, Some(self.from), &self.to.to_string())
    }

    /// The same with this priority.
    pub(in crate::reactor) fn with(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    /// The same, inserted at this time.
    pub(in crate::reactor) fn written(self, at: Moment) -> Self {
        let written = Some(at);
        Self { written, ..self }
    }

    /// The same over another channel.
    pub(in crate::reactor) fn over(self, channel: Channel) -> Self {
        let lane = LaneKey::of(channel);
        Self { lane, ..self }
    }

    /// The same by this lane.
    pub(super) fn by(self, lane: LaneKey) -> Self {
        Self { lane, ..self }
    }

    pub(super) fn state(&self) -> RowState {
        match self.status {
            Status::Pending => RowState::Pending {
                due: self.due,
                version: 0,
                attempts: self.attempts,
                priority: self.priority,
                lane: self.lane.clone(),
                written: self.written,
                pace: None,
            },
            status => RowState::Gone {
                status: Some(status),
            },
        }
    }

    pub(super) fn settle(&mut self, settlement: &Settlement, now: Moment) {
        match settlement {
            Settlement::Accepted { .. } => self.status = Status::Sent,
            Settlement::Settled(settled) => {
                self.status = settled.status();
                self.attempts -= i32::from(!settled.counts);
                let pause = settled.pause().map(|pause| now + pause);
                self.due = settled.until().or(pause).unwrap_or(self.due);
            }
        }
    }
}
