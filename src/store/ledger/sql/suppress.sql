-- reply ─▶ pair ─▶ noted
-- Records who opted out from which sender.
-- $1 our senders  $2 their numbers, one each  $3 reason
-- $4 the reply that requests it (null: no reply does); a known one changes nothing
with reply as (
  insert into punctual.opt_replies (id, command)
  select $4::text, 'stop' where $4::text is not null
  on conflict do nothing
  returning id
), pair as (
  select distinct ours, theirs
    from unnest($1::text[], $2::text[]) as p (ours, theirs)
   where $4::text is null or exists (select from reply)
), noted as (
  insert into punctual.suppressions (our_number, their_number, reason)
  select ours, theirs, $3 from pair order by theirs, ours
  on conflict do nothing
)
select count(*) as pairs from pair
