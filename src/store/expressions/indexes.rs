//! The indexes of the app's tables, from the migrations that make them.

use super::{Text, cut};

/// Where the indexes are defined.
pub(super) const INDEXES: &str = include_str!("../../../migrations/20261128000004_indexes.sql");

/// And those that came later: of the numbers of pending messages, of campaigns, of lists, of retries, of users'
/// numbers.
pub(super) const MORE_INDEXES: [&str; 5] = [
    include_str!("../../../migrations/20261128220000_edges.sql"),
    include_str!("../../../migrations/20261129020001_claim_indexes.sql"),
    include_str!("../../../migrations/20261130040001_list_index.sql"),
    include_str!("../../../migrations/20261130080000_retry_index.sql"),
    include_str!("../../../migrations/20261206140000_preference_numbers.sql"),
];

/// Made by the first, and dropped by `20261202120000_known_words`.
const NO_LONGER: &str = "        ('scheduled_messages', 'scheduled_messages_number_idx', null,
         '(btrim(to_number)) where status = ''pending'''),
";

/// Appends all of them, as rows for `values`.
pub(super) const fn put<const N: usize>(out: &mut Text<N>) {
    out.row(cut(INDEXES, "(values\n", NO_LONGER), b"");
    out.row(cut(INDEXES, NO_LONGER, "\n      ) as w (tab, name,"), b"");
    let mut at = 0;
    while at < MORE_INDEXES.len() {
        out.row(",\n", b"");
        let values = cut(MORE_INDEXES[at], "(values\n", ") as w (tab, name,");
        out.row(values, b"");
        at += 1;
    }
}
