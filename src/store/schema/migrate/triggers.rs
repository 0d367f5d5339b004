//! The triggers that the files create, and whether they exist.

use std::borrow::Cow;
use std::collections::HashSet;

use tokio_postgres::Client;

use super::MigrateError;
use crate::store::app_schema::placed;

/// How the files begin the statement that creates one.
const CREATE: &str = "create or replace trigger ";

/// One trigger of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its table, with the schema.
    pub table: Cow<'a, str>,
    /// It is created within a block, and only if the table exists and is the migrator's.
    pub optional: bool,
}

/// The triggers that a file creates.
pub(super) fn of(sql: &str) -> impl Iterator<Item = Trigger<'_>> {
    sql.match_indices(CREATE).filter_map(|(at, _)| {
        let mut words = sql[at + CREATE.len()..].split_whitespace();
        let name = words.next()?;
        let table = words.skip_while(|word| *word != "on").nth(1)?;
        let optional = !(at == 0 || sql[..at].ends_with('\n'));
        Some(Trigger {
            name,
            table: placed(table),
            optional,
        })
    })
}

/// As columns, for the parameters of a statement.
pub(in crate::store) fn columns<'a>(
    triggers: &'a [Trigger<'_>],
) -> (Vec<&'a str>, Vec<&'a str>, Vec<bool>) {
    let all = triggers.iter();
    let (names, tables): (Vec<_>, Vec<_>) = all.map(|t| (t.name, &*t.table)).unzip();
    (names, tables, triggers.iter().map(|t| t.optional).collect())
}

/// The names of those that are missing and could exist.
pub(super) async fn lost(
    client: &Client,
    wanted: &[Trigger<'_>],
) -> Result<HashSet<String>, MigrateError> {
    let (names, tables, optional) = columns(wanted);
    let sql = sql!("../sql/migrate_lost_triggers.sql").text();
    let rows = client.query(sql, &[&names, &tables, &optional]).await;
    rows.map_err(MigrateError::Record)?
        .iter()
        .map(|row| row.try_get("name"))
        .collect::<Result<_, _>>()
        .map_err(MigrateError::Record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tables_and_whether_they_may_be_missing() {
        let sql = "create or replace trigger a_b\n  before update on punctual.x for each row\n\
                   do $$\nbegin\n    create or replace trigger c after insert or delete\n      \
                   on public.y for each row execute function f();\nend\n$$;\n";
        let trigger = |name, table: &'static str, optional| Trigger {
            name,
            table: table.into(),
            optional,
        };
        assert_eq!(
            of(sql).collect::<Vec<_>>(),
            [
                trigger("a_b", "punctual.x", false),
                trigger("c", "public.y", true)
            ]
        );
        assert_eq!(of("select 1;").count(), 0);
    }

    #[test]
    fn every_trigger_of_the_files_is_found() {
        let (mut found, mut said) = (0, 0);
        for file in crate::store::schema::files::TRIGGERS {
            found += of(file.sql).count();
            // In any spelling.
            let lines = file.sql.lines().map(|line| line.trim().to_lowercase());
            let creating = lines.filter(|l| l.starts_with("create ") && l.contains(" trigger "));
            said += creating.count();
        }
        assert_eq!(found, said);
    }
}
