//! Batching and limits in worlds of chance, against a plain model, whatever users prefer and in whatever order events
//! come.
//!
//! `PUNCTUAL_WORLDS` is how many worlds there are, `PUNCTUAL_SEED` which is the first.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use uuid::Uuid;

use super::world;
use crate::dice::Dice;
use crate::rows::{World, one, run};

const ZONES: [&str; 4] = [
    "UTC",
    "Europe/Berlin",
    "America/Los_Angeles",
    "Australia/Lord_Howe",
];

/// The night in which clocks go forward in Berlin, with a day before and two after it.
const FROM: &str = "2035-03-24T00:00:00Z";

struct Preferences {
    user: Uuid,
    channels: Vec<&'static str>,
    batch: Option<i64>,
    per_hour: Option<usize>,
    per_day: Option<usize>,
    zone: &'static str,
}

/// A delivery, as the model has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Made {
    due: Timestamp,
    from: Timestamp,
    events: usize,
    status: &'static str,
}

fn setting(name: &str, default: u64) -> u64 {
    let set = std::env::var(name).ok().and_then(|text| text.parse().ok());
    set.unwrap_or(default)
}

/// So many minutes later.
fn after(at: Timestamp, minutes: i64) -> Timestamp {
    Timestamp::from_second(at.as_second() + minutes * 60).unwrap()
}

/// The hour or the day of a moment on a clock, by when it begins: days differ in length, hours do not.
fn unit(at: Timestamp, zone: &TimeZone, is_day: bool) -> i64 {
    let local = zone.to_datetime(at);
    if is_day {
        let midnight = zone.to_ambiguous_timestamp(local.date().at(0, 0, 0, 0));
        return midnight.compatible().unwrap().as_second();
    }
    at.as_second() - i64::from(local.minute()) * 60 - i64::from(local.second())
}

/// What an event at `at` adds for one user and channel.
fn deliver(made: &mut Vec<Made>, of: &Preferences, at: Timestamp) {
    if let Some(minutes_long) = of.batch {
        let open = made
            .iter_mut()
            .filter(|d| d.status == "pending" && d.from <= at && at < d.due);
        if let Some(joined) = open.min_by_key(|d| d.due) {
            joined.events += 1;
            return;
        }
        let due = after(at, minutes_long);
        add(made, of, at, due);
    } else {
        add(made, of, at, at);
    }
}

fn add(made: &mut Vec<Made>, of: &Preferences, from: Timestamp, due: Timestamp) {
    let zone = TimeZoneDatabase::bundled().get(of.zone).unwrap();
    let is_over = [(of.per_hour, false), (of.per_day, true)]
        .into_iter()
        .any(|(most, is_day)| {
            let its = unit(due, &zone, is_day);
            let counted = made
                .iter()
                .filter(|d| d.status != "cancelled" && unit(d.due, &zone, is_day) == its);
            most.is_some_and(|most| counted.count() >= most)
        });
    let status = if is_over { "cancelled" } else { "pending" };
    made.push(Made {
        due,
        from,
        events: 1,
        status,
    });
}

fn choose(dice: &mut Dice, user: Uuid) -> Preferences {
    let all = ["email", "sms", "in_app"];
    let most = |dice: &mut Dice, most: usize| dice.chance(500).then(|| dice.below(most));
    Preferences {
        user,
        channels: all.into_iter().filter(|_| dice.chance(600)).collect(),
        batch: dice.chance(500).then(|| dice.between(1, 120)),
        per_hour: most(dice, 3),
        per_day: most(dice, 7),
        zone: dice.pick(&ZONES),
    }
}

async fn write(world: &World, kind: &str, of: &Preferences) {
    let number = |n: Option<i64>| n.map_or("null".to_owned(), |n| n.to_string());
    let most = |n: Option<usize>| number(n.and_then(|n| i64::try_from(n).ok()));
    let has = |channel: &str| of.channels.contains(&channel);
    let user = of.user;
    let sql = format!(
        "insert into users (id, email) values ('{user}', 'u@example.com');
         insert into user_sms_preferences (user_id, phone_number, phone_verified) values ('{user}', '+13105550101', true);
         insert into notification_subscriptions (user_id, event_type) values ('{user}', '{kind}');
         update user_notification_preferences
            set push_enabled = false, email_enabled = {}, sms_enabled = {}, in_app_enabled = {}, batch_enabled = {},
                batch_interval_minutes = {}, max_per_hour = {}, max_per_day = {}, timezone = '{}'
          where user_id = '{user}'",
        has("email"),
        has("sms"),
        has("in_app"),
        of.batch.is_some(),
        number(of.batch),
        most(of.per_hour),
        most(of.per_day),
        of.zone,
    );
    run(&world.user, &sql).await;
}

/// What there is of a user on a channel, as the model says it.
async fn found(world: &World, user: Uuid, channel: &str) -> Vec<String> {
    let sql = format!(
        "select coalesce(array_agg(d.said order by d.said), '{{}}')
           from (select format('%s %s %s', to_char(d.scheduled_for at time zone 'UTC', 'DD HH24:MI'),
                               coalesce((d.payload ->> 'count')::int, 1),
                               case when d.status = 'pending' and m.body = d.body and m.scheduled_at = d.scheduled_for
                                    then m.status
                                    when d.status = 'cancelled' and m.id is null or m.status = 'cancelled' then 'cancelled'
                                    else 'another' end) as said
                   from notification_deliveries d
                   left join punctual.source_rows r on r.source = 'buildos_deliveries' and r.key = d.id::text
                   left join scheduled_messages m on m.id = r.message_id
                  where d.recipient_user_id = '{user}' and d.channel = '{channel}') d"
    );
    one(&world.unseen, &sql).await
}

fn shown(made: &[Made]) -> Vec<String> {
    let mut all: Vec<String> = made
        .iter()
        .map(|d| {
            let due = TimeZone::UTC.to_datetime(d.due).strftime("%d %H:%M");
            format!("{due} {} {}", d.events, d.status)
        })
        .collect();
    all.sort();
    all
}

/// One world: its users, its events, and what the app cancels.
async fn lives(world: &World, seed: u64) {
    let mut dice = Dice::new(seed, "notifications");
    // A name has letters only.
    let letters: String = seed
        .to_string()
        .bytes()
        .map(|b| char::from(b - b'0' + b'a'))
        .collect();
    let kind = format!("world.{letters}");
    let mut users = Vec::new();
    for _ in 0..3 {
        let of = choose(&mut dice, Uuid::new_v4());
        write(world, &kind, &of).await;
        users.push(of);
    }
    let mut model: BTreeMap<(usize, &str), Vec<Made>> = BTreeMap::new();
    let from: Timestamp = FROM.parse().unwrap();
    let mut clock = 0;
    for n in 0..40 {
        clock += dice.between(0, 90);
        // Some are scheduled out of order.
        let minute = (clock
            - if dice.chance(150) {
                dice.between(0, 120)
            } else {
                0
            })
        .max(0);
        let at = after(from, minute);
        let target = dice.chance(500).then(|| dice.below(users.len()));
        let to = target.map_or("null".to_owned(), |n| format!("'{}'", users[n].user));
        let sql = format!(
            "select emit_notification_event('{kind}', p_target_user_id => {to}, p_scheduled_for => '{at}',
                                            p_payload => '{{\"body\": \"event {n}\"}}')"
        );
        let _: Uuid = one(&world.user, &sql).await;
        for (n, of) in users.iter().enumerate() {
            for channel in of
                .channels
                .iter()
                .filter(|_| target.is_none_or(|target| target == n))
            {
                deliver(model.entry((n, channel)).or_default(), of, at);
            }
        }
        if dice.chance(100) {
            // All that is due by then.
            let cancel = format!(
                "update notification_deliveries set status = 'cancelled'
                  where status = 'pending' and event_type = '{kind}' and scheduled_for <= '{at}'"
            );
            run(&world.user, &cancel).await;
            let due = model
                .values_mut()
                .flatten()
                .filter(|d| d.status == "pending" && d.due <= at);
            for made in due {
                made.status = "cancelled";
            }
        }
    }
    for (n, of) in users.iter().enumerate() {
        for channel in ["email", "sms", "in_app"] {
            let made = model.get(&(n, channel)).map_or(&[][..], Vec::as_slice);
            let (batch, hour, day, zone) = (of.batch, of.per_hour, of.per_day, of.zone);
            assert_eq!(
                found(world, of.user, channel).await,
                shown(made),
                "seed {seed}: {channel} of a user with a batch of {batch:?}, {hour:?} an hour, {day:?} a day in {zone}"
            );
        }
    }
}

#[tokio::test]
async fn batches_and_limits_are_those_of_a_plain_model() {
    let (first, many) = (setting("PUNCTUAL_SEED", 1), setting("PUNCTUAL_WORLDS", 24));
    let world = world().await;
    for seed in first..first + many {
        lives(&world, seed).await;
    }
}
