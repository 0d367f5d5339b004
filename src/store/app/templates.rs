//! The app's own counts: of how often a template was used, of what users were sent on a day.

use crate::store::{Sql, Store, StoreError, prepared};

static SHOW_COUNTS: &Sql = sql!("sql/show_counts.sql");
static TEMPLATE_USES: &Sql = sql!("sql/template_uses.sql");

impl Store {
    /// Adds the uses of templates to the app's own counts.
    pub async fn count_template_uses(&self) -> Result<(), StoreError> {
        const STEP: &str = "counting the uses of templates";
        let client = self.client().await?;
        let uses = prepared(&client, TEMPLATE_USES, STEP).await?;
        let counted = client.query(&uses, &[]).await;
        counted.map_err(StoreError::at(STEP))?;
        Ok(())
    }

    /// Adds what users were sent to the app's own counts of their day, of at most so many; returns of how many. None,
    /// if that is not wanted.
    pub async fn show_counts(&self, most: u32) -> Result<u32, StoreError> {
        const STEP: &str = "writing the app's counts of a day";
        let client = self.client().await?;
        let statement = prepared(&client, SHOW_COUNTS, STEP).await?;
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        let row = client.query_one(&statement, &[&most]).await;
        let row = row.map_err(StoreError::at(STEP))?;
        let shown: Option<i32> = row.try_get(0).map_err(StoreError::unreadable(STEP))?;
        Ok(shown.map_or(0, i32::unsigned_abs))
    }
}
