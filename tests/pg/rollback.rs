//! A program of the version before on the schema of this one: it claims nothing, which the others know, until the schema
//! is told that it may.

use std::time::Duration;

use punctual::message::InstanceId;
use punctual::schedule::Ranking;
use punctual::store::Store;
use punctual::store::connect::prepare_session;
use punctual::store::migrate::PROGRAM;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::rows::{World, one, run};

/// The statements of the daemon before this version, as Postgres got them: a name in a comment before each.
const STATEMENTS: &str = include_str!("landed/statements.sql");

fn statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    STATEMENTS
        .split("-- name: ")
        .skip(1)
        .map(|part| part.split_once('\n').unwrap())
}

/// A session of that version, with its statements.
async fn old_session(world: &World) -> Client {
    let old = world.db.client().await;
    prepare_session(&old).await.unwrap();
    // It did not say its number.
    run(&old, "reset punctual.program").await;
    for (name, sql) in statements() {
        run(&old, &format!("prepare {name} as {sql}")).await;
    }
    old
}

fn claim(id: Uuid, token: Uuid, instance: Uuid) -> String {
    format!(
        "execute path_claim(array['{id}'::uuid], array['{token}'::uuid], '{instance}', 30000, 50000, '+15005550006', \
                            'UTC', false)"
    )
}

fn record(id: Uuid, token: Uuid) -> String {
    format!(
        "execute path_record_accepted(array['{id}'::uuid], array['{token}'::uuid], array['SM1'], array[now()],
                                      array[now()], 60000, array['hello'], array['+15005550006'], array['+13105550100'],
                                      array[null::bigint])"
    )
}

/// It knows no pause and no pace, and would send what must wait.
#[tokio::test]
async fn a_daemon_of_the_version_before_claims_nothing_and_records_what_it_has_sent() {
    let world = World::new().await;
    let old = old_session(&world).await;
    let (instance, token) = (Uuid::new_v4(), Uuid::new_v4());
    run(
        &old,
        &format!("execute ledger_instance_start('{instance}', '0.1.0')"),
    )
    .await;
    run(&old, &format!("execute ledger_instance_beat('{instance}')")).await;
    let id = world.row("pending").await;
    let refused = old.batch_execute(&claim(id, token, instance)).await;
    let refused = refused.unwrap_err();
    let said = refused.as_db_error().unwrap();
    // The daemon of that version logs the code and the name of the function, and no words.
    assert_eq!(said.code().code(), "PU003");
    assert!(
        said.where_().unwrap().contains("this_program_is_too_old"),
        "{said:?}"
    );
    assert_eq!(world.status(id).await, "pending");

    // The others see it, and wait for no turn of it.
    let store = Store::new(world.db.dsn().pool(1), InstanceId(Uuid::new_v4()));
    store.instance_start().await.unwrap();
    let ranking = store.members(Duration::from_secs(20)).await.unwrap();
    assert!(ranking.is_alone());
    assert_eq!(store.outdated_instances(), 1);
    let members = [InstanceId(instance), store.instance()];
    assert_ne!(ranking, Ranking::new(store.instance(), members));

    // What it claimed before the schema was migrated it had sent: it records that.
    let sending = world.row("sending").await;
    let ledger = format!(
        "insert into punctual.attempts (token, message_id, number, instance, lease_until)
         values ('{token}', '{sending}', 1, '{instance}', now() + interval '1 minute')"
    );
    run(&world.unseen, &ledger).await;
    run(&old, &record(sending, token)).await;
    assert_eq!(world.status(sending).await, "sent");
    let stop =
        format!("execute ledger_members(20000, 10); execute ledger_instance_stop('{instance}')");
    run(&old, &stop).await;
    store.members(Duration::from_secs(20)).await.unwrap();
    assert_eq!(store.outdated_instances(), 0);
}

/// Whoever goes back a version says so in the record; then its statements are understood, and send a message.
#[tokio::test]
async fn the_version_before_sends_again_once_the_schema_says_that_it_may() {
    let world = World::new().await;
    let back = "update punctual.migrations set oldest_program = 1 where oldest_program > 1";
    run(&world.unseen, back).await;
    let old = old_session(&world).await;
    let (instance, token) = (Uuid::new_v4(), Uuid::new_v4());
    let id = world.row("pending").await;
    run(
        &old,
        &format!("execute ledger_instance_start('{instance}', '0.1.0')"),
    )
    .await;
    run(&old, &claim(id, token, instance)).await;
    assert_eq!(world.status(id).await, "sending");
    run(&old, &record(id, token)).await;
    assert_eq!(world.status(id).await, "sent");
}

/// What the oldest program that may claim has to know: pauses, paces and parts.
const OLDEST: i32 = 2;

#[tokio::test]
async fn the_version_before_may_claim_and_older_ones_may_not() {
    let world = World::new().await;
    let oldest = "select max(oldest_program) from punctual.migrations";
    assert_eq!(one::<i32>(&world.unseen, oldest).await, OLDEST);
    const { assert!(OLDEST <= PROGRAM) };
    let session = world.db.client().await;
    prepare_session(&session).await.unwrap();
    let insert = "insert into punctual.attempts (token, message_id, number, instance, lease_until)
                  values (gen_random_uuid(), gen_random_uuid(), 1, gen_random_uuid(), now())";
    for program in [OLDEST, PROGRAM] {
        run(
            &session,
            &format!("set punctual.program = '{program}'; {insert}"),
        )
        .await;
    }
    let older = format!("set punctual.program = '{}'; {insert}", OLDEST - 1);
    let refused = session.batch_execute(&older).await.unwrap_err();
    let state = refused.code().map(tokio_postgres::error::SqlState::code);
    assert_eq!(state, Some("PU003"));
}
