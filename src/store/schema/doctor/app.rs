//! The app's tables for sent messages where they have names of their own.

use tokio_postgres::Client;

use super::{Finding, ask};
use crate::store::Sql;

static APP: &Sql = sql!("../sql/doctor_app.sql");

/// How sent messages are written; with whether the settings describe it. Needs the schema.
pub async fn app(client: &Client, is_described: Option<bool>) -> Vec<Finding> {
    ask(client, "app mapping", APP, &[&is_described]).await
}
