-- The rows in quarantine after a restore: pending, and due before its end. In the order of their numbers, so
-- that rows which could be mistaken for each other come together; of one number the soonest first.
-- $1 due before  $2 after this number (null: from the first)  $3 rows at most
select m.id, btrim(m.to_number, white!())::text as number,
       nullif(btrim(m.from_number, white!()), '')::text as from_number,
       -- The rendered text of a template is not known here.
       case when m.template_vars is null then text_key!(m) end as text,
       -- It cannot have been sent before it existed.
       coalesce(least(m.created_at, due!(m)), '-infinity')
         as since,
       greatest(m.created_at, m.requeued_at) as touched, m.version::bigint as version, m.channel::text, m.account::text
  from public.scheduled_messages m
 where m.status = 'pending'
   and due!(m) < $1::timestamptz
   and ($2::text is null or btrim(m.to_number, white!()) collate "C" > $2::text)
 order by btrim(m.to_number, white!()) collate "C",
          due!(m), m.id
 limit $3
