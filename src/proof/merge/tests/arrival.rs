//! A failure is reported, and arrival after it.

use proptest::prelude::*;

use super::groups::{any_delivery, end};
use super::*;

/// Whatever the failure had started by then: a retry that waits, is claimed, was sent, has an uncertain
/// outcome or failed.
#[test]
fn what_arrives_after_all_is_not_retried() {
    use Status as S;
    for (status, sid_of_row) in [
        (S::Pending, None),
        (S::Sending, None),
        (S::Sent, Some("B")),
        (S::Unconfirmed, None),
        (S::Failed, Some("A")),
        (S::Failed, Some("B")),
        (S::Cancelled, None),
    ] {
        let mut now = standing(status, Some(Stage::Undelivered));
        now.row.as_mut().unwrap().sid = sid_of_row.map(sid);
        let report = report(Delivery::Delivered);
        let got = merge(of(now.clone()), &[located(&report)], ALLOWED);
        let [row] = &got.rows[&MESSAGE][..] else {
            panic!("{got:?}");
        };
        assert_eq!((row.to, row.pause), (S::Delivered, None), "{status:?}");
        let write = &got.attempts[&ATTEMPT];
        assert!(write.arrived_after_all && !write.first_proof);
        // A user who has set it back to `pending` since wants another text.
        now.attempts.get_mut(&ATTEMPT).unwrap().requeued_since = true;
        let got = merge(of(now), &[located(&report)], ALLOWED);
        assert!(got.rows.is_empty() && !got.attempts.is_empty(), "{got:?}");
    }
}

proptest! {
    /// Where one of the reports says that it arrived, that is how it ends, in any order.
    #[test]
    fn arrival_counts_in_any_order(
        calls in prop::collection::vec(any_delivery(), 0..6).prop_map(|mut calls| {
            calls.push(Delivery::Delivered);
            calls
        }).prop_shuffle(),
        from in prop::sample::select(vec![Status::Sending, Status::Unconfirmed, Status::Sent]),
    ) {
        let reports: Vec<_> = calls.iter().map(|call| report(*call)).collect();
        let all: Vec<_> = reports.iter().map(located).collect();
        let mut first = standing(from, None);
        first.row.as_mut().unwrap().sid = None;
        let (end, _) = end(of(first), &[&all]);
        let standing = &end.messages[&MESSAGE];
        prop_assert_eq!(standing.row.as_ref().unwrap().status, Status::Delivered);
        prop_assert_eq!(standing.attempts[&ATTEMPT].stage, Some(Stage::Delivered));
    }
}
