-- What users prefer.
-- $1 users
select p.user_id, p.phone_number, p.phone_verified, p.opted_out, p.reminders, p.quiet_start, p.quiet_end, p.timezone,
       p.account_timezone, p.daily_limit, p.lead_minutes, p.app_count, p.app_reset_at
  from punctual.planner_people($1) p
