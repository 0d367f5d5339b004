//! Days of users whose reminders are planned: what the planner decides (`punctual::plan::reminders`), on daemons that
//! stop over midnight, with events that come, move and go, through nights in which clocks change.
//!
//! `PUNCTUAL_SIM_DAYS` runs more of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use punctual::message::facts::{self, Facts, Preferences, QuietHours};
use punctual::message::{Channel, Claim, MessageId, Moment, Priority, Status};
use punctual::plan::reminders::{Day, Decision, Event, Plan as DayPlan};
use punctual::policy::Zones;
use punctual::reactor::Settings;
use punctual::schedule::LeadSetting;
use uuid::Uuid;

use crate::dice::Dice;
use crate::model::{Change, Database, address};
use crate::odds::Odds;
use crate::plan::{Deed, Plan, SECOND, What, micros};
use crate::seeds::seeds;
use crate::world::{START, World, message};

const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// Days in the default run: one with an outage over midnight, one with a restart.
const DAYS: u64 = 2;

/// Nights in which clocks change: at 2, at midnight, to midnight, by half an hour; and one in which they do not.
const NIGHTS: [(&str, &str); 7] = [
    ("America/Los_Angeles", "2026-03-08"),
    ("Africa/Cairo", "2026-04-24"),
    ("America/Havana", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Europe/Berlin", "2026-10-25"),
    ("America/Los_Angeles", "2026-11-01"),
    ("Asia/Kathmandu", "2026-05-02"),
];

/// Where another day begins meanwhile.
const FAR: [&str; 4] = [
    "Asia/Tokyo",
    "Pacific/Honolulu",
    "Pacific/Kiritimati",
    "Europe/London",
];

/// What somebody does to an event.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Edit {
    Add,
    Move(Moment),
    Delete,
}

/// A bug that is planted in the planner, or around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    /// It does not keep what was planned.
    Forgets,
    /// It plans the days of UTC.
    Utc,
    /// The first minutes of a day are over when it is planned.
    Slow,
    /// Messages do not follow their events.
    Rigid,
    /// It does not look at the changes of a day.
    Blind,
}

#[derive(Clone)]
struct User {
    name: &'static str,
    zone: TimeZone,
    lead: Duration,
    quiet: Option<QuietHours>,
    limit: Option<i64>,
    /// When their next day is planned.
    next: Moment,
}

#[derive(Clone)]
struct Entry {
    user: usize,
    starts: Moment,
    lasts: Duration,
    is_there: bool,
    /// Its messages: the planner makes one.
    messages: Vec<MessageId>,
}

/// The app's users and events, and what was planned.
#[derive(Clone)]
pub(crate) struct Calendar {
    users: Vec<User>,
    events: Vec<Entry>,
    of: BTreeMap<MessageId, usize>,
    bug: Option<Bug>,
}

/// What the clocks there show.
fn shown(at: Moment, zone: &TimeZone) -> DateTime {
    zone.to_datetime(Timestamp::from_microsecond(at.as_micros()).unwrap())
}

fn later(at: Moment, us: i64) -> Moment {
    Moment::from_micros(at.as_micros() + us)
}

impl Calendar {
    /// One user's day, as a step of the planner; returns the messages that it inserts.
    fn plan_day(&mut self, user: usize, now: Moment, db: &mut Database) -> Vec<MessageId> {
        let its = self.users[user].clone();
        let zone = match self.bug {
            Some(Bug::Utc) => TimeZone::UTC,
            _ => its.zone.clone(),
        };
        let day = Day::of(&zone, now).unwrap();
        self.users[user].next = day.ends;
        let own = self.events.iter().enumerate();
        let own = own.filter(|(_, event)| event.user == user && event.is_there);
        let events: Vec<Event> = own
            .map(|(n, event)| Event {
                id: n.to_string(),
                occurrence: String::new(),
                title: None,
                link: None,
                starts: event.starts,
                ends: Some(event.starts + event.lasts),
                is_all_day: false,
                is_twice: false,
                is_planned: !event.messages.is_empty() && self.bug != Some(Bug::Forgets),
            })
            .collect();
        let counted = |id: &MessageId| {
            let row = &db.rows[id];
            let is_of_day = (day.starts..day.ends).contains(&row.due());
            self.events[self.of[id]].user == user && is_of_day && row.status != Status::Cancelled
        };
        let counted = self.of.keys().filter(|id| counted(id)).count();
        let plan = DayPlan {
            zone: &zone,
            day,
            lead: its.lead,
            quiet_hours: its.quiet,
            left: its
                .limit
                .map(|limit| limit - i64::try_from(counted).unwrap()),
            now: match self.bug {
                Some(Bug::Slow) => later(now, 3 * MINUTE),
                _ => now,
            },
        };
        let mut ids = Vec::new();
        for (event, decision) in plan.decide(&events) {
            let Decision::Remind(at) = decision else {
                continue;
            };
            let n: usize = event.id.parse().unwrap();
            if self.bug.is_none() {
                assert_eq!(shown(at, &its.zone).date(), day.date, "{} {n}", its.name);
            }
            ids.push(self.insert(n, at, now, db));
        }
        ids
    }

    fn insert(&mut self, event: usize, at: Moment, now: Moment, db: &mut Database) -> MessageId {
        let row = 3 * (1 + self.of.len());
        let id = message(row);
        let change = Change::Insert {
            at,
            channel: Channel::Sms,
            to: number(event),
            body: format!("text 1 of {row}"),
            priority: Priority::Normal,
        };
        let tx = db.begin(id, &change, now).unwrap();
        db.commit(tx, now);
        self.of.insert(id, event);
        self.events[event].messages.push(id);
        id
    }
}

/// The recipient of an event's messages, by which they are found again.
fn number(event: usize) -> String {
    address(Channel::Sms, 1_000 + u64::try_from(event).unwrap())
}

impl World {
    /// The users whose day begins, or in whose day something has changed.
    pub(crate) fn plan_reminders(&mut self) {
        let Some(mut calendar) = self.calendar.take() else {
            return;
        };
        let now = self.db_now();
        let mut ids = Vec::new();
        for user in 0..calendar.users.len() {
            if calendar.users[user].next <= now {
                ids.extend(calendar.plan_day(user, now, &mut self.db));
            }
        }
        self.calendar = Some(calendar);
        if !ids.is_empty() {
            self.note(|| format!("{} reminders are planned", ids.len()));
            self.notify(&ids);
        }
    }

    /// What the app changes, and what follows in the same transaction.
    pub(crate) fn calendar_changes(&mut self, event: usize, edit: Edit) {
        let Some(mut calendar) = self.calendar.take() else {
            return;
        };
        let now = self.db_now();
        let entry = &mut calendar.events[event];
        let by = match edit {
            Edit::Move(to) => to.micros_from(entry.starts),
            Edit::Add | Edit::Delete => 0,
        };
        entry.starts = later(entry.starts, by);
        entry.is_there = !matches!(edit, Edit::Delete);
        if calendar.bug != Some(Bug::Blind) {
            let next = &mut calendar.users[entry.user].next;
            *next = now.min(*next);
        }
        let mut changed = Vec::new();
        for id in &entry.messages {
            let row = &self.db.rows[id];
            let change = match edit {
                Edit::Move(_) => Change::Reschedule {
                    at: later(row.scheduled_at, by),
                },
                Edit::Add | Edit::Delete => Change::Cancel,
            };
            let follows = row.status == Status::Pending && calendar.bug != Some(Bug::Rigid);
            if follows && let Some(tx) = self.db.begin(*id, &change, now) {
                self.db.commit(tx, now);
                changed.push(*id);
            }
        }
        self.calendar = Some(calendar);
        self.notify(&changed);
    }

    /// The facts of a claim of a reminder: its user's preferences, and its event.
    pub(crate) fn knows_event(&self, claim: &mut Claim) {
        let Some(calendar) = &self.calendar else {
            return;
        };
        let entry = &calendar.events[calendar.of[&claim.id]];
        let user = &calendar.users[entry.user];
        claim.facts = Facts {
            user_id: Some(Uuid::from_u128(
                0xB << 120 | u128::try_from(entry.user).unwrap(),
            )),
            scheduled_at: self.db.rows.get(&claim.id).map(|row| row.scheduled_at),
            timezone: Some(user.name.to_owned()),
            is_planned: true,
            message_type: Some("event_reminder".to_owned()),
            preferences: Some(Preferences {
                phone_number: Some(claim.to_number.clone()),
                phone_verified: true,
                quiet_hours: user.quiet,
                ..Preferences::default()
            }),
            event: if entry.is_there {
                facts::Event::Begins(entry.starts)
            } else {
                facts::Event::Gone
            },
            ..claim.facts.clone()
        };
    }
}

/// A world of a day, as it is drawn.
struct Drawn {
    calendar: Calendar,
    /// What happens to events, and when.
    edits: BTreeMap<usize, (Moment, Edit)>,
    /// No daemon runs.
    outage: Option<(Moment, Moment)>,
    /// One ends, or begins.
    rough: Vec<Moment>,
    plan: Plan,
}

/// Within this of a change it is not said which of the two comes first.
const NEAR: i64 = 2 * MINUTE;

/// What must become of a reminder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// It is sent then.
    Once(Moment),
    Never,
    /// It is sent at most once, and not before.
    Perhaps(Moment),
}

impl Drawn {
    /// What must become of an event that is known long before, and stays.
    fn undisturbed(&self, event: &Entry, starts: Moment) -> Expected {
        let user = &self.calendar.users[event.user];
        let at = starts - user.lead;
        let shown = shown(at, &user.zone);
        let is_quiet = user
            .quiet
            .is_some_and(|quiet| shown.time() >= quiet.start || shown.time() < quiet.end);
        // The events that last all day are those that last as long as their day.
        let is_all_day = event.lasts > micros(20 * HOUR);
        if is_quiet || is_all_day {
            return Expected::Never;
        }
        let Some((down, up)) = self.outage else {
            return Expected::Once(at);
        };
        if later(at, NEAR) < down || at > later(up, NEAR) {
            return Expected::Once(at);
        }
        let midnight = user.zone.to_timestamp(shown.date().at(0, 0, 0, 0));
        let midnight = Moment::from_micros(midnight.unwrap().as_microsecond());
        // Planned once a daemon runs again, when its time is over.
        let is_over = midnight > later(down, NEAR) && midnight < up && later(at, NEAR) < up;
        if is_over {
            Expected::Never
        } else {
            Expected::Perhaps(at)
        }
    }

    fn expected(&self, n: usize) -> Expected {
        let event = &self.calendar.events[n];
        let lead = self.calendar.users[event.user].lead;
        let first = self.undisturbed(event, event.starts);
        let at = event.starts - lead;
        let Some((when, edit)) = self.edits.get(&n) else {
            return first;
        };
        let is_before = |at: Moment| later(at, NEAR) < *when;
        let is_after = |at: Moment| at > later(*when, NEAR);
        match *edit {
            Edit::Add if is_after(at) => first,
            Edit::Add if is_before(at) => Expected::Never,
            Edit::Delete if is_before(at) => first,
            Edit::Delete if is_after(at) => Expected::Never,
            // Sent already: not once more.
            Edit::Move(_) if is_before(at) && matches!(first, Expected::Once(_)) => first,
            Edit::Move(to) if is_after(at) && is_after(to - lead) => self.undisturbed(event, to),
            Edit::Move(to) => Expected::Perhaps(at.min(to - lead)),
            Edit::Add | Edit::Delete => Expected::Perhaps(at),
        }
    }

    /// The same of all events, with the limits of their users.
    fn all(&self) -> Vec<Expected> {
        let mut all: Vec<_> = (0..self.calendar.events.len())
            .map(|n| self.expected(n))
            .collect();
        let mut days: BTreeMap<(usize, Date), Vec<(Moment, usize)>> = BTreeMap::new();
        for (n, event) in self.calendar.events.iter().enumerate() {
            let user = &self.calendar.users[event.user];
            let (Expected::Once(at) | Expected::Perhaps(at)) = all[n] else {
                continue;
            };
            if user.limit.is_some() {
                let day = shown(at, &user.zone).date();
                days.entry((event.user, day)).or_default().push((at, n));
            }
        }
        for ((user, _), mut own) in days {
            own.sort_unstable();
            let limit = self.calendar.users[user].limit.unwrap();
            let limit = usize::try_from(limit).unwrap();
            let is_sure = own
                .iter()
                .all(|(_, n)| matches!(all[*n], Expected::Once(_)));
            for (at, n) in own.into_iter().skip(if is_sure { limit } else { 0 }) {
                all[n] = if is_sure {
                    Expected::Never
                } else {
                    Expected::Perhaps(at)
                };
            }
        }
        all
    }

    /// What did not come as it must; and how many reminders came at their time.
    fn judge(&self, db: &Database) -> (Vec<String>, usize) {
        let mut begun: BTreeMap<String, Vec<Moment>> = BTreeMap::new();
        for attempt in &db.attempts {
            let to = &db.rows[&attempt.message].to;
            begun.entry(to.clone()).or_default().extend(attempt.started);
        }
        let (mut wrong, mut on_time) = (Vec::new(), 0);
        for (n, expected) in self.all().into_iter().enumerate() {
            let event = &self.calendar.events[n];
            let times = begun.remove(&number(n)).unwrap_or_default();
            let is_right = match (expected, &times[..]) {
                (Expected::Never, []) => true,
                (Expected::Once(at), [time]) => {
                    let is_near =
                        |other: &Moment| at.micros_from(*other).abs() < NEAR + 90 * SECOND;
                    let is_rough = self.rough.iter().any(is_near);
                    let slack = if is_rough { 3 * MINUTE } else { 10 * SECOND };
                    on_time += 1;
                    (0..slack).contains(&time.micros_from(at))
                }
                (Expected::Perhaps(at), times) => {
                    times.len() <= 1 && times.iter().all(|time| *time >= at)
                }
                _ => false,
            };
            if !is_right {
                let user = &self.calendar.users[event.user];
                let (edit, outage) = (self.edits.get(&n), self.outage);
                wrong.push(format!(
                    "event {n} of user {} ({}), at {}: {expected:?}, and its requests began at {times:?}; {edit:?}, {outage:?}",
                    event.user, user.name, event.starts
                ));
            }
        }
        (wrong, on_time)
    }
}

/// The users of a world; the night is that of the first three.
fn users(dice: &mut Dice, place: &'static str, begins: Moment) -> Vec<User> {
    let hours = |start: &str, end: &str| {
        Some(QuietHours {
            start: start.parse().unwrap(),
            end: end.parse().unwrap(),
        })
    };
    let far = dice.pick(&FAR);
    let all = [
        (place, 15, None, None),
        (place, 60, hours("22:00", "08:00"), None),
        (place, dice.pick(&[0, 5, 30]), None, Some(3)),
        (far, dice.pick(&[5, 15]), hours("21:30", "02:15"), None),
    ];
    let user = |(name, lead, quiet, limit)| User {
        name,
        zone: Zones::bundled().get(name).unwrap(),
        lead: micros(lead * MINUTE),
        quiet,
        limit,
        next: begins,
    };
    Vec::from(all.map(user))
}

/// Events of one user whose reminders are due within these times.
fn events(dice: &mut Dice, n: usize, user: &User, day: &Day, span: (Moment, Moment)) -> Vec<Entry> {
    let (from, until) = span;
    let mut reminders = vec![day.starts, later(day.starts, -SECOND), day.ends];
    let first = Timestamp::from_microsecond(day.starts.as_micros()).unwrap();
    let changes = user.zone.following(first);
    let changes = changes.map(|change| Moment::from_micros(change.timestamp().as_microsecond()));
    for change in changes.take_while(|at| *at < day.ends) {
        reminders.extend([
            change,
            later(change, -30 * MINUTE),
            later(change, 30 * MINUTE),
        ]);
    }
    let mut at = later(from, dice.between(0, HOUR));
    while at < until {
        reminders.push(at);
        at = later(at, dice.between(20 * MINUTE, until.micros_from(from) / 9));
    }
    reminders.retain(|at| (from..until).contains(at));
    reminders.sort_unstable();
    reminders.dedup();
    let entry = |starts: Moment, lasts: Duration| Entry {
        user: n,
        starts,
        lasts,
        is_there: true,
        messages: Vec::new(),
    };
    let mut all: Vec<_> = reminders
        .into_iter()
        .map(|at| entry(at + user.lead, micros(30 * MINUTE)))
        .collect();
    // All day, by their own clock.
    let own = Day::of(&user.zone, day.starts).unwrap();
    all.push(entry(own.starts, own.ends.since(own.starts)));
    all
}

/// What happens to the events of a user during the day.
fn edit(dice: &mut Dice, event: &Entry, lead: Duration, span: (Moment, Moment)) -> Option<Edit> {
    let is_of_day = event.lasts > micros(20 * HOUR);
    match dice.below(7) {
        0 if !is_of_day => Some(Edit::Delete),
        1 => Some(Edit::Add),
        2..=4 if !is_of_day => {
            let to = later(event.starts, dice.between(-3 * HOUR, 3 * HOUR));
            (span.0..span.1)
                .contains(&(to - lead))
                .then_some(Edit::Move(to))
        }
        _ => None,
    }
}

fn draw(seed: u64, bug: Option<Bug>) -> Drawn {
    let mut dice = Dice::new(seed, "days");
    let (place, date) = NIGHTS[usize::try_from(seed).unwrap() % NIGHTS.len()];
    let zone = Zones::bundled().get(place).unwrap();
    let day = Day::on(&zone, date.parse().unwrap()).unwrap();
    let begins = later(day.starts, -2 * HOUR);
    // A bug shows in the night.
    let ends = match bug {
        None => later(day.ends, HOUR),
        Some(_) => later(day.starts, 5 * HOUR),
    };
    let span = (later(begins, 10 * MINUTE), later(ends, -10 * MINUTE));
    let users = users(&mut dice, place, begins);
    let mut all = Vec::new();
    for (n, user) in users.iter().enumerate() {
        all.extend(events(&mut dice, n, user, &day, span));
    }
    let mut edits = BTreeMap::new();
    for (n, event) in all
        .iter_mut()
        .enumerate()
        .filter(|(_, event)| event.user == 0)
    {
        let when = later(span.0, dice.between(0, ends.micros_from(begins) - HOUR));
        if let Some(edit) = edit(&mut dice, event, users[0].lead, span) {
            event.is_there = !matches!(edit, Edit::Add);
            edits.insert(n, (when, edit));
        }
    }
    let slots = if bug.is_some() {
        1
    } else {
        dice.pick(&[1, 2, 2])
    };
    let (mut rough, mut outage, mut deeds) = (Vec::new(), None, Vec::new());
    let mut at = |when: Moment, what: What| {
        let at = when.micros_from(START);
        deeds.push(Deed { at, what });
    };
    if seed.is_multiple_of(2) {
        let down = later(day.starts, -dice.between(5 * MINUTE, 20 * MINUTE));
        let up = later(day.starts, dice.between(10 * MINUTE, 90 * MINUTE));
        for slot in 0..slots {
            let down_for = up.micros_from(down);
            at(down, What::Crash { slot, down_for });
        }
        outage = Some((down, up));
    } else {
        // Restarted over midnight, and another that dies.
        let drained = later(day.starts, -SECOND);
        let down_for = 3 * SECOND;
        at(drained, What::Drain { slot: 0, down_for });
        let died = later(day.starts, dice.between(0, 12 * HOUR));
        let slot = slots - 1;
        at(died, What::Crash { slot, down_for });
        rough.extend([drained, died]);
    }
    for (n, (when, edit)) in &edits {
        let (event, edit) = (*n, *edit);
        at(*when, What::Calendar { event, edit });
    }
    deeds.sort_by_key(|deed| deed.at);
    let calm = outage.map_or(later(day.starts, 13 * HOUR), |(_, up)| later(up, HOUR));
    Drawn {
        plan: plan(slots, deeds, (begins, calm, ends)),
        calendar: Calendar {
            users,
            events: all,
            of: BTreeMap::new(),
            bug,
        },
        edits,
        outage,
        rough,
    }
}

fn plan(slots: usize, deeds: Vec<Deed>, (begins, calm, ends): (Moment, Moment, Moment)) -> Plan {
    let of = |at: Moment| at.micros_from(START);
    Plan {
        slots,
        rows: 0,
        settings: Settings {
            horizon: micros(HOUR),
            lead: LeadSetting::Auto,
            max_in_flight: 8,
            lease: micros(30 * SECOND),
            send_timeout: micros(10 * SECOND),
            limits: Arc::default(),
        },
        max_lateness: micros(HOUR - MINUTE),
        deaf: false,
        uncertainty: 0,
        odds: Odds::default(),
        calm_odds: Odds::default(),
        deeds,
        channels: vec![Channel::Sms],
        troubles: Vec::new(),
        accounts: Vec::new(),
        named: false,
        costs: None,
        quiet: None,
        part_gap: 0,
        paces: Vec::new(),
        begins: of(begins),
        calm_at: of(calm),
        end_at: of(ends),
        ..Plan::draw(1)
    }
}

fn run(seed: u64, bug: Option<Bug>) -> (Vec<String>, usize) {
    let drawn = draw(seed, bug);
    let mut world = World::new(drawn.plan.clone(), None, false);
    world.calendar = Some(drawn.calendar.clone());
    let (ended, story, db) = world.run_through();
    if let Err(broken) = ended {
        let story = story.join("\n");
        return (vec![format!("{broken}\n{story}")], 0);
    }
    drawn.judge(&db)
}

#[test]
fn each_reminder_of_a_day_is_sent_once_at_its_time_through_nights_changes_and_stops() {
    let mut all = 0;
    let days = seeds("PUNCTUAL_SIM_DAYS", DAYS);
    for seed in days.clone() {
        let (wrong, on_time) = run(seed, None);
        assert!(
            wrong.is_empty(),
            "PUNCTUAL_SIM_DAYS=seed={seed}:\n{}",
            wrong.join("\n")
        );
        all += on_time;
    }
    println!("{days:?}: {all} reminders were sent once, at their time");
    assert!(u64::try_from(all).unwrap() >= 15 * (days.end - days.start));
}

#[test]
fn every_bug_of_the_planner_is_noticed() {
    for bug in [Bug::Forgets, Bug::Utc, Bug::Slow, Bug::Rigid, Bug::Blind] {
        let found = (1..7).find(|seed| !run(*seed, Some(bug)).0.is_empty());
        assert!(found.is_some(), "{bug:?} lives");
        println!("{bug:?}: seed {found:?}");
    }
}
