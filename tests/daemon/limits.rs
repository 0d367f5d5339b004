//! A server that has no connection left for us.

use crate::daemon::{Daemon, set};
use crate::world::{World, admin};

#[tokio::test]
async fn without_a_free_connection_it_says_so_and_recovers() {
    let world = World::new([]).await;
    let admin = admin().await;
    let name: String = {
        let row = world.app.query_one("select current_database()", &[]).await;
        row.unwrap().get(0)
    };
    // Superusers have no limit, and only they may listen to it being changed.
    let role = format!("app_{name}");
    admin
        .batch_execute(&format!(
            "create role {role} superuser login password 'w0rd' connection limit 1"
        ))
        .await
        .unwrap();
    admin
        .batch_execute(&format!("alter role {role} nosuperuser"))
        .await
        .unwrap();
    world
        .app
        .batch_execute(&format!(
            "grant usage on schema punctual, public to {role};
             grant all on all tables in schema punctual, public to {role};
             grant all on all sequences in schema punctual, public to {role};
             grant execute on all functions in schema punctual to {role}"
        ))
        .await
        .unwrap();
    let port = crate::harness::cluster().port();
    let url = format!("postgres://{role}:w0rd@127.0.0.1:{port}/{name}");
    let mut env = world.env.clone();
    set(&mut env, "DATABASE_URL", &url);

    let limit = async |n: u32| {
        let sql = format!("alter role {role} connection limit {n}");
        admin.batch_execute(&sql).await.unwrap();
    };
    let mut daemon = Daemon::start(&env);
    daemon
        .says("the database is not available; waiting for it")
        .await;
    daemon.says("out of connections").await;
    // Room for the heartbeat's, the listener's and one of the four, but not for all.
    limit(5).await;
    daemon.ready().await;
    daemon.says("goes on with fewer").await;
    let few = world.insert("over a few", 100).await;
    world.arrived_once(few).await;
    daemon.stop().await;

    limit(20).await;
    let mut daemon = Daemon::start(&env);
    daemon.ready().await;
    let id = world.insert("during the want", 500).await;
    limit(0).await;
    admin
        .execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = $1",
            &[&role],
        )
        .await
        .unwrap();
    daemon.says("out of connections").await;
    daemon.readyz(503).await;
    limit(20).await;
    daemon.ready().await;
    world.arrived_once(id).await;
    let said = daemon.stop().await;
    assert!(!said.contains("w0rd"), "{said}");
    world
        .app
        .batch_execute(&format!("drop owned by {role}"))
        .await
        .unwrap();
}
