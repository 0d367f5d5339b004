-- uncleared, ran
-- held ─▶ due_again
-- Puts in quarantine what is due before a moment. An instance that ran when the history changed is unaccounted
-- for until it reports that everything it sent is recorded: this one, those that it knew to run, and those that
-- the database shows as running when its history ends. If the database does not even have the first instance
-- that this one knows, what it lost reaches back to before that one began, and others may have run: the
-- nil id. What was cleared before may have been sent since.
-- $1 due before  $2 this instance  $3 instances known to run  $4 heartbeat time-out (ms)
-- $5 this instance, or the one before it that kept its journal; null: not even that is known
-- $6 all instances that it knows
with uncleared as (
  delete from punctual.quarantine_cleared
), held as materialized (
  -- What a pause of its text holds is due as before: that pause may have ended, and it may have been sent.
  select m.id
    from (select b.message_id from punctual.bursts b where b.is_held order by b.message_id) b
   cross join lateral (
     select m.id from public.scheduled_messages m
      where m.id = any (array[b.message_id]) and is_pending!(m) and m.deferred_until = 'infinity'
        for no key update skip locked) m
), due_again as (
  update public.scheduled_messages m
     set deferred_until = null, deferred_reason = null, updated_at = clock_timestamp()
    from held h
   where m.id = any (array[h.id])
), ran as (
  select array_agg(distinct r.id) as ids
    from (select unnest($3::uuid[]) as id
          union all select $2::uuid
          union all
          -- Began and ended after the end of the restored history: only this instance knows them.
          select s.id from unnest($6::uuid[]) as s (id)
           where not exists (select from punctual.instances i where i.id = s.id)
          union all
          select '00000000-0000-0000-0000-000000000000'
           where not exists (select from punctual.instances i where i.id = $5::uuid)
          union all
          select i.id from punctual.instances i
           where i.stopped_at is null
             and i.heartbeat_at > (select max(l.heartbeat_at) from punctual.instances l
                                   where l.stopped_at is null and l.id <> $2::uuid)
                                  - $4::bigint * interval '1 millisecond') r
)
insert into punctual.quarantine as q (due_before, noticed_by, unaccounted)
select $1::timestamptz, $2::uuid, ran.ids from ran
on conflict (one) do update
   set due_before = case when q.ended_at is null then greatest(q.due_before, excluded.due_before)
                         else excluded.due_before end,
       unaccounted = case when q.ended_at is null
                          then array(select distinct unnest(q.unaccounted || excluded.unaccounted))
                          else excluded.unaccounted end,
       began_at = case when q.ended_at is null then q.began_at else clock_timestamp() end,
       noticed_by = excluded.noticed_by, ended_at = null
returning q.due_before
