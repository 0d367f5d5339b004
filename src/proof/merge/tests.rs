use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::message::status::{Writer, transition};
use crate::message::{Category, Failure, Moment, Stage};
use crate::proof::report::{About, ProviderStatus};
use crate::proof::standing::Room;

const HOUR: Duration = Duration::from_secs(3600);
const MESSAGE: MessageId = MessageId(Uuid::from_u128(1));
const ATTEMPT: AttemptToken = AttemptToken(Uuid::from_u128(11));
const LATER: AttemptToken = AttemptToken(Uuid::from_u128(12));

fn sid(name: &str) -> ProviderSid {
    ProviderSid(name.to_owned())
}

fn failure(retry: Retry) -> Failure {
    Failure {
        category: Category::Unreachable,
        retry,
    }
}

const NO: Failure = Failure::UNEXPLAINED;

fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

/// So many attempts of three, so many minutes after the wanted time.
fn room(attempts: i32, late: u64) -> Room {
    Room {
        attempts,
        max_attempts: 3,
        wanted_at: Moment::default(),
        send_before: None,
        now: Moment::default() + minutes(late),
    }
}

fn attempt(latest: bool, stage: Option<Stage>) -> AttemptStanding {
    AttemptStanding {
        latest,
        accepted: stage.is_some(),
        sid: stage.map(|_| sid("A")),
        stage,
        recovered: false,
    }
}

/// A message whose row stands so, and whose attempt has come so far.
fn standing(row: Status, stage: Option<Stage>) -> Standing {
    Standing {
        message: MESSAGE,
        row: Some(RowStanding {
            status: row,
            sid: matches!(row, Status::Sent | Status::Delivered).then(|| sid("A")),
            room: room(1, 0),
            no_retry: None,
        }),
        attempts: [(ATTEMPT, attempt(true, stage))].into(),
    }
}

fn of(standing: Standing) -> Standings {
    Standings {
        messages: [(standing.message, standing)].into(),
        owners: BTreeMap::new(),
    }
}

fn report_by(name: &str, delivery: Delivery) -> Report {
    let failed = delivery.failure().is_some();
    Report {
        about: About::Sid,
        sid: sid(name),
        status: ProviderStatus {
            delivery,
            word: delivery.stage().as_str(),
            code: None,
            error: failed.then(|| "did not arrive".to_owned()),
        },
        from: None,
        to: None,
    }
}

fn report(delivery: Delivery) -> Report {
    report_by("A", delivery)
}

fn located(report: &Report) -> Located<'_> {
    Located {
        message: MESSAGE,
        token: ATTEMPT,
        report,
    }
}

fn merged(standing: &Standing, delivery: Delivery) -> Change {
    let report = report(delivery);
    let merged = merge(of(standing.clone()), &[located(&report)], HOUR);
    merged.changes[0]
}

fn row_of(standing: &Standing, delivery: Delivery) -> Option<Status> {
    match merged(standing, delivery) {
        Change::Advance { row, .. } => row,
        other => panic!("{other:?}"),
    }
}

#[test]
fn proof_counts_in_every_state_and_a_denial_only_where_the_attempt_holds_the_row() {
    use Delivery as D;
    use Status as S;
    let check = |from, before, then: Delivery, to| {
        let got = row_of(&standing(from, before), then);
        assert_eq!(got, to, "{from:?} {before:?} {then:?}");
    };
    for from in [
        S::Sending,
        S::Unconfirmed,
        S::Pending,
        S::Failed,
        S::Cancelled,
    ] {
        check(from, None, D::Queued, Some(S::Sent));
        check(from, None, D::Delivered, Some(S::Delivered));
    }
    check(S::Sending, None, D::Failed(NO), Some(S::Failed));
    check(S::Unconfirmed, None, D::Undelivered(NO), Some(S::Failed));
    check(S::Pending, None, D::Failed(NO), None);
    check(S::Cancelled, None, D::Failed(NO), None);
    check(S::Sent, None, D::Sending, None);
    check(S::Sent, Some(Stage::Sent), D::Delivered, Some(S::Delivered));
    check(
        S::Sent,
        Some(Stage::Sent),
        D::Cancelled(NO),
        Some(S::Failed),
    );
    check(S::Delivered, None, D::Sent, None);
}

#[test]
fn another_attempt_is_not_denied_by_this_one() {
    let mut newer_in_flight = standing(Status::Sending, None);
    newer_in_flight
        .attempts
        .insert(ATTEMPT, attempt(false, None));
    assert_eq!(row_of(&newer_in_flight, Delivery::Failed(NO)), None);
    let proof = row_of(&newer_in_flight, Delivery::Sent);
    assert_eq!(proof, Some(Status::Sent));
    let mut newer_sent = standing(Status::Sent, None);
    newer_sent.row.as_mut().unwrap().sid = Some(sid("B"));
    assert_eq!(row_of(&newer_sent, Delivery::Failed(NO)), None);
}

#[test]
fn ranks_only_grow_and_of_two_ends_the_first_stays() {
    use Delivery as D;
    let sent = |before, then| merged(&standing(Status::Sent, Some(before)), then);
    assert_eq!(sent(Stage::Sent, D::Sent), Change::Nothing);
    assert_eq!(sent(Stage::Sent, D::Queued), Change::Nothing);
    assert_eq!(sent(Stage::Failed, D::Undelivered(NO)), Change::Nothing);
    assert_eq!(sent(Stage::Failed, D::Sent), Change::Nothing);
    assert_eq!(sent(Stage::Delivered, D::Failed(NO)), Change::Contradiction);
    assert_eq!(sent(Stage::Failed, D::Delivered), Change::Contradiction);
}

#[test]
fn one_sid_is_one_attempts_and_one_attempt_has_one_sid() {
    let own = report_by("B", Delivery::Delivered);
    let has_another = of(standing(Status::Sent, Some(Stage::Sent)));
    let got = merge(has_another, &[located(&own)], HOUR);
    assert_eq!(got.changes, [Change::Contradiction]);
    assert!(got.attempts.is_empty() && got.rows.is_empty());
    assert!(got.receipts[0].contradicts);
    let mut anothers = of(standing(Status::Sending, None));
    anothers.owners.insert("B".to_owned(), LATER);
    let got = merge(anothers, &[located(&own)], HOUR);
    assert_eq!(got.changes, [Change::Contradiction]);
    // Within a group as well, whatever message the other attempt is of.
    let mut two = of(standing(Status::Sending, None));
    let other = MessageId(Uuid::from_u128(2));
    two.messages.insert(
        other,
        Standing {
            message: other,
            attempts: [(LATER, attempt(true, None))].into(),
            ..standing(Status::Sending, None)
        },
    );
    let second = Located {
        message: other,
        token: LATER,
        report: &own,
    };
    let got = merge(two, &[located(&own), second], HOUR);
    assert!(matches!(got.changes[0], Change::Advance { .. }));
    assert_eq!(got.changes[1], Change::Contradiction);
}

#[test]
fn what_could_not_be_delivered_is_tried_again_where_its_failure_says_so() {
    let check = |from, retry, room: Room, expected: Option<(u64, u64, bool)>| {
        let mut standing = standing(from, None);
        standing.row.as_mut().unwrap().room = room;
        let undelivered = Delivery::Undelivered(failure(retry));
        let Change::Advance { row, again, .. } = merged(&standing, undelivered) else {
            panic!("{retry:?}");
        };
        let became = expected.map_or(Status::Failed, |_| Status::Pending);
        assert_eq!(row, Some(became), "{from:?} {retry:?} {room:?}");
        let got = again.map(|a| (a.pause.as_secs(), a.counts));
        match (got, expected) {
            (None, None) => {}
            (Some((pause, counts)), Some((least, most, counted))) => {
                assert!((least..=most).contains(&pause), "{retry:?} {pause}");
                assert_eq!(counts, counted, "{retry:?}");
            }
            other => panic!("{retry:?} {other:?}"),
        }
    };
    let after = |n| Retry::After { base: minutes(n) };
    let hold = Retry::HoldAccount { probe: minutes(5) };
    let maybe = Retry::OnlyIfConfigured { base: minutes(3) };
    for from in [Status::Sent, Status::Sending, Status::Unconfirmed] {
        check(from, after(1), room(1, 0), Some((45, 60, true)));
        check(from, after(1), room(2, 0), Some((90, 120, true)));
        check(from, after(1), room(3, 0), None);
        check(from, after(1), room(1, 60), None);
        check(from, after(5), room(1, 0), Some((225, 300, true)));
        check(from, hold, room(3, 0), Some((300, 300, false)));
        check(from, hold, room(1, 56), None);
        // It may have arrived all the same.
        check(from, maybe, room(1, 0), None);
        check(from, Retry::No, room(1, 0), None);
        let soon = Room {
            send_before: Some(Moment::default() + Duration::from_secs(30)),
            ..room(1, 0)
        };
        check(from, after(1), soon, None);
    }
}

#[test]
fn a_row_that_the_table_does_not_let_be_pending_has_failed_and_says_why() {
    let mut standing = standing(Status::Sent, Some(Stage::Sent));
    standing.row.as_mut().unwrap().no_retry = Some("another is under way".to_owned());
    let undelivered = report(Delivery::Undelivered(failure(Retry::After {
        base: minutes(1),
    })));
    let got = merge(of(standing), &[located(&undelivered)], HOUR);
    let [row] = &got.rows[&MESSAGE][..] else {
        panic!("{got:?}");
    };
    assert_eq!((row.to, row.pause), (Status::Failed, None));
    let error = row.error.as_deref();
    assert_eq!(error, Some("another is under way: did not arrive"));
}

/// A later attempt may have been sent, and lost with the rest.
#[test]
fn what_a_restored_database_had_lost_is_not_retried() {
    let retried = Delivery::Undelivered(failure(Retry::After { base: minutes(1) }));
    let never = Delivery::Undelivered(failure(Retry::No));
    for (delivery, error) in [
        (
            retried,
            "not retried, because the database was restored after this attempt: did not arrive",
        ),
        (never, "did not arrive"),
    ] {
        let mut standing = standing(Status::Sent, Some(Stage::Sent));
        for attempt in standing.attempts.values_mut() {
            attempt.recovered = true;
        }
        let report = report(delivery);
        let got = merge(of(standing), &[located(&report)], HOUR);
        let [row] = &got.rows[&MESSAGE][..] else {
            panic!("{got:?}");
        };
        assert_eq!((row.to, row.pause), (Status::Failed, None));
        assert_eq!(row.error.as_deref(), Some(error));
    }
}

#[test]
fn a_failure_that_is_not_the_rows_is_no_reason_to_try_again() {
    let failed = Delivery::Failed(failure(Retry::After { base: minutes(1) }));
    let mut newer = standing(Status::Sent, None);
    newer.row.as_mut().unwrap().sid = Some(sid("B"));
    let done = [
        newer,
        standing(Status::Delivered, None),
        standing(Status::Cancelled, None),
        standing(Status::Pending, None),
    ];
    for standing in done {
        let expected = Change::Advance {
            stage: Stage::Failed,
            row: None,
            again: None,
        };
        assert_eq!(merged(&standing, failed), expected, "{standing:?}");
    }
}

#[test]
fn a_group_is_written_once_but_passes_what_it_was() {
    let hold = failure(Retry::HoldAccount { probe: minutes(5) });
    let (sent, failed) = (report(Delivery::Sent), report(Delivery::Undelivered(NO)));
    let both = [located(&sent), located(&failed)];
    let got = merge(of(standing(Status::Sending, None)), &both, HOUR);
    let steps: Vec<_> = got.rows[&MESSAGE].iter().map(|step| step.to).collect();
    assert_eq!(steps, [Status::Sent, Status::Failed]);
    let attempt = &got.attempts[&ATTEMPT];
    assert!(attempt.first_proof);
    assert_eq!(attempt.report, &failed);
    let kept: Vec<_> = got.receipts.iter().map(|kept| kept.row).collect();
    assert_eq!(kept, [Some(Status::Sent), Some(Status::Failed)]);
    // Put back by one attempt, and proven by an earlier one: not counted once, and sent.
    let mut two = standing(Status::Sent, Some(Stage::Sent));
    two.attempts
        .insert(LATER, super::tests::attempt(false, None));
    let failed = report(Delivery::Failed(hold));
    let proof = report_by("B", Delivery::Sent);
    let later = Located {
        token: LATER,
        ..located(&proof)
    };
    let got = merge(of(two), &[located(&failed), later], HOUR);
    let [row] = &got.rows[&MESSAGE][..] else {
        panic!("{got:?}");
    };
    assert_eq!((row.to, row.uncounted), (Status::Sent, 1));
    assert_eq!((row.pause, row.report), (None, &proof));
}

fn any_delivery() -> impl Strategy<Value = Delivery> {
    let failures = prop::sample::select(vec![
        NO,
        failure(Retry::After { base: minutes(1) }),
        failure(Retry::HoldAccount { probe: minutes(5) }),
        failure(Retry::OnlyIfConfigured { base: minutes(3) }),
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
fn end(mut standings: Standings, groups: &[&[Located<'_>]]) -> (Standings, i32) {
    let mut uncounted = 0;
    for group in groups {
        let rows = merge(standings.clone(), group, HOUR).rows;
        uncounted += rows
            .values()
            .flatten()
            .map(|row| row.uncounted)
            .sum::<i32>();
        let mut merged = Merged::default();
        for located in *group {
            standings.take(located, HOUR, &mut merged);
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
        first.attempts.insert(ATTEMPT, attempt(latest, None));
        let mut now = of(first);
        for call in calls {
            let rank = |s: &Standings| {
                s.messages[&MESSAGE].attempts[&ATTEMPT].stage.map(Stage::rank)
            };
            let status = |s: &Standings| s.messages[&MESSAGE].row.as_ref().map(|r| r.status);
            let (before, was) = (rank(&now), status(&now));
            let report = report(call);
            let mut merged = Merged::default();
            let change = now.take(&located(&report), HOUR, &mut merged);
            if let (Change::Advance { row: Some(to), .. }, Some(was)) = (change, was) {
                prop_assert!(transition(Some(was), to, Writer::Daemon), "{was:?} {to:?}");
                prop_assert_eq!(status(&now), Some(to));
            }
            prop_assert!(rank(&now) >= before);
            let again = now.clone().take(&located(&report), HOUR, &mut merged);
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
        first.attempts.insert(ATTEMPT, attempt(latest, None));
        first.attempts.insert(LATER, attempt(!latest, None));
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
        let written = merge(of(first), &all, HOUR);
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
        let got = merge(of(standing(Status::Sending, None)), &all, HOUR);
        let highest = calls.iter().map(|c| c.stage()).max_by_key(|s| s.rank()).unwrap();
        let last = got.rows[&MESSAGE].last().unwrap();
        prop_assert_eq!(last.to, highest.row_status());
    }
}
