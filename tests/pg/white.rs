//! One value has one reading, in Rust and in SQL: what is around a number, a sender or a zone does not count.

use uuid::Uuid;

use crate::receipts::{FROM, TO, World};

/// Every character that Unicode calls white space, and every control character but the null, which no text of
/// Postgres has.
fn around() -> Vec<char> {
    let odd = [
        '\u{200b}', '\u{feff}', '\u{2060}', '\u{180e}', '\u{ad}', '\u{200e}',
    ];
    let listed = (char::MIN..=char::MAX).filter(|c| c.is_whitespace() || c.is_control());
    listed.chain(odd).filter(|c| *c != '\0').collect()
}

/// What Rust takes for the number is what a STOP of that number finds, and what the claim asks for.
#[tokio::test]
async fn a_stop_finds_each_number_as_it_is_sent_to() {
    let world = World::new().await;
    let mut rows: Vec<(Uuid, char, bool)> = Vec::new();
    for c in around() {
        let to = format!("{c}{TO}{c}{c}");
        let from = format!("{c}{FROM}{c}");
        let reads = to.parse::<punctual::message::E164>();
        let is_number = reads.as_ref().is_ok_and(|number| number.as_str() == TO);
        assert_eq!(is_number, c.is_whitespace(), "{c:?}");
        rows.push((world.insert(&to, Some(&from)).await, c, is_number));
    }
    world.reply("STOP").await;
    for (id, c, is_number) in &rows {
        let fate = world.fate(*id).await;
        assert_eq!(fate.starts_with("cancelled"), *is_number, "{c:?}: {fate}");
    }
    // And what comes later, by its claim.
    for c in around() {
        let id = world
            .insert(&format!("{TO}{c}"), Some(&format!("{FROM}{c}")))
            .await;
        assert_eq!(world.claimed(id).await, !c.is_whitespace(), "{c:?}");
    }
    // A sender that is blank is none.
    for c in around().into_iter().filter(|c| c.is_whitespace()) {
        let id = world.insert(TO, Some(&c.to_string())).await;
        assert!(!world.claimed(id).await, "{c:?}");
    }
}
