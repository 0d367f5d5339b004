-- Notes who opted out from which sender, and cancels what is pending for these pairs. What
-- somebody holds is skipped: its claim looks here.
-- $1 our senders  $2 their numbers, one each  $3 reason  $4 who sends where a row names nobody
with pair as (
  select distinct ours, theirs from unnest($1::text[], $2::text[]) as p (ours, theirs)
), noted as (
  insert into punctual.suppressions (our_number, their_number, reason)
  select ours, theirs, $3 from pair order by theirs, ours
  on conflict do nothing
), free as (
  select m.id
    from public.scheduled_messages m
   where m.status = 'pending'
     and exists (select from pair
                  where pair.theirs = btrim(m.to_number)
                    and pair.ours = coalesce(nullif(btrim(m.from_number), ''), $4::text))
   order by m.id
     for no key update of m skip locked
)
update public.scheduled_messages m
   set status = 'cancelled', cancel_reason = $3, cancelled_at = clock_timestamp(),
       updated_at = clock_timestamp()
  from free
 where m.id = free.id
