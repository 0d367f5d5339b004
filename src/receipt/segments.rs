//! Status reports of modems, which name a segment and not the message: found in the database, so that a report counts
//! whichever process sent the message.

use std::time::Duration;

use super::{CallbackHandler, CallbackRejected};
use crate::proof::{About, Report};
use crate::provider::modem::{self, SegmentReport};

/// The attempt that a report is about.
enum Owner {
    /// It waits for the report, which says this.
    Waits(Box<Report>),
    /// Its end is recorded, or its row is deleted: there is nothing to change.
    HasEnded,
}

/// For how long a modem keeps a report that is about no message, once the outcomes that the journals of earlier
/// processes prove are recorded: other instances may record theirs.
const OUTCOMES_RECORDED_WITHIN: Duration = Duration::from_secs(90);

impl CallbackHandler {
    pub(super) async fn segment(&self, segment: &SegmentReport) -> Result<(), CallbackRejected> {
        let report = match &segment.known {
            Some(report) => report.clone(),
            None => match self.owner(segment).await? {
                Some(Owner::Waits(report)) => *report,
                Some(Owner::HasEnded) => {
                    tracing::debug!(?segment, "a report repeats an end that is recorded");
                    return Ok(());
                }
                None => return self.about_none(segment),
            },
        };
        let report = self.whole(segment, report).await?;
        self.report(&report).await
    }

    fn about_none(&self, segment: &SegmentReport) -> Result<(), CallbackRejected> {
        let since = self.recovered.get().map(|since| since.elapsed());
        if since.is_none_or(|since| since < OUTCOMES_RECORDED_WITHIN) {
            return Err(CallbackRejected::NotYet);
        }
        tracing::debug!(?segment, "a report is about no message that is waited for");
        Ok(())
    }

    /// The attempt that it is about.
    async fn owner(&self, segment: &SegmentReport) -> Result<Option<Owner>, CallbackRejected> {
        let owners = self.store.segment_owners(&segment.sim, segment.reference);
        let owners = self.inbox.alone(owners).await?;
        let known = owners.iter().map(|own| (own.claimed_at, own.to.as_deref()));
        let owner = segment.is_about(known).and_then(|n| owners.get(n));
        Ok(owner.map(|owner| match &owner.to {
            Some(to) if owner.is_open => {
                let ids = (owner.message, owner.token);
                Owner::Waits(Box::new(segment.about(ids, &owner.sid, to)))
            }
            _ => Owner::HasEnded,
        }))
    }

    /// A message has arrived once all its segments have, and the others may be reported to another process.
    async fn whole(
        &self,
        segment: &SegmentReport,
        report: Report,
    ) -> Result<Report, CallbackRejected> {
        let About::Attempt { message, token } = report.about else {
            return Ok(report);
        };
        if !segment.has_arrived() || modem::segments(&report.sid) == 1 {
            return Ok(report);
        }
        let store = &self.store;
        let arrived = store.segment_arrived((message, token), &report.sid, segment.reference);
        let arrived = self.inbox.alone(arrived).await?;
        Ok(modem::with_arrived(report, arrived))
    }
}
