//! A cost cap of the day as the built daemon keeps it: texts are sent until it is reached, and then wait for a person
//! or for the next day.

use crate::daemon::until;
use crate::world::World;

#[tokio::test]
async fn texts_wait_at_the_cost_cap_of_the_day_until_it_is_raised() {
    let world = World::new([]).await;
    // It is noon there, so that the day does not end meanwhile.
    let zone = "select 'Etc/GMT' || case when h < 12 then '-' else '+' end || abs(12 - h)
                  from (select extract(hour from now() at time zone 'UTC')::int as h) o";
    let zone: String = world.app.query_one(zone, &[]).await.unwrap().get(0);
    let world = world.with(&[
        ("PUNCTUAL_TIMEZONE", &zone),
        ("PUNCTUAL_PRICES", "US = 0.01, other = 0.5"),
        ("PUNCTUAL_COST_CAP", "0.035"),
    ]);
    let daemon = world.daemon().await;
    // Two segments, and one.
    let long = "x".repeat(161);
    for body in [&*long, "short"] {
        let id = world.insert(body, 100).await;
        world.arrived_once(id).await;
    }
    let over = world.insert("over", 100).await;
    let paused = until("texts are paused", async || {
        let (_, listed, _) = world.call(&["pauses"]).await;
        listed.contains("lane=sms").then_some(listed)
    })
    .await;
    assert!(
        paused.contains("the cost cap of 0.035 USD a day is reached (PUNCTUAL_COST_CAP)"),
        "{paused}"
    );
    world.becomes(over, "pending").await;
    let (_, why, _) = world.call(&["why", &over.to_string()]).await;
    assert!(why.contains("cost cap"), "{why}");
    assert!(daemon.readyz(200).await.contains("punctual pauses"));
    until("what the day costs is measured", async || {
        let metrics = daemon.get("/metrics").await?.1;
        metrics.contains("punctual_cost_today 0.03\n").then_some(())
    })
    .await;
    daemon.stop().await;
    assert!(world.requests("over").is_empty());

    // Raised and resumed; what costs more than any day has can never be sent.
    let world = world.with(&[("PUNCTUAL_COST_CAP", "0.045")]);
    let daemon = world.daemon().await;
    let (code, _, complaint) = world.call(&["resume", "lane=sms"]).await;
    assert_eq!(code, Some(0), "{complaint}");
    world.arrived_once(over).await;
    let dear = world.insert(&"y".repeat(800), 100).await;
    let failed = world.becomes(dear, "failed").await;
    let error = failed.error.unwrap();
    assert!(
        error.contains("it costs 0.06 USD by PUNCTUAL_PRICES"),
        "{error}"
    );
    daemon.stop().await;
}
