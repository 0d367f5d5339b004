//! Claims, and the states of rows for an instance that wants to claim them.

use std::collections::HashMap;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::facts;
use super::rows::{read_claim, read_state};
use crate::message::{
    AccountNumber, AttemptToken, Claim, ClaimResponse, LaneKey, MessageId, Moment, RowState,
};
use crate::schedule::LEAD_MAX;
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
    /// Claims messages under tokens drawn for them, those that name no account each by the one that was chosen for it.
    /// Rows that were not won are read again, so that the result says why. After an error other than a refusal the
    /// claim may be committed nonetheless.
    pub async fn claim(
        &self,
        asks: &[(MessageId, AttemptToken, Option<AccountNumber>)],
        lease: Duration,
    ) -> Result<Claimed, StoreError> {
        const STEP: &str = "claiming messages";
        let ids: Vec<Uuid> = asks.iter().map(|(id, ..)| id.0).collect();
        let tokens: Vec<Uuid> = asks.iter().map(|(_, token, _)| token.0).collect();
        let via: Vec<Option<&str>> = asks.iter().map(|(.., via)| self.account(*via)).collect();
        let claimed = self
            .claim_rows(CLAIM, STEP, (&ids, &tokens, &via), lease, &[])
            .await?;
        let by_token: HashMap<Uuid, &str> = tokens
            .iter()
            .zip(&via)
            .filter_map(|(t, v)| Some((*t, (*v)?)))
            .collect();
        let (opted_out, now) = (claimed.opted_out, claimed.now);
        let mut won = HashMap::with_capacity(claimed.rows.len());
        for row in &claimed.rows {
            let claim = self
                .read_won(row, &by_token)
                .map_err(StoreError::unreadable(STEP))?;
            won.insert(claim.id, claim);
        }
        let lost: Vec<MessageId> = asks
            .iter()
            .map(|(id, ..)| *id)
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
            .map(|(id, ..)| {
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

    /// The account of a number; `None`: that of rows that name none.
    pub(super) fn account(&self, via: Option<AccountNumber>) -> Option<&str> {
        self.routes.numbered(via?)
    }

    /// What was won under one of these tokens, by the account that was chosen for it.
    pub(super) fn read_won(
        &self,
        row: &Row,
        via: &HashMap<Uuid, &str>,
    ) -> Result<Claim, tokio_postgres::Error> {
        let via = via.get(&row.try_get("token")?).copied();
        read_claim(
            row,
            &self.routes,
            Some(via.unwrap_or(LaneKey::DEFAULT_ACCOUNT)),
        )
    }

    /// Makes one of the two claims, of messages or from paces (`what`), under these tokens and by these accounts. What
    /// it won is committed.
    pub(super) async fn claim_rows(
        &self,
        sql: &'static Sql,
        step: &'static str,
        (what, tokens, via): (&[Uuid], &[Uuid], &[Option<&str>]),
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
        let (zone, senders) = (&*self.timezone, self.routes.senders_of_routes());
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
            &via,
            &senders,
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
