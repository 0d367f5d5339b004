//! The table of transitions, in Rust and in SQL: the same in every cell, for both writers.

use punctual::message::Status;
use punctual::message::status::{Writer, transition};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::rows::{World, count, one, refused, run, said};

/// Whether the guard lets it pass. It either passes as asked for or is refused with `PT409`.
async fn passes(world: &World, writer: &Client, from: Option<Status>, to: Status) -> bool {
    let done = match from {
        None => {
            let sql = "insert into scheduled_messages (to_number, body, scheduled_at, status)
                       values ('+13105550100', 'hello', now(), $1)";
            writer.execute(sql, &[&to.as_str()]).await
        }
        Some(from) => {
            let id = world.row(from.as_str()).await;
            let sql = "update scheduled_messages set status = $2 where id = $1";
            let done = writer.execute(sql, &[&id, &to.as_str()]).await;
            let stands = if done.is_ok() { to } else { from };
            assert_eq!(world.status(id).await, stands.as_str());
            done
        }
    };
    match done {
        Ok(n) => {
            assert_eq!(n, 1, "{from:?} to {to:?}: skipped without a word");
            true
        }
        Err(error) => {
            let code = error.code().map(|code| code.code().to_owned());
            assert_eq!(code.as_deref(), Some("PT409"), "{}", said(&error));
            false
        }
    }
}

#[tokio::test]
async fn every_cell_is_the_same_in_rust_and_in_sql() {
    let world = World::new().await;
    let daemon = world.daemon().await;
    let mut differ = Vec::new();
    for (writer, session) in [(Writer::User, &world.user), (Writer::Daemon, &daemon)] {
        for from in std::iter::once(None).chain(Status::ALL.map(Some)) {
            for to in Status::ALL {
                let in_rust = transition(from, to, writer);
                let in_sql = passes(&world, session, from, to).await;
                if in_rust != in_sql {
                    differ.push(format!("{writer:?} {from:?} to {to:?}: rust {in_rust}"));
                }
            }
        }
    }
    assert!(differ.is_empty(), "{differ:#?}");
}

async fn attempt(world: &World, id: Uuid, number: i32, outcome: Option<&str>) {
    let sql =
        "insert into punctual.attempts (token, message_id, number, instance, lease_until, outcome)
               values (gen_random_uuid(), $1, $2, gen_random_uuid(), now(), $3)";
    count(&world.unseen, sql, &[&id, &number, &outcome]).await;
}

#[tokio::test]
async fn what_may_have_been_sent_is_not_put_back() {
    let world = World::new().await;
    let put_back =
        |id| format!("update scheduled_messages set status = 'pending' where id = '{id}'");
    for status in ["failed", "cancelled"] {
        for unresolved in [None, Some("unknown")] {
            let id = world.row(status).await;
            attempt(&world, id, 1, Some("refused")).await;
            attempt(&world, id, 2, unresolved).await;
            let why = refused(&world.user, &put_back(id)).await;
            assert!(why.contains("could text twice"), "{why}");
            assert_eq!(world.status(id).await, status);

            // Somebody found out how it went.
            let settle = "update punctual.attempts set outcome = 'refused' where message_id = $1";
            count(&world.unseen, settle, &[&id]).await;
            run(&world.user, &put_back(id)).await;
            assert_eq!(world.status(id).await, "pending");
        }
        for known in [
            "refused",
            "throttled",
            "unsent",
            "rejected",
            "cancelled",
            "returned",
            "deferred",
        ] {
            let id = world.row(status).await;
            attempt(&world, id, 1, Some(known)).await;
            run(&world.user, &put_back(id)).await;
            assert_eq!(world.status(id).await, "pending", "{known}");
        }
    }
}

#[tokio::test]
async fn a_put_back_of_many_fails_whole_if_one_is_in_doubt() {
    let world = World::new().await;
    let (clear, doubtful) = (world.row("failed").await, world.row("failed").await);
    attempt(&world, doubtful, 1, Some("unknown")).await;
    let all = "update scheduled_messages set status = 'pending' where status = 'failed'";
    refused(&world.user, all).await;
    assert_eq!(world.status(clear).await, "failed");
    let n: i64 = one(
        &world.user,
        "select count(*) from scheduled_messages where status = 'failed'",
    )
    .await;
    assert_eq!(n, 2);
}
