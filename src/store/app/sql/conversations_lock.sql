-- Makes the creation of a conversation for these numbers ours until the transaction ends, so
-- that two at once make one. In key order: two daemons cannot wait for each other.
-- $1 numbers
select pg_advisory_xact_lock(k)
  from (select distinct hashtextextended('punctual conversation ' || number, 0) as k
          from unnest($1::text[]) as u (number) order by 1) keys
