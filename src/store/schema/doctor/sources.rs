//! Source tables.

use tokio_postgres::Client;

use super::{Finding, ask};
use crate::store::Sql;
use crate::store::schema::preset::PRESETS;

static SOURCES: &Sql = sql!("../sql/doctor_sources.sql");

/// Source tables, with the names of those in the settings. Needs the schema.
pub async fn sources(client: &Client, names: Option<&[String]>) -> Vec<Finding> {
    let (mut presets, mut schemas, mut tables) = (Vec::new(), Vec::new(), Vec::new());
    for preset in &PRESETS {
        for source in preset.sources() {
            presets.push(preset.name);
            schemas.push(source.schema);
            tables.push(source.table);
        }
    }
    ask(
        client,
        "source tables",
        SOURCES,
        &[&names, &presets, &schemas, &tables],
    )
    .await
}
