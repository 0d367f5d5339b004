//! What the daemon's role may do and see. One list serves both sides: `migrate --role` grants what
//! is missing and revokes what is not on it, and a start refuses to continue without what is. So the
//! password of a daemon suffices neither to delete from the ledger nor to change what it was asked to
//! send. The worst that can be missing is a policy of row level security: a role without one sees an
//! empty table, and no error.

use tokio_postgres::{Client, Row};

use super::apply::{Part, apply};
use super::{File, MigrateError, PROGRAM};
use crate::store::Sql;

static NEEDS: &Sql = sql!("../sql/role_needs.sql");
static EXCESS: &Sql = sql!("../sql/role_excess.sql");
static OWN: &Sql = sql!("../sql/rls_own.sql");

/// What is missing or too much, and the statement that corrects it.
struct Need {
    what: String,
    meet: String,
}

/// Grants a role what it lacks, and revokes what it has been granted beyond that; returns the statements.
pub(super) async fn grant(client: &Client, role: &str) -> Result<Vec<String>, MigrateError> {
    let row = client
        .query_one(sql!("../sql/role_exists.sql").text(), &[&role])
        .await
        .map_err(MigrateError::Record)?;
    if !row.try_get(0).map_err(MigrateError::Record)? {
        return Err(MigrateError::NoRole {
            role: role.to_owned(),
        });
    }
    let mut needs = needs(client, NEEDS.text(), Some(role)).await?;
    needs.extend(self::needs(client, EXCESS.text(), Some(role)).await?);
    meet(client, "--role", needs).await
}

/// Lets each user of a Supabase project read and write their own preferences; returns the statements.
pub(super) async fn grant_own(client: &Client) -> Result<Vec<String>, MigrateError> {
    let row = client
        .query_one(sql!("../sql/rls_may.sql").text(), &[])
        .await
        .map_err(MigrateError::Record)?;
    if !row.try_get("may").map_err(MigrateError::Record)? {
        return Err(MigrateError::NoUsers);
    }
    let rows = client.query(OWN.text(), &[]).await;
    let needs = read(&rows.map_err(MigrateError::Record)?)?;
    meet(client, "--rls own", needs).await
}

async fn meet(client: &Client, name: &str, needs: Vec<Need>) -> Result<Vec<String>, MigrateError> {
    let statements: Vec<String> = needs.into_iter().map(|need| need.meet).collect();
    for statement in &statements {
        // A policy locks its table for a moment: one at a time, so that no two are locked together.
        let file = File {
            name,
            sql: statement,
        };
        apply(client, &[Part::unrecorded(file)], PROGRAM).await?;
    }
    Ok(statements)
}

/// Whether the session's own role lacks nothing.
pub(super) async fn check(client: &Client) -> Result<(), MigrateError> {
    let needs = needs(client, NEEDS.text(), None).await?;
    if needs.is_empty() {
        return Ok(());
    }
    let row = client
        .query_one(sql!("../sql/role_self.sql").text(), &[])
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
    let needs = needs(client, NEEDS.text(), Some(role)).await?;
    Ok(needs.into_iter().map(|need| need.what).collect())
}

/// What a role has been granted that a daemon does not need.
pub(in crate::store) async fn excess(
    client: &Client,
    role: &str,
) -> Result<Vec<String>, MigrateError> {
    let needs = needs(client, EXCESS.text(), Some(role)).await?;
    Ok(needs.into_iter().map(|need| need.what).collect())
}

async fn needs(
    client: &Client,
    statement: &str,
    role: Option<&str>,
) -> Result<Vec<Need>, MigrateError> {
    let rows = client
        .query(statement, &[&role])
        .await
        .map_err(MigrateError::Record)?;
    read(&rows)
}

fn read(rows: &[Row]) -> Result<Vec<Need>, MigrateError> {
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
