-- Campaigns: what may become of their messages before these are scheduled, the record of who decided that, and what
-- people see of them. Re-runnable; replaced as a whole.

-- An imported message is only suggested. It is scheduled only after somebody approved it as it is: another text,
-- number or name has to be approved again. A scheduled one is changed where it is, in scheduled_messages.
create or replace function punctual.guard_campaign_message() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'INSERT' then
    if restoring!() then
      return new;
    end if;
    if new.status <> 'SUG' then
      raise exception using errcode = 'PT409',
        message = format('a new message of a campaign is SUG, not %s', new.status),
        hint = 'Insert it as SUG, then approve it.';
    end if;
    return new;
  end if;
  if new.campaign_id <> old.campaign_id then
    raise exception using errcode = 'PT409', message = 'a message stays in its campaign',
      hint = 'Insert it into the other one.';
  end if;
  if (new.customer_name, new.phone_number, new.content) is distinct from (old.customer_name, old.phone_number, old.content) then
    if old.status = 'SCH' and is_writer!() then
      return new;
    end if;
    if old.status = 'SCH' and (new.phone_number, new.content) is distinct from (old.phone_number, old.content) then
      raise exception using errcode = 'PT409',
        message = format('message %s of the campaign is scheduled: its text and number are those of message %s',
                         old.position, old.message_id),
        hint = 'Change that row of scheduled_messages: the others of the campaign stay as they are.';
    end if;
    if new.status = 'APR' and old.status = 'APR' then
      new.status := 'SUG';
    elsif new.status = 'SCH' and old.status <> 'SCH' then
      raise exception using errcode = 'PT409',
        message = format('message %s of the campaign was changed after it was approved', old.position),
        hint = 'Approve it as it is now.';
    end if;
  end if;
  if new.status = old.status then
    -- Who decided stays recorded.
    new.decided_by := old.decided_by;
    new.decided_at := old.decided_at;
    return new;
  end if;
  if old.status = 'SCH' or new.status = 'SCH' and old.status <> 'APR' then
    raise exception using errcode = 'PT409',
      message = format('message %s of the campaign is %s; it cannot be made %s', old.position, old.status, new.status),
      hint = case old.status when 'SCH' then 'Cancel or retry its message.' else 'Approve it first.' end;
  end if;
  if new.status = 'SCH' then
    if not exists (select from punctual.campaigns c where c.id = new.campaign_id and c.state <> 'cancelled') then
      raise exception using errcode = 'PT409', message = 'the campaign is cancelled: nothing of it can be scheduled';
    end if;
  elsif new.status = 'SUG' then
    new.decided_by := null;
    new.decided_at := null;
  else
    new.decided_by := coalesce(nullif(current_setting('punctual.actor', true), ''), session_user);
    new.decided_at := clock_timestamp();
  end if;
  return new;
end
$$;

-- Also who changed one that was not scheduled: then its status stays, or an approval ends. With the owner's rights, so
-- that nobody who decides can leave it out or change it. What one statement does has one time.
create or replace function punctual.record_campaign_decisions() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  now constant timestamptz := clock_timestamp();
begin
  insert into punctual.campaign_history (campaign_id, position, at, status, was, who, role)
  select n.campaign_id, n.position, now, n.status, o.status, left(nullif(current_setting('punctual.actor', true), ''), 200),
         coalesce(nullif(current_setting('role'), 'none'), session_user)
    from new_rows n
    join old_rows o on o.id = n.id
   where o.status <> n.status
      or n.status <> 'SCH'
         and (n.customer_name, n.phone_number, n.content) is distinct from (o.customer_name, o.phone_number, o.content)
   order by n.position;
  return null;
end
$$;

create or replace trigger punctual_guard_campaign_message
  before insert or update on punctual.campaign_messages for each row
  execute function punctual.guard_campaign_message();

create or replace trigger punctual_campaign_decisions
  after update on punctual.campaign_messages
  referencing old table as old_rows new table as new_rows for each statement
  execute function punctual.record_campaign_decisions();

-- A message that is still to be sent must not lose what it is of.
create or replace function punctual.guard_campaign_delete() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from public.scheduled_messages m
              where m.id = old.message_id and m.status || '' in ('pending', 'sending', 'unconfirmed')) then
    raise exception using errcode = 'PT409',
      message = format('message %s of the campaign is scheduled; it can be deleted once its message has ended', old.position),
      hint = 'Cancel it first: punctual cancel ' || old.message_id;
  end if;
  return old;
end
$$;

create or replace trigger punctual_guard_campaign_delete
  before delete on punctual.campaign_messages for each row
  when (old.message_id is not null)
  execute function punctual.guard_campaign_delete();

-- What has become of the messages of campaigns, by their scheduled messages; of one whose row was deleted, by the
-- ledger, and where that has nothing (any more) only that it was deleted. Inlined into the statement that calls it,
-- which names the campaign.
create or replace function punctual.campaign_rows()
returns table (id bigint, campaign_id uuid, "position" int, customer_name text, phone_number text, content text, status text,
               decided_by text, decided_at timestamptz, message_id uuid, due_at timestamptz, sent_at timestamptz,
               delivered_at timestamptz, reason text)
language sql stable as $$
  select c.id, c.campaign_id, c.position, c.customer_name, coalesce(m.to_number::text, c.phone_number),
         coalesce(m.body::text, c.content),
         case
           when c.status <> 'SCH' then c.status
           when m.status in ('pending', 'sending') then 'SCH'
           when m.status = 'delivered' then 'sent'
           when m.id is not null then m.status::text
           when exists (select from punctual.attempts a
                         where a.message_id = c.message_id and a.outcome = 'accepted') then 'sent'
           when exists (select from punctual.attempts a where a.message_id = c.message_id and unsettled!(a)) then 'unconfirmed'
           else 'deleted'
         end,
         c.decided_by, c.decided_at, c.message_id, due!(m), m.sent_at, m.delivered_at,
         coalesce(m.error_message, m.cancel_reason)::text
    from punctual.campaign_messages c
    left join public.scheduled_messages m on m.id = any (array[c.message_id])
$$;

-- A campaign is paused by its pause, and done when nothing of it is left to be decided or sent.
create or replace function punctual.campaign_state(campaign uuid, kept text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case
           when kept <> 'scheduled' then kept
           when exists (select from punctual.pauses p
                         where (p.scope, p.what) in (('campaign', campaign::text), ('everything', ''))
                           and p.until > clock_timestamp()) then 'paused'
           when exists (select from punctual.campaign_messages o
                         where o.campaign_id = campaign and o.status in ('SUG', 'APR'))
             or exists (select from public.scheduled_messages m where m.campaign_id = campaign and m.status = 'pending')
             or exists (select from public.scheduled_messages m where m.campaign_id = campaign and attempted!(m)) then 'scheduled'
           else 'done'
         end
$$;

-- For people who may read schema punctual.
create or replace view punctual_api.campaign_messages as select * from punctual.campaign_rows();
create or replace view punctual_api.campaigns as
  select c.id, c.name, punctual.campaign_state(c.id, c.state) as state, c.timezone, c.hours, c.gap_min, c.gap_max,
         c.skip_per_mille, c.skip_min, c.skip_max, c.from_number, c.seed, c.first_at, c.created_by, c.created_at
    from punctual.campaigns c;
do $$
declare
  grantee name;
begin
  revoke all on punctual_api.campaign_messages, punctual_api.campaigns from PUBLIC;
  -- Supabase grants these all of a new view.
  for grantee in
    select r.rolname from pg_catalog.pg_roles r where r.rolname in ('anon', 'authenticated', 'service_role')
  loop
    execute format('revoke all on punctual_api.campaign_messages, punctual_api.campaigns from %I', grantee);
  end loop;
  if current_setting('server_version_num')::int >= 150000 then
    execute 'alter view punctual_api.campaign_messages set (security_invoker = true)';
    execute 'alter view punctual_api.campaigns set (security_invoker = true)';
  end if;
end
$$;
