//! What is under way, in numbers.

use super::ByPriority;
use crate::message::Priority;

/// How many messages of a lane, or of all, are between their claim and their record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::reactor) struct Load {
    /// All of them, in whatever phase.
    pub(in crate::reactor) busy: usize,
    /// Being claimed.
    pub(in crate::reactor) claiming: ByPriority<usize>,
    /// Claimed and judged, waiting for their due time or a permit.
    pub(in crate::reactor) cleared: ByPriority<usize>,
    /// In flight to the provider.
    pub(in crate::reactor) sending: usize,
    /// Claimed, or maybe claimed, and not to be started, until that is recorded.
    pub(in crate::reactor) unused: usize,
    /// How many messages claims from paces may win. Not busy before the answer.
    pub(in crate::reactor) paced_asks: usize,
}

impl Load {
    /// The claim of a message is decided.
    pub(in crate::reactor) const fn joined(&mut self) {
        self.busy += 1;
    }

    /// A message is recorded, or was not won.
    pub(in crate::reactor) const fn left(&mut self) {
        self.busy -= 1;
    }

    /// The claim of a message begins.
    pub(in crate::reactor) const fn asked(&mut self, priority: Priority) {
        self.claiming[priority as usize] += 1;
    }

    /// The claim of a message is over.
    pub(in crate::reactor) const fn answered(&mut self, priority: Priority) {
        self.claiming[priority as usize] -= 1;
    }

    /// A claim from a pace begins.
    pub(in crate::reactor) const fn pace_asked(&mut self) {
        self.paced_asks += 1;
    }

    /// A claim from a pace is over.
    pub(in crate::reactor) const fn pace_answered(&mut self) {
        self.paced_asks -= 1;
    }

    /// The request of a message begins.
    pub(in crate::reactor) const fn started(&mut self) {
        self.sending += 1;
    }

    /// The request of a message is over.
    pub(in crate::reactor) const fn ended(&mut self) {
        self.sending -= 1;
    }

    /// A claimed message will not be started.
    pub(in crate::reactor) const fn given_up(&mut self) {
        self.unused += 1;
    }

    /// It is recorded that a claimed message was not started.
    pub(in crate::reactor) const fn freed(&mut self) {
        self.unused -= 1;
    }

    /// Over, and not in the database yet.
    pub(in crate::reactor) const fn unrecorded(self) -> usize {
        self.busy - self.ahead_of(Priority::Low) - self.sending
    }

    /// Claimed and not started, as the table has it: their users can no longer cancel them.
    pub(in crate::reactor) const fn ahead(self) -> usize {
        self.ahead_of(Priority::Low) + self.unused + self.paced_asks
    }

    /// Those of them that may still be started and have at least this priority.
    pub(in crate::reactor) const fn ahead_of(self, least: Priority) -> usize {
        let (mut sum, mut at) = (0, least as usize);
        while at < Priority::ALL.len() {
            sum += self.claiming[at] + self.cleared[at];
            at += 1;
        }
        sum
    }

    /// The least urgent of what claims under way may win.
    pub(in crate::reactor) fn least_claiming(self) -> Option<Priority> {
        let mut all = Priority::ALL.into_iter();
        all.find(|priority| self.claiming[*priority as usize] > 0)
    }

    /// Whether a claim is under way.
    pub(in crate::reactor) const fn is_claiming(self) -> bool {
        self.claiming_in_all() > 0
    }

    /// The messages that claims under way may win, those from paces included.
    pub(in crate::reactor) const fn asking(self) -> usize {
        self.claiming_in_all() + self.paced_asks
    }

    const fn claiming_in_all(self) -> usize {
        let [low, normal, high, urgent] = self.claiming;
        low + normal + high + urgent
    }
}
