//! What texts cost a day: counted before they are sent, within caps that instances share, and corrected afterwards.

use punctual::message::{AttemptToken, Moment, Nanos, PauseKey, PauseScope};
use punctual::policy::{CostCaps, Reason, ReasonKind};
use punctual::settle::Settlement;
use punctual::store::{Charge, Store};
use uuid::Uuid;

use crate::ours::{accepted, record, recorded, store, won};
use crate::rows::{World, one, run};

const DAY: &str = "2026-11-30";

fn charge(amount: u64, campaign: Option<&str>, user: Option<Uuid>) -> Charge {
    Charge {
        token: AttemptToken::fresh(),
        amount: Nanos(amount),
        campaign: campaign.map(str::to_owned),
        user: user.map(|id| id.to_string()),
        must: false,
    }
}

const fn caps(all: u64, campaign: u64, user: u64) -> CostCaps {
    CostCaps {
        installation: Some(Nanos(all)),
        campaign: Some(Nanos(campaign)),
        user: Some(Nanos(user)),
    }
}

/// What becomes of each: counted, or the scope whose cap keeps it back.
async fn counted(store: &Store, charges: &[Charge], caps: &CostCaps) -> Vec<&'static str> {
    let over = store.charge_costs(DAY, charges, caps).await.unwrap();
    let scope = |own: &Charge| {
        let mut over = over.iter();
        over.find(|one| one.token == own.token)
            .map_or("counted", |one| one.scope.as_str())
    };
    charges.iter().map(scope).collect()
}

async fn spent(world: &World) -> String {
    let sql = "select string_agg(concat_ws(' ', d.scope, nullif(left(d.what, 2), ''), d.amount), ', ' order by d.scope, d.what)
                 from punctual.cost_days d where d.amount > 0";
    one(&world.unseen, sql).await
}

#[tokio::test]
async fn texts_are_counted_until_a_cap_of_the_day_keeps_one_back() {
    let world = World::new().await;
    let store = store(&world);
    let (ada, bob) = (Uuid::from_u128(0xaa << 120), Uuid::from_u128(0xbb << 120));
    // Without caps everything is counted.
    let free = [charge(5, None, None)];
    assert_eq!(
        counted(&store, &free, &CostCaps::default()).await,
        ["counted"]
    );
    let caps = caps(100, 30, 20);
    // One that does not fit leaves its room to those that do.
    let asked = [
        charge(15, Some("c1"), Some(ada)),
        charge(10, Some("c1"), Some(ada)),
        charge(16, Some("c1"), None),
        charge(15, Some("c1"), Some(bob)),
        charge(60, None, None),
    ];
    assert_eq!(
        counted(&store, &asked, &caps).await,
        ["counted", "user", "campaign", "counted", "counted"]
    );
    assert_eq!(
        spent(&world).await,
        "campaign c1 30, installation 95, user aa 15, user bb 15"
    );
    let mut rest = charge(6, Some("c1"), Some(ada));
    let over = store.charge_costs(DAY, &[rest.clone()], &caps).await;
    let [over] = over.unwrap()[..] else {
        panic!("it exceeds a cap")
    };
    assert_eq!(
        (over.token, over.scope.as_str(), over.spent),
        (rest.token, "installation", Nanos(95))
    );
    // What has begun is finished.
    rest.must = true;
    assert_eq!(counted(&store, &[rest], &caps).await, ["counted"]);
    assert_eq!(store.costs_of(DAY).await.unwrap(), Nanos(101));
    assert_eq!(store.costs_of("2026-12-01").await.unwrap(), Nanos(0));
    // Another day begins again, and what is over is forgotten.
    assert_eq!(store.forget_costs(DAY, 100).await.unwrap(), 0);
    assert_eq!(store.forget_costs("2026-12-01", 3).await.unwrap(), 6);
    assert_eq!(store.forget_costs("2026-12-01", 100).await.unwrap(), 3);
    assert_eq!(store.costs_of(DAY).await.unwrap(), Nanos(0));
}

#[tokio::test]
async fn instances_that_count_at_once_keep_one_cap() {
    let world = World::new().await;
    let (one, two) = (store(&world), store(&world));
    let caps = caps(1_000, 1_000, 1_000);
    let users: Vec<Uuid> = (0..20).map(Uuid::from_u128).collect();
    let asks = |reversed: bool| {
        let mut all: Vec<_> = users
            .iter()
            .map(|user| charge(30, Some("c1"), Some(*user)))
            .collect();
        if reversed {
            all.reverse();
        }
        all
    };
    let mut granted = 0;
    for _ in 0..3 {
        let (a, b) = (asks(false), asks(true));
        let (a, b) = tokio::join!(counted(&one, &a, &caps), counted(&two, &b, &caps));
        granted += a.iter().chain(&b).filter(|one| **one == "counted").count();
    }
    assert_eq!(granted, 33);
    assert_eq!(one.costs_of(DAY).await.unwrap(), Nanos(990));
}

#[tokio::test]
async fn what_was_not_sent_is_returned_and_a_price_that_is_known_takes_the_place_of_the_tables() {
    let world = World::new().await;
    let store = store(&world);
    let ids = world.rows(4, "pending").await;
    let claims = won(&store, &ids).await;
    let charges: Vec<_> = claims
        .iter()
        .map(|claim| Charge {
            token: claim.token,
            ..charge(10_000_000, Some("c1"), None)
        })
        .collect();
    let none = CostCaps::default();
    assert_eq!(counted(&store, &charges, &none).await, ["counted"; 4]);
    assert_eq!(store.settle_costs(10, "USD").await.unwrap(), 0);
    let reason = Reason::new(ReasonKind::CostCap, "no");
    let returned = record(&claims[0], Settlement::kept_back(reason));
    assert_eq!(recorded(&store, &[returned]).await, 1);
    let sent: Vec<_> = claims[1..].iter().map(accepted).collect();
    assert_eq!(recorded(&store, &sent).await, 3);
    for (claim, unit) in [(&claims[1], "usd"), (&claims[2], "EUR")] {
        let price = format!(
            "update punctual.attempts set price = -0.0079, price_unit = '{unit}' where token = '{}'",
            claim.token.0
        );
        run(&world.user, &price).await;
    }
    assert_eq!(store.settle_costs(2, "USD").await.unwrap(), 2);
    assert_eq!(store.settle_costs(2, "USD").await.unwrap(), 1);
    assert_eq!(store.settle_costs(2, "USD").await.unwrap(), 0);
    // One was returned, one costs 0.0079, and what is in another currency stays as it was counted.
    assert_eq!(
        spent(&world).await,
        "campaign c1 27900000, installation 27900000"
    );
    // What is proven to be sent after all is counted as before.
    let proof = format!(
        "update punctual.attempts set outcome = 'accepted', provider_sid = 'SMproof', settled_by = 'callback', settled_at = now()
          where token = '{}'",
        claims[0].token.0
    );
    run(&world.unseen, "set session_replication_role = origin").await;
    run(&world.unseen, &proof).await;
    assert_eq!(store.settle_costs(2, "USD").await.unwrap(), 1);
    assert_eq!(
        spent(&world).await,
        "campaign c1 37900000, installation 37900000"
    );
}

/// The row of the day is written by every claim: what locks it must not write it too.
#[tokio::test]
async fn a_charge_writes_each_row_of_the_day_once() {
    let world = World::new().await;
    let store = store(&world);
    let user = Uuid::from_u128(0xaa << 120);
    let first = [charge(5, Some("c1"), Some(user))];
    assert_eq!(
        counted(&store, &first, &caps(100, 100, 100)).await,
        ["counted"]
    );
    let again = format!(
        "select c.token from punctual.charge_costs('{DAY}', array[gen_random_uuid()], '{{5}}', '{{c1}}', array['{user}'], '{{f}}', 100, 100, 100) c"
    );
    run(&world.user, "begin").await;
    run(&world.user, &again).await;
    let written = "select pg_stat_get_xact_tuples_updated(c) + pg_stat_get_xact_tuples_inserted(c)
                     from cast('punctual.cost_days' as regclass) c";
    assert_eq!(one::<i64>(&world.user, written).await, 3);
    run(&world.user, "commit").await;
    assert_eq!(store.costs_of(DAY).await.unwrap(), Nanos(10));
}

/// The statement was given up and takes effect when that was recorded.
#[tokio::test]
async fn what_has_ended_is_not_counted_any_more() {
    let world = World::new().await;
    let store = store(&world);
    let ids = world.rows(3, "pending").await;
    let claims = won(&store, &ids).await;
    let charges: Vec<_> = claims
        .iter()
        .map(|claim| Charge {
            token: claim.token,
            ..charge(5, Some("c1"), None)
        })
        .collect();
    let reason = Reason::new(ReasonKind::CostCap, "its cost could not be counted");
    let given_up = record(&claims[1], Settlement::kept_back(reason));
    assert_eq!(recorded(&store, &[given_up]).await, 1);
    let none = CostCaps::default();
    counted(&store, &charges, &none).await;
    assert_eq!(spent(&world).await, "campaign c1 10, installation 10");
    counted(&store, &charges[1..2], &none).await;
    assert_eq!(spent(&world).await, "campaign c1 10, installation 10");
}

#[tokio::test]
async fn a_cap_pauses_and_leaves_a_persons_pause_as_it_is() {
    let world = World::new().await;
    let store = store(&world);
    let key = PauseKey {
        scope: PauseScope::Lane,
        what: "sms".into(),
    };
    let soon = Moment::from_micros(4_000_000_000_000_000);
    let who = "select who || ' ' || (until = 'infinity') from punctual.pauses";
    store.pause(&key, Moment::MAX, None, "ada").await.unwrap();
    store.pause_for_costs(&key, soon, "the cap").await.unwrap();
    assert_eq!(one::<String>(&world.unseen, who).await, "ada true");
    assert!(store.resume(&key, "ada").await.unwrap());
    store.pause_for_costs(&key, soon, "the cap").await.unwrap();
    assert_eq!(one::<String>(&world.unseen, who).await, "cost cap false");
}
