
CREATE SCHEMA punctual;

CREATE FUNCTION punctual.guard_delete() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  refused int;
begin
  -- A cascade must fail as a whole: a skipped row would be left pointing at nothing.
  if pg_trigger_depth() > 1 then
    raise exception using errcode = 'PT409',
      message = format('message %s is being sent this moment; it cannot be deleted', old.id);
  end if;
  refused := coalesce(nullif(split_part(current_setting('punctual.refused_delete', true), ' ', 1), ''), '0')::int;
  perform set_config('punctual.refused_delete', format('%s %s %s', refused + 1, old.id, old.status), true);
  return null;
end
$$;

CREATE FUNCTION punctual.guard_insert() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  if new.status in ('sending', 'delivered', 'unconfirmed')
     or (new.status <> 'pending' and coalesce(current_setting('punctual.writer', true), '') = 'on')
  then
    raise exception using errcode = 'PT409',
      message = format('a new message cannot be %s', new.status),
      hint = 'Insert it as pending.';
  end if;
  if new.status = 'pending' then
    new.attempts := 0;
    new.next_attempt_at := null;
    new.deferred_until := null;
    new.requeued_at := null;
    new.version := 0;
    new.twilio_sid := null;
    new.delivered_at := null;
  end if;
  return new;
end
$$;

CREATE FUNCTION punctual.guard_put_back() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
begin
  if exists (select from punctual.attempts a
              where a.message_id = old.id and (a.outcome is null or a.outcome = 'unknown'))
  then
    raise exception using errcode = 'PT409',
      message = format('message %s has an attempt whose outcome is not known; sending it again could text twice', old.id),
      hint = 'Settle it first with: punctual resolve ' || old.id;
  end if;
  return new;
end
$$;

CREATE FUNCTION punctual.guard_statement() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  count constant text := 'punctual.refused_' || lower(tg_op);
  refused text[];
  changed boolean;
begin
  if pg_trigger_depth() > 1 then
    return null;
  end if;
  refused := string_to_array(nullif(current_setting(count, true), ''), ' ');
  if refused is null then
    return null;
  end if;
  perform set_config(count, '', true);
  if tg_op = 'UPDATE' then
    changed := exists (select from new_rows);
  else
    changed := exists (select from old_rows);
  end if;
  if changed then
    raise warning '% of the messages are past the point and were left as they are (one of them: %, %)',
      refused[1], refused[2], refused[3];
    return null;
  end if;
  raise exception using errcode = 'PT409',
    message = case
      when refused[1] = '1' then format('message %s is %s; it is too late to %s it', refused[2], refused[3],
                                        case tg_op when 'UPDATE' then 'cancel' else 'delete' end)
      else format('none of the %s messages can be %s any more (one of them: %s, %s)', refused[1],
                  case tg_op when 'UPDATE' then 'cancelled' else 'deleted' end, refused[2], refused[3])
    end;
end
$$;

CREATE FUNCTION punctual.guard_update() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  daemon constant boolean := coalesce(current_setting('punctual.writer', true), '') = 'on';
  refused int;
begin
  if daemon then
    if new.status = old.status
       or (case old.status
            when 'pending' then new.status in ('sending', 'cancelled', 'sent', 'delivered')
            when 'sending' then new.status in ('pending', 'cancelled', 'sent', 'delivered', 'failed', 'unconfirmed')
            when 'unconfirmed' then new.status in ('sent', 'delivered', 'failed', 'pending', 'cancelled')
            when 'sent' then new.status in ('delivered', 'failed', 'pending')
            when 'failed' then new.status in ('sent', 'delivered')
            when 'cancelled' then new.status in ('sent', 'delivered')
            else false
          end)
    then
      return new;
    end if;
    raise exception using errcode = 'PT409',
      message = format('message %s cannot go from %s to %s', old.id, old.status, new.status);
  end if;

  if new.status is distinct from old.status
     and not (case old.status
               when 'pending' then new.status in ('cancelled', 'sent', 'failed')
               when 'failed' then new.status = 'pending'
               when 'cancelled' then new.status = 'pending'
               -- A status of the app's own that the CHECK let in before us may be left.
               when 'sending' then false
               when 'sent' then false
               when 'delivered' then false
               when 'unconfirmed' then false
               else true
             end)
  then
    -- In a statement over many rows a cancel skips what is past the point; whether that was
    -- all there was, the statement trigger knows. A nested statement (a cascade, a trigger of
    -- the app's) must not be skipped silently: it would leave the app half-changed.
    if new.status = 'cancelled' and pg_trigger_depth() = 1 then
      refused := coalesce(nullif(split_part(current_setting('punctual.refused_update', true), ' ', 1), ''), '0')::int;
      perform set_config('punctual.refused_update', format('%s %s %s', refused + 1, old.id, old.status), true);
      return null;
    end if;
    raise exception using errcode = 'PT409',
      message = format('message %s is %s; it cannot be made %s', old.id, old.status, new.status),
      hint = case old.status
               when 'sending' then 'It is being sent this moment.'
               when 'unconfirmed' then 'Whether it was sent is not known; settle it with: punctual resolve ' || old.id
               else 'To send it again, insert a new row.'
             end;
  end if;

  if old.status = 'sending'
     and (new.id <> old.id
          or new.to_number is distinct from old.to_number
          or new.from_number is distinct from old.from_number
          or new.body is distinct from old.body
          or new.scheduled_at is distinct from old.scheduled_at
          or new.template_vars is distinct from old.template_vars
          -- A foreign key's `on delete set null` passes.
          or (new.template_id is distinct from old.template_id and new.template_id is not null))
  then
    raise exception using errcode = 'PT409',
      message = format('message %s is being sent this moment; it can no longer be changed', old.id);
  end if;

  new.attempts := old.attempts;
  new.next_attempt_at := old.next_attempt_at;
  new.deferred_until := old.deferred_until;
  -- Lateness counts from it: an app that writes whole rows back must not make one too late.
  new.requeued_at := old.requeued_at;
  new.twilio_sid := old.twilio_sid;
  new.delivered_at := old.delivered_at;
  new.version := old.version + 1;

  -- The user's word counts in both directions: an edit of the time, or a put-back, drops every
  -- deferral and backoff and starts the attempts anew.
  if new.status = 'pending'
     and (new.scheduled_at is distinct from old.scheduled_at or old.status <> 'pending')
  then
    new.deferred_until := null;
    new.deferred_reason := null;
    new.next_attempt_at := null;
    new.attempts := 0;
    new.requeued_at := clock_timestamp();
    if old.status <> 'pending' then
      new.sent_at := null;
      new.error_message := null;
      new.error_code := null;
      new.twilio_sid := null;
      new.cancelled_at := null;
      new.cancel_reason := null;
    end if;
  elsif new.status = 'cancelled' and old.status <> 'cancelled' then
    new.cancelled_at := clock_timestamp();
  end if;
  return new;
end
$$;

CREATE FUNCTION punctual.notify_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  near constant timestamptz := clock_timestamp() + interval '2 hours';
  named constant int := 200;
  ids text;
  n int;
begin
  if tg_op = 'INSERT' then
    select string_agg(t.id::text, ','), count(*) into ids, n
      from (select r.id from new_rows r
             where r.status = 'pending'
               and greatest(r.scheduled_at, r.deferred_until, r.next_attempt_at) <= near
             limit named + 1) t;
  elsif tg_op = 'DELETE' then
    select string_agg(t.id::text, ','), count(*) into ids, n
      from (select r.id from old_rows r
             where r.status = 'pending'
               and greatest(r.scheduled_at, r.deferred_until, r.next_attempt_at) <= near
             limit named + 1) t;
  else
    select string_agg(t.id::text, ','), count(*) into ids, n
      from (select r.id from new_rows r
             where r.status = 'pending'
               and greatest(r.scheduled_at, r.deferred_until, r.next_attempt_at) <= near
            union
            select r.id from old_rows r
             where r.status = 'pending'
               and greatest(r.scheduled_at, r.deferred_until, r.next_attempt_at) <= near
             limit named + 1) t;
  end if;
  -- A full queue (somebody listens inside a transaction left open) would make the commit fail;
  -- the sweeps find the rows without us.
  if n > 0 and pg_notification_queue_usage() < 0.9 then
    perform pg_notify('punctual', case when n > named then 'rescan' else 'ids ' || ids end);
  end if;
  return null;
end
$$;

CREATE FUNCTION punctual.notify_truncate() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  perform pg_notify('punctual', 'rescan');
  return null;
end
$$;

CREATE TABLE public.contacts (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    name text,
    phone_number text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.conversations (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    phone_number text NOT NULL,
    contact_id uuid,
    last_message_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.messages (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    conversation_id uuid,
    direction text NOT NULL,
    body text,
    from_number text,
    to_number text,
    twilio_sid text,
    status text,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT messages_direction_check CHECK ((direction = ANY (ARRAY['inbound'::text, 'outbound'::text])))
);

CREATE TABLE public.profiles (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.scheduled_messages (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    conversation_id uuid,
    to_number text NOT NULL,
    from_number text,
    body text NOT NULL,
    template_id uuid,
    scheduled_at timestamp with time zone NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    sent_at timestamp with time zone,
    error_message text,
    created_by uuid,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    user_id uuid,
    timezone text,
    channel text DEFAULT 'sms'::text,
    message_type text,
    priority text DEFAULT 'normal'::text,
    template_vars jsonb,
    dedup_key text,
    send_before timestamp with time zone,
    in_doubt text,
    calendar_event_id text,
    event_start timestamp with time zone,
    campaign_id uuid,
    max_attempts integer DEFAULT 3,
    deferred_until timestamp with time zone,
    next_attempt_at timestamp with time zone,
    requeued_at timestamp with time zone,
    delivered_at timestamp with time zone,
    cancelled_at timestamp with time zone,
    deferred_reason text,
    cancel_reason text,
    attempts integer DEFAULT 0 NOT NULL,
    twilio_sid text,
    error_code integer,
    version bigint DEFAULT 0 NOT NULL,
    CONSTRAINT scheduled_messages_in_doubt_punctual CHECK ((in_doubt = ANY (ARRAY['hold'::text, 'resend_if_absent'::text, 'resend'::text]))),
    CONSTRAINT scheduled_messages_max_attempts_punctual CHECK (((max_attempts >= 1) AND (max_attempts <= 100))),
    CONSTRAINT scheduled_messages_priority_punctual CHECK ((priority = ANY (ARRAY['low'::text, 'normal'::text, 'high'::text, 'urgent'::text]))),
    CONSTRAINT scheduled_messages_status_punctual CHECK ((status = ANY (ARRAY['pending'::text, 'sending'::text, 'sent'::text, 'delivered'::text, 'failed'::text, 'cancelled'::text, 'unconfirmed'::text])))
);

CREATE TABLE public.sms_templates (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    name text,
    message_template text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE punctual.attempts (
    token uuid NOT NULL,
    message_id uuid NOT NULL,
    number integer NOT NULL,
    part smallint DEFAULT 0 NOT NULL,
    instance uuid NOT NULL,
    claimed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    lease_until timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    outcome text,
    provider_sid text,
    code integer,
    category text,
    error text,
    receipt_status text,
    message_status text,
    CONSTRAINT attempts_outcome_check CHECK ((outcome = ANY (ARRAY['accepted'::text, 'refused'::text, 'throttled'::text, 'unsent'::text, 'unknown'::text, 'rejected'::text, 'cancelled'::text, 'returned'::text])))
);

CREATE TABLE punctual.instances (
    id uuid NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    heartbeat_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    stopped_at timestamp with time zone,
    version text NOT NULL
);

CREATE TABLE punctual.migrations (
    version bigint NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE punctual.outbox (
    id bigint NOT NULL,
    message_id uuid NOT NULL,
    write jsonb NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    last_error text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

ALTER TABLE punctual.outbox ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME punctual.outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE punctual.receipts (
    id bigint NOT NULL,
    message_id uuid NOT NULL,
    token uuid NOT NULL,
    provider_sid text NOT NULL,
    status text NOT NULL,
    error_code integer,
    effect text NOT NULL,
    row_status text,
    received_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT receipts_effect_check CHECK ((effect = ANY (ARRAY['advanced'::text, 'contradicted'::text])))
);

ALTER TABLE punctual.receipts ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME punctual.receipts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE punctual.suppressions (
    id bigint NOT NULL,
    our_number text,
    their_number text NOT NULL,
    reason text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

ALTER TABLE punctual.suppressions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME punctual.suppressions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE punctual.triggers (
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

INSERT INTO public.scheduled_messages VALUES ('00000000-0000-4000-8000-000000000001', NULL, '+15550100001', NULL, 'text 1', NULL, '2026-11-20 10:00:00+00', 'pending', NULL, NULL, NULL, '{}', '2026-11-28 19:36:22.855225+00', '2026-11-28 19:36:22.855225+00', '11111111-1111-4111-8111-111111111111', NULL, 'sms', NULL, 'normal', NULL, 'key 1', NULL, NULL, 'event', '2026-11-20 11:00:00+00', NULL, 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, 0);
INSERT INTO public.scheduled_messages VALUES ('00000000-0000-4000-8000-000000000002', NULL, '+15550100002', NULL, 'text 2', NULL, '2026-11-20 10:00:00+00', 'sent', '2026-11-20 10:00:01+00', NULL, NULL, '{}', '2026-11-28 19:36:22.855225+00', '2026-11-28 19:36:22.855225+00', '11111111-1111-4111-8111-111111111111', NULL, 'sms', NULL, 'normal', NULL, 'key 2', NULL, NULL, 'event', '2026-11-20 11:00:00+00', NULL, 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 'SM1', NULL, 0);
INSERT INTO public.scheduled_messages VALUES ('00000000-0000-4000-8000-000000000003', NULL, '+15550100003', NULL, 'text 3', NULL, '2026-11-20 10:00:00+00', 'failed', NULL, 'no', NULL, '{}', '2026-11-28 19:36:22.855225+00', '2026-11-28 19:36:22.855225+00', '11111111-1111-4111-8111-111111111111', NULL, 'sms', NULL, 'normal', NULL, 'key 3', NULL, NULL, 'event', '2026-11-20 11:00:00+00', NULL, 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, 0);
INSERT INTO public.scheduled_messages VALUES ('00000000-0000-4000-8000-000000000004', NULL, '+15550100004', NULL, 'text 4', NULL, '2026-11-20 10:00:00+00', 'unconfirmed', NULL, 'no answer', NULL, '{}', '2026-11-28 19:36:22.855225+00', '2026-11-28 19:36:22.855225+00', '11111111-1111-4111-8111-111111111111', NULL, 'sms', NULL, 'normal', NULL, 'key 4', NULL, NULL, 'event', '2026-11-20 11:00:00+00', NULL, 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, 0);
INSERT INTO public.scheduled_messages VALUES ('00000000-0000-4000-8000-000000000005', NULL, '+15550100005', NULL, 'text 5', NULL, '2026-11-20 10:00:00+00', 'unconfirmed', NULL, 'no answer', NULL, '{}', '2026-11-28 19:36:22.855225+00', '2026-11-28 19:36:22.855225+00', '11111111-1111-4111-8111-111111111111', NULL, 'sms', NULL, 'normal', NULL, 'key 5', NULL, NULL, 'event', '2026-11-20 11:00:00+00', NULL, 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, 0);

INSERT INTO punctual.attempts VALUES ('33333333-3333-4333-8333-333333333333', '00000000-0000-4000-8000-000000000003', 1, 0, '22222222-2222-4222-8222-222222222222', '2026-11-20 09:59:00+00', '2026-11-20 10:01:00+00', '2026-11-20 10:00:00+00', '2026-11-20 10:00:01+00', 'refused', NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO punctual.attempts VALUES ('33333333-3333-4333-8333-333333333334', '00000000-0000-4000-8000-000000000004', 1, 0, '22222222-2222-4222-8222-222222222222', '2026-11-20 09:59:00+00', '2026-11-20 10:01:00+00', '2026-11-20 10:00:00+00', '2026-11-20 10:00:01+00', 'unknown', NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO punctual.attempts VALUES ('33333333-3333-4333-8333-333333333335', '00000000-0000-4000-8000-000000000005', 1, 0, '22222222-2222-4222-8222-222222222222', '2026-11-20 09:59:00+00', '2026-11-20 10:01:00+00', '2026-11-20 10:00:00+00', '2026-11-20 10:00:01+00', 'unknown', NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO punctual.attempts VALUES ('33333333-3333-4333-8333-333333333332', '00000000-0000-4000-8000-000000000002', 1, 0, '22222222-2222-4222-8222-222222222222', '2026-11-20 09:59:00+00', '2026-11-20 10:01:00+00', '2026-11-20 10:00:00+00', '2026-11-20 10:00:01+00', 'accepted', 'SM1', NULL, NULL, NULL, 'sent', 'sent');

INSERT INTO punctual.instances VALUES ('22222222-2222-4222-8222-222222222222', '2026-11-20 09:00:00+00', '2026-11-20 12:00:00+00', '2026-11-20 12:00:00+00', '0.1.0');

INSERT INTO punctual.migrations VALUES (20251231000000, 'migrations/20251231000000_shape.sql', '77ac161f9b9a9ccd53479510f5acbffa44503526f0870b437cca4167b0ec2f72', '2026-11-28 19:35:54.115581+00');
INSERT INTO punctual.migrations VALUES (20260101000000, 'migrations/20260101000000_app_tables.sql', '05922ac20d1a34eaf74e9c045c90a0db905550e04c02b08456e79974e8a83f71', '2026-11-28 19:35:54.189114+00');
INSERT INTO punctual.migrations VALUES (20260101000100, 'migrations/20260101000100_scheduled_messages.sql', 'b5270495720c6a8002a619b958332cb87607dcb9f152c5be719651c5c7fa136b', '2026-11-28 19:35:54.19692+00');
INSERT INTO punctual.migrations VALUES (20260101000200, 'migrations/20260101000200_private_state.sql', 'fc371afd8bceb6af12b2da8d5a023fd495b99f2866a5bcd6949042eb7975e4a0', '2026-11-28 19:35:54.275772+00');
INSERT INTO punctual.migrations VALUES (20260101000300, 'migrations/20260101000300_validate.sql', 'a1e0edbe1ce0784f6ff9721c120f543d244c06c211eff70a25d7e4fe5611f1a2', '2026-11-28 19:35:54.280351+00');
INSERT INTO punctual.migrations VALUES (20260101000400, 'migrations/20260101000400_indexes.sql', '416764ed1056c9e43956029a2698fa0ae2f410ccc9df232b3eacf2f736acc897', '2026-11-28 19:35:54.311315+00');
INSERT INTO punctual.migrations VALUES (20260102000000, 'migrations/20260102000000_receipts.sql', '7f258462fa1bcfac8296cf7e322ab29048b8cbb6db7e293875f3600cb763f087', '2026-11-28 19:35:54.342987+00');
INSERT INTO punctual.migrations VALUES (20260102000100, 'migrations/20260102000100_suppressions.sql', 'a8a56d08bf4da37106e7c75e5d1f5b7157298011b77865384389f340854a1c54', '2026-11-28 19:35:54.36843+00');

INSERT INTO punctual.outbox OVERRIDING SYSTEM VALUE VALUES (1, '00000000-0000-4000-8000-000000000002', '{}', 0, '2026-11-20 10:00:02+00', 'refused', '2026-11-20 10:00:02+00');

INSERT INTO punctual.receipts OVERRIDING SYSTEM VALUE VALUES (1, '00000000-0000-4000-8000-000000000002', '33333333-3333-4333-8333-333333333332', 'SM1', 'sent', NULL, 'advanced', NULL, '2026-11-20 10:00:02+00');

INSERT INTO punctual.suppressions OVERRIDING SYSTEM VALUE VALUES (1, NULL, '+15550100099', 'STOP', '2026-11-20 10:00:00+00');

INSERT INTO punctual.triggers VALUES ('triggers/scheduled_messages.sql', '47cebd97a3bf0da1734434e424dde9d82cbf30e565700bacaf7a9b269d2d17bc', '2026-11-28 19:35:54.373835+00');

SELECT pg_catalog.setval('punctual.outbox_id_seq', 1, true);

SELECT pg_catalog.setval('punctual.receipts_id_seq', 1, true);

SELECT pg_catalog.setval('punctual.suppressions_id_seq', 1, true);

ALTER TABLE ONLY public.contacts
    ADD CONSTRAINT contacts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.conversations
    ADD CONSTRAINT conversations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.profiles
    ADD CONSTRAINT profiles_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.scheduled_messages
    ADD CONSTRAINT scheduled_messages_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.sms_templates
    ADD CONSTRAINT sms_templates_pkey PRIMARY KEY (id);

ALTER TABLE ONLY punctual.attempts
    ADD CONSTRAINT attempts_message_id_number_part_key UNIQUE (message_id, number, part);

ALTER TABLE ONLY punctual.attempts
    ADD CONSTRAINT attempts_pkey PRIMARY KEY (token);

ALTER TABLE ONLY punctual.instances
    ADD CONSTRAINT instances_pkey PRIMARY KEY (id);

ALTER TABLE ONLY punctual.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (version);

ALTER TABLE ONLY punctual.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);

ALTER TABLE ONLY punctual.receipts
    ADD CONSTRAINT receipts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY punctual.receipts
    ADD CONSTRAINT receipts_token_provider_sid_status_key UNIQUE (token, provider_sid, status);

ALTER TABLE ONLY punctual.suppressions
    ADD CONSTRAINT suppressions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY punctual.triggers
    ADD CONSTRAINT triggers_pkey PRIMARY KEY (name);

CREATE INDEX contacts_phone_number_idx ON public.contacts USING btree (phone_number);

CREATE INDEX conversations_phone_number_idx ON public.conversations USING btree (phone_number);

CREATE INDEX messages_twilio_sid_idx ON public.messages USING btree (twilio_sid);

CREATE INDEX scheduled_messages_due_idx ON public.scheduled_messages USING btree (GREATEST(scheduled_at, deferred_until, next_attempt_at)) WHERE (status = 'pending'::text);

CREATE INDEX scheduled_messages_open_idx ON public.scheduled_messages USING btree (status) WHERE (status = ANY (ARRAY['sending'::text, 'unconfirmed'::text]));

CREATE INDEX attempts_open_idx ON punctual.attempts USING btree (lease_until) WHERE (outcome IS NULL);

CREATE UNIQUE INDEX attempts_provider_sid_key ON punctual.attempts USING btree (provider_sid) WHERE (provider_sid IS NOT NULL);

CREATE INDEX outbox_next_attempt_idx ON punctual.outbox USING btree (next_attempt_at);

CREATE INDEX receipts_message_idx ON punctual.receipts USING btree (message_id);

CREATE UNIQUE INDEX suppressions_pair_key ON punctual.suppressions USING btree (their_number, COALESCE(our_number, ''::text));

CREATE TRIGGER punctual_guarded_delete AFTER DELETE ON public.scheduled_messages REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT WHEN ((COALESCE(current_setting('punctual.writer'::text, true), ''::text) <> 'on'::text)) EXECUTE FUNCTION punctual.guard_statement();

CREATE TRIGGER punctual_guarded_update AFTER UPDATE ON public.scheduled_messages REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT WHEN ((COALESCE(current_setting('punctual.writer'::text, true), ''::text) <> 'on'::text)) EXECUTE FUNCTION punctual.guard_statement();

CREATE TRIGGER punctual_notify_delete AFTER DELETE ON public.scheduled_messages REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT WHEN ((COALESCE(current_setting('punctual.writer'::text, true), ''::text) <> 'on'::text)) EXECUTE FUNCTION punctual.notify_change();

CREATE TRIGGER punctual_notify_insert AFTER INSERT ON public.scheduled_messages REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT WHEN ((COALESCE(current_setting('punctual.writer'::text, true), ''::text) <> 'on'::text)) EXECUTE FUNCTION punctual.notify_change();

CREATE TRIGGER punctual_notify_truncate AFTER TRUNCATE ON public.scheduled_messages FOR EACH STATEMENT EXECUTE FUNCTION punctual.notify_truncate();

CREATE TRIGGER punctual_notify_update AFTER UPDATE ON public.scheduled_messages REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT WHEN ((COALESCE(current_setting('punctual.writer'::text, true), ''::text) <> 'on'::text)) EXECUTE FUNCTION punctual.notify_change();

CREATE TRIGGER zzz_punctual_guard_delete BEFORE DELETE ON public.scheduled_messages FOR EACH ROW WHEN (((old.status = 'sending'::text) AND (COALESCE(current_setting('punctual.writer'::text, true), ''::text) <> 'on'::text))) EXECUTE FUNCTION punctual.guard_delete();

CREATE TRIGGER zzz_punctual_guard_insert BEFORE INSERT ON public.scheduled_messages FOR EACH ROW WHEN (((new.status IS DISTINCT FROM 'pending'::text) OR (new.attempts <> 0) OR (new.version <> 0) OR (new.next_attempt_at IS NOT NULL) OR (new.deferred_until IS NOT NULL) OR (new.requeued_at IS NOT NULL) OR (new.twilio_sid IS NOT NULL) OR (new.delivered_at IS NOT NULL))) EXECUTE FUNCTION punctual.guard_insert();

CREATE TRIGGER zzz_punctual_guard_update BEFORE UPDATE ON public.scheduled_messages FOR EACH ROW WHEN (((COALESCE(current_setting('punctual.writer'::text, true), ''::text) <> 'on'::text) OR (NOT (((old.status = 'pending'::text) AND (new.status = 'sending'::text)) OR ((old.status = 'sending'::text) AND (new.status = ANY (ARRAY['sent'::text, 'pending'::text, 'failed'::text]))))))) EXECUTE FUNCTION punctual.guard_update();

CREATE TRIGGER zzz_punctual_put_back BEFORE UPDATE ON public.scheduled_messages FOR EACH ROW WHEN (((old.status = ANY (ARRAY['failed'::text, 'cancelled'::text])) AND (new.status = 'pending'::text))) EXECUTE FUNCTION punctual.guard_put_back();

ALTER TABLE ONLY public.conversations
    ADD CONSTRAINT conversations_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES public.contacts(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES public.conversations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.scheduled_messages
    ADD CONSTRAINT scheduled_messages_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES public.conversations(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.scheduled_messages
    ADD CONSTRAINT scheduled_messages_created_by_fkey FOREIGN KEY (created_by) REFERENCES public.profiles(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.scheduled_messages
    ADD CONSTRAINT scheduled_messages_template_id_fkey FOREIGN KEY (template_id) REFERENCES public.sms_templates(id) ON DELETE SET NULL;

