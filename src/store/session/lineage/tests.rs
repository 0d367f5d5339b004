//! The known position of sessions, as their responses arrive.

use super::*;

fn at(timeline: u32, reached: i64) -> LogPosition {
    LogPosition {
        database: DatabaseId {
            system: 7,
            timeline,
            database: 1,
        },
        reached,
    }
}

/// A position, queried when `before` was known, whose response arrives after those of `earlier`.
fn check(
    earlier: &[LogPosition],
    before: Option<LogPosition>,
    place: LogPosition,
    used: bool,
    known: LogPosition,
) {
    let history = Lineage::default();
    for place in earlier {
        assert!(history.is_at(*place, history.known()));
    }
    assert_eq!(
        history.is_at(place, before),
        used,
        "{earlier:?} {before:?} {place:?}"
    );
    assert_eq!(history.known(), Some(known));
    assert_eq!(history.moved.borrow().is_some(), !used);
}

#[test]
fn an_answer_follows_what_was_known_when_it_was_asked() {
    let (first, second, third) = (at(1, 100), at(1, 200), at(1, 300));
    check(&[], None, first, true, first);
    check(&[first], Some(first), second, true, second);
    // Queried before the second response arrived, received after it.
    check(&[first, third], Some(first), second, true, third);
    check(&[third], None, second, true, third);
    // The log has gone back.
    check(&[third], Some(third), second, false, third);
    check(&[first, third], Some(third), first, false, third);
    // Another history, whatever the log says.
    check(&[first], Some(first), at(2, 200), false, first);
    check(&[first], None, at(2, 200), false, first);
}

#[test]
fn what_was_accepted_is_followed_though_asked_before() {
    let history = Lineage::default();
    assert!(history.is_at(at(1, 300), None));
    let (before, now) = (history.known(), at(2, 200));
    assert!(!history.is_at(now, before));
    history.accept(Moved {
        to: Some(now),
        lost: false,
    });
    assert!(history.is_at(at(2, 250), before));
    assert!(history.moved.borrow().is_none());
}

/// The database that is restored has the earliest, and lacks the latest.
#[test]
fn of_many_instances_the_latest_are_remembered() {
    let history = Lineage::default();
    let ids: Vec<InstanceId> = (0..HEARD_OF_MAX + 10)
        .map(|_| InstanceId::fresh())
        .collect();
    for id in &ids {
        history.set_members(vec![*id]);
    }
    assert_eq!(history.heard_of(), ids[10..]);
}

#[test]
fn what_moves_again_while_the_first_move_is_handled_is_not_forgotten() {
    let moved = |to, lost| Moved { to: Some(to), lost };
    let (first, second) = (at(2, 200), at(3, 150));
    let begin = || {
        let history = Lineage::default();
        assert!(history.is_at(at(1, 300), None));
        assert!(!history.is_at(first, history.known()));
        history
    };
    // Another session of the server that is being accepted, and the first one again.
    let history = begin();
    for place in [at(2, 250), first] {
        assert!(!history.is_at(place, history.known()));
    }
    history.accept(moved(first, false));
    assert_eq!(*history.moved.borrow(), None);

    // Another server took over meanwhile.
    let history = begin();
    assert!(!history.is_at(second, history.known()));
    history.accept(moved(first, false));
    assert_eq!(*history.moved.borrow(), Some(moved(second, false)));
    history.accept(moved(second, false));
    assert_eq!(*history.moved.borrow(), None);

    // It turned out meanwhile that commits are missing.
    let history = begin();
    history.lost(history.expected().0);
    let latest = *history.moved.borrow();
    assert_eq!(latest.map(|latest| latest.lost), Some(true));
    history.accept(moved(first, false));
    assert_eq!(*history.moved.borrow(), latest);
}
