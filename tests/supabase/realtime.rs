//! What subscribers of Supabase Realtime hear of a message: by the SQL of its own part that decides it
//! (`walrus.sql`), over what wal2json says of a real daemon's changes. The service around it is not here.

use std::process::{Command, Stdio};
use std::time::Duration;

use punctual::demo::postgres::{Options, PrivatePostgres};
use punctual::store::Migrator;
use tokio_postgres::Client;

use crate::harness::{dsn, session};
use crate::postgrest::Process;

const ADA: &str = "00000001-0000-4000-8000-000000000000";
const BOB: &str = "00000002-0000-4000-8000-000000000000";

/// The policy and the publication are those of `docs/supabase.md`.
const PROJECT: &str = "
    create role anon nologin;
    create role authenticated nologin;
    create schema auth;
    create function auth.uid() returns uuid language sql stable as
      $$ select (nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub')::uuid $$;
    grant usage on schema auth, public to anon, authenticated;
    alter table scheduled_messages enable row level security;
    grant select, insert, update, delete on scheduled_messages to authenticated;
    create policy \"own messages\" on scheduled_messages for all to authenticated
      using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
    create publication supabase_realtime;
    alter publication supabase_realtime add table scheduled_messages;
    create publication everything for all tables;";

/// As Realtime polls (walrus' README): what has changed in the publication `$1`, who hears it, and what.
const POLL: &str = "
    with pub as (
      select concat_ws(',', case when bool_or(pubinsert) then 'insert' end, case when bool_or(pubupdate) then 'update' end,
                       case when bool_or(pubdelete) then 'delete' end) as actions,
             coalesce(string_agg(realtime.quote_wal2json(format('%I.%I', schemaname, tablename)::regclass), ',')
                        filter (where tablename is not null and tablename not like '% %'), '') as tables
        from pg_publication p left join pg_publication_tables t using (pubname)
       where p.pubname = $1
    )
    select x.wal ->> 'schema', x.wal ->> 'type', x.wal #>> '{record,status}', x.wal #>> '{record,body}',
           x.wal #>> '{old_record,id}', x.subscription_ids::text[], x.errors
      from pub
     cross join pg_logical_slot_get_changes('realtime', null, null, 'include-pk', '1', 'include-transaction', 'false',
                  'include-type-oids', 'true', 'include-timestamp', 'true', 'write-in-chunks', 'true',
                  'format-version', '2', 'actions', pub.actions, 'add-tables', pub.tables) w
     cross join realtime.apply_rls(w.data::jsonb, 1048576) x
     where pub.tables <> ''";

/// A change, as it is sent out.
#[derive(Debug)]
struct Change {
    schema: String,
    kind: String,
    status: Option<String>,
    body: Option<String>,
    old_id: Option<String>,
    heard_by: Vec<String>,
    errors: Vec<String>,
}

async fn poll(client: &Client, publication: &str) -> Vec<Change> {
    let rows = client.query(POLL, &[&publication]).await.unwrap();
    let one = |row: &tokio_postgres::Row| Change {
        schema: row.get(0),
        kind: row.get(1),
        status: row.get(2),
        body: row.get(3),
        old_id: row.get(4),
        heard_by: row.get(5),
        errors: row.get(6),
    };
    rows.iter().map(one).collect()
}

/// A database with a slot that wal2json reads; `None`: it is not here.
async fn project() -> Option<(PrivatePostgres, String, Client)> {
    let server = tokio::task::spawn_blocking(|| {
        PrivatePostgres::start(Options {
            fsync: false,
            // What is committed is in the log at once: a poll reads no further than that.
            settings: vec![
                ("wal_level".into(), "logical".into()),
                ("synchronous_commit".into(), "on".into()),
            ],
            ..Options::default()
        })
    });
    let server = server.await.unwrap().unwrap();
    let at = dsn(&server, "postgres");
    let client = session(&at).await;
    let slot = "select pg_create_logical_replication_slot('realtime', 'wal2json')";
    if let Err(missing) = client.execute(slot, &[]).await {
        eprintln!(
            "SKIPPED: wal2json is not here (apt-get install postgresql-15-wal2json): {missing:?}"
        );
        return None;
    }
    Migrator::embedded().run(&at).await.unwrap();
    let sql = include_str!("walrus.sql");
    client.batch_execute(sql).await.unwrap();
    client.batch_execute(PROJECT).await.unwrap();
    let url = server.url("postgres");
    Some((server, url, client))
}

/// As supabase-js does for a person who is logged in.
async fn subscribe(client: &Client, entity: &str, role: &str, user: &str) {
    let sql = "insert into realtime.subscription (subscription_id, entity, claims)
               values ($2::text::uuid, $1::text::regclass, jsonb_build_object('role', $3::text, 'sub', $2::text))";
    client.execute(sql, &[&entity, &user, &role]).await.unwrap();
}

/// A statement as `PostgREST` makes it for Ada.
async fn as_ada(client: &Client, statement: &str) {
    let sql = format!(
        "begin; set local role authenticated; set local request.jwt.claims = '{{\"sub\": \"{ADA}\"}}'; {statement}; commit"
    );
    client.batch_execute(&sql).await.unwrap();
}

/// Polls until a change has this status.
async fn until(client: &Client, status: &str) -> Vec<Change> {
    let mut all = Vec::new();
    // Never waited for, on however busy a machine.
    for _ in 0..1_200 {
        all.extend(poll(client, "supabase_realtime").await);
        if all
            .iter()
            .any(|change| change.status.as_deref() == Some(status))
        {
            return all;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no change to {status} within a minute: {all:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs wal2json: tests/supabase/run"]
async fn the_owner_of_a_message_hears_each_status_and_nobody_else_does() {
    let Some((_server, url, client)) = project().await else {
        return;
    };
    for user in [ADA, BOB] {
        subscribe(&client, "scheduled_messages", "authenticated", user).await;
    }
    let home = tempfile::tempdir().unwrap();
    let _daemon = Process(
        Command::new(env!("CARGO_BIN_EXE_punctual"))
            .arg("run")
            .current_dir(home.path())
            .env("DATABASE_URL", &url)
            .env("PUNCTUAL_PROVIDER", "console")
            .env("PUNCTUAL_HTTP_ADDR", "127.0.0.1:0")
            .env("PUNCTUAL_STATE_DIR", "off")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let insert = format!(
        "insert into scheduled_messages (to_number, body, scheduled_at, user_id)
         values ('+12025550177', 'hello', now(), '{ADA}')"
    );
    as_ada(&client, &insert).await;
    let heard = until(&client, "sent").await;
    let statuses: Vec<_> = heard
        .iter()
        .filter_map(|change| change.status.as_deref())
        .collect();
    assert_eq!(statuses, ["pending", "sending", "sent"], "{heard:?}");
    for change in &heard {
        assert_eq!(change.heard_by, [ADA], "{change:?}");
        assert_eq!(
            (&*change.schema, change.body.as_deref()),
            ("public", Some("hello"))
        );
        assert!(change.errors.is_empty(), "{change:?}");
    }

    // Moved to tomorrow, and cancelled.
    as_ada(
        &client,
        &insert.replace("now()", "now() + interval '1 day'"),
    )
    .await;
    as_ada(
        &client,
        "update scheduled_messages set status = 'cancelled' where status = 'pending'",
    )
    .await;
    let heard = until(&client, "cancelled").await;
    assert!(
        heard.iter().all(|change| change.heard_by == [ADA]),
        "{heard:?}"
    );

    // Of a row that is deleted there is nothing left to judge by: its id goes to all, and no more than that.
    as_ada(
        &client,
        "delete from scheduled_messages where status = 'cancelled'",
    )
    .await;
    let heard = poll(&client, "supabase_realtime").await;
    let [deleted] = &heard[..] else {
        panic!("{heard:?}")
    };
    assert_eq!(
        (&*deleted.kind, deleted.heard_by.len()),
        ("DELETE", 2),
        "{deleted:?}"
    );
    assert!(
        deleted.old_id.is_some() && deleted.body.is_none(),
        "{deleted:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs wal2json: tests/supabase/run"]
async fn nobody_hears_of_schema_punctual_nor_without_a_right() {
    let Some((_server, _url, client)) = project().await else {
        return;
    };
    subscribe(&client, "scheduled_messages", "anon", BOB).await;
    // Nobody can subscribe to these, unless by the service role.
    let own = "select format('punctual.%I', relname) from pg_class
                where relnamespace = 'punctual'::regnamespace and relkind = 'r'";
    let own: Vec<String> = client
        .query(own, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    for table in &own {
        subscribe(&client, table, "authenticated", ADA).await;
    }
    let change = format!(
        "insert into scheduled_messages (to_number, body, scheduled_at, user_id)
         values ('+12025550177', 'hello', now() + interval '1 day', '{ADA}');
         insert into punctual.suppressions (their_number, reason) values ('+12025550177', 'STOP')"
    );
    client.batch_execute(&change).await.unwrap();
    let heard = poll(&client, "supabase_realtime").await;
    let [inserted] = &heard[..] else {
        panic!("{heard:?}")
    };
    assert_eq!(inserted.errors, ["Error 401: Unauthorized"], "{inserted:?}");
    assert_eq!(
        (&inserted.status, &inserted.body),
        (&None, &None),
        "{inserted:?}"
    );

    // Even if every table is published, and row level security is not on there.
    client
        .batch_execute(&change.replace("0177", "0178"))
        .await
        .unwrap();
    let heard = poll(&client, "everything").await;
    let of_ours: Vec<_> = heard
        .iter()
        .filter(|change| change.schema == "punctual")
        .collect();
    assert!(!of_ours.is_empty(), "{heard:?}");
    for change in of_ours {
        assert_eq!(change.errors, ["Error 401: Unauthorized"], "{change:?}");
        assert_eq!((&change.status, &change.body), (&None, &None), "{change:?}");
    }
}
