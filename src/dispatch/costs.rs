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
use crate::store::{Charge, OverCap, StoreError};

/// Before a text is tried again whose cost could not be counted.
const NOT_COUNTED: Duration = Duration::from_secs(10);

/// Steps of corrections before a cap pauses: what is noted in a few seconds.
const SETTLED_MAX: usize = 8;

/// The texts of a claim that are counted to one day.
#[derive(Debug)]
pub struct Owed {
    /// The day, as the database has it.
    pub day: String,
    /// When it ends.
    pub ends: Moment,
    /// The texts, the urgent ones first.
    pub charges: Vec<Charge>,
}

/// What caps keep back.
#[derive(Debug, Default)]
pub struct KeptBack {
    /// What becomes of each text.
    pub settled: HashMap<AttemptToken, Settlement>,
    /// What is paused until the day ends, and for which cap.
    pub paused: BTreeMap<PauseKey, CostScope>,
}

impl Owed {
    /// What is to be counted of a claim. A text costs on the day on which it is due, not on that of its claim, which is
    /// a moment before: what waits for the end of a day would be kept back by that day again. `day_of`: the day of a
    /// moment, and when it ends.
    pub fn of(
        judged: &[ClaimJudged],
        costs: &Costs,
        now: Moment,
        day_of: impl Fn(Moment) -> Option<(String, Moment)>,
    ) -> Vec<Self> {
        let charges = judged.iter().filter_map(|one| charge(one, costs));
        let mut charges: Vec<_> = charges.collect();
        charges.sort_by_key(|(priority, ..)| Reverse(*priority));
        let mut days: BTreeMap<Moment, Self> = BTreeMap::new();
        for (_, due, charge) in charges {
            let Some((day, ends)) = day_of(due.max(now)) else {
                continue;
            };
            let own = days.entry(ends).or_insert_with(|| Self {
                day,
                ends,
                charges: Vec::new(),
            });
            own.charges.push(charge);
        }
        days.into_values().collect()
    }

    /// What follows of caps that these would exceed. Where the cheapest text would too, at that of the installation all
    /// texts are paused until the day ends, and at that of a campaign its messages. Otherwise, and at that of a user,
    /// the text is deferred until then: what costs less goes on.
    pub fn keep_back(&self, costs: &Costs, over: &[OverCap]) -> KeptBack {
        let over: HashMap<_, _> = over.iter().map(|own| (own.token, own)).collect();
        let mut kept_back = KeptBack::default();
        for charge in &self.charges {
            let Some(OverCap { scope, spent, .. }) = over.get(&charge.token).copied() else {
                continue;
            };
            let settlement = if costs.is_reached(*scope, *spent) {
                let reason = costs.reached(*scope);
                match pause(*scope, charge) {
                    Some(key) => {
                        kept_back.paused.entry(key).or_insert(*scope);
                        Settlement::kept_back(reason)
                    }
                    None => Settlement::deferred(self.ends, reason),
                }
            } else {
                let reason = costs.too_dear(*scope, charge.amount, *spent);
                Settlement::deferred(self.ends, reason)
            };
            kept_back.settled.insert(charge.token, settlement);
        }
        kept_back
    }
}

/// Nothing is sent whose cost could not be counted.
pub fn uncounted(now: Moment) -> Settlement {
    let reason = Reason::new(ReasonKind::CostCap, "its cost could not be counted");
    Settlement::deferred(now + NOT_COUNTED, reason)
}

impl Dispatch {
    /// Counts the texts that are to be sent. What a cap keeps back is not sent.
    pub(super) async fn charge_costs(&self, judged: &mut [ClaimJudged]) {
        let Some(costs) = self.rules.costs.as_deref() else {
            return;
        };
        let now = self.clock.now().db;
        let day_of = |at| {
            let (day, ends, _) = policy::local_day(&self.rules.timezone, at)?;
            Some((day.to_string(), ends))
        };
        let days = Owed::of(judged, costs, now, day_of);
        if days.is_empty() {
            return;
        }
        let kept_back = match self.count(costs, &days).await {
            Ok(kept_back) => kept_back,
            Err(error) => {
                let all = days.iter().flat_map(|owed| &owed.charges);
                let all: Vec<_> = all.map(|own| own.token).collect();
                tracing::warn!(messages = all.len(), %error, "the cost of texts could not be counted; retrying");
                let settlement = uncounted(self.clock.now().db);
                all.into_iter()
                    .map(|token| (token, settlement.clone()))
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
        days: &[Owed],
    ) -> Result<HashMap<AttemptToken, Settlement>, StoreError> {
        let mut settled = HashMap::new();
        for owed in days {
            let count = self
                .store
                .charge_costs(&owed.day, &owed.charges, &costs.caps);
            let mut over = self.store.within(ASKING_PATIENCE, count).await?;
            if over.iter().any(|own| own.scope != CostScope::User) {
                over = self.counted_again(costs, owed, over).await;
            }
            let kept_back = owed.keep_back(costs, &over);
            settled.extend(kept_back.settled);
            for (key, scope) in kept_back.paused {
                self.pause_at_cap(costs, &key, scope, owed.ends).await?;
            }
        }
        Ok(settled)
    }

    /// The same before more than one text waits, once what is known by now was taken back, as a chore does from time to
    /// time: that may leave room. If that fails, what was over stays so.
    async fn counted_again(&self, costs: &Costs, owed: &Owed, over: Vec<OverCap>) -> Vec<OverCap> {
        let most = self.limits.daemon.chores.costs;
        let is_over = |own: &&Charge| over.iter().any(|one| one.token == own.token);
        let left: Vec<Charge> = owed.charges.iter().filter(is_over).cloned().collect();
        let again = async {
            let mut any = false;
            for _ in 0..SETTLED_MAX {
                let settled = self.store.settle_costs(most, &costs.currency).await?;
                any |= settled > 0;
                if settled < u64::from(most) {
                    break;
                }
            }
            if !any {
                return Ok(None);
            }
            let count = self.store.charge_costs(&owed.day, &left, &costs.caps);
            count.await.map(Some)
        };
        match self.store.within(ASKING_PATIENCE, again).await {
            Ok(counted) => counted.unwrap_or(over),
            Err(error) => {
                tracing::warn!(%error, "the cost of texts could not be corrected before a cap");
                over
            }
        }
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

/// What a text that is to be sent is counted as, how urgent it is, and when it is due.
fn charge((_, answer): &ClaimJudged, costs: &Costs) -> Option<(Priority, Moment, Charge)> {
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
    Some((cleared.about().priority, judged.due, charge))
}
