//! What belongs to a migration: its file, and what must be done with it in one transaction.

use super::apply::Part;
use super::{File, Migration};
use crate::store::schema::files::APP_TABLES;

const ZONE_BEFORE: File<'static> = File {
    name: "whether the preferences have a time zone",
    sql: assembled!("../sql/zone_before.sql"),
};
const ZONE_AFTER: File<'static> = File {
    name: "a time zone without a default",
    sql: assembled!("../sql/zone_after.sql"),
};

/// In the order in which they apply.
pub(super) fn of_migration<'a>(migration: &Migration<'a>) -> Vec<Part<'a>> {
    let own = Part::of_migration(migration);
    if migration.file == APP_TABLES {
        vec![
            Part::unrecorded(ZONE_BEFORE),
            own,
            Part::unrecorded(ZONE_AFTER),
        ]
    } else {
        vec![own]
    }
}
