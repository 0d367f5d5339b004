//! The end of the last lease of a job: a message that is due at that moment, and is never sent.

use super::{Reason, ReasonKind};
use crate::message::{Channel, Claim};

/// Its type (`triggers/job_runs.sql`). On another channel a message of the app's may have it.
const LEASE_END: &str = "job_lease_end";

/// Why such a message is not sent; `None`: it is another one.
pub(super) fn end(claim: &Claim) -> Option<Reason> {
    let is_end = claim.lane.channel() == Channel::Webhook
        && claim.facts.message_type.as_deref() == Some(LEASE_END);
    is_end.then(|| Reason::new(ReasonKind::LeaseOver, "the last lease of its job is over"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::claim;
    use super::*;
    use crate::message::LaneKey;

    #[test]
    fn it_is_known_by_its_type_and_channel() {
        let mut claim = claim();
        claim.facts.message_type = Some(LEASE_END.into());
        assert_eq!(end(&claim), None);
        claim.lane = LaneKey::of(Channel::Webhook);
        let kind = end(&claim).map(|reason| reason.kind);
        assert_eq!(kind, Some(ReasonKind::LeaseOver));
        claim.facts.message_type = Some("job:sync_calendar".into());
        assert_eq!(end(&claim), None);
    }
}
