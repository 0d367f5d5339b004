-- Whether scheduled_messages, where the app already has it, is a table Punctual can work with.
-- Changes nothing: it refuses, before anything is changed, and says everything that is in the
-- way at once. `punctual migrate` and `punctual run` also ask this each time they start.

do $$
declare
  t constant oid := to_regclass('public.scheduled_messages');
  words constant text[] := '{pending,sending,sent,delivered,failed,cancelled,unconfirmed}';
  it constant text := 'alter table public.scheduled_messages ';
  wrong text[] := '{}';
  kind "char";
  col record;
  chk record;
  probe record;
  word text;
  allows boolean;
  before boolean;
begin
  if t is null then
    -- An empty table beside the app's own would be served well, and nothing would ever be sent.
    select n.nspname as schema, c.oid::regclass as tab into col
      from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where c.relname = 'scheduled_messages' and c.relkind in ('r', 'p', 'v', 'm', 'f')
       and n.nspname not in ('public', 'punctual') and n.nspname !~ '^pg_'
     order by n.nspname
     limit 1;
    if found then
      raise exception using errcode = 'PU001',
        message = format('there is a table %1$s, but Punctual works with public.scheduled_messages, which does not exist; '
                         'nothing was changed. If %1$s is the one: alter table %1$s set schema public (and set the '
                         'search_path of the app, or leave a view in its place). If it is not: create '
                         'public.scheduled_messages (id uuid primary key default gen_random_uuid(), to_number text not null, '
                         'body text not null, scheduled_at timestamptz not null, status text not null default ''pending'') '
                         'first, then run `punctual migrate` again', col.tab);
    end if;
    return;
  end if;
  select c.relkind into kind from pg_catalog.pg_class c where c.oid = t;
  if kind <> 'r' then
    wrong := wrong || format('it is a %s and must be a plain table: rename it, and let a trigger of yours carry rows over',
      case kind when 'p' then 'partitioned table' when 'v' then 'view'
                when 'm' then 'materialized view' when 'f' then 'foreign table' else 'relation of another kind' end);
  elsif exists (select from pg_catalog.pg_inherits i where i.inhparent = t) then
    wrong := wrong || 'other tables inherit from it, whose rows its triggers do not see: detach them'::text;
  end if;

  -- Column, wanted type, and how it stands to it: r must be there, w is written by Punctual,
  -- n is also set to null, v is never null.
  for col in
    select w.name, w.wanted, w.how, a.attnum, a.attnotnull, a.attgenerated, ty.typtype, ty.typcategory,
           pg_catalog.format_type(a.atttypid, a.atttypmod) as found,
           case when a.atttypid = 'pg_catalog.varchar'::regtype and a.atttypmod > 0 then a.atttypmod - 4 end as room,
           case w.name when 'status' then 11 when 'twilio_sid' then 34 else 100000 end as needed,
           (select o.attname from pg_catalog.pg_attribute o
             where o.attrelid = t and not o.attisdropped and o.attname = any (w.known_as) limit 1) as other_name
      from (values
        ('id',                'uuid',                     'r',  '{message_id,uuid}'::text[]),
        ('to_number',         'text',                     'r',  '{to,phone_number,recipient,to_phone}'),
        ('body',              'text',                     'r',  '{message,text,content,message_body}'),
        ('scheduled_at',      'timestamp with time zone', 'r',  '{scheduled_for,send_at,scheduled_time,due_at}'),
        ('status',            'text',                     'rw', '{state}'),
        ('conversation_id',   'uuid',                     '',   '{}'),
        ('from_number',       'text',                     '',   '{}'),
        ('template_id',       'uuid',                     '',   '{}'),
        ('sent_at',           'timestamp with time zone', 'wn', '{}'),
        ('error_message',     'text',                     'wn', '{}'),
        ('metadata',          'jsonb',                    '',   '{}'),
        ('updated_at',        'timestamp with time zone', 'w',  '{}'),
        ('user_id',           'uuid',                     '',   '{}'),
        ('timezone',          'text',                     '',   '{}'),
        ('channel',           'text',                     '',   '{}'),
        ('message_type',      'text',                     '',   '{}'),
        ('priority',          'text',                     '',   '{}'),
        ('template_vars',     'jsonb',                    '',   '{}'),
        ('dedup_key',         'text',                     '',   '{}'),
        ('send_before',       'timestamp with time zone', '',   '{}'),
        ('in_doubt',          'text',                     '',   '{}'),
        ('calendar_event_id', 'text',                     '',   '{}'),
        ('event_start',       'timestamp with time zone', '',   '{}'),
        ('campaign_id',       'uuid',                     '',   '{}'),
        ('max_attempts',      'integer',                  '',   '{}'),
        ('deferred_until',    'timestamp with time zone', 'wn', '{}'),
        ('next_attempt_at',   'timestamp with time zone', 'wn', '{}'),
        ('requeued_at',       'timestamp with time zone', 'wn', '{}'),
        ('delivered_at',      'timestamp with time zone', 'wn', '{}'),
        ('cancelled_at',      'timestamp with time zone', 'wn', '{}'),
        ('deferred_reason',   'text',                     'wn', '{}'),
        ('cancel_reason',     'text',                     'wn', '{}'),
        ('attempts',          'integer',                  'wv', '{}'),
        ('twilio_sid',        'text',                     'wn', '{}'),
        ('error_code',        'integer',                  'wn', '{}'),
        ('version',           'bigint',                   'wv', '{}')
      ) as w (name, wanted, how, known_as)
      left join pg_catalog.pg_attribute a
        on a.attrelid = t and a.attname = w.name and a.attnum > 0 and not a.attisdropped
      left join pg_catalog.pg_type ty on ty.oid = a.atttypid
  loop
    if col.attnum is null then
      if col.how like '%r%' then
        wrong := wrong || (format('column %s (%s) is missing: ', col.name, col.wanted)
          || case when col.other_name is null then format('%sadd column %s %s', it, col.name, col.wanted)
                  else format('if %I is that, %srename column %I to %s', col.other_name, it, col.other_name, col.name) end);
      end if;
    -- What is only read may be any kind of text; what is written must take what is written.
    elsif col.found <> col.wanted
          and not (col.wanted = 'text' and col.how not like '%w%' and col.typcategory = 'S')
          and not (col.wanted = 'text' and col.found like 'character varying%'
                   and coalesce(col.room, col.needed) >= col.needed)
    then
      wrong := wrong || (format('column %s is %s and must be %s: ', col.name,
          case col.typtype when 'e' then 'the enum ' when 'd' then 'the domain ' else '' end || col.found, col.wanted)
        || case
             when col.name = 'id' then
               'name it otherwise and add a uuid as the primary key (' || it
               || 'add column id uuid not null default gen_random_uuid() unique rewrites the rows)'
             when col.wanted = 'timestamp with time zone' and col.found like 'timestamp%without%' then
               format($q$%salter column %s type timestamptz using %s at time zone 'UTC', with the zone your app writes in$q$,
                      it, col.name, col.name)
             when col.typtype = 'e' then
               format('%salter column %s drop default, alter column %s type text using %s::text, and set the default again',
                      it, col.name, col.name, col.name)
             when col.how like '%r%' or col.name in ('sent_at', 'error_message', 'updated_at', 'metadata') then
               format('%salter column %s type %s using %s::%s', it, col.name, col.wanted, col.name, col.wanted)
             else
               format('%1$salter column %2$s type %3$s using %2$s::%3$s, or keep yours under another name: %1$srename column %2$s to app_%2$s',
                      it, col.name, col.wanted)
           end);
    elsif col.attgenerated <> '' and col.how like '%w%' then
      wrong := wrong || format('column %s is generated, and Punctual writes it: %salter column %s drop expression',
                               col.name, it, col.name);
    elsif col.attnotnull and col.how like '%n%' then
      wrong := wrong || format('column %s is not null, and Punctual empties it: %salter column %s drop not null',
                               col.name, it, col.name);
    elsif not col.attnotnull and col.how like '%v%' then
      wrong := wrong || format('column %s may be null, and Punctual counts in it: set it to 0 where it is null, then %salter column %s set default 0, alter column %s set not null',
                               col.name, it, col.name, col.name);
    end if;
  end loop;

  if kind = 'r'
     and not exists (select from pg_catalog.pg_index i
                       join pg_catalog.pg_attribute a on a.attrelid = t and a.attname = 'id'
                      where i.indrelid = t and i.indisunique and i.indisvalid and i.indpred is null
                        and i.indnkeyatts = 1 and i.indkey[0] = a.attnum)
     and exists (select from pg_catalog.pg_attribute a
                  where a.attrelid = t and a.attname = 'id' and a.atttypid = 'uuid'::regtype)
  then
    wrong := wrong || ('column id is not unique: ' || it || 'add primary key (id)');
  end if;

  -- The app's CHECKs on the status. One that knows only four words is replaced; one that allows
  -- words of the app's own, or ties the status to other columns, is for its owner to judge.
  if wrong = '{}' then
    for chk in
      select c.conname, pg_catalog.pg_get_expr(c.conbin, c.conrelid) as expr,
             pg_catalog.cardinality(c.conkey) = 1 as alone
        from pg_catalog.pg_constraint c
        join pg_catalog.pg_attribute a on a.attrelid = t and a.attname = 'status' and a.attnum = any (c.conkey)
       where c.conrelid = t and c.contype = 'c' and c.conname not like '%\_punctual'
    loop
      if chk.alone then
        for word in
          select distinct m[1] from pg_catalog.regexp_matches(chk.expr, '''([^'']+)''', 'g') as m
           where m[1] <> all (words)
        loop
          execute format('select %s from (select %L::text as status) probe', chk.expr, word) into allows;
          if allows then
            wrong := wrong || format('the constraint %I allows the status %L, which Punctual does not know: keep such states in a column of your own (known are %s)',
                                     chk.conname, word, array_to_string(words, ', '));
          end if;
        end loop;
      else
        -- A row as it is in each of our states, beside the same row in the app's nearest one.
        for probe in
          select * from (values
            ('sending', 'pending', '{}'::jsonb),
            ('unconfirmed', 'failed', '{"error_message": "probe"}'),
            ('delivered', 'sent', '{"sent_at": "2026-01-01T00:00:00Z"}')
          ) as p (ours, theirs, more)
        loop
          begin
            execute format('select coalesce(bool_and(%s), true) from (select (jsonb_populate_record(null::public.scheduled_messages, $1)).*) probe',
                           chk.expr) into before
              using probe.more || jsonb_build_object('status', probe.theirs, 'body', 'probe', 'to_number', '+15550100000',
                                                     'scheduled_at', now(), 'created_at', now(), 'updated_at', now());
            execute format('select coalesce(bool_and(%s), true) from (select (jsonb_populate_record(null::public.scheduled_messages, $1)).*) probe',
                           chk.expr) into allows
              using probe.more || jsonb_build_object('status', probe.ours, 'body', 'probe', 'to_number', '+15550100000',
                                                     'scheduled_at', now(), 'created_at', now(), 'updated_at', now());
          exception when others then
            -- It cannot be judged by a made-up row.
            continue;
          end;
          if before and not allows then
            wrong := wrong || format('the constraint %I refuses a row that is %s: %sdrop constraint %I, and add it again so that it allows sending, delivered and unconfirmed',
                                     chk.conname, probe.ours, it, chk.conname);
            exit;
          end if;
        end loop;
      end if;
    end loop;
  end if;

  -- Reads the table once, before our own CHECK has been validated, and keeps nobody out.
  if wrong = '{}'
     and not exists (select from pg_catalog.pg_constraint c
                      where c.conrelid = t and c.conname = 'scheduled_messages_status_punctual' and c.convalidated)
  then
    select m.status into word from public.scheduled_messages m where m.status <> all (words) limit 1;
    if word is not null then
      wrong := wrong || format('there are rows with the status %L, which Punctual does not know: give them one of %s',
                               word, array_to_string(words, ', '));
    end if;
  end if;

  if wrong <> '{}' then
    raise exception using errcode = 'PU001',
      message = 'the table public.scheduled_messages is not one Punctual can work with; nothing was changed:'
                || E'\n  - ' || array_to_string(wrong, E'\n  - ');
  end if;
end
$$;
