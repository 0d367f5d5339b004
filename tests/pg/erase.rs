//! Erasing what a message said and whom it reached.

use punctual::message::MessageId;
use punctual::store::forget::forget;
use uuid::Uuid;

use crate::rows::{World, one, refused, run, said};

const NUMBER: &str = "+13105550100";
const TEXT: &str = "hello";

/// A message in this state, with an attempt and with its text wherever Punctual keeps texts.
async fn message(world: &World, status: &str, outcome: &str) -> Uuid {
    let id = world
        .row_with(
            status,
            ", subject, media_urls, template_vars, dedup_key, user_id, attempts, from_number",
            &format!(", '{TEXT} you', '{{https://a.example/{TEXT}}}', '{{\"x\": \"{TEXT}\"}}', '{NUMBER}' || gen_random_uuid(), gen_random_uuid(), 1, '+15005550006'"),
        )
        .await;
    run(
        &world.unseen,
        &format!(
            "insert into punctual.attempts (token, message_id, number, instance, lease_until, outcome, body,
                                            lookup_to, lookup_text, provider_sid, user_id, day)
             values (gen_random_uuid(), '{id}', 1, gen_random_uuid(), now(), {outcome}, '{TEXT}',
                     '{NUMBER}', sha256('{TEXT}'), 'SM' || '{id}', gen_random_uuid(), current_date);
             insert into punctual.outbox (message_id, write, last_error, app_error)
             values ('{id}', '{{\"id\": \"{id}\", \"to\": \"{NUMBER}\", \"body\": \"{TEXT}\"}}', 'x', '{TEXT}'),
                    ('{id}', '{{\"status_of\": \"SM\"}}', 'x', '{NUMBER}');
             insert into punctual.missed_event_changes (message_id, calendar_event_id, user_id)
             values ('{id}', 'e', gen_random_uuid());
             insert into punctual.history (message_id, op, role, old, new)
             values ('{id}', 'update', 'app', '{{\"to_number\": \"{NUMBER}\", \"status\": \"failed\"}}',
                     '{{\"to_number\": \"\", \"status\": \"pending\"}}'),
                    ('{id}', 'update', 'app', '{{\"body\": \"{TEXT}\"}}', '{{\"body\": \"{TEXT}\"}}'),
                    ('{id}', 'delete', 'app', '{{}}', null)"
        ),
    )
    .await;
    id
}

fn erase(id: Uuid) -> String {
    format!("select punctual.erase('{id}')")
}

/// Whether number or text stands anywhere in the row or in schema `punctual`.
async fn kept_in(world: &World) -> Vec<String> {
    let tables = "select c.oid::regclass::text from pg_class c
                   where c.relkind = 'r' and (c.relnamespace = 'punctual'::regnamespace
                                              or c.oid = 'public.scheduled_messages'::regclass)";
    let mut found = Vec::new();
    for row in world.unseen.query(tables, &[]).await.unwrap() {
        let table: String = row.get(0);
        let sql = format!(
            "select exists (select from {table} t
                             where t::text like '%{TEXT}%' or t::text like '%{NUMBER}%'
                                or t::text like '%' || encode(sha256('{TEXT}'), 'hex') || '%')"
        );
        if one::<bool>(&world.unseen, &sql).await {
            found.push(table);
        }
    }
    found
}

#[tokio::test]
async fn nothing_of_number_or_text_is_left() {
    let world = World::new().await;
    for (status, outcome) in [
        ("sent", "'accepted'"),
        ("delivered", "'accepted'"),
        ("failed", "'refused'"),
        ("cancelled", "null"),
    ] {
        let id = message(&world, status, outcome).await;
        if outcome == "null" {
            refused(&world.user, &erase(id)).await;
            let settled = "update punctual.attempts set outcome = 'unknown', settled_by = 'x' where outcome is null";
            run(&world.unseen, settled).await;
        }
        assert_eq!(kept_in(&world).await.len(), 4, "{status}");
        run(&world.user, &erase(id)).await;
        assert_eq!(kept_in(&world).await, Vec::<String>::new(), "{status}");
        assert_eq!(world.status(id).await, status);
        // Its sid and its day stay provable, and it is not tried again whatever is reported of it.
        let proof = format!(
            "select count(*) = 1 from punctual.attempts where message_id = '{id}' and provider_sid is not null"
        );
        assert!(one::<bool>(&world.user, &proof).await);
        assert!(
            world
                .get::<bool>(id, "max_attempts = attempts and user_id is null")
                .await
        );
        // The app's own next write of the row goes as before.
        run(
            &world.user,
            &format!("update scheduled_messages set metadata = '{{}}' where id = '{id}'"),
        )
        .await;
        let writer = "select coalesce(current_setting('punctual.writer', true), '')";
        assert_eq!(one::<String>(&world.user, writer).await, "");
    }
}

#[tokio::test]
async fn what_may_still_be_sent_is_not_erased() {
    let world = World::new().await;
    for (status, outcome) in [
        ("pending", "'refused'"),
        ("sending", "null"),
        ("unconfirmed", "'unknown'"),
        ("failed", "'unknown'"),
        ("cancelled", "'unknown'"),
    ] {
        let id = message(&world, status, outcome).await;
        let why = refused(&world.user, &erase(id)).await;
        assert!(why.contains("it can be erased once"), "{why}");
        assert_eq!(world.get::<String>(id, "body").await, TEXT);
    }
    // Accepted, and asked about at the provider: it may not have arrived, and be tried again.
    let id = message(&world, "sent", "'accepted'").await;
    let asked =
        format!("update punctual.attempts set next_lookup_at = now() where message_id = '{id}'");
    run(&world.unseen, &asked).await;
    refused(&world.user, &erase(id)).await;
    run(&world.unseen, &asked.replace("now()", "null")).await;
    run(&world.user, &erase(id)).await;
}

#[tokio::test]
async fn of_a_row_that_was_deleted_the_ledger_is_erased() {
    let world = World::new().await;
    let id = message(&world, "delivered", "'accepted'").await;
    run(
        &world.user,
        &format!("delete from scheduled_messages where id = '{id}'"),
    )
    .await;
    assert!(!kept_in(&world).await.is_empty());
    run(&world.user, &erase(id)).await;
    assert_eq!(kept_in(&world).await, Vec::<String>::new());
}

#[tokio::test]
async fn only_who_was_allowed_to_may_erase() {
    let world = World::new().await;
    let id = message(&world, "sent", "'accepted'").await;
    run(
        &world.unseen,
        "do $$ begin create role erase_app; exception when duplicate_object or unique_violation then null; end $$;
         grant usage on schema public, punctual to erase_app;
         grant select, update on scheduled_messages to erase_app",
    )
    .await;
    let app = world.db.client().await;
    run(&app, "set role erase_app").await;
    let error = app.batch_execute(&erase(id)).await.unwrap_err();
    assert!(said(&error).contains("42501"), "{}", said(&error));
    // As the owner lets its backend do, by a function of its own.
    run(
        &world.user,
        "create function erase_message(id uuid) returns void language sql security definer
           set search_path = public, pg_temp as 'select punctual.erase(id)';
         grant execute on function erase_message(uuid) to erase_app",
    )
    .await;
    run(&app, &format!("select erase_message('{id}')")).await;
    assert_eq!(kept_in(&world).await, Vec::<String>::new());
}

/// Columns of schema `punctual` that can hold any text, and why none of them holds a number or a text of a
/// message after [`erase`] has run.
const TEXTS: &[(&str, &str)] = &[
    ("attempts.body", "emptied"),
    ("attempts.texts", "emptied"),
    ("attempts.lookup_to", "emptied"),
    ("attempts.lookup_text", "emptied"),
    ("attempts.lookup_from", "the sender"),
    ("attempts.lawful", "our words: rules, a place and zones"),
    ("attempts.outcome", "our word"),
    ("attempts.provider_sid", "the provider's id"),
    ("attempts.category", "our word"),
    ("attempts.error", "our sentence: codes and names"),
    ("attempts.receipt_status", "the provider's word"),
    ("attempts.message_status", "our word"),
    ("attempts.lookup_note", "our sentence"),
    ("attempts.settled_by", "a user of the database, or a policy"),
    ("outbox.write", "emptied"),
    ("outbox.app_error", "emptied"),
    ("outbox.last_error", "our sentence: codes and names"),
    ("receipts.provider_sid", "the provider's id"),
    ("receipts.status", "the provider's word"),
    ("receipts.effect", "our word"),
    ("receipts.row_status", "our word"),
    ("notes.note", "our sentence"),
    ("history.op", "our word"),
    ("history.role", "a role of the database"),
    ("history.actor", "who acted, as the session said"),
    ("history.subject", "who acted, by the JWT"),
    ("history.application", "a program"),
    ("history.old", "emptied"),
    ("history.new", "emptied"),
    ("opt_replies.id", "the provider's id"),
    ("opt_replies.command", "our word"),
    ("settings.validate", "a setting"),
    ("settings.part_separator", "a setting"),
    (
        "suppressions.their_number",
        "an opt-out, which must be obeyed",
    ),
    ("planned.calendar_event_id", "an event's id"),
    ("planned.occurrence", "which time of an event"),
    ("pauses.scope", "our word"),
    (
        "pauses.what",
        "what an operator paused: one of our senders, or an id or word of the app",
    ),
    ("pauses.who", "a user of the database"),
    ("pauses.why", "an operator's words"),
    ("suppressions.our_number", "the sender"),
    ("paces.scope", "our word"),
    ("paces.what", "a campaign's id, or one of our senders"),
    ("paces.who", "a role of the database"),
    ("suppressions.reason", "our word"),
    ("missed_event_changes.calendar_event_id", "deleted"),
    ("deleted_events.calendar_event_id", "an event's id"),
    ("days.zone", "a zone"),
    ("settings.timezone", "a zone"),
    ("settings.business_hours", "a setting"),
    ("settings.account_senders", "the senders of the accounts"),
    ("settings.webhook_urls", "a setting"),
    ("settings.link_url", "a setting"),
    ("settings.job_urls", "a setting"),
    ("settings.followed_jobs", "names of types"),
    ("settings.guards", "a setting"),
    (
        "job_runs.answer",
        "what an endpoint of the app's answered, until it is written to the app's job",
    ),
    ("instances.version", "a version"),
    ("instances.changes", "how it learns of changes"),
    ("instances.role", "a role of the database"),
    (
        "instances.state",
        "what an instance publishes of its lanes, rules and latest outcomes, with ids and fixed words",
    ),
    ("foreign_writes.role", "a role of the database"),
    ("number_faults.fault", "one of five words"),
    ("number_key.key", "drawn at random"),
    ("cost_days.scope", "one of three words"),
    ("cost_days.what", "an id of a campaign or of a user"),
    (
        "bursts.what",
        "the beginning of a hash of what many say the same, without digits and links, for a day",
    ),
    ("costs.campaign", "an id"),
    ("costs.user_id", "an id"),
    ("attempts.account", "the name of an account"),
    ("source_rows.source", "a name of the settings"),
    (
        "source_rows.key",
        "the key of a row of the app's, which goes with that row",
    ),
    (
        "source_writes.last_error",
        "names, and an SQLSTATE: punctual.refusal",
    ),
    ("app_tables.definition", "a setting"),
    ("user_notices.event", "our word"),
    ("sources.name", "a setting"),
    ("sources.schema_name", "a setting"),
    ("sources.table_name", "a setting"),
    ("sources.definition", "a setting"),
    ("sources.words", "a setting"),
    ("sources.pending", "a setting"),
    ("sources.claimed", "a setting"),
    ("operator_history.kind", "one of two words"),
    ("operator_history.scope", "our word"),
    ("operator_history.what", "as pauses.what and paces.what"),
    ("operator_history.op", "one of three words"),
    ("operator_history.role", "a role of the database"),
    ("operator_history.actor", "an operator"),
    (
        "operator_history.subject",
        "an operator, as the JWT names them",
    ),
    ("operator_history.application", "a program"),
    ("operator_history.old", "as pauses.why and pauses.who"),
    ("operator_history.new", "as pauses.why and pauses.who"),
    ("attempts.account", "an operator's"),
    (
        "consents.recipient",
        "a consent, which must be provable; a hash once the recipient is forgotten",
    ),
    ("consents.scope", "our word"),
    ("consents.our_number", "the sender"),
    (
        "consents.how",
        "the app's words about the form, not about a message",
    ),
    ("consents.shown", "what the app shows to everybody"),
    ("consents.role", "a role of the database"),
    ("consents.actor", "who acted, as the session said"),
    ("campaigns.name", "an operator's"),
    ("campaigns.timezone", "an operator's"),
    ("campaigns.hours", "an operator's"),
    ("campaigns.from_number", "the sender"),
    ("campaigns.state", "our word"),
    ("campaigns.created_by", "a role of the database"),
    ("campaign_messages.customer_name", "deleted with the row"),
    ("campaign_messages.phone_number", "deleted with the row"),
    ("campaign_messages.content", "deleted with the row"),
    ("campaign_messages.status", "our word"),
    ("campaign_messages.decided_by", "an operator"),
    ("campaign_history.status", "our word"),
    ("attempts.price_unit", "a currency"),
    ("help_answers.our_number", "the sender"),
    ("help_answers.their_number", "deleted with the recipient"),
    ("replies.id", "the provider's id"),
    ("replies.our_number", "one of our senders"),
    ("replies.their_number", "deleted with the recipient"),
    (
        "campaign_replies.their_number",
        "deleted with the recipient",
    ),
    ("campaign_history.was", "our word"),
    ("campaign_history.who", "an operator"),
    ("campaign_history.role", "a role of the database"),
    ("settings.campaign_timezone", "an operator's"),
    ("settings.campaign_hours", "an operator's"),
    ("app_words.name", "a column"),
    ("settings.llm_model", "a setting"),
    ("drafts.kind", "our word"),
    ("drafts.facts", "deleted with the row"),
    ("drafts.event", "deleted with the row"),
    ("drafts.vars", "deleted with the row"),
    ("drafts.outcome", "our word"),
    ("drafts.reason", "deleted with the row"),
    ("drafts.model", "a setting"),
    ("migrations.name", "a file"),
    ("migrations.checksum", "a file's"),
    ("triggers.name", "a file"),
    ("triggers.checksum", "a file's"),
];

#[tokio::test]
async fn every_private_column_that_can_hold_a_text_is_accounted_for() {
    let world = World::new().await;
    let sql = "select c.relname || '.' || a.attname
                 from pg_attribute a join pg_class c on c.oid = a.attrelid
                where c.relnamespace = 'punctual'::regnamespace and c.relkind = 'r' and a.attnum > 0
                  and not a.attisdropped
                  and a.atttypid in ('text'::regtype, 'jsonb'::regtype, 'bytea'::regtype, 'text[]'::regtype)
                order by 1";
    let mut unknown = Vec::new();
    for row in world.user.query(sql, &[]).await.unwrap() {
        let column: String = row.get(0);
        if !TEXTS.iter().any(|(known, _)| *known == column) {
            unknown.push(column);
        }
    }
    assert!(
        unknown.is_empty(),
        "erase them, or say here why not: {unknown:?}"
    );
}

#[tokio::test]
async fn a_recipient_is_forgotten_and_nobody_else() {
    let world = World::new().await;
    let ended = [
        message(&world, "sent", "'accepted'").await,
        message(&world, "failed", "'refused'").await,
        message(&world, "delivered", "'accepted'").await,
    ];
    let [formatted, _, deleted] = ended;
    let pending = message(&world, "pending", "'refused'").await;
    // For somebody else by now.
    let other = message(&world, "cancelled", "'refused'").await;
    let made = format!(
        "update scheduled_messages set to_number = ' +1 (310) 555-0100' where id = '{formatted}';
         -- Only the ledger knows whom this was for.
         delete from scheduled_messages where id = '{deleted}';
         update scheduled_messages set to_number = '+13105550199', subject = null, media_urls = null, body = 'bye', dedup_key = null,
                template_vars = null
          where id = '{other}';
         update punctual.attempts set lookup_to = null, lookup_text = null, body = 'bye' where message_id = '{other}';
         delete from punctual.outbox where message_id = '{other}';
         insert into punctual.suppressions (our_number, their_number, reason) values ('+15005550006', '{NUMBER}', 'STOP')"
    );
    run(&world.unseen, &made).await;

    let nobody = forget(&world.user, " ", false).await.unwrap_err();
    assert!(nobody.to_string().contains("22023"), "{nobody}");
    let forgotten = forget(&world.user, "310-555-0100", false).await.unwrap();
    let nothing = (forgotten.erased, forgotten.kept.len(), forgotten.opt_outs);
    assert_eq!(
        nothing,
        (0, 0, 0),
        "without its country it is another number"
    );
    let forgotten = forget(&world.user, "+1 31 05 55 01 00", false)
        .await
        .unwrap();
    assert_eq!(forgotten.erased, 3);
    assert_eq!(forgotten.kept, [MessageId(pending)]);
    assert_eq!(world.get::<String>(other, "body").await, "bye");
    let mut where_kept = kept_in(&world).await;
    where_kept.retain(|table| table == "punctual.suppressions" || table == "scheduled_messages");
    assert_eq!(
        where_kept.len(),
        2,
        "what may still be sent, and its opt-out"
    );

    let cancel =
        format!("update scheduled_messages set status = 'cancelled' where id = '{pending}'");
    run(&world.user, &cancel).await;
    let forgotten = forget(&world.user, NUMBER, false).await.unwrap();
    assert_eq!(
        (forgotten.erased, forgotten.kept.len(), forgotten.opt_outs),
        (1, 0, 1)
    );
    assert_eq!(
        kept_in(&world).await,
        [] as [String; 0],
        "nowhere, not among the opt-outs either"
    );
}

#[tokio::test]
async fn the_apps_tables_are_blanked_only_where_that_is_asked_for() {
    let world = World::new().await;
    let rows = format!(
        "insert into contacts (name, phone_number) values ('Ada', '(310) 555-0100'), ('Ada', '+1 310-555-0100'), ('Bob', '+13105550199');
         insert into conversations (phone_number) values ('{NUMBER}'), ('+13105550199');
         insert into messages (direction, body, from_number, to_number)
         values ('outbound', '{TEXT}', '+15005550006', '{NUMBER}'), ('inbound', '{TEXT}', '{NUMBER}', '+15005550006'),
                ('outbound', 'bye', '+15005550006', '+13105550199')"
    );
    run(&world.unseen, &rows).await;
    let left = async || -> String {
        let all = "select string_agg(t, ' ' order by t) from (
                     select coalesce(name, '-') || coalesce(phone_number, '-') from contacts
                     union all select regexp_replace(phone_number, '^x.*', 'forgotten') from conversations
                     union all select coalesce(body, '-') from messages) a (t)";
        world.unseen.query_one(all, &[]).await.unwrap().get(0)
    };
    let before = left().await;
    assert_eq!(
        forget(&world.unseen, NUMBER, false).await.unwrap().app_rows,
        0
    );
    assert_eq!(left().await, before);
    assert_eq!(
        forget(&world.unseen, NUMBER, true).await.unwrap().app_rows,
        4
    );
    // One contact, one conversation and two messages; without its country it is another number.
    let mut now: Vec<String> = left().await.split(' ').map(str::to_owned).collect();
    now.sort_unstable();
    let mut expected = [
        "--",
        "-",
        "-",
        "forgotten",
        "+13105550199",
        "Ada(310)",
        "555-0100",
        "Bob+13105550199",
        "bye",
    ];
    expected.sort_unstable();
    assert_eq!(now, expected);
}
