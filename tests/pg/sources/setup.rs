//! How a source table is followed, and no longer.

use punctual::store::{MigrateError, Migrator, SourceTable};
use serde_json::{Value, json};

use super::{TABLE, follow, followed, reminders};
use crate::ours::{accepted, recorded, store};
use crate::rows::{World, one, refused, run, until};

/// The description with one value changed; `null` removes it.
fn with(path: &str, value: Value) -> SourceTable {
    let mut described = serde_json::to_value(reminders()).unwrap();
    let (parent, name) = path.rsplit_once('/').unwrap();
    let parent = described
        .pointer_mut(parent)
        .unwrap()
        .as_object_mut()
        .unwrap();
    match value {
        Value::Null => parent.remove(name),
        value => parent.insert(name.to_owned(), value),
    };
    serde_json::from_value(described).unwrap()
}

/// What `migrate` says that it cannot follow.
async fn refusal(world: &World, source: SourceTable) -> String {
    let migrator = Migrator::embedded().following(vec![source]);
    let refused = migrator.run(world.db.dsn()).await.unwrap_err();
    assert!(matches!(refused, MigrateError::Refused { .. }), "{refused}");
    refused.to_string()
}

#[tokio::test]
async fn rows_that_were_there_before_are_followed_by_the_same_rules() {
    let world = World::new().await;
    run(&world.user, TABLE).await;
    run(
        &world.user,
        "insert into reminders (phone, words, at, stage)
         select '+13105550100', 'hello', now() + (n - 3) * interval '1 day',
                (array['waiting', 'gone', 'taken'])[1 + n % 3]::stage
           from generate_series(1, 7500) n",
    )
    .await;
    // A transaction that is open holds up its row and no other.
    let holder = world.db.client().await;
    run(
        &holder,
        "begin; select from reminders where id = 300 for update",
    )
    .await;
    let ends = async {
        until(
            &world.unseen,
            "select count(*) = 2499 from punctual.source_rows",
        )
        .await;
        run(&holder, "commit").await;
    };
    let (done, ()) = tokio::join!(follow(&world, vec![reminders()]), ends);
    assert_eq!(done, ["rem: 2500 rows that were there before"]);
    assert_eq!(world.tally().await, "pending 2500");
    assert_eq!(
        follow(&world, vec![reminders()]).await,
        Vec::<String>::new(),
        "nothing to do"
    );
    let migrator = Migrator::embedded().following(vec![reminders()]);
    migrator.check(world.db.dsn()).await.unwrap();

    // A word more: its rows are followed too.
    let more = with("/words/pending", json!(["waiting", "taken"]));
    let more = with_words(more, json!([]));
    let other = Migrator::embedded().following(vec![more.clone()]);
    let error = other.check(world.db.dsn()).await.unwrap_err().to_string();
    assert!(error.contains("rem is not followed"), "{error}");
    assert_eq!(
        follow(&world, vec![more]).await,
        ["rem: 2500 rows that were there before"]
    );
}

/// The same with these words for a sender of the app's.
fn with_words(source: SourceTable, claimed: Value) -> SourceTable {
    let mut described = serde_json::to_value(source).unwrap();
    described["words"]["claimed"] = claimed;
    serde_json::from_value(described).unwrap()
}

#[tokio::test]
async fn unfollowed_the_table_is_as_it_was_and_nothing_of_it_is_sent() {
    let world = followed().await;
    let store = store(&world);
    let migrator = Migrator::embedded();
    let waiting = world.reminds(3600).await;
    let (sent, claim) = world.claimed(&store).await;
    let refuses = async |why: &str| {
        let error = migrator
            .unfollow(world.db.dsn(), "rem")
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("1 messages of the source rem are being sent, or have an outcome"),
            "{why}: {error}"
        );
        assert_eq!(world.both(waiting).await, "waiting pending", "{why}");
    };
    refuses("it is being sent").await;
    assert_eq!(recorded(&store, &[accepted(&claim)]).await, 1);
    refuses("its outcome is not written").await;
    store.write_back(10).await.unwrap();
    let before: String = one(
        &world.unseen,
        "select string_agg(r::text, '; ' order by id) from reminders r",
    )
    .await;
    migrator.unfollow(world.db.dsn(), "rem").await.unwrap();
    let after: String = one(
        &world.unseen,
        "select string_agg(r::text, '; ' order by id) from reminders r",
    )
    .await;
    assert_eq!(before, after);
    assert_eq!(world.tally().await, "sent 1", "what has happened stays");
    world.change(sent, "stage = 'waiting'").await;
    world.change(waiting, "stage = 'taken'").await;
    assert_eq!(world.tally().await, "sent 1");
    let left: i64 = one(
        &world.unseen,
        "select (select count(*) from pg_proc where proname like 'source\\_\\_%')
              + (select count(*) from pg_trigger where tgrelid = 'reminders'::regclass)
              + (select count(*) from punctual.source_rows) + (select count(*) from punctual.sources)",
    )
    .await;
    assert_eq!(left, 0);
    let error = migrator
        .unfollow(world.db.dsn(), "rem")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("there is no source rem; followed are: none"),
        "{error}"
    );
}

/// What of a description does not fit the table: where, the value there as JSON, and what is said of it.
const IN_THE_WAY: [(&str, &str, &str); 9] = [
    (
        "/columns/time",
        r#""title""#,
        "column title is text and must be timestamptz (columns.time)",
    ),
    (
        "/columns/key",
        r#""at""#,
        "column at is timestamp with time zone and must be an integer, a uuid or text (columns.key)",
    ),
    (
        "/columns/body",
        r#""nowhere""#,
        "it has no column nowhere (columns.body)",
    ),
    (
        "/columns/key",
        r#""title""#,
        "column title must be its primary key, or unique and not null",
    ),
    (
        "/columns/error",
        r#""tries""#,
        "column tries is integer and must be text (columns.error)",
    ),
    (
        "/words/sent",
        r#""waiting""#,
        "the word 'waiting' is for rows that are to be sent",
    ),
    (
        "/words/claimed",
        r#"["waiting"]"#,
        "cannot be in both words.pending and words.claimed",
    ),
    (
        "/words/failed",
        r#""broken""#,
        "has no word 'broken': alter type public.stage add value 'broken'",
    ),
    (
        "/table",
        r#""scheduled_messages""#,
        "it is the table of the messages themselves",
    ),
];

#[tokio::test]
async fn a_table_that_cannot_be_followed_is_refused_with_all_that_is_in_the_way() {
    let world = World::new().await;
    let none = refusal(&world, reminders()).await;
    assert!(
        none.contains("the source rem cannot follow the table public.reminders"),
        "{none}"
    );
    assert!(none.contains("there is no such table"), "{none}");
    run(&world.user, TABLE).await;
    for (path, value, expected) in IN_THE_WAY {
        let value = serde_json::from_str(value).unwrap();
        let said = refusal(&world, with(path, value)).await;
        assert!(said.contains(expected), "{said}");
    }
    run(
        &world.user,
        "alter table reminders alter stage drop default, alter stage type text using stage::text;
         alter table reminders add constraint known check (stage in ('waiting', 'taken', 'gone', 'bad', 'stopped'));
         create function own() returns trigger language plpgsql as 'begin return new; end';
         create trigger own before insert on scheduled_messages for each row execute function own()",
    )
    .await;
    let said = refusal(&world, reminders()).await;
    for expected in [
        "the constraint known refuses the word 'arrived'",
        "the constraint known refuses the word 'unsure'",
        "scheduled_messages has the trigger own, which is not Punctual's",
    ] {
        assert!(said.contains(expected), "{said}");
    }
    let nothing: i64 = one(
        &world.unseen,
        "select (select count(*) from punctual.sources)
              + (select count(*) from pg_trigger where tgrelid = 'reminders'::regclass)",
    )
    .await;
    assert_eq!(nothing, 0);
    run(
        &world.user,
        "drop trigger own on scheduled_messages; alter table reminders drop constraint known",
    )
    .await;
    follow(&world, vec![reminders()]).await;
    let second = serde_json::to_value(reminders()).unwrap();
    let mut second: Value = second;
    second["name"] = json!("second");
    let said = refusal(&world, serde_json::from_value(second).unwrap()).await;
    assert!(said.contains("the source rem follows it already"), "{said}");
    for (path, value) in [
        ("/columns/body", json!("title")),
        ("/columns/timezone", json!("title")),
        ("/words/pending", json!(["taken"])),
    ] {
        let said = refusal(&world, with(path, value)).await;
        assert!(
            said.contains("punctual migrate --unfollow rem first"),
            "{said}"
        );
    }
    let written = with("/columns/error", json!("title"));
    follow(&world, vec![written]).await;
}

#[tokio::test]
async fn keys_of_any_type_and_names_of_any_kind_are_followed() {
    for (number, (kind, literal)) in (1..).zip([
        ("uuid", "'4fd6d0a4-8c1f-4b0e-9c22-0a1f3f0a0001'"),
        ("text", "'it''s \"a\" key'"),
        ("int", "7"),
        ("bigint", "7"),
    ]) {
        let world = World::new().await;
        run(
            &world.user,
            &format!(
                "create schema \"The App\";
                 create table \"The App\".\"It's {number}\" (\"the Key\" {kind} primary key, \"to\" varchar(20), \"text\" text,
                   \"when\" timestamptz, \"state $made$\" varchar(10) not null)"
            ),
        )
        .await;
        let described = json!({
            "name": format!("s{number}"), "schema": "The App", "table": format!("It's {number}"),
            "columns": {"key": "the Key", "time": "when", "body": "text", "number": "to", "status": "state $made$"},
            "words": {"pending": ["it's due"], "sent": "sent", "failed": "failed", "cancelled": "ended",
                      "delivered": "sent", "unconfirmed": "failed"}
        });
        let said = if kind == "uuid" {
            // A name that would end the body of a function that is made.
            Some(refusal(&world, serde_json::from_value(described.clone()).unwrap()).await)
        } else {
            None
        };
        assert!(said.is_none_or(|said| said.contains("a name with $made$")));
        let rename = format!(
            "alter table \"The App\".\"It's {number}\" rename \"state $made$\" to \"state $1\""
        );
        run(&world.user, &rename).await;
        let described = described.to_string().replace("$made$", "$1");
        let source: SourceTable = serde_json::from_str(&described).unwrap();
        follow(&world, vec![source]).await;
        let row = format!(
            "insert into \"The App\".\"It's {number}\" values ({literal}, '+13105550100', 'hello', now(), 'it''s due')"
        );
        run(&world.user, &row).await;
        let store = store(&world);
        let id = one(&world.unseen, "select message_id from punctual.source_rows").await;
        let claim = crate::ours::won(&store, &[id]).await.remove(0);
        refused(
            &world.user,
            &format!("delete from \"The App\".\"It's {number}\""),
        )
        .await;
        assert_eq!(recorded(&store, &[accepted(&claim)]).await, 1);
        assert_eq!(store.write_back(10).await.unwrap(), 1);
        let status = format!("select \"state $1\"::text from \"The App\".\"It's {number}\"");
        assert_eq!(one::<String>(&world.unseen, &status).await, "sent");
        run(
            &world.user,
            &format!("delete from \"The App\".\"It's {number}\""),
        )
        .await;
        assert_eq!(world.tally().await, "", "{kind}");
    }
}

#[tokio::test]
async fn numbers_of_another_table_are_those_of_the_claim() {
    const ADA: &str = "11111111-1111-4111-8111-111111111111";
    let world = World::new().await;
    run(&world.user, TABLE).await;
    run(&world.user, "alter table reminders add whose uuid").await;
    let mut described = serde_json::to_value(reminders()).unwrap();
    let columns = described["columns"].as_object_mut().unwrap();
    columns.remove("number");
    columns.insert("user".to_owned(), json!("whose"));
    let nowhere = json!({"table": "user_sms_preferences", "key": "user_id", "column": "nowhere"});
    described["number_from"] = nowhere;
    let said = refusal(&world, serde_json::from_value(described.clone()).unwrap()).await;
    assert!(
        said.contains("has no column nowhere (number_from.column)"),
        "{said}"
    );
    described["number_from"]["column"] = json!("phone_number");
    let source: SourceTable = serde_json::from_value(described).unwrap();
    follow(&world, vec![source.clone()]).await;

    let key = world.reminds(0).await;
    world.change(key, &format!("whose = '{ADA}'")).await;
    let id = world.message(key).await;
    let number = async || world.get::<String>(id, "to_number").await;
    assert_eq!(number().await, "");
    let prefer = format!(
        "insert into user_sms_preferences (user_id, phone_number, phone_verified, quiet_hours_start, quiet_hours_end)
         values ('{ADA}', '+13105550101', true, null, null)"
    );
    run(&world.user, &prefer).await;
    assert_eq!(number().await, "+13105550101");
    let becomes = async |number: &str| {
        let sql = format!("update user_sms_preferences set phone_number = '{number}'");
        run(&world.user, &sql).await;
    };
    becomes("+13105550102").await;
    assert_eq!(number().await, "+13105550102");
    // What is being sent goes where it goes, and its retry to the number of then.
    let store = store(&world);
    let claim = crate::ours::won(&store, &[id]).await.remove(0);
    becomes("+13105550103").await;
    assert_eq!(number().await, "+13105550102");
    let released = crate::ours::record(&claim, punctual::settle::Settlement::returned("released"));
    assert_eq!(recorded(&store, &[released]).await, 1);
    store.write_back(10).await.unwrap();
    assert_eq!(number().await, "+13105550103");
    run(&world.user, "delete from user_sms_preferences").await;
    assert_eq!(number().await, "");
    // Others are not concerned.
    run(&world.user, &prefer).await;
    let own = format!(
        "insert into scheduled_messages (to_number, body, scheduled_at, user_id) values ('+13105550109', 'x', now(), '{ADA}')"
    );
    run(&world.user, &own).await;
    becomes("+13105550104").await;
    assert_eq!(number().await, "+13105550104");
    let others: i64 = one(
        &world.unseen,
        "select count(*) from scheduled_messages where to_number = '+13105550109'",
    )
    .await;
    assert_eq!(others, 1);
    Migrator::embedded()
        .unfollow(world.db.dsn(), "rem")
        .await
        .unwrap();
    let left: i64 = one(
        &world.unseen,
        "select count(*) from pg_trigger where tgname like 'punctual\\_numbers%'",
    )
    .await;
    assert_eq!(left, 0);
}

#[tokio::test]
async fn an_update_does_not_stop_at_a_record_whose_table_is_gone() {
    let world = World::new().await;
    run(&world.user, TABLE).await;
    let notes = "create table notes (id uuid primary key, about jsonb, state text)";
    run(&world.user, notes).await;
    let record = || {
        json!([{
            "table": "notes", "key": "id", "names": {"column": "about", "field": "reminder"},
            "columns": {"status": "state"},
            "words": {"pending": ["waiting"], "claimed": [], "sent": "sent", "delivered": "sent", "failed": "failed",
                      "cancelled": "cancelled", "unconfirmed": "sent"},
        }])
    };
    follow(&world, vec![with("/record", record())]).await;
    // As an earlier version had made it.
    let earlier = "create function punctual.source__rem_back(text, uuid) returns boolean language sql as 'select true';
                   update punctual.triggers set checksum = '' where name like '%/sources.sql';
                   drop table notes";
    run(&world.unseen, earlier).await;
    Migrator::embedded().run(world.db.dsn()).await.unwrap();
    let gone = "select to_regprocedure('punctual.source__rem_back(text, uuid)') is null";
    assert!(one::<bool>(&world.unseen, gone).await);
    let why = refusal(&world, with("/record", record())).await;
    assert!(why.contains("there is no table notes"), "{why}");
}
