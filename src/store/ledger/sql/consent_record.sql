-- Records a consent, or that it was withdrawn (punctual_api.record_consent).
-- $1 the recipient  $2 how  $3 what they were shown  $4 whether it was given  $5 for what  $6 when (null: now)
select (punctual_api.record_consent($1::text, $2::text, $3::text, $4::boolean, $5::text, $6::timestamptz) ->> 'id')::bigint as id
