-- Corrects what a clock of the database that ran ahead, and was set right, has left in the future. Nothing that has
-- happened was later than now: a heartbeat and a claim were now at the latest, and a lease is as long from there. Else a
-- dead instance would count as running, and its claims as leased, until the clock comes to these times again; a pace
-- would be as late. Only while the clock is known. What is locked is corrected by a later call.
-- $1 rows of each kind at most
with instances as (
  update punctual.instances i
     set started_at = least(i.started_at, clock_timestamp()), heartbeat_at = least(i.heartbeat_at, clock_timestamp())
   where i.id in (select r.id from punctual.instances r
                   where r.stopped_at is null
                     and greatest(r.started_at, r.heartbeat_at) > clock_timestamp() + interval '1 s'
                   limit $1::bigint
                     for no key update skip locked)
  returning i.id
), claims as (
  update punctual.attempts a
     set lease_until = clock_timestamp() + (a.lease_until - a.claimed_at)
   where a.token in (select latest.token
                       from (select t.token, t.claimed_at, t.lease_until from punctual.attempts t
                              where t.outcome is null
                              order by t.lease_until desc
                              limit $1::bigint
                                for no key update skip locked) latest
                      -- When it was claimed stays as it was written; a lease that was corrected ends before that.
                      where latest.claimed_at > clock_timestamp() + interval '1 s'
                        and latest.lease_until > latest.claimed_at)
     and is_open!(a)
  returning a.token
), paces as (
  -- At the end of the longest gap the next slot begins at the latest, and a slot is a second.
  update punctual.paces p
     set next_at = clock_timestamp() + p.gap_max
   where p.id in (select n.id from punctual.paces n
                   where n.slot is not null and n.next_at > clock_timestamp() + n.gap_max + interval '3 s'
                   limit $1::bigint
                     for no key update skip locked)
  returning p.id
)
select (select count(*) from instances) as instances, (select count(*) from claims) as claims,
       (select count(*) from paces) as paces
