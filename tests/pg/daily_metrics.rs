//! Figures of a day: `punctual_api.daily_metrics` and `daily_alerts`, against figures computed by hand.

use punctual::policy::Rules;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::ours::{rules, store};
use crate::rows::{World, one, run};

const DOCS: &str = include_str!("../../docs/daily-metrics.md");
const EXPORTED: &str = include_str!("../../deploy/prometheus/daily_metrics.yaml");

/// That of the installation.
const ZONE: &str = "(select timezone from punctual.settings)";

const ADA: &str = "11111111-1111-4111-8111-111111111111";
const BEN: &str = "22222222-2222-4222-8222-222222222222";
const SALE: &str = "33333333-3333-4333-8333-333333333333";

/// In an installation in whose zone it is between noon and two: no day ends during a test. It is never that of UTC.
async fn world() -> World {
    let world = World::new().await;
    let zone: String = one(
        &world.user,
        "select case when h = 12 then 'Etc/GMT-1' when h > 12 then 'Etc/GMT+' || h - 12 else 'Etc/GMT' || h - 12 end
           from cast(extract(hour from now() at time zone 'UTC') as int) h",
    )
    .await;
    let settings = Rules {
        timezone: jiff::tz::TimeZone::get(&zone).unwrap(),
        ..rules()
    };
    store(&world).keep_settings(&settings).await.unwrap();
    world
}

/// Rows: `values` of user, campaign, status, the hour of today (by that clock) at which it is due, and the rest.
async fn insert(world: &World, columns: &str, values: &[String]) {
    let names = columns.split(',').map(str::trim).filter(|c| !c.is_empty());
    let cast: Vec<String> = names.map(cast).collect();
    let sql = format!(
        "insert into scheduled_messages (to_number, body, user_id, campaign_id, status, scheduled_at {columns})
         select '+13105550100', 'x', w.user_id::uuid, w.campaign_id::uuid, w.status,
                (date_trunc('day', now() at time zone {ZONE}) + w.hour * interval '1 hour') at time zone {ZONE} {}
           from (values {}) as w (user_id, campaign_id, status, hour {columns})",
        cast.concat(),
        values.join(", ")
    );
    run(&world.unseen, &sql).await;
}

fn cast(column: &str) -> String {
    let kind = match column {
        "metadata" => "jsonb",
        "error_code" => "int",
        "cancel_reason" | "deferred_reason" => "text",
        _ => "timestamptz",
    };
    format!(", w.{column}::{kind}")
}

async fn rows(client: &Client, what: &str) -> Vec<Value> {
    let sql = format!(
        "select to_jsonb(r)::text from (select * from punctual_api.daily_metrics {what}) r"
    );
    let rows = client.query(&sql, &[]).await.unwrap();
    rows.iter()
        .map(|row| serde_json::from_str(row.get(0)).unwrap())
        .collect()
}

#[tokio::test]
async fn each_figure_is_the_one_that_is_computed_by_hand() {
    let world = world().await;
    let sale = |status: &str, hour: f64, rest: &str| {
        format!("('{ADA}', '{SALE}', '{status}', {hour}, {rest})")
    };
    let columns = ", sent_at, delivered_at, cancel_reason, deferred_reason, error_code, metadata";
    let none = "null, null, null, null, null, '{}'";
    insert(&world, columns, &[
        // The first and the last moment of the day.
        sale("pending", 0.0, "null, null, null, 'quiet hours 21:00-08:00 UTC', null, '{}'"),
        sale("sending", 23.999, none),
        sale("sent", 1.0, "'2026-01-01 00:00:00Z', null, null, null, null,
             '{\"generated_via\": \"llm\", \"generation_time_ms\": 100, \"generation_cost_usd\": 0.002, \"sms_cost_usd\": 0.0079}'"),
        sale("delivered", 2.0, "'2026-01-01 00:00:00Z', '2026-01-01 00:00:01.5Z', null, 'quiet hours 22:00-07:00 UTC', null,
             '{\"generated_via\": \"llm\", \"generation_time_ms\": 300, \"generation_cost_usd\": 0.001}'"),
        sale("delivered", 3.0, "'2026-01-01 00:00:00Z', '2026-01-01 00:00:00.5Z', null, 'outside of Mo-Fr 9-17 UTC', null,
             '{\"generated_via\": \"template\", \"generation_time_ms\": \"slow\", \"sms_cost_usd\": 0.0079}'"),
        // Accepted and not delivered; refused; refused because of an opt-out.
        sale("failed", 4.0, "'2026-01-01 00:00:00Z', null, null, null, 30003, '{}'"),
        sale("failed", 5.0, none),
        sale("failed", 6.0, "null, null, null, null, 21610, '{}'"),
        sale("cancelled", 7.0, "null, null, 'the recipient has opted out', null, null, '{}'"),
        sale("cancelled", 8.0, "null, null, 'recipient opted out (STOP)', null, null, '{}'"),
        sale("cancelled", 9.0, "null, null, 'Daily SMS limit reached', null, null, '{}'"),
        sale("cancelled", 10.0, "null, null, 'quiet hours 21:00-08:00 UTC until 08:00, and send_before is earlier', null, null, '{}'"),
        // Numbers that no figure can be.
        sale("unconfirmed", 11.0, "null, null, null, null, null,
             '{\"generation_time_ms\": -1, \"generation_cost_usd\": 1e400, \"sms_cost_usd\": 9e131071}'"),
        // Others' days, users and campaigns.
        sale("sent", -0.001, none),
        sale("sent", 24.0, none),
        format!("('{BEN}', '{SALE}', 'sent', 1, null, null, null, null, null, '[]')"),
        format!("('{ADA}', null, 'failed', 1, {none})"),
    ])
    .await;
    let today = rows(
        &world.user,
        &format!("where days_ago = 0 and user_id = '{ADA}' and campaign_id = '{SALE}'"),
    )
    .await;
    let [row] = today.as_slice() else {
        panic!("{today:?}")
    };
    let figures = json!({
        "scheduled": 13, "sent": 4, "delivered": 2, "failed": 3, "cancelled": 4,
        "avg_delivery_time_ms": 1000.0, "avg_generation_time_ms": 200.0, "llm_success": 2, "template_fallback": 1,
        // 2 of 2 + 3.
        "delivery_success_rate": 0.4, "llm_cost_usd": 0.003, "sms_cost_usd": 0.0158,
        "opt_out": 3, "quiet_hours_skip": 3, "daily_limit_hit": 1
    });
    let figures = figures.as_object().unwrap();
    assert_eq!(figures.len(), 15);
    for (figure, value) in figures {
        assert_eq!(row[figure].as_f64(), value.as_f64(), "{figure}: {row}");
        assert!(DOCS.contains(&format!("`{figure}`")), "{figure}");
    }
    // Day, days ago, user and campaign beside them, and no other column.
    assert_eq!(row.as_object().unwrap().len(), 15 + 4, "{row}");
    let day: String = one(
        &world.user,
        &format!("select ((now() at time zone {ZONE})::date)::text"),
    )
    .await;
    assert_eq!(row["day"], day);

    let of_all = rows(
        &world.user,
        "where days_ago between -1 and 1 order by days_ago, user_id, campaign_id",
    )
    .await;
    let counts: Vec<_> = of_all
        .iter()
        .map(|r| {
            (
                r["days_ago"].as_i64().unwrap(),
                r["scheduled"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(counts, [(-1, 1), (0, 13), (0, 1), (0, 1), (1, 1)]);
    // A message that is deferred counts on the day to which it is.
    run(&world.unseen, "update scheduled_messages set deferred_until = now() + interval '2 days' where status = 'pending'").await;
    let moved = rows(&world.user, "where scheduled = 1 and days_ago = -2").await;
    assert_eq!(moved.len(), 1);
    // Days without messages have no row, and an unknown zone is that of UTC.
    run(
        &world.unseen,
        "update punctual.settings set timezone = 'Mars/Olympus'",
    )
    .await;
    assert_eq!(
        rows(&world.user, "where days_ago between -400 and 400")
            .await
            .iter()
            .map(|r| r["scheduled"].as_i64().unwrap())
            .sum::<i64>(),
        17
    );
}

#[tokio::test]
async fn a_user_sees_the_figures_of_their_own_messages() {
    let world = world().await;
    let app = world.db.client().await;
    insert(
        &world,
        "",
        &[
            format!("('{ADA}', null, 'sent', 1)"),
            format!("('{BEN}', null, 'sent', 1)"),
        ],
    )
    .await;
    run(
        &world.unseen,
        "do $$ begin create role metrics_app; exception when duplicate_object or unique_violation then null; end $$;
         alter table scheduled_messages enable row level security;
         create policy own on scheduled_messages to metrics_app using (user_id = current_setting('api.subject')::uuid);
         grant usage on schema punctual_api to metrics_app;
         grant select on scheduled_messages, punctual_api.daily_metrics, punctual_api.daily_alerts to metrics_app",
    )
    .await;
    run(
        &app,
        &format!("set role metrics_app; set api.subject = '{ADA}'"),
    )
    .await;
    let seen = rows(&app, "").await;
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0]["user_id"], ADA);
    let counted: i64 = one(
        &app,
        "select messages::bigint from punctual_api.daily_alerts where alert = 'opt_out'",
    )
    .await;
    assert_eq!(counted, 1);
    // The view gives no right on the table.
    run(
        &world.unseen,
        "revoke select on scheduled_messages from metrics_app",
    )
    .await;
    let refused = app
        .query("select from punctual_api.daily_metrics", &[])
        .await
        .unwrap_err();
    assert_eq!(
        refused.code().map(|c| c.code().to_owned()).as_deref(),
        Some("42501")
    );

    // As the docs give it to an exporter, which sees all.
    let grants = DOCS
        .split("```sql\n")
        .find(|block| block.contains("my_exporter"))
        .unwrap();
    let grants = grants
        .split("```")
        .next()
        .unwrap()
        .replace("my_exporter", "metrics_app");
    run(
        &world.unseen,
        &format!("drop policy own on scheduled_messages; {grants}"),
    )
    .await;
    let query = EXPORTED
        .lines()
        .find_map(|line| line.trim().strip_prefix("query: "))
        .unwrap();
    let exported = app.query(query.trim_matches('"'), &[]).await.unwrap();
    assert_eq!(exported.len(), 5);
    for block in DOCS
        .split("```sql\n")
        .skip(1)
        .filter(|block| block.starts_with("select"))
    {
        run(&app, block.split("```").next().unwrap()).await;
    }
    assert_eq!(rows(&app, "").await.len(), 2);
}

/// Twenty messages: what of them makes each alert fire, and how much less does not.
#[tokio::test]
async fn an_alert_fires_past_its_threshold_and_not_at_it() {
    let world = world().await;
    let of = |n: usize, row: &str| vec![format!("(null, null, {row})"); n];
    let sent = |n| of(n, "'sent', 1, null, '{}'");
    let opted_out = |n| of(n, "'cancelled', 1, 'the recipient has opted out', '{}'");
    let over_limit = |n| of(n, "'cancelled', 1, 'Daily SMS limit reached', '{}'");
    let columns = ", cancel_reason, metadata";
    let costs =
        |hour: i32, cost: f64| format!("'sent', {hour}, null, '{{\"sms_cost_usd\": {cost}}}'");
    for (alert, at, past) in [
        // 18 of 20 were delivered; 17 of 20.
        (
            "delivery_rate",
            [
                of(18, "'delivered', 1, null, '{}'"),
                of(2, "'failed', 1, null, '{}'"),
            ],
            [
                of(17, "'delivered', 1, null, '{}'"),
                of(3, "'failed', 1, null, '{}'"),
            ],
        ),
        (
            "template_fallback",
            [
                of(10, "'sent', 1, null, '{\"generated_via\": \"llm\"}'"),
                of(10, "'sent', 1, null, '{\"generated_via\": \"template\"}'"),
            ],
            [
                of(9, "'sent', 1, null, '{\"generated_via\": \"llm\"}'"),
                of(11, "'sent', 1, null, '{\"generated_via\": \"template\"}'"),
            ],
        ),
        // 7 in the week before: 1 a day.
        (
            "cost",
            [of(1, &costs(-24, 7.0)), of(1, &costs(1, 2.0))],
            [of(1, &costs(-24 * 7, 7.0)), of(1, &costs(1, 2.01))],
        ),
        (
            "opt_out",
            [sent(18), opted_out(2)],
            [sent(17), opted_out(3)],
        ),
        (
            "daily_limit",
            [sent(16), over_limit(4)],
            [sent(15), over_limit(5)],
        ),
        // What is still pending is not counted.
        (
            "opt_out",
            [of(37, "'pending', 1, null, '{}'"), opted_out(19)],
            [
                of(37, "'pending', 1, null, '{}'"),
                [sent(17), opted_out(3)].concat(),
            ],
        ),
        (
            "daily_limit",
            [of(37, "'sending', 1, null, '{}'"), over_limit(19)],
            [
                of(37, "'sending', 1, null, '{}'"),
                [sent(15), over_limit(5)].concat(),
            ],
        ),
        // Too few; no receipts; no costs before.
        (
            "",
            [
                of(1, "'delivered', 1, null, '{}'"),
                of(18, "'failed', 1, null, '{}'"),
            ],
            [of(0, ""), of(40, "'failed', 1, null, '{}'")],
        ),
        (
            "",
            [opted_out(9), over_limit(10)],
            [of(1, &costs(-24 * 8, 0.1)), of(1, &costs(1, 100.0))],
        ),
    ] {
        for (values, fires) in [(at.concat(), false), (past.concat(), !alert.is_empty())] {
            run(&world.unseen, "truncate scheduled_messages").await;
            insert(&world, columns, &values).await;
            let firing: String = one(&world.user, "select coalesce(string_agg(alert, ','), '') from punctual_api.daily_alerts where firing").await;
            assert_eq!(firing, if fires { alert } else { "" }, "{values:?}");
        }
    }
    let alerts: Vec<String> = one(
        &world.user,
        "select array_agg(alert) from punctual_api.daily_alerts",
    )
    .await;
    for alert in alerts {
        assert!(DOCS.contains(&format!("| `{alert}` |")), "{alert}");
    }
}

/// Of 400 days one is read: not the table, and not its index. Also if the server knows nothing of the table yet.
#[tokio::test]
async fn a_query_for_a_day_reads_that_day() {
    let world = world().await;
    run(
        &world.unseen,
        "insert into scheduled_messages (to_number, body, status, user_id, scheduled_at)
         select '+13105550100', 'x', s, md5((i % 50)::text)::uuid, now() - (i / 100) * interval '1 day'
           from generate_series(0, 39999) i, unnest('{sent,cancelled}'::text[]) s",
    )
    .await;
    for (index, least) in [
        ("scheduled_messages", 1_000),
        ("scheduled_messages_ended_idx", 500),
    ] {
        let size = format!("select pg_relation_size('{index}') / 8192");
        assert!(
            one::<i64>(&world.user, &size).await > least,
            "{index} is too small to show it"
        );
    }
    let user: Uuid = one(
        &world.user,
        "select user_id from scheduled_messages limit 1",
    )
    .await;
    for ask in [
        "days_ago = 3".to_owned(),
        format!("days_ago = 3 and user_id = '{user}'"),
    ] {
        for analyzed in [false, true] {
            if analyzed {
                run(&world.unseen, "analyze scheduled_messages").await;
            }
            let sql = format!(
                "explain (analyze, buffers, format json) select * from punctual_api.daily_metrics where {ask}"
            );
            let plan: Value = world.user.query_one(&sql, &[]).await.unwrap().get(0);
            let blocks = |kind: &str| plan[0]["Plan"][kind].as_u64().unwrap();
            let read = blocks("Shared Hit Blocks") + blocks("Shared Read Blocks");
            assert!(read < 500, "{read} blocks for {ask}: {plan:#}");
        }
    }
}
