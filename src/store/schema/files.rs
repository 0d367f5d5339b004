//! The SQL that makes the schema, as it was when this program was built.

use super::migrate::File;

macro_rules! files {
    ($text:ident, $directory:literal: $($name:literal),* $(,)?) => {
        &[$(File {
            name: concat!($directory, "/", $name, ".sql"),
            sql: $text!(concat!("../../../", $directory, "/", $name, ".sql")),
        }),*]
    };
}

/// In the order in which they apply. Append only.
pub(in crate::store) const MIGRATIONS: &[File<'static>] = files!(include_str, "migrations":
    "20251231000000_shape",
    "20260101000000_app_tables",
    "20260101000100_scheduled_messages",
    "20260101000200_private_state",
    "20260101000300_validate",
    "20260101000400_indexes",
    "20260102000000_receipts",
    "20260102000100_suppressions",
    "20260102000200_deferred",
    "20260104000000_enquiries",
    "20260105000000_people",
    "20260105000100_counts",
    "20260105000200_facts",
    "20260105000300_views",
    "20260105000400_indexes",
    "20261125100000_regained",
    "20261125101000_send_before",
    "20261125101100_unfollowed",
    "20261125101200_templates_named",
    "20261125101300_unfollowed_again",
    "20261125103000_claims_of_people",
    "20261125103100_user_index",
    "20261125120000_answers",
);

/// Refuses a table of a shape that Punctual cannot work with, and changes nothing. A migration,
/// so that the Supabase CLI meets it too; here asked anew at every start.
pub(in crate::store) const SHAPE: File<'static> = MIGRATIONS[0];

/// One re-runnable file a table, its expressions put in.
pub(in crate::store) const TRIGGERS: &[File<'static>] = files!(sql, "triggers":
    "attempts",
    "daily_counts",
    "messages",
    "scheduled_messages",
    "task_calendar_events",
    "user_sms_preferences",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(directory: &str, embedded: &[File<'_>]) {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
        let mut there: Vec<String> = std::fs::read_dir(path)
            .unwrap()
            .map(|entry| {
                let name = entry.unwrap().file_name();
                format!("{directory}/{}", name.to_str().unwrap())
            })
            .collect();
        there.sort();
        let embedded: Vec<&str> = embedded.iter().map(|file| file.name).collect();
        assert_eq!(embedded, there, "the list here and the folder differ");
    }

    #[test]
    fn what_is_embedded_is_what_is_in_the_folders_and_in_order() {
        check("migrations", MIGRATIONS);
        check("triggers", TRIGGERS);
    }
}
