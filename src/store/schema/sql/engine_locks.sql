-- Whether locked rows can be skipped, in a sub-select for each id. Undone by the caller.
do $$
begin
  create temporary table punctual_tried (id int primary key);
  perform from unnest('{1,2}'::int[]) as ask (id)
    cross join lateral (
      select t.id from punctual_tried t where t.id = ask.id for no key update of t skip locked) t;
end $$
