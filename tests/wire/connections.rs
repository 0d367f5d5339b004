//! Which connection a request takes.

use std::collections::HashSet;

use futures_util::future::join_all;
use punctual::message::Outcome;
use punctual::provider::Provider;

use crate::child::run_again_with;
use crate::setup::{hasty, send, twilio};
use crate::standin::{Act, StandIn};

#[tokio::test]
async fn a_warmed_connection_is_used() {
    let stand_in = StandIn::start([]).await;
    let twilio = twilio(&stand_in.url());
    twilio.prewarm(1).await;
    assert_eq!(stand_in.connections(), 1);
    send(&twilio).await;
    assert_eq!(stand_in.creates()[0].connection, 0);
    assert_eq!(stand_in.connections(), 1);
}

#[tokio::test]
async fn a_herd_finds_its_connections_warm() {
    let stand_in = StandIn::start([]).await;
    let twilio = twilio(&stand_in.url());
    twilio.prewarm(4).await;
    assert_eq!(stand_in.connections(), 4);
    // Once more changes nothing: it is the same four.
    twilio.prewarm(4).await;
    let outcomes = join_all((0..4).map(|_| send(&twilio))).await;
    assert_eq!(outcomes.len(), stand_in.accepted().len());
    let used: HashSet<_> = stand_in.creates().iter().map(|s| s.connection).collect();
    assert_eq!(used.len(), 4);
    assert_eq!(stand_in.connections(), 4);
}

#[tokio::test]
async fn the_date_of_a_response_is_the_providers_time() {
    let stand_in = StandIn::start([]).await;
    let twilio = twilio(&stand_in.url());
    assert_eq!(twilio.date().await, None, "a response without a date");
    stand_in.dated(chrono::TimeDelta::hours(1));
    let before = chrono::Utc::now() + chrono::TimeDelta::hours(1);
    let date = twilio.date().await.unwrap().to_utc().unwrap();
    let off = (date - before).num_milliseconds();
    assert!((-1_000..60_000).contains(&off), "{off}");
    let [_, last] = &stand_in.others()[..] else {
        panic!("two requests");
    };
    assert_eq!(last.header("authorization"), None);
}

#[tokio::test]
async fn warming_is_bounded_and_reveals_nothing() {
    let stand_in = StandIn::start([]).await;
    let twilio = twilio(&stand_in.url());
    twilio.prewarm(0).await;
    assert_eq!(stand_in.connections(), 0);
    twilio.prewarm(usize::MAX).await;
    assert_eq!(stand_in.connections(), 8);
    for seen in stand_in.others() {
        assert_eq!(seen.line, "GET /2010-04-01.json HTTP/1.1");
        assert_eq!(seen.header("authorization"), None);
    }
}

#[tokio::test]
async fn warming_what_is_not_there_is_of_no_consequence() {
    let mut stand_in = StandIn::start([]).await;
    stand_in.stop().await;
    twilio(&stand_in.url()).prewarm(3).await;
}

/// A refused message leaves its connection in order; one with an uncertain outcome takes its own along.
#[tokio::test]
async fn a_connection_with_an_uncertain_outcome_is_not_used_again() {
    let stand_in = StandIn::start([Act::refuse(400, 21211, "no"), Act::Silence, Act::Accept]).await;
    let twilio = hasty(&stand_in.url());
    for _ in 0..3 {
        send(&twilio).await;
    }
    let used: Vec<_> = stand_in.creates().iter().map(|s| s.connection).collect();
    assert_eq!(used, [0, 0, 1]);
}

/// The server goes away while connections are idle. Whether that is noticed before or after
/// the request is on its way is a matter of microseconds; both answers are honest.
#[tokio::test]
async fn a_connection_that_died_idle_makes_no_outcome_wrong() {
    let mut stand_in = StandIn::start([]).await;
    let twilio = twilio(&stand_in.url());
    twilio.prewarm(2).await;
    stand_in.stop().await;
    let first = send(&twilio).await;
    assert!(
        matches!(first, Outcome::Unsent { .. } | Outcome::Unknown { .. }),
        "{first:?}"
    );
    // By now it is known to be gone.
    let last = send(&twilio).await;
    assert!(matches!(last, Outcome::Unsent { .. }), "{last:?}");
    assert!(stand_in.creates().is_empty());
}

/// Whatever proxy the environment names: a text goes where the configuration says.
#[tokio::test]
async fn a_proxy_of_the_environment_is_not_used() {
    let proxy = "http://127.0.0.1:1";
    let names = ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"];
    let here = "connections::a_proxy_of_the_environment_is_not_used";
    if !run_again_with(here, names.map(|name| (name, proxy))) {
        let stand_in = StandIn::start([]).await;
        let outcome = send(&twilio(&stand_in.url())).await;
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
    }
}
