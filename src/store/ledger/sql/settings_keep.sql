-- judged_again ─┬─▶ forgotten
--               └─▶ again
-- The settings of this installation; the instance that started last is right.
-- $1 zone  $2 business hours as they were written  $3 when the week opens (us from Monday 00:00)
-- $4 when it closes  $5 what is done about rows that cannot be sent  $6 what divides a text into parts (empty: nothing)
-- $7 the sender of each other account, for messages that name none  $8 the URL of each message type, for webhooks that
-- name none  $9 the zone of campaigns that say no other, $10 their hours, and these as ranges: $11 from  $12 until
-- $13 where tracking links are served  $14 the URL of each job type  $15 whether there are rules of lawful hours
-- $16 by what numbers are refused  $17 the oldest program that knows what is bounded
with judged_again as materialized (
  select from punctual.settings s where s.one and s.guards is distinct from $16::jsonb
), forgotten as (
  -- What was found by other guards, all of it, once. What is due is checked ahead once more.
  delete from punctual.number_faults f where f.fault in ('country', 'premium') and exists (select from judged_again)
), again as (
  update punctual.number_checks c set until = '-infinity' where exists (select from judged_again)
)
insert into punctual.settings as s (timezone, business_hours, open_from, open_until, validate, part_separator,
                                    account_senders, webhook_urls, campaign_timezone, campaign_hours, campaign_open_from,
                                    campaign_open_until, link_url, job_urls, lawful_hours, guards, oldest_program)
values ($1::text, $2::text, $3::bigint[], $4::bigint[], $5::text, $6::text, $7::jsonb, $8::jsonb,
        $9::text, $10::text, $11::bigint[], $12::bigint[], $13::text, $14::jsonb, $15::bool, $16::jsonb, $17::int)
on conflict (one) do update
   set timezone = excluded.timezone, business_hours = excluded.business_hours,
       open_from = excluded.open_from, open_until = excluded.open_until,
       validate = excluded.validate, part_separator = excluded.part_separator,
       account_senders = excluded.account_senders, webhook_urls = excluded.webhook_urls,
       campaign_timezone = excluded.campaign_timezone, campaign_hours = excluded.campaign_hours,
       campaign_open_from = excluded.campaign_open_from, campaign_open_until = excluded.campaign_open_until, link_url = excluded.link_url,
       job_urls = excluded.job_urls, lawful_hours = excluded.lawful_hours,
       guards = excluded.guards, oldest_program = excluded.oldest_program,
       -- What was written while a type had no URL is looked for when it has one again.
       followed_jobs = array(select kind from unnest(s.followed_jobs) kind where excluded.job_urls ? kind),
       updated_at = clock_timestamp()
