//! What a message waits for.

use super::*;

#[test]
fn what_stops_everything_comes_before_the_rules() {
    // Its lateness, an hour, ends 3,610 s from now.
    let waits = |reason, until| (Outcome::Wait, None, until, Some(reason));
    let none = check(
        |_, a| a.instances.clear(),
        waits("no_daemon", Some(3_610)),
        Some(SENT),
        "no daemon is running; the last one was heard at 2026-01-01T08:59:59",
    );
    assert_eq!(none.unknown, ["when a daemon runs"]);
    check(
        |m, a| {
            m.claim.to_number = "abc".into();
            a.instances.clear();
        },
        waits("no_daemon", Some(3_610)),
        Some((Outcome::Fail, Some("recipient"))),
        "once it does not wait any more, it will fail",
    );
    let stopped = |a: &mut Surroundings| {
        let state = a.instances[0].state.as_mut().unwrap();
        state.missing = vec!["the clock is not measured".into()];
    };
    check(
        |_, a| stopped(a),
        waits("not_ready", Some(3_610)),
        Some(SENT),
        "(the clock is not measured)",
    );
    // Another one sends.
    check(
        |_, a| {
            stopped(a);
            a.instances.push(instance(2, vec![lane()]));
        },
        (Outcome::Send, Some(10), None, None),
        None,
        "",
    );
    check(
        |m, _| m.is_quarantined = true,
        waits("quarantine", None),
        Some(SENT),
        "in quarantine",
    );
    check(
        |m, _| {
            (m.paused_until, m.paused_by) = (Some(Moment::MAX), Some("everything, by ann".into()));
        },
        waits("paused", None),
        None,
        "is paused until somebody resumes (everything, by ann)",
    );
    check(
        |m, _| {
            (m.claim.due, m.claim.part, m.open_until) =
                (s(-1), Part { before: 1, of: 2 }, Some(s(20)));
            m.claim.part_text = Some("two".into());
        },
        waits("attempt_open", None),
        Some(SENT),
        "waits for the attempt",
    );
}

#[test]
fn while_every_instance_is_refused_no_impossible_time_is_named() {
    let later = (Outcome::Wait, Some(60), Some(3_610), Some("breaker"));
    let only = |a: &mut Surroundings, lanes: Vec<Vec<PublishedLane>>| {
        a.instances = (1..)
            .zip(lanes)
            .map(|(n, lanes)| instance(n, lanes))
            .collect();
    };
    check(
        |_, a| only(a, vec![vec![refused(-30, 60)]]),
        later,
        Some(SENT),
        "has refused the account since 2026-01-01T08:59:30.000000Z (account issue, code 1)",
    );
    // The earliest of two; a probe that is due before the message changes nothing.
    check(
        |_, a| only(a, vec![vec![refused(-30, 90)], vec![refused(-9, 60)]]),
        later,
        Some(SENT),
        "",
    );
    let at_ten = (Outcome::Wait, Some(10), Some(3_610), Some("breaker"));
    check(
        |_, a| only(a, vec![vec![refused(-30, 1)]]),
        at_ten,
        Some(SENT),
        "",
    );
    // One that is not refused sends it; nor is another lane.
    let sent = (Outcome::Send, Some(10), None, None);
    check(
        |_, a| only(a, vec![vec![refused(-30, 60)], vec![lane()]]),
        sent,
        None,
        "",
    );
    check(
        |_, a| only(a, vec![vec![refused(-30, 60)], vec![]]),
        sent,
        None,
        "",
    );
    let other = PublishedLane {
        account: "eu".into(),
        ..refused(-30, 60)
    };
    check(|_, a| only(a, vec![vec![other, lane()]]), sent, None, "");
}

#[test]
fn a_herd_has_an_end_and_a_pace_its_turns() {
    // 2,000 at 100 a second by each of two instances.
    let herd = |permits| PublishedLane {
        permits,
        due: vec![0, 0, 2_000],
        ..lane()
    };
    check(
        |_, a| a.instances = vec![instance(1, vec![herd(10)]), instance(2, vec![herd(10)])],
        (Outcome::Send, Some(10), Some(20), Some("queue")),
        None,
        "will be sent between 2026-01-01T09:00:10.000000Z and 2026-01-01T09:00:20.000000Z: 2000 messages",
    );
    check(
        |_, a| a.instances = vec![instance(1, vec![herd(5)])],
        (Outcome::Send, Some(10), Some(50), Some("throttled")),
        None,
        "",
    );
    // What was due before leaves first; a message after it has no crowd.
    check(
        |m, a| {
            (m.claim.due, m.claim.wanted_at) = (s(45), s(45));
            a.instances = vec![instance(
                1,
                vec![PublishedLane {
                    due: vec![2_000],
                    ..herd(10)
                }],
            )];
        },
        (Outcome::Send, Some(45), None, None),
        None,
        "",
    );
    let gap = Duration::from_secs(9);
    let place = |ahead| Place {
        scope: "campaign".into(),
        what: "c1".into(),
        ahead,
        next_at: s(-100),
        seed: 1,
        position: 4,
        gaps: (gap, gap),
    };
    check(
        |m, _| m.pace = Some(place(Some(3))),
        (Outcome::Send, Some(30), None, Some("pace")),
        None,
        "waits for the pace of campaign c1, behind 3 others; then it will be sent at 2026-01-01T09:00:30",
    );
    let lost = check(
        |m, _| m.pace = Some(place(None)),
        (Outcome::Send, Some(10), None, None),
        None,
        "",
    );
    assert_eq!(lost.unknown.len(), 1);
}
