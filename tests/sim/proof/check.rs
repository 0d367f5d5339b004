//! What must hold in a proof world, after every event and at its end.

use punctual::message::{Delivery, InDoubt, MessageId, Status};
use punctual::proof::quarantine::StayReason;

use super::ledger::{Attempt, Row};
use super::provider::Taken;
use super::world::{Broken, Invariant, World, message, name};

impl World {
    /// A message is about to be claimed.
    pub(super) fn check_arrived(&self, id: MessageId) -> Result<(), Broken> {
        if !self.arrived.contains(&id) {
            return Ok(());
        }
        let what = format!("{} is claimed, though it is reported delivered", name(id));
        Err(self.broken(Invariant::ArrivedIsNotRetried, what))
    }

    /// A request is about to be made.
    pub(super) fn check_second(&self, id: MessageId) -> Result<(), Broken> {
        for taken in self
            .provider
            .taken
            .iter()
            .filter(|taken| taken.message == id)
        {
            // It permits doubles, also where the attempt that it sent again for was lost with a restore.
            let by_policy = |a: &Attempt| a.settled_by == Some(InDoubt::Resend);
            let permitted = self.ledger.of(id).any(|(_, a)| by_policy(a));
            if !taken.had_failed_by(self.now) && !permitted {
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

    pub(super) fn check(&self) -> Result<(), Broken> {
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
                let same_text = row.templated || taken.body == row.body || row.version > 0;
                taken.message != id && !(taken.to == row.to && same_text)
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
            if row.status == Status::Delivered && !own.is_some_and(arrived) {
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
                    let told = matches!(reason, Some(StayReason::Early | StayReason::NoResponse));
                    if told {
                        return broken(*id, "is still in quarantine for what an hour has told");
                    }
                }
                Status::Unconfirmed if self.is_told(*id) => {
                    return broken(*id, "is unconfirmed, though the list shows it alone");
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether the provider's list can tell that the latest attempt of a row was taken: it was, and
    /// nothing else could be it.
    fn is_told(&self, id: MessageId) -> bool {
        let row = &self.ledger.rows[&id];
        let alike = |other: &Row| other.to == row.to && (other.templated || other.body == row.body);
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
            .filter(|taken| taken.to == row.to && taken.body == row.body);
        // It may as well be an earlier attempt's whose outcome is uncertain.
        let uncertain = attempts
            .iter()
            .filter(|(_, a)| a.outcome == Some("unknown"));
        // By clocks that are far apart nothing is told.
        let clocks_agree = self.db_offset == 0;
        let one = of_number.count() == 1 && uncertain.count() == 1;
        // And redacted neither.
        let shown = self.provider.redacts == (false, false);
        plain && latest.is_some() && one && clocks_agree && shown
    }
}
