//! What the guard lets others do to a row, state by state.

use tokio_postgres::AsyncMessage;

use crate::harness::TestDb;
use crate::rows::{World, count, hearing, one, refused, run};

#[tokio::test]
async fn past_the_point_a_row_is_refused_in_a_plain_sentence() {
    let world = World::new().await;
    for (status, change, why) in [
        (
            "sending",
            "update status = 'cancelled'",
            "is sending; it is too late to cancel it",
        ),
        (
            "sent",
            "update status = 'cancelled'",
            "is sent; it is too late to cancel it",
        ),
        (
            "delivered",
            "update status = 'cancelled'",
            "is delivered; it is too late to cancel it",
        ),
        (
            "failed",
            "update status = 'cancelled'",
            "has already failed; there is nothing to cancel",
        ),
        (
            "unconfirmed",
            "update status = 'cancelled'",
            "is unconfirmed; it is too late to cancel it",
        ),
        (
            "sending",
            "delete",
            "is sending; it is too late to delete it",
        ),
        (
            "sending",
            "update body = 'new'",
            "is sending; it is too late to change it",
        ),
        (
            "sending",
            "update status = 'pending'",
            "is sending; it cannot be made pending",
        ),
        (
            "unconfirmed",
            "update status = 'pending'",
            "is unconfirmed; it cannot be made pending",
        ),
        (
            "sent",
            "update status = 'pending'",
            "is sent; it cannot be made pending",
        ),
    ] {
        let id = world.row(status).await;
        let sql = match change.strip_prefix("update ") {
            Some(set) => format!("update scheduled_messages set {set} where id = '{id}'"),
            None => format!("delete from scheduled_messages where id = '{id}'"),
        };
        let said = refused(&world.user, &sql).await;
        assert_eq!(said, format!("message {id} {why}"), "{sql}");
        assert_eq!(world.status(id).await, status);
        // Whoever asks for pending rows only learns it by the number of rows.
        assert_eq!(
            count(&world.user, &format!("{sql} and status = 'pending'"), &[]).await,
            0
        );
    }
}

#[tokio::test]
async fn what_is_over_may_be_deleted_and_annotated() {
    let world = World::new().await;
    for status in [
        "pending",
        "sent",
        "delivered",
        "failed",
        "cancelled",
        "unconfirmed",
    ] {
        let id = world.row(status).await;
        let note = "update scheduled_messages set metadata = '{\"a\":1}' where id = $1";
        assert_eq!(count(&world.user, note, &[&id]).await, 1, "{status}");
        let delete = "delete from scheduled_messages where id = $1";
        assert_eq!(count(&world.user, delete, &[&id]).await, 1, "{status}");
    }
}

/// Runs a statement over all rows and returns its warnings.
async fn warnings(db: &TestDb, sql: &str) -> Vec<String> {
    let (client, mut hears) = hearing(db).await;
    run(&client, sql).await;
    // Whatever was said to the statement came before this.
    run(&client, "do $$ begin raise warning 'end'; end $$").await;
    let mut said = Vec::new();
    while let Some(message) = hears.recv().await {
        match message {
            AsyncMessage::Notice(notice) if notice.message() == "end" => return said,
            AsyncMessage::Notice(notice) => said.push(notice.message().to_owned()),
            _ => {}
        }
    }
    panic!("the session ended");
}

#[tokio::test]
async fn a_statement_over_many_skips_what_is_past_the_point_and_says_how_many() {
    let world = World::new().await;
    let cancel = "update scheduled_messages set status = 'cancelled'";
    for (sql, after) in [
        (cancel, "cancelled 3, sending 2, sent 1"),
        (
            "delete from scheduled_messages where status <> 'sent'",
            "sending 2, sent 1",
        ),
    ] {
        run(&world.unseen, "delete from scheduled_messages").await;
        let past = world.rows(2, "sending").await;
        world.row("sent").await;
        world.rows(3, "pending").await;
        let said = warnings(&world.db, sql).await;
        assert_eq!(world.tally().await, after, "{sql}");
        assert_eq!(said.len(), 1, "{said:?}");
        let n = if sql == cancel { 3 } else { 2 };
        assert!(
            said[0].starts_with(&format!(
                "{n} of the messages were skipped: it is too late to"
            )),
            "{said:?}"
        );
        if n == 2 {
            assert!(
                past.iter().any(|id| said[0].contains(&id.to_string())),
                "{said:?}"
            );
        }
    }
    // Nothing was changed and something refused: an error, and one that counts.
    let said = refused(
        &world.user,
        "delete from scheduled_messages where status = 'sending'",
    )
    .await;
    assert!(
        said.starts_with("it is too late to delete any of the 2 messages"),
        "{said}"
    );
    let said = refused(
        &world.user,
        "update scheduled_messages set status = 'cancelled'",
    )
    .await;
    assert!(
        said.starts_with("it is too late to cancel any of the 3 messages"),
        "{said}"
    );
    // Nothing to change and nothing refused is no error.
    run(
        &world.user,
        "update scheduled_messages set status = 'cancelled' where false",
    )
    .await;
    assert!(
        warnings(
            &world.db,
            "delete from scheduled_messages where status = 'sent'"
        )
        .await
        .is_empty()
    );
}

#[tokio::test]
async fn while_it_is_sent_notes_and_foreign_keys_pass_and_the_rest_does_not() {
    let world = World::new().await;
    let row: (uuid::Uuid, uuid::Uuid, uuid::Uuid) = {
        let sql = "with c as (insert into conversations (phone_number) values ('+13105550100') returning id),
                        t as (insert into sms_templates (name) values ('t') returning id),
                        p as (insert into profiles default values returning id)
                   select c.id, t.id, p.id from c, t, p";
        let row = world.user.query_one(sql, &[]).await.unwrap();
        (row.get(0), row.get(1), row.get(2))
    };
    let values = format!(
        ", '{}', '{}', '{}', '+15005550006', '{{}}'",
        row.0, row.1, row.2
    );
    let columns = ", conversation_id, template_id, created_by, from_number, template_vars";
    let id = world.row_with("sending", columns, &values).await;
    let set = |what: &str| format!("update scheduled_messages set {what} where id = '{id}'");
    for what in [
        "to_number = '+13105550199'",
        "from_number = null",
        "body = 'other'",
        "scheduled_at = scheduled_at + interval '1 s'",
        "template_vars = '{\"a\":1}'",
        "template_id = gen_random_uuid()",
        "id = gen_random_uuid()",
        "body = 'other', status = 'sending'",
    ] {
        let said = refused(&world.user, &set(what)).await;
        let why = if what.starts_with("id") {
            "cannot be changed"
        } else {
            "it is too late to change it"
        };
        assert!(said.contains(why), "{what}: {said}");
    }

    run(
        &world.user,
        &set("metadata = '{\"seen\":true}', error_message = 'note'"),
    )
    .await;
    for table in ["conversations", "sms_templates", "profiles"] {
        run(&world.user, &format!("delete from {table}")).await;
    }
    let sql = "select conversation_id is null and template_id is null and created_by is null
                 and metadata = '{\"seen\":true}' and status = 'sending' and body = 'hello'
                 from scheduled_messages";
    let stands: bool = one(&world.user, &format!("{sql} where id = '{id}'")).await;
    assert!(stands);
}

const PRIVATE: &str =
    "(attempts, next_attempt_at, deferred_until, requeued_at, twilio_sid, delivered_at)";

#[tokio::test]
async fn private_columns_stay_as_they_were() {
    let world = World::new().await;
    let (columns, values) = (
        ", attempts, next_attempt_at, deferred_until, requeued_at, twilio_sid, delivered_at, version",
        ", 2, 'epoch', 'epoch', 'epoch', 'SMreal', 'epoch', 7",
    );
    let forged =
        "attempts = 0, next_attempt_at = now(), deferred_until = null, requeued_at = 'infinity',
                  twilio_sid = 'SMfake', delivered_at = now(), version = 99";
    for status in [
        "pending",
        "sending",
        "sent",
        "delivered",
        "failed",
        "cancelled",
        "unconfirmed",
    ] {
        let id = world.row_with(status, columns, values).await;
        let before: String = world.get(id, &format!("{PRIVATE}::text")).await;
        for (n, set) in [forged, "metadata = '{}'"].iter().enumerate() {
            run(
                &world.user,
                &format!("update scheduled_messages set {set} where id = '{id}'"),
            )
            .await;
            let after: String = world.get(id, &format!("{PRIVATE}::text")).await;
            assert_eq!(after, before, "{status}");
            let version: i64 = world.get(id, "version").await;
            assert_eq!(
                version,
                8 + i64::try_from(n).unwrap(),
                "each write of others counts"
            );
        }
    }
    let daemon = world.daemon().await;
    run(&daemon, "update scheduled_messages set attempts = 5").await;
    let sql = "select bool_and(attempts = 5 and version = 9) from scheduled_messages";
    assert!(
        one::<bool>(&world.user, sql).await,
        "the daemon's writes do not count as edits"
    );
}

#[tokio::test]
async fn a_new_row_starts_clean_and_in_a_state_of_the_apps() {
    let world = World::new().await;
    let id: uuid::Uuid = one(
        &world.user,
        "insert into scheduled_messages (to_number, body, scheduled_at, attempts, next_attempt_at, deferred_until,
                                         requeued_at, twilio_sid, delivered_at, version)
         values ('+13105550100', 'hello', now(), 9, now(), 'infinity', now(), 'SMfake', now(), 9) returning id",
    )
    .await;
    let clean =
        format!("{PRIVATE} is not distinct from (0, null, null, null, null, null) and version = 0");
    let clean = clean.replace("(0, null, null, null, null, null)",
        "(0, null::timestamptz, null::timestamptz, null::timestamptz, null::text, null::timestamptz)");
    assert!(world.get::<bool>(id, &clean).await);
    // The app's own history comes with its own proof.
    let import = "insert into scheduled_messages (to_number, body, scheduled_at, status, twilio_sid, sent_at)
                  values ('+13105550100', 'hello', now(), 'sent', 'SMold', now()) returning twilio_sid";
    assert_eq!(one::<String>(&world.user, import).await, "SMold");
}

#[tokio::test]
async fn the_users_word_drops_deferral_backoff_and_attempts() {
    let world = World::new().await;
    let columns =
        ", attempts, next_attempt_at, deferred_until, deferred_reason, error_message, error_code,
                   cancel_reason, cancelled_at, sent_at, twilio_sid";
    let values =
        ", 2, 'infinity', 'infinity', 'quiet hours', 'no', 30003, 'late', now(), now(), 'SM1'";
    let fresh = "attempts = 0 and next_attempt_at is null and deferred_until is null and deferred_reason is null
                 and requeued_at between clock_timestamp() - interval '1 minute' and clock_timestamp()";
    let clean = "error_message is null and error_code is null and cancel_reason is null
                 and cancelled_at is null and sent_at is null and twilio_sid is null";
    for (status, set, starts_over) in [
        (
            "pending",
            "scheduled_at = scheduled_at + interval '1 s'",
            true,
        ),
        (
            "pending",
            "scheduled_at = scheduled_at - interval '1 h'",
            true,
        ),
        ("failed", "status = 'pending'", true),
        (
            "cancelled",
            "status = 'pending', scheduled_at = now()",
            true,
        ),
        ("pending", "body = 'other'", false),
        ("pending", "scheduled_at = scheduled_at", false),
        ("failed", "scheduled_at = now()", false),
    ] {
        let id = world.row_with(status, columns, values).await;
        run(
            &world.user,
            &format!("update scheduled_messages set {set} where id = '{id}'"),
        )
        .await;
        assert_eq!(
            world
                .get::<bool>(id, &format!("coalesce({fresh}, false)"))
                .await,
            starts_over,
            "{status} {set}"
        );
        let cleaned: bool = world.get(id, clean).await;
        assert_eq!(
            cleaned,
            status != "pending" && starts_over,
            "{status} {set}"
        );
    }
    let id = world.row("pending").await;
    run(
        &world.user,
        &format!("update scheduled_messages set status = 'cancelled' where id = '{id}'"),
    )
    .await;
    assert!(world.get::<bool>(id, "cancelled_at is not null").await);
}

/// For tables of the app's own, by the name that its papers have; one that the app has stays.
#[tokio::test]
async fn a_table_of_the_apps_can_have_its_statuses_guarded() {
    let world = World::new().await;
    run(
        &world.user,
        "create table texts (id int primary key, status text);
         insert into texts values (1, 'delivered'), (2, 'sent'), (3, 'failed'), (4, 'queued');
         create trigger guarded before update on texts for each row execute function validate_status_transition()",
    )
    .await;
    for (id, to, is_refused) in [
        (1, "pending", true),
        (1, "delivered", false),
        (2, "queued", true),
        (2, "delivered", false),
        (3, "pending", false),
        (4, "cancelled", false),
    ] {
        let allowed =
            format!("select validate_status_transition(status, '{to}') from texts where id = {id}");
        assert_eq!(
            one::<bool>(&world.user, &allowed).await,
            !is_refused,
            "{id} {to}"
        );
        let update = format!("update texts set status = '{to}' where id = {id}");
        let refused = world.user.batch_execute(&update).await.err();
        let code = refused.map(|error| error.code().unwrap().code().to_owned());
        assert_eq!(code.as_deref(), is_refused.then_some("PT409"), "{id} {to}");
    }
    run(
        &world.user,
        "drop function validate_status_transition(text, text);
         create function validate_status_transition(a text, b text) returns boolean language sql as 'select null::boolean'",
    )
    .await;
    punctual::store::Migrator::embedded()
        .run(world.db.dsn())
        .await
        .unwrap();
    let own = "select validate_status_transition('sent', 'sent') is null";
    assert!(one::<bool>(&world.user, own).await);
}
