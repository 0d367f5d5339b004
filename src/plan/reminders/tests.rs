//! A day of a user, and a year of every zone.

use jiff::civil::time;
use jiff::{Timestamp, ToSpan as _};

use super::*;
use crate::policy::Zones;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

fn moment(text: &str) -> Moment {
    Moment::from_micros(text.parse::<Timestamp>().unwrap().as_microsecond())
}

fn zone(name: &str) -> TimeZone {
    Zones::bundled().get(name).unwrap()
}

fn event(id: &str, starts: Moment) -> Event {
    Event {
        id: id.into(),
        occurrence: String::new(),
        title: None,
        link: None,
        starts,
        ends: Some(starts + HOUR),
        is_all_day: false,
        is_twice: false,
        is_planned: false,
    }
}

fn plan<'a>(zone: &'a TimeZone, now: &str) -> Plan<'a> {
    let now = moment(now);
    Plan {
        zone,
        day: Day::of(zone, now).unwrap(),
        lead: LEAD,
        quiet_hours: None,
        left: None,
        now,
    }
}

/// What is decided, as `id time` or `id reason`.
fn decided(plan: &Plan<'_>, events: &[Event]) -> Vec<String> {
    let say = |(event, decision): (&Event, Decision)| match decision {
        Decision::Remind(at) => format!("{} {at}", event.id),
        Decision::Skip(skip) => format!("{} {}", event.id, skip.as_str()),
    };
    plan.decide(events).into_iter().map(say).collect()
}

/// The day of the seed: a standup at 10:00 is reminded of at 9:45.
#[test]
fn an_event_is_reminded_of_before_it_begins_and_what_is_not_has_a_reason() {
    let zone = zone("America/Los_Angeles");
    let mut plan = plan(&zone, "2026-07-01T07:00:00Z");
    plan.quiet_hours = Some(QuietHours {
        start: time(21, 0, 0, 0),
        end: time(8, 0, 0, 0),
    });
    plan.left = Some(2);
    let at = |hour: u64, minute: u32| {
        plan.day.starts + HOUR * u32::try_from(hour).unwrap() + MINUTE * minute
    };
    let of_day = Event {
        ends: Some(plan.day.ends),
        ..event("day", plan.day.starts)
    };
    let flagged = Event {
        is_all_day: true,
        ..event("flagged", at(11, 0))
    };
    let twice = Event {
        is_twice: true,
        ..event("twice", at(11, 30))
    };
    let known = Event {
        is_planned: true,
        ..event("known", at(12, 0))
    };
    let events = [
        event("late", at(16, 0)),
        event("standup", at(10, 0)),
        event("quiet", at(22, 5)),
        // The event is within quiet hours, its reminder is not.
        event("edge", at(21, 10)),
        event("early", at(8, 10)),
        event("lunch", at(12, 30)),
        event("tomorrow", at(24, 20)),
        event("yesterday", at(0, 10)),
        of_day,
        flagged,
        twice,
        known,
    ];
    let expected = [
        "early quiet_hours",
        "standup 2026-07-01T16:45:00.000000Z",
        "flagged all_day",
        "twice ambiguous",
        "known planned_before",
        "lunch 2026-07-01T19:15:00.000000Z",
        "late daily_limit",
        "edge daily_limit",
        "quiet quiet_hours",
    ];
    assert_eq!(decided(&plan, &events), expected);
    // Of one that begins at midnight the reminder is sent on the day before; so is that of a whole day.
    plan.day = Day::of(&zone, plan.day.starts - HOUR).unwrap();
    (plan.now, plan.quiet_hours, plan.left) = (plan.day.starts, None, None);
    let expected = ["day all_day", "yesterday 2026-07-01T06:55:00.000000Z"];
    assert_eq!(decided(&plan, &events), expected);
    plan.now = plan.day.ends;
    assert_eq!(decided(&plan, &events)[1], "yesterday past");
}

/// Planning takes a while, and begins at midnight.
#[test]
fn a_reminder_of_the_first_moments_of_a_day_is_not_over_when_the_day_is_planned() {
    let zone = zone("America/Los_Angeles");
    let mut plan = plan(&zone, "2026-07-01T07:00:00.004Z");
    let events = [event("first", plan.day.starts + LEAD)];
    let planned = ["first 2026-07-01T07:00:00.000000Z"];
    assert_eq!(decided(&plan, &events), planned);
    // That of the last user of many.
    plan.now = plan.day.starts + Duration::from_secs(119);
    assert_eq!(decided(&plan, &events), planned);
    // A daemon that was down then.
    plan.now = plan.day.starts + Duration::from_secs(120);
    assert_eq!(decided(&plan, &events), ["first past"]);
}

#[test]
fn a_user_is_planned_for_only_if_they_want_it() {
    let wants = Person {
        number: Some(" +12025550101 ".into()),
        is_verified: true,
        wants_reminders: true,
        ..Person::default()
    };
    assert_eq!(wants.unplanned(), None);
    let but = |change: fn(&mut Person)| {
        let mut person = wants.clone();
        change(&mut person);
        person.unplanned()
    };
    assert_eq!(but(|p| p.has_opted_out = true), Some(Unplanned::OptedOut));
    assert_eq!(but(|p| p.is_verified = false), Some(Unplanned::Unverified));
    assert_eq!(but(|p| p.wants_reminders = false), Some(Unplanned::Off));
    assert_eq!(but(|p| p.number = None), Some(Unplanned::NoNumber));
    assert_eq!(
        but(|p| p.number = Some("555".into())),
        Some(Unplanned::NoNumber)
    );
}

#[test]
fn the_zone_and_the_lead_are_those_of_the_user_if_they_can_be() {
    let rules = Rules {
        timezone: zone("Asia/Kolkata"),
        ..Rules::default()
    };
    let of = |names: [Option<&str>; 2]| {
        let timezones = names.map(|name| name.map(str::to_owned));
        let person = Person {
            timezones,
            ..Person::default()
        };
        person.zone(&rules).iana_name().unwrap().to_owned()
    };
    assert_eq!(of([Some("Europe/Berlin"), Some("UTC")]), "Europe/Berlin");
    assert_eq!(of([Some("PST"), Some("Asia/Tokyo")]), "Asia/Tokyo");
    assert_eq!(of([None, None]), "Asia/Kolkata");
    let planning = Planning {
        template: TEMPLATE.into(),
        lead: LEAD,
    };
    let lead = |lead_minutes| {
        let person = Person {
            lead_minutes,
            ..Person::default()
        };
        person.lead(&planning)
    };
    assert_eq!(lead(Some(5)), MINUTE * 5);
    assert_eq!(lead(Some(0)), Duration::ZERO);
    for wrong in [None, Some(-1), Some(1_441)] {
        assert_eq!(lead(wrong), LEAD);
    }
}

#[test]
fn a_day_of_a_date_is_the_one_that_the_zone_has() {
    let apia = zone("Pacific/Apia");
    let day = Day::on(&apia, "2011-12-29".parse().unwrap()).unwrap();
    assert_eq!(day.ends, moment("2011-12-30T10:00:00Z"));
    assert_eq!(Day::on(&apia, "2011-12-30".parse().unwrap()), None);
    let cairo = Day::on(&zone("Africa/Cairo"), "2026-04-24".parse().unwrap()).unwrap();
    assert_eq!(cairo.starts, moment("2026-04-23T22:00:00Z"));
    assert_eq!(cairo.ends - cairo.ends.since(cairo.starts), cairo.starts);
    assert_eq!(cairo.ends.since(cairo.starts), HOUR * 23);
}

/// Numbers that look random, the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        // Knuth's generator.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// Events of about a year, several a day, some within seconds of each midnight and of each change of the clock.
fn year(
    zone: &TimeZone,
    from: Moment,
    until: Moment,
    dice: &mut Dice,
    lead: Duration,
) -> Vec<Event> {
    let mut starts = Vec::new();
    let mut at = from;
    while at < until {
        starts.push(at);
        at = at + MINUTE * u32::try_from(1 + dice.below(720)).unwrap();
    }
    let mut day = Day::of(zone, from).unwrap();
    while day.ends < until {
        starts.extend([
            day.ends,
            day.ends + lead,
            day.ends + lead - Duration::from_micros(1),
        ]);
        day = Day::of(zone, day.ends).unwrap();
    }
    let first = Timestamp::from_microsecond(from.as_micros()).unwrap();
    for change in zone.following(first) {
        let change = Moment::from_micros(change.timestamp().as_microsecond());
        if change >= until {
            break;
        }
        starts.extend([
            change,
            change + lead,
            change + HOUR,
            change + lead + MINUTE * 30,
        ]);
    }
    starts.sort_unstable();
    starts.dedup();
    let all = starts.into_iter().zip(0..);
    all.map(|(starts, n)| event(&format!("{n:05}"), starts))
        .collect()
}

/// Each reminder once, at its span before its event, on the local day that is planned, outside quiet hours by the
/// wall clock, and on no day more than the limit; planned within a minute after each local midnight of a year, in every
/// zone.
#[test]
fn over_a_year_in_every_zone_each_reminder_is_planned_once_and_none_at_a_wrong_local_time() {
    let zones = Zones::bundled();
    let first: jiff::civil::Date = "2026-01-01".parse().unwrap();
    let quiet = QuietHours {
        start: time(21, 30, 0, 0),
        end: time(2, 15, 0, 0),
    };
    let mut dice = Dice(18);
    let mut names: Vec<_> = zones.names().collect();
    names.sort();
    assert!(names.len() > 400, "{}", names.len());
    for name in names {
        let Some(zone) = zones.get(&name) else {
            continue;
        };
        let lead = [LEAD, Duration::ZERO, MINUTE * 60, MINUTE * 5]
            [usize::try_from(dice.below(4)).unwrap()];
        let limit = [None, Some(3)][usize::try_from(dice.below(2)).unwrap()];
        let mut day = Day::on(&zone, first).unwrap();
        let last = Day::on(&zone, first.checked_add(366.days()).unwrap()).unwrap();
        let (from, until) = (day.starts + lead, last.ends + lead);
        let events = year(&zone, day.starts, until, &mut dice, lead);
        let mut times = vec![0; events.len()];
        while day.starts <= last.starts {
            let plan = Plan {
                zone: &zone,
                day,
                lead,
                quiet_hours: Some(quiet),
                left: limit,
                now: day.starts + Duration::from_millis(dice.below(60_000)),
            };
            let mut reminders = 0;
            let near = events.partition_point(|event| event.starts < day.starts);
            let far = events.partition_point(|event| event.starts < day.ends + HOUR * 2);
            for (event, decision) in plan.decide(&events[near..far]) {
                let at = event.starts - lead;
                let instant = Timestamp::from_microsecond(at.as_micros()).unwrap();
                let local = zone.to_datetime(instant);
                assert_eq!(local.date(), day.date, "{name} {}", event.id);
                let is_quiet = local.time() >= quiet.start || local.time() < quiet.end;
                match decision {
                    Decision::Remind(when) => {
                        assert_eq!(when, at, "{name} {}", event.id);
                        assert!(!is_quiet, "{name} {local}");
                        reminders += 1;
                    }
                    Decision::Skip(Skip::QuietHours) => assert!(is_quiet, "{name} {local}"),
                    Decision::Skip(Skip::DailyLimit) => assert_eq!(Some(reminders), limit),
                    Decision::Skip(other) => panic!("{name} {local}: {other:?}"),
                }
                times[event.id.parse::<usize>().unwrap()] += 1;
            }
            assert!(limit.is_none_or(|limit| reminders <= limit));
            day = Day::of(&zone, day.ends).unwrap();
        }
        for (event, times) in events.iter().zip(times) {
            let is_due = (from..until).contains(&event.starts);
            assert_eq!(times, i32::from(is_due), "{name} {}", event.id);
        }
    }
}
