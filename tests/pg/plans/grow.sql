-- Lets every table grow as it does in use: what has ended was pending once, and left its old versions behind in
-- heap and indexes. {rows} of what grows with every message, {others} of the rest.

-- Pending: far, but for twenty that are due, and twenty of people.
insert into public.scheduled_messages (id, to_number, from_number, body, scheduled_at)
select plans.id('pending', i), '+1' || (3000000000 + i), '+15005550006', 'pending ' || i,
       case when i <= 20 then now() - interval '1 minute' else now() + interval '2 hours' + i * interval '1 ms' end
  from generate_series(1, {rows}) i;
insert into public.scheduled_messages
       (id, to_number, body, scheduled_at, user_id, timezone, calendar_event_id, message_type, template_id, template_vars)
select plans.id('people', i), '+1' || (4000000000 + i), 'people ' || i,
       case when i <= 20 then now() - interval '1 minute' else now() + interval '2 hours' + i * interval '1 ms' end,
       plans.id('user', i), 'Europe/Berlin', 'event ' || i, 'task_reminder', plans.id('template', i % 10), '{}'
  from generate_series(1, {others}) i;
-- Of twenty campaigns with a pace, the first of each due.
insert into public.scheduled_messages (id, to_number, from_number, body, scheduled_at, campaign_id)
select plans.id('paced', i), '+1' || (7000000000 + i), '+15005550006', 'paced ' || i,
       case when i <= 20 then now() - interval '1 minute' else now() + interval '2 hours' + i * interval '1 ms' end,
       plans.id('campaign', 1 + i % 20)
  from generate_series(1, {others}) i;
-- Of a sender with a rate.
insert into public.scheduled_messages (id, to_number, from_number, body, scheduled_at)
select plans.id('rated', i), '+1' || (8000000000 + i), '+15005550009', 'rated ' || i,
       case when i <= 20 then now() - interval '1 minute' else now() + interval '2 hours' + i * interval '1 ms' end
  from generate_series(1, {others}) i;
update public.scheduled_messages set scheduled_at = scheduled_at + interval '1 ms';

-- Ended, on their way, and unconfirmed.
insert into public.scheduled_messages (id, to_number, from_number, body, scheduled_at)
select plans.id(kind, i), '+1' || (5000000000 + i), '+15005550006', kind || i, now() - interval '2 minutes' - i * interval '1 ms'
  from (values ('sent', {rows}), ('sending', 20), ('unconfirmed', 20)) as k (kind, n), generate_series(1, k.n) i;
insert into punctual.attempts (token, message_id, number, instance, claimed_at, lease_until)
select plans.token(kind, i), plans.id(kind, i), 1, plans.id('instance', 1),
       -- The later half is long over.
       now() - case when i > {rows} / 2 then interval '100 days' else interval '2 minutes' end, now() - interval '1 minute'
  from (values ('sent', {rows}), ('sending', 20), ('unconfirmed', 20)) as k (kind, n), generate_series(1, k.n) i;
update public.scheduled_messages m set status = 'sending', attempts = 1
  from punctual.attempts a where m.id = a.message_id;
update punctual.attempts a
   set outcome = 'accepted', provider_sid = 'SM' || md5(a.token::text), started_at = now(), finished_at = now()
 where a.message_id not in (select plans.id(kind, i) from unnest(array['sending', 'unconfirmed']) kind, generate_series(1, 20) i);
update punctual.attempts a
   set outcome = 'unknown', started_at = null, finished_at = now()
 where a.message_id in (select plans.id('unconfirmed', i) from generate_series(1, 20) i);
update public.scheduled_messages m
   set status = case a.outcome when 'accepted' then 'sent' else 'unconfirmed' end, twilio_sid = a.provider_sid, sent_at = now()
  from punctual.attempts a where m.id = a.message_id and a.outcome is not null;

-- Deliveries, and their links.
insert into public.notification_deliveries (id, event_id, channel, status)
select plans.id('delivery', i), plans.id('event', i / 4), 'sms', 'sent' from generate_series(1, {others}) i;
insert into public.notification_tracking_links (short_code, delivery_id, destination_url)
select 'code' || i, plans.id('delivery', i), 'https://a.example' from generate_series(1, {others}) i;
update public.notification_deliveries set status = 'delivered';
update public.notification_tracking_links set click_count = 0;

-- What the app has.
insert into public.contacts (phone_number) select '+1' || (3000000000 + i) from generate_series(1, {others}) i;
insert into public.conversations (id, phone_number)
select plans.id('conversation', i), '+1' || (3000000000 + i) from generate_series(1, {others}) i;
update public.conversations set last_message_at = now() - interval '1 day';
insert into public.messages (conversation_id, direction, body, twilio_sid, status)
select plans.id('conversation', 1 + i % {others}), 'outbound', 'sent ' || i, 'SM' || md5(plans.token('sent', i)::text), 'sent'
  from generate_series(1, {rows}) i;
insert into public.user_sms_preferences (user_id, phone_verified, timezone, daily_sms_limit, phone_number)
select plans.id('user', i), true, 'Europe/Berlin', 10, '+1' || (4000000000 + i) from generate_series(1, {others}) i;
update public.user_sms_preferences set updated_at = now();
insert into public.task_calendar_events (calendar_event_id, user_id, event_title, event_start, sync_status)
select 'event ' || i, plans.id('user', i), 'a', now() + interval '3 hours', 'synced' from generate_series(1, {others}) i;
update public.task_calendar_events set updated_at = now();
insert into public.sms_templates (id, name, template_key, message_template)
select plans.id('template', i), 'a', 'key_' || i, 'hello' from generate_series(0, 99) i;

-- What is our own.
insert into punctual.instances (id, version, heartbeat_at, started_at, stopped_at)
select plans.id('instance', i), 'x', now() - interval '1 hour', now() - interval '1 day', now() - interval '1 hour'
  from generate_series(1, {others}) i;
update punctual.instances set heartbeat_at = now(), stopped_at = null, state = plans.state() where id = plans.id('instance', 2);
insert into punctual.opt_replies (id, command)
select 'SM' || g, 'stop' from generate_series(1, {others}) g;
insert into punctual.suppressions (our_number, their_number, reason)
select '+15005550006', '+1' || (6000000000 + i), 'STOP' from generate_series(1, {others}) i;
insert into punctual.receipts (message_id, token, provider_sid, status, effect)
select plans.id('sent', i), plans.token('sent', i), 'SM' || md5(plans.token('sent', i)::text), 'delivered', 'advanced'
  from generate_series(21, {others}) i;
insert into punctual.outbox (message_id, write, last_error, next_attempt_at)
select plans.id('sent', i), '{}', 'no', now() - interval '1 minute' + i * interval '1 s' from generate_series(1, {others}) i;
update punctual.outbox set attempts = 1, next_attempt_at = next_attempt_at + interval '1 s';
insert into punctual.number_checks (ahead_s, until) values (604800, now() + interval '2 hours');
insert into punctual.number_faults (message_id, fault, due, version)
select plans.id('pending', i), 'length', now() + (i - {others} / 2) * interval '1 s', 1 from generate_series(1, {others}) i;
update punctual.number_faults set due = due + interval '1 ms';
insert into punctual.notes (message_id, note) select plans.id('sent', i), 'x' from generate_series(1, {others}) i;
insert into punctual.history (message_id, at, op, role, old, new)
select plans.id('sent', i), now() - interval '100 days', 'update', 'app', '{"body": "a"}', '{"body": "b"}' from generate_series(1, {others}) i;
insert into punctual.missed_event_changes (message_id, calendar_event_id, user_id, start_before)
select plans.id('people', i), 'event ' || i, plans.id('user', i), now() from generate_series(1, 20) i;
insert into punctual.deleted_events (calendar_event_id, user_id, deleted_at)
select 'gone ' || i, plans.id('user', i), now() - interval '100 days' from generate_series(1, {others}) i;
insert into punctual.daily_counts (user_id, day, count)
select plans.id('user', i), current_date - d, 1 from generate_series(1, {others}) i, generate_series(0, 1) d;
update punctual.daily_counts set count = count + 1;
insert into punctual.cost_days (day, scope, what, amount)
select current_date - d, s.scope, plans.id('user', i)::text, 5
  from generate_series(1, {others}) i, generate_series(0, 1) d, unnest(array['campaign', 'user']) s (scope);
insert into punctual.cost_days (day, scope, what, amount)
select current_date - 10, 'user', plans.id('user', i)::text, 5 from generate_series(1, 40) i;
update punctual.cost_days set amount = amount + 1;
insert into punctual.costs (token, day, campaign, user_id, amount)
select plans.token('sent', i), current_date - case when i <= 40 then 10 else 0 end, plans.id('user', i % 20)::text, plans.id('user', i)::text, 5
  from generate_series(1, {others}) i;
update punctual.costs set is_changed = true;
update punctual.costs set is_changed = token in (select plans.token('sent', i) from generate_series(41, 60) i);
insert into punctual.bursts (message_id, what, at, is_held)
select plans.id('burst', i), case when i % 2 = 0 then (plans.says())[1 + i % 20] else left(md5(i::text), 16) end,
       now() - case when i <= 40 then interval '10 days' else interval '0' end, false
  from generate_series(1, {others}) i;
insert into punctual.bursts (message_id, what, is_held)
select plans.id('held', i), plans.held(), true from generate_series(1, 40) i;
update punctual.bursts set at = at + interval '1 s';
insert into punctual.days (zone, starts, ends, day)
select z, date_trunc('day', now(), 'UTC') + d * interval '1 day', date_trunc('day', now(), 'UTC') + (d + 1) * interval '1 day', current_date + d
  from unnest(array['utc', 'europe/berlin'] || plans.texts('zone/')) z, generate_series(-2, 2) d;
insert into punctual.template_uses (template_id, uses) select plans.id('template', i % 100), 1 from generate_series(1, {others}) i;
delete from punctual.template_uses where id > 20;
insert into punctual.planner_users (user_id, at)
select plans.id('user', i), now() + case when i <= 20 then interval '0' else interval '1 day' end from generate_series(1, {others}) i;
insert into punctual.planner_changes (user_id) select plans.id('user', i) from generate_series(1, {others}) i;
delete from punctual.planner_changes where id > 20;
insert into punctual.planned (user_id, calendar_event_id, message_id, starts_at)
select plans.id('user', i), 'event ' || i, plans.id('planned before', i), now() from generate_series(1, {others}) i;
insert into punctual.paces (id, what, gap_min, gap_max)
select plans.id('pace', i), plans.id('campaign', i)::text, '1 s', '2 s' from generate_series(1, 20) i;
insert into punctual.paces (id, scope, what, gap_min, gap_max, burst) values
  (plans.id('rate', 1), 'sender', '+15005550009', '1 s', '1 s', 3);
update punctual.paces set next_at = now() - interval '1 minute';
-- Of each campaign that has a pace a thousand messages are scheduled; of the second {others} more are approved.
insert into punctual.campaigns (id, name, timezone, hours, open_from, open_until, gap_min, gap_max, skip_per_mille, skip_min,
                                skip_max, seed, state, created_at)
select plans.id('campaign', i), 'campaign ' || i, 'UTC', 'mon-sun 00:00-24:00', '{0}', '{1}', '1 s', '2 s', 0, '0', '0', i,
       'scheduled', now() - i * interval '1 s'
  from generate_series(1, {others}) i;
insert into punctual.campaign_messages (campaign_id, position, phone_number, content, status, decided_by, decided_at, message_id)
select plans.id('campaign', 1 + i % 20), i, '+1' || (7000000000 + i), 'paced ' || i, 'SCH', 'x', now(), plans.id('paced', i)
  from generate_series(1, {others}) i;
insert into punctual.campaign_messages (campaign_id, position, phone_number, content, status, decided_by, decided_at)
select plans.id('campaign', 2), {others} + i, '+1' || (7000000000 + i), 'approved ' || i, 'APR', 'x', now()
  from generate_series(1, {others}) i;
insert into punctual.campaign_history (campaign_id, position, status, was, role, at)
select plans.id('campaign', 1 + i % 20), i, 'APR', 'SUG', 'x', now() - i % 100 * interval '1 s' from generate_series(1, {others}) i;
insert into punctual.replies (id, our_number, their_number)
select 'SM' || i, '+15005550006', '+1' || (7000000000 + i) from generate_series(1, {others}, 7) i;
insert into punctual.campaign_replies (campaign_id, their_number)
select plans.id('campaign', 1 + i % 20), '+1' || (7000000000 + i) from generate_series(1, {others}, 7) i;
insert into punctual_api.in_app_messages (user_id, message_id, part, body, created_at)
select plans.id('user', i % 100), plans.id('sent', i), 1, 'x', now() - interval '100 days' from generate_series(31, {others}) i;
update punctual_api.in_app_messages set read_at = now();
insert into punctual_api.push_subscriptions (user_id, endpoint, p256dh, auth)
select plans.id('user', i % 100), 'https://push.example/' || i, repeat('B', 87), repeat('A', 22) from generate_series(1, {others}) i;
update punctual_api.push_subscriptions set ended_at = now() - interval '100 days' where endpoint > 'https://push.example/4';
-- Open, so that each claim asks what it has cleared.
insert into punctual.quarantine (due_before, noticed_by, unaccounted)
values (now() - interval '1 year', plans.id('instance', 2), array[plans.id('instance', 1)]);
insert into punctual.quarantine_cleared (message_id) select plans.id('sent', i) from generate_series(1, {others}) i;
-- Rows that messages follow, twenty of them with an outcome.
insert into public.reminders (id, phone, words, at) overriding system value
select i, '+13105550100', 'a', now() + interval '1 day' from generate_series(-20, {others}) i where i <> 0;
update public.reminders set title = 'a';
insert into punctual.source_rows (source, key, message_id)
select 'rem', i, plans.id(case when i < 0 then 'sent' else 'pending' end, abs(i)) from generate_series(-20, {others}) i where i <> 0;
insert into punctual.source_writes (message_id, next_attempt_at)
select plans.id('sent', i), now() - interval '1 minute' from generate_series(1, 20) i
union all select plans.id('pending', i), now() + interval '1 day' from generate_series(1, {others}) i;
-- As autovacuum does.
select brin_summarize_new_values('punctual.attempts_claimed_at_brin');

-- Texts that are wanted, and those that were written.
insert into punctual.drafts (message_id, version, facts, needed_by, outcome, taken_until, taken_by)
select plans.id('people', i), 1, '{"title": "x", "starts_at": "2030-01-01T00:00:00Z"}', now() + interval '2 hours' + i * interval '1 ms',
       case when i > 200 then 'written' end, case when i between 100 and 120 then now() + interval '1 minute' end,
       case when i = 100 then plans.token('new', 2) end
  from generate_series(1, {others}) i;
update punctual.drafts set attempts = attempts + 1;
