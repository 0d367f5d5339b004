-- The app's tables for sent messages where they have names of their own: whether they can be written, as in
-- doctor_server.sql.
-- $1 whether the settings have [app]; null: they are not known
with mapped as (
  select d.definition,
         (select string_agg(format('%s → %s (%s)', p.part, p.tab, p.columns), '; ' order by p.part desc)
            from (select f.part, f.tab, string_agg(case when f.name = f.col then f.name else f.name || ' → ' || f.col end, ', ' order by f.name) as columns
                    from punctual.app_found(d.definition) f
                   where f.col is not null
                     and (f.part = 'messages' or punctual.app_has(d.definition, f.part))
                   group by f.part, f.tab) p) as shown
    from punctual.app_tables d
)
select 'app mapping' as what, 'bad' as level,
       (select nullif(array_to_string(punctual.app_faults(m.definition), '; '), '') from mapped m) as found,
       coalesce((select m.shown from mapped m), 'none: messages, conversations and contacts have the usual names') as fine,
       'messages are sent, but their rows wait in punctual.outbox: correct the tables or [app] of punctual.toml, then run `punctual migrate`' as remedy
union all
select 'app settings', 'warn',
       case when not $1::bool and exists (select from mapped)
            then 'sent messages are written to tables of other names, and [app] is not in the settings' end,
       'those of the settings', 'add [app] to punctual.toml, or end it: punctual migrate --unmap'
union all
select 'app indexes', 'warn',
       (select string_agg(i.name, ', ') || ' is missing or invalid' from punctual.app_indexes() i where i.build is not null),
       'all in place', 'each message reads the whole table: run `punctual migrate`'
