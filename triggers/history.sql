-- Refuses a statement in a database that lacks what an instance has committed: that database has another
-- history, and shows messages as pending that were sent. Called by each claim and each heartbeat.
create or replace function punctual.check_history(
  of_instance uuid, least_beats bigint, claimed uuid[], recorded uuid[])
returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if least_beats > coalesce((select i.beats from punctual.instances i where i.id = of_instance), -1)
     and least_beats > 0
     or exists (select from unnest(claimed) as c (token)
                 where not exists (select from punctual.attempts a where a.token = c.token))
     or exists (select from unnest(recorded) as r (token)
                 where not exists (select from punctual.attempts a
                                    where a.token = r.token and a.outcome is not null))
  then
    raise exception using errcode = 'PU002',
      message = 'the database has another history: it lacks what this instance has committed';
  end if;
  return true;
end
$$;
