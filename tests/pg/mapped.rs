//! Sent messages in tables of the app's with names of its own.

use punctual::message::DialPlan;
use punctual::store::{AppTables, Migrator, Store, StoreError, doctor};
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::ours::{accepted, recorded, sid, store, won};
use crate::rows::{World, one, run, until};

mod plans;

/// Tables with another shape: other names, ids and words, and columns of the app's own that are not null.
const TABLES: &str = "
  create type direction as enum ('o', 'i');
  create table people (pid bigint generated always as identity primary key, tel text, nm text);
  create table threads (
    tid bigint generated always as identity primary key, tel text not null, person bigint references people,
    last_at timestamptz, tenant int not null);
  create table texts (
    xid bigint generated always as identity primary key, thread bigint not null references threads, d direction not null,
    content varchar(1600), \"from\" text, \"to\" text, sid text unique, st varchar(20) not null, info jsonb,
    tenant int not null, seen boolean not null, change_note text);
";

/// What is sent to +13105550100, as the app has it.
const ROW: &str = "select concat_ws(' ', t.tel, x.d, x.content, x.\"from\", x.\"to\", x.st, x.tenant, x.seen, p.nm)
    from texts x join threads t on t.tid = x.thread left join people p on p.pid = t.person";

fn described() -> Value {
    json!({
        "country": "US",
        "messages": {
            "table": "texts",
            "columns": {
                "conversation_id": "thread", "direction": "d", "body": "content", "from_number": "from", "to_number": "to",
                "twilio_sid": "sid", "status": "st", "metadata": "info"
            },
            "words": {"outbound": "o", "inbound": "i", "sent": "gone", "delivered": "arrived"},
            "constants": {"tenant": 7, "seen": true}
        },
        "conversations": {
            "table": "threads",
            "columns": {"id": "tid", "phone_number": "tel", "contact_id": "person", "last_message_at": "last_at"},
            "constants": {"tenant": "7"}
        },
        "contacts": {"table": "people", "columns": {"id": "pid", "phone_number": "tel"}}
    })
}

fn tables(described: Value) -> AppTables {
    let app: AppTables = serde_json::from_value(described).unwrap();
    app.checked().unwrap()
}

fn migrator(described: Value) -> Migrator<'static> {
    Migrator::embedded().mapping(Some(tables(described)))
}

async fn map(world: &World, described: Value) -> Result<Vec<String>, String> {
    let done = migrator(described).run(world.db.dsn()).await;
    done.map(|report| report.app).map_err(|e| e.to_string())
}

/// Sends a message; returns its id and its sid.
async fn send(world: &World, store: &Store) -> (Uuid, String) {
    let id = world
        .row_with("pending", ", from_number", ", '+15005550006'")
        .await;
    let claim = won(store, &[id]).await.remove(0);
    assert_eq!(recorded(store, &[accepted(&claim)]).await, 1);
    (id, sid(&claim))
}

async fn waiting(world: &World) -> i64 {
    one(&world.unseen, "select count(*) from punctual.outbox").await
}

async fn retry(store: &Store) -> Result<usize, StoreError> {
    let mut went = 0;
    while let Some(done) = store.outbox_next().await? {
        went += usize::from(done);
    }
    Ok(went)
}

/// What `doctor` says of tables that are written as they are described, and after the app has changed one.
async fn doctor_shows(world: &World) {
    let level = async |what: &str, described: bool| {
        let found = doctor::app(&world.unseen, Some(described)).await;
        let one = found.iter().find(|one| one.what == what).unwrap();
        format!("{:?} {}", one.level, one.found)
    };
    let shown = level("app mapping", true).await;
    assert!(
        shown.starts_with("Ok messages → texts (body → content, ")
            && shown.contains("conversations → threads (contact_id → person, "),
        "{shown}"
    );
    assert!(level("app indexes", true).await.starts_with("Ok"));
    assert!(level("app settings", true).await.starts_with("Ok"));
    assert!(level("app settings", false).await.starts_with("Warn"));
    run(
        &world.unseen,
        "alter table texts rename column content to words",
    )
    .await;
    let broken = level("app mapping", true).await;
    assert!(
        broken.starts_with("Bad the table public.texts has no column content"),
        "{broken}"
    );
    run(
        &world.unseen,
        "alter table texts rename column words to content",
    )
    .await;
}

/// A transaction of the app's holds up the index of conversations.
#[tokio::test]
async fn nothing_is_written_to_described_tables_until_their_indexes_are_there() {
    let world = World::new().await;
    let store = store(&world);
    let without =
        "drop table messages cascade; drop table conversations cascade; drop table contacts";
    run(&world.user, without).await;
    run(&world.user, TABLES).await;
    let app = world.db.client().await;
    run(
        &app,
        "begin; insert into threads (tel, tenant) values ('+13105550109', 7)",
    )
    .await;
    let texts = "select count(*) from texts";
    let meanwhile = async {
        let builds =
            "exists (select from pg_stat_progress_create_index where datname = current_database())";
        until(&world.unseen, builds).await;
        send(&world, &store).await;
        assert_eq!(waiting(&world).await, 1);
        assert_eq!(one::<i64>(&world.unseen, texts).await, 0);
        run(&app, "commit").await;
    };
    let (done, ()) = tokio::join!(map(&world, described()), meanwhile);
    done.unwrap();
    assert_eq!(retry(&store).await.unwrap(), 1, "at once");
    assert_eq!(one::<i64>(&world.unseen, texts).await, 1);
}

#[tokio::test]
async fn what_waited_is_written_once_the_tables_are_described() {
    let world = World::new().await;
    let store = store(&world);
    // As an app has them that never had the usual ones.
    run(
        &world.user,
        "drop table messages cascade; drop table conversations cascade; drop table contacts",
    )
    .await;
    run(&world.user, TABLES).await;
    run(
        &world.user,
        "insert into people (tel, nm) values ('(310) 555-0100', 'Ada'); insert into threads (tel, tenant) values ('1.310.555.0100', 3)",
    )
    .await;
    send(&world, &store).await;
    assert_eq!(waiting(&world).await, 1);
    assert_eq!(
        map(&world, described()).await.unwrap(),
        ["sent messages are written as [app] describes it"]
    );
    assert_eq!(retry(&store).await.unwrap(), 1, "at once");
    assert_eq!(waiting(&world).await, 0);
    let expected = "1.310.555.0100 o hello +15005550006 +13105550100 gone 7 t Ada";
    assert_eq!(one::<String>(&world.unseen, ROW).await, expected);
    // Something was sent to this number, however it is written.
    let known = "select punctual.known_numbers('{+13105550100,+13105550199}')::text";
    assert_eq!(one::<String>(&world.daemon().await, known).await, "{t,f}");

    // Another one, its status, and which sids are known.
    run(&world.unseen, "delete from texts").await;
    let (_, sid) = send(&world, &store).await;
    let daemon = world.daemon().await;
    let arrived = format!(
        "update punctual.attempts set message_status = 'delivered' where provider_sid = '{sid}'"
    );
    run(&daemon, &arrived).await;
    let write = format!(
        "select concat(refusal, words, held::text) from punctual.write_statuses(array['{sid}'])"
    );
    assert_eq!(one::<String>(&daemon, &write).await, "{}");
    assert_eq!(
        one::<String>(&world.unseen, "select st from texts").await,
        "arrived"
    );
    run(&world.unseen, "insert into texts (thread, d, st, tenant, seen, sid) select tid, 'o', 'x', 3, true, 'theirs' from threads").await;
    let known = store.known_sids(&["theirs", "nobodys"]).await.unwrap();
    assert!(known.contains("theirs") && !known.contains("nobodys"));

    // A reply, twice.
    for _ in 0..2 {
        let reply = "select concat(refusal, app_words) from punctual.write_reply('SMr', '+13105550100', '+15005550006', 'yes', now())";
        assert_eq!(one::<String>(&daemon, reply).await, "");
    }
    let replies =
        "select string_agg(concat_ws(' ', d, content, st, thread), ', ') from texts where d = 'i'";
    assert_eq!(
        one::<String>(&world.unseen, replies).await,
        "i yes received 1"
    );

    // Nothing more to do, and a daemon that is described otherwise does not start.
    let dsn = world.db.dsn();
    assert!(map(&world, described()).await.unwrap().is_empty());
    migrator(described()).check(dsn).await.unwrap();
    let other = migrator(json!({"country": "GB"}))
        .check(dsn)
        .await
        .unwrap_err();
    assert!(
        other.to_string().contains("run `punctual migrate`"),
        "{other}"
    );

    doctor_shows(&world).await;

    // What is forgotten is forgotten there too.
    run(&world.user, "delete from scheduled_messages").await;
    run(
        &world.unseen,
        "select punctual.forget('+13105550100', true)",
    )
    .await;
    let left = "select count(*) from texts where content in ('hello', 'yes') or \"to\" like '%0100' or \"from\" like '%0100'";
    assert_eq!(one::<i64>(&world.unseen, left).await, 0);
    assert_eq!(
        one::<i64>(
            &world.unseen,
            "select count(*) from people where tel is not null"
        )
        .await,
        0
    );
}

#[tokio::test]
async fn a_conversation_that_is_locked_is_waited_for_and_a_new_one_gets_its_contact() {
    let world = World::new().await;
    let store = store(&world);
    run(&world.user, TABLES).await;
    run(
        &world.user,
        "insert into people (tel, nm) values ('310 555 0100', 'Ada')",
    )
    .await;
    map(&world, described()).await.unwrap();
    send(&world, &store).await;
    let expected = "+13105550100 o hello +15005550006 +13105550100 gone 7 t Ada";
    assert_eq!(one::<String>(&world.unseen, ROW).await, expected);
    run(&world.user, "begin; select from threads for update").await;
    send(&world, &store).await;
    assert_eq!(waiting(&world).await, 1);
    run(&world.user, "commit; truncate texts").await;
    run(
        &world.unseen,
        "update punctual.outbox set next_attempt_at = now()",
    )
    .await;
    assert_eq!(retry(&store).await.unwrap(), 1);
    assert_eq!(one::<String>(&world.unseen, ROW).await, expected);
    assert_eq!(
        one::<i64>(&world.unseen, "select count(*) from threads").await,
        1
    );
}

#[tokio::test]
async fn the_usual_tables_can_be_described_too_and_the_conversation_is_written_back_on_request() {
    let world = World::new().await;
    let store = store(&world);
    run(
        &world.user,
        "insert into contacts (name, phone_number) values ('a', '3105550100');
         insert into conversations (phone_number) values ('(310) 555-0100')",
    )
    .await;
    map(
        &world,
        json!({"country": "US", "conversations": {"write_back": true}}),
    )
    .await
    .unwrap();
    let (id, _) = send(&world, &store).await;
    let all = "select count(*) from conversations";
    assert_eq!(one::<i64>(&world.unseen, all).await, 1);
    let same = format!(
        "select c.id = s.conversation_id and c.id = m.conversation_id and k.name = 'a' and m.body = 'hello'
                and m.scheduled_message_id = s.id and s.status = 'sent'
           from scheduled_messages s, messages m, conversations c join contacts k on k.id = c.contact_id where s.id = '{id}'"
    );
    assert!(one::<bool>(&world.unseen, &same).await);

    Migrator::embedded().unmap(world.db.dsn()).await.unwrap();
    send(&world, &store).await;
    assert_eq!(
        one::<i64>(&world.unseen, all).await,
        2,
        "by the number as it is written"
    );
    let left = "select count(*) from pg_class where relname ~ '^punctual_app_'";
    assert_eq!(one::<i64>(&world.unseen, left).await, 0);
}

/// What is wrong with the tables or the settings, what is changed of the settings, and what is said.
#[tokio::test]
async fn what_cannot_be_written_is_refused_with_what_to_do() {
    let world = World::new().await;
    run(&world.user, TABLES).await;
    for (path, value, expected) in [
        (
            "/messages/table",
            json!("nowhere"),
            "there is no table nowhere (app.messages.table)",
        ),
        (
            "/messages/columns/body",
            json!("words"),
            "the table public.texts has no column words: correct app.messages.columns.body",
        ),
        (
            "/messages/columns/body",
            json!("tenant"),
            "column tenant of public.texts is integer and must be text: name another one in app.messages.columns.body",
        ),
        (
            "/messages/columns/conversation_id",
            json!(""),
            "column thread of public.texts is not null and has no default",
        ),
        (
            "/messages/constants",
            json!({"tenant": 7}),
            "column seen of public.texts is not null and has no default: give it a value in app.messages.constants",
        ),
        (
            "/messages/constants/tenant",
            json!("x"),
            "column tenant of public.texts is integer, which the value in app.messages.constants is not",
        ),
        (
            "/messages/constants/none",
            json!("x"),
            "the table public.texts has no column none: correct app.messages.constants",
        ),
        (
            "/messages/constants/content",
            json!("x"),
            "column content of public.texts is written by app.messages.columns already",
        ),
        (
            "/messages/words",
            json!({}),
            "or give another word in app.messages.words.outbound",
        ),
        (
            "/conversations/columns/id",
            json!("tel"),
            "must be its primary key, or unique (app.conversations.columns.id)",
        ),
        (
            "/conversations/write_back",
            json!(true),
            "app.conversations.write_back needs an id that is a uuid",
        ),
        (
            "/contacts/columns/id",
            json!("tel"),
            "and the id of public.people is text: name columns of one type",
        ),
    ] {
        let mut described = described();
        let (parent, name) = path.rsplit_once('/').unwrap();
        described.pointer_mut(parent).unwrap()[name] = value;
        let said = map(&world, described).await.unwrap_err();
        assert!(said.contains(expected), "{path}: {said}");
        let known: i64 = one(&world.unseen, "select count(*) from punctual.app_tables").await;
        assert_eq!(known, 0, "{path}");
    }
    // Somebody else's, whose triggers would run with this role's rights.
    run(&world.unseen, "create role theirs_of_mapped; alter table texts owner to theirs_of_mapped; create role me_of_mapped").await;
    let faults = "select array_to_string(punctual.app_faults('{\"messages\": {\"table\": \"texts\"}}'), ';')";
    run(
        &world.user,
        "grant usage on schema punctual to me_of_mapped; set role me_of_mapped",
    )
    .await;
    assert!(
        one::<String>(&world.user, faults)
            .await
            .contains("belongs to another role")
    );
    run(&world.user, "reset role").await;
    run(&world.unseen, "alter table texts owner to current_user; drop owned by me_of_mapped; drop role me_of_mapped, theirs_of_mapped").await;
}

/// The key of a number by which tables are read.
async fn key(client: &Client, plan: &DialPlan, number: &str) -> String {
    let plan = serde_json::to_string(plan).unwrap();
    let sql = "select punctual.number_text($1::text::jsonb, quote_literal($2::text))";
    let expression: String = client
        .query_one(sql, &[&plan, &number])
        .await
        .unwrap()
        .get(0);
    one(client, &format!("select {expression}")).await
}

/// Recorded with Python's `phonenumbers` 9.0.33: examples of regions and kinds, as it writes them in E.164, nationally
/// and internationally.
const WRITTEN: &str = include_str!("mapped/written.txt");

#[tokio::test]
async fn a_number_is_the_same_in_every_form() {
    let world = World::new().await;
    for line in WRITTEN.lines() {
        let parts: Vec<_> = line.split('\t').collect();
        let [region, kind, wanted, national, international] = parts[..] else {
            panic!("{line}");
        };
        let plan = DialPlan::of(region).unwrap();
        // Without the sign only mobile numbers are sure to differ from ones without the code.
        let bare = match kind {
            "mobile" => wanted.trim_start_matches('+'),
            _ => wanted,
        };
        for written in [
            bare,
            wanted,
            national,
            international,
            &international.replace(' ', "."),
            &format!(" {national}\u{a0}"),
        ] {
            assert_eq!(
                key(&world.user, &plan, written).await,
                wanted,
                "{region}: {written}"
            );
        }
    }
    let (us, gb) = (DialPlan::of("US").unwrap(), DialPlan::of("GB").unwrap());
    for (plan, one, other) in [
        (&us, "12345", "2345"),
        (&us, "3105550100", "3105550101"),
        (&us, "+13105550100", "+443105550100"),
        (&gb, "07911123456", "07911123457"),
        (&gb, "-", "?"),
    ] {
        let (one, other) = (
            key(&world.user, plan, one).await,
            key(&world.user, plan, other).await,
        );
        assert_ne!(one, other);
    }
    for (plan, written, wanted) in [
        (&us, "13105550100", "+13105550100"),
        (&us, "011 44 7911 123456", "+447911123456"),
        (&gb, "447911123456", "+447911123456"),
        (&gb, "+44 (0) 7911 123456", "+447911123456"),
        (&gb, "001 310 555 0100", "+13105550100"),
        // No numbers: as they are.
        (&us, "whatsapp:+13105550100", "whatsapp:+13105550100"),
        (&us, "a@b.example", "a@b.example"),
        (&us, "", ""),
    ] {
        assert_eq!(key(&world.user, plan, written).await, wanted, "{written}");
    }
}
