//! Messages of every channel: their lanes, and the rules that the database applies, by the table of
//! `policy::Rule`.

use futures_util::FutureExt;
use punctual::message::facts::Limit;
use punctual::message::{Channel, Claim, LaneKey, MessageId, RowState};
use punctual::policy::Rule;
use punctual::settle::Settlement;
use uuid::Uuid;

use crate::ours::{LATE, accepted, now, record, recorded, store, won};
use crate::rows::{World, count, one, run};

const USER: &str = "11111111-1111-1111-1111-111111111111";

/// A recipient of each channel.
const ADDRESSES: [(Channel, &str); 5] = [
    (Channel::Sms, "+13105550100"),
    (Channel::Webhook, "https://Hooks.example:8443/1"),
    (Channel::Email, "ada@example.com"),
    (Channel::Push, "https://push.example/1"),
    (Channel::InApp, "0a1b2c3d-0000-4000-8000-0123456789ab"),
];

/// A pending message of each channel, written as the app does.
async fn messages(world: &World, columns: &str, values: &str) -> Vec<(Channel, Uuid)> {
    let mut ids = Vec::new();
    for (channel, to) in ADDRESSES {
        let sql = format!(
            "insert into scheduled_messages (to_number, body, scheduled_at, channel {columns})
             values ('{to}', 'hello', clock_timestamp(), '{}' {values}) returning id",
            channel.as_str()
        );
        ids.push((channel, one(&world.user, &sql).await));
    }
    ids
}

fn ids(messages: &[(Channel, Uuid)]) -> Vec<Uuid> {
    messages.iter().map(|(_, id)| *id).collect()
}

#[tokio::test]
async fn each_channel_has_a_lane_and_each_host_of_webhooks() {
    let world = World::new().await;
    let store = store(&world);
    let messages = messages(&world, "", "").await;
    let expected = |channel| match channel {
        Channel::Webhook => LaneKey::of(channel).with_host("hooks.example"),
        Channel::Push => LaneKey::of(channel).with_host("push.example"),
        other => LaneKey::of(other),
    };
    let lane_of = |id: MessageId| {
        let of = messages.iter().find(|(_, own)| *own == id.0);
        expected(of.unwrap().0)
    };
    // As a sweep, a read, a claim and a record have it.
    let swept = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let until = now(&store).await;
    let into = std::sync::Arc::clone(&swept);
    let chunk = |rows| {
        into.lock().unwrap().extend::<Vec<_>>(rows);
        std::future::ready(()).boxed()
    };
    store
        .load((None, until), usize::MAX, LATE, chunk)
        .await
        .unwrap();
    let swept = std::mem::take(&mut *swept.lock().unwrap());
    assert_eq!(swept.len(), messages.len());
    for row in swept {
        assert_eq!(row.lane, lane_of(row.id));
    }
    let read: Vec<MessageId> = messages.iter().map(|(_, id)| MessageId(*id)).collect();
    for (id, state) in store.read(&read).await.unwrap() {
        let RowState::Pending { lane, .. } = state else {
            panic!("{state:?}");
        };
        assert_eq!(lane, lane_of(id));
    }
    let claims = won(&store, &ids(&messages)).await;
    for claim in &claims {
        assert_eq!(claim.lane, lane_of(claim.id));
    }
    for (id, state) in store.read(&read).await.unwrap() {
        let RowState::Sending { lane, .. } = state else {
            panic!("{state:?}");
        };
        assert_eq!(lane, lane_of(id));
    }
    let released: Vec<_> = claims
        .iter()
        .map(|claim| record(claim, Settlement::returned("released")))
        .collect();
    let done = store.record(&released.iter().collect::<Vec<_>>()).await;
    for claim in &claims {
        let Some(Some(RowState::Pending { lane, .. })) = done.as_ref().unwrap().get(&claim.token)
        else {
            panic!("{done:?}");
        };
        assert_eq!(*lane, lane_of(claim.id));
    }
}

#[tokio::test]
async fn only_text_messages_have_rows_in_the_apps_tables() {
    let world = World::new().await;
    let messages = messages(&world, "", "").await;
    let store = store(&world);
    let claims = won(&store, &ids(&messages)).await;
    let sent: Vec<_> = claims.iter().map(accepted).collect();
    assert_eq!(recorded(&store, &sent).await, messages.len());
    for (channel, id) in messages {
        assert_eq!(world.status(id).await, "sent", "{channel:?}");
        let rows = format!(
            "select count(*) from messages where metadata ->> 'scheduled_message_id' = '{id}'"
        );
        let expected = i64::from(Rule::AppRows.holds(channel));
        assert_eq!(
            one::<i64>(&world.unseen, &rows).await,
            expected,
            "{channel:?}"
        );
    }
    let none = "select count(*) from conversations";
    assert_eq!(one::<i64>(&world.unseen, none).await, 1);
}

#[tokio::test]
async fn a_stop_and_an_opt_out_end_text_messages_only() {
    let world = World::new().await;
    let of_user = format!(", '{USER}'");
    let pending = messages(&world, ", user_id", &of_user).await;
    run(
        &world.user,
        &format!(
            "insert into user_sms_preferences (user_id, opted_out, phone_verified) values ('{USER}', true, true)"
        ),
    )
    .await;
    for (channel, id) in pending {
        let is_cancelled = world.status(id).await == "cancelled";
        assert_eq!(is_cancelled, Rule::OptOut.holds(channel), "{channel:?}");
    }
    let texts = messages(&world, "", "").await;
    // For any recipient, as a reply STOP would have it for a number.
    run(
        &world.unseen,
        "insert into punctual.suppressions (our_number, their_number, reason) values (null, '+13105550100', 'STOP')",
    )
    .await;
    let store = store(&world);
    let claimed = crate::ours::claim(&store, &ids(&texts)).await;
    for ((channel, _), answer) in texts.iter().zip(claimed) {
        let is_won = matches!(answer, punctual::message::ClaimResponse::Won(_));
        assert_eq!(is_won, !Rule::Stop.holds(*channel), "{channel:?}");
    }
}

#[tokio::test]
async fn the_daily_limit_counts_text_messages_only() {
    let world = World::new().await;
    run(
        &world.user,
        &format!(
            "insert into user_sms_preferences (user_id, phone_verified, daily_sms_limit) values ('{USER}', true, 1)"
        ),
    )
    .await;
    let messages = messages(&world, ", user_id", &format!(", '{USER}'")).await;
    let claims: Vec<Claim> = won(&store(&world), &ids(&messages)).await;
    for ((channel, _), claim) in messages.iter().zip(claims) {
        let is_counted = claim.facts.limit != Limit::NotCounted;
        assert_eq!(is_counted, Rule::DailyLimit.holds(*channel), "{channel:?}");
    }
    assert_eq!(
        count(
            &world.unseen,
            "select 1 from punctual.daily_counts where count = 1",
            &[]
        )
        .await,
        1
    );
}

#[tokio::test]
async fn no_webhook_is_too_late_but_by_its_own_send_before() {
    let world = World::new().await;
    let old = messages(&world, "", "").await;
    let ended = messages(
        &world,
        ", send_before",
        ", clock_timestamp() - interval '1 s'",
    )
    .await;
    run(
        &world.unseen,
        "update scheduled_messages set scheduled_at = clock_timestamp() - interval '1 day' where send_before is null",
    )
    .await;
    let store = store(&world);
    store.expire(LATE, None, 100).await.unwrap();
    for (channel, id) in &old {
        let is_cancelled = world.status(*id).await == "cancelled";
        assert_eq!(is_cancelled, Rule::Lateness.holds(*channel), "{channel:?}");
    }
    for (channel, id) in ended {
        assert_eq!(world.status(id).await, "cancelled", "{channel:?}");
    }
    // What is not too late is still loaded.
    let loaded = std::sync::Arc::new(std::sync::Mutex::new(0));
    let into = std::sync::Arc::clone(&loaded);
    let chunk = |rows: Vec<_>| {
        *into.lock().unwrap() += rows.len();
        std::future::ready(()).boxed()
    };
    store
        .load((None, now(&store).await), usize::MAX, LATE, chunk)
        .await
        .unwrap();
    assert_eq!(*loaded.lock().unwrap(), 1);
}

/// Its move and its deletion, also of what another transaction had locked then.
#[tokio::test]
async fn an_event_takes_along_the_channels_of_its_rule_only() {
    let world = World::new().await;
    run(
        &world.user,
        &format!(
            "insert into task_calendar_events (calendar_event_id, user_id, event_title, event_start)
             values ('e', '{USER}', 'x', now() + interval '1 h')"
        ),
    )
    .await;
    let messages = messages(
        &world,
        ", user_id, calendar_event_id",
        &format!(", '{USER}', 'e'"),
    )
    .await;
    let shift = "update task_calendar_events set event_start = event_start + interval '1 h'";
    run(&world.user, shift).await;
    let locked = world.db.client().await;
    run(&locked, "begin; select from scheduled_messages for update").await;
    run(&world.user, shift).await;
    run(&locked, "commit").await;
    run(&world.unseen, "select punctual.follow_missed(100)").await;
    for (channel, id) in &messages {
        let is_moved: bool = world
            .get(*id, "scheduled_at > clock_timestamp() + interval '90 min'")
            .await;
        assert_eq!(is_moved, Rule::Event.holds(*channel), "{channel:?}");
    }
    run(&world.user, "delete from task_calendar_events").await;
    for (channel, id) in &messages {
        let is_cancelled = world.status(*id).await == "cancelled";
        assert_eq!(is_cancelled, Rule::Event.holds(*channel), "{channel:?}");
    }
}

/// A webhook that names no URL has that of its message type, from then on.
#[tokio::test]
async fn a_webhook_without_a_url_has_that_of_its_type_or_is_refused() {
    let world = World::new().await;
    run(&world.user, "set punctual.validate = 'refuse'").await;
    let keep = |urls: &str| {
        format!(
            "insert into punctual.settings (webhook_urls) values ('{urls}')
             on conflict (one) do update set webhook_urls = excluded.webhook_urls"
        )
    };
    let insert = |to: &str, message_type: &str| {
        format!(
            "insert into scheduled_messages (channel, to_number, message_type, body, scheduled_at)
             values ('webhook', {to}, {message_type}, '{{}}', now()) returning to_number"
        )
    };
    let refused = async |sql: &str| {
        let error = world.user.simple_query(sql).await.unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), "PT422", "{error}");
        error.hint().unwrap().to_owned()
    };
    // Before a daemon has run, and for a type that has none.
    assert!(refused(&insert("null", "'job'")).await.contains("\"job\""));
    run(&world.unseen, &keep(r#"{"job": "https://a.example/jobs"}"#)).await;
    assert!(
        refused(&insert("''", "'other'"))
            .await
            .contains("\"other\"")
    );
    assert!(
        refused(&insert("' '", "null"))
            .await
            .contains("message_type")
    );
    let written: i64 = one(&world.unseen, "select count(*) from scheduled_messages").await;
    assert_eq!(written, 0);
    for to in ["null", "''", "' '"] {
        let url: String = one(&world.user, &insert(to, "' job '")).await;
        assert_eq!(url, "https://a.example/jobs", "{to}");
    }
    let own: String = one(&world.user, &insert("'https://b.example'", "'job'")).await;
    assert_eq!(own, "https://b.example");
    // Only the row decides once it is written.
    run(&world.unseen, &keep("{}")).await;
    let move_it = "update scheduled_messages set scheduled_at = now() + interval '1 hour'
                    where to_number like '%jobs' returning to_number";
    let rows = world.user.query(move_it, &[]).await.unwrap();
    assert_eq!(rows.len(), 3);
    let empty =
        "update scheduled_messages set to_number = '' where to_number = 'https://b.example'";
    refused(empty).await;
    let api = "select punctual_api.schedule_message(null, now() + interval '1 hour', '{}', channel => 'webhook',
                                                    message_type => 'job') ->> 'ok'";
    refused(api).await;
    run(&world.unseen, &keep(r#"{"job": "https://a.example/jobs"}"#)).await;
    assert_eq!(one::<String>(&world.user, api).await, "true");
}

/// Without a URL it fails when it is written, alone; only who wants rows refused has the whole statement refused.
#[tokio::test]
async fn a_webhook_without_a_url_fails_alone_unless_such_rows_are_refused() {
    let world = World::new().await;
    let keep = |validate: &str| {
        format!(
            r#"insert into punctual.settings (validate, webhook_urls) values ('{validate}', '{{"job": "https://a.example"}}')
               on conflict (one) do update set validate = excluded.validate, webhook_urls = excluded.webhook_urls"#
        )
    };
    let insert =
        "insert into scheduled_messages (channel, to_number, message_type, body, scheduled_at)
                  select 'webhook', '', t, '{}', now() + interval '1 hour'
                    from unnest(array['job', 'other', 'job', null]) t";
    let failed = "select count(*) from scheduled_messages
                   where status = 'failed' and error_message like 'it has no URL: %' and to_number = ''";
    let pending = "select count(*) from scheduled_messages where status = 'pending' and to_number = 'https://a.example'";
    run(&world.unseen, &keep("warn")).await;
    run(&world.user, insert).await;
    assert_eq!(one::<i64>(&world.unseen, failed).await, 2);
    assert_eq!(one::<i64>(&world.unseen, pending).await, 2);
    let error = "select error_message from scheduled_messages where message_type = 'other'";
    let error: String = one(&world.unseen, error).await;
    assert!(
        error.contains("PUNCTUAL_WEBHOOK_URLS for the message_type \"other\""),
        "{error}"
    );
    // With its type known it is sent once it is set back.
    let again = "update scheduled_messages set status = 'pending', message_type = 'job' where message_type = 'other'";
    run(&world.user, again).await;
    assert_eq!(one::<i64>(&world.unseen, pending).await, 3);
    run(&world.unseen, &keep("refuse")).await;
    let refused = world.user.simple_query(insert).await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "PT422");
    assert_eq!(
        one::<i64>(&world.unseen, "select count(*) from scheduled_messages").await,
        4
    );
    // No definition keeps the app from changing the types of its columns.
    let alter = "alter table scheduled_messages alter channel type varchar(20), alter to_number type varchar(2048)";
    run(&world.user, alter).await;
}
