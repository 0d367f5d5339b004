//! Campaigns in the database: what may be scheduled, what a claim knows of their hours, and what has become of their
//! messages.

use punctual::message::facts::CampaignHours;
use punctual::store::{Migrator, Store};
use uuid::Uuid;

use crate::harness::TestDb;
use crate::ours::{self, accepted, recorded, store};
use crate::rows::{World, one, refused, run};

/// A campaign of four suggested messages.
async fn campaign(world: &World) -> Uuid {
    let made = "insert into punctual.campaigns (name, timezone, hours, open_from, open_until, gap_min, gap_max, skip_per_mille,
                                                skip_min, skip_max, seed)
                values ('spring', 'America/Los_Angeles', 'mon-sun 00:00-24:00', '{0}', '{604800000000}', '4 min', '7 min', 175, '10 min',
                        '15 min', 7)
                returning id";
    let id: Uuid = one(&world.user, made).await;
    let rows = format!(
        "insert into punctual.campaign_messages (campaign_id, position, customer_name, phone_number, content)
         select '{id}', n, 'Ada ' || n, '+1310555010' || n, 'hello ' || n from generate_series(1, 4) n"
    );
    run(&world.user, &rows).await;
    id
}

/// Schedules what is at a position; due in an hour.
async fn schedule(world: &World, position: i32) -> Uuid {
    let sql = format!(
        "with kept as (
           update punctual.campaign_messages set status = 'SCH', message_id = gen_random_uuid() where position = {position}
           returning *)
         insert into scheduled_messages (id, to_number, from_number, body, scheduled_at, campaign_id)
         select message_id, phone_number, '+15005550006', content, now() + interval '1 hour', campaign_id from kept
         returning id"
    );
    one(&world.user, &sql).await
}

async fn approve(world: &World, position: i32) {
    let sql = format!(
        "begin; set local punctual.actor = 'ann';
         update punctual.campaign_messages set status = 'APR' where position = {position}; commit"
    );
    run(&world.user, &sql).await;
}

async fn status(world: &World, position: i32) -> String {
    let sql =
        format!("select status from punctual_api.campaign_messages where position = {position}");
    one(&world.user, &sql).await
}

#[tokio::test]
async fn only_what_somebody_approved_as_it_is_can_be_scheduled() {
    let world = World::new().await;
    let id = campaign(&world).await;
    let user = &world.user;
    let of = "update punctual.campaign_messages set status = 'SCH', message_id = gen_random_uuid()";
    let said = refused(user, &format!("{of} where position = 1")).await;
    assert!(said.contains("SUG; it cannot be made SCH"), "{said}");
    let insert = |status: &str| {
        format!(
            "insert into punctual.campaign_messages (campaign_id, position, phone_number, content, status, decided_by,
                                                     decided_at, message_id)
             values ('{id}', 9, '+13105550109', 'hello', '{status}', 'x', now(), {})",
            if status == "SCH" { "gen_random_uuid()" } else { "null" }
        )
    };
    for status in ["APR", "SCH"] {
        let said = refused(user, &insert(status)).await;
        assert!(said.contains("is SUG, not"), "{said}");
    }
    // Without the trigger the constraints hold still.
    for (set, constraint) in [
        (
            "status = 'SCH', message_id = gen_random_uuid()",
            "campaign_messages_decided",
        ),
        ("status = 'APR'", "campaign_messages_decided"),
        (
            "message_id = gen_random_uuid()",
            "campaign_messages_scheduled",
        ),
    ] {
        let sql = format!("update punctual.campaign_messages set {set} where position = 1");
        let error = world.unseen.batch_execute(&sql).await.unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.constraint(), Some(constraint), "{sql}");
    }

    approve(&world, 1).await;
    let by: String = one(
        user,
        "select decided_by from punctual.campaign_messages where position = 1",
    )
    .await;
    assert_eq!(by, "ann");
    // Another text, or number, is to be approved again; in the statement that schedules it, too.
    for set in [
        "content = 'other'",
        "phone_number = '+13105550111'",
        "customer_name = null",
    ] {
        approve(&world, 2).await;
        let change = format!("update punctual.campaign_messages set {set} where position = 2");
        run(user, &change).await;
        assert_eq!(status(&world, 2).await, "SUG", "{set}");
        approve(&world, 2).await;
        let both = format!("{of}, content = 'changed' where position = 2");
        let said = refused(user, &both).await;
        assert!(said.contains("was changed after it was approved"), "{said}");
    }
    run(
        user,
        "update punctual.campaign_messages set status = 'REJ' where position = 3",
    )
    .await;
    refused(user, &format!("{of} where position = 3")).await;

    schedule(&world, 1).await;
    let said = refused(
        user,
        "update punctual.campaign_messages set content = 'late' where position = 1",
    )
    .await;
    assert!(said.contains("is scheduled"), "{said}");
    refused(
        user,
        "update punctual.campaign_messages set status = 'SUG', message_id = null where position = 1",
    )
    .await;
    // Who decided what, in order.
    let history: String = one(
        user,
        "select string_agg(format('%s %s-%s %s', position, was, status, coalesce(who, '')), ', ' order by id)
           from punctual.campaign_history where position in (1, 3)",
    )
    .await;
    assert_eq!(history, "1 SUG-APR ann, 3 SUG-REJ , 1 APR-SCH ");
    // A change too; what has none is not in it.
    for set in ["content = 'new'", "content = 'new'"] {
        let change = format!("update punctual.campaign_messages set {set} where position = 3");
        run(user, &change).await;
    }
    let changed: String = one(
        user,
        "select string_agg(was || '-' || status, ' ' order by id) from punctual.campaign_history where position in (2, 3)",
    )
    .await;
    // Approved again while it is approved: that is no decision.
    let second = "SUG-APR APR-SUG SUG-APR APR-SUG SUG-APR APR-SUG SUG-APR";
    assert_eq!(changed, format!("{second} SUG-REJ REJ-REJ"));

    // Of a cancelled campaign nothing.
    approve(&world, 4).await;
    run(user, "update punctual.campaigns set state = 'cancelled'").await;
    let said = refused(user, &format!("{of} where position = 4")).await;
    assert!(said.contains("the campaign is cancelled"), "{said}");
    // The same text twice, not.
    let twice = format!(
        "insert into punctual.campaign_messages (campaign_id, position, phone_number, content)
         values ('{id}', 10, '+13105550104', 'hello 4')"
    );
    assert!(user.batch_execute(&twice).await.is_err());
}

async fn hours(store: &Store, id: Uuid) -> Option<CampaignHours> {
    let mut won = ours::won(store, &[id]).await;
    won.remove(0).facts.campaign_hours
}

#[tokio::test]
async fn a_claim_knows_the_hours_of_its_campaign() {
    let world = World::new().await;
    let id = campaign(&world).await;
    let store = store(&world);
    let own = world
        .row_with("pending", ", campaign_id", &format!(", '{id}'"))
        .await;
    let others = world
        .row_with("pending", ", campaign_id", ", gen_random_uuid()")
        .await;
    let none = world.row("pending").await;
    let expected = CampaignHours {
        hours: "mon-sun 00:00-24:00".into(),
        timezone: "America/Los_Angeles".into(),
        is_cancelled: false,
        has_reply: false,
    };
    assert_eq!(hours(&store, own).await, Some(expected));
    assert_eq!(hours(&store, others).await, None);
    assert_eq!(hours(&store, none).await, None);
}

#[tokio::test]
async fn what_becomes_of_a_scheduled_message_is_shown_of_its_campaign() {
    let world = World::new().await;
    campaign(&world).await;
    let store = store(&world);
    for position in 1..=4 {
        approve(&world, position).await;
        schedule(&world, position).await;
    }
    let of = |position: i32| {
        format!("(select message_id from punctual.campaign_messages where position = {position})")
    };
    run(
        &world.unseen,
        "update scheduled_messages set scheduled_at = now() - interval '1 s'",
    )
    .await;
    let first: Uuid = one(&world.user, &format!("select {}", of(1))).await;
    let won = ours::won(&store, &[first]).await;
    assert_eq!(status(&world, 1).await, "SCH");
    recorded(&store, &[accepted(&won[0])]).await;
    assert_eq!(status(&world, 1).await, "sent");
    for (set, shown) in [
        ("delivered", "sent"),
        ("unconfirmed", "unconfirmed"),
        ("failed", "failed"),
    ] {
        let sql = format!(
            "update scheduled_messages set status = '{set}', error_message = 'why' where id = {}",
            of(1)
        );
        run(&world.unseen, &sql).await;
        assert_eq!(status(&world, 1).await, shown);
    }
    // A number fixed and a text changed after it was scheduled, and one removed: the rest stays.
    let times = "select string_agg(scheduled_at::text, ',' order by scheduled_at, id) from scheduled_messages";
    let before: String = one(&world.user, times).await;
    let change = format!(
        "update scheduled_messages set to_number = '+13105550133', body = 'fixed' where id = {}",
        of(2)
    );
    run(&world.user, &change).await;
    let shown: String = one(
        &world.user,
        "select phone_number || content from punctual_api.campaign_messages where position = 2",
    )
    .await;
    assert_eq!(shown, "+13105550133fixed");
    let cancel = format!(
        "update scheduled_messages set status = 'cancelled' where id = {}",
        of(3)
    );
    run(&world.user, &cancel).await;
    assert_eq!(status(&world, 3).await, "cancelled");
    assert_eq!(one::<String>(&world.user, times).await, before);
    // One that is to be sent keeps its place in the campaign; of one whose row was deleted the ledger knows.
    let said = refused(
        &world.user,
        "delete from punctual.campaign_messages where position = 2",
    )
    .await;
    assert!(said.contains("is scheduled"), "{said}");
    assert!(
        world
            .user
            .batch_execute("delete from punctual.campaigns")
            .await
            .is_err()
    );
    run(&world.unseen, "delete from scheduled_messages").await;
    assert_eq!(status(&world, 1).await, "sent");
    assert_eq!(status(&world, 4).await, "deleted");
    let state: String = one(&world.user, "select state from punctual_api.campaigns").await;
    assert_eq!(state, "draft");
    run(
        &world.user,
        "update punctual.campaigns set state = 'scheduled'",
    )
    .await;
    let state: String = one(&world.user, "select state from punctual_api.campaigns").await;
    assert_eq!(state, "done");
}

#[tokio::test]
async fn a_recipient_is_forgotten_in_campaigns_too() {
    let world = World::new().await;
    campaign(&world).await;
    approve(&world, 1).await;
    let id = schedule(&world, 1).await;
    let kept: i64 = one(
        &world.user,
        "select cardinality((punctual.forget('+1 310 555-0101')).kept)::bigint",
    )
    .await;
    assert_eq!(kept, 1);
    run(
        &world.user,
        &format!("update scheduled_messages set status = 'cancelled' where id = '{id}'"),
    )
    .await;
    // One whose number was fixed after it was scheduled: the old number is forgotten, and the message stays.
    approve(&world, 4).await;
    let fixed = schedule(&world, 4).await;
    let fix =
        format!("update scheduled_messages set to_number = '+13105550144' where id = '{fixed}'");
    run(&world.user, &fix).await;
    run(&world.user, "select punctual.forget('+13105550104')").await;
    let left: String = one(
        &world.user,
        "select phone_number from punctual_api.campaign_messages where position = 4",
    )
    .await;
    assert_eq!(left, "+13105550144");
    let old = "select count(*) from punctual.campaign_messages where phone_number = '+13105550104'";
    assert_eq!(one::<i64>(&world.user, old).await, 0);
    assert_eq!(world.status(fixed).await, "pending");
    for number in ["+13105550101", "+13105550102"] {
        run(&world.user, &format!("select punctual.forget('{number}')")).await;
    }
    let left: String = one(
        &world.user,
        "select string_agg(position::text, ',' order by position) from punctual.campaign_messages",
    )
    .await;
    assert_eq!(left, "3,4");
}

#[tokio::test]
async fn an_apps_own_tables_of_these_names_are_left_alone() {
    let db = TestDb::empty().await;
    let user = db.client().await;
    run(
        &user,
        "create table campaign_messages (id bigint generated always as identity primary key, customer_name text,
                                         phone_number text, status text default 'SUG');
         create table campaigns (id int primary key);
         insert into campaign_messages (customer_name, phone_number) values ('Ada', '+12025550101')",
    )
    .await;
    let columns = "select string_agg(format('%s.%s %s', table_name, column_name, data_type), ',' order by table_name, column_name)
                     from information_schema.columns where table_schema = 'public' and table_name like 'campaign%'";
    let before: String = one(&user, columns).await;
    Migrator::embedded().run(db.dsn()).await.unwrap();
    assert_eq!(one::<String>(&user, columns).await, before);
    let status: String = one(&user, "select status from campaign_messages").await;
    assert_eq!(status, "SUG");
}
