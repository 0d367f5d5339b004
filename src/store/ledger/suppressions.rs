//! Who has opted out from which sender. The claim checks this too (`claim.sql`), and cancels what
//! is suppressed.

use deadpool_postgres::Transaction;

use super::apart::apart;
use crate::store::app::preferences;
use crate::store::{Sql, Store, StoreError, prepared};

static SUPPRESS: &Sql = sql!("sql/suppress.sql");
static CANCEL_SUPPRESSED: &Sql = sql!("sql/cancel_suppressed.sql");
static UNSUPPRESS: &Sql = sql!("sql/unsuppress.sql");

const STEP: &str = "recording an opt-out";

/// The reason where the provider has an opt-out that Punctual did not receive.
const REPORTED_BY_PROVIDER: &str = "recipient opted out (reported by the provider)";

/// One of our senders, and a recipient.
pub(in crate::store) type Pair = (String, String);

/// Whom messages are from that name no sender.
pub(in crate::store) struct Unnamed<'a> {
    /// Those of the default account.
    pub(in crate::store) by_default: Option<&'a str>,
    /// Those that have a route: the senders of all its accounts.
    pub(in crate::store) by_route: Option<Vec<&'a str>>,
}

impl Store {
    /// A recipient has opted out from these of our senders by this reply: recorded, what is pending for them is
    /// cancelled, and the preferences of the users with that number say so. Returns how many were cancelled. A known
    /// reply changes nothing.
    pub async fn opt_out(
        &self,
        reply: &str,
        ours: &[&str],
        theirs: &str,
        reason: &str,
    ) -> Result<u64, StoreError> {
        let each = vec![theirs; ours.len()];
        let opt_out = OptOut {
            ours,
            theirs: &each,
            reason,
            unnamed: self.unnamed(),
        };
        let mut client = self.client().await?;
        let tx = client.transaction().await.map_err(StoreError::at(STEP))?;
        let recorded = opt_out.record(&tx, Some(reply)).await?;
        if recorded.is_some() {
            preferences::write_opt_out(&tx, theirs).await?;
        }
        let cancelled = recorded.unwrap_or(0);
        tx.commit().await.map_err(StoreError::at(STEP))?;
        Ok(cancelled)
    }

    pub(in crate::store) fn unnamed(&self) -> Unnamed<'_> {
        Unnamed {
            by_default: self.default_sender.as_deref(),
            by_route: self.routes.senders_of_routes(),
        }
    }

    /// A recipient wants messages from these of our senders again, by this reply. A known reply changes
    /// nothing.
    pub async fn opt_in(&self, reply: &str, ours: &[&str], theirs: &str) -> Result<(), StoreError> {
        const STEP: &str = "lifting an opt-out";
        let at = StoreError::at(STEP);
        let mut client = self.client().await?;
        let tx = client.transaction().await.map_err(&at)?;
        let statement = prepared(&tx, UNSUPPRESS, STEP).await?;
        let row = tx.query_one(&statement, &[&ours, &theirs, &reply]).await;
        let row = row.map_err(&at)?;
        if row.try_get(0).map_err(StoreError::unreadable(STEP))? {
            preferences::write_opt_out(&tx, theirs).await?;
        }
        tx.commit().await.map_err(&at)
    }
}

/// The same for pairs that the provider reported, within the transaction that records the report.
pub(in crate::store) async fn suppress_pairs(
    tx: &Transaction<'_>,
    pairs: &[Pair],
    unnamed: Unnamed<'_>,
) -> Result<(), StoreError> {
    if pairs.is_empty() {
        return Ok(());
    }
    let ours: Vec<&str> = pairs.iter().map(|(ours, _)| ours.as_str()).collect();
    let theirs: Vec<&str> = pairs.iter().map(|(_, theirs)| theirs.as_str()).collect();
    let opt_out = OptOut {
        ours: &ours,
        theirs: &theirs,
        reason: REPORTED_BY_PROVIDER,
        unnamed,
    };
    opt_out.record(tx, None).await?;
    Ok(())
}

/// Pairs of a sender and a recipient that has opted out from it.
struct OptOut<'a> {
    ours: &'a [&'a str],
    theirs: &'a [&'a str],
    reason: &'a str,
    unnamed: Unnamed<'a>,
}

impl OptOut<'_> {
    /// Recorded, whatever becomes of the messages: if the app's table refuses that one of them is cancelled, all
    /// remain pending, and each is cancelled by its claim. Returns how many were cancelled; `None`: the reply was
    /// known.
    async fn record(
        &self,
        tx: &Transaction<'_>,
        reply: Option<&str>,
    ) -> Result<Option<u64>, StoreError> {
        let at = StoreError::at(STEP);
        let statement = prepared(tx, SUPPRESS, STEP).await?;
        let row = tx
            .query_one(
                &statement,
                &[&self.ours, &self.theirs, &self.reason, &reply],
            )
            .await
            .map_err(&at)?;
        let pairs: i64 = row.try_get(0).map_err(StoreError::unreadable(STEP))?;
        if pairs == 0 {
            return Ok(None);
        }
        let statement = prepared(tx, CANCEL_SUPPRESSED, STEP).await?;
        let cancel = async {
            let cancelled = tx
                .execute(
                    &statement,
                    &[
                        &self.ours,
                        &self.theirs,
                        &self.reason,
                        &self.unnamed.by_default,
                        &self.unnamed.by_route,
                    ],
                )
                .await;
            cancelled.map_err(&at)
        };
        match apart(tx, STEP, cancel).await? {
            Ok(cancelled) => Ok(Some(cancelled)),
            Err(error) => {
                tracing::warn!(
                    %error,
                    "a recipient opted out, but pending messages could not be cancelled; \
                     each is cancelled at its time instead, and none is sent"
                );
                Ok(Some(0))
            }
        }
    }
}
