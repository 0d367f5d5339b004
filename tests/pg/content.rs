//! Which columns of a message may still be changed, by whom, and how: every column in every state, for every
//! kind of session, by insert, update, upsert and delete.

use punctual::message::{Capabilities, ProviderCapabilities, WebUrl};
use punctual::policy::{self, Rules, Verdict};
use punctual::store::Migrator;
use punctual::store::migrate::Report;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::ours::{claim, store};
use crate::rows::{World, count, one, refused, run};

const STATES: [&str; 7] = [
    "pending",
    "sending",
    "sent",
    "delivered",
    "failed",
    "cancelled",
    "unconfirmed",
];

/// What becomes of a column that somebody else than the daemon writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It names the row.
    Key,
    /// The table of transitions decides (`cells.rs`).
    Status,
    /// It decides what is sent: fixed from the claim on, until the message may go again.
    Content,
    /// Punctual's: what others write is put back.
    Kept,
    /// The app's.
    Free,
}

use Kind::{Content, Free, Kept, Key, Status};

/// Every column, with another value than the row has.
const COLUMNS: &[(&str, Kind, &str)] = &[
    ("id", Key, "gen_random_uuid()"),
    ("status", Status, "''"),
    ("to_number", Content, "'+13105550199'"),
    ("from_number", Content, "'+15005550007'"),
    ("body", Content, "'other'"),
    ("scheduled_at", Content, "'2031-01-01 00:00:01Z'"),
    ("channel", Content, "'SMS'"),
    ("account", Content, "'other'"),
    ("subject", Content, "'other'"),
    ("media_urls", Content, "array['https://b.example/']"),
    (
        "template_id",
        Content,
        "(select max(id::text)::uuid from sms_templates)",
    ),
    ("template_vars", Content, "'{\"a\": 2}'"),
    ("user_id", Content, "gen_random_uuid()"),
    ("timezone", Content, "'Asia/Tokyo'"),
    ("send_before", Content, "'2032-01-01 00:00:01Z'"),
    ("message_type", Content, "'daily_brief'"),
    ("priority", Content, "'urgent'"),
    ("dedup_key", Content, "gen_random_uuid()::text"),
    ("calendar_event_id", Content, "'event 2'"),
    ("event_start", Content, "'2033-01-01 00:00:01Z'"),
    ("max_attempts", Content, "7"),
    ("attempts", Kept, "9"),
    ("parts_done", Kept, "9"),
    ("parts_total", Kept, "9"),
    ("next_attempt_at", Kept, "'2034-01-01Z'"),
    ("deferred_until", Kept, "'2034-01-01Z'"),
    ("requeued_at", Kept, "'2034-01-01Z'"),
    ("twilio_sid", Kept, "'SMother'"),
    ("delivered_at", Kept, "'2034-01-01Z'"),
    ("version", Kept, "99"),
    (
        "conversation_id",
        Free,
        "(select max(id::text)::uuid from conversations)",
    ),
    (
        "created_by",
        Free,
        "(select max(id::text)::uuid from profiles)",
    ),
    ("campaign_id", Free, "gen_random_uuid()"),
    // What is to be done while the outcome is not known may be decided then.
    ("in_doubt", Free, "'resend'"),
    ("metadata", Free, "'{\"a\": 2}'"),
    ("error_message", Free, "'a note'"),
    ("error_code", Free, "4"),
    ("deferred_reason", Free, "'a note'"),
    ("cancel_reason", Free, "'a note'"),
    ("cancelled_at", Free, "'2034-01-01Z'"),
    ("sent_at", Free, "'2034-01-01Z'"),
    ("created_at", Free, "'2034-01-01Z'"),
    ("updated_at", Free, "'2034-01-01Z'"),
];

/// A row with something in every column that may be empty.
const FULL: (&str, &str) = (
    ", from_number, template_id, template_vars, user_id, timezone, send_before, message_type, dedup_key,
       calendar_event_id, event_start, conversation_id, created_by, campaign_id, in_doubt, twilio_sid",
    ", '+15005550006', (select min(id::text)::uuid from sms_templates), '{\"a\": 1}', gen_random_uuid(), 'UTC',
       '2032-01-01Z', 'task_reminder', gen_random_uuid()::text, 'event 1', '2033-01-01Z',
       (select min(id::text)::uuid from conversations), (select min(id::text)::uuid from profiles),
       gen_random_uuid(), 'hold', 'SM' || gen_random_uuid()",
);

/// Whoever writes to the table: their name, their session, and whether it is the daemon's.
async fn actors(world: &World) -> Vec<(&'static str, Client, bool)> {
    // Roles are the server's, and other tests have made theirs.
    let make = "do $$ begin
                  create role content_app; create role content_service bypassrls;
                exception when duplicate_object or unique_violation then null; end $$;
                grant usage on schema public to content_app, content_service;
                grant select, insert, update, delete on all tables in schema public to content_app, content_service;
                alter table scheduled_messages enable row level security;
                create policy own on scheduled_messages to content_app using (true) with check (true)";
    run(&world.unseen, make).await;
    let mut actors = Vec::new();
    for (name, role) in [
        ("app user", "content_app"),
        ("service role", "content_service"),
    ] {
        let client = world.db.client().await;
        run(&client, &format!("set role {role}")).await;
        actors.push((name, client, false));
    }
    actors.push(("table owner", world.db.client().await, false));
    actors.push(("daemon", world.daemon().await, true));
    actors
}

async fn world() -> World {
    let world = World::new().await;
    run(
        &world.unseen,
        "insert into conversations (phone_number) values ('+13105550100'), ('+13105550101');
         insert into sms_templates (name) values ('a'), ('b');
         insert into profiles default values; insert into profiles default values",
    )
    .await;
    world
}

async fn full_row(world: &World, status: &str) -> Uuid {
    world.row_with(status, FULL.0, FULL.1).await
}

/// The row as JSON, without what every write of others counts up.
async fn whole(world: &World, id: Uuid) -> String {
    world
        .get(id, "(to_jsonb(scheduled_messages) - 'version')::text")
        .await
}

const fn is_fixed(kind: Kind, state: &str) -> bool {
    match kind {
        Kind::Key => true,
        Kind::Content => matches!(
            state.as_bytes(),
            b"sending" | b"sent" | b"delivered" | b"unconfirmed"
        ),
        Kind::Status | Kind::Kept | Kind::Free => false,
    }
}

#[tokio::test]
async fn every_column_of_the_table_is_in_the_list() {
    let world = World::new().await;
    let listed: Vec<&str> = COLUMNS.iter().map(|column| column.0).collect();
    let sql = "select coalesce(string_agg(attname, ', '), '') from pg_attribute
                where attrelid = 'scheduled_messages'::regclass and attnum > 0 and not attisdropped
                  and attname <> all (string_to_array($1, ' '))";
    let row = world.user.query_one(sql, &[&listed.join(" ")]).await;
    assert_eq!(row.unwrap().get::<_, &str>(0), "", "say what they are");
}

/// Runs one cell: either everything is as it was, or the column has what it is to have.
async fn cell(
    world: &World,
    client: &Client,
    daemon: bool,
    state: &str,
    column: usize,
    upsert: bool,
) {
    let (name, kind, value) = COLUMNS[column];
    let id = full_row(world, state).await;
    let before = whole(world, id).await;
    let old: String = world.get(id, &format!("coalesce({name}::text, '')")).await;
    // A value that is drawn is drawn once.
    let new: String = one(
        &world.unseen,
        &format!("select (jsonb_populate_record(null::scheduled_messages, jsonb_build_object('{name}', {value}))).{name}::text"),
    )
    .await;
    let sql = if upsert {
        format!(
            "insert into scheduled_messages
             select (jsonb_populate_record(m, jsonb_build_object('{name}', '{new}'::text::{json}))).*
               from scheduled_messages m where id = '{id}'
             on conflict (id) do update set {name} = excluded.{name}",
            json = if ["template_vars", "metadata"].contains(&name) { "jsonb" } else { "text" },
        )
    } else {
        format!("update scheduled_messages set {name} = '{new}' where id = '{id}'")
    };
    let what = format!("{name} of what is {state}, upsert {upsert}, daemon {daemon}");
    // The daemon moves a message with its event, while it is pending.
    let follows = ["scheduled_at", "event_start", "template_vars"].contains(&name);
    if (!daemon || follows) && is_fixed(kind, state) {
        let said = refused(client, &sql).await;
        assert!(said.contains(&id.to_string()), "{what}: {said}");
        assert_eq!(whole(world, id).await, before, "{what}");
        return;
    }
    run(client, &sql).await;
    if daemon && kind == Key {
        return;
    }
    let after: String = world.get(id, &format!("coalesce({name}::text, '')")).await;
    // The values of a row that is inserted are cleaned before the conflict is known.
    let cleaned = upsert && state == "pending";
    let expected = match kind {
        Kept if name == "version" || daemon && cleaned => return,
        Kept if !daemon => &old,
        _ => &new,
    };
    assert_eq!(&after, expected, "{what}");
}

#[tokio::test]
async fn every_column_in_every_state_for_everybody() {
    let world = world().await;
    for (_, client, daemon) in actors(&world).await {
        for state in STATES {
            for (column, (name, kind, _)) in COLUMNS.iter().enumerate() {
                if *kind == Status {
                    continue;
                }
                cell(&world, &client, daemon, state, column, false).await;
                if *name != "id" {
                    cell(&world, &client, daemon, state, column, true).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_new_row_has_what_it_was_given_but_for_what_is_ours() {
    let world = world().await;
    for (actor, client, daemon) in actors(&world).await {
        for state in STATES {
            for (name, kind, value) in COLUMNS {
                if *kind == Status
                    || *name == "to_number"
                    || *name == "body"
                    || *name == "scheduled_at"
                {
                    continue;
                }
                let sql = format!(
                    "with n as (select (jsonb_populate_record(null::scheduled_messages, jsonb_build_object('{name}', {value}))).{name} as v)
                     insert into scheduled_messages (to_number, body, scheduled_at, status, {name})
                     select '+13105550100', 'hello', now(), '{state}', n.v from n
                     returning {name} is not distinct from (select v from n)",
                );
                let what = format!("{actor}: {name} of a new row that is {state}");
                let may = match state {
                    "pending" => true,
                    "sent" | "failed" | "cancelled" => !daemon,
                    _ => false,
                };
                if may {
                    let stands: bool = one(&client, &sql).await;
                    assert_eq!(stands, !(*kind == Kept && state == "pending"), "{what}");
                } else {
                    refused(&client, &sql).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_being_sent_is_not_deleted_and_all_else_may_be() {
    let world = world().await;
    for (actor, client, daemon) in actors(&world).await {
        for state in STATES {
            let id = full_row(&world, state).await;
            let sql = format!("delete from scheduled_messages where id = '{id}'");
            if state == "sending" && !daemon {
                refused(&client, &sql).await;
            } else {
                assert_eq!(count(&client, &sql, &[]).await, 1, "{actor}: {state}");
            }
        }
    }
}

/// As an ORM saves a whole row: every column as it was read, by a clock of milliseconds, and one changed.
const SAVE: &str = "
    update scheduled_messages m
       set (to_number, from_number, body, scheduled_at, channel, template_id, template_vars, user_id, timezone, send_before,
            message_type, priority, dedup_key, calendar_event_id, event_start, max_attempts, status, attempts, metadata)
         = (select s.to_number, s.from_number, s.body, date_trunc('milliseconds', s.scheduled_at), s.channel, s.template_id,
                   ' { \"b\" : [1.0],\"a\":1 } '::jsonb, s.user_id, s.timezone, date_trunc('milliseconds', s.send_before),
                   s.message_type, s.priority, s.dedup_key, s.calendar_event_id, s.event_start::timestamptz(3),
                   s.max_attempts, s.status, s.attempts, '{\"seen\": true}'::jsonb
              from scheduled_messages s where s.id = m.id)
     where m.id = $1";

#[tokio::test]
async fn a_row_that_is_saved_whole_by_a_clock_of_milliseconds_has_not_changed() {
    let world = world().await;
    for state in STATES {
        let id = full_row(&world, state).await;
        let times = "update scheduled_messages
                        set scheduled_at = '2031-01-01 00:00:00.123999Z', send_before = '2032-01-01 00:00:00.000501Z',
                            event_start = '2033-01-01 00:00:00.999999Z', template_vars = '{\"a\": 1.0, \"b\": [1]}',
                            deferred_until = '2031-01-02Z', attempts = 2
                      where id = $1";
        count(&world.unseen, times, &[&id]).await;
        assert_eq!(count(&world.user, SAVE, &[&id]).await, 1, "{state}");
        let stands: bool = world
            .get(
                id,
                "metadata = '{\"seen\": true}' and attempts = 2 and deferred_until is not null
                 and scheduled_at = '2031-01-01 00:00:00.123999Z' and send_before = '2032-01-01 00:00:00.000501Z'
                 and event_start = '2033-01-01 00:00:00.999999Z'",
            )
            .await;
        assert!(stands, "{state}: the times and what follows from them stay");
    }
}

#[tokio::test]
async fn a_statement_over_many_rows_changes_those_that_may_be() {
    let world = world().await;
    for state in STATES {
        full_row(&world, state).await;
    }
    run(&world.user, "update scheduled_messages set body = 'other'").await;
    let changed = "select string_agg(status, ' ' order by status) from scheduled_messages where body = 'other'";
    assert_eq!(
        one::<String>(&world.user, changed).await,
        "cancelled failed pending"
    );

    // The same of whole rows, in one upsert as PostgREST makes it.
    let upsert = "insert into scheduled_messages (id, to_number, body, scheduled_at, status, metadata)
                  select id, to_number, {body}, scheduled_at, status, '{\"n\": 1}' from scheduled_messages where {which}
                  on conflict (id) do update set to_number = excluded.to_number, body = excluded.body,
                    scheduled_at = excluded.scheduled_at, status = excluded.status, metadata = excluded.metadata";
    let upsert = |body: &str, which: &str| upsert.replace("{body}", body).replace("{which}", which);
    run(&world.user, &upsert("body", "true")).await;
    let saved = "select count(*) from scheduled_messages where metadata = '{\"n\": 1}'";
    assert_eq!(one::<i64>(&world.user, saved).await, 7);
    for state in ["delivered", "sent", "sending", "unconfirmed"] {
        let which = format!("status = '{state}'");
        run(&world.user, &upsert("body", &which)).await;
        refused(&world.user, &upsert("'new'", &which)).await;
    }
    run(&world.user, &upsert("'new'", "true")).await;
    let changed = changed.replace("other", "new");
    assert_eq!(
        one::<String>(&world.user, &changed).await,
        "cancelled failed pending"
    );
}

#[tokio::test]
async fn a_foreign_key_may_empty_what_a_user_may_not() {
    let world = world().await;
    run(
        &world.unseen,
        "alter table scheduled_messages add foreign key (user_id) references profiles (id) on delete set null",
    )
    .await;
    for state in ["sending", "sent", "delivered", "unconfirmed"] {
        let user: Uuid = one(
            &world.user,
            "insert into profiles default values returning id",
        )
        .await;
        let template: Uuid = one(
            &world.user,
            "insert into sms_templates (name) values ('t') returning id",
        )
        .await;
        let columns = format!(", '{user}', '{template}'");
        let id = world
            .row_with(state, ", user_id, template_id", &columns)
            .await;
        for column in ["user_id", "template_id"] {
            let sql = format!("update scheduled_messages set {column} = null where id = '{id}'");
            refused(&world.user, &sql).await;
        }
        run(
            &world.user,
            &format!("delete from profiles where id = '{user}'"),
        )
        .await;
        run(
            &world.user,
            &format!("delete from sms_templates where id = '{template}'"),
        )
        .await;
        let emptied = "user_id is null and template_id is null";
        assert!(world.get::<bool>(id, emptied).await, "{state}");
    }
}

/// The channels in the sentence for others.
const SUPPORTED: &str = "sms, webhook, email, push, in_app";

#[tokio::test]
async fn a_channel_that_is_not_understood_fails_in_the_statement_that_writes_it() {
    let world = World::new().await;
    let insert = |channel: &str| {
        format!(
            "insert into scheduled_messages (to_number, body, scheduled_at, channel)
             values ('+13105550100', 'hello', now(), {channel})
             returning concat_ws(': ', status, error_message)"
        )
    };
    for understood in [
        "null",
        "''",
        "' '",
        "'sms'",
        "' SMS '",
        "'Email'",
        "'push'",
        "'in_app'",
        "'webhook'",
    ] {
        let stands: String = one(&world.user, &insert(understood)).await;
        assert_eq!(stands, "pending", "{understood}");
    }
    for word in ["whatsapp", "mms", "sms2", "e-mail"] {
        let stands: String = one(&world.user, &insert(&format!("'{word}'"))).await;
        let why =
            format!("failed: the channel \"{word}\" is not supported; supported are: {SUPPORTED}");
        assert_eq!(stands, why);
    }
    let id = world.row("pending").await;
    let set = |what: &str| {
        format!(
            "update scheduled_messages set {what} where id = '{id}' returning concat_ws(': ', status, error_message)"
        )
    };
    let why = format!("failed: the channel \"pushy\" is not supported; supported are: {SUPPORTED}");
    assert_eq!(
        one::<String>(&world.user, &set("channel = 'pushy'")).await,
        why
    );
    assert_eq!(
        one::<String>(&world.user, &set("status = 'pending'")).await,
        why
    );
    let right = set("status = 'pending', channel = 'sms'");
    assert_eq!(one::<String>(&world.user, &right).await, "pending");
    // What was sent elsewhere, and is brought in, says how.
    let import = "insert into scheduled_messages (to_number, body, scheduled_at, status, channel)
                  values ('a', 'b', now(), 'sent', 'fax') returning status";
    assert_eq!(one::<String>(&world.user, import).await, "sent");
}

const NO_MEDIA: &str =
    "only text messages and e-mails can have media; leave media_urls (or media_url) empty";
const NOT_HTTPS: &str =
    "each entry of media_urls (or media_url) must be an https URL of at most 2048 characters";

#[tokio::test]
async fn media_that_cannot_be_sent_fail_in_the_statement_that_writes_them() {
    let world = World::new().await;
    let written = async |channel: &str, to: &str, media: &str| {
        let sql = format!(
            "insert into scheduled_messages (channel, to_number, body, scheduled_at, media_urls)
             values ('{channel}', '{to}', 'hello', now() + interval '1 hour', {media})
             returning concat_ws(': ', status, error_message)"
        );
        one::<String>(&world.user, &sql).await
    };
    let sms = async |media: &str| written("sms", "+13105550100", media).await;
    for fine in [
        "null",
        "'{}'",
        "'{https://example.com/a.png}'",
        "array[' https://a.example:8443/a?b=c,d ', 'https://[2001:db8::1]/']",
        "array_fill('https://example.com/a.png'::text, array[10])",
        "array[array['https://example.com/a.png']]",
    ] {
        assert_eq!(sms(fine).await, "pending", "{fine}");
        assert_eq!(
            written("email", "ada@example.com", fine).await,
            "pending",
            "{fine}"
        );
    }
    let many = "array_fill('https://example.com/a.png'::text, array[11])";
    assert_eq!(
        sms(many).await,
        "failed: media_urls has more than 10 entries"
    );
    for bad in [
        "'{http://example.com/a.png}'",
        "'{https://example.com/a.png,\"\"}'",
        "array['https://example.com/a.png', null]",
        "array['https://me@example.com/']",
        "array['https://example.com/ö']",
        "array['https://example.com/' || repeat('x', 2048)]",
    ] {
        assert_eq!(sms(bad).await, format!("failed: {NOT_HTTPS}"), "{bad}");
    }
    for (channel, to) in [
        ("webhook", "https://example.com/"),
        ("push", "https://push.example/1"),
        ("in_app", "0a1b2c3d-0000-4000-8000-0123456789ab"),
    ] {
        let failed = format!("failed: {NO_MEDIA}");
        assert_eq!(
            written(channel, to, "'{https://example.com/a.png}'").await,
            failed
        );
        assert_eq!(written(channel, to, "'{}'").await, "pending");
    }
    // Corrected.
    let right = "update scheduled_messages set media_urls = null, status = 'pending'
                  where error_message = 'media_urls has more than 10 entries' returning status";
    assert_eq!(one::<String>(&world.user, right).await, "pending");
}

/// The app's column need not be there when Punctual is installed, and may go again.
#[tokio::test]
async fn a_media_url_of_the_apps_counts_as_one_entry() {
    let world = World::new().await;
    let migrate = async || Migrator::embedded().run(world.db.dsn()).await.unwrap();
    run(
        &world.user,
        "alter table scheduled_messages add column media_url text",
    )
    .await;
    let report = migrate().await;
    assert_eq!(report.triggers, ["triggers/validate.sql"]);
    assert_eq!(migrate().await, Report::default());
    let insert = |media: &str| {
        format!(
            "insert into scheduled_messages (to_number, body, scheduled_at, media_url)
             values ('+13105550100', 'hello', now(), {media}) returning concat_ws(': ', status, error_message)"
        )
    };
    let why = format!("failed: {NOT_HTTPS}");
    for fine in [
        "null",
        "''",
        "' '",
        "'[]'",
        "'{}'",
        "'https://example.com/a.png'",
    ] {
        assert_eq!(
            one::<String>(&world.user, &insert(fine)).await,
            "pending",
            "{fine}"
        );
    }
    let bad = insert("'http://example.com/a.png'");
    assert_eq!(one::<String>(&world.user, &bad).await, why);
    let id = world.row("pending").await;
    let set = |what: &str| {
        format!(
            "update scheduled_messages set {what} where id = '{id}' returning concat_ws(': ', status, error_message)"
        )
    };
    assert_eq!(
        one::<String>(&world.user, &set("media_url = 'a.png'")).await,
        why
    );
    assert_eq!(
        one::<String>(&world.user, &set("status = 'pending'")).await,
        why
    );
    // The list counts where there is one.
    let list = set("status = 'pending', media_urls = '{https://example.com/a.png}'");
    assert_eq!(one::<String>(&world.user, &list).await, "pending");
    let none = set("media_url = null, media_urls = null");
    assert_eq!(one::<String>(&world.user, &none).await, "pending");
    // What was sent elsewhere.
    let import = "insert into scheduled_messages (to_number, body, scheduled_at, status, media_url)
                  values ('a', 'b', now(), 'sent', 'x') returning status";
    assert_eq!(one::<String>(&world.user, import).await, "sent");
    // Several, and no longer any.
    run(
        &world.user,
        "alter table scheduled_messages alter media_url type text[] using array[media_url]",
    )
    .await;
    assert_eq!(one::<String>(&world.user, &insert("'{}'")).await, "pending");
    assert_eq!(one::<String>(&world.user, &insert("'{a,b}'")).await, why);
    run(
        &world.user,
        "alter table scheduled_messages drop column media_url",
    )
    .await;
    let plain = "insert into scheduled_messages (to_number, body, scheduled_at) values ('+13105550100', 'x', now()) returning status";
    assert_eq!(one::<String>(&world.user, plain).await, "pending");
    assert_eq!(migrate().await, Report::default());
}

/// What an app's column `media_url` may be, and of its values those that are none, a picture, and what cannot be sent.
const MEDIA_URLS: [(&str, [&[&str]; 3]); 5] = [
    (
        "add column media_url text",
        [
            &["null", "''", "' '", "U&'\\00A0\\3000'", "'[]'", "'{}'"],
            &[
                "'https://example.com/a.png'",
                "' https://example.com/a.png'",
            ],
            &["'x'", "'[\"https://example.com/a.png\"]'"],
        ],
    ),
    (
        "drop column media_url, add column media_url text[]",
        [
            &["null", "'{}'"],
            &["'{https://example.com/a.png}'"],
            &["'{a,b}'"],
        ],
    ),
    (
        "drop column media_url, add column media_url jsonb",
        [
            &["null", "'null'", "'[]'", "'{}'", "'\"\"'"],
            &[
                "'\"https://example.com/a.png\"'",
                "'[\"https://example.com/a.png\"]'",
            ],
            &["'[\"a\"]'", "'{\"url\": \"a\"}'"],
        ],
    ),
    (
        "drop column media_url, add column media_url json",
        [
            &["null", "'[]'"],
            &["'[\"https://example.com/a.png\"]'"],
            &["'[\"a\"]'"],
        ],
    ),
    (
        "drop column media_url, add column media_url varchar(80) not null default ''",
        [&["''"], &["'https://example.com/a.png'"], &["'a'"]],
    ),
];

/// Written while Punctual's triggers were not there: before `migrate`, or by logical replication. One pool throughout,
/// so the statements are those that were prepared before the column came.
#[tokio::test]
async fn what_no_trigger_saw_fails_at_the_claim_with_the_same_reason() {
    let world = World::new().await;
    let store = store(&world);
    let rules = Rules {
        default_sender: Some("+15005550006".parse().unwrap()),
        ..Rules::default()
    };
    let at_claim = async |columns: &str, values: &str| {
        let id = world.row_with("pending", columns, values).await;
        let answers = claim(&store, &[id]).await;
        let punctual::message::ClaimResponse::Won(claim) = &answers[0] else {
            panic!("{answers:?}");
        };
        let capabilities = ProviderCapabilities::all(Capabilities {
            media: true,
            ..Capabilities::SENDS_ONLY
        });
        match policy::judge(claim, &rules, &capabilities, claim.due) {
            Verdict::Send(cleared) => {
                let media = cleared.media().iter().map(WebUrl::as_str);
                [&["sent"][..], &media.collect::<Vec<_>>()]
                    .concat()
                    .join(" ")
            }
            Verdict::Reject { reason } => format!("{}: {reason}", reason.kind.as_str()),
            other => panic!("{other:?}"),
        }
    };
    let failed = format!("media: {NOT_HTTPS}");
    let picture = "sent https://example.com/a.png";
    assert_eq!(at_claim("", "").await, "sent");
    let with = at_claim(", media_urls", ", '{https://example.com/a.png}'").await;
    assert_eq!(with, picture);
    assert_eq!(at_claim(", media_urls", ", array['a', null]").await, failed);
    let nested = ", array[array['https://example.com/a.png']]";
    assert_eq!(at_claim(", media_urls", nested).await, picture);
    for word in ["whatsapp", "MMS", "in-app", "\u{200b}sms", "ｓｍｓ"] {
        let reason = at_claim(", channel", &format!(", '{word}'")).await;
        assert!(
            reason.starts_with("channel: the row's channel "),
            "{word}: {reason}"
        );
        assert!(
            reason.contains("is not supported; supported are: sms"),
            "{word}: {reason}"
        );
    }
    for (alter, [none, some, bad]) in MEDIA_URLS {
        run(
            &world.unseen,
            &format!("alter table scheduled_messages {alter}"),
        )
        .await;
        for value in none {
            let is = at_claim(", media_url", &format!(", {value}")).await;
            assert_eq!(is, "sent", "{alter}: {value}");
        }
        for value in some {
            let is = at_claim(", media_url", &format!(", {value}")).await;
            assert_eq!(is, picture, "{alter}: {value}");
        }
        for value in bad {
            let is = at_claim(", media_url", &format!(", {value}")).await;
            assert_eq!(is, failed, "{alter}: {value}");
        }
    }
    run(
        &world.unseen,
        "alter table scheduled_messages drop column media_url",
    )
    .await;
    assert_eq!(at_claim("", "").await, "sent");
}
