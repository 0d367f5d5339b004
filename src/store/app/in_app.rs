//! Puts messages into the table that the app's users read: what the provider `in_app` sends to.
//!
//! With connections of its own, so that a herd of these messages holds up no claim and no record. A transaction that
//! notifies keeps all others that do from committing until it is on disk, so what waits for a connection is put there
//! in one.

mod queue;

use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use futures_util::future::{self, BoxFuture, FutureExt as _};
use tokio::time::timeout;
use tokio_postgres::types::ToSql;

use self::queue::{Group, Queue};
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
    queue: Queue,
}

impl InAppMessages {
    /// Of this database.
    pub fn of(dsn: &Dsn) -> Self {
        Self {
            pool: dsn.pool(CONNECTIONS),
            queue: Queue::default(),
        }
    }

    async fn look(&self, message: MessageId, part: i16) -> Option<bool> {
        let client = self.pool.get().await.ok()?;
        let statement = prepared(&client, HAS, STEP).await.ok()?;
        let values: [&(dyn ToSql + Sync); 2] = [&message.0, &i32::from(part)];
        let row = client.query_one(&statement, &values).await.ok()?;
        row.try_get(0).ok()
    }

    /// Waits for a connection, and puts all there that wait by then; or hears what another has done who was first.
    async fn attempt(&self, item: Item<'_>, within: Duration) -> Put {
        let began = Stopwatch::start();
        let left = || within.saturating_sub(began.elapsed());
        let (nth, mut done) = self.queue.add(item);
        let client = tokio::select! {
            biased;
            heard = &mut done => return heard.unwrap_or_else(|_| Put::Unknown(SILENT.to_owned())),
            client = timeout(left(), self.pool.get()) => client,
        };
        let not = match client {
            Ok(Ok(client)) => {
                if let Some(group) = self.queue.take_with(nth) {
                    put_all(client, group, &left).await;
                }
                None
            }
            Ok(Err(error)) => Some(StoreError::Connect(error).to_string()),
            Err(_) => Some(SILENT.to_owned()),
        };
        match not {
            Some(reason) if self.queue.remove(nth) => Put::Not(reason),
            _ => match timeout(left(), done).await {
                Ok(Ok(put)) => put,
                _ => Put::Unknown(SILENT.to_owned()),
            },
        }
    }
}

/// Puts these there in one transaction; each in its own, if one of them is refused.
async fn put_all(client: Object, group: Group, left: &(dyn Fn() -> Duration + Sync)) {
    let statement = match timeout(left(), prepared(&client, PUT, STEP)).await {
        Ok(Ok(statement)) => statement,
        Ok(Err(error)) if is_of_all(&error) => {
            return group.notify(&Put::RefusesAll(error.to_string()));
        }
        Ok(Err(error)) => return group.notify(&Put::Not(error.to_string())),
        Err(_) => {
            leave(client);
            return group.notify(&Put::Not(SILENT.to_owned()));
        }
    };
    let mut groups = vec![group];
    while let Some(group) = groups.pop() {
        let done = {
            let values = group.values();
            timeout(left(), client.execute(&statement, &values.parameters())).await
        };
        match done {
            Ok(Ok(_)) => group.notify(&Put::Done),
            Ok(Err(error)) => match (outcome(&StoreError::at(STEP)(error)), group.apart()) {
                (Put::Refused(_), Ok(apart)) => groups.extend(apart.into_iter().rev()),
                (put, Ok(apart)) => {
                    for one in apart {
                        one.notify(&put);
                    }
                }
                (put, Err(one)) => one.notify(&put),
            },
            Err(_) => {
                leave(client);
                group.notify(&Put::Unknown(SILENT.to_owned()));
                // What is left of them was not tried.
                for group in groups {
                    group.notify(&Put::Not(SILENT.to_owned()));
                }
                return;
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
