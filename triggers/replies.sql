-- Replies to our messages that are no command. Re-runnable; replaced as a whole.

-- Writes a reply as an inbound row of the app's messages, into the conversation of its number: by the daemon alone,
-- with the rights of its role, as in messages.sql, in the columns that exist. An app that forwards its callbacks may
-- have written it already. Returns why the app's tables refused it, and what the server said.
create or replace function punctual.write_reply(reply text, theirs text, ours text, words text, at timestamptz,
                                                out refusal text, out app_words text)
language plpgsql as $$
declare
  has constant text[] := punctual.columns_of('messages',
    '{conversation_id,direction,body,from_number,to_number,twilio_sid,status,metadata,created_at}');
  place uuid;
  is_there boolean := false;
  its_constraint text;
  its_table text;
  its_column text;
  its_context text;
begin
  if to_regproc('punctual.app__reply') is not null then
    perform punctual.mapped_reply(reply, theirs, ours, words, at);
    set constraints all immediate;
    return;
  end if;
  if 'twilio_sid' = any (has) then
    select exists (select from public.messages m where m.twilio_sid = reply) into is_there;
  end if;
  if is_there then
    return;
  end if;
  place := (punctual.conversations_for(array[null::uuid], array[theirs]))[1];
  execute (
    select pg_catalog.format('insert into public.messages (%s) select %s', coalesce(string_agg(w.name, ', '), 'body'),
                             coalesce(string_agg(w.expression, ', '), '$2'))
      from (values
        ('conversation_id', '$1'), ('direction', $q$'inbound'$q$), ('body', '$2'), ('from_number', '$3'),
        ('to_number', '$4'), ('twilio_sid', '$5'), ('status', $q$'received'$q$),
        ('metadata', $q$jsonb_build_object('source', 'reply')$q$), ('created_at', '$6')
      ) as w (name, expression)
     where w.name = any (has))
    using place, words, theirs, ours, reply, at;
  if 'last_message_at' = any (punctual.columns_of('conversations', '{last_message_at}')) then
    -- Without waiting, which could end in a deadlock with the app. Whoever has it locked moves it on.
    update public.conversations c
       set last_message_at = at
      from (select c.id from public.conversations c where c.id = place for no key update skip locked) free
     where c.id = free.id and (c.last_message_at is null or c.last_message_at < at);
  end if;
  -- What the app has deferred to the end of the transaction is checked now, while it can still be undone.
  set constraints all immediate;
exception when query_canceled or assert_failure or others then
  get stacked diagnostics its_constraint = constraint_name, its_table = table_name, its_column = column_name,
                          its_context = pg_exception_context;
  app_words := sqlerrm;
  refusal := punctual.refusal('writing a reply to the app''s tables', sqlstate, sqlerrm, its_constraint, its_table,
                              its_column, its_context);
end
$$;

-- What a campaign has come to. Replies and opt-outs count from when a message was sent to their sender. Segments are
-- those of each request that was accepted. Costs are what the provider has said, by currency, and of messages without
-- that the app's own figures (`sms_cost_usd` in `metadata`).
create or replace function punctual.campaign_report(
  campaign uuid, out messages bigint, out waiting bigint, out sent bigint, out delivered bigint, out failed bigint,
  out cancelled bigint, out unconfirmed bigint, out replied bigint, out replies bigint, out opted_out bigint,
  out segments_at_most bigint, out cost_usd numeric, out cost_known_of bigint, out prices jsonb, out reasons jsonb)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  with mine as materialized (
    select c.status, c.reason, c.message_id, c.sent_at, c.delivered_at, btrim(c.phone_number, white!()) as their_number, m.body,
           case when jsonb_typeof(m.metadata -> 'sms_cost_usd') = 'number'
                  and not exists (select from punctual.attempts a where a.message_id = c.message_id and a.price is not null)
                then (m.metadata ->> 'sms_cost_usd')::numeric end as usd
      from punctual.campaign_rows() c
      left join lateral (
        select o.body::text, o.metadata from public.scheduled_messages o where o.id = c.message_id offset 0) m on true
     where c.campaign_id = campaign
  ), sizes as (
    select sum(punctual.segments_at_most(coalesce(a.body, m.body, ''))) as n
      from mine m
     cross join lateral (
       select a.body from punctual.attempts a where a.message_id = m.message_id and a.outcome = 'accepted' offset 0) a
  ), priced as (
    select jsonb_agg(jsonb_build_object('unit', p.unit, 'amount', p.amount, 'messages', p.n) order by p.unit) as list
      from (select a.price_unit as unit, sum(a.price) as amount, count(distinct m.message_id) as n
              from mine m
             cross join lateral (
               select o.price, o.price_unit from punctual.attempts o
                where o.message_id = m.message_id and o.price is not null offset 0) a
             group by 1) p
  ), ended as (
    select jsonb_agg(jsonb_build_object('status', e.status, 'reason', e.reason, 'messages', e.n)
                     order by e.n desc, e.status, e.reason) as list
      from (select m.status, m.reason, count(*) as n
              from mine m
             where m.status in ('failed', 'cancelled', 'unconfirmed')
             group by 1, 2
             order by 3 desc, 1, 2
             limit 100) e
  )
  select count(*), count(*) filter (where m.status = 'SCH'), count(*) filter (where m.status = 'sent'),
         count(m.delivered_at) filter (where m.status = 'sent'), count(*) filter (where m.status = 'failed'),
         count(*) filter (where m.status = 'cancelled'), count(*) filter (where m.status = 'unconfirmed'),
         count(distinct m.their_number) filter (
           where exists (select from punctual.suppressions s
                          where s.their_number = m.their_number and s.created_at >= m.sent_at)),
         coalesce((select z.n from sizes z), 0),
         sum(m.usd) filter (where m.usd between 0 and 1e6), count(*) filter (where m.usd between 0 and 1e6),
         coalesce((select p.list from priced p), '[]'), coalesce((select e.list from ended e), '[]')
    into messages, waiting, sent, delivered, failed, cancelled, unconfirmed, opted_out, segments_at_most, cost_usd,
         cost_known_of, prices, reasons
    from mine m;
  select count(*), coalesce(sum(r.texts), 0) into replied, replies
    from punctual.campaign_replies r where r.campaign_id = campaign;
end
$$;

-- For people who may read schema punctual: with a condition on `id` or `name`, only that one is computed.
create or replace view punctual_api.campaign_reports as
  select c.id, c.name, punctual.campaign_state(c.id, c.state) as state, r.messages, r.waiting, r.sent, r.delivered, r.failed,
         r.cancelled, r.unconfirmed, r.replied, r.replies, r.opted_out, r.segments_at_most, r.cost_usd, r.cost_known_of, r.prices, r.reasons
    from punctual.campaigns c
   cross join lateral punctual.campaign_report(c.id) r;
do $$
declare
  grantee name;
begin
  revoke all on punctual_api.campaign_reports from PUBLIC;
  -- Supabase grants these all of a new view.
  for grantee in
    select r.rolname from pg_catalog.pg_roles r where r.rolname in ('anon', 'authenticated', 'service_role')
  loop
    execute format('revoke all on punctual_api.campaign_reports from %I', grantee);
  end loop;
  if current_setting('server_version_num')::int >= 150000 then
    execute 'alter view punctual_api.campaign_reports set (security_invoker = true)';
  end if;
end
$$;
