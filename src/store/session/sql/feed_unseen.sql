-- Of transactions, by the low halves of their ids, those that a statement does not see yet: they are in the log, and
-- about to end. The whole id is the one that is nearest to the next that will begin.
-- $1 low halves
select t.id
  from unnest($1::bigint[]) t (id)
 cross join (select pg_current_snapshot() as now) s
 cross join lateral (select pg_snapshot_xmax(s.now)::text::bigint as next) n
 where not pg_visible_in_snapshot(
         (n.next + ((t.id - n.next + 2147483648) & 4294967295) - 2147483648)::text::xid8, s.now)
