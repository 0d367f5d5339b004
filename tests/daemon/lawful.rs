//! Lawful hours as the built daemon keeps them: a file of rules whose hours begin a moment from now, in the state that
//! the number is from.

use std::fmt::Write as _;

use crate::daemon::Daemon;
use crate::world::{TO, World};

/// A world whose rules for California permit marketing from soon on, its daemon, and when that is, there.
async fn closed(file: &std::path::Path) -> (World, Daemon, String) {
    let types = [("PUNCTUAL_TRANSACTIONAL_TYPES", "invoice")];
    let mut world = World::new([]).await.with(&types);
    for ahead in [12, 30, 60, 120] {
        let sql = "with o as (select date_trunc('second', clock_timestamp()) + $1 * interval '1 s' as at)
                   select to_char(at at time zone 'America/Los_Angeles', 'HH24:MI:SS'),
                          to_char((at - interval '100 s') at time zone 'America/Los_Angeles', 'HH24:MI:SS'),
                          extract(epoch from at)::float8
                     from o";
        let row = world
            .app
            .query_one(sql, &[&f64::from(ahead)])
            .await
            .unwrap();
        let (opens, closed, at): (String, String, f64) = (row.get(0), row.get(1), row.get(2));
        let mut rules = "checked = \"2026-11-30\"\n".to_owned();
        for (id, place) in [("ours", "US-CA"), ("theirs", "FR")] {
            writeln!(
                rules,
                "[[rule]]\nid = \"{id}\"\nplaces = [\"{place}\"]\nkinds = [\"marketing\"]\n\
                 hours = \"mon-sun {opens}-{closed}\"\nsource = \"a law\"\nurl = \"https://example.com\"\n\
                 checked = \"2026-11-30\"\nseen = \"statute\""
            )
            .unwrap();
        }
        std::fs::write(file, rules).unwrap();
        world = world.with(&[("PUNCTUAL_LAWFUL_HOURS", file.to_str().unwrap())]);
        let daemon = world.daemon().await;
        let left = "select $1 - extract(epoch from clock_timestamp())::float8";
        let left: f64 = world.app.query_one(left, &[&at]).await.unwrap().get(0);
        if left > 0.5 * f64::from(ahead) {
            return (world, daemon, opens);
        }
        daemon.stop().await;
    }
    panic!("no daemon starts within two minutes");
}

#[tokio::test]
async fn marketing_waits_for_the_hours_of_the_numbers_state_and_the_ledger_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let (world, daemon, opens) = closed(&dir.path().join("rules.toml")).await;
    let insert = async |message_type: &str| {
        let sql = "insert into scheduled_messages (to_number, body, message_type, scheduled_at)
                   values ($1, $2, $2, clock_timestamp()) returning id";
        let row = world
            .app
            .query_one(sql, &[&TO, &message_type])
            .await
            .unwrap();
        row.get::<_, uuid::Uuid>(0)
    };
    let invoice = insert("invoice").await;
    let promo = insert("promo").await;
    // Another program forecasts by the rules that the daemon publishes.
    let schedule = [
        "schedule",
        "--to",
        TO,
        "--body",
        "x",
        "--at",
        "in 2s",
        "--dry-run",
        "--json",
    ];
    let (code, out, err) = world.call(&schedule).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(
        out.contains("\"lawful_hours\"") && out.contains("(ours, marketing: a law)"),
        "{out}"
    );
    world.arrived_once(invoice).await;
    world.arrived_once(promo).await;
    daemon.stop().await;

    let sql = "select to_char(deferred_until at time zone 'America/Los_Angeles', 'HH24:MI:SS.US'), deferred_reason
                 from scheduled_messages where id = $1";
    let row = world.app.query_one(sql, &[&promo]).await.unwrap();
    assert_eq!(
        row.get::<_, Option<String>>(0),
        Some(format!("{opens}.000000"))
    );
    let reason: String = row.get(1);
    assert!(
        reason.starts_with(&format!("outside of lawful hours mon-sun {opens}-")),
        "{reason}"
    );
    let ledger = "select array_agg(concat_ws(' ', outcome, category, lawful) order by number)
                    from punctual.attempts where message_id = $1";
    let ledger: Vec<Vec<String>> = vec![
        world
            .app
            .query_one(ledger, &[&invoice])
            .await
            .unwrap()
            .get(0),
        world.app.query_one(ledger, &[&promo]).await.unwrap().get(0),
    ];
    assert_eq!(
        ledger,
        [
            vec!["accepted transactional to US-CA: no rule; rules of 2026-11-30"],
            vec![
                "deferred lawful_hours marketing to US-CA: ours by America/Los_Angeles; rules of 2026-11-30",
                "accepted marketing to US-CA: ours by America/Los_Angeles; rules of 2026-11-30",
            ],
        ]
    );
    let (_, out, err) = world.call(&["why", &promo.to_string()]).await;
    for shown in [
        &*reason,
        "lawful hours  marketing to US-CA: ours by America/Los_Angeles",
    ] {
        assert!(out.contains(shown), "{out}{err}");
    }
}
