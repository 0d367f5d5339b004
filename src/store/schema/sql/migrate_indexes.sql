-- The indexes that are missing, or were left invalid by an interrupted build, with the
-- statement that builds each while the app goes on writing, and whether this role may.
-- $1 whether a sender has a rate
select w.name, pg_has_role(c.relowner, 'usage') as ours, i.indexrelid is not null as leftover,
       format('create %s concurrently %I on public.%I %s', w.kind, w.name, w.tab, w.rest) as build,
       format('drop index concurrently if exists public.%I', w.name) as drop
  from (values indexes!(),
        -- The first text of a sender: only where one has a rate, so that inserts cost nothing more elsewhere. Its
        -- condition is one that only the queue of a sender has: no other statement takes it for the index of what is
        -- due.
        ('scheduled_messages', 'scheduled_messages_sender_idx', null,
         $i$((sender_key!(scheduled_messages)), (due!(scheduled_messages)), id)
            where status = 'pending' and is_text!(scheduled_messages)$i$)
        ) as v (tab, name, lookup, rest)
  cross join lateral (
    select v.*, case when v.name like '%\_key' then 'unique index' else 'index' end as kind) w
  join pg_class c
    on c.oid = to_regclass('public.' || w.tab) and c.relkind = 'r'
  left join pg_index i on i.indexrelid = to_regclass('public.' || w.name)
 where i.indisvalid is not true
   -- A name that another object has taken is left to it.
   and (i.indexrelid is not null or to_regclass('public.' || w.name) is null)
   and (w.lookup is null
        or exists (select from pg_attribute a
                    where a.attrelid = c.oid and a.attname = w.lookup and not a.attisdropped
                      and not exists (select from pg_index o
                                       where o.indrelid = c.oid and o.indisvalid and o.indpred is null
                                         and o.indkey[0] = a.attnum)))
   -- The tables of this version do not exist yet.
   and (w.tab <> 'scheduled_messages'
        or exists (select from pg_attribute a
                    where a.attrelid = c.oid and a.attname = 'next_attempt_at' and not a.attisdropped))
   and (w.name <> 'scheduled_messages_sender_idx' or $1)
 order by w.name
