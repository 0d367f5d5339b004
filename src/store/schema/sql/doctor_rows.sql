-- keeper ─▶ shared
-- (each check) ─▶ counted
-- Checks of the rows, if the tables exist: one row per check, as in doctor_server.sql. By indexes, and no check counts
-- beyond 1,000.
-- $1 the sender for rows that name none
with counted (what, n, found, fine, remedy) as (
  select 'overdue', n, ' pending for over a minute after their due time', 'none',
         'a running daemon sends them, or cancels them as too late; if one runs, see `punctual why ID`'
    from (select count(*) as n from (select from public.scheduled_messages m
           cross join (select $1::text as sender, account_senders!() as senders) ours
           where m.status = 'pending'
             and due!(m) < clock_timestamp() - interval '1 minute'
             and not has_pace!(m)
             and not exists (select from punctual.pauses p
                              join (values pause_keys!(m)) as key (scope, what)
                                on p.scope = key.scope and p.what = key.what
                             where p.until > clock_timestamp())
           limit 1000) late) q
  union all
  select 'paused', n, ' pauses in force' || coalesce(', one of them of ' || scope, ''), 'nothing',
         'what they stop is not sent: `punctual pauses` lists them, `punctual resume` ends them; a pause takes effect '
         || 'within 100 ms, or two round trips to the database where those take longer'
    from (select count(*) as n, min(p.scope) as scope from (select p.scope from punctual.pauses p
           where p.until > clock_timestamp() limit 1000) p) q
  union all
  select 'far away', n, ' due in over 50 years' || coalesce(', one of them ' || id, ''), 'none',
         'they are never sent; seconds were written where milliseconds were meant, or the reverse: to_timestamp() takes seconds'
    from (select count(*) as n, min(far.id::text) as id from (select m.id from public.scheduled_messages m
           where m.status = 'pending'
             and due!(m) > clock_timestamp() + interval '50 years'
           limit 1000) far) q
  union all
  select 'in doubt', n, ' unconfirmed', 'none',
         '`punctual why ID` shows the look-ups; if they do not settle it, check the provider''s log, then `punctual resolve ID`'
    from (select count(*) as n from (select from public.scheduled_messages m where m.status = 'unconfirmed' limit 1000) open) q
  union all
  select 'outbox', n, ' writes refused by the app''s tables' || coalesce(', the last: ' || error, ''), 'empty',
         'the messages were sent; fix what refuses their rows in messages or conversations, the writes are retried'
    from (select count(*) as n, (select o.last_error from punctual.outbox o order by o.id desc limit 1) as error
            from (select from punctual.outbox limit 1000) refused) q
  union all
  select 'stuck', n, ' still sending a minute after their lease', 'none',
         'their daemon is dead and no other runs: start one; it makes them unconfirmed'
    from (select count(*) as n from (select from punctual.attempts a
           where a.outcome is null and a.lease_until < clock_timestamp() - interval '1 minute'
           limit 1000) late) q
  union all
  select 'no attempt', n, ' sending, and the ledger has no open attempt at them' || coalesce(', one of them ' || id, ''), 'none',
         'a daemon corrects them within two minutes: pending again if its ledger shows that nothing was sent, else '
         || 'unconfirmed; find the program that set them to sending, or settle them with `punctual resolve`'
    from (select count(*) as n, min(lost.id::text) as id from (select m.id from public.scheduled_messages m
           where m.status = 'sending'
             and not exists (select from punctual.attempts a where a.message_id = m.id and a.outcome is null)
           limit 1000) lost) q
  union all
  select 'numbers', n, ' pending, to numbers that may not receive texts' || coalesce(', one of them ' || id || ' (' || fault || ')', ''), 'none that may not receive texts',
         'no country has assigned them (country_code, length, unassigned), or PUNCTUAL_COUNTRIES and PUNCTUAL_PREMIUM refuse them (country, premium): correct to_number or the setting, or '
         || 'cancel the messages; PUNCTUAL_VALIDATE=refuse sends nothing to them; all: select * from punctual.number_faults'
    from (select count(*) as n, min(bad.id::text) as id, (array_agg(bad.fault order by bad.id::text))[1] as fault
            from (select m.id, f.fault
                    from (select * from punctual.number_faults o where o.due > clock_timestamp() order by o.due limit 1000) f
                   cross join lateral (select m.id from public.scheduled_messages m
                                        where m.id = f.message_id and m.status || '' = 'pending' and m.version = f.version
                                       offset 0) m) bad) q
  union all
  -- The latest: a transaction is a row.
  select 'writer', n, ' transactions of the last 30 days wrote scheduled_messages with punctual.writer = ''on'': ' || who, 'none',
         'find the program that sets punctual.writer, which is for the daemon alone, and remove that; if it is a '
         || 'daemon, start it as this role once'
    from (select count(*) as n, string_agg(distinct w.role || case when w.guarded then ' (the guard applied to it)' else '' end, ', ') as who
            from (select f.role, f.guarded from punctual.foreign_writes f
                   where f.at > clock_timestamp() - interval '30 days'
                   order by f.at desc
                   limit 1000) w) f
), keeper as (
  -- The unique index of dedup_key, which cannot be built while keys are shared.
  select exists (select from pg_catalog.pg_index i
                  where i.indexrelid = to_regclass('public.scheduled_messages_dedup_key')
                    and i.indisvalid and i.indisunique) as is_there
), shared as (
  -- Keys are the app's, and may have numbers or names in them: a message stands for each.
  select min(m.id::text) as key, count(*) as n
    from public.scheduled_messages m
   where m.dedup_key is not null and under_way!(m)
     and not (select is_there from keeper)
   group by m.dedup_key
  having count(*) > 1
)
select what, 'warn' as level, case when n = 1000 then 'a thousand or more' || found when n > 0 then n || found end as found, fine, remedy
  from counted
union all
select 'dedup_key', 'warn',
       case when is_there then null
            when keys = 0 then 'the unique index is missing'
            else format('not unique: %s shared by messages in progress: %s%s',
                        case when keys = 1 then '1 key is' else keys || ' keys are' end, named,
                        case when keys > 5 then ', …' else '' end) end,
       'unique among messages in progress',
       case when keys = 0 then 'run `punctual migrate`'
            else 'cancel all but one of each (`punctual cancel ID`), then run `punctual migrate`; until then two messages with one key can both be sent' end
  from keeper
 cross join (select count(*) as keys,
                    string_agg(format('that of %s (%s messages)', key, n), ', ' order by n desc, key) filter (where place <= 5) as named
               from (select key, n, row_number() over (order by n desc, key) as place from shared) ranked) counts
