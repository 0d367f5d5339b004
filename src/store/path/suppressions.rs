//! Who has opted out from which sender. The claim checks this too (`claim.sql`), and cancels what
//! is suppressed.

use deadpool_postgres::GenericClient;

use crate::store::{Sql, Store, StoreError, prepared};

static SUPPRESS: &Sql = sql!("sql/suppress.sql");
static UNSUPPRESS: &Sql = sql!("sql/unsuppress.sql");

/// The reason where the provider has an opt-out that Punctual did not receive.
const REPORTED_BY_PROVIDER: &str = "recipient opted out (reported by the provider)";

/// One of our senders, and a recipient.
pub(in crate::store) type Pair = (String, String);

impl Store {
    /// A recipient has opted out from these of our senders by this reply: recorded, and what is pending for
    /// them is cancelled. Returns how many were. A known reply changes nothing.
    pub async fn opt_out(
        &self,
        reply: &str,
        ours: &[&str],
        theirs: &str,
        reason: &str,
    ) -> Result<u64, StoreError> {
        let client = self.client().await?;
        let theirs = vec![theirs; ours.len()];
        suppress(
            &client,
            ours,
            &theirs,
            reason,
            self.default_sender.as_deref(),
            Some(reply),
        )
        .await
    }

    /// A recipient wants messages from these of our senders again, by this reply. A known reply changes
    /// nothing.
    pub async fn opt_in(&self, reply: &str, ours: &[&str], theirs: &str) -> Result<(), StoreError> {
        const STEP: &str = "lifting an opt-out";
        let client = self.client().await?;
        let statement = prepared(&client, UNSUPPRESS, STEP).await?;
        client
            .execute(&statement, &[&ours, &theirs, &reply])
            .await
            .map_err(StoreError::at(STEP))?;
        Ok(())
    }
}

/// The same for pairs that the provider reported, within the transaction that records the report.
pub(in crate::store) async fn suppress_pairs(
    client: &impl GenericClient,
    pairs: &[Pair],
    default_sender: Option<&str>,
) -> Result<(), StoreError> {
    if pairs.is_empty() {
        return Ok(());
    }
    let ours: Vec<&str> = pairs.iter().map(|(ours, _)| ours.as_str()).collect();
    let theirs: Vec<&str> = pairs.iter().map(|(_, theirs)| theirs.as_str()).collect();
    suppress(
        client,
        &ours,
        &theirs,
        REPORTED_BY_PROVIDER,
        default_sender,
        None,
    )
    .await?;
    Ok(())
}

async fn suppress(
    client: &impl GenericClient,
    ours: &[&str],
    theirs: &[&str],
    reason: &str,
    default_sender: Option<&str>,
    reply: Option<&str>,
) -> Result<u64, StoreError> {
    const STEP: &str = "recording an opt-out";
    let statement = prepared(client, SUPPRESS, STEP).await?;
    client
        .execute(
            &statement,
            &[&ours, &theirs, &reason, &default_sender, &reply],
        )
        .await
        .map_err(StoreError::at(STEP))
}
