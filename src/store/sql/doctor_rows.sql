-- What the tables tell, once they are there: one row a check.
select 'daemon' as what,
       case when exists (select from punctual.instances
                          where stopped_at is null and heartbeat_at > clock_timestamp() - interval '20 s')
            then 'ok' else 'warn' end as level,
       (select count(*) from punctual.instances
         where stopped_at is null and heartbeat_at > clock_timestamp() - interval '20 s') || ' running' as found,
       'nothing is sent until `punctual run` runs against this database' as remedy
union all
select 'overdue',
       case when n = 0 then 'ok' else 'warn' end,
       case when n = 1000 then 'a thousand or more' else n::text end || ' pending for over a minute after their time',
       'they are sent, or cancelled as too late, once a daemon runs; if one does, ask `punctual why ID`'
  from (select count(*) as n from (select from public.scheduled_messages m
         where m.status = 'pending'
           and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) < clock_timestamp() - interval '1 minute'
         limit 1000) late) counted
union all
select 'in doubt',
       case when n = 0 then 'ok' else 'warn' end,
       n || ' unconfirmed',
       'whether these were sent is not known: what their look-ups showed tells `punctual why ID`; look them up in Twilio''s log, then `punctual resolve ID`'
  from (select count(*) as n from public.scheduled_messages m where m.status = 'unconfirmed') counted
union all
select 'outbox',
       case when n = 0 then 'ok' else 'warn' end,
       n || ' writes the app''s tables refused' || coalesce(', the last: ' || error, ''),
       'the messages were sent; mend what refuses their rows in messages or conversations, they are tried again'
  from (select count(*) as n, (select o.last_error from punctual.outbox o order by o.id desc limit 1) as error
          from punctual.outbox) counted
union all
select 'stuck',
       case when n = 0 then 'ok' else 'warn' end,
       n || ' still sending a minute after their lease',
       'their daemon is gone and no other runs: start one, it makes them unconfirmed'
  from (select count(*) as n from punctual.attempts a
         where a.outcome is null and a.lease_until < clock_timestamp() - interval '1 minute') counted
union all
select 'unsendable',
       case when n = 0 then 'ok' else 'warn' end,
       n || ' of the next thousand pending have no number in E.164, or no text' || coalesce(', one of them ' || id, ''),
       'they will fail: write numbers as + and the country code, digits only'
  from (select count(*) as n, min(next.id::text) as id
          from (select m.id, m.to_number, m.body from public.scheduled_messages m
                 where m.status = 'pending' order by m.scheduled_at limit 1000) next
         where btrim(next.to_number, E' \t\r\n') !~ '^\+[1-9][0-9]{6,14}$'
            or btrim(next.body, E' \t\r\n') = '') counted
