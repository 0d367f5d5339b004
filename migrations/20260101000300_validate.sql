-- Reads every row once for the CHECKs that an earlier file added. In a transaction of its own:
-- VALIDATE keeps no writer out, but the lock of the ALTER TABLE that added them would.

do $$
declare
  parts text;
begin
  select string_agg(format('validate constraint %I', c.conname), ', ') into parts
    from pg_catalog.pg_constraint c
   where c.conrelid = 'public.scheduled_messages'::regclass and c.contype = 'c'
     and not c.convalidated and c.conname like 'scheduled\_messages\_%\_punctual';
  if parts is not null then
    execute 'alter table public.scheduled_messages ' || parts;
  end if;
end
$$;
