-- Figures of a day for each user and campaign, and their alerts: views of schema punctual_api (docs/daily-metrics.md).
-- Re-runnable; replaced as a whole.
--
-- The views use functions that run with their caller's rights, so that row level security applies, and so that they do
-- not block a later `alter table`. Only the days are read with the owner's rights: the settings have their time zone.

-- The days of the installation's clock, 400 back and 400 ahead: when each begins and ends, and how many days ago it
-- was.
create or replace function punctual.metric_days(out day date, out days_ago int, out opens timestamptz, out closes timestamptz)
returns setof record
language plpgsql stable security definer rows 801 set search_path = pg_catalog, pg_temp as $$
declare
  zone text := coalesce((select max(s.timezone) from punctual.settings s), 'UTC');
  today date;
begin
  begin
    today := (clock_timestamp() at time zone zone)::date;
  -- This server's zone data does not know the zone.
  exception when invalid_parameter_value then
    zone := 'UTC';
    today := (clock_timestamp() at time zone zone)::date;
  end;
  return query
    select today - n, n, (today - n)::timestamp at time zone zone, (today - n + 1)::timestamp at time zone zone
      from generate_series(400, -400, -1) n;
end
$$;

-- The figures of what is due from one moment to another. Inlined into the view, so that only the days and users that
-- are asked for are read, each by an index: so it sets nothing, and names nothing of schema punctual, on which its
-- caller may have no right. What a text cost and how it was generated is in the app's metadata, where only numbers that
-- can be such a figure count: one that is not would make the sum of all others fail.
create or replace function punctual.metrics_between(opens timestamptz, closes timestamptz)
returns table (
  user_id uuid, campaign_id uuid, scheduled bigint, sent bigint, delivered bigint, failed bigint, cancelled bigint,
  avg_delivery_time_ms numeric, avg_generation_time_ms numeric, llm_success bigint, template_fallback bigint,
  delivery_success_rate numeric, llm_cost_usd numeric, sms_cost_usd numeric, opt_out bigint, quiet_hours_skip bigint,
  daily_limit_hit bigint)
language sql stable as $$
  select m.user_id, m.campaign_id,
         count(*),
         count(*) filter (where m.was_sent),
         count(*) filter (where m.status = 'delivered'),
         count(*) filter (where m.status = 'failed'),
         count(*) filter (where m.status = 'cancelled'),
         round((avg(extract(epoch from m.delivered_at - m.sent_at) * 1000) filter (where m.status = 'delivered'))::numeric, 1),
         round(avg(m.generation_time_ms), 1),
         count(*) filter (where m.generated_via = 'llm'),
         count(*) filter (where m.generated_via = 'template'),
         round(count(*) filter (where m.status = 'delivered')::numeric
               / nullif(count(*) filter (where m.status in ('delivered', 'failed')), 0), 4),
         coalesce(sum(m.llm_cost_usd), 0),
         coalesce(sum(m.sms_cost_usd), 0),
         count(*) filter (where m.cancel_reason like '%opted out%' or m.status = 'failed' and m.error_code in (opted_out_codes!())),
         count(*) filter (where m.deferred_reason like '%quiet hours%' or m.cancel_reason like 'quiet hours %'),
         count(*) filter (where m.cancel_reason = over_limit!())
    from (select t.user_id, t.campaign_id, t.status, t.sent_at, t.delivered_at, t.cancel_reason::text, t.deferred_reason::text,
                 t.error_code, t.sent_at is not null and t.status in ('sent', 'delivered', 'failed') as was_sent,
                 t.metadata ->> 'generated_via' as generated_via,
                 case when jsonb_typeof(t.metadata -> 'generation_time_ms') = 'number'
                      then (select n from (values ((t.metadata ->> 'generation_time_ms')::numeric)) as v (n) where n between 0 and 1e9) end as generation_time_ms,
                 case when jsonb_typeof(t.metadata -> 'generation_cost_usd') = 'number'
                      then (select n from (values ((t.metadata ->> 'generation_cost_usd')::numeric)) as v (n) where n between 0 and 1e6) end as llm_cost_usd,
                 case when jsonb_typeof(t.metadata -> 'sms_cost_usd') = 'number'
                      then (select n from (values ((t.metadata ->> 'sms_cost_usd')::numeric)) as v (n) where n between 0 and 1e6) end as sms_cost_usd
            -- By the index of each status.
            from (due_between!(pending) union all due_between!(sending) union all due_between!(sent)
                  union all due_between!(delivered) union all due_between!(failed) union all due_between!(cancelled)
                  union all due_between!(unconfirmed)) t) m
   group by m.user_id, m.campaign_id
$$;

-- How many of these have not ended.
create or replace function punctual.unended_between(opens timestamptz, closes timestamptz) returns bigint
language sql stable as $$
  select count(*) from (due_between!(pending) union all due_between!(sending)) m
$$;

-- Whatever a role has as its default: the schema's own right is what admits.
grant execute on function punctual.metric_days(), punctual.metrics_between(timestamptz, timestamptz),
                          punctual.unended_between(timestamptz, timestamptz) to PUBLIC;

create or replace view punctual_api.daily_metrics as
  select d.day, d.days_ago, m.*
    from punctual.metric_days() d
   cross join lateral punctual.metrics_between(d.opens, d.closes) m;

-- What is out of the ordinary today, of all that the caller sees: each figure with its threshold, and whether that is
-- passed. Shares are of the messages that have ended: those still pending would make them small all day. Shares of
-- fewer than 20 messages say nothing; nor does the delivery rate where nothing was reported as delivered for a week,
-- because there no receipts arrive.
create or replace view punctual_api.daily_alerts as
  -- Once, so that today is the same day for all.
  with days as materialized (select * from punctual.metric_days() d where d.days_ago between 0 and 7)
  select a.alert, round(a.value, 4) as value, a.threshold, a.messages,
         coalesce(a.is_known and case a.alert when 'delivery_rate' then a.value < a.threshold
                                              else a.value > a.threshold end, false) as firing
    from (select coalesce(sum(m.scheduled) filter (where m.days_ago = 0), 0) as scheduled,
                 coalesce(sum(m.scheduled) filter (where m.days_ago = 0), 0)
                 - (select punctual.unended_between(d.opens, d.closes) from days d where d.days_ago = 0) as ended,
                 coalesce(sum(m.delivered) filter (where m.days_ago = 0), 0) as delivered,
                 coalesce(sum(m.failed) filter (where m.days_ago = 0), 0) as failed,
                 coalesce(sum(m.llm_success) filter (where m.days_ago = 0), 0) as llm_success,
                 coalesce(sum(m.template_fallback) filter (where m.days_ago = 0), 0) as template_fallback,
                 coalesce(sum(m.opt_out) filter (where m.days_ago = 0), 0) as opt_out,
                 coalesce(sum(m.daily_limit_hit) filter (where m.days_ago = 0), 0) as daily_limit_hit,
                 coalesce(sum(m.llm_cost_usd + m.sms_cost_usd) filter (where m.days_ago = 0), 0) as cost,
                 coalesce(sum(m.llm_cost_usd + m.sms_cost_usd) filter (where m.days_ago > 0), 0)
                 -- A day, since the first with costs.
                 / nullif(max(m.days_ago) filter (where m.days_ago > 0 and m.llm_cost_usd + m.sms_cost_usd > 0), 0) as usual_cost,
                 coalesce(sum(m.delivered), 0) > 0 as has_receipts
            from (select d.days_ago, f.*
                    from days d cross join lateral punctual.metrics_between(d.opens, d.closes) f) m) t
   cross join lateral (values
     ('delivery_rate', t.delivered / nullif(t.delivered + t.failed, 0), 0.9, t.delivered + t.failed,
      t.has_receipts and t.delivered + t.failed >= 20),
     ('template_fallback', t.template_fallback / nullif(t.llm_success + t.template_fallback, 0), 0.5,
      t.llm_success + t.template_fallback, t.llm_success + t.template_fallback >= 20),
     ('cost', t.cost / nullif(t.usual_cost, 0), 2.0, t.scheduled, t.usual_cost > 0),
     ('opt_out', t.opt_out / nullif(t.ended, 0), 0.1, t.ended, t.ended >= 20),
     ('daily_limit', t.daily_limit_hit / nullif(t.ended, 0), 0.2, t.ended, t.ended >= 20)
   ) as a (alert, value, threshold, messages, is_known);

do $$
declare
  grantee name;
begin
  -- Before version 15 a view always has the rights of its owner. These use functions, so it makes no difference.
  if current_setting('server_version_num')::int >= 150000 then
    execute 'alter view punctual_api.daily_metrics set (security_invoker = true)';
    execute 'alter view punctual_api.daily_alerts set (security_invoker = true)';
  end if;
  -- As the functions (rpc.sql).
  for grantee in
    select r.rolname from pg_catalog.pg_roles r where r.rolname in ('anon', 'authenticated', 'service_role')
  loop
    if grantee = 'anon' then
      revoke all on punctual_api.daily_metrics, punctual_api.daily_alerts from anon;
    else
      execute format('grant select on punctual_api.daily_metrics, punctual_api.daily_alerts to %I', grantee);
    end if;
  end loop;
end
$$;
