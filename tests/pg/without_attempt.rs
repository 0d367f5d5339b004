//! Messages that are `sending` though the ledger has no open attempt at them.

use std::time::Duration;

use punctual::message::InstanceId;
use punctual::store::{NO_ATTEMPT, Store, WithoutAttempt};
use uuid::Uuid;

use crate::rows::{World, run};

const MINUTE: Duration = Duration::from_secs(60);

/// A row that is `sending`, unchanged for two minutes, with so many tries, and attempts with these outcomes.
async fn stranded(
    world: &World,
    tries: u32,
    columns: &str,
    values: &str,
    outcomes: &[&str],
) -> Uuid {
    let id = world
        .row_with(
            "sending",
            &format!(", attempts, updated_at{columns}"),
            &format!(", {tries}, now() - interval '2 minutes'{values}"),
        )
        .await;
    for (number, outcome) in (1..).zip(outcomes) {
        let sql = format!(
            "insert into punctual.attempts (token, message_id, number, instance, lease_until, outcome)
             values (gen_random_uuid(), '{id}', {number}, gen_random_uuid(), now(), {outcome})"
        );
        run(&world.unseen, &sql).await;
    }
    id
}

#[tokio::test]
async fn what_certainly_was_not_sent_is_pending_again_and_the_rest_is_unconfirmed() {
    let world = World::new().await;
    let pending = [
        stranded(&world, 1, "", "", &["'refused'"]).await,
        stranded(&world, 1, "", "", &["'returned'", "'unsent'"]).await,
        stranded(&world, 2, "", "", &["'throttled'", "'refused'"]).await,
    ];
    let unconfirmed = [
        // Another program set it so: who knows what that has sent.
        stranded(&world, 0, "", "", &[]).await,
        stranded(&world, 0, "", "", &["'refused'"]).await,
        // An attempt is lost.
        stranded(&world, 1, "", "", &[]).await,
        stranded(&world, 2, "", "", &["'refused'"]).await,
        stranded(&world, 1, "", "", &["'accepted'"]).await,
        stranded(&world, 2, "", "", &["'refused'", "'unknown'"]).await,
        stranded(&world, 1, ", twilio_sid", ", 'SM1'", &["'refused'"]).await,
        stranded(&world, 1, ", sent_at", ", now()", &["'refused'"]).await,
    ];
    let untouched = [
        stranded(&world, 1, "", "", &["null"]).await,
        world.row("sending").await,
        stranded(&world, 1, "", "", &["'refused'"]).await,
    ];
    let locks = world.db.client().await;
    run(
        &locks,
        &format!(
            "begin; select from scheduled_messages where id = '{}' for update",
            untouched[2]
        ),
    )
    .await;

    let store = Store::new(world.db.dsn().pool(1), InstanceId(Uuid::new_v4()));
    let mut corrected = WithoutAttempt::default();
    for _ in 0..4 {
        let step = store.correct_without_attempt(MINUTE, 5).await.unwrap();
        assert!(step.pending + step.unconfirmed <= 5, "{step:?}");
        corrected.pending += step.pending;
        corrected.unconfirmed += step.unconfirmed;
    }
    assert_eq!((corrected.pending, corrected.unconfirmed), (3, 8));
    for id in pending {
        assert_eq!(world.status(id).await, "pending");
    }
    for id in unconfirmed {
        assert_eq!(world.status(id).await, "unconfirmed");
        assert_eq!(world.get::<String>(id, "error_message").await, NO_ATTEMPT);
    }
    for id in untouched {
        assert_eq!(world.status(id).await, "sending");
    }
}
