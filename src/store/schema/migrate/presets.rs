//! Presets: their tables are created where they are missing, and followed from then on.

use std::fmt::Write as _;

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::apply::{Part, apply};
use super::{File, MigrateError, Migrator, PROGRAM, app, placed, sources};
use crate::store::SourceTable;
use crate::store::schema::preset::{NONE, Preset, Table};

impl Migrator<'_> {
    /// The same, with the tables of this preset.
    #[must_use]
    pub fn with_preset(self, preset: Option<&'static Preset>) -> Self {
        Self { preset, ..self }
    }
}

/// Creates the tables of a preset that are missing; returns their names.
pub(super) async fn make(client: &Client, preset: &Preset) -> Result<Vec<String>, MigrateError> {
    let names: Vec<String> = preset.tables.iter().map(|t| preset.qualified(t)).collect();
    let sql = sql!("../sql/preset_missing.sql").text();
    let rows = client.query(sql, &[&names]).await;
    let mut missing = Vec::new();
    for row in rows.map_err(MigrateError::Record)? {
        missing.push(row.try_get::<_, String>(0).map_err(MigrateError::Record)?);
    }
    let mut made = Vec::new();
    for adds in preset.adds {
        apply(client, &[Part::unrecorded(*adds)], PROGRAM).await?;
    }
    for table in preset.tables {
        // One that is there may lack a type that others use.
        let refer = referring(preset, table);
        let create = preset.create(table);
        let create = File {
            name: table.create.name,
            sql: &create,
        };
        let refer = Part::unrecorded(File {
            name: table.create.name,
            sql: &refer,
        });
        let is_missing = missing.contains(&preset.qualified(table));
        let parts = [Part::unrecorded(create), refer];
        let refers = is_missing && table.references != NONE;
        apply(client, &parts[..=usize::from(refers)], PROGRAM).await?;
        if is_missing {
            made.push(table.name.to_owned());
        }
    }
    Ok(made)
}

/// Those of the settings and of the preset.
pub(super) fn wanted(migrator: &Migrator<'_>) -> Vec<SourceTable> {
    let mut all = migrator.sources.clone();
    all.extend(migrator.preset.into_iter().flat_map(Preset::sources));
    all
}

/// Those of the settings, of the preset, and of the presets that were followed before, as this program has them.
pub(super) async fn sources_of(
    client: &Client,
    migrator: &Migrator<'_>,
) -> Result<Vec<SourceTable>, MigrateError> {
    let mut all = wanted(migrator);
    for source in followed(client).await? {
        if !all.iter().any(|known| known.name == source.name) {
            all.push(source);
        }
    }
    Ok(all)
}

/// Those that are followed for a preset.
pub(super) async fn followed(client: &Client) -> Result<Vec<SourceTable>, MigrateError> {
    let rows = client
        .query(sql!("../sql/source_presets.sql").text(), &[])
        .await;
    let rows = match rows {
        Ok(rows) => rows,
        // Programs with migrations of their own have no source tables.
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => return Ok(Vec::new()),
        Err(error) => return Err(MigrateError::Record(error)),
    };
    let mut all = Vec::new();
    for row in rows {
        let read = || Ok((row.try_get("preset")?, row.try_get("name")?));
        let (preset, name): (String, String) = read().map_err(MigrateError::Record)?;
        let sources = Preset::named(&preset).map(Preset::sources);
        all.extend(sources.into_iter().flatten().filter(|s| s.name == name));
    }
    Ok(all)
}

/// The statements for a preset, for source tables and for the app's tables, as text.
pub(super) fn print(migrator: &Migrator<'_>, text: &mut String) {
    if let Some(preset) = migrator.preset {
        print_tables(preset, text);
    }
    for source in wanted(migrator) {
        sources::print(&source, text);
    }
    if let Some(described) = &migrator.app {
        let [describe, map] = app::mapping(&described.described());
        let _ = writeln!(
            text,
            "-- [app]; before the second the indexes: select build from punctual.app_indexes(), each outside a transaction\n\n\
             {describe};\n\n{map};\n"
        );
    }
}

fn print_tables(preset: &Preset, text: &mut String) {
    for adds in preset.adds {
        let _ = writeln!(text, "-- {}\n\n{};\n", adds.name, adds.text().trim_end());
    }
    for table in preset.tables {
        let create = preset.create(table);
        let create = placed(&create);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "-- {}\n\n{};\n\n{};\n",
            table.create.name,
            create.trim_end(),
            referring(preset, table)
        );
    }
}

/// The statement that adds the references of a table.
fn referring(preset: &Preset, table: &Table) -> String {
    format!(
        "select punctual.refer({}, {}::jsonb)",
        sources::literal(&preset.qualified(table)),
        sources::literal(table.references)
    )
}
