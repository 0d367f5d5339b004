-- What Punctual adds to scheduled_messages. Apart from the other tables: whoever writes to it looks
-- into those as well, and a transaction that held the locks of both would be in a deadlock with the app.
--
-- As before every new column is nullable or has a constant default, and every CHECK is NOT VALID, so
-- no row is read or rewritten while the table is locked. The last file, a later transaction, validates.

do $$
declare
  -- The columns that it lacks.
  fresh text[];
  adds text;
  wanted record;
  passes boolean;
begin
  select array_agg(w.col),
         string_agg(format('add column %I %s', w.col, w.type) || coalesce(' default ' || w.standard, ''), ', ')
    into fresh, adds
    from (values
        -- The app's, where it lacks them.
        ('conversation_id',   'uuid', null),
        ('from_number',       'text', null),
        ('template_id',       'uuid', null),
        ('sent_at',           'timestamptz', null),
        ('error_message',     'text', null),
        ('metadata',          'jsonb not null', '''{}'''),
        ('updated_at',        'timestamptz not null', 'now()'),
        -- What the user decides.
        ('user_id',           'uuid', null),
        ('timezone',          'text', null),
        ('channel',           'text', '''sms'''),
        ('message_type',      'text', null),
        ('priority',          'text', '''normal'''),
        ('template_vars',     'jsonb', null),
        ('dedup_key',         'text', null),
        ('send_before',       'timestamptz', null),
        ('in_doubt',          'text', null),
        ('calendar_event_id', 'text', null),
        ('event_start',       'timestamptz', null),
        ('campaign_id',       'uuid', null),
        ('max_attempts',      'int', '3'),
        -- Kept by Punctual; what others write here is put back by the guard.
        ('deferred_until',    'timestamptz', null),
        ('next_attempt_at',   'timestamptz', null),
        ('requeued_at',       'timestamptz', null),
        ('delivered_at',      'timestamptz', null),
        ('cancelled_at',      'timestamptz', null),
        ('deferred_reason',   'text', null),
        ('cancel_reason',     'text', null),
        ('attempts',          'int not null', '0'),
        ('twilio_sid',        'text', null),
        ('error_code',        'int', null),
        ('version',           'bigint not null', '0')
    ) as w (col, type, standard)
   where not exists (select from pg_catalog.pg_attribute a
                      where a.attrelid = 'public.scheduled_messages'::regclass and a.attname = w.col
                        and not a.attisdropped);
  if adds is not null then
    execute 'alter table public.scheduled_messages ' || adds;
  end if;

  -- The app's CHECK on the status knows four words, under whatever name; ours knows seven. What a
  -- CHECK on the status alone does with our words is asked of the CHECK itself.
  for wanted in
    select c.conname, pg_catalog.pg_get_expr(c.conbin, c.conrelid) as expr
      from pg_catalog.pg_constraint c
      join pg_catalog.pg_attribute a
        on a.attrelid = c.conrelid and a.attname = 'status' and c.conkey = array[a.attnum]
     where c.conrelid = 'public.scheduled_messages'::regclass
       and c.contype = 'c' and c.conname not like '%\_punctual'
  loop
    execute format('select bool_and(coalesce(%s, true)) from unnest(array[''sending'', ''delivered'', ''unconfirmed'']) as ours (status)',
                   wanted.expr) into passes;
    if not passes then
      execute format('alter table public.scheduled_messages drop constraint %I', wanted.conname);
    end if;
  end loop;

  -- A column that the app already had keeps the app's words: our CHECK would refuse its inserts.
  for wanted in
    select w.name, w.expr
      from (values
        ('status', 'scheduled_messages_status_punctual',
         'status in (''pending'', ''sending'', ''sent'', ''delivered'', ''failed'', ''cancelled'', ''unconfirmed'')'),
        ('priority', 'scheduled_messages_priority_punctual',
         'priority in (''low'', ''normal'', ''high'', ''urgent'')'),
        ('in_doubt', 'scheduled_messages_in_doubt_punctual',
         'in_doubt in (''hold'', ''resend_if_absent'', ''resend'')'),
        ('max_attempts', 'scheduled_messages_max_attempts_punctual',
         'max_attempts between 1 and 100')
      ) as w (col, name, expr)
     where (w.col = 'status' or w.col = any (fresh))
       and not exists (select from pg_catalog.pg_constraint k
                        where k.conrelid = 'public.scheduled_messages'::regclass and k.conname = w.name)
  loop
    execute format('alter table public.scheduled_messages add constraint %I check (%s) not valid',
                   wanted.name, wanted.expr);
  end loop;
end
$$;
