//! Claims, and the states of rows for an instance that wants to claim them.

use std::collections::HashMap;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::facts;
use super::paces::shown;
use crate::message::{
    AttemptToken, Channel, Claim, ClaimResponse, LaneKey, MessageId, Moment, PaceDue, PaceId, Part,
    Priority, Routes, RowState, Status,
};
use crate::schedule::LEAD_MAX;
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, micros, millis, prepared};

pub(in crate::store) static CLAIM: &Sql = sql!("sql/claim.sql");
pub(in crate::store) static READ_ROWS: &Sql = sql!("sql/read_rows.sql");

/// The result of a claim.
#[derive(Debug)]
pub struct Claimed {
    /// One result for each requested id.
    pub answers: Vec<(MessageId, ClaimResponse<Claim>)>,
    /// The database's clock during the statement, if the response has it.
    pub now: Option<Moment>,
}

/// What a claim won.
pub(super) struct ClaimRows {
    pub(super) rows: Vec<Row>,
    /// What was cancelled instead, because the recipients have opted out.
    pub(super) opted_out: HashMap<MessageId, Row>,
    /// The database's clock during the statement, if there is a row.
    pub(super) now: Option<Moment>,
}

impl Store {
    /// Claims messages under tokens drawn for them. Rows that were not won are read again, so that
    /// the result says why. After an error other than a refusal the claim may be committed
    /// nonetheless.
    pub async fn claim(
        &self,
        asks: &[(MessageId, AttemptToken)],
        lease: Duration,
    ) -> Result<Claimed, StoreError> {
        const STEP: &str = "claiming messages";
        let ids: Vec<Uuid> = asks.iter().map(|(id, _)| id.0).collect();
        let tokens: Vec<Uuid> = asks.iter().map(|(_, token)| token.0).collect();
        let claimed = self
            .claim_rows(CLAIM, STEP, (&ids, &tokens), lease, &[])
            .await?;
        let (opted_out, now) = (claimed.opted_out, claimed.now);
        let mut won = HashMap::with_capacity(claimed.rows.len());
        for row in &claimed.rows {
            let claim = read_claim(row, &self.routes).map_err(StoreError::unreadable(STEP))?;
            won.insert(claim.id, claim);
        }
        let lost: Vec<MessageId> = asks
            .iter()
            .map(|(id, _)| *id)
            .filter(|id| !won.contains_key(id) && !opted_out.contains_key(id))
            .collect();
        let mut states: HashMap<_, _> = match self.read_lost(&lost).await {
            Ok(states) => states.into_iter().collect(),
            // Nothing was claimed, so nothing is lost.
            Err(error) if won.is_empty() && opted_out.is_empty() => return Err(error),
            // What was won is claimed, even though the read failed, and must be sent on time: an
            // error, in particular a refusal, would say that it is not. The others count as another
            // instance's for now; they are read again when the watch on them ends.
            Err(error) => {
                tracing::warn!(messages = lost.len(), %error, "rows that another instance claimed could not be read");
                let somebodys = Found {
                    state: RowState::Sending {
                        lease_until: Moment::MIN,
                        // Unknown; the next read shows it.
                        lane: LaneKey::default(),
                    },
                    is_paused: false,
                };
                lost.iter().map(|id| (*id, somebodys.clone())).collect()
            }
        };
        let answers = asks
            .iter()
            .map(|(id, _)| {
                let answer = match won.remove(id) {
                    Some(claim) => ClaimResponse::Won(claim),
                    None if opted_out.contains_key(id) => ClaimResponse::OptedOut,
                    None => states.remove(id).map_or(
                        ClaimResponse::Lost(RowState::Gone { status: None }),
                        Found::lost,
                    ),
                };
                (*id, answer)
            })
            .collect();
        Ok(Claimed { answers, now })
    }

    /// Makes one of the two claims, of messages or from paces (`what`), under these tokens. What it won is committed.
    pub(super) async fn claim_rows(
        &self,
        sql: &'static Sql,
        step: &'static str,
        (what, tokens): (&[Uuid], &[Uuid]),
        lease: Duration,
        more: &[&(dyn ToSql + Sync)],
    ) -> Result<ClaimRows, StoreError> {
        let client = self.client().await?;
        let claim = prepared(&client, sql, step).await?;
        let (mark, expected) = self.history_check();
        let (lease, lead, sender) = (
            millis(lease),
            micros(LEAD_MAX),
            self.default_sender.as_deref(),
        );
        let zone = &*self.timezone;
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![
            &what,
            &tokens,
            &self.instance.0,
            &lease,
            &lead,
            &sender,
            &zone,
            &self.app_counts,
            &expected.beats,
            &expected.claimed,
            &expected.recorded,
            &*self.account_of_sender,
        ];
        params.extend(more);
        let rows = client
            .query(&claim, &params)
            .await
            .inspect_err(|error| self.refused(error, mark))
            .map_err(StoreError::at(step))?;
        drop(client);
        let (mut won, mut opted_out, mut first) = (Vec::new(), HashMap::new(), None);
        for row in rows {
            match facts::token(&row).map_err(StoreError::unreadable(step))? {
                (_, Some(at)) => {
                    first = first.or(Some(at));
                    won.push(row);
                }
                (id, None) => drop(opted_out.insert(id, row)),
            }
        }
        let witness = first.map(|(token, _)| token);
        if let Some(lineage) = &self.lineage
            && !lineage.witness(|own| own.claimed(mark, witness))
        {
            return Err(StoreError::AnotherHistory);
        }
        Ok(ClaimRows {
            now: first.map(|(_, now)| now),
            rows: won,
            opted_out,
        })
    }

    async fn read_lost(&self, ids: &[MessageId]) -> Result<Vec<(MessageId, Found)>, StoreError> {
        // The usual case: everything was won, and a round trip is saved.
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.find(ids).await
    }

    /// The states of these rows. One result for each id.
    pub async fn read(&self, ids: &[MessageId]) -> Result<Vec<(MessageId, RowState)>, StoreError> {
        let found = self.find(ids).await?;
        Ok(found
            .into_iter()
            .map(|(id, found)| (id, found.state))
            .collect())
    }

    async fn find(&self, ids: &[MessageId]) -> Result<Vec<(MessageId, Found)>, StoreError> {
        const STEP: &str = "reading messages";
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let client = self.client().await?;
        let read = prepared(&client, READ_ROWS, STEP).await?;
        let rows = client
            .query(&read, &[&ids, &self.default_sender.as_deref()])
            .await
            .map_err(StoreError::at(STEP))?;
        let one = |row: &Row| {
            let found = Found {
                state: read_state(row, &self.routes)?,
                is_paused: row.try_get("is_paused")?,
            };
            Ok((MessageId(row.try_get("id")?), found))
        };
        rows.iter()
            .map(one)
            .collect::<Result<_, _>>()
            .map_err(StoreError::unreadable(STEP))
    }
}

/// A row that was read.
#[derive(Clone)]
struct Found {
    state: RowState,
    is_paused: bool,
}

impl Found {
    /// The response to a claim that did not win it.
    fn lost(self) -> ClaimResponse<Claim> {
        match self.state {
            state @ RowState::Pending { .. } if self.is_paused => ClaimResponse::Paused(state),
            state @ RowState::Pending { pace: Some(_), .. } => ClaimResponse::Paced(state),
            state => ClaimResponse::Lost(state),
        }
    }
}

pub(in crate::store) fn read_claim(
    row: &Row,
    routes: &Routes,
) -> Result<Claim, tokio_postgres::Error> {
    Ok(Claim {
        id: MessageId(row.try_get("id")?),
        token: AttemptToken(row.try_get("token")?),
        number: row.try_get("number")?,
        attempts_before: row.try_get("attempts_before")?,
        max_attempts: row.try_get("max_attempts")?,
        due: row.try_get::<_, PgTimestamp>("due")?.0,
        wanted_at: row.try_get::<_, PgTimestamp>("wanted_at")?.0,
        is_retry: row.try_get("is_retry")?,
        send_before: row
            .try_get::<_, Option<PgTimestamp>>("send_before")?
            .map(|at| at.0),
        lane: lane(row, claim_address(row)?, routes)?,
        to_number: row.try_get("to_number")?,
        from_number: row.try_get("from_number")?,
        body: row.try_get("body")?,
        part: Part {
            before: row.try_get("part")?,
            of: row.try_get("parts")?,
        },
        part_text: row.try_get("part_text")?,
        campaign: row.try_get("campaign_id")?,
        facts: facts::read(row)?,
    })
}

/// Reads `status, version, attempts, due, channel, account, lane_address, written` and, for a row being sent,
/// `lease_until`.
fn read_state(row: &Row, routes: &Routes) -> Result<RowState, tokio_postgres::Error> {
    let status: Option<&str> = row.try_get("status")?;
    let Some(status) = status.and_then(|s| s.parse::<Status>().ok()) else {
        return Ok(RowState::Gone { status: None });
    };
    Ok(match status {
        Status::Pending => {
            let mut state = pending(row, written(row)?, routes)?;
            if let RowState::Pending {
                due, lane, pace, ..
            } = &mut state
            {
                *pace = pace_of(row, *due, lane)?.map(Box::new);
            }
            state
        }
        Status::Sending => RowState::Sending {
            lease_until: row
                .try_get::<_, Option<PgTimestamp>>("lease_until")?
                .map_or(Moment::MIN, |at| at.0),
            lane: lane(row, lane_address(row)?, routes)?,
        },
        status => RowState::Gone {
            status: Some(status),
        },
    })
}

/// Reads `pace, pace_scope, pace_what, pace_next_at` of a row with this due time and lane.
fn pace_of(
    row: &Row,
    due: Moment,
    lane: &LaneKey,
) -> Result<Option<PaceDue>, tokio_postgres::Error> {
    let Some(id) = row.try_get("pace")? else {
        return Ok(None);
    };
    let scope: &str = row.try_get("pace_scope")?;
    let next = row.try_get::<_, PgTimestamp>("pace_next_at")?.0;
    Ok(Some(PaceDue {
        id: PaceId(id),
        scope: scope.to_owned(),
        what: shown(scope, row.try_get("pace_what")?),
        at: next.max(due),
        lane: lane.clone(),
    }))
}

/// Reads `lane_address`: of a webhook the recipient, of a text the sender.
pub(in crate::store) fn lane_address(row: &Row) -> Result<Option<&str>, tokio_postgres::Error> {
    row.try_get("lane_address")
}

/// The same of a claim, which has both.
fn claim_address(row: &Row) -> Result<Option<&str>, tokio_postgres::Error> {
    let channel = Channel::of(row.try_get("channel")?);
    row.try_get(if channel.is_phone() {
        "from_number"
    } else {
        "to_number"
    })
}

/// Reads `channel` and `account`: the lane of a row with this address.
pub(in crate::store) fn lane(
    row: &Row,
    address: Option<&str>,
    routes: &Routes,
) -> Result<LaneKey, tokio_postgres::Error> {
    let channel = Channel::of(row.try_get("channel")?);
    Ok(routes.lane(channel, row.try_get("account")?, address))
}

/// Reads `written`: when a row was inserted or put back last.
pub(super) fn written(row: &Row) -> Result<Option<Moment>, tokio_postgres::Error> {
    let at: Option<PgTimestamp> = row.try_get("written")?;
    Ok(at.map(|at| at.0))
}

/// Reads `version, attempts, due, priority, channel, account, lane_address` of a row that is pending.
pub(in crate::store) fn pending(
    row: &Row,
    written: Option<Moment>,
    routes: &Routes,
) -> Result<RowState, tokio_postgres::Error> {
    Ok(RowState::Pending {
        due: row.try_get::<_, PgTimestamp>("due")?.0,
        version: row.try_get("version")?,
        attempts: row.try_get("attempts")?,
        priority: Priority::of(row.try_get("priority")?),
        lane: lane(row, lane_address(row)?, routes)?,
        written,
        pace: None,
    })
}
