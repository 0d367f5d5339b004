-- dead ─▶ free ─▶ ledger
-- Claims of instances that are dead: the lease is over, the heartbeat is stale, and database and reaper have
-- both been up for longer than a heartbeat may be late, so that the silence is the other instance's. It is
-- unknown whether the provider has the message: unconfirmed.
-- $1 this instance  $2 heartbeat time-out (ms)  $3 rows at most
with dead as (
  select a.token, a.message_id
    from punctual.attempts a
    left join punctual.instances i on i.id = any (array[a.instance])
   where a.outcome is null
     and a.lease_until < clock_timestamp()
     and a.instance <> $1::uuid
     and coalesce(i.stopped_at, i.heartbeat_at, '-infinity')
         < clock_timestamp() - $2::bigint * interval '1 millisecond'
     and pg_postmaster_start_time() < clock_timestamp() - $2::bigint * interval '1 millisecond'
     and exists (select from punctual.instances me
                  where me.id = $1::uuid
                    and me.started_at < clock_timestamp() - $2::bigint * interval '1 millisecond')
   order by a.lease_until
   limit $3
), free as (
  select m.id, btrim(m.to_number, white!()) as lookup_to, nullif(btrim(m.from_number, white!()), '') as lookup_from,
         -- Only the dead instance knew what a template was rendered to.
         case when m.template_vars is null then text_key!(m) end
           as lookup_text
    from public.scheduled_messages m
   where m.id = any (array(select message_id from dead))
   order by m.id
     for no key update skip locked
), ledger as (
  update punctual.attempts a
     set outcome = 'unknown', finished_at = clock_timestamp(),
         error = 'the instance that claimed it ended before it said how the request went',
         -- The lease is over: the provider's list has had time to show the message.
         lookups = 0, next_lookup_at = clock_timestamp(),
         lookup_to = free.lookup_to, lookup_from = free.lookup_from,
         -- The ledger has what a part says.
         lookup_text = case when free.id is not null then coalesce(text_key!(a), free.lookup_text) end
    from dead
    left join free on free.id = dead.message_id
   where a.token = any (array[dead.token]) and is_open!(a)
     and (free.id is not null
          or not exists (select from public.scheduled_messages m where m.id = dead.message_id))
  returning a.message_id
)
update public.scheduled_messages m
   set status = 'unconfirmed', updated_at = clock_timestamp(),
       error_message = 'the instance that was sending it ended before it said how the request went'
  from ledger
 where m.id = any (array[ledger.message_id]) and is_sending!(m)
