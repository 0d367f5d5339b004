-- The template of that key, or of that id, and others for whoever mistyped it: for `punctual schedule`,
-- whose role may have no right on the app's table. As the claim reads it (facts_of_templates).
create or replace function punctual.templates_named(word text, most int)
returns table (id uuid, name text, message_template text, required_vars text, max_length int, is_active boolean,
               is_it boolean)
language plpgsql stable strict security definer rows 10 set search_path = '' as $$
#variable_conflict use_column
begin
  if to_regclass('public.sms_templates') is null then
    return;
  end if;
  return query
    select (r.row ->> 'id')::uuid, coalesce(r.key, r.row ->> 'id'), r.row ->> 'message_template',
           case when jsonb_typeof(r.row -> 'required_vars') = 'array' then (r.row -> 'required_vars')::text end,
           punctual.as_int(r.row ->> 'max_length'), r.is_active, r.is_it
      from (select t.row, n.key, coalesce(punctual.as_boolean(t.row ->> 'is_active'), true) as is_active,
                   coalesce(n.key = word, false) or t.row ->> 'id' = lower(word) as is_it
              from (select to_jsonb(t) as row from public.sms_templates t) t
             cross join lateral (select coalesce(t.row ->> 'template_key', t.row ->> 'name') as key) n) r
     where r.row ->> 'message_template' is not null
       and r.row ->> 'id' ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'
     order by r.is_it desc, r.is_active desc, 2
     limit most;
end
$$;

revoke execute on function punctual.templates_named(text, int) from public;
