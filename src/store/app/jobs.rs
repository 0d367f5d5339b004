//! Jobs of the app that are sent to its endpoints: keeps what these answer, and finds those that were there before.
//!
//! With connections of their own for answers, so that a herd of jobs holds up no claim and no record.

use std::time::Duration;

use deadpool_postgres::Pool;
use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::time::timeout;

use super::held::Held;
use crate::message::MessageId;
use crate::provider::webhook::{JobAnswer, JobAnswers};
use crate::store::{Dsn, Sql, Store, StoreError, prepared};

static ANSWER: &Sql = sql!("sql/job_answer.sql");
static FOLLOW: &Sql = sql!("sql/jobs_follow.sql");

/// Connections at once. Each answer is one row by its key.
const CONNECTIONS: usize = 4;

/// Jobs that are followed in one transaction.
const AT_ONCE: i32 = 1_000;

/// The table of answers, over connections that are made when they are first needed.
pub struct KeptAnswers {
    pool: Pool,
}

impl KeptAnswers {
    /// Of this database.
    pub fn of(dsn: &Dsn) -> Self {
        Self {
            pool: dsn.pool(CONNECTIONS),
        }
    }

    async fn write(&self, message: MessageId, answer: &JobAnswer) -> Result<(), StoreError> {
        const STEP: &str = "keeping the answer to a job";
        let client = Held::new(self.pool.get().await.map_err(StoreError::Connect)?);
        let statement = prepared(client.get(), ANSWER, STEP).await?;
        let status = i32::from(answer.status);
        // No text in the database has this character.
        let text = answer.text.replace('\0', "");
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
            [&message.0, &status, &text, &answer.is_whole];
        let done = client.get().execute(&statement, &values).await;
        done.map_err(StoreError::at(STEP))?;
        client.release();
        Ok(())
    }
}

impl JobAnswers for KeptAnswers {
    fn keep<'a>(
        &'a self,
        message: MessageId,
        answer: &'a JobAnswer,
        within: Duration,
    ) -> BoxFuture<'a, Result<(), String>> {
        let write = timeout(within, self.write(message, answer));
        write
            .map(|done| match done {
                Ok(done) => done.map_err(|error| error.to_string()),
                Err(_) => Err("the database did not respond in time".to_owned()),
            })
            .boxed()
    }
}

impl Store {
    /// Has jobs followed that were there before their type had a URL, some of them past this key. Returns the last key;
    /// `None`: there are no more.
    pub async fn follow_jobs(&self, past: Option<&str>) -> Result<Option<String>, StoreError> {
        const STEP: &str = "following jobs";
        let client = self.client().await?;
        let statement = prepared(&client, FOLLOW, STEP).await?;
        let row = client.query_one(&statement, &[&past, &AT_ONCE]).await;
        let row = row.map_err(StoreError::at(STEP))?;
        let read = || -> Result<(Option<String>, i32), tokio_postgres::Error> {
            Ok((row.try_get(0)?, row.try_get(1)?))
        };
        let (last, found) = read().map_err(StoreError::unreadable(STEP))?;
        if found > 0 {
            tracing::info!(found, "jobs that waited have a URL now, and are sent");
        }
        Ok(last)
    }
}
