//! Cost caps, small enough to be reached, and days of seconds: what may have been sent on a day never costs more, and
//! all is sent on the days that follow.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use punctual::dispatch::{Owed, uncounted};
use punctual::message::{
    AttemptToken, Channel, ClaimResponse, LedgerOutcome, MessageId, Moment, Nanos, PauseKey, Status,
};
use punctual::policy::{CostCaps, CostScope, Costs};
use punctual::reactor::JudgedClaim;
use punctual::settle::Settlement;
use punctual::store::{Charge, OverCap};
use uuid::Uuid;

use crate::dice::Dice;
use crate::model::Database;
use crate::mutant::Mutant;
use crate::plan::{Plan, SECOND, micros};
use crate::watch::Invariant;
use crate::witness::Seen;
use crate::world::{Payload, START, World};

/// What a segment costs.
const PRICE: u64 = 10_000_000;

/// The segments of a dear text.
const DEAR: u64 = 3;

/// More days than all texts need, should half of what a day permits be lost to requests without an answer.
const DAYS: i64 = 12;

/// The user of a message.
pub(crate) const fn user_of(id: MessageId) -> Uuid {
    Uuid::from_u128((0xF << 120) | (id.0.as_u128() % 4))
}

/// The result of a claim.
pub(crate) type Judged = (MessageId, ClaimResponse<JudgedClaim<Payload>>);

/// What texts may cost.
#[derive(Clone, Debug)]
pub(crate) struct CostPlan {
    costs: Arc<Costs>,
    /// How long a day lasts.
    day: i64,
}

impl CostPlan {
    pub(crate) fn costs(&self) -> Arc<Costs> {
        Arc::clone(&self.costs)
    }

    /// The day of a moment, and when it ends.
    fn day_of(&self, at: Moment) -> (String, Moment) {
        let n = at.micros_from(START).div_euclid(self.day);
        let ends = Moment::from_micros(START.as_micros() + (n + 1) * self.day);
        (format!("day {n}"), ends)
    }
}

impl Plan {
    /// With days for all texts before the end.
    pub(crate) fn draw_costs(&mut self, dice: &mut Dice) {
        let has_texts = self.channels.contains(&Channel::Sms);
        // By a clock that jumped it cannot be said when a pause ends.
        if self.jumps() || !has_texts || self.rows > 45 || !dice.chance(120) {
            return;
        }
        let day = dice.between(5 * SECOND, 10 * SECOND);
        let rows = u64::try_from(self.rows).unwrap_or(0);
        let mut cap = |of: u64, likely| {
            let segments = DEAR + rows * 3 / of / 8 + dice.below(2) as u64;
            dice.chance(likely).then_some(Nanos(segments * PRICE))
        };
        let caps = CostCaps {
            installation: cap(1, 600),
            campaign: cap(3, 500),
            user: cap(4, 500),
        };
        let costs = Costs {
            prices: "other = 0.01".parse().expect("a price"),
            currency: "USD".to_owned(),
            caps,
        };
        self.costs = Some(CostPlan {
            costs: Arc::new(costs),
            day,
        });
        self.end_at += DAYS * day;
    }
}

/// A text that was counted.
#[derive(Debug)]
struct Counted {
    charge: Charge,
    day: String,
    ends: Moment,
    /// Something has become of its attempt for which it may be returned.
    is_changed: bool,
    is_returned: bool,
}

impl Counted {
    fn key(&self, scope: CostScope) -> Option<(String, CostScope, String)> {
        key(&self.day, &self.charge, scope)
    }
}

fn key(day: &str, charge: &Charge, scope: CostScope) -> Option<(String, CostScope, String)> {
    let what = match scope {
        CostScope::Installation => Some(String::new()),
        CostScope::Campaign => charge.campaign.clone(),
        CostScope::User => charge.user.clone(),
    };
    Some((day.to_owned(), scope, what?))
}

/// `punctual.costs` and `punctual.cost_days`.
#[derive(Debug, Default)]
pub(crate) struct Book {
    counted: BTreeMap<AttemptToken, Counted>,
    days: BTreeMap<(String, CostScope, String), u64>,
}

impl Book {
    /// `punctual.charge_costs`.
    fn charge(
        &mut self,
        db: &Database,
        owed: &Owed,
        caps: &CostCaps,
        mutant: Option<Mutant>,
    ) -> Vec<OverCap> {
        let mut over = Vec::new();
        let day = &*owed.day;
        for charge in &owed.charges {
            let is_over = db
                .attempt(charge.token)
                .is_some_and(|a| a.outcome.is_some());
            if is_over && mutant != Some(Mutant::CountsEnded) {
                continue;
            }
            let keys = CostScope::ALL.map(|scope| key(day, charge, scope));
            let spent =
                |own: &(String, CostScope, String)| self.days.get(own).copied().unwrap_or(0);
            let mut known = keys.iter().flatten();
            let reached = known.find(|own| {
                let cap = caps.of(own.1);
                cap.is_some_and(|cap| spent(own) + charge.amount.0 > cap.0)
            });
            if let Some(reached @ (_, scope, _)) = reached
                && !charge.must
                && mutant != Some(Mutant::NoCap)
            {
                over.push(OverCap {
                    token: charge.token,
                    scope: *scope,
                    spent: match mutant {
                        Some(Mutant::PausesEarly) => caps.of(*scope).unwrap_or_default(),
                        _ => Nanos(spent(reached)),
                    },
                });
                continue;
            }
            for own in keys.into_iter().flatten() {
                *self.days.entry(own).or_default() += charge.amount.0;
            }
            let counted = Counted {
                charge: charge.clone(),
                day: day.to_owned(),
                ends: owed.ends,
                is_changed: false,
                is_returned: false,
            };
            self.counted.insert(charge.token, counted);
        }
        over
    }

    /// `punctual.cost_changed`.
    pub(crate) fn changed(&mut self, token: AttemptToken) {
        if let Some(own) = self.counted.get_mut(&token) {
            own.is_changed = true;
        }
    }

    /// `cost_settle.sql`.
    pub(crate) fn settle(&mut self, db: &Database, mutant: Option<Mutant>) {
        for (token, own) in &mut self.counted {
            let returns = sent_nothing(db, *token)
                || mutant == Some(Mutant::ReturnsUncertain) && !is_open(db, *token);
            if own.is_changed && !own.is_returned && returns && mutant != Some(Mutant::NeverReturns)
            {
                own.is_returned = true;
                for key in CostScope::ALL
                    .into_iter()
                    .filter_map(|scope| own.key(scope))
                {
                    *self.days.entry(key).or_default() -= own.charge.amount.0;
                }
            }
        }
    }
}

fn is_open(db: &Database, token: AttemptToken) -> bool {
    db.attempt(token).is_none_or(|a| a.outcome.is_none())
}

fn sent_nothing(db: &Database, token: AttemptToken) -> bool {
    let outcome = db.attempt(token).and_then(|a| a.outcome);
    let mut all = LedgerOutcome::SENT_NOTHING.iter();
    all.any(|own| Some(own.as_str()) == outcome)
}

impl World {
    /// What the texts of a claim cost. Some are dear.
    pub(crate) fn owed(&self, answers: &[Judged], now: Moment) -> Vec<Owed> {
        let Some(plan) = &self.plan.costs else {
            return Vec::new();
        };
        let mut all = Owed::of(answers, &plan.costs, now, |at| Some(plan.day_of(at)));
        let dear = answers.iter().filter_map(|(id, answer)| match answer {
            ClaimResponse::Won(claim) if id.0.as_u128().is_multiple_of(5) => Some(claim.token),
            _ => None,
        });
        let dear: Vec<_> = dear.collect();
        for charge in all.iter_mut().flat_map(|own| &mut own.charges) {
            if dear.contains(&charge.token) {
                charge.amount.0 *= DEAR;
            }
        }
        all
    }

    /// Counts these. `hears`: the daemon has the answer, and pauses what is paused for it.
    pub(crate) fn count(
        &mut self,
        owed: &[Owed],
        hears: bool,
    ) -> HashMap<AttemptToken, Settlement> {
        let mut settled = HashMap::new();
        let Some(costs) = self.plan.costs.as_ref().map(CostPlan::costs) else {
            return settled;
        };
        for one in owed {
            let over = self.book.charge(&self.db, one, &costs.caps, self.mutant);
            let kept_back = one.keep_back(&costs, &over);
            for token in kept_back.settled.keys() {
                let day = &one.day;
                self.note(|| format!("  {token} does not fit into {day}"));
            }
            settled.extend(kept_back.settled);
            for (key, scope) in kept_back.paused.into_iter().filter(|_| hears) {
                let cap = costs.caps.of(scope).unwrap_or_default();
                let what = match scope {
                    CostScope::Installation => String::new(),
                    _ => key.what.clone(),
                };
                let spent = self.book.days.get(&(one.day.clone(), scope, what));
                let spent = spent.copied().unwrap_or(0);
                if spent + PRICE <= cap.0 {
                    let what = format!("{key:?} is paused with {spent} of {} spent", cap.0);
                    self.break_down(Invariant::PausedWhenReached, what);
                }
                self.pause_at_cap(key, one.ends);
            }
        }
        settled
    }

    /// `cost_pause.sql`.
    fn pause_at_cap(&mut self, key: PauseKey, ends: Moment) {
        let now = self.db_now();
        if self.db.pauses.get(&key).is_some_and(|until| *until > now) {
            return;
        }
        self.note(|| format!("{key:?} is paused until {ends} at its cap"));
        self.note_event();
        self.db.pause(key.clone(), ends);
        self.paused_at.insert(key, self.t);
        self.notify_of_pauses();
    }

    /// What was kept back, or, if it could not be counted, all.
    pub(crate) fn keep_back(
        answers: &mut [Judged],
        kept_back: &Result<HashMap<AttemptToken, Settlement>, Vec<AttemptToken>>,
        now: Moment,
    ) {
        for (_, answer) in answers {
            let ClaimResponse::Won(claim) = answer else {
                continue;
            };
            match kept_back {
                Ok(settled) => {
                    if let Some(settlement) = settled.get(&claim.token) {
                        claim.verdict = Err(settlement.clone());
                    }
                }
                Err(all) if all.contains(&claim.token) => claim.verdict = Err(uncounted(now)),
                Err(_) => {}
            }
        }
    }

    /// With what may have been sent before on its day, it costs more than a cap.
    pub(crate) fn breaks_cap(&self, payload: &Payload) -> Seen {
        let caps = self.plan.costs.as_ref()?.costs.caps;
        if payload.channel() != Channel::Sms {
            return None;
        }
        let Some(own) = self.book.counted.get(&payload.token()) else {
            return Some((Invariant::CapKept, "it was not counted".to_owned()));
        };
        if own.ends <= payload.due() {
            let what = format!("it is due on the day after {}", own.day);
            return Some((Invariant::CapKept, what));
        }
        let may_be_sent = self.requests.iter().filter(|r| !r.known_unaccepted);
        let before = may_be_sent.filter_map(|r| self.book.counted.get(&r.token));
        let all: Vec<_> = before.chain([own]).filter(|one| !one.charge.must).collect();
        let mut scopes = CostScope::ALL.into_iter().filter(|_| !own.charge.must);
        let over = scopes.find_map(|scope| {
            let (cap, key) = (caps.of(scope)?, own.key(scope)?);
            let same = all
                .iter()
                .filter(|one| one.key(scope).as_ref() == Some(&key));
            let spent: u64 = same.map(|one| one.charge.amount.0).sum();
            (spent > cap.0).then(|| format!("{spent} of {} on {key:?}", cap.0))
        });
        over.map(|what| (Invariant::CapKept, what))
    }

    /// At the end: what was not sent is counted no more, and nothing waits or was given up for a cap.
    pub(crate) fn costs_left(&mut self) -> Vec<(Invariant, String)> {
        if self.plan.costs.is_none() {
            return Vec::new();
        }
        self.book.settle(&self.db, self.mutant);
        let kept = self.book.counted.iter();
        let kept = kept.filter(|(token, own)| !own.is_returned && sent_nothing(&self.db, **token));
        let mut broken: Vec<_> = kept
            .map(|(token, _)| {
                (
                    Invariant::CountsReturned,
                    format!("{token} is counted, and sent nothing"),
                )
            })
            .collect();
        let since = self.true_now() - micros(40 * SECOND);
        for row in self
            .db
            .rows
            .values()
            .filter(|row| row.channel == Channel::Sms)
        {
            let n = row.id.0.as_u128();
            let reason = row.reason.as_deref().unwrap_or_default();
            let is_lost = match row.status {
                Status::Failed => reason.contains("costs"),
                Status::Cancelled => {
                    self.plan.max_lateness >= micros(3_600 * SECOND) && reason.contains("too late")
                }
                Status::Pending => {
                    row.scheduled_at < since
                        // Nor does it wait for another try.
                        && row.next_attempt_at.is_none_or(|at| at < since)
                        && self.db.touched.get(&row.id).is_none_or(|at| *at < since)
                        && !self.is_shut_for_ever(row.id)
                }
                _ => false,
            };
            if is_lost {
                let what = format!("row {n} is {}: {reason}", row.status.as_str());
                broken.push((Invariant::NothingMissed, what));
            }
        }
        broken
    }
}
