-- source ─▶ missing, writers
-- Source tables: whether their changes arrive, who may send by writing to them, who else sends their rows, and which
-- outcomes could not be written: one row per check, as in doctor_server.sql.
-- $1 the names in the settings; null: these are not known  $2 presets  $3 the schemas (null: the app's)  $4 and the
-- names of their source tables
with source as (
  select s.name, s.definition ? 'number_from' as has_numbers, s.definition ? 'preset' as of_preset, to_regclass(format('%I.%I', s.schema_name, s.table_name))::oid as tab,
         format('%I.%I', s.schema_name, s.table_name) as title
    from punctual.sources s
), missing as (
  select format('%s: the table %s does not exist', s.name, s.title) as line from source s where s.tab is null
  union all
  select format('%s: the trigger punctual_source_%s of %s is missing or disabled', s.name, e.event, s.title)
    from source s
   cross join unnest(array['insert', 'update', 'delete', 'truncate']) as e (event)
   where s.tab is not null
     and not exists (select from pg_catalog.pg_trigger t
                      where t.tgrelid = s.tab and t.tgname = 'punctual_source_' || e.event and t.tgenabled in ('O', 'A'))
  union all
  select format('%s: a trigger of the table with the numbers is missing or disabled', s.name)
    from source s
   where s.has_numbers
     and 4 > (select count(*) from pg_catalog.pg_trigger t
               where t.tgname like 'punctual\_numbers\_' || s.name || '\_%' and t.tgenabled in ('O', 'A'))
  union all
  select format('%s: the trigger punctual_record_%s_%s of %s is missing or disabled', s.name, s.name, r.n, r.tab)
    from source s
    join punctual.sources d on d.name = s.name
   cross join lateral punctual.source_records(d.definition) r
   where r.record ?| '{names,names_record}'
     and not exists (select from pg_catalog.pg_trigger t
                      where t.tgrelid = r.tab and t.tgname = format('punctual_record_%s_%s', s.name, r.n) and t.tgenabled in ('O', 'A'))
  union all
  select format('scheduled_messages has the trigger %I, which is not Punctual''s', t.tgname)
    from pg_catalog.pg_trigger t
    join pg_catalog.pg_proc p on p.oid = t.tgfoid
   where t.tgrelid = 'public.scheduled_messages'::regclass and not t.tgisinternal
     and p.pronamespace <> 'punctual'::regnamespace and exists (select from source)
  union all
  select 'the trigger punctual_source_outcome of scheduled_messages is missing or disabled'
   where exists (select from source)
     and not exists (select from pg_catalog.pg_trigger t
                      where t.tgrelid = 'public.scheduled_messages'::regclass and t.tgname = 'punctual_source_outcome'
                        and t.tgenabled in ('O', 'A'))
), writers as (
  select s.name, s.title, w.who, c.relrowsecurity
    from source s
    join pg_catalog.pg_class c on c.oid = s.tab
   cross join lateral (
     select 'PUBLIC' as who from pg_catalog.aclexplode(c.relacl) x
      where x.grantee = 0 and x.privilege_type in ('INSERT', 'UPDATE')
     union
     select r.rolname::text from pg_catalog.pg_roles r
      where not r.rolsuper and r.rolname !~ '^pg_'
        and (has_any_column_privilege(r.oid, s.tab, 'INSERT') or has_any_column_privilege(r.oid, s.tab, 'UPDATE'))) w
)
select 'source tables' as what, 'bad' as level, (select string_agg(line, '; ') from missing) as found,
       coalesce((select 'followed: ' || string_agg(format('%s (%s)', name, title), ', ' order by name) from source), 'none') as fine,
       'its rows are not sent, or sent although they were changed: run `punctual migrate`, or punctual migrate --unfollow NAME' as remedy
union all
select 'source settings', 'warn',
       (select string_agg(name, ', ' order by name) || ' is followed, and is not in the settings' from source
         where name <> all ($1::text[]) and not of_preset),
       'those of the settings', 'add its [[source]] to punctual.toml, or end it: punctual migrate --unfollow NAME'
union all
select 'source presets', 'warn',
       (select string_agg(format('no message follows the rows of %s', t.tab::regclass), '; ' order by t.tab::regclass::text)
          from unnest($2::text[], $3::text[], $4::text[]) as p (preset, its_schema, its_table)
         cross join lateral (select to_regclass(format('%I.%I', coalesce(p.its_schema, 'public'), p.its_table))::oid as tab) t
         where t.tab is not null and t.tab <> coalesce(to_regclass('public.scheduled_messages')::oid, 0)
           and t.tab not in (select s.tab from source s where s.tab is not null)),
       'no table that a preset knows is left out',
       'they are not sent by Punctual; to have them sent: punctual migrate --preset NAME, with NAME one of '
       || array_to_string(array(select distinct unnest($2::text[])), ', ')
union all
select 'source words', 'warn', (select string_agg(n.note, '; ') from source s cross join lateral punctual.source_notes(s.name) as n (note)),
       'as the tables have them', 'that statement of the app''s fails; change the constraint or the type'
union all
select 'source writers', 'bad',
       (select string_agg(format('%s may write %s without row level security', who, title), '; ' order by who) from writers
         where who in ('PUBLIC', 'anon', 'authenticated') and not relrowsecurity),
       coalesce((select 'by writing to source tables: ' || string_agg(distinct who, ', ') from writers),
                'only who may write scheduled_messages'),
       'whoever may write a source table may send at your cost: revoke the right, or enable row level security with policies for your users'
union all
select 'source senders', 'warn',
       (select format('%s rows were taken by a sender of the app''s within a day, the latest at %s', count(*), max(m.updated_at))
          from punctual.source_rows r
          join public.scheduled_messages m on m.id = r.message_id
         where r.taken and m.status = 'cancelled' and m.cancel_reason = 'a sender of the app''s has taken it'
           and m.updated_at > clock_timestamp() - interval '1 day'
        having count(*) > 0),
       'none within a day', 'each row is sent once, by whoever takes it first; to have all sent on time, stop that sender'
union all
select 'source outcomes', 'warn',
       (select format('%s outcomes could not be written, the latest reason: %s', count(*), (array_agg(w.last_error order by w.id desc))[1])
          from punctual.source_writes w where w.attempts > 0 having count(*) > 0),
       'all written, or about to be', 'the messages are recorded; correct the table, and the outcomes are written within half an hour'
