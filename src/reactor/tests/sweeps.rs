//! How soon everything is read again, whatever requests it.

use super::world::{Row, World, id};
use super::*;
use crate::message::{AttemptToken, Channel, InstanceId, MessageId, Now, Status, Uptime};
use crate::reactor::{Command, Reactor};
use crate::schedule::Ranking;

/// A reactor whose sweeps end when the test says so.
struct Sweeps {
    reactor: Reactor<MessageId>,
    now: Now,
    /// From when on the latest reads.
    from: Option<Moment>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sweep {
    Near,
    Full,
}

impl Sweeps {
    /// Its first sweep took so long.
    fn after_one_of(took: Duration) -> Self {
        let now = Now {
            db: at(SECOND),
            up: Uptime::from_micros(77_000_000),
        };
        let reactor = Reactor::new(settings(4), now, AttemptToken::fresh);
        let mut sweeps = Self {
            reactor,
            now,
            from: None,
        };
        assert_eq!(sweeps.up(), Some(Sweep::Full));
        sweeps.pass(took);
        assert_eq!(sweeps.end(true), None);
        assert!(sweeps.reactor.is_ready());
        sweeps
    }

    fn handle(&mut self, input: Input<MessageId>) -> Option<Sweep> {
        self.reactor.handle(input, self.now);
        let mut begun = None;
        while let Some(command) = self.reactor.next_command() {
            if let Command::Load { from, until, .. } = command {
                assert_eq!(begun, None, "two at once");
                self.from = from;
                let is_full = until == self.now.db + self.reactor.settings().horizon;
                begun = Some(if is_full { Sweep::Full } else { Sweep::Near });
            }
        }
        begun
    }

    fn up(&mut self) -> Option<Sweep> {
        self.handle(Input::ChannelUp { unnotified: false })
    }

    fn end(&mut self, complete: bool) -> Option<Sweep> {
        self.handle(Input::LoadEnded {
            complete,
            reached: None,
        })
    }

    fn pass(&mut self, time: Duration) -> Option<Sweep> {
        self.now = Now {
            db: self.now.db + time,
            up: self.now.up + time,
        };
        self.handle(Input::Tick)
    }

    /// How long it is until the next full sweep begins, in tenths of a second; near ones take no time.
    fn until_full(&mut self, mut request: impl FnMut(&mut Self) -> Option<Sweep>) -> u32 {
        for tenths in 0..1_000 {
            let mut begun = request(self);
            while begun == Some(Sweep::Near) {
                begun = self.end(true);
            }
            if begun == Some(Sweep::Full) {
                return tenths;
            }
            let mut begun = self.pass(Duration::from_millis(100));
            while begun == Some(Sweep::Near) {
                begun = self.end(true);
            }
            if begun == Some(Sweep::Full) {
                return tenths + 1;
            }
        }
        panic!("none within 100 s");
    }
}

#[test]
fn full_sweeps_are_ten_times_as_long_apart_as_one_takes() {
    let mut sweeps = Sweeps::after_one_of(SECOND * 3);
    assert_eq!(sweeps.until_full(|own| own.handle(Input::Rescan)), 300);
    // A shorter one: a second after it began.
    sweeps.pass(Duration::from_millis(50));
    sweeps.end(true);
    let tenths = sweeps.until_full(|own| own.handle(Input::Rescan));
    assert!((9..=10).contains(&tenths), "{tenths}");
}

#[test]
fn a_channel_that_comes_and_goes_has_the_near_rows_read_at_once_and_all_after_the_same_pause() {
    let mut sweeps = Sweeps::after_one_of(SECOND * 3);
    sweeps.handle(Input::ChannelDown);
    assert_eq!(sweeps.up(), Some(Sweep::Near));
    assert_eq!(sweeps.end(true), None);
    assert!(!sweeps.reactor.is_ready(), "the rest was not read yet");
    let tenths = sweeps.until_full(|own| {
        own.handle(Input::ChannelDown);
        own.up()
    });
    assert_eq!(tenths, 300);
    sweeps.end(true);
    assert!(sweeps.reactor.is_ready());
    // A loss after a quiet time is followed by a full one at once.
    sweeps.pass(MINUTE);
    sweeps.end(true);
    sweeps.handle(Input::ChannelDown);
    assert_eq!(sweeps.up(), Some(Sweep::Full));
}

#[test]
fn the_end_of_a_pause_or_a_quarantine_has_the_near_rows_read_at_once_and_all_after_the_same_pause()
{
    let mut sweeps = Sweeps::after_one_of(SECOND * 3);
    let quarantine = |own: &mut Sweeps| {
        let before = own.now.db;
        own.handle(Input::Quarantine {
            before,
            written_until: before,
        });
        own.handle(Input::QuarantineEnded)
    };
    assert_eq!(quarantine(&mut sweeps), Some(Sweep::Near));
    sweeps.end(true);
    assert_eq!(sweeps.until_full(quarantine), 300);
    sweeps.end(true);
    // And one by a clock that was wrong.
    sweeps.pass(MINUTE);
    sweeps.end(true);
    sweeps.handle(Input::Rescan);
    sweeps.pass(SECOND * 3);
    sweeps.end(true);
    sweeps.handle(Input::ClockLost);
    assert_eq!(sweeps.handle(Input::ClockFound), Some(Sweep::Near));
}

/// What was another's turn is this one's, if that is gone.
#[test]
fn other_instances_have_the_near_rows_read_at_once_and_all_after_the_same_pause() {
    let mut sweeps = Sweeps::after_one_of(SECOND * 3);
    let [me, other] = [1, 2].map(|n| InstanceId(uuid::Uuid::from_u128(n)));
    for members in [vec![other], Vec::new()] {
        let ranking = Ranking::new(me, members);
        assert_eq!(sweeps.handle(Input::Members(ranking)), Some(Sweep::Near));
        assert_eq!(sweeps.end(true), None);
        sweeps.pass(SECOND);
    }
    let tenths = sweeps.until_full(|_| None);
    assert_eq!(tenths, 280);
}

#[test]
fn after_a_sweep_that_failed_there_is_a_pause_as_long_as_it_took() {
    let least = limits().intake.failed_pause;
    for (took, pause) in [(SECOND * 4, 40), (SECOND / 10, 5)] {
        assert_eq!(least, Duration::from_millis(500));
        let mut sweeps = Sweeps::after_one_of(Duration::ZERO);
        sweeps.pass(SECOND);
        assert_eq!(sweeps.handle(Input::Rescan), Some(Sweep::Full));
        sweeps.pass(took);
        assert_eq!(sweeps.end(false), None);
        assert_eq!(sweeps.until_full(|_| None), pause, "{took:?}");
    }
}

/// What is about to be due is among the notifications that there was no room for.
#[test]
fn notices_without_room_have_the_near_rows_read_within_a_fifth_of_a_second_and_all_after_the_same_pause()
 {
    let mut sweeps = Sweeps::after_one_of(SECOND * 3);
    let most = limits().intake.notified_max as u128;
    let overflow = |own: &mut Sweeps| {
        // More than one read takes are noted, and the first of them are read meanwhile.
        let ids = (0..=2 * most).map(|n| MessageId(uuid::Uuid::from_u128(n)));
        own.handle(Input::Notification(ids.collect()))
    };
    assert_eq!(overflow(&mut sweeps), Some(Sweep::Near));
    sweeps.end(true);
    // Not again at once, however many there are.
    assert_eq!(limits().intake.near_pause, Duration::from_millis(200));
    assert_eq!(overflow(&mut sweeps), None);
    assert_eq!(sweeps.pass(Duration::from_millis(199)), None);
    assert_eq!(sweeps.pass(Duration::from_millis(1)), Some(Sweep::Near));
    // One that fails is not repeated at once.
    assert_eq!(sweeps.end(false), None);
    assert_eq!(overflow(&mut sweeps), None);
    assert!(limits().intake.failed_pause < SECOND);
    assert_eq!(sweeps.pass(SECOND), Some(Sweep::Near));
    sweeps.end(true);
    let tenths = sweeps.until_full(overflow);
    assert!((280..=290).contains(&tenths), "{tenths}");
}

/// An app may lock and unlock overdue rows in batches, all the time.
#[test]
fn sweeps_because_a_lock_is_gone_are_ten_times_as_long_apart_as_one_takes() {
    let tenth = Duration::from_millis(100);
    let mut sweeps = Sweeps::after_one_of(Duration::ZERO);
    let mut begun = Vec::new();
    sweeps.reactor.intake.sweep_unlocked();
    let mut sweep = sweeps.handle(Input::Tick);
    for tenths in 0..36 {
        // Another lock is gone, also while it reads.
        sweeps.reactor.intake.sweep_unlocked();
        if sweep.is_some() {
            assert_eq!(sweep, Some(Sweep::Near));
            begun.push(tenths);
            assert_eq!(sweeps.pass(tenth), None);
            sweep = sweeps.end(true);
        } else {
            sweep = sweeps.pass(tenth);
        }
    }
    assert_eq!(begun, [0, 11, 22, 33]);
    // After one that failed there is only the pause after failures, and the unlocking is not forgotten.
    let mut sweeps = Sweeps::after_one_of(Duration::ZERO);
    sweeps.reactor.intake.sweep_unlocked();
    assert_eq!(sweeps.handle(Input::Tick), Some(Sweep::Near));
    assert_eq!(sweeps.end(false), None);
    assert_eq!(sweeps.pass(tenth * 4), None);
    assert_eq!(sweeps.pass(tenth), Some(Sweep::Near));
}

/// A million that wait for a refused account are not read all the time.
#[test]
fn what_is_overdue_for_long_is_read_by_near_sweeps_ten_times_as_seldom_as_that_takes() {
    let half = SECOND / 2;
    let mut sweeps = Sweeps::after_one_of(Duration::ZERO);
    sweeps.handle(Input::ChannelUp { unnotified: true });
    let (mut whole, mut parts) = (Vec::new(), 0);
    while whole.len() < 4 {
        if sweeps.pass(half) == Some(Sweep::Near) {
            match sweeps.from {
                None => whole.push(sweeps.now.up),
                Some(from) => {
                    assert_eq!(sweeps.now.db.since(from), limits().intake.behind);
                    parts += 1;
                }
            }
            assert_eq!(sweeps.pass(half), None);
            assert_eq!(sweeps.end(true), None);
        }
    }
    let apart = whole.windows(2).map(|two| two[1].since(two[0]));
    assert!(
        apart
            .clone()
            .all(|apart| apart >= half * 11 && apart <= half * 13)
    );
    assert!(parts >= 12, "{parts} others");
    // Unless something is to be armed again, or the last one failed.
    assert_eq!(sweeps.pass(half), Some(Sweep::Near));
    assert!(sweeps.from.is_some());
    sweeps.reactor.intake.sweep_soon();
    sweeps.end(false);
    assert_eq!(sweeps.pass(half), Some(Sweep::Near));
    assert_eq!(sweeps.from, None);
}

/// Many messages are due at the same round moment, and what is written for it late is found before it.
#[test]
fn where_nothing_notifies_a_sweep_comes_before_what_is_due_next() {
    let due = at(Duration::from_millis(10_800));
    for (written, is_found) in [(10_200, true), (10_790, false)] {
        let mut world = World::new(settings(9), [Row::due(0, due)]);
        world.handle(Input::ChannelUp { unnotified: true });
        world.run_until(at(Duration::from_millis(written)));
        world.rows.insert(id(1), Row::due(1, due));
        world.run_until(due);
        assert_eq!(world.in_flight.contains(&id(1)), is_found, "{written}");
        world.run_until(at(Duration::from_millis(11_800)));
        assert!(world.in_flight.contains(&id(1)), "within a second");
    }
}

/// All of the account's, as while it is refused; and one that is due so soon after a sweep that none comes before it.
#[test]
fn where_nothing_notifies_what_is_overdue_does_not_hide_what_follows_in_its_lane() {
    for stuck in [SECOND, Duration::from_millis(10_050)] {
        let (next, late) = (at(Duration::from_millis(10_800)), id(1));
        let rows = (10..50).map(|n| Row::due(n, at(SECOND)));
        let stuck = (50..60).map(|n| Row::due(n, at(stuck)));
        let mut world = World::new(settings(9), rows.chain(stuck).chain([Row::due(0, next)]));
        world.handle(Input::ChannelUp { unnotified: true });
        world.run_until(at(Duration::from_millis(10_200)));
        world.rows.insert(late, Row::due(1, next));
        world.run_until(next);
        assert!(world.reactor.lanes.get(late).is_some());
    }
}

/// The host of some webhooks takes nothing any more: that concerns no text.
#[test]
fn where_nothing_notifies_what_is_overdue_in_one_lane_does_not_delay_others() {
    let due = at(Duration::from_millis(10_800));
    let stuck = (10..50).map(|n| Row::due(n, at(SECOND)).over(Channel::Webhook));
    let rows = stuck.chain([Row::due(0, due)]);
    let mut world = World::new(settings(9), rows);
    world.handle(Input::ChannelUp { unnotified: true });
    world.run_until(at(Duration::from_millis(10_200)));
    let overdue = world.count(Status::Pending);
    assert!(overdue > 30, "{overdue}");
    world.rows.insert(id(1), Row::due(1, due));
    world.run_until(due);
    assert!(world.in_flight.contains(&id(1)));
}
