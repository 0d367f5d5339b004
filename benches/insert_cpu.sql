-- What an insert of a far row costs the session of the app in CPU, with Punctual and into a table of the same purpose
-- without it: other load on the machine does not count. As a superuser, in a database for this that was migrated:
--
--   psql -X "$DATABASE_URL" -f benches/insert_cpu.sql
--
-- Each statement is committed alone, as by an app, and planned once. The rows are deleted at the end.
\set QUIET on
\pset tuples_only on
set synchronous_commit = off;
create table insert_cpu (id uuid primary key default gen_random_uuid(), user_id uuid, to_number text not null,
  body text not null, status text not null default 'pending', scheduled_at timestamptz not null,
  created_at timestamptz default now(), updated_at timestamptz default now());
create index on insert_cpu (status, scheduled_at);
create index on insert_cpu (user_id);

-- User and system time of this session, in ticks of 10 ms.
create function pg_temp.ticks() returns numeric language sql volatile as $$
  select s[12]::numeric + s[13]::numeric
    from (select string_to_array(substring(pg_read_file('/proc/self/stat', 0, 1000) from '\) (.*)'), ' ')) x (s)
$$;
create procedure pg_temp.cost(what text, tab text, statements int, rows int) language plpgsql as $$
declare
  began numeric := pg_temp.ticks();
begin
  for n in 1..statements loop
    if tab = 'insert_cpu' and rows = 1 then
      insert into insert_cpu (to_number, body, scheduled_at)
      values ('+12025550177', 'See you at eight.', now() + interval '30 days');
    elsif rows = 1 then
      insert into scheduled_messages (to_number, body, scheduled_at)
      values ('+12025550177', 'See you at eight.', now() + interval '30 days');
    elsif tab = 'insert_cpu' then
      insert into insert_cpu (to_number, body, scheduled_at)
      select '+12025550177', 'See you at eight.', now() + interval '30 days' from generate_series(1, rows);
    else
      insert into scheduled_messages (to_number, body, scheduled_at)
      select '+12025550177', 'See you at eight.', now() + interval '30 days' from generate_series(1, rows);
    end if;
    commit;
  end loop;
  raise notice '%, % rows a statement: % us a row', what, rows,
    round((pg_temp.ticks() - began) * 10000 / statements / rows, 1);
end
$$;
call pg_temp.cost('to begin with, without', 'insert_cpu', 1000, 1);
call pg_temp.cost('to begin with, with', 'scheduled_messages', 1000, 1);
call pg_temp.cost('without Punctual', 'insert_cpu', 8000, 1);
call pg_temp.cost('with Punctual', 'scheduled_messages', 8000, 1);
call pg_temp.cost('without Punctual', 'insert_cpu', 30, 1000);
call pg_temp.cost('with Punctual', 'scheduled_messages', 30, 1000);
drop table insert_cpu;
delete from scheduled_messages where to_number = '+12025550177' and body = 'See you at eight.';
