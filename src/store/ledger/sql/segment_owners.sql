-- Which attempts a status report about a segment can be about, the newest first: of the latest that this SIM sent,
-- those that have the number and whose end is not reported. Another segment may have failed before. One that was kept
-- counts all the same: what followed from it may not be recorded, and its report is repeated.
-- $1 the account and the SIM  $2 the modem's number of the segment  $3 how many attempts are looked at
select a.message_id, a.token, a.provider_sid, m.to_number::text
  from (select a.message_id, a.token, a.provider_sid, a.outcome, a.message_status, a.claimed_at
          from punctual.attempts a
         where a.provider_sid like '%:%'
           and split_part(a.provider_sid, ':', 1) || ':' || split_part(a.provider_sid, ':', 2) = $1::text
         order by a.claimed_at desc
         limit $3::bigint) a
  join public.scheduled_messages m on m.id = a.message_id
 where $2::text = any (string_to_array(split_part(a.provider_sid, ':', 3), '-'))
   and a.outcome = 'accepted'
   and case when coalesce(a.message_status, '') in ('undelivered', 'failed', 'cancelled')
            then strpos(split_part(a.provider_sid, ':', 3), '-') > 0
                 and not exists (select from punctual.receipts r
                                  where r.token = a.token and r.provider_sid = a.provider_sid
                                    and r.status = 'segment ' || $2::text || ' delivered')
            else a.message_status is distinct from 'delivered' end
 order by a.claimed_at desc
