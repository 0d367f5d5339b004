//! Why messages are not sent, by what a check finds.

use super::*;
use crate::dispatch::{Failing, LatestResults, StoreFailure};
use crate::limits::HealthLimits;
use crate::message::Channel;
use crate::metrics::WaitingCause as Cause;
use crate::store::{Fault, NoEffect, Overdue, OverdueGroup, OverdueKind};

const NOW: Uptime = Uptime::from_micros(1_000_000_000);

fn ago(seconds: i64) -> Uptime {
    Uptime::from_micros(1_000_000_000 - seconds * 1_000_000)
}

fn group(kind: OverdueKind, lane: LaneKey, messages: u64, oldest_s: u64) -> OverdueGroup {
    OverdueGroup {
        kind,
        lane,
        messages,
        oldest: Duration::from_secs(oldest_s),
        is_locked: false,
    }
}

fn found(groups: Vec<OverdueGroup>) -> Seen {
    Seen {
        facts: LoopFacts::default(),
        unrecorded_for: None,
        claiming_for: Duration::from_secs(3_600),
        noted: LatestResults::default(),
        overdue: Ok(Overdue(groups)),
        faults: Vec::new(),
        no_effect: None,
        now: NOW,
        limits: HealthLimits::default(),
    }
}

/// Stuck text messages.
fn seen(messages: u64, oldest_s: u64) -> Seen {
    let stuck = group(OverdueKind::Stuck, LaneKey::default(), messages, oldest_s);
    found(if messages > 0 { vec![stuck] } else { vec![] })
}

fn held(lanes: &[(LaneKey, Held)]) -> LoopFacts {
    LoopFacts {
        held: lanes.iter().cloned().collect(),
        ..LoopFacts::default()
    }
}

fn causes(waiting: &Waiting) -> Vec<(Cause, u64)> {
    let all = Cause::ALL.into_iter();
    let all = all.map(|cause| (cause, waiting.messages(cause)));
    all.filter(|(_, messages)| *messages > 0).collect()
}

/// `reason`: why it is not ready.
fn check(seen: &Seen, cause: Option<Cause>, reason: Option<&str>) {
    let (waiting, given) = seen.judge().unwrap();
    let found: Vec<_> = causes(&waiting)
        .into_iter()
        .map(|(cause, _)| cause)
        .collect();
    assert_eq!(found, cause.into_iter().collect::<Vec<_>>(), "{given:?}");
    let given: Vec<_> = given.iter().filter(|reason| reason.is_serious).collect();
    match (given.as_slice(), reason) {
        ([], None) => {}
        ([given], Some(reason)) => assert!(given.to_string().contains(reason), "{given}"),
        _ => panic!("{given:?}, not {reason:?}"),
    }
}

fn failure(is_refusal: bool) -> StoreFailure {
    StoreFailure {
        at: ago(5),
        error: "claiming messages failed: no".into(),
        is_refusal,
    }
}

fn fault(found: &str, is_certain: bool) -> Fault {
    Fault {
        what: "rules".into(),
        is_certain,
        found: found.into(),
        remedy: "drop it".into(),
    }
}

#[test]
fn what_is_explained_is_no_reason_and_what_is_not_is_one() {
    check(&seen(0, 0), None, None);
    let paused = Seen {
        facts: held(&[(LaneKey::default(), Held::Refused)]),
        ..seen(5, 40)
    };
    check(&paused, Some(Cause::Breaker), None);
    let backlog = Seen {
        facts: held(&[(LaneKey::default(), Held::Full)]),
        ..seen(5, 40)
    };
    check(&backlog, Some(Cause::Backlog), None);
    check(&seen(5, 40), Some(Cause::Unknown), Some("5 messages"));
    let started = Seen {
        claiming_for: Duration::from_secs(1),
        ..seen(5, 10_800)
    };
    check(&started, Some(Cause::NotReady), None);
    for (kind, cause) in [
        (OverdueKind::Paused, Cause::Paused),
        (OverdueKind::Paced, Cause::Paced),
    ] {
        let stopped = found(vec![group(kind, LaneKey::default(), 7, 40)]);
        check(&stopped, Some(cause), None);
        let (waiting, _) = stopped.judge().unwrap();
        assert!(waiting.oldest_s.abs() < f64::EPSILON, "somebody wants it");
    }
    for (is_refusal, cause) in [(true, Cause::Refused), (false, Cause::Unanswered)] {
        let mut failed = seen(5, 40);
        failed.noted.claim = Some(failure(is_refusal));
        check(&failed, Some(cause), Some("claiming messages failed: no"));
        // Another was claimed since these became due: the path works.
        failed.noted.won.insert(Channel::Sms, ago(10));
        check(&failed, Some(cause), None);
    }
    let mut unrecorded = seen(0, 0);
    unrecorded.noted.record = Some(failure(true));
    unrecorded.unrecorded_for = Some(Duration::from_secs(9));
    check(&unrecorded, None, None);
    unrecorded.unrecorded_for = Some(Duration::from_secs(11));
    check(
        &unrecorded,
        None,
        Some("results have not been recorded for 11 s"),
    );
}

#[test]
fn an_instance_that_cannot_claim_yet_counts_what_waits_for_that_and_no_unknown_cause() {
    let mut loading = seen(5, 40);
    loading.facts.busy_otherwise = true;
    loading.noted.claim = Some(failure(true));
    check(&loading, Some(Cause::NotReady), None);
}

#[test]
fn what_keeps_one_lane_explains_no_other() {
    let webhooks = LaneKey::of(Channel::Webhook);
    let (refused, full) = (
        webhooks.clone().with_host("refuses.example"),
        webhooks.clone().with_host("slow.example"),
    );
    let stuck = |lane: &LaneKey, n| group(OverdueKind::Stuck, lane.clone(), n, 40);
    let several = Seen {
        facts: held(&[
            (LaneKey::default(), Held::Refused),
            (refused.clone(), Held::Refused),
            (full.clone(), Held::Full),
        ]),
        ..found(vec![
            stuck(&LaneKey::default(), 9),
            stuck(&refused, 1),
            stuck(&full, 2),
            stuck(&webhooks.with_host("stuck.example"), 4),
            group(OverdueKind::Paused, LaneKey::default(), 10_000, 60),
        ])
    };
    let (waiting, reasons) = several.judge().unwrap();
    let expected = [
        (Cause::Breaker, 10),
        (Cause::Paused, 10_000),
        (Cause::Backlog, 2),
        (Cause::Unknown, 4),
    ];
    assert_eq!(causes(&waiting), expected);
    let [reason] = reasons.as_slice() else {
        panic!("{reasons:?}");
    };
    assert!(reason.is_serious);
    let text = reason.to_string();
    assert!(text.contains("4 messages (webhook)"), "{text}");
}

/// A trigger drops the claims of some messages, and the others of their channel are sent.
#[test]
fn a_partial_stop_is_said_at_once_and_makes_not_ready_if_it_stays() {
    for (n, oldest) in [(3, 12), (3, 59), (3, 60), (2, 60)] {
        let is_serious = (n, oldest) == (3, 60);
        let mut partial = seen(n, oldest);
        partial.noted.won.insert(Channel::Sms, ago(1));
        let (_, reasons) = partial.judge().unwrap();
        let [reason] = reasons.as_slice() else {
            panic!("{reasons:?}");
        };
        assert_eq!(reason.is_serious, is_serious, "{oldest}");
        assert!(reason.to_string().contains("while others are"), "{reason}");
        // What another channel claims proves nothing for this one.
        partial.noted.won = [(Channel::Webhook, ago(1))].into();
        assert!(partial.judge().unwrap().1[0].is_serious, "{oldest}");
    }
}

#[test]
fn a_provider_that_accepts_nothing_is_a_reason_after_ten_seconds_and_one_dead_host_is_none() {
    let retrying = || found(vec![group(OverdueKind::Retry, LaneKey::default(), 3, 40)]);
    check(&retrying(), Some(Cause::Provider), None);
    let failing = |since, is_general| {
        let mut failing = Failing::at(ago(since), "connection refused");
        failing.is_general = is_general;
        failing
    };
    for (since, is_general, reason) in [
        (9, true, None),
        (
            11,
            true,
            Some("no request has been accepted for 11 s: connection refused"),
        ),
        (11, false, None),
    ] {
        let mut seen = retrying();
        seen.noted
            .failing
            .insert(Channel::Sms, failing(since, is_general));
        check(&seen, Some(Cause::Provider), reason);
    }
    // Nothing waits for it any more.
    let mut over = seen(0, 0);
    over.noted.failing.insert(Channel::Sms, failing(60, true));
    check(&over, None, None);
}

#[test]
fn results_that_wait_for_locked_rows_are_said() {
    let mut locked = seen(0, 0);
    (locked.facts.delayed, locked.facts.delayed_for) = (4, Duration::from_secs(9));
    assert!(locked.judge().unwrap().1.is_empty());
    locked.facts.delayed_for = Duration::from_secs(10);
    let (_, reasons) = locked.judge().unwrap();
    assert_eq!(
        reasons[0].to_string(),
        "4 results wait for locked rows, the first for 10 s: another transaction has locked them: \
         find it in pg_stat_activity and end it"
    );
    assert!(!reasons[0].is_serious, "all else is sent");
}

#[test]
fn a_cause_is_logged_once_however_many_messages_wait_and_for_how_long() {
    let reason = |seen: Seen| seen.judge().unwrap().1.remove(0);
    let (early, late) = (reason(seen(5, 12)), reason(seen(7, 14)));
    assert_eq!(early.why, late.why);
    assert_ne!(early.to_string(), late.to_string());
    let mut locked = seen(7, 16);
    if let Ok(overdue) = &mut locked.overdue {
        overdue.0[0].is_locked = true;
    }
    let locked = reason(locked);
    assert_ne!(locked.why, late.why);

    let (mut state, recent) = (State::default(), HealthLimits::default().recent);
    let mut news =
        |reason: &Obstruction, at| state.news(std::slice::from_ref(reason), at, recent).len();
    assert_eq!((news(&early, ago(40)), news(&late, ago(38))), (1, 0));
    assert_eq!(news(&locked, ago(36)), 1);
    // They take turns.
    assert_eq!((news(&late, ago(34)), news(&locked, ago(32))), (0, 0));
    assert_eq!(news(&late, NOW), 1, "it had been over for half a minute");
}

#[test]
fn a_cause_that_comes_and_goes_is_over_once_it_has_been_away_for_half_a_minute() {
    let (mut state, recent) = (State::default(), HealthLimits::default().recent);
    let reasons = seen(5, 12).judge().unwrap().1;
    assert!(!state.are_over(ago(100), recent), "there was none");
    for at in (60..=100).rev().step_by(8) {
        let news = state.news(&reasons, ago(at), recent).len();
        assert_eq!(news, usize::from(at == 100), "{at}");
        assert!(!state.are_over(ago(at - 4), recent), "{at}");
    }
    assert!(!state.are_over(ago(31), recent));
    assert!(state.are_over(ago(30), recent));
    assert!(!state.are_over(ago(26), recent), "it is said once");
    assert_eq!(state.news(&reasons, ago(20), recent).len(), 1);
}

/// Neither while it cannot claim, nor just after: what was stuck may be so still.
#[test]
fn an_instance_that_cannot_claim_says_nothing_of_what_was_stuck() {
    let mut loading = seen(5, 40);
    assert!(!loading.is_early());
    loading.facts.busy_otherwise = true;
    assert!(loading.is_early() && loading.judge().unwrap().1.is_empty());
    let mut loaded = seen(5, 40);
    loaded.claiming_for = Duration::from_secs(9);
    assert!(loaded.is_early() && loaded.judge().unwrap().1.is_empty());
}

/// It is over once another result has its effect, or, where no trigger is suspected any more, after a while.
#[test]
fn results_without_an_effect_on_their_rows_are_a_reason() {
    for (results, seconds, is_partial, suspects, expected) in [
        (1, 1, false, true, Some(true)),
        (2, 1, false, false, Some(false)),
        (3, 3_600, false, true, Some(true)),
        (3, 1, false, false, Some(true)),
        (3, 11, false, false, Some(false)),
        (3, 31, false, false, None),
        (3, 1, true, true, Some(false)),
        (3, 31, true, true, None),
    ] {
        let mut seen = seen(0, 0);
        seen.no_effect = Some(NoEffect {
            results,
            last: ago(seconds),
            is_partial,
        });
        seen.faults = vec![fault("trigger swallow", false); usize::from(suspects)];
        let reasons = seen.judge().unwrap().1;
        assert!(reasons.len() <= 1, "{reasons:?}");
        let found = reasons.first().map(|r| (r.is_serious, r.to_string()));
        let is_serious = found.as_ref().map(|(is_serious, _)| *is_serious);
        assert_eq!(is_serious, expected, "{results} {seconds} {is_partial}");
        let Some((_, text)) = found else { continue };
        assert!(text.contains(" in the ledger"), "{text}");
        assert_eq!(
            text.contains("trigger swallow: drop it"),
            suspects,
            "{text}"
        );
    }
}

#[test]
fn a_fault_that_is_certain_is_a_reason_though_nothing_is_due() {
    let mut certain = seen(0, 0);
    certain.faults = vec![fault("rule r rewrites changes", true)];
    check(&certain, None, Some("rule r rewrites changes: drop it"));
    let mut perhaps = seen(0, 0);
    perhaps.faults = vec![fault("rule r rewrites changes", false)];
    check(&perhaps, None, None);
    perhaps.overdue = seen(3, 11).overdue;
    check(
        &perhaps,
        Some(Cause::NoEffect),
        Some("rule r rewrites changes"),
    );
}
