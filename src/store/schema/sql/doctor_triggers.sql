-- tab ─▶ theirs ─▶ reached ─▶ target ─▶ forbidden
--           └────▶ meddling
-- The app's triggers on scheduled_messages, and what the functions behind them do as far as their sources show it: one
-- row per check, as in doctor_server.sql. Reads the catalog only.
with recursive tab as (
  select to_regclass('public.scheduled_messages')::oid as oid
), theirs as (
  select t.tgname, p.oid as function, p.proname, p.prosecdef, plain_source!(p) as source,
         t.tgtype & 3 = 3 as before_a_row,
         -- At a claim or a record: it fires for one of the columns that those write.
         t.tgtype & 16 = 16
           and (t.tgattr::text = ''
                or exists (select from pg_catalog.pg_attribute a
                            where a.attrelid = tab.oid and a.attnum = any (string_to_array(t.tgattr::text, ' ')::int2[])
                              and a.attname in ('status', 'attempts', 'next_attempt_at', 'deferred_until', 'sent_at',
                                                'twilio_sid', 'error_message', 'error_code', 'version',
                                                'updated_at'))) as at_a_claim
    from tab
    join pg_catalog.pg_trigger t on t.tgrelid = tab.oid and not t.tgisinternal and t.tgenabled in ('O', 'A')
    join pg_catalog.pg_proc p on p.oid = t.tgfoid
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
   where n.nspname <> 'punctual'
), reached (tgname, name, source, by_owner, at_a_claim, depth) as (
  -- With the functions that these call, and so on.
  select tgname, proname::text, source, prosecdef, at_a_claim, 1 from theirs
  union
  select r.tgname, p.proname::text, plain_source!(p), r.by_owner or p.prosecdef, r.at_a_claim, r.depth + 1
    from reached r
    join pg_catalog.pg_proc p on calls!(r) and r.depth < 5
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
   where n.nspname not in ('pg_catalog', 'information_schema', 'punctual')
), meddling as (
  select tgname,
         concat_ws(', ', (select string_agg(distinct m[1], ', ')
                            from regexp_matches(source, '(?:^|;|\mbegin|\mthen|\melse|\mloop|\minto)\s*(new\.(?:status|scheduled_at|attempts|next_attempt_at|deferred_until|version|to_number|from_number|body|template_id|template_vars|channel|user_id))\s*(?::?=|;|,|\mfrom)', 'g') as m),
                   case when source ~ '(^|;|\mbegin|\mthen|\melse)\s*new\s*:?=' then 'new' end) as assigned
    from theirs
   where before_a_row and at_a_claim
), target as (
  select distinct r.tgname, c.oid, c.relowner, c.relrowsecurity, format('%I.%I', n.nspname, c.relname) as name,
         case m[1] when 'insert' then 'INSERT' when 'update' then 'UPDATE' else 'DELETE' end as privilege
    from reached r
    cross join regexp_matches(r.source, '\m(insert|update|delete)\s+(?:into\s+|from\s+)?(?:only\s+)?(?:([a-z_][a-z0-9_]*)\.)?([a-z_][a-z0-9_]*)', 'g') as m
    join pg_catalog.pg_class c on c.relname = m[3] and c.relkind in ('r', 'p')
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where r.at_a_claim and not r.by_owner
     and (n.nspname = m[2] or m[2] is null and (n.nspname = 'public' or pg_table_is_visible(c.oid)))
     and n.nspname not in ('punctual', 'pg_catalog') and c.oid <> (select oid from tab)
), forbidden as (
  -- To a role that no policy of row level security permits, each write is an error too.
  select t.tgname, d.rolname, string_agg(t.privilege || ' on ' || t.name, ', ' order by t.name, t.privilege) as lacks,
         string_agg(format('grant %s on %s to %I', lower(t.privilege), t.name, d.rolname), '; '
                    order by t.name, t.privilege) as grants
    from target t
    cross join daemon_roles!() d
   where not (has_table_privilege(d.oid, t.oid, t.privilege)
              or t.privilege <> 'DELETE' and has_any_column_privilege(d.oid, t.oid, t.privilege))
      or t.relrowsecurity and not d.sees_all and not pg_has_role(d.oid, t.relowner, 'USAGE')
         and not exists (select from pg_catalog.pg_policy y
                          where y.polrelid = t.oid and y.polpermissive
                            and y.polcmd in ('*', case t.privilege when 'INSERT' then 'a' when 'UPDATE' then 'w'
                                                                   else 'd' end::"char")
                            and exists (select from unnest(y.polroles) as member
                                         where member = 0 or pg_has_role(d.oid, member, 'USAGE')))
   group by t.tgname, d.rolname
)
select 'app triggers' as what, 'warn' as level,
       (select string_agg(format('trigger %I assigns %s when a message is claimed', tgname, assigned), '; ')
          from meddling where assigned <> '') as found, 'no conflict' as fine,
       'the claim sends what the trigger makes of the row: let it leave these columns unchanged in an update' as remedy
union all
select 'trigger order', 'warn',
       (select string_agg(tgname, ', ') || ' runs after the guard' from theirs
         where before_a_row and tgname > 'zzz_punctual'), 'the guard runs last',
       'name it so that it sorts before zzz_punctual, so that the guard judges what will be stored'
union all
select 'trigger rights', 'bad',
       (select string_agg(format('trigger %I needs %s, which role %I does not have', tgname, lacks, rolname), '; ') from forbidden),
       'the daemon may do what triggers do',
       'every claim fails: make the trigger''s function security definer with a search_path of its own, or: '
         || (select string_agg(grants, '; ') from forbidden)
union all
select 'web hooks', 'warn',
       (select string_agg(distinct tgname, ', ') || ' makes requests when rows change' from reached
         -- Supabase's "database webhooks", and other triggers that make requests.
         where name = 'http_request' or makes_requests!(reached)), 'none on the table',
       'if it sends messages, every recipient is texted twice: drop the trigger'
