//! What is paused is not claimed, what was cleared is released, and a resume costs one read of the window.

use std::time::Duration;

use super::world::{Claims, Row, World, id};
use super::{accepted, settings};
use crate::message::{
    Channel, LaneKey, MessageId, Moment, Outcome, Pausable, Pause, PauseKey, PauseScope, RowState,
    Status,
};
use crate::reactor::Input;
use crate::settle::SendResult;

fn at(ms: u64) -> Moment {
    super::at(Duration::from_millis(ms))
}

fn pause(scope: PauseScope, what: &str, until: Moment) -> Pause {
    let what = what.to_owned();
    let key = PauseKey { scope, what };
    Pause { key, until }
}

fn everything(until: Moment) -> Pause {
    pause(PauseScope::Everything, "", until)
}

/// The table of pauses.
#[derive(Default)]
pub(super) struct Pauses {
    all: Vec<Pause>,
    /// It cannot be read.
    fail: bool,
    /// Responses wait until the test releases them.
    is_slow: bool,
    unanswered: Vec<Input<MessageId>>,
    reads: usize,
}

pub(super) fn pausable(id: MessageId, channel: Channel) -> Pausable {
    Pausable {
        channel,
        user: Some(id.0.to_string()),
        ..Pausable::default()
    }
}

impl Pauses {
    pub(super) fn only(pause: Pause) -> Self {
        Self {
            all: vec![pause],
            ..Self::default()
        }
    }

    pub(super) fn read(&mut self, now: Moment) -> Input<MessageId> {
        self.reads += 1;
        let in_force = |pause: &&Pause| pause.until > now;
        let read = || self.all.iter().filter(in_force).cloned().collect();
        Input::Pauses {
            pauses: (!self.fail).then(read),
            way: Duration::ZERO,
        }
    }

    /// The same, unless its response waits.
    pub(super) fn respond(&mut self, now: Moment) -> Vec<Input<MessageId>> {
        let response = self.read(now);
        if self.is_slow {
            self.unanswered.push(response);
            return Vec::new();
        }
        vec![response]
    }

    /// When a row of a lane may be sent.
    pub(super) fn due(&self, id: MessageId, due: Moment, lane: &LaneKey, now: Moment) -> Moment {
        let message = pausable(id, lane.channel());
        let own = |p: &&Pause| p.until > now && message.is_stopped_by(&p.key);
        let ends = self.all.iter().filter(own).map(|pause| pause.until);
        ends.fold(due, Moment::max)
    }

    pub(super) fn state(&self, id: MessageId, mut state: RowState, now: Moment) -> RowState {
        if let RowState::Pending { due, lane, .. } = &mut state {
            *due = self.due(id, *due, lane, now);
        }
        state
    }
}

impl World {
    /// Somebody changes the pauses, and the notification comes.
    fn pause(&mut self, pauses: Vec<Pause>) {
        self.pauses.all = pauses;
        self.handle(Input::PausesChanged);
    }

    /// The reads that were sent have their responses.
    fn answer_pauses(&mut self) {
        for response in std::mem::take(&mut self.pauses.unanswered) {
            self.handle(response);
        }
    }
}

#[test]
fn what_was_cleared_is_released_when_a_pause_is_heard_and_sent_after_the_resume() {
    let mut world = World::new(settings(8), [Row::due(1, at(1_000))]);
    world.run_until(at(990));
    assert_eq!(world.count(Status::Sending), 1, "it is claimed");
    world.pause(vec![everything(Moment::MAX)]);
    assert_eq!(world.count(Status::Pending), 1, "its claim is released");
    world.run_until(at(5_000));
    assert_eq!((world.starts, world.count(Status::Pending)), (0, 1));
    world.pause(Vec::new());
    world.run_until(at(5_010));
    assert_eq!(world.starts, 1, "it is sent at once");
}

#[test]
fn a_pause_is_found_while_something_is_cleared_though_no_notification_comes() {
    let rows = [Row::due(1, at(1_000)), Row::due(2, at(1_000))];
    let mut world = World::new(settings(1), rows);
    world.run_until(at(1_020));
    assert_eq!(world.starts, 1, "the other waits for the permit");
    let reads = world.pauses.reads;
    world.pauses.all = vec![everything(Moment::MAX)];
    // One read within 50 ms finds it, and releases what waits.
    world.run_until(at(1_080));
    assert_eq!(world.pauses.reads, reads + 1);
    assert_eq!(world.count(Status::Pending), 1);
    world.answer(id(1), accepted());
    world.run_until(at(3_000));
    assert_eq!(world.starts, 1);
}

#[test]
fn nothing_starts_while_the_pauses_cannot_be_read() {
    let rows = [Row::due(1, at(1_000)), Row::due(2, at(1_000))];
    let mut world = World::new(settings(1), rows);
    world.run_until(at(1_020));
    world.pauses.fail = true;
    world.run_until(at(1_200));
    world.answer(id(1), accepted());
    assert_eq!(world.starts, 1, "what was read is over 100 ms old");
    let reads = world.pauses.reads;
    world.run_until(at(3_200));
    assert!(world.pauses.reads - reads < 20, "pauses between the tries");
    world.pauses.fail = false;
    world.run_until(at(4_300));
    assert_eq!(world.starts, 2);
}

#[test]
fn a_paused_lane_is_not_claimed_from_and_does_not_delay_others() {
    let emails = (1..=500).map(|n| Row::due(n, at(1_000)).over(Channel::Email));
    let mut world = World::new(settings(8), emails.chain([Row::due(1_000, at(1_500))]));
    world.pause(vec![pause(PauseScope::Lane, "email", Moment::MAX)]);
    world.run_until(at(4_000));
    assert_eq!(world.claims_made, 1, "one claim, for the other lane");
    assert_eq!(world.in_flight, vec![id(1_000)]);
    let sweeps = world.reactor.resyncs();
    world.pause(Vec::new());
    world.answer_all(&accepted(), at(60_000));
    assert_eq!(world.count(Status::Sent), 501);
    assert_eq!(
        world.reactor.resyncs() - sweeps,
        1,
        "the window is read once"
    );
}

#[test]
fn what_waits_for_the_end_of_a_pause_starts_then_and_not_before() {
    let mut world = World::new(settings(8), [Row::due(1, at(1_000))]);
    world.pause(vec![everything(at(3_000))]);
    world.run_until(at(2_999));
    assert_eq!(world.starts, 0);
    world.run_until(at(3_000));
    assert_eq!(world.starts, 1);
}

#[test]
fn a_claim_that_meets_a_pause_has_them_read_once_for_all_that_it_stops() {
    let rows = (1..=40_u32).map(|n| Row::due(n.into(), at(1_000 + 50 * u64::from(n))));
    let mut world = World::new(settings(8), rows);
    let user = |n: u128| pause(PauseScope::User, &id(n).0.to_string(), Moment::MAX);
    world.pause(vec![pause(PauseScope::User, "somebody", at(60_000))]);
    let reads = world.pauses.reads;
    // No notification of these comes.
    world.pauses.all.extend((1..=40).map(user));
    world.run_until(at(4_000));
    assert_eq!((world.starts, world.pauses.reads - reads), (0, 1));
}

#[test]
fn a_pause_that_a_claim_met_and_no_read_showed_is_over() {
    let mut world = World::new(settings(8), [Row::due(1, at(1_000))]);
    world.claims = Claims::Slow;
    world.pauses.all = vec![everything(Moment::MAX)];
    world.run_until(at(990));
    world.pause(Vec::new());
    let sweeps = world.reactor.resyncs();
    world.claims = Claims::Answered;
    world.answer_claims();
    world.run_until(at(1_010));
    assert_eq!((world.starts, world.reactor.resyncs() - sweeps), (1, 1));
}

#[test]
fn a_claim_that_wins_what_is_paused_has_the_pauses_read() {
    let user = pause(PauseScope::User, &id(1).0.to_string(), Moment::MAX);
    let mut world = World::new(settings(8), []);
    world.pause(vec![user]);
    // No notification of the resume comes.
    world.pauses.all = Vec::new();
    let reads = world.pauses.reads;
    world.run_until(at(1_000));
    world.insert(Row::due(1, at(1_000)));
    world.run_until(at(1_010));
    // Once more with the sweep that follows.
    assert_eq!((world.starts, world.pauses.reads - reads), (1, 2));
    assert_eq!(world.claims_made, 2, "the first one is released");
}

/// The read that was sent before it says nothing about it, and the one sent after it all, whatever else wants another.
#[test]
fn a_pause_that_a_claim_met_is_decided_by_the_first_read_sent_since() {
    let mut world = World::new(settings(8), [Row::due(1, at(1_000))]);
    world.claims = Claims::Slow;
    world.pauses.all = vec![everything(Moment::MAX)];
    world.run_until(at(990));
    world.pauses.all = Vec::new();
    world.pauses.is_slow = true;
    world.handle(Input::PausesChanged);
    world.claims = Claims::Answered;
    let sweeps = world.reactor.resyncs();
    world.run_until(at(1_001));
    world.answer_claims();
    // The read under way was sent before the claim met it.
    world.answer_pauses();
    assert_eq!(world.reactor.resyncs() - sweeps, 0);
    world.run_until(at(1_002));
    world.handle(Input::PausesChanged);
    world.answer_pauses();
    assert_eq!((world.starts, world.reactor.resyncs() - sweeps), (1, 1));
    world.run_until(at(1_003));
    world.answer_pauses();
    world.run_until(at(5_000));
    assert_eq!(world.reactor.resyncs() - sweeps, 1, "once");
}

#[test]
fn the_pauses_are_not_read_again_for_what_starts_soon_after_its_claim() {
    let due = |n: u32| at(1_000 + u64::from(n) * 10);
    let rows = (0..100).map(|n| Row::due(n.into(), due(n)));
    let mut world = World::new(settings(16), rows);
    world.run_until(at(900));
    let before = world.pauses.reads;
    for n in 0..100 {
        world.run_until(due(n));
        world.answer(id(n.into()), accepted());
    }
    assert_eq!(world.pauses.reads, before);
}

/// The one that is released takes nothing from the reading that the other one relies on.
#[test]
fn of_two_in_one_claim_one_starts_in_time_if_the_other_is_released_at_once() {
    let mut world = World::new(settings(8), []);
    let user = pause(PauseScope::User, &id(2).0.to_string(), Moment::MAX);
    world.pause(vec![user]);
    // No notification of the resume comes, and the read that the claim asks for takes long.
    world.pauses.all = Vec::new();
    world.run_until(at(900));
    for n in [1, 2] {
        world.insert(Row::due(n, at(1_000)));
    }
    world.pauses.is_slow = true;
    world.run_until(at(1_000));
    assert_eq!(world.in_flight, [id(1)]);
}

/// The machine was too slow to begin the request. That says nothing about the provider, whose pauses grow.
#[test]
fn what_could_not_begin_in_time_is_tried_again_at_once_however_often() {
    let mut world = World::new(settings(8), [Row::due(0, at(1_000))]);
    world.run_until(at(1_000));
    for _ in 0..6 {
        let id = world.in_flight.pop().expect("it is tried again");
        let late = 2 * world.reactor.settings.limits.pauses.max_age;
        world.now.db = world.now.db + late;
        world.now.up = world.now.up + late;
        world.handle(Input::TooLate { id });
        world.run_until(world.now.db + Duration::from_millis(100));
    }
    assert_eq!(world.in_flight, [id(0)]);
    assert_eq!(
        world.asked, 1,
        "its claim holds, and no record goes before it"
    );
}

/// What the next read shows stops it, and nothing begins before that.
#[test]
fn what_could_not_begin_in_time_is_stopped_by_a_pause_meanwhile() {
    let mut world = World::new(settings(8), [Row::due(0, at(1_000))]);
    world.run_until(at(1_000));
    let id = world.in_flight.pop().expect("it is being sent");
    let late = 2 * world.reactor.settings.limits.pauses.max_age;
    world.now.db = world.now.db + late;
    world.now.up = world.now.up + late;
    world.pauses.all = vec![everything(Moment::MAX)];
    world.handle(Input::TooLate { id });
    world.run_until(at(5_000));
    assert_eq!((world.starts, world.count(Status::Pending)), (1, 1));
    world.pause(Vec::new());
    world.run_until(at(6_000));
    assert_eq!(world.starts, 2);
}

/// A journal that cannot be written, on a disk that stalls first: that is known late, and waits all the same.
#[test]
fn what_could_not_begin_for_another_reason_waits_however_late_that_is_known() {
    let mut world = World::new(settings(8), [Row::due(0, at(1_000))]);
    world.run_until(at(1_000));
    let id = world.in_flight.pop().expect("it is being sent");
    let late = 2 * world.reactor.settings.limits.pauses.max_age;
    world.now.db = world.now.db + late;
    world.now.up = world.now.up + late;
    let answer = SendResult {
        outcome: Outcome::Unsent {
            reason: "the journal cannot be written".into(),
        },
        started: None,
        finished: world.now.db,
    };
    world.handle(Input::Sent { id, answer });
    world.run_until(world.now.db + Duration::from_millis(100));
    assert_eq!(world.in_flight, []);
}
