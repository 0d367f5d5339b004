//! A server that is slow and a connection that is mute look alike, and are distinguished.

use std::time::{Duration, Instant};

use punctual::message::InstanceId;
use punctual::store::{Dsn, Store, StoreError, Watch};
use tokio_postgres::Client;

use crate::daemon::until;
use crate::harness::{TestDb, cluster};
use crate::proxy::{Proxy, Way};

const SECOND: Duration = Duration::from_secs(1);

/// The daemon's way to a database, through a proxy.
struct Place {
    store: Store,
    proxy: Proxy,
    app: Client,
    /// Dropped last.
    _db: TestDb,
}

impl Place {
    async fn new() -> Self {
        let db = TestDb::new().await;
        let port = cluster().port();
        let proxy = Proxy::to(format!("127.0.0.1:{port}")).await;
        let name = db.dsn().to_string();
        let url = cluster().url(name.rsplit_once('/').unwrap().1);
        let url = url.replace(&format!(":{port}/"), &format!(":{}/", proxy.port()));
        let dsn = Dsn::parse(&url).unwrap();
        let watch = Watch::over(dsn.clone());
        let pool = dsn.pool_with(1, None, Some(&watch));
        let store = Store::new(pool, InstanceId::fresh()).with_watch(watch);
        store.instance_start("notify").await.unwrap();
        Self {
            store,
            proxy,
            app: db.client().await,
            _db: db,
        }
    }

    async fn beat(&self, patience: Duration, at_most: Duration) -> Result<(), StoreError> {
        let beat = self.store.instance_beat();
        self.store.within_at_work(patience, at_most, beat).await
    }

    /// Sessions but this one and those that have only just come.
    async fn sessions(&self) -> i64 {
        let sql = "select count(*) from pg_stat_activity where datname = current_database()
                   and pid <> pg_backend_pid() and query like '%heartbeat_at%'";
        self.app.query_one(sql, &[]).await.unwrap().get(0)
    }
}

#[tokio::test]
async fn a_server_that_is_at_work_is_waited_for() {
    let check = async |patience: Duration, at_most: Duration, waited_for: bool| {
        let place = Place::new().await;
        let slow = "create function slow() returns trigger language plpgsql as
                    $$ begin perform pg_sleep(3.5); return null; end $$;
                    create trigger slow before update on punctual.instances
                    for each statement execute function slow()";
        place.app.batch_execute(slow).await.unwrap();
        let done = place.beat(patience, at_most).await;
        let silent = matches!(done, Err(StoreError::Silent { .. }));
        assert!(done.is_ok() == waited_for, "{patience:?} {done:?}");
        assert!(silent != waited_for, "{patience:?} {done:?}");
    };
    tokio::join!(
        check(8 * SECOND, 8 * SECOND, true),
        check(SECOND * 3 / 2, 20 * SECOND, true),
        check(SECOND * 3 / 2, SECOND * 2, false),
    );
}

#[tokio::test]
async fn a_mute_connection_is_left_at_once_and_ended() {
    let check = async |ways: &[Way]| {
        let place = Place::new().await;
        place.beat(20 * SECOND, 20 * SECOND).await.unwrap();
        assert_eq!(place.sessions().await, 1);
        assert_eq!(place.proxy.silence(false, ways), 1);
        let began = Instant::now();
        let done = place.beat(15 * SECOND, 15 * SECOND).await;
        let took = began.elapsed();
        assert!(matches!(done, Err(StoreError::Mute)), "{ways:?} {done:?}");
        println!("figure: mute {ways:?}: found after {took:.1?}");
        assert!(took < 10 * SECOND, "{ways:?} {took:?}");
        until("its session is ended", async || {
            (place.sessions().await == 0).then_some(())
        })
        .await;
        place.beat(20 * SECOND, 20 * SECOND).await.unwrap();
    };
    tokio::join!(
        check(&[Way::Up]),
        check(&[Way::Down]),
        check(&[Way::Up, Way::Down]),
    );
}
