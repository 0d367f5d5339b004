//! The rows that the app owns: written on success, never in the way of the outcome.

use punctual::message::Claim;
use punctual::store::Store;
use uuid::Uuid;

use crate::ours::{accepted, ledger, record, recorded, sid, store, won};
use crate::rows::{World, one, run};

async fn claimed(world: &World, store: &Store, columns: &str, values: &str) -> Claim {
    let id = world.row_with("pending", columns, values).await;
    won(store, &[id]).await.remove(0)
}

async fn sent(world: &World, store: &Store, columns: &str, values: &str) -> Claim {
    let claim = claimed(world, store, columns, values).await;
    assert_eq!(recorded(store, &[accepted(&claim)]).await, 1);
    assert_eq!(world.status(claim.id.0).await, "sent");
    claim
}

/// The conversation that the app's row of this message is in; there is exactly one row.
async fn conversation(world: &World, claim: &Claim) -> Uuid {
    let sql = format!(
        "select min(conversation_id::text)::uuid, count(*) from messages
                        where metadata->>'scheduled_message_id' = '{}'",
        claim.id
    );
    let row = world.unseen.query_one(&sql, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(1), 1);
    row.get(0)
}

async fn waiting(world: &World) -> Vec<(Uuid, String)> {
    let sql = "select message_id, last_error from punctual.outbox order by id";
    let rows = world.unseen.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Tries all of the outbox, whatever pause it has; how many went.
async fn retried(world: &World, store: &Store) -> usize {
    run(
        &world.unseen,
        "update punctual.outbox set next_attempt_at = now() - interval '1 s'",
    )
    .await;
    let mut went = 0;
    while let Some(done) = store.outbox_next().await.unwrap() {
        went += usize::from(done);
    }
    went
}

#[tokio::test]
async fn a_sent_message_is_one_row_with_the_columns_of_the_app() {
    let world = World::new().await;
    let store = store(&world);
    let new = "insert into conversations (phone_number, last_message_at) values ('+13105550177', 'epoch') returning id";
    let own: Uuid = one(&world.user, new).await;
    let columns = ", conversation_id, from_number";
    let claim = sent(
        &world,
        &store,
        columns,
        &format!(", '{own}', '+15005550006'"),
    )
    .await;
    assert_eq!(
        conversation(&world, &claim).await,
        own,
        "the row's own, whatever its number"
    );
    let row: String = one(
        &world.unseen,
        "select (to_jsonb(m) - '{id,created_at,updated_at}'::text[])::text from messages m",
    )
    .await;
    let row: serde_json::Value = serde_json::from_str(&row).unwrap();
    assert_eq!(
        row,
        serde_json::json!({
            "conversation_id": own, "direction": "outbound", "body": "hello", "from_number": "+15005550006",
            "to_number": "+13105550100", "twilio_sid": sid(&claim), "status": "sent",
            "metadata": {"source": "scheduled", "scheduled_message_id": claim.id},
            "scheduled_message_id": claim.id, "attempt_count": 1, "delivered_at": null, "twilio_status": null,
            "twilio_error_code": null,
        })
    );
    let noted = format!(
        "select last_message_at > now() - interval '1 h' from conversations where id = '{own}'"
    );
    assert!(one::<bool>(&world.unseen, &noted).await);
    let none = "select count(*) from conversations";
    assert_eq!(one::<i64>(&world.unseen, none).await, 1);
}

#[tokio::test]
async fn the_conversation_is_found_by_number_or_made_with_the_contact() {
    let world = World::new().await;
    let store = store(&world);
    run(&world.user, "insert into contacts (name, phone_number) values ('a', '+13105550100'), ('b', '+13105550199')").await;
    let made = conversation(&world, &sent(&world, &store, "", "").await).await;
    let with = "select k.name from conversations c join contacts k on k.id = c.contact_id where c.phone_number = '+13105550100'";
    assert_eq!(one::<String>(&world.user, with).await, "a");
    // A second one of the same number, made later: the oldest is it.
    run(
        &world.user,
        "insert into conversations (phone_number) values ('+13105550100')",
    )
    .await;
    assert_eq!(
        conversation(&world, &sent(&world, &store, "", "").await).await,
        made
    );
    // Several of one number in one group, the number unknown: one conversation.
    run(&world.user, "delete from conversations").await;
    let ids = world.rows(3, "pending").await;
    let records: Vec<_> = won(&store, &ids).await.iter().map(accepted).collect();
    assert_eq!(recorded(&store, &records).await, 3);
    let n = "select count(*) from conversations";
    assert_eq!(one::<i64>(&world.user, n).await, 1);
    assert_eq!(
        one::<i64>(&world.user, "select count(*) from messages").await,
        3
    );
}

#[tokio::test]
async fn two_at_once_make_one_conversation() {
    let world = World::new().await;
    let stores: Vec<Store> = (0..4).map(|_| store(&world)).collect();
    let mut together = tokio::task::JoinSet::new();
    for store in stores {
        let ids = world.rows(5, "pending").await;
        let claims = won(&store, &ids).await;
        together.spawn(async move {
            for claim in claims {
                assert_eq!(recorded(&store, &[accepted(&claim)]).await, 1);
            }
        });
    }
    together.join_all().await;
    assert_eq!(world.tally().await, "sent 20");
    let n = "select count(*) from conversations";
    assert_eq!(one::<i64>(&world.user, n).await, 1);
    // Who found it held has left his row for later.
    retried(&world, &store(&world)).await;
    assert!(waiting(&world).await.is_empty());
    let n =
        "select count(distinct metadata->>'scheduled_message_id') * 1000 + count(*) from messages";
    assert_eq!(one::<i64>(&world.user, n).await, 20_020);
}

/// What the app did to its tables, what it says then, and how it is fixed.
const BROKEN: &[(&str, &str, &str)] = &[
    (
        "create function no() returns trigger language plpgsql as $$ begin raise exception 'not today'; end $$;
         create trigger no before insert on messages for each row execute function no()",
        "SQLSTATE P0001, function \"no\"",
        "drop trigger no on messages; drop function no",
    ),
    // Refuses only when the transaction ends.
    (
        "create function no() returns trigger language plpgsql as $$ begin raise exception 'not at last'; end $$;
         create constraint trigger no after insert on messages deferrable initially deferred
           for each row execute function no()",
        "SQLSTATE P0001, function \"no\"",
        "drop trigger no on messages; drop function no",
    ),
    (
        "alter table messages add column owner uuid not null default null",
        "SQLSTATE 23502, table \"messages\", column \"owner\"",
        "alter table messages drop column owner",
    ),
    (
        "alter table messages add check (length(body) > 10) not valid",
        "SQLSTATE 23514, constraint \"messages_body_check\", table \"messages\"",
        "alter table messages drop constraint messages_body_check",
    ),
    (
        "alter table messages rename to texts",
        "does not exist",
        "alter table texts rename to messages",
    ),
    (
        "alter table conversations rename column phone_number to phone",
        "does not exist",
        "alter table conversations rename column phone to phone_number",
    ),
    (
        "alter table conversations add column owner uuid not null default null",
        "SQLSTATE 23502, table \"conversations\", column \"owner\"",
        "alter table conversations drop column owner",
    ),
    // Ids of another type.
    (
        "alter table conversations rename to kept;
         create table conversations (id bigint generated always as identity primary key, phone_number text,
           contact_id uuid, last_message_at timestamptz, created_at timestamptz default now(),
           updated_at timestamptz default now());
         insert into conversations (phone_number) values ('+13105550100')",
        "cannot cast type bigint to uuid",
        "drop table conversations; alter table kept rename to conversations",
    ),
];

#[tokio::test]
async fn whatever_the_app_refuses_the_outcome_stands_and_the_row_comes_later() {
    let world = World::new().await;
    let store = store(&world);
    for (breaks, says, fix) in BROKEN {
        run(&world.unseen, breaks).await;
        let claim = claimed(&world, &store, "", "").await;
        let done = store.record(&[&accepted(&claim)]).await;
        assert_eq!(done.unwrap_or_else(|e| panic!("{breaks}: {e}")).len(), 1);
        let id = claim.id.0;
        assert_eq!(world.status(id).await, "sent", "{breaks}");
        assert_eq!(
            ledger(&world, id).await[0].get::<_, &str>("outcome"),
            "accepted"
        );
        let kept = waiting(&world).await;
        assert_eq!(kept.len(), 1, "{breaks}");
        assert!(
            kept[0].0 == id && kept[0].1.contains(says),
            "{breaks}: {}",
            kept[0].1
        );
        assert!(store.outbox_next().await.unwrap().is_none(), "not at once");

        assert_eq!(retried(&world, &store).await, 0, "{breaks}");
        let put_off =
            "select attempts = 1 and next_attempt_at > clock_timestamp() from punctual.outbox";
        assert!(one::<bool>(&world.unseen, put_off).await, "{breaks}");
        run(&world.unseen, fix).await;
        assert_eq!(retried(&world, &store).await, 1, "{breaks}");
        assert!(waiting(&world).await.is_empty());
        conversation(&world, &claim).await;
        run(
            &world.unseen,
            "truncate messages, conversations, scheduled_messages",
        )
        .await;
    }
}

#[tokio::test]
async fn a_refused_row_holds_up_none_of_its_group() {
    let world = World::new().await;
    let store = store(&world);
    run(
        &world.unseen,
        "alter table messages add check (body <> 'bad')",
    )
    .await;
    let ids = world.rows(5, "pending").await;
    run(
        &world.unseen,
        &format!(
            "update scheduled_messages set body = 'bad' where id = '{}'",
            ids[2]
        ),
    )
    .await;
    let records: Vec<_> = won(&store, &ids).await.iter().map(accepted).collect();
    assert_eq!(recorded(&store, &records).await, 5);
    assert_eq!(world.tally().await, "sent 5");
    retried(&world, &store).await;
    let left: Vec<_> = waiting(&world).await.into_iter().map(|w| w.0).collect();
    assert_eq!(left, [ids[2]]);
    assert_eq!(
        one::<i64>(&world.unseen, "select count(*) from messages").await,
        4
    );
}

#[tokio::test]
async fn a_conversation_that_is_gone_is_found_again_and_a_locked_one_waited_for() {
    let world = World::new().await;
    let store = store(&world);
    // Without a foreign key an id may name nothing.
    run(
        &world.unseen,
        "alter table scheduled_messages drop constraint scheduled_messages_conversation_id_fkey",
    )
    .await;
    let claim = sent(&world, &store, ", conversation_id", ", gen_random_uuid()").await;
    let made = conversation(&world, &claim).await;

    run(
        &world.user,
        "begin; update conversations set updated_at = now()",
    )
    .await;
    let held = sent(&world, &store, "", "").await;
    assert_eq!(waiting(&world).await.len(), 1);
    assert_eq!(retried(&world, &store).await, 0);
    run(&world.user, "delete from conversations; commit").await;
    assert_eq!(retried(&world, &store).await, 1);
    assert_ne!(conversation(&world, &held).await, made);
}

/// Some stand-ins give every message the same name.
#[tokio::test]
async fn a_sid_that_comes_twice_does_not_keep_a_message_from_being_sent() {
    let world = World::new().await;
    let store = store(&world);
    let ids = world.rows(3, "pending").await;
    let claims = won(&store, &ids).await;
    let same = || {
        let sid = punctual::message::ProviderSid("SMsame".into());
        punctual::settle::Settlement::Accepted { sid }
    };
    assert_eq!(
        recorded(
            &store,
            &[record(&claims[0], same()), record(&claims[1], same())]
        )
        .await,
        2
    );
    assert_eq!(recorded(&store, &[record(&claims[2], same())]).await, 1);
    assert_eq!(world.tally().await, "sent 3");
    let sids = "select count(*) from punctual.attempts where outcome = 'accepted' and provider_sid = 'SMsame'";
    assert_eq!(one::<i64>(&world.unseen, sids).await, 1);
}
