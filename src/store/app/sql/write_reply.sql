-- Writes a reply into the app's tables; returns why they refuse it, if they do.
-- $1 the provider's id of it  $2 whose it is  $3 our number  $4 its text  $5 when it came
select w.refusal, w.app_words from punctual.write_reply($1::text, $2::text, $3::text, $4::text, $5::timestamptz) w
