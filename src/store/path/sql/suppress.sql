-- Records who opted out from which sender, and cancels what is pending for these pairs. Locked rows are
-- skipped: their claim checks this.
-- $1 our senders  $2 their numbers, one each  $3 reason  $4 the sender for rows that name none
-- $5 the reply that requests it (null: no reply does); a known one changes nothing
with reply as (
  insert into punctual.opt_replies (id, command)
  select $5::text, 'stop' where $5::text is not null
  on conflict do nothing
  returning id
), pair as (
  select distinct ours, theirs
    from unnest($1::text[], $2::text[]) as p (ours, theirs)
   where $5::text is null or exists (select from reply)
), noted as (
  insert into punctual.suppressions (our_number, their_number, reason)
  select ours, theirs, $3 from pair order by theirs, ours
  on conflict do nothing
), free as materialized (
  select m.id
    from (select ours, theirs from pair order by theirs, ours) p
   cross join lateral (
     select m.id
       from public.scheduled_messages m
      where m.status = 'pending' and btrim(m.to_number, white!()) = p.theirs
        and coalesce(nullif(btrim(m.from_number, white!()), ''), $4::text) = p.ours
        for no key update skip locked) m
)
update public.scheduled_messages m
   set status = 'cancelled', cancel_reason = $3, cancelled_at = clock_timestamp(),
       updated_at = clock_timestamp()
  from free
 where m.id = free.id
