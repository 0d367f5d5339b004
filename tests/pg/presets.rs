//! Presets: the tables of an app that is known, created where they are missing and followed where they are.

use punctual::store::migrate::Report;
use punctual::store::{Migrator, Preset};
use tokio_postgres::AsyncMessage;
use uuid::Uuid;

use crate::ours::{accepted, recorded, store, won};
use crate::rows::{World, one, run, said, until};

/// The app's tables, as its own papers have them.
const SEED: &str = include_str!("presets/seed.sql");

/// A user whose number may be texted.
const USER: &str = "insert into users (id) values ('11111111-1111-4111-8111-111111111111');
  insert into user_sms_preferences (user_id, phone_number, phone_verified, event_reminders_enabled, quiet_hours_start,
                                    quiet_hours_end)
  values ('11111111-1111-4111-8111-111111111111', '+13105550101', true, true, null, null);
  insert into task_calendar_events (calendar_event_id, user_id, sync_status)
  values ('google-1', '11111111-1111-4111-8111-111111111111', 'synced')";

/// A text that stands alone; its id.
const ALONE: &str = "insert into sms_messages (user_id, phone_number, message_content, status, scheduled_for, metadata)
                 values ('11111111-1111-4111-8111-111111111111', '+13105550102', 'alone', 'scheduled', now(), null)
                 returning id";

fn buildos() -> Migrator<'static> {
    Migrator::embedded().with_preset(Preset::named("buildos"))
}

async fn made(world: &World) -> Report {
    buildos().run(world.db.dsn()).await.unwrap()
}

/// What the app inserts for a reminder that is due an hour from now; returns its id.
async fn reminds(world: &World, text: &str) -> Uuid {
    let sql = format!(
        "insert into scheduled_sms_messages (user_id, message_content, message_type, calendar_event_id, event_title,
           event_start, scheduled_for, timezone, status, generated_via)
         values ('11111111-1111-4111-8111-111111111111', '{text}', 'event_reminder', 'google-1', 'Standup',
                 now() + interval '75 min', now() + interval '1 h', 'America/New_York', 'scheduled', 'template')
         returning id"
    );
    one(&world.user, &sql).await
}

/// The message that follows a row.
async fn message(world: &World, key: Uuid) -> Uuid {
    let sql = format!("select message_id from punctual.source_rows where key = '{key}'");
    one(&world.unseen, &sql).await
}

/// The columns of a table, in their order.
async fn columns(world: &World, table: &str) -> String {
    let sql = format!(
        "select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum)
           from pg_attribute where attrelid = '{table}'::regclass and attnum > 0"
    );
    one(&world.unseen, &sql).await
}

/// The preset has brought templates, and a lead time for users.
async fn has_templates_and_leads(world: &World) {
    let templates = "select string_agg(template_key, ' ' order by template_key) from sms_templates
                      where message_template like '%{{%' and template_vars <> '{}'";
    assert_eq!(
        one::<String>(&world.unseen, templates).await,
        "daily_brief_ready task_reminder urgent_task"
    );
    let lead = "select event_reminder_lead_time_minutes from user_sms_preferences";
    assert_eq!(one::<i32>(&world.unseen, lead).await, 15);
}

/// A daemon sends the message of this row; a listener for the user hears of the row by its id.
async fn sent_and_heard(world: &World, id: Uuid, key: Uuid) {
    let store = store(world);
    let claim = won(&store, &[id]).await.remove(0);
    assert_eq!(claim.body.as_str(), "now");
    let migrator = Migrator::embedded();
    migrator.notify_users(world.db.dsn(), true).await.unwrap();
    let (listener, mut notifications) = crate::rows::hearing(&world.db).await;
    run(&listener, "listen notify_user").await;
    assert_eq!(recorded(&store, &[accepted(&claim)]).await, 1);
    store.write_back(10).await.unwrap();
    let AsyncMessage::Notification(heard) = notifications.recv().await.unwrap() else {
        panic!("no notification");
    };
    let names = format!("\"scheduled_sms_id\": \"{key}\"");
    assert!(heard.payload().contains(&names), "{}", heard.payload());
    migrator.notify_users(world.db.dsn(), false).await.unwrap();
}

#[tokio::test]
async fn tables_that_are_missing_are_created_and_followed_and_again_there_is_nothing_to_do() {
    let world = World::new().await;
    run(&world.user, "create table users (id uuid primary key)").await;
    let report = made(&world).await;
    assert_eq!(
        report.tables,
        [
            "notification_events",
            "notification_subscriptions",
            "user_notification_preferences",
            "notification_deliveries",
            "queue_jobs",
            "sms_messages",
            "scheduled_sms_messages",
            "notification_tracking_links"
        ]
    );
    assert_eq!(
        report.sources,
        [
            "buildos_scheduled: 0 rows that were there before",
            "buildos_sms: 0 rows that were there before",
            "buildos_jobs: 0 rows that were there before",
            "buildos_deliveries: 0 rows that were there before"
        ]
    );
    assert_eq!(report.notes, Vec::<String>::new());
    let theirs = World::new().await;
    run(&theirs.user, SEED).await;
    for table in ["sms_messages", "scheduled_sms_messages"] {
        assert_eq!(columns(&world, table).await, columns(&theirs, table).await);
    }
    let refers = "select string_agg(conrelid::regclass || ' ' || confrelid::regclass, ', '
                           order by conrelid::regclass::text, confrelid::regclass::text)
                    from pg_constraint where contype = 'f'
                     and conrelid in ('queue_jobs'::regclass, 'sms_messages'::regclass, 'scheduled_sms_messages'::regclass)";
    assert_eq!(
        one::<String>(&world.unseen, refers).await,
        "queue_jobs users, scheduled_sms_messages sms_messages, scheduled_sms_messages users, sms_messages notification_deliveries, \
         sms_messages queue_jobs, sms_messages sms_templates, sms_messages users"
    );

    run(&world.user, USER).await;
    let key = reminds(&world, "Standup in 15 min").await;
    let id = message(&world, key).await;
    let is = "concat_ws(' ', to_number, body, message_type, timezone, calendar_event_id, event_start is not null)";
    assert_eq!(
        world.get::<String>(id, is).await,
        "+13105550101 Standup in 15 min event_reminder America/New_York google-1 t"
    );
    // The statements of the app's planner and of its calendar.
    for (change, expected) in [
        (
            "scheduled_for = now(), message_content = 'now', updated_at = now()",
            "pending",
        ),
        ("status = 'cancelled', cancelled_at = now()", "cancelled"),
        ("status = 'scheduled'", "pending"),
    ] {
        run(
            &world.user,
            &format!("update scheduled_sms_messages set {change}"),
        )
        .await;
        assert_eq!(world.status(id).await, expected);
    }
    sent_and_heard(&world, id, key).await;
    let row = "select concat_ws(' ', status, sent_at is not null, twilio_sid is not null, send_attempts, last_error is null)
                 from scheduled_sms_messages";
    assert_eq!(one::<String>(&world.unseen, row).await, "sent t t 1 t");

    // Its own sender takes rows by a word that the app's CHECK lacked.
    let other = reminds(&world, "another").await;
    run(
        &world.user,
        &format!("update scheduled_sms_messages set status = 'sending' where id = '{other}'"),
    )
    .await;
    let id = message(&world, other).await;
    assert_eq!(world.status(id).await, "cancelled");

    // With and without the name of the preset, which is on record.
    for migrator in [buildos(), Migrator::embedded()] {
        let again = migrator.run(world.db.dsn()).await.unwrap();
        assert_eq!(again, Report::default(), "nothing to do");
        migrator.check(world.db.dsn()).await.unwrap();
    }
    run(
        &world.unseen,
        "update punctual.sources set words = words, definition = definition #- '{columns,sid}'
          where name = 'buildos_scheduled'",
    )
    .await;
    let error = Migrator::embedded()
        .check(world.db.dsn())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("run `punctual migrate`"));
    Migrator::embedded().run(world.db.dsn()).await.unwrap();
    Migrator::embedded().check(world.db.dsn()).await.unwrap();
    has_templates_and_leads(&world).await;
}

#[tokio::test]
async fn what_is_printed_does_what_the_command_does() {
    let world = World::new().await;
    run(&world.user, "create table users (id uuid primary key)").await;
    let printed = buildos().print();
    let begins = printed.find("-- the lead time of reminders").unwrap();
    run(&world.unseen, "reset session_replication_role").await;
    run(&world.unseen, &printed[begins..]).await;
    let indexes = "select coalesce(string_agg(build, ';'), '') from punctual.record_indexes()";
    let indexes: String = one(&world.unseen, indexes).await;
    for build in indexes.split(';') {
        run(&world.unseen, build).await;
    }
    buildos().check(world.db.dsn()).await.unwrap();
    let triggers = "select string_agg(tgrelid::regclass || ' ' || tgname, ', ' order by tgrelid::regclass::text, tgname)
                      from pg_trigger where tgname ~ '^punctual_(source|numbers|record)_'";
    let by_print: String = one(&world.unseen, triggers).await;
    assert_eq!(made(&world).await, Report::default(), "nothing to do");
    let other = World::new().await;
    run(&other.user, "create table users (id uuid primary key)").await;
    made(&other).await;
    assert_eq!(by_print, one::<String>(&other.unseen, triggers).await);
}

/// The app links a row and its record in one transaction, and schedules the record in another, both unfinished.
#[tokio::test]
async fn a_record_that_is_linked_and_scheduled_at_once_is_one_message() {
    let world = World::new().await;
    run(&world.user, "create table users (id uuid primary key)").await;
    made(&world).await;
    run(&world.user, USER).await;
    let other = world.db.client().await;
    for links_first in [true, false] {
        run(
            &world.user,
            "delete from scheduled_sms_messages; delete from sms_messages",
        )
        .await;
        let record: Uuid = one(&world.user, &ALONE.replace("'scheduled'", "'pending'")).await;
        let row = reminds(&world, "the text").await;
        assert_eq!(world.tally().await, "pending 1");
        let link = format!(
            "update scheduled_sms_messages set sms_message_id = '{record}' where id = '{row}'"
        );
        let schedules =
            format!("update sms_messages set status = 'scheduled' where id = '{record}'");
        let (first, second) = if links_first {
            (link, schedules)
        } else {
            (schedules, link)
        };
        run(&world.user, "begin").await;
        run(&world.user, &first).await;
        let waits = async {
            until(&world.unseen, "exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')").await;
            run(&world.user, "commit").await;
        };
        tokio::join!(run(&other, &second), waits);
        assert_eq!(
            world.tally().await,
            "pending 1",
            "linked first: {links_first}"
        );
        let of_row = message(&world, row).await;
        assert_eq!(world.status(of_row).await, "pending");
    }
}

/// A job of the app's that names only the record of a reminder.
#[tokio::test]
async fn a_job_that_names_a_record_alone_gets_what_became_of_its_row() {
    let world = World::new().await;
    run(&world.user, "create table users (id uuid primary key)").await;
    made(&world).await;
    run(&world.user, USER).await;
    let store = store(&world);
    for named_by_row in [true, false] {
        run(
            &world.user,
            "delete from queue_jobs; delete from scheduled_sms_messages; delete from sms_messages",
        )
        .await;
        let record: Uuid = one(&world.user, ALONE).await;
        let row = reminds(&world, "the text").await;
        let link = if named_by_row {
            format!(
                "update scheduled_sms_messages set sms_message_id = '{record}', scheduled_for = now()"
            )
        } else {
            format!(
                "update sms_messages set metadata = jsonb_build_object('scheduled_sms_id', '{row}') where id = '{record}';
                 update scheduled_sms_messages set scheduled_for = now()"
            )
        };
        run(&world.user, &link).await;
        let job = |name: &str, named: &str| {
            format!(
                "insert into queue_jobs (user_id, job_type, queue_job_id, metadata)
                 values ('11111111-1111-4111-8111-111111111111', 'send_sms', '{name}', '{{\"message_id\": \"{named}\"}}')"
            )
        };
        run(&world.user, &job("before", &record.to_string())).await;
        for none in ["", "x", "11111111-1111-4111-8111-111111111111"] {
            run(&world.user, &job(&format!("of {none}"), none)).await;
        }
        assert_eq!(world.tally().await, "pending 1");
        let claim = won(&store, &[message(&world, row).await]).await.remove(0);
        assert_eq!(recorded(&store, &[accepted(&claim)]).await, 1);
        store.write_back(10).await.unwrap();
        run(&world.user, &job("after", &record.to_string())).await;
        store.write_back(10).await.unwrap();
        let jobs = "select string_agg(queue_job_id || ' ' || status, ', ' order by queue_job_id) from queue_jobs
                     where queue_job_id not like 'of %' or status <> 'pending'";
        assert_eq!(
            one::<String>(&world.unseen, jobs).await,
            "after completed, before completed",
            "named by the row: {named_by_row}"
        );
    }
}

#[tokio::test]
async fn tables_that_are_there_are_followed_as_they_are_and_words_they_lack_are_reported() {
    let world = World::new().await;
    run(&world.user, SEED).await;
    run(&world.user, USER).await;
    let key = reminds(&world, "was there before").await;
    let shape = columns(&world, "scheduled_sms_messages").await;
    let report = made(&world).await;
    let missing = report.tables.iter().all(|t| t.contains("notification"));
    assert!(missing, "{:?}", report.tables);
    assert_eq!(
        report.sources[0],
        "buildos_scheduled: 1 rows that were there before"
    );
    let lack = "buildos_scheduled, where a sender of the app's takes rows by it: the constraint \
                scheduled_sms_messages_status_check refuses the word 'sending': drop it, and add it again so that it \
                allows 'sending'";
    assert_eq!(report.notes, [lack]);
    assert_eq!(columns(&world, "scheduled_sms_messages").await, shape);
    let id = message(&world, key).await;
    assert_eq!(world.get::<String>(id, "body").await, "was there before");
    let taken = "update scheduled_sms_messages set status = 'sending'";
    let error = world.user.batch_execute(taken).await.unwrap_err();
    assert!(said(&error).contains("23514"), "{}", said(&error));
    assert_eq!(world.status(id).await, "pending");

    // Ended, it stays so until the preset is named again.
    let migrator = Migrator::embedded();
    let error = migrator
        .unfollow(world.db.dsn(), "buildos_scheduled")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("the source buildos_sms leaves out the records of buildos_scheduled"),
        "{error}"
    );
    for name in [
        "buildos_deliveries",
        "buildos_jobs",
        "buildos_sms",
        "buildos_scheduled",
    ] {
        migrator.unfollow(world.db.dsn(), name).await.unwrap();
    }
    let left = "select count(*) from (
        select from pg_trigger where tgname like 'punctual\\_record%' or tgname like 'punctual\\_numbers%'
        union all select from pg_class where relname like 'punctual\\_source%'
        union all select from pg_proc where proname like 'source\\_\\_%') l";
    assert_eq!(one::<i64>(&world.unseen, left).await, 0);
    assert_eq!(world.tally().await, "");
    migrator.run(world.db.dsn()).await.unwrap();
    assert_eq!(world.tally().await, "");
    let without = "alter table scheduled_sms_messages drop constraint scheduled_sms_messages_status_check,
      add constraint words check (status in ('scheduled', 'sending', 'sent', 'delivered', 'failed', 'cancelled'))";
    run(&world.user, without).await;
    let refused = buildos().run(world.db.dsn()).await.unwrap_err().to_string();
    assert!(
        refused.contains("the constraint words refuses the word 'queued': drop it"),
        "{refused}"
    );
    assert_eq!(world.tally().await, "");
    run(
        &world.user,
        "alter table scheduled_sms_messages drop constraint words",
    )
    .await;
    let report = made(&world).await;
    assert_eq!(report.notes, Vec::<String>::new());
    assert_eq!(world.tally().await, "pending 1");
}

#[tokio::test]
async fn a_record_is_no_message_of_its_own_whenever_it_becomes_one() {
    let world = World::new().await;
    run(&world.user, "create table users (id uuid primary key)").await;
    made(&world).await;
    run(&world.user, USER).await;
    let store = store(&world);
    // Not named by anything: two texts of the app's.
    let (named, naming) = (
        one::<Uuid>(&world.user, ALONE).await,
        one::<Uuid>(&world.user, ALONE).await,
    );
    let sent: Uuid = one(&world.user, ALONE).await;
    assert_eq!(world.tally().await, "pending 3");
    let row = reminds(&world, "the text").await;
    let link = async |record: Uuid| {
        let sql = format!(
            "update scheduled_sms_messages set sms_message_id = '{record}' where id = '{row}'"
        );
        world.user.batch_execute(&sql).await
    };
    link(named).await.unwrap();
    assert_eq!(world.tally().await, "pending 3", "the row's, and two");
    let mention = format!(
        "update sms_messages set metadata = jsonb_build_object('scheduled_sms_id', '{row}') where id = '{naming}'"
    );
    run(&world.user, &mention).await;
    assert_eq!(world.tally().await, "pending 2");
    for record in [named, naming] {
        let change = format!(
            "update sms_messages set message_content = 'x', status = 'scheduled' where id = '{record}'"
        );
        run(&world.user, &change).await;
    }
    assert_eq!(world.tally().await, "pending 2");

    // One that is being sent, and one that was.
    let claim = won(&store, &[message(&world, sent).await]).await.remove(0);
    for _ in 0..2 {
        let error = link(sent).await.unwrap_err();
        assert!(said(&error).contains("PT409"), "{}", said(&error));
        recorded(&store, &[accepted(&claim)]).await;
    }
    store.write_back(10).await.unwrap();
    let status = async |id: Uuid| {
        one::<String>(
            &world.unseen,
            &format!("select status::text from sms_messages where id = '{id}'"),
        )
        .await
    };
    assert_eq!(status(sent).await, "sent");

    // A record that is locked is written later; what the app alone knows is left.
    let holder = world.db.client().await;
    run(
        &holder,
        &format!("begin; select from sms_messages where id = '{named}' for update"),
    )
    .await;
    run(
        &world.user,
        &format!("update sms_messages set status = 'undelivered' where id = '{naming}'"),
    )
    .await;
    run(
        &world.user,
        "update scheduled_sms_messages set scheduled_for = now()",
    )
    .await;
    let claim = won(&store, &[message(&world, row).await]).await.remove(0);
    assert_eq!(recorded(&store, &[accepted(&claim)]).await, 1);
    store.write_back(10).await.unwrap();
    let of_row = "select status from scheduled_sms_messages";
    assert_eq!(one::<String>(&world.unseen, of_row).await, "sent");
    run(&holder, "commit").await;
    assert_eq!(status(named).await, "scheduled");
    let due = "update punctual.source_writes set next_attempt_at = now()";
    run(&world.unseen, due).await;
    store.write_back(10).await.unwrap();
    assert_eq!(status(named).await, "sent");
    assert_eq!(status(naming).await, "undelivered");

    // A job that comes after the outcome.
    let job = format!(
        "insert into queue_jobs (user_id, job_type, metadata)
         select '11111111-1111-4111-8111-111111111111', t::queue_type, jsonb_build_object('scheduled_sms_id', '{row}')
           from unnest(array['send_sms', 'other']) t"
    );
    run(&world.user, &job).await;
    store.write_back(10).await.unwrap();
    let jobs =
        "select string_agg(job_type || ' ' || status, ', ' order by job_type) from queue_jobs";
    assert_eq!(
        one::<String>(&world.unseen, jobs).await,
        "send_sms completed, other pending"
    );
    let left: i64 = one(&world.unseen, "select count(*) from punctual.source_writes").await;
    assert_eq!(left, 0);
}

#[tokio::test]
async fn what_the_apps_worker_takes_by_its_row_is_its_own_and_its_job_stays_for_it() {
    let world = World::new().await;
    run(&world.user, "create table users (id uuid primary key)").await;
    made(&world).await;
    run(&world.user, USER).await;
    let store = store(&world);
    let theirs: Uuid = one(&world.user, ALONE).await;
    let job = format!(
        "insert into queue_jobs (user_id, job_type, metadata)
         values ('11111111-1111-4111-8111-111111111111', 'send_sms', '{{\"message_id\": \"{theirs}\"}}');
         update sms_messages set status = 'queued' where id = '{theirs}'"
    );
    run(&world.user, &job).await;
    let id = message(&world, theirs).await;
    assert_eq!(world.status(id).await, "cancelled");
    store.write_back(10).await.unwrap();
    let of_job =
        format!("select status::text from queue_jobs where metadata ->> 'message_id' = '{theirs}'");
    assert_eq!(one::<String>(&world.unseen, &of_job).await, "pending");
    let of_row = format!("select status::text from sms_messages where id = '{theirs}'");
    assert_eq!(one::<String>(&world.unseen, &of_row).await, "queued");
}

/// In repeatable read the app does not see what another transaction has committed since it began: it fails, and is to
/// be tried again, as any such conflict of its own.
#[tokio::test]
async fn in_repeatable_read_a_record_that_was_linked_meanwhile_is_no_message_of_its_own() {
    let world = World::new().await;
    run(&world.user, "create table users (id uuid primary key)").await;
    made(&world).await;
    run(&world.user, USER).await;
    let record: Uuid = one(&world.user, &ALONE.replace("'scheduled'", "'pending'")).await;
    let row = reminds(&world, "the text").await;
    let link =
        format!("update scheduled_sms_messages set sms_message_id = '{record}' where id = '{row}'");
    let schedules = format!("update sms_messages set status = 'scheduled' where id = '{record}'");
    let other = world.db.client().await;
    for (first, second) in [(&link, &schedules), (&schedules, &link)] {
        run(
            &other,
            "begin isolation level repeatable read; select count(*) from sms_messages",
        )
        .await;
        run(&world.user, first).await;
        let failed = other.batch_execute(second).await.unwrap_err();
        assert_eq!(failed.code().unwrap().code(), "40001");
        run(&other, "rollback").await;
        run(&other, second).await;
        assert_eq!(world.tally().await, "pending 1");
        let back = format!(
            "update scheduled_sms_messages set sms_message_id = null where id = '{row}';
             update sms_messages set status = 'pending' where id = '{record}'"
        );
        run(&world.user, &back).await;
    }
}
