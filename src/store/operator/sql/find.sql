-- The messages whose ids are in this range, deleted ones included, or with this sid; or that are held and say this.
-- $1 the first id  $2 the last one  $3 the sid  $4 at most  $5 what they say
(select m.id from public.scheduled_messages m where m.id between $1::uuid and $2::uuid order by m.id limit $4::bigint)
union
(select distinct a.message_id from punctual.attempts a
  where a.message_id between $1::uuid and $2::uuid order by a.message_id limit $4::bigint)
union
(select a.message_id from punctual.attempts a where a.provider_sid = $3::text)
union
(select b.message_id from punctual.bursts b where b.is_held and b.what = $5::text limit $4::bigint)
