//! Records what the provider accepted: ledger, row and the app's tables in one statement.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Object;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::outcomes::{Recorded, Records, body};
use crate::message::{AttemptToken, MessageId};
use crate::policy::Cleared;
use crate::settle::{Record, Settlement};
use crate::store::app::rows::warn_of_refusal;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, micros, millis, prepared};

pub(in crate::store) static RECORD_ACCEPTED: &Sql = sql!("sql/record_accepted.sql");
static RECORD_LOST: &Sql = sql!("sql/record_lost.sql");

const STEP: &str = "recording accepted messages";

impl Store {
    /// Records what was accepted. Locked rows are missing in `done` afterwards.
    pub(super) async fn record_accepted(
        &self,
        records: &Records<'_>,
        versions: &HashMap<MessageId, i64>,
        done: &mut Recorded,
    ) -> Result<(), StoreError> {
        let (mark, _) = self.history_check();
        let client = self.client().await?;
        self.merge(&client, RECORD_ACCEPTED, records, versions, done)
            .await?;
        let left = |r: &&&Record<Arc<Cleared>>| !done.contains_key(&r.token);
        let left: Vec<_> = records.iter().filter(left).copied().collect();
        if left.is_empty() {
            return Ok(());
        }
        let entered = self
            .merge(&client, RECORD_LOST, &left, versions, done)
            .await?;
        // The database had lost a claim that is checked for. It has been entered again, so no check would notice.
        if let Some(lineage) = &self.lineage
            && lineage.witness(|own| entered.iter().any(|token| own.checks_claim(*token)))
        {
            lineage.lost(mark);
        }
        Ok(())
    }

    /// Returns the attempts that the database had lost.
    async fn merge(
        &self,
        client: &Object,
        sql: &'static Sql,
        records: &Records<'_>,
        versions: &HashMap<MessageId, i64>,
        done: &mut Recorded,
    ) -> Result<Vec<AttemptToken>, StoreError> {
        let (mut entered, mut without_effect, mut finished) = (Vec::new(), Vec::new(), 0);
        let mut columns = Columns::default();
        for record in records {
            columns.push(record, versions, self.part_gap);
        }
        let c = &columns;
        let ask_ms = self.look_up_after.map(millis);
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![
            &c.id,
            &c.token,
            &c.sid,
            &c.started,
            &c.finished,
            &ask_ms,
            &c.body,
            &c.from,
            &c.to,
            &c.version,
            &c.part,
            &c.parts,
            &c.gap,
            &c.lawful,
        ];
        if std::ptr::eq(sql, RECORD_LOST) {
            params.push(&self.instance.0);
            params.push(&c.account);
        }
        let statement = prepared(client, sql, STEP).await?;
        let rows = client.query(&statement, &params).await;
        for row in &rows.map_err(StoreError::at(STEP))? {
            let read = || -> Result<_, tokio_postgres::Error> {
                let token: Option<Uuid> = row.try_get("token")?;
                Ok((token, row.try_get("what")?, row.try_get("refusal")?))
            };
            let (token, what, refusal): (_, &str, Option<&str>) =
                read().map_err(StoreError::unreadable(STEP))?;
            let token = token.map(AttemptToken);
            match (what, token, refusal) {
                ("done", Some(token), _) => {
                    finished += 1;
                    done.insert(token, None);
                }
                ("recovered", Some(token), _) => entered.push(token),
                ("doubled", Some(token), _) => {
                    if let Some(record) = records.iter().find(|r| r.token == token) {
                        self.doubled(record.id, token);
                    }
                }
                ("no effect", Some(token), _) => {
                    let record = records.iter().find(|r| r.token == token);
                    without_effect.extend(record.map(|r| r.id));
                }
                ("refused", _, Some(refusal)) => warn_of_refusal(refusal),
                // The row or attempt is missing: the other statement handles it.
                _ => {}
            }
        }
        if std::ptr::eq(sql, RECORD_ACCEPTED) {
            self.effects.note(&without_effect, finished);
        }
        Ok(entered)
    }
}

/// The parameters of both statements, a column each.
#[derive(Default)]
struct Columns<'a> {
    id: Vec<Uuid>,
    token: Vec<Uuid>,
    sid: Vec<&'a str>,
    started: Vec<Option<PgTimestamp>>,
    finished: Vec<Option<PgTimestamp>>,
    body: Vec<Option<&'a str>>,
    from: Vec<Option<&'a str>>,
    to: Vec<Option<&'a str>>,
    version: Vec<Option<i64>>,
    part: Vec<i16>,
    parts: Vec<i16>,
    gap: Vec<Option<i64>>,
    lawful: Vec<Option<&'a str>>,
    account: Vec<Option<&'a str>>,
}

impl<'a> Columns<'a> {
    fn push(
        &mut self,
        record: &'a Record<Arc<Cleared>>,
        versions: &HashMap<MessageId, i64>,
        part_gap: Duration,
    ) {
        let Settlement::Accepted { sid } = &record.settlement else {
            unreachable!("partitioned by the caller");
        };
        let sent = record.payload.as_ref();
        self.id.push(record.id.0);
        self.token.push(record.token.0);
        self.sid.push(&sid.0);
        self.started.push(record.started.map(PgTimestamp));
        self.finished.push(record.finished.map(PgTimestamp));
        self.body.push(body(record));
        self.from
            .push(sent.and_then(|sent| Some(sent.from()?.as_str())));
        self.to.push(sent.map(|sent| sent.to().as_str()));
        self.account.push(sent.map(|sent| sent.lane().account()));
        self.lawful
            .push(sent.and_then(|sent| Some(sent.lawful()?.by.as_str())));
        self.version.push(versions.get(&record.id).copied());
        let (part, id) = (record.part, record.id);
        self.part.push(part.before);
        self.parts.push(part.of);
        self.gap
            .push(part.has_next().then(|| micros(part.gap(part_gap, id))));
    }
}
