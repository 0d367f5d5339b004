//! What a dead instance left open, released by whoever has its journal.

use punctual::message::{InstanceId, MessageId};
use punctual::proof::recovery::{LogPosition, NotAccepted};
use punctual::settle::Settlement;
use punctual::store::{Lineage, Moved, Store};
use uuid::Uuid;

use crate::ours::{accepted, ledger, record, recorded, store, won};
use crate::rows::{World, run};

fn not_accepted(claim: &punctual::message::Claim) -> NotAccepted {
    NotAccepted {
        token: claim.token,
        message: claim.id,
        reason: "never began".into(),
    }
}

/// As the reaper leaves it, or a record that came too late.
async fn set(world: &World, id: Uuid, row: &str, attempt: &str) {
    let sql = format!(
        "update scheduled_messages set status = '{row}', error_message = 'died' where id = '{id}';
         update punctual.attempts set {attempt} where message_id = '{id}'"
    );
    run(&world.unseen, &sql).await;
}

/// What a message whose only attempt stands so becomes, once that was certainly not accepted.
async fn check(
    world: &World,
    row: &str,
    attempt: &str,
    listed: bool,
    becomes: &str,
    outcome: Option<&str>,
) {
    let store = store(world);
    let id = world.row("pending").await;
    let claim = won(&store, &[id]).await.remove(0);
    set(world, id, row, attempt).await;
    let left = store.left_open(store.instance()).await.unwrap();
    assert_eq!(left.len(), usize::from(listed), "{row}, {attempt}");
    let done = store.not_accepted(&[not_accepted(&claim)]).await.unwrap();
    let moved = row != becomes;
    assert_eq!(done, [(claim.token, moved)], "{row}, {attempt}");
    assert_eq!(world.status(id).await, becomes, "{row}, {attempt}");
    let found: Option<String> = ledger(world, id).await[0].get("outcome");
    assert_eq!(found.as_deref(), outcome, "{row}, {attempt}");
    if moved {
        assert_eq!(world.get::<i32>(id, "attempts").await, 0);
        let again = store.not_accepted(&[not_accepted(&claim)]).await.unwrap();
        assert_eq!(again, [(claim.token, false)], "once is enough");
    }
}

#[tokio::test]
async fn only_what_nothing_certain_is_known_of_is_released() {
    let reaped = "outcome = 'unknown', finished_at = now()";
    let begun = "outcome = 'unknown', started_at = now()";
    let (back, unknown) = (Some("returned"), Some("unknown"));
    let accepted = "outcome = 'accepted', provider_sid = 'SM1'";
    let world = World::new().await;
    check(&world, "sending", "outcome = null", true, "pending", back).await;
    check(&world, "unconfirmed", reaped, true, "pending", back).await;
    check(&world, "unconfirmed", begun, false, "unconfirmed", unknown).await;
    check(&world, "sent", accepted, false, "sent", Some("accepted")).await;
    // A person, or proof, has said otherwise of the row; the attempt is closed all the same.
    check(&world, "cancelled", reaped, false, "cancelled", back).await;
    check(&world, "sent", "outcome = null", true, "sent", back).await;
}

#[tokio::test]
async fn a_row_at_which_another_attempt_is_open_stays_as_it_is() {
    let world = World::new().await;
    let (dead, alive) = (store(&world), store(&world));
    let id = world.row("pending").await;
    let first = won(&dead, &[id]).await.remove(0);
    set(&world, id, "pending", "outcome = 'unknown'").await;
    let second = won(&alive, &[id]).await.remove(0);
    let done = dead.not_accepted(&[not_accepted(&first)]).await.unwrap();
    assert_eq!(done, [(first.token, false)]);
    assert_eq!(world.status(id).await, "sending");
    assert_eq!(recorded(&alive, &[accepted(&second)]).await, 1);
    assert_eq!(world.status(id).await, "sent");
}

#[tokio::test]
async fn what_was_permitted_after_an_uncertain_attempt_and_never_began_is_released() {
    let world = World::new().await;
    let store = store(&world);
    for (permit, becomes) in [("null", "sending"), ("'resend'", "pending")] {
        let id = world.row("pending").await;
        won(&store, &[id]).await;
        let uncertain = format!("outcome = 'unknown', started_at = now(), settled_by = {permit}");
        set(&world, id, "pending", &uncertain).await;
        let second = won(&store, &[id]).await.remove(0);
        let done = store.not_accepted(&[not_accepted(&second)]).await.unwrap();
        assert_eq!(done, [(second.token, becomes == "pending")], "{permit}");
        assert_eq!(world.status(id).await, becomes, "{permit}");
    }
}

#[tokio::test]
async fn what_somebody_holds_comes_later_and_what_is_deleted_is_closed() {
    let world = World::new().await;
    let store = store(&world);
    let ids = world.rows(2, "pending").await;
    let claims = won(&store, &ids).await;
    run(
        &world.unseen,
        &format!("delete from scheduled_messages where id = '{}'", ids[1]),
    )
    .await;
    run(
        &world.user,
        &format!(
            "begin; select from scheduled_messages where id = '{}' for update",
            ids[0]
        ),
    )
    .await;
    let both = [not_accepted(&claims[0]), not_accepted(&claims[1])];
    let done = store.not_accepted(&both).await.unwrap();
    assert_eq!(done, [(claims[1].token, false)]);
    run(&world.user, "rollback").await;
    let done = store.not_accepted(&both[..1]).await.unwrap();
    assert_eq!(done, [(claims[0].token, true)]);
    assert!(store.left_open(store.instance()).await.unwrap().is_empty());
    assert_eq!(MessageId(ids[0]), claims[0].id);
}

/// More than are read in one statement, in whatever order they were claimed.
#[tokio::test]
async fn all_that_an_instance_left_open_is_found() {
    let world = World::new().await;
    let store = store(&world);
    let id = world.row("pending").await;
    won(&store, &[id]).await;
    let more = format!(
        "insert into punctual.attempts (token, message_id, number, instance, claimed_at, lease_until)
         select gen_random_uuid(), gen_random_uuid(), 1, '{}', now(), now() from generate_series(1, 2500)",
        store.instance().0
    );
    run(&world.unseen, &more).await;
    let left = store.left_open(store.instance()).await.unwrap();
    let tokens: std::collections::BTreeSet<_> = left.iter().map(|open| open.token).collect();
    assert_eq!((left.len(), tokens.len()), (2_501, 2_501));
    // A living instance asks for what was reaped of it alone, however much it has under way.
    set(&world, id, "unconfirmed", "outcome = 'unknown'").await;
    let reaped = store.reaped(store.instance()).await.unwrap();
    let reaped: Vec<_> = reaped.iter().map(|open| open.message.0).collect();
    assert_eq!(reaped, [id]);
}

/// A record that comes after its attempt was reaped cannot deny; but that the request began it
/// does say, or the journal's next reader would take it for one that never did.
#[tokio::test]
async fn a_late_record_says_that_the_request_began() {
    let world = World::new().await;
    let store = store(&world);
    let id = world.row("pending").await;
    let claim = won(&store, &[id]).await.remove(0);
    set(&world, id, "unconfirmed", "outcome = 'unknown'").await;
    assert_eq!(store.left_open(store.instance()).await.unwrap().len(), 1);
    let unsure = Settlement::uncertain("no answer".into());
    assert_eq!(recorded(&store, &[record(&claim, unsure)]).await, 1);
    assert!(store.left_open(store.instance()).await.unwrap().is_empty());
    store.not_accepted(&[not_accepted(&claim)]).await.unwrap();
    assert_eq!(world.status(id).await, "unconfirmed");
}

/// Sessions in another database of the same server, or at an earlier place of its log, are not
/// used until somebody says so.
#[tokio::test]
async fn a_session_of_another_history_is_not_used() {
    let (one, other) = (World::new().await, World::new().await);
    let history = Lineage::default();
    let id = InstanceId::fresh;
    let pool = |world: &World| world.db.dsn().pool_with(1, Some((&history, id())), None);
    let store = |world: &World| Store::new(pool(world), id());
    store(&one).now().await.unwrap();
    let first = history.known().unwrap();
    store(&one).now().await.unwrap();
    store(&other).now().await.unwrap_err();
    let moved = history.moved().await;
    assert!(!moved.lost);
    let second = moved.to.unwrap();
    assert_eq!(first.database.system, second.database.system);
    assert_ne!(first.database, second.database);
    history.accept(moved);
    store(&other).now().await.unwrap();

    let ahead = LogPosition {
        reached: i64::MAX,
        ..second
    };
    history.accept(Moved {
        to: Some(ahead),
        lost: false,
    });
    store(&other).now().await.unwrap_err();
    let behind = history.moved().await.to.unwrap();
    assert_eq!(behind.database, second.database);
    assert!(!behind.follows(&ahead) && behind.follows(&second));
}
