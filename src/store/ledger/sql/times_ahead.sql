-- (now) ─▶ instances, claims, paces, outbox
-- Corrects what a clock of the database that ran ahead, and was set right, has left in the future. Nothing that has
-- happened was later than now: a heartbeat and a claim were now at the latest, and a lease is as long from there. Else
-- a dead instance would count as running, and its claims as leased, until the clock comes to these times again; a pace,
-- and a write that the app's tables had refused, would be as late. Only while the clock is known. What is locked is
-- corrected by a later call.
-- $1 rows of each kind at most
with instances as (
  update punctual.instances i
     set started_at = least(i.started_at, clock_timestamp()), heartbeat_at = least(i.heartbeat_at, clock_timestamp())
   where i.id = any (array(
           select r.id from punctual.instances r
            where r.stopped_at is null
              and greatest(r.started_at, r.heartbeat_at) > clock_timestamp() + interval '1 s'
            limit $1::bigint
              for no key update skip locked))
  returning i.id
), claims as (
  update punctual.attempts a
     set lease_until = clock_timestamp() + (a.lease_until - a.claimed_at)
   where a.token = any (array(
           select t.token from punctual.attempts t
            -- Only these are locked, and none as long as the clock is right.
            where t.token = any (array(
                    select latest.token
                      from (select l.token, l.claimed_at, l.lease_until from punctual.attempts l
                             where l.outcome is null
                             order by l.lease_until desc
                             limit $1::bigint) latest
                     -- When it was claimed stays as it was written; a lease that was corrected ends before that.
                     where latest.claimed_at > clock_timestamp() + interval '1 s'
                       and latest.lease_until > latest.claimed_at))
              for no key update skip locked))
     and is_open!(a)
  returning a.token
), paces as (
  -- At the end of the longest gap the next slot begins at the latest, and a slot is a second. A sender may have been
  -- charged a long text, of many segments.
  update punctual.paces p
     set next_at = clock_timestamp() + p.gap_max
   where p.id = any (array(
           select n.id from punctual.paces n
            where n.slot is not null
              and n.next_at > clock_timestamp() + n.gap_max * (case n.scope when 'sender' then 64 else 1 end)
                              + interval '3 s'
            limit $1::bigint
              for no key update skip locked))
  returning p.id
), outbox as (
  -- Tried again at once; later tries are by a clock that follows no jump.
  update punctual.outbox o
     set created_at = clock_timestamp(), next_attempt_at = clock_timestamp()
   where o.id = any (array(
           select w.id
             from (select l.id from punctual.outbox l order by l.next_attempt_at desc limit $1::bigint) latest
             join punctual.outbox w on w.id = any (array[latest.id])
            where w.created_at > clock_timestamp() + interval '1 s'
              for no key update of w skip locked))
  returning o.id
)
select (select count(*) from instances) as instances, (select count(*) from claims) as claims,
       (select count(*) from paces) as paces, (select count(*) from outbox) as outbox
