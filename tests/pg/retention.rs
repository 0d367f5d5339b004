//! What is long over is deleted from schema `punctual`, step by step, and nothing that is still needed.

use std::collections::BTreeSet;
use std::time::Duration;

use punctual::message::Retention;
use punctual::store::Store;
use punctual::store::retention::Walk;
use uuid::Uuid;

use crate::ours::{store, won};
use crate::rows::{World, one, run, said};

const fn days(n: u64) -> Duration {
    Duration::from_secs(n * 24 * 3600)
}

const NINETY: Retention = Retention {
    messages: Some(days(90)),
    texts: None,
};

/// A whole walk of steps with this limit: what was deleted and blanked, and in how many steps.
async fn walk(store: &Store, retention: Retention, most: u32) -> (u64, u64, usize) {
    let (mut deleted, mut blanked, mut steps) = (0, 0, 0);
    let mut next = Some(Walk::default());
    while let Some(at) = next {
        let done = store.retain(&at, retention, most).await.unwrap();
        (deleted, blanked, steps) = (deleted + done.deleted, blanked + done.blanked, steps + 1);
        assert!(done.deleted <= u64::from(most), "bounded");
        next = done.next;
    }
    (deleted, blanked, steps)
}

/// A message in this state with an attempt of 100 days ago, with texts; `more` is done to the attempt or beside it,
/// with `ID` for the message.
async fn old(world: &World, status: &str, outcome: &str, more: &str) -> Uuid {
    let id = world.row(status).await;
    let sql = format!(
        "insert into punctual.attempts (token, message_id, number, instance, claimed_at, lease_until, outcome, body)
         values (gen_random_uuid(), '{id}', 1, gen_random_uuid(), now() - interval '100 days',
                 now() - interval '100 days', {outcome}, 'hello');
         insert into punctual.receipts (message_id, token, provider_sid, status, effect, received_at)
         select '{id}', token, 'SM' || token, 'sent', 'advanced', claimed_at from punctual.attempts where message_id = '{id}';
         insert into punctual.notes (message_id, note, at) values ('{id}', 'x', now() - interval '100 days');
         insert into punctual.history (message_id, op, role, old, new, at)
         values ('{id}', 'update', 'app', '{{\"body\": \"a\", \"status\": \"failed\"}}', '{{\"body\": \"b\", \"status\": \"pending\"}}',
                 now() - interval '100 days');
         {}",
        more.replace("ID", &id.to_string())
    );
    run(&world.unseen, &sql).await;
    id
}

/// Gives an attempt the token that a program draws: by its time.
const BY_TIME: &str = "update punctual.attempts
    set token = (left(punctual.token_at(claimed_at)::text, 23) || right(gen_random_uuid()::text, 13))::uuid where message_id = 'ID'";

/// A later attempt, which is younger.
const LATER: &str = "insert into punctual.attempts (token, message_id, number, instance, claimed_at, lease_until, outcome)
             values (gen_random_uuid(), 'ID', 2, gen_random_uuid(), now() - interval '89 days', now(), 'accepted')";

/// What is kept for good, and what of no message is long over and what is not.
const BESIDE: &str = "insert into punctual.suppressions (our_number, their_number, reason, created_at)
         values ('+15005550006', '+13105550100', 'STOP', now() - interval '1000 days');
         insert into punctual.opt_replies (id, command, received_at) values ('SM1', 'stop', now() - interval '1000 days');
         insert into punctual.foreign_writes (xid, role, guarded, inserted, updated, deleted, at)
         values (1, 'x', true, 0, 1, 0, now() - interval '91 days'), (2, 'x', true, 0, 1, 0, now());
         insert into punctual.deleted_events (calendar_event_id, user_id, deleted_at)
         values ('a', gen_random_uuid(), now() - interval '91 days'), ('b', gen_random_uuid(), now());
         insert into punctual.operator_history (at, kind, scope, what, op, role)
         values (now() - interval '91 days', 'pause', 'everything', '', 'insert', 'x'), (now(), 'pause', 'everything', '', 'update', 'x');
         insert into punctual.instances (id, version, heartbeat_at, stopped_at, journal_incomplete)
         values (gen_random_uuid(), 'stopped', now() - interval '91 days', now() - interval '91 days', null),
                (gen_random_uuid(), 'killed', now() - interval '91 days', null, null),
                (gen_random_uuid(), 'without a journal', now() - interval '91 days', null, true),
                (md5('open')::uuid, 'with an open attempt', now() - interval '91 days', null, null),
                (gen_random_uuid(), 'young', now() - interval '89 days', now() - interval '89 days', null);
         update punctual.attempts set instance = md5('open')::uuid where outcome is null";

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
    let mut needed = Vec::new();
    for (status, outcome, more) in [
        ("pending", "'refused'", ""),
        ("pending", "'refused'", BY_TIME),
        ("sending", "null", ""),
        ("unconfirmed", "'unknown'", BY_TIME),
        ("failed", "null", ""),
        ("cancelled", "'unknown'", ""),
        (
            "sent",
            "'accepted'",
            "update punctual.attempts set next_lookup_at = now() where message_id = 'ID'",
        ),
        (
            "sent",
            "'accepted'",
            "insert into punctual.outbox (message_id, write, last_error) values ('ID', '{}', 'no')",
        ),
        (
            "failed",
            "'refused'",
            "insert into punctual.missed_event_changes (message_id, calendar_event_id, user_id) values ('ID', 'e', gen_random_uuid())",
        ),
        ("delivered", "'refused'", LATER),
    ] {
        needed.push(old(&world, status, outcome, more).await);
    }
    let mut over = Vec::new();
    for (status, outcome, more) in [
        ("sent", "'accepted'", BY_TIME),
        ("delivered", "'accepted'", ""),
        ("failed", "'refused'", BY_TIME),
        ("cancelled", "'returned'", ""),
        (
            "cancelled",
            "'unknown'",
            "update punctual.attempts set settled_by = 'a person' where message_id = 'ID'",
        ),
        (
            "sent",
            "'accepted'",
            "delete from scheduled_messages where id = 'ID'",
        ),
        // Without an attempt: what is in the other tables goes too.
        (
            "cancelled",
            "'returned'",
            "delete from punctual.attempts where message_id = 'ID'",
        ),
    ] {
        over.push(old(&world, status, outcome, more).await);
    }
    // Without an attempt, and pending or changed since.
    for (status, more) in [
        ("pending", ""),
        (
            "cancelled",
            "update punctual.history set at = now() - interval '1 day' where message_id = 'ID'",
        ),
    ] {
        let more = format!("delete from punctual.attempts where message_id = 'ID'; {more}");
        needed.push(old(&world, status, "'returned'", &more).await);
    }
    run(&world.unseen, BESIDE).await;

    let store = store(&world);
    // A row that somebody else has locked is left, without waiting.
    let holder = world.db.client().await;
    run(&holder, "begin").await;
    run(
        &holder,
        &format!(
            "select from scheduled_messages where id = '{}' for update",
            over[0]
        ),
    )
    .await;
    assert_eq!(walk(&store, NINETY, 1_000).await, (6, 0, 5));
    run(&holder, "rollback").await;
    let (deleted, _, steps) = walk(&store, NINETY, 2).await;
    assert!(deleted == 1 && steps > 10, "{deleted} in {steps} steps");

    let needed: BTreeSet<Uuid> = needed.into_iter().collect();
    let with_attempts = left(&world, "attempts").await;
    assert_eq!(with_attempts.len(), needed.len() - 2);
    assert!(with_attempts.is_subset(&needed));
    for table in ["receipts", "notes", "history"] {
        assert_eq!(left(&world, table).await, needed, "{table}");
    }
    let kept = "select format('%s %s %s %s %s %s', (select count(*) from scheduled_messages),
         (select count(*) from punctual.suppressions), (select count(*) from punctual.opt_replies),
         (select count(*) from punctual.foreign_writes), (select count(*) from punctual.deleted_events),
         (select count(*) from punctual.operator_history))";
    assert_eq!(one::<String>(&world.unseen, kept).await, "18 1 1 1 1 1");
    let kept = "select string_agg(version, ', ' order by version) from punctual.instances where version <> 'x'";
    assert_eq!(
        one::<String>(&world.unseen, kept).await,
        "with an open attempt, without a journal, young"
    );
}

#[tokio::test]
async fn a_message_that_is_sent_again_after_that_is_counted_from_1_again() {
    let world = World::new().await;
    let again = old(&world, "failed", "'refused'", "").await;
    let store = store(&world);
    assert_eq!(walk(&store, NINETY, 1_000).await.0, 1);
    run(
        &world.user,
        &format!("update scheduled_messages set status = 'pending' where id = '{again}'"),
    )
    .await;
    assert_eq!(won(&store, &[again]).await[0].number, 1);
}

#[tokio::test]
async fn texts_are_blanked_before_the_rest_is_deleted() {
    let world = World::new().await;
    let ended = old(&world, "delivered", "'accepted'", BY_TIME).await;
    let waits = old(&world, "pending", "'refused'", BY_TIME).await;
    let store = store(&world);
    let texts = Retention {
        messages: None,
        texts: Some(days(99)),
    };
    assert_eq!(walk(&store, texts, 1_000).await, (0, 2, 5));
    assert_eq!(walk(&store, texts, 1_000).await, (0, 0, 5), "once");
    let kept = "select string_agg(format('%s %s %s', coalesce(a.body, '-'), h.old ->> 'body', h.new ->> 'status'), ', ' order by m.status)
                  from punctual.attempts a join punctual.history h using (message_id)
                  join scheduled_messages m on m.id = a.message_id";
    assert_eq!(
        one::<String>(&world.unseen, kept).await,
        "-  pending, hello a pending"
    );
    let younger = Retention {
        texts: Some(days(101)),
        ..texts
    };
    let id = old(&world, "sent", "'accepted'", "").await;
    assert_eq!(walk(&store, younger, 1_000).await, (0, 0, 5));
    assert_eq!(
        left(&world, "attempts").await,
        BTreeSet::from([ended, waits, id])
    );
}

#[tokio::test]
async fn what_is_young_is_deleted_by_nobody() {
    let world = World::new().await;
    let owner = world.db.client().await;
    for bad in [
        "'attempts', null, '29 days', null, 1",
        "'attempts', null, null, '23 hours', 1",
        "'attempts', null, '90 days', null, 0",
        "'attempts', null, '90 days', null, 10001",
        "'suppressions', null, '90 days', null, 1",
    ] {
        let sql = format!("select punctual.retain({bad})");
        let error = owner.batch_execute(&sql).await.expect_err(bad);
        assert_eq!(
            error.code().unwrap().code(),
            "22023",
            "{bad}: {}",
            said(&error)
        );
    }
}
