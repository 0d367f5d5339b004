//! The app's own counts of how often a template was used.

use crate::store::{Sql, Store, StoreError, prepared};

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
}
