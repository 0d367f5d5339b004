//! Whatever happens in whatever order, what the reactor counts is what it has.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::lanes::{Lane, Load};
use super::super::{ClaimRequest, Command, Input, JudgedClaim, PaceRequest, Phase, Upcoming};
use super::world::id;
use super::*;
use crate::message::{
    AttemptToken, Channel, ClaimResponse, LaneKey, Now, PaceDue, PaceId, PacedClaim, PacedResponse,
    Part, Parties, Pausable, Pause, PauseKey, PauseScope, Priority, RowState, Uptime,
};
use crate::policy::{Reason, ReasonKind};
use crate::reactor::Reactor;
use crate::settle::{AttemptBudget, Settlement};

/// What the reactor counts of its lanes against what it has.
fn audit(reactor: &Reactor<()>) {
    let mut loads: BTreeMap<Lane, Load> = BTreeMap::new();
    let mut all = Load::default();
    for busy in reactor.busy.values() {
        for load in [&mut all, loads.entry(busy.lane).or_default()] {
            load.busy += 1;
            match busy.phase {
                Phase::Claiming { .. } => load.claiming[busy.priority as usize] += 1,
                Phase::Cleared { .. } => load.cleared[busy.priority as usize] += 1,
                Phase::Sending { .. } => load.sending += 1,
                Phase::Recording { started: true } => {}
                Phase::Recording { started: false } => load.unused += 1,
            }
        }
    }
    let mut cleared = BTreeMap::new();
    for busy in reactor.busy.values() {
        if let Phase::Cleared { lease_until, .. } = busy.phase {
            *cleared
                .entry(lease_until - reactor.settings.lease)
                .or_insert(0) += 1;
        }
    }
    assert_eq!(reactor.pauses.audit(), cleared);
    for (lane, asks) in reactor.paces.audit() {
        for load in [&mut all, loads.entry(lane).or_default()] {
            load.paced_asks += asks;
        }
    }
    assert_eq!(reactor.lanes.load(), all);
    for (lane, load) in loads {
        assert_eq!(reactor.lanes[lane].load, load, "{lane:?}");
    }
    for priority in Priority::ALL {
        let firsts = reactor.lanes.first_cleared(priority).count();
        let lanes = reactor.lanes.all();
        let cleared = lanes.filter(|state| state.load.cleared[priority as usize] > 0);
        assert_eq!(firsts, cleared.count());
    }
    for (id, _) in reactor.lanes.iter() {
        assert!(!reactor.busy.contains_key(&id), "armed and busy: {id:?}");
        assert!(
            reactor.lanes.get(id).is_some(),
            "armed and not found: {id:?}"
        );
    }
    assert_eq!(reactor.lanes.iter().count(), reactor.lanes.armed());
}

/// One thing that happens in [`whatever_happens_the_counts_hold`].
#[derive(Clone, Copy, Debug)]
enum Deed {
    /// A row of this lane is found due after so long.
    Find(u8, u8, u16),
    /// A pace of this lane has a message that may start after so long.
    Pace(u8, u8, u16),
    /// A row is found to be gone.
    Lose(u8),
    /// The first command that waits gets its response: a success, in another lane, or a failure.
    SendResult(u8),
    Pass(u16),
    Sweep,
    Hold(u16),
    Release,
}

fn deeds() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => (0..30_u8, 0..4_u8, 0..3_000_u16).prop_map(|(n, l, due)| Deed::Find(n, l, due)),
        2 => (0..6_u8, 0..4_u8, 0..3_000_u16).prop_map(|(n, l, due)| Deed::Pace(n, l, due)),
        1 => (0..30_u8).prop_map(Deed::Lose),
        8 => any::<u8>().prop_map(Deed::SendResult),
        4 => (0..2_000_u16).prop_map(Deed::Pass),
        1 => Just(Deed::Sweep),
        1 => (0..3_000_u16).prop_map(Deed::Hold),
        1 => Just(Deed::Release),
    ]
}

fn key(lane: u8) -> LaneKey {
    match lane {
        0 => LaneKey::default(),
        1 => LaneKey::of(Channel::Email),
        n => LaneKey::of(Channel::Webhook).with_host(&format!("{n}.example")),
    }
}

fn claimed(ask: ClaimRequest, how: u8) -> ClaimResponse<JudgedClaim<()>> {
    if how.is_multiple_of(5) {
        return ClaimResponse::Lost(RowState::Gone { status: None });
    }
    ClaimResponse::Won(JudgedClaim {
        token: ask.token,
        due: Moment::from_micros(0),
        wanted_at: Moment::from_micros(0),
        is_retry: false,
        parties: Parties::NONE,
        lane: key(how % 4),
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
        verdict: if how.is_multiple_of(11) {
            Err(Settlement::cancelled(Reason::new(
                ReasonKind::TooLate,
                "opted out",
            )))
        } else {
            Ok(())
        },
    })
}

fn pace(n: u8, lane: u8, at: Moment) -> PaceDue {
    PaceDue {
        id: PaceId(id(n.into()).0),
        scope: "campaign".into(),
        what: n.to_string(),
        at,
        lane: key(lane),
    }
}

/// It may win a message that is armed, or busy.
fn paced(ask: PaceRequest, how: u8, now: Now) -> PacedResponse<JudgedClaim<()>> {
    let at = now.db + Duration::from_millis(u64::from(how) * 20);
    if how.is_multiple_of(5) {
        return PacedResponse::Wait(PaceDue {
            id: ask.pace,
            ..pace(0, how % 4, at)
        });
    }
    let message = id(u128::from(how % 30));
    if how.is_multiple_of(11) {
        return PacedResponse::OptedOut(message);
    }
    let claim = ClaimRequest {
        id: message,
        token: ask.token,
        via: ask.via,
    };
    let ClaimResponse::Won(judged) = claimed(claim, how) else {
        return PacedResponse::Idle;
    };
    PacedResponse::Won(Box::new(PacedClaim {
        id: message,
        priority: Priority::ALL[usize::from(how) % Priority::ALL.len()],
        claim: judged,
        latest: now.db + SECOND,
        waited: SECOND,
        next: at,
        rate: None,
        charged: None,
    }))
}

fn answer(command: Command<()>, how: u8, now: Now) -> Option<Input<()>> {
    Some(match command {
        Command::Read(ids) => {
            let rows = ids
                .into_iter()
                .map(|id| (id, RowState::Gone { status: None }));
            Input::Rows {
                rows: Some(rows.collect()),
            }
        }
        Command::ClaimPaced { asks, .. } => {
            let answered = asks.into_iter().filter(|_| !how.is_multiple_of(7));
            let answers = answered.map(|ask| (ask.pace, paced(ask, how, now)));
            let answers = answers.collect();
            let took = (!how.is_multiple_of(7)).then_some(SECOND / 100);
            Input::PacesClaimed { answers, took }
        }
        Command::ReadPauses => {
            let key = PauseKey {
                scope: PauseScope::Everything,
                what: String::new(),
            };
            let until = Moment::from_micros(i64::from(how) * 100_000);
            let pause = (how.is_multiple_of(4)).then_some(Pause { key, until });
            Input::Pauses {
                pauses: (!how.is_multiple_of(5)).then(|| pause.into_iter().collect()),
                way: Duration::ZERO,
            }
        }
        Command::Load { .. } => Input::LoadEnded {
            complete: !how.is_multiple_of(3),
            reached: None,
        },
        Command::Claim(asks) => match how % 7 {
            0 => Input::ClaimLost(asks),
            1 => Input::ClaimRefused(asks),
            _ => {
                let answers = asks.into_iter().map(|ask| (ask.id, claimed(ask, how)));
                Input::Claimed {
                    answers: answers.collect(),
                    took: SECOND / 100,
                }
            }
        },
        Command::Start { id, .. } => {
            let outcome = match how % 6 {
                0 => unpaid(),
                1 => throttled(SECOND),
                2 => unsent(),
                3 => unknown(),
                _ => accepted(),
            };
            let answer = crate::settle::SendResult {
                outcome,
                started: Some(now.db),
                finished: now.db,
            };
            Input::Sent { id, answer }
        }
        Command::Prewarm { .. } => return None,
        Command::Record { group, records } => {
            let stands = records.iter().filter(|_| !how.is_multiple_of(4));
            let done = stands.map(|record| (record.token, None));
            Input::Recorded {
                group,
                done: done.collect(),
                failed: false,
            }
        }
    })
}

proptest! {
    #[test]
    fn whatever_happens_the_counts_hold(deeds in proptest::collection::vec(deeds(), 0..120)) {
        let mut now = Now { db: Moment::from_micros(0), up: Uptime::from_micros(77) };
        let mut reactor = Reactor::<()>::new(settings(5), now, AttemptToken::fresh);
        let mut commands = std::collections::VecDeque::new();
        let mut version = 0;
        for deed in deeds {
            let input = match deed {
                Deed::Find(n, lane, due) => {
                    version += 1;
                    Some(Input::Loaded(vec![Upcoming {
                        id: id(n.into()),
                        due: now.db + Duration::from_millis(due.into()),
                        version,
                        attempts: 0,
                        priority: Priority::ALL[usize::from(n) % Priority::ALL.len()],
                        lane: key(lane),
                        written: None,
                    }]))
                }
                Deed::Pace(n, lane, due) => {
                    let at = now.db + Duration::from_millis(due.into());
                    Some(Input::PacesLoaded(vec![pace(n, lane, at)]))
                }
                Deed::Lose(n) => Some(Input::Notification(vec![id(n.into())])),
                Deed::SendResult(how) => {
                    commands.pop_front().and_then(|command| answer(command, how, now))
                }
                Deed::Pass(ms) => {
                    let passed = Duration::from_millis(ms.into());
                    now = Now { db: now.db + passed, up: now.up + passed };
                    Some(Input::Tick)
                }
                Deed::Sweep => Some(Input::Rescan),
                Deed::Hold(ms) => {
                    let before = now.db + Duration::from_millis(ms.into());
                    Some(Input::Quarantine { before, written_until: before })
                }
                Deed::Release => Some(Input::QuarantineEnded),
            };
            if let Some(input) = input {
                reactor.handle(input, now);
                audit(&reactor);
            }
            while let Some(command) = reactor.next_command() {
                commands.push_back(command);
            }
        }
    }
}
