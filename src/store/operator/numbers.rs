//! The numbers of messages that are due later, checked ahead of time so that people can correct them.

use std::time::Duration;

use tokio_postgres::Row;

use crate::message::{MessageId, Moment, NumberFault, Sender};
use crate::policy::Rules;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, prepared};

static AHEAD: &Sql = sql!("sql/numbers_ahead.sql");
static KEEP: &Sql = sql!("sql/number_faults_keep.sql");
static COUNT: &Sql = sql!("sql/number_faults_count.sql");

/// The messages of one instant that are read at once. Of a larger herd the others are judged by their claims alone.
const HERD_MAX: i64 = 50_000;

/// Faults are counted up to this.
const COUNT_MAX: i64 = 10_000;

/// A pending message, as far as its number matters.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// Which one.
    pub id: MessageId,
    /// When it is due.
    pub due: Moment,
    /// Its row's `version`.
    pub version: i64,
    /// As the row has it; `None`: it is no text message.
    pub to_number: Option<String>,
    /// The sender of a text message that names one.
    pub from_number: Option<String>,
}

/// Some of the messages that will be due within a time.
#[derive(Clone, Debug)]
pub struct Recipients {
    /// In the order of their due times.
    pub all: Vec<Recipient>,
    /// No message that is due until then is left out.
    pub until: Moment,
    /// Whether there may be more of them.
    pub has_more: bool,
}

impl Recipients {
    /// Those whose numbers have a fault, or that the guards of these rules keep from texts. What is not even a number
    /// in its form is another check's (`triggers/validate.sql`).
    pub fn faults(&self, rules: &Rules) -> Vec<(Recipient, NumberFault)> {
        let default = rules.default_sender.as_ref().map(Sender::as_str);
        let fault = |one: &Recipient| {
            let number = one.to_number.as_deref()?.parse().ok()?;
            let from = one.from_number.as_deref().or(default);
            // A text to a premium-rate number may be wanted.
            let own = NumberFault::of(&number).filter(|fault| *fault != NumberFault::Premium);
            let fault = own.or_else(|| rules.guards.fault_ahead(&number, from));
            Some((one.clone(), fault?))
        };
        self.all.iter().filter_map(fault).collect()
    }
}

impl Store {
    /// The messages that will be due within `ahead` and have not been checked so far ahead, some `most` of them.
    pub async fn recipients_ahead(
        &self,
        ahead: Duration,
        most: u32,
    ) -> Result<Recipients, StoreError> {
        const STEP: &str = "reading numbers ahead";
        let client = self.client().await?;
        let statement = prepared(&client, AHEAD, STEP).await?;
        let rows = client
            .query(&statement, &[&seconds(ahead), &i64::from(most), &HERD_MAX])
            .await
            .map_err(StoreError::at(STEP))?;
        let read = || -> Result<Recipients, tokio_postgres::Error> {
            let mut until = Moment::MIN;
            let mut all = Vec::with_capacity(rows.len());
            for row in &rows {
                until = row.try_get::<_, PgTimestamp>("until")?.0;
                all.extend(recipient(row)?);
            }
            let has_more = all.len() >= usize::try_from(most).unwrap_or(usize::MAX);
            if has_more {
                until = all.last().map_or(until, |last| last.due);
            }
            Ok(Recipients {
                all,
                until,
                has_more,
            })
        };
        read().map_err(StoreError::unreadable(STEP))
    }

    /// Records these faults, and that all that is due until then has been checked so far ahead. Forgets at most `most`
    /// that are over.
    pub async fn keep_number_faults(
        &self,
        ahead: Duration,
        until: Moment,
        faults: &[(Recipient, NumberFault)],
        most: u32,
    ) -> Result<(), StoreError> {
        const STEP: &str = "recording the faults of numbers";
        let ids: Vec<_> = faults.iter().map(|(one, _)| one.id.0).collect();
        let words: Vec<_> = faults.iter().map(|(_, fault)| fault.as_str()).collect();
        let due: Vec<_> = faults.iter().map(|(one, _)| PgTimestamp(one.due)).collect();
        let versions: Vec<_> = faults.iter().map(|(one, _)| one.version).collect();
        let client = self.client().await?;
        let statement = prepared(&client, KEEP, STEP).await?;
        client
            .execute(
                &statement,
                &[
                    &ids,
                    &words,
                    &due,
                    &versions,
                    &seconds(ahead),
                    &PgTimestamp(until),
                    &i64::from(most),
                ],
            )
            .await
            .map_err(StoreError::at(STEP))?;
        Ok(())
    }

    /// How many pending messages have a number with a fault, as far as they have been checked, up to a bound.
    pub async fn count_number_faults(&self) -> Result<u64, StoreError> {
        const STEP: &str = "counting the faults of numbers";
        let client = self.client().await?;
        let statement = prepared(&client, COUNT, STEP).await?;
        let row = client.query_one(&statement, &[&COUNT_MAX]).await;
        let n: i64 = row
            .map_err(StoreError::at(STEP))?
            .try_get("n")
            .map_err(StoreError::unreadable(STEP))?;
        Ok(n.unsigned_abs())
    }
}

fn recipient(row: &Row) -> Result<Option<Recipient>, tokio_postgres::Error> {
    let Some(id) = row.try_get("id")? else {
        return Ok(None);
    };
    Ok(Some(Recipient {
        id: MessageId(id),
        due: row.try_get::<_, PgTimestamp>("due")?.0,
        version: row.try_get("version")?,
        to_number: row.try_get("to_number")?,
        from_number: row.try_get("from_number")?,
    }))
}

fn seconds(d: Duration) -> i64 {
    i64::try_from(d.as_secs()).unwrap_or(i64::MAX)
}
