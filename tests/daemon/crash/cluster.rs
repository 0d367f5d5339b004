//! A Postgres whose commits reach the disk, and a database of its own for each world.

use std::sync::atomic::{AtomicU32, Ordering};

use punctual::demo::postgres::{Options, PrivatePostgres};
use punctual::store::Migrator;
use tokio::sync::OnceCell;
use tokio_postgres::Client;

use crate::harness::{dsn, prepare_for_feeds, session, settings_for_feeds};

const TEMPLATE: &str = "kill_template";

/// Dozens of daemons, each with a pool.
const CONNECTIONS: &str = "400";

/// Started on first use; its guardian ends it with this process.
async fn server() -> &'static PrivatePostgres {
    static SERVER: OnceCell<PrivatePostgres> = OnceCell::const_new();
    let start = async || {
        let options = Options {
            settings: [
                settings_for_feeds(),
                vec![("max_connections".into(), CONNECTIONS.into())],
            ]
            .concat(),
            ..Options::default()
        };
        let start = || PrivatePostgres::start(options).expect("a private Postgres");
        let server = tokio::task::spawn_blocking(start).await.unwrap();
        let admin = session(&dsn(&server, "postgres")).await;
        let sql = format!("create database {TEMPLATE}");
        admin.batch_execute(&sql).await.unwrap();
        let template = dsn(&server, TEMPLATE);
        Migrator::embedded().run(&template).await.unwrap();
        prepare_for_feeds(&template).await;
        server
    };
    SERVER.get_or_init(start).await
}

/// A migrated database: its URL, and a session in it.
pub(crate) async fn database() -> (String, Client) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = server().await;
    let name = format!("kill_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let admin = session(&dsn(server, "postgres")).await;
    let sql = format!("create database {name} template {TEMPLATE}");
    admin.batch_execute(&sql).await.unwrap();
    (server.url(&name), session(&dsn(server, &name)).await)
}
