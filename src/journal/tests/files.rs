//! Journals as directories of real files: what a second process finds after the first one ended.

use std::fs;

use super::super::writer::SEGMENT_MAX;
use super::*;

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn slot(at: &tempfile::TempDir) -> Slot {
    let dir = StateDir::open(at.path()).unwrap();
    dir.take_slot(Some(DATABASE), "localhost:5432/app", "app")
        .unwrap()
}

fn begin(slot: Slot, held: Option<Moment>) -> Journal {
    Journal::begin(slot, InstanceId::fresh(), Some((DATABASE, 1)), held).unwrap()
}

fn start(at: &tempfile::TempDir) -> Journal {
    begin(slot(at), None)
}

/// What the previous instance left.
fn left(at: &tempfile::TempDir) -> Past {
    let mut past = slot(at).past().unwrap();
    past.pop().unwrap().past
}

fn deny(past: &Past) -> bool {
    past.may_deny(boot().as_deref(), Some(DATABASE))
}

#[test]
fn a_directory_that_cannot_be_used_is_refused() {
    let at = dir();
    let taken = at.path().join("file");
    fs::write(&taken, "").unwrap();
    let refused = StateDir::open(&taken).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("state directory is not usable"),
        "{refused}"
    );
}

#[test]
fn what_was_open_is_known_after_the_end() {
    let at = dir();
    let journal = start(&at);
    for n in 1..=4 {
        journal.began(begun(n)).unwrap();
    }
    journal.answered(begun(2), &accepted(), Moment::from_micros(6));
    journal.answered(begun(3), &accepted(), Moment::from_micros(6));
    journal.recorded([token(3)]);
    journal.sync().unwrap();
    assert!(journal.is_open(token(1)) && !journal.is_open(token(3)));
    drop(journal);
    let past = left(&at);
    assert!(deny(&past));
    assert_eq!(past.of_attempt(token(1), true), Known::Began(begun(1)));
    assert!(matches!(past.of_attempt(token(2), true), Known::Answered(a) if a.sid().is_some()));
    assert_eq!(past.of_attempt(token(9), true), Known::NeverBegan);
}

#[test]
fn a_response_is_written_with_the_next_line_or_when_asked_for() {
    let at = dir();
    let journal = start(&at);
    journal.began(begun(1)).unwrap();
    let known = |token| left_beside(&journal).of_attempt(token, true);
    journal.answered(begun(1), &accepted(), Moment::from_micros(6));
    assert_eq!(known(token(1)), Known::Began(begun(1)));
    journal.began(begun(2)).unwrap();
    assert!(matches!(known(token(1)), Known::Answered(_)));
    journal.answered(begun(2), &accepted(), Moment::from_micros(7));
    journal.write_answers();
    assert!(matches!(known(token(2)), Known::Answered(_)));
    // What did not begin by this journal has no place in it.
    journal.answered(begun(3), &accepted(), Moment::from_micros(8));
    journal.write_answers();
    assert_eq!(known(token(3)), Known::NeverBegan);
}

#[test]
fn segments_follow_each_other_and_carry_what_is_open() {
    let at = dir();
    let journal = start(&at);
    journal.began(begun(1)).unwrap();
    let mut n = 2;
    while journal.history().unwrap().len() < 3 {
        journal.began(begun(n)).unwrap();
        journal.answered(begun(n), &accepted(), Moment::from_micros(6));
        journal.write_answers();
        journal.recorded([token(n)]);
        n += 1;
    }
    let history = journal.history().unwrap();
    assert_eq!(history.len(), 3);
    let known: HashSet<_> = history
        .iter()
        .filter_map(|p| past_in(p).unwrap())
        .flat_map(|past| {
            past.answers()
                .map(|answer| answer.to.token)
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(known.len() as u128, n - 2);
    drop(journal);
    let past = left(&at);
    assert!(deny(&past));
    assert_eq!(past.opened.segment, 2);
    assert_eq!(past.of_attempt(token(1), true), Known::Began(begun(1)));

    // Without the latest file it is unknown what began since.
    fs::remove_file(history.last().unwrap()).unwrap();
    assert!(!deny(&left(&at)));
}

#[test]
fn a_broken_journal_does_not_deny_until_it_is_fixed() {
    let at = dir();
    let journal = start(&at);
    {
        // As on a full disk.
        let mut inner = journal.inner();
        let State::Writing(segment) = &mut inner.state else {
            panic!("it has only begun");
        };
        segment.written = SEGMENT_MAX + 1;
    }
    journal.began(begun(1)).unwrap();
    assert!(!deny(&left_beside(&journal)));
    assert!(matches!(journal.condition(), Condition::Incomplete(_)));
    assert_eq!(journal.check(), Condition::Complete);
    let past = left_beside(&journal);
    assert!(deny(&past));
    assert_eq!(past.of_attempt(token(1), true), Known::Began(begun(1)));
}

/// What this instance would leave now.
fn left_beside(journal: &Journal) -> Past {
    let path = journal.history().unwrap().pop().unwrap();
    past(&fs::read(path).unwrap())
}

#[test]
fn a_journal_that_cannot_even_be_marked_lets_nothing_begin() {
    let at = dir();
    let journal = start(&at);
    {
        let mut inner = journal.inner();
        // A directory cannot be removed like a file.
        inner.state = State::Broken {
            path: at.path().to_owned(),
            marked: false,
            reason: "read-only".into(),
        };
    }
    assert!(journal.began(begun(1)).is_err());
    assert!(!journal.is_open(token(1)));
    assert!(matches!(journal.condition(), Condition::Blocking(_)));
    // The database says so in place of the file.
    journal.noted_as_incomplete();
    assert!(matches!(journal.condition(), Condition::Incomplete(_)));
    journal.began(begun(1)).unwrap();
    assert!(journal.is_open(token(1)));
    assert_eq!(journal.check(), Condition::Complete);
    journal.began(begun(2)).unwrap();
}

#[test]
fn a_hold_outlives_its_instance() {
    let at = dir();
    let journal = start(&at);
    journal.begin_quarantine(Moment::from_micros(3), Some((DATABASE, 0)));
    assert!(!journal.may_deny());
    journal.reached(7);
    journal.began(begun(1)).unwrap();
    journal.reached(8);
    drop(journal);
    assert_eq!(left(&at).quarantined_before_us, Some(3));
    assert_eq!(left(&at).reached, 8);
    let held = Some(Moment::from_micros(3));
    let journal = begin(slot(&at), held);
    drop(journal);
    assert_eq!(left(&at).quarantined_before_us, Some(3));
    let journal = begin(slot(&at), held);
    journal.end_quarantine();
    drop(journal);
    assert_eq!(left(&at).quarantined_before_us, None);
}

#[test]
fn the_past_is_bounded_and_what_is_needed_stays() {
    let at = dir();
    for _ in 0..300 {
        drop(start(&at));
    }
    let mut slot = slot(&at);
    // The lock, and what is kept.
    assert_eq!(slot.path().read_dir().unwrap().count(), 256 + 1);
    let mut past = slot.past().unwrap();
    assert_eq!(past.len(), 32, "those that are settled");
    let needed = slot.history().unwrap().split_off(256 - 32);
    // Many more of one instance displace the others, but not what has not been settled.
    let journal = begin(slot, None);
    for _ in 0..300 {
        journal.inner().next_segment();
    }
    assert!(needed.iter().all(|path| path.exists()));
    for file in &mut past {
        journal.done_with(file);
    }
    for _ in 0..300 {
        journal.inner().next_segment();
    }
    assert!(needed.iter().all(|path| !path.exists()));
    journal.began(begun(1)).unwrap();
    journal.close();
    assert!(!left_beside(&journal).settled, "something is open");
    journal.recorded([token(1)]);
    journal.close();
    assert!(left_beside(&journal).settled);
}
