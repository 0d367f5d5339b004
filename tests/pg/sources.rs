//! Source tables: tables of the app's with other names, each row of which is followed by a message.

use punctual::message::{ClaimResponse, MessageId, RowState};
use punctual::policy::{Reason, ReasonKind};
use punctual::settle::Settlement;
use punctual::store::{Migrator, SourceTable, Store};
use serde_json::json;
use uuid::Uuid;

use crate::live_app::{dsn_as, role};
use crate::ours::{accepted, claim, record, recorded, store, won};
use crate::rows::{World, one, refused, run, said};

mod races;
mod setup;

/// A table of the app's, with an enum of its own words.
const TABLE: &str = "
  create type stage as enum ('waiting', 'taken', 'gone', 'arrived', 'bad', 'stopped', 'unsure');
  create table reminders (
    id bigint generated always as identity primary key, phone text, words text, at timestamptz,
    stage stage not null default 'waiting', note text, tries int not null default 0, gone_at timestamptz,
    title text);
";

fn reminders() -> SourceTable {
    let described = json!({
        "name": "rem", "table": "reminders",
        "columns": {
            "key": "id", "time": "at", "body": "words", "number": "phone", "status": "stage",
            "error": "note", "attempts": "tries", "sent_at": "gone_at"
        },
        "words": {
            "pending": ["waiting"], "claimed": ["taken"], "sent": "gone", "delivered": "arrived",
            "failed": "bad", "cancelled": "stopped", "unconfirmed": "unsure"
        }
    });
    serde_json::from_value(described).unwrap()
}

/// Follows these.
async fn follow(world: &World, sources: Vec<SourceTable>) -> Vec<String> {
    let migrator = Migrator::embedded().following(sources);
    migrator.run(world.db.dsn()).await.unwrap().sources
}

/// With the table, followed.
async fn followed() -> World {
    let world = World::new().await;
    follow_reminders(&world).await;
    world
}

/// Creates the table, and follows it.
pub(crate) async fn follow_reminders(world: &World) {
    run(&world.user, TABLE).await;
    follow(world, vec![reminders()]).await;
}

impl World {
    /// Inserts a row that is due so many seconds from now.
    async fn reminds(&self, seconds: i32) -> i64 {
        let sql = format!(
            "insert into reminders (phone, words, at)
             values ('+13105550100', 'hello', clock_timestamp() + {seconds} * interval '1 s') returning id"
        );
        one(&self.user, &sql).await
    }

    /// The message that follows a row.
    async fn message(&self, key: i64) -> Uuid {
        let sql = format!("select message_id from punctual.source_rows where key = '{key}'");
        one(&self.unseen, &sql).await
    }

    /// The word of a row and the status of its message.
    async fn both(&self, key: i64) -> String {
        let sql = format!(
            "select concat_ws(' ', r.stage, m.status) from reminders r
               left join punctual.source_rows s on s.key = r.id::text
               left join scheduled_messages m on m.id = s.message_id
              where r.id = {key}"
        );
        one(&self.unseen, &sql).await
    }

    async fn change(&self, key: i64, what: &str) {
        run(
            &self.user,
            &format!("update reminders set {what} where id = {key}"),
        )
        .await;
    }

    /// A row whose message a daemon has claimed.
    async fn claimed(&self, store: &Store) -> (i64, punctual::message::Claim) {
        let key = self.reminds(0).await;
        let id = self.message(key).await;
        let claim = won(store, &[id]).await.remove(0);
        (key, claim)
    }
}

#[tokio::test]
async fn a_row_and_its_message_change_together() {
    let world = followed().await;
    let key = world.reminds(3600).await;
    assert_eq!(world.both(key).await, "waiting pending");
    let id = world.message(key).await;
    let is = "to_number || ' ' || body || ' ' || (scheduled_at = (select at from reminders))";
    assert_eq!(world.get::<String>(id, is).await, "+13105550100 hello true");
    let version: i64 = world.get(id, "version").await;
    world.change(key, "title = 'x', note = 'mine'").await;
    assert_eq!(
        world.get::<i64>(id, "version").await,
        version,
        "other columns"
    );
    world
        .change(
            key,
            "words = 'changed', at = at + interval '1 h', phone = '+13105550101'",
        )
        .await;
    assert_eq!(
        world.get::<String>(id, is).await,
        "+13105550101 changed true"
    );
    for (what, expected) in [
        ("stage = 'stopped'", "stopped cancelled"),
        ("stage = 'waiting', words = 'again'", "waiting pending"),
        ("stage = 'taken'", "taken cancelled"),
        ("stage = 'gone'", "gone cancelled"),
        ("words = 'seen to be wrong'", "gone cancelled"),
        ("stage = 'waiting', words = 'again'", "waiting pending"),
        ("at = null", "waiting cancelled"),
        ("at = now() + interval '1 h'", "waiting pending"),
        ("stage = 'bad'", "bad failed"),
        ("stage = 'waiting'", "waiting pending"),
        ("stage = 'gone'", "gone sent"),
    ] {
        world.change(key, what).await;
        assert_eq!(world.both(key).await, expected, "{what}");
        assert_eq!(world.message(key).await, id);
    }
    assert_eq!(
        world.get::<String>(id, "body").await,
        "again",
        "what was sent"
    );
    // Nothing is written back over what the app has decided.
    assert_eq!(store(&world).write_back(10).await.unwrap(), 0);
    assert_eq!(world.both(key).await, "gone sent");
}

#[tokio::test]
async fn a_key_that_is_used_again_is_a_new_message_and_what_is_deleted_is_not_sent() {
    let world = followed().await;
    let key = world.reminds(3600).await;
    let first = world.message(key).await;
    let again = format!(
        "begin; delete from reminders where id = {key};
         insert into reminders (id, phone, words, at) overriding system value values ({key}, '+13105550100', 'new', now()); commit"
    );
    run(&world.user, &again).await;
    let second = world.message(key).await;
    assert_ne!(first, second);
    assert_eq!(world.tally().await, "pending 1");
    assert_eq!(world.get::<String>(second, "body").await, "new");
    // The key is the name of the row: one that is given another name is another one.
    run(
        &world.user,
        &format!("update reminders set id = default where id = {key}"),
    )
    .await;
    assert_eq!(world.tally().await, "pending 1");
    world.reminds(3600).await;
    run(&world.user, "truncate reminders").await;
    assert_eq!(world.tally().await, "");
    let left: i64 = one(&world.unseen, "select count(*) from punctual.source_rows").await;
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_statement_of_many_rows_is_one_of_many_messages_or_of_none() {
    let world = followed().await;
    run(
        &world.user,
        "insert into reminders (phone, words, at, stage)
         select '+1310555' || lpad(n::text, 4, '0'), 'to ' || n, now() + interval '1 h',
                case when n % 4 = 0 then 'gone' else 'waiting' end::stage
           from generate_series(1, 12000) n",
    )
    .await;
    assert_eq!(
        world.tally().await,
        "pending 9000",
        "what has ended needs none"
    );
    let differ = "select count(*) from reminders r join punctual.source_rows s on s.key = r.id::text
                    join scheduled_messages m on m.id = s.message_id where m.body = r.words and m.to_number = r.phone";
    assert_eq!(one::<i64>(&world.unseen, differ).await, 9000);
    run(&world.user, "update reminders set words = 'all ' || id").await;
    assert_eq!(one::<i64>(&world.unseen, differ).await, 9000);
    let id: Uuid = one(
        &world.unseen,
        "select message_id from punctual.source_rows order by message_id limit 1",
    )
    .await;
    run(
        &world.unseen,
        &format!("update scheduled_messages set status = 'sending' where id = '{id}'"),
    )
    .await;
    refused(&world.user, "update reminders set stage = 'stopped'").await;
    assert_eq!(world.tally().await, "pending 8999, sending 1");
    run(
        &world.unseen,
        &format!("update scheduled_messages set status = 'pending' where id = '{id}'"),
    )
    .await;
    run(&world.user, "update reminders set stage = 'stopped'").await;
    assert_eq!(world.tally().await, "cancelled 9000");
    run(&world.user, "delete from reminders").await;
    assert_eq!(world.tally().await, "");
}

#[tokio::test]
async fn what_comes_too_late_is_refused_and_changes_nothing() {
    let world = followed().await;
    let store = store(&world);
    let (key, claim) = world.claimed(&store).await;
    for late in [
        format!("update reminders set stage = 'taken' where id = {key}"),
        format!("update reminders set stage = 'stopped' where id = {key}"),
        format!("update reminders set stage = 'gone' where id = {key}"),
        format!("update reminders set words = 'x' where id = {key}"),
        format!("update reminders set at = now() + interval '1 d' where id = {key}"),
        format!("update reminders set phone = '+13105550199' where id = {key}"),
        format!("update reminders set at = null where id = {key}"),
        format!("delete from reminders where id = {key}"),
        "truncate reminders".to_owned(),
    ] {
        refused(&world.user, &late).await;
        assert_eq!(world.both(key).await, "waiting sending", "{late}");
    }
    world
        .change(key, "title = 'other columns may be changed'")
        .await;
    assert_eq!(recorded(&store, &[accepted(&claim)]).await, 1);
    // Before and after the outcome is written to the row.
    for _ in 0..2 {
        for late in ["stage = 'taken'", "stage = 'stopped'"] {
            let message = refused(
                &world.user,
                &format!("update reminders set {late} where id = {key}"),
            )
            .await;
            assert!(message.contains("is sent"), "{message}");
        }
        // The transaction that was refused has ended by its answer: it may have said so before, with the row locked.
        run(&world.user, "select 1").await;
        store.write_back(10).await.unwrap();
    }
    assert_eq!(world.both(key).await, "gone sent");
    refused(
        &world.user,
        &format!("update reminders set stage = 'waiting' where id = {key}"),
    )
    .await;
    run(
        &world.user,
        &format!("delete from reminders where id = {key}"),
    )
    .await;
    assert_eq!(world.tally().await, "");
}

#[tokio::test]
async fn outcomes_are_written_to_the_row_and_a_retry_leaves_it() {
    let world = followed().await;
    let store = store(&world);
    let mut keys = Vec::new();
    for settlement in [
        Settlement::rejected(Reason::new(ReasonKind::Text, "no")),
        Settlement::cancelled(Reason::new(ReasonKind::TooLate, "too late")),
        Settlement::returned("released"),
    ] {
        let (key, claim) = world.claimed(&store).await;
        assert_eq!(recorded(&store, &[record(&claim, settlement)]).await, 1);
        keys.push(key);
    }
    let (key, claim) = world.claimed(&store).await;
    assert_eq!(recorded(&store, &[accepted(&claim)]).await, 1);
    keys.push(key);
    let (key, unsure) = world.claimed(&store).await;
    let daemon = world.daemon().await;
    let unconfirmed = "update scheduled_messages set status = 'unconfirmed' where id = ";
    run(&daemon, &format!("{unconfirmed}'{}'", unsure.id.0)).await;
    keys.push(key);
    assert!(!store.follows_outcomes());
    assert_eq!(store.write_back(10).await.unwrap(), 5);
    assert!(store.follows_outcomes());
    let expected = [
        ("bad failed", "no", 0),
        ("stopped cancelled", "too late", 0),
        ("waiting pending", "released", 0),
        ("gone sent", "", 1),
        ("unsure unconfirmed", "outcome unknown: do not reset", 1),
    ];
    for (key, (both, note, tries)) in keys.iter().zip(expected) {
        assert_eq!(world.both(*key).await, both);
        let is = format!("select coalesce(note, '') || tries from reminders where id = {key}");
        assert_eq!(
            one::<String>(&world.unseen, &is).await,
            format!("{note}{tries}")
        );
    }
    let gone = "select count(*) from reminders where gone_at is not null";
    assert_eq!(one::<i64>(&world.unseen, gone).await, 1);
    refused(
        &world.user,
        &format!(
            "update reminders set stage = 'waiting' where id = {}",
            keys[4]
        ),
    )
    .await;
    // Proof settles it, and the row follows; a failed one that is sent again waits again.
    let sent = "update scheduled_messages set status = 'sent' where id = ";
    run(&daemon, &format!("{sent}'{}'", unsure.id.0)).await;
    let failed = world.message(keys[0]).await;
    run(
        &world.user,
        &format!("update scheduled_messages set status = 'pending' where id = '{failed}'"),
    )
    .await;
    assert_eq!(store.write_back(10).await.unwrap(), 2);
    assert_eq!(world.both(keys[4]).await, "gone sent");
    assert_eq!(world.both(keys[0]).await, "waiting pending");
    assert_eq!(store.write_back(10).await.unwrap(), 0);
}

#[tokio::test]
async fn an_outcome_waits_for_a_locked_row_and_a_refusal_is_not_the_others() {
    let world = followed().await;
    let store = store(&world);
    let mut keys = Vec::new();
    for _ in 0..3 {
        let (key, claim) = world.claimed(&store).await;
        assert_eq!(recorded(&store, &[accepted(&claim)]).await, 1);
        keys.push(key);
    }
    run(
        &world.user,
        &format!(
            "create function no() returns trigger language plpgsql as $$ begin
               if new.id = {} and new.stage = 'gone' then raise exception 'not this one'; end if; return new; end $$;
             create trigger no before update on reminders for each row execute function no()",
            keys[1]
        ),
    )
    .await;
    let holder = world.db.client().await;
    run(
        &holder,
        &format!(
            "begin; update reminders set title = 'held' where id = {}",
            keys[0]
        ),
    )
    .await;
    assert_eq!(store.write_back(10).await.unwrap(), 1);
    assert_eq!(world.both(keys[2]).await, "gone sent");
    let why = "select string_agg(attempts || ' ' || coalesce(last_error, ''), ', ' order by id) from punctual.source_writes";
    let why: String = one(&world.unseen, why).await;
    assert!(
        why.starts_with("0 , 1 writing an outcome to rem failed: SQLSTATE P0001"),
        "{why}"
    );
    assert!(
        !why.contains("not this one"),
        "the words are the app's: {why}"
    );
    run(&holder, "commit").await;
    run(&world.user, "drop trigger no on reminders").await;
    run(
        &world.unseen,
        "update punctual.source_writes set next_attempt_at = now()",
    )
    .await;
    assert_eq!(store.write_back(10).await.unwrap(), 2);
    for key in keys {
        assert_eq!(world.both(key).await, "gone sent");
    }
}

/// Whatever the app's triggers do, they are run once for all outcomes of a step. A message with two outcomes has the
/// latest.
#[tokio::test]
async fn the_outcomes_of_a_step_are_one_statement_for_the_table() {
    const ROWS: usize = 12;
    let world = followed().await;
    let (store, daemon) = (store(&world), world.daemon().await);
    let (mut keys, mut claims) = (Vec::new(), Vec::new());
    for _ in 0..ROWS {
        let (key, claim) = world.claimed(&store).await;
        keys.push(key);
        claims.push(claim);
    }
    let records: Vec<_> = claims.iter().map(accepted).collect();
    assert_eq!(recorded(&store, &records).await, ROWS);
    let delivered = format!(
        "update scheduled_messages set status = 'delivered' where id = '{}'",
        claims[0].id.0
    );
    run(&daemon, &delivered).await;
    let counted = "create table statements (rows bigint);
      create function counted() returns trigger language plpgsql as $$ begin
        insert into public.statements select count(*) from new_rows; return null; end $$;
      create trigger counted after update on reminders referencing new table as new_rows
        for each statement execute function counted()";
    run(&world.user, counted).await;
    assert_eq!(
        usize::try_from(store.write_back(100).await.unwrap()).unwrap(),
        ROWS + 1
    );
    assert_eq!(world.both(keys[0]).await, "arrived delivered");
    for key in &keys[1..] {
        assert_eq!(world.both(*key).await, "gone sent");
    }
    let statements = "select string_agg(rows::text, ' ') from statements";
    assert_eq!(
        one::<String>(&world.unseen, statements).await,
        ROWS.to_string()
    );
    let left: i64 = one(&world.unseen, "select count(*) from punctual.source_writes").await;
    assert_eq!(left, 0);
}

#[tokio::test]
async fn only_the_latest_outcome_is_written_and_none_over_what_the_app_has_decided() {
    let world = followed().await;
    let store = store(&world);
    let daemon = world.daemon().await;
    let (key, claim) = world.claimed(&store).await;
    assert_eq!(recorded(&store, &[accepted(&claim)]).await, 1);
    let delivered = format!(
        "update scheduled_messages set status = 'delivered' where id = '{}'",
        claim.id.0
    );
    run(&daemon, &delivered).await;
    // In any order: each writes what is known by then.
    assert_eq!(store.write_back(1).await.unwrap(), 1);
    assert_eq!(world.both(key).await, "arrived delivered");
    world.change(key, "stage = 'gone'").await;
    run(&world.unseen, "update reminders set stage = 'waiting'").await;
    assert_eq!(store.write_back(1).await.unwrap(), 1);
    assert_eq!(world.both(key).await, "arrived delivered");
    // Released, and then the app's own sender is first.
    let (key, claim) = world.claimed(&store).await;
    assert_eq!(
        recorded(&store, &[record(&claim, Settlement::returned("released"))]).await,
        1
    );
    world.change(key, "stage = 'taken'").await;
    assert_eq!(store.write_back(10).await.unwrap(), 1);
    assert_eq!(world.both(key).await, "taken cancelled");
    // A trigger of the app's that changes other rows while an outcome is written is the app.
    let (key, claim) = world.claimed(&store).await;
    let other = world.reminds(3600).await;
    run(
        &world.user,
        &format!(
            "create function stops() returns trigger language plpgsql as $$ begin
               update public.reminders set stage = 'stopped' where id = {other} and new.id = {key}; return null; end $$;
             create trigger stops after update on reminders for each row when (new.stage = 'gone') execute function stops()"
        ),
    )
    .await;
    assert_eq!(recorded(&store, &[accepted(&claim)]).await, 1);
    assert_eq!(store.write_back(10).await.unwrap(), 1);
    assert_eq!(world.both(key).await, "gone sent");
    assert_eq!(world.both(other).await, "stopped cancelled");
}

#[tokio::test]
async fn an_internal_error_and_a_lock_fail_the_statement_and_a_setting_gives_no_rights() {
    let world = followed().await;
    let key = world.reminds(3600).await;
    let id = world.message(key).await;
    let holder = world.db.client().await;
    run(
        &holder,
        &format!("begin; select from scheduled_messages where id = '{id}' for update"),
    )
    .await;
    run(&world.user, "set lock_timeout = '50ms'").await;
    let message = refused(&world.user, "update reminders set stage = 'stopped'").await;
    assert!(message.contains("55P03"), "{message}");
    run(&holder, "rollback").await;
    let breaks =
        "alter table scheduled_messages add constraint breaks check (body <> 'breaks') not valid";
    run(&world.unseen, breaks).await;
    let message = refused(&world.user, "update reminders set words = 'breaks'").await;
    assert!(message.contains("23514"), "{message}");
    assert_eq!(world.both(key).await, "waiting pending");

    // A role that may write nothing but this table writes as the app does, whatever it sets.
    role(&world.db, "source_app", "").await;
    run(
        &world.unseen,
        "grant select, insert, update, delete on reminders to source_app",
    )
    .await;
    let app = crate::harness::session(&dsn_as(&world.db, "source_app").await).await;
    run(&app, "set punctual.writer = 'on'; set punctual.written_back = '{\"rem\": {\"1\": \"stopped\"}}'; set punctual.from_source = 'on'").await;
    let store = store(&world);
    let (late, _) = world.claimed(&store).await;
    refused(
        &app,
        &format!("update reminders set stage = 'stopped' where id = {late}"),
    )
    .await;
    refused(&app, &format!("delete from reminders where id = {late}")).await;
    run(
        &app,
        &format!("update reminders set stage = 'stopped' where id = {key}"),
    )
    .await;
    assert_eq!(world.both(key).await, "stopped cancelled");
    for forbidden in [
        "select punctual.write_back(1)",
        "select punctual.source_changed('rem', '{}')",
        "update scheduled_messages set body = 'x'",
    ] {
        let error = app.batch_execute(forbidden).await.expect_err(forbidden);
        assert!(said(&error).contains("42501"), "{}", said(&error));
    }
    // The daemon's role writes outcomes without any right on the table.
    role(&world.db, "source_daemon", "").await;
    Migrator::embedded()
        .grant(world.db.dsn(), "source_daemon")
        .await
        .unwrap();
    let daemon = crate::harness::session(&dsn_as(&world.db, "source_daemon").await).await;
    punctual::store::connect::prepare_session(&daemon)
        .await
        .unwrap();
    run(
        &daemon,
        "update scheduled_messages set status = 'sent' where status = 'sending'",
    )
    .await;
    assert_eq!(
        one::<i32>(&daemon, "select punctual.write_back(10)").await,
        1
    );
    assert_eq!(world.both(late).await, "gone sent");
}

/// The app's own sender takes rows while a daemon claims their messages: each row goes to one of them. So many rows
/// with `SOURCE_ROWS`.
#[tokio::test]
async fn a_row_goes_to_the_apps_sender_or_to_the_daemon_and_never_to_both() {
    let rows: usize = std::env::var("SOURCE_ROWS").map_or(400, |n| n.parse().unwrap());
    let world = followed().await;
    run(
        &world.user,
        &format!(
            "insert into reminders (phone, words, at)
             select '+13105550100', 'hello', clock_timestamp() from generate_series(1, {rows})"
        ),
    )
    .await;
    let all: Vec<Uuid> = one(
        &world.unseen,
        "select array_agg(message_id order by message_id) from punctual.source_rows",
    )
    .await;
    let daemon = async {
        let store = store(&world);
        let mut ours = Vec::new();
        for ids in all.chunks(20) {
            let mut rest = ids.to_vec();
            // One that is locked is tried again, as the reactor does.
            while !rest.is_empty() {
                let answers = claim(&store, &rest).await;
                let mut locked = Vec::new();
                for (id, answer) in rest.iter().zip(answers) {
                    match answer {
                        ClaimResponse::Won(won) => ours.push(won),
                        // It was locked, and is pending.
                        ClaimResponse::Lost(RowState::Pending { .. }) => locked.push(*id),
                        _ => {}
                    }
                }
                rest = locked;
            }
        }
        for claims in ours.chunks(50) {
            let records: Vec<_> = claims.iter().map(accepted).collect();
            assert_eq!(recorded(&store, &records).await, claims.len());
        }
        while store.write_back(100).await.unwrap() > 0 {}
        ours.iter()
            .map(|claim| claim.id)
            .collect::<Vec<MessageId>>()
    };
    let app = async {
        let session = world.db.client().await;
        let mut theirs = 0;
        // In the order of keys, which is none of the ids.
        for key in 1..=rows {
            let take = format!(
                "update reminders set stage = 'taken' where id = {key} and stage = 'waiting'"
            );
            match session.execute(&take, &[]).await {
                Ok(n) => theirs += usize::try_from(n).unwrap(),
                Err(error) => assert!(said(&error).contains("PT409"), "{}", said(&error)),
            }
        }
        theirs
    };
    let (ours, theirs) = tokio::join!(daemon, app);
    assert_eq!(ours.len() + theirs, rows, "each once");
    // A row that the app had locked just then is written a quarter of a second later.
    let due = "update punctual.source_writes set next_attempt_at = now()";
    run(&world.unseen, due).await;
    store(&world).write_back(100).await.unwrap();
    assert_eq!(
        world.tally().await,
        match (theirs, ours.len()) {
            (0, sent) => format!("sent {sent}"),
            (taken, 0) => format!("cancelled {taken}"),
            (taken, sent) => format!("cancelled {taken}, sent {sent}"),
        }
    );
    let agree = "select count(*) from reminders r join punctual.source_rows s on s.key = r.id::text
                   join scheduled_messages m on m.id = s.message_id
                  where (r.stage, m.status) in (('taken', 'cancelled'), ('gone', 'sent'))";
    let agree: i64 = one(&world.unseen, agree).await;
    assert_eq!(usize::try_from(agree).unwrap(), rows);
    println!(
        "{rows} rows: {} sent by the daemon, {theirs} taken by the app",
        ours.len()
    );
}

#[tokio::test]
async fn what_a_trigger_of_the_apps_does_to_the_row_counts() {
    let world = followed().await;
    run(
        &world.user,
        "create function does() returns trigger language plpgsql as $$ begin
           if pg_trigger_depth() > 1 then return null; end if;
           if new.title = 'stop' then update reminders set stage = 'stopped' where id = new.id;
           elsif new.title = 'delete' then delete from reminders where id = new.id;
           elsif new.title = 'later' then update reminders set at = at + interval '1 h' where id = new.id;
           end if; return null; end $$;
         create trigger a_trigger after insert or update on reminders for each row execute function does();
         insert into reminders (phone, words, at, title)
         select '+13105550100', 'hello', now() + interval '1 h', w from unnest(array['stop', 'delete', 'later', '']) w",
    )
    .await;
    let all = "select string_agg(concat_ws(' ', r.title, r.stage, m.status, m.scheduled_at = r.at), ', ' order by r.id)
                 from reminders r left join punctual.source_rows s on s.key = r.id::text
                 left join scheduled_messages m on m.id = s.message_id";
    let is = async || one::<String>(&world.unseen, all).await;
    assert_eq!(
        is().await,
        "stop stopped, later waiting pending t,  waiting pending t"
    );
    assert_eq!(world.tally().await, "pending 2");
    run(
        &world.user,
        "update reminders set title = 'stop', words = 'x' where title = ''",
    )
    .await;
    assert_eq!(
        is().await,
        "stop stopped, later waiting pending t, stop stopped cancelled t"
    );
}

#[tokio::test]
async fn what_may_have_been_sent_in_part_is_not_for_the_apps_sender_and_what_it_took_not_for_a_daemon()
 {
    let world = followed().await;
    let key = world.reminds(3600).await;
    let id = world.message(key).await;
    run(
        &world.unseen,
        &format!("update scheduled_messages set parts_done = 1, parts_total = 3 where id = '{id}'"),
    )
    .await;
    let take = format!("update reminders set stage = 'taken' where id = {key}");
    refused(&world.user, &take).await;
    world.change(key, "stage = 'stopped'").await;
    assert_eq!(world.both(key).await, "stopped cancelled");
    refused(&world.user, &take).await;

    let key = world.reminds(3600).await;
    world.change(key, "stage = 'bad'").await;
    world.change(key, "stage = 'taken'").await;
    assert_eq!(world.both(key).await, "taken failed");
    let id = world.message(key).await;
    let again = format!("update scheduled_messages set status = 'pending' where id = '{id}'");
    let message = refused(&world.user, &again).await;
    assert!(
        message.contains("follows a row that the app has taken"),
        "{message}"
    );
    world.change(key, "stage = 'waiting'").await;
    assert_eq!(world.both(key).await, "waiting pending");
}

#[tokio::test]
async fn a_transaction_that_does_not_see_a_message_is_to_be_repeated() {
    let world = followed().await;
    run(
        &world.unseen,
        "insert into reminders (phone, words, at) values ('+13105550100', 'hello', now())",
    )
    .await;
    let old = world.db.client().await;
    run(
        &old,
        "begin isolation level repeatable read; select from reminders",
    )
    .await;
    assert_eq!(
        follow(&world, vec![reminders()]).await,
        ["rem: 1 rows that were there before"]
    );
    let cancel = old
        .batch_execute("update reminders set stage = 'stopped'")
        .await;
    let error = cancel.expect_err("its snapshot is older");
    assert!(said(&error).contains("40001"), "{}", said(&error));
    assert_eq!(world.tally().await, "pending 1");
}
