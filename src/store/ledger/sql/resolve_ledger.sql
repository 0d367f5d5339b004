-- Records a manual decision in the ledger; the row of the message is locked. That it was sent is recorded for
-- the latest attempt; anything else for all of them, whose outcome stays uncertain and which are still looked
-- up: proof may come later.
-- $1 message  $2 whether it was sent  $3 its sid, if it is known  $4 who decided
-- $5 when that sid is looked up (ms)
update punctual.attempts a
   set settled_by = $4::text, settled_at = clock_timestamp(),
       outcome = case when $2::bool then 'accepted' else a.outcome end,
       provider_sid = case when $2::bool then $3::text end,
       next_lookup_at = case when not $2::bool then a.next_lookup_at
                          when $3::text is not null then clock_timestamp() + $5::bigint * interval '1 millisecond' end,
       lookups = case when $2::bool then 0 else a.lookups end,
       lookup_to = case when not $2::bool then a.lookup_to end,
       lookup_from = case when not $2::bool then a.lookup_from end,
       lookup_text = case when not $2::bool then a.lookup_text end
 where a.message_id = $1::uuid and a.outcome = 'unknown' and a.settled_by is null
   and (not $2::bool
        or a.number = (select max(b.number) from punctual.attempts b where b.message_id = $1::uuid))
