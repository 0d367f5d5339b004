//! The ways in which apps write: whoever they are and however the statement comes, the guard
//! judges it alike and no count of one statement gets into the next.

use tokio_postgres::Client;
use uuid::Uuid;

use crate::rows::{World, count, one, refused, run};

const CANCEL_ALL: &str = "update scheduled_messages set status = 'cancelled'";

fn cancel(id: Uuid) -> String {
    format!("{CANCEL_ALL} where id = '{id}'")
}

/// Refused rows are counted; nothing is left of that after a statement, however it ended.
async fn nothing_is_counted(client: &Client) {
    let left = "select concat(current_setting('punctual.refused_update', true),
                              current_setting('punctual.refused_delete', true))";
    assert_eq!(one::<String>(client, left).await, "");
}

#[tokio::test]
async fn a_role_without_any_right_on_our_schema_is_served_alike() {
    let world = World::new().await;
    run(
        &world.unseen,
        "create role plain_app;
         grant usage on schema public to plain_app;
         grant select, insert, update, delete on scheduled_messages to plain_app;
         alter table scheduled_messages enable row level security;
         create policy own on scheduled_messages for all to plain_app
           using (user_id is null) with check (user_id is null)",
    )
    .await;
    let foreign = world
        .row_with("pending", ", user_id", ", gen_random_uuid()")
        .await;
    let app = world.db.client().await;
    run(&app, "set role plain_app").await;
    let denied = app
        .execute("select from punctual.attempts", &[])
        .await
        .unwrap_err();
    assert_eq!(
        denied.code().map(|c| c.code().to_owned()).as_deref(),
        Some("42501")
    );

    let insert = "insert into scheduled_messages (to_number, body, scheduled_at, attempts)
                  values ('+13105550100', 'hello', now(), 3) returning id";
    let id: Uuid = one(&app, insert).await;
    run(
        &app,
        &format!("update scheduled_messages set scheduled_at = now() where id = '{id}'"),
    )
    .await;
    run(&app, &cancel(id)).await;
    // Reads the ledger on the app's behalf.
    run(&app, "update scheduled_messages set status = 'pending'").await;
    run(
        &world.unseen,
        "update scheduled_messages set status = 'sending'",
    )
    .await;
    let said = refused(&app, &cancel(id)).await;
    assert!(said.contains("too late to cancel"), "{said}");
    refused(
        &app,
        &format!("delete from scheduled_messages where id = '{id}'"),
    )
    .await;
    run(
        &world.unseen,
        "update scheduled_messages set status = 'sent'",
    )
    .await;
    run(&app, "delete from scheduled_messages").await;
    assert_eq!(world.tally().await, "sent 1");
    assert_eq!(
        count(&app, CANCEL_ALL, &[]).await,
        0,
        "it does not see the other's row"
    );
    assert_eq!(world.status(foreign).await, "sent");
    run(
        &world.unseen,
        "drop owned by plain_app; drop role plain_app",
    )
    .await;
}

#[tokio::test]
async fn statements_of_one_transaction_do_not_share_a_count() {
    let world = World::new().await;
    let (gone, free) = (world.row("sending").await, world.row("pending").await);
    // Warned, then refused: the second counts its own.
    run(&world.user, "begin").await;
    run(&world.user, CANCEL_ALL).await;
    nothing_is_counted(&world.user).await;
    let said = refused(&world.user, &cancel(gone)).await;
    assert!(
        said.contains("is sending; it is too late to cancel it"),
        "{said}"
    );
    run(&world.user, "rollback").await;
    nothing_is_counted(&world.user).await;
    assert_eq!(world.status(free).await, "pending");

    // A refused row, then an error of another kind, undone to a savepoint.
    for undone in ["rollback to before", "rollback to before; release before"] {
        run(&world.user, "begin; savepoint before").await;
        let breaks = "update scheduled_messages set status = 'cancelled',
                        error_message = case when status = 'pending' then (1 / (version - version))::text end";
        assert!(world.user.batch_execute(breaks).await.is_err());
        run(&world.user, undone).await;
        nothing_is_counted(&world.user).await;
        // One row, which goes: nothing was refused in this one.
        run(&world.user, &cancel(free)).await;
        run(&world.user, "rollback").await;
    }
    // The same inside a function that catches it.
    run(
        &world.user,
        "create function try_all() returns text language plpgsql as $$
         begin
           begin
             update scheduled_messages set status = 'cancelled', sent_at = (status || 'x')::timestamptz;
           exception when others then null;
           end;
           return coalesce(current_setting('punctual.refused_update', true), '');
         end $$",
    )
    .await;
    assert_eq!(one::<String>(&world.user, "select try_all()").await, "");
}

#[tokio::test]
async fn functions_and_nested_statements() {
    let world = World::new().await;
    run(
        &world.user,
        "create function cancel_one(uuid) returns bigint language plpgsql as $$
         declare n bigint;
         begin
           update public.scheduled_messages set status = 'cancelled' where id = $1;
           get diagnostics n = row_count;
           return n;
         end $$;
         create table tasks (id int primary key, message uuid);
         create function task_done() returns trigger language plpgsql as $$
         begin
           update public.scheduled_messages set status = 'cancelled' where id = old.message;
           return null;
         end $$;
         create trigger done after delete on tasks for each row execute function task_done()",
    )
    .await;
    let (gone, free) = (world.row("sending").await, world.row("pending").await);
    refused(&world.user, &format!("select cancel_one('{gone}')")).await;
    let n: i64 = one(&world.user, &format!("select cancel_one('{free}')")).await;
    assert_eq!(n, 1);

    // A trigger of the app's that cancels: a skipped row would leave the app half-changed, so
    // the whole of it is refused, however many others there are.
    let other = world.row("pending").await;
    run(
        &world.user,
        &format!("insert into tasks values (1, '{other}'), (2, '{gone}')"),
    )
    .await;
    refused(&world.user, "delete from tasks").await;
    assert_eq!(world.status(other).await, "pending");
    run(&world.user, "delete from tasks where id = 1").await;
    assert_eq!(world.status(other).await, "cancelled");
    nothing_is_counted(&world.user).await;
}

#[tokio::test]
async fn upsert_merge_with_and_copy() {
    let world = World::new().await;
    let (gone, free) = (world.row("sending").await, world.row("pending").await);
    let upsert = |ids: &[Uuid], set: &str| {
        let rows: Vec<_> = ids
            .iter()
            .map(|id| format!("('{id}', '+13105550100', 'x', now())"))
            .collect();
        format!(
            "insert into scheduled_messages (id, to_number, body, scheduled_at) values {}
             on conflict (id) do update set {set}",
            rows.join(",")
        )
    };
    refused(&world.user, &upsert(&[gone], "body = excluded.body")).await;
    run(&world.user, &upsert(&[gone, free], "body = excluded.body")).await;
    assert_eq!(world.get::<String>(free, "body").await, "x");
    assert_eq!(world.get::<String>(gone, "body").await, "hello");
    let back = upsert(&[free], "body = 'hello'");
    run(&world.user, &back).await;
    refused(&world.user, &upsert(&[gone], "status = 'cancelled'")).await;
    // Of an upsert only the updates are looked at: new rows do not make up for refused ones.
    let new = Uuid::new_v4();
    refused(&world.user, &upsert(&[gone, new], "status = 'cancelled'")).await;
    run(&world.user, &upsert(&[new], "status = 'cancelled'")).await;
    assert_eq!(world.status(new).await, "pending");
    run(&world.user, &upsert(&[gone, free], "status = 'cancelled'")).await;
    assert_eq!(world.tally().await, "cancelled 1, pending 1, sending 1");
    nothing_is_counted(&world.user).await;

    merge(&world, gone, free).await;
    nothing_is_counted(&world.user).await;

    let both = format!(
        "with a as ({} returning id), b as (delete from scheduled_messages where id = '{new}' returning id),
              c as ({} returning id)
         select count(*) from (select from a union all select from b union all select from c) t",
        cancel(gone),
        cancel(free),
    );
    let n: i64 = one(&world.user, &both).await;
    assert_eq!(n, 2, "the refused row is not returned");
    nothing_is_counted(&world.user).await;

    let sink = world
        .user
        .copy_in("copy scheduled_messages (to_number, body, scheduled_at, attempts) from stdin")
        .await
        .unwrap();
    let mut sink = std::pin::pin!(sink);
    let rows = bytes::Bytes::from_static(
        b"+13105550100\tcopied\tinfinity\t5\n+13105550100\tcopied\tnow\t0\n",
    );
    futures_util::SinkExt::send(&mut sink, rows).await.unwrap();
    assert_eq!(sink.finish().await.unwrap(), 2);
    let clean = "select count(*) from scheduled_messages where body = 'copied' and attempts = 0";
    assert_eq!(one::<i64>(&world.user, clean).await, 2);
}

/// Of Postgres 15 and later; its updates and its deletes are judged each for themselves.
async fn merge(world: &World, gone: Uuid, free: Uuid) {
    let version = "select current_setting('server_version_num')::int";
    if one::<i32>(&world.user, version).await < 150_000 {
        return;
    }
    let merge = |ids: &str| {
        format!(
            "merge into scheduled_messages m
             using (select unnest('{{{ids}}}'::uuid[]) as id) s on m.id = s.id
             when matched and m.body = 'hello' then update set status = 'cancelled'
             when matched then delete"
        )
    };
    refused(&world.user, &merge(&gone.to_string())).await;
    run(&world.user, &merge(&format!("{gone},{free}"))).await;
    assert_eq!(world.status(gone).await, "sending");
}

#[tokio::test]
async fn a_cascade_fails_whole_or_goes_whole() {
    let world = World::new().await;
    run(
        &world.unseen,
        "alter table scheduled_messages drop constraint scheduled_messages_conversation_id_fkey,
           add foreign key (conversation_id) references conversations on delete cascade",
    )
    .await;
    let new = "insert into conversations (phone_number) values ('+13105550100') returning id";
    let conversation: Uuid = one(&world.user, new).await;
    let value = format!(", '{conversation}'");
    let mut ids = Vec::new();
    for status in ["sending", "pending", "sent"] {
        ids.push(world.row_with(status, ", conversation_id", &value).await);
    }
    let said = refused(&world.user, "delete from conversations").await;
    assert_eq!(
        said,
        format!(
            "message {} is being sent this moment; it cannot be deleted",
            ids[0]
        )
    );
    assert_eq!(world.tally().await, "pending 1, sending 1, sent 1");
    run(
        &world.unseen,
        "update scheduled_messages set status = 'sent' where status = 'sending'",
    )
    .await;
    run(&world.user, "delete from conversations").await;
    assert_eq!(world.tally().await, "");
}

#[tokio::test]
async fn the_guard_judges_what_the_apps_own_triggers_made_of_a_row() {
    let world = World::new().await;
    run(
        &world.user,
        "create function touch() returns trigger language plpgsql as $$
         begin
           new.updated_at := clock_timestamp();
           if new.metadata ? 'rename' then new.body := 'changed by a trigger'; end if;
           if new.metadata ? 'move' then new.scheduled_at := new.scheduled_at + interval '1 h'; end if;
           if new.metadata ? 'stop' then new.status := 'cancelled'; end if;
           return new;
         end $$;
         create trigger zz_touch before update on scheduled_messages for each row execute function touch()",
    )
    .await;
    let set = |id, key: &str| {
        format!("update scheduled_messages set metadata = '{{\"{key}\":1}}' where id = '{id}'")
    };
    let id = world.row("sending").await;
    run(&world.user, &set(id, "note")).await;
    assert!(world.get::<bool>(id, "updated_at > created_at").await);
    for key in ["rename", "move"] {
        let said = refused(&world.user, &set(id, key)).await;
        assert!(
            said.contains("it is too late to change it"),
            "{key}: {said}"
        );
    }
    refused(&world.user, &set(id, "stop")).await;

    let id = world
        .row_with("pending", ", deferred_until, attempts", ", 'infinity', 2")
        .await;
    run(&world.user, &set(id, "move")).await;
    assert!(
        world
            .get::<bool>(id, "deferred_until is null and attempts = 0")
            .await
    );
}

/// What waits for a claim to end is judged by what the claim left.
#[tokio::test]
async fn a_change_that_waited_for_the_claim_comes_too_late() {
    let world = World::new().await;
    let daemon = world.daemon().await;
    for (change, sees) in [
        (
            "update scheduled_messages set status = 'cancelled'",
            Some("too late to cancel"),
        ),
        (
            "update scheduled_messages set body = 'new'",
            Some("it is too late to change it"),
        ),
        ("delete from scheduled_messages", Some("too late to delete")),
        ("update scheduled_messages set metadata = '{}'", None),
    ] {
        let id = world.row("pending").await;
        run(
            &daemon,
            &format!("begin; update scheduled_messages set status = 'sending' where id = '{id}'"),
        )
        .await;
        let sql = format!("{change} where id = '{id}'");
        let waits = async {
            match sees {
                Some(why) => {
                    let said = refused(&world.user, &sql).await;
                    assert!(said.contains(why), "{change}: {said}");
                }
                None => run(&world.user, &sql).await,
            }
        };
        let commits = async {
            crate::rows::until(
                &world.unseen,
                "exists (select from pg_locks where not granted)",
            )
            .await;
            run(&daemon, "commit").await;
        };
        tokio::join!(waits, commits);
        assert_eq!(world.status(id).await, "sending", "{change}");
    }
}
