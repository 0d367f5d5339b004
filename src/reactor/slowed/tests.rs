//! How long what is released waits.

use std::collections::HashSet;

use uuid::Uuid;

use super::*;
use crate::limits::Limits;
use crate::message::LaneKey;

fn at(ms: u64) -> Uptime {
    Uptime::from_micros(1_000_000_000) + Duration::from_millis(ms)
}

/// A sender that was throttled until its wait is the longest.
fn slowed_for_longest() -> (Slowed, PartyKey, Uptime) {
    let limits = Limits::default().slowed;
    let mut slowed = Slowed::new(limits);
    let key = Parties::of(&LaneKey::default(), None, "x").sender;
    let mut now = at(0);
    for _ in 0..12 {
        slowed.throttled((key, Scope::Sender), None, None, now);
        now = now + limits.gap_max;
    }
    assert_eq!(slowed.known[&key].gap, limits.gap_max);
    (slowed, key, now)
}

#[test]
fn at_the_longest_wait_too_each_comes_back_at_a_moment_of_its_own() {
    let (mut slowed, key, now) = slowed_for_longest();
    let limits = slowed.limits;
    slowed.throttled((key, Scope::Sender), None, None, now);
    let wait = slowed.known[&key].wait(key, &limits, now).unwrap();
    let pauses: HashSet<Duration> = (0..100)
        .map(|n| {
            slowed
                .wait_in_turn(wait, MessageId(Uuid::from_u128(n)))
                .pause
        })
        .collect();
    assert!(pauses.len() > 90, "{}", pauses.len());
    assert!(
        pauses
            .iter()
            .all(|pause| *pause <= wait.pause + limits.gap_max)
    );
}

#[test]
fn one_refusal_does_not_end_the_wait_of_a_throttled_sender() {
    let mut slowed = Slowed::new(Limits::default().slowed);
    let parties = Parties::of(&LaneKey::default(), None, "x");
    let wait = Duration::from_secs(30);
    slowed.throttled((parties.sender, Scope::Sender), None, Some(wait), at(0));
    slowed.refused(&parties, Duration::from_secs(1), at(1));
    let left = slowed.wait(&parties, at(2)).map(|wait| wait.pause);
    assert_eq!(left, Some(Duration::from_millis(29_998)));
    // After the wait it counts.
    slowed.refused(&parties, Duration::from_secs(1), at(30_000));
    assert!(matches!(
        slowed.known[&parties.sender].cause,
        Cause::Suspected(_)
    ));
}

#[test]
fn a_late_throttle_does_not_shorten_a_refusal() {
    let mut slowed = Slowed::new(Limits::default().slowed);
    let parties = Parties::of(&LaneKey::default(), None, "x");
    let pause = Duration::from_secs(300);
    let other = Parties {
        pair: parties.sender,
        ..parties
    };
    slowed.refused(&parties, pause, at(0));
    slowed.refused(&other, pause, at(1));
    assert_eq!(slowed.known[&parties.sender].cause, Cause::Refused);
    slowed.throttled((parties.sender, Scope::Sender), None, None, at(2));
    assert_eq!(slowed.known[&parties.sender].cause, Cause::Refused);
    assert_eq!(slowed.known[&parties.sender].until, at(1) + pause);
}
