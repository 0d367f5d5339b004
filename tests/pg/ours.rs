//! Claims and records as a daemon makes them, step by step.

use std::sync::Arc;
use std::time::Duration;

use punctual::message::{
    AttemptToken, Capabilities, Claim, ClaimResponse, InstanceId, MessageId, Moment,
    ProviderCapabilities, ProviderSid,
};
use punctual::policy::{self, Cleared, Rules, Verdict};
use punctual::settle::{Record, Settlement};
use punctual::store::{Store, StoreError};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::rows::World;

pub(crate) const LEASE: Duration = Duration::from_secs(30);
pub(crate) const LATE: Duration = Duration::from_secs(3600);

/// The store of a daemon, without the daemon.
pub(crate) fn store(world: &World) -> Store {
    Store::new(world.db.dsn().pool(3), InstanceId::fresh())
}

pub(crate) fn rules() -> Rules {
    Rules {
        default_sender: None,
        max_lateness: LATE,
        ..Rules::default()
    }
}

/// Claims these; one answer for each, in their order.
pub(crate) async fn claim(store: &Store, ids: &[Uuid]) -> Vec<ClaimResponse<Claim>> {
    try_claim(store, ids).await.unwrap()
}

/// The same, where the claim may be refused.
pub(crate) async fn try_claim(
    store: &Store,
    ids: &[Uuid],
) -> Result<Vec<ClaimResponse<Claim>>, StoreError> {
    let asks: Vec<_> = ids
        .iter()
        .map(|id| (MessageId(*id), AttemptToken::fresh(), None))
        .collect();
    let claimed = store.claim(&asks, LEASE).await?;
    assert_eq!(
        claimed.answers.iter().map(|a| a.0).collect::<Vec<_>>(),
        asks.iter().map(|a| a.0).collect::<Vec<_>>(),
    );
    Ok(claimed.answers.into_iter().map(|a| a.1).collect())
}

/// Claims these and wins them all.
pub(crate) async fn won(store: &Store, ids: &[Uuid]) -> Vec<Claim> {
    let answers = claim(store, ids).await;
    answers
        .into_iter()
        .map(|answer| match answer {
            ClaimResponse::Won(claim) => claim,
            other => panic!("not won: {other:?}"),
        })
        .collect()
}

/// A claim as the policy lets it go.
pub(crate) fn cleared(claim: &Claim) -> Arc<Cleared> {
    let claim = Claim {
        from_number: claim.from_number.clone().or_else(|| {
            let is_phone = claim.lane.channel().is_phone();
            is_phone.then(|| "+15005550006".into())
        }),
        ..claim.clone()
    };
    match policy::judge(
        &claim,
        &rules(),
        &ProviderCapabilities::all(Capabilities {
            whatsapp: true,
            ..Capabilities::SENDS_ONLY
        }),
        claim.due,
    ) {
        Verdict::Send(cleared) => Arc::new(cleared),
        other => panic!("{other:?}"),
    }
}

/// What is recorded of a claim.
pub(crate) fn record(claim: &Claim, settlement: Settlement) -> Record<Arc<Cleared>> {
    Record {
        id: claim.id,
        token: claim.token,
        settlement,
        started: Some(claim.due),
        finished: Some(claim.due + Duration::from_millis(70)),
        payload: Some(cleared(claim)),
        tries: 0,
        part: cleared(claim).part(),
    }
}

pub(crate) fn sid(claim: &Claim) -> String {
    format!("SM{}", claim.token.0.simple())
}

/// The provider took it.
pub(crate) fn accepted(claim: &Claim) -> Record<Arc<Cleared>> {
    let sid = ProviderSid(sid(claim));
    record(claim, Settlement::Accepted { sid })
}

/// Records these; how many are done with.
pub(crate) async fn recorded(store: &Store, records: &[Record<Arc<Cleared>>]) -> usize {
    let all: Vec<_> = records.iter().collect();
    store.record(&all).await.unwrap().len()
}

/// The ledger of a message, oldest first.
pub(crate) async fn ledger(world: &World, id: Uuid) -> Vec<Row> {
    world
        .unseen
        .query(
            "select number, token, outcome, provider_sid, code, error, instance
               from punctual.attempts where message_id = $1 order by number",
            &[&id],
        )
        .await
        .unwrap()
}

/// The database's clock.
pub(crate) async fn now(store: &Store) -> Moment {
    store.now().await.unwrap()
}
