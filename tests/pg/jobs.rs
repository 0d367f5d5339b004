//! Jobs of the app: how they are added, and by whom.

use punctual::policy::Rules;
use punctual::store::{Migrator, Preset};
use uuid::Uuid;

use crate::rows::{World, one, run, said, until};

const ADA: &str = "11111111-1111-4111-8111-111111111111";
const BEN: &str = "22222222-2222-4222-8222-222222222222";

async fn world() -> World {
    let world = World::new().await;
    let app = format!(
        "create table users (id uuid primary key);
         insert into users values ('{ADA}'), ('{BEN}');
         insert into user_sms_preferences (user_id, phone_number, phone_verified, quiet_hours_start, quiet_hours_end)
         values ('{ADA}', '+13105550101', true, null, null), ('{BEN}', '+13105550102', false, null, null)"
    );
    run(&world.user, &app).await;
    let buildos = Migrator::embedded().with_preset(Preset::named("buildos"));
    buildos.run(world.db.dsn()).await.unwrap();
    world
}

async fn fails(world: &World, sql: &str) -> String {
    let error = world.user.batch_execute(sql).await.expect_err(sql);
    said(&error)
}

/// The same within a transaction.
async fn fails_within(world: &World, sql: &str) -> String {
    run(&world.user, "savepoint before").await;
    let said = fails(world, sql).await;
    run(&world.user, "rollback to before").await;
    said
}

/// A session of a user who is logged in, as `PostgREST` makes it.
async fn as_user(world: &World, id: &str) {
    let set = format!("set role authenticated; set request.jwt.claims = '{{\"sub\": \"{id}\"}}'");
    run(&world.user, &set).await;
}

#[tokio::test]
async fn a_key_has_one_job_until_that_is_done() {
    let world = world().await;
    let add = |key: &str| {
        format!(
            "select add_queue_job('{ADA}', 'generate_phases', '{{\"n\": 1}}', p_dedup_key => {key})"
        )
    };
    let first: Uuid = one(&world.user, &add("'a'")).await;
    let row = "select concat_ws(' ', job_type, status, priority, attempts, max_attempts, metadata ->> 'n', scheduled_for <= now())
                 from queue_jobs";
    assert_eq!(
        one::<String>(&world.user, row).await,
        "generate_phases pending 10 0 3 1 t"
    );
    for status in ["pending", "processing", "retrying"] {
        run(
            &world.user,
            &format!("update queue_jobs set status = '{status}'"),
        )
        .await;
        assert_eq!(
            one::<Uuid>(&world.user, &add("'a'")).await,
            first,
            "{status}"
        );
    }
    let of_another = add("'a'").replace(ADA, BEN);
    assert_eq!(
        fails(&world, &of_another).await,
        "a job of another user has this p_dedup_key (PT409)"
    );
    // Another key, none, and one whose job has ended.
    assert_ne!(one::<Uuid>(&world.user, &add("'b'")).await, first);
    let (one_more, another): (Uuid, Uuid) = (
        one(&world.user, &add("null")).await,
        one(&world.user, &add("null")).await,
    );
    assert_ne!(one_more, another);
    run(&world.user, "update queue_jobs set status = 'completed'").await;
    let next: Uuid = one(&world.user, &add("'a'")).await;
    assert_ne!(next, first);

    // Two sessions at once: the second waits for the first, and finds its job; or adds its own if that was undone.
    let other = world.db.client().await;
    for ends in ["commit", "rollback"] {
        run(&world.user, "delete from queue_jobs").await;
        run(&world.user, "begin").await;
        let of_first: Uuid = one(&world.user, &add("'a'")).await;
        let add = add("'a'");
        let waits = async {
            until(&world.unseen, "exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')").await;
            run(&world.user, ends).await;
        };
        let (of_second, ()) = tokio::join!(one::<Uuid>(&other, &add), waits);
        assert_eq!(of_second == of_first, ends == "commit");
        let jobs = "select count(*) from queue_jobs";
        assert_eq!(one::<i64>(&world.unseen, jobs).await, 1, "{ends}");
    }

    for (call, expected) in [
        ("null, 'other', '{}'", "p_user_id is missing (PT422)"),
        (
            &*format!("'{ADA}', null, '{{}}'"),
            "p_job_type is missing (PT422)",
        ),
        (
            &*format!("'{ADA}', 'bake', '{{}}'"),
            "there is no job type \"bake\" (PT422)",
        ),
        (
            &*format!("'{ADA}', 'other', '{{}}', 10, 'infinity'"),
            "p_scheduled_for is missing (PT422)",
        ),
    ] {
        assert_eq!(
            fails(&world, &format!("select add_queue_job({call})")).await,
            expected
        );
    }
    // What a trigger of the app's cannot read is its own error.
    let reads = "create function reads() returns trigger language plpgsql as $$ begin perform 'x'::int; return new; end $$;
                 create trigger reads before insert on queue_jobs for each row execute function reads()";
    run(&world.unseen, reads).await;
    let said = fails(&world, &add("'of its own'")).await;
    assert!(said.contains("22P02") && said.contains("integer"), "{said}");
}

#[tokio::test]
async fn a_text_that_is_due_soon_has_a_job_that_goes_with_it() {
    let world = world().await;
    let queue = |rest: &str| {
        format!("select queue_sms_message('{ADA}', '+13105550101', 'hello there'{rest})")
    };
    let about = async |id: Uuid| {
        let sql = format!(
            "select concat_ws(' ', m.status, m.priority, m.metadata, s.status, j.job_type, j.status, j.priority,
                              j.metadata ->> 'message_id' = m.id::text)
               from sms_messages m
               join punctual.source_rows r on r.source = 'buildos_sms' and r.key = m.id::text
               join scheduled_messages s on s.id = r.message_id
               left join queue_jobs j on j.id = m.queue_job_id where m.id = '{id}'"
        );
        one::<String>(&world.unseen, &sql).await
    };
    for (rest, expected) in [
        ("", "scheduled normal {} pending send_sms pending 10 t"),
        (
            ", 'urgent'",
            "scheduled urgent {} pending send_sms pending 1 t",
        ),
        (
            ", 'low', now() + interval '4 min'",
            "scheduled low {} pending send_sms pending 20 t",
        ),
        (
            ", 'high', now() + interval '6 min', '{\"a\": 1}'",
            "scheduled high {\"a\": 1} pending",
        ),
    ] {
        let id: Uuid = one(&world.user, &queue(rest)).await;
        assert_eq!(about(id).await, expected, "{rest}");
    }
    // Both or neither.
    let refuses = "create function no() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
                   create trigger no before insert on sms_messages for each row execute function no()";
    run(&world.unseen, refuses).await;
    let jobs = async || one::<i64>(&world.unseen, "select count(*) from queue_jobs").await;
    let before = jobs().await;
    assert_eq!(fails(&world, &queue("")).await, "no (P0001)");
    assert_eq!(jobs().await, before);
    for (call, expected) in [
        ("null, '+13105550101', 'x'", "p_user_id is missing (PT422)"),
        (
            &*format!("'{ADA}', '3105550101', 'x'"),
            "p_phone_number is not valid (PT422)",
        ),
        (
            &*format!("'{ADA}', '+13105550101', ' '"),
            "p_message has 1 to 1,600 characters (PT422)",
        ),
        (
            &*format!("'{ADA}', '+13105550101', repeat('x', 1601)"),
            "p_message has 1 to 1,600 characters (PT422)",
        ),
    ] {
        assert_eq!(
            fails(&world, &format!("select queue_sms_message({call})")).await,
            expected
        );
    }
}

#[tokio::test]
async fn users_ask_for_themselves_and_strangers_for_nothing() {
    let world = world().await;
    // The roles of Supabase, seen by this transaction alone.
    let roles = "begin; create role anon; create role authenticated; create role service_role; call punctual.offer_jobs()";
    run(&world.user, roles).await;
    as_user(&world, ADA).await;
    let job = |of: &str, kind: &str| format!("select add_queue_job('{of}', '{kind}', '{{}}')");
    let text =
        |of: &str, number: &str| format!("select queue_sms_message('{of}', '{number}', 'hello')");
    one::<Uuid>(&world.user, &job(ADA, "generate_phases")).await;
    one::<Uuid>(&world.user, &text(ADA, "+13105550101")).await;
    assert!(
        fails_within(&world, &job(BEN, "generate_phases"))
            .await
            .contains("PT403")
    );
    assert!(
        fails_within(&world, &text(BEN, "+13105550101"))
            .await
            .contains("PT403")
    );
    // Another number, one that is not verified, and whatever a job's metadata says.
    assert!(
        fails_within(&world, &text(ADA, "+13105550199"))
            .await
            .contains("is not verified")
    );
    assert!(
        fails_within(&world, &job(ADA, "send_sms"))
            .await
            .contains("users cannot add jobs")
    );
    as_user(&world, BEN).await;
    assert!(
        fails_within(&world, &text(BEN, "+13105550102"))
            .await
            .contains("is not verified")
    );
    run(&world.user, "reset request.jwt.claims").await;
    assert!(
        fails_within(&world, &job(BEN, "generate_phases"))
            .await
            .contains("PT403")
    );
    run(&world.user, "set role anon").await;
    for call in [job(ADA, "other"), text(ADA, "+13105550101")] {
        assert!(fails_within(&world, &call).await.contains("42501"));
    }
    run(&world.user, "set role service_role").await;
    one::<Uuid>(&world.user, &job(BEN, "send_sms")).await;
    one::<Uuid>(&world.user, &text(BEN, "+13105550199")).await;
}

/// Its answer was lost, and the request is repeated: what it has done meanwhile is not done again.
#[tokio::test]
async fn a_worker_whose_answer_was_lost_may_still_end_its_job() {
    let world = world().await;
    let store = crate::ours::store(&world);
    store.keep_settings(&Rules::default()).await.unwrap();
    let url = "update punctual.settings set job_urls = '{\"sync_calendar\": \"https://app.example/jobs\"}'";
    run(&world.unseen, url).await;
    let add = format!("select add_queue_job('{ADA}', 'sync_calendar', '{{}}')");
    let job: Uuid = one(&world.user, &add).await;
    let message = format!(
        "select message_id from punctual.source_rows where source = 'buildos_jobs' and key = '{job}'"
    );
    let sent: Uuid = one(&world.unseen, &message).await;
    let becomes = async |status: &str| {
        let sql = format!(
            "update scheduled_messages set status = '{status}', attempts = 1 where id = '{sent}'"
        );
        run(&world.unseen, &sql).await;
        let back = format!("select punctual.job_back('{job}', '{sent}')");
        assert!(one::<bool>(&world.unseen, &back).await);
    };
    let says = async |call: &str| -> bool { one(&world.unseen, &format!("select {call}")).await };
    let is =
        format!("select concat_ws(' ', status, error_message) from queue_jobs where id = '{job}'");
    run(
        &world.unseen,
        &format!("update scheduled_messages set status = 'sending' where id = '{sent}'"),
    )
    .await;
    becomes("unconfirmed").await;
    assert_eq!(
        one::<String>(&world.unseen, &is).await,
        "failed outcome unknown: do not reset"
    );
    // It goes on; that a run has failed is nothing new, for it is repeated.
    assert!(says(&format!("job_progress('{job}', 1, 2, 'half')")).await);
    assert!(!says(&format!("job_fail('{job}', 'no')")).await);
    assert!(says(&format!("job_complete('{job}', '{{}}')")).await);
    assert_eq!(one::<String>(&world.unseen, &is).await, "completed");
    assert!(!says(&format!("job_complete('{job}', '{{}}')")).await);
    // The repeated request is answered as one whose worker goes on: there is no lease, and no run after it.
    run(
        &world.unseen,
        &format!("select punctual.job_answer('{sent}', 202, '', true)"),
    )
    .await;
    becomes("sent").await;
    assert_eq!(one::<String>(&world.unseen, &is).await, "completed");
    assert_eq!(one::<Uuid>(&world.unseen, &message).await, sent);
}

/// Looking for jobs that nothing follows costs what has changed, and not the table.
#[tokio::test]
async fn jobs_from_before_their_type_had_a_url_are_looked_for_once() {
    let world = world().await;
    let store = crate::ours::store(&world);
    let add = async |kind: &str| -> Uuid {
        one(
            &world.unseen,
            &format!("select add_queue_job('{ADA}', '{kind}', '{{}}')"),
        )
        .await
    };
    let before = add("sync_calendar").await;
    // Without its trigger nothing follows a row: it is found only where somebody looks.
    let unseen = async |kind: &str| -> Uuid {
        run(&world.unseen, "alter table queue_jobs disable trigger user").await;
        let id = add(kind).await;
        run(&world.unseen, "alter table queue_jobs enable trigger user").await;
        id
    };
    let keep = async |kinds: &[&str]| {
        let urls: Vec<String> = kinds
            .iter()
            .map(|kind| format!("\"{kind}\": \"https://app.example/{kind}\""))
            .collect();
        store.keep_settings(&Rules::default()).await.unwrap();
        // As a daemon with these settings has it.
        let urls = format!(
            "update punctual.settings s set job_urls = v.urls,
                    followed_jobs = array(select k from unnest(s.followed_jobs) k where v.urls ? k)
               from (select '{{{}}}'::jsonb as urls) v",
            urls.join(", ")
        );
        run(&world.unseen, &urls).await;
    };
    let walk = async || {
        let mut past = None;
        while let Some(last) = store.follow_jobs(past.as_deref()).await.unwrap() {
            past = Some(last);
        }
    };
    let is_followed = async |id: Uuid| -> bool {
        one(
            &world.unseen,
            &format!("select exists (select from punctual.source_rows where source = 'buildos_jobs' and key = '{id}')"),
        )
        .await
    };
    keep(&["sync_calendar"]).await;
    walk().await;
    assert!(is_followed(before).await);
    let missed = unseen("sync_calendar").await;
    let of_another = unseen("generate_phases").await;
    walk().await;
    assert!(!is_followed(missed).await, "it has not looked");
    run(
        &world.unseen,
        "update punctual.settings set job_urls = job_urls || '{\"generate_phases\": \"https://app.example/\"}'",
    )
    .await;
    walk().await;
    assert!(is_followed(of_another).await && is_followed(missed).await);
}
