-- What an insert of a far row costs the session of the app in CPU, with Punctual and into a table of the same purpose
-- without it: other load on the machine does not count. As a superuser, in a database that was migrated:
--
--   psql -X "$DATABASE_URL" -f benches/insert_cpu.sql
--
-- Everything is rolled back.
\set QUIET on
\pset tuples_only on
begin;
create table bare (id uuid primary key default gen_random_uuid(), user_id uuid, to_number text not null, body text not null,
  status text not null default 'pending', scheduled_at timestamptz not null, created_at timestamptz default now(),
  updated_at timestamptz default now());
create index on bare (status, scheduled_at);
create index on bare (user_id);

-- User and system time of this session, in ticks of 10 ms.
create function pg_temp.ticks() returns numeric language sql volatile as $$
  select s[12]::numeric + s[13]::numeric
    from (select string_to_array(substring(pg_read_file('/proc/self/stat', 0, 1000) from '\) (.*)'), ' ')) x (s)
$$;
create function pg_temp.cost(tab text, statements int, rows int) returns numeric language plpgsql as $$
declare
  began numeric := pg_temp.ticks();
begin
  for n in 1..statements loop
    if tab = 'bare' then
      insert into bare (to_number, body, scheduled_at)
      select '+12025550177', 'See you at eight.', now() + interval '30 days' from generate_series(1, rows);
    else
      insert into scheduled_messages (to_number, body, scheduled_at)
      select '+12025550177', 'See you at eight.', now() + interval '30 days' from generate_series(1, rows);
    end if;
  end loop;
  return round((pg_temp.ticks() - began) * 10000 / statements / rows, 1);
end
$$;
select 'warm', pg_temp.cost('bare', 1000, 1), pg_temp.cost('scheduled_messages', 1000, 1);
select 'us a row, 1 a statement: without', pg_temp.cost('bare', 8000, 1), 'with', pg_temp.cost('scheduled_messages', 8000, 1);
select 'us a row, 1,000 a statement: without', pg_temp.cost('bare', 30, 1000), 'with', pg_temp.cost('scheduled_messages', 30, 1000);
rollback;
