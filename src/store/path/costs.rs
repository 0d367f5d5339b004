//! What texts cost a day: counted before they are sent, corrected later, and bounded by caps.

use uuid::Uuid;

use crate::message::{AttemptToken, Moment, Nanos, PauseKey};
use crate::policy::{CostCaps, CostScope};
use crate::store::session::timestamp::PgTimestamp;
use crate::store::{Sql, Store, StoreError, prepared};

static CHARGE: &Sql = sql!("sql/cost_charge.sql");
static PAUSE: &Sql = sql!("sql/cost_pause.sql");
static SETTLE: &Sql = sql!("sql/cost_settle.sql");
static PRUNE: &Sql = sql!("sql/cost_prune.sql");
static TODAY: &Sql = sql!("sql/cost_today.sql");

/// A text that is to be sent, as far as its cost matters.
#[derive(Clone, Debug)]
pub struct Charge {
    /// Its attempt.
    pub token: AttemptToken,
    /// What it costs by the price table.
    pub amount: Nanos,
    /// Its campaign.
    pub campaign: Option<String>,
    /// The user it is to.
    pub user: Option<String>,
    /// Whether a part of its message was sent: then the rest is, whatever the cap.
    pub must: bool,
}

/// A text that is not counted, because it would exceed a cap.
#[derive(Clone, Copy, Debug)]
pub struct OverCap {
    /// Its attempt.
    pub token: AttemptToken,
    /// Whose cap.
    pub scope: CostScope,
    /// What is counted there.
    pub spent: Nanos,
}

impl Store {
    /// Counts these to a day, in this order. Returns those that are not counted.
    pub async fn charge_costs(
        &self,
        day: &str,
        charges: &[Charge],
        caps: &CostCaps,
    ) -> Result<Vec<OverCap>, StoreError> {
        const STEP: &str = "counting the cost of texts";
        let tokens: Vec<Uuid> = charges.iter().map(|own| own.token.0).collect();
        let amounts: Vec<i64> = charges.iter().map(|own| own.amount.as_i64()).collect();
        let campaigns: Vec<_> = charges.iter().map(|own| own.campaign.as_deref()).collect();
        let users: Vec<_> = charges.iter().map(|own| own.user.as_deref()).collect();
        let musts: Vec<bool> = charges.iter().map(|own| own.must).collect();
        let [all, campaign, user] = CostScope::ALL.map(|scope| caps.of(scope).map(Nanos::as_i64));
        let client = self.client().await?;
        let charge = prepared(&client, CHARGE, STEP).await?;
        let rows = client
            .query(
                &charge,
                &[
                    &day, &tokens, &amounts, &campaigns, &users, &musts, &all, &campaign, &user,
                ],
            )
            .await
            .map_err(StoreError::at(STEP))?;
        let read = |row: &tokio_postgres::Row| -> Result<_, tokio_postgres::Error> {
            let reached: Option<&str> = row.try_get("reached")?;
            let mut all = CostScope::ALL.into_iter();
            let scope = reached.and_then(|word| all.find(|scope| scope.as_str() == word));
            let token = AttemptToken(row.try_get("token")?);
            let spent: Option<i64> = row.try_get("spent")?;
            let spent = Nanos::of_i64(spent.unwrap_or_default());
            Ok(scope.map(|scope| OverCap {
                token,
                scope,
                spent,
            }))
        };
        let over = rows.iter().filter_map(|row| read(row).transpose());
        let over = over.collect::<Result<_, _>>();
        over.map_err(StoreError::unreadable(STEP))
    }

    /// Pauses what has reached its cap until then, unless a person has paused it.
    pub async fn pause_for_costs(
        &self,
        key: &PauseKey,
        until: Moment,
        why: &str,
    ) -> Result<(), StoreError> {
        const STEP: &str = "pausing at a cost cap";
        let client = self.client().await?;
        let pause = prepared(&client, PAUSE, STEP).await?;
        let (scope, until) = (key.scope.as_str(), PgTimestamp(until));
        let paused = client
            .execute(&pause, &[&scope, &key.what, &until, &why])
            .await;
        paused.map_err(StoreError::at(STEP)).map(drop)
    }

    /// Corrects the counts of at most `most` texts that were not sent, or whose price is known in this currency;
    /// returns of how many.
    pub async fn settle_costs(&self, most: u32, currency: &str) -> Result<u64, StoreError> {
        const STEP: &str = "correcting the cost of texts";
        let client = self.client().await?;
        let settle = prepared(&client, SETTLE, STEP).await?;
        let row = client
            .query_one(&settle, &[&i64::from(most), &currency])
            .await;
        let n: i64 = row
            .map_err(StoreError::at(STEP))?
            .try_get("n")
            .map_err(StoreError::unreadable(STEP))?;
        Ok(n.unsigned_abs())
    }

    /// Forgets the costs of days before this one, some `most` rows; returns how many.
    pub async fn forget_costs(&self, before: &str, most: u32) -> Result<u64, StoreError> {
        const STEP: &str = "forgetting the cost of texts";
        let client = self.client().await?;
        let prune = prepared(&client, PRUNE, STEP).await?;
        let row = client.query_one(&prune, &[&before, &i64::from(most)]).await;
        let n: i64 = row
            .map_err(StoreError::at(STEP))?
            .try_get("n")
            .map_err(StoreError::unreadable(STEP))?;
        Ok(n.unsigned_abs())
    }

    /// What the texts of a day cost, as far as they are counted.
    pub async fn costs_of(&self, day: &str) -> Result<Nanos, StoreError> {
        const STEP: &str = "reading the cost of texts";
        let client = self.client().await?;
        let today = prepared(&client, TODAY, STEP).await?;
        let row = client
            .query_opt(&today, &[&day])
            .await
            .map_err(StoreError::at(STEP))?;
        let amount = row.map(|row| row.try_get("amount")).transpose();
        let amount: Option<i64> = amount.map_err(StoreError::unreadable(STEP))?;
        Ok(Nanos::of_i64(amount.unwrap_or_default()))
    }
}
