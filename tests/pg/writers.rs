//! `punctual.writer = 'on'` is the daemon's. A role of the app's turns nothing off with it, and what any other role
//! writes with it is recorded.

use tokio_postgres::AsyncMessage;

use crate::calendar::{USER, event, reminder};
use crate::harness::TestDb;
use crate::live_app::{role, session_as};
use crate::rows::{World, hearing, one, run, said};

/// A world with a daemon's role of its own, one of the app's, and a message that was sent.
async fn world(name: &str) -> (World, uuid::Uuid) {
    let world = World::new().await;
    role(&world.db, &format!("{name}_app"), "").await;
    role(&world.db, &format!("{name}_daemon"), "").await;
    punctual::store::Migrator::embedded()
        .grant(world.db.dsn(), &format!("{name}_daemon"))
        .await
        .unwrap();
    let app = format!(
        "grant select, insert, update, delete on scheduled_messages to {name}_app;
         create policy app on scheduled_messages to {name}_app using (true) with check (true)"
    );
    run(&world.unseen, &app).await;
    let sent = world.row("sent").await;
    (world, sent)
}

async fn recorded(db: &TestDb) -> String {
    let sql = "select coalesce(string_agg(format('%s %s %s/%s/%s', role, guarded, inserted, updated, deleted), ', ' order by at), '')
                 from punctual.foreign_writes";
    one(&db.client().await, sql).await
}

#[tokio::test]
async fn a_role_of_the_apps_turns_the_guard_off_by_no_setting() {
    let (world, sent) = world("writers_guard").await;
    let app = session_as(&world.db, "writers_guard_app").await;
    let late = world.row("sending").await;
    run(&app, "set punctual.writer = 'on'").await;
    for sql in [
        format!("update scheduled_messages set body = 'x' where id = '{sent}'"),
        format!("update scheduled_messages set status = 'pending' where id = '{sent}'"),
        format!("update scheduled_messages set status = 'unconfirmed' where id = '{late}'"),
        format!("delete from scheduled_messages where id = '{late}'"),
        "insert into scheduled_messages (to_number, body, scheduled_at, status) values ('+13105550100', 'x', now(), 'sending')".into(),
        // Set and unset while the statement runs.
        format!(
            "update scheduled_messages set body = 'x'
              where id = '{sent}' and set_config('punctual.writer', 'on', false) = 'on'
             returning set_config('punctual.writer', '', false)"
        ),
    ] {
        let error = app.batch_execute(&sql).await.expect_err(&sql);
        assert_eq!(error.code().unwrap().code(), "PT409", "{sql}: {}", said(&error));
    }
    // What is refused as a whole has changed nothing, so there is nothing to record.
    assert_eq!(recorded(&world.db).await, "");
}

/// Some triggers change messages with their owner's rights, for which the setting has an effect.
#[tokio::test]
async fn what_follows_an_event_or_an_opt_out_is_notified_whatever_the_setting() {
    let (world, _) = world("writers_follow").await;
    let tables = "grant select, insert, update on task_calendar_events, user_sms_preferences to writers_follow_app";
    run(&world.unseen, tables).await;
    event(&world, "e", USER, "now() + interval '30 minutes'").await;
    let id = reminder(&world, "e", USER, "15 minutes", ", e.event_start, null").await;
    let app = session_as(&world.db, "writers_follow_app").await;
    run(&app, "set punctual.writer = 'on'").await;
    let (ears, mut hears) = hearing(&world.db).await;
    run(&ears, "listen punctual").await;
    for sql in [
        "update task_calendar_events set event_start = event_start + interval '1 minute'".into(),
        format!("insert into user_sms_preferences (user_id, opted_out) values ('{USER}', true)"),
    ] {
        run(&app, &sql).await;
        run(&app, "notify punctual, 'end'").await;
        let Some(AsyncMessage::Notification(notice)) = hears.recv().await else {
            panic!("{sql}");
        };
        assert_eq!(notice.payload(), format!("ids {id}"), "{sql}");
        let end = hears.recv().await;
        assert!(matches!(end, Some(AsyncMessage::Notification(n)) if n.payload() == "end"));
        let own: String = one(&app, "select current_setting('punctual.writer')").await;
        assert_eq!(own, "on", "{sql}");
    }
    assert_eq!(world.status(id).await, "cancelled");
    assert_eq!(recorded(&world.db).await, "");
}

#[tokio::test]
async fn what_another_role_writes_with_it_is_one_record_a_transaction() {
    let (world, sent) = world("writers_record").await;
    let daemon = session_as(&world.db, "writers_record_daemon").await;
    let start =
        "insert into punctual.instances (id, version, beats) values (gen_random_uuid(), 'x', 0)";
    run(&daemon, start).await;
    let all = "set punctual.writer = 'on';
               update scheduled_messages set error_message = 'x'";
    run(&daemon, all).await;
    assert_eq!(recorded(&world.db).await, "", "the daemon itself");

    let app = session_as(&world.db, "writers_record_app").await;
    run(&app, "set punctual.writer = 'on'").await;
    run(
        &app,
        "begin;
         insert into scheduled_messages (to_number, body, scheduled_at)
         select '+13105550100', 'x', now() + interval '1 day' from generate_series(1, 3);
         update scheduled_messages set metadata = '{\"a\": 1}' where status = 'pending';
         update scheduled_messages set metadata = '{\"a\": 2}' where status = 'pending';
         delete from scheduled_messages where status = 'pending' and body = 'none';
         delete from scheduled_messages where status = 'pending';
         commit;
         begin; update scheduled_messages set metadata = '{}'; rollback",
    )
    .await;
    // The owner of the tables could turn the guard off by other means too: it lets through what the daemon may do.
    let owner = world.db.client().await;
    run(&owner, "set punctual.writer = 'on'").await;
    run(&owner, "update scheduled_messages set status = 'delivered'").await;
    run(
        &owner,
        "set role writers_record_app; update scheduled_messages set metadata = '{}'",
    )
    .await;
    assert_eq!(
        recorded(&world.db).await,
        "writers_record_app t 3/6/3, postgres f 0/1/0, writers_record_app t 0/1/0"
    );
    // Erasing is done by the function for it.
    run(
        &owner,
        &format!("reset role; reset punctual.writer; select punctual.erase('{sent}')"),
    )
    .await;
    let n: i64 = one(&owner, "select count(*) from punctual.foreign_writes").await;
    assert_eq!(n, 3);
    // A daemon of an earlier version runs, as whatever role.
    run(
        &owner,
        "insert into punctual.instances (id, version, role) values (gen_random_uuid(), 'old', null);
         set punctual.writer = 'on'; update scheduled_messages set metadata = '{}'",
    )
    .await;
    let n: i64 = one(&owner, "select count(*) from punctual.foreign_writes").await;
    assert_eq!(n, 3);
}
