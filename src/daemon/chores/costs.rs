//! Corrects what the texts of a day were counted as: those that were not sent, and those whose price is known now.

use super::{Context, Progress};
use crate::metrics::Gauge;
use crate::policy;
use crate::store::StoreError;

/// Hundredths of the currency are as much as a measurement needs.
const NANOS_OF_A_CENT: u64 = 10_000_000;

pub(super) async fn step(on: &Context) -> Result<Progress, StoreError> {
    let (dispatch, limits) = (&on.dispatch, &on.dispatch.limits.daemon.chores);
    let store = &dispatch.store;
    let now = dispatch.clock.now().db;
    let Some((today, ..)) = policy::local_day(&dispatch.rules.timezone, now) else {
        return Ok(Progress::Done);
    };
    // Yesterday's may still be corrected.
    let before = today.yesterday().unwrap_or(today).to_string();
    let forgotten = store.bounded(store.forget_costs(&before, limits.costs));
    let forgotten = forgotten.await?;
    let Some(costs) = &dispatch.rules.costs else {
        return Ok(match Progress::of(forgotten, limits.costs) {
            Progress::More => Progress::More,
            _ => Progress::Later(limits.days_every),
        });
    };
    let settled = store.bounded(store.settle_costs(limits.costs, &costs.currency));
    let settled = settled.await?;
    let spent = store.bounded(store.costs_of(&today.to_string())).await?;
    let cents = u32::try_from(spent.0 / NANOS_OF_A_CENT).unwrap_or(u32::MAX);
    dispatch
        .metrics
        .set(Gauge::CostToday, f64::from(cents) / 100.0);
    Ok(Progress::of(forgotten.max(settled), limits.costs))
}
