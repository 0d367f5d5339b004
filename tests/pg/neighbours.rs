//! Others at the same rows: what they hold is waited for without standing in their way, and
//! nobody who is not Punctual ever loses a deadlock to it.

use punctual::provider::Providers;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use punctual::clock::Clock;
use punctual::dispatch::{Dispatch, Input};
use punctual::message::{
    AttemptToken, Capabilities, Claim, ClaimResponse, MessageId, Outcome, RowState, Status,
};
use punctual::policy::Cleared;
use punctual::provider::Provider;
use punctual::reactor::ClaimRequest;
use punctual::settle::Settlement;
use punctual::store::Store;
use uuid::Uuid;

use crate::ours::{LEASE, accepted, claim, record, rules, store, won};
use crate::rows::{World, one, run, said, until};

/// Nothing is sent here.
struct Nobody;

impl Provider for Nobody {
    fn capabilities(&self) -> Capabilities {
        Capabilities::SENDS_ONLY
    }
    fn send<'a>(&'a self, _: &'a Cleared, _: Duration) -> BoxFuture<'a, Outcome> {
        unreachable!("nothing is sent here")
    }
    fn prewarm(&self, _: usize) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }
}

fn dispatch(store: &Store) -> Dispatch {
    let mut rules = rules();
    rules.default_sender = Some("+15005550006".parse().unwrap());
    Dispatch {
        store: store.clone(),
        providers: Providers::texts(Arc::new(Nobody)),
        rules: Arc::new(rules),
        clock: Arc::new(Clock::new()),
        metrics: Arc::default(),
        lease: LEASE,
        limits: Arc::default(),
        journal: None,
        lineage: punctual::store::Lineage::default(),
        notes: Arc::default(),
    }
}

fn asks(ids: &[Uuid]) -> Vec<ClaimRequest> {
    let ask = |id: &Uuid| ClaimRequest {
        id: MessageId(*id),
        token: AttemptToken::fresh(),
        via: None,
    };
    ids.iter().map(ask).collect()
}

#[tokio::test]
async fn a_row_in_anothers_hands_is_as_pending_as_before_until_they_are_done() {
    let world = World::new().await;
    let store = store(&world);
    for (does, ends, then) in [
        (
            "update scheduled_messages set status = 'cancelled'",
            "rollback",
            None,
        ),
        (
            "update scheduled_messages set status = 'cancelled'",
            "commit",
            Some(Status::Cancelled),
        ),
        ("update scheduled_messages set body = 'new'", "commit", None),
        ("select from scheduled_messages for update", "commit", None),
        ("select from scheduled_messages for share", "rollback", None),
        ("delete from scheduled_messages", "rollback", None),
    ] {
        run(&world.unseen, "delete from scheduled_messages").await;
        let id = world.row("pending").await;
        run(&world.user, &format!("begin; {does}")).await;
        let held = claim(&store, &[id]).await.remove(0);
        assert!(
            matches!(held, ClaimResponse::Lost(RowState::Pending { .. })),
            "{does}: {held:?}"
        );
        run(&world.user, ends).await;
        match (then, claim(&store, &[id]).await.remove(0)) {
            (None, ClaimResponse::Won(claim)) => {
                assert_eq!(claim.body == "new", does.contains("body"));
            }
            (Some(_), ClaimResponse::Lost(RowState::Gone { status })) => assert_eq!(status, then),
            (_, other) => panic!("{does}, {ends}: {other:?}"),
        }
    }
    // What only points at a row, as a foreign key does, holds up nothing.
    let id = world.row("pending").await;
    run(
        &world.user,
        &format!("begin; select from scheduled_messages where id = '{id}' for key share"),
    )
    .await;
    won(&store, &[id]).await;
    run(&world.user, "rollback").await;
}

/// Writes all rows again and again, from the last to the first, until asked to stop.
async fn write_backwards(
    world: &World,
    ids: Vec<Uuid>,
    stop: Arc<std::sync::atomic::AtomicBool>,
) -> u32 {
    let client = world.db.client().await;
    run(&client, "set deadlock_timeout = '1ms'").await;
    let mut rounds = 0;
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        run(&client, "begin").await;
        for ids in ids.rchunks(10) {
            let list: Vec<_> = ids.iter().map(|id| format!("'{id}'")).collect();
            let sql = format!(
                "update scheduled_messages set metadata = '{{}}' where id in ({})",
                list.join(",")
            );
            if let Err(error) = client.batch_execute(&sql).await {
                panic!("the user is the victim: {}", said(&error));
            }
        }
        run(&client, "commit").await;
        rounds += 1;
    }
    rounds
}

#[tokio::test]
async fn whoever_writes_in_another_order_is_nobodys_victim() {
    let world = Arc::new(World::new().await);
    let database: String = one(&world.unseen, "select current_database()").await;
    run(
        &world.unseen,
        &format!("alter database {database} set deadlock_timeout = '1ms'"),
    )
    .await;
    let ids = world.rows(60, "pending").await;
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let user = {
        let (world, ids, stop) = (world.clone(), ids.clone(), stop.clone());
        tokio::spawn(async move { write_backwards(&world, ids, stop).await })
    };
    let store = store(&world);
    let mut turns = 0;
    let patience = Duration::from_secs(60);
    let busy = async {
        while turns < 300 {
            let mine: Vec<Claim> = claim(&store, &ids)
                .await
                .into_iter()
                .filter_map(|answer| match answer {
                    ClaimResponse::Won(claim) => Some(claim),
                    ClaimResponse::Lost(_)
                    | ClaimResponse::Paused(_)
                    | ClaimResponse::Paced(_)
                    | ClaimResponse::OptedOut => None,
                })
                .collect();
            turns += mine.len().max(1);
            let mut left: Vec<_> = mine
                .iter()
                .map(|c| record(c, Settlement::returned("test")))
                .collect();
            while !left.is_empty() {
                let done = store
                    .record(&left.iter().collect::<Vec<_>>())
                    .await
                    .unwrap();
                left.retain(|record| !done.contains_key(&record.token));
            }
        }
    };
    tokio::time::timeout(patience, busy).await.expect("an end");
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(user.await.expect("no deadlock") > 0);
    assert_eq!(world.tally().await, "pending 60");
    let open = "select count(*) from punctual.attempts where outcome is null";
    assert_eq!(one::<i64>(&world.unseen, open).await, 0);
}

#[tokio::test]
async fn a_locked_table_puts_everything_off_and_loses_nothing() {
    let world = World::new().await;
    let store = store(&world);
    let dispatch = dispatch(&store);
    let ids = world.rows(4, "pending").await;
    let claims = won(&store, &ids[..2]).await;
    let records = Arc::new(claims.iter().map(accepted).collect::<Vec<_>>());
    run(
        &world.user,
        "begin; lock table scheduled_messages in access exclusive mode",
    )
    .await;

    let asked = asks(&ids[2..]);
    let Input::ClaimRefused(refused) = dispatch.claim(asked.clone()).await else {
        panic!("not refused");
    };
    assert_eq!(refused, asked);
    let Input::Recorded { done, .. } = dispatch.record(1, records.clone()).await else {
        unreachable!()
    };
    assert!(done.is_empty());
    assert!(matches!(
        dispatch.read(vec![MessageId(ids[0])]).await,
        Input::Rows { rows: None }
    ));
    run(&world.user, "commit").await;

    let Input::Claimed { answers, .. } = dispatch.claim(asked).await else {
        panic!("the same tokens, once more");
    };
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer.1, ClaimResponse::Won(_)))
    );
    let Input::Recorded { done, .. } = dispatch.record(1, records).await else {
        unreachable!()
    };
    assert_eq!(done.len(), 2);
    assert_eq!(world.tally().await, "sending 2, sent 2");
}

/// A trigger of the app's that will not have this one row changed in this way.
async fn refuse(world: &World, id: Uuid, to: &str) {
    run(
        &world.unseen,
        &format!(
            "create or replace function no() returns trigger language plpgsql as $$
             begin
               if new.id = '{id}' and new.status = '{to}' then raise exception 'not this one'; end if;
               return new;
             end $$;
             create or replace trigger no before update on scheduled_messages for each row execute function no()"
        ),
    )
    .await;
}

#[tokio::test]
async fn a_record_that_the_database_refuses_holds_up_no_other() {
    let world = World::new().await;
    let store = store(&world);
    let ids = world.rows(9, "pending").await;
    refuse(&world, ids[4], "sent").await;
    let records: Vec<_> = won(&store, &ids).await.iter().map(accepted).collect();
    let Input::Recorded {
        group: 7,
        done,
        failed: false,
    } = dispatch(&store).record(7, Arc::new(records.clone())).await
    else {
        panic!("the group it was asked for");
    };
    let missing: Vec<_> = records
        .iter()
        .map(|r| r.token)
        .filter(|t| done.iter().all(|d| d.0 != *t))
        .collect();
    assert_eq!(missing, [records[4].token]);
    assert_eq!(world.tally().await, "sending 1, sent 8");
    run(&world.unseen, "drop trigger no on scheduled_messages").await;
    let Input::Recorded { done, .. } = dispatch(&store).record(8, Arc::new(records)).await else {
        unreachable!()
    };
    assert_eq!(done.len(), 9);
    assert_eq!(world.tally().await, "sent 9");
}

#[tokio::test]
async fn a_row_that_cannot_be_claimed_holds_up_no_other() {
    let world = World::new().await;
    let store = store(&world);
    let ids = world.rows(9, "pending").await;
    refuse(&world, ids[4], "sending").await;
    let asked = asks(&ids);
    let Input::Claimed { answers, .. } = dispatch(&store).claim(asked.clone()).await else {
        panic!("all refused");
    };
    let lost: Vec<_> = answers
        .iter()
        .filter(|a| matches!(a.1, ClaimResponse::Lost(_)))
        .map(|a| a.0.0)
        .collect();
    assert_eq!((answers.len(), lost), (9, vec![ids[4]]));
    assert_eq!(world.tally().await, "pending 1, sending 8");
    // Alone it is read instead: still pending, so it is asked for again, ever less often.
    let alone = asks(&ids[4..5]);
    let Input::Claimed { answers, .. } = dispatch(&store).claim(alone).await else {
        panic!("refused as if it were not its own fault");
    };
    assert!(matches!(
        answers[..],
        [(_, ClaimResponse::Lost(RowState::Pending { .. }))]
    ));
}

/// An app's transaction that waits for our row does so for the length of a statement.
#[tokio::test]
async fn who_waits_for_a_claim_gets_through_when_it_has_committed() {
    let world = World::new().await;
    let store = store(&world);
    let id = world.row("pending").await;
    run(
        &world.user,
        &format!("begin; select from scheduled_messages where id = '{id}' for update"),
    )
    .await;
    let other = world.db.client().await;
    let note =
        format!("update scheduled_messages set metadata = '{{\"late\":1}}' where id = '{id}'");
    let waits = run(&other, &note);
    let frees = async {
        until(
            &world.unseen,
            "exists (select from pg_locks where not granted)",
        )
        .await;
        let held = claim(&store, &[id]).await;
        assert!(matches!(
            held[0],
            ClaimResponse::Lost(RowState::Pending { .. })
        ));
        run(&world.user, "commit").await;
    };
    tokio::join!(waits, frees);
    won(&store, &[id]).await;
    assert!(
        world
            .get::<bool>(id, "metadata ? 'late' and status = 'sending'")
            .await
    );
}
