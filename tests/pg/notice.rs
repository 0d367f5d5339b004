//! What the triggers say on the channel: one notice a statement, and only of what is near.

use punctual::listen::{CHANNEL, Notification};
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client};
use uuid::Uuid;

use crate::rows::{World, hearing, one, run};

/// A world with an ear on the channel.
pub(crate) struct Listening {
    pub(crate) world: World,
    /// Kept, for its session listens.
    ear: Client,
    heard: mpsc::UnboundedReceiver<AsyncMessage>,
}

impl Listening {
    pub(crate) async fn new() -> Self {
        let world = World::new().await;
        let (ear, heard) = hearing(&world.db).await;
        run(&ear, &format!("listen {CHANNEL}")).await;
        Self { world, ear, heard }
    }

    /// All that was said until now.
    async fn heard(&mut self) -> Vec<String> {
        // Notices come in the order of commits: what is before this mark is complete.
        run(
            &self.world.user,
            &format!("select pg_notify('{CHANNEL}', 'mark')"),
        )
        .await;
        assert!(!self.ear.is_closed());
        let mut said = Vec::new();
        loop {
            match self.heard.recv().await.expect("the session ended") {
                AsyncMessage::Notification(n) if n.payload() == "mark" => return said,
                AsyncMessage::Notification(n) => said.push(n.payload().to_owned()),
                _ => {}
            }
        }
    }

    /// Runs a statement of the app's and returns what was said of it.
    pub(crate) async fn said(&mut self, sql: &str) -> Vec<String> {
        run(&self.world.user, sql).await;
        self.heard().await
    }

    async fn insert(&mut self, rows: &str) -> Vec<String> {
        self.said(&format!(
            "insert into scheduled_messages (to_number, body, scheduled_at, status)
             select '+13105550100', 'hello', {rows}"
        ))
        .await
    }
}

/// One notice with these ids, in any order.
#[track_caller]
fn names(said: &[String], ids: &[Uuid]) {
    let [only] = said else {
        panic!("not one notice: {said:?}");
    };
    let Some(Notification::Ids(named)) = Notification::parse(only) else {
        panic!("names nothing: {only}");
    };
    let mut named: Vec<_> = named.into_iter().map(|id| id.0).collect();
    named.sort_unstable();
    let mut expected = ids.to_vec();
    expected.sort_unstable();
    assert_eq!(named, expected);
}

const ALL: &str = "select array_agg(id) from scheduled_messages";
const EMPTY: &str = "delete from scheduled_messages";

#[tokio::test]
async fn an_insert_is_notified_if_it_is_near_and_pending() {
    let mut l = Listening::new().await;
    for (rows, notified) in [
        ("now() + interval '1 h 59 min', 'pending'", 1),
        ("now() + interval '2 h 1 min', 'pending'", 0),
        ("now() - interval '10 years', 'pending'", 1),
        ("'-infinity', 'pending'", 1),
        ("'infinity', 'pending'", 0),
        ("now(), 'sent'", 0),
        ("now(), 'cancelled'", 0),
        // One near among many far: the near one alone is named.
        (
            "now() + n * interval '3 h', 'pending' from generate_series(0, 1000) n",
            1,
        ),
        ("now(), 'pending' from generate_series(1, 200)", 200),
        ("now(), 'pending' where false", 0),
    ] {
        run(&l.world.unseen, EMPTY).await;
        let said = l.insert(rows).await;
        if notified == 0 {
            assert!(said.is_empty(), "{rows}: {said:?}");
            continue;
        }
        let near = "select array_agg(id) from scheduled_messages where scheduled_at < now() + interval '2 h'";
        let ids: Vec<Uuid> = one(&l.world.user, near).await;
        assert_eq!(ids.len(), notified, "{rows}");
        names(&said, &ids);
    }
}

#[tokio::test]
async fn too_many_to_name_are_one_word_however_many() {
    let mut l = Listening::new().await;
    for n in [201, 20_000] {
        let said = l
            .insert(&format!("now(), 'pending' from generate_series(1, {n})"))
            .await;
        assert_eq!(said, ["rescan"], "{n} rows");
    }
    let said = l
        .said("update scheduled_messages set scheduled_at = 'infinity'")
        .await;
    assert_eq!(said, ["rescan"]);
    assert!(l.said(EMPTY).await.is_empty(), "they were far");
    l.insert("now(), 'pending' from generate_series(1, 201)")
        .await;
    assert_eq!(l.said(EMPTY).await, ["rescan"]);
    // Also where nothing is near: what a truncate took is not to be seen.
    assert_eq!(l.said("truncate scheduled_messages").await, ["rescan"]);
}

#[tokio::test]
async fn an_update_is_notified_by_how_it_was_and_how_it_is() {
    let mut l = Listening::new().await;
    for (status, at, set, notified) in [
        ("pending", "'infinity'", "scheduled_at = now()", true),
        ("pending", "now()", "scheduled_at = 'infinity'", true),
        ("pending", "now()", "body = 'other'", true),
        ("pending", "now()", "status = 'cancelled'", true),
        ("failed", "now()", "status = 'pending'", true),
        (
            "pending",
            "'infinity'",
            "scheduled_at = now() + interval '3 h'",
            false,
        ),
        ("pending", "'infinity'", "status = 'cancelled'", false),
        ("sending", "now()", "metadata = '{}'", false),
        ("sent", "now()", "metadata = '{}'", false),
        ("failed", "'infinity'", "status = 'pending'", false),
    ] {
        run(&l.world.unseen, EMPTY).await;
        let id = l.world.row(status).await;
        run(
            &l.world.unseen,
            &format!("update scheduled_messages set scheduled_at = {at}"),
        )
        .await;
        let said = l
            .said(&format!("update scheduled_messages set {set}"))
            .await;
        if notified {
            names(&said, &[id]);
        } else {
            assert!(said.is_empty(), "{status} {at} {set}: {said:?}");
        }
    }
    // Due is the latest of the three times; the edit that drops a deferral brings it near.
    run(&l.world.unseen, EMPTY).await;
    let id = l
        .world
        .row_with("pending", ", deferred_until", ", 'infinity'")
        .await;
    assert!(
        l.said("update scheduled_messages set body = 'other'")
            .await
            .is_empty()
    );
    names(
        &l.said("update scheduled_messages set scheduled_at = now()")
            .await,
        &[id],
    );
    names(&l.said("delete from scheduled_messages").await, &[id]);
}

#[tokio::test]
async fn one_notice_a_statement_however_it_is_made() {
    let mut l = Listening::new().await;
    l.insert("now(), 'pending' from generate_series(1, 3)")
        .await;
    let ids: Vec<Uuid> = one(&l.world.user, ALL).await;
    names(
        &l.said("update scheduled_messages set body = 'other'").await,
        &ids,
    );
    // Each statement of a transaction speaks, at its commit; one undone says nothing.
    let one_by_one = format!(
        "begin; update scheduled_messages set body = 'a' where id = '{0}';
         savepoint s; update scheduled_messages set body = 'b' where id = '{1}'; rollback to s;
         update scheduled_messages set body = 'c' where id = '{1}'; commit",
        ids[0], ids[1]
    );
    assert_eq!(
        l.said(&one_by_one).await,
        [format!("ids {}", ids[0]), format!("ids {}", ids[1])]
    );
    let both = format!(
        "with a as (update scheduled_messages set body = 'a' where id = '{}' returning 1)
         update scheduled_messages set body = 'b' where id = '{}'",
        ids[0], ids[1]
    );
    names(&l.said(&both).await, &ids[..2]);
    // Changed and gone before anybody was notified.
    let undone = "begin; delete from scheduled_messages; rollback";
    assert!(l.said(undone).await.is_empty());
    names(&l.said(EMPTY).await, &ids);
}

#[tokio::test]
async fn the_daemons_own_writes_are_silent() {
    let mut l = Listening::new().await;
    let daemon = l.world.daemon().await;
    l.world.row("pending").await;
    for sql in [
        "update scheduled_messages set status = 'sending'",
        "update scheduled_messages set status = 'pending', next_attempt_at = now()",
        "delete from scheduled_messages",
    ] {
        run(&daemon, sql).await;
        assert!(l.heard().await.is_empty(), "{sql}");
    }
}

/// A full queue would make the commit of the app's transaction fail.
#[tokio::test]
async fn whatever_notifies_looks_first_whether_the_queue_has_room_and_the_transaction_may() {
    let world = World::new().await;
    let notifies =
        "from pg_proc where pronamespace = 'punctual'::regnamespace and prosrc like '%pg_notify(%'";
    let unchecked = format!(
        "select coalesce(string_agg(proname, ', '), '') {notifies}
            and not (prosrc like '%pg_notification_queue_usage() < 0.9%'
                     and prosrc like '%current_setting(''punctual.notify'', true)%')"
    );
    assert_eq!(one::<String>(&world.unseen, &unchecked).await, "");
    let all = format!("select count(*) {notifies}");
    assert!(one::<i64>(&world.unseen, &all).await >= 5);
}
