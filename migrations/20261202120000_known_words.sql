-- Postgres reads each CHECK of a table from its text once a statement: the four of Punctual's on scheduled_messages were
-- a fifth of what an insert of one row costs. What they refuse the triggers refuse now (triggers/validate.sql, which
-- drops them).

-- The columns that had none, because the app had them first: they keep the app's words. Looked at once, while the
-- CHECKs are there. Without a key, because the data of a dump may be restored beside it.
do $$
begin
  if to_regclass('punctual.app_words') is null then
    create table punctual.app_words (
      name text not null check (name in ('priority', 'in_doubt', 'max_attempts'))
    );
    insert into punctual.app_words (name)
    select w.name
      from unnest(array['priority', 'in_doubt', 'max_attempts']) as w (name)
     where not exists (select from pg_catalog.pg_constraint c
                        where c.conrelid = 'public.scheduled_messages'::regclass and c.contype = 'c'
                          and c.conname = 'scheduled_messages_' || w.name || '_punctual');
    revoke all on punctual.app_words from PUBLIC;
  end if;
end
$$;

-- The index of numbers that knows spaces alone was for programs before number 2, which this schema is not for. Every
-- insert wrote into it.
do $$
begin
  if exists (select from pg_catalog.pg_class c
              where c.oid = to_regclass('public.scheduled_messages_number_idx')
                and pg_catalog.pg_has_role(c.relowner, 'usage'))
  then
    drop index public.scheduled_messages_number_idx;
  end if;
end
$$;
