//! The budget of a day (UTC), which all instances share.

use crate::store::{Sql, Store, StoreError, prepared};
use crate::wording::Nanos;

static RESERVE: &Sql = sql!("../sql/draft_reserve.sql");
static SETTLE: &Sql = sql!("../sql/draft_settle.sql");
static SPENT: &Sql = sql!("../sql/draft_spent.sql");

/// A part of the budget of a day that is reserved for a call.
#[derive(Clone, Debug)]
pub struct Reserved {
    day: String,
    most: Nanos,
}

impl Store {
    /// Reserves what a call may cost; `None`: the budget of the day has not as much left.
    pub async fn reserve_cost(
        &self,
        most: Nanos,
        budget: Nanos,
    ) -> Result<Option<Reserved>, StoreError> {
        const STEP: &str = "reserving the cost of a text";
        let client = self.client().await?;
        let reserve = prepared(&client, RESERVE, STEP).await?;
        let row = client
            .query_opt(&reserve, &[&most.as_i64(), &budget.as_i64()])
            .await
            .map_err(StoreError::at(STEP))?;
        let day = row.map(|row| row.try_get("day")).transpose();
        let day: Option<String> = day.map_err(StoreError::unreadable(STEP))?;
        Ok(day.map(|day| Reserved { day, most }))
    }

    /// Enters what a call has cost in place of what was reserved.
    pub async fn settle_cost(&self, reserved: &Reserved, cost: Nanos) -> Result<(), StoreError> {
        const STEP: &str = "entering the cost of a text";
        let client = self.client().await?;
        let settle = prepared(&client, SETTLE, STEP).await?;
        let (day, most, cost) = (&reserved.day, reserved.most.as_i64(), cost.as_i64());
        let done = client.execute(&settle, &[day, &most, &cost]).await;
        done.map_err(StoreError::at(STEP)).map(drop)
    }

    /// What today has cost, and what is reserved.
    pub async fn spent_today(&self) -> Result<(Nanos, Nanos), StoreError> {
        const STEP: &str = "reading the cost of texts";
        let client = self.client().await?;
        let spent = prepared(&client, SPENT, STEP).await?;
        let row = client.query_one(&spent, &[]).await;
        let row = row.map_err(StoreError::at(STEP))?;
        let read = |name| row.try_get(name).map(Nanos::of_i64);
        let both = read("spent").and_then(|spent| Ok((spent, read("reserved")?)));
        both.map_err(StoreError::unreadable(STEP))
    }
}
