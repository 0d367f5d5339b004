//! What is forecast of a message a second or so before it is due is what comes of it, unless something has happened
//! since: its row was changed, or a pause, a quarantine began, its provider refuses since then, or takes it again, or
//! its claim was delayed. What waits for a pace is held to its slot elsewhere (`foreseen.rs`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use punctual::forecast::{self, Outcome, PublishedRules, Subject, Surroundings};
use punctual::message::{Claim, LaneKey, MessageId, Moment, PauseKey, Status};
use punctual::policy::{Verdict, judge};
use punctual::reactor::ClaimRequest;
use punctual::schedule::LEAD_MAX;

use super::World;
use crate::model::Row;
use crate::mutant::Mutant;
use crate::plan::{SECOND, micros};
use crate::watch::Invariant;

/// How often forecasts are made, and how long before its due time one of a message.
const EVERY: i64 = SECOND;
const BEFORE: (i64, i64) = (SECOND, 3 * SECOND);

/// A claim that comes later than this after the time that was forecast was delayed: rules may have another result by
/// then.
const DELAYED: i64 = SECOND;

/// The latest forecast of each message that is due soon.
#[derive(Default)]
pub(super) struct Forecasts {
    next_at: i64,
    of: HashMap<MessageId, Made>,
    /// How many were compared with what came.
    pub(super) compared: u64,
}

/// A forecast, and what it was made of.
struct Made {
    forecast: forecast::Forecast,
    row: Row,
    pauses: BTreeMap<PauseKey, Moment>,
    /// Since when every daemon that sends is refused by the provider of its lane.
    refused: Option<Moment>,
}

impl World {
    pub(super) fn forecast(&mut self) {
        let of_others = |mutant| {
            ![Mutant::ForecastWithoutFacts, Mutant::ForecastWithoutBreaker].contains(&mutant)
        };
        if self.t < self.forecasts.next_at || self.mutant.is_some_and(of_others) {
            return;
        }
        self.forecasts.next_at = self.t + EVERY;
        let now = self.db_now();
        let (from, to) = (now + micros(BEFORE.0), now + micros(BEFORE.1));
        let is_soon = |row: &&Row| {
            row.status == Status::Pending
                && (from..=to).contains(&row.due())
                && self.db.pace_of(row.id).is_none()
                // Which account takes it may be another one by then.
                && (self.plan.troubles.is_empty() || self.plan.accounts.is_empty())
        };
        let soon: Vec<Row> = self.db.rows.values().filter(is_soon).cloned().collect();
        if soon.is_empty() {
            return;
        }
        let around = self.surroundings(now);
        let mut said = around.clone();
        if self.mutant == Some(Mutant::ForecastWithoutBreaker) {
            let states = said.instances.iter_mut().filter_map(|i| i.state.as_mut());
            let lanes = states.flat_map(|state| &mut state.lanes);
            lanes.for_each(|lane| lane.refused = None);
        }
        for row in soon {
            let Some(mut claim) = self.db.would_claim(row.id, now) else {
                continue;
            };
            self.gets_sender(&mut claim);
            let subject = Subject {
                claim,
                paused_until: self.db.paused_until(&row),
                paused_by: None,
                pace: None,
                rate: None,
                refused_beside: Arc::new([]),
                opted_out: None,
                is_quarantined: self.db.is_quarantined(row.id),
                open_until: None,
                is_limited: false,
            };
            let made = Made {
                forecast: forecast::of(&subject, &said),
                pauses: self.db.pauses.clone(),
                refused: refused_since(&around, &self.db.lane_of(&row)),
                row,
            };
            self.forecasts.of.insert(made.row.id, made);
        }
    }

    /// What the statements of a forecast would read beside the rows.
    fn surroundings(&self, now: Moment) -> Surroundings {
        let capabilities = self.capabilities.clone();
        let rules = PublishedRules::of(&self.rules, &capabilities);
        Surroundings {
            now,
            instances: self.published(&rules),
            heard_at: Some(now),
            rules: self.rules.clone(),
            capabilities,
            rules_are_known: true,
        }
    }

    /// Before a claim: forgets what was forecast of rows that have changed since, or whose pauses have.
    pub(super) fn still_forecast(&mut self, asks: &[ClaimRequest]) {
        let is_restored = self.db.quarantined_before().is_some();
        for ask in asks {
            let is_same = |made: &Made| {
                self.db.rows.get(&ask.id) == Some(&made.row) && self.db.pauses == made.pauses
            };
            let made = self.forecasts.of.get(&ask.id);
            if made.is_some_and(|made| is_restored || !is_same(made)) {
                self.forecasts.of.remove(&ask.id);
            }
        }
    }

    /// Of a claim that was won: what was decided of it is what was forecast.
    pub(super) fn was_forecast(&mut self, claim: &Claim, verdict: &Verdict, now: Moment) {
        let Some(made) = self.forecasts.of.remove(&claim.id) else {
            return;
        };
        // By a clock that jumped nothing can be said of times.
        if self.jump_us != 0 {
            return;
        }
        let step = &made.forecast.step;
        let early = LEAD_MAX + micros(self.plan.uncertainty);
        let at = step.at.unwrap_or(made.forecast.as_of);
        let is_early = now + early < at;
        let is_delayed = now > at + micros(DELAYED);
        let is_so = match step.outcome {
            // While it is refused nothing is claimed but the probe.
            Outcome::Wait if step.reason == Some("breaker") => {
                let refused = refused_since(&self.surroundings(now), &self.db.lane_of(&made.row));
                !is_early || refused != made.refused
            }
            // Somebody runs and is ready now.
            Outcome::Wait => return,
            Outcome::Send if is_delayed && made.refused.is_some() => false,
            _ if is_delayed => return,
            _ => !is_early && self.is_as_said(&made.forecast, claim, (verdict, now), at),
        };
        self.forecasts.compared += 1;
        if !is_so {
            let row = claim.id.0.as_u128();
            let said = format!(
                "row {row} {}, by what was known at {}",
                step.text, made.forecast.as_of
            );
            let what = format!("{said}; its claim at {now} was judged {verdict:?}");
            self.break_down(Invariant::Forecast, what);
        }
    }
}

impl World {
    /// Whether the verdict is the one that was said; of what was claimed later, whether it would have been then.
    fn is_as_said(
        &self,
        said: &forecast::Forecast,
        claim: &Claim,
        (verdict, now): (&Verdict, Moment),
        at: Moment,
    ) -> bool {
        let is = |verdict: &Verdict| match (said.step.outcome, verdict) {
            (Outcome::Send, Verdict::Send(_))
            | (Outcome::Cancel, Verdict::Cancel { .. })
            | (Outcome::Fail, Verdict::Reject { .. }) => true,
            (Outcome::Defer, Verdict::Defer { until, .. }) => said.step.until == Some(*until),
            _ => false,
        };
        let capabilities = &self.capabilities;
        is(verdict) || now > at && is(&judge(claim, &self.rules, capabilities, at))
    }
}

fn refused_since(around: &Surroundings, lane: &LaneKey) -> Option<Moment> {
    around.refused(lane).map(|refused| refused.since)
}
