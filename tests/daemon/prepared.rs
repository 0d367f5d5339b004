//! Messages of transactions that were prepared. They cannot notify.

use std::time::{Duration, Instant};

use punctual::demo::postgres::{Options, PrivatePostgres};
use punctual::store::Migrator;
use uuid::Uuid;

use crate::daemon::{Daemon, until};
use crate::harness::{dsn, session};
use crate::standin::StandIn;
use crate::world::{TO, arrived_once, becomes, environment, requests};

/// A sweep a second finds them; the rest is for a busy machine. With one every ten seconds each would be found within
/// that in three of ten cases, and all by one in five hundred.
const SOON: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn what_was_prepared_is_sent_within_a_second_of_its_commit() {
    let start = || {
        PrivatePostgres::start(Options {
            fsync: false,
            settings: vec![("max_prepared_transactions".into(), "2".into())],
            ..Options::default()
        })
    };
    let server = tokio::task::spawn_blocking(start).await.unwrap().unwrap();
    let place = dsn(&server, "postgres");
    Migrator::embedded().run(&place).await.unwrap();
    let app = session(&place).await;
    let phone = StandIn::start([]).await;
    let mut daemon = Daemon::start(&environment(&server.url("postgres"), &phone.url()));
    daemon.ready().await;

    let ids: Vec<Uuid> = (0..5).map(|_| Uuid::new_v4()).collect();
    let mut all = Vec::new();
    for id in &ids {
        let prepare = format!(
            "begin; set local punctual.notify = 'off';
             insert into scheduled_messages (id, to_number, body, scheduled_at)
               values ('{id}', '{TO}', '{id}', clock_timestamp());
             prepare transaction 'one'"
        );
        app.batch_execute(&prepare).await.unwrap();
        app.batch_execute("commit prepared 'one'").await.unwrap();
        let committed = Instant::now();
        becomes(&app, *id, "sent").await;
        let seen = requests(&phone, &id.to_string());
        let took = seen[0].at.saturating_duration_since(committed);
        println!("figure: prepared, committed without a notification: sent after {took:.1?}");
        all.push(took);
        arrived_once(&app, &phone, *id).await;
    }
    all.sort_unstable();
    // A busy machine may be slow now and then, not each time.
    assert!(all[2] < SOON, "{all:?}");

    // An armed message that is cancelled, and one that is moved to now.
    let [cancelled, moved] = [Uuid::new_v4(), Uuid::new_v4()];
    let insert = format!(
        "insert into scheduled_messages (id, to_number, body, scheduled_at)
         values ('{cancelled}', '{TO}', 'cancelled', clock_timestamp() + interval '8 s'),
                ('{moved}', '{TO}', 'moved', clock_timestamp() + interval '20 min')"
    );
    app.batch_execute(&insert).await.unwrap();
    until("both are armed", async || {
        let armed = daemon.timers("limit=5").await["window"]["armed"].as_u64();
        (armed == Some(2)).then_some(())
    })
    .await;
    let prepare = format!(
        "begin; set local punctual.notify = 'off';
         update scheduled_messages set status = 'cancelled' where id = '{cancelled}';
         update scheduled_messages set scheduled_at = clock_timestamp() where id = '{moved}';
         prepare transaction 'both'; commit prepared 'both'"
    );
    // A statement each: several at once are a transaction of their own.
    for part in prepare.split(';') {
        app.batch_execute(part).await.unwrap();
    }
    becomes(&app, moved, "sent").await;
    let after = format!(
        "insert into scheduled_messages (id, to_number, body, scheduled_at)
         select gen_random_uuid(), '{TO}', 'after', scheduled_at from scheduled_messages where id = '{cancelled}'"
    );
    app.batch_execute(&after).await.unwrap();
    until(
        "what was due at the time of the cancelled one is sent",
        async || (requests(&phone, "after").len() == 1).then_some(()),
    )
    .await;
    assert!(requests(&phone, "cancelled").is_empty());
    daemon.stop().await;
}
