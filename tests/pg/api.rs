//! The API for apps: `punctual_api`, as roles of the app's call it.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use punctual::message::facts::Template;
use punctual::message::template::{is_name, render};
use punctual::store::with_expressions;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::ours::{accepted, recorded, store, won};
use crate::rows::{World, one, run, said};

const DOCS: &str = include_str!("../../docs/api.md");

/// One user, and another.
const ADA: &str = "11111111-1111-4111-8111-111111111111";
const BEN: &str = "22222222-2222-4222-8222-222222222222";

/// A world whose users have their own rows, and the grants of the docs; and a session of one of its users.
async fn world() -> (World, Client) {
    let world = World::new().await;
    let app = world.db.client().await;
    run(
        &world.unseen,
        "do $$ begin create role api_app; exception when duplicate_object or unique_violation then null; end $$;
         do $$ begin create role api_stranger; exception when duplicate_object or unique_violation then null; end $$;
         grant select, insert, update, delete on scheduled_messages to api_app;
         grant select on sms_templates to api_app, api_stranger;
         alter table scheduled_messages enable row level security;
         alter table scheduled_messages alter user_id set default nullif(current_setting('api.subject', true), '')::uuid;
         create policy own on scheduled_messages to api_app
           using (user_id = current_setting('api.subject')::uuid)
           with check (user_id = current_setting('api.subject')::uuid)",
    )
    .await;
    let grants = block("sql", "grant usage on schema punctual_api").replace("my_app", "api_app");
    run(&world.unseen, &grants).await;
    run(
        &app,
        &format!("set role api_app; set api.subject = '{ADA}'"),
    )
    .await;
    (world, app)
}

/// A block of the docs that contains this.
fn block(language: &str, with: &str) -> String {
    let begin = format!("```{language}\n");
    let blocks = DOCS.split(&begin).skip(1);
    let mut texts = blocks.map(|text| text.split("```").next().unwrap());
    let found = texts.find(|text| text.contains(with));
    found
        .unwrap_or_else(|| panic!("no block with {with}"))
        .into()
}

async fn call(client: &Client, call: &str) -> Value {
    let answer: String = one(client, &format!("select (punctual_api.{call})::text")).await;
    serde_json::from_str(&answer).unwrap()
}

/// The error of a call: code, message, hint.
async fn error(client: &Client, call: &str) -> (String, String, String) {
    let error = client
        .query(&format!("select punctual_api.{call}"), &[])
        .await;
    let error = error.map(|_| ()).expect_err(call);
    let error = error.as_db_error().expect("of the server").clone();
    let hint = error.hint().unwrap_or_default().to_owned();
    (
        error.code().code().to_owned(),
        error.message().to_owned(),
        hint,
    )
}

async fn scheduled(client: &Client) -> Uuid {
    let answer = call(
        client,
        "schedule_message('+13105550100', now() + interval '1 hour', 'hello')",
    )
    .await;
    assert_eq!(answer["ok"], true, "{answer}");
    assert_eq!(answer["status"], "pending");
    answer["id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_user_schedules_moves_and_cancels_their_own_messages_and_no_others() {
    let (world, app) = world().await;
    let id = scheduled(&app).await;
    assert_eq!(world.get::<Uuid>(id, "user_id").await.to_string(), ADA);

    let at = "2030-01-02 03:04:05.678901Z";
    let moved = call(&app, &format!("reschedule_message('{id}', '{at}')")).await;
    assert_eq!(moved["ok"], true, "{moved}");
    let is_there = format!(
        "scheduled_at = '{at}' and (select punctual_api.message_status('{id}') ->> 'due')::timestamptz = '{at}'"
    );
    assert!(
        one::<bool>(
            &app,
            &format!("select {is_there} from scheduled_messages where id = '{id}'")
        )
        .await
    );

    // Another user sees nothing of it, and cannot write in the first one's name.
    run(&app, &format!("set api.subject = '{BEN}'")).await;
    for theirs in [
        format!("cancel_message('{id}')"),
        format!("reschedule_message('{id}', '{at}')"),
        format!("message_status('{id}')"),
        format!("message_story('{id}')"),
    ] {
        let answer = call(&app, &theirs).await;
        let expected = json!({"ok": false, "late": false, "reason": "there is no such message, or it is not yours"});
        assert_eq!(answer, expected, "{theirs}");
    }
    let theirs = format!("schedule_message('+13105550100', now(), 'x', user_id => '{ADA}')");
    assert_eq!(error(&app, &theirs).await.0, "42501");
    assert_eq!(world.tally().await, "pending 1");

    // Seen and not to be changed: the policies decide, not the function.
    run(
        &world.unseen,
        "drop policy own on scheduled_messages;
         create policy sees on scheduled_messages for select to api_app using (true)",
    )
    .await;
    let kept = call(&app, &format!("cancel_message('{id}')")).await;
    assert_eq!(kept["ok"], false);
    assert_eq!(kept["late"], false);
    assert_eq!(kept["status"], "pending");
    run(
        &world.unseen,
        "create policy all_of_it on scheduled_messages to api_app using (true)",
    )
    .await;

    for _ in 0..2 {
        let cancelled = call(&app, &format!("cancel_message('{id}')")).await;
        assert_eq!(cancelled["ok"], true, "a second cancel finds it cancelled");
        assert_eq!(cancelled["status"], "cancelled");
    }
    assert_eq!(
        world.get::<i64>(id, "version").await,
        2,
        "one move, one cancel"
    );

    // A role without the grants, and the ledger's function by its own name.
    run(&app, "reset role; set role api_stranger").await;
    assert_eq!(
        error(&app, &format!("message_status('{id}')")).await.0,
        "42501"
    );
    run(&app, "reset role; set role api_app").await;
    let ledger = app
        .query(&format!("select punctual.ledger_for_app('{id}')"), &[])
        .await;
    assert!(said(&ledger.unwrap_err()).contains("42501"));
}

#[tokio::test]
async fn bad_input_is_refused_with_what_to_do_and_writes_nothing() {
    let (world, app) = world().await;
    let at = "now() + interval '1 hour'";
    for (call, says) in [
        (
            format!("schedule_message(null, {at}, 'x')"),
            "to_number is missing",
        ),
        (
            "schedule_message('+13105550100', null, 'x')".into(),
            "scheduled_at is missing",
        ),
        (
            "schedule_message('+13105550100', 'infinity', 'x')".into(),
            "scheduled_at is missing",
        ),
        (
            "schedule_message('+13105550100', now() - interval '2 minutes', 'x')".into(),
            "in the past",
        ),
        (
            format!("schedule_message('+13105550100', {at})"),
            "either a body or a template",
        ),
        (
            format!(
                "schedule_message('+13105550100', {at}, 'x', media_urls => '{{http://a.example}}')"
            ),
            "media_urls",
        ),
        (
            format!("schedule_message('+13105550100', {at}, 'x', 'y')"),
            "either a body or a template",
        ),
        (
            format!("schedule_message('+13105550100', {at}, 'x', vars => '{{}}')"),
            "variables of a template",
        ),
        (
            format!("schedule_message('+13105550100', {at}, 'x', send_before => now())"),
            "send_before",
        ),
        (
            format!("schedule_message('+13105550100', {at}, 'x', priority => 'asap')"),
            "priority",
        ),
        (
            format!("schedule_message('+13105550100', {at}, 'x', channel => 'fax')"),
            "not supported",
        ),
        // Whatever PUNCTUAL_VALIDATE is: its default only warns.
        (
            format!("schedule_message('310 555 0100', {at}, 'x')"),
            "to_number must be",
        ),
        (
            format!("schedule_message('+13105550100', {at}, ' ')"),
            "the body is empty",
        ),
        (
            format!("schedule_message('+13105550100', {at}, 'x', from_number => '?')"),
            "from_number",
        ),
        (
            format!("schedule_message('+13105550100', {at}, template => 'none')"),
            "no template",
        ),
        ("cancel_message(null)".into(), "id is missing"),
        ("message_status(null)".into(), "id is missing"),
        (format!("reschedule_message(null, {at})"), "must be given"),
        (
            format!("reschedule_message('{ADA}', null)"),
            "must be given",
        ),
        (
            format!("reschedule_message('{ADA}', '-infinity')"),
            "must be given",
        ),
        (
            format!("reschedule_message('{ADA}', now() - interval '2 minutes')"),
            "in the past",
        ),
    ] {
        let (code, message, hint) = error(&app, &call).await;
        assert_eq!(code, "PT422", "{call}: {message}");
        assert!(message.contains(says), "{call}: {message}");
        assert!(!hint.is_empty(), "{call}: {message}");
        assert!(!message.contains("+1310"), "{message}");
    }
    assert_eq!(world.tally().await, "");
}

#[tokio::test]
async fn the_check_ends_with_the_call_and_a_key_is_in_progress_once() {
    let (world, app) = world().await;
    run(
        &app,
        "begin; select punctual_api.schedule_message('+13105550100', now() + interval '1 hour', 'x');
         insert into scheduled_messages (to_number, body, scheduled_at) values ('310', 'x', now() + interval '1 day'); rollback",
    )
    .await;

    // The clocks of app and database may differ a little.
    let now = call(
        &app,
        "schedule_message('+13105550100', now() - interval '30 s', 'x', dedup_key => 'k')",
    )
    .await;
    assert_eq!(now["ok"], true);
    let again = call(
        &app,
        "schedule_message('+13105550100', now(), 'y', dedup_key => 'k')",
    )
    .await;
    assert_eq!(again["ok"], false);
    assert_eq!(again["id"], now["id"]);
    assert_eq!(
        again["reason"],
        "a message with this dedup_key is in progress"
    );
    // A constraint of the app's is its own error.
    run(
        &world.unseen,
        "create unique index only_one on scheduled_messages (to_number)",
    )
    .await;
    let (code, ..) = error(&app, "schedule_message('+13105550100', now(), 'x')").await;
    assert_eq!(code, "23505");
}

#[tokio::test]
async fn what_comes_too_late_is_an_answer() {
    let (world, app) = world().await;
    for (status, parts, cancel, move_) in [
        (
            "sending",
            0,
            Some((true, "it is being sent this moment")),
            Some((true, "it is being sent this moment")),
        ),
        (
            "sent",
            0,
            Some((true, "it was sent")),
            Some((true, "it was sent")),
        ),
        (
            "delivered",
            0,
            Some((true, "it was delivered")),
            Some((true, "it was delivered")),
        ),
        (
            "unconfirmed",
            0,
            Some((true, "it may have been sent; whether it was is not known")),
            Some((true, "it may have been sent; whether it was is not known")),
        ),
        (
            "failed",
            0,
            Some((false, "it has failed")),
            Some((false, "it has failed")),
        ),
        ("cancelled", 0, None, Some((false, "it was cancelled"))),
        ("pending", 0, None, None),
        (
            "pending",
            2,
            None,
            Some((true, "2 of 3 parts were sent; it can only be cancelled")),
        ),
    ] {
        for (call_, expected) in [
            ("reschedule_message('ID', now() + interval '1 day')", move_),
            ("cancel_message('ID')", cancel),
        ] {
            let id = world
                .row_with(
                    status,
                    ", user_id, parts_done, parts_total",
                    &format!(", '{ADA}', {parts}, 3"),
                )
                .await;
            let before: String = world.get(id, "concat(status, scheduled_at)").await;
            let answer = call(&app, &call_.replace("ID", &id.to_string())).await;
            let Some((late, reason)) = expected else {
                assert_eq!(answer["ok"], true, "{call_} of {status}: {answer}");
                continue;
            };
            let refusal = json!({"ok": false, "late": late, "reason": reason, "status": status});
            assert_eq!(answer, refusal, "{call_}");
            assert_eq!(
                world
                    .get::<String>(id, "concat(status, scheduled_at)")
                    .await,
                before
            );
        }
    }
}

/// The cut-off is the claim's: whoever waits for it finds the message being sent.
#[tokio::test]
async fn a_cancel_that_waits_for_the_claim_hears_that_it_is_late() {
    let (world, app) = world().await;
    let id = world
        .row_with("pending", ", user_id", &format!(", '{ADA}'"))
        .await;
    let claim = world.daemon().await;
    run(
        &claim,
        &format!("begin; update scheduled_messages set status = 'sending' where id = '{id}'"),
    )
    .await;
    let cancel = format!("cancel_message('{id}')");
    let pid: i32 = one(&app, "select pg_backend_pid()").await;
    let ((), answer) = tokio::join!(
        async {
            let waits = format!(
                "exists (select from pg_stat_activity where pid = {pid} and wait_event_type = 'Lock')"
            );
            crate::rows::until(&world.unseen, &waits).await;
            run(&claim, "commit").await;
        },
        call(&app, &cancel),
    );
    assert_eq!(answer["late"], true, "{answer}");
    assert_eq!(answer["status"], "sending");
}

/// It was being sent when the call looked for it as pending, and is put back before it looks why it found nothing.
#[tokio::test]
async fn what_is_put_back_during_the_call_is_cancelled_and_moved() {
    let (world, app) = world().await;
    // The first statement waits in here, after it has its snapshot.
    run(
        &world.unseen,
        "create function public.wait() returns trigger language plpgsql as
           $$ begin perform pg_advisory_xact_lock_shared(4711); return null; end $$;
         create trigger wait before update on scheduled_messages for each statement execute function public.wait();
         alter table scheduled_messages add column at timestamptz default 'infinity'",
    )
    .await;
    let holder = world.db.client().await;
    let pid: i32 = one(&app, "select pg_backend_pid()").await;
    for asked in [
        "cancel_message('ID')",
        "reschedule_message('ID', '2030-01-02 03:04:05Z')",
    ] {
        let id = world
            .row_with("sending", ", user_id", &format!(", '{ADA}'"))
            .await;
        run(&holder, "select pg_advisory_lock(4711)").await;
        let asked = asked.replace("ID", &id.to_string());
        let ((), answer) = tokio::join!(
            async {
                let waits = format!(
                    "exists (select from pg_stat_activity where pid = {pid} and wait_event_type = 'Lock')"
                );
                crate::rows::until(&world.unseen, &waits).await;
                let back = format!(
                    "set session_replication_role = replica;
                     update scheduled_messages set status = 'pending' where id = '{id}';
                     set session_replication_role = default"
                );
                run(&holder, &back).await;
                // By itself: what is sent together is committed together, which is after the lock is released.
                run(&holder, "select pg_advisory_unlock(4711)").await;
            },
            call(&app, &asked),
        );
        assert_eq!(answer["ok"], true, "{asked}: {answer}");
    }
    // The app's own column of that name is not taken for the argument.
    assert_eq!(world.tally().await, "cancelled 1, pending 1");
    let at: bool = one(
        &world.unseen,
        "select scheduled_at = '2030-01-02 03:04:05Z' from scheduled_messages where status = 'pending'",
    )
    .await;
    assert!(at);
}

/// With columns of other types, which the claim reads too.
#[tokio::test]
async fn a_template_of_other_columns_is_read_as_the_claim_reads_it() {
    let (world, app) = world().await;
    run(
        &world.unseen,
        "alter table sms_templates drop constraint sms_templates_max_length_punctual,
           alter is_active drop default, alter is_active type text,
           alter max_length type text, alter required_vars drop default;
         insert into sms_templates (template_key, name, message_template) values ('k', 'k', 'Hi {{name}}')",
    )
    .await;
    let id: Uuid = one(&world.unseen, "select id from sms_templates").await;
    for (active, max, refused) in [
        ("no", "160", Some("is not active")),
        ("0", "160", Some("is not active")),
        ("OFF", "160", Some("is not active")),
        ("yes", "160", None),
        ("perhaps", "160", None),
        ("1", "5", Some("at most 5")),
        ("1", "many", None),
        ("1", "6", None),
    ] {
        run(
            &world.unseen,
            &format!("update sms_templates set is_active = '{active}', max_length = '{max}'"),
        )
        .await;
        let read = format!(
            "select is_active and coalesce(max_length >= 6, true) from punctual.facts_of_templates(array['{id}'::uuid])"
        );
        assert_eq!(
            one::<bool>(&world.unseen, &read).await,
            refused.is_none(),
            "by the claim: {active} {max}"
        );
        let asked = "render_template('k', '{\"name\": \"Ada\"}')";
        match refused {
            None => assert_eq!(call(&app, asked).await["body"], "Hi Ada"),
            Some(words) => {
                let (code, message, _) = error(&app, asked).await;
                assert_eq!(code, "PT422");
                assert!(message.contains(words), "{active} {max}: {message}");
            }
        }
    }
    let mut refused = 0;
    for (kind, required) in [
        ("jsonb", "[\"name\"]"),
        ("jsonb", "[\"other\"]"),
        ("jsonb", "null"),
        ("jsonb", "{}"),
        ("jsonb", "\"name\""),
        ("jsonb", "[1]"),
        ("jsonb", "[[\"name\"]]"),
        ("jsonb", "[null]"),
        ("json", "\"[]\""),
        ("text", "[\"name\"]"),
        ("text", " [\"other\"]"),
        ("text", "[name"),
        ("text", "{}"),
        ("text", "name, other"),
        ("text", ""),
        ("text[]", "{name}"),
        ("text[]", "{other}"),
    ] {
        let put = format!(
            "alter table sms_templates drop column required_vars;
             alter table sms_templates add column required_vars {kind};
             update sms_templates set is_active = true, max_length = null, required_vars = '{required}'"
        );
        run(&world.unseen, &put).await;
        let vars = "{\"name\": \"Ada\"}";
        let claimed = render(&claimed_template(&world, id).await, vars, None);
        let asked = format!("render_template('k', '{vars}')");
        if let Ok(text) = claimed {
            assert_eq!(call(&app, &asked).await["body"], text, "{kind} {required}");
            continue;
        }
        refused += 1;
        let (code, message, hint) = error(&app, &asked).await;
        assert_eq!(code, "PT422", "{kind} {required}");
        if message.contains("must be a list of names") {
            assert!(hint.contains("[\"name\"]"), "{hint}");
        } else {
            assert!(message.contains("needs the variable other"), "{message}");
        }
    }
    assert_eq!(refused, 11);
}

/// A template as a claim reads it.
async fn claimed_template(world: &World, id: Uuid) -> Template {
    let read = "select name, message_template, required_vars, max_length, is_active
                  from punctual.facts_of_templates(array[$1::uuid])";
    let row = world.unseen.query_one(read, &[&id]).await.unwrap();
    Template {
        name: row.get(0),
        text: row.get(1),
        required_vars: row.get(2),
        max_length: row.get(3),
        is_active: row.get(4),
    }
}

/// In the blocks of punctuation and symbols exactly; elsewhere no name is refused that the claim accepts.
#[tokio::test]
async fn a_variable_has_the_characters_that_the_claim_accepts() {
    const EXACT: [RangeInclusive<u32>; 6] = [
        1..=0xff,
        0x2000..=0x206f,
        0x20a0..=0x20cf,
        0x2190..=0x2bff,
        0x3000..=0x3020,
        0x1f300..=0x1faff,
    ];
    let (world, _) = world().await;
    let refused = with_expressions(
        "select array_agg(c) from generate_series(1, 131071) c
          where c not between 55296 and 57343 and chr(c) ~ no_name_chars!()",
    );
    let refused: Vec<i32> = one(&world.unseen, &refused).await;
    let refused: BTreeSet<u32> = refused.into_iter().map(i32::cast_unsigned).collect();
    let accepted = |c: u32| char::from_u32(c).is_some_and(|c| is_name(&c.to_string()));
    for c in &refused {
        assert!(!accepted(*c), "{c:x}");
    }
    for c in EXACT.into_iter().flatten() {
        assert_eq!(refused.contains(&c), !accepted(c), "{c:x}");
    }
}

#[tokio::test]
async fn a_template_is_rendered_as_the_claim_renders_it() {
    let (world, app) = world().await;
    let long = "x".repeat(20);
    let texts = [
        "Hi {{name}}!",
        "Hi {{ name }}{{n}}",
        "{{a.b-c_d}} {{ä}}",
        "{{name",
        "{{}}",
        "{{na me}}",
        "{{na+me}}",
        "}} {{name}} }}",
        "{{{name}}}",
        "no variable",
        "{{name}}[BUBBLE]{{name}}",
        "a[BUBBLE] [BUBBLE]b",
        "{{\u{a0}name\t}}",
        "{{missing}}",
        "{{a€}}",
        "{{„a“}}",
        "{{a–b}}",
        "{{a×b}}",
        "{{🙂}}",
        "{{①}}{{²}}{{नाम}}{{名}}",
        "Soon. {{missing}}",
        "{{name}} \u{a0}{{missing}}\n{{n}} ",
        "{{missing}} {{name}}. {{missing}} end ",
        "Soon. {{missing}}[BUBBLE] {{name}} {{missing}}",
    ];
    let vars = [
        json!({}),
        json!({"name": "Ada"}),
        json!({"name": "{{n}}", "n": 2}),
        json!({"name": null}),
        json!({"name": {"a": 1}}),
        json!({"name": [1]}),
        json!({"name": true, "ä": "é", "a.b-c_d": ""}),
        json!({"name": long}),
        json!({"name": "Ada \n"}),
        json!([]),
        json!("x"),
    ];
    let mut fine = 0;
    for text in texts {
        for (required, max, active) in [
            (json!([]), None, true),
            (json!(["name"]), Some(12), true),
            (json!({}), Some(3), false),
        ] {
            let is_list = required.is_array();
            let put = "delete from sms_templates where template_key = 'k'";
            run(&world.unseen, put).await;
            let put = "insert into sms_templates (template_key, name, message_template, required_vars, max_length, is_active)
                       values ('k', 'its name', $1, $2::text::jsonb, $3, $4)";
            let params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
                [&text, &required.to_string(), &max, &active];
            world.unseen.execute(put, &params).await.unwrap();
            let template = Template {
                name: "k".into(),
                text: text.into(),
                required_vars: is_list.then(|| required.to_string()),
                max_length: max,
                is_active: active,
            };
            for vars in &vars {
                let ours = render(&template, &vars.to_string(), Some("[BUBBLE]"));
                let theirs = app
                    .query_one(
                        "select punctual_api.render_template('k', $1::text::jsonb) ->> 'body'",
                        &[&vars.to_string()],
                    )
                    .await;
                match (ours, theirs) {
                    (Ok(ours), Ok(theirs)) => {
                        assert_eq!(theirs.get::<_, String>(0), ours, "{text} with {vars}");
                        fine += 1;
                    }
                    (Err(_), Err(theirs)) => assert!(
                        said(&theirs).ends_with("(PT422)"),
                        "{text}: {}",
                        said(&theirs)
                    ),
                    (ours, theirs) => panic!("{text} with {vars}: {ours:?}, {theirs:?}"),
                }
            }
        }
    }
    assert!(fine > 60, "{fine}");
}

/// By key, by name and by id: the claim renders it again, and the body is what it renders.
#[tokio::test]
async fn a_message_is_scheduled_from_a_template() {
    let (world, app) = world().await;
    run(
        &world.unseen,
        "insert into sms_templates (template_key, name, message_template) values ('k', 'its name', 'Hi {{name}}')",
    )
    .await;
    let id: Uuid = one(&world.unseen, "select id from sms_templates").await;
    for named in ["k".to_owned(), "its name".into(), id.to_string()] {
        let answer = call(&app, &format!("schedule_message('+13105550100', now() + interval '1 h', template => '{named}', vars => '{{\"name\": \"Ada\"}}')")).await;
        let message: Uuid = answer["id"].as_str().unwrap().parse().unwrap();
        assert_eq!(world.get::<Uuid>(message, "template_id").await, id);
        assert_eq!(
            world
                .get::<String>(message, "body || template_vars::text")
                .await,
            "Hi Ada{\"name\": \"Ada\"}"
        );
    }
    // The installation's separator counts.
    run(&world.unseen, "insert into punctual.settings (part_separator) values ('|') on conflict (one) do update set part_separator = '|';
        update sms_templates set max_length = 8, message_template = '{{name}}|{{name}}'").await;
    assert_eq!(
        call(&app, "render_template('k', '{\"name\": \"12345678\"}')").await["ok"],
        true
    );
    run(
        &world.unseen,
        "update punctual.settings set part_separator = ''",
    )
    .await;
    assert_eq!(
        error(&app, "render_template('k', '{\"name\": \"12345678\"}')")
            .await
            .0,
        "PT422"
    );
}

#[tokio::test]
async fn the_story_has_what_happened_and_no_number_and_no_text() {
    let (world, app) = world().await;
    let daemon = store(&world);
    let id = scheduled(&app).await;
    run(&app, &format!("update scheduled_messages set body = 'hello again', to_number = '+13105550101' where id = '{id}'")).await;
    call(
        &app,
        &format!("reschedule_message('{id}', now() + interval '1 ms')"),
    )
    .await;
    let claim = won(&daemon, &[id]).await.remove(0);
    recorded(&daemon, &[accepted(&claim)]).await;
    let story = call(&app, &format!("message_story('{id}')")).await;
    assert_eq!(story["ok"], true, "{story}");
    assert_eq!(story["status"], "sent");
    assert_eq!(story["attempts"][0]["outcome"], "accepted");
    assert_eq!(story["attempts"][0]["number"], 1);
    assert_eq!(story["attempts"][0]["part"], 1);
    assert_eq!(story["changes"][0]["columns"], json!(["body", "to_number"]));
    assert_eq!(story["changes"][1]["columns"], json!(["scheduled_at"]));
    assert!(story["changes"][1]["scheduled_at"].is_string());
    let status = call(&app, &format!("message_status('{id}')")).await;
    // Of the attempts it has the number.
    for (key, value) in status.as_object().unwrap() {
        assert!(key == "attempts" || &story[key] == value, "{key}");
    }
    for private in ["+1310", "5550100", "hello"] {
        assert!(!story.to_string().contains(private), "{story}");
    }
    // Of a message with very many it has the latest.
    run(
        &world.unseen,
        &format!(
            "insert into punctual.attempts (token, message_id, number, instance, lease_until, outcome)
             select gen_random_uuid(), '{id}', n, gen_random_uuid(), now(), 'unsent' from generate_series(2, 250) n;
             insert into punctual.receipts (message_id, token, provider_sid, status, effect)
             select '{id}', gen_random_uuid(), 'SM1', 's' || n, 'advanced' from generate_series(1, 250) n;
             insert into punctual.notes (message_id, note) select '{id}', 'n' || n from generate_series(1, 250) n"
        ),
    )
    .await;
    let story = call(&app, &format!("message_story('{id}')")).await;
    for (list, key, first, last) in [
        ("attempts", "number", json!(51), json!(250)),
        ("receipts", "status", json!("s51"), json!("s250")),
        ("notes", "note", json!("n51"), json!("n250")),
    ] {
        let list = story[list].as_array().unwrap();
        assert_eq!(list.len(), 200);
        assert_eq!((&list[0][key], &list[199][key]), (&first, &last));
    }
}

/// The app's row of a sent message names the message, unless a constraint of the app's is in the way.
#[tokio::test]
async fn a_row_of_messages_names_its_scheduled_message() {
    let world = World::new().await;
    let store = store(&world);
    let column = "alter table messages drop column scheduled_message_id; alter table messages add column scheduled_message_id ";
    for (kind, is_written) in [
        ("uuid", true),
        ("uuid not null", false),
        ("uuid references scheduled_messages (id)", false),
        ("uuid unique", false),
        ("bigint", false),
        ("text", false),
    ] {
        run(
            &world.unseen,
            "delete from messages; delete from punctual.outbox",
        )
        .await;
        run(&world.unseen, &format!("{column} {kind}")).await;
        let id = world.row("pending").await;
        let claim = won(&store, &[id]).await.remove(0);
        recorded(&store, &[accepted(&claim)]).await;
        if kind == "uuid not null" {
            // It could not be inserted without.
            let named: i64 = one(
                &world.unseen,
                &format!("select count(*) from messages where scheduled_message_id = '{id}'"),
            )
            .await;
            assert_eq!(named, 1, "{kind}");
            continue;
        }
        let written: String = one(&world.unseen, "select coalesce(string_agg(coalesce(scheduled_message_id::text, 'null'), ','), 'no row') from messages").await;
        let expected = if is_written {
            id.to_string()
        } else {
            "null".into()
        };
        assert_eq!(written, expected, "{kind}");
    }
}

#[tokio::test]
async fn the_docs_have_every_function_with_its_arguments_and_their_sql_runs() {
    let (_world, app) = world().await;
    let sql = "select p.proname::text, coalesce(p.proargnames, '{}') from pg_proc p
                where p.pronamespace = 'punctual_api'::regnamespace order by 1";
    let functions = app.query(sql, &[]).await.unwrap();
    assert_eq!(functions.len(), 8);
    for row in &functions {
        let (name, arguments): (String, Vec<String>) = (row.get(0), row.get(1));
        assert!(DOCS.contains(&format!("`{name}(")), "{name}");
        for argument in arguments {
            assert!(DOCS.contains(&argument), "{argument} of {name}");
        }
    }
    // With the rights of the caller, but for the one that writes to the log of consents, and for nobody else.
    let loose: i64 = one(
        &app,
        "select count(*) from pg_proc p where p.pronamespace = 'punctual_api'::regnamespace
            and (p.prosecdef <> (p.proname = 'record_consent') or exists (select from aclexplode(p.proacl) a where a.grantee = 0))",
    )
    .await;
    assert_eq!(loose, 0);
    let example = block("sql", "select punctual_api.schedule_message");
    run(&app, &example).await;
}
