//! The planner of reminders.

use tokio_postgres::Client;

use super::{Finding, ask};
use crate::store::Sql;

static PLANNER: &Sql = sql!("../sql/doctor_planner.sql");

/// The planner, with what the settings say of it: whether it is on (`None`: that is not known), and the key of its
/// template. Needs the schema.
pub async fn planner(client: &Client, wanted: Option<bool>, template: &str) -> Vec<Finding> {
    ask(client, "planner", PLANNER, &[&wanted, &template]).await
}
