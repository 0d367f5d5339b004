-- What is held after a restore: pending, and due before the hold. Number by number, so that rows
-- which could be each other's are seen together; of each number the soonest.
-- $1 held before  $2 after this number (null: from the first)  $3 numbers at most  $4 rows of each at most
with numbers as (
  select distinct btrim(m.to_number, E' \t\r\n') collate "C" as number
    from public.scheduled_messages m
   where m.status = 'pending'
     and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) < $1::timestamptz
     and ($2::text is null or btrim(m.to_number, E' \t\r\n') collate "C" > $2::text)
   order by 1
   limit $3
), rows as (
  select m.*, n.number,
         greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) as due,
         row_number() over (partition by n.number
                            order by greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at), m.id) as place
    from numbers n
    join public.scheduled_messages m on btrim(m.to_number, E' \t\r\n') collate "C" = n.number
   where m.status = 'pending'
     and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) < $1::timestamptz
)
select r.id, r.number::text as number, nullif(btrim(r.from_number), '')::text as from_number,
       -- What a template is rendered to, nobody knows here.
       case when r.template_vars is null then sha256(convert_to(btrim(r.body, E' \t\r\n'), 'UTF8')) end as text,
       -- It cannot have been sent before it was there.
       coalesce(least(r.created_at, r.due), '-infinity') as since,
       greatest(r.created_at, r.requeued_at) as touched
  from rows r
 where r.place <= $4
 order by r.number, r.place
