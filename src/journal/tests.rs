//! The journal: what a file proves, whatever is lost or damaged of it.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;
use uuid::Uuid;

mod files;
mod slots;

use super::record::{BROKEN, Contents, MAGIC, decode, encode};
use super::*;
use crate::message::{Category, MessageId, Part, ProviderSid, Retry, Scope};
use crate::proof::recovery::Known;

const DATABASE: DatabaseId = DatabaseId {
    system: 7,
    timeline: 1,
    database: 5,
};

fn token(n: u128) -> AttemptToken {
    AttemptToken(Uuid::from_u128(n))
}

fn begun(n: u128) -> Begun {
    Begun {
        token: token(n),
        message: MessageId(Uuid::from_u128(n)),
        expires_us: 9,
        at_us: 4,
        part: Part::ONLY,
    }
}

fn opened() -> Opened {
    Opened {
        instance: InstanceId(Uuid::from_u128(1)),
        segment: 0,
        boot: Some("boot".into()),
        database: Some(DATABASE),
    }
}

fn file(records: &[JournalLine]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for record in records {
        encode(record, &mut bytes);
    }
    bytes
}

fn past(bytes: &[u8]) -> Past {
    Past::of(decode(bytes).unwrap()).unwrap()
}

fn denies(bytes: &[u8]) -> bool {
    past(bytes).may_deny(Some("boot"), Some(DATABASE))
}

fn accepted() -> Outcome {
    Outcome::Accepted {
        sid: ProviderSid("SM1".into()),
    }
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    let refused = ("\\PC{0,20}", any::<Option<i32>>()).prop_map(|(text, code)| Outcome::Refused {
        code,
        category: Category::OptedOut,
        text,
        retry: Retry::after(Duration::from_secs(30)),
    });
    prop_oneof![
        Just(accepted()),
        refused,
        "\\PC{0,20}".prop_map(|reason| Outcome::Unsent { reason }),
        "\\PC{0,20}".prop_map(|reason| Outcome::Unknown { reason }),
        Just(Outcome::Throttled {
            retry_after: Some(Duration::from_millis(1)),
            code: None,
            scope: Scope::Account,
            hold: None,
        }),
    ]
}

fn records() -> impl Strategy<Value = JournalLine> {
    prop_oneof![
        (0..9_u128).prop_map(|n| JournalLine::Began(begun(n))),
        (0..9_u128, outcomes(), any::<i64>()).prop_map(|(n, outcome, at_us)| {
            JournalLine::Answered(Answered {
                to: begun(n),
                outcome,
                at_us,
            })
        }),
        Just(JournalLine::Continued),
        Just(JournalLine::Settled),
        any::<i64>().prop_map(|before_us| JournalLine::Held { before_us }),
        any::<i64>().prop_map(|bytes| JournalLine::Reached { bytes }),
        Just(JournalLine::Released),
    ]
}

fn whole_file() -> impl Strategy<Value = Vec<JournalLine>> {
    prop::collection::vec(records(), 0..12).prop_map(|mut records| {
        records.insert(0, JournalLine::Opened(opened()));
        records
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(records in whole_file()) {
        let read = decode(&file(&records)).unwrap();
        prop_assert_eq!(read, Contents { whole: true, records });
    }

    /// As after a death in the middle of a line: all lines before it are there.
    #[test]
    fn cut_anywhere_the_lines_before_are_read(records in whole_file(), at in any::<prop::sample::Index>()) {
        let bytes = file(&records);
        let at = at.index(bytes.len());
        let read = decode(&bytes[..at]).unwrap();
        prop_assert!(records.starts_with(&read.records));
        let lines = bytes[..at].split(|b| *b == b'\n').count() - 1;
        prop_assert!(read.records.len() >= lines.saturating_sub(1));
        prop_assert_eq!(read.whole, !read.records.is_empty());
    }

    /// A changed byte is detected, unless it makes the last line a truncated one.
    #[test]
    fn one_byte_changed_and_it_does_not_deny(
        records in whole_file(), at in any::<prop::sample::Index>(), by in 1..=255_u8,
    ) {
        let mut bytes = file(&records);
        let at = at.index(bytes.len() - 1);
        bytes[at] ^= by;
        if let Some(read) = decode(&bytes) {
            prop_assert!(!read.whole, "{:?}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn garbage_does_no_harm(garbage in prop::collection::vec(any::<u8>(), 0..200), records in whole_file()) {
        let _ = decode(&garbage);
        let mut bytes = file(&records);
        bytes.extend(&garbage);
        bytes.push(b'\n');
        let read = decode(&bytes).unwrap();
        prop_assert!(read.records.starts_with(&records));
        prop_assert!(!read.whole || garbage.is_empty());
    }
}

#[test]
fn a_line_stays_as_it_is() {
    let mut line = Vec::new();
    encode(
        &JournalLine::Answered(Answered {
            to: begun(2),
            outcome: accepted(),
            at_us: 5,
        }),
        &mut line,
    );
    let text = String::from_utf8(line).unwrap();
    assert_eq!(
        &text[SUM..],
        "{\"is\":\"answered\",\"to\":{\"token\":\"00000000-0000-0000-0000-000000000002\",\
         \"message\":\"00000000-0000-0000-0000-000000000002\",\"expires_us\":9,\"at_us\":4},\"outcome\":{\"accepted\":{\"sid\":\"SM1\"}},\"at_us\":5}\n"
    );
}

const SUM: usize = 9;

#[test]
fn only_a_whole_and_latest_file_of_this_boot_and_database_denies() {
    let head = [JournalLine::Opened(opened()), JournalLine::Ready];
    let good = file(&head);
    assert!(denies(&good));
    let one = file(&[
        head[0].clone(),
        JournalLine::Ready,
        JournalLine::Began(begun(1)),
    ]);
    assert!(denies(&one));
    assert_eq!(
        past(&one).of_attempt(token(1), true),
        Known::Began(begun(1))
    );
    assert_eq!(past(&one).of_attempt(token(2), true), Known::NeverBegan);
    assert_eq!(past(&one).of_attempt(token(2), false), Known::Nothing);

    // Truncated: it had not begun.
    assert!(denies(&one[..one.len() - 5]));
    assert_eq!(
        past(&one[..one.len() - 5]).of_attempt(token(1), true),
        Known::NeverBegan
    );
    // Of a kind that this version does not know.
    let mut newer = one.clone();
    let json = b"{\"is\":\"paused\"}";
    newer.extend(format!("{:08x} ", crc32fast::hash(json)).bytes());
    newer.extend(json);
    newer.push(b'\n');
    assert!(!denies(&newer));

    let mut marked = one.clone();
    marked[..BROKEN.len()].copy_from_slice(BROKEN);
    assert!(!denies(&marked));
    assert_eq!(
        past(&marked).of_attempt(token(1), false),
        Known::Began(begun(1))
    );

    let followed = file(&[head[0].clone(), JournalLine::Ready, JournalLine::Continued]);
    assert!(!denies(&followed));
    let past = past(&one);
    assert!(!past.may_deny(Some("another"), Some(DATABASE)));
    assert!(!past.may_deny(None, Some(DATABASE)));
    assert!(!past.may_deny(Some("boot"), None));
    let promoted = DatabaseId {
        timeline: 2,
        ..DATABASE
    };
    assert!(!past.may_deny(Some("boot"), Some(promoted)));
    let unfinished = file(&[head[0].clone(), JournalLine::Began(begun(1))]);
    assert!(Past::of(decode(&unfinished).unwrap()).is_none());
    assert_eq!(decode(b"no journal of ours"), None);
}
