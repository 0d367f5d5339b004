//! A cost cap of the day, and the bound on equal texts, as the built daemon keeps them: texts are sent until it is
//! reached, and then wait for a person.

use uuid::Uuid;

use crate::daemon::until;
use crate::standin::Act;
use crate::world::World;

#[tokio::test]
async fn texts_wait_at_the_cost_cap_of_the_day_until_it_is_raised() {
    // The first is throttled, and tried again before the chore takes back what it was counted as.
    let throttled = Act::refuse(429, 20_429, "Too Many Requests");
    let world = World::new([throttled]).await;
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
    // Two segments; three that do not fit into what is left, which stops nothing; and one.
    let long = "x".repeat(161);
    let id = world.insert(&long, 100).await;
    world.arrived_once(id).await;
    let dear = world.insert(&"z".repeat(400), 100).await;
    until("it is deferred by itself", async || {
        let (_, why, _) = world.call(&["why", &dear.to_string()]).await;
        let says = "it costs 0.03 USD by PUNCTUAL_PRICES, and 0.015 USD is left of the cost cap of 0.035 USD a day";
        why.contains(says).then_some(())
    })
    .await;
    let id = world.insert("short", 100).await;
    world.arrived_once(id).await;
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

/// A text to a number of its own, due in a moment.
async fn text_to(world: &World, to: &str, body: &str) -> Uuid {
    let sql = "insert into scheduled_messages (to_number, body, scheduled_at)
               values ($1, $2, clock_timestamp() + interval '100 ms') returning id";
    let row = world.app.query_one(sql, &[&to, &body]).await;
    row.unwrap().get(0)
}

#[tokio::test]
async fn equal_texts_to_new_numbers_are_held_until_a_person_lets_them_go() {
    let world = World::new([]).await.with(&[("PUNCTUAL_BURST", "3 in 1h")]);
    let daemon = world.daemon().await;
    let bodies: Vec<String> = (0..6).map(|n| format!("Your code is {n}.")).collect();
    let mut codes = Vec::new();
    for (n, body) in bodies.iter().enumerate() {
        codes.push(text_to(&world, &format!("+1310555120{n}"), body).await);
    }
    let sent = |world: &World| -> usize {
        let all = bodies.iter().map(|body| world.requests(body).len());
        all.sum()
    };
    let paused = until("the text is paused", async || {
        let (_, listed, _) = world.call(&["pauses"]).await;
        listed.contains("text=").then_some(listed)
    })
    .await;
    let (_, key) = paused.split_once("punctual resume text=").unwrap();
    let key = format!("text={}", key.trim());
    until("three are sent", async || (sent(&world) == 3).then_some(())).await;
    // Others go on, and so does this one to a number that is known by then.
    let other = text_to(&world, "+13105551300", "Something else").await;
    world.arrived_once(other).await;
    let known = text_to(&world, "+13105551300", "Your code is 77.").await;
    world.arrived_once(known).await;
    until("the pause is measured", async || {
        let metrics = daemon.get("/metrics").await?.1;
        metrics.contains("punctual_pauses 1\n").then_some(())
    })
    .await;
    let (_, held, _) = world.call(&["list", "--search", &key, "--json"]).await;
    let held: Vec<_> = codes
        .iter()
        .filter(|id| held.contains(&id.to_string()))
        .collect();
    assert_eq!(held.len(), 3);
    let (_, why, _) = world.call(&["why", &held[0].to_string()]).await;
    assert!(why.contains("burst guard") && why.contains(&key), "{why}");
    daemon.stop().await;

    // Neither a restart frees them, nor an instance without the setting.
    let world = world.with(&[("PUNCTUAL_BURST", "off")]);
    let daemon = world.daemon().await;
    let proof = text_to(&world, "+13105551301", "Something new").await;
    world.arrived_once(proof).await;
    assert_eq!(sent(&world), 3);
    daemon.stop().await;

    // One is cancelled, the others are freed; and the same text is not held again on that day.
    let world = world.with(&[("PUNCTUAL_BURST", "3 in 1h")]);
    let daemon = world.daemon().await;
    let (code, ..) = world.call(&["cancel", &held[0].to_string()]).await;
    assert_eq!(code, Some(0));
    let (code, _, complaint) = world.call(&["resume", &key]).await;
    assert_eq!(code, Some(0), "{complaint}");
    for id in &held[1..] {
        world.arrived_once(**id).await;
    }
    let more = text_to(&world, "+13105551302", "Your code is 88.").await;
    world.arrived_once(more).await;
    assert_eq!(sent(&world), 5);
    daemon.stop().await;
}
