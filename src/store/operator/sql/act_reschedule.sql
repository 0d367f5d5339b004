-- Moves messages for an operator: all to one time, or each by as much. Skipped are those that another transaction
-- holds, as a claim does, those that are not pending, those whose time would have passed by $3, unless $4 accepts that,
-- and (by the guard) those of which a part was sent.
-- $1 ids  $2 to this time  $3 or by this many microseconds  $4 whether that time may have passed
with mine as materialized (
  select m.id from public.scheduled_messages m
   where m.id = any ($1::uuid[]) and is_pending!(m)
     and ($2::timestamptz is not null or $4::bool
          or m.scheduled_at + $3::bigint * interval '1 microsecond' > clock_timestamp())
   order by m.id
     for no key update skip locked)
update public.scheduled_messages m
   set scheduled_at = coalesce($2::timestamptz, m.scheduled_at + $3::bigint * interval '1 microsecond')
  from mine
 where m.id = any (array[mine.id])
