//! Why messages are not sent, by what a check finds.

use super::*;

fn seen(messages: u64, oldest_s: u64) -> Seen {
    Seen {
        facts: Facts::default(),
        unrecorded_for: None,
        claiming_for: Duration::from_secs(3_600),
        noted: Noted::default(),
        overdue: Ok(Overdue {
            messages,
            paused: 0,
            paced: 0,
            oldest: Duration::from_secs(oldest_s),
            is_locked: false,
        }),
        faults: Vec::new(),
        now: Uptime::from_micros(1_000_000_000),
        limits: HealthLimits::default(),
    }
}

fn check(seen: &Seen, cause: Option<Cause>, reason: Option<&str>) {
    let (waiting, given) = seen.judge();
    assert_eq!(waiting.cause, cause, "{given:?}");
    match (&given, reason) {
        (None, None) => {}
        (Some(given), Some(reason)) => assert!(given.to_string().contains(reason), "{given}"),
        _ => panic!("{given:?}, not {reason:?}"),
    }
}

#[test]
fn what_is_explained_is_no_reason_and_what_is_not_is_one() {
    check(&seen(0, 0), None, None);
    let open = Facts {
        breaker_open: true,
        ..Facts::default()
    };
    let paused = Seen {
        facts: open,
        ..seen(5, 40)
    };
    check(&paused, Some(Cause::Breaker), None);
    let full = Facts {
        saturated: true,
        ..Facts::default()
    };
    let backlog = Seen {
        facts: full,
        ..seen(5, 40)
    };
    check(&backlog, Some(Cause::Backlog), None);
    check(&seen(5, 40), Some(Cause::Unknown), Some("5 messages"));
    let started = Seen {
        claiming_for: Duration::from_secs(1),
        ..seen(5, 10_800)
    };
    check(&started, Some(Cause::Unknown), None);
    let mut stopped = seen(0, 0);
    stopped.overdue = Ok(Overdue {
        paused: 7,
        ..Overdue::default()
    });
    check(&stopped, Some(Cause::Paused), None);
    stopped.overdue = Ok(Overdue {
        paced: 7,
        ..Overdue::default()
    });
    check(&stopped, Some(Cause::Paced), None);
    let failure = |is_refusal| Failure {
        at: Uptime::from_micros(995_000_000),
        error: "claiming messages failed: no".into(),
        is_refusal,
    };
    for (is_refusal, cause) in [(true, Cause::Refused), (false, Cause::Unanswered)] {
        let mut failed = seen(5, 40);
        failed.noted.claim = Some(failure(is_refusal));
        check(&failed, Some(cause), Some("claiming messages failed: no"));
        // Another was claimed since these became due: the path works.
        failed.noted.won = Some(Uptime::from_micros(990_000_000));
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
fn a_cause_is_logged_once_however_many_messages_wait_and_for_how_long() {
    let reason = |seen: Seen| seen.judge().1.unwrap();
    let (early, late) = (reason(seen(5, 12)), reason(seen(7, 14)));
    assert_eq!(early.why, late.why);
    assert_ne!(early.to_string(), late.to_string());
    let mut locked = seen(7, 16);
    locked.overdue.as_mut().unwrap().is_locked = true;
    assert_ne!(reason(locked).why, late.why);
}

#[test]
fn a_fault_that_is_certain_is_a_reason_though_nothing_is_due() {
    let fault = |is_certain| Fault {
        what: "rules".into(),
        is_certain,
        found: "rule r rewrites changes".into(),
        remedy: "drop it".into(),
    };
    let mut certain = seen(0, 0);
    certain.faults = vec![fault(true)];
    check(&certain, None, Some("rule r rewrites changes: drop it"));
    let mut perhaps = seen(0, 0);
    perhaps.faults = vec![fault(false)];
    check(&perhaps, None, None);
    perhaps.overdue = seen(3, 11).overdue;
    check(
        &perhaps,
        Some(Cause::NoEffect),
        Some("rule r rewrites changes"),
    );
}
