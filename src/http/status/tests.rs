//! The sentence for each state.

use uuid::Uuid;

use super::*;
use crate::forecast::{Instance, PublishedLane, PublishedState, Refused};
use crate::message::{InstanceId, LaneKey, ProviderCapabilities};
use crate::policy::Rules;
use crate::reactor::report::{
    ClockReport, DatabaseReport, DensityReport, LatenessReport, ListenerReport, LoadReport,
    Missing, RestoreReport, SlowedReport, TimersReport, WindowReport,
};

fn at(s: i64) -> Moment {
    Moment::from_micros(1_767_258_000_000_000 + s * 1_000_000)
}

fn overview() -> Overview {
    Overview {
        timers: TimersReport {
            now: at(0),
            instance: InstanceId(Uuid::nil()),
            ready: true,
            clock: ClockReport {
                offset_us: Some(0),
                uncertainty_us: Some(0),
            },
            listener: ListenerReport {
                connected: true,
                since: None,
                last_notice_at: None,
                resyncs: 0,
            },
            window: WindowReport {
                until: None,
                armed: 0,
                waiting: None,
                beyond: None,
            },
            breaker: BreakerReport::default(),
            lanes: vec![lane("default", "sms", false)],
            slowed: SlowedReport::default(),
            pauses: Vec::new(),
            paces: Vec::new(),
            restore: RestoreReport::default(),
            journal: None,
            lead_us: 0,
            lateness_us: LatenessReport::default(),
            wheel: Vec::new(),
            timers: Vec::new(),
        },
        missing: Vec::new(),
        density: DensityReport {
            from: at(0),
            bucket_us: 1,
            counts: Vec::new(),
        },
        load: LoadReport::default(),
        database: DatabaseReport::default(),
    }
}

fn lane(account: &str, channel: &'static str, is_refused: bool) -> LaneReport {
    LaneReport {
        account: account.to_owned(),
        channel,
        lanes: 1,
        refused: is_refused.into(),
        breaker: BreakerReport {
            open: is_refused,
            since: is_refused.then(|| at(-60)),
            next_probe_at: is_refused.then(|| at(240)),
            category: is_refused.then_some("account_refused"),
            reason: is_refused.then_some(20_003),
        },
        ..LaneReport::default()
    }
}

fn pause(scope: &'static str, what: Option<&str>, until: Moment) -> PauseReport {
    PauseReport {
        scope,
        what: what.map(str::to_owned),
        until,
    }
}

fn says(change: impl FnOnce(&mut Overview)) -> (Sending, String) {
    let mut overview = overview();
    change(&mut overview);
    let refused = overview.timers.lanes.iter().find(|lane| lane.breaker.open);
    if let Some(refused) = refused {
        overview.timers.breaker = refused.breaker;
    }
    let status = Status::of(&overview, None);
    (status.is, status.text)
}

#[test]
fn each_state_has_its_sentence() {
    let refused = "since 2026-01-01T08:59:00.000000Z (account refused, code 20003), next try 2026-01-01T09:04:00.000000Z";
    assert_eq!(says(|_| {}), (Sending::All, "Sending".into()));
    assert_eq!(
        says(|o| o.missing = vec![Missing::Connection, Missing::Window]),
        (
            Sending::Nothing,
            "Not sending: not connected to the database; the upcoming messages are not loaded"
                .into()
        )
    );
    assert_eq!(
        says(|o| {
            o.timers.pauses = vec![
                pause("type", Some("brief"), Moment::MAX),
                pause("everything", None, at(600)),
            ];
        }),
        (
            Sending::Paused,
            "Paused: nothing is sent until 2026-01-01T09:10:00.000000Z".into()
        )
    );
    assert_eq!(
        says(|o| {
            o.timers.pauses = vec![pause("everything", None, Moment::MAX)];
            o.timers.lanes = vec![lane("default", "sms", true)];
        }),
        (
            Sending::Paused,
            "Paused: nothing is sent until somebody resumes; the provider refuses the account since \
             2026-01-01T08:59:00.000000Z (account refused, code 20003)"
                .into()
        )
    );
    assert_eq!(
        says(|o| o.timers.lanes = vec![lane("default", "sms", true)]),
        (
            Sending::Nothing,
            format!("Not sending: the provider refuses the account {refused}")
        )
    );
    // One of two accounts, and a lane for each host of which one is refused, are a part.
    assert_eq!(
        says(|o| o.timers.lanes = vec![lane("default", "sms", true), lane("b", "sms", false)]),
        (
            Sending::Part,
            format!("Sending; the provider refuses account default for sms {refused}")
        )
    );
    let some_hosts = says(|o| {
        o.timers.lanes = vec![LaneReport {
            lanes: 2,
            ..lane("default", "webhook", true)
        }];
    });
    assert_eq!(some_hosts.0, Sending::Part);
    let pauses = |n: usize| {
        says(move |o| {
            let all = [
                pause("message_type", Some("brief"), Moment::MAX),
                pause("sender", None, at(600)),
                pause("user", Some("u1"), Moment::MAX),
                pause("user", Some("u2"), Moment::MAX),
            ];
            o.timers.pauses = all[..n].to_vec();
        })
    };
    assert_eq!(
        pauses(2),
        (
            Sending::Part,
            "Sending; paused: message type brief until somebody resumes, \
             a sender until 2026-01-01T09:10:00.000000Z"
                .into()
        )
    );
    assert!(pauses(4).1.ends_with(", 1 more"), "{:?}", pauses(4));
}

/// Of two instances: what only one of them cannot do, the other does.
#[test]
fn another_instance_that_sends_counts() {
    let beside = |state: PublishedState| Surroundings {
        now: at(0),
        instances: vec![Instance {
            id: InstanceId(Uuid::from_u128(0xb)),
            state: Some(state),
        }],
        heard_at: Some(at(0)),
        rules: Rules::default(),
        capabilities: ProviderCapabilities::default(),
        rules_are_known: true,
    };
    let key = LaneKey::default();
    let sending = PublishedState {
        lanes: vec![PublishedLane::of(&key)],
        ..PublishedState::default()
    };
    let mut refusing = sending.clone();
    refusing.lanes[0].refused = Some(Refused::default());
    let stopped = PublishedState {
        missing: vec!["not connected to the database".to_owned()],
        ..sending.clone()
    };
    let mut own = overview();
    own.timers.lanes = vec![lane("default", "sms", true)];
    own.timers.breaker = own.timers.lanes[0].breaker;
    let mut missing = overview();
    missing.missing = vec![Missing::Connection];
    for (own, state, is) in [
        (&own, &sending, Sending::All),
        (&own, &refusing, Sending::Nothing),
        (&own, &stopped, Sending::Nothing),
        (&missing, &sending, Sending::Part),
        (&missing, &stopped, Sending::Nothing),
    ] {
        let status = Status::of(own, Some(&beside(state.clone())));
        assert_eq!(status.is, is, "{}", status.text);
    }
}
