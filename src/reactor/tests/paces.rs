//! Claims from paces: when they are made, what becomes of slots that no request used, and what they have to do with
//! drains and other claims.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use uuid::Uuid;

use super::world::{Row, World, id};
use super::{SECOND, accepted, at, settings};
use crate::message::{
    AttemptToken, Channel, LaneKey, MessageId, Moment, PaceDue, PaceId, PacedClaim, PacedResponse,
    Part, Parties, Pausable, Priority, RowState, Status,
};
use crate::policy::{Reason, ReasonKind};
use crate::reactor::{Input, JudgedClaim, PaceRequest};
use crate::schedule::{LEAD_MAX, PACE_SLACK};
use crate::settle::{AttemptBudget, Settlement};

mod requests;

/// The messages from this one on have a pace.
const FIRST: u128 = 1 << 64;

const GAP: Duration = Duration::from_secs(30);

/// How long a claim takes.
const TAKES: Duration = Duration::from_millis(20);

/// The pace of some of the messages of a world.
#[derive(Debug, Default)]
pub(super) struct Paces {
    next: Moment,
    /// The latest slot: whose it is, and when the one before it was over.
    taken: Option<(AttemptToken, Moment)>,
    /// These are cancelled in place of being sent.
    cancelled: BTreeSet<MessageId>,
    /// The recipients of these have opted out.
    opted_out: BTreeSet<MessageId>,
    /// Another gap than [`GAP`].
    gap: Option<Duration>,
    /// When it was claimed from.
    asked: Vec<Moment>,
    /// No claim has an answer.
    is_silent: bool,
    /// Its messages are locked.
    is_locked: bool,
}

impl Paces {
    #[expect(clippy::unused_self, reason = "like the other questions")]
    pub(super) fn has(&self, message: MessageId) -> bool {
        message >= id(FIRST)
    }

    fn due(&self, at: Moment) -> PaceDue {
        self.due_by(LaneKey::of(Channel::Sms), at)
    }

    fn due_by(&self, lane: LaneKey, at: Moment) -> PaceDue {
        PaceDue {
            id: PaceId(Uuid::from_u128(1)),
            scope: "campaign".into(),
            what: "1".into(),
            at: self.next.max(at),
            lane,
        }
    }

    /// Of a row that was read.
    pub(super) fn state(&self, message: MessageId, mut state: RowState) -> RowState {
        if let RowState::Pending { due, pace, .. } = &mut state
            && self.has(message)
        {
            *pace = Some(Box::new(self.due(*due)));
        }
        state
    }

    fn first(&self, rows: &BTreeMap<MessageId, Row>, until: Moment) -> Option<(Moment, MessageId)> {
        let own = rows.values().filter(|row| self.has(row.id));
        let own = own.filter(|row| row.status == Status::Pending && row.due <= until);
        own.map(|row| (row.due, row.id)).min()
    }

    pub(super) fn load(&self, rows: &BTreeMap<MessageId, Row>, until: Moment) -> Vec<PaceDue> {
        let first = self.first(rows, until);
        let first = first.map(|(due, id)| self.due_by(rows[&id].lane.clone(), due));
        first.into_iter().collect()
    }

    pub(super) fn claim(
        &mut self,
        rows: &mut BTreeMap<MessageId, Row>,
        asks: &[PaceRequest],
        until: Moment,
        now: Moment,
    ) -> Option<Input<MessageId>> {
        self.asked.push(now);
        if self.is_silent {
            return None;
        }
        let mut took = None;
        let answer = |ask: &PaceRequest| {
            let first = self.first(rows, now + LEAD_MAX).map(|(_, id)| id);
            if let Some(row) =
                first.filter(|id| self.next <= now + LEAD_MAX && self.opted_out.contains(id))
            {
                if let Some(row) = rows.get_mut(&row) {
                    row.status = Status::Cancelled;
                }
                return (ask.pace, PacedResponse::OptedOut(row));
            }
            let answer = match self.win(rows, *ask, now) {
                Some(paced) => {
                    took = Some(TAKES);
                    PacedResponse::Won(Box::new(paced))
                }
                None => match self.first(rows, until) {
                    Some((due, _)) => PacedResponse::Wait(self.due(due)),
                    None => PacedResponse::Idle,
                },
            };
            (ask.pace, answer)
        };
        let answers = asks.iter().map(answer).collect();
        Some(Input::PacesClaimed { answers, took })
    }

    fn win(
        &mut self,
        rows: &mut BTreeMap<MessageId, Row>,
        ask: PaceRequest,
        now: Moment,
    ) -> Option<PacedClaim<JudgedClaim<MessageId>>> {
        let (due, first) = self.first(rows, now + LEAD_MAX)?;
        if self.next > now + LEAD_MAX || self.is_locked {
            return None;
        }
        let slot = self.next.max(due).max(now);
        let row = rows.get_mut(&first)?;
        (row.status, row.due) = (Status::Sending, slot);
        row.attempts += 1;
        self.taken = Some((ask.token, self.next));
        let lane = row.lane.clone();
        self.next = slot + PACE_SLACK + self.gap.unwrap_or(GAP);
        let verdict = if self.cancelled.contains(&first) {
            let reason = Reason::new(ReasonKind::TooLate, "its event has begun");
            Err(Settlement::cancelled(reason))
        } else {
            Ok(first)
        };
        Some(PacedClaim {
            id: first,
            priority: Priority::Normal,
            claim: JudgedClaim {
                token: ask.token,
                due: slot,
                wanted_at: slot,
                is_retry: false,
                parties: Parties::NONE,
                lane,
                route: None,
                pausable: Pausable::default(),
                tries: AttemptBudget {
                    number: 1,
                    before: 0,
                    max: 3,
                    expires: Moment::MAX,
                },
                part: Part::ONLY,
                closes: Moment::MAX,
                verdict,
            },
            latest: slot + PACE_SLACK,
            waited: Duration::ZERO,
            next: self.next,
            rate: None,
            charged: None,
        })
    }

    /// No request was made under this token.
    pub(super) fn returned(&mut self, token: AttemptToken) {
        if let Some((_, before)) = self.taken.take_if(|(latest, _)| *latest == token) {
            self.next = before;
        }
    }
}

/// So many messages of a pace, due a second after the start.
fn paced(n: u128) -> impl Iterator<Item = Row> {
    (0..n).map(|n| Row::due(FIRST + n, at(SECOND)))
}

/// A world with a claim from a pace under way.
fn asking(rows: impl IntoIterator<Item = Row>) -> World {
    let mut world = World::new(settings(8), paced(1).chain(rows));
    world.paces.is_silent = true;
    world.run_until(at(SECOND));
    assert!(world.reactor.paces.is_asking());
    world
}

fn failed() -> Input<MessageId> {
    Input::PacesClaimed {
        answers: Vec::new(),
        took: None,
    }
}

/// It may be committed: a process that ended now would leave its message as if it might have been sent.
#[test]
fn a_drain_waits_for_the_answer_of_a_claim_from_a_pace() {
    let mut world = asking([]);
    world.handle(Input::Drain);
    assert!(!world.reactor.is_drained());
    world.handle(failed());
    assert!(world.reactor.is_drained());
}

#[test]
fn a_claim_from_a_pace_that_fails_makes_no_other_message_wait() {
    let due = at(SECOND + Duration::from_millis(3));
    let mut world = asking([Row::due(1, due)]);
    world.handle(failed());
    world.run_until(due);
    assert_eq!(world.in_flight, [id(1)]);
}

/// A message that was released is read while the pace is asked: the answer may be from before its release.
#[test]
fn a_message_that_is_read_while_its_pace_is_asked_waits_for_no_sweep() {
    for (answer, found) in [(PacedResponse::Idle, "idle"), (later(), "later")] {
        let mut world = asking([]);
        world.handle(Input::Notification(vec![id(FIRST)]));
        world.paces.is_silent = false;
        world.handle(Input::PacesClaimed {
            answers: vec![(PaceId(Uuid::from_u128(1)), answer)],
            took: None,
        });
        world.run_until(at(SECOND + LEAD_MAX));
        assert_eq!(world.in_flight, [id(FIRST)], "{found}");
    }
}

fn later() -> PacedResponse<JudgedClaim<MessageId>> {
    let other = Paces::default();
    PacedResponse::Wait(other.due(at(10 * SECOND)))
}

#[test]
fn each_slot_is_asked_for_once_and_its_message_starts_in_it() {
    let mut world = World::new(settings(8), paced(3));
    for n in 0..3 {
        world.run_until(at(SECOND + (GAP + PACE_SLACK) * n));
        assert_eq!(world.in_flight, [id(FIRST + u128::from(n))]);
        world.answer(id(FIRST + u128::from(n)), accepted());
    }
    world.run_until(at(10 * GAP));
    assert_eq!(world.paces.asked.len(), 3);
    assert_eq!(world.count(Status::Sent), 3);
}

/// A near sweep reads what is due soon: what it does not find is due later, and not gone.
#[test]
fn a_pace_whose_next_message_is_due_later_is_still_reported_after_a_near_sweep() {
    let due = at(60 * SECOND);
    let mut world = World::new(settings(8), [Row::due(FIRST, due)]);
    let reported = |world: &World| {
        let paces = world.reactor.paces();
        paces.iter().map(|pace| pace.next_at).collect::<Vec<_>>()
    };
    for second in 1..60 {
        world.run_until(at(SECOND * second));
        assert_eq!(reported(&world), [due], "{second}");
    }
    // A message that is gone is found by the sweep that reads as far.
    world.rows.clear();
    world.run_until(at(60 * SECOND));
    assert_eq!(reported(&world), []);
}

/// However many are cancelled at their claim, the one behind them starts in the slot that they did not use.
#[test]
fn a_slot_that_was_returned_is_asked_for_at_once() {
    let mut world = World::new(settings(8), paced(4));
    world.paces.cancelled = (0..3).map(|n| id(FIRST + n)).collect();
    world.run_until(at(SECOND + LEAD_MAX));
    assert_eq!(world.in_flight, [id(FIRST + 3)]);
    assert_eq!(world.count(Status::Cancelled), 3);
}

#[test]
fn what_cannot_start_in_its_slot_is_released_and_takes_the_next_one() {
    let mut world = World::new(settings(1), paced(1).chain([Row::due(1, at(SECOND / 2))]));
    // The only permit is in use for longer than the slot.
    world.run_until(at(2 * SECOND + PACE_SLACK));
    assert_eq!(world.in_flight, [id(1)]);
    world.answer(id(1), accepted());
    world.run_until(at(3 * SECOND + PACE_SLACK));
    assert_eq!(world.in_flight, [id(FIRST)]);
}

#[test]
fn a_connection_is_opened_ahead_of_each_slot() {
    let mut world = World::new(settings(8), paced(3));
    world.run_until(at(SECOND));
    world.prewarms.clear();
    let ahead = world.reactor.settings.limits.prewarm.ahead;
    let second = at(SECOND + PACE_SLACK + GAP);
    world.run_until(second);
    assert_eq!(world.prewarms, [(second - ahead, 1)]);
}

#[test]
fn the_lead_is_measured_by_claims_from_paces_too() {
    let mut world = World::new(settings(8), paced(40));
    let before = world.reactor.lead.single();
    for n in 0..40 {
        world.run_until(at(SECOND + (GAP + PACE_SLACK) * n));
        world.answer(id(FIRST + u128::from(n)), accepted());
    }
    let after = world.reactor.lead.single();
    assert!(
        before <= LEAD_MAX / 2 && after > before,
        "{before:?} {after:?}"
    );
}

/// What the claim may win is ahead too: no more is claimed than the limit, and other lanes keep their share.
#[test]
fn what_a_claim_from_a_pace_may_win_counts_in_its_lane() {
    let world = asking([]);
    let lane = world.reactor.lanes.find(&LaneKey::of(Channel::Sms));
    let load = world.reactor.lanes[lane.expect("it is asked for")].load;
    assert_eq!((load.paced_asks, load.ahead(), load.busy), (1, 1, 0));
    assert_eq!(world.reactor.lanes.load().ahead(), 1);
}
