//! What a daemon reads: the window, and single rows again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use punctual::clock::Stopwatch;
use punctual::limits::daemon::ChannelLimits;
use punctual::listen::{Heard, poll};
use punctual::message::{InstanceId, LaneKey, MessageId, Moment, Priority, RowState};
use punctual::policy::{Reason, ReasonKind};
use punctual::reactor::Upcoming;
use punctual::settle::Settlement;
use punctual::store::Store;
use tokio::sync::{Notify, mpsc};
use uuid::Uuid;

use crate::ours::{LATE, accepted, now, record, store, won};
use crate::rows::{World, one, run};

/// What a load brings, in its order.
pub(crate) async fn loaded(store: &Store, until: Moment, late: Duration) -> Vec<Upcoming> {
    let all = Arc::new(Mutex::new(Vec::new()));
    let parts = all.clone();
    store
        .load((None, until), usize::MAX, late, move |part| {
            parts.lock().unwrap().extend(part);
            std::future::ready(()).boxed()
        })
        .await
        .unwrap();
    let all = all.lock().unwrap();
    all.clone()
}

#[tokio::test]
async fn the_window_is_what_is_pending_soonest_first() {
    let world = World::new().await;
    let store = store(&world);
    let at = |at: &str, columns: &str, values: &str| {
        let set = format!("update scheduled_messages set scheduled_at = {at} where id = ");
        let (columns, values) = (columns.to_owned(), values.to_owned());
        let world = &world;
        async move {
            let id = world.row_with("pending", &columns, &values).await;
            run(&world.unseen, &format!("{set} '{id}'")).await;
            id
        }
    };
    let soon = at("now() + interval '20 min'", ", version, attempts", ", 4, 2").await;
    let late = at("now() - interval '59 min'", "", "").await;
    let deferred = at(
        "now() - interval '1 year'",
        ", deferred_until",
        ", now() + interval '40 min'",
    )
    .await;
    let again = at("now() - interval '1 year'", ", requeued_at", ", now()").await;
    let never = at("'infinity'", "", "").await;
    for (at, columns, values) in [
        ("now() - interval '61 min'", "", ""),
        ("'-infinity'", "", ""),
        // A backoff moves no lateness.
        ("now() - interval '61 min'", ", next_attempt_at", ", now()"),
    ] {
        world.row_with("pending", columns, values).await;
        run(
            &world.unseen,
            &format!(
                "update scheduled_messages set scheduled_at = {at}
            where id not in ('{soon}', '{late}', '{deferred}', '{again}', '{never}')
              and scheduled_at > now() - interval '1 min' and scheduled_at < 'infinity'"
            ),
        )
        .await;
    }
    for status in [
        "sending",
        "sent",
        "delivered",
        "failed",
        "cancelled",
        "unconfirmed",
    ] {
        world.row(status).await;
    }
    let hour = now(&store).await + Duration::from_secs(3600);
    let rows = loaded(&store, hour, LATE).await;
    let ids: Vec<_> = rows.iter().map(|row| row.id.0).collect();
    assert_eq!(ids, [again, late, soon, deferred]);
    assert_eq!((rows[2].version, rows[2].attempts), (4, 2));
    assert!(rows.is_sorted_by_key(|row| row.due));
    let half = now(&store).await + Duration::from_secs(1800);
    assert_eq!(loaded(&store, half, LATE).await.len(), 3);
    // The end of time is a moment like any other.
    let all = loaded(&store, Moment::MAX, LATE).await;
    assert_eq!(
        all.last().map(|row| (row.id.0, row.due)),
        Some((never, Moment::MAX))
    );
    assert_eq!(loaded(&store, Moment::MIN, LATE).await.len(), 0);
    let pending = store.pending(hour, 1_000).await.unwrap();
    // Those three that are too late, and are cancelled by the next expiry, wait until then.
    assert_eq!((pending.within, pending.beyond), (7, 1));
    // What is paused, and is not in memory, waits as well.
    run(
        &world.unseen,
        "insert into punctual.pauses (scope) values ('everything')",
    )
    .await;
    assert_eq!(loaded(&store, hour, LATE).await.len(), 0);
    assert_eq!(store.pending(hour, 1_000).await.unwrap(), pending);
    // With fewer than there are it says where it has stopped, by when they are planned and not when their pause ends.
    run(
        &world.unseen,
        "update punctual.pauses set until = now() + interval '50 min'",
    )
    .await;
    let soon = now(&store).await + Duration::from_secs(60);
    // What is too late is paused as well, so it is among them.
    for (most, has_passed) in [
        (1, Some(true)),
        (4, Some(true)),
        (5, Some(false)),
        (6, Some(false)),
        (7, None),
        (8, None),
    ] {
        let chunk = |_| std::future::ready(()).boxed();
        let reached = store.load((None, hour), most, LATE, chunk).await.unwrap();
        assert_eq!(reached.map(|at| at < soon), has_passed, "{most}");
    }
}

#[tokio::test]
async fn a_read_answers_each_id_once() {
    let world = World::new().await;
    let store = store(&world);
    let (here, gone_row) = (world.row("pending").await, Uuid::new_v4());
    run(
        &world.unseen,
        "update scheduled_messages set scheduled_at = '-infinity', created_at = '-infinity'",
    )
    .await;
    let mut rows = store
        .read(&[MessageId(here), MessageId(gone_row)])
        .await
        .unwrap();
    rows.sort_by_key(|row| row.0.0 != here);
    let pending = RowState::Pending {
        due: Moment::MIN,
        version: 0,
        attempts: 0,
        priority: Priority::Normal,
        lane: LaneKey::default(),
        written: Some(Moment::MIN),
        pace: None,
    };
    assert_eq!(
        rows,
        [
            (MessageId(here), pending),
            (MessageId(gone_row), RowState::Gone { status: None })
        ]
    );
    assert!(store.read(&[]).await.unwrap().is_empty());
}

/// A prepared statement fails for good once the types of its result have changed.
#[tokio::test]
async fn the_app_may_alter_its_columns_under_a_running_daemon() {
    let world = World::new().await;
    // One connection, so that every statement is prepared on it already.
    let store = Store::new(world.db.dsn().pool(1), InstanceId::fresh());
    for alter in [
        "",
        "alter table scheduled_messages alter column body type varchar(1600),
           alter column to_number type varchar(20), alter column from_number type varchar(20),
           alter column error_message type varchar, alter column max_attempts type smallint;
         alter table conversations alter column phone_number type varchar(20)",
    ] {
        run(&world.unseen, alter).await;
        let ids = world.rows(2, "pending").await;
        assert_eq!(loaded(&store, Moment::MAX, LATE).await.len(), 2, "{alter}");
        store.read(&[MessageId(ids[0])]).await.unwrap();
        let claims = won(&store, &ids).await;
        let back = record(
            &claims[0],
            Settlement::rejected(Reason::new(ReasonKind::Text, "no")),
        );
        store.record(&[&back, &accepted(&claims[1])]).await.unwrap();
        assert_eq!(world.status(ids[1]).await, "sent", "{alter}");
        run(&world.unseen, "delete from scheduled_messages").await;
    }
    let written = "select count(*) from messages";
    assert_eq!(one::<i64>(&world.unseen, written).await, 2);
}

/// Behind a pooler with one session everything else waits for a window that is read: that is no failure, after which
/// the window would have to be read again.
#[tokio::test]
async fn polling_waits_for_a_window_that_is_read_in_the_only_session() {
    let world = World::new().await;
    world.row("pending").await;
    let store = Store::new(world.db.dsn().pool(1), InstanceId::fresh());
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begins, waits) = (begun.clone(), go_on.clone());
    let load = store.load((None, Moment::MAX), usize::MAX, LATE, move |_| {
        let (begins, waits) = (begins.clone(), waits.clone());
        async move {
            begins.notify_one();
            waits.notified().await;
        }
        .boxed()
    });
    let limits = ChannelLimits {
        proof_within: Duration::from_millis(20),
        ..ChannelLimits::default()
    };
    let poll = async {
        begun.notified().await;
        let (sender, mut notices) = mpsc::channel(8);
        let polling = tokio::spawn(poll(store.clone(), sender, limits));
        // Many times as long as an answer may take.
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert!(notices.try_recv().is_err(), "it is not given up");
        go_on.notify_one();
        let first = notices.recv().await;
        assert!(
            matches!(first, Some(Heard::Up { unnotified: true })),
            "{first:?}"
        );
        polling.abort();
    };
    let (loaded, ()) = tokio::join!(load, poll);
    loaded.unwrap();
}

/// It would make a database far away that is near.
#[tokio::test]
async fn a_read_of_the_pauses_does_not_count_its_wait_for_a_connection() {
    const WAIT: Duration = Duration::from_millis(300);
    let world = World::new().await;
    world.row("pending").await;
    let store = Store::new(world.db.dsn().pool(1), InstanceId::fresh());
    // The only connection is taken.
    let begun = Arc::new(Notify::new());
    let begins = begun.clone();
    let load = store.load((None, Moment::MAX), usize::MAX, LATE, move |_| {
        begins.notify_one();
        tokio::time::sleep(WAIT).boxed()
    });
    let read = async {
        begun.notified().await;
        let asked = Stopwatch::start();
        let (_, way) = store.pauses().await.unwrap();
        (asked.elapsed(), way)
    };
    let (loaded, (took, way)) = tokio::join!(load, read);
    loaded.unwrap();
    assert!(took >= way + WAIT / 2, "{way:?} of {took:?}");
}
