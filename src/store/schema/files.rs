//! The SQL that makes the schema, as it was when this program was built.

use super::migrate::File;
use crate::store::expressions::cut;

macro_rules! files {
    ($text:ident, $directory:literal: $($name:literal),* $(,)?) => {
        &[$(File {
            name: concat!($directory, "/", $name, ".sql"),
            sql: $text!(concat!("../../../", $directory, "/", $name, ".sql")),
        }),*]
    };
}

/// In the order in which they apply. The first five are the baseline; append only.
pub(in crate::store) const MIGRATIONS: &[File<'static>] = files!(include_str, "migrations":
    "20261128000000_shape",
    "20261128000001_app_tables",
    "20261128000002_scheduled_messages",
    "20261128000003_private_schema",
    "20261128000004_indexes",
    "20261128200000_app_error",
    "20261128210000_history",
    "20261128220000_edges",
    "20261129000000_history_2",
    "20261129010000_edges_2",
    "20261129020000_claim",
    "20261129020001_claim_indexes",
    "20261130040000_operators",
    "20261130040001_list_index",
    "20261130055000_numbers",
    "20261130060000_api",
    "20261130070000_accounts",
    "20261130080000_retry_index",
    "20261130130000_forget",
    "20261130140000_rate",
    "20261130170000_subject",
    "20261130180000_operator_history",
    "20261130210000_in_app",
    "20261130220000_push",
    "20261130230000_media_urls",
    "20261130231000_segments",
    "20261130231001_webhook_urls",
    "20261201000001_attempt_account",
    "20261201180000_sources",
    "20261202100000_campaigns",
    "20261202100100_campaign_hours",
    "20261202110000_replies",
    "20261202120000_known_words",
    "20261203100000_mapping",
    "20261203110000_sent_record",
    "20261203110001_user_notices",
    "20261205100000_drafts",
    "20261205110000_planner",
    "20261205120000_sent_record_rights",
    "20261206130000_links",
    "20261206130001_jobs",
    "20261206140000_preference_numbers",
    "20261206140001_more_facts",
    "20261206140002_shown_counts",
    "20261206140003_own_words",
    "20261207140000_lawful_hours",
    "20261207140001_consents",
    "20261207140002_help",
    "20261208140000_changes",
    "20261208150000_lawful_program",
    "20261208150001_followed_jobs",
    "20261208160000_guards",
    "20261208160001_costs",
    "20261209120000_bursts",
    "20261209120001_guard_settings",
);

/// Refuses a table with a shape that Punctual cannot work with, and changes nothing. A migration,
/// so that the Supabase CLI applies it too; here it is checked again at every start.
pub(in crate::store) const SHAPE: File<'static> = MIGRATIONS[0];

/// Creates the app's tables that are missing, and adds the columns that they lack.
pub(in crate::store) const APP_TABLES: File<'static> = MIGRATIONS[1];

/// Creates the tables that record what was applied, which must exist first.
pub(in crate::store) const RECORD: &str = cut(MIGRATIONS[3].sql, "$$;", "-- By whatever hands");

/// Re-runnable files, each replaced as a whole, their expressions put in. In the order in which
/// they apply.
pub(in crate::store) const TRIGGERS: &[File<'static>] = files!(assembled, "triggers":
    "access",
    "attempts",
    "bursts",
    "campaign_hours",
    "campaigns",
    "changes",
    "consents",
    "costs",
    "daily_counts",
    "daily_metrics",
    "drafts",
    "erase",
    "facts",
    "forget",
    "history",
    "in_app",
    "job_runs",
    "jobs",
    "links",
    "messages",
    "notifications",
    "operator_history",
    "paces",
    "pauses",
    "planner",
    "push",
    "replies",
    "retention",
    "rpc",
    "scheduled_messages",
    "shown_counts",
    "source_records",
    "source_setup",
    "sources",
    "status_transition",
    "suppressions",
    "tables",
    "tables_setup",
    "task_calendar_events",
    "user_notices",
    "user_sms_preferences",
    "validate",
    "views",
    "webhook_urls",
    "writers",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(directory: &str, embedded: &[File<'_>]) {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
        let mut there: Vec<String> = std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "README.md")
            .map(|name| format!("{directory}/{name}"))
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
