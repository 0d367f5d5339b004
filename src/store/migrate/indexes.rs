//! Indexes on tables too large to be locked while one is built.

use tokio_postgres::Client;

use super::MigrateError;

/// Builds what the migrations left out, and anew what a build that was cut off left invalid.
/// Outside a transaction, for `concurrently` wants it so; returns the names.
pub(super) async fn build(client: &Client) -> Result<Vec<String>, MigrateError> {
    let sql = include_str!("../sql/migrate_indexes.sql");
    let wanted = client.query(sql, &[]).await.map_err(MigrateError::Record)?;
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    client
        .batch_execute(include_str!("../sql/migrate_patience.sql"))
        .await
        .map_err(MigrateError::Record)?;
    let mut done = Vec::with_capacity(wanted.len());
    for row in &wanted {
        let read = || -> Result<(String, bool, String, String), tokio_postgres::Error> {
            Ok((
                row.try_get("name")?,
                row.try_get("leftover")?,
                row.try_get("build")?,
                row.try_get("drop")?,
            ))
        };
        let (index, leftover, build, drop) = read().map_err(MigrateError::Record)?;
        tracing::info!(
            index,
            leftover,
            "building an index beside the app's writes; it waits for older transactions"
        );
        let statements = leftover.then_some(drop).into_iter().chain([build]);
        for statement in statements {
            if let Err(source) = client.batch_execute(&statement).await {
                return Err(MigrateError::Index { index, source });
            }
        }
        done.push(index);
    }
    Ok(done)
}
