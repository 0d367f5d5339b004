//! Rows in any state, and sessions that hear what Postgres sends them.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use tokio::sync::mpsc;
use tokio_postgres::types::{FromSqlOwned, ToSql};
use tokio_postgres::{AsyncMessage, Client};
use uuid::Uuid;

use crate::harness::TestDb;

/// A database with the schema, a session of the app's and one that no trigger sees.
pub(crate) struct World {
    pub(crate) db: TestDb,
    pub(crate) user: Client,
    pub(crate) unseen: Client,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::over(TestDb::new().await).await
    }

    pub(crate) async fn over(db: TestDb) -> Self {
        let (user, unseen) = (db.client().await, db.client().await);
        let quiet = "set session_replication_role = replica; set punctual.notify = 'off'";
        run(&unseen, quiet).await;
        Self { db, user, unseen }
    }

    /// A row in this state, due an hour ago to an hour from now: `columns` and `values` add to
    /// it and no trigger looks.
    pub(crate) async fn row_with(&self, status: &str, columns: &str, values: &str) -> Uuid {
        let sql = format!(
            "insert into scheduled_messages (to_number, body, status, scheduled_at {columns})
             values ('+13105550100', 'hello', '{status}', clock_timestamp() {values}) returning id"
        );
        one(&self.unseen, &sql).await
    }

    pub(crate) async fn row(&self, status: &str) -> Uuid {
        self.row_with(status, "", "").await
    }

    /// `n` rows in this state.
    pub(crate) async fn rows(&self, n: usize, status: &str) -> Vec<Uuid> {
        let mut ids = Vec::with_capacity(n);
        for _ in 0..n {
            ids.push(self.row(status).await);
        }
        ids.sort_unstable();
        ids
    }

    /// One column of one row.
    pub(crate) async fn get<T: FromSqlOwned>(&self, id: Uuid, what: &str) -> T {
        let sql = format!("select {what} from scheduled_messages where id = '{id}'");
        one(&self.unseen, &sql).await
    }

    pub(crate) async fn status(&self, id: Uuid) -> String {
        self.get(id, "status").await
    }

    /// How often each of these is in each state, as `pending 2, sent 1`.
    pub(crate) async fn tally(&self) -> String {
        let sql =
            "select coalesce(string_agg(format('%s %s', status, n), ', ' order by status), '')
                     from (select status, count(*) as n from scheduled_messages group by 1) t";
        one(&self.unseen, sql).await
    }

    /// A session as the daemon has it.
    pub(crate) async fn daemon(&self) -> Client {
        let client = self.db.client().await;
        punctual::store::connect::prepare_session(&client)
            .await
            .unwrap();
        client
    }
}

pub(crate) async fn run(client: &Client, sql: &str) {
    if let Err(error) = client.batch_execute(sql).await {
        panic!("{sql}: {}", said(&error));
    }
}

/// The server's major version.
pub(crate) async fn server_version(client: &Client) -> i32 {
    one(
        client,
        "select current_setting('server_version_num')::int / 10000",
    )
    .await
}

pub(crate) async fn one<T: FromSqlOwned>(client: &Client, sql: &str) -> T {
    match client.query_one(sql, &[]).await {
        Ok(row) => row.get(0),
        Err(error) => panic!("{sql}: {}", said(&error)),
    }
}

/// How many rows a statement touched.
pub(crate) async fn count(client: &Client, sql: &str, params: &[&(dyn ToSql + Sync)]) -> u64 {
    match client.execute(sql, params).await {
        Ok(n) => n,
        Err(error) => panic!("{sql}: {}", said(&error)),
    }
}

/// What the guard says to a statement that it refuses; nothing else may refuse it.
pub(crate) async fn refused(client: &Client, sql: &str) -> String {
    let Err(error) = client.batch_execute(sql).await else {
        panic!("not refused: {sql}");
    };
    let db = error.as_db_error().expect("an answer of the server");
    assert_eq!(db.code().code(), "PT409", "{sql}: {}", said(&error));
    for private in ["+1310", "hello"] {
        let all = format!("{db:?}");
        assert!(!all.contains(private), "{all}");
    }
    db.message().to_owned()
}

pub(crate) fn said(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => format!("{error:?}"),
    }
}

/// A session that hears: warnings of its own statements, and notices if it listens.
pub(crate) async fn hearing(db: &TestDb) -> (Client, mpsc::UnboundedReceiver<AsyncMessage>) {
    let (client, mut connection) = db.dsn().connect().await.unwrap();
    let (sender, hears) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut messages = poll_fn(move |cx| connection.poll_message(cx));
        while let Some(Ok(message)) = messages.next().await {
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    (client, hears)
}

/// Waits until a question about the database is answered with yes; fails after a minute.
pub(crate) async fn until(client: &Client, question: &str) {
    let asked = async {
        while !one::<bool>(client, &format!("select ({question})")).await {
            run(client, "select pg_sleep(0.005)").await;
        }
    };
    let patience = Duration::from_secs(60);
    let answered = tokio::time::timeout(patience, asked).await;
    assert!(answered.is_ok(), "still not: {question}");
}
