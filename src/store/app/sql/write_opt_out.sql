-- Writes whether a number has opted out by STOP to the preferences of its users (triggers/user_sms_preferences.sql).
-- $1 the number
select refusal, app_words from punctual.write_opt_out($1::text)
