//! Status reports of modems, which name a segment and not the message: found in the database, so that a report counts
//! whichever process sent the message.

use std::time::Duration;

use super::{CallbackHandler, CallbackRejected};
use crate::proof::{About, Report};
use crate::provider::modem::{self, SegmentReport};
use crate::store::segments::SegmentOwner;

/// For how long after the start the modem keeps a report that is about no message: the outcomes that a journal proves
/// are being recorded.
const OUTCOMES_RECORDED_WITHIN: Duration = Duration::from_secs(90);

impl CallbackHandler {
    pub(super) async fn segment(&self, segment: &SegmentReport) -> Result<(), CallbackRejected> {
        let report = match &segment.known {
            Some(report) => Some(report.clone()),
            None => self.owner(segment).await?,
        };
        let Some(report) = report else {
            if self.started.elapsed() < OUTCOMES_RECORDED_WITHIN {
                return Err(CallbackRejected::NotYet);
            }
            tracing::debug!(?segment, "a report is about no message that is waited for");
            return Ok(());
        };
        let report = self.whole(segment, report).await?;
        self.report(&report).await
    }

    /// The newest attempt that it can be about.
    async fn owner(&self, segment: &SegmentReport) -> Result<Option<Report>, CallbackRejected> {
        let owners = self.store.segment_owners(&segment.sim, segment.reference);
        let owners = self.inbox.alone(owners).await?;
        let about = |owner: &SegmentOwner| {
            let ids = (owner.message, owner.token);
            segment.about(ids, &owner.sid, &owner.to)
        };
        Ok(owners.iter().find_map(about))
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
