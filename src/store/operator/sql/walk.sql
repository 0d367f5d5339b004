-- The messages of a filter in the order of the list, from a place on. Of each status the rows are read by an index, in
-- their order and no more than $14, however few of them the filter passes: then the last row has `matches` false and is
-- the place where the next page begins.
-- Of the pending ones the index has the due time alone. So it is asked first how far $14 rows reach, and what is read
-- and sorted by id is that, and what is due at the same instant as its first or last row.
-- $1 statuses  $2 soonest first, of pending ones alone  $3 ids; null: not by ids  $4 due and $5 id after which
-- $6 due and $7 id before which  $8 user  $9 campaign  $10 template  $11 reason; `none`: without one  $12 recipient
-- $13 rows at most  $14 rows read at most
-- Steps:
with walked as materialized (
  select w.*
    from (listed!(sending) union all listed!(unconfirmed) union all listed!(sent)
          union all listed!(delivered) union all listed!(failed) union all listed!(cancelled)
          union all
          (listed_pending!(m)
              and 'pending' = any ($1::text[]) and not $2::bool
              and due!(m) >= coalesce((select min(o.due)
                                         from (select due!(m) as due from public.scheduled_messages m
                                                where m.status = 'pending'
                                                  and due!(m) < $6::timestamptz and due!(m) >= $4::timestamptz
                                                order by due!(m) desc
                                                limit $14::bigint) o), $6::timestamptz)
            order by due!(m) desc, m.id desc
            limit $14::bigint)
          union all
          (listed_pending!(m)
              and $2::bool
              and due!(m) <= coalesce((select max(o.due)
                                         from (select due!(m) as due from public.scheduled_messages m
                                                where m.status = 'pending'
                                                  and due!(m) > $4::timestamptz and due!(m) <= $6::timestamptz
                                                order by due!(m)
                                                limit $14::bigint) o), $4::timestamptz)
            order by due!(m), m.id
            limit $14::bigint)
          union all
          (select m.id, due!(m) as due, m.status::text, m.user_id, m.campaign_id, m.template_id, m.to_number::text
             from unnest($3::uuid[]) as named (id)
            cross join lateral (select * from public.scheduled_messages o where o.id = any (array[named.id])) m
            where m.status::text = any ($1::text[])
              and (due!(m), m.id) > ($4::timestamptz, $5::uuid) and (due!(m), m.id) < ($6::timestamptz, $7::uuid))) w
   order by case when $2::bool then w.due end, case when $2::bool then w.id end, w.due desc, w.id desc
   limit $14::bigint
), matching as materialized (
  select w.*
    from walked w
   where ($8::uuid is null or w.user_id = $8::uuid)
     and ($9::uuid is null or w.campaign_id = $9::uuid)
     and ($10::uuid is null or w.template_id = $10::uuid)
     and ($12::text is null or btrim(w.to_number, white!()) = $12::text)
     and ($11::text is null or coalesce(reason!(w), 'none') = $11::text)
   limit $13::bigint
)
-- Result:
select m.id, m.due, m.status, true as matches from matching m
union all
(select w.id, w.due, w.status, false
   from walked w
  where (select count(*) from matching) < $13::bigint and (select count(*) from walked) = $14::bigint
 offset $14::bigint - 1)
