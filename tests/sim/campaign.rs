//! A whole campaign as it is planned, over its full span of days: three daemons, one of which is killed, one restarted,
//! a pause over a closing time, and a time without any daemon.
//!
//! Forty messages over a night; `PUNCTUAL_SIM_CAMPAIGN=346` runs that many, over the days that they take.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use punctual::message::facts::CampaignHours;
use punctual::message::{Channel, Moment, PaceId, PauseKey, PauseScope, Priority, Status};
use punctual::plan::OpenTime;
use punctual::plan::campaign::{Pacing, Planned, Skips, Start};
use punctual::reactor::Settings;
use punctual::schedule::{LeadSetting, PACE_SLACK};
use uuid::Uuid;

use crate::model::{Change, Database, Pace, address};
use crate::odds::Odds;
use crate::plan::{Deed, Plan, SECOND, What, micros_of};
use crate::world::{START, World, message};

const MINUTE: Duration = Duration::from_secs(60);
const HOURS: &str = "mon-fri 09:00-20:00";
const ZONE: &str = "America/Los_Angeles";
const SEED: i64 = 7;

/// The campaign of every third row.
const CAMPAIGN: Uuid = Uuid::from_u128(0xC << 120 | 1);

const fn row(position: usize) -> usize {
    1 + 3 * position
}

fn open() -> OpenTime {
    OpenTime::new(HOURS.parse().unwrap(), TimeZone::get(ZONE).unwrap())
}

fn pacing() -> Pacing {
    Pacing {
        seed: SEED,
        gaps: (4 * MINUTE, 7 * MINUTE),
        skips: Skips::default(),
    }
}

/// What happens, and when: minutes since the first message.
#[derive(Clone, Copy)]
struct Trouble(u32, fn() -> What);

const TROUBLES: [Trouble; 6] = [
    Trouble(61, || What::Crash {
        slot: 0,
        down_for: 20 * 60 * SECOND,
    }),
    Trouble(120, || What::Drain {
        slot: 1,
        down_for: 2 * SECOND,
    }),
    // From 19:20 to 20:20: over the closing time.
    Trouble(170, || What::Pause {
        key: PauseKey {
            scope: PauseScope::Campaign,
            what: CAMPAIGN.to_string(),
        },
        lasts: 60 * 60 * SECOND,
        timed: false,
    }),
    // From 9:10 of the next morning no daemon runs.
    Trouble(1_000, || down(0)),
    Trouble(1_000, || down(1)),
    Trouble(1_000, || down(2)),
];

const fn down(slot: usize) -> What {
    What::Crash {
        slot,
        down_for: 25 * 60 * SECOND,
    }
}

fn world(planned: &[Planned], troubles: &[Trouble]) -> World {
    let first = planned[0].at;
    let (min, max) = pacing().pace();
    let inserts = planned.iter().enumerate().map(|(n, one)| Deed {
        at: SECOND,
        what: What::User {
            row: row(n),
            change: Change::Insert {
                at: one.at,
                channel: Channel::Sms,
                to: address(Channel::Sms, u64::try_from(1_000 + n).unwrap()),
                body: format!("text 1 of {}", row(n)),
                priority: Priority::Normal,
            },
            open_for: 0,
            commits: true,
        },
    });
    let troubles = troubles.iter().map(|Trouble(after, what)| Deed {
        at: (first + MINUTE * *after).micros_from(START),
        what: what(),
    });
    let mut deeds: Vec<Deed> = inserts.chain(troubles).collect();
    deeds.sort_by_key(|deed| deed.at);
    let last = planned[planned.len() - 1].at.micros_from(START);
    // Chaos is over an hour after the last of it.
    let calm_at = deeds.iter().map(|deed| deed.at).max().unwrap_or(0) + 3_600 * SECOND;
    let plan = Plan {
        accounts: Vec::new(),
        named: false,
        costs: None,
        slots: 3,
        rows: planned.len(),
        settings: Settings {
            horizon: Duration::from_secs(3_600),
            lead: LeadSetting::Auto,
            max_in_flight: 8,
            lease: Duration::from_secs(30),
            send_timeout: Duration::from_secs(10),
            limits: Arc::default(),
        },
        // Less than an hour: then no world looks at what it foresaw, which takes no hours into account.
        max_lateness: Duration::from_secs(3_540),
        deaf: false,
        uncertainty: 0,
        odds: Odds::default(),
        calm_odds: Odds::default(),
        deeds,
        channels: vec![Channel::Sms],
        troubles: Vec::new(),
        quiet: None,
        part_gap: 0,
        paces: vec![(
            CAMPAIGN,
            Pace {
                id: PaceId(Uuid::from_u128(0xE << 120 | 1)),
                gaps: (min, max),
                burst: 1,
                seed: SEED,
                position: 0,
                next: START,
                token: None,
                slot: None,
            },
        )],
        calm_at: calm_at.min(last),
        end_at: last + 3 * 3_600 * SECOND,
        ..Plan::draw(1)
    };
    let mut world = World::new(plan, None, false);
    world.db.campaign_hours = Some(CampaignHours {
        hours: HOURS.to_owned(),
        timezone: ZONE.to_owned(),
        is_cancelled: false,
        has_reply: false,
    });
    world
}

/// When the request of each message began, in the order of the requests.
fn requests(db: &Database, rows: usize) -> Vec<(usize, Moment)> {
    for position in 0..rows {
        let id = message(row(position));
        assert_eq!(
            db.rows[&id].status,
            Status::Sent,
            "{position}: {:?}",
            db.rows[&id]
        );
        let begun = db
            .attempts
            .iter()
            .filter(|a| a.message == id && a.started.is_some());
        assert_eq!(begun.count(), 1, "{position}");
    }
    let begun = db.attempts.iter().filter_map(|attempt| {
        let n = usize::try_from(attempt.message.0.as_u128()).ok()?;
        Some(((n - 1) / 3, attempt.started?))
    });
    let mut begun: Vec<_> = begun.collect();
    begun.sort_by_key(|(_, at)| *at);
    begun
}

fn check(begun: &[(usize, Moment)]) {
    let open = open();
    assert!(
        begun.iter().map(|(position, _)| position).is_sorted(),
        "{begun:?}"
    );
    for pair in begun.windows(2) {
        let gap = pair[1].1.since(pair[0].1);
        assert!(gap >= 4 * MINUTE, "{gap:?} between {pair:?}");
    }
    for (position, at) in begun {
        // A slot that begins before the closing time lasts a second.
        let slot = Moment::from_micros(at.as_micros() - micros_of(PACE_SLACK));
        let is_open = |at: Moment| open.next(at) == Some(at);
        assert!(is_open(*at) || is_open(slot), "{position} began at {at}");
    }
}

#[test]
fn a_campaign_keeps_its_plan_over_its_days_and_order_gaps_and_hours_through_troubles() {
    let rows = std::env::var("PUNCTUAL_SIM_CAMPAIGN").map_or(40, |n| n.parse().unwrap());
    // Half past four in the afternoon of a Thursday.
    let start = Start::At(START + MINUTE * (15 * 60 + 30));
    let planned = pacing().plan(&open(), start, 0, rows).unwrap();

    let (ended, story, db) = world(&planned, &[]).run_through();
    let tally = ended.unwrap_or_else(|broken| panic!("{broken}\n{}", story.join("\n")));
    let begun = requests(&db, rows);
    check(&begun);
    for (position, at) in &begun {
        let late = at.micros_from(planned[*position].at);
        assert!(
            (0..micros_of(PACE_SLACK)).contains(&late),
            "{position}: {late} us"
        );
    }

    let (ended, story, db) = world(&planned, &TROUBLES).run_through();
    ended.unwrap_or_else(|broken| panic!("{broken}\n{}", story.join("\n")));
    let begun = requests(&db, rows);
    check(&begun);
    let late = |(position, at): &(usize, Moment)| at.micros_from(planned[*position].at);
    let most = begun.iter().map(late).max().unwrap();
    assert!(most > 10 * 60 * SECOND, "nothing waited: {most} us");
    // Without the longer gaps it catches up.
    let is_back = begun.last().map(late) < Some(micros_of(PACE_SLACK));
    assert!(is_back || rows < 200, "{:?}", begun.last().map(late));
    println!(
        "{rows} messages, {tally:?}; in the troubles up to {} s late",
        most / SECOND
    );
}
