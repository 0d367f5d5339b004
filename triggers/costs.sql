-- What texts cost a day, counted for the installation, each campaign and each user. Re-runnable; replaced as a whole.
-- Called by the daemon alone, in its sessions.

--   texts that are cleared ─▶ charge_costs ─▶ cost_days, costs ◀─ corrected ─ cost_changed ◀─ attempts
--
-- The rows of a day in which texts of these campaigns and users are counted.
create or replace function punctual.cost_rows(campaigns text[], users text[]) returns table (scope text, what text)
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select 'installation', ''
  union select 'campaign', c.what from unnest(campaigns) as c (what) where c.what is not null
  union select 'user', u.what from unnest(users) as u (what) where u.what is not null
$$;

-- Counts these texts to a day, in this order, unless a cap would be exceeded: then `reached` is the scope whose, and
-- `spent` what is counted there. What must be sent, because its message has begun, is counted whatever the cap. A cap
-- that is null is none. Instances that count at once wait for each other at the row of the installation, for as long as
-- this takes.
-- That of an earlier version returned no `spent`.
drop function if exists punctual.charge_costs(date, uuid[], bigint[], text[], text[], boolean[], bigint, bigint, bigint);
create or replace function punctual.charge_costs(of_day date, tokens uuid[], amounts bigint[], campaigns text[], users text[],
                                                 musts boolean[], cap_of_all bigint, cap_of_campaign bigint, cap_of_user bigint)
returns table (token uuid, reached text, spent bigint)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  one record;
  is_room boolean;
begin
  -- All rows that it counts in, locked in one order, so that none waits for another that waits for it.
  -- Those that are there are not written for it.
  insert into punctual.cost_days (day, scope, what, amount)
  select of_day, k.scope, k.what, 0 from punctual.cost_rows(campaigns, users) k order by k.scope, k.what
  on conflict (day, scope, what) do nothing;
  perform
     from (select k.scope, k.what from punctual.cost_rows(campaigns, users) k order by k.scope, k.what) k
    cross join lateral (
      select d.amount from punctual.cost_days d
       where d.day = of_day and d.scope = k.scope and d.what = k.what
         for no key update) d;
  -- A daemon may have given this statement up and recorded since that nothing was sent: nothing would take that back. A
  -- record that commits at this very moment is not seen, and the text stays counted: a day then permits one less.
  if exists (
    select from unnest(tokens) as c (token)
     cross join lateral (
       select from punctual.attempts a where a.token = c.token and a.outcome is not null offset 0) a) then
    select array_agg(c.token order by c.position), array_agg(c.amount order by c.position),
           array_agg(c.campaign order by c.position), array_agg(c.user_id order by c.position),
           array_agg(c.must order by c.position)
      into tokens, amounts, campaigns, users, musts
      from unnest(tokens, amounts, campaigns, users, musts) with ordinality
             as c (token, amount, campaign, user_id, must, position)
     where not exists (
       select from punctual.attempts a where a.token = c.token and a.outcome is not null);
  end if;
  -- Nearly always there is room for all.
  select not exists (
    select from (select k.scope, k.what, min(k.cap) as cap, sum(a.amount) as amount
                   from unnest(amounts, campaigns, users) as a (amount, campaign, user_id)
                  cross join lateral (values ('installation', '', cap_of_all), ('campaign', a.campaign, cap_of_campaign),
                                             ('user', a.user_id, cap_of_user)) k (scope, what, cap)
                  where k.what is not null and k.cap is not null
                  group by 1, 2) s
     cross join lateral (
       select d.amount from punctual.cost_days d
        where d.day = of_day and d.scope = s.scope and d.what = s.what offset 0) d
     where d.amount + s.amount > s.cap) into is_room;
  for one in
    select a.token, a.amount, a.campaign, a.user_id, a.must
      from unnest(tokens, amounts, campaigns, users, musts) with ordinality
             as a (token, amount, campaign, user_id, must, position)
     where not is_room
     order by a.position
  loop
    token := one.token;
    select k.scope, d.amount into reached, spent
      from (values ('installation', '', cap_of_all, 1), ('campaign', one.campaign, cap_of_campaign, 2),
                   ('user', one.user_id, cap_of_user, 3)) k (scope, what, cap, position)
     cross join lateral (
       select d.amount from punctual.cost_days d
        where d.day = of_day and d.scope = k.scope and d.what = k.what offset 0) d
     where not one.must and d.amount + one.amount > k.cap
     order by k.position
     limit 1;
    if reached is null then
      perform punctual.count_costs(of_day, array[one.token], array[one.amount], array[one.campaign], array[one.user_id]);
    end if;
    return next;
  end loop;
  if is_room then
    perform punctual.count_costs(of_day, tokens, amounts, campaigns, users);
    return query select a.token, null::text, null::bigint from unnest(tokens) as a (token);
  end if;
end
$$;

-- Counts these texts to a day whose rows are locked.
create or replace function punctual.count_costs(of_day date, tokens uuid[], amounts bigint[], campaigns text[], users text[])
returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  -- By their key, whatever the table was like when this was planned.
  insert into punctual.cost_days as d (day, scope, what, amount)
  select of_day, s.scope, s.what, s.amount
    from (select k.scope, k.what, sum(a.amount)::bigint as amount
            from unnest(amounts, campaigns, users) as a (amount, campaign, user_id)
           cross join lateral (values ('installation', ''), ('campaign', a.campaign), ('user', a.user_id)) k (scope, what)
           where k.what is not null
           group by 1, 2) s
   order by s.scope, s.what
  on conflict (day, scope, what) do update set amount = d.amount + excluded.amount;
  insert into punctual.costs (token, day, campaign, user_id, amount)
  select a.token, of_day, a.campaign, a.user_id, a.amount
    from unnest(tokens, amounts, campaigns, users) as a (token, amount, campaign, user_id);
end
$$;

-- What was counted and not sent, or turns out to be sent after all, and whose price is known now, is noted; a chore
-- corrects the counts (cost_settle.sql): they are of many messages, and a record of some waits for none of them.
-- With its owner's rights: whoever records an outcome may, and needs no right on the counts.
create or replace function punctual.cost_changed() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update punctual.costs c set is_changed = true where c.token = new.token and not c.is_changed;
  return null;
end
$$;

revoke execute on function punctual.cost_changed() from PUBLIC;

create or replace trigger punctual_cost_changed
  after update on punctual.attempts for each row
  when (new.outcome is distinct from old.outcome and (sent_nothing!(new) or sent_nothing!(old))
        or (new.price, new.price_unit) is distinct from (old.price, old.price_unit))
  execute function punctual.cost_changed();
