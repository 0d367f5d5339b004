//! A row of the table of [`World`](super::world::World).

use super::world::id;
use crate::message::{Channel, LaneKey, MessageId, Moment, Priority, RowState, Status};
use crate::reactor::Settlement;

#[derive(Debug)]
pub(in crate::reactor) struct Row {
    pub(in crate::reactor) id: MessageId,
    pub(in crate::reactor) due: Moment,
    pub(in crate::reactor) status: Status,
    pub(in crate::reactor) attempts: i32,
    /// It is locked.
    pub(in crate::reactor) locked: bool,
    pub(in crate::reactor) lane: LaneKey,
    pub(super) written: Option<Moment>,
    pub(super) priority: Priority,
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
            written: None,
            priority: Priority::Normal,
        }
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
