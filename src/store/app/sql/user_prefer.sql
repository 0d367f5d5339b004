-- Writes the preferences of a user whose phone has been verified.
-- $1 user  $2 zone  $3 quiet from, $4 until (us since midnight there)  $5 how many a day
insert into public.user_sms_preferences
       (user_id, phone_verified, timezone, quiet_hours_start, quiet_hours_end, daily_sms_limit)
values ($1, true, $2, time '00:00' + $3::bigint * interval '1 microsecond',
        time '00:00' + $4::bigint * interval '1 microsecond', $5)
