//! What is forecast of messages that cannot be sent as they are: without a daemon, with one, by every way that shows
//! it; and then it happens.

use futures_util::future::join_all;
use serde_json::Value;
use uuid::Uuid;

use crate::daemon::{Daemon, until};
use crate::world::World;

/// Each kind of row: columns, values, what happens to it, and why.
const ROWS: &[(&str, &str, &str, &str)] = &[
    (", user_id", "md5('quiet')::uuid", "defer", "quiet_hours"),
    (", user_id", "md5('out')::uuid", "cancel", "opted_out"),
    (
        ", user_id",
        "md5('unverified')::uuid",
        "cancel",
        "not_verified",
    ),
    (
        ", user_id, message_type",
        "md5('off')::uuid, 'daily_brief'",
        "cancel",
        "switched_off",
    ),
    (", message_type", "'closed'", "defer", "business_hours"),
    (
        ", campaign_id, message_type",
        "md5('closed')::uuid, 'open'",
        "defer",
        "business_hours",
    ),
    (
        ", campaign_id, message_type",
        "md5('open')::uuid, 'closed'",
        "send",
        "",
    ),
    (", channel", "'push'", "fail", "channel"),
    (", media_url", "'http://example.com/a.png'", "fail", "media"),
    (", template_vars", "'{}'", "fail", "template"),
    ("", "", "send", ""),
];

/// Users, each with one reason; hours that are closed for hours to come, whenever this runs.
const PEOPLE: &str = "
    insert into user_sms_preferences (user_id, phone_verified, opted_out, daily_brief_sms, quiet_hours_start, quiet_hours_end,
                                      timezone)
    values (md5('quiet')::uuid, true, false, true, (now() at time zone 'UTC' - interval '2 h')::time,
            (now() at time zone 'UTC' + interval '2 h')::time, 'UTC'),
           (md5('out')::uuid, true, true, true, null, null, 'UTC'),
           (md5('unverified')::uuid, false, false, true, null, null, 'UTC'),
           (md5('off')::uuid, true, false, false, null, null, 'UTC');
    insert into punctual.suppressions (their_number, reason) values ('+13105550188', 'the recipient replied STOP')";

/// A pending row, due in so many seconds.
async fn row(world: &World, to: &str, due_s: i32, columns: &str, values: &str) -> Uuid {
    let values = if values.is_empty() {
        String::new()
    } else {
        format!(", {values}")
    };
    let sql = format!(
        "insert into scheduled_messages (to_number, body, scheduled_at{columns})
         values ('{to}', 'hello', clock_timestamp() + interval '{due_s} s'{values}) returning id"
    );
    world.app.query_one(&sql, &[]).await.unwrap().get(0)
}

/// Outcome and reason of a step.
fn step(of: &Value) -> (String, String) {
    let word = |key: &str| of[key].as_str().unwrap_or_default().to_owned();
    (word("outcome"), word("reason"))
}

async fn why(world: &World, id: Uuid) -> Value {
    let (code, out, err) = world.call(&["why", &id.to_string(), "--json"]).await;
    assert_eq!(code, Some(0), "{err}");
    serde_json::from_str(&out).unwrap()
}

async fn story(daemon: &Daemon, id: Uuid) -> Value {
    let (status, body) = daemon.answer(&format!("/debug/messages/{id}")).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn every_blocked_row_says_why_and_then_that_happens() {
    let opens = "select to_char(now() at time zone 'UTC' + interval '3 h', 'HH24:00') || '-'
                     || to_char(now() at time zone 'UTC' + interval '4 h', 'HH24:00')";
    let world = World::new([]).await;
    let hours: String = world.app.query_one(opens, &[]).await.unwrap().get(0);
    let by_type = format!("closed = mon-sun {hours}");
    let (closed, open) = (md5_of(&world, "closed").await, md5_of(&world, "open").await);
    let by_campaign = format!("{closed} = mon-sun {hours} | {open} = off");
    let world = world.with(&[
        ("PUNCTUAL_HOURS_BY_TYPE", &by_type),
        ("PUNCTUAL_HOURS_BY_CAMPAIGN", &by_campaign),
    ]);
    world.app.batch_execute(PEOPLE).await.unwrap();
    // A column of the app's that `migrate` has not seen: rows are not judged when they are written.
    let column = "alter table scheduled_messages add column media_url text";
    world.app.batch_execute(column).await.unwrap();
    let mut rows = Vec::new();
    for (columns, values, outcome, reason) in ROWS {
        let id = row(&world, "+13105550100", 600, columns, values).await;
        rows.push((id, *outcome, *reason));
    }
    rows.push((
        row(&world, "+13105550188", 600, "", "").await,
        "cancel",
        "opted_out",
    ));
    rows.push((row(&world, "abc", 600, "", "").await, "fail", "recipient"));
    let unassigned = row(&world, "+15551234567", 600, "", "").await;
    rows.push((unassigned, "send", ""));
    let abroad = row(&world, "+4915112345678", 600, "", "").await;
    rows.push((abroad, "fail", "country"));
    let late = [
        row(&world, "+13105550100", -3 * 3600, "", "").await,
        row(
            &world,
            "+13105550100",
            600,
            ", send_before",
            "now() - interval '1 minute'",
        )
        .await,
    ];

    without_a_daemon(&world, &rows, late).await;
    let daemon = world.daemon().await;
    // What is too late is cancelled at once, as the forecast without a daemon said.
    for id in late {
        world.becomes(id, "cancelled").await;
        assert!(story(&daemon, id).await["forecast"].is_null());
    }
    // The daemon publishes its state with the first heartbeat that follows, and within half a second that it is ready.
    until(
        "the daemon's settings are known, and that it is ready",
        async || {
            let shown = story(&daemon, rows[0].0).await;
            let unknown = shown["forecast"]["unknown"].to_string();
            let is_ready = shown["forecast"]["reason"] != "not_ready";
            (is_ready && !unknown.contains("this program's")).then_some(())
        },
    )
    .await;
    until(
        "the number that may not receive texts is noted",
        async || {
            let sql = "select message_id, fault from punctual.number_faults order by fault";
            let rows = world.app.query(sql, &[]).await.unwrap();
            let is = |row: &tokio_postgres::Row| (row.get(0), row.get(1));
            let all: Vec<(Uuid, String)> = rows.iter().map(is).collect();
            let expected = [(abroad, "country"), (unassigned, "unassigned")];
            let expected = expected.map(|(id, fault)| (id, fault.to_owned()));
            (all == expected).then_some(())
        },
    )
    .await;
    let timers = daemon.timers("").await;
    for (id, outcome, reason) in &rows {
        let expected = ((*outcome).to_owned(), (*reason).to_owned());
        let shown = story(&daemon, *id).await;
        assert_eq!(step(&shown["forecast"]), expected, "{shown}");
        let mut listed = timers["timers"].as_array().unwrap().iter();
        let timer = listed.find(|timer| timer["id"] == id.to_string()).unwrap();
        assert_eq!(step(&timer["forecast"]), expected, "{timer}");
        let fault = &shown["forecast"]["number_fault"];
        assert_eq!(fault.is_string(), *id == unassigned, "{shown}");
        if *outcome == "defer" {
            assert_eq!(
                step(&shown["forecast"]["then"]),
                ("send".into(), String::new()),
                "{shown}"
            );
        }
    }
    at_schedule(&world).await;
    it_happens(&world, &daemon, rows).await;
    daemon.stop().await;
}

async fn md5_of(world: &World, of: &str) -> Uuid {
    let row = world.app.query_one("select md5($1)::uuid", &[&of]).await;
    row.unwrap().get(0)
}

type Rows = Vec<(Uuid, &'static str, &'static str)>;

async fn without_a_daemon(world: &World, rows: &Rows, late: [Uuid; 2]) {
    // No daemon runs: that first, and then what would be. It cannot know the settings of a daemon.
    let too_late = late.iter().map(|id| (*id, "cancel", "too_late"));
    let all: Vec<_> = rows.iter().copied().chain(too_late).collect();
    let stories = join_all(all.iter().map(|(id, ..)| why(world, *id))).await;
    for ((_, outcome, reason), shown) in all.into_iter().zip(stories) {
        let forecast = &shown["forecast"];
        assert_eq!(
            step(forecast),
            ("wait".into(), "no_daemon".into()),
            "{shown}"
        );
        assert_eq!(
            step(&forecast["then"]),
            (outcome.into(), reason.into()),
            "{shown}"
        );
        assert!(
            shown["next"]
                .as_str()
                .unwrap()
                .contains("no daemon is running"),
            "{shown}"
        );
        assert!(
            forecast["unknown"].to_string().contains("this program's"),
            "{shown}"
        );
    }
}

async fn at_schedule(world: &World) {
    let quiet = md5_of(world, "quiet").await.to_string();
    let schedule = [
        "schedule",
        "--to",
        "+13105550100",
        "--body",
        "hello",
        "--at",
        "in 10m",
        "--user",
        &quiet,
        "--json",
    ];
    let (code, out, err) = world.call(&schedule).await;
    assert_eq!(code, Some(0), "{err}");
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        step(&shown["forecast"]),
        ("defer".into(), "quiet_hours".into()),
        "{shown}"
    );
    let (_, out, _) = world.call(&schedule[..schedule.len() - 1]).await;
    assert!(
        out.contains("deferred to") && out.contains("quiet hours"),
        "{out}"
    );
}

async fn it_happens(world: &World, daemon: &Daemon, rows: Rows) {
    // And that happens.
    let now = "update scheduled_messages set scheduled_at = clock_timestamp() where id = $1";
    for (id, outcome, reason) in rows {
        world.app.execute(now, &[&id]).await.unwrap();
        let ends = match outcome {
            "cancel" => "cancelled",
            "fail" => "failed",
            "defer" => {
                until("it is deferred", async || {
                    let sql = "select deferred_until > now() + interval '1 h' from scheduled_messages where id = $1";
                    let row = world.app.query_one(sql, &[&id]).await.unwrap();
                    (row.get::<_, Option<bool>>(0) == Some(true)).then_some(())
                })
                .await;
                continue;
            }
            _ => "sent",
        };
        world.becomes(id, ends).await;
        let shown = story(daemon, id).await;
        let kind = shown["attempts"][0]["category"].as_str();
        assert!(kind.is_none_or(|kind| kind == reason), "{reason}: {shown}");
    }
}
