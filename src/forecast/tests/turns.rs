//! The turns of messages whose campaign has a pace, also after a deferral.

use std::sync::Arc;

use super::*;
use crate::policy;
use crate::schedule::queue::{Queue, Queued, Slots};

/// The campaign's gap: the slots begin this long, and a second, after each other.
const GAP: Duration = Duration::from_secs(9);

/// Puts the message, with a high id, in a queue: others are due then, and the next slot begins at `next`.
fn queue(m: &mut Subject, a: &Surroundings, others: &[i64], next: i64) {
    m.claim.id = MessageId(Uuid::from_u128(500));
    let row = |id, due: Moment| Queued {
        id,
        due,
        free_at: due,
        late_from: due,
    };
    let others = (100..).zip(others);
    let others = others.map(|(id, due)| row(MessageId(Uuid::from_u128(id)), s(*due)));
    let free_at = m.paused_until.unwrap_or(Moment::MIN).max(m.claim.due);
    let own = Queued {
        free_at,
        ..row(m.claim.id, m.claim.due)
    };
    let rows = others.chain([own]).collect();
    let slots = Slots {
        next_at: s(next),
        seed: 1,
        position: 4,
        gaps: (GAP, GAP),
    };
    let queue = Queue::new(rows, slots, a.now, a.rules.max_lateness);
    let mut turns = queue.turns(|at| policy::opens(&m.claim, &a.rules, at));
    turns.retain(|(id, _)| *id == m.claim.id);
    m.pace = Some(Place {
        scope: "campaign".into(),
        what: "c1".into(),
        turn: turns.pop().map(|(_, turn)| turn),
        open_from: s(next),
        queue: Arc::new(queue),
    });
}

const fn paced(at: i64) -> (Outcome, Option<i64>, Option<i64>, Option<&'static str>) {
    (Outcome::Send, Some(at), None, Some("pace"))
}

#[test]
fn slots_begin_when_what_is_before_it_is_due() {
    check(
        |m, a| queue(m, a, &[-5, -5, -5], -100),
        paced(30),
        None,
        "waits for the pace of campaign c1, behind 3 others; then it will be sent at 2026-01-01T09:00:30",
    );
    // Planned: nothing takes a slot before it is due.
    check(
        |m, a| queue(m, a, &[9, 9, 9], -100),
        paced(39),
        None,
        "behind 3 others",
    );
    // What is due later is behind it.
    let alone = (Outcome::Send, Some(10), None, None);
    check(|m, a| queue(m, a, &[11, 60], -100), alone, None, "");
    check(
        |m, a| queue(m, a, &[], 25),
        paced(25),
        None,
        "behind 0 others",
    );
    // It is paused, and the others are not: it is the first of those that wait when its pause ends.
    check(
        |m, a| {
            m.paused_until = Some(s(20));
            queue(m, a, &[9, 9, 9, 12], -100);
        },
        paced(39),
        None,
        "is paused until 2026-01-01T09:00:20",
    );
    // What is behind others in the queue is not late.
    check(
        |m, a| {
            queue(m, a, &[-5, -5, -5], -100);
            a.instances.clear();
        },
        (Outcome::Wait, None, None, Some("no_daemon")),
        Some((Outcome::Send, Some("pace"))),
        "",
    );
    // More are before it than are counted: it is not among them.
    let lost = check(
        |m, a| {
            queue(m, a, &[-5], -100);
            m.claim.id = MessageId(Uuid::from_u128(1));
            m.pace.as_mut().unwrap().turn = None;
        },
        alone,
        None,
        "",
    );
    assert_eq!(lost.unknown.len(), 1);
}

/// Its slot was there, and no daemon took it.
#[test]
fn an_outage_is_lateness() {
    let overdue = |m: &mut Subject, open_from| {
        (m.claim.due, m.claim.wanted_at) = (s(-5_000), s(-5_000));
        queue(m, &around(), &[], open_from);
    };
    check(
        |m, _| overdue(m, -4_000),
        (Outcome::Cancel, Some(0), None, Some("too_late")),
        None,
        "",
    );
    check(
        |m, _| overdue(m, -3_000),
        (Outcome::Send, Some(0), None, None),
        None,
        "",
    );
    // What waited for its turn until now is not late.
    let behind = |m: &mut Subject, a: &Surroundings, open_from| {
        (m.claim.due, m.claim.wanted_at) = (s(-5_000), s(-5_000));
        queue(m, a, &[-5_001], open_from);
    };
    check(
        |m, a| behind(m, a, -3_000),
        paced(10),
        None,
        "behind 1 other",
    );
    // The one before it is too late, and takes no slot: its own was ten seconds later.
    check(
        |m, a| behind(m, a, -3_605),
        (Outcome::Send, Some(0), None, None),
        None,
        "",
    );
    check(
        |m, a| behind(m, a, -3_615),
        (Outcome::Cancel, Some(0), None, Some("too_late")),
        None,
        "too late: 3605 s after its time",
    );
}

#[test]
fn what_takes_no_slot_is_not_said_to_be_beyond_what_is_counted() {
    let known = check(
        |m, a| {
            queue(m, a, &[-5], -100);
            m.pace.as_mut().unwrap().turn = None;
            m.opted_out = Some("the recipient replied STOP".into());
        },
        (Outcome::Cancel, Some(10), None, Some("opted_out")),
        None,
        "",
    );
    assert!(known.unknown.is_empty(), "{known:?}");
}

#[test]
fn with_a_rate_of_its_sender_it_takes_the_later_slot() {
    let known = check(
        |m, a| {
            queue(m, a, &[], 20);
            m.rate = Some(Room {
                sender: "+15•••0009".into(),
                ahead: Some(4),
                before: 4,
                own: 1,
                busy_since: Some(s(10)),
                next_at: s(-100),
                each: Duration::from_secs(10),
                burst: 3,
            });
        },
        paced(30),
        None,
        "waits for the rate of sender",
    );
    let others = "how many other messages of its sender are sent before it";
    assert_eq!(known.unknown, [others]);
}

/// The order is kept: what comes after a message whose account is refused waits with it.
#[test]
fn a_refused_account_holds_what_comes_after_its_message_in_the_queue_and_nothing_else() {
    let email = LaneKey::of(Channel::Email);
    let beside = |m: &mut Subject, a: &mut Surroundings, due, free_at| {
        let other = PublishedLane {
            refused: refused(-30, 60).refused,
            ..PublishedLane::of(&email)
        };
        a.instances = vec![instance(1, vec![lane(), other])];
        queue(m, a, &[9], -100);
        let row = Queued {
            id: MessageId(Uuid::from_u128(100)),
            due: s(due),
            free_at,
            late_from: s(due),
        };
        m.refused_beside = [(email.clone(), row)].into();
    };
    let held = check(
        |m, a| beside(m, a, 9, s(9)),
        (Outcome::Wait, Some(60), None, Some("breaker")),
        Some((Outcome::Send, Some("pace"))),
        "waits for the pace of campaign c1: a message before it goes by email, and the provider has refused the account \
         since 2026-01-01T08:59:30.000000Z (account issue, code 1); one message is tried at 2026-01-01T09:01:00",
    );
    assert_eq!(
        held.unknown,
        ["when the provider accepts the account again"]
    );
    // One that is due later, or paused until then, is not before it.
    let free = (Outcome::Send, Some(19), None, Some("pace"));
    check(|m, a| beside(m, a, 11, s(11)), free, None, "");
    check(|m, a| beside(m, a, 9, s(100)), free, None, "");
    check(|m, a| beside(m, a, 9, Moment::MAX), free, None, "");
    // Another instance is not refused.
    check(
        |m, a| {
            beside(m, a, 9, s(9));
            a.instances.push(instance(2, vec![lane()]));
        },
        free,
        None,
        "",
    );
}

/// Business hours that open a minute from now.
fn closed(a: &mut Surroundings) {
    a.rules.business_hours = "mon-sun 09:00-09:00:05 09:01-12:00".parse().ok();
}

#[track_caller]
fn then(
    change: impl FnOnce(&mut Subject, &mut Surroundings),
    expected: (i64, i64, i64, Option<i64>, Option<&str>),
) {
    let (mut subject, mut around) = (subject(), around());
    change(&mut subject, &mut around);
    let forecast = of(&subject, &around);
    let (at, until, then_at, then_until, reason) = expected;
    let step = &forecast.step;
    let is = (step.outcome, step.at, step.until);
    assert_eq!(
        is,
        (Outcome::Defer, Some(s(at)), Some(s(until))),
        "{forecast}"
    );
    let then = forecast.then.as_ref().unwrap();
    let is = (then.outcome, then.at, then.until, then.reason);
    let then_until = then_until.map(s);
    assert_eq!(
        is,
        (Outcome::Send, Some(s(then_at)), then_until, reason),
        "{forecast}"
    );
}

#[test]
fn what_follows_a_deferral_waits_for_its_slot_and_with_its_crowd() {
    // All of the campaign are deferred, and go in the order of their ids.
    let others = |m: &mut Subject, a: &mut Surroundings| {
        closed(a);
        queue(m, a, &[9, 9, 9], -100);
    };
    then(others, (10, 60, 90, None, Some("pace")));
    // It alone is: two others are due before it is again, and still wait then.
    let quiet = |m: &mut Subject, a: &mut Surroundings| {
        let time = |second| jiff::civil::time(9, 0, second, 0);
        m.claim.facts.preferences = Some(Preferences {
            phone_verified: true,
            quiet_hours: Some(QuietHours {
                start: time(0),
                end: time(45),
            }),
            ..Preferences::default()
        });
        m.claim.facts.user_id = Some(Uuid::from_u128(9));
        queue(m, a, &[9, 9, 44, 44], -100);
    };
    then(quiet, (29, 45, 64, None, Some("pace")));
    // The rate of its sender: four segments that are before it are deferred as well.
    let rated = |m: &mut Subject, a: &mut Surroundings| {
        closed(a);
        m.rate = Some(Room {
            sender: "+15•••0009".into(),
            ahead: Some(4),
            before: 4,
            own: 1,
            busy_since: None,
            next_at: s(-100),
            each: Duration::from_secs(10),
            burst: 3,
        });
    };
    then(rated, (20, 60, 80, None, Some("pace")));
    // 2,000 others are due at that time, at 100 a second.
    let crowd = |_: &mut Subject, a: &mut Surroundings| {
        closed(a);
        let mut due = vec![0; 12];
        due.push(2_000);
        a.instances = vec![instance(1, vec![PublishedLane { due, ..lane() }])];
    };
    then(crowd, (10, 60, 60, Some(80), Some("queue")));
}
