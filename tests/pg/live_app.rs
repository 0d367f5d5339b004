//! The app that is there before Punctual: its tables, triggers, policies and roles.

use crate::harness::{TestDb, session};
use punctual::store::Dsn;
use tokio_postgres::Client;

/// The table as apps have it, with what apps add: two triggers, row level
/// security, foreign keys, and a role that has rights on these tables only.
const SCHEMA: &str = "
  create table profiles (id uuid primary key default gen_random_uuid(), handle text unique);
  create table contacts (id uuid primary key default gen_random_uuid(), name text, phone_number text,
    created_at timestamptz not null default now());
  create table conversations (id uuid primary key default gen_random_uuid(), phone_number text not null,
    contact_id uuid references contacts, last_message_at timestamptz,
    created_at timestamptz not null default now(), updated_at timestamptz not null default now());
  create table messages (id uuid primary key default gen_random_uuid(),
    conversation_id uuid references conversations on delete cascade, direction text not null, body text,
    from_number text, to_number text, twilio_sid text, status text, metadata jsonb,
    created_at timestamptz not null default now(), updated_at timestamptz not null default now());
  create table sms_templates (id uuid primary key default gen_random_uuid(), name text);
  create table scheduled_messages (
    id uuid primary key default gen_random_uuid(),
    conversation_id uuid references conversations on delete set null,
    to_number text not null, from_number text, body text not null,
    template_id uuid references sms_templates on delete set null,
    scheduled_at timestamptz not null,
    status text not null default 'pending' constraint four_words
      check (status in ('pending', 'sent', 'failed', 'cancelled')),
    sent_at timestamptz, error_message text,
    created_by uuid references profiles on delete set null,
    metadata jsonb default '{}', created_at timestamptz not null default now(),
    updated_at timestamptz not null default now());

  create function touch() returns trigger language plpgsql as
    $$ begin new.updated_at := now(); return new; end $$;
  create trigger touch before update on scheduled_messages for each row execute function touch();
  create table audit (id bigserial primary key, row_id uuid not null, what text not null, status text);
  create function log_change() returns trigger language plpgsql security definer set search_path = '' as
    $$ begin insert into public.audit (row_id, what, status) values (new.id, tg_op, new.status); return null; end $$;
  create trigger log_change after insert or update on scheduled_messages
    for each row execute function log_change();

  alter table scheduled_messages enable row level security;
  alter table conversations enable row level security;
  alter table messages enable row level security;
";

/// The app's role is the server's, not the database's: tests that run at once share it.
const APP_ROLE: &str = "
  do $$ begin
    create role live_app login password 'live';
  exception when duplicate_object or unique_violation then null; end $$;
  grant select, insert, update, delete on scheduled_messages, conversations, messages to live_app;
  create policy app on scheduled_messages to live_app using (true) with check (true);
  create policy app on conversations to live_app using (true) with check (true);
  create policy app on messages to live_app using (true) with check (true);
";

/// Rows in each of the app's four states; the pending ones a day away.
pub(crate) const ROWS: &str = "
  alter table scheduled_messages disable trigger user;
  insert into scheduled_messages (to_number, body, scheduled_at, status, sent_at, error_message)
  select '+1555' || lpad(n::text, 7, '0'), 'hello', now() + interval '1 day',
         (array['pending', 'sent', 'failed', 'cancelled'])[1 + n % 4],
         case n % 4 when 1 then now() end, case n % 4 when 2 then 'busy' end
    from generate_series(1, ROWS) n;
  alter table scheduled_messages enable trigger user;
";

/// A database as the app has it, with that many messages, all its own words.
pub(crate) async fn app_with(rows: u64) -> TestDb {
    let db = TestDb::empty().await;
    let client = db.client().await;
    client.batch_execute(SCHEMA).await.unwrap();
    client.batch_execute(APP_ROLE).await.unwrap();
    let rows = ROWS.replace("ROWS", &rows.to_string());
    client.batch_execute(&rows).await.unwrap();
    db
}

/// The same database as another role, whose password the private cluster's rules ask for.
pub(crate) async fn dsn_as(db: &TestDb, role: &str) -> Dsn {
    let name: String = db
        .client()
        .await
        .query_one("select current_database()::text", &[])
        .await
        .unwrap()
        .get(0);
    let port = crate::harness::cluster().port();
    Dsn::parse(&format!("postgres://{role}:live@127.0.0.1:{port}/{name}")).unwrap()
}

/// A session of that role's.
pub(crate) async fn session_as(db: &TestDb, role: &str) -> Client {
    session(&dsn_as(db, role).await).await
}

/// A role of the test's own, with the password `live`.
pub(crate) async fn role(db: &TestDb, name: &str, attributes: &str) {
    let sql = format!(
        "do $$ begin create role {name} login {attributes} password 'live';
         exception when duplicate_object or unique_violation then null; end $$"
    );
    db.client().await.batch_execute(&sql).await.unwrap();
}
