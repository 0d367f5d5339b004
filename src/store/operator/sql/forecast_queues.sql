-- The messages in the queues of these paces, in the order in which claim_paced.sql takes them. Those that take no slot
-- are free at infinity: what is paused until somebody resumes, in quarantine, or cancelled for an opt-out.
-- $1 paces  $2 the sender for rows that name none  $3 the most of each pace
-- $4 the senders of all accounts that texts may go by which name none (null: of one)
with quarantine as materialized (
  select q.due_before from punctual.quarantine q where q.ended_at is null
)
select p.id as pace, m.id, m.due, m.free_at, m.late_from, m.segments, m.channel, m.account, m.lane_address
  from unnest($1::uuid[]) ask (id)
  join punctual.paces p on p.id = any (array[ask.id])
 cross join (select $2::text as sender, account_senders!() as senders) ours
 cross join (select 'infinity'::timestamptz as at) reach
 cross join lateral (
   select m.*
     from (select * from (queue!(p)) q (id, due) order by q.due, q.id) q
    cross join lateral (
      select m.id, due!(m) as due, case p.scope when 'sender' then charge!(m) end as segments,
             m.channel::text, m.account::text, lane_address!(m) as lane_address,
             case when is_quarantined!(m) or opt_out_of!(m) is not null then 'infinity'
                  else greatest(due!(m), paused_until!(m)) end as free_at,
             greatest(late_from!(m), paused_until!(m)) as late_from
        from (select m.*, btrim(m.to_number, white!()) as their_number,
                     array[sender!(m)] || case when is_text!(m) and not names_account!(m) then $4::text[] end as our_numbers
                from public.scheduled_messages m
               where m.id = q.id and is_pending!(m) and is_queued!(m)) m
      offset 0) m
    limit $3) m
 order by p.id, m.due, m.id
