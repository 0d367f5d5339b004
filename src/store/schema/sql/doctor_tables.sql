-- Checks of the tables, and of changes to them that break Punctual: one row per check, as in
-- doctor_server.sql. Reads the catalog only.
-- $1, $2, $3 the triggers that should exist: names, tables, and whether a trigger is optional if
-- its table does not exist
with tab as (
  select to_regclass('public.scheduled_messages')::oid as oid
), lost_trigger as (
  select e.name, t.tgenabled, e.tab
    from unnest($1::text[], $2::text[], $3::bool[]) as e (name, tab, optional)
    left join pg_catalog.pg_class c on c.oid = to_regclass(e.tab)
    left join pg_catalog.pg_trigger t on t.tgrelid = c.oid and t.tgname = e.name and not t.tgisinternal
   -- One of them is for sessions that replicate, in which the others do not fire.
   where (t.oid is null
          or t.tgenabled not in ('A', case when e.name like '%\_replicated' then 'R' else 'O' end::"char"))
     and not (e.optional and (c.oid is null or c.relkind not in ('r', 'p')))
), narrow as (
  -- A list of statuses without Punctual's. CHECKs over several columns are judged by `shape`.
  select c.conname
    from tab
    join pg_catalog.pg_constraint c on c.conrelid = tab.oid
    join pg_catalog.pg_attribute a
      on a.attrelid = tab.oid and a.attname = 'status' and c.conkey = array[a.attnum]
   where c.contype = 'c' and c.conname not like '%\_punctual'
     and pg_get_expr(c.conbin, c.conrelid) like '%''pending''%'
     and not (pg_get_expr(c.conbin, c.conrelid) like '%''sending''%'
              and pg_get_expr(c.conbin, c.conrelid) like '%''delivered''%'
              and pg_get_expr(c.conbin, c.conrelid) like '%''unconfirmed''%')
), theirs as (
  -- The app's own triggers.
  select t.tgname, p.proname, p.prosrc, t.tgtype & 3 = 3 as before_a_row
    from tab
    join pg_catalog.pg_trigger t on t.tgrelid = tab.oid and not t.tgisinternal and t.tgenabled <> 'D'
    join pg_catalog.pg_proc p on p.oid = t.tgfoid
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
   where n.nspname <> 'punctual'
), meddling as (
  select tgname from theirs
   where before_a_row
     and (prosrc ~* 'new\.(status|scheduled_at|attempts|next_attempt_at|deferred_until|version)\s*:?=[^=]'
          or tgname > 'zzz_punctual')
), calling as (
  -- Supabase's "database webhooks", and other triggers that make requests.
  select tgname from theirs
   where proname = 'http_request' or prosrc ~* '(net\.http_(post|get)|http_post|http_request)\s*\('
), open_to as (
  -- The key of Supabase's role anon is in every copy of the app.
  select r.rolname, string_agg(p, ', ') as privileges
    from tab
    join pg_catalog.pg_class c on c.oid = tab.oid and not c.relrowsecurity
    cross join pg_catalog.pg_roles r
    cross join unnest(array['INSERT', 'UPDATE', 'SELECT']) as p
   where r.rolname = 'anon' and has_table_privilege(r.oid, c.oid, p)
   group by r.rolname
)
select 'triggers' as what, 'bad' as level,
       (select string_agg(name || case when tgenabled is null then ' is missing' else ' is disabled' end, ', ') from lost_trigger) as found,
       'all in place' as fine,
       concat_ws('; ', (select 'run `punctual migrate` as the tables'' owner' from lost_trigger where tgenabled is null limit 1),
                       (select string_agg(format('alter table %s enable%s trigger %I', tab,
                                          case when name like '%\_replicated' then ' replica' else '' end, name), '; ')
                          from lost_trigger where tgenabled is not null)) as remedy
union all
select 'status check', 'bad',
       (select string_agg(format('constraint %I does not allow sending, delivered, unconfirmed', conname), '; ') from narrow),
       'allows Punctual''s states',
       'every claim fails: ' || (select string_agg(format('alter table scheduled_messages drop constraint %I', conname), '; ') from narrow)
union all
select 'app triggers', 'warn',
       (select string_agg(tgname, ', ') || ' changes states or times, or runs after the guard' from meddling), 'no conflict',
       'let it leave status and times unchanged, and name it so that it sorts before zzz_punctual'
union all
select 'web hooks', 'warn',
       (select string_agg(tgname, ', ') || ' makes requests when rows change' from calling), 'none on the table',
       'if it sends messages, every recipient is texted twice: drop the trigger'
union all
select 'who may write', 'bad',
       (select string_agg(rolname || ' may ' || privileges || ' without row level security', '; ') from open_to),
       'no access without a login',
       'anyone with the app''s public key can send texts at your cost: alter table scheduled_messages enable row level security, with policies for your users'
