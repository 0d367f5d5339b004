//! Groups of reports, and properties that hold for any of them in any order.

use proptest::prelude::*;

use super::*;
use crate::message::status::{Writer, transition};

#[test]
fn a_group_is_written_once_but_passes_what_it_was() {
    let hold = failure(Retry::HoldAccount { probe: minutes(5) });
    let (sent, failed) = (report(Delivery::Sent), report(Delivery::Undelivered(NO)));
    let both = [located(&sent), located(&failed)];
    let got = merge(of(standing(Status::Sending, None)), &both, ALLOWED);
    let steps: Vec<_> = got.rows[&MESSAGE].iter().map(|step| step.to).collect();
    assert_eq!(steps, [Status::Sent, Status::Failed]);
    let attempt = &got.attempts[&ATTEMPT];
    assert!(attempt.first_proof);
    assert_eq!(attempt.report, &failed);
    let kept: Vec<_> = got.receipts.iter().map(|kept| kept.row).collect();
    assert_eq!(kept, [Some(Status::Sent), Some(Status::Failed)]);
    // Put back by one attempt, and proven by an earlier one: not counted once, and sent.
    let mut two = standing(Status::Sent, Some(Stage::Sent));
    two.attempts.insert(LATER, attempt_at(false, None));
    let failed = report(Delivery::Failed(hold));
    let proof = report_by("B", Delivery::Sent);
    let later = Located {
        token: LATER,
        ..located(&proof)
    };
    let got = merge(of(two), &[located(&failed), later], ALLOWED);
    let [row] = &got.rows[&MESSAGE][..] else {
        panic!("{got:?}");
    };
    assert_eq!((row.to, row.uncounted), (Status::Sent, 1));
    assert_eq!((row.pause, row.report), (None, &proof));
}

pub(super) fn any_delivery() -> impl Strategy<Value = Delivery> {
    let failures = prop::sample::select(vec![
        NO,
        failure(Retry::after(minutes(1))),
        failure(Retry::HoldAccount { probe: minutes(5) }),
        failure(Retry::MayHaveArrived),
    ]);
    prop_oneof![
        Just(Delivery::Queued),
        Just(Delivery::Sending),
        Just(Delivery::Sent),
        Just(Delivery::Delivered),
        failures.clone().prop_map(Delivery::Undelivered),
        failures.clone().prop_map(Delivery::Failed),
        failures.prop_map(Delivery::Cancelled),
    ]
}

/// Where a list of reports leads, taken in one group or each in one of its own.
pub(super) fn end(mut standings: Standings, groups: &[&[Located<'_>]]) -> (Standings, i32) {
    let mut uncounted = 0;
    for group in groups {
        let rows = merge(standings.clone(), group, ALLOWED).rows;
        uncounted += rows
            .values()
            .flatten()
            .map(|row| row.uncounted)
            .sum::<i32>();
        let mut merged = Merged::default();
        for located in *group {
            standings.take(located, ALLOWED, &mut merged);
        }
    }
    (standings, uncounted)
}

proptest! {
    /// Whatever comes in whatever order: every step is one the table of transitions has,
    /// the rank never falls, and a repeat changes nothing.
    #[test]
    fn any_order_is_survived(
        from in prop::sample::select(Status::ALL.to_vec()),
        calls in prop::collection::vec(any_delivery(), 1..12),
        latest in any::<bool>(),
    ) {
        let mut first = standing(from, None);
        first.attempts.insert(ATTEMPT, attempt_at(latest, None));
        let mut now = of(first);
        for call in calls {
            let rank = |s: &Standings| {
                s.messages[&MESSAGE].attempts[&ATTEMPT].stage.map(Stage::rank)
            };
            let status = |s: &Standings| s.messages[&MESSAGE].row.as_ref().map(|r| r.status);
            let (before, was) = (rank(&now), status(&now));
            let report = report(call);
            let mut merged = Merged::default();
            let change = now.take(&located(&report), ALLOWED, &mut merged);
            if let (Change::Advance { row: Some(to), .. }, Some(was)) = (change, was) {
                prop_assert!(transition(Some(was), to, Writer::Daemon), "{was:?} {to:?}");
                prop_assert_eq!(status(&now), Some(to));
            }
            prop_assert!(rank(&now) >= before);
            let again = now.clone().take(&located(&report), ALLOWED, &mut merged);
            prop_assert!(!matches!(again, Change::Advance { .. }), "{again:?}");
        }
    }

    /// A group comes to what its reports come to one by one, and each step that is written
    /// of it is one that the table of transitions has.
    #[test]
    fn a_group_is_the_sum_of_its_reports(
        from in prop::sample::select(Status::ALL.to_vec()),
        calls in prop::collection::vec((any_delivery(), any::<bool>(), any::<bool>()), 1..9),
        latest in any::<bool>(),
    ) {
        let mut first = standing(from, None);
        first.attempts.insert(ATTEMPT, attempt_at(latest, None));
        first.attempts.insert(LATER, attempt_at(!latest, None));
        let reports: Vec<_> = calls.iter().map(|(delivery, later, own)| {
            let name = match (later, own) { (_, false) => "C", (true, _) => "B", _ => "A" };
            (*later, report_by(name, *delivery))
        }).collect();
        let all: Vec<_> = reports.iter().map(|(later, report)| Located {
            token: if *later { LATER } else { ATTEMPT },
            ..located(report)
        }).collect();
        let singly: Vec<_> = all.chunks(1).collect();
        let (together, apart) = (end(of(first.clone()), &[&all]), end(of(first.clone()), &singly));
        prop_assert_eq!(&together, &apart);
        let written = merge(of(first), &all, ALLOWED);
        let row = together.0.messages[&MESSAGE].row.clone().unwrap();
        let mut at = from;
        for write in written.rows.get(&MESSAGE).into_iter().flatten() {
            prop_assert!(transition(Some(at), write.to, Writer::Daemon), "{at:?} {:?}", write.to);
            at = write.to;
        }
        prop_assert_eq!(at, row.status);
        for (token, attempt) in &together.0.messages[&MESSAGE].attempts {
            let stage = written.attempts.get(token).map(|w| w.report.status.delivery.stage());
            prop_assert_eq!(attempt.stage, stage);
        }
    }

    #[test]
    fn without_contradiction_the_order_does_not_matter(
        calls in prop::collection::vec(
            prop::sample::select(vec![
                Delivery::Queued, Delivery::Sending, Delivery::Sent, Delivery::Delivered,
            ]), 1..8).prop_shuffle(),
    ) {
        let reports: Vec<_> = calls.iter().map(|call| report(*call)).collect();
        let all: Vec<_> = reports.iter().map(located).collect();
        let got = merge(of(standing(Status::Sending, None)), &all, ALLOWED);
        let highest = calls.iter().map(|c| c.stage()).max_by_key(|s| s.rank()).unwrap();
        let last = got.rows[&MESSAGE].last().unwrap();
        prop_assert_eq!(last.to, highest.row_status());
    }
}
