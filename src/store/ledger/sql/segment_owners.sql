-- The attempts that have the number of a status report's segment, the newest first, of the latest that this SIM sent;
-- each with whether the end of this segment is not reported. Another segment may have failed before. One that was kept
-- counts all the same: what followed from it may not be recorded, and its report is repeated.
-- $1 the account and the SIM  $2 the modem's number of the segment  $3 how many attempts are looked at
select a.message_id, a.token, a.provider_sid, a.claimed_at, m.to_number::text,
       case when coalesce(a.message_status, '') in ('undelivered', 'failed', 'cancelled')
            then strpos(split_part(a.provider_sid, ':', 3), '-') > 0
                 and not exists (select from punctual.receipts r
                                  where r.token = a.token and r.provider_sid = a.provider_sid
                                    and r.status = 'segment ' || $2::text || ' delivered')
            else a.message_status is distinct from 'delivered' end as is_open
  from (select a.message_id, a.token, a.provider_sid, a.outcome, a.message_status, a.claimed_at
          from punctual.attempts a
         where a.provider_sid like '%:%'
           and split_part(a.provider_sid, ':', 1) || ':' || split_part(a.provider_sid, ':', 2) = $1::text
         order by a.claimed_at desc
         limit $3::bigint) a
  left join public.scheduled_messages m on m.id = any (array[a.message_id])
 where $2::text = any (string_to_array(split_part(a.provider_sid, ':', 3), '-'))
   and a.outcome = 'accepted'
 order by a.claimed_at desc
