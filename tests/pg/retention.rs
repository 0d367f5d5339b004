//! `punctual.forget` deletes what is long over from the ledger, and nothing that is still needed.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::ours::{store, won};
use crate::rows::{World, one, run, said};

/// A message in this state with an attempt of 100 days ago; `more` is done to the attempt or beside it, with `ID` for
/// the message.
async fn old(world: &World, status: &str, outcome: &str, more: &str) -> Uuid {
    let id = world.row(status).await;
    let sql = format!(
        "insert into punctual.attempts (token, message_id, number, instance, claimed_at, lease_until, outcome)
         values (gen_random_uuid(), '{id}', 1, gen_random_uuid(), now() - interval '100 days',
                 now() - interval '100 days', {outcome});
         insert into punctual.receipts (message_id, token, provider_sid, status, effect)
         select '{id}', token, 'SM' || token, 'sent', 'advanced' from punctual.attempts where message_id = '{id}';
         insert into punctual.notes (message_id, note) values ('{id}', 'x');
         {}",
        more.replace("ID", &id.to_string())
    );
    run(&world.unseen, &sql).await;
    id
}

async fn left(world: &World, table: &str) -> BTreeSet<Uuid> {
    let sql = format!("select coalesce(array_agg(message_id), '{{}}') from punctual.{table}");
    one::<Vec<Uuid>>(&world.unseen, &sql)
        .await
        .into_iter()
        .collect()
}

#[tokio::test]
async fn what_is_long_over_is_deleted_and_nothing_that_is_still_needed() {
    let world = World::new().await;
    let needed = [
        old(&world, "pending", "'refused'", "").await,
        old(&world, "sending", "null", "").await,
        old(&world, "unconfirmed", "'unknown'", "").await,
        old(&world, "failed", "null", "").await,
        old(&world, "cancelled", "'unknown'", "").await,
        old(&world, "sent", "'accepted'", "update punctual.attempts set next_lookup_at = now() where message_id = 'ID'").await,
        old(&world, "sent", "'accepted'", "insert into punctual.outbox (message_id, write, last_error) values ('ID', '{}', 'no')").await,
        old(&world, "failed", "'refused'", "insert into punctual.missed_event_changes (message_id, calendar_event_id, user_id) values ('ID', 'e', gen_random_uuid())").await,
        // A later attempt is younger.
        old(&world, "delivered", "'refused'", "insert into punctual.attempts (token, message_id, number, instance, claimed_at, lease_until, outcome)
             values (gen_random_uuid(), 'ID', 2, gen_random_uuid(), now() - interval '31 days', now(), 'accepted')").await,
    ];
    let mut over = Vec::new();
    for (status, outcome) in [
        ("sent", "'accepted'"),
        ("delivered", "'accepted'"),
        ("failed", "'refused'"),
        ("cancelled", "'returned'"),
    ] {
        over.push(old(&world, status, outcome, "").await);
    }
    over.push(
        old(
            &world,
            "cancelled",
            "'unknown'",
            "update punctual.attempts set settled_by = 'a person' where message_id = 'ID'",
        )
        .await,
    );
    // The row itself is gone.
    over.push(
        old(
            &world,
            "sent",
            "'accepted'",
            "delete from scheduled_messages where id = 'ID'",
        )
        .await,
    );

    let owner = world.db.client().await;
    for bad in [
        "select punctual.forget(now() - interval '29 days')",
        "select punctual.forget(now() - interval '90 days', 0)",
        "select punctual.forget(now() - interval '90 days', 100001)",
    ] {
        let error = owner.batch_execute(bad).await.expect_err(bad);
        assert_eq!(
            error.code().unwrap().code(),
            "22023",
            "{bad}: {}",
            said(&error)
        );
    }
    let forget = "select punctual.forget(now() - interval '90 days', 4)";
    let mut deleted = Vec::new();
    for _ in 0..3 {
        deleted.push(one::<i32>(&owner, forget).await);
    }
    assert_eq!(deleted, [4, 2, 0], "bounded, and to the end");
    let needed: BTreeSet<Uuid> = needed.into_iter().collect();
    for table in ["attempts", "receipts", "notes"] {
        assert_eq!(left(&world, table).await, needed, "{table}");
    }
    let rows: i64 = one(&world.unseen, "select count(*) from scheduled_messages").await;
    assert_eq!(rows, 14, "the app's rows stay");
    // A message that is sent again after that is counted from 1 again.
    let again = over[2];
    run(
        &world.user,
        &format!("update scheduled_messages set status = 'pending' where id = '{again}'"),
    )
    .await;
    assert_eq!(won(&store(&world), &[again]).await[0].number, 1);
}
