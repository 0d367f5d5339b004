//! What must hold in a proof world, after every event and at its end.

use std::collections::BTreeSet;

use punctual::message::{AttemptToken, Delivery, InDoubt, MessageId, Status};
use punctual::proof::quarantine::StayReason;

use super::ledger::{Attempt, Row};
use super::provider::Taken;
use super::world::{Broken, Invariant, World, message, name};

impl World {
    /// A message is about to be claimed.
    pub(super) fn check_arrived(&self, id: MessageId) -> Result<(), Broken> {
        let part = self.ledger.rows[&id].parts_done;
        if !self.arrived.contains(&(id, part)) {
            return Ok(());
        }
        let what = format!("{} is claimed, though it is reported delivered", name(id));
        Err(self.broken(Invariant::ArrivedIsNotRetried, what))
    }

    /// A request for a part is about to be made.
    pub(super) fn check_order(&self, id: MessageId, part: i16) -> Result<(), Broken> {
        let is_taken = |earlier: i16| {
            let mut taken = self.provider.taken.iter();
            // What a restore has lost of equal messages is the same for each: it does not matter whose it was.
            let mut adopted = self
                .ledger
                .of(id)
                .filter(|(_, a)| a.part == earlier && a.sid.is_some());
            taken.any(|taken| taken.message == id && taken.part == earlier)
                || self.restored && adopted.next().is_some()
        };
        match (0..part).find(|earlier| !is_taken(*earlier)) {
            None => Ok(()),
            Some(earlier) => {
                let what = format!("part {part} of {} leaves before part {earlier}", name(id));
                Err(self.broken(Invariant::PartsInOrder, what))
            }
        }
    }

    /// A request is about to be made.
    pub(super) fn check_second(&self, id: MessageId, part: i16) -> Result<(), Broken> {
        let is_it = |taken: &&Taken| taken.message == id && taken.part == part;
        for taken in self.provider.taken.iter().filter(is_it) {
            // It permits doubles, also where the attempt that it sent again for was lost with a restore.
            let by_policy = |a: &Attempt| a.settled_by == Some(InDoubt::Resend);
            let lost = self.restored;
            let permitted = |(token, a): (&AttemptToken, &Attempt)| {
                by_policy(a) && (lost || *token == taken.token)
            };
            let permitted = self.ledger.of(id).any(permitted);
            if !taken.had_failed_by(self.now) && !permitted && !self.is_of_a_twin(taken) {
                let what = format!(
                    "{} goes out again, though {} was taken",
                    name(id),
                    taken.sid.0
                );
                return Err(self.broken(Invariant::NoBlindSecondText, what));
            }
        }
        Ok(())
    }

    /// It is recorded for another message, with the same text to the same number, of which the provider took nothing:
    /// what a restore has lost of equal messages is the same for each. The recipient has each text as often as there
    /// are messages with it.
    fn is_of_a_twin(&self, taken: &Taken) -> bool {
        let is_its =
            |a: &&Attempt| a.sid.as_ref() == Some(&taken.sid) && a.message != taken.message;
        let mut owners = self.ledger.attempts.values().filter(is_its);
        owners.any(|owner| {
            let is_sent =
                |other: &Taken| other.message == owner.message && other.part == owner.part;
            let row = self.ledger.rows.get(&owner.message);
            let is_equal =
                row.is_some_and(|row| row.to == taken.to && row.text(owner.part) == taken.body);
            is_equal && !self.provider.taken.iter().any(is_sent)
        })
    }

    pub(super) fn check(&self) -> Result<(), Broken> {
        let mut sids = BTreeSet::new();
        for (id, row) in &self.ledger.rows {
            if let Some(sid) = &row.sid
                && !sids.insert(&sid.0)
            {
                let what = format!("{} is sent as {}, as another message is", name(*id), sid.0);
                return Err(self.broken(Invariant::ProofIsItsOwn, what));
            }
        }
        for (token, attempt) in &self.ledger.attempts {
            let id = attempt.message;
            let denied = ["returned", "unsent", "throttled", "refused"];
            if attempt
                .outcome
                .is_some_and(|outcome| denied.contains(&outcome))
                && let Some(taken) = self.provider.by_attempt(*token)
            {
                let what = format!(
                    "{} was taken as {} and is called {:?}",
                    name(id),
                    taken.sid.0,
                    attempt.outcome
                );
                return Err(self.broken(Invariant::NeverCalledUnsent, what));
            }
            let adopted = attempt
                .sid
                .as_ref()
                .and_then(|sid| self.provider.of(&sid.0));
            let foreign = |taken: &&Taken| {
                let row = &self.ledger.rows[&id];
                let same_text =
                    row.templated || taken.body == row.text(attempt.part) || row.version > 0;
                let is_own = taken.message == id && taken.part == attempt.part;
                !(is_own || taken.to == row.to && same_text)
            };
            if let Some(taken) = adopted.filter(foreign) {
                let what = format!(
                    "{} has {} of {}",
                    name(id),
                    taken.sid.0,
                    name(taken.message)
                );
                return Err(self.broken(Invariant::ProofIsItsOwn, what));
            }
        }
        for (id, row) in &self.ledger.rows {
            let own = row.sid.as_ref().and_then(|sid| self.provider.of(&sid.0));
            let arrived = |taken: &Taken| taken.delivery_at(self.now) == Delivery::Delivered;
            // Of several parts each has arrived.
            let of_part = |part: i16| {
                let of = self.ledger.of(*id).filter(|(_, a)| a.part == part);
                let sids = of.filter_map(|(_, a)| a.sid.as_ref());
                sids.filter_map(|sid| self.provider.of(&sid.0)).any(arrived)
            };
            let all = row.parts == 1 || (0..row.parts).all(of_part);
            if row.status == Status::Delivered && !(own.is_some_and(arrived) && all) {
                let what = format!("{} is called delivered", name(*id));
                return Err(self.broken(Invariant::DeliveredIsDelivered, what));
            }
        }
        Ok(())
    }

    pub(super) fn check_end(&self) -> Result<(), Broken> {
        let broken = |id: MessageId, what: &str| {
            Err(self.broken(Invariant::EveryOutcomeEnds, format!("{} {what}", name(id))))
        };
        let Some(daemon) = &self.daemon else {
            return broken(message(0), "no daemon in the calm");
        };
        for (id, row) in &self.ledger.rows {
            match row.status {
                Status::Sending => return broken(*id, "is sending at the end"),
                Status::Pending if row.due() < self.db_now() => {
                    let reason = daemon.reasons.get(id);
                    if !daemon.withholds(*id, row.due()) || reason.is_none() {
                        return broken(*id, "is due, pending, and not in quarantine for a reason");
                    }
                    let is_known =
                        matches!(reason, Some(StayReason::Early | StayReason::NoResponse));
                    if is_known {
                        return broken(*id, "is still in quarantine for what an hour has shown");
                    }
                }
                Status::Unconfirmed if self.is_listed(*id) => {
                    return broken(*id, "is unconfirmed, though the list shows it alone");
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether the provider's list can show that the latest attempt of a row was taken: it was, and
    /// nothing else could be it.
    fn is_listed(&self, id: MessageId) -> bool {
        let row = &self.ledger.rows[&id];
        let text = row.text(row.parts_done);
        let alike = |other: &Row| {
            let texts = || (0..other.parts).any(|part| other.text(part) == text);
            other.to == row.to && (other.templated || texts())
        };
        let alone = self
            .ledger
            .rows
            .values()
            .filter(|other| alike(other))
            .count()
            == 1;
        let plain = !row.templated && row.version == 0 && alone;
        let mut attempts: Vec<_> = self.ledger.of(id).collect();
        attempts.sort_by_key(|(_, a)| a.number);
        let latest = attempts
            .last()
            .and_then(|(token, _)| self.provider.by_attempt(**token));
        let of_number = self
            .provider
            .taken
            .iter()
            .filter(|taken| taken.to == row.to && taken.body == text);
        // It may as well be an earlier attempt's whose outcome is uncertain.
        let uncertain = attempts
            .iter()
            .filter(|(_, a)| a.part == row.parts_done && a.outcome == Some("unknown"));
        // By clocks that are far apart nothing is shown.
        let clocks_agree = self.db_offset == 0;
        let one = of_number.count() == 1 && uncertain.count() == 1;
        // And redacted neither.
        let shown = self.provider.redacts == (false, false);
        plain && latest.is_some() && one && clocks_agree && shown
    }
}
