//! Counts what texts cost, between their claim and their request, and keeps back those for which a day has nothing
//! left.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use uuid::Uuid;

use super::{ASKING_PATIENCE, ClaimJudged, Dispatch};
use crate::message::facts::Priority;
use crate::message::{AttemptToken, Channel, ClaimResponse, Moment, PauseKey, PauseScope};
use crate::policy::{self, CostScope, Costs, Reason, ReasonKind};
use crate::settle::Settlement;
use crate::store::{Charge, StoreError};

/// Before a text is tried again whose cost could not be counted.
const NOT_COUNTED: Duration = Duration::from_secs(10);

impl Dispatch {
    /// Counts the texts that are to be sent, the urgent ones first. What a cap keeps back is not sent: at that of the
    /// installation all texts are paused until the day ends, at that of a campaign its messages, and at that of a user
    /// the text is deferred.
    pub(super) async fn charge_costs(&self, judged: &mut [ClaimJudged]) {
        let Some(costs) = self.rules.costs.as_deref() else {
            return;
        };
        let mut charges: Vec<_> = judged.iter().filter_map(|one| charge(one, costs)).collect();
        charges.sort_by_key(|(priority, _)| Reverse(*priority));
        let charges: Vec<Charge> = charges.into_iter().map(|(_, charge)| charge).collect();
        if charges.is_empty() {
            return;
        }
        let kept_back = match self.count(costs, &charges).await {
            Ok(kept_back) => kept_back,
            Err(error) => {
                tracing::warn!(messages = charges.len(), %error, "the cost of texts could not be counted; retrying");
                let until = self.clock.now().db + NOT_COUNTED;
                let reason = Reason::new(ReasonKind::CostCap, "its cost could not be counted");
                let all = charges.iter().map(|own| own.token);
                all.map(|token| (token, Settlement::deferred(until, reason.clone())))
                    .collect()
            }
        };
        for (_, answer) in judged {
            if let ClaimResponse::Won(claim) = answer
                && let Some(settlement) = kept_back.get(&claim.token)
            {
                claim.verdict = Err(settlement.clone());
            }
        }
    }

    /// Why some of these are not sent.
    async fn count(
        &self,
        costs: &Costs,
        charges: &[Charge],
    ) -> Result<HashMap<AttemptToken, Settlement>, StoreError> {
        let now = self.clock.now().db;
        let Some((day, ends, _)) = policy::local_day(&self.rules.timezone, now) else {
            return Ok(HashMap::new());
        };
        let day = day.to_string();
        let count = self.store.charge_costs(&day, charges, &costs.caps);
        let over = self.store.within(ASKING_PATIENCE, count).await?;
        let over: HashMap<_, _> = over.into_iter().collect();
        let (mut settled, mut paused) = (HashMap::new(), BTreeMap::new());
        for charge in charges {
            let Some(scope) = over.get(&charge.token) else {
                continue;
            };
            let reason = costs.reached(*scope);
            let settlement = match pause(*scope, charge) {
                Some(key) => {
                    paused.entry(key).or_insert(*scope);
                    Settlement::kept_back(reason)
                }
                None => Settlement::deferred(ends, reason),
            };
            settled.insert(charge.token, settlement);
        }
        for (key, scope) in paused {
            self.pause_at_cap(costs, &key, scope, ends).await?;
        }
        Ok(settled)
    }

    async fn pause_at_cap(
        &self,
        costs: &Costs,
        key: &PauseKey,
        scope: CostScope,
        ends: Moment,
    ) -> Result<(), StoreError> {
        let why = costs.reached(scope).text;
        let pause = self.store.pause_for_costs(key, ends, &why);
        self.store.within(ASKING_PATIENCE, pause).await?;
        tracing::warn!(paused = ?key, until = %ends, "{why}: raise it and resume, or wait until the day ends");
        Ok(())
    }
}

/// What is paused at this cap. A campaign whose id is no UUID cannot be, and a user's other messages cost nothing.
fn pause(scope: CostScope, charge: &Charge) -> Option<PauseKey> {
    match scope {
        CostScope::Installation => Some(PauseKey {
            scope: PauseScope::Lane,
            what: Channel::Sms.as_str().to_owned(),
        }),
        CostScope::Campaign => {
            let campaign = charge.campaign.as_deref()?.parse::<Uuid>().ok()?;
            Some(PauseKey {
                scope: PauseScope::Campaign,
                what: campaign.to_string(),
            })
        }
        CostScope::User => None,
    }
}

/// What a text that is to be sent is counted as, and how urgent it is.
fn charge((_, answer): &ClaimJudged, costs: &Costs) -> Option<(Priority, Charge)> {
    let ClaimResponse::Won(judged) = answer else {
        return None;
    };
    let cleared = judged.verdict.as_ref().ok()?;
    let charge = Charge {
        token: judged.token,
        amount: costs.of(cleared)?,
        campaign: judged.pausable.campaign.clone(),
        user: judged.pausable.user.clone(),
        must: cleared.part().before > 0,
    };
    Some((cleared.about().priority, charge))
}
