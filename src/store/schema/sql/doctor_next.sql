-- What will prevent the next 1,000 messages from being sent: one row per check, as in doctor_server.sql.
-- $1 the default sender  $2 the channels that have a provider
with next as materialized (
  select m.id, m.channel, is_text!(m) as is_text, m.to_number, m.from_number, m.body, m.user_id,
         m.template_id, m.calendar_event_id, m.send_before, m.message_type, m.timezone, m.template_vars, due!(m) as due,
         btrim(to_jsonb(m) ->> 'media_url', white!()) as media
    from public.scheduled_messages m
   where m.status = 'pending'
   order by due!(m)
   limit 1000
), ids as (
  select array_agg(n.id) as ids, array_agg(n.user_id) as users, array_agg(n.calendar_event_id) as events from next n
), facts as materialized (
  select f.id, (f.facts).* from ids cross join punctual.facts_of(ids.ids, ids.ids, ids.users, ids.events) f
   where ids.ids is not null
), templates as materialized (
  select t.id, t.is_active
    from (select array_agg(distinct n.template_id) as named from next n where n.template_id is not null) w
   cross join punctual.facts_of_templates(w.named) t
), counted (what, n, id, found, remedy) as (
  select 'unsendable', count(*), min(n.id::text || ': ' || fault!(n)), 'cannot be sent as they are',
         'correct them; PUNCTUAL_VALIDATE=refuse has the database refuse such rows when they are written'
    from next n where fault!(n) is not null
  union all
  select 'media', count(*), min(n.id::text), 'have a media_url, and were written before `punctual migrate` knew of the column',
         'they will be sent without it: cancel them, or set media_url to null'
    from next n where n.media not in ('', '[]', '{}')
  union all
  select 'channels', count(*), min(n.id::text), 'are of a channel without a provider',
         'they will fail: set PUNCTUAL_PROVIDER to one that carries the channel, or change scheduled_messages.channel'
    from next n where not is_text and channel!(n) <> all ($2::text[])
  union all
  select 'templates', count(*), min(n.id::text), 'name a template that is inactive or missing',
         'they will fail: update public.sms_templates set is_active = true for it, or name another'
    from next n
    left join templates t on t.id = n.template_id
   where n.template_id is not null and n.template_vars is not null and t.is_active is not true
  union all
  select 'unverified', count(*), min(f.id::text), 'are for users whose phone is not verified',
         'they will be cancelled: verify the phone (user_sms_preferences.phone_verified), or do not schedule for these users'
    from facts f join next n on n.id = f.id where f.has_preferences and not f.phone_verified and n.is_text
  union all
  select 'opted out', count(*), min(f.id::text), 'are for users who opted out', 'they will be cancelled: do not schedule for these users'
    from facts f join next n on n.id = f.id where f.opted_out and n.is_text
  union all
  select 'limit of none', count(*), min(f.id::text), 'are for users whose daily limit is 0',
         'they are deferred from day to day: set user_sms_preferences.daily_sms_limit to null for no limit'
    from facts f join next n on n.id = f.id where f.daily_limit <= 0 and n.is_text
  union all
  select 'too late', count(*), min(n.id::text), 'are due after their own send_before',
         'they will be cancelled: let send_before be later than scheduled_at'
    from next n where n.send_before < n.due
  union all
  select 'to itself', count(*), min(n.id::text), 'have the same number as sender and recipient', 'the provider refuses them: change one of the two'
    from next n where btrim(n.to_number, white!()) = btrim(coalesce(n.from_number, $1), white!())
)
select what, 'warn' as level, case when n > 0 then format('%s of the next 1,000 %s, one of them %s', n, found, id) end as found,
       'none in the next 1,000' as fine, remedy
  from counted
