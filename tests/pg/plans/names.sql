-- Names of what the cases are about: the same in an empty database, where nothing has them yet, and in the grown one.
-- And the tables are left as they are: nobody analyses or vacuums them.
create schema plans;
create function plans.id(kind text, i int) returns uuid language sql immutable
  return md5(kind || i)::uuid;
create function plans.token(kind text, i int) returns uuid language sql immutable
  return md5('token of ' || kind || i)::uuid;
create function plans.ids(kind text) returns uuid[] language sql immutable
  return array(select plans.id(kind, i) from generate_series(1, 20) i);
create function plans.tokens(kind text) returns uuid[] language sql immutable
  return array(select plans.token(kind, i) from generate_series(1, 20) i);
-- Two attempts that are there: none, before the tables have grown.
create function plans.known(kind text) returns uuid[] language sql stable as
  'select coalesce(array_agg(a.token), ''{}'') from punctual.attempts a
    where a.token in (plans.token(kind, 1), plans.token(kind, 2))';
create function plans.sid(kind text, i int) returns text language sql immutable
  return 'SM' || md5(plans.token(kind, i)::text);
create function plans.sids(kind text) returns text[] language sql immutable
  return array(select plans.sid(kind, i) from generate_series(1, 20) i);
create function plans.texts(word text) returns text[] language sql immutable
  return array(select word || i from generate_series(1, 20) i);
create function plans.numbers() returns text[] language sql immutable
  return array(select '+1' || (3000000000 + i) from generate_series(1, 20) i);
-- What an instance publishes beside others: fifty outcomes, as large as they get.
create function plans.state() returns jsonb language sql volatile as $$
  select jsonb_build_object('feed', jsonb_build_object('latest', jsonb_agg(jsonb_build_object(
           'at', clock_timestamp(), 'id', gen_random_uuid(), 'event', 'sent', 'due_at', clock_timestamp(),
           'lateness_us', (random() * 1e6)::int, 'provider_us', (random() * 1e6)::int, 'attempt', n, 'part', '2 of 3',
           'status', 'delivered', 'category', 'carrier_issue', 'code', (random() * 1e6)::int))))
    from generate_series(1, 50) n
$$;
-- Of a campaign that is there: nothing, before the tables have grown.
create function plans.drafts(word text) returns text[] language sql stable as
  'select case when exists (select from punctual.campaigns c where c.id = plans.id(''campaign'', 1))
               then plans.texts(word) else ''{}'' end';
create function plans.approved() returns bigint[] language sql stable as
  'select coalesce(array_agg(c.id), ''{}'') from punctual.campaign_messages c
    where c.campaign_id = plans.id(''campaign'', 2) and c.status = ''APR'' and c.position = 20001';
create function plans.seen(of int) returns text language sql stable as
  $$ select left(encode(sha256(convert_to(jsonb_build_array(c.customer_name, c.phone_number, c.content)::text, 'UTF8')), 'hex'), 32)
       from punctual.campaign_messages c where c.campaign_id = plans.id('campaign', 2) and c.position = of $$;
-- What texts say, as their pauses name it.
create function plans.says() returns text[] language sql immutable
  return array(select left(md5('says' || i), 16) from generate_series(1, 20) i);
create function plans.held() returns text language sql immutable return left(md5('held'), 16);
create function plans.same(word anyelement) returns anyarray language sql immutable as
  'select array_fill(word, array[20])';

-- Of preset `buildos`, what a click reads and writes.
create table public.notification_deliveries (
  id uuid primary key, event_id uuid, recipient_user_id uuid, channel text, status text, opened_at timestamptz,
  clicked_at timestamptz);
create index on public.notification_deliveries (event_id);
create table public.notification_tracking_links (
  id uuid primary key default gen_random_uuid(), short_code text unique not null, delivery_id uuid not null,
  destination_url text not null, created_at timestamptz default now(), first_clicked_at timestamptz,
  last_clicked_at timestamptz, click_count int default 0, metadata jsonb default '{}');

-- Blocks that this transaction has asked for, triggers and functions included.
create function plans.blocks() returns bigint language sql volatile as $$
  select sum(pg_stat_get_xact_blocks_fetched(c.oid))::bigint
    from pg_class c
   where c.relnamespace in ('public'::regnamespace, 'punctual'::regnamespace) and c.relkind in ('r', 'i', 't')
$$;

do $$
declare
  tab regclass;
begin
  for tab in
    select c.oid from pg_class c
     where c.relnamespace in ('public'::regnamespace, 'punctual'::regnamespace) and c.relkind = 'r'
  loop
    execute format('alter table %s set (autovacuum_enabled = off)', tab);
  end loop;
end
$$;
