-- Texts that say the same to many new numbers: so many go out, and then a pause of this text holds the rest until a
-- person ends it. Re-runnable; replaced as a whole. Called by the daemon alone, in its sessions.

--   texts that are cleared ─▶ count_texts ─┬─▶ bursts ◀─ what a pause of the scope `text` stops (pause_keys)
--                                          └─▶ pauses

-- Which of these numbers something was sent to, or came from: they have a conversation. Where the app's sent messages
-- have none, no number is known.
create or replace function punctual.known_numbers(numbers text[]) returns boolean[]
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if to_regproc('punctual.app__write') is not null then
    return punctual.mapped_knows(numbers);
  end if;
  return array(select k.is_there is not null
                 from unnest(numbers) with ordinality as u (number, n)
                 left join lateral (
                   select true as is_there from public.conversations c where c.phone_number = u.number limit 1) k on true
                order by u.n);
-- The app has no such table, or names its column otherwise.
exception when undefined_table or undefined_column then
  return array_fill(false, array[cardinality(numbers)]);
end
$$;

-- Counts each of these texts once, in this order, if it goes to a new number and is not what a person has approved in a
-- campaign. Returns what of them is held, because `at_most` said the same within `span` before, and what was
-- freed by the end of a pause of its text: for a day, no equal text is held after that. `has_begun`: this made the
-- pause. Instances that count equal texts at once wait for each other.
create or replace function punctual.count_texts(ids uuid[], whats text[], numbers text[], at_most bigint, span interval, why text)
returns table (id uuid, is_held boolean, has_begun boolean)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  asked uuid[];
  says text[];
begin
  select array_agg(a.id order by a.n), array_agg(a.what order by a.n) into asked, says
    from unnest(ids, whats, punctual.known_numbers(numbers)) with ordinality as a (id, what, is_known, n)
    left join lateral (
      select true as is_approved
        from (select c.phone_number, c.content from punctual.campaign_messages c where c.message_id = a.id offset 0) c
       cross join lateral (
         select m.to_number, m.body, m.template_vars from public.scheduled_messages m where m.id = a.id offset 0) m
       where m.template_vars is null and (m.to_number::text, m.body::text) = (c.phone_number, c.content)
       limit 1) c on true
    left join lateral (
      select true as was_held from punctual.bursts b
       where b.message_id = a.id and (b.is_held or b.freed_at is not null) offset 0) b on true
   where (not a.is_known or b.was_held) and c.is_approved is null;
  if asked is null then
    return;
  end if;
  perform pg_advisory_xact_lock(k.key)
     from (select distinct hashtextextended('punctual text ' || u.what, 0) as key from unnest(says) as u (what) order by 1) k;
  return query
  with texts as materialized (
    select t.what, coalesce(p.until > clock_timestamp(), false) as is_paused,
           coalesce(p.until <= clock_timestamp() and p.until > clock_timestamp() - interval '1 day', false) as is_free,
           (select count(*)
              from (select from punctual.bursts b
                     where b.what = t.what and not b.is_held and b.at > clock_timestamp() - span
                     limit at_most) c) as n
      from (select distinct u.what from unnest(says) as u (what)) t
      left join lateral (
        select p.until from punctual.pauses p where p.scope = 'text' and p.what = t.what offset 0) p on true
  ), judged as materialized (
    select a.id, a.what, t.is_paused, coalesce((b.is_held or b.freed_at is not null) and b.what = a.what, false) or t.is_free as is_free,
           t.is_paused
           or not t.is_free and not coalesce(b.what = a.what, false)
              and t.n + row_number() over (partition by a.what, coalesce(b.what = a.what, false) order by a.n) > at_most
             as is_held
      from unnest(asked, says) with ordinality as a (id, what, n)
      join texts t on t.what = a.what
      left join lateral (
        select b.what, b.is_held, b.freed_at from punctual.bursts b where b.message_id = a.id offset 0) b on true
  ), counted as (
    -- One that says something else by now is counted again.
    insert into punctual.bursts as b (message_id, what, is_held)
    select j.id, j.what, j.is_held from judged j order by j.id
    on conflict (message_id) do update
       set what = excluded.what, is_held = excluded.is_held,
           at = case when b.what = excluded.what then b.at else excluded.at end,
           -- Of the same text once for all: it may wait for long for another reason.
           freed_at = case when b.what <> excluded.what then null
                           when b.is_held and not excluded.is_held then clock_timestamp() else b.freed_at end
     where (b.what, b.is_held) is distinct from (excluded.what, excluded.is_held)
  ), paused as (
    insert into punctual.pauses as p (scope, what, until, why, who)
    select 'text', j.what, 'infinity', why || j.what, 'burst guard'
      from (select distinct j.what from judged j where j.is_held and not j.is_paused) j
     order by j.what
    on conflict (scope, what) do update
       set until = excluded.until, why = excluded.why, who = excluded.who, at = excluded.at
     where p.until <= clock_timestamp()
    returning p.what
  )
  select j.id, j.is_held, exists (select from paused p where p.what = j.what)
    from judged j
   where j.is_held or j.is_free;
end
$$;
