-- Whether an index may be of an expression and of some rows only. Undone by the caller.
do $$
begin
  create temporary table punctual_tried (status text, at timestamptz, later timestamptz);
  create index on punctual_tried (greatest(at, later)) where status = 'pending';
end $$
