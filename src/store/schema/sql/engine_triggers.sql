-- Whether a statement's trigger sees the rows that the statement has written. Undone by the caller.
do $$
begin
  create temporary table punctual_tried (id int);
  create function pg_temp.punctual_try() returns trigger language plpgsql as $f$
  begin
    if (select count(*) from fresh) <> 2 then
      raise exception 'the trigger saw % rows of 2', (select count(*) from fresh);
    end if;
    return null;
  end $f$;
  create trigger punctual_tried after insert on punctual_tried referencing new table as fresh
    for each statement execute function pg_temp.punctual_try();
  insert into punctual_tried values (1), (2);
end $$
