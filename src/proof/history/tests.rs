//! What a witness and a memory keep, and what they drop.

use super::*;
use crate::message::{MessageId, Part};

fn token(n: u128) -> AttemptToken {
    AttemptToken(uuid::Uuid::from_u128(n))
}

fn claimed(witness: &Witness) -> Vec<AttemptToken> {
    witness.expected().claimed
}

#[test]
fn a_commit_is_asked_for_until_a_statement_that_asked_was_answered() {
    let mut witness = Witness::default();
    // Two concurrent claims: the first response must not hide that the other's commit may be lost.
    let (first, second) = (witness.mark(), witness.mark());
    assert!(witness.claimed(first, Some(token(1))));
    assert!(witness.claimed(second, Some(token(2))));
    assert_eq!(claimed(&witness), [token(1), token(2)]);
    // A statement that checked for the first only.
    let mut witness = Witness::default();
    let (first, second) = (witness.mark(), witness.mark());
    witness.claimed(first, Some(token(1)));
    let third = witness.mark();
    witness.claimed(second, Some(token(2)));
    witness.claimed(third, Some(token(3)));
    assert_eq!(claimed(&witness), [token(2), token(3)]);
    // A claim that won nothing confirms too; one whose response is lost confirms nothing.
    let fourth = witness.mark();
    witness.claimed(fourth, None);
    assert_eq!(claimed(&witness), []);
}

#[test]
fn a_record_is_asked_for_and_confirms_nothing() {
    let mut witness = Witness::default();
    let claim = witness.mark();
    witness.claimed(claim, Some(token(1)));
    let record = witness.mark();
    witness.recorded(record, token(1));
    let expected = witness.expected();
    assert_eq!(
        (expected.claimed, expected.recorded),
        (vec![token(1)], vec![token(1)])
    );
}

#[test]
fn a_heartbeat_confirms_what_was_known_when_it_began() {
    let mut witness = Witness::default();
    let claim = witness.mark();
    witness.claimed(claim, Some(token(1)));
    let (lost, mark) = (witness.next_beat(), witness.mark());
    let number = witness.next_beat();
    assert_ne!(lost, number);
    witness.beat(mark, number);
    let expected = Expected {
        beats: number,
        ..Expected::default()
    };
    assert_eq!(witness.expected(), expected);
    // A late response does not lower the count.
    witness.beat(mark, lost);
    assert_eq!(witness.expected().beats, number);
}

#[test]
fn an_answer_of_another_history_says_nothing() {
    let mut witness = Witness::default();
    let mark = witness.mark();
    let number = witness.next_beat();
    witness.beat(mark, number);
    let old = witness.mark();
    witness.accept();
    assert!(!witness.claimed(old, Some(token(1))));
    witness.recorded(old, token(2));
    witness.beat(old, 9);
    assert_eq!(witness.expected(), Expected::default());
    assert!(
        witness.next_beat() > number,
        "a number is never drawn twice"
    );
}

fn begun(n: u128) -> Begun {
    Begun {
        token: token(n),
        message: MessageId(uuid::Uuid::from_u128(n)),
        expires_us: 0,
        at_us: 0,
        part: Part::ONLY,
    }
}

/// What was due by then is in quarantine after a restore, so an earlier moment would leave a sent message out.
#[test]
fn the_latest_request_is_the_one_that_began_last_whichever_ended_last() {
    let mut memory = Memory::default();
    assert_eq!(memory.latest(), None);
    for at_us in [1, 5, 3] {
        memory.begin(Begun {
            at_us,
            ..begun(at_us.unsigned_abs().into())
        });
    }
    let unknown = Outcome::Unknown { reason: "x".into() };
    for n in [5, 3, 1] {
        memory.end(token(n), &unknown, 9);
        assert_eq!(memory.latest(), Some(Moment::from_micros(5)), "{n} ended");
    }
}

#[test]
fn what_was_accepted_is_proven_and_what_is_uncertain_must_be_recorded() {
    let mut memory = Memory::default();
    let sid = || Outcome::Accepted {
        sid: crate::message::ProviderSid("SM1".into()),
    };
    let unsent = Outcome::Unsent { reason: "x".into() };
    let unknown = Outcome::Unknown { reason: "x".into() };
    for (n, outcome) in [(1, sid()), (2, unsent), (3, unknown)] {
        memory.begin(begun(n));
        assert!(memory.is_sending(&[token(n)]));
        memory.end(token(n), &outcome, 0);
    }
    assert!(memory.sending().is_empty());
    let proofs: Vec<AttemptToken> = memory.proofs::<()>().iter().map(|r| r.token).collect();
    assert_eq!(proofs, [token(1)]);
    assert_eq!(memory.must_be_recorded(), [token(3)]);
    for n in 10..10 + REMEMBERED as u128 {
        memory.begin(begun(n));
        memory.end(token(n), &sid(), 0);
    }
    assert_eq!(
        memory.must_be_recorded(),
        [token(10)],
        "the oldest, as there were older ones"
    );
}
