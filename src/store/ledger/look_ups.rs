//! The look-ups that are due, and what the ledger knows about their results.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_postgres::Row;

use crate::message::{AttemptToken, LaneKey, MessageId, Moment, ProviderSid, Routes};
use crate::proof::Price;
use crate::proof::TextKey;
use crate::proof::matching::{ResendReason, SentText, UnconfirmedRow};
use crate::store::path::expiry::RowTimes;
use crate::store::path::rows::{lane, lane_address};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, micros, millis, prepared};

static TAKE: &Sql = sql!("sql/look_ups_take.sql");
static DONE: &Sql = sql!("sql/look_ups_done.sql");
static PRICES: &Sql = sql!("sql/prices_keep.sql");
static RIVALS: &Sql = sql!("sql/look_up_rivals.sql");
static KNOWN: &Sql = sql!("sql/look_up_known.sql");
static KNOWN_APP: &Sql = sql!("sql/look_up_known_app.sql");
static KNOWN_MAPPED: &Sql = sql!("sql/look_up_known_mapped.sql");
static PUT_BACK_ROWS: &Sql = sql!("sql/look_up_put_back_rows.sql");
static PUT_BACK: &Sql = sql!("sql/look_up_put_back.sql");

/// One attempt to look up, reserved for this instance for a while.
#[derive(Clone, Debug)]
pub struct LookUp {
    /// The message.
    pub message: MessageId,
    /// Which part of it, from 1.
    pub part: i16,
    /// The attempt.
    pub token: AttemptToken,
    /// The lane by which it went; where the ledger does not know its account, that of its row, and if that is gone,
    /// that of the text messages of the default account.
    pub lane: LaneKey,
    /// What is looked up.
    pub about: LookUpSubject,
    /// Responses so far.
    pub asked: u32,
    /// When its outcome became uncertain or it was accepted: the request was over, or its instance
    /// was found dead.
    pub asked_since: Moment,
    /// When it was taken, by the clock of the daemon.
    pub now: Moment,
    /// The end of the reservation, which also identifies it.
    reserved_until: Moment,
}

/// What the provider is queried for.
#[derive(Clone, Debug)]
pub enum LookUpSubject {
    /// The status of the message that it has under this id.
    Sid(ProviderSid),
    /// Whether it has the message at all.
    Uncertain(UncertainAttempt),
    /// Nothing: what the query needs is missing.
    Nothing,
}

/// An attempt with an uncertain outcome.
#[derive(Clone)]
pub struct UncertainAttempt {
    /// The earliest time at which the request can have begun.
    pub since: Moment,
    /// What is searched for; `None`: the row was gone before it could be noted.
    pub sought: Option<SentText>,
    /// The row, if this attempt is the one that left it `unconfirmed`.
    pub row: Option<UnconfirmedRow>,
    /// Whether a later attempt of its part was recorded from a journal after a restore.
    pub superseded: bool,
}

/// Without number and text.
impl std::fmt::Debug for UncertainAttempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UncertainAttempt")
            .field("since", &self.since)
            .field("row", &self.row)
            .finish_non_exhaustive()
    }
}

/// The result of one look-up.
#[derive(Clone, Debug)]
pub struct LookUpNote {
    /// Responses so far.
    pub asked: u32,
    /// When it is looked up again; `None`: never.
    pub next: Option<Duration>,
    /// For people.
    pub note: String,
}

/// An unconfirmed message that is sent again.
#[derive(Debug)]
pub struct PutBack<'a> {
    /// The look-up that found nothing.
    pub look_up: &'a LookUp,
    /// What permits it.
    pub by: ResendReason,
    /// Why, for people.
    pub sentence: String,
}

impl Store {
    /// Reserves the look-ups that are due, for `hold`. `now`: by a clock that follows no jump of the database's.
    pub async fn look_ups(
        &self,
        in_doubt: usize,
        accepted: usize,
        hold: Duration,
        now: Moment,
    ) -> Result<Vec<LookUp>, StoreError> {
        const STEP: &str = "taking the look-ups that are due";
        let limit = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let client = self.client().await?;
        let take = prepared(&client, TAKE, STEP).await?;
        let rows = client
            .query(
                &take,
                &[
                    &limit(in_doubt),
                    &limit(accepted),
                    &millis(hold),
                    &PgTimestamp(now),
                ],
            )
            .await
            .map_err(StoreError::at(STEP))?;
        rows.iter()
            .map(|row| read_look_up(row, now, &self.routes))
            .collect::<Result<_, _>>()
            .map_err(StoreError::unreadable(STEP))
    }

    /// Records their results. Attempts that are locked are left out, and looked up again later.
    pub async fn looked_up(&self, done: &[(&LookUp, LookUpNote)]) -> Result<(), StoreError> {
        const STEP: &str = "recording the results of look-ups";
        if done.is_empty() {
            return Ok(());
        }
        let tokens: Vec<_> = done.iter().map(|(e, _)| e.token.0).collect();
        let reserved: Vec<PgTimestamp> = done
            .iter()
            .map(|(e, _)| PgTimestamp(e.reserved_until))
            .collect();
        let asked: Vec<i32> = done
            .iter()
            .map(|(_, n)| i32::try_from(n.asked).unwrap_or(i32::MAX))
            .collect();
        let pauses: Vec<Option<i64>> = done.iter().map(|(_, n)| n.next.map(micros)).collect();
        let notes: Vec<&str> = done.iter().map(|(_, n)| n.note.as_str()).collect();
        let client = self.client().await?;
        let statement = prepared(&client, DONE, STEP).await?;
        client
            .execute(
                &statement,
                &[
                    &tokens,
                    &reserved,
                    &asked,
                    &pauses,
                    &notes,
                    &self.steady_now(),
                ],
            )
            .await
            .map_err(StoreError::at(STEP))?;
        Ok(())
    }

    /// Keeps what these attempts cost.
    pub async fn keep_prices(&self, prices: &[(AttemptToken, &Price)]) -> Result<(), StoreError> {
        const STEP: &str = "recording prices";
        if prices.is_empty() {
            return Ok(());
        }
        let tokens: Vec<_> = prices.iter().map(|(token, _)| token.0).collect();
        let amounts: Vec<&str> = prices.iter().map(|(_, price)| &*price.amount).collect();
        let units: Vec<&str> = prices.iter().map(|(_, price)| &*price.unit).collect();
        let client = self.client().await?;
        let statement = prepared(&client, PRICES, STEP).await?;
        client
            .execute(&statement, &[&tokens, &amounts, &units])
            .await
            .map_err(StoreError::at(STEP))?;
        Ok(())
    }

    /// For each of these attempts, when other attempts with an uncertain or open outcome can have begun that
    /// sent the same text to the same number.
    pub async fn rivals(
        &self,
        asks: &[(AttemptToken, &SentText)],
    ) -> Result<Vec<Vec<Moment>>, StoreError> {
        const STEP: &str = "looking for attempts with the same text";
        let mut rivals = vec![Vec::new(); asks.len()];
        if asks.is_empty() {
            return Ok(rivals);
        }
        let tokens: Vec<_> = asks.iter().map(|(token, _)| token.0).collect();
        let to: Vec<&str> = asks.iter().map(|(_, sought)| &*sought.to).collect();
        let texts: Vec<&[u8]> = asks.iter().map(|(_, s)| s.text.0.as_slice()).collect();
        let client = self.client().await?;
        let statement = prepared(&client, RIVALS, STEP).await?;
        let rows = client.query(&statement, &[&tokens, &to, &texts]).await;
        for row in &rows.map_err(StoreError::at(STEP))? {
            let read = || -> Result<(i64, Moment), tokio_postgres::Error> {
                Ok((row.try_get(0)?, row.try_get::<_, PgTimestamp>(1)?.0))
            };
            let (n, since) = read().map_err(StoreError::unreadable(STEP))?;
            let of = usize::try_from(n - 1).ok().and_then(|n| rivals.get_mut(n));
            if let Some(of) = of {
                of.push(since);
            }
        }
        Ok(rivals)
    }

    /// Which of these sids belong to something: another attempt, a receipt, or a message in the
    /// app's table.
    pub async fn known_sids(&self, sids: &[&str]) -> Result<BTreeSet<String>, StoreError> {
        const STEP: &str = "looking for the provider's messages in the ledger";
        let mut known = BTreeSet::new();
        if sids.is_empty() {
            return Ok(known);
        }
        let client = self.client().await?;
        let mut is_mapped = false;
        for sql in [KNOWN, KNOWN_MAPPED, KNOWN_APP] {
            // The usual table may not be there.
            if is_mapped && std::ptr::eq(sql, KNOWN_APP) {
                break;
            }
            let statement = prepared(&client, sql, STEP).await?;
            let rows = client.query(&statement, &[&sids]).await;
            for row in &rows.map_err(StoreError::at(STEP))? {
                match row.try_get(0).map_err(StoreError::unreadable(STEP))? {
                    Some(sid) => _ = known.insert(sid),
                    None => is_mapped = true,
                }
            }
        }
        Ok(known)
    }

    /// Sets unconfirmed rows back to `pending`, by what permits it; returns which. Of the others the
    /// status has changed, time or attempts are used up, or another transaction has locked them.
    pub async fn put_back(
        &self,
        rows: &[PutBack<'_>],
        max_lateness: Duration,
    ) -> Result<Vec<MessageId>, StoreError> {
        const STEP: &str = "setting unconfirmed messages back to pending";
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<_> = rows.iter().map(|row| row.look_up.message.0).collect();
        let mut client = self.client().await?;
        let lock = prepared(&client, PUT_BACK_ROWS, STEP).await?;
        let statement = prepared(&client, PUT_BACK, STEP).await?;
        let tx = client.transaction().await.map_err(StoreError::at(STEP))?;
        let sender = self.default_sender.as_deref();
        let locked = tx.query(&lock, &[&ids, &sender]).await;
        let mut in_time = BTreeSet::new();
        for row in locked.map_err(StoreError::at(STEP))? {
            let times = RowTimes::read(&row).map_err(StoreError::unreadable(STEP))?;
            if times.too_late(max_lateness).is_none() {
                in_time.insert(times.id);
            }
        }
        let rows = || {
            let in_time = |row: &&PutBack<'_>| in_time.contains(&row.look_up.message.0);
            rows.iter().filter(in_time)
        };
        let ids: Vec<_> = rows().map(|row| row.look_up.message.0).collect();
        let tokens: Vec<_> = rows().map(|row| row.look_up.token.0).collect();
        let by: Vec<&str> = rows().map(|row| row.by.as_str()).collect();
        let sentences: Vec<&str> = rows().map(|row| row.sentence.as_str()).collect();
        let has_lists = !self.routes.list().0.is_empty();
        let moved = tx
            .query(&statement, &[&ids, &tokens, &by, &sentences, &has_lists])
            .await
            .map_err(StoreError::at(STEP))?;
        tx.commit().await.map_err(StoreError::at(STEP))?;
        moved
            .iter()
            .map(|row| Ok(MessageId(row.try_get(0)?)))
            .collect::<Result<_, _>>()
            .map_err(StoreError::unreadable(STEP))
    }
}

/// The key of a text, as the ledger keeps it.
pub(super) fn text_key(kept: Option<Vec<u8>>) -> Option<TextKey> {
    kept?.try_into().ok().map(TextKey)
}

fn read_look_up(row: &Row, now: Moment, routes: &Routes) -> Result<LookUp, tokio_postgres::Error> {
    let outcome: &str = row.try_get("outcome")?;
    let sid: Option<String> = row.try_get("provider_sid")?;
    let about = match (outcome, sid) {
        ("unknown", _) => LookUpSubject::Uncertain(read_uncertain(row)?),
        (_, Some(sid)) => LookUpSubject::Sid(ProviderSid(sid)),
        (_, None) => LookUpSubject::Nothing,
    };
    let asked: i32 = row.try_get("lookups")?;
    Ok(LookUp {
        message: MessageId(row.try_get("message_id")?),
        part: row.try_get::<_, i16>("part")?.saturating_add(1),
        token: AttemptToken(row.try_get("token")?),
        lane: routes.first(&lane(row, lane_address(row)?, routes)?),
        about,
        asked: u32::try_from(asked).unwrap_or(0),
        asked_since: row.try_get::<_, PgTimestamp>("asked_since")?.0,
        now,
        reserved_until: row.try_get::<_, PgTimestamp>("held_until")?.0,
    })
}

fn read_uncertain(row: &Row) -> Result<UncertainAttempt, tokio_postgres::Error> {
    let to: Option<String> = row.try_get("lookup_to")?;
    let text = text_key(row.try_get("lookup_text")?);
    let from = row.try_get("lookup_from")?;
    let policy: Option<&str> = row.try_get("in_doubt")?;
    let holds_row = row.try_get::<_, Option<bool>>("holds_row")? == Some(true);
    let status: Option<&str> = row.try_get("status")?;
    let unconfirmed = status.filter(|_| holds_row).map(|status| UnconfirmedRow {
        status: status.parse().ok(),
        // An unknown policy of the app's permits nothing.
        policy: policy.map(|word| word.parse().unwrap_or_default()),
    });
    Ok(UncertainAttempt {
        since: row.try_get::<_, PgTimestamp>("since")?.0,
        sought: to.zip(text).map(|(to, text)| SentText { to, from, text }),
        row: unconfirmed,
        superseded: row.try_get("superseded")?,
    })
}
