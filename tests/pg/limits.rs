//! No more to a user on a day than their limit, whoever claims, and no place is lost.

use punctual::message::ProviderCapabilities;
use std::time::Duration;

use jiff::tz::TimeZone;
use punctual::message::facts::{Limit, LimitSource};
use punctual::message::{Capabilities, Claim, ClaimResponse, Moment};
use punctual::policy::{self, Reason, ReasonKind, Rules, Verdict, Zones, local_days};
use punctual::settle::Settlement;
use punctual::store::{Days, Store};
use uuid::Uuid;

use crate::harness::TestDb;
use crate::ours::{accepted, claim, record, recorded, rules, store, try_claim, won};
use crate::rows::{World, one, run, server_version};

const USER: u128 = 7;

async fn user(world: &World, n: u128, limit: i32) {
    let id = Uuid::from_u128(n);
    let sql = format!(
        "insert into user_sms_preferences (user_id, phone_verified, daily_sms_limit, quiet_hours_start, quiet_hours_end, timezone)
         values ('{id}', true, {limit}, null, null, null)"
    );
    run(&world.user, &sql).await;
}

async fn message(world: &World, n: u128, priority: &str) -> Uuid {
    let values = format!(", '{}', '{priority}', '+15005550006'", Uuid::from_u128(n));
    world
        .row_with("pending", ", user_id, priority, from_number", &values)
        .await
}

async fn taken(world: &World, n: u128) -> i32 {
    let sql = format!(
        "select coalesce(sum(count), 0)::int from punctual.daily_counts where user_id = '{}'",
        Uuid::from_u128(n)
    );
    one(&world.unseen, &sql).await
}

fn goes(claim: &Claim) -> bool {
    matches!(claim.facts.limit, Limit::Taken { .. })
}

#[tokio::test]
async fn urgent_ones_get_the_places_then_those_that_are_due_first() {
    let world = World::new().await;
    user(&world, USER, 3).await;
    let mut ids = Vec::new();
    for priority in ["low", "normal", "urgent", "normal", "high", "normal"] {
        ids.push(message(&world, USER, priority).await);
    }
    // Of nobody, and of somebody with no preferences.
    let uncounted = [world.row("pending").await, message(&world, 8, "low").await];
    let store = store(&world);
    let claims = won(&store, &[&ids[..], &uncounted].concat()).await;
    let places: Vec<bool> = claims[..6].iter().map(goes).collect();
    assert_eq!(places, [false, true, true, false, true, false]);
    assert!(
        claims[6..]
            .iter()
            .all(|c| c.facts.limit == Limit::NotCounted)
    );
    assert_eq!(taken(&world, USER).await, 3);
    let over = &claims[0];
    assert_eq!(over.facts.limit, Limit::Over { limit: 3 });
    let Verdict::Cancel { reason } = policy::judge(
        over,
        &rules(),
        &ProviderCapabilities::all(Capabilities::SENDS_ONLY),
        over.due,
    ) else {
        panic!("not cancelled");
    };
    assert_eq!(reason.text, "Daily SMS limit reached");
}

#[tokio::test]
async fn what_comes_too_late_takes_nobodys_place() {
    let world = World::new().await;
    user(&world, USER, 1).await;
    let late = message(&world, USER, "urgent").await;
    let past =
        "update scheduled_messages set send_before = clock_timestamp() - interval '1 s' where id =";
    run(&world.user, &format!("{past} '{late}'")).await;
    let good = message(&world, USER, "normal").await;
    let claims = won(&store(&world), &[late, good]).await;
    let places: Vec<bool> = claims.iter().map(goes).collect();
    assert_eq!(places, [false, true]);
    assert_eq!(taken(&world, USER).await, 1);
}

#[tokio::test]
async fn neither_a_herd_nor_two_daemons_exceed_it() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for n in 0..6 {
        user(&world, n, 10).await;
        for _ in 0..25 {
            ids.push(message(&world, n, "normal").await);
        }
    }
    let mut racers = tokio::task::JoinSet::new();
    for n in 0..4 {
        let store = store(&world);
        let mut ids = ids.clone();
        ids.rotate_left(n * 31);
        racers.spawn(async move {
            let mut places = 0;
            for part in ids.chunks(40) {
                for answer in claim(&store, part).await {
                    if let ClaimResponse::Won(claim) = answer {
                        places += usize::from(goes(&claim));
                    }
                }
            }
            places
        });
    }
    let places: usize = racers.join_all().await.into_iter().sum();
    assert_eq!(places, 60);
    for n in 0..6 {
        assert_eq!(taken(&world, n).await, 10);
    }
}

#[tokio::test]
async fn what_was_not_sent_returns_its_quota_once() {
    let world = World::new().await;
    user(&world, USER, 1).await;
    let store = store(&world);
    let id = message(&world, USER, "normal").await;
    let later = Moment::from_micros(i64::from(i32::MAX) * 1_000_000);
    for settlement in [
        Settlement::returned("test"),
        Settlement::cancelled(Reason::new(ReasonKind::TooLate, "test")),
        Settlement::rejected(Reason::new(ReasonKind::Text, "test")),
        Settlement::deferred(later, Reason::new(ReasonKind::QuietHours, "quiet hours")),
    ] {
        let claims = won(&store, &[id]).await;
        assert!(goes(&claims[0]), "the place is free: {settlement:?}");
        assert_eq!(taken(&world, USER).await, 1);
        let record = record(&claims[0], settlement);
        for _ in 0..3 {
            recorded(&store, std::slice::from_ref(&record)).await;
            assert_eq!(taken(&world, USER).await, 0);
        }
        run(
            &world.unseen,
            "update scheduled_messages set status = 'pending', deferred_until = null",
        )
        .await;
    }
    // It is unknown whether that one was sent: it keeps its quota.
    let claims = won(&store, &[id]).await;
    let unknown = Settlement::of(
        punctual::settle::SendResult {
            outcome: punctual::message::Outcome::Unknown {
                reason: "test".into(),
            },
            started: None,
            finished: claims[0].due,
        },
        claims[0].id,
        punctual::settle::AttemptBudget {
            number: 1,
            before: 0,
            max: 3,
            expires: later,
        },
    );
    recorded(&store, &[record(&claims[0], unknown)]).await;
    assert_eq!(world.status(id).await, "unconfirmed");
    assert_eq!(taken(&world, USER).await, 1);
    let next = message(&world, USER, "normal").await;
    assert!(!goes(&won(&store, &[next]).await[0]));
    // Until somebody finds out that it was not.
    for _ in 0..2 {
        run(
            &world.unseen,
            "set session_replication_role = origin;
             update punctual.attempts set outcome = 'unsent' where outcome in ('unknown', 'unsent');
             set session_replication_role = replica",
        )
        .await;
        assert_eq!(taken(&world, USER).await, 0);
    }
}

#[tokio::test]
async fn records_and_claims_of_the_same_users_do_not_block_each_other() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for n in 0..20 {
        user(&world, n, 5).await;
        for _ in 0..3 {
            ids.push(message(&world, n, "normal").await);
        }
    }
    let mut racers = tokio::task::JoinSet::new();
    for n in 0..3 {
        let store = store(&world);
        let mut ids = ids.clone();
        ids.rotate_left(n * 17);
        racers.spawn(async move {
            for _ in 0..15 {
                let claims: Vec<Claim> = match try_claim(&store, &ids).await {
                    Ok(answers) => answers
                        .into_iter()
                        .filter_map(|answer| match answer {
                            ClaimResponse::Won(claim) => Some(claim),
                            ClaimResponse::Lost(_)
                            | ClaimResponse::Paused(_)
                            | ClaimResponse::Paced(_)
                            | ClaimResponse::OptedOut => None,
                        })
                        .collect(),
                    // A row that went there and back while the statement ran has a new attempt
                    // that it does not see. Nothing is claimed then; the daemon asks by halves.
                    Err(refused) if refused.is_about_a_row() => continue,
                    Err(error) => panic!("{error}"),
                };
                let mut left: Vec<_> = claims
                    .iter()
                    .map(|c| record(c, Settlement::returned("test")))
                    .collect();
                while !left.is_empty() {
                    let all: Vec<_> = left.iter().collect();
                    let done = store.record(&all).await.unwrap();
                    left.retain(|record| !done.contains_key(&record.token));
                }
            }
        });
    }
    racers.join_all().await;
    assert_eq!(world.tally().await, "pending 60");
    let sum = "select sum(count)::int from punctual.daily_counts";
    assert_eq!(one::<i32>(&world.unseen, sum).await, 0);
}

#[tokio::test]
async fn the_apps_own_count_is_honoured_where_the_installation_says_so() {
    let world = World::new().await;
    user(&world, USER, 5).await;
    let of_app = |source| {
        let rules = Rules {
            limit_source: source,
            ..rules()
        };
        store(&world).with_rules(&rules)
    };
    let both = of_app(LimitSource::App);
    let check = async |store: &Store, set: &str, places: usize| {
        run(
            &world.unseen,
            "delete from scheduled_messages; delete from punctual.daily_counts",
        )
        .await;
        run(
            &world.user,
            &format!("update user_sms_preferences set {set}"),
        )
        .await;
        let mut ids = Vec::new();
        for _ in 0..6 {
            ids.push(message(&world, USER, "normal").await);
        }
        let went = won(store, &ids).await.iter().filter(|c| goes(c)).count();
        assert_eq!(went, places, "{set}");
    };
    check(
        &both,
        "daily_sms_count = 3, daily_count_reset_at = now()",
        2,
    )
    .await;
    check(&both, "daily_sms_count = 9", 0).await;
    check(&both, "daily_count_reset_at = null", 0).await;
    let yesterday = "daily_count_reset_at = now() - interval '2 days'";
    check(&both, yesterday, 5).await;
    check(&both, "daily_sms_limit = null", 0).await;
    run(
        &world.user,
        "update user_sms_preferences set daily_sms_limit = 5, daily_count_reset_at = now()",
    )
    .await;
    check(&of_app(LimitSource::Punctual), "daily_sms_count = 9", 5).await;
}

/// However the day's messages fall into claims, the two counts together stay within the limit.
#[tokio::test]
async fn the_apps_count_and_ours_are_one_limit_from_claim_to_claim() {
    let world = World::new().await;
    user(&world, USER, 5).await;
    run(
        &world.user,
        "update user_sms_preferences set daily_sms_count = 2, daily_count_reset_at = now()",
    )
    .await;
    let rules = Rules {
        limit_source: LimitSource::App,
        ..rules()
    };
    let store = store(&world).with_rules(&rules);
    let mut places = Vec::new();
    for _ in 0..5 {
        let id = message(&world, USER, "normal").await;
        let claims = won(&store, &[id]).await;
        places.push(goes(&claims[0]));
        if goes(&claims[0]) {
            recorded(&store, &[accepted(&claims[0])]).await;
        }
    }
    assert_eq!(places, [true, true, true, false, false]);
    assert_eq!(taken(&world, USER).await, 3);
}

/// The database asks by instant; what it was given is what the daemon computes.
#[tokio::test]
async fn a_day_is_the_recipients() {
    each_day_is_the_recipients(World::new().await).await;
}

/// Names of zones have one spelling, and a day has one form, whatever a database is set to.
#[tokio::test]
async fn a_day_is_the_recipients_in_any_language() {
    if server_version(&TestDb::new().await.client().await).await < 15 {
        eprintln!("databases have languages of their own since PostgreSQL 15: not tried");
        return;
    }
    let world = World::over(TestDb::turkish().await).await;
    assert_eq!(one::<String>(&world.user, "select lower('I')").await, "ı");
    each_day_is_the_recipients(world).await;
}

async fn each_day_is_the_recipients(world: World) {
    user(&world, USER, 50).await;
    let rules = Rules {
        timezone: TimeZone::get("Asia/Kolkata").unwrap(),
        ..rules()
    };
    let store = store(&world).with_rules(&rules);
    let now = store.now().await.unwrap();
    let days = Days::around(now, &rules.zones);
    store.keep_days(&days).await.unwrap();
    store.keep_days(&days).await.unwrap();
    let (count, alike): (i64, bool) = {
        let sql = "select count(*), bool_and(ends - starts between interval '20 hours' and interval '50 hours') from punctual.days";
        let row = world.unseen.query_one(sql, &[]).await.unwrap();
        (row.get(0), row.get(1))
    };
    assert!(count > 2_000 && alike, "{count}");
    for (row, of_user, expected) in [
        (
            " pacific/kiritimati ",
            "America/Los_Angeles",
            "Pacific/Kiritimati",
        ),
        ("Mars/Olympus", "Pacific/Pago_Pago", "Pacific/Pago_Pago"),
        ("", "PACIFIC/KIRITIMATI", "Pacific/Kiritimati"),
        ("", "PST", "Asia/Kolkata"),
    ] {
        run(
            &world.user,
            &format!("update user_sms_preferences set timezone = '{of_user}'"),
        )
        .await;
        let id = message(&world, USER, "normal").await;
        run(
            &world.unseen,
            &format!("update scheduled_messages set timezone = '{row}' where id = '{id}'"),
        )
        .await;
        let claims = won(&store, &[id]).await;
        let day = local_days(&Zones::bundled(), [expected], now)[0].day;
        assert_eq!(claims[0].facts.limit, Limit::Taken { day }, "{row}");
        recorded(&store, &[accepted(&claims[0])]).await;
    }
    // Old days are forgotten, and so are old counts.
    let later = Days::around(now + Duration::from_secs(40 * 86_400), &rules.zones);
    store.keep_days(&later).await.unwrap();
    assert_eq!(taken(&world, USER).await, 0);
    let old = "select count(*) from punctual.days where ends < now() + interval '30 days'";
    assert_eq!(one::<i64>(&world.unseen, old).await, 0);
}

/// Rows of two partitions have the same place, each in its own.
#[tokio::test]
async fn a_count_is_shown_to_its_own_user_in_whatever_partition() {
    const OTHER: u128 = 8;
    let world = World::new().await;
    let one_of_them = Uuid::from_u128(USER);
    let divide = format!(
        "alter table user_sms_preferences rename to whole;
         create table user_sms_preferences (like whole including defaults) partition by list (user_id);
         create table of_one partition of user_sms_preferences for values in ('{one_of_them}');
         create table of_others partition of user_sms_preferences default"
    );
    run(&world.unseen, &divide).await;
    user(&world, OTHER, 10).await;
    user(&world, USER, 10).await;
    let ours = store(&world);
    let now = ours.now().await.unwrap();
    let days = Days::around(now, &Zones::bundled());
    ours.keep_days(&days).await.unwrap();
    let migrator = punctual::store::Migrator::embedded();
    migrator
        .show_daily_counts(world.db.dsn(), true)
        .await
        .unwrap();
    let id = message(&world, USER, "normal").await;
    let claims = won(&ours, &[id]).await;
    recorded(&ours, &[accepted(&claims[0])]).await;
    ours.show_counts(100).await.unwrap();
    let counts = "select string_agg(coalesce(daily_sms_count, 0)::text, ' ' order by user_id) from user_sms_preferences";
    assert_eq!(one::<String>(&world.user, counts).await, "1 0");
}

/// Limit 10, of which the app has sent 3 and Punctual 7: whether the app's own count shows those or not, and whatever
/// counts, none is subtracted twice.
#[tokio::test]
async fn what_the_apps_count_shows_of_ours_is_not_counted_twice() {
    let world = World::new().await;
    user(&world, USER, 10).await;
    let starts =
        "update user_sms_preferences set daily_sms_count = 3, daily_count_reset_at = now()";
    run(&world.user, starts).await;
    let migrator = punctual::store::Migrator::embedded();
    let of = |source| {
        let rules = Rules {
            limit_source: source,
            ..rules()
        };
        store(&world).with_rules(&rules)
    };
    let (ours, both) = (of(LimitSource::Punctual), of(LimitSource::App));
    let now = ours.now().await.unwrap();
    let days = Days::around(now, &Zones::bundled());
    ours.keep_days(&days).await.unwrap();
    let shows = async |expected: i32| {
        let count = "select daily_sms_count from user_sms_preferences";
        assert_eq!(one::<i32>(&world.user, count).await, expected);
    };
    // A claim that is put back again.
    let goes_by = async |store: &Store| {
        let id = message(&world, USER, "normal").await;
        let won = won(store, &[id]).await.remove(0);
        if goes(&won) {
            let back = Settlement::returned("a test");
            recorded(store, &[record(&won, back)]).await;
        }
        goes(&won)
    };
    assert_eq!(ours.show_counts(10).await.unwrap(), 0, "it is off");
    migrator
        .show_daily_counts(world.db.dsn(), true)
        .await
        .unwrap();
    for _ in 0..7 {
        let id = message(&world, USER, "normal").await;
        let claims = won(&ours, &[id]).await;
        recorded(&ours, &[accepted(&claims[0])]).await;
    }
    assert!(
        !goes_by(&both).await && goes_by(&ours).await,
        "not shown yet"
    );
    for _ in 0..2 {
        ours.show_counts(100).await.unwrap();
        shows(10).await;
        assert!(!goes_by(&both).await && goes_by(&ours).await);
    }
    // The app goes on counting; then it sets its count to zero, by a clock of milliseconds.
    let apps = "update user_sms_preferences
                   set daily_sms_count = daily_sms_count + 1, daily_count_reset_at = date_trunc('milliseconds', daily_count_reset_at)";
    run(&world.user, apps).await;
    assert!(goes_by(&ours).await);
    ours.show_counts(100).await.unwrap();
    shows(11).await;
    let reset = "update user_sms_preferences set daily_sms_count = 0, daily_count_reset_at = now() + interval '1 ms'";
    run(&world.user, reset).await;
    assert!(goes_by(&both).await);
    ours.show_counts(100).await.unwrap();
    shows(7).await;
    // What is locked is shown later.
    run(
        &world.user,
        "begin; update user_sms_preferences set daily_sms_count = 8",
    )
    .await;
    assert!(goes_by(&ours).await);
    assert_eq!(ours.show_counts(100).await.unwrap(), 0);
    run(&world.user, "commit").await;
    assert_eq!(ours.show_counts(100).await.unwrap(), 1);
    shows(8).await;
    migrator
        .show_daily_counts(world.db.dsn(), false)
        .await
        .unwrap();
    let left = "select count(*) from punctual.count_changes";
    assert_eq!(one::<i64>(&world.unseen, left).await, 0);
}
