//! A database that lost the latest commits claims nothing for the instance that made them, and what is in quarantine
//! is claimed by nobody.

use std::time::Duration;

use futures_util::FutureExt;
use punctual::message::{ClaimResponse, InstanceId, MessageId, Moment, RowState};
use punctual::store::{Lineage, Moved, Store};
use uuid::Uuid;

use crate::ours::{accepted, claim, now, recorded, try_claim, won};
use crate::rows::{World, one, run};

const SILENCE: Duration = Duration::from_secs(20);

struct Instance {
    store: Store,
    lineage: Lineage,
}

impl Instance {
    /// It runs, and has beaten once.
    async fn start(world: &World) -> Self {
        let lineage = Lineage::default();
        let store = Store::new(world.db.dsn().pool(3), InstanceId::fresh()).with_lineage(&lineage);
        store.instance_start("notify").await.unwrap();
        store.instance_beat().await.unwrap();
        Self { store, lineage }
    }

    /// A claim of this row is refused, since the database has another history, and nothing is claimed.
    async fn is_refused(&self, world: &World, id: Uuid) {
        let error = try_claim(&self.store, &[id]).await.unwrap_err();
        assert!(error.to_string().contains("PU002"), "{error}");
        assert!(error.is_refusal() && !error.is_about_a_row());
        let moved = self.lineage.moved().now_or_never().expect("it is reported");
        assert!(moved.lost);
        assert_eq!(world.status(id).await, "pending");
    }

    async fn before(&self) -> Moment {
        now(&self.store).await + Duration::from_millis(1)
    }
}

#[tokio::test]
async fn a_database_without_the_latest_commit_claims_nothing() {
    for lost in [
        "delete from punctual.attempts where token = $1",
        "update punctual.attempts set outcome = null where token = $1",
        "update punctual.instances set beats = beats - 1 where $1::uuid is not null",
        "delete from punctual.instances where $1::uuid is not null",
    ] {
        let world = World::new().await;
        let ids = world.rows(2, "pending").await;
        let one = Instance::start(&world).await;
        let first = won(&one.store, &ids[..1]).await.remove(0);
        assert_eq!(recorded(&one.store, &[accepted(&first)]).await, 1);
        world.unseen.execute(lost, &[&first.token.0]).await.unwrap();
        one.is_refused(&world, ids[1]).await;
        // As a heartbeat does.
        one.store.instance_beat().await.unwrap_err();
        // In the history that is accepted, it goes on.
        let moved = one.lineage.moved().await;
        one.lineage.accept(moved);
        one.store.instance_start("notify").await.unwrap();
        won(&one.store, &ids[1..]).await;
        one.store.instance_beat().await.unwrap();
    }
}

/// A claim is lost before its outcome is recorded. The record enters the attempt again, and then the next claim would
/// find it.
#[tokio::test]
async fn a_claim_that_its_record_enters_again_was_lost() {
    let world = World::new().await;
    let ids = world.rows(1, "pending").await;
    let one = Instance::start(&world).await;
    let lost = won(&one.store, &ids).await.remove(0);
    let restore = format!(
        "delete from punctual.attempts where token = '{}';
         update scheduled_messages set status = 'pending', attempts = 0 where id = '{}'",
        lost.token.0, lost.id.0
    );
    run(&world.unseen, &restore).await;
    assert_eq!(recorded(&one.store, &[accepted(&lost)]).await, 1);
    let moved = one.lineage.moved().now_or_never();
    assert!(moved.expect("it is reported").lost);
    assert_eq!(world.status(lost.id.0).await, "sent");
}

#[tokio::test]
async fn retention_is_not_taken_for_loss() {
    let world = World::new().await;
    let ids = world.rows(3, "pending").await;
    let one = Instance::start(&world).await;
    let forget = "delete from punctual.attempts; delete from punctual.instances where stopped_at is not null";
    won(&one.store, &ids[..1]).await;
    one.store.instance_beat().await.unwrap();
    run(&world.unseen, forget).await;
    // A heartbeat has confirmed that claim, and so has this one.
    won(&one.store, &ids[1..2]).await;
    run(&world.unseen, "delete from punctual.attempts where message_id <> any (select message_id from punctual.attempts order by claimed_at desc limit 1)").await;
    won(&one.store, &ids[2..]).await;
    assert!(one.lineage.moved().now_or_never().is_none());
}

#[tokio::test]
async fn what_the_history_before_answers_is_not_ours() {
    let world = World::new().await;
    let ids = world.rows(3, "pending").await;
    let one = Instance::start(&world).await;
    // The session has its statement by then.
    won(&one.store, &ids[..1]).await;
    let claiming = try_claim(&one.store, &ids[1..2]);
    let lock = "begin; lock table punctual.attempts in exclusive mode";
    run(&world.user, lock).await;
    let (claimed, ()) = tokio::join!(claiming, async {
        crate::rows::until(
            &world.unseen,
            "exists (select from pg_locks where not granted)",
        )
        .await;
        one.lineage.accept(Moved {
            to: None,
            lost: true,
        });
        run(&world.user, "rollback").await;
    });
    let error = claimed.unwrap_err();
    assert!(
        !error.is_refusal(),
        "it may be in the history before: {error}"
    );
    one.store.instance_start("notify").await.unwrap();
    won(&one.store, &ids[2..]).await;
}

#[tokio::test]
async fn what_is_in_quarantine_is_claimed_by_no_instance_until_it_is_cleared() {
    let world = World::new().await;
    let ids = world.rows(3, "pending").await;
    let one = Instance::start(&world).await;
    let before = one.before().await;
    let back = |hours: i32| {
        format!("update scheduled_messages set created_at = created_at - interval '{hours} h'")
    };
    run(&world.unseen, &back(1)).await;
    let begun = one
        .store
        .quarantine_begin(before, &[], Some(one.store.instance()), SILENCE)
        .await;
    assert_eq!(begun.unwrap(), before);
    // One that began later, and has no memory of it.
    let other = Instance::start(&world).await;
    other.store.quarantine_read().await.unwrap();
    assert_eq!(other.lineage.quarantined_before(), Some(before));
    for answer in claim(&other.store, &ids).await {
        assert!(
            matches!(answer, ClaimResponse::Lost(RowState::Pending { .. })),
            "{answer:?}"
        );
    }
    other
        .store
        .quarantine_clear(&[MessageId(ids[0])])
        .await
        .unwrap();
    won(&other.store, &ids[..1]).await;
    // Put back by its user since; and due later.
    let requeued =
        "update scheduled_messages set requeued_at = now() + interval '2 min' where id = $1";
    world.unseen.execute(requeued, &[&ids[1]]).await.unwrap();
    won(&other.store, &ids[1..2]).await;
    let later = "update scheduled_messages set scheduled_at = clock_timestamp() where id = $1";
    world.unseen.execute(later, &[&ids[2]]).await.unwrap();
    won(&other.store, &ids[2..]).await;
}

#[tokio::test]
async fn a_quarantine_ends_with_the_last_instance_that_ran() {
    let world = World::new().await;
    let (one, two) = (Instance::start(&world).await, Instance::start(&world).await);
    let stopped = Instance::start(&world).await;
    stopped.store.instance_stop().await.unwrap();
    let known = InstanceId::fresh();
    let before = one.before().await;
    one.store
        .quarantine_begin(before, &[known], Some(one.store.instance()), SILENCE)
        .await
        .unwrap();
    let id = world.row("pending").await;
    let late = "update scheduled_messages set scheduled_at = now() - interval '1 h', created_at = now() - interval '2 h'";
    run(&world.unseen, late).await;
    let unaccounted = "select count(*) from punctual.quarantine, unnest(unaccounted)";
    assert_eq!(one_count(&world, unaccounted).await, 3);
    for (by, ids) in [
        (&one, vec![one.store.instance(), known]),
        (&two, vec![one.store.instance()]),
    ] {
        assert!(!by.store.quarantine_account(&ids).await.unwrap());
        assert!(try_claim(&by.store, &[id]).await.is_ok());
        assert_eq!(world.status(id).await, "pending");
    }
    assert!(
        two.store
            .quarantine_account(&[two.store.instance()])
            .await
            .unwrap()
    );
    won(&one.store, &[id]).await;
    // A second one begins afresh, and a database that knows nothing of an instance leaves somebody unaccounted for.
    run(&world.unseen, "delete from punctual.instances").await;
    one.store
        .quarantine_begin(before, &[], Some(one.store.instance()), SILENCE)
        .await
        .unwrap();
    let nobody: bool = self::one(
        &world.unseen,
        "select unaccounted @> array['00000000-0000-0000-0000-000000000000'::uuid] and ended_at is null from punctual.quarantine",
    )
    .await;
    assert!(nobody);
    one.store.quarantine_end(before).await.unwrap();
    one.store.quarantine_read().await.unwrap();
    assert_eq!(one.lineage.quarantined_before(), None);
}

/// Who accounts for itself must be in the history it knows.
#[tokio::test]
async fn who_lost_something_does_not_account_for_itself() {
    let world = World::new().await;
    let ids = world.rows(1, "pending").await;
    let (one, two) = (Instance::start(&world).await, Instance::start(&world).await);
    won(&two.store, &ids).await;
    run(&world.unseen, "delete from punctual.attempts").await;
    let before = one.before().await;
    one.store
        .quarantine_begin(before, &[], Some(one.store.instance()), SILENCE)
        .await
        .unwrap();
    let me = [two.store.instance()];
    two.store.quarantine_account(&me).await.unwrap_err();
    assert!(two.lineage.moved().now_or_never().is_some());
}

async fn one_count(world: &World, sql: &str) -> i64 {
    one(&world.unseen, sql).await
}
