//! Paces over several instances: the messages of each campaign keep their gaps, through a kill and a pause, and delay
//! nothing else.
//!
//! `PUNCTUAL_PACES=50x200` runs it with as many campaigns and messages each, on a quiet machine, kills another instance
//! once the first is replaced, and holds the messages without a pace to 5 ms.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use punctual::schedule::PACE_SLACK;
use punctual::schedule::pace::gap;
use rustix::process::Signal;
use serde_json::Value;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::daemon::{Daemon, until};
use crate::standin::{Act, StandIn};
use crate::world::{TO, World};

/// The gaps of all campaigns.
const GAPS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(500));

/// How long a kill is felt: by a campaign, whose next slot was taken, and by what the killed instance was the first to
/// send, until the others know that it is gone.
const KILL_OF_CAMPAIGN: Duration = Duration::from_secs(2);
const KILL_OF_OTHERS: Duration = Duration::from_secs(25);

/// How long nothing may be sent before that is a failure.
const STALLED: Duration = Duration::from_secs(90);

fn campaign(n: usize) -> Uuid {
    Uuid::from_u128(0xC << 64 | n as u128)
}

/// How many campaigns, and messages of each.
fn size() -> (usize, usize, bool) {
    match std::env::var("PUNCTUAL_PACES") {
        Ok(size) => {
            let (paces, rows) = size.split_once('x').expect("paces x rows, like 50x200");
            (paces.parse().unwrap(), rows.parse().unwrap(), true)
        }
        Err(_) => (3, 8, false),
    }
}

async fn done(world: &World, args: &[&str]) -> String {
    let (code, said, complaint) = world.call(args).await;
    assert_eq!(code, Some(0), "{args:?}: {said}{complaint}");
    said
}

/// Requests of campaigns that have begun.
async fn begun(world: &World) -> i64 {
    let sql =
        "select count(*) from punctual.attempts a join scheduled_messages m on m.id = a.message_id
                where m.campaign_id is not null and a.started_at is not null";
    world.app.query_one(sql, &[]).await.unwrap().get(0)
}

/// Waits until so many have begun, as long as there is progress.
async fn begin(world: &World, wanted: i64) {
    let (mut before, mut since) = (0, Instant::now());
    loop {
        let now = begun(world).await;
        if now >= wanted {
            return;
        }
        if now > before {
            (before, since) = (now, Instant::now());
        }
        assert!(since.elapsed() < STALLED, "{now} of {wanted} began");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn clock(world: &World) -> i64 {
    let sql = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint";
    world.app.query_one(sql, &[]).await.unwrap().get(0)
}

/// When the requests of each campaign began, in microseconds, and its seed.
async fn starts(world: &World) -> BTreeMap<Uuid, (i64, Vec<i64>)> {
    let sql =
        "select m.campaign_id, p.seed, (extract(epoch from a.started_at) * 1000000)::bigint as at
                 from punctual.attempts a
                 join scheduled_messages m on m.id = a.message_id
                 join punctual.paces p on p.what = m.campaign_id::text
                where a.started_at is not null order by a.started_at";
    let mut all: BTreeMap<Uuid, (i64, Vec<i64>)> = BTreeMap::new();
    for row in world.app.query(sql, &[]).await.unwrap() {
        let (_, starts) = all.entry(row.get(0)).or_insert((row.get(1), Vec::new()));
        starts.push(row.get(2));
    }
    all
}

/// Messages without a pace, while the campaigns run.
async fn insert_others(world: &World, each_ms: usize, n: usize) {
    let others = "insert into scheduled_messages (to_number, body, scheduled_at)
                  select $1, 'other ' || n, clock_timestamp() + (1000 + n * $2::int) * interval '1 ms'
                    from generate_series(1, $3::int) n";
    let (each_ms, n) = (i32::try_from(each_ms).unwrap(), i32::try_from(n).unwrap());
    world
        .app
        .execute(others, &[&TO, &each_ms, &n])
        .await
        .unwrap();
}

async fn set_up(world: &World, paces: usize, rows: usize) {
    for n in 0..paces {
        let id = campaign(n).to_string();
        let said = done(
            world,
            &["pace", "set", "campaign", &id, "--gap", "100ms..500ms"],
        )
        .await;
        assert_eq!(
            said,
            format!(
                "the messages of campaign {id} are sent with a gap of 100ms..500ms after each\n"
            )
        );
        let insert = "insert into scheduled_messages (to_number, body, scheduled_at, campaign_id)
                      select $1, $2 || ' ' || n, clock_timestamp() + interval '1 s', $3 from generate_series(1, $4::int) n";
        let rows = i32::try_from(rows).unwrap();
        let all = world
            .app
            .execute(insert, &[&TO, &id, &campaign(n), &rows])
            .await;
        assert_eq!(all.unwrap(), u64::try_from(rows).unwrap());
    }
}

/// How long so many slots from this one on are apart, in microseconds.
fn expected(seed: i64, from: usize, n: usize) -> i64 {
    let each = |n: usize| PACE_SLACK + gap(seed, i64::try_from(n).unwrap(), GAPS);
    let all: Duration = (from..from + n).map(each).sum();
    i64::try_from(all.as_micros()).unwrap()
}

/// The gaps are kept between all requests; and outside the time of the kill and of its pause each campaign sends at its
/// rate, to 2 %.
///
/// `jitter`: how much later within their slots, in microseconds, a busy machine may start some messages. Such a machine
/// may also stand still once: that moves all slots after it.
fn check_gaps(
    all: &BTreeMap<Uuid, (i64, Vec<i64>)>,
    jitter: i64,
    disturbed: impl Fn(Uuid, i64, i64) -> bool,
) {
    let least = i64::try_from(GAPS.0.as_micros()).unwrap();
    for (campaign, (seed, starts)) in all {
        let gaps = starts.windows(2).enumerate();
        let gaps = gaps.map(|(n, pair)| (n, pair[0], pair[1]));
        let mut calm: Vec<Vec<usize>> = vec![Vec::new()];
        for (n, from, until) in gaps {
            let us = until - from;
            assert!(us >= least, "{campaign}: {us} us after the one before");
            if disturbed(*campaign, from, until) {
                calm.push(Vec::new());
            } else if let Some(calm) = calm.last_mut() {
                calm.push(n);
            }
        }
        for calm in calm.iter().filter(|calm| !calm.is_empty()) {
            let (first, n) = (calm[0], calm.len());
            let took = starts[first + n] - starts[first];
            // The slots that were lost with their instance have numbers too.
            let slots = (first..first + 6).map(|from| {
                let late = |n: usize| {
                    starts[first + n + 1] - starts[first + n] - expected(*seed, from + n, 1)
                };
                let stood_still = (0..n).map(late).max().filter(|_| jitter > 0);
                (expected(*seed, from, n), stood_still.unwrap_or(0).max(0))
            });
            let slots: Vec<_> = slots.collect();
            assert!(
                slots.iter().any(|(slots, stood_still)| {
                    let most = slots + slots / 50 + jitter;
                    took >= slots - slots / 50 - jitter && took - stood_still <= most
                }),
                "{campaign}: {n} gaps took {took} us where one of {slots:?} us was expected"
            );
        }
    }
}

#[tokio::test]
async fn three_instances_keep_the_gaps_of_each_campaign_through_a_kill_and_a_pause() {
    let (paces, rows, is_measured) = size();
    let total = i64::try_from(paces * rows).unwrap();
    let world = World::new([]).await;
    let mut daemons: Vec<Daemon> = Vec::new();
    for _ in 0..3 {
        daemons.push(world.daemon().await);
    }
    set_up(&world, paces, rows).await;
    insert_others(&world, 150, if is_measured { 1_500 } else { 60 }).await;
    until("a daemon reports the paces", async || {
        let timers = daemons[0].timers("").await;
        (timers["paces"].as_array()?.len() == paces).then_some(())
    })
    .await;

    // In the middle: one is killed, and later one campaign paused.
    begin(&world, total / 3).await;
    let mut kills = vec![kill(&world, &mut daemons).await];
    if is_measured {
        daemons.push(world.daemon().await);
        begin(&world, total * 2 / 3).await;
        kills.push(kill(&world, &mut daemons).await);
    }
    begin(&world, total * if is_measured { 3 } else { 2 } / 4).await;
    let first = campaign(0).to_string();
    let scope = format!("campaign={first}");
    done(&world, &["pause", &scope]).await;
    let pause = clock(&world).await + 100_000;
    let why = "select id::text from scheduled_messages where campaign_id = $1 and status = 'pending' limit 1";
    let last = world
        .app
        .query_opt(why, &[&campaign(paces - 1)])
        .await
        .unwrap();
    if let Some(row) = last {
        let why = done(&world, &["why", row.get(0)]).await;
        let says_it = why.contains("waits for the pace of campaign") || !why.contains("pending");
        assert!(says_it, "{why}");
    }
    let before = begun(&world).await;
    begin(
        &world,
        (before + 3).min(total - i64::try_from(rows).unwrap()),
    )
    .await;
    // What waits may begin before the command has ended.
    let resumes = clock(&world).await;
    done(&world, &["resume", &scope, "--yes"]).await;
    let resume = clock(&world).await;

    // What the killed one had claimed stays with it until its lease is over.
    let left = "select count(*) from scheduled_messages where status = 'pending'";
    let (mut left_before, mut since) = (i64::MAX, Instant::now());
    loop {
        let left: i64 = world.app.query_one(left, &[]).await.unwrap().get(0);
        if left == 0 {
            break;
        }
        if left < left_before {
            (left_before, since) = (left, Instant::now());
        }
        assert!(since.elapsed() < STALLED, "{left} are pending");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let all = starts(&world).await;
    assert_eq!(all.len(), paces);
    let jitter = if is_measured { 0 } else { 500_000 };
    check_gaps(&all, jitter, |of, from, until| {
        let is_paused = of == campaign(0) && until >= pause && from <= resume;
        let is_killed = |at: &i64| until >= *at && from <= at + us(KILL_OF_CAMPAIGN);
        is_paused || kills.iter().any(is_killed)
    });
    // After it too, all that was pending was sent, and nothing of what was paused began in the pause.
    let in_pause = all[&campaign(0)]
        .1
        .iter()
        .filter(|at| (pause..resumes).contains(*at));
    assert_eq!(in_pause.count(), 0);
    let sent: usize = all.values().map(|(_, starts)| starts.len()).sum();
    // Each campaign may have had a message at each killed instance, and a slot lost with it.
    assert!(sent >= paces * (rows - kills.len()), "{sent} of {total}");
    report(&world, is_measured, &kills).await;
    done(&world, &["pace", "remove", "campaign", &first, "--yes"]).await;
    for daemon in daemons {
        daemon.stop().await;
    }
}

/// How late the others were, outside the time of the kills.
async fn report(world: &World, is_measured: bool, kills: &[i64]) {
    let late = "select (extract(epoch from percentile_disc(0.99) within group (order by a.started_at - m.scheduled_at)) * 1000)::float8,
                       count(*)
                  from punctual.attempts a join scheduled_messages m on m.id = a.message_id
                 where m.campaign_id is null and a.started_at is not null and a.number = 1
                   and not exists (select from unnest($1::bigint[]) kill
                                    where extract(epoch from m.scheduled_at) * 1000000 between kill - 100000 and kill + $2::bigint)";
    let felt = us(KILL_OF_OTHERS);
    let row = world.app.query_one(late, &[&kills, &felt]).await.unwrap();
    let (p99, n): (Option<f64>, i64) = (row.get(0), row.get(1));
    let p99 = p99.unwrap_or(0.0);
    println!("{n} messages without a pace: 99 of 100 within {p99:.2} ms");
    assert!(!is_measured || n > 0 && p99 <= 5.0, "{n}: {p99} ms");
}

/// Kills one of the instances; when.
async fn kill(world: &World, daemons: &mut Vec<Daemon>) -> i64 {
    let mut killed = daemons.remove(0);
    let at = clock(world).await;
    killed.signal(Signal::KILL);
    killed.ended().await;
    at
}

fn us(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap()
}

/// For three hours no daemon ran. What had its slot more than an hour ago is too late, like a message without a pace;
/// what had it later is sent, and is late from there. Before that `why` says so of each.
#[tokio::test]
async fn what_an_outage_has_made_too_late_is_cancelled_and_the_rest_keeps_its_pace() {
    let world = World::new([]).await;
    let id = campaign(0);
    let set = ["pace", "set", "campaign", &id.to_string(), "--gap", "50m"];
    done(&world, &set).await;
    let rows = "insert into scheduled_messages (to_number, body, scheduled_at, campaign_id)
                select $1, 'campaign ' || n, now() - interval '4 hours' + n * interval '1 s', $2
                  from generate_series(1, 5) n";
    world.app.execute(rows, &[&TO, &id]).await.unwrap();
    let plain = "insert into scheduled_messages (to_number, body, scheduled_at)
                 values ($1, 'plain', now() - interval '3 hours')";
    world.app.execute(plain, &[&TO]).await.unwrap();
    let since = "update punctual.paces set next_at = now() - interval '3 hours'";
    world.db.client().await.execute(since, &[]).await.unwrap();
    let all = "select id::text from scheduled_messages order by body";
    let all = world.app.query(all, &[]).await.unwrap();
    let all: Vec<String> = all.iter().map(|row| row.get(0)).collect();
    let mut forecasts = Vec::new();
    for id in &all {
        let why: Value = serde_json::from_str(&done(&world, &["why", id, "--json"]).await).unwrap();
        let then = &why["forecast"]["then"];
        forecasts.push(
            [&then["outcome"], &then["reason"]].map(|word| word.as_str().unwrap_or("").to_owned()),
        );
    }
    let (late, now, paced) = (["cancel", "too_late"], ["send", ""], ["send", "pace"]);
    assert_eq!(forecasts, [late, late, late, now, paced, late]);
    let daemon = world.daemon().await;
    begin(&world, 1).await;
    let states =
        "select string_agg(body || ' ' || status, ', ' order by body) from scheduled_messages";
    let expected = "campaign 1 cancelled, campaign 2 cancelled, campaign 3 cancelled, campaign 4 sent, \
                    campaign 5 pending, plain cancelled";
    until("each has its state", async || {
        let states: String = world.app.query_one(states, &[]).await.unwrap().get(0);
        (states == expected).then_some(())
    })
    .await;
    // Its slot was 2 h 30 min after the first one's, which was an hour after it was due.
    let (_, metrics) = daemon.get("/metrics").await.unwrap();
    let figure = |name: &str| -> f64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.expect(name).trim().parse().unwrap()
    };
    assert!(
        (1.0..1.1).contains(&figure("punctual_pace_wait_seconds_count ")),
        "{metrics}"
    );
    let waited = figure("punctual_pace_wait_seconds_sum ");
    assert!((12_500.0..12_700.0).contains(&waited), "{waited}");
    let late = figure("punctual_lateness_seconds_sum ");
    assert!((1_700.0..3_000.0).contains(&late), "{late}");
    daemon.stop().await;
}

/// The provider refuses the account of a campaign's first message. The campaign keeps its order and waits; another one,
/// and messages without a pace, do not.
#[tokio::test]
async fn a_refused_account_holds_the_campaign_that_keeps_its_order_and_no_other() {
    let refusal = Act::refuse(401, 20003, "Authenticate");
    let world = World::new([refusal]).await.with(&[
        (
            "PUNCTUAL_WEBHOOK_SECRET",
            "whsec_bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXcgbmV3IQ==",
        ),
        ("PUNCTUAL_WEBHOOK_ALLOW", "127.0.0.1"),
    ]);
    let endpoint = StandIn::start([]).await;
    let url = format!("{}/jobs", endpoint.url());
    let mut daemon = world.daemon().await;
    world.insert("asks first", 0).await;
    daemon.says("the provider refuses the account").await;
    for n in 0..2 {
        let id = campaign(n).to_string();
        done(&world, &["pace", "set", "campaign", &id, "--gap", "100ms"]).await;
    }
    let row = async |campaign: Option<Uuid>, channel: &str, n: i32| -> Uuid {
        let insert = "insert into scheduled_messages (channel, to_number, body, scheduled_at, campaign_id)
                      values ($1, case $1 when 'sms' then $2 else $3 end, '{}', now() + $4::int * interval '100 ms', $5)
                      returning id";
        let values: [&(dyn ToSql + Sync); 5] = [&channel, &TO, &url, &n, &campaign];
        world.app.query_one(insert, &values).await.unwrap().get(0)
    };
    let text = row(Some(campaign(0)), "sms", 1).await;
    let held = row(Some(campaign(0)), "webhook", 2).await;
    for n in 3..6 {
        row(Some(campaign(1)), "webhook", n).await;
        row(None, "webhook", n).await;
    }
    until("all others are sent", async || {
        (endpoint.creates().len() == 6).then_some(())
    })
    .await;
    for id in [text, held] {
        assert_eq!(world.row(id).await.unwrap().status, "pending");
    }
    // Everything that is asked for what it waits for says it.
    let says = "a message before it goes by sms, and the provider has refused the account since";
    until("the instance has published it", async || {
        let why = done(&world, &["why", &held.to_string()]).await;
        let says_it = why.contains(&format!("waits for the pace of campaign {}", campaign(0)));
        (says_it && why.contains(says)).then_some(())
    })
    .await;
    let expected = (campaign(0).to_string().into(), "sms".into(), true.into());
    until("the pace that waits is the only one", async || {
        let timers = daemon.timers("").await;
        let paces = timers["paces"].as_array()?;
        let facts = |pace: &Value| {
            let [what, channel, refused] =
                ["what", "channel", "refused"].map(|name| pace[name].clone());
            (what, channel, refused)
        };
        let facts: Vec<_> = paces.iter().map(facts).collect();
        (facts == [expected.clone()]).then_some(())
    })
    .await;
    let address = format!("http://{}", daemon.addr());
    let timers = done(&world, &["timers", "--url", &address]).await;
    let words = timers.split_whitespace().collect::<Vec<_>>().join(" ");
    let says = "goes by sms, and waits: the provider refuses the account";
    assert!(words.contains(says), "{timers}");
    daemon.readyz(200).await;

    // A daemon that starts knows of no refusal.
    daemon.stop().await;
    let daemon = world.daemon().await;
    for id in [text, held] {
        world.becomes(id, "sent").await;
    }
    let order =
        "select m.channel from punctual.attempts a join scheduled_messages m on m.id = a.message_id
                  where m.campaign_id = $1 and a.started_at is not null order by a.started_at";
    let order = world.app.query(order, &[&campaign(0)]).await.unwrap();
    let order: Vec<String> = order.iter().map(|row| row.get(0)).collect();
    assert_eq!(order, ["sms", "webhook"]);
    daemon.stop().await;
}

/// One bad row does not hold up its campaign.
#[tokio::test]
async fn a_message_whose_claim_the_app_refuses_is_passed_over() {
    let world = World::new([]).await;
    let refuse = "create function no_claim() returns trigger language plpgsql as $$
                  begin
                    if new.status = 'sending' and new.body like '% 1' then
                      raise exception 'no' using errcode = 'P0001';
                    end if;
                    return new;
                  end $$;
                  create trigger no_claim before update on scheduled_messages for each row execute function no_claim()";
    world.app.batch_execute(refuse).await.unwrap();
    let daemon = world.daemon().await;
    set_up(&world, 1, 3).await;
    // The refused one is the first, wherever its id is.
    let first = "update scheduled_messages set scheduled_at = scheduled_at - interval '1 minute' where body like '% 1'";
    world.app.execute(first, &[]).await.unwrap();
    begin(&world, 2).await;
    let sent = "select count(*) from scheduled_messages where status = 'sent'";
    until("the others are sent", async || {
        let sent: i64 = world.app.query_one(sent, &[]).await.unwrap().get(0);
        (sent == 2).then_some(())
    })
    .await;
    world
        .app
        .batch_execute("drop trigger no_claim on scheduled_messages")
        .await
        .unwrap();
    begin(&world, 3).await;
    daemon.stop().await;
}
