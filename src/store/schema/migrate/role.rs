//! What the daemon's role may do and see. One list serves both sides: `migrate --role` grants what
//! is missing, and a start refuses to continue without it. The worst case is not an error but row
//! level security, which shows a role without a policy an empty table.

use tokio_postgres::Client;

use super::apply::{Part, apply};
use super::{File, MigrateError, PROGRAM};

const NEEDS: &str = sql!("../sql/role_needs.sql");

/// What is missing, and the statement that grants it.
struct Need {
    what: String,
    meet: String,
}

/// Grants a role what it lacks; returns the statements.
pub(super) async fn grant(client: &Client, role: &str) -> Result<Vec<String>, MigrateError> {
    let row = client
        .query_one(sql!("../sql/role_exists.sql"), &[&role])
        .await
        .map_err(MigrateError::Record)?;
    if !row.try_get(0).map_err(MigrateError::Record)? {
        return Err(MigrateError::NoRole {
            role: role.to_owned(),
        });
    }
    let needs = needs(client, Some(role)).await?;
    let statements: Vec<String> = needs.into_iter().map(|need| need.meet).collect();
    for statement in &statements {
        // A policy locks its table for a moment: one at a time, so that no two are locked together.
        let file = File {
            name: "--role",
            sql: statement,
        };
        apply(client, &[Part::unrecorded(file)], PROGRAM).await?;
    }
    Ok(statements)
}

/// Whether the session's own role lacks nothing.
pub(super) async fn check(client: &Client) -> Result<(), MigrateError> {
    let needs = needs(client, None).await?;
    if needs.is_empty() {
        return Ok(());
    }
    let row = client
        .query_one(sql!("../sql/role_self.sql"), &[])
        .await
        .map_err(MigrateError::Record)?;
    Err(MigrateError::Role {
        role: row.try_get(0).map_err(MigrateError::Record)?,
        needs: needs.into_iter().map(|need| need.what).collect(),
    })
}

/// What a role lacks.
pub(in crate::store) async fn lacks(
    client: &Client,
    role: &str,
) -> Result<Vec<String>, MigrateError> {
    let needs = needs(client, Some(role)).await?;
    Ok(needs.into_iter().map(|need| need.what).collect())
}

async fn needs(client: &Client, role: Option<&str>) -> Result<Vec<Need>, MigrateError> {
    let rows = client
        .query(NEEDS, &[&role])
        .await
        .map_err(MigrateError::Record)?;
    rows.iter()
        .map(|row| {
            Ok(Need {
                what: row.try_get("need")?,
                meet: row.try_get("meet")?,
            })
        })
        .collect::<Result<_, _>>()
        .map_err(MigrateError::Record)
}
