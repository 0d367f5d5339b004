-- Where scheduled_messages is: in the schema of the settings (`ours_here`: with Punctual's triggers; null: it is not),
-- and in another schema, the one with Punctual's triggers first; whether one there is a source table; and which of the
-- other tables that decide what is sent are only in another schema. From the catalog, for a role that may use neither.
-- $1 the tables that are to be followed: schema.table
with tab as (
  select n.nspname,
         exists (select from pg_catalog.pg_trigger t
                   join pg_catalog.pg_proc p on p.oid = t.tgfoid
                   join pg_catalog.pg_namespace f on f.oid = p.pronamespace
                  where t.tgrelid = c.oid and f.nspname = 'punctual'
                    and t.tgname !~ '^punctual_source_(insert|update|delete|truncate)$') as is_ours,
         n.nspname || '.' || c.relname = any ($1::text[])
         or exists (select from pg_catalog.pg_trigger t
                     where t.tgrelid = c.oid and t.tgname = 'punctual_source_insert') as is_source
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where c.relname = 'scheduled_messages' and c.relkind in ('r', 'p', 'v', 'm', 'f')
     and n.nspname <> 'punctual' and n.nspname !~ '^pg_'
)
select exists (select from pg_catalog.pg_namespace n where n.nspname = 'public') as has_schema,
       (select tab.is_ours from tab where tab.nspname = 'public') as ours_here,
       other.nspname::text as other, other.is_ours as other_is_ours,
       exists (select from tab where tab.nspname <> 'public' and tab.is_source) as has_source,
       array(select format('%s.%s', n.nspname, c.relname)
               from pg_catalog.pg_class c
               join pg_catalog.pg_namespace n on n.oid = c.relnamespace
              where c.relname in ('user_sms_preferences', 'sms_templates', 'task_calendar_events')
                and c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname <> 'punctual' and n.nspname !~ '^pg_'
                and not exists (select from pg_catalog.pg_class h
                                  join pg_catalog.pg_namespace hn on hn.oid = h.relnamespace
                                 where hn.nspname = 'public' and h.relname = c.relname)
              order by 1) as apart
  from (values (1)) as one
  left join lateral (
    select tab.nspname, tab.is_ours from tab where tab.nspname <> 'public' and not tab.is_source
     order by tab.is_ours desc, tab.nspname limit 1) other
    on true
