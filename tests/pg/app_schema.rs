//! The app's tables in another schema than `public`: every statement of the store, and what `migrate` refuses.

use std::process::Command;

use punctual::store::AppSchema;

use crate::harness::{TestDb, cluster};
use crate::plans::statements;

/// The schema, and the database without one of the name `public`.
const SCHEMA: &str = "My äpp-1.$";

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_names_the_schema() {
    let db = TestDb::empty().await;
    let client = db.client().await;
    let make = format!("drop schema public cascade; create schema \"{SCHEMA}\"");
    client.batch_execute(&make).await.unwrap();
    // A process works with one schema, and that of the tests is public.
    let name = db.dsn().to_string();
    let mut migrate = Command::new(env!("CARGO_BIN_EXE_punctual"));
    migrate
        .arg("migrate")
        .env(
            "DATABASE_URL",
            cluster().url(name.rsplit_once('/').unwrap().1),
        )
        .env("PUNCTUAL_SCHEMA", SCHEMA);
    let migrated = tokio::task::spawn_blocking(move || migrate.output().unwrap());
    let migrated = migrated.await.unwrap();
    assert!(migrated.status.success(), "{migrated:?}");
    let schema: AppSchema = SCHEMA.parse().unwrap();
    let mut prepared = 0;
    for (name, sql) in statements() {
        // Not one statement each, or of extensions that are not here.
        let is_apart = sql.contains(";\n") || sql.trim_end().ends_with(';');
        if is_apart
            || sql.contains("cron.job") && name.ends_with("/doctor_cron")
            || sql.contains("supabase_migrations.")
        {
            continue;
        }
        let done = client.prepare(&schema.place(&sql)).await;
        done.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        prepared += 1;
    }
    assert!(prepared > 100, "only {prepared} statements");
}
