//! Puts messages into the table that the app's users read: what the provider `in_app` sends to.
//!
//! With connections of its own, so that a herd of these messages holds up no claim and no record.

use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use futures_util::future::{self, BoxFuture, FutureExt as _};
use tokio::time::timeout;
use tokio_postgres::types::ToSql;

use crate::clock::Stopwatch;
use crate::message::MessageId;
use crate::provider::in_app::{CONNECTIONS, Inbox, Item, Put};
use crate::store::{Dsn, Sql, StoreError, prepared};

static PUT: &Sql = sql!("sql/in_app_put.sql");
static HAS: &Sql = sql!("sql/in_app_has.sql");

const STEP: &str = "putting a message into the app's table";

/// Nothing was written, or it is not known: the caller says which.
const SILENT: &str = "the database did not respond in time";

/// The table, over connections that are made when they are first needed.
pub struct InAppMessages {
    pool: Pool,
}

impl InAppMessages {
    /// Of this database.
    pub fn of(dsn: &Dsn) -> Self {
        Self {
            pool: dsn.pool(CONNECTIONS),
        }
    }

    async fn look(&self, message: MessageId, part: i16) -> Option<bool> {
        let client = self.pool.get().await.ok()?;
        let statement = prepared(&client, HAS, STEP).await.ok()?;
        let values: [&(dyn ToSql + Sync); 2] = [&message.0, &i32::from(part)];
        let row = client.query_one(&statement, &values).await.ok()?;
        row.try_get(0).ok()
    }

    async fn attempt(&self, item: Item<'_>, within: Duration) -> Put {
        let began = Stopwatch::start();
        let left = || within.saturating_sub(began.elapsed());
        let client = match timeout(left(), self.pool.get()).await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => return Put::Not(StoreError::Connect(error).to_string()),
            Err(_) => return Put::Not(SILENT.to_owned()),
        };
        let statement = timeout(left(), prepared(&client, PUT, STEP)).await;
        let statement = match statement {
            Ok(Ok(statement)) => statement,
            Ok(Err(error)) if is_of_all(&error) => return Put::RefusesAll(error.to_string()),
            Ok(Err(error)) => return Put::Not(error.to_string()),
            Err(_) => {
                leave(client);
                return Put::Not(SILENT.to_owned());
            }
        };
        let part = i32::from(item.part);
        let values: [&(dyn ToSql + Sync); 6] = [
            &item.message.0,
            &part,
            &item.user,
            &item.kind,
            &item.subject,
            &item.body,
        ];
        let done = timeout(left(), client.execute(&statement, &values)).await;
        match done {
            Ok(Ok(_)) => Put::Done,
            Ok(Err(error)) => outcome(&StoreError::at(STEP)(error)),
            Err(_) => {
                leave(client);
                Put::Unknown(SILENT.to_owned())
            }
        }
    }
}

/// Closes a connection that does not respond: the next message would wait as long for it.
fn leave(client: Object) {
    drop(Object::take(client));
}

/// Whether the same would be refused of any other message: there is no right, or no such table.
pub(super) fn is_of_all(error: &StoreError) -> bool {
    match error {
        StoreError::Query { source, .. } => source
            .code()
            .is_some_and(|code| code.code().starts_with("42")),
        _ => false,
    }
}

fn outcome(error: &StoreError) -> Put {
    let text = error.to_string();
    if !error.is_refusal() {
        Put::Unknown(text)
    } else if error.is_about_a_row() {
        Put::Refused(text)
    } else if is_of_all(error) {
        Put::RefusesAll(text)
    } else {
        Put::Not(text)
    }
}

impl Inbox for InAppMessages {
    fn put<'a>(&'a self, item: Item<'a>, within: Duration) -> BoxFuture<'a, Put> {
        self.attempt(item, within).boxed()
    }

    fn has(&self, message: MessageId, part: i16, within: Duration) -> BoxFuture<'_, Option<bool>> {
        // A connection that does not respond is left by the next message that is put.
        let look = timeout(within, self.look(message, part));
        look.map(|looked| looked.ok().flatten()).boxed()
    }

    fn open(&self) -> BoxFuture<'_, ()> {
        async {
            let opened = future::join(self.pool.get(), self.pool.get()).await;
            // Both are free again only now, so that they are two.
            drop(opened);
        }
        .boxed()
    }
}
