-- Counts texts to new numbers by what they say (triggers/bursts.sql). Returns those that are held, and those that a
-- person has freed.
-- $1 messages  $2 what each says  $3 to whom each is
-- $4 so many may say the same  $5 within so long (us)  $6 why the others are held, before what they say
select c.id, c.is_held, c.has_begun
  from punctual.count_texts($1::uuid[], $2::text[], $3::text[], $4::bigint, $5::bigint * interval '1 microsecond', $6::text) c
