//! What the app's tables may refuse without the rest of a transaction.

use deadpool_postgres::Transaction;

use crate::store::StoreError;

/// Does this behind a savepoint. If it is refused, it is undone, and that is the inner error; what goes on is the
/// transaction. The outer error is any other.
pub(super) async fn apart<T>(
    tx: &Transaction<'_>,
    step: &'static str,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<Result<T, StoreError>, StoreError> {
    let at = StoreError::at(step);
    tx.batch_execute("savepoint apart").await.map_err(&at)?;
    match work.await {
        Err(refused) if refused.is_refusal() => {
            let undone = tx.batch_execute("rollback to savepoint apart").await;
            undone.map_err(&at)?;
            Ok(Err(refused))
        }
        Err(error) => Err(error),
        Ok(done) => Ok(Ok(done)),
    }
}
