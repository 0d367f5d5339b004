//! Texts that a language model writes: which messages want one, and when a text may take the place of their own.

use std::time::Duration;

use punctual::store::Migrator;
use punctual::store::Store;
use punctual::store::drafts::Draft;
use punctual::wording::{DraftEnd, Nanos, Spent, Usage};
use serde_json::Value;
use uuid::Uuid;

use crate::ours::{rules, store};
use crate::rows::{World, one, run};

const LEASE: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(2);

/// A world whose daemons have texts written.
async fn world() -> (World, Store) {
    let world = World::new().await;
    let store = store(&world);
    store.keep_settings(&rules()).await.unwrap();
    store.keep_model(Some("m")).await.unwrap();
    (world, store)
}

/// A reminder in an hour of an event a quarter of an hour later; with its template, or with a body of its own.
async fn reminder(world: &World, has_template: bool) -> Uuid {
    let template = "insert into sms_templates (id, template_key, name, message_template)
        values ('aaaaaaaa-0000-4000-8000-000000000001', 'reminder', 'reminder', '{{event_title}} soon') on conflict do nothing";
    run(&world.user, template).await;
    let (columns, values) = if has_template {
        (
            ", template_id, template_vars",
            ", 'aaaaaaaa-0000-4000-8000-000000000001', '{\"event_title\": \"Sync\", \"event_link\": null}'",
        )
    } else {
        ("", "")
    };
    let sql = format!(
        "with made as (
           insert into task_calendar_events (calendar_event_id, user_id, event_title, event_start, event_end)
           values ('e', gen_random_uuid(), 'Sync', now() + interval '75 minutes', now() + interval '2 hours')
           returning user_id, event_start)
         insert into scheduled_messages (to_number, from_number, body, scheduled_at, user_id, calendar_event_id, event_start,
                                         metadata {columns})
         select '+13105550100', '+15005550006', 'Sync soon', event_start - interval '15 minutes', user_id, 'e', event_start,
                '{{\"planned\": true}}' {values}
           from made returning id"
    );
    one(&world.user, &sql).await
}

async fn wanted(world: &World, id: Uuid) -> i32 {
    one(
        &world.unseen,
        &format!("select punctual.want_texts(array['{id}'::uuid])"),
    )
    .await
}

async fn taken(store: &Store) -> Vec<Draft> {
    store.take_drafts(10, LEASE, SOON).await.unwrap()
}

fn spent() -> Spent {
    Spent {
        model: "m".into(),
        cost: Some(Nanos(42_000)),
        usage: Some(Usage {
            input: 200,
            output: 50,
        }),
        took: Duration::from_millis(812),
    }
}

async fn put(store: &Store, draft: &Draft) -> bool {
    store
        .put_draft(draft, "Sync in 15 mins", &spent())
        .await
        .unwrap()
}

async fn draft<T: tokio_postgres::types::FromSqlOwned>(world: &World, id: Uuid, what: &str) -> T {
    let sql = format!("select {what} from punctual.drafts where message_id = '{id}'");
    one(&world.unseen, &sql).await
}

#[tokio::test]
async fn a_text_takes_the_place_of_the_messages_own_as_an_edit() {
    let (world, store) = world().await;
    let id = reminder(&world, true).await;
    assert_eq!(wanted(&world, id).await, 1);
    // A second time it is the same draft.
    assert_eq!(wanted(&world, id).await, 0);
    let drafts = taken(&store).await;
    let [own] = drafts.as_slice() else {
        panic!("{} drafts", drafts.len());
    };
    assert!(own.is_current && own.message.0 == id);
    let facts: Value = serde_json::from_str(&own.facts).unwrap();
    assert_eq!(facts["title"], "Sync");
    assert_eq!(facts["timezone"], "UTC");
    let starts: bool = one(
        &world.unseen,
        &format!(
            "select event_start = '{}' from scheduled_messages",
            facts["starts_at"].as_str().unwrap()
        ),
    )
    .await;
    assert!(starts);
    assert!(put(&store, own).await);
    assert_eq!(world.get::<String>(id, "body").await, "Sync in 15 mins");
    assert!(
        world
            .get::<bool>(
                id,
                // The first edit was that its variables got the end of the event.
                "template_vars is null and version = 2 and status = 'pending'"
            )
            .await
    );
    let metadata: Value =
        serde_json::from_str(&world.get::<String>(id, "metadata::text").await).unwrap();
    let expected = serde_json::json!({
        "planned": true, "generated_via": "llm", "llm_model": "m", "generation_cost_usd": 0.000_042,
        "generation_time_ms": 812, "llm_tokens_in": 200, "llm_tokens_out": 50,
    });
    assert_eq!(metadata, expected);
    let figures =
        "select llm_success = 1 and llm_cost_usd = 0.000042 and avg_generation_time_ms = 812
                     from punctual_api.daily_metrics where llm_success > 0";
    assert!(one::<bool>(&world.user, figures).await);
    let who: String = one(
        &world.unseen,
        "select actor from punctual.history where op = 'update' order by id desc limit 1",
    )
    .await;
    assert_eq!(who, "the writer");
    let ended = "outcome = 'written' and version = 2 and model = 'm' and cost_usd = 0.000042 and tokens_in = 200";
    assert!(draft::<bool>(&world, id, ended).await);
    // Only once.
    assert!(!put(&store, own).await);
    assert!(taken(&store).await.is_empty());
}

/// What happens to a message while its text is written.
const MEANWHILE: &[(&str, DraftEnd)] = &[
    (
        "update scheduled_messages set body = 'mine'",
        DraftEnd::Changed,
    ),
    (
        "update scheduled_messages set status = 'cancelled'",
        DraftEnd::Changed,
    ),
    (
        "update scheduled_messages set scheduled_at = scheduled_at + interval '1 minute'",
        DraftEnd::Changed,
    ),
    (
        "update scheduled_messages set metadata = '{}'",
        DraftEnd::Changed,
    ),
    ("delete from scheduled_messages", DraftEnd::Changed),
    (
        "update task_calendar_events set event_start = event_start + interval '1 hour'",
        DraftEnd::Changed,
    ),
    // Which a body of its own does not follow.
    (
        "update task_calendar_events set event_title = 'Review'",
        DraftEnd::Changed,
    ),
    (
        "update task_calendar_events set event_end = event_end + interval '1 hour'",
        DraftEnd::Changed,
    ),
    (
        "update task_calendar_events set sync_status = 'cancelled'",
        DraftEnd::Changed,
    ),
    ("delete from task_calendar_events", DraftEnd::Changed),
];

/// The same as a daemon or a clock does it.
const MEANWHILE_UNSEEN: &[(&str, DraftEnd)] = &[
    ("update scheduled_messages set status = 'sending'", DraftEnd::Changed),
    ("update scheduled_messages set deferred_until = scheduled_at + interval '1 hour'", DraftEnd::Changed),
    ("update scheduled_messages set parts_done = 1, parts_total = 2", DraftEnd::Changed),
    (
        "insert into punctual.missed_event_changes (message_id, calendar_event_id, user_id)
         select id, calendar_event_id, user_id from scheduled_messages",
        DraftEnd::Changed,
    ),
    (
        "with at as (update scheduled_messages set scheduled_at = clock_timestamp() + interval '40 ms' returning scheduled_at)
         update punctual.drafts set needed_by = scheduled_at from at",
        DraftEnd::Late,
    ),
];

async fn nothing_is_put_after(change: &str, is_seen: bool, end: DraftEnd) {
    let (world, store) = world().await;
    let id = reminder(&world, false).await;
    wanted(&world, id).await;
    let own = taken(&store).await.remove(0);
    run(if is_seen { &world.user } else { &world.unseen }, change).await;
    assert!(!put(&store, &own).await, "{change}");
    let ended = store.end_draft(&own, None, None, &spent()).await.unwrap();
    // A title, a start or an end that changes asks for another text, in a draft that is nobody's yet.
    let asks = ["event_title", "event_start =", "event_end ="];
    let renewed = asks.iter().any(|what| change.contains(what));
    if renewed && is_seen {
        assert_eq!(ended, None, "{change}");
        assert!(
            draft::<bool>(&world, id, "outcome is null and taken_by is null").await,
            "{change}"
        );
    } else {
        assert_eq!(ended, Some(end), "{change}");
    }
    let text = "select count(*) from scheduled_messages where body = 'Sync in 15 mins'";
    assert_eq!(one::<i64>(&world.unseen, text).await, 0, "{change}");
}

#[tokio::test]
async fn whoever_changes_a_message_or_its_event_meanwhile_wins() {
    for (change, end) in MEANWHILE {
        nothing_is_put_after(change, true, *end).await;
    }
    for (change, end) in MEANWHILE_UNSEEN {
        nothing_is_put_after(change, false, *end).await;
    }
}

#[tokio::test]
async fn a_locked_message_keeps_its_own_text_and_nobody_waits() {
    let (world, store) = world().await;
    let id = reminder(&world, true).await;
    wanted(&world, id).await;
    let own = taken(&store).await.remove(0);
    run(
        &world.user,
        "begin; select from scheduled_messages for update",
    )
    .await;
    assert!(!put(&store, &own).await);
    let ended = store.end_draft(&own, None, None, &spent()).await.unwrap();
    assert_eq!(ended, Some(DraftEnd::Locked));
    run(&world.user, "rollback").await;
    assert_eq!(world.get::<String>(id, "body").await, "Sync soon");
}

#[tokio::test]
async fn a_claim_and_a_text_never_both_win() {
    for _ in 0..8 {
        let (world, store) = world().await;
        let id = reminder(&world, true).await;
        wanted(&world, id).await;
        let own = taken(&store).await.remove(0);
        // Due at once for the claim, and not for the text: who comes first decides.
        let claim = format!(
            "update scheduled_messages set status = 'sending' where id = '{id}' and status = 'pending' and version = 0"
        );
        let (was_put, claimed) = tokio::join!(put(&store, &own), world.unseen.execute(&claim, &[]));
        let claimed = claimed.unwrap() == 1;
        let has_text = world.get::<String>(id, "body").await == "Sync in 15 mins";
        assert_eq!(was_put, has_text);
        assert!(was_put != claimed, "{was_put} {claimed}");
    }
}

#[tokio::test]
async fn a_draft_is_one_instances_until_its_lease_is_over() {
    let (world, one_of_them) = world().await;
    let other = store(&world);
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = reminder(&world, true).await;
        wanted(&world, id).await;
        ids.push(id);
    }
    let first = one_of_them.take_drafts(2, LEASE, SOON).await.unwrap();
    let second = other.take_drafts(10, LEASE, SOON).await.unwrap();
    assert_eq!((first.len(), second.len()), (2, 1));
    assert!(taken(&other).await.is_empty());
    let next = other.next_draft(SOON).await.unwrap().unwrap();
    assert!(next <= LEASE && next > Duration::from_secs(10), "{next:?}");
    // The first instance has died; its lease is over.
    run(
        &world.unseen,
        "update punctual.drafts set taken_until = now() where taken_by is not null",
    )
    .await;
    let again = taken(&other).await;
    assert_eq!(again.len(), 3);
    assert!(again.iter().all(|draft| draft.attempts == 2));
    assert!(
        !put(&one_of_them, &first[0]).await,
        "another one writes it now"
    );
    assert_eq!(
        one_of_them
            .end_draft(&first[0], Some(DraftEnd::Failed), None, &spent())
            .await
            .unwrap(),
        None
    );
    assert!(put(&other, &again[0]).await);
    other
        .release_draft(&again[1], Duration::ZERO, true)
        .await
        .unwrap();
    assert_eq!(taken(&other).await[0].attempts, 2);
}

#[tokio::test]
async fn what_is_due_too_soon_is_ended_and_what_was_cancelled_is_no_fallback() {
    let (world, store) = world().await;
    let (late, gone) = (reminder(&world, true).await, reminder(&world, true).await);
    wanted(&world, late).await;
    wanted(&world, gone).await;
    run(
        &world.user,
        &format!("update scheduled_messages set status = 'cancelled' where id = '{gone}'"),
    )
    .await;
    let cancelled = taken(&store).await;
    assert!(
        cancelled
            .iter()
            .any(|draft| draft.message.0 == gone && !draft.is_current)
    );
    run(
        &world.unseen,
        "update punctual.drafts set needed_by = now() + interval '1 second', taken_until = now()",
    )
    .await;
    assert!(taken(&store).await.is_empty());
    let mut ended = store.end_late_drafts(SOON, 10).await.unwrap();
    ended.sort_by_key(|end| end.as_str());
    assert_eq!(ended, [DraftEnd::Changed, DraftEnd::Late]);
    assert!(!DraftEnd::Changed.is_fallback() && DraftEnd::Late.is_fallback());
    assert_eq!(store.next_draft(SOON).await.unwrap(), None);
}

#[tokio::test]
async fn a_budget_holds_for_all_instances_together() {
    let (world, _) = world().await;
    let (most, budget) = (Nanos(1_000), Nanos(3_500));
    let stores: Vec<Store> = (0..8).map(|_| store(&world)).collect();
    let all = stores.iter().map(|store| store.reserve_cost(most, budget));
    let all = futures_util::future::join_all(all).await;
    let reserved: Vec<_> = all.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(reserved.len(), 3);
    assert_eq!(
        stores[0].spent_today().await.unwrap(),
        (Nanos(0), Nanos(3_000))
    );
    for call in &reserved {
        stores[0].settle_cost(call, Nanos(250)).await.unwrap();
    }
    assert_eq!(
        stores[1].spent_today().await.unwrap(),
        (Nanos(750), Nanos(0))
    );
    assert!(
        stores[1]
            .reserve_cost(most, budget)
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        stores[1]
            .reserve_cost(Nanos(4_000), budget)
            .await
            .unwrap()
            .is_none()
    );
    // Yesterday's do not count.
    run(
        &world.unseen,
        "update punctual.draft_days set day = day - 1",
    )
    .await;
    assert!(
        stores[1]
            .reserve_cost(Nanos(3_500), budget)
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn an_event_that_changes_brings_the_template_back_and_asks_for_another_text() {
    let (world, store) = world().await;
    let id = reminder(&world, true).await;
    wanted(&world, id).await;
    let own = taken(&store).await.remove(0);
    assert!(put(&store, &own).await);
    run(&world.user, "update task_calendar_events set event_title = 'Review', event_link = 'https://x.example/y'").await;
    let vars = "template_vars ->> 'event_title' = 'Review' and template_vars ->> 'event_link' = 'https://x.example/y'
                and metadata ->> 'generated_via' = 'template'";
    assert!(world.get::<bool>(id, vars).await);
    let again = taken(&store).await;
    assert!(again.len() == 1 && again[0].is_current && again[0].attempts == 1);
    let facts: Value = serde_json::from_str(&again[0].facts).unwrap();
    assert_eq!(
        (&facts["title"], &facts["link"]),
        (&"Review".into(), &"https://x.example/y".into())
    );
    assert!(put(&store, &again[0]).await);
    // It moves with its event, and its text is written again for the time it has then.
    run(
        &world.user,
        "update task_calendar_events set event_start = event_start + interval '1 hour'",
    )
    .await;
    let moved = "scheduled_at = event_start - interval '15 minutes' and template_vars ->> 'event_title' = 'Review'";
    assert!(world.get::<bool>(id, moved).await);
    assert!(taken(&store).await[0].is_current);
    // A text that a person has written since stays.
    let other = reminder(&world, true).await;
    wanted(&world, other).await;
    let draft = taken(&store)
        .await
        .into_iter()
        .find(|draft| draft.message.0 == other)
        .unwrap();
    assert!(put(&store, &draft).await);
    run(
        &world.user,
        &format!("update scheduled_messages set body = 'mine' where id = '{other}'"),
    )
    .await;
    run(
        &world.user,
        "update task_calendar_events set event_title = 'Retro'",
    )
    .await;
    assert!(
        world
            .get::<bool>(other, "body = 'mine' and template_vars is null")
            .await
    );
}

#[tokio::test]
async fn only_messages_that_can_have_a_text_get_a_draft() {
    let (world, store) = world().await;
    let id = reminder(&world, true).await;
    store.keep_model(None).await.unwrap();
    assert_eq!(wanted(&world, id).await, 0, "nobody writes texts");
    store.keep_model(Some("m")).await.unwrap();
    for (change, back) in [
        ("status = 'cancelled'", "status = 'pending'"),
        (
            "scheduled_at = now() + interval '1 second'",
            "scheduled_at = event_start - interval '15 minutes'",
        ),
        (
            "channel = 'email', to_number = 'a@b.example'",
            "channel = null, to_number = '+13105550100'",
        ),
        ("campaign_id = gen_random_uuid()", "campaign_id = null"),
        ("calendar_event_id = 'other'", "calendar_event_id = 'e'"),
    ] {
        run(
            &world.unseen,
            &format!("update scheduled_messages set {change}"),
        )
        .await;
        assert_eq!(wanted(&world, id).await, 0, "{change}");
        run(
            &world.unseen,
            &format!("update scheduled_messages set {back}"),
        )
        .await;
    }
    assert_eq!(wanted(&world, id).await, 1);
    // Its facts go with it.
    run(
        &world.user,
        "update scheduled_messages set status = 'cancelled'",
    )
    .await;
    run(&world.user, &format!("select punctual.erase('{id}')")).await;
    assert_eq!(
        one::<i64>(&world.unseen, "select count(*) from punctual.drafts").await,
        0
    );
}

#[tokio::test]
async fn drafts_of_the_past_are_deleted_with_the_texts() {
    let (world, store) = world().await;
    let (over, open) = (reminder(&world, true).await, reminder(&world, true).await);
    wanted(&world, over).await;
    wanted(&world, open).await;
    run(
        &world.unseen,
        "update punctual.drafts set needed_by = now() - interval '40 days'",
    )
    .await;
    run(
        &world.unseen,
        &format!("update scheduled_messages set status = 'sent' where id = '{over}'"),
    )
    .await;
    store.reserve_cost(Nanos(1), Nanos(10)).await.unwrap();
    run(
        &world.unseen,
        "update punctual.draft_days set day = day - 40",
    )
    .await;
    run(
        &world.user,
        "select punctual.retain('rest', null, '35 days', null, 100)",
    )
    .await;
    let left: Vec<Uuid> = one(
        &world.unseen,
        "select array_agg(message_id) from punctual.drafts",
    )
    .await;
    assert_eq!(left, [open]);
    assert_eq!(
        one::<i64>(&world.unseen, "select count(*) from punctual.draft_days").await,
        0
    );
}

async fn asked(client: &tokio_postgres::Client, arguments: &str) -> Value {
    let sql = format!("select (punctual_api.request_text({arguments}))::text");
    serde_json::from_str(&one::<String>(client, &sql).await).unwrap()
}

#[tokio::test]
async fn an_app_asks_for_a_text_of_its_own_messages() {
    let (world, store) = world().await;
    let id = reminder(&world, false).await;
    let app = world.db.client().await;
    let role = "do $$ begin create role writer_app; exception when duplicate_object or unique_violation then null; end $$;
        grant usage on schema punctual_api to writer_app;
        grant execute on all functions in schema punctual_api to writer_app;
        grant select, update on scheduled_messages to writer_app;
        alter table scheduled_messages enable row level security;
        create policy own on scheduled_messages to writer_app using (to_number = '+13105550100')";
    run(&world.unseen, role).await;
    run(&app, "set role writer_app").await;
    assert_eq!(asked(&app, &format!("'{id}'")).await["ok"], true);
    assert_eq!(taken(&store).await.len(), 1);
    // Of facts that it gives, where there is no event.
    let own: Uuid = one(
        &world.user,
        "insert into scheduled_messages (to_number, from_number, body, scheduled_at)
         values ('+13105550100', '+15005550006', 'Dinner', now() + interval '1 hour') returning id",
    )
    .await;
    let answer = asked(&app, &format!("'{own}'")).await;
    assert_eq!(
        answer["reason"],
        "neither its event nor the facts have a title and a start"
    );
    let facts = r#"{"title": "Dinner", "starts_at": "2030-01-01T19:00:00Z", "link": "https://x.example/y"}"#;
    assert_eq!(
        asked(&app, &format!("'{own}', '{facts}'")).await["ok"],
        true
    );
    assert!(taken(&store).await[0].facts.contains("Dinner"));
    for (bad, named) in [
        (r#"{"name": "x"}"#, "\"name\""),
        (r#"{"title": 1}"#, "\"title\""),
        (r#"{"title": " "}"#, "\"title\""),
        (r#"{"starts_at": "soon"}"#, "\"starts_at\""),
        (r#"{"link": "javascript:x"}"#, "\"link\""),
        ("[1]", "facts must be an object"),
    ] {
        let sql = format!("select punctual_api.request_text('{own}', '{bad}')");
        let error = app.batch_execute(&sql).await.unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), "PT422", "{bad}");
        assert!(
            error.message().contains(named),
            "{bad}: {}",
            error.message()
        );
    }
    // Of others, and of what was sent, none.
    run(
        &world.unseen,
        &format!("update scheduled_messages set to_number = '+13105550199' where id = '{id}'"),
    )
    .await;
    assert_eq!(asked(&app, &format!("'{id}'")).await["ok"], false);
    run(
        &world.unseen,
        &format!("update scheduled_messages set status = 'sent' where id = '{own}'"),
    )
    .await;
    assert_eq!(asked(&app, &format!("'{own}'")).await["late"], true);
    store.keep_model(None).await.unwrap();
    run(
        &world.unseen,
        "update scheduled_messages set status = 'pending', to_number = '+13105550100'",
    )
    .await;
    let third: Uuid = one(
        &world.user,
        "insert into scheduled_messages (to_number, from_number, body, scheduled_at)
         values ('+13105550100', '+15005550006', 'x', now() + interval '1 hour') returning id",
    )
    .await;
    let answer = asked(&app, &format!("'{third}', '{facts}'")).await;
    assert_eq!(
        answer["reason"],
        "no daemon writes texts: PUNCTUAL_LLM_URL is not set"
    );
}

/// A daemon's role has the rights for all of this.
#[tokio::test]
async fn the_daemons_role_writes_texts() {
    let (world, _) = world().await;
    let id = reminder(&world, true).await;
    let role = "do $$ begin create role daemon_that_writes login; exception when duplicate_object or unique_violation then null; end $$";
    run(&world.unseen, role).await;
    Migrator::embedded()
        .grant(world.db.dsn(), "daemon_that_writes")
        .await
        .unwrap();
    let daemon = world.daemon().await;
    run(&daemon, "set role daemon_that_writes").await;
    assert_eq!(
        one::<i32>(
            &daemon,
            &format!("select punctual.want_texts(array['{id}'::uuid])")
        )
        .await,
        1
    );
}

#[tokio::test]
async fn a_message_that_is_moved_by_itself_has_its_template_again_and_another_text_is_asked_for() {
    let (world, store) = world().await;
    let id = reminder(&world, true).await;
    wanted(&world, id).await;
    let own = taken(&store).await.remove(0);
    assert!(put(&store, &own).await);
    let moves = format!(
        "update scheduled_messages set scheduled_at = scheduled_at - interval '5 minutes' where id = '{id}'"
    );
    run(&world.user, &moves).await;
    let has_template =
        "template_vars ->> 'event_title' = 'Sync' and metadata ->> 'generated_via' = 'template'";
    assert!(world.get::<bool>(id, has_template).await);
    let again = taken(&store).await;
    assert!(again.len() == 1 && again[0].is_current);
    assert!(put(&store, &again[0]).await);
    // As it was read: no move. And with a text of its own it keeps that.
    run(
        &world.user,
        "update scheduled_messages set scheduled_at = scheduled_at, priority = 'high'",
    )
    .await;
    run(&world.user, &moves.replace("set ", "set body = 'mine', ")).await;
    assert!(
        world
            .get::<bool>(id, "body = 'mine' and template_vars is null")
            .await
    );
    assert_eq!(taken(&store).await.len(), 0);
}
