//! Mistakes of operators, apps and hosts, planted one by one; and what looks like one and is none.

use super::{Mistake, db, set};

/// What the planted mistakes need on the server. Several tests create it at once: one that finds the role of
/// another's open transaction gets a unique violation once that commits.
pub(crate) const ROLES: &str = "
    do $$ begin create role anon; exception when duplicate_object or unique_violation then null; end $$;
    do $$ begin create role authenticated; exception when duplicate_object or unique_violation then null; end $$";

/// A role as `migrate --role` made it in earlier versions.
macro_rules! daemon {
    ($rest:literal) => {
        concat!(
            "create role daemon_DB login; grant usage on schema public, punctual to daemon_DB;
             grant select, insert, update, delete on all tables in schema punctual to daemon_DB;
             grant select, insert, update on scheduled_messages, conversations, messages to daemon_DB;
             grant select on contacts to daemon_DB;
             grant execute on all functions in schema punctual to daemon_DB; ",
            $rest
        )
    };
}

/// A function of this name and body, and a trigger of that name which calls it.
macro_rules! trigger {
    ($name:literal, $when:literal, $body:literal) => {
        concat!(
            "create function ",
            $name,
            "() returns trigger language plpgsql as $$ ",
            $body,
            " $$; create trigger ",
            $name,
            " ",
            $when,
            " on scheduled_messages for each row execute function ",
            $name,
            "(); "
        )
    };
}

/// Row level security as a Supabase project has it, with the user's id from the request.
macro_rules! supabase {
    ($rest:literal) => {
        concat!(
            "create schema if not exists auth; create or replace function auth.uid() returns uuid language sql stable as $$ select null::uuid $$;
             create or replace function auth.role() returns text language sql stable as $$ select 'anon' $$;
             alter table scheduled_messages enable row level security; alter table messages enable row level security;
             alter table user_sms_preferences enable row level security; ",
            $rest
        )
    };
}

/// Tables of `pg_cron`, with these jobs.
macro_rules! cron {
    ($jobs:literal) => {
        concat!("create schema cron; create table cron.job (jobid bigint, jobname text, command text, active boolean); ", $jobs)
    };
}

/// A message an hour ahead with another column or two.
macro_rules! message {
    ($columns:literal, $values:literal) => {
        concat!(
            "insert into scheduled_messages (to_number, body, scheduled_at, ",
            $columns,
            ") select '+12025550177', 'x', now() + interval '1 hour', ",
            $values
        )
    };
}

/// What nobody may get a warning for.
#[rustfmt::skip]
pub(super) const HARMLESS: &[(&str, &str)] = &[
    (trigger!("app_watch", "before update", "begin if new.status = 'sent' and new.body = 'x' then raise notice 'new.status := x'; end if; -- new.status := 'sent';
        new.updated_at := now(); return new; end"), "app triggers"),
    (trigger!("app_normal", "before insert", "begin new.to_number := btrim(new.to_number); return new; end"), "app triggers"),
    (trigger!("app_text", "before update of body", "begin new.body := btrim(new.body); return new; end"), "app triggers"),
    (concat!(daemon!("create table audit (id uuid); grant insert on audit to daemon_DB;"),
             trigger!("app_audit", "after update", "begin insert into audit values (new.id); return null; end")), "trigger rights"),
    (concat!(daemon!("create table audit (id uuid);"),
             "create function app_log(it uuid) returns void language sql security definer as $$ insert into audit values (it) $$;",
             trigger!("app_audit", "after update", "begin perform app_log(new.id); return null; end")), "trigger rights"),
    (cron!("insert into cron.job values (1, 'tidy', $$delete from public.scheduled_messages where created_at < now() - interval '1 year'$$, true),
                  (2, 'off', 'select send() from scheduled_messages', false),
                  (3, 'ping', $$select net.http_get('https://uptime.example.com')$$, true)"), "other senders"),
    (supabase!("create policy own on scheduled_messages for insert to anon, authenticated with check (auth.uid() = created_by);
                grant insert on scheduled_messages to anon, authenticated"), "who may write"),
    (supabase!("create policy own on scheduled_messages for insert to anon with check (auth.uid() = created_by or (select auth.role()) = 'service_role');
                grant insert on scheduled_messages to anon; create view queue with (security_invoker = true) as select * from scheduled_messages;
                grant insert on queue to anon; create view counts as select count(*) from sms_templates; grant insert on counts to anon"), "who may write"),
    (supabase!("create policy own on scheduled_messages for insert to anon with check (coalesce(auth.uid() = created_by, false)); grant insert on scheduled_messages to anon"), "who may write"),
    (supabase!("create policy logged_in on messages for select to public using (auth.role() = 'authenticated'); grant select on messages to anon"), "who may read"),
    (supabase!("create policy nobody on messages as restrictive to anon using (false); create policy all_of_it on messages using (true);
                grant select on messages to anon"), "who may read"),
    (supabase!("create policy own on scheduled_messages to authenticated using (created_by = (select auth.uid()));
                grant insert, update on scheduled_messages to authenticated"), "who may send"),
    (supabase!("create policy own on scheduled_messages to authenticated using (auth.uid() is not null and created_by = (select auth.uid()));
                grant insert, update on scheduled_messages to authenticated"), "who may send"),
    ("create schema chat; create table chat.messages (body text); create function said() returns setof text language sql security definer as $$ select body from chat.messages $$", "definer functions"),
    ("create function messages_today() returns bigint language sql security definer as $$ select count(*) from generate_series(1, 3) messages $$", "definer functions"),
    ("alter role anon in database DB set statement_timeout = '3s'", "time-outs"),
    ("insert into scheduled_messages (to_number, body, scheduled_at, status, sent_at) values ('+12025550177', 'x', now(), 'sent', now())", "second sender"),
    ("alter database DB set log_min_duration_statement = '300ms'", "server log"),
    // It waited for its pause, and of the other a pace: the first part's slot is over.
    ("insert into punctual.pauses (scope, what, until) values ('sender', '+12025550100', now()), ('campaign', '00000000-0000-0000-0000-0000000000cd', now() - interval '1 minute');
      insert into punctual.paces (what, gap_min, gap_max) values ('00000000-0000-0000-0000-0000000000cc', '1 s', '1 s');
      update punctual.instances set state = '{\"rules\": {\"sender\": \"+12025550100\"}}';
      set session_replication_role = replica;
      with m as (insert into scheduled_messages (to_number, from_number, body, scheduled_at, status, parts_done, parts_total, campaign_id)
                 values ('+12025550177', null, 'x', now() - interval '1 hour', 'sent', 0, null, null),
                        ('+12025550177', '+12025550111', 'x', now() - interval '1 hour', 'sent', 3, 3, '00000000-0000-0000-0000-0000000000cc')
                 returning id)
      insert into punctual.attempts (token, message_id, number, instance, lease_until, outcome, started_at)
      select gen_random_uuid(), id, 1, gen_random_uuid(), now(), 'accepted', now() from m", "lateness"),
    ("create publication supabase_realtime for table scheduled_messages", "realtime"),
    (message!("timezone", "'America/Phoenix'"), "summer time"),
    (message!("template_id", "null::uuid"), "templates"),
    (message!("from_number", "'MG0123456789abcdef0123456789abcdef'"), "senders"),
];

/// A source table that is followed, and what was done then.
macro_rules! followed {
    ($then:literal) => {
        concat!(
            "create table reminders (id int primary key, words text, phone text, at timestamptz, stage text);
             select punctual.follow('{\"name\": \"rem\", \"table\": \"reminders\",
               \"columns\": {\"key\": \"id\", \"time\": \"at\", \"body\": \"words\", \"number\": \"phone\", \"status\": \"stage\"},
               \"words\": {\"pending\": [\"waiting\"], \"claimed\": [\"taken\"], \"sent\": \"gone\", \"delivered\": \"gone\",
                           \"failed\": \"bad\", \"cancelled\": \"off\", \"unconfirmed\": \"bad\"}}');",
            $then
        )
    };
}

#[rustfmt::skip]
pub(super) const MISTAKES: &[Mistake] = &[
    db(
        followed!("alter table reminders disable trigger punctual_source_update"),
        "source tables",
        "bad",
        "the trigger punctual_source_update of public.reminders is missing or disabled",
        "punctual migrate",
    ),
    db(
        followed!(""),
        "source settings",
        "warn",
        "rem is followed, and is not in the settings",
        "--unfollow",
    ),
    db(
        followed!("grant insert on reminders to public"),
        "source writers",
        "bad",
        "PUBLIC may write public.reminders without row level security",
        "revoke",
    ),
    db(
        followed!(
            "insert into reminders values (1, 'x', '+12025550123', now() + interval '1 d', 'waiting');
             update reminders set stage = 'taken'"
        ),
        "source senders",
        "warn",
        "1 rows were taken by a sender of the app's within a day",
        "stop that sender",
    ),
    db(
        followed!(
            "insert into punctual.source_writes (message_id, attempts, last_error) values (gen_random_uuid(), 1, 'refused')"
        ),
        "source outcomes",
        "warn",
        "1 outcomes could not be written, the latest reason: refused",
        "correct the table",
    ),
    db(
        followed!("alter table reminders add constraint known check (stage <> 'taken')"),
        "source words",
        "warn",
        "the constraint known refuses the word 'taken'",
        "change the constraint",
    ),
    db(
        "create table scheduled_sms_messages (id uuid primary key)",
        "source presets",
        "warn",
        "no message follows the rows of scheduled_sms_messages",
        "punctual migrate --preset",
    ),
    db(
        "insert into punctual.planner (is_on) values (true)",
        "planner",
        "warn",
        "the planner is on in the database, and planner.enabled is not true",
        "punctual migrate",
    ),
    db(
        "alter table task_calendar_events drop constraint task_calendar_events_calendar_event_id_user_id_key",
        "event index",
        "warn",
        "no index of task_calendar_events begins with calendar_event_id",
        "create index concurrently on public.task_calendar_events (calendar_event_id, user_id)",
    ),
    // The settings.
    set(&[("DATABASE_URL", "postgres://u:p@db.invalid/x?sslmode=disable")], "encryption", "bad", "sslmode=disable to another host", "verify-full"),
    set(&[("DATABASE_URL", "postgres://u:p@db.invalid/x?sslmode=prefer")], "encryption", "warn", "can make the connection unencrypted", "verify-full"),
    set(&[("DATABASE_URL", "postgres://u:p@db.invalid/x?sslcompression=1")], "connection string", "warn", "sslcompression is ignored", "remove it"),
    set(&[("DATABASE_URL", "postgres://postgres:[YOUR-PASSWORD]@db.invalid/postgres")], "placeholders", "bad", "not a real value: DATABASE_URL", "YOUR-PASSWORD"),
    set(&[("TWILIO_AUTH_TOKEN", "your_auth_token")], "placeholders", "bad", "TWILIO_AUTH_TOKEN", "console"),
    set(&[("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000000")], "placeholders", "bad", "TWILIO_ACCOUNT_SID", "console"),
    set(&[("PUNCTUAL_DEBUG_TOKEN", "changemechangeme")], "placeholders", "bad", "PUNCTUAL_DEBUG_TOKEN", "openssl rand"),
    set(&[("PUNCTUAL_OPERATOR_TOKEN", "my-secret-token-1234")], "placeholders", "bad", "PUNCTUAL_OPERATOR_TOKEN", "openssl rand"),
    set(&[("TWILIO_PHONE_NUMBER", "+15005550006")], "sender", "bad", "test credentials", "TWILIO_SMS_FROM_NUMBER"),
    set(&[("PUNCTUAL_STATE_DIR", "/tmp/punctual-state")], "state dir", "warn", "emptied when the machine restarts", "/var/lib/punctual"),
    set(&[("TWILIO_PHONE_NUMBER", ""), ("TWILIO_MESSAGING_SERVICE_SID", "MG0123456789abcdef0123456789abcdef")], "countries", "warn", "every country", "set PUNCTUAL_COUNTRIES"),
    set(&[("PUNCTUAL_IN_DOUBT", "resend")], "uncertain outcomes", "warn", "sent again", "resend_if_absent"),
    set(&[("PUNCTUAL_TIMEZONE", "EST")], "installation zone", "warn", "EST has no summer time", "America/New_York"),
    set(&[("PUNCTUAL_TIMEZONE", "Etc/GMT+5")], "installation zone", "warn", "no summer time", "America/New_York"),
    set(&[("PUNCTUAL_MAX_LATENESS", "10s")], "allowed lateness", "warn", "a restart cancels", "15m"),
    // Policies, rules and triggers.
    db(daemon!("alter table scheduled_messages enable row level security;
        create policy everything on scheduled_messages to daemon_DB using (true) with check (true);
        create policy texts on scheduled_messages as restrictive to daemon_DB using (channel = 'email')"),
       "row security", "bad", "the restrictive policy texts may hide messages from the role daemon_", "alter policy texts"),
    db(daemon!("alter table scheduled_messages enable row level security"), "daemon role", "bad", "a policy of row level security for it on public.scheduled_messages", "punctual migrate --role daemon_"),
    db(daemon!("revoke update on scheduled_messages from daemon_DB"), "daemon role", "bad", "UPDATE (account, attempts, cancel_reason,", "punctual migrate --role daemon_"),
    db(daemon!("grant update (token) on punctual.attempts to daemon_DB"), "daemon role", "warn", "DELETE, UPDATE, UPDATE (token) on punctual.attempts", "punctual migrate --role daemon_"),
    db("create rule quiet as on update to scheduled_messages do instead nothing", "rules", "bad", "rule quiet rewrites changes", "drop rule quiet"),
    db("create table log_of (id uuid); create rule copy as on insert to scheduled_messages do also insert into log_of values (new.id)", "rules", "warn", "rule copy adds statements", "drop rule copy"),
    db(trigger!("app_fix", "before update", "begin new.to_number := '+1' || new.to_number; return new; end"), "app triggers", "warn", "app_fix assigns new.to_number when a message is claimed", "leave these columns unchanged"),
    db(trigger!("app_fix", "before insert or update", "begin if new.body = '' then new.from_number = null; end if; return new; end"), "app triggers", "warn", "app_fix assigns new.from_number", "leave these columns unchanged"),
    db(trigger!("app_fix", "before update of status", "begin select 'x' into new.body; return new; end"), "app triggers", "warn", "app_fix assigns new.body", "leave these columns unchanged"),
    db(trigger!("app_fix", "before update", "begin new := jsonb_populate_record(new, '{}'); return new; end"), "app triggers", "warn", "app_fix assigns new when", "leave these columns unchanged"),
    db(concat!(daemon!("create table audit (id uuid);"),
               trigger!("app_audit", "after update", "begin insert into audit values (new.id); return null; end")),
       "trigger rights", "bad", "trigger app_audit needs INSERT on public.audit, which role daemon_", "grant insert on public.audit to daemon_"),
    db(concat!(daemon!("create table audit (id uuid); grant all on audit to daemon_DB; alter table audit enable row level security;"),
               "create function app_log(it uuid) returns void language sql as $$ update public.audit set id = it $$;",
               trigger!("app_audit", "before update", "begin perform app_log (new.id); return new; end")),
       "trigger rights", "bad", "trigger app_audit needs UPDATE on public.audit", "security definer"),
    // Who else sends.
    db(cron!("create function send_due() returns void language plpgsql as $$ begin perform id from public.scheduled_messages where status = 'pending'; end $$;
        create function every_minute() returns void language sql as $$ select send_due() $$;
        insert into cron.job values (8, 'minute', 'select every_minute ()', true)"), "other senders", "warn", "job 8 (minute) names scheduled_messages", "cron.unschedule"),
    db(cron!("insert into cron.job values (9, 'edge', $$select net.http_post(url := 'https://x.supabase.co/functions/v1/send-sms')$$, true)"),
       "other senders", "warn", "job 9 (edge) makes requests", "cron.unschedule"),
    db(concat!("create schema net; create function net.http_post(url text) returns bigint language sql as $$ select 1::bigint $$;
        create function ring(it uuid) returns void language plpgsql as $$ begin perform net.http_post(url := 'https://hooks.example.com'); end $$;",
               trigger!("app_ring", "after insert", "begin perform public.ring(new.id); return null; end")), "web hooks", "warn", "app_ring makes requests", "drop the trigger"),
    db(concat!(message!("channel", "'sms'"), "; update scheduled_messages set status = 'sent', sent_at = now()"),
       "second sender", "warn", "1 recent messages were set to sent without an attempt", "stop the other sender"),
    // Who may.
    db(supabase!("create policy open on scheduled_messages for insert to anon with check (true); grant insert on scheduled_messages to anon"),
       "who may write", "bad", "anon may INSERT scheduled_messages by the policy open", "revoke insert on public.scheduled_messages from anon"),
    db(supabase!("create policy open on scheduled_messages for insert with check (status = 'pending'); grant insert (to_number, body, scheduled_at) on scheduled_messages to anon"),
       "who may write", "bad", "anon may INSERT scheduled_messages by the policy open", "row level security"),
    db(supabase!("create policy open on scheduled_messages for insert to anon with check (auth.uid() = created_by or created_by is null); grant insert on scheduled_messages to anon"),
       "who may write", "bad", "anon may INSERT scheduled_messages by the policy open", "revoke insert"),
    db(supabase!("create policy open on scheduled_messages for insert to anon with check (coalesce(auth.uid() = created_by, true)); grant insert on scheduled_messages to anon"),
       "who may write", "bad", "anon may INSERT scheduled_messages by the policy open", "revoke insert"),
    db(supabase!("create policy open on task_calendar_events for delete using ((auth.uid() = user_id) is not false); alter table task_calendar_events enable row level security; grant delete on task_calendar_events to anon"),
       "who may write", "bad", "anon may DELETE task_calendar_events by the policy open", "revoke delete"),
    db("create view queue as select to_number, body, scheduled_at from scheduled_messages; grant insert, update on queue to anon",
       "who may write", "bad", "anon may INSERT, UPDATE scheduled_messages through the view queue", "alter view queue set (security_invoker = true)"),
    db(supabase!("create role app_DB; grant app_DB to anon; create policy open on user_sms_preferences to app_DB using (true); grant update on user_sms_preferences to app_DB"),
       "who may write", "bad", "anon may UPDATE user_sms_preferences by the policy open", "revoke update"),
    db("alter table sms_templates disable row level security; grant update (message_template) on sms_templates to anon", "who may write", "bad", "anon may UPDATE sms_templates without row level security", "enable row level security"),
    db("grant delete on task_calendar_events to public; alter table task_calendar_events disable row level security", "who may write", "bad", "every role may DELETE task_calendar_events", "revoke delete"),
    db(supabase!("create policy open on messages for select to anon using (true); grant select on messages to anon"), "who may read", "bad", "anon may SELECT messages by the policy open", "revoke select on public.messages from anon"),
    db(supabase!("create policy open on messages for select to anon using ((select auth.uid()) is null); grant select on messages to anon"), "who may read", "bad", "anon may SELECT messages by the policy open", "revoke select"),
    db("alter table conversations disable row level security; grant select (phone_number) on conversations to anon", "who may read", "bad", "anon may SELECT conversations without row level security", "revoke select"),
    db("create view inbox as select body, to_number from messages; grant select on inbox to anon", "who may read", "bad", "the view inbox shows messages to anon", "security_invoker"),
    db(supabase!("create policy open on scheduled_messages to authenticated using (auth.role() = 'authenticated'); grant insert on scheduled_messages to authenticated"),
       "who may send", "warn", "authenticated may INSERT scheduled_messages by the policy open", "auth.uid()"),
    db("create function send_now(it text) returns void language sql security definer as $$ insert into public.scheduled_messages (to_number, body, scheduled_at) values (it, 'x', now()) $$",
       "definer functions", "warn", "send_now(text) runs with its owner's rights", "revoke execute"),
    db("create function send_now(it text) returns void language sql security definer begin atomic insert into public.scheduled_messages (to_number, body, scheduled_at) values (it, 'x', now()); end",
       "definer functions", "warn", "send_now(text) runs with its owner's rights", "revoke execute"),
    db("create function inbox(mine text) returns setof text language sql security definer as $$ select m.body from public.messages m where m.to_number = mine $$",
       "definer functions", "warn", "inbox(text) runs with its owner's rights", "revoke execute"),
    db(supabase!("create policy open on scheduled_messages for insert to authenticated with check (auth.uid() is not null); grant insert on scheduled_messages to authenticated"),
       "who may send", "warn", "authenticated may INSERT scheduled_messages by the policy open", "auth.uid()"),
    db(supabase!("create policy open on user_sms_preferences for update to authenticated using ((select auth.uid()) is not null); grant update on user_sms_preferences to authenticated"),
       "who may send", "warn", "authenticated may UPDATE user_sms_preferences by the policy open", "auth.uid()"),
    db("alter table scheduled_messages alter in_doubt set default 'resend'", "in_doubt default", "warn", "a new row has in_doubt = 'resend'", "drop default"),
    // Tables and server.
    db("do $$ declare k record; begin
          for k in select conrelid::regclass as tab, conname from pg_constraint where contype = 'f' and 'scheduled_messages'::regclass in (conrelid, confrelid) loop
            execute format('alter table %s drop constraint %I', k.tab, k.conname); end loop; end $$;
        alter table scheduled_messages set unlogged", "unlogged", "bad", "public.scheduled_messages is UNLOGGED", "set logged"),
    db("alter table punctual.attempts set unlogged", "unlogged", "bad", "punctual.attempts is UNLOGGED", "alter table punctual.attempts set logged"),
    db("alter table scheduled_messages set (autovacuum_enabled = false)", "autovacuum", "warn", "off for public.scheduled_messages", "reset (autovacuum_enabled)"),
    db("alter table scheduled_messages alter status set default 'draft'", "status default", "warn", "status 'draft'", "set default 'pending'"),
    db("alter database DB set default_transaction_isolation = serializable", "isolation", "warn", "has serializable", "40001"),
    db("alter database DB set idle_session_timeout = '3s'", "time-outs", "warn", "idle_session_timeout = 3s", "alter database test_"),
    db(daemon!("alter role daemon_DB set statement_timeout = '50ms'"), "time-outs", "warn", "statement_timeout = 50ms", "reset statement_timeout"),
    db("create publication supabase_realtime", "realtime", "warn", "without scheduled_messages", "alter publication supabase_realtime add table"),
    db("alter database DB set log_statement = 'all'", "server log", "warn", "log_statement is all", "reset log_statement"),
    // The rows, and who works with them.
    db("update punctual.instances set program = null", "old daemon", "bad", "1 running of a version that is too old for the schema", "stop it"),
    db("insert into punctual.instances (id, version, program, state)
        select gen_random_uuid(), version, program, '{\"rules\": {\"lawful\": {\"checked\": \"2026-11-30\"}}}' from punctual.instances",
       "lawful hours", "bad", "keep different rules", "the same PUNCTUAL_LAWFUL_HOURS"),
    db("update punctual.instances set version = '0.0.9'", "version", "warn", "0.0.9 running", "restart the daemon"),
    db("insert into punctual.settings (timezone) values ('Europe/Berlin') on conflict (one) do update set timezone = excluded.timezone", "time zone", "warn", "the daemon's is Europe/Berlin", "PUNCTUAL_TIMEZONE"),
    // As versions of Punctual left it that gave the column a default.
    db("alter table user_sms_preferences alter timezone set default 'America/Los_Angeles'", "zone of new users", "warn",
       "is America/Los_Angeles by default, and the installation's is UTC", "alter timezone drop default; and where nobody has chosen it: update public.user_sms_preferences set timezone = null where timezone = 'America/Los_Angeles'"),
    db("set session_replication_role = replica;
        with m as (insert into scheduled_messages (to_number, body, scheduled_at, status, sent_at) values ('+12025550177', 'x', now() - interval '1 minute', 'sent', now()) returning *)
        insert into punctual.attempts (token, message_id, number, instance, lease_until, started_at, outcome)
        select gen_random_uuid(), m.id, 1, gen_random_uuid(), now(), m.scheduled_at + interval '3.2 s', 'accepted' from m",
       "lateness", "warn", "1 of 1 recent messages began over a second late, the latest by 3.2 s", "punctual why"),
    db("set session_replication_role = replica; insert into scheduled_messages (to_number, body, scheduled_at, status) values ('+12025550177', 'x', now(), 'sending')",
       "no attempt", "warn", "1 sending, and the ledger has no open attempt", "punctual resolve"),
    db("update punctual.instances set role = 'another'; insert into scheduled_messages (to_number, body, scheduled_at) values ('+12025550177', 'x', now() + interval '1 day');
        set punctual.writer = 'on'; update scheduled_messages set status = 'cancelled'",
       "writer", "warn", "1 transactions of the last 30 days wrote scheduled_messages", "sets punctual.writer"),
    db("insert into scheduled_messages (to_number, body, scheduled_at) values ('+12025550177', 'x', to_timestamp(1764288000000))", "far away", "warn", "1 due in over 50 years", "to_timestamp"),
    db("insert into scheduled_messages (to_number, body, scheduled_at) values ('+12025550177', 'x', to_timestamp(1764288000 / 1000))", "overdue", "warn", "1 pending", "punctual why"),
    db(concat!("with t as (insert into sms_templates (name, message_template, is_active) values ('old', 'hello', false) returning id) ", message!("template_id, template_vars", "t.id, '{}' from t")),
       "templates", "warn", "1 of the next 1,000 name a template that is inactive", "is_active"),
    db(message!("from_number", "'555-1234'"), "senders", "warn", "a from_number that is not usable", "E.164"),
    db(message!("from_number", "'+15005550006'"), "senders", "warn", "test credentials", "default sender"),
    db(concat!("with p as (insert into user_sms_preferences (user_id, phone_verified) values (gen_random_uuid(), false) returning user_id) ", message!("user_id", "user_id from p")),
       "unverified", "warn", "1 of the next 1,000 are for users whose phone is not verified", "phone_verified"),
    db(concat!("with p as (insert into user_sms_preferences (user_id, phone_verified, daily_sms_limit) values (gen_random_uuid(), true, 0) returning user_id) ", message!("user_id", "user_id from p")),
       "daily limit", "warn", "over their user's daily limit", "will be cancelled: raise user_sms_preferences.daily_sms_limit"),
    db(concat!("set session_replication_role = replica;
        with p as (insert into user_sms_preferences (user_id, phone_verified, opted_out) values (gen_random_uuid(), true, true) returning user_id) ", message!("user_id", "user_id from p")),
       "opted out", "warn", "for recipients who opted out", "do not schedule"),
    // What only the rules of a claim know.
    db("insert into punctual.suppressions (their_number, reason) values ('+12025550177', 'the recipient replied STOP');
        insert into scheduled_messages (to_number, body, scheduled_at) values ('+12025550177', 'x', now() + interval '1 hour')",
       "opted out", "warn", "the recipient replied STOP", "do not schedule"),
    db(concat!("with p as (insert into user_sms_preferences (user_id, phone_verified, urgent_alerts) values (gen_random_uuid(), true, false) returning user_id) ", message!("user_id, message_type", "user_id, 'urgent_alert' from p")),
       "switched off", "warn", "1 of the next 1,000 are of a type that their user has switched off", "do not schedule"),
    db(message!("send_before", "now()"), "too late", "warn", "1 of the next 1,000 will be too late", "later than scheduled_at"),
    db("insert into scheduled_messages (to_number, body, scheduled_at) values ('+12025550100', 'x', now() + interval '1 hour')", "to itself", "warn", "same number as sender and recipient", "change one"),
    db("insert into scheduled_messages (to_number, from_number, body, scheduled_at)
        select '+12025550177', '+12025550100', 'x' || n, date_trunc('minute', now()) + interval '1 hour' from generate_series(1, 70) n",
       "sender rates", "warn", "70 segments of", "punctual pace set sender"),
    db(message!("timezone", "'EST'"), "summer time", "warn", "\"EST\" (1 of messages)", "America/New_York"),
];

/// What concerns a whole server.
pub(super) const SERVER: &[&str] = &[
    "select pg_create_physical_replication_slot('forgotten', true); create table filler (n int)",
    "insert into filler values (1); select pg_switch_wal()",
    "insert into filler values (2); select pg_switch_wal()",
    "insert into filler values (3); select pg_switch_wal()",
    "insert into filler values (4); select pg_switch_wal()",
    "insert into filler values (5); select pg_switch_wal()",
    "alter system set autovacuum = off",
    "select pg_reload_conf()",
    // As after 1.6 billion transactions that nobody froze.
    "update pg_database set datfrozenxid = '2700000000'::xid where datname = current_database()",
];

pub(super) const OF_THE_SERVER: &[Mistake] = &[
    db(
        "",
        "replication slots",
        "warn",
        "forgotten is not in use",
        "pg_drop_replication_slot('forgotten')",
    ),
    db(
        "",
        "transaction ids",
        "bad",
        "since the last freeze",
        "vacuum freeze",
    ),
    db(
        "",
        "autovacuum",
        "warn",
        "off on this server",
        "reset autovacuum",
    ),
];
