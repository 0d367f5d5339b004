//! `GET /api/instances`: the instances that run beside the database.

use axum::extract::State;
use axum::response::Response;

use super::HttpState;
use super::api::{Pairs, Refusal, json, no_parameters, work};
use super::jobs::Kind;
#[cfg(test)]
use super::openapi::{Guarded, NoDatabase, NotRead};
use crate::limits::daemon::HeartbeatLimits;
#[cfg(test)]
use crate::store::InstancesSeen;
use crate::store::Store;

/// The instances that run beside the database
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/instances",
    operation_id = "instances",
    security(("bearer" = []), ("session" = [])),
    responses(
        (status = 200, description = "Those that run, and those that fell silent within the last hour.", body = InstancesSeen),
        NotRead,
        NoDatabase,
        Guarded,
    )
))]
pub(super) async fn instances(
    State(state): State<HttpState>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    no_parameters(pairs)?;
    let (patience, silence) = (state.limits.history, HeartbeatLimits::default().silence);
    let read =
        move |store: Store| async move { store.within(patience, store.instances(silence)).await };
    let instances = work(&state, Kind::Single, read).await?;
    let failed = |error| Refusal::Store("reading the instances", error);
    Ok(json(instances.map_err(failed)?))
}
