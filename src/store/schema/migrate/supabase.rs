//! All of the schema as one migration of the Supabase CLI, which applies it in `db push`, `db reset` and preview
//! branches.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::{File, Migrator, PROGRAM, checksum, parts};
use crate::store::app_schema::placed;
use crate::version::VERSION;

impl Migrator<'_> {
    /// Tables, triggers and the record of both. `punctual migrate` finds nothing to do in a database that has it.
    pub fn as_supabase_migration(&self) -> String {
        let mut text = format!(
            "-- Punctual {VERSION}: tables, triggers, and the record of both. Written by `punctual migrate --supabase`; a later \
             version\n-- writes another file. Applied again it changes nothing.\n"
        );
        let mut put = |name: &str, sql: Cow<'_, str>| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "\n-- {name}\n\n{}", sql.trim_end());
        };
        for migration in &self.migrations {
            for part in parts::of_migration(migration) {
                put(part.file.name, part.file.text());
            }
        }
        for file in &self.triggers {
            put(file.name, file.text());
        }
        // Last, as the first files do not have the tables for it yet.
        for migration in &self.migrations {
            let record = record_of_migration(migration.version, migration.file);
            put("the record of a migration", record.into());
        }
        for file in &self.triggers {
            put("the record of triggers", record_of_triggers(*file).into());
        }
        text
    }
}

/// The statements with which `punctual migrate` records a file, with values in place of parameters. These are names of
/// files and hexadecimal digits, and need no escapes.
fn record_of_migration(version: i64, file: File<'_>) -> String {
    filled(
        sql!("../sql/migrate_record_migration.sql").text(),
        &[
            version.to_string(),
            quoted(file.name),
            quoted(&checksum(file.sql)),
        ],
    )
}

fn record_of_triggers(file: File<'_>) -> String {
    filled(
        sql!("../sql/migrate_record_trigger.sql").text(),
        &[
            quoted(file.name),
            quoted(&checksum(&placed(file.sql))),
            PROGRAM.to_string(),
        ],
    )
}

fn quoted(word: &str) -> String {
    format!("'{word}'")
}

/// Without the comments, which describe the parameters.
fn filled(statement: &str, values: &[String]) -> String {
    let code = statement.lines().filter(|line| !line.starts_with("--"));
    let mut filled = code.collect::<Vec<_>>().join("\n");
    for (value, number) in values.iter().zip(1..) {
        filled = filled.replace(&format!("${number}"), value);
    }
    filled + ";"
}
