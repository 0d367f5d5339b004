-- What users were sent on days that are long over.
-- $1 before this
delete from punctual.daily_counts c where c.day < ($1::timestamptz at time zone 'UTC')::date
