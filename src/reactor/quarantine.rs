//! After the database was restored or replaced: what was due before that is in quarantine.
//!
//! A restored table has messages as pending that were sent since. The daemon finds out which, one
//! by one; until then nothing that is due before the moment of the restore is armed or claimed, and
//! claims are released, because they may not exist there. Messages due later are sent as usual.

use std::collections::HashSet;

use super::report::RestoreReport;
use super::{Reactor, Upcoming};
use crate::message::{AttemptToken, MessageId, Moment, Now};
use crate::settle::Record;
use crate::settle::Settlement;

/// Why claims are released.
pub(super) const RESTORED: &str =
    "the database was restored or replaced; overdue messages are in quarantine";

impl<P: Clone> Reactor<P> {
    pub(super) fn quarantine(&mut self, before: Moment, written_until: Moment, now: Now) {
        self.quarantine_before = Some(before);
        self.quarantine_written_until = written_until;
        self.quarantine_cleared.clear();
        self.was_restored = true;
        for id in self.lanes.take_all_cleared() {
            if let Some(busy) = self.busy.get_mut(&id) {
                busy.recheck = true;
            }
            self.release(id, RESTORED, now);
        }
    }

    pub(super) fn end_quarantine(&mut self) {
        self.quarantine_cleared.clear();
        if self.quarantine_before.take().is_some() {
            self.intake.resync();
        }
    }

    /// Those named before are read once more: it costs little, and they may be due by now.
    pub(super) fn clear_quarantined(&mut self, ids: Vec<MessageId>) {
        if self.quarantine_before.is_none() {
            return;
        }
        let most = self.settings.limits.intake.quarantine_cleared_max;
        if self.quarantine_cleared.len() + ids.len() > most {
            let (busy, lanes) = (&self.busy, &self.lanes);
            self.quarantine_cleared
                .retain(|id| busy.contains_key(id) || lanes.get(*id).is_some());
        }
        for id in ids {
            if self.remember_cleared(id) {
                self.notified(vec![id]);
            }
        }
    }

    /// Unless there is no place: then the next comparison clears it again.
    fn remember_cleared(&mut self, id: MessageId) -> bool {
        let most = self.settings.limits.intake.quarantine_cleared_max;
        let has_room =
            self.quarantine_cleared.len() < most || self.quarantine_cleared.contains(&id);
        if has_room {
            self.quarantine_cleared.insert(id);
        }
        has_room
    }

    /// Whether a row that was read must not be armed. One that was written since the quarantine began
    /// is not in it, and is remembered as cleared.
    pub(super) fn is_kept_in_quarantine(&mut self, row: &Upcoming) -> bool {
        let is_newer = row
            .written
            .is_some_and(|at| at > self.quarantine_written_until);
        if is_newer && self.is_quarantined(row.id, row.due) {
            self.remember_cleared(row.id);
        }
        self.is_quarantined(row.id, row.due)
    }

    /// Whether a row due at `due` must not be claimed.
    pub(super) fn is_quarantined(&self, id: MessageId, due: Moment) -> bool {
        self.quarantine_before.is_some_and(|before| due < before)
            && !self.quarantine_cleared.contains(&id)
    }

    /// Open claims of this instance whose lease is over, as the database has them. The reactor
    /// finishes those it knows; the others were committed after their response was given up.
    pub(super) fn orphaned_claims(&mut self, orphaned_claims: Vec<(MessageId, AttemptToken)>) {
        let known: HashSet<_> = self.busy.values().map(|b| b.token).collect();
        for (id, token) in orphaned_claims {
            if !known.contains(&token) && !self.outgoing.holds(token) {
                let record = Record::release(id, token, "the claim was not awaited");
                let record = self.of_orphaned_claim(record);
                self.outgoing.push(None, record);
            }
        }
    }

    /// A claim that the reactor does not know never began. But after a restore it may be one that was
    /// recorded, and that this database has open again.
    pub(super) fn of_orphaned_claim(&self, record: Record<P>) -> Record<P> {
        if !self.was_restored {
            return record;
        }
        Record {
            settlement: Settlement::uncertain(
                "the database lost the outcome of the request".into(),
            ),
            ..record
        }
    }

    /// Messages due before this moment are in quarantine.
    pub const fn held_before(&self) -> Option<Moment> {
        self.quarantine_before
    }

    /// The quarantine for the report.
    pub const fn restore(&self) -> RestoreReport {
        RestoreReport {
            held_before: self.quarantine_before,
            // The reconciliation knows it.
            held: None,
            reason: None,
        }
    }
}
