-- doubtful, unheard ─▶ taken
-- The look-ups that are due: attempts with an uncertain outcome, and accepted ones without a final status.
-- Reserved for a while, so that no other instance makes the same one; if the instance dies meanwhile, another
-- takes it over. What is locked is skipped.
-- $1 uncertain at most  $2 accepted at most  $3 how long they are reserved for this instance (ms)  $4 the present by a
-- clock that follows no jump of the database's
with doubtful as (
  select a.token
    from punctual.attempts a
   where a.outcome = 'unknown' and a.next_lookup_at <= $4::timestamptz
   order by a.next_lookup_at
   limit $1
     for no key update skip locked
), unheard as (
  select a.token
    from punctual.attempts a
   where a.outcome = 'accepted' and a.next_lookup_at <= $4::timestamptz
   order by a.next_lookup_at
   limit $2
     for no key update skip locked
), taken as (
  update punctual.attempts a
     set next_lookup_at = $4::timestamptz + $3::bigint * interval '1 millisecond'
    from (select token from doubtful union all select token from unheard) due
   where a.token = any (array[due.token])
  returning a.*
)
select t.token, t.message_id, t.part::smallint, t.outcome, t.provider_sid, t.lookups, t.next_lookup_at as held_until,
       coalesce(t.started_at, t.claimed_at) as since,
       coalesce(t.finished_at, t.claimed_at) as asked_since,
       t.lookup_to, t.lookup_from, t.lookup_text,
       t.settled_by is null
         and t.number = (select max(b.number) from punctual.attempts b where b.message_id = t.message_id)
         as holds_row,
       t.recovered and t.settled_by is null
         and exists (select from punctual.attempts b
                      where b.message_id = t.message_id and b.part = t.part and b.number > t.number
                        and b.outcome = 'accepted') as superseded,
       m.status::text, m.in_doubt::text, m.channel::text,
       -- The row may have been moved to another account since.
       coalesce(t.account, m.account)::text as account,
       coalesce(t.lookup_from, m.from_number)::text as lane_address
  from taken t
  left join public.scheduled_messages m on m.id = any (array[t.message_id])
 order by t.outcome desc, t.token
