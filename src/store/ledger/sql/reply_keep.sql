-- kept ─▶ answered ─▶ noted
-- Keeps a reply once, and notes it for the campaigns that it answers: those that have sent something to this person
-- from a sender to which the reply came, and are not over for long.
-- $1 the provider's id of it  $2 whose it is  $3 our senders to which it came  $4 the sender for rows that name none
with kept as (
  insert into punctual.replies (id, our_number, their_number)
  values ($1::text, ($3::text[])[1], $2::text)
  on conflict do nothing
  returning at
), ours as materialized (
  select $4::text as sender, account_senders!() as senders
), mine as (
  select o.campaign_id, o.message_id
    from punctual.campaign_messages o
   where o.phone_number = $2::text and o.message_id is not null and exists (select from kept)
  union
  -- A number that was changed after its message was scheduled.
  select m.campaign_id, m.id
    from public.scheduled_messages m
   where m.status = 'pending' and btrim(m.to_number, white!()) = $2::text and m.campaign_id is not null
     and exists (select from kept)
), answered as (
  select distinct o.campaign_id
    from mine o
   cross join ours
    left join lateral (
     select sender!(m) as sender, is_text!(m) and not names_account!(m) as by_route
       from public.scheduled_messages m where m.id = o.message_id offset 0) m on true
   where exists (
       select from punctual.attempts a
        where a.message_id = o.message_id and (a.outcome is null or not sent_nothing!(a))
          -- What had a route went out from the sender of the account that took it.
          and coalesce(case when m.by_route and a.account <> 'default' then ours.senders ->> a.account else m.sender end
                         = any ($3::text[]), true)
          and (a.claimed_at > clock_timestamp() - interval '30 days'
               or exists (select from public.scheduled_messages p where p.status = 'pending' and p.campaign_id = o.campaign_id)))
), noted as (
  insert into punctual.campaign_replies as r (campaign_id, their_number)
  select c.id, $2::text
    from answered a
   cross join lateral (select c.id from punctual.campaigns c where c.id = a.campaign_id offset 0) c
   order by c.id
  on conflict (campaign_id, their_number) do update set texts = r.texts + 1
  returning r.campaign_id
)
-- Null: it is known.
select (select k.at from kept k) as at,
       array(select c.id from noted n join punctual.campaigns c on c.id = any (array[n.campaign_id]) where c.stop_on_reply) as stopped
