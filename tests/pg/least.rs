//! The rights of the daemon's role are those that its statements need: Postgres says of each statement which tables
//! and columns it writes, and this is compared with what `migrate --role` grants.

use std::collections::{BTreeMap, BTreeSet};

use punctual::store::Migrator;
use tokio_postgres::Client;

use crate::harness::TestDb;
use crate::live_app::{role, session_as};
use crate::plans::statements;
use crate::rows::{one, refused, run, said};

/// Statements that are not the daemon's: an app's or a person's, and those of `migrate` and `doctor`.
const NOT_THE_DAEMONS: &[&str] = &["app/user_", "schema/", "session/"];

/// What is done to a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Use {
    inserts: bool,
    deletes: bool,
    /// `for update` and the like need the right to update some column.
    locks: bool,
    updates: BTreeSet<String>,
}

/// What each statement of the daemon does to which table, by the server's own analysis of it.
async fn uses(client: &Client) -> BTreeMap<String, Use> {
    let mut found: BTreeMap<String, Use> = BTreeMap::new();
    for (name, sql) in statements() {
        if NOT_THE_DAEMONS.iter().any(|apart| name.starts_with(apart)) {
            continue;
        }
        let prepared = client.prepare(&sql).await;
        let prepared = prepared.unwrap_or_else(|error| panic!("{name}: {}", said(&error)));
        let types = prepared.params().iter().map(|ty| {
            let plain = ty.name().strip_prefix('_');
            plain.map_or_else(|| ty.name().to_owned(), |element| format!("{element}[]"))
        });
        let types = types.collect::<Vec<_>>().join(", ");
        run(
            client,
            &format!("create function analysed({types}) returns int language sql begin atomic {sql}; select 1; end"),
        )
        .await;
        let tree: String = one(
            client,
            "select prosqlbody::text from pg_proc where proname = 'analysed'",
        )
        .await;
        run(client, "drop function analysed").await;
        for (relation, rights, updated) in permissions(&tree) {
            let table: String = one(client, &format!("select {relation}::regclass::text")).await;
            let used = found.entry(table).or_default();
            used.inserts |= rights & 1 != 0;
            used.locks |= rights & 4 != 0;
            used.deletes |= rights & 8 != 0;
            for number in updated {
                let column = format!(
                    "select attname::text from pg_attribute where attrelid = {relation} and attnum = {number}"
                );
                used.updates.insert(one(client, &column).await);
            }
        }
    }
    found
}

/// Of a query tree: each relation whose rights are checked, which rights, and the columns that are updated.
fn permissions(tree: &str) -> Vec<(u32, u32, Vec<i32>)> {
    let mut found = Vec::new();
    let mut before = 0;
    while let Some(at) = tree[before..].find(":requiredPerms ") {
        let at = before + at;
        let rest = &tree[at + ":requiredPerms ".len()..];
        let rights: u32 = word(rest).parse().unwrap();
        if rights != 0 {
            let relation = tree[before..at].rfind(":relid ").unwrap();
            let relation = word(&tree[before + relation + ":relid ".len()..at]);
            let columns = &rest[rest.find(":updatedCols (b").unwrap() + ":updatedCols (b".len()..];
            let columns = &columns[..columns.find(')').unwrap()];
            // Numbers of columns are stored with an offset, because those of system columns are negative.
            let columns = columns
                .split_whitespace()
                .map(|n| n.parse::<i32>().unwrap() - 7);
            found.push((relation.parse().unwrap(), rights, columns.collect()));
        }
        before = at + 1;
    }
    found
}

fn word(text: &str) -> &str {
    text.split_whitespace().next().unwrap()
}

/// What the daemon's functions write that run with its own rights: table, columns, whether they insert and delete. The
/// test below finds each column in the text of one of them.
const BY_FUNCTIONS: &[(&str, &[&str], bool, bool)] = &[
    (
        "punctual.daily_counts",
        &["count", "wanted", "most", "app_left", "granted"],
        true,
        false,
    ),
    ("punctual.costs", &[], true, false),
    ("punctual.bursts", &["what", "at"], true, false),
    ("punctual.outbox", &[], true, false),
    ("punctual.notes", &[], true, false),
    (
        "punctual.missed_event_changes",
        &["refused_at"],
        false,
        true,
    ),
    (
        "punctual.drafts",
        &["version", "facts", "event", "vars", "needed_by", "asked_at"],
        true,
        false,
    ),
    (
        "scheduled_messages",
        &["scheduled_at", "event_start", "template_vars"],
        false,
        false,
    ),
    (
        "conversations",
        &["last_message_at", "updated_at"],
        true,
        false,
    ),
    (
        "messages",
        &[
            "status",
            "body",
            "updated_at",
            "delivered_at",
            "twilio_status",
            "twilio_error_code",
        ],
        true,
        false,
    ),
];

/// The texts of the functions that are called by a daemon and have no more rights than it has.
async fn functions(client: &Client) -> String {
    one(
        client,
        "select string_agg(prosrc, E'\\n') from pg_proc
          where pronamespace = 'punctual'::regnamespace and not prosecdef",
    )
    .await
}

#[tokio::test]
async fn the_daemons_role_has_what_its_statements_need_and_no_more() {
    let db = TestDb::new().await;
    let client = db.client().await;
    let mut needed = uses(&client).await;
    let source = functions(&client).await;
    for (table, columns, inserts, deletes) in BY_FUNCTIONS {
        let used = needed.entry((*table).to_owned()).or_default();
        used.inserts |= inserts;
        used.deletes |= deletes;
        for column in *columns {
            let written = format!("{column} = ");
            assert!(
                source.contains(&written),
                "no function writes {table}.{column}"
            );
            used.updates.insert((*column).to_owned());
        }
    }
    // For `punctual schedule`, with which a person tries out a daemon's settings.
    needed.get_mut("scheduled_messages").unwrap().inserts = true;

    role(&db, "least", "").await;
    Migrator::embedded().grant(db.dsn(), "least").await.unwrap();
    let tables = "select coalesce(array_agg(c.oid::regclass::text), '{}') from pg_class c
                   where c.relkind = 'r' and c.relnamespace in ('punctual'::regnamespace, 'public'::regnamespace)";
    for table in one::<Vec<String>>(&client, tables).await {
        let used = needed.remove(&table).unwrap_or_default();
        let may = async |right: &str| -> bool {
            one(
                &client,
                &format!("select has_table_privilege('least', '{table}', '{right}')"),
            )
            .await
        };
        assert_eq!(may("INSERT").await, used.inserts, "INSERT on {table}");
        assert_eq!(may("DELETE").await, used.deletes, "DELETE on {table}");
        for right in ["TRUNCATE", "TRIGGER", "REFERENCES"] {
            assert!(!may(right).await, "{right} on {table}");
        }
        let columns = format!(
            "select coalesce(array_agg(attname::text), '{{}}') from pg_attribute
              where attrelid = '{table}'::regclass and attnum > 0 and not attisdropped
                and has_column_privilege('least', attrelid, attnum, 'UPDATE')"
        );
        let columns: BTreeSet<String> = one::<Vec<String>>(&client, &columns)
            .await
            .into_iter()
            .collect();
        assert_eq!(columns, used.updates, "UPDATE on {table}");
        assert!(
            !used.locks || !used.updates.is_empty(),
            "it may not lock rows of {table}"
        );
    }
    assert!(needed.is_empty(), "{needed:?}");
}

#[tokio::test]
async fn its_password_suffices_neither_to_delete_nor_to_change_what_happened() {
    let db = TestDb::new().await;
    role(&db, "least_thief", "").await;
    let owner = db.client().await;
    run(
        &owner,
        "insert into punctual.attempts (token, message_id, number, instance, lease_until)
         values (gen_random_uuid(), gen_random_uuid(), 1, gen_random_uuid(), now())",
    )
    .await;
    let migrator = Migrator::embedded();
    // As earlier versions granted it.
    let before = "grant usage on schema public, punctual to least_thief;
        grant select, insert, update, delete on all tables in schema punctual to least_thief;
        grant select, insert, update on scheduled_messages, conversations, messages to least_thief;
        grant trigger, references on punctual.attempts, scheduled_messages to least_thief;
        grant update (message_id) on punctual.attempts to least_thief";
    run(&owner, before).await;
    let thief = session_as(&db, "least_thief").await;
    run(&thief, "begin; delete from punctual.attempts; rollback").await;
    assert!(
        !migrator
            .grant(db.dsn(), "least_thief")
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        migrator.grant(db.dsn(), "least_thief").await.unwrap(),
        Vec::<String>::new()
    );

    for statement in [
        "delete from punctual.attempts",
        "truncate punctual.attempts",
        // One that drops what others write.
        "create trigger suppresses before insert on punctual.attempts
           for each row execute function suppress_redundant_updates_trigger()",
        "update punctual.attempts set message_id = gen_random_uuid()",
        "update punctual.attempts set claimed_at = now()",
        "update punctual.attempts set instance = gen_random_uuid()",
        "delete from punctual.receipts",
        "update punctual.receipts set status = 'x'",
        "delete from punctual.notes",
        "delete from punctual.instances",
        "delete from punctual.opt_replies",
        "delete from scheduled_messages",
        "update scheduled_messages set body = 'x'",
        "update scheduled_messages set to_number = 'x'",
        "update messages set to_number = 'x'",
        "delete from messages",
        "update conversations set phone_number = 'x'",
    ] {
        let error = thief.execute(statement, &[]).await.expect_err(statement);
        assert_eq!(
            error.code().unwrap().code(),
            "42501",
            "{statement}: {}",
            said(&error)
        );
    }

    // It deletes by this function alone, and nothing young.
    let young = "select punctual.retain('attempts', null, '29 days', null, 1)";
    let error = thief.execute(young, &[]).await.expect_err(young);
    assert_eq!(error.code().unwrap().code(), "22023", "{}", said(&error));

    // What follows its event while it is pending has its time for good after that, whoever claims to be the daemon.
    run(
        &owner,
        "set session_replication_role = replica;
         insert into scheduled_messages (to_number, body, scheduled_at, status) values ('+13105550100', 'x', now(), 'sent')",
    )
    .await;
    for writer in ["on", ""] {
        run(&thief, &format!("set punctual.writer = '{writer}'")).await;
        for change in [
            "scheduled_at = now() - interval '1 day'",
            "template_vars = '{}'",
        ] {
            let statement = format!("update scheduled_messages set {change}");
            assert!(refused(&thief, &statement).await.contains("too late"));
        }
    }
}
