-- tab, member ─▶ col ─▶ excess
--  └─────────▶ condition
-- What lets each user with a login read and write their own preferences, and no others: what is lacking or too much,
-- and the statement that corrects it. Of a row a user writes what is theirs to choose; whether a phone is verified, and
-- how much may be sent to it, is the app's. Nothing where there are no such roles (they are Supabase's) or no such
-- table.
with tab as (
  select c.oid, format('%I.%I', n.nspname, c.relname) as name, c.relrowsecurity, a.atttypid
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attname = 'user_id' and not a.attisdropped
   where n.nspname = 'public' and c.relname = 'user_sms_preferences' and c.relkind in ('r', 'p')
     and to_regprocedure('auth.uid()') is not null
), member as (
  select r.oid, r.rolname from pg_catalog.pg_roles r where r.rolname = 'authenticated'
), col as (
  select quote_ident(a.attname) as name, a.attnum, o.col is not null as is_chosen, a.attname = 'user_id' as is_key
    from tab
    join pg_catalog.pg_attribute a on a.attrelid = tab.oid and a.attnum > 0 and not a.attisdropped
    left join (select s.col from (values switches!()) as s (col, kind)
               union values ('morning_kickoff_time'), ('quiet_hours_start'), ('quiet_hours_end'), ('timezone'),
                            ('opted_out')) as o (col)
      on o.col = a.attname
), excess as (
  -- A row that is deleted would take the opt-out along.
  select string_agg(e.privilege, ', ') as privileges
    from tab
   cross join member
   cross join lateral (
     select p.privilege from unnest(array['DELETE', 'TRUNCATE']) as p (privilege)
      where has_table_privilege(member.oid, tab.oid, p.privilege)
     union all
     select distinct p.privilege from col, unnest(array['INSERT', 'UPDATE']) as p (privilege)
      where not col.is_chosen and not (col.is_key and p.privilege = 'INSERT')
        and has_column_privilege(member.oid, tab.oid, col.attnum, p.privilege)) e
), condition as (
  select format('user_id = (select auth.uid())%s',
                case when tab.atttypid = 'uuid'::regtype then '' else '::text' end) as own
    from tab
)
select need, meet from (
  select 1 as step, 'row level security on ' || tab.name as need,
         format('alter table %s enable row level security', tab.name) as meet
    from tab where not tab.relrowsecurity
  union all
  select 2, format('no %s on %s for authenticated', excess.privileges, tab.name),
         format('revoke insert, update, delete, truncate on %s from authenticated, PUBLIC', tab.name)
    from tab cross join excess where excess.privileges is not null
  union all
  select 3, format('%s on %s for authenticated', w.privilege, tab.name),
         format('grant %s%s on %s to authenticated', w.privilege, ' (' || w.columns || ')', tab.name)
    from tab
   cross join member
   cross join excess
   cross join lateral (
     select 'SELECT' as privilege, null as columns, has_table_privilege(member.oid, tab.oid, 'SELECT') as is_there
     union all
     select p.privilege, string_agg(col.name, ', ' order by col.attnum),
            excess.privileges is null and bool_and(has_column_privilege(member.oid, tab.oid, col.attnum, p.privilege))
       from col, unnest(array['INSERT', 'UPDATE']) as p (privilege)
      where col.is_chosen or col.is_key and p.privilege = 'INSERT'
      group by p.privilege) w
   where not w.is_there
  union all
  select 4, 'a policy for own rows on ' || tab.name,
         format('create policy "punctual own preferences" on %s to authenticated using (%s) with check (%2$s)',
                tab.name, condition.own)
    from tab cross join condition
   where not exists (select from pg_catalog.pg_policy y
                      where y.polrelid = tab.oid and y.polname = 'punctual own preferences')
) needed
 where exists (select from member)
 order by step, need
