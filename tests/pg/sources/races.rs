//! What happens between two transactions, and what is refused for its rights: cases that reading had found.

use punctual::message::MessageId;
use punctual::policy::{Rules, Validate};
use punctual::store::operator::{Act, Acted, Actor};
use punctual::store::{Migrator, SourceTable};
use serde_json::json;

use super::{TABLE, follow, followed, reminders};
use crate::live_app::role;
use crate::ours::{accepted, recorded, rules, store, won};
use crate::rows::{World, one, run, until};

const ADA: &str = "11111111-1111-4111-8111-111111111111";
const BEN: &str = "22222222-2222-4222-8222-222222222222";

/// The source, with its numbers in the users' preferences.
fn by_users() -> SourceTable {
    let mut described = serde_json::to_value(reminders()).unwrap();
    let columns = described["columns"].as_object_mut().unwrap();
    columns.remove("number");
    columns.insert("user".to_owned(), json!("whose"));
    described["number_from"] =
        json!({"table": "user_sms_preferences", "key": "user_id", "column": "phone_number"});
    serde_json::from_value(described).unwrap()
}

/// The table, with users and their numbers.
async fn with_users() -> World {
    let world = World::new().await;
    run(&world.user, TABLE).await;
    let users = format!(
        "alter table reminders add whose uuid;
         insert into user_sms_preferences (user_id, phone_number, phone_verified, quiet_hours_start, quiet_hours_end)
         values ('{ADA}', '+13105550101', true, null, null), ('{BEN}', '+13105550102', true, null, null)"
    );
    run(&world.user, &users).await;
    world
}

/// A row of a user.
fn reminds(whose: &str) -> String {
    format!(
        "insert into reminders (words, at, whose) values ('hello', now(), '{whose}') returning id"
    )
}

/// Whether a session waits for a lock.
const WAITS: &str = "exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')";

#[tokio::test]
async fn a_message_that_was_made_and_sent_while_rows_were_followed_is_not_made_again() {
    let world = with_users().await;
    let first: i64 = one(&world.user, &reminds(ADA)).await;
    let second: i64 = one(&world.user, &reminds(BEN)).await;
    // The look-up of the first row's number waits; what the statement sees of the second is from before.
    let holder = world.db.client().await;
    let hold =
        format!("begin; select from user_sms_preferences where user_id = '{ADA}' for update");
    run(&holder, &hold).await;
    let store = store(&world);
    let meanwhile = async {
        until(
            &world.unseen,
            "select to_regprocedure('punctual.source__rem_fill(text,int)') is not null",
        )
        .await;
        until(&world.unseen, WAITS).await;
        world.change(second, "words = 'changed'").await;
        let id = world.message(second).await;
        let claim = won(&store, &[id]).await.remove(0);
        assert_eq!(recorded(&store, &[accepted(&claim)]).await, 1);
        run(&holder, "commit").await;
        id
    };
    let (_, sent) = tokio::join!(follow(&world, vec![by_users()]), meanwhile);
    assert_eq!(world.message(second).await, sent);
    assert_eq!(world.tally().await, "pending 1, sent 1");
    assert_eq!(world.both(first).await, "waiting pending");
    store.write_back(10).await.unwrap();
    assert_eq!(world.both(second).await, "gone sent");
}

#[tokio::test]
async fn a_row_that_is_inserted_while_its_number_changes_has_the_new_one() {
    let world = with_users().await;
    follow(&world, vec![by_users()]).await;
    let app = world.db.client().await;
    run(&app, "begin").await;
    let key: i64 = one(&app, &reminds(ADA)).await;
    let other = world.db.client().await;
    let change = format!(
        "update user_sms_preferences set phone_number = '+13105550109' where user_id = '{ADA}'"
    );
    let changed = async { run(&other, &change).await };
    let committed = async {
        until(&world.unseen, WAITS).await;
        run(&app, "commit").await;
    };
    tokio::join!(changed, committed);
    let id = world.message(key).await;
    assert_eq!(world.get::<String>(id, "to_number").await, "+13105550109");
    run(&world.user, "truncate user_sms_preferences").await;
    assert_eq!(world.get::<String>(id, "to_number").await, "");
}

#[tokio::test]
async fn where_what_cannot_be_sent_is_refused_a_user_may_still_lose_the_number() {
    let world = with_users().await;
    follow(&world, vec![by_users()]).await;
    let refuses = Rules {
        validate: Validate::Refuse,
        ..rules()
    };
    store(&world).keep_settings(&refuses).await.unwrap();
    let key: i64 = one(&world.user, &reminds(ADA)).await;
    run(&world.user, "delete from user_sms_preferences").await;
    let without: i64 = one(&world.user, &reminds(BEN)).await;
    for key in [key, without] {
        let id = world.message(key).await;
        assert_eq!(world.get::<String>(id, "to_number").await, "");
    }
}

#[tokio::test]
async fn what_the_apps_sender_took_is_not_retried_by_a_person() {
    let world = followed().await;
    let key = world.reminds(3600).await;
    let id = world.message(key).await;
    world.change(key, "stage = 'bad'").await;
    world.change(key, "stage = 'taken'").await;
    assert_eq!(world.both(key).await, "taken failed");
    let ada = Actor::named(Some("Ada"), "operator");
    let done = store(&world)
        .act(MessageId(id), &Act::Retry(None), &ada)
        .await
        .unwrap();
    assert!(matches!(done, Acted::Refused(_)), "{done:?}");
    assert_eq!(world.both(key).await, "taken failed");
}

#[tokio::test]
async fn a_row_with_a_word_that_is_added_is_followed_though_its_transaction_was_open() {
    let world = followed().await;
    let app = world.db.client().await;
    run(&app, "begin").await;
    let row = "insert into reminders (phone, words, at, stage) values ('+13105550100', 'hello', now(), 'taken') returning id";
    let key: i64 = one(&app, row).await;
    let mut more = serde_json::to_value(reminders()).unwrap();
    more["words"]["pending"] = json!(["waiting", "taken"]);
    more["words"]["claimed"] = json!([]);
    let more = serde_json::from_value(more).unwrap();
    let committed = async {
        until(&world.unseen, WAITS).await;
        run(&app, "commit").await;
    };
    let (done, ()) = tokio::join!(follow(&world, vec![more]), committed);
    assert_eq!(done, ["rem: 1 rows that were there before"]);
    assert_eq!(world.both(key).await, "taken pending");
}

#[tokio::test]
async fn a_table_of_another_role_is_not_followed_with_the_rights_of_a_superuser() {
    let world = World::new().await;
    run(&world.user, TABLE).await;
    role(&world.db, "source_stranger", "").await;
    run(
        &world.unseen,
        "alter table reminders owner to source_stranger",
    )
    .await;
    let migrator = Migrator::embedded().following(vec![reminders()]);
    let refused = migrator.run(world.db.dsn()).await.unwrap_err().to_string();
    assert!(refused.contains("it belongs to another role"), "{refused}");
    run(&world.unseen, "alter table reminders owner to current_user").await;
    // Nor are outcomes written to a record of another role's.
    let records = "create table texts (id bigint primary key, state text, about jsonb);
                   alter table texts owner to source_stranger";
    run(&world.unseen, records).await;
    let mut described = serde_json::to_value(reminders()).unwrap();
    described["record"] = json!([{
        "table": "texts", "key": "id", "names": {"column": "about", "field": "reminder"}, "columns": {"status": "state"},
        "words": {"pending": ["new"], "sent": "sent", "delivered": "sent", "failed": "bad", "cancelled": "bad",
                  "unconfirmed": "bad"}
    }]);
    let recorded: SourceTable = serde_json::from_value(described).unwrap();
    let migrator = Migrator::embedded().following(vec![recorded.clone()]);
    let refused = migrator.run(world.db.dsn()).await.unwrap_err().to_string();
    assert!(
        refused.contains("texts must be a plain table of this role's"),
        "{refused}"
    );
    run(&world.unseen, "alter table texts owner to current_user").await;
    follow(&world, vec![recorded]).await;
}

#[tokio::test]
async fn a_source_is_ended_though_its_table_refuses_outcomes_and_the_end_was_cut_off() {
    let world = with_users().await;
    follow(&world, vec![by_users()]).await;
    let store = store(&world);
    let key: i64 = one(&world.user, &reminds(ADA)).await;
    let claim = won(&store, &[world.message(key).await]).await.remove(0);
    let refuses = "create function no() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
                   create trigger no before update on reminders for each row execute function no()";
    run(&world.user, refuses).await;
    assert_eq!(recorded(&store, &[accepted(&claim)]).await, 1);
    assert_eq!(store.write_back(10).await.unwrap(), 0);
    // Cut off after its first transaction.
    run(&world.user, "select punctual.unfollow('rem')").await;
    let numbers = "select count(*) from pg_trigger where tgname like 'punctual\\_numbers%'";
    assert_eq!(one::<i64>(&world.unseen, numbers).await, 4);
    Migrator::embedded()
        .unfollow(world.db.dsn(), "rem")
        .await
        .unwrap();
    assert_eq!(one::<i64>(&world.unseen, numbers).await, 0);
    let left: i64 = one(&world.unseen, "select count(*) from punctual.source_writes").await;
    assert_eq!(left, 0);
    assert_eq!(world.tally().await, "sent 1");
}
