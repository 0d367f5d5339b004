//! A campaign with a pace is planned: what is forecast of its messages before they are due is what a daemon then does.

use std::time::Duration;

use punctual::forecast::Outcome;
use punctual::message::{Capabilities, MessageId, ProviderCapabilities};
use punctual::policy::Rules;
use punctual::schedule::PACE_SLACK;
use punctual::store::forecast::{Assumed, Forecasts, forecasts};
use uuid::Uuid;

use crate::daemon::until;
use crate::world::World;

/// The same after each message.
const GAP: Duration = Duration::from_millis(500);

/// How far apart the clocks of the daemon and of the database may be, in microseconds.
const CLOCKS: i64 = 50_000;

/// In front of the others one that is paused until somebody resumes; then three that are due together, and two later.
const PLANNED: &str = "
    insert into punctual.pauses (scope, what, until, why) values ('user', md5('paused')::uuid::text, 'infinity', 'complaint')
    on conflict do nothing;
    insert into scheduled_messages (to_number, body, scheduled_at, campaign_id, user_id)
    values ('+13105550100', 'paused', clock_timestamp() + interval '1 s', '{campaign}', md5('paused')::uuid);
    insert into scheduled_messages (to_number, body, scheduled_at, campaign_id)
    select '+13105550100', 'planned ' || n, t.at + case when n < 4 then 5 else 7 end * interval '1 s', '{campaign}'
      from (select clock_timestamp() as at) t cross join generate_series(1, 5) n";

async fn foreseen(world: &World, ids: &[MessageId]) -> Forecasts {
    let assumed = Assumed {
        rules: Rules::default(),
        capabilities: ProviderCapabilities::default(),
        provider: Capabilities::SENDS_ONLY,
    };
    forecasts(&world.app, ids, &assumed).await.unwrap()
}

/// Plans a campaign, and reads its forecasts before it is due. A machine that is slower than that plans another one.
async fn plan(world: &World) -> (Vec<MessageId>, Forecasts) {
    for n in 0.. {
        let campaign = Uuid::from_u128(0xC0 + n).to_string();
        let gap = format!("{}ms", GAP.as_millis());
        let (code, _, err) = world
            .call(&["pace", "set", "campaign", &campaign, "--gap", &gap])
            .await;
        assert_eq!(code, Some(0), "{err}");
        let sql = PLANNED.replace("{campaign}", &campaign);
        world.app.batch_execute(&sql).await.unwrap();
        let sql = "select id, (extract(epoch from scheduled_at) * 1000000)::bigint from scheduled_messages
                    where campaign_id = $1::text::uuid and body like 'planned %' order by scheduled_at, id";
        let rows = world.app.query(sql, &[&campaign]).await.unwrap();
        let ids: Vec<_> = rows.iter().map(|row| MessageId(row.get(0))).collect();
        let forecasts = foreseen(world, &ids).await;
        if forecasts.around.now.as_micros() < rows[0].get(1) {
            return (ids, forecasts);
        }
    }
    unreachable!()
}

#[tokio::test]
async fn a_planned_campaign_is_sent_as_it_was_forecast() {
    let world = World::new([]).await;
    let daemon = world.daemon().await;
    until("the daemon has published its settings", async || {
        let around = foreseen(&world, &[]).await.around;
        let sends = !around.instances.is_empty() && around.rules_are_known;
        (sends && around.another_sends(punctual::message::InstanceId(Uuid::nil()))).then_some(())
    })
    .await;
    let (ids, forecasts) = plan(&world).await;
    let foreseen: Vec<i64> = ids
        .iter()
        .map(|id| {
            let forecast = forecasts.of(*id).unwrap();
            assert_eq!(forecast.step.outcome, Outcome::Send, "{forecast}");
            assert!(forecast.unknown.is_empty(), "{forecast:?}");
            forecast.step.at.unwrap().as_micros()
        })
        .collect();
    for id in &ids {
        world.becomes(id.0, "sent").await;
    }
    let sql = "select (extract(epoch from a.started_at) * 1000000)::bigint,
                      (extract(epoch from m.scheduled_at) * 1000000)::bigint
                 from punctual.attempts a join scheduled_messages m on m.id = a.message_id
                where a.message_id = $1 and a.outcome = 'accepted'";
    let us = |span: Duration| i64::try_from(span.as_micros()).unwrap();
    // How much later than the one before it allowed each was sent: what a busy machine delays, no forecast knows.
    let (mut delayed, mut before) = (0, None::<i64>);
    for (id, foreseen) in ids.iter().zip(&foreseen) {
        let row = world.app.query_one(sql, &[&id.0]).await.unwrap();
        let (start, due): (i64, i64) = (row.get(0), row.get(1));
        let allowed = before.map_or(due, |at| due.max(at + us(PACE_SLACK + GAP)));
        delayed += (start - allowed).max(0);
        before = Some(start);
        let span = foreseen - CLOCKS..=foreseen + us(PACE_SLACK) + delayed + CLOCKS;
        assert!(span.contains(&start), "{start} is not in {span:?}");
    }
    daemon.stop().await;
}
