-- Cancels what is pending for these pairs of a sender and a recipient. Locked rows are skipped: their claim checks
-- the opt-out.
-- $1 our senders  $2 their numbers, one each  $3 reason  $4 the sender for rows that name none
-- $5 the senders of all accounts that texts may go by which name none (null: of one): an opt-out from one is from all
with pair as (
  select distinct ours, theirs from unnest($1::text[], $2::text[]) as p (ours, theirs)
), free as materialized (
  select m.id
    from (select ours, theirs from pair order by theirs, ours) p
   cross join lateral (
     select m.id
       from public.scheduled_messages m
      cross join (select $4::text as sender, account_senders!() as senders) ours
      where m.status = 'pending' and btrim(m.to_number, white!()) = p.theirs
        and (sender!(m) = p.ours or is_text!(m) and not names_account!(m) and p.ours = any ($5::text[]))
        for no key update of m skip locked) m
)
update public.scheduled_messages m
   set status = 'cancelled', cancel_reason = $3, cancelled_at = clock_timestamp(),
       updated_at = clock_timestamp()
  from free
 where m.id = any (array[free.id])
