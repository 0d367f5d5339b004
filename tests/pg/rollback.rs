//! A program of the version before runs on the schema of this one: beside it, and again after a rollback.

use punctual::store::connect::prepare_session;
use punctual::store::migrate::PROGRAM;

use crate::rows::{World, one, run};

/// The statements of the daemon before this version, as Postgres got them: a name in a comment before each.
const STATEMENTS: &str = include_str!("landed/statements.sql");

fn statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    STATEMENTS
        .split("-- name: ")
        .skip(1)
        .map(|part| part.split_once('\n').unwrap())
}

#[tokio::test]
async fn the_statements_of_the_version_before_are_understood_and_send_a_message() {
    let world = World::new().await;
    let old = world.db.client().await;
    prepare_session(&old).await.unwrap();
    for (name, sql) in statements() {
        run(&old, &format!("prepare {name} as {sql}")).await;
    }
    let (instance, token) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    let id = world.row("pending").await;
    for sql in [
        format!("execute ledger_instance_start('{instance}', '0.1.0')"),
        format!("execute ledger_instance_beat('{instance}')"),
        format!(
            "execute path_claim(array['{id}'::uuid], array['{token}'::uuid], '{instance}', 30000, 50000, '+15005550006', 'UTC', false)"
        ),
    ] {
        run(&old, &sql).await;
    }
    assert_eq!(world.status(id).await, "sending");
    // What this version adds says nothing against it.
    let record = format!(
        "execute path_record_accepted(array['{id}'::uuid], array['{token}'::uuid], array['SM1'], array[now()],
                                      array[now()], 60000, array['hello'], array['+15005550006'], array['+13105550100'],
                                      array[null::bigint])"
    );
    run(&old, &record).await;
    assert_eq!(world.status(id).await, "sent");
    run(
        &old,
        &format!("execute ledger_members(20000, 10); execute ledger_instance_stop('{instance}')"),
    )
    .await;
}

/// The schema says which programs may run on it: the one before this one may.
#[tokio::test]
async fn the_schema_lets_the_version_before_run() {
    let world = World::new().await;
    let oldest: i32 = one(
        &world.unseen,
        "select max(oldest_program) from punctual.migrations",
    )
    .await;
    assert!(oldest <= PROGRAM, "{oldest}");
    let released: i32 = one(
        &world.unseen,
        "select max(oldest_program) from punctual.migrations where version <= 20261128200000",
    )
    .await;
    assert_eq!(
        oldest, released,
        "a migration of this version shuts out the program before it"
    );
}
