//! The provider refuses the account: every message waits, and one asks.

use crate::daemon::until;
use crate::standin::Act;
use crate::world::World;

#[tokio::test]
async fn a_refused_account_holds_all_but_the_first_request() {
    let world = World::new([Act::refuse(401, 20003, "Authenticate")]).await;
    let mut daemon = world.daemon().await;
    let first = world.insert("asks first", 0).await;
    let hit = until("the refusal is in the row", async || {
        let row = world.row(first).await.unwrap();
        (row.code == Some(20003)).then_some(row)
    })
    .await;
    assert_eq!(hit.status, "pending", "it is not the message's fault");
    assert_eq!(hit.error.as_deref(), Some("Authenticate (Code: 20003)"));
    daemon.says("the provider refuses the account").await;

    let mut others = Vec::new();
    for n in 0..3 {
        others.push(world.insert(&format!("waits {n}"), 0).await);
    }
    // Known to the daemon, due, and not so much as claimed.
    for id in &others {
        let timer = until("it is armed and overdue", async || {
            let report = daemon.timers(&format!("id={id}")).await;
            let timer = report["timers"].get(0).cloned()?;
            (timer["due_in_us"].as_i64()? < -300_000).then_some(timer)
        })
        .await;
        assert_eq!(timer["state"], "armed");
    }
    let report = daemon.timers("limit=1").await;
    let breaker = &report["breaker"];
    assert_eq!(
        (&breaker["open"], &breaker["reason"]),
        (&true.into(), &20003.into())
    );
    assert_eq!(breaker["category"], "account_issue");
    assert!(breaker["since"].as_str() < breaker["next_probe_at"].as_str());
    assert_eq!(report["ready"], true, "it is the account, not the daemon");
    daemon.readyz(200).await;
    for id in &others {
        let row = world.row(*id).await.unwrap();
        assert_eq!((row.status.as_str(), row.code), ("pending", None));
    }

    // Every way to ask says so, and names no time that cannot be.
    let forecast = until("the instance has published it", async || {
        let (_, body) = daemon
            .answer(&format!("/debug/messages/{}", others[0]))
            .await;
        let report: serde_json::Value = serde_json::from_str(&body).unwrap();
        (report["forecast"]["reason"] == "breaker").then(|| report["forecast"].clone())
    })
    .await;
    assert_eq!(forecast["outcome"], "wait");
    assert!(forecast["at"].as_str() >= breaker["since"].as_str());
    assert!(
        forecast["text"]
            .as_str()
            .unwrap()
            .contains("account issue, code 20003")
    );
    let says = "the provider has refused";
    let url = format!("http://{}", daemon.addr());
    for command in [
        &["timers", "--url", &url][..],
        &["health", "--url", &url],
        &["doctor"],
    ] {
        let (_, out, err) = world.call(command).await;
        assert!(out.contains(says), "{command:?}: {out}{err}");
    }

    // Held does not mean out of the user's hands.
    let cancel = "update scheduled_messages set status = 'cancelled' where id = $1";
    assert_eq!(world.app.execute(cancel, &[&first]).await.unwrap(), 1);
    daemon.stop().await;
    assert_eq!(world.phone.creates().len(), 1);

    // What was held by the one goes out with the next, which begins without a grudge.
    let daemon = world.daemon().await;
    until("the others are sent", async || {
        (world.phone.accepted().len() == 3).then_some(())
    })
    .await;
    daemon.stop().await;
}
